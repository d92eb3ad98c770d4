//! Who accounts are: names to identifiers and back, as the host has them.

use std::collections::HashMap;

use winrm::sddl::{Alias, SecurityDescriptor, Sid, Trustee};
use winrm::{Client, ErrorKind, Resource};

use crate::failure::{Failure, Status};

const SCRIPT: &str = include_str!("accounts.ps1");

/// Where WMI keeps accounts: users and groups.
const CLASSES: [&str; 2] = ["Win32_UserAccount", "Win32_Group"];

/// What a host says about accounts.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    names: HashMap<Sid, String>,
    aliases: HashMap<&'static str, Sid>,
    /// The account that asks, and its groups; empty where the host didn't say.
    pub(crate) me: Vec<Trustee>,
}

/// An account that somebody has named.
#[derive(Debug)]
pub(crate) struct Account {
    /// All ways to name it: what a new entry gets first.
    pub(crate) identities: Vec<Trustee>,
    /// What people call it.
    pub(crate) name: String,
}

impl Accounts {
    /// Asks about all accounts of these descriptors, and about the account that asks. A host without PowerShell gives no answers:
    /// then identifiers stay what they are.
    pub(crate) async fn ask(client: &Client, descriptors: &[&SecurityDescriptor]) -> Self {
        let mut accounts = Self::default();
        let trustees: Vec<&Trustee> = descriptors.iter().flat_map(|descriptor| trustees(descriptor)).collect();
        let (mut sids, mut aliases) = (Vec::new(), Vec::new());
        for trustee in trustees {
            match trustee {
                Trustee::Sid(sid) => sids.push(sid.to_string()),
                Trustee::Alias(alias) if alias.sid().is_none() => aliases.push(alias.letters().to_owned()),
                Trustee::Alias(_) => {}
            }
        }
        for list in [&mut sids, &mut aliases] {
            list.sort_unstable();
            list.dedup();
        }
        let mut script = client.powershell(SCRIPT);
        script
            .param("Sids", sids.join("\n"))
            .param("Aliases", aliases.join("\n"))
            .switch("Me")
            .progress(false);
        let Ok(output) = script.output().await else { return accounts };
        for line in lines(&output.stdout) {
            match line {
                ("sid", sid, name) => drop(sid.parse().map(|sid| accounts.names.insert(sid, name.to_owned()))),
                ("alias", letters, sid) => {
                    if let (Some(alias), Ok(sid)) = (Alias::of_letters(letters), sid.parse()) {
                        accounts.aliases.insert(alias.letters(), sid);
                    }
                }
                ("me", _, sid) => accounts.me.extend(sid.parse::<Sid>().map(Trustee::Sid)),
                _ => {}
            }
        }
        // A domain's groups may stand in a descriptor by their letters.
        let by_letters: Vec<Trustee> = accounts.me.iter().filter_map(|one| accounts.alias_of(one)).collect();
        accounts.me.extend(by_letters);
        accounts
    }

    /// Who is meant by a name, or by an identifier.
    pub(crate) async fn find(&mut self, client: &Client, text: &str) -> Result<Account, Failure> {
        let trustee = if text.starts_with("S-1-") || text.starts_with("s-1-") {
            let sid: Sid = text
                .parse()
                .map_err(|error| Failure::configuration(format!("the account {text:?}")).because(error))?;
            Alias::of_sid(&sid).map_or(Trustee::Sid(sid), Trustee::Alias)
        } else if let Some(alias) = Alias::of_name(text) {
            Trustee::Alias(alias)
        } else {
            let sid = resolve(client, text).await?;
            self.names.entry(sid.clone()).or_insert_with(|| text.to_owned());
            Trustee::Sid(sid)
        };
        let name = self.name(&trustee).unwrap_or_else(|| text.to_owned());
        let alias = self.alias_of(&trustee);
        Ok(Account {
            identities: [trustee].into_iter().chain(alias).collect(),
            name,
        })
    }

    /// Takes an account for the one that asks, where its groups aren't known: what everybody is who has logged on is added.
    pub(crate) fn me_alone(&mut self, identities: Vec<Trustee>) {
        let everybody = ["WD", "AU", "NU"].into_iter().filter_map(Alias::of_letters).map(Trustee::from);
        self.me = identities.into_iter().chain(everybody).collect();
    }

    /// The letters of the machine or domain that stand for an identifier on this host.
    fn alias_of(&self, trustee: &Trustee) -> Option<Trustee> {
        let Trustee::Sid(sid) = trustee else { return None };
        let (letters, _) = self.aliases.iter().find(|(_, known)| *known == sid)?;
        Alias::of_letters(letters).map(Trustee::Alias)
    }

