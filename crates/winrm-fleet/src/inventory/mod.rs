//! Ansible inventories: who the hosts are, which groups they belong to, and what is said of them.
//!
//! Sources are read into one graph of hosts and groups. Variables stay where they were said, and are merged when one host's are asked
//! for: a hundred thousand hosts take little more memory than their names. `group_vars` and `host_vars` are read when they are needed,
//! so a file that is wrong is the trouble of its own hosts.

mod address;
mod error;
mod files;
mod glob;
mod graph;
mod ini;
pub(crate) mod interner;
pub(crate) mod json;
pub(crate) mod literal;
mod load;
mod magic;
mod pattern;
mod program;
mod reader;
mod source;
mod tree;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::value::{Map, Origin, Value, Variable, Variables};
use crate::vault::Vault;
use files::{Beside, VariableFiles};
use graph::{ALL, Entry, Graph};
use source::SourceFile;

pub use error::{InventoryError, Malformed};
pub use graph::Host;
pub use pattern::{PatternError, Selection};
pub use source::Source;
pub(crate) use source::expand_path;

/// How inventories are read.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// What opens encrypted files.
    pub vault: Vault,
    /// A folder whose `group_vars` and `host_vars` count as well, more than those beside the inventory; Ansible's `--playbook-dir`.
    pub playbook_dir: Option<PathBuf>,
    /// Whether nobody named that folder. Then it counts for hosts, and is not shown as what is said of a group, or of a host alone.
    pub implied_playbook_dir: bool,
    /// How long an executable inventory may take.
    pub program_timeout: Duration,
    /// Files of a folder that are not taken: those whose names end so.
    pub ignore_extensions: Vec<String>,
    /// Files of a folder that are not taken: those whose names match such a regular expression somewhere.
    pub ignore_patterns: Vec<String>,
    /// Whether maps of one name are merged (`hash_behaviour = merge`) rather than replaced.
    pub merge_maps: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            vault: Vault::new(),
            playbook_dir: None,
            implied_playbook_dir: false,
            program_timeout: Duration::from_secs(60),
            ignore_extensions: source::IGNORED_EXTENSIONS.map(str::to_owned).to_vec(),
            ignore_patterns: Vec::new(),
            merge_maps: false,
        }
    }
}

impl std::fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("playbook_dir", &self.playbook_dir)
            .field("program_timeout", &self.program_timeout)
            .finish_non_exhaustive()
    }
}

/// The hosts of one or several sources.
#[derive(Debug)]
pub struct Inventory {
    graph: Graph,
    /// Every file, program and list that was read.
    sources: Vec<SourceFile>,
    files: VariableFiles,
    /// `localhost` and its names, which are there without being in an inventory.
    implicit: [Host; 3],
    warnings: Vec<String>,
    merge_maps: bool,
}

impl Inventory {
    /// Reads sources in their order; what later ones say counts more.
    ///
    /// # Errors
    /// The first source that can't be read. Ansible warns and goes on without it, and then some hosts are missing.
    pub fn load(sources: &[Source], options: &LoadOptions) -> Result<Self, InventoryError> {
        load::load(sources, options)
    }

