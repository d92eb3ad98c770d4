//! Host names as inventories write them: `web[01:50:2]`, `[a:c].example.com`, `host:22`, `[::1]:5985`.

use std::fmt::Write as _;

/// How many hosts one line may name. Ansible knows no limit, and dies of it.
pub(crate) const MAX_HOSTS_OF_A_LINE: usize = 1_000_000;

const TOO_MANY: &str = "it names more than 1,000,000 hosts";

/// The hosts that a line names, and the port behind them.
///
/// Text that is no host name, address or range is taken as it is, as Ansible does.
///
/// # Errors
/// What is wrong with a range.
pub(crate) fn expand(text: &str) -> Result<(Vec<String>, Option<u64>), String> {
    if !text.contains([':', '[']) {
        return Ok((vec![text.to_owned()], None));
    }
    let (host, port) = split_port(text).unwrap_or((text, None));
    if !host.contains('[') {
        return Ok((vec![host.to_owned()], port));
    }
    let mut hosts = Vec::new();
    expand_into(&mut hosts, host)?;
    Ok((hosts, port))
}

/// Host (or pattern of hosts) and port, if the text is an address, a host name, or a range of such; otherwise nothing.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<u64>)> {
    let (mut host, mut port) = (text, None);
    if let Some((inside, digits)) = host.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"))
        && !inside.is_empty()
        && is_number(digits)
    {
        // Beyond any port there is; the settings say so by name.
        (host, port) = (inside, Some(digits.parse().unwrap_or(u64::MAX)));
    }
    if let Some((front, digits)) = host.rsplit_once(':')
        && is_number(digits)
        && has_no_bare_colon(front)
    {
        (host, port) = (front, Some(digits.parse().unwrap_or(u64::MAX)));
    }
    let pieces = pieces(host)?;
    (is_ipv4(&pieces) || is_ipv6(&pieces) || is_host_name(&pieces)).then_some((host, port))
}

/// Whether the text is an IP address (or a range of such).
pub(crate) fn is_address(text: &str) -> bool {
    pieces(text).is_some_and(|pieces| is_ipv4(&pieces) || is_ipv6(&pieces))
}

/// A host name is characters and ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Char(char),
    /// What stands in the brackets, its step cut off.
    Range(&'a str, &'a str),
}

/// Nothing if a bracket holds no range.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if char == '[' {
            let (inside, behind) = rest[1..].split_once(']')?;
            let mut bounds = inside.split(':');
            let (begin, end) = (bounds.next()?, bounds.next()?);
            let step = bounds.next();
            if bounds.next().is_some() || step.is_some_and(|step| !is_number(step)) {
                return None;
            }
            pieces.push(Piece::Range(begin, end));
            rest = behind;
        } else {
            pieces.push(Piece::Char(char));
            rest = &rest[char.len_utf8()..];
        }
    }
    Some(pieces)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether every colon stands in a bracket, and every bracket is closed.
fn has_no_bare_colon(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find([':', '[', ']']) {
        if rest.as_bytes()[at] != b'[' {
            return false;
        }
        match rest[at..].find(']') {
            Some(end) => rest = &rest[at + end + 1..],
            None => return false,
        }
    }
    true
}

fn is_numeric_range(begin: &str, end: &str) -> bool {
    is_number(begin) && is_number(end)
}

fn is_hexadecimal_range(begin: &str, end: &str) -> bool {
    let is_hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal(begin) && is_hexadecimal(end)
}

fn is_ipv4(pieces: &[Piece<'_>]) -> bool {
    let components: Vec<_> = pieces.split(|piece| *piece == Piece::Char('.')).collect();
    components.len() == 4
        && components.iter().all(|component| match component {
            [Piece::Range(begin, end)] => is_numeric_range(begin, end),
            digits => text_of(digits)
                .is_some_and(|text| is_number(&text) && text.len() <= 3 && text.parse::<u16>().is_ok_and(|number| number <= 255)),
        })
}

fn text_of(pieces: &[Piece<'_>]) -> Option<String> {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Char(char) => Some(*char),
            Piece::Range(..) => None,
        })
        .collect()
}

