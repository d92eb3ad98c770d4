//! Which files are meant: wildcards.

use thiserror::Error;

/// A pattern that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the pattern {0:?} has a bracket that is not closed")]
pub struct InvalidPattern(String);

/// A pattern: `*` is anything within a name, `**` anything, `?` one character, `[a-z]` one of these, `[!a-z]` none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// Whether it is for the whole path, not for a name at any depth.
    whole: bool,
    folded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    Across,
    Class { not: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// A pattern for paths below a folder, with `/` between their names.
    pub(super) fn new(text: &str) -> Result<Self, InvalidPattern> {
        let trimmed = text.trim_end_matches('/');
        let (text, whole) = match trimmed.strip_prefix('/') {
            Some(rest) => (rest, true),
            None => (trimmed, trimmed.contains('/')),
        };
        Ok(Self {
            tokens: tokens(text)?,
            whole,
            folded: false,
        })
    }

    /// Makes no difference between capital and small letters.
    pub(super) fn folded(mut self, folded: bool) -> Self {
        self.folded = folded;
        self
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let text = if self.whole {
            path
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        let text: Vec<char> = text.chars().collect();
        self.find(&text)
    }

    /// With two places to go back to, one for each kind of star: the time is bounded by their product.
    fn find(&self, text: &[char]) -> bool {
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for token in &self.tokens {
            let mut next = vec![false; text.len() + 1];
            let mut open = false;
            for at in 0..=text.len() {
                match token {
                    Token::Many | Token::Across => {
                        if at > 0 && *token == Token::Many && text[at - 1] == '/' {
                            open = false;
                        }
                        open |= reached[at];
                        next[at] = open;
                    }
                    _ => next[at] = at > 0 && reached[at - 1] && self.is_one(token, text[at - 1]),
                }
            }
            reached = next;
        }
        reached[text.len()]
    }

    fn is_one(&self, token: &Token, character: char) -> bool {
        let fold = |c: char| {
            if self.folded { c.to_lowercase().next().unwrap_or(c) } else { c }
        };
        let c = fold(character);
        match token {
            Token::Char(wanted) => fold(*wanted) == c,
            Token::One => character != '/',
            Token::Class { not, ranges } => {
                character != '/' && *not != ranges.iter().any(|(from, to)| (fold(*from)..=fold(*to)).contains(&c))
            }
            Token::Many | Token::Across => false,
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, InvalidPattern> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '?' => Token::One,
            '*' => {
                let mut stars = 1;
                while characters.next_if_eq(&'*').is_some() {
                    stars += 1;
                }
                // "**/" is also no folder at all.
                if stars > 1 && characters.next_if_eq(&'/').is_some() {
                    tokens.push(Token::Across);
                    continue;
                }
                if stars > 1 { Token::Across } else { Token::Many }
            }
            '[' => {
                let not = characters.next_if(|c| matches!(c, '!' | '^')).is_some();
                let mut ranges = Vec::new();
                loop {
                    let from = characters.next().ok_or_else(|| InvalidPattern(text.to_owned()))?;
                    if from == ']' && !ranges.is_empty() {
                        break;
                    }
                    let mut ahead = characters.clone();
                    let range = match (ahead.next(), ahead.next()) {
                        (Some('-'), Some(to)) if to != ']' => {
                            characters = ahead;
                            (from, to)
                        }
                        _ => (from, from),
                    };
                    ranges.push(range);
                }
                Token::Class { not, ranges }
            }
            other => Token::Char(other),
        });
    }
    Ok(tokens)
}

/// Whether a text is a pattern rather than a name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Which files of folders are copied.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) include: Vec<Pattern>,
    pub(super) exclude: Vec<Pattern>,
}

impl Filter {
    /// Whether a folder, and with it all below it, is left out.
    pub(super) fn skips_folder(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether a file is left out. Folders above it are not looked at.
    pub(super) fn skips_file(&self, path: &str) -> bool {
        self.skips_folder(path) || !self.include.is_empty() && !self.include.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether something is left out, by itself or by a folder above it.
    pub(super) fn skips(&self, path: &str, is_file: bool) -> bool {
        let above = path.match_indices('/').any(|(at, _)| self.skips_folder(&path[..at]));
        above || if is_file { self.skips_file(path) } else { self.skips_folder(path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, good: &[&str], bad: &[&str]) {
        let pattern = Pattern::new(pattern).unwrap();
        for path in good {
            assert!(pattern.matches(path), "{pattern:?} should match {path}");
        }
        for path in bad {
            assert!(!pattern.matches(path), "{pattern:?} should not match {path}");
        }
    }

    #[test]
    fn patterns_match_names_or_paths() {
        check("*.log", &["a.log", "x/y/b.log", ".log"], &["a.logs", "a.log/b"]);
        check("/*.log", &["a.log"], &["x/a.log"]);
        check("x/*.log", &["x/a.log"], &["x/y/a.log", "a.log"]);
        check("x/**", &["x/a", "x/y/z"], &["x", "y/x/a"]);
        check("**/obj", &["obj", "a/obj", "a/b/obj"], &["a/obj/c", "a/object"]);
        check("a/**/b", &["a/b", "a/c/b", "a/c/d/b"], &["a/c", "ab"]);
        check(
            "file?.t[a-cx]t",
            &["file1.tat", "d/fileä.txt"],
            &["file.tat", "file12.tat", "file1.tdt"],
        );
        check("[!a]", &["b"], &["a", "bb"]);
        check("[]]", &["]"], &["a"]);
        check("node_modules/", &["node_modules", "a/node_modules"], &["node_modules2"]);
        assert_eq!(Pattern::new("a[b"), Err(InvalidPattern("a[b".into())));
        assert!(Pattern::new("*.TXT").unwrap().folded(true).matches("a.txt"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&"*a".repeat(50)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(300))));
    }

    #[test]
    fn includes_choose_and_excludes_take_away() {
        let list = |patterns: &[&str]| patterns.iter().map(|pattern| Pattern::new(pattern).unwrap()).collect();
        let filter = Filter {
            include: list(&["*.rs", "*.md"]),
            exclude: list(&["target", "draft*"]),
        };
        assert!(!filter.skips("src/a.rs", true) && !filter.skips("src", false));
        assert!(filter.skips("src/a.c", true) && filter.skips("target/x/a.rs", true) && filter.skips("draft.md", true));
        assert!(filter.skips("target", false) && !Filter::default().skips("x", true));
    }
}
