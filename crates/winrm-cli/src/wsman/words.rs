//! What was typed behind a resource: properties as KEY=VALUE or @{KEY="VALUE"}, and among them the target.

use std::io::Read as _;
use std::path::Path;

use winrm::{Instance, Property, Value};

use crate::args::BodyArguments;
use crate::connection::password_from_file;
use crate::failure::Failure;

/// The words, told apart.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) target: String,
    pub(super) values: Vec<(String, Property)>,
}

impl Words {
    /// Exactly one of the words has to be a target.
    pub(super) fn parse(words: &[String]) -> Result<Self, Failure> {
        let mut target: Option<&str> = None;
        let mut values = Vec::new();
        for word in words {
            if let Some(table) = word.trim().strip_prefix("@{") {
                values.extend(hash_table(table).map_err(|problem| {
                    Failure::configuration(format!("{word:?}: {problem}"))
                        .hint(r#"write @{KEY="VALUE";KEY="VALUE"}, or KEY=VALUE as words"#)
                })?);
            } else if let Some((name, value)) = assignment(word) {
                values.push((name.to_owned(), literal(value)));
            } else if let Some(first) = target {
                return Err(Failure::configuration(format!("{first:?} and {word:?} can't both be the host"))
                    .hint("properties are written KEY=VALUE"));
            } else {
                target = Some(word);
            }
        }
        let target = target.ok_or_else(|| {
            Failure::configuration("no host is given")
                .hint("name it before or behind the properties: [USER@]HOST[:PORT] or a URL, a word without =")
        })?;
        Ok(Self {
            target: target.to_owned(),
            values,
        })
    }

    /// The values with the secret ones.
    pub(super) fn with_secrets(self, body: &BodyArguments) -> Result<Vec<(String, Value)>, Failure> {
        let mut values: Vec<(String, Value)> = self.values.into_iter().map(|(name, value)| (name, value.into())).collect();
        for (name, file) in &body.secret {
            values.push((name.clone(), password_from_file(Path::new(file))?.into()));
        }
        Ok(values)
    }
}

/// The instance in the file of `--file`, with these values in it.
pub(super) fn instance_from(file: &Path, values: Vec<(String, Property)>) -> Result<Instance, Failure> {
    let fail = || Failure::configuration(format!("no instance can be read from {}", file.display()));
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| fail().because(error))?;
    let mut instance = Instance::parse(&bytes).map_err(|error| {
        fail()
            .because(error)
            .hint(r#"it has to be the element that the host takes: <p:Create_INPUT xmlns:p="…/Win32_Process">…, as --format xml prints it"#)
    })?;
    for (name, value) in values {
        instance.set(name, value);
    }
    Ok(instance)
}

/// A word that is KEY=VALUE: what stands before the first = is a name. A URL's `=` stands behind other characters.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    (begins && characters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).then_some((name, value))
}

fn literal(value: &str) -> Property {
    if value.eq_ignore_ascii_case("$null") {
        Property::Nil
    } else {
        Property::Text(value.to_owned())
    }
}

/// What Windows' own winrm takes, behind `@{`: KEY="VALUE" with semicolons between, a quote in a value doubled or behind a backslash.
fn hash_table(text: &str) -> Result<Vec<(String, Property)>, String> {
    let mut rest = text.trim_start();
    let mut values = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return if behind.trim().is_empty() {
                Ok(values)
            } else {
                Err(format!("{:?} stands behind the end", behind.trim()))
            };
        }
        let (name, behind) = rest
            .split_once('=')
            .ok_or(if rest.is_empty() { "} is missing" } else { "= is missing" })?;
        let name = name.trim();
        if assignment(&format!("{name}=")).is_none() {
            return Err(format!("{name:?} is no property's name"));
        }
        let behind = behind.trim_start();
        let (value, left) = match behind.strip_prefix('"') {
            Some(quoted) => {
                let (value, left) = quoted_value(quoted).ok_or_else(|| format!("the quotes of {name} don't end"))?;
                (Property::Text(value), left)
            }
            None => {
                let end = behind.find([';', '}']).ok_or("} is missing")?;
                (literal(behind[..end].trim()), &behind[end..])
            }
        };
        values.push((name.to_owned(), value));
        let left = left.trim_start();
        rest = match left.strip_prefix(';') {
            Some(more) => more.trim_start(),
            None if left.starts_with('}') => left,
            None => return Err(format!("; is missing behind {name}")),
        };
    }
}

fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        if let Some(escaped) = before.strip_suffix('\\')
            && !behind.trim_start().starts_with([';', '}'])
        {
            value.push_str(escaped);
            value.push('"');
            rest = behind;
        } else if let Some(more) = behind.strip_prefix('"') {
            value.push_str(before);
            value.push('"');
            rest = more;
        } else {
            value.push_str(before);
            return Some((value, behind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<Words, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Words::parse(&words).map_err(|failure| failure.into_parts().0)
    }

    fn texts(words: &Words) -> Vec<(&str, Option<&str>)> {
        words.values.iter().map(|(name, value)| (name.as_str(), value.text())).collect()
    }

    #[test]
    fn the_target_is_the_word_that_is_no_property_wherever_it_stands() {
        for order in [["Basic=true", "web1"], ["web1", "Basic=true"]] {
            let parsed = words(&order).unwrap();
            assert_eq!((parsed.target.as_str(), texts(&parsed)), ("web1", vec![("Basic", Some("true"))]));
        }
        let parsed = words(&["https://a@web1:5986/wsman?x=1", "CommandLine=a=b c", "Path="]).unwrap();
        assert_eq!(parsed.target, "https://a@web1:5986/wsman?x=1");
        assert_eq!(texts(&parsed), [("CommandLine", Some("a=b c")), ("Path", Some(""))]);
        assert_eq!(words(&["A=$null", "h"]).unwrap().values, [("A".to_owned(), Property::Nil)]);
        assert_eq!(words(&["A=1"]).unwrap_err(), "no host is given");
        assert_eq!(words(&["web1", "web2"]).unwrap_err(), r#""web1" and "web2" can't both be the host"#);
    }

    #[test]
    fn windows_own_form_is_understood() {
        let parsed = words(&[
            r#"@{CommandLine="notepad.exe ""a;b""";CurrentDirectory="C:\";N=$null; M = 3 }"#,
            "h",
        ])
        .unwrap();
        assert_eq!(
            texts(&parsed),
            [
                ("CommandLine", Some(r#"notepad.exe "a;b""#)),
                ("CurrentDirectory", Some(r"C:\")),
                ("N", None),
                ("M", Some("3"))
            ]
        );
        assert!(texts(&words(&["@{}", "h"]).unwrap()).is_empty());
        for wrong in [r#"@{A="1"#, "@{A=1", "@{A}", "@{", r#"@{A="1" B="2"}"#, "@{A=1}x", r#"@{a b="1"}"#] {
            assert!(words(&[wrong, "h"]).is_err(), "{wrong}");
        }
    }
}
