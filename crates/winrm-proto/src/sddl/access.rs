//! What a descriptor means: who is let in, and how it is changed. [MS-DTYP] 2.5.3

use super::SecurityDescriptor;
use super::ace::{Ace, AceFlags, AceKind};
use super::acl::Acl;
use super::mask::AccessMask;
use super::sid::Trustee;

/// What the four generic rights mean for a kind of object. [MS-DTYP] 2.4.3, generic mapping
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenericMapping {
    /// What `GR` stands for.
    pub read: AccessMask,
    /// What `GW` stands for.
    pub write: AccessMask,
    /// What `GX` stands for.
    pub execute: AccessMask,
    /// What `GA` stands for.
    pub all: AccessMask,
}

impl GenericMapping {
    /// WinRM's descriptors, whose rights are the generic ones themselves: everything is reading, writing and executing.
    pub const WINRM: Self = Self {
        read: AccessMask::GENERIC_READ,
        write: AccessMask::GENERIC_WRITE,
        execute: AccessMask::GENERIC_EXECUTE,
        all: AccessMask(0xe000_0000),
    };

    /// WMI's namespaces: their rights are [`wmi`]'s.
    pub const WMI: Self = Self {
        read: wmi::ENABLE,
        write: AccessMask(wmi::FULL_WRITE.0 | wmi::PARTIAL_WRITE.0 | wmi::PROVIDER_WRITE.0),
        execute: wmi::EXECUTE_METHODS,
        all: AccessMask(0x000e_00ff),
    };

    /// The rights of an object that a mask stands for.
    #[must_use]
    pub fn rights(&self, mask: AccessMask) -> AccessMask {
        let generic = [
            (AccessMask::GENERIC_READ, self.read),
            (AccessMask::GENERIC_WRITE, self.write),
            (AccessMask::GENERIC_EXECUTE, self.execute),
            (AccessMask::GENERIC_ALL, self.all),
        ];
        let generics = generic.iter().fold(AccessMask::NONE, |all, (name, _)| all | *name);
        generic
            .iter()
            .filter(|(name, _)| mask.contains(*name))
            .fold(mask & !generics, |rights, (_, meaning)| rights | *meaning)
    }
}

/// The rights of WMI's namespaces, which share their bits with those of directories. "Namespace Access Rights Constants" of the WMI SDK
pub mod wmi {
    use super::AccessMask;

    /// "Enable Account": to read.
    pub const ENABLE: AccessMask = AccessMask(0x01);
    /// "Execute Methods"
    pub const EXECUTE_METHODS: AccessMask = AccessMask(0x02);
    /// "Full Write": classes and instances of the repository, and of the system's own classes
    pub const FULL_WRITE: AccessMask = AccessMask(0x04);
    /// "Partial Write": instances of the repository
    pub const PARTIAL_WRITE: AccessMask = AccessMask(0x08);
    /// "Provider Write": to give instances to providers
    pub const PROVIDER_WRITE: AccessMask = AccessMask(0x10);
    /// "Remote Enable": all of it over the network
    pub const REMOTE_ENABLE: AccessMask = AccessMask(0x20);
    /// To subscribe to events
    pub const SUBSCRIBE: AccessMask = AccessMask(0x40);
    /// To publish events
    pub const PUBLISH: AccessMask = AccessMask(0x80);
    /// "Read Security"
    pub const READ_SECURITY: AccessMask = AccessMask(0x0002_0000);
    /// "Edit Security"
    pub const EDIT_SECURITY: AccessMask = AccessMask(0x0004_0000);
}

/// Why a descriptor wasn't changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// An entry denies what is to be allowed, and denials come first.
    #[error("the entry {0} denies it, and denials win")]
    Denied(Box<Ace>),
    /// An entry that was inherited can only be changed where it comes from.
    #[error("the entry {0} is inherited: it can only be taken away where it comes from")]
    Inherited(Box<Ace>),
    /// An entry depends on a condition, and what is left of it would have to be decided by a person.
    #[error("the entry {0} has a condition or is limited to a kind of object, and is not changed by this")]
    Conditional(Box<Ace>),
    /// Without a list everybody may do everything, and there is nothing to take away.
    #[error("it has no list of entries: everybody may do everything")]
    NoList,
}

impl SecurityDescriptor {
    /// Whether somebody with these identities (the account and its groups) may do all of `wanted`.
    ///
    /// In doubt the answer is no: an entry that allows under a condition or for one kind of object doesn't count, one that denies so
    /// does. What an owner may always do (read and change the descriptor) isn't looked at.
    #[must_use]
    pub fn allows(&self, identities: &[Trustee], wanted: AccessMask, mapping: &GenericMapping) -> bool {
        let Some(dacl) = self.list() else { return true };
        let mut missing = mapping.rights(wanted);
        for entry in dacl.entries.iter().filter(|entry| is_of(entry, identities)) {
            let rights = mapping.rights(entry.mask());
            match entry.kind() {
                AceKind::Deny | AceKind::ObjectDeny | AceKind::ConditionalDeny if !(rights & missing).is_empty() => return false,
                AceKind::Allow => missing = missing & !rights,
                AceKind::ObjectAllow if entry.object().is_none() => missing = missing & !rights,
                _ => {}
            }
            if missing.is_empty() {
                return true;
            }
        }
        missing.is_empty()
    }

