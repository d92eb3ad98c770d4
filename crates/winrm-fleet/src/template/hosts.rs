//! The templates of an inventory's hosts: each sees its own variables, the extra ones over them, and all other hosts.

use std::sync::Arc;

use super::{Surroundings, Templar};
use crate::inventory::{Inventory, InventoryError};
use crate::value::{Value, Variables};
use crate::vault::Vault;

/// Makes a [`Templar`] for each host of an inventory. Clones are cheap.
#[derive(Clone, Debug)]
pub struct HostTemplates {
    hosts: Arc<Hosts>,
    vault: Vault,
}

#[derive(Debug)]
struct Hosts {
    inventory: Arc<Inventory>,
    extra: Variables,
}

impl HostTemplates {
    /// For an inventory; `extra` goes over all its variables.
    #[must_use]
    pub fn new(inventory: Arc<Inventory>, vault: Vault, extra: Variables) -> Self {
        Self {
            hosts: Arc::new(Hosts { inventory, extra }),
            vault,
        }
    }

    /// The inventory.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.hosts.inventory
    }

    /// The variables that go over all others.
    #[must_use]
    pub fn extra(&self) -> &Variables {
        &self.hosts.extra
    }

    /// The templates of a host; `None` where the inventory has no such host.
    ///
    /// # Errors
    /// A file in `group_vars` or `host_vars` that can't be read.
    pub fn of(&self, host: &str) -> Result<Option<Templar>, InventoryError> {
        let Some(variables) = self.hosts.variables(host)? else {
            return Ok(None);
        };
        let templar = Templar::new(variables, self.vault.clone());
        Ok(Some(templar.surroundings(self.hosts.clone(), host)))
    }
}

impl Hosts {
    fn variables(&self, host: &str) -> Result<Option<Variables>, InventoryError> {
        let Some(host) = self.inventory.host(host) else {
            return Ok(None);
        };
        let mut variables = self.inventory.variables(host)?;
        for (name, variable) in &self.extra {
            variables.insert(name.clone(), variable.clone());
        }
        Ok(Some(variables))
    }
}

impl Surroundings for Hosts {
    fn variables_of(&self, host: &str) -> Option<Arc<Variables>> {
        match self.variables(host) {
            Ok(variables) => variables.map(Arc::new),
            Err(error) => {
                tracing::warn!(host, %error, "this host's variables can't be read");
                None
            }
        }
    }

    fn hosts(&self) -> Vec<Arc<str>> {
        self.inventory.hosts().map(|host| host.name().into()).collect()
    }

    fn magic(&self, host: &str, name: &str) -> Option<Value> {
        let text = |text: &str| Value::String(text.into());
        let host = self.inventory.host(host)?;
        match name {
            "inventory_hostname" => Some(text(host.name())),
            "inventory_hostname_short" => Some(text(host.short_name())),
            "group_names" => Some(Value::List(
                self.inventory.group_names(host).into_iter().map(Value::String).collect(),
            )),
            // The list of all hosts takes a while where there are many.
            "groups" | "inventory_dir" | "inventory_file" => self.inventory.magic_variables(host).swap_remove(name),
            _ => None,
        }
    }
}
