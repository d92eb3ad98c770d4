//! `Win32_UserAccount` and `Win32_Group`: who may log on to the service, and by which identifiers security descriptors name them.

use std::sync::Arc;

use winrm_proto::instance::Instance;

use super::{CimCaller, CimClass, CimError, or_nil, printable};
use crate::identities::Identities;
use crate::users::Users;

/// The service's accounts.
pub(crate) struct UserAccounts {
    machine: String,
    users: Arc<Users>,
    identities: Arc<Identities>,
}

impl UserAccounts {
    pub(crate) fn new(machine: &str, users: Arc<Users>, identities: Arc<Identities>) -> Self {
        Self {
            machine: machine.to_owned(),
            users,
            identities,
        }
    }
}

impl CimClass for UserAccounts {
    fn name(&self) -> &str {
        "Win32_UserAccount"
    }

    fn keys(&self) -> &[&str] {
        &["Domain", "Name"]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        let describe = |account: String| {
            let (domain, name) = match account.split_once('\\') {
                Some((domain, name)) => (domain, name),
                None => (self.machine.as_str(), account.as_str()),
            };
            Instance::default()
                .with("AccountType", 512_u32)
                .with("Caption", printable(&format!("{domain}\\{name}")))
                .with("Disabled", false)
                .with("Domain", printable(domain))
                .with("LocalAccount", !account.contains('\\'))
                .with("Name", printable(name))
                .with("SID", or_nil(self.identities.sid(&account).map(|sid| sid.to_string())))
                // A user.
                .with("SIDType", 1_u32)
                .with("Status", "OK")
        };
        Ok(self.users.names().map(describe).collect())
    }
}

/// The groups that accounts of the service are in.
pub(crate) struct Groups {
    machine: String,
}

impl Groups {
    pub(crate) fn new(machine: &str) -> Self {
        Self {
            machine: machine.to_owned(),
        }
    }
}

impl CimClass for Groups {
    fn name(&self) -> &str {
        "Win32_Group"
    }

    fn keys(&self) -> &[&str] {
        &["Domain", "Name"]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        let groups = [
            ("Administrators", "S-1-5-32-544"),
            ("Users", "S-1-5-32-545"),
            ("Remote Management Users", "S-1-5-32-580"),
        ];
        let describe = |(name, sid): (&str, &str)| {
            Instance::default()
                .with("Caption", format!("{}\\{name}", self.machine))
                .with("Domain", self.machine.as_str())
                .with("LocalAccount", true)
                .with("Name", name)
                .with("SID", sid)
                // An alias.
                .with("SIDType", 4_u32)
                .with("Status", "OK")
        };
        Ok(groups.into_iter().map(describe).collect())
    }
}
