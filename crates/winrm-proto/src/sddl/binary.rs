//! The binary form of a descriptor, self-relative, the way WMI hands it over. [MS-DTYP] 2.4.2.2, 2.4.4, 2.4.5, 2.4.6

use std::fmt::Write as _;

use super::SecurityDescriptor;
use super::ace::{Ace, AceFlags, AceKind};
use super::acl::{Acl, AclFlags};
use super::alias::Alias;
use super::mask::AccessMask;
use super::sid::{Sid, Trustee};

const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;
/// The bits of the DACL for P, AR and AI; the SACL's are twice as much.
const PROTECTED: u16 = 0x1000;
const INHERIT_REQUIRED: u16 = 0x0100;
const INHERITED: u16 = 0x0400;
const HEADER: usize = 20;
const LIST_HEADER: usize = 8;

/// Why bytes aren't a descriptor that can be read, or a descriptor can't be written as bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// Something reaches beyond the end, or contradicts itself.
    #[error("{0} at byte {1} of the descriptor is cut off or contradicts itself")]
    Malformed(&'static str, usize),
    /// An entry of a kind whose contents can't be kept here.
    #[error("the entry at byte {1} of the descriptor is of kind {0:#04x}, which can't be kept unchanged")]
    Kind(u8, usize),
    /// An alias that only the host can resolve.
    #[error("nobody here knows whom {} stands for", .0.letters())]
    Unresolved(Alias),
    /// It doesn't fit into the lengths that the form has.
    #[error("it is longer than a security descriptor can be")]
    TooLong,
}

impl SecurityDescriptor {
    /// Reads the binary form.
    ///
    /// The bits that tell that a part was made by default are dropped, as SDDL does.
    ///
    /// # Errors
    /// Bytes that are cut off or contradict themselves, and entries with conditions and attributes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BinaryError> {
        let header = piece(bytes, 0, HEADER, "the header")?;
        let control = u16_at(header, 2);
        if header[0] != 1 || control & SELF_RELATIVE == 0 {
            return Err(BinaryError::Malformed("the header", 0));
        }
        let part = |place: usize| match u32_at(header, place) as usize {
            0 => None,
            offset => Some(offset),
        };
        let sid = |place| part(place).map(|offset| Ok(named(read_sid(bytes, offset)?.0))).transpose();
        let list = |present: u16, place, factor: u16| {
            if control & present == 0 {
                return Ok(None);
            }
            let mut acl = part(place).map_or_else(
                || {
                    Ok(Acl {
                        flags: AclFlags {
                            absent: true,
                            ..AclFlags::default()
                        },
                        entries: Vec::new(),
                    })
                },
                |offset| read_list(bytes, offset),
            )?;
            acl.flags.protected = control & (PROTECTED * factor) != 0;
            acl.flags.inherit_required = control & (INHERIT_REQUIRED * factor) != 0;
            acl.flags.inherited = control & (INHERITED * factor) != 0;
            Ok(Some(acl))
        };
        Ok(Self {
            owner: sid(4)?,
            group: sid(8)?,
            dacl: list(DACL_PRESENT, 16, 1)?,
            sacl: list(SACL_PRESENT, 12, 2)?,
        })
    }

    /// Writes the binary form; `resolve` knows the aliases of the machine and its domain.
    ///
    /// # Errors
    /// An alias that `resolve` doesn't know, an entry with a condition or an attribute, and lists beyond 64 KiB.
    pub fn to_bytes(&self, resolve: impl Fn(Alias) -> Option<Sid>) -> Result<Vec<u8>, BinaryError> {
        let mut control = SELF_RELATIVE;
        let mut bytes = vec![0; HEADER];
        for (place, trustee) in [(4, &self.owner), (8, &self.group)] {
            if let Some(trustee) = trustee {
                point(&mut bytes, place)?;
                write_sid(&resolved(trustee, &resolve)?, &mut bytes);
            }
        }
        for (place, acl, present, factor) in [(12, &self.sacl, SACL_PRESENT, 2), (16, &self.dacl, DACL_PRESENT, 1)] {
            let Some(acl) = acl else { continue };
            control |= present;
            for (set, bit) in [
                (acl.flags.protected, PROTECTED),
                (acl.flags.inherit_required, INHERIT_REQUIRED),
                (acl.flags.inherited, INHERITED),
            ] {
                control |= if set { bit * factor } else { 0 };
            }
            if !acl.flags.absent {
                point(&mut bytes, place)?;
                write_list(acl, &resolve, &mut bytes)?;
            }
        }
        bytes[0] = 1;
        bytes[2..4].copy_from_slice(&control.to_le_bytes());
        Ok(bytes)
    }
}

