//! Values as Ansible converts them: its `bool`, whole numbers, lists.

use std::path::PathBuf;
use std::time::Duration;

use winrm::CertificateCheck;

use super::transport::Method;
use crate::value::Value;

/// What a setting's value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Path,
    Bool,
    Port,
    Count,
    /// Above zero.
    Seconds,
    /// Zero counts as unset.
    SecondsOrZero,
    Choice(&'static [&'static str]),
    List,
    /// A line that is split as a shell splits it.
    Words,
    Transports,
    Fingerprint,
    TlsVersion,
}

/// A value that has been converted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Converted {
    Text(String),
    Path(PathBuf),
    Bool(bool),
    Number(u32),
    Time(Duration),
    List(Vec<String>),
    Transports(Vec<Method>),
    Certificate(CertificateCheck),
    Tls(winrm::TlsVersion),
}

impl Kind {
    /// Converts a value; `None` where it can't be one of this kind.
    pub(super) fn convert(self, value: &Value) -> Option<Converted> {
        Some(match self {
            Self::Text => Converted::Text(text(value)?),
            Self::Path => {
                let text = text(value).filter(|text| !text.is_empty())?;
                Converted::Path(match text.strip_prefix("~/").and_then(|rest| Some((std::env::home_dir()?, rest))) {
                    Some((home, rest)) => home.join(rest),
                    None => PathBuf::from(text),
                })
            }
            Self::Bool => Converted::Bool(boolean(value)?),
            Self::Port => Converted::Number(u32::from(u16::try_from(whole(value)?).ok().filter(|port| *port > 0)?)),
            Self::Count => Converted::Number(u32::try_from(whole(value)?).ok()?),
            Self::Seconds => Converted::Time(seconds(value).filter(|time| !time.is_zero())?),
            Self::SecondsOrZero => Converted::Time(seconds(value)?),
            Self::Choice(choices) => {
                let text = text(value)?.to_ascii_lowercase();
                Converted::Text(choices.contains(&text.as_str()).then_some(text)?)
            }
            Self::List => Converted::List(list(value)?),
            Self::Words => Converted::List(match value {
                Value::List(_) => list(value)?,
                value => shlex::split(&text(value)?)?,
            }),
            Self::Transports => {
                let names = list(value)?;
                let methods: Option<Vec<Method>> = names.iter().map(|name| Method::from_name(name)).collect();
                Converted::Transports(methods.filter(|methods| !methods.is_empty())?)
            }
            Self::TlsVersion => Converted::Tls(text(value)?.parse().ok()?),
            Self::Fingerprint => Converted::Certificate(CertificateCheck::pinned(&text(value)?).ok()?),
        })
    }

    /// What a value of this kind has to be, for an error.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Text => "it has to be a text".to_owned(),
            Self::Path => "it has to be a path".to_owned(),
            Self::Bool => "it has to be true or false (yes, no, on, off, 1, 0)".to_owned(),
            Self::Port => "it has to be a whole number from 1 to 65535".to_owned(),
            Self::Count => "it has to be a whole number from 0 to 4294967295".to_owned(),
            Self::Seconds => "it has to be a number of seconds above 0".to_owned(),
            Self::SecondsOrZero => "it has to be a number of seconds".to_owned(),
            Self::Choice(choices) => format!("it has to be {}", choices.join(" or ")),
            Self::List => "it has to be a list, or a text with commas".to_owned(),
            Self::Words => "it has to be a text that a shell could split into words: is a quote not closed?".to_owned(),
            Self::Transports => format!("there are {}; several are tried in their order", Method::names()),
            Self::TlsVersion => "it has to be 1.0, 1.1, 1.2 or 1.3".to_owned(),
            Self::Fingerprint => {
                "it is no SHA-256 fingerprint of 64 hexadecimal digits: openssl x509 -in CERT -noout -fingerprint -sha256".to_owned()
            }
        }
    }
}

/// Texts, numbers and booleans as Python writes them.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) | Value::Unsafe(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => {
            let text = number.to_string();
            if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                format!("{text}.0")
            } else {
                text
            }
        }
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        _ => return None,
    })
}

/// Ansible's `bool`, which takes anything else for false; here that is no value.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Float(number) if *number == 0.0 => Some(false),
        Value::Float(number) if *number == 1.0 => Some(true),
        Value::String(text) | Value::Unsafe(text) => match text.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whole numbers, also where they are written as text, with a fraction of zero, or as a boolean.
fn whole(value: &Value) -> Option<i64> {
    let from_float = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Float(number) => from_float(*number),
        Value::String(text) | Value::Unsafe(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| from_float(text.parse().ok()?))
        }
        _ => None,
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::String(text) | Value::Unsafe(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // More than a hundred years is a slip, and would be too much for some clocks.
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|time| time.as_secs() < 4_000_000_000)
}

/// Lists, and texts that are split at commas, with quotes around items taken off.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::List(items) => items.iter().map(text).collect(),
        Value::String(line) | Value::Unsafe(line) => Some(line.split(',').map(|item| unquoted(item.trim()).to_owned()).collect()),
        _ => None,
    }
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn booleans_are_ansibles() {
        for yes in ["y", "YES", " on ", "1", "True", "t"] {
            assert_eq!(boolean(&string(yes)), Some(true), "{yes}");
        }
        for no in ["n", "No", "off", "0", "FALSE", "f"] {
            assert_eq!(boolean(&string(no)), Some(false), "{no}");
        }
        assert_eq!(boolean(&Value::Int(1)), Some(true));
        assert_eq!(boolean(&Value::Float(0.0)), Some(false));
        for bad in [string("maybe"), string(""), Value::Int(2), Value::List(Vec::new())] {
            assert_eq!(boolean(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_may_be_texts() {
        let port = |value| Kind::Port.convert(&value);
        for good in [
            Value::Int(5985),
            string("5985"),
            string(" 5985 "),
            string("5985.0"),
            Value::Float(5985.0),
        ] {
            assert_eq!(port(good.clone()), Some(Converted::Number(5985)), "{good:?}");
        }
        for bad in [
            string("abc"),
            string(""),
            string("5985.5"),
            Value::Int(0),
            Value::Int(65536),
            Value::Int(-1),
            Value::Float(f64::NAN),
        ] {
            assert_eq!(port(bad.clone()), None, "{bad:?}");
        }
        assert_eq!(seconds(&string("1.5")), Some(Duration::from_millis(1500)));
        for bad in [string("NaN"), string("inf"), Value::Int(-1), Value::Float(1e300)] {
            assert_eq!(seconds(&bad), None, "{bad:?}");
        }
        assert_eq!(Kind::Seconds.convert(&Value::Int(0)), None);
    }

    #[test]
    fn lists_may_be_texts_with_commas() {
        assert_eq!(list(&string("a, 'b' ,\"c\"")), Some(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(
            list(&Value::List(vec![string("a"), Value::Int(1)])),
            Some(vec!["a".into(), "1".into()])
        );
        assert_eq!(list(&Value::Int(1)), None);
        assert_eq!(
            Kind::Words.convert(&string("-l '1 d' -f")),
            Some(Converted::List(vec!["-l".into(), "1 d".into(), "-f".into()]))
        );
        assert_eq!(Kind::Words.convert(&string("'")), None);
    }
}
