//! One copy of each text.

use std::collections::HashSet;
use std::sync::Arc;

/// Texts that were seen: names of variables, users and domains come again with every host.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    seen: HashSet<Arc<str>>,
}

/// Longer values hardly come again.
const LONGEST: usize = 64;

impl Interner {
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        if let Some(known) = self.seen.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.seen.insert(text.clone());
        text
    }
}