    /// Reads an inventory that is in memory already. The name stands for its path: its extension says what to try, YAML or INI, and
    /// errors show it. Nothing is read or run.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_text(name: &Path, text: &str, options: &LoadOptions) -> Result<Self, InventoryError> {
        let mut options = options.clone();
        options.playbook_dir = None;
        load::text(name, text, &options)
    }

    /// All hosts that the inventory names, in Ansible's order.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.graph.hosts_of(ALL).into_iter().map(|host| self.graph.host_at(host))
    }

    /// How many hosts the inventory names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.hosts.len()
    }

    /// Whether the inventory names no host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.hosts.is_empty()
    }

    /// The host of that name; `localhost`, `127.0.0.1` and `::1` are always there.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.find(name).map(|host| self.at(host))
    }

    /// The hosts that a pattern means, in Ansible's order, without those that no `--limit` means.
    ///
    /// # Errors
    /// A pattern that is wrong or means no host.
    pub fn select(&self, pattern: &str, limit: &[String]) -> Result<Vec<&Host>, PatternError> {
        self.selection(pattern, limit).map(|selection| selection.hosts)
    }

    /// As [`Self::select`], with the parts of the patterns that mean nothing.
    ///
    /// # Errors
    /// A pattern that is wrong or means no host.
    pub fn selection(&self, pattern: &str, limit: &[String]) -> Result<Selection<'_>, PatternError> {
        pattern::select(self, pattern, limit)
    }

    /// What was strange in the sources, and did no harm.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<Group<'_>> {
        self.graph.find_group(name).map(|index| Group { inventory: self, index })
    }

    /// All groups, `all` and `ungrouped` first, then in the order in which sources name them.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        (0..).take(self.graph.groups.len()).map(|index| Group { inventory: self, index })
    }

    /// A host's variables, merged as Ansible merges them: groups from the top down, by depth, priority and name, then the host's own;
    /// `group_vars` go before what inventories say of groups, and `host_vars` before what they say of hosts.
    ///
    /// # Errors
    /// A file in `group_vars` or `host_vars` that can't be read.
    pub fn variables(&self, host: &Host) -> Result<Variables, InventoryError> {
        self.merged(host, Merge::new(self.merge_maps)).map(|merged| merged.variables)
    }

    /// What was said of a host and lost to something that was said later, in the order in which it lost.
    ///
    /// # Errors
    /// A file in `group_vars` or `host_vars` that can't be read.
    pub fn overridden(&self, host: &Host) -> Result<Vec<(Arc<str>, Variable)>, InventoryError> {
        let mut merged = Merge::new(self.merge_maps);
        merged.lost = Some(Vec::new());
        self.merged(host, merged).map(|merged| merged.lost.unwrap_or_default())
    }

    fn merged(&self, host: &Host, mut merged: Merge) -> Result<Merge, InventoryError> {
        let mut groups = self.sorted_groups(host);
        groups.retain(|group| *group != ALL);
        let all = self.graph.group_at(ALL);
        self.say(&mut merged, &all.variables);
        for group in &groups {
            self.say(&mut merged, &self.graph.group_at(*group).variables);
        }
        let names: Vec<&Arc<str>> = groups.iter().map(|group| &self.graph.group_at(*group).name).collect();
        let (beside, play) = (Beside::Inventory, Beside::Playbook);
        self.files.groups(beside, &[&all.name], &mut merged)?;
        self.files.groups(play, &[&all.name], &mut merged)?;
        self.files.groups(beside, &names, &mut merged)?;
        self.files.groups(play, &names, &mut merged)?;
        for entries in &host.variables {
            self.say(&mut merged, entries);
        }
        self.files.host(beside, &host.name, &mut merged)?;
        self.files.host(play, &host.name, &mut merged)?;
        Ok(merged)
    }

    /// What is said of the host itself, by inventories and in `host_vars`, without what its groups say.
    ///
    /// # Errors
    /// A file in `host_vars` that can't be read.
    pub fn own_variables(&self, host: &Host) -> Result<Variables, InventoryError> {
        let mut merged = Merge::new(self.merge_maps);
        for entries in &host.variables {
            self.say(&mut merged, entries);
        }
        self.files.host(Beside::Inventory, &host.name, &mut merged)?;
        self.files.host(Beside::NamedPlaybook, &host.name, &mut merged)?;
        Ok(merged.variables)
    }

    /// The variables that Ansible makes: `inventory_hostname`, `inventory_hostname_short`, `group_names`, `groups`, `inventory_dir`
    /// and `inventory_file`. `groups` names every host of the inventory.
    #[must_use]
    pub fn magic_variables(&self, host: &Host) -> Map {
        magic::variables(self, host)
    }

    /// The groups that a host is in, directly or through others, sorted, without `all`.
    #[must_use]
    pub fn group_names(&self, host: &Host) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self
            .graph
            .groups_of(host)
            .into_iter()
            .filter(|group| *group != ALL)
            .map(|group| self.graph.group_at(group).name.clone())
            .collect();
        names.sort_unstable();
        names
    }

    /// The file or program that named the host first; nothing for a list of hosts.
    #[must_use]
    pub fn file_of(&self, host: &Host) -> Option<&Path> {
        match self.sources.get(host.source as usize)? {
            _ if host.implicit => None,
            SourceFile::File(path) | SourceFile::Program(path) => Some(path),
            SourceFile::List => None,
        }
    }

    fn sorted_groups(&self, host: &Host) -> Vec<u32> {
        let mut groups = self.graph.groups_of(host);
        groups.sort_by(|left, right| {
            let (left, right) = (self.graph.group_at(*left), self.graph.group_at(*right));
            (left.depth, left.priority, &left.name).cmp(&(right.depth, right.priority, &right.name))
        });
        groups
    }

    fn say(&self, merged: &mut Merge, entries: &[Entry]) {
        for entry in entries {
            let origin = match self.sources.get(entry.source as usize) {
                Some(SourceFile::File(path)) => Origin::File {
                    path: path.clone(),
                    line: entry.line,
                },
                Some(SourceFile::Program(path)) => Origin::Program(path.clone()),
                Some(SourceFile::List) | None => Origin::Default,
            };
            merged.say(&entry.name, &entry.value, origin);
        }
    }

    /// The number of a host; implicit ones have the numbers behind all others.
    fn find(&self, name: &str) -> Option<u32> {
        if let Some(index) = self.graph.hosts.get_index_of(name) {
            return u32::try_from(index).ok();
        }
        let implicit = graph::LOCALHOST.iter().position(|own| *own == name)?;
        // Any of its names means the one that an inventory has.
        self.graph
            .localhost
            .or_else(|| u32::try_from(self.graph.hosts.len() + implicit).ok())
    }

    fn at(&self, host: u32) -> &Host {
        let host = host as usize;
        let named = self.graph.hosts.len();
        match self.graph.hosts.get_index(host) {
            Some((_, host)) => host,
            None => &self.implicit[(host - named).min(2)],
        }
    }
}