    /// Lets an account do all of `mask`, by an entry of its own. `account` are the ways to name that one account; a new entry gets the
    /// first of them. True if something changed.
    ///
    /// An entry of the account's that allows some of it is widened; otherwise the new entry stands behind the last one that isn't
    /// inherited, where Windows' own order wants it. All other entries stay as they are.
    ///
    /// # Errors
    /// An entry denies it to the account. Nothing is changed then.
    pub fn grant(&mut self, account: &[Trustee], mask: AccessMask, mapping: &GenericMapping) -> Result<bool, ChangeError> {
        let Some(first) = account.first() else { return Ok(false) };
        if self.list().is_none() {
            return Ok(false);
        }
        let wanted = mapping.rights(mask);
        let dacl = self.dacl.get_or_insert_default();
        let denied = dacl
            .entries
            .iter()
            .find(|entry| is_of(entry, account) && denies(entry) && !(mapping.rights(entry.mask()) & wanted).is_empty());
        if let Some(entry) = denied {
            return Err(ChangeError::Denied(Box::new(entry.clone())));
        }
        let has = dacl
            .entries
            .iter()
            .filter(|entry| is_of(entry, account) && entry.kind() == AceKind::Allow)
            .fold(AccessMask::NONE, |has, entry| has | mapping.rights(entry.mask()));
        if has.contains(wanted) {
            return Ok(false);
        }
        let own = dacl
            .entries
            .iter_mut()
            .find(|entry| entry.kind() == AceKind::Allow && entry.flags() == AceFlags::default() && account.contains(entry.trustee()));
        match own {
            Some(entry) => *entry = entry.with_mask(entry.mask() | mask),
            None => {
                let place = dacl.entries.iter().position(Ace::is_inherited).unwrap_or(dacl.entries.len());
                dacl.entries
                    .insert(place, Ace::new(AceKind::Allow, AceFlags::default(), mask, first.clone()));
            }
        }
        Ok(true)
    }

    /// Takes `mask` away from what an account's own entries allow; an entry with nothing left goes. True if something changed.
    ///
    /// What the account may do as a member of groups stays, and so do entries that deny.
    ///
    /// # Errors
    /// An entry that allows it is inherited, or depends on a condition; or there is no list. Nothing is changed then.
    pub fn revoke(&mut self, account: &[Trustee], mask: AccessMask, mapping: &GenericMapping) -> Result<bool, ChangeError> {
        if self.list().is_none() {
            return Err(ChangeError::NoList);
        }
        let Some(dacl) = &mut self.dacl else { return Ok(false) };
        let unwanted = mapping.rights(mask);
        let mut kept = Vec::with_capacity(dacl.entries.len());
        let mut changed = false;
        for entry in &dacl.entries {
            let rights = mapping.rights(entry.mask());
            let concerned = account.contains(entry.trustee()) && allows(entry) && !(rights & unwanted).is_empty();
            if !concerned {
                kept.push(entry.clone());
                continue;
            }
            if entry.is_inherited() {
                return Err(ChangeError::Inherited(Box::new(entry.clone())));
            }
            if entry.kind() != AceKind::Allow {
                return Err(ChangeError::Conditional(Box::new(entry.clone())));
            }
            changed = true;
            let left = rights & !unwanted;
            if !left.is_empty() {
                kept.push(entry.with_mask(left));
            }
        }
        dacl.entries = kept;
        Ok(changed)
    }

    /// The list that decides; `None` if everybody may do everything.
    fn list(&self) -> Option<&Acl> {
        self.dacl.as_ref().filter(|dacl| !dacl.flags.absent)
    }
}

/// Whether an entry is about one of these, and about the object itself.
fn is_of(entry: &Ace, identities: &[Trustee]) -> bool {
    !entry.flags().contains(AceFlags::INHERIT_ONLY) && identities.contains(entry.trustee())
}

fn denies(entry: &Ace) -> bool {
    matches!(entry.kind(), AceKind::Deny | AceKind::ObjectDeny | AceKind::ConditionalDeny)
}

fn allows(entry: &Ace) -> bool {
    matches!(
        entry.kind(),
        AceKind::Allow | AceKind::ObjectAllow | AceKind::ConditionalAllow | AceKind::ConditionalObjectAllow
    )
}
