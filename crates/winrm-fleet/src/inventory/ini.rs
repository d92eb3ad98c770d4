//! Inventories in Ansible's INI format.

use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Malformed;
use super::graph::{Entry, Graph, UNGROUPED};
use super::reader::Document;
use super::{address, literal, words};
use crate::value::Value;

/// Reads an INI inventory into the graph.
///
/// # Errors
/// The first line that Ansible wouldn't take.
pub(crate) fn read(document: &mut Document<'_>, text: &str, graph: &mut Graph) -> Result<(), Malformed> {
    let mut reader = Reader {
        document,
        graph,
        group: UNGROUPED,
        section: Section::Hosts,
        pending: IndexMap::new(),
    };
    for (number, line) in lines(text).enumerate() {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let stripped = strip(line);
        if !stripped.is_empty() && !stripped.starts_with(['#', ';']) {
            reader.line(number, line, stripped)?;
        }
    }
    reader.finish(text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Variables,
}

/// A group that was spoken of before it was declared.
struct Pending {
    line: u32,
    /// The groups that want it as a child; empty for `[group:vars]`.
    parents: Vec<u32>,
}

struct Reader<'r, 'd> {
    document: &'r mut Document<'d>,
    graph: &'r mut Graph,
    group: u32,
    section: Section,
    pending: IndexMap<Arc<str>, Pending>,
}

impl Reader<'_, '_> {
    fn line(&mut self, number: u32, whole: &str, line: &str) -> Result<(), Malformed> {
        let outcome = if let Some((name, kind)) = header(line) {
            self.section(number, name, kind)
        } else if line.starts_with('[') && line.ends_with(']') {
            Err(Wrong::new(
                line,
                "this is no section: [group], [group:children] or [group:vars], without spaces",
            ))
        } else {
            match self.section {
                Section::Hosts => self.hosts(number, line),
                Section::Children => self.child(number, line),
                Section::Variables => self.variable(number, line),
            }
        };
        outcome.map_err(|wrong| {
            let column = wrong.at.and_then(|at| column_of(whole, at)).unwrap_or(1);
            self.document.malformed(number, column, wrong.what, wrong.hint, Some(whole))
        })
    }

    fn section<'l>(&mut self, number: u32, name: &'l str, kind: &'l str) -> Result<(), Wrong<'l>> {
        let section = match kind {
            "" | "hosts" => Section::Hosts,
            "children" => Section::Children,
            "vars" => Section::Variables,
            _ => {
                return Err(Wrong::new(
                    kind,
                    format!("a section is [{name}], [{name}:children] or [{name}:vars], not :{kind}"),
                ));
            }
        };
        let known = self.graph.find_group(name);
        let name = self.document.interner.text(name);
        let group = self.graph.group(name.clone());
        if section == Section::Variables {
            if known.is_none() {
                self.pending.entry(name).or_insert(Pending {
                    line: number,
                    parents: Vec::new(),
                });
            }
        } else if let Some(pending) = self.pending.shift_remove(&name) {
            for parent in pending.parents {
                self.graph.adopt(parent, group).map_err(|what| Wrong::new("", what))?;
            }
        }
        (self.group, self.section) = (group, section);
        Ok(())
    }

    fn hosts<'l>(&mut self, number: u32, line: &'l str) -> Result<(), Wrong<'l>> {
        let words = words::split(line).map_err(|what| Wrong::new(line, what))?;
        let Some((pattern, assignments)) = words.split_first() else {
            return Ok(());
        };
        let (names, port) = address::expand(pattern).map_err(|what| Wrong::new(line, what))?;
        if port.is_none() && pattern.trim_end().ends_with(':') {
            let hint = "a file in YAML needs the extension .yml or .yaml, or none";
            return Err(Wrong::new(line, format!("{pattern:?} ends with a colon, and no port stands behind it")).hint(hint));
        }
        if names.iter().any(|name| name.trim() == "---") {
            return Err(Wrong::new(line, "--- begins a YAML file, and this is none").hint("indent it as YAML, or take --- away"));
        }
        if names.iter().any(String::is_empty) {
            return Err(Wrong::new(line, "the name of the host is empty"));
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let Some((name, value)) = assignment.split_once('=') else {
                let place = line.find(assignment.as_str()).map_or(line, |at| &line[at..]);
                return Err(Wrong::new(place, "behind a host stand NAME=VALUE pairs, and this has no =")
                    .hint("values with spaces need quotes around them: name=\"a b\""));
            };
            entries.push(self.entry(number, name, value));
        }
        let entries: Arc<[Entry]> = entries.into();
        let port: Arc<[Entry]> = match port {
            Some(port) if port > 0 => {
                let port = i64::try_from(port).unwrap_or(i64::MAX);
                Arc::new([self.document.entry(number, "ansible_port", Value::Int(port))])
            }
            _ => Arc::new([]),
        };
        for name in names {
            let (host, new) = self.graph.host(&name, self.document.source);
            if new {
                self.graph.say(host, &port);
            }
            self.graph.add_host(self.group, host);
            self.graph.say(host, &entries);
        }
        Ok(())
    }

    fn child<'l>(&mut self, number: u32, line: &'l str) -> Result<(), Wrong<'l>> {
        let name = group_name(line).ok_or_else(|| {
            Wrong::new(line, "here stands the name of a group, without spaces, colons and brackets")
                .hint("hosts stand in [group], not in [group:children]")
        })?;
        match self.graph.find_group(name) {
            Some(child) => self.graph.adopt(self.group, child).map_err(|what| Wrong::new(name, what)),
            None => {
                let group = self.group;
                self.pending
                    .entry(name.into())
                    .or_insert(Pending {
                        line: number,
                        parents: Vec::new(),
                    })
                    .parents
                    .push(group);
                Ok(())
            }
        }
    }

    fn variable<'l>(&mut self, number: u32, line: &'l str) -> Result<(), Wrong<'l>> {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| Wrong::new(line, "in [group:vars] stand NAME=VALUE lines, and this has no ="))?;
        let entry = self.entry(number, strip(name), strip(value));
        self.graph.say_of_group(self.group, entry).map_err(|what| Wrong::new(line, what))
    }

    fn entry(&mut self, number: u32, name: &str, value: &str) -> Entry {
        let value = literal::parse(value).unwrap_or_else(|| Value::String(self.document.interner.text(value)));
        self.document.entry(number, name, value)
    }

    /// Groups that were never declared.
    fn finish(self, text: &str) -> Result<(), Malformed> {
        let Some((name, pending)) = self.pending.first() else {
            return Ok(());
        };
        let what = match pending.parents.last() {
            Some(parent) => format!(
                "[{}:children] names the group {name:?}, which isn't there",
                self.graph.group_at(*parent).name
            ),
            None => format!("[{name}:vars] speaks of the group {name:?}, which isn't there"),
        };
        let hint = format!("declare it with a line [{name}]");
        let line = lines(text).nth(pending.line.saturating_sub(1) as usize);
        let column = line.and_then(|line| column_of(line, strip(line))).unwrap_or(0);
        Err(self.document.malformed(pending.line, column, what, Some(hint), line))
    }
}

