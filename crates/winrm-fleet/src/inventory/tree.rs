//! Inventories in YAML: groups with `hosts`, `vars` and `children`.

use std::sync::Arc;

use super::address;
use super::error::Malformed;
use super::graph::{Entry, Graph};
use super::reader::Document;
use crate::value::Value;
use crate::yaml::{Data, Node, Pair};

/// Reads a YAML inventory into the graph.
///
/// # Errors
/// What isn't built as an inventory is.
pub(crate) fn read(document: &mut Document<'_>, text: &str, root: Node, graph: &mut Graph) -> Result<(), Malformed> {
    let mut reader = Reader { document, text, graph };
    let (line, column, kind) = (root.line, root.column, root.kind());
    match root.data {
        Data::Mapping(groups) if !groups.is_empty() => {
            for group in groups {
                reader.group(group)?;
            }
            Ok(())
        }
        Data::Mapping(_) | Data::Scalar(Value::Null) => Err(reader.wrong(line, column, "the inventory is empty")),
        _ => Err(reader
            .wrong(line, column, format!("an inventory is a map of groups, and this is {kind}"))
            .hint("a YAML inventory begins so: all:\\n  hosts:\\n    web1:")),
    }
}

struct Reader<'r, 'd> {
    document: &'r mut Document<'d>,
    text: &'r str,
    graph: &'r mut Graph,
}

impl Reader<'_, '_> {
    fn wrong(&self, line: u32, column: u32, what: impl Into<String>) -> Malformed {
        let text = self.text.lines().nth(line.saturating_sub(1) as usize);
        self.document.malformed(line, column, what, None, text.filter(|_| line > 0))
    }

    fn warn(&mut self, line: u32, what: &str) {
        self.document
            .warnings
            .push(format!("{}, line {line}: {what}", self.document.path.display()));
    }

    /// The group's number; nothing if what is said of it is not to be taken.
    fn group(&mut self, pair: Pair) -> Result<Option<u32>, Malformed> {
        let Pair {
            key,
            is_text,
            line,
            column,
            value,
        } = pair;
        let sections = match value.data {
            Data::Mapping(sections) => sections,
            Data::Scalar(Value::Null) => Vec::new(),
            _ => {
                self.warn(
                    line,
                    &format!("{key:?} is not taken for a group, since it holds {} and no map", value.kind()),
                );
                return Ok(self.graph.find_group(&key));
            }
        };
        if !is_text || key.is_empty() {
            return Err(self
                .wrong(line, column, format!("a group's name is a text, and {key:?} is none"))
                .hint(format!("put quotes around it: \"{key}\"")));
        }
        let group = self.graph.group(key.clone());
        // All that is wrong is said before anything is done, as the order of the sections doesn't matter for that.
        for section in &sections {
            if matches!(&*section.key, "vars" | "children" | "hosts")
                && !matches!(
                    section.value.data,
                    Data::Mapping(_) | Data::Scalar(Value::Null | Value::String(_) | Value::Unsafe(_))
                )
            {
                return Err(self
                    .wrong(
                        section.value.line,
                        section.value.column,
                        format!(
                            "{} of the group {key:?} is a map, and this is {}",
                            section.key,
                            section.value.kind()
                        ),
                    )
                    .hint("a name of its own stands as NAME: without a dash"));
            }
        }
        for section in sections {
            let (line, is_known) = (section.line, matches!(&*section.key, "vars" | "children" | "hosts"));
            let pairs = match section.value.data {
                Data::Mapping(pairs) => pairs,
                Data::Scalar(Value::String(name) | Value::Unsafe(name)) if is_known => vec![Pair {
                    key: name,
                    is_text: true,
                    line: section.value.line,
                    column: section.value.column,
                    value: Node {
                        data: Data::Scalar(Value::Null),
                        line: section.value.line,
                        column: section.value.column,
                    },
                }],
                Data::Scalar(Value::Null) => continue,
                _ => {
                    self.warn(
                        line,
                        &format!(
                            "{:?} in the group {key:?} is not taken: only vars, children and hosts are",
                            section.key
                        ),
                    );
                    continue;
                }
            };
            match &*section.key {
                "vars" => {
                    for pair in pairs {
                        let (line, column) = (pair.line, pair.column);
                        let entry = self.document.entry(line, &pair.key, pair.value.into_value());
                        self.graph
                            .say_of_group(group, entry)
                            .map_err(|what| self.wrong(line, column, what))?;
                    }
                }
                "children" => {
                    for pair in pairs {
                        let (line, column) = (pair.line, pair.column);
                        let name = pair.key.clone();
                        match self.group(pair)? {
                            Some(child) => self.graph.adopt(group, child).map_err(|what| self.wrong(line, column, what))?,
                            None => {
                                return Err(self.wrong(line, column, format!("the child {name:?} of the group {key:?} is no group")));
                            }
                        }
                    }
                }
                "hosts" => {
                    for pair in pairs {
                        self.hosts(group, pair)?;
                    }
                }
                other => {
                    let what = format!("{other:?} in the group {key:?} is not taken: only vars, children and hosts are");
                    self.warn(line, &what);
                }
            }
        }
        Ok(Some(group))
    }

    fn hosts(&mut self, group: u32, pair: Pair) -> Result<(), Malformed> {
        let (line, column) = (pair.line, pair.column);
        if !pair.is_text {
            return Err(self
                .wrong(line, column, format!("a host's name is a text, and {:?} is none", pair.key))
                .hint(format!("put quotes around it: \"{}\"", pair.key)));
        }
        let (names, port) = address::expand(&pair.key).map_err(|what| self.wrong(line, column, what))?;
        if names.iter().any(String::is_empty) {
            return Err(self.wrong(line, column, "the name of the host is empty"));
        }
        let kind = pair.value.kind();
        let entries: Vec<Entry> = match pair.value.data {
            Data::Mapping(pairs) => pairs
                .into_iter()
                .map(|pair| self.document.entry(pair.line, &pair.key, pair.value.into_value()))
                .collect(),
            // Python's "or {}": whatever is empty is no variable.
            Data::Scalar(Value::Null | Value::Bool(false) | Value::Int(0)) => Vec::new(),
            Data::Scalar(Value::String(text)) if text.is_empty() => Vec::new(),
            Data::Sequence(items) if items.is_empty() => Vec::new(),
            _ => {
                return Err(self
                    .wrong(
                        pair.value.line,
                        pair.value.column,
                        format!("the host {:?} holds a map of variables, and this is {kind}", pair.key),
                    )
                    .hint("variables stand as NAME: VALUE, each on its line, below the host and indented"));
            }
        };
        let entries: Arc<[Entry]> = entries.into();
        let port: Arc<[Entry]> = match port {
            Some(port) if port > 0 => {
                let port = i64::try_from(port).unwrap_or(i64::MAX);
                Arc::new([self.document.entry(line, "ansible_port", Value::Int(port))])
            }
            _ => Arc::new([]),
        };
        for name in names {
            let (host, new) = self.graph.host(&name, self.document.source);
            if new {
                self.graph.say(host, &port);
            }
            self.graph.add_host(group, host);
            self.graph.say(host, &entries);
        }
        Ok(())
    }
}

impl Malformed {
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
