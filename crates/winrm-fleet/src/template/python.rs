//! Values as Python writes them, which is how Jinja2 puts them into texts, and JSON as Python's encoder spaces it.

use std::fmt::Write as _;

use crate::value::Value;

/// `str(value)`; nothing for `None`, as Ansible has it in templates.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => text.to_string(),
        other => {
            let mut out = String::new();
            repr(&mut out, other);
            out
        }
    }
}

/// `str(value)`, `None` included.
pub(super) fn string(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        other => text(other),
    }
}

/// `repr(value)`.
pub(super) fn repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => {
            // Writing to a String can't fail.
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => out.push_str(&float(*number)),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => quoted(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                repr(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (name, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                quoted(out, name);
                out.push_str(": ");
                repr(out, item);
            }
            out.push('}');
        }
    }
}

fn quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character == quote => {
                out.push('\\');
                out.push(character);
            }
            character if character.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out.push(quote);
}

/// `repr` of a float: the shortest digits that read back, with an exponent from 1e16 on and below 1e-4.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// JSON in one line, with a space after each comma and colon; `indent` spaces for each level and lines of their own, if given.
pub(super) fn json(value: &Value, indent: Option<usize>, sort: bool) -> String {
    let mut out = String::new();
    write_json(&mut out, value, indent, sort, 0);
    out
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>, sort: bool, level: usize) {
    let line = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * level));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) if number.is_nan() => out.push_str("NaN"),
        Value::Float(number) if number.is_infinite() => out.push_str(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => json_text(out, text),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { comma });
                line(out, level + 1);
                write_json(out, item, indent, sort, level + 1);
            }
            line(out, level);
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            let mut entries: Vec<_> = map.iter().collect();
            if sort {
                entries.sort_by_key(|(name, _)| *name);
            }
            for (index, (name, item)) in entries.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { comma });
                line(out, level + 1);
                json_text(out, name);
                out.push_str(": ");
                write_json(out, item, indent, sort, level + 1);
            }
            line(out, level);
            out.push('}');
        }
    }
}

fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(character) if character.is_ascii() && !character.is_ascii_control() => out.push(character),
            _ => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-0.0, "-0.0"),
            (123456789012345680.0, "1.2345678901234568e+17"),
        ] {
            assert_eq!(float(number), text);
        }
        let shown = |text: &str| {
            let mut out = String::new();
            quoted(&mut out, text);
            out
        };
        assert_eq!(
            (shown("a'b"), shown("a\"'b"), shown("\n\u{1}")),
            ("\"a'b\"".into(), "'a\"\\'b'".into(), "'\\n\\x01'".into())
        );
        assert_eq!(json(&Value::String("ä😀\"".into()), None, false), r#""\u00e4\ud83d\ude00\"""#);
    }
}
