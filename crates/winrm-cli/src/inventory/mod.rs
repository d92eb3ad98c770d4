//! `winrm inventory`, and how every verb opens inventories.

mod explain;
mod graph;
mod list;
mod python;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use winrm_fleet::settings::{Flags, Key};
use winrm_fleet::vault::{PasswordSourceError, VaultId};
use winrm_fleet::{
    AnsibleConfig, ExtraError, HostTemplates, Inventory, InventoryError, LoadOptions, PatternError, Source, Value, Variable, Vault,
    extra_variables,
};

use crate::args::{ConnectionArguments, InventoryArguments, ShowArguments};
use crate::connection::{self, prompt};
use crate::failure::Failure;
use crate::printer;

/// Inventories, and what was read on the way to them.
pub(crate) struct Opened {
    pub(crate) inventory: Inventory,
    pub(crate) config: AnsibleConfig,
    pub(crate) vault: Vault,
}

/// Reads `ansible.cfg`, gets the vaults' passwords, and reads the inventories.
pub(crate) fn open(arguments: &InventoryArguments) -> Result<Opened, Failure> {
    let config = AnsibleConfig::find()?;
    warn(config.warnings());
    let vault = vault(arguments, &config)?;
    let sources = if arguments.inventory.is_empty() {
        config.inventory()
    } else {
        arguments.inventory.iter().map(|text| Source::parse(text)).collect()
    };
    let mut options = LoadOptions::default();
    options.vault = vault.clone();
    // As Ansible: where no playbook is, the working directory is its place.
    let named = arguments.playbook_dir.clone().or_else(|| config.playbook_dir());
    options.implied_playbook_dir = named.is_none();
    options.playbook_dir = Some(named.unwrap_or_else(|| PathBuf::from(".")));
    if let Some(extensions) = config.ignored_extensions() {
        options.ignore_extensions = extensions;
    }
    options.ignore_patterns = config.ignored_patterns();
    options.merge_maps = config.merges_maps();
    let inventory = Inventory::load(&sources, &options)?;
    warn(inventory.warnings());
    if sources.is_empty() {
        printer::warning("no inventory was given: there is only localhost");
    }
    Ok(Opened { inventory, config, vault })
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        printer::warning(warning);
    }
}

/// The passwords of `--vault-id`, `--vault-password-file`, `-J`, and of the configuration.
fn vault(arguments: &InventoryArguments, config: &AnsibleConfig) -> Result<Vault, Failure> {
    let here = Path::new(".");
    let mut ids: Vec<VaultId> = Vec::new();
    let beside = config.path().and_then(Path::parent).unwrap_or(here);
    ids.extend(config.vault_identities().iter().map(|text| VaultId::parse(text, beside)));
    ids.extend(arguments.vault_id.iter().map(|text| VaultId::parse(text, here)));
    ids.extend(arguments.vault_password_file.iter().map(|file| VaultId::file(file, here)));
    if arguments.ask_vault_pass {
        ids.push(VaultId::prompt());
    }
    if ids.is_empty()
        && let Some(file) = config.vault_password_file()
    {
        ids.push(VaultId::file(&file.to_string_lossy(), here));
    }
    let mut vault = Vault::new().match_ids(config.vault_id_match());
    for id in ids {
        let otherwise = "give --vault-password-file FILE";
        let mut ask = |question: &str| prompt(question, otherwise).map_err(|_| std::io::Error::other("there is no terminal to ask for it"));
        let password = id.password(&mut ask)?;
        vault = vault.with(id.id.clone(), password);
    }
    Ok(vault)
}

/// The templates of an opened inventory's hosts, `-e` over their variables.
pub(crate) fn templates(arguments: &InventoryArguments, inventory: Inventory, vault: Vault) -> Result<HostTemplates, Failure> {
    let extra = extra_variables(&arguments.extra_vars, &vault)?;
    Ok(HostTemplates::new(Arc::new(inventory), vault, extra))
}

/// What the flags say of the connection to an inventory's hosts, and below the variables the user of `ansible.cfg`.
pub(crate) fn flags(connection: &ConnectionArguments, config: &AnsibleConfig) -> Result<Flags, Failure> {
    let mut flags = connection::flags(connection)?;
    if let Some(user) = config.remote_user() {
        let variable = Variable {
            value: Value::Unsafe(user.value.as_str().into()),
            origin: user.origin,
        };
        flags.set_fallback(Key::User, "remote_user", variable);
    }
    Ok(flags)
}

impl From<ExtraError> for Failure {
    fn from(error: ExtraError) -> Self {
        let failure = Self::configuration(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

pub(crate) fn run(arguments: &ShowArguments, verbose: bool) -> Result<ExitCode, Failure> {
    let opened = open(&arguments.sources)?;
    if let Some(host) = &arguments.explain {
        return explain::explain(opened, arguments, host, verbose);
    }
    let inventory = &opened.inventory;
    if let Some(name) = &arguments.host {
        let selection = inventory.selection(name, &[])?;
        let [host] = selection.hosts[..] else {
            return Err(
                Failure::configuration(format!("--host takes one host, and {name:?} means {}", selection.hosts.len()))
                    .hint("--list prints them all"),
            );
        };
        printer::line(&list::host(inventory, host, arguments.export)?);
    } else if let Some(group) = &arguments.graph {
        let group = inventory.group(group).ok_or_else(|| {
            let names: Vec<&str> = inventory.groups().map(|group| group.name()).take(20).collect();
            Failure::configuration(format!("there is no group {group:?}")).hint(format!("there are: {}", names.join(", ")))
        })?;
        printer::line(&graph::graph(inventory, group, arguments.vars, arguments.export)?);
    } else {
        printer::line(&list::list(inventory, &arguments.sources.limit, arguments.export)?);
    }
    Ok(ExitCode::SUCCESS)
}

impl From<InventoryError> for Failure {
    fn from(error: InventoryError) -> Self {
        let message = match error.snippet() {
            Some(snippet) => format!("{error}\n{snippet}"),
            None => error.to_string(),
        };
        let failure = Self::configuration(message);
        let failure = match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PatternError> for Failure {
    fn from(error: PatternError) -> Self {
        let failure = Self::configuration(error.to_string());
        let failure = match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PasswordSourceError> for Failure {
    fn from(error: PasswordSourceError) -> Self {
        let hint = error.hint();
        let failure = Self::configuration("the vault's password").because(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
