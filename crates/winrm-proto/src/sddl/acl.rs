//! Lists of entries. [MS-DTYP] 2.4.5

use std::fmt;

use super::ace::Ace;
use super::error::SddlError;
use super::reader::Reader;

/// A list of entries, in the order in which they are evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// How it stands to inheritance.
    pub flags: AclFlags,
    /// The entries.
    pub entries: Vec<Ace>,
}

/// What is said of a list as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AclFlags {
    /// `P`: nothing is inherited.
    pub protected: bool,
    /// `AR`: objects below are asked to inherit anew.
    pub inherit_required: bool,
    /// `AI`: inheritance has been worked out.
    pub inherited: bool,
    /// `NO_ACCESS_CONTROL`: there is no list, and everybody may do everything.
    pub absent: bool,
}

impl Acl {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, SddlError> {
        let mut acl = Self::default();
        loop {
            reader.skip_space();
            // The longer name first: no other begins like it.
            let flag = if reader.take("NO_ACCESS_CONTROL") {
                &mut acl.flags.absent
            } else if reader.take("AR") {
                &mut acl.flags.inherit_required
            } else if reader.take("AI") {
                &mut acl.flags.inherited
            } else if reader.take("P") {
                &mut acl.flags.protected
            } else {
                break;
            };
            *flag = true;
        }
        loop {
            reader.skip_space();
            let place = reader.position();
            if reader.rest().starts_with('(') {
                if acl.flags.absent {
                    return Err(reader.expected_at(place, "no entries behind NO_ACCESS_CONTROL"));
                }
                acl.entries.push(Ace::read(reader)?);
            } else if reader.rest().is_empty() || reader.rest().get(1..2) == Some(":") {
                return Ok(acl);
            } else if acl.entries.is_empty() {
                return Err(reader.expected("flags (P, AR, AI, NO_ACCESS_CONTROL), an entry in parentheses, or the next part"));
            } else {
                return Err(reader.expected("an entry in parentheses, or the next part"));
            }
        }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AclFlags {
            protected,
            inherit_required,
            inherited,
            absent,
        } = self.flags;
        for (set, name) in [
            (protected, "P"),
            (inherit_required, "AR"),
            (inherited, "AI"),
            (absent, "NO_ACCESS_CONTROL"),
        ] {
            if set {
                f.write_str(name)?;
            }
        }
        self.entries.iter().try_for_each(|entry| entry.fmt(f))
    }
}
