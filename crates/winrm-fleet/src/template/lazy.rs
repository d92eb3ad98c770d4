//! A host's variables as the engine sees them: rendered when they are looked at.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja, ValueKind};

use super::absent::{Absent, Used};
use super::{Budget, DEPTH, Surroundings, Templar, TemplateError, engine, is_template};
use crate::value::{Map, Origin, Value, Variable, Variables};

/// How deep lists and maps may lie in each other, and how many items a rendered value may have.
const NESTING: usize = 64;
const ITEMS: usize = 100_000;

/// Whose variables are looked at, and on which way one came here.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) templar: Arc<Templar>,
    chain: Option<Arc<Link>>,
    budget: Arc<Budget>,
}

/// A variable that is being rendered, and the one that asked for it.
#[derive(Debug)]
struct Link {
    name: Arc<str>,
    depth: usize,
    asked_by: Option<Arc<Self>>,
}

impl Scope {
    pub(super) fn new(templar: Arc<Templar>) -> Self {
        Self {
            templar,
            chain: None,
            budget: Budget::new(),
        }
    }

    /// The scope in which a variable is rendered.
    pub(super) fn enter(&self, name: &Arc<str>) -> Result<Self, TemplateError> {
        let mut names = Vec::new();
        let mut link = self.chain.as_ref();
        while let Some(here) = link {
            names.push(here.name.to_string());
            if here.name == *name {
                names.reverse();
                names.push(name.to_string());
                return Err(TemplateError::Cycle { chain: names });
            }
            link = here.asked_by.as_ref();
        }
        Ok(Self {
            templar: self.templar.clone(),
            chain: Some(Arc::new(Link {
                name: name.clone(),
                depth: self.chain.as_ref().map_or(1, |link| link.depth + 1),
                asked_by: self.chain.clone(),
            })),
            budget: self.budget.clone(),
        })
    }

    /// What the host has under a name that nobody writes.
    fn magic(&self, name: &str) -> Option<Jinja> {
        let surroundings = self.templar.surroundings.as_ref()?;
        surroundings.magic(&self.templar.host, name).map(|value| jinja(&value))
    }

    /// What a variable comes to, all that is in it included.
    pub(super) fn resolved(&self, variable: &Variable) -> Result<Value, TemplateError> {
        self.deep(&variable.value, &variable.origin, 0)
    }

    fn deep(&self, value: &Value, origin: &Origin, level: usize) -> Result<Value, TemplateError> {
        if level > NESTING {
            return Err(TemplateError::Limit {
                place: origin.clone(),
                template: super::Source::of("", true),
                limit: "lists and maps lie deeper than 64 levels",
            });
        }
        Ok(match value {
            Value::List(items) => {
                let items: Result<Vec<Value>, _> = items.iter().map(|item| self.deep(item, origin, level + 1)).collect();
                Value::List(items?)
            }
            Value::Map(map) => {
                let entries: Result<Map, _> = map
                    .iter()
                    .map(|(name, item)| Ok::<_, TemplateError>((name.clone(), self.deep(item, origin, level + 1)?)))
                    .collect();
                Value::Map(entries?)
            }
            Value::Vaulted(text) => {
                let plain = self.templar.decrypt(text, origin)?;
                if is_template(&plain) {
                    self.rendered(&plain, origin, true)?
                } else {
                    Value::String(plain.as_str().into())
                }
            }
            Value::String(text) if is_template(text) => self.rendered(text, origin, false)?,
            other => other.clone(),
        })
    }

    fn rendered(&self, text: &str, origin: &Origin, is_secret: bool) -> Result<Value, TemplateError> {
        let limit = |limit| TemplateError::Limit {
            place: origin.clone(),
            template: super::Source::of(text, is_secret),
            limit,
        };
        if self.chain.as_ref().is_some_and(|link| link.depth > DEPTH) {
            return Err(limit("templates refer to each other deeper than 32 levels"));
        }
        if !self.budget.take() {
            return Err(limit("more than 10000 templates"));
        }
        engine::render(self, text, origin, is_secret)
    }

    /// A value for the engine; what is in it stays as it is until it is looked at.
    fn shown(&self, value: &Value, origin: &Origin) -> Jinja {
        let lazy = |value: &Value| Item {
            scope: self.clone(),
            value: value.clone(),
            origin: origin.clone(),
        };
        match value {
            Value::List(_) | Value::Map(_) => Jinja::from_object(lazy(value)),
            other => match self.deep(other, origin, 0) {
                Ok(value) => jinja(&value),
                Err(error) => failed(error),
            },
        }
    }
}

/// Why the engine's value can't become one of ours.
pub(super) enum Untaken {
    Undefined,
    Template(TemplateError),
    Reason(String),
}

impl From<minijinja::Error> for Untaken {
    fn from(error: minijinja::Error) -> Self {
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            if let Some(inner) = cause.downcast_ref::<TemplateError>() {
                return Self::Template(inner.clone());
            }
            source = cause.source();
        }
        Self::Reason(error.to_string())
    }
}

/// What the engine made, as a value of ours. Texts that look like templates are none: they have been rendered.
pub(super) fn taken(value: &Jinja) -> Result<Value, Untaken> {
    let mut items = 0;
    take(value, 0, &mut items)
}

