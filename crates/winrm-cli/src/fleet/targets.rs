//! The hosts that a target names, and how each is reached.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use winrm::{Kerberos, RunAs, Secret};
use winrm_fleet::settings::Flags;
use winrm_fleet::{Attempt, Host, HostTemplates, Settings, Trouble};

use crate::args::{BecomeArguments, ConnectionArguments, InventoryArguments};
use crate::connection::{self, ManagedTickets};
use crate::failure::Failure;
use crate::inventory::{self, Opened};
use crate::{printer, proxy};

/// Hosts, and what they share.
pub(super) struct Targets {
    pub(super) hosts: Vec<Host>,
    /// What is odd about their settings.
    pub(super) warnings: Warnings,
    /// How many at once, by the configuration.
    pub(super) forks: Option<usize>,
    /// Removed with the run's end.
    _tickets: ManagedTickets,
}

/// Warnings about settings, each of which is said once, however many hosts it is about.
#[derive(Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    all: HashSet<String>,
    fresh: Vec<String>,
}

impl Warnings {
    fn add(&self, text: String) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.all.insert(text.clone()) {
            said.fresh.push(text);
        }
    }

    /// What has not been taken before.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).fresh)
    }
}

/// What the command line says about hosts.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) target: &'a str,
    pub(super) inventory: &'a InventoryArguments,
    pub(super) connection: &'a ConnectionArguments,
    /// What is said of the account that commands run as, where they do.
    pub(super) becoming: Option<&'a BecomeArguments>,
}

impl Named<'_> {
    fn flags(&self, mut flags: Flags) -> Result<Flags, Failure> {
        if let Some(becoming) = self.becoming {
            connection::set_become(&mut flags, becoming)?;
        }
        Ok(flags)
    }
}

/// Whether the target is a pattern of hosts of an inventory.
pub(super) fn is_inventory(arguments: &InventoryArguments) -> bool {
    !arguments.inventory.is_empty() || !arguments.limit.is_empty()
}

/// Whether a target without an inventory names several hosts.
pub(super) fn are_several(target: &str) -> bool {
    target.contains(',')
}

/// What makes clients out of settings, the same for all hosts.
struct Clients {
    password: Option<Secret>,
    proxy_password: Option<Secret>,
    /// Where commands run as another account: the password of the first host's.
    becoming: Option<Option<Secret>>,
    /// Those of domains: a password that one host has refused is not tried on the next.
    known: Mutex<Vec<RunAs>>,
    kerberos: Kerberos,
    warnings: Warnings,
}

impl Clients {
    fn attempts(&self, mut settings: Settings) -> Result<Vec<Attempt>, Trouble> {
        if let Some(password) = &self.proxy_password
            && settings.asks_password_of_proxy().is_some()
        {
            settings.set_proxy_password(password.clone());
        }
        for warning in settings.warnings() {
            self.warnings.add(warning.to_string());
        }
        let user = settings.user().map(|user| user.value.clone());
        if let Some(user) = settings.asks_password_of().filter(|_| self.password.is_none()) {
            return Err(Trouble::settings(format!("there is no password of {user}")).with_hint("-k asks for one, once for all hosts"));
        }
        let run_as = self.run_as(&settings)?;
        let ways = settings
            .ways(self.password.as_ref(), &self.kerberos, false)
            .map_err(|error| trouble(error.into()))?;
        Ok(ways
            .into_iter()
            .map(|way| {
                let attempt = Attempt::new(way.builder, way.transport).run_as(run_as.clone());
                match &user {
                    Some(user) => attempt.user(user),
                    None => attempt,
                }
            })
            .collect())
    }

    fn run_as(&self, settings: &Settings) -> Result<Option<RunAs>, Trouble> {
        let Some(password) = &self.becoming else { return Ok(None) };
        let mut run_as = settings.run_as(password.as_ref()).map_err(|error| trouble(error.into()))?;
        if let Some(account) = run_as.as_mut().filter(|account| account.is_of_domain()) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.iter().any(|other| account.share_trial(other)) {
                known.push(account.clone());
            }
        }
        Ok(run_as)
    }
}

impl Targets {
    /// The hosts of an inventory if there is one, else those of a list.
    pub(super) fn of(named: Named<'_>, inventoried: Option<Inventoried>) -> Result<Self, Failure> {
        match inventoried {
            None => Self::typed(named),
            Some(inventoried) => Self::from_inventory(inventoried, named),
        }
    }

    /// The hosts of an inventory that a pattern means.
    fn from_inventory(inventoried: Inventoried, named: Named<'_>) -> Result<Self, Failure> {
        let warnings = Warnings::default();
        let selected = inventoried.templates.inventory().selection(named.target, &named.inventory.limit)?;
        for part in selected.unmatched {
            warnings.add(format!("{part:?} matches neither a host nor a group"));
        }
        let names: Vec<Arc<str>> = selected.hosts.iter().map(|host| host.name().into()).collect();
        let forks = inventoried.forks;
        let first = names.first().and_then(|name| inventoried.settings(name).ok());
        let tickets = ManagedTickets::default();
        let clients = Clients {
            password: ask(first.as_ref())?,
            proxy_password: ask_for_proxy(first.as_ref(), named.connection)?,
            becoming: ask_to_become(named, first.as_ref())?,
            known: Mutex::default(),
            kerberos: tickets.kerberos(),
            warnings: warnings.clone(),
        };
        let recipe = Arc::new(move |host: &str| clients.attempts(inventoried.settings(host).map_err(trouble)?));
        Ok(Self {
            hosts: names.into_iter().map(|name| Host::new(name, recipe.clone())).collect(),
            warnings,
            forks,
            _tickets: tickets,
        })
    }

