//! Values as Python prints them, so that what we print can be laid beside what Ansible prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use winrm_fleet::{Map, Value};

/// What JSON holds, keys sorted.
#[derive(Debug, Clone)]
pub(super) enum Json {
    Map(BTreeMap<Arc<str>, Self>),
    List(Vec<Self>),
    Scalar(Value),
}

impl Json {
    pub(super) fn text(text: &str) -> Self {
        Self::Scalar(Value::String(text.into()))
    }

    /// A variable's value. `marked`: texts that are no templates say so, where who reads the output makes a difference.
    pub(super) fn of(value: &Value, marked: bool) -> Self {
        let alone = |key: &str, text: &Arc<str>| Self::Map([(key.into(), Self::Scalar(Value::String(text.clone())))].into());
        match value {
            Value::List(items) => Self::List(items.iter().map(|item| Self::of(item, marked)).collect()),
            Value::Map(map) => Self::map(map, marked),
            Value::Unsafe(text) if marked => alone("__ansible_unsafe", text),
            Value::Vaulted(text) => alone("__ansible_vault", text),
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    fn map(map: &Map, marked: bool) -> Self {
        Self::Map(map.iter().map(|(key, value)| (key.clone(), Self::of(value, marked))).collect())
    }

    /// As `json.dumps(indent=4, sort_keys=True)`.
    pub(super) fn dump(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(map) if map.is_empty() => out.push_str("{}"),
            Self::List(items) if items.is_empty() => out.push_str("[]"),
            Self::Map(map) => {
                out.push('{');
                for (at, (key, value)) in map.iter().enumerate() {
                    line(out, at, depth + 1);
                    quote(out, key);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                end(out, depth, '}');
            }
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    line(out, at, depth + 1);
                    item.write(out, depth + 1);
                }
                end(out, depth, ']');
            }
            Self::Scalar(value) => match value {
                Value::Bool(true) => out.push_str("true"),
                Value::Bool(false) => out.push_str("false"),
                Value::Int(number) => out.push_str(&number.to_string()),
                Value::Float(number) => out.push_str(&winrm_fleet::value::float_text(*number)),
                Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => quote(out, text),
                _ => out.push_str("null"),
            },
        }
    }
}

fn line(out: &mut String, at: usize, depth: usize) {
    if at > 0 {
        out.push(',');
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
}

fn end(out: &mut String, depth: usize, bracket: char) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
    out.push(bracket);
}

/// A text of JSON.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\0'..='\x1f' => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

/// As Python's `str`.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) | Value::Unsafe(text) => text.to_string(),
        value => representation(value),
    }
}

/// As Python's `repr`.
fn representation(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => match winrm_fleet::value::float_text(*number).as_str() {
            "NaN" => "nan".to_owned(),
            "Infinity" => "inf".to_owned(),
            "-Infinity" => "-inf".to_owned(),
            text => text.to_owned(),
        },
        Value::String(text) | Value::Unsafe(text) => quoted(text),
        // Who looks at a graph doesn't want a page of digits, and shouldn't see the secret.
        Value::Vaulted(_) => "<encrypted>".to_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(representation).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), representation(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        _ => "None".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char == quote => out.extend(['\\', char]),
            char if char.is_control() => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\x{:02x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = Value::Map(
            [
                ("b", Value::List(vec![Value::Null, Value::Float(1e16), Value::List(Vec::new())])),
                ("a", Value::String("é\u{1f600}\"\u{7f}".into())),
                ("u", Value::Unsafe("x".into())),
            ]
            .into_iter()
            .map(|(key, value)| (Arc::from(key), value))
            .collect(),
        );
        assert_eq!(
            Json::of(&value, true).dump(),
            "{\n    \"a\": \"é😀\\\"\u{7f}\",\n    \"b\": [\n        null,\n        1e+16,\n        []\n    ],\n    \
             \"u\": {\n        \"__ansible_unsafe\": \"x\"\n    }\n}"
        );
        assert_eq!(text(&value), "{'b': [None, 1e+16, []], 'a': 'é😀\"\\x7f', 'u': 'x'}");
    }
}