/// Sets an offset of the header to where the next part begins.
fn point(bytes: &mut [u8], place: usize) -> Result<(), BinaryError> {
    let offset = u32::try_from(bytes.len()).map_err(|_| BinaryError::TooLong)?;
    bytes[place..place + 4].copy_from_slice(&offset.to_le_bytes());
    Ok(())
}

/// Two letters where there are some that mean the same everywhere: people read those.
fn named(sid: Sid) -> Trustee {
    Alias::of_sid(&sid).map_or(Trustee::Sid(sid), Trustee::Alias)
}

fn resolved(trustee: &Trustee, resolve: impl Fn(Alias) -> Option<Sid>) -> Result<Sid, BinaryError> {
    match trustee {
        Trustee::Sid(sid) => Ok(sid.clone()),
        Trustee::Alias(alias) => alias.sid().or_else(|| resolve(*alias)).ok_or(BinaryError::Unresolved(*alias)),
    }
}

fn piece<'b>(bytes: &'b [u8], offset: usize, length: usize, what: &'static str) -> Result<&'b [u8], BinaryError> {
    offset
        .checked_add(length)
        .and_then(|end| bytes.get(offset..end))
        .ok_or(BinaryError::Malformed(what, offset))
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([bytes[place], bytes[place + 1]])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]])
}

/// An identifier and how many bytes it takes.
fn read_sid(bytes: &[u8], offset: usize) -> Result<(Sid, usize), BinaryError> {
    const WHAT: &str = "the identifier";
    let head = piece(bytes, offset, 8, WHAT)?;
    let count = usize::from(head[1]);
    let authority = head[2..8].iter().fold(0, |authority, byte| authority << 8 | u64::from(*byte));
    let numbers = piece(bytes, offset + 8, count * 4, WHAT)?;
    let numbers: Vec<u32> = numbers.chunks_exact(4).map(|number| u32_at(number, 0)).collect();
    let sid = Sid::new(authority, numbers).filter(|_| head[0] == 1);
    Ok((sid.ok_or(BinaryError::Malformed(WHAT, offset))?, 8 + count * 4))
}

fn write_sid(sid: &Sid, bytes: &mut Vec<u8>) {
    let count = u8::try_from(sid.sub_authorities().len()).unwrap_or(u8::MAX);
    bytes.extend([1, count]);
    bytes.extend(&sid.authority().to_be_bytes()[2..]);
    for number in sid.sub_authorities() {
        bytes.extend(number.to_le_bytes());
    }
}

fn read_list(bytes: &[u8], offset: usize) -> Result<Acl, BinaryError> {
    const WHAT: &str = "the list";
    let head = piece(bytes, offset, LIST_HEADER, WHAT)?;
    let (size, count) = (usize::from(u16_at(head, 2)), u16_at(head, 4));
    let list = piece(bytes, offset, size, WHAT)?;
    let mut acl = Acl::default();
    let mut place = LIST_HEADER;
    for _ in 0..count {
        let head = piece(list, place, 4, "the entry").map_err(|_| BinaryError::Malformed("the entry", offset + place))?;
        let size = usize::from(u16_at(head, 2));
        let entry = piece(list, place, size, "the entry").map_err(|_| BinaryError::Malformed("the entry", offset + place))?;
        acl.entries.push(read_entry(entry, offset + place)?);
        place += size;
    }
    Ok(acl)
}

