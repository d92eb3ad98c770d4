//! Patterns of hosts: `web*:!web3`, `db[0:2],&prod`, `~web\d+`, and `--limit`.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use super::glob::Glob;
use super::graph::LOCALHOST;
use super::source::expand_path;
use super::{Host, Inventory, address};

/// Why a pattern selects nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// No host matches.
    #[error("the pattern {pattern:?}{} matches no host", limited(.limit))]
    NoHosts {
        /// The pattern.
        pattern: String,
        /// What `--limit` said.
        limit: Vec<String>,
        /// Names of the inventory that are nearly the pattern's.
        near: Vec<String>,
    },
    /// `[n]` behind a pattern that matches fewer hosts.
    #[error("the pattern {pattern:?} asks for a host beyond the {count} that match it")]
    Subscript {
        /// The pattern.
        pattern: String,
        /// How many hosts match it without the subscript.
        count: usize,
    },
    /// A regular expression that is none.
    #[error("the pattern {pattern:?} is no regular expression")]
    Regex {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of `--limit @file` can't be read.
    #[error("the file {} of --limit can't be read", path.display())]
    LimitFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl PatternError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHosts { near, .. } if !near.is_empty() => Some(format!("did you mean {}?", near.join(" or "))),
            Self::NoHosts { .. } => Some("see the hosts and groups: winrm inventory --graph".to_owned()),
            Self::Subscript { .. } => Some("the first host is [0], the last [-1]".to_owned()),
            Self::Regex { .. } => Some("a pattern with wildcards needs no ~ in front".to_owned()),
            Self::LimitFile { .. } => Some("it holds a pattern a line".to_owned()),
        }
    }
}

fn limited(limit: &[String]) -> String {
    if limit.is_empty() {
        String::new()
    } else {
        format!(" with the limit {:?}", limit.join(","))
    }
}

/// What patterns select.
#[derive(Debug)]
#[non_exhaustive]
pub struct Selection<'i> {
    /// The hosts, in Ansible's order.
    pub hosts: Vec<&'i Host>,
    /// Parts of the patterns that match neither a host nor a group.
    pub unmatched: Vec<String>,
}

/// Longer files of limits are none.
const MAX_LIMIT_FILE: u64 = 64 << 20;

pub(super) fn select<'i>(inventory: &'i Inventory, pattern: &str, limit: &[String]) -> Result<Selection<'i>, PatternError> {
    let mut matcher = Matcher {
        inventory,
        unmatched: Vec::new(),
    };
    let mut hosts = matcher.evaluate(&split(pattern))?;
    let limits = limits(limit)?;
    if !limits.is_empty() {
        let allowed: HashSet<u32> = matcher.evaluate(&limits)?.into_iter().collect();
        hosts.retain(|host| allowed.contains(host));
    }
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(*host));
    if hosts.is_empty() {
        let names = matcher.unmatched.iter().flat_map(|name| near(inventory, name)).take(3).collect();
        return Err(PatternError::NoHosts {
            pattern: pattern.to_owned(),
            limit: limit.to_vec(),
            near: names,
        });
    }
    Ok(Selection {
        hosts: hosts.into_iter().map(|host| inventory.at(host)).collect(),
        unmatched: matcher.unmatched,
    })
}

/// The patterns of `--limit`; a file holds one a line.
fn limits(limit: &[String]) -> Result<Vec<String>, PatternError> {
    let mut limits = Vec::new();
    for pattern in limit.iter().flat_map(|limit| split(limit)) {
        let Some(path) = pattern.strip_prefix('@') else {
            limits.push(pattern);
            continue;
        };
        let path = expand_path(path);
        let unreadable = |source| PatternError::LimitFile {
            path: path.clone(),
            source,
        };
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        if size > MAX_LIMIT_FILE {
            return Err(unreadable(std::io::Error::other("it is larger than 64 MiB")));
        }
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        // Empty ones stay, as a limit of nothing would be no limit.
        limits.extend(text.lines().map(|line| line.trim().to_owned()));
        if limits.is_empty() {
            limits.push(String::new());
        }
    }
    Ok(limits)
}

/// Cuts a pattern at its commas; one without commas at its colons, unless these belong to an address or a range.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<&str> = if pattern.contains(',') {
        pattern.split(',').collect()
    } else if address::split_port(pattern).is_some() {
        vec![pattern]
    } else {
        split_at_colons(pattern)
    };
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Runs of characters that are neither blanks nor colons; what stands in brackets belongs together.
fn split_at_colons(pattern: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(char) = pattern[at..].chars().next() {
        let next = at + char.len_utf8();
        let inside = match char {
            '[' => pattern[next..].find(']').map(|end| next + end + 1),
            ']' | ':' => None,
            char if char.is_whitespace() => None,
            _ => Some(next),
        };
        match inside {
            Some(end) => at = end,
            None => {
                parts.push(&pattern[begin..at]);
                begin = next;
                at = next;
            }
        }
    }
    parts.push(&pattern[begin..]);
    parts
}

