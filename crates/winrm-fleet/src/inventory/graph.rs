//! Hosts and groups, and who belongs to whom.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::value::Value;

/// Names that mean this machine, whether an inventory has them or not.
pub(crate) const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// A variable as an inventory's file says it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) value: Value,
    /// From 1; 0 where the format doesn't tell.
    pub(crate) line: u32,
    /// The number of the source.
    pub(crate) source: u32,
}

/// A host of an inventory.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) name: Arc<str>,
    /// The groups that list it.
    pub(crate) groups: Vec<u32>,
    /// One piece for each line that speaks of it; hosts of one range share theirs.
    pub(crate) variables: Vec<Arc<[Entry]>>,
    /// The number of the source that named it first.
    pub(crate) source: u32,
    pub(crate) implicit: bool,
}

impl Host {
    /// The name that the inventory calls it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether no inventory names it: `localhost` is always there.
    #[must_use]
    pub fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// The name up to the first dot; an IP address as a whole.
    #[must_use]
    pub fn short_name(&self) -> &str {
        if super::address::is_address(&self.name) {
            return &self.name;
        }
        self.name.split('.').next().unwrap_or(&self.name)
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Host {}

/// A group of hosts and groups.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    /// How far below `all`, by the longest way.
    pub(crate) depth: u32,
    pub(crate) priority: i64,
    pub(crate) hosts: Vec<u32>,
    pub(crate) children: Vec<u32>,
    pub(crate) parents: Vec<u32>,
    pub(crate) variables: Vec<Entry>,
}

pub(crate) const ALL: u32 = 0;
pub(crate) const UNGROUPED: u32 = 1;

/// What sources say, while they are read and afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) hosts: IndexMap<Arc<str>, Host>,
    pub(crate) groups: IndexMap<Arc<str>, Group>,
    /// Which hosts are in which groups, while sources are read.
    members: HashSet<(u32, u32)>,
    /// The first host that is called like this machine.
    pub(crate) localhost: Option<u32>,
}

impl Graph {
    pub(crate) fn new() -> Self {
        let mut graph = Self {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
            members: HashSet::new(),
            localhost: None,
        };
        let all = graph.group("all".into());
        let ungrouped = graph.group("ungrouped".into());
        graph.connect(all, ungrouped);
        graph
    }

    pub(crate) fn find_group(&self, name: &str) -> Option<u32> {
        self.groups.get_index_of(name).map(number)
    }

    pub(crate) fn group_at(&self, group: u32) -> &Group {
        &self.groups[group as usize]
    }

    pub(crate) fn host_at(&self, host: u32) -> &Host {
        &self.hosts[host as usize]
    }

    /// The group of that name, made if it isn't there.
    pub(crate) fn group(&mut self, name: Arc<str>) -> u32 {
        let (index, _) = match self.groups.get_full(&*name) {
            Some((index, ..)) => (index, ()),
            None => {
                let group = Group {
                    name: name.clone(),
                    depth: 0,
                    priority: 1,
                    hosts: Vec::new(),
                    children: Vec::new(),
                    parents: Vec::new(),
                    variables: Vec::new(),
                };
                (self.groups.insert_full(name, group).0, ())
            }
        };
        number(index)
    }

    /// The host of that name, made if it isn't there; whether it was made.
    pub(crate) fn host(&mut self, name: &str, source: u32) -> (u32, bool) {
        if let Some(index) = self.hosts.get_index_of(name) {
            return (number(index), false);
        }
        let name: Arc<str> = name.into();
        let host = Host {
            name: name.clone(),
            groups: Vec::new(),
            variables: Vec::new(),
            source,
            implicit: false,
        };
        let index = number(self.hosts.insert_full(name.clone(), host).0);
        if LOCALHOST.contains(&&*name) && self.localhost.is_none() {
            self.localhost = Some(index);
        }
        (index, true)
    }

    pub(crate) fn add_host(&mut self, group: u32, host: u32) {
        if self.members.insert((group, host)) {
            self.groups[group as usize].hosts.push(host);
            let groups = &mut self.hosts[host as usize].groups;
            groups.reserve_exact(1);
            groups.push(group);
        }
    }

    /// Says something of a host, in one piece that other hosts may share.
    pub(crate) fn say(&mut self, host: u32, entries: &Arc<[Entry]>) {
        if !entries.is_empty() {
            let variables = &mut self.hosts[host as usize].variables;
            variables.reserve_exact(1);
            variables.push(entries.clone());
        }
    }

    /// Sets a group's variable.
    ///
    /// # Errors
    /// `ansible_group_priority` that is no whole number.
    pub(crate) fn say_of_group(&mut self, group: u32, entry: Entry) -> Result<(), String> {
        let group = &mut self.groups[group as usize];
        if &*entry.name != "ansible_group_priority" {
            group.variables.push(entry);
            return Ok(());
        }
        let priority = match &entry.value {
            Value::Int(number) => Some(*number),
            Value::Bool(value) => Some(i64::from(*value)),
            #[expect(clippy::cast_possible_truncation, reason = "as Python's int() does; a priority is small")]
            Value::Float(number) => Some(*number as i64),
            Value::String(text) | Value::Unsafe(text) => text.trim().parse().ok(),
            _ => None,
        };
        group.priority = priority.ok_or("ansible_group_priority is not a whole number")?;
        Ok(())
    }

