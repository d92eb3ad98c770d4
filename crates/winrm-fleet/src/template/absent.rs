//! What stands for a variable that nobody has set, until something needs its value.
//!
//! Jinja2's undefined can be asked for attributes and given to `default`, and fails where its value is needed. minijinja's fails at the
//! first attribute; this object doesn't, and remembers that it was used.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Value as Jinja};

/// The names of absent variables whose values were needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<Mutex<Option<String>>>);

impl Used {
    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &str) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| name.to_owned());
    }
}

/// A variable that nobody has set, or an attribute of one.
#[derive(Debug)]
pub(super) struct Absent {
    name: String,
    used: Used,
}

impl Absent {
    pub(super) fn value(name: &str, used: &Used) -> Jinja {
        Jinja::from_object(Self {
            name: name.to_owned(),
            used: used.clone(),
        })
    }

    /// Whether the value is absent, or minijinja's own undefined.
    pub(super) fn is(value: &Jinja) -> bool {
        value.is_undefined() || value.downcast_object_ref::<Self>().is_some()
    }

    /// Says that the value was needed.
    pub(super) fn needed(value: &Jinja) {
        if let Some(absent) = value.downcast_object_ref::<Self>() {
            absent.used.note(&absent.name);
        }
    }
}

impl Object for Absent {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, _: &Jinja) -> Option<Jinja> {
        // Its parts are as absent as itself, and it is itself that is told.
        Some(Jinja::from_dyn_object(self.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.used.note(&self.name);
        Enumerator::Empty
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.used.note(&self.name);
        false
    }

    fn custom_cmp(self: &Arc<Self>, _: &DynObject) -> Option<std::cmp::Ordering> {
        self.used.note(&self.name);
        None
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.used.note(&self.name);
        Ok(())
    }
}
