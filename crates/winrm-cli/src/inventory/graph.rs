//! `--graph`: groups and hosts as a tree, as `ansible-inventory` draws it.

use winrm_fleet::inventory::Group;
use winrm_fleet::{Inventory, Value, Variables};

use super::{list, python};
use crate::failure::Failure;

pub(super) fn graph(inventory: &Inventory, group: Group<'_>, variables: bool, export: bool) -> Result<String, Failure> {
    let mut lines = Vec::new();
    Drawing {
        inventory,
        variables,
        export,
        lines: &mut lines,
    }
    .group(group, 0)?;
    Ok(lines.join("\n"))
}

struct Drawing<'d> {
    inventory: &'d Inventory,
    variables: bool,
    /// Whether variables stay at the groups that have them.
    export: bool,
    lines: &'d mut Vec<String>,
}

impl Drawing<'_> {
    fn group(&mut self, group: Group<'_>, depth: usize) -> Result<(), Failure> {
        self.line(&format!("@{}:", group.name()), depth);
        for child in group.children() {
            self.group(child, depth + 1)?;
        }
        if group.name() != "all" {
            for host in group.own_hosts() {
                self.line(host.name(), depth + 1);
                if self.variables {
                    let variables = list::variables(self.inventory, host, self.export)?;
                    self.variables(&variables, depth + 2);
                }
            }
        }
        if self.variables {
            let mut variables = group.variables()?;
            if group.priority() != 1 {
                let value = Value::Int(group.priority());
                let origin = winrm_fleet::Origin::Default;
                variables.insert("ansible_group_priority".into(), winrm_fleet::Variable { value, origin });
            }
            self.variables(&variables, depth + 1);
        }
        Ok(())
    }

    fn variables(&mut self, variables: &Variables, depth: usize) {
        let mut sorted: Vec<_> = variables.iter().filter(|(name, _)| !list::is_internal(name)).collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        for (name, variable) in sorted {
            self.line(&format!("{{{name} = {}}}", python::text(&variable.value)), depth);
        }
    }

    fn line(&mut self, text: &str, depth: usize) {
        self.lines.push(if depth == 0 {
            text.to_owned()
        } else {
            format!("{}--{text}", "  |".repeat(depth))
        });
    }
}