/// A group of an inventory.
#[derive(Debug, Clone, Copy)]
pub struct Group<'i> {
    inventory: &'i Inventory,
    index: u32,
}

impl<'i> Group<'i> {
    fn data(self) -> &'i graph::Group {
        self.inventory.graph.group_at(self.index)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'i str {
        &self.data().name
    }

    /// `ansible_group_priority`: among groups of one depth the highest counts last, and so most. 1 unless said otherwise.
    #[must_use]
    pub fn priority(self) -> i64 {
        self.data().priority
    }

    /// The hosts that it lists itself.
    pub fn own_hosts(self) -> impl Iterator<Item = &'i Host> {
        let graph = &self.inventory.graph;
        self.data().hosts.iter().map(|host| graph.host_at(*host))
    }

    /// Its hosts and those of all groups below it.
    pub fn hosts(self) -> impl Iterator<Item = &'i Host> {
        let graph = &self.inventory.graph;
        graph.hosts_of(self.index).into_iter().map(|host| graph.host_at(host))
    }

    /// The groups directly below it.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let inventory = self.inventory;
        self.data().children.iter().map(|child| Self { inventory, index: *child })
    }

    /// What is said of the group itself, by inventories and in `group_vars`.
    ///
    /// # Errors
    /// A file in `group_vars` that can't be read.
    pub fn variables(self) -> Result<Variables, InventoryError> {
        let mut merged = Merge::new(self.inventory.merge_maps);
        let group = self.data();
        self.inventory.say(&mut merged, &group.variables);
        let files = &self.inventory.files;
        files.groups(Beside::Inventory, &[&group.name], &mut merged)?;
        files.groups(Beside::NamedPlaybook, &[&group.name], &mut merged)?;
        Ok(merged.variables)
    }
}

/// Variables on their way: what is said later counts.
pub(crate) struct Merge {
    variables: Variables,
    merge_maps: bool,
    /// What was replaced, where somebody wants to know.
    lost: Option<Vec<(Arc<str>, Variable)>>,
}

impl Merge {
    fn new(merge_maps: bool) -> Self {
        Self {
            variables: IndexMap::new(),
            merge_maps,
            lost: None,
        }
    }

    fn say(&mut self, name: &Arc<str>, value: &Value, origin: Origin) {
        if self.merge_maps
            && let (
                Some(Variable {
                    value: Value::Map(known),
                    origin: own,
                }),
                Value::Map(more),
            ) = (self.variables.get_mut(name), value)
        {
            join(known, more);
            *own = origin;
            return;
        }
        let value = value.clone();
        let lost = self.variables.insert(name.clone(), Variable { value, origin });
        if let (Some(all), Some(lost)) = (&mut self.lost, lost) {
            all.push((name.clone(), lost));
        }
    }
}

/// `hash_behaviour = merge`.
fn join(known: &mut Map, more: &Map) {
    for (key, value) in more {
        match (known.get_mut(key), value) {
            (Some(Value::Map(known)), Value::Map(more)) => join(known, more),
            _ => {
                known.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