fn take(value: &Jinja, level: usize, items: &mut usize) -> Result<Value, Untaken> {
    *items += 1;
    if level > NESTING || *items > ITEMS {
        return Err(Untaken::Reason("the value is too deep or has too many items".to_owned()));
    }
    if let Some(item) = value.downcast_object_ref::<Item>() {
        return item.scope.deep(&item.value, &item.origin, level).map_err(Untaken::Template);
    }
    if Absent::is(value) {
        Absent::needed(value);
        return Err(Untaken::Undefined);
    }
    Ok(match value.kind() {
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => match (value.is_integer(), i64::try_from(value.clone())) {
            (true, Ok(number)) => Value::Int(number),
            _ => Value::Float(f64::try_from(value.clone())?),
        },
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if is_template(text) {
                Value::Unsafe(text.into())
            } else {
                Value::String(text.into())
            }
        }
        ValueKind::Bytes => Value::String(String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into()),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut list = Vec::new();
            for item in value.try_iter()? {
                if !engine::is_omit(&item) {
                    list.push(take(&item, level + 1, items)?);
                }
            }
            Value::List(list)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                if engine::is_omit(&item) {
                    continue;
                }
                let name: Arc<str> = match key.as_str() {
                    Some(name) => name.into(),
                    None => super::python::text(&take(&key, level + 1, items)?).into(),
                };
                map.insert(name, take(&item, level + 1, items)?);
            }
            Value::Map(map)
        }
        ValueKind::Invalid => {
            let error = value.try_iter().err();
            return Err(error.map_or_else(|| Untaken::Reason("the value is invalid".to_owned()), Untaken::from));
        }
        other => return Err(Untaken::Reason(format!("a value of the kind {other} can't be kept"))),
    })
}

/// A value of ours, nothing in it to be rendered, for the engine.
pub(super) fn jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Int(number) => Jinja::from(*number),
        Value::Float(number) => Jinja::from(*number),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => Jinja::from(&**text),
        Value::List(items) => items.iter().map(jinja).collect(),
        Value::Map(map) => Jinja::from_pairs(map.iter().map(|(name, item)| (Jinja::from(&**name), jinja(item)))),
    }
}

/// A value that fails as soon as it is used.
fn failed(error: TemplateError) -> Jinja {
    Jinja::from(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, error.to_string()).with_source(error))
}

/// A list or a map of a variable: its items are rendered when they are looked at.
#[derive(Debug)]
struct Item {
    scope: Scope,
    value: Value,
    origin: Origin,
}

impl Object for Item {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.value {
            Value::Map(_) => ObjectRepr::Map,
            _ => ObjectRepr::Seq,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let value = match &self.value {
            Value::Map(map) => map.get(key.as_str()?)?,
            Value::List(items) => items.get(key.as_usize()?)?,
            _ => return None,
        };
        Some(self.scope.shown(value, &self.origin))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.value {
            Value::Map(map) => Enumerator::Values(map.keys().map(|name| Jinja::from(&**name)).collect()),
            Value::List(items) => Enumerator::Seq(items.len()),
            _ => Enumerator::Empty,
        }
    }
}

/// What a template's names are looked up in.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) scope: Scope,
    pub(super) used: Used,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        if let Some(value) = self.scope.magic(name) {
            return Some(value);
        }
        if let Some((name, variable)) = self.scope.templar.variables.get_key_value(name) {
            return Some(match self.scope.enter(name) {
                Ok(scope) => scope.shown(&variable.value, &variable.origin),
                Err(error) => failed(error),
            });
        }
        match (name, &self.scope.templar.surroundings) {
            (engine::SCOPE, _) => Some(Jinja::from_object(self.scope.clone())),
            ("hostvars", Some(surroundings)) => Some(Jinja::from_object(HostVariables {
                scope: self.scope.clone(),
                surroundings: Hosts(surroundings.clone()),
            })),
            ("omit", _) => Some(engine::omit()),
            ("vars", _) => Some(Jinja::from_object(Everything(self.scope.clone()))),
            _ if engine::knows(name) => None,
            _ => Some(Absent::value(name, &self.used)),
        }
    }
}

/// `vars`: all variables by name.
#[derive(Debug)]
struct Everything(Scope);

impl Object for Everything {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        if let Some(value) = self.0.magic(name) {
            return Some(value);
        }
        let (name, variable) = self.0.templar.variables.get_key_value(name)?;
        Some(match self.0.enter(name) {
            Ok(scope) => scope.shown(&variable.value, &variable.origin),
            Err(error) => failed(error),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.0.templar.variables.keys();
        Enumerator::Values(names.map(|name| Jinja::from(&**name)).collect())
    }
}

#[derive(Clone)]
struct Hosts(Arc<dyn Surroundings>);

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hosts")
    }
}

/// `hostvars`: other hosts' variables, rendered with those hosts' own.
#[derive(Debug)]
struct HostVariables {
    scope: Scope,
    surroundings: Hosts,
}

impl Object for HostVariables {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let host = key.as_str()?;
        let variables: Arc<Variables> = self.surroundings.0.variables_of(host)?;
        let templar = Templar {
            variables,
            host: host.into(),
            vault: self.scope.templar.vault.clone(),
            surroundings: self.scope.templar.surroundings.clone(),
        };
        // Names of this host are not those of the other, so the chain can't tell a cycle: its depth and the budget still end one.
        let chain = self.scope.chain.as_ref().map(|link| {
            Arc::new(Link {
                name: "hostvars".into(),
                depth: link.depth + 1,
                asked_by: None,
            })
        });
        Some(Jinja::from_object(Everything(Scope {
            templar: Arc::new(templar),
            chain,
            budget: self.scope.budget.clone(),
        })))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let hosts = self.surroundings.0.hosts();
        Enumerator::Values(hosts.iter().map(|name| Jinja::from(&**name)).collect())
    }
}
