//! Shell patterns as Python's `fnmatch` matches them: `*`, `?`, `[seq]`, `[!seq]`; case counts.

/// A pattern, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
enum Token {
    Char(char),
    Any,
    Star,
    /// Whether it's negated, and the characters from–to.
    Set(bool, Vec<(char, char)>),
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let chars: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            let char = chars[at];
            at += 1;
            tokens.push(match char {
                '*' if matches!(tokens.last(), Some(Token::Star)) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '[' => match set(&chars[at..]) {
                    Some((token, length)) => {
                        at += length;
                        token
                    }
                    // A bracket that isn't closed stands for itself.
                    None => Token::Char('['),
                },
                char => Token::Char(char),
            });
        }
        Self { tokens }
    }

    /// The text itself, if the pattern has nothing special.
    pub(crate) fn literal(&self) -> Option<String> {
        self.tokens
            .iter()
            .map(|token| match token {
                Token::Char(char) => Some(*char),
                _ => None,
            })
            .collect()
    }

    /// In time proportional to pattern times text, whatever the pattern.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (mut token_at, mut rest) = (0, text);
        // Where the last star stands, and what it has left.
        let mut star: Option<(usize, &str)> = None;
        loop {
            match (self.tokens.get(token_at), rest.chars().next()) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    token_at += 1;
                    star = Some((token_at, rest));
                    continue;
                }
                (Some(token), Some(char)) if token.matches(char) => {
                    token_at += 1;
                    rest = &rest[char.len_utf8()..];
                    continue;
                }
                _ => {}
            }
            // The last star takes one more.
            let Some((behind_star, left)) = star else { return false };
            let Some(char) = left.chars().next() else { return false };
            let left = &left[char.len_utf8()..];
            star = Some((behind_star, left));
            (token_at, rest) = (behind_star, left);
        }
    }
}

impl Token {
    fn matches(&self, char: char) -> bool {
        match self {
            Self::Char(own) => *own == char,
            Self::Any | Self::Star => true,
            Self::Set(negated, ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&char)) != *negated,
        }
    }
}

/// The set behind `[`, and how many characters it takes, `]` included.
fn set(chars: &[char]) -> Option<(Token, usize)> {
    let negated = chars.first() == Some(&'!');
    let begin = usize::from(negated);
    // A bracket at the begin belongs to the set.
    let end = begin + 1 + chars.get(begin + 1..)?.iter().position(|char| *char == ']')?;
    let inside = &chars[begin..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() {
            // A range that ends before it begins holds nothing.
            ranges.push((inside[at], inside[at + 2]));
            at += 3;
        } else {
            ranges.push((inside[at], inside[at]));
            at += 1;
        }
    }
    Some((Token::Set(negated, ranges), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch() {
        for (pattern, text, matches) in [
            ("web*", "web1", true),
            ("web*", "xweb1", false),
            ("*.example.com", "a.example.com", true),
            ("web?", "web", false),
            ("web[12]", "web2", true),
            ("web[!12]", "web2", false),
            ("web[a-c]", "webb", true),
            ("web[z-a]", "webb", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("web[", "web[", true),
            ("[]", "[]", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("", "", true),
            ("*", "", true),
            ("[a-]", "-", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
        // Exponential in a naive matcher.
        assert!(!Glob::new(&"*a".repeat(50)).matches(&"a".repeat(49)));
    }

    /// The definition, without cleverness.
    fn naive(tokens: &[Token], text: &[char]) -> bool {
        match (tokens.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Token::Star, tokens)), _) => (0..=text.len()).any(|taken| naive(tokens, &text[taken..])),
            (Some((token, tokens)), Some((char, text))) => token.matches(*char) && naive(tokens, text),
            (Some(_), None) => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*?\\[\\]!-]{0,8}", text in "[ab\\[\\]-]{0,8}") {
            let glob = Glob::new(&pattern);
            let chars: Vec<char> = text.chars().collect();
            proptest::prop_assert_eq!(glob.matches(&text), naive(&glob.tokens, &chars));
        }
    }
}