    /// Hosts that are named one by one, with commas.
    fn typed(named: Named<'_>) -> Result<Self, Failure> {
        let (target, connection) = (named.target, named.connection);
        let mut names: Vec<&str> = target.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(*name));
        let first = names
            .first()
            .ok_or_else(|| Failure::configuration(format!("{target:?} names no host")))?;
        let flags = named.flags(connection::flags(connection)?)?;
        let first = connection::typed(first, flags.clone()).ok();
        let tickets = ManagedTickets::default();
        let warnings = Warnings::default();
        let clients = Clients {
            password: ask(first.as_ref())?,
            proxy_password: ask_for_proxy(first.as_ref(), connection)?,
            becoming: ask_to_become(named, first.as_ref())?,
            known: Mutex::default(),
            kerberos: tickets.kerberos(),
            warnings: warnings.clone(),
        };
        let recipe = Arc::new(move |host: &str| clients.attempts(connection::typed(host, flags.clone()).map_err(trouble)?));
        Ok(Self {
            hosts: names.into_iter().map(|name| Host::new(name, recipe.clone())).collect(),
            warnings,
            forks: None,
            _tickets: tickets,
        })
    }
}

/// An inventory, and what goes over it.
pub(super) struct Inventoried {
    templates: HostTemplates,
    flags: Flags,
    /// How many hosts at once, by the configuration.
    forks: Option<usize>,
}

impl Inventoried {
    /// Reads the inventory, if there is one, and asks for what the flags say is to be asked.
    pub(super) fn load(named: Named<'_>) -> Result<Option<Self>, Failure> {
        if !is_inventory(named.inventory) {
            return Ok(None);
        }
        let Opened { inventory, config, vault } = inventory::open(named.inventory)?;
        Ok(Some(Self {
            templates: inventory::templates(named.inventory, inventory, vault)?,
            flags: named.flags(inventory::flags(named.connection, &config)?)?,
            forks: config.forks(),
        }))
    }

    /// Whether this is a host's own name, and not that of a group as well.
    pub(super) fn is_host(&self, name: &str) -> bool {
        let inventory = self.templates.inventory();
        inventory.host(name).is_some() && inventory.group(name).is_none()
    }

    pub(super) fn settings(&self, name: &str) -> Result<Settings, Failure> {
        let templar = self
            .templates
            .of(name)?
            .ok_or_else(|| Failure::configuration(format!("the inventory has no host {name:?}")))?;
        Ok(Settings::resolve(name, &templar, &self.flags, self.templates.extra())?)
    }
}

/// Hosts and their settings, for verbs that look at these themselves. Nobody is asked for a password but by `--ask-pass`.
pub(crate) struct Described {
    names: Vec<String>,
    source: DescribedBy,
}

enum DescribedBy {
    Inventory(Box<Inventoried>),
    Flags(Box<Flags>),
}

impl Described {
    pub(crate) fn of(target: &str, inventory: &InventoryArguments, connection: &ConnectionArguments) -> Result<Self, Failure> {
        let named = Named {
            target,
            inventory,
            connection,
            becoming: None,
        };
        if let Some(inventoried) = Inventoried::load(named)? {
            let selected = inventoried.templates.inventory().selection(target, &inventory.limit)?;
            for part in &selected.unmatched {
                printer::warning(&format!("{part:?} matches neither a host nor a group"));
            }
            let names = selected.hosts.iter().map(|host| host.name().to_owned()).collect();
            let source = DescribedBy::Inventory(Box::new(inventoried));
            return Ok(Self { names, source });
        }
        let mut seen = HashSet::new();
        let names = target
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty() && seen.insert(*name));
        Ok(Self {
            names: names.map(str::to_owned).collect(),
            source: DescribedBy::Flags(Box::new(connection::flags(connection)?)),
        })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// How a host is reached. May run programs, for templates and vaults.
    pub(crate) fn settings(&self, name: &str) -> Result<Settings, Failure> {
        match &self.source {
            DescribedBy::Inventory(inventoried) => inventoried.settings(name),
            DescribedBy::Flags(flags) => connection::typed(name, (**flags).clone()),
        }
    }
}

/// Asks for the password that all hosts share, where the first of them needs one: before anything begins, and once.
fn ask(first: Option<&Settings>) -> Result<Option<Secret>, Failure> {
    let Some(user) = first.and_then(Settings::asks_password_of) else {
        return Ok(None);
    };
    let otherwise = format!("give --connection-password-file FILE, or set {}", connection::PASSWORD_VARIABLE);
    connection::prompt(&format!("Password of {user} at all hosts: "), &otherwise).map(Some)
}

/// The same for the account to become, where commands are to run.
fn ask_to_become(named: Named<'_>, first: Option<&Settings>) -> Result<Option<Option<Secret>>, Failure> {
    match (named.becoming, first) {
        (None, _) => Ok(None),
        (Some(_), None) => Ok(Some(None)),
        (Some(_), Some(first)) => connection::ask_to_become(first).map(Some),
    }
}

fn trouble(failure: Failure) -> Trouble {
    let (message, hint) = failure.into_parts();
    let trouble = Trouble::settings(message);
    match hint {
        Some(hint) => trouble.with_hint(hint),
        None => trouble,
    }
}

/// The same for the proxy's password.
fn ask_for_proxy(first: Option<&Settings>, connection: &ConnectionArguments) -> Result<Option<Secret>, Failure> {
    match first.and_then(Settings::asks_password_of_proxy) {
        Some(proxy) => proxy::password(proxy, &connection.proxy).map(Some),
        None => Ok(None),
    }
}