/// What is wrong, and the part of the line that is meant.
struct Wrong<'l> {
    at: Option<&'l str>,
    what: String,
    hint: Option<String>,
}

impl<'l> Wrong<'l> {
    fn new(at: &'l str, what: impl Into<String>) -> Self {
        Self {
            at: Some(at).filter(|at| !at.is_empty()),
            what: what.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The column of a part of a line, from 1.
fn column_of(line: &str, part: &str) -> Option<u32> {
    let offset = (part.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    u32::try_from(line.get(..offset)?.chars().count() + 1).ok()
}

/// `[name]` or `[name:kind]`, perhaps with a comment behind it.
fn header(line: &str) -> Option<(&str, &str)> {
    let (inside, behind) = line.strip_prefix('[')?.split_once(']')?;
    let behind = strip(behind);
    if !behind.is_empty() && !behind.starts_with('#') {
        return None;
    }
    let (name, kind) = match inside.split_once(':') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (inside, ""),
    };
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let is_kind = kind.chars().all(|char| char.is_alphanumeric() || char == '_');
    (is_name && is_kind).then_some((name, kind))
}

/// A group's name, perhaps with a comment behind it.
fn group_name(line: &str) -> Option<&str> {
    let end = line
        .find(|char: char| char == ':' || char == ']' || char.is_whitespace())
        .unwrap_or(line.len());
    let (name, behind) = line.split_at(end);
    let behind = strip(behind);
    // `web#1` is a name as a whole.
    (!name.is_empty() && (behind.is_empty() || behind.starts_with('#'))).then_some(name)
}

/// Lines as Python's `splitlines` cuts them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_end = |char: char| {
            matches!(
                char,
                '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let Some(at) = rest.find(is_end) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let end = &rest[at..];
        rest = match end.strip_prefix("\r\n") {
            Some(behind) => behind,
            None => &end[end.chars().next().map_or(0, char::len_utf8)..],
        };
        Some(line)
    })
}

/// Python's `strip`.
fn strip(text: &str) -> &str {
    text.trim_matches(|char: char| char.is_whitespace() || matches!(char, '\x1c'..='\x1f'))
}
