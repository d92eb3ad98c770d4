//! Security descriptors and their text form, SDDL: who may do what.
//!
//! [MS-DTYP] 2.5.1 has the grammar. A descriptor that is read and written again says the same: an entry is kept in the words it was
//! read in (`GXGR` doesn't become `GRGX`), a condition or an attribute is kept letter by letter, and an alias that only a machine or a
//! domain can resolve stays an alias. What is put in order is the order of the four parts (owner, group, DACL, SACL), and white space
//! between entries goes.
//!
//! ```
//! use winrm_proto::sddl::{AccessMask, GenericMapping, SecurityDescriptor, Trustee};
//!
//! let mut root: SecurityDescriptor = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)".parse()?;
//! let operators: Trustee = "S-1-5-21-1-2-3-1104".parse()?;
//! let wanted = AccessMask::GENERIC_READ | AccessMask::GENERIC_EXECUTE;
//! assert!(!root.allows(&[operators.clone()], wanted, &GenericMapping::WINRM));
//!
//! root.grant(&[operators.clone()], wanted, &GenericMapping::WINRM)?;
//! assert!(root.allows(&[operators], wanted, &GenericMapping::WINRM));
//! assert_eq!(
//!     root.to_string(),
//!     "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)(A;;GRGX;;;S-1-5-21-1-2-3-1104)S:P(AU;FA;GA;;;WD)"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod ace;
mod acl;
mod alias;
mod binary;
mod error;
mod mask;
mod reader;
mod sid;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use access::{ChangeError, GenericMapping, wmi};
pub use ace::{Ace, AceFlags, AceKind};
pub use acl::{Acl, AclFlags};
pub use alias::{Alias, Authority};
pub use binary::BinaryError;
pub use error::SddlError;
pub use mask::AccessMask;
pub use sid::{Sid, Trustee};

use reader::Reader;

/// Texts beyond this many bytes are refused: a list of entries takes no more than 64 KiB in its binary form.
pub const MAX_TEXT: usize = 512 * 1024;

/// A security descriptor. [MS-DTYP] 2.4.6
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// Who owns the object.
    pub owner: Option<Trustee>,
    /// The owner's primary group, which Windows itself hardly looks at.
    pub group: Option<Trustee>,
    /// Who may do what. Without one everybody may do everything; with an empty one nobody may do anything.
    pub dacl: Option<Acl>,
    /// What is recorded, and labels.
    pub sacl: Option<Acl>,
}

impl FromStr for SecurityDescriptor {
    type Err = SddlError;

    /// # Errors
    /// A text that isn't SDDL; the error says where and what was expected there.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        if text.len() > MAX_TEXT {
            return Err(SddlError::too_long());
        }
        let mut reader = Reader::new(text);
        let mut descriptor = Self::default();
        loop {
            reader.skip_space();
            let place = reader.position();
            let Some(part) = reader.part()? else { return Ok(descriptor) };
            let twice = match part {
                'O' => descriptor.owner.replace(reader.trustee()?).is_some(),
                'G' => descriptor.group.replace(reader.trustee()?).is_some(),
                'D' => descriptor.dacl.replace(Acl::read(&mut reader)?).is_some(),
                _ => descriptor.sacl.replace(Acl::read(&mut reader)?).is_some(),
            };
            if twice {
                return Err(SddlError::twice(place, part));
            }
        }
    }
}

impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, trustee) in [('O', &self.owner), ('G', &self.group)] {
            if let Some(trustee) = trustee {
                write!(f, "{part}:{trustee}")?;
            }
        }
        for (part, acl) in [('D', &self.dacl), ('S', &self.sacl)] {
            if let Some(acl) = acl {
                write!(f, "{part}:{acl}")?;
            }
        }
        Ok(())
    }
}
