//! `--list` and `--host`: JSON, as `ansible-inventory` prints it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use winrm_fleet::inventory::{Group, Host};
use winrm_fleet::{Inventory, PatternError, Variables};

use super::python::Json;
use crate::failure::Failure;

/// Names that Ansible makes itself; it leaves them out whoever says them.
const INTERNAL: [&str; 33] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "groups",
    "group_names",
    "hostvars",
    "playbook_dir",
    "play_hosts",
    "role_name",
    "role_names",
    "role_path",
    "role_uuid",
];

/// One host's variables.
pub(super) fn host(inventory: &Inventory, host: &Host, export: bool) -> Result<String, Failure> {
    Ok(Json::Map(shown(&variables(inventory, host, export)?, false)).dump())
}

/// All groups and hosts.
pub(super) fn list(inventory: &Inventory, limit: &[String], export: bool) -> Result<String, Failure> {
    let hosts = match inventory.select("all", limit) {
        Ok(hosts) => hosts,
        // Without a limit that is an inventory without hosts, which may be listed; with one, nothing is left.
        Err(PatternError::NoHosts { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut walk = Walk {
        available: hosts.iter().map(|host| host.name()).collect(),
        seen: HashSet::new(),
        export,
        groups: BTreeMap::new(),
    };
    if let Some(all) = inventory.group("all") {
        walk.group(all)?;
    }
    let mut known = BTreeMap::new();
    for host in &hosts {
        let variables = shown(&variables(inventory, host, export)?, true);
        if !variables.is_empty() {
            known.insert(host.name().into(), Json::Map(variables));
        }
    }
    let meta = [
        ("hostvars".into(), Json::Map(known)),
        ("profile".into(), Json::text("inventory_legacy")),
    ];
    walk.groups.insert("_meta".into(), Json::Map(meta.into()));
    Ok(Json::Map(walk.groups).dump())
}

pub(super) fn variables(inventory: &Inventory, host: &Host, export: bool) -> Result<Variables, Failure> {
    Ok(if export {
        inventory.own_variables(host)?
    } else {
        inventory.variables(host)?
    })
}

/// Variables as they are shown.
fn shown(variables: &Variables, marked: bool) -> BTreeMap<Arc<str>, Json> {
    variables
        .iter()
        .filter(|(name, _)| !is_internal(name))
        .map(|(name, variable)| (name.clone(), Json::of(&variable.value, marked)))
        .collect()
}

pub(super) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

struct Walk<'i> {
    available: HashSet<&'i str>,
    seen: HashSet<&'i str>,
    export: bool,
    groups: BTreeMap<Arc<str>, Json>,
}

impl<'i> Walk<'i> {
    /// A group, and those below it; what is empty is left out.
    fn group(&mut self, group: Group<'i>) -> Result<(), Failure> {
        let mut parts: BTreeMap<Arc<str>, Json> = BTreeMap::new();
        let mut children = Vec::new();
        for child in group.children() {
            children.push(Json::text(child.name()));
            if self.seen.insert(child.name()) {
                self.group(child)?;
            }
        }
        if !children.is_empty() {
            parts.insert("children".into(), Json::List(children));
        }
        if group.name() != "all" {
            let hosts: Vec<Json> = group
                .own_hosts()
                .map(Host::name)
                .filter(|name| self.available.contains(name))
                .map(Json::text)
                .collect();
            if !hosts.is_empty() {
                parts.insert("hosts".into(), Json::List(hosts));
            }
        }
        if self.export {
            let mut variables = shown(&group.variables()?, true);
            if group.priority() != 1 {
                let priority = winrm_fleet::Value::Int(group.priority());
                variables.insert("ansible_group_priority".into(), Json::of(&priority, true));
            }
            if !variables.is_empty() {
                parts.insert("vars".into(), Json::Map(variables));
            }
        }
        if !parts.is_empty() {
            self.groups.insert(group.name().into(), Json::Map(parts));
        }
        Ok(())
    }
}