    /// Puts a group into another.
    ///
    /// # Errors
    /// A loop of groups, written out.
    pub(crate) fn adopt(&mut self, parent: u32, child: u32) -> Result<(), String> {
        if parent == child {
            return Err(format!("the group {:?} is a child of itself", self.group_at(parent).name));
        }
        if self.group_at(parent).children.contains(&child) {
            return Ok(());
        }
        if let Some(way) = self.way_up(parent, child) {
            let names: Vec<&str> = way.iter().rev().map(|group| &*self.group_at(*group).name).collect();
            return Err(format!("groups in a loop: {} > {}", names.join(" > "), self.group_at(child).name));
        }
        self.connect(parent, child);
        Ok(())
    }

    fn connect(&mut self, parent: u32, child: u32) {
        self.groups[parent as usize].children.push(child);
        self.groups[child as usize].parents.push(parent);
    }

    /// The groups from `from` up to `to`, if `to` is above.
    fn way_up(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        let mut came_from: HashMap<u32, u32> = HashMap::new();
        let mut open = vec![from];
        while let Some(group) = open.pop() {
            if group == to {
                let mut way = vec![to];
                let mut at = to;
                while let Some(next) = came_from.get(&at) {
                    way.push(*next);
                    at = *next;
                }
                way.reverse();
                return Some(way);
            }
            for parent in &self.group_at(group).parents {
                if *parent != from && !came_from.contains_key(parent) {
                    came_from.insert(*parent, group);
                    open.push(*parent);
                }
            }
        }
        None
    }

    /// What holds for every inventory: all groups are below `all`, and hosts of no group in `ungrouped`.
    pub(crate) fn reconcile(&mut self) {
        for group in 1..number(self.groups.len()) {
            if self.group_at(group).parents.is_empty() {
                self.connect(ALL, group);
            }
        }
        let mut leaves: HashSet<u32> = HashSet::new();
        for index in 0..number(self.hosts.len()) {
            let groups = &self.host_at(index).groups;
            let grouped = groups.iter().any(|group| !matches!(*group, ALL | UNGROUPED));
            let listed = groups.contains(&UNGROUPED);
            if grouped && listed {
                leaves.insert(index);
                self.hosts[index as usize].groups.retain(|group| *group != UNGROUPED);
            } else if !grouped && !listed {
                self.add_host(UNGROUPED, index);
            }
        }
        if !leaves.is_empty() {
            self.groups[UNGROUPED as usize].hosts.retain(|host| !leaves.contains(host));
        }
        self.measure_depths();
        self.members = HashSet::new();
        for group in self.groups.values_mut() {
            group.hosts.shrink_to_fit();
        }
        self.hosts.shrink_to_fit();
    }

    /// Each group's longest way from the top. There are no loops: a group is done when all its parents are.
    fn measure_depths(&mut self) {
        let mut waiting: Vec<usize> = self.groups.values().map(|group| group.parents.len()).collect();
        let mut ready: Vec<u32> = (0..number(waiting.len())).filter(|group| waiting[*group as usize] == 0).collect();
        while let Some(group) = ready.pop() {
            let below = self.group_at(group).depth + 1;
            for child in self.group_at(group).children.clone() {
                let depth = &mut self.groups[child as usize].depth;
                *depth = below.max(*depth);
                waiting[child as usize] -= 1;
                if waiting[child as usize] == 0 {
                    ready.push(child);
                }
            }
        }
    }

    /// The host's groups and all above them, in no order.
    pub(crate) fn groups_of(&self, host: &Host) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        let mut open: Vec<u32> = host.groups.clone();
        let mut seen = HashSet::new();
        while let Some(group) = open.pop() {
            if seen.insert(group) {
                found.push(group);
                open.extend(&self.group_at(group).parents);
            }
        }
        found
    }

    /// All hosts of a group: its own, then those of its children, then those of theirs.
    pub(crate) fn hosts_of(&self, group: u32) -> Vec<u32> {
        let mut hosts = Vec::new();
        let mut seen_hosts = vec![false; self.hosts.len()];
        let mut seen_groups = vec![false; self.groups.len()];
        let mut level = vec![group];
        while !level.is_empty() {
            let mut below = Vec::new();
            for group in level {
                if std::mem::replace(&mut seen_groups[group as usize], true) {
                    continue;
                }
                let group = self.group_at(group);
                below.extend(&group.children);
                for host in &group.hosts {
                    if !std::mem::replace(&mut seen_hosts[*host as usize], true) {
                        hosts.push(*host);
                    }
                }
            }
            level = below;
        }
        hosts
    }
}

/// No inventory holds four thousand million hosts: ranges, files and outputs are bounded.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_groups_is_named() {
        let mut graph = Graph::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| graph.group(name.into()));
        graph.adopt(a, b).unwrap();
        graph.adopt(b, c).unwrap();
        assert_eq!(graph.adopt(c, a).unwrap_err(), "groups in a loop: a > b > c > a");
        assert_eq!(graph.adopt(a, a).unwrap_err(), "the group \"a\" is a child of itself");
        graph.reconcile();
        assert_eq!([a, b, c].map(|group| graph.group_at(group).depth), [1, 2, 3]);
    }

    #[test]
    fn hosts_of_no_group_are_ungrouped() {
        let mut graph = Graph::new();
        let web = graph.group("web".into());
        let (one, _) = graph.host("one", 0);
        let (two, _) = graph.host("two", 0);
        graph.add_host(UNGROUPED, one);
        graph.add_host(web, one);
        graph.add_host(ALL, two);
        graph.reconcile();
        assert_eq!(graph.hosts_of(UNGROUPED), [two]);
        assert_eq!(graph.hosts_of(ALL), [two, one]);
        assert_eq!(graph.group_at(ALL).children, [UNGROUPED, web]);
    }
}
