//! Where each setting comes from, for people.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Said;
use super::convert::Converted;
use super::key::{KNOWN, Key, Known};
use crate::value::{Origin, Value, Variable};

/// What stands for a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// A setting, its value, and where that was said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explained {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value as a person reads it; `(hidden)` for secrets and for what comes from a vault.
    pub value: String,
    /// The variable or flag that said it; `None` for a default.
    pub name: Option<&'static str>,
    /// Where it was said.
    pub origin: Origin,
    /// What else was said and lost, the strongest first, as it was written.
    pub overridden: Vec<Overridden>,
}

/// A value that lost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Overridden {
    /// The variable or flag that said it.
    pub name: &'static str,
    /// The value as it was written; `(hidden)` for secrets.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

impl Overridden {
    fn new(known: &Known, name: &'static str, variable: &Variable) -> Self {
        let value = match (known.key, &variable.value) {
            (_, value) if known.is_secret || is_secret(value) => HIDDEN.to_owned(),
            (Key::Proxy, Value::String(url)) => format!("{:?}", without_password(url)),
            (_, value) => shown(value),
        };
        let origin = variable.origin.clone();
        Self { name, value, origin }
    }
}

impl Explained {
    pub(super) fn new(known: &Known, said: Said<'_>, value: String, weaker: &[Said<'_>]) -> Self {
        Self {
            name: Some(said.name),
            ..Self::overriding(known, value, said.variable.origin.clone(), weaker)
        }
    }

    pub(super) fn overriding(known: &Known, value: String, origin: Origin, weaker: &[Said<'_>]) -> Self {
        let overridden = weaker.iter().map(|said| Overridden::new(known, said.name, said.variable));
        Self {
            setting: known.name,
            value,
            name: None,
            origin,
            overridden: overridden.collect(),
        }
    }

    pub(super) fn default(known: &Known, value: String) -> Self {
        Self::overriding(known, value, Origin::Default, &[])
    }
}

impl super::Settings {
    /// Adds to [`explain`](Self::explain) what an inventory said and lost to something it said later:
    /// [`Inventory::overridden`](crate::Inventory::overridden).
    pub fn explain_overridden(&mut self, lost: &[(Arc<str>, Variable)]) {
        for row in &mut self.explained {
            let Some(known) = KNOWN.iter().find(|known| known.name == row.setting) else {
                continue;
            };
            let names = if self.is_psrp { known.psrp } else { known.variables };
            for name in names.iter().rev() {
                let of_name = lost.iter().rev().filter(|(lost, _)| **lost == **name);
                row.overridden
                    .extend(of_name.map(|(_, variable)| Overridden::new(known, name, variable)));
            }
        }
    }
}

/// Whether a value holds something encrypted.
pub(super) fn is_secret(value: &Value) -> bool {
    match value {
        Value::Vaulted(_) => true,
        Value::List(items) => items.iter().any(is_secret),
        Value::Map(map) => map.values().any(is_secret),
        _ => false,
    }
}

/// A value on one line, texts in quotes.
pub(super) fn shown(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    // Writing to a String can't fail.
    let _ = match value {
        _ if out.len() > 200 || depth > 8 => {
            if !out.ends_with('…') {
                out.push('…');
            }
            Ok(())
        }
        Value::Null => write!(out, "null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) => write!(out, "{number}"),
        Value::String(text) | Value::Unsafe(text) => {
            let short: String = text.chars().take(200).collect();
            write!(out, "{short:?}")
        }
        Value::Vaulted(_) => write!(out, "{HIDDEN}"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(out, item, depth + 1);
            }
            out.push(']');
            Ok(())
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (name, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                let _ = write!(out, "{name:?}: ");
                write(out, item, depth + 1);
            }
            out.push('}');
            Ok(())
        }
    };
}

/// A proxy's URL without the password in it.
pub(super) fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url[start..].rsplit_once('@') {
        Some((user, rest)) if user.contains(':') => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{}{user}:{HIDDEN}@{rest}", &url[..start])
        }
        _ => url.to_owned(),
    }
}

/// A converted value as one would write it.
pub(super) fn shown_converted(value: &Converted) -> String {
    match value {
        Converted::Text(text) => text.clone(),
        Converted::Path(path) => path.display().to_string(),
        Converted::Bool(value) => value.to_string(),
        Converted::Number(number) => number.to_string(),
        Converted::Time(time) => time.as_secs_f64().to_string(),
        Converted::List(items) => items.join(", "),
        Converted::Transports(methods) => methods.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Converted::Certificate(winrm::CertificateCheck::Pinned(digest)) => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        Converted::Tls(version) => version.to_string(),
        Converted::Certificate(check) => format!("{check:?}"),
    }
}
