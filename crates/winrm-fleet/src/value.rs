//! What inventories hold: values, and where each came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

/// Names and their values, in the order in which they were written.
pub type Map = IndexMap<Arc<str>, Value>;

/// A host's variables, by name.
pub type Variables = IndexMap<Arc<str>, Variable>;

/// A value as Ansible types it: INI values are Python literals, YAML values are YAML 1.1's.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// `null`, `None`, `~`.
    #[default]
    Null,
    /// `true`, `True`, `yes`, where the format reads it so.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, whole ones beyond 64 bits included.
    Float(f64),
    /// A text; it may be a Jinja2 template.
    String(Arc<str>),
    /// A text that is never a template (`!unsafe`).
    Unsafe(Arc<str>),
    /// The text of an inline `!vault`, from `$ANSIBLE_VAULT` on, not decrypted yet.
    Vaulted(Arc<str>),
    /// A list.
    List(Vec<Self>),
    /// Names and values.
    Map(Map),
}

/// A variable with the place it was written at.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// What it holds.
    pub value: Value,
    /// Where that was said.
    pub origin: Origin,
}

/// The place where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A line (from 1) of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1; 0 where the format doesn't tell.
        line: u32,
    },
    /// An executable inventory.
    Program(Arc<Path>),
    /// An option of the command line, such as `--port`.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// Nobody said anything: the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Program(path) => write!(f, "{} (program)", path.display()),
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A float as Python's `repr` writes it.
#[must_use]
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let plain = format!("{number:?}");
    // Rust turns to exponents where Python does (1e16, 1e-5), and writes them without sign and second digit.
    match plain.split_once('e') {
        Some((mantissa, exponent)) => {
            let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
            match exponent.strip_prefix('-') {
                Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
                None => format!("{mantissa}e+{exponent:0>2}"),
            }
        }
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_as_people_write_places() {
        let path: Arc<Path> = Path::new("group_vars/all.yml").into();
        assert_eq!(
            Origin::File {
                path: path.clone(),
                line: 3
            }
            .to_string(),
            "group_vars/all.yml:3"
        );
        assert_eq!(Origin::File { path, line: 0 }.to_string(), "group_vars/all.yml");
        assert_eq!(Origin::Flag("--port").to_string(), "--port");
    }
}