struct Matcher<'i> {
    inventory: &'i Inventory,
    unmatched: Vec<String>,
}

impl Matcher<'_> {
    /// Unions first, then intersections, then exceptions, wherever they stand.
    fn evaluate(&mut self, patterns: &[String]) -> Result<Vec<u32>, PatternError> {
        let all = "all".to_owned();
        let of = |sign: Option<char>| {
            patterns
                .iter()
                .filter(move |pattern| !pattern.is_empty() && pattern.chars().next().filter(|char| matches!(char, '&' | '!')) == sign)
        };
        let mut unions: Vec<&String> = of(None).collect();
        if unions.is_empty() {
            unions.push(&all);
        }
        let mut hosts: Vec<u32> = Vec::new();
        let mut present: HashSet<u32> = HashSet::new();
        for pattern in unions {
            let found = match self.inventory.graph.hosts.get_index_of(pattern.as_str()) {
                Some(index) => vec![u32::try_from(index).unwrap_or(u32::MAX)],
                None => self.one(pattern)?,
            };
            hosts.extend(found.into_iter().filter(|host| present.insert(*host)));
        }
        for pattern in of(Some('&')) {
            let found: HashSet<u32> = self.one(&pattern[1..])?.into_iter().collect();
            hosts.retain(|host| found.contains(host));
        }
        for pattern in of(Some('!')) {
            let found: HashSet<u32> = self.one(&pattern[1..])?.into_iter().collect();
            hosts.retain(|host| !found.contains(host));
        }
        Ok(hosts)
    }

    /// The hosts of one pattern without a sign.
    fn one(&mut self, pattern: &str) -> Result<Vec<u32>, PatternError> {
        if pattern.is_empty() {
            return Ok(Vec::new());
        }
        let (expression, subscript) = subscript(pattern);
        let hosts = self.matches(expression)?;
        let (Some(subscript), false) = (subscript, hosts.is_empty()) else {
            return Ok(hosts);
        };
        let count = hosts.len();
        let beyond = || PatternError::Subscript {
            pattern: pattern.to_owned(),
            count,
        };
        match subscript {
            Subscript::One(index) => {
                let index = if index < 0 {
                    count.checked_sub(index.unsigned_abs())
                } else {
                    usize::try_from(index).ok()
                };
                index.and_then(|index| hosts.get(index)).map(|host| vec![*host]).ok_or_else(beyond)
            }
            Subscript::Range(first, last) => {
                let last = last.unwrap_or(count - 1).min(count - 1);
                Ok(hosts
                    .get(first..=last.max(first))
                    .filter(|_| first <= last)
                    .unwrap_or_default()
                    .to_vec())
            }
        }
    }

    fn matches(&mut self, pattern: &str) -> Result<Vec<u32>, PatternError> {
        let graph = &self.inventory.graph;
        let name = Names::new(pattern)?;
        let mut found: Vec<u32> = Vec::new();
        let mut matched = false;
        let groups = name.find(
            graph.groups.len(),
            |name| graph.groups.get_index_of(name),
            |index| graph.groups.get_index(index).map(|(name, _)| &**name),
        );
        for group in groups {
            matched = true;
            found.extend(graph.hosts_of(group));
        }
        // A plain word that names a group is not looked for among hosts.
        if !matched || pattern.starts_with('~') || pattern.contains(['.', '?', '*', '[']) {
            found.extend(name.find(
                graph.hosts.len(),
                |name| graph.hosts.get_index_of(name),
                |index| graph.hosts.get_index(index).map(|(name, _)| &**name),
            ));
        }
        if found.is_empty() && LOCALHOST.contains(&pattern) {
            found.extend(self.inventory.find(pattern));
        }
        if found.is_empty() && !matched && pattern != "all" {
            self.unmatched.push(pattern.to_owned());
        }
        let mut seen = HashSet::new();
        found.retain(|host| seen.insert(*host));
        Ok(found)
    }
}

/// How names are compared.
enum Names {
    Literal(String),
    Glob(Glob),
    Regex(Box<fancy_regex::Regex>),
}

impl Names {
    fn new(pattern: &str) -> Result<Self, PatternError> {
        if let Some(expression) = pattern.strip_prefix('~') {
            // As Python's match: from the begin, not to the end.
            return fancy_regex::Regex::new(&format!("\\A(?:{expression})"))
                .map(|regex| Self::Regex(Box::new(regex)))
                .map_err(|source| PatternError::Regex {
                    pattern: pattern.to_owned(),
                    source: Box::new(source),
                });
        }
        let glob = Glob::new(pattern);
        Ok(match glob.literal() {
            Some(name) => Self::Literal(name),
            None => Self::Glob(glob),
        })
    }

