//! Values that are Jinja2 templates, or encrypted, and what they come to for a host.
//!
//! The engine is minijinja; what Ansible adds to Jinja2 is here: templates that refer to templates, native types where a template is
//! one expression, its filters and lookups. Nothing is rendered or decrypted before something asks for it.

mod absent;
mod engine;
mod error;
mod filters;
mod hosts;
mod lazy;
mod python;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use winrm::Secret;
use zeroize::Zeroizing;

use crate::value::{Origin, Value, Variable, Variables};
use crate::vault::Vault;
use lazy::Scope;

pub use error::{Source, TemplateError};
pub use hosts::HostTemplates;

/// How deep templates may refer to templates.
const DEPTH: usize = 32;

/// How many templates the rendering of one value may take.
const RENDERINGS: u32 = 10_000;

/// What a host's templates may ask for beyond the host's own variables.
pub trait Surroundings: Send + Sync {
    /// Another host's variables, for `hostvars`.
    fn variables_of(&self, host: &str) -> Option<Arc<Variables>>;

    /// The names of all hosts, for those who go through `hostvars`.
    fn hosts(&self) -> Vec<Arc<str>>;

    /// What a host has under a name that nobody writes: `inventory_hostname`, `group_names`, `groups`…
    fn magic(&self, host: &str, name: &str) -> Option<Value>;
}

/// Renders the values of one host. Nothing is rendered or decrypted before it is asked for.
#[derive(Clone)]
pub struct Templar {
    variables: Arc<Variables>,
    vault: Vault,
    surroundings: Option<Arc<dyn Surroundings>>,
    /// The host's name in the surroundings.
    host: Arc<str>,
}

impl Templar {
    /// For these variables of a host, encrypted values among them opened by `vault`.
    #[must_use]
    pub fn new(variables: impl Into<Arc<Variables>>, vault: Vault) -> Self {
        Self {
            variables: variables.into(),
            vault,
            surroundings: None,
            host: "".into(),
        }
    }

    /// With the other hosts, for `hostvars`, and what this one is called among them.
    #[must_use]
    pub fn surroundings(mut self, surroundings: Arc<dyn Surroundings>, host: &str) -> Self {
        self.surroundings = Some(surroundings);
        self.host = host.into();
        self
    }

    /// The host's variables, as they were written.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What a variable comes to, all that is in it included. `null` for what a template leaves out by `omit`.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn value(&self, variable: &Variable) -> Result<Value, TemplateError> {
        match &variable.value {
            Value::String(text) if !is_template(text) => Ok(variable.value.clone()),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Unsafe(_) => Ok(variable.value.clone()),
            _ => {
                let name = self.variables.iter().find(|(_, known)| std::ptr::eq(*known, variable));
                let scope = Scope::new(Arc::new(self.clone()));
                match name {
                    Some((name, _)) => scope.enter(name)?.resolved(variable),
                    None => scope.resolved(variable),
                }
            }
        }
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
            value => Some(Secret::new(python::text(&value))),
        })
    }

    fn decrypt(&self, text: &str, origin: &Origin) -> Result<Zeroizing<String>, TemplateError> {
        let mut plain = self.vault.decrypt(text.as_bytes(), origin)?;
        String::from_utf8(std::mem::take(&mut *plain)).map(Zeroizing::new).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            TemplateError::NotUtf8 { place: origin.clone() }
        })
    }
}

impl fmt::Debug for Templar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templar")
            .field("variables", &self.variables.len())
            .field("vault", &self.vault)
            .finish_non_exhaustive()
    }
}

/// What one rendering may still take, shared with all that it leads to.
#[derive(Debug)]
struct Budget(AtomicU32);

impl Budget {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(RENDERINGS)))
    }

    /// Takes one; `false` when there is none left.
    fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
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

#[cfg(test)]
mod tests;
