//! Values that are Jinja2 templates, or encrypted, and what they come to for a host.

mod error;

use std::sync::Arc;

use winrm::Secret;

use crate::value::{Origin, Value, Variable, Variables};
use crate::vault::Vault;

pub use error::TemplateError;

/// How deep templates may refer to templates.
const DEPTH: usize = 32;

/// Renders the values of one host. Nothing is rendered or decrypted before it is asked for.
#[derive(Clone, Debug)]
pub struct Templar {
    variables: Arc<Variables>,
    vault: Vault,
}

impl Templar {
    /// For these variables of a host, encrypted values among them opened by `vault`.
    #[must_use]
    pub fn new(variables: impl Into<Arc<Variables>>, vault: Vault) -> Self {
        Self {
            variables: variables.into(),
            vault,
        }
    }

    /// The host's variables, as they were written.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What a variable comes to.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn value(&self, variable: &Variable) -> Result<Value, TemplateError> {
        self.value_at(variable, 0)
    }

    /// The same for a password: on the usual ways (a text, an encrypted text, `{{ another_variable }}`), no copy stays behind in memory
    /// beside those that were there before.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn secret(&self, variable: &Variable) -> Result<Option<Secret>, TemplateError> {
        let mut variable = variable;
        for _ in 0..DEPTH {
            match &variable.value {
                Value::Vaulted(text) => {
                    let plain = self.decrypt(text, &variable.origin)?;
                    if !is_template(&plain) {
                        return Ok(Some(Secret::new(plain.as_str())));
                    }
                }
                Value::String(text) => {
                    if let Some(next) = reference(text).and_then(|name| self.variables.get(name)) {
                        variable = next;
                        continue;
                    }
                }
                _ => {}
            }
            break;
        }
        Ok(match self.value(variable)? {
            Value::Null => None,
            Value::Int(number) => Some(Secret::new(number.to_string())),
            Value::Float(number) => Some(Secret::new(number.to_string())),
            Value::String(text) | Value::Unsafe(text) => Some(Secret::new(&*text)),
            _ => None,
        })
    }

    fn decrypt(&self, text: &str, origin: &Origin) -> Result<zeroize::Zeroizing<String>, TemplateError> {
        let mut plain = self.vault.decrypt(text.as_bytes(), origin)?;
        String::from_utf8(std::mem::take(&mut *plain))
            .map(zeroize::Zeroizing::new)
            .map_err(|error| {
                drop(zeroize::Zeroizing::new(error.into_bytes()));
                TemplateError::NotUtf8 { place: origin.clone() }
            })
    }

    fn value_at(&self, variable: &Variable, depth: usize) -> Result<Value, TemplateError> {
        match &variable.value {
            Value::Vaulted(text) => {
                let plain = self.decrypt(text, &variable.origin)?;
                self.text(&plain, &variable.origin, depth)
            }
            Value::String(text) if is_template(text) => self.text(text, &variable.origin, depth),
            other => Ok(other.clone()),
        }
    }

    fn text(&self, text: &str, origin: &Origin, depth: usize) -> Result<Value, TemplateError> {
        if !is_template(text) {
            return Ok(Value::String(text.into()));
        }
        let failed = |reason: &str| TemplateError::Failed {
            place: origin.clone(),
            template: text.to_owned(),
            reason: reason.to_owned(),
        };
        if depth > DEPTH {
            return Err(failed("it refers to itself"));
        }
        let name = reference(text).ok_or_else(|| failed("only {{ names }} can be rendered yet"))?;
        let variable = self.variables.get(name).ok_or_else(|| failed("undefined"))?;
        self.value_at(variable, depth + 1)
    }
}

/// Whether the text has anything for Jinja2 to do.
fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The name in `{{ name }}`, where the text is no more than that.
fn reference(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    (starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(name)
}