    /// What people call an account.
    pub(crate) fn name(&self, trustee: &Trustee) -> Option<String> {
        let sid = self.sid(trustee);
        let told = sid.as_ref().and_then(|sid| self.names.get(sid).cloned());
        told.or_else(|| trustee.well_known_name())
    }

    pub(crate) fn sid(&self, trustee: &Trustee) -> Option<Sid> {
        match trustee {
            Trustee::Alias(alias) => alias.sid().or_else(|| self.aliases.get(alias.letters()).cloned()),
            Trustee::Sid(sid) => Some(sid.clone()),
        }
    }
}

fn trustees(descriptor: &SecurityDescriptor) -> Vec<&Trustee> {
    let lists = [&descriptor.dacl, &descriptor.sacl];
    let entries = lists
        .into_iter()
        .flatten()
        .flat_map(|acl| &acl.entries)
        .map(winrm::sddl::Ace::trustee);
    entries.chain(&descriptor.owner).chain(&descriptor.group).collect()
}

fn lines(output: &[u8]) -> Vec<(&str, &str, &str)> {
    let text = std::str::from_utf8(output).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (what, rest) = line.split_once('\t')?;
            let (question, answer) = rest.split_once('\t')?;
            Some((what, question, answer.trim_end()))
        })
        .collect()
}

/// Asks the host: PowerShell as Windows itself does it, or else WMI.
async fn resolve(client: &Client, name: &str) -> Result<Sid, Failure> {
    if name.contains(['\t', '\r', '\n', '\0']) || name.is_empty() {
        return Err(Failure::configuration(format!("{name:?} can't be the name of an account")));
    }
    let mut script = client.powershell(SCRIPT);
    let asked = script.param("Names", name).progress(false).output().await;
    let mut why = None;
    match &asked {
        Ok(output) => {
            for line in lines(&output.stdout) {
                match line {
                    ("name", _, sid) => {
                        if let Ok(sid) = sid.parse() {
                            return Ok(sid);
                        }
                    }
                    ("unknown", ..) => return Err(unknown(name)),
                    ("failed", _, reason) => why = Some(crate::printer::plain(reason)),
                    _ => {}
                }
            }
        }
        Err(error) if matches!(error.kind(), ErrorKind::Fault | ErrorKind::Forbidden) => {}
        Err(_) => return asked.map_err(Failure::from).and_then(|_| Err(unknown(name))),
    }
    match by_wmi(client, name).await {
        Ok(Some(sid)) => Ok(sid),
        Ok(None) => Err(match why {
            Some(reason) => Failure::new(Status::Failed, format!("the host can't say who {name:?} is: {reason}"))
                .hint("give the account's identifier (S-1-5-…), as whoami /user prints it"),
            None => unknown(name),
        }),
        Err(error) => Err(Failure::from(error).about(&format!("who {name:?} is: "))),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(Status::Configuration, format!("the host knows no account {name:?}"))
        .hint("DOMAIN\\NAME for an account of a domain, NAME for one of the host; or its identifier (S-1-5-…)")
}

async fn by_wmi(client: &Client, name: &str) -> Result<Option<Sid>, winrm::Error> {
    let (domain, account) = match name.split_once('\\') {
        Some((domain, account)) if domain != "." => (Some(domain), account),
        Some((_, account)) => (None, account),
        None => (None, name),
    };
    // Without a domain the host's own accounts are meant: a whole domain's would be asked of its controller, one by one.
    let place = domain.map_or_else(
        || "LocalAccount = TRUE".to_owned(),
        |domain| format!("Domain = '{}'", escaped(domain)),
    );
    let mut trouble = None;
    for class in CLASSES {
        let Ok(resource) = Resource::parse("wmicimv2/*") else { continue };
        let query = format!("SELECT * FROM {class} WHERE {place} AND Name = '{}'", escaped(account));
        match client.wsman().enumerate(&resource).wql(query).collect().await {
            Ok(items) => {
                let sid = items.iter().find_map(|item| item.instance.as_ref()?.text("SID")?.parse().ok());
                if sid.is_some() {
                    return Ok(sid);
                }
            }
            // A host may lack one of the classes.
            Err(error) if error.kind() == ErrorKind::Fault => trouble = Some(error),
            Err(error) => return Err(error),
        }
    }
    match trouble {
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// In WQL a backslash escapes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