    fn find<'n>(&self, count: usize, index_of: impl Fn(&str) -> Option<usize>, name_at: impl Fn(usize) -> Option<&'n str>) -> Vec<u32> {
        let matches = |name: &str| match self {
            Self::Literal(own) => own == name,
            Self::Glob(glob) => glob.matches(name),
            // An expression that takes for ever matches nothing.
            Self::Regex(regex) => regex.is_match(name).unwrap_or(false),
        };
        let found: Vec<usize> = match self {
            Self::Literal(name) => index_of(name).into_iter().collect(),
            _ => (0..count).filter(|index| name_at(*index).is_some_and(matches)).collect(),
        };
        found.into_iter().filter_map(|index| u32::try_from(index).ok()).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscript {
    One(isize),
    /// Both included.
    Range(usize, Option<usize>),
}

/// A pattern without its subscript, and the subscript.
fn subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let parts = || {
        let (expression, inside) = pattern.strip_suffix(']')?.rsplit_once('[')?;
        if expression.is_empty() || pattern.starts_with('~') {
            return None;
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large for a number is beyond any list.
        let number = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
        if is_number(inside.strip_prefix('-').unwrap_or(inside)) {
            return Some((expression, Subscript::One(inside.parse().unwrap_or(isize::MAX))));
        }
        let (first, last) = inside.split_once([':', '-'])?;
        if !is_number(first) || !(last.is_empty() || is_number(last)) {
            return None;
        }
        Some((
            expression,
            match (number(first), number(last)) {
                (first, _) if last.is_empty() => Subscript::Range(first, None),
                // Ansible takes [n:0] for [n].
                (first, 0) => Subscript::One(isize::try_from(first).unwrap_or(isize::MAX)),
                (first, last) => Subscript::Range(first, Some(last)),
            },
        ))
    };
    match parts() {
        Some((expression, subscript)) => (expression, Some(subscript)),
        None => (pattern, None),
    }
}

/// Names of hosts and groups that differ from what was meant in a letter or two.
fn near(inventory: &Inventory, name: &str) -> Vec<String> {
    const ENOUGH: usize = 2_000;
    let graph = &inventory.graph;
    let mut found: Vec<(usize, String)> = graph
        .groups
        .keys()
        .chain(graph.hosts.keys())
        .take(ENOUGH)
        .filter_map(|known| {
            let distance = distance(name, known);
            (distance <= 2 && distance < name.chars().count()).then(|| (distance, known.to_string()))
        })
        .collect();
    found.sort();
    let best = found.first().map(|(distance, _)| *distance);
    found
        .into_iter()
        .take_while(|(distance, _)| Some(*distance) == best)
        .map(|(_, name)| name)
        .take(2)
        .collect()
}

/// How many letters have to be put in, taken out, changed, or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let [left, right] = [left, right].map(|text| text.chars().take(64).collect::<Vec<char>>());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for at in 0..=left.len() {
        for place in 0..=right.len() {
            rows[at][place] = if at == 0 || place == 0 {
                at + place
            } else {
                let changed = rows[at - 1][place - 1] + usize::from(left[at - 1] != right[place - 1]);
                let moved = changed.min(rows[at - 1][place] + 1).min(rows[at][place - 1] + 1);
                let swapped = at > 1 && place > 1 && left[at - 1] == right[place - 2] && left[at - 2] == right[place - 1];
                if swapped { moved.min(rows[at - 2][place - 2] + 1) } else { moved }
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_cut_at_commas_or_colons() {
        assert_eq!(split("a,b[1], c[2:3] , d"), ["a", "b[1]", "c[2:3]", "d"]);
        assert_eq!(split("web*:!web3:&prod"), ["web*", "!web3", "&prod"]);
        assert_eq!(split("db[0:2]:web"), ["db[0:2]", "web"]);
        assert_eq!(split("2001:db8::1"), ["2001:db8::1"]);
        assert_eq!(split("web[1:3]"), ["web[1:3]"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn subscripts_are_numbers_and_ranges() {
        assert_eq!(subscript("web[0]"), ("web", Some(Subscript::One(0))));
        assert_eq!(subscript("web[-1]"), ("web", Some(Subscript::One(-1))));
        assert_eq!(subscript("web[1:]"), ("web", Some(Subscript::Range(1, None))));
        assert_eq!(subscript("web[1:3]"), ("web", Some(Subscript::Range(1, Some(3)))));
        assert_eq!(subscript("web[1-3]"), ("web", Some(Subscript::Range(1, Some(3)))));
        assert_eq!(subscript("web[a]"), ("web[a]", None));
        assert_eq!(subscript("~web[1]"), ("~web[1]", None));
        assert_eq!(subscript("[1]"), ("[1]", None));
    }

    #[test]
    fn names_that_are_nearly_right_are_near() {
        assert_eq!(distance("wbe1", "web1"), 1);
        assert_eq!(distance("wbe1", "db1"), 2);
        assert_eq!(distance("web", "web"), 0);
        assert_eq!(distance("", "abc"), 3);
    }
}
