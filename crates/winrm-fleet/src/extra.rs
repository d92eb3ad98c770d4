//! `-e/--extra-vars`: variables of the command line, which go over everything else.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::inventory::interner::Interner;
use crate::value::{Origin, Value, Variable, Variables};
use crate::vault::{Vault, VaultError};
use crate::yaml::{self, Data, YamlError};

/// The largest file of variables, in bytes.
const LIMIT: u64 = 16 << 20;

/// The flag, as places name it.
const FLAG: &str = "--extra-vars";

/// Reads what `-e` was given, the later ones over the earlier: `KEY=VALUE …` (quoted as in a shell, the values are texts), YAML or JSON
/// in braces, or `@FILE` with YAML or JSON, encrypted perhaps.
///
/// # Errors
/// What can't be read, with its place: see [`ExtraError`].
pub fn extra_variables<T: AsRef<str>>(texts: &[T], vault: &Vault) -> Result<Variables, ExtraError> {
    let mut all = Variables::new();
    for text in texts {
        let text = text.as_ref().trim();
        if let Some(file) = text.strip_prefix('@') {
            read_file(file, vault, &mut all)?;
        } else if text.starts_with(['{', '[']) {
            let shown = || text.chars().take(60).collect::<String>();
            let node = yaml::parse(text, &mut Interner::default()).map_err(|error| ExtraError::Inline {
                text: shown(),
                reason: reason(&error),
            })?;
            let Data::Mapping(pairs) = node.data else {
                return Err(ExtraError::Inline {
                    text: shown(),
                    reason: format!("it is {}, and not names with values", node.kind()),
                });
            };
            for pair in pairs {
                set(&mut all, pair.key, pair.value.into_value(), Origin::Flag(FLAG));
            }
        } else {
            read_words(text, &mut all)?;
        }
    }
    Ok(all)
}

fn set(all: &mut Variables, name: Arc<str>, value: Value, origin: Origin) {
    all.insert(name, Variable { value, origin });
}

fn read_words(text: &str, all: &mut Variables) -> Result<(), ExtraError> {
    let words = shlex::split(text).ok_or_else(|| ExtraError::Words {
        text: text.chars().take(60).collect(),
    })?;
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                set(all, name.trim().into(), Value::String(value.into()), Origin::Flag(FLAG));
            }
            _ => return Err(ExtraError::Word { word }),
        }
    }
    Ok(())
}

fn read_file(file: &str, vault: &Vault, all: &mut Variables) -> Result<(), ExtraError> {
    let path = match file.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest))) {
        Some(path) => path,
        None => PathBuf::from(file),
    };
    let unread = |error: std::io::Error| ExtraError::File {
        path: path.clone(),
        reason: error.to_string(),
    };
    let opened = std::fs::File::open(&path).map_err(unread)?;
    let mut bytes = Zeroizing::new(Vec::new());
    opened.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > LIMIT {
        return Err(unread(std::io::Error::other("it is larger than 16 MiB")));
    }
    let shared: Arc<Path> = path.as_path().into();
    let at = |line| Origin::File {
        path: shared.clone(),
        line,
    };
    let was_encrypted = Vault::is_encrypted(&bytes);
    if was_encrypted {
        bytes = vault.decrypt(&bytes, &at(0))?;
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unread(std::io::Error::other("it is not valid UTF-8")))?;
    let node = yaml::parse(text, &mut Interner::default()).map_err(|error| ExtraError::Content {
        place: at(error.line),
        reason: error.what,
    })?;
    match node.data {
        Data::Mapping(pairs) => {
            for pair in pairs {
                let line = if was_encrypted { 0 } else { pair.line };
                set(all, pair.key, pair.value.into_value(), at(line));
            }
            Ok(())
        }
        Data::Scalar(Value::Null) => Ok(()),
        _ => Err(ExtraError::Content {
            place: at(node.line),
            reason: format!("it holds {}, and not names with values", node.kind()),
        }),
    }
}

fn reason(error: &YamlError) -> String {
    format!("{} (column {})", error.what, error.column)
}

/// Why `-e` can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtraError {
    /// Quotes that aren't closed.
    #[error("--extra-vars {text:?} can't be split into words: a quote is not closed")]
    Words {
        /// The text's beginning.
        text: String,
    },
    /// A word without an equals sign.
    #[error("--extra-vars: {word:?} is not NAME=VALUE")]
    Word {
        /// The word.
        word: String,
    },
    /// Braces around what is neither YAML nor JSON.
    #[error("--extra-vars {text:?} is neither YAML nor JSON: {reason}")]
    Inline {
        /// The text's beginning.
        text: String,
        /// Why.
        reason: String,
    },
    /// A file that can't be read.
    #[error("--extra-vars @{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that is neither YAML nor JSON with names and values.
    #[error("{place}: {reason}")]
    Content {
        /// Where.
        place: Origin,
        /// Why.
        reason: String,
    },
    /// A file that is encrypted, and stays so.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl ExtraError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Vault(error) => error.hint(),
            Self::Words { .. } | Self::Word { .. } | Self::Inline { .. } => {
                Some("write -e 'NAME=VALUE NAME=VALUE', -e '{\"NAME\": VALUE}' or -e @FILE".to_owned())
            }
            Self::File { .. } | Self::Content { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<(String, Value, String)> {
        let all = extra_variables(texts, &Vault::new()).unwrap();
        all.into_iter()
            .map(|(name, variable)| (name.to_string(), variable.value, variable.origin.to_string()))
            .collect()
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn words_are_texts_and_braces_have_types() {
        let flag = || FLAG.to_owned();
        assert_eq!(
            read(&["a=1 b='two words' c=x=y", "{\"d\": 5985, e: [true]}"]),
            [
                ("a".into(), text("1"), flag()),
                ("b".into(), text("two words"), flag()),
                ("c".into(), text("x=y"), flag()),
                ("d".into(), Value::Int(5985), flag()),
                ("e".into(), Value::List(vec![Value::Bool(true)]), flag()),
            ]
        );
        assert_eq!(read(&["a=1", "a=2"]), [("a".into(), text("2"), flag())]);
    }

    #[test]
    fn files_are_yaml_or_json_and_keep_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vars.yml");
        std::fs::write(&file, "# comment\na: 1\nb: yes\n").unwrap();
        let given = format!("@{}", file.display());
        assert_eq!(
            read(&[&given]),
            [
                ("a".into(), Value::Int(1), format!("{}:2", file.display())),
                ("b".into(), Value::Bool(true), format!("{}:3", file.display())),
            ]
        );
        for (content, part) in [
            ("- a\n", "a list"),
            ("a: [\n", "vars.yml:"),
            ("$ANSIBLE_VAULT;1.1;AES256\n00", "damaged"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = extra_variables(&[&given], &Vault::new()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        for bad in ["a", "=1", "a='", "{a: [", "[1]", "@/no/such/file"] {
            assert!(extra_variables(&[bad], &Vault::new()).is_err(), "{bad}");
        }
    }
}
