//! Who an account is for a security descriptor: its own identifier, and the groups that it is in.
//!
//! The service's accounts are administrators unless they are told to be operators: those are users of the machine and in the group
//! Remote Management Users, and may do what `RootSDDL` gives one of these, or themselves.

use std::sync::Arc;

use openssl::hash::{MessageDigest, hash};
use winrm_proto::sddl::{AccessMask, GenericMapping, SecurityDescriptor, Sid, Trustee};

use crate::users::Users;

/// What a request does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Get, Enumerate.
    Read,
    /// Put, Create, Delete.
    Write,
    /// Methods, and all that a shell does.
    Execute,
}

/// The accounts' identifiers.
pub(crate) struct Identities {
    /// What the identifiers of the machine's own accounts begin with.
    machine: Option<Sid>,
    users: Arc<Users>,
    operators: Vec<String>,
}

/// S-1-5, whose accounts Windows' own are.
const NT_AUTHORITY: u64 = 5;

/// Where the numbers of accounts begin that Windows didn't come with.
const FIRST_ACCOUNT: u32 = 1_000;

impl Identities {
    /// Those of this machine; `operators` are names of accounts as they are configured.
    pub(crate) fn new(machine: &str, users: Arc<Users>, operators: Vec<String>) -> Self {
        let digest = hash(MessageDigest::sha256(), machine.to_lowercase().as_bytes());
        let part = |index: usize| {
            let bytes = digest.as_ref().ok()?.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let numbers: Option<Vec<u32>> = [Some(21), part(0), part(1), part(2)].into_iter().collect();
        Self {
            machine: numbers.and_then(|numbers| Sid::new(NT_AUTHORITY, numbers)),
            users,
            operators,
        }
    }

    /// The identifier of an account: stable as long as the machine's name and the accounts in front of it are.
    pub(crate) fn sid(&self, account: &str) -> Option<Sid> {
        let listed = self.users.names().position(|name| same(&name, account));
        let number = match listed {
            Some(index) => FIRST_ACCOUNT + u32::try_from(index).ok()?,
            // A principal that only the KDC knows: the upper half of the numbers is for those.
            None => {
                let digest = hash(MessageDigest::sha256(), account.to_lowercase().as_bytes()).ok()?;
                u32::from_le_bytes(digest.get(..4)?.try_into().ok()?) | 0x8000_0000
            }
        };
        self.machine.as_ref()?.with(number)
    }

    pub(crate) fn is_administrator(&self, account: &str) -> bool {
        !self.operators.iter().any(|operator| same(operator, account))
    }

    /// Whether an account may do this.
    pub(crate) fn allows(&self, descriptor: &SecurityDescriptor, account: &str, right: Right) -> bool {
        let wanted = match right {
            Right::Read => AccessMask::GENERIC_READ,
            Right::Write => AccessMask::GENERIC_WRITE,
            Right::Execute => AccessMask::GENERIC_EXECUTE,
        };
        descriptor.allows(&self.of(account), wanted, &GenericMapping::WINRM)
    }

    /// All that an account is: itself, everyone, who has authenticated over the network, and its groups.
    pub(crate) fn of(&self, account: &str) -> Vec<Trustee> {
        let groups: &[(u64, &[u32])] = if self.is_administrator(account) {
            &[(NT_AUTHORITY, &[32, 544]), (NT_AUTHORITY, &[32, 545])]
        } else {
            // Users, Remote Management Users.
            &[(NT_AUTHORITY, &[32, 545]), (NT_AUTHORITY, &[32, 580])]
        };
        // Everyone, Authenticated Users, Network; Interactive is nobody who comes this way.
        let all: &[(u64, &[u32])] = &[(1, &[0]), (NT_AUTHORITY, &[11]), (NT_AUTHORITY, &[2])];
        let well_known = all
            .iter()
            .chain(groups)
            .filter_map(|(authority, numbers)| Sid::new(*authority, *numbers));
        self.sid(account).into_iter().chain(well_known).map(Trustee::Sid).collect()
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use winrm_auth::Credentials;

    use super::*;
    use crate::configuration::DEFAULT_ROOT_SDDL;

    fn identities() -> Identities {
        let mut users = Users::new();
        for name in ["alice", "bob"] {
            users.add(Credentials::parse(name, "x").unwrap());
        }
        Identities::new("host", Arc::new(users), vec!["bob".to_owned()])
    }

    #[test]
    fn administrators_may_do_what_windows_default_says_and_operators_nothing() {
        let (identities, default) = (identities(), DEFAULT_ROOT_SDDL.parse().unwrap());
        for right in [Right::Read, Right::Write, Right::Execute] {
            assert!(identities.allows(&default, "Alice", right));
            assert!(identities.allows(&default, "carol@REALM", right));
            assert!(!identities.allows(&default, "BOB", right));
        }
    }

    #[test]
    fn an_entry_for_an_account_or_its_group_is_enough_and_denials_win() {
        let identities = identities();
        let bob = identities.sid("bob").unwrap();
        let allows = |sddl: &str, right| identities.allows(&sddl.parse().unwrap(), "bob", right);
        assert!(allows(&format!("D:(A;;GXGR;;;{bob})"), Right::Execute));
        assert!(!allows(&format!("D:(A;;GXGR;;;{bob})"), Right::Write));
        assert!(allows("D:(A;;GXGR;;;S-1-5-32-580)", Right::Read));
        assert!(allows("D:(A;;GA;;;WD)", Right::Write));
        assert!(!allows(&format!("D:(D;;GX;;;{bob})(A;;GA;;;WD)"), Right::Execute));
        assert!(!allows("D:(A;;GR;;;IU)", Right::Read));
        assert!(!allows("D:", Right::Read));
    }

    #[test]
    fn identifiers_are_stable_and_apart() {
        let identities = identities();
        assert_eq!(identities.sid("alice"), identities.sid("ALICE"));
        assert!(identities.sid("alice").unwrap().to_string().ends_with("-1000"));
        assert!(identities.sid("bob").unwrap().to_string().ends_with("-1001"));
        assert_ne!(identities.sid("carol@X"), identities.sid("dave@X"));
    }
}