fn is_ipv6(pieces: &[Piece<'_>]) -> bool {
    let is_word = |word: &[Piece<'_>]| match word {
        [Piece::Range(begin, end)] => is_hexadecimal_range(begin, end),
        digits => text_of(digits).is_some_and(|text| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
    };
    let words: Vec<_> = pieces.split(|piece| *piece == Piece::Char(':')).collect();
    if words.len() < 3 {
        return false;
    }
    // An IPv4 address at the end, as in ::ffff:192.0.2.3, stands for two words.
    let last = words[words.len() - 1];
    if last.contains(&Piece::Char('.')) {
        let parts: Vec<_> = last.split(|piece| *piece == Piece::Char('.')).collect();
        let front: Option<Vec<String>> = words[..words.len() - 1].iter().map(|word| text_of(word)).collect();
        let front = front.map(|front| front.join(":").to_ascii_lowercase());
        let known = ["0:0:0:0:0:0", ":", "::ffff", "0:0:0:0:0:ffff"];
        return parts.len() == 4 && parts.iter().all(|part| is_word(part)) && front.is_some_and(|front| known.contains(&front.as_str()));
    }
    let gap = words
        .iter()
        .enumerate()
        .position(|(at, word)| word.is_empty() && at > 0 && at + 1 < words.len());
    match gap {
        None => words.len() == 8 && words.iter().all(|word| is_word(word)),
        Some(gap) => {
            let (front, behind) = (&words[..gap], &words[gap + 1..]);
            // "::1" splits into "", "", "1"; "1::" into "1", "", "".
            let front = if gap == 1 && front[0].is_empty() { &[] } else { front };
            let behind = if behind.len() == 1 && behind[0].is_empty() { &[] } else { behind };
            front.len() <= 6 && behind.len() <= 6 && front.len() + behind.len() <= 7 && front.iter().chain(behind).all(|word| is_word(word))
        }
    }
}

fn is_host_name(pieces: &[Piece<'_>]) -> bool {
    let is_letter = |text: &str| text.len() == 1 && text.as_bytes()[0].is_ascii_alphabetic();
    let is_range = |begin: &str, end: &str| is_numeric_range(begin, end) || (is_letter(begin) && is_letter(end));
    pieces.split(|piece| *piece == Piece::Char('.')).all(|label| {
        let (Some(first), Some(last)) = (label.first(), label.last()) else {
            return false;
        };
        label.iter().all(|piece| match piece {
            Piece::Char(char) => char.is_alphanumeric() || matches!(char, '_' | '-'),
            Piece::Range(begin, end) => is_range(begin, end),
        }) && *first != Piece::Char('-')
            && !matches!(last, Piece::Char('-' | '_'))
    })
}

/// Replaces the first range by each of its values, and goes on with the next.
fn expand_into(hosts: &mut Vec<String>, text: &str) -> Result<(), String> {
    let Some((head, rest)) = text.split_once('[') else {
        if hosts.len() >= MAX_HOSTS_OF_A_LINE {
            return Err(TOO_MANY.to_owned());
        }
        hosts.push(text.to_owned());
        return Ok(());
    };
    let (range, tail) = rest
        .split_once(']')
        .ok_or_else(|| format!("the range [{rest} is not closed by ]"))?;
    let range = Range::parse(range)?;
    let mut name = String::with_capacity(head.len() + tail.len() + 8);
    for index in 0..range.count() {
        name.clear();
        name.push_str(head);
        range.write(&mut name, index);
        name.push_str(tail);
        expand_into(hosts, &name)?;
    }
    Ok(())
}

/// `begin:end` or `begin:end:step`, the end included.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// The numbers, and how many digits they have at least.
    Numbers { begin: i64, end: i64, step: i64, width: usize },
    /// Places in [`LETTERS`].
    Letters { begin: usize, end: usize, step: usize },
}

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl Range {
    fn parse(text: &str) -> Result<Self, String> {
        let bounds: Vec<&str> = text.split(':').collect();
        let (begin, end, step) = match bounds[..] {
            [begin, end] => (begin, end, "1"),
            [begin, end, step] => (begin, end, step),
            _ => return Err(format!("the range [{text}] is not [begin:end] or [begin:end:step]")),
        };
        let begin = if begin.is_empty() { "0" } else { begin };
        if end.is_empty() {
            return Err(format!("the range [{text}] has no end"));
        }
        let width = if begin.len() > 1 && begin.starts_with('0') {
            if begin.len() != end.len() {
                return Err(format!("begin and end of the range [{text}] don't have the same number of digits"));
            }
            begin.len()
        } else {
            0
        };
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let step = number(step).filter(|step| *step != 0);
        let no_step = || format!("the step of the range [{text}] is not a whole number other than 0");
        let place = |letter: &str| match letter.as_bytes() {
            [letter] => LETTERS.iter().position(|known| known == letter),
            _ => None,
        };
        if let (Some(begin), Some(end)) = (place(begin), place(end)) {
            if begin > end {
                return Err(format!("the range [{text}] ends before it begins"));
            }
            // A slice with a negative step is empty, as the end lies on the wrong side.
            let step = usize::try_from(step.ok_or_else(no_step)?).unwrap_or(usize::MAX);
            return Ok(match step {
                usize::MAX => Self::Numbers {
                    begin: 1,
                    end: 0,
                    step: 1,
                    width,
                },
                step => Self::Letters { begin, end, step },
            });
        }
        match (number(begin), number(end)) {
            (Some(begin), Some(end)) => Ok(Self::Numbers {
                begin,
                end,
                step: step.ok_or_else(no_step)?,
                width,
            }),
            _ => Err(format!(
                "begin and end of the range [{text}] are neither two numbers nor two letters"
            )),
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Letters { begin, end, step } => (end - begin) / step + 1,
            Self::Numbers { begin, end, step, .. } => {
                // Python's range(begin, end + 1, step).
                let distance = i128::from(end) + 1 - i128::from(begin);
                let step = i128::from(step);
                if distance.signum() == step.signum() {
                    usize::try_from((distance.abs() + step.abs() - 1) / step.abs()).unwrap_or(usize::MAX)
                } else {
                    0
                }
            }
        }
    }

    fn write(self, name: &mut String, index: usize) {
        match self {
            Self::Letters { begin, step, .. } => name.push(char::from(LETTERS[begin + index * step])),
            Self::Numbers { begin, step, width, .. } => {
                // `index` is below the count, which keeps the number between begin and end.
                let number = begin.saturating_add(step.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)));
                // Writing to a String can't fail.
                let _ = write!(name, "{number:0width$}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        expand(text).unwrap().0
    }

    #[test]
    fn ranges_are_written_out() {
        assert_eq!(names("web[1:3]"), ["web1", "web2", "web3"]);
        assert_eq!(names("web[01:05:2].x"), ["web01.x", "web03.x", "web05.x"]);
        assert_eq!(names("db-[a:c]"), ["db-a", "db-b", "db-c"]);
        assert_eq!(names("[y:B]"), ["y", "z", "A", "B"]);
        assert_eq!(names("r[1:2]-[a:b]"), ["r1-a", "r1-b", "r2-a", "r2-b"]);
        assert_eq!(names("x[:2]"), ["x0", "x1", "x2"]);
        assert_eq!(names("x[098:101]"), ["x098", "x099", "x100", "x101"]);
        assert!(names("x[3:1]").is_empty());
        assert_eq!(
            expand("web[1:2]:5986").unwrap(),
            (vec!["web1".to_owned(), "web2".to_owned()], Some(5986))
        );
    }

    #[test]
    fn a_bad_range_says_what_is_wrong() {
        for (text, part) in [
            ("x[1-3]", "is not [begin:end]"),
            ("x[1:]", "has no end"),
            ("x[01:100]", "same number of digits"),
            ("x[c:a]", "ends before it begins"),
            ("x[1:3:0]", "step"),
            ("x[aa:cc]", "neither two numbers nor two letters"),
            ("x[1:2", "not closed"),
            ("x[1:99999999999]", "more than 1,000,000"),
            ("x[1:99999][1:99999][1:99999]", "more than 1,000,000"),
        ] {
            let error = expand(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn ports_stand_behind_hosts_and_bracketed_addresses() {
        assert_eq!(split_port("web1:22"), Some(("web1", Some(22))));
        assert_eq!(split_port("192.0.2.1:5985"), Some(("192.0.2.1", Some(5985))));
        assert_eq!(split_port("[::1]:5985"), Some(("::1", Some(5985))));
        assert_eq!(split_port("[2001:db8::[1:3]]:22"), Some(("2001:db8::[1:3]", Some(22))));
        assert_eq!(split_port("[web1]:22"), Some(("web1", Some(22))));
        assert_eq!(split_port("::1"), Some(("::1", None)));
        assert_eq!(split_port("fe80::1:22"), Some(("fe80::1:22", None)));
        assert_eq!(split_port("::ffff:192.0.2.3"), Some(("::ffff:192.0.2.3", None)));
        for no in [
            "[::1]",
            "a:b:c",
            "-web",
            "web-",
            "web_",
            "we b",
            "",
            ":22",
            "1::2::3",
            "1:2:3:4:5:6:7:8:9",
            "/chroot",
        ] {
            assert_eq!(split_port(no), None, "{no}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_what_counting_gives(begin in 0_u32..300, length in 0_u32..300, step in 1_u32..20, padded: bool) {
            let end = begin + length;
            // Leading zeros have to be the same on both sides, or the end decides the width.
            let width = if padded { end.to_string().len().max(2) } else { 0 };
            let text = format!("a[{begin:0width$}:{end:0width$}:{step}]b");
            let expected: Vec<String> = (begin..=end)
                .step_by(step as usize)
                .map(|number| if begin.to_string().len() < width { format!("a{number:0width$}b") } else { format!("a{number}b") })
                .collect();
            proptest::prop_assert_eq!(names(&text), expected);
        }

        #[test]
        fn any_text_is_a_host_or_an_error(text in "[a-c0-9\\[\\]:.,*-]{0,12}") {
            if let Ok((hosts, _)) = expand(&text) {
                proptest::prop_assert!(hosts.len() <= MAX_HOSTS_OF_A_LINE);
            }
            // Neither panics.
            let _ = split_port(&text);
        }
    }
}
