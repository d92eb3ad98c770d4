//! Objects as JSON and YAML, while they arrive.

use std::fmt;
use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use winrm::clixml::{Decoder, Piece, Value};

use crate::args::ObjectFormat;
use crate::printer::Output;

/// Prints the objects of a stream of CLIXML as a list.
pub(super) struct ObjectPrinter {
    format: ObjectFormat,
    decoder: Decoder,
    out: Output,
    count: usize,
}

impl ObjectPrinter {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            decoder: Decoder::default(),
            out: Output::new(),
            count: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pieces = self.decoder.push(bytes);
        self.print(pieces)
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        let pieces = self.decoder.finish();
        self.print(pieces)?;
        write_end(self.format, self.count, &mut self.out)?;
        self.out.flush()
    }

    fn print(&mut self, pieces: Vec<Piece>) -> io::Result<()> {
        for piece in pieces {
            match piece {
                Piece::Item(item) => self.object(&item.value)?,
                // What Write-Host and native programs have written is no object.
                Piece::Text(text) => io::stderr().lock().write_all(&text)?,
                _ => {}
            }
        }
        self.out.flush()
    }

    fn object(&mut self, value: &Value) -> io::Result<()> {
        let first = self.count == 0;
        self.count += 1;
        write_object(self.format, value, first, &mut self.out)
    }
}

fn write_object(format: ObjectFormat, value: &impl Serialize, first: bool, out: &mut dyn Write) -> io::Result<()> {
    match format {
        ObjectFormat::Json => {
            let json = serde_json::to_string_pretty(value)?.replace('\n', "\n  ");
            write!(out, "{}\n  {json}", if first { "[" } else { "," })
        }
        ObjectFormat::Yaml => {
            let mut text = String::new();
            yaml_item(&serde_json::to_value(value)?, 0, &mut text);
            out.write_all(text.as_bytes())
        }
    }
}

fn write_end(format: ObjectFormat, count: usize, out: &mut dyn Write) -> io::Result<()> {
    match (format, count) {
        (_, 0) => out.write_all(b"[]\n"),
        (ObjectFormat::Json, _) => out.write_all(b"\n]\n"),
        (ObjectFormat::Yaml, _) => Ok(()),
    }
}

/// Prints a list that one line of JSON holds, one object in memory at a time.
pub(crate) fn print_list(format: ObjectFormat, list: impl Read, out: &mut dyn Write) -> io::Result<()> {
    let mut source = serde_json::Deserializer::from_reader(io::BufReader::new(list));
    let count = source.deserialize_seq(ListPrinter { format, out })?;
    write_end(format, count, out)
}

struct ListPrinter<'a> {
    format: ObjectFormat,
    out: &'a mut dyn Write,
}

impl<'de> Visitor<'de> for ListPrinter<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(value) = list.next_element::<serde_json::Value>()? {
            write_object(self.format, &value, count == 0, self.out).map_err(A::Error::custom)?;
            count += 1;
        }
        Ok(count)
    }
}

/// An item of a list, with its hyphen.
fn yaml_item(value: &serde_json::Value, indent: usize, out: &mut String) {
    out.push_str(&" ".repeat(indent));
    out.push_str("- ");
    let start = out.len();
    yaml_block(value, indent + 2, out);
    // The first line of a block stands behind the hyphen.
    let first = out[start..].len() - out[start..].trim_start_matches(['\n', ' ']).len();
    out.replace_range(start..start + first, "");
}

/// A value behind a key or hyphen, its line's end included.
fn yaml_block(value: &serde_json::Value, indent: usize, out: &mut String) {
    match value {
        serde_json::Value::Array(values) if !values.is_empty() => {
            out.push('\n');
            for value in values {
                yaml_item(value, indent, out);
            }
        }
        serde_json::Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            for (key, value) in map {
                out.push_str(&" ".repeat(indent));
                out.push_str(&yaml_text(key));
                out.push(':');
                let is_block = matches!(value, serde_json::Value::Array(values) if !values.is_empty())
                    || matches!(value, serde_json::Value::Object(map) if !map.is_empty());
                if !is_block {
                    out.push(' ');
                }
                yaml_block(value, indent + 2, out);
            }
        }
        serde_json::Value::String(text) => {
            out.push_str(&yaml_text(text));
            out.push('\n');
        }
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

/// As it is where no reader of YAML 1.1 or 1.2 takes it for something else; otherwise as JSON has it, which YAML takes.
fn yaml_text(text: &str) -> String {
    const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || " _-./\\()".contains(character))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut quoted = serde_json::Value::from(text).to_string();
    // JSON leaves these as they are, and YAML takes them for line ends, or not at all.
    for (character, escape) in [
        ('\u{7F}', "\\u007f"),
        ('\u{85}', "\\u0085"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
        ('\u{FEFF}', "\\ufeff"),
    ] {
        quoted = quoted.replace(character, escape);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_laid_out_as_people_write_it() {
        let value = serde_json::json!({
            "Name": "web server", "Id": 4, "On": true, "Empty": [], "None": null, "No": "no", "Text": "a: b\n",
            "List": [1, {"a": "x", "b": []}, ["y", "z"]], "Map": {"k": 1.5}
        });
        let mut text = String::new();
        yaml_item(&value, 0, &mut text);
        assert_eq!(
            text,
            "- Name: web server\n  Id: 4\n  \"On\": true\n  Empty: []\n  None: null\n  \"No\": \"no\"\n  Text: \"a: b\\n\"\n  List:\n    - 1\n    - a: x\n      b: []\n    - - \"y\"\n      - z\n  Map:\n    k: 1.5\n"
        );
    }
}