fn read_entry(entry: &[u8], offset: usize) -> Result<Ace, BinaryError> {
    let malformed = |_| BinaryError::Malformed("the entry", offset);
    let head = piece(entry, 0, 8, "").map_err(malformed)?;
    let kind = AceKind::of_number(head[0]).filter(|kind| !kind.may_have_condition());
    let kind = kind.ok_or(BinaryError::Kind(head[0], offset))?;
    let mut place = 8;
    let mut guids = [None, None];
    if kind.is_of_objects() {
        let present = u32_at(piece(entry, place, 4, "").map_err(malformed)?, 0);
        place += 4;
        for (index, guid) in guids.iter_mut().enumerate() {
            if present & 1 << index != 0 {
                *guid = Some(read_guid(piece(entry, place, 16, "").map_err(malformed)?));
                place += 16;
            }
        }
    }
    let (sid, length) = read_sid(entry, place).map_err(malformed)?;
    // Windows fills up to a multiple of four; anything else behind the identifier belongs to kinds that aren't read here.
    if entry[place + length..].iter().any(|byte| *byte != 0) {
        return Err(BinaryError::Malformed("the entry", offset));
    }
    let [object, inherited_object] = guids;
    Ok(Ace::new(kind, AceFlags(head[1]), AccessMask(u32_at(head, 4)), named(sid)).of_objects(object, inherited_object))
}

fn write_list(acl: &Acl, resolve: impl Fn(Alias) -> Option<Sid>, bytes: &mut Vec<u8>) -> Result<(), BinaryError> {
    let start = bytes.len();
    // [MS-DTYP] 2.4.5: entries of objects need revision 4.
    let revision = if acl.entries.iter().any(|entry| entry.kind().is_of_objects()) {
        4
    } else {
        2
    };
    let count = u16::try_from(acl.entries.len()).map_err(|_| BinaryError::TooLong)?;
    bytes.extend([revision, 0, 0, 0]);
    bytes.extend(count.to_le_bytes());
    bytes.extend([0, 0]);
    for entry in &acl.entries {
        let kind = entry.kind();
        let number = kind.number();
        let entry_start = bytes.len();
        if kind.may_have_condition() {
            return Err(BinaryError::Kind(number, entry_start));
        }
        bytes.extend([number, entry.flags().0, 0, 0]);
        bytes.extend(entry.mask().0.to_le_bytes());
        if kind.is_of_objects() {
            let guids = [entry.object(), entry.inherited_object()];
            let present = u32::from(guids[0].is_some()) | u32::from(guids[1].is_some()) << 1;
            bytes.extend(present.to_le_bytes());
            guids.iter().flatten().for_each(|guid| write_guid(guid, bytes));
        }
        write_sid(&resolved(entry.trustee(), &resolve)?, bytes);
        length_of(bytes, entry_start)?;
    }
    length_of(bytes, start)
}

/// Puts the length of what begins at `start` into its third and fourth byte.
fn length_of(bytes: &mut [u8], start: usize) -> Result<(), BinaryError> {
    let length = u16::try_from(bytes.len() - start).map_err(|_| BinaryError::TooLong)?;
    bytes[start + 2..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The order of a GUID's bytes in memory: the first three numbers are little-endian. [MS-DTYP] 2.3.4.2
const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

fn read_guid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, place) in GUID_ORDER.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String can't fail.
        let _ = write!(text, "{:02x}", bytes[place]);
    }
    text
}

fn write_guid(text: &str, bytes: &mut Vec<u8>) {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    let written: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.extend(GUID_ORDER.iter().filter_map(|place| written.get(*place)));
}
