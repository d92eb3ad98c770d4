//! Entries of a list: one account, and what it may or may not do. [MS-DTYP] 2.4.4

use std::fmt;
use std::ops::BitOr;

use super::error::SddlError;
use super::mask::AccessMask;
use super::reader::Reader;
use super::sid::Trustee;

/// An entry. It is written in the words it was read in.
#[derive(Debug, Clone)]
pub struct Ace {
    kind: AceKind,
    flags: AceFlags,
    mask: AccessMask,
    object: Option<String>,
    inherited_object: Option<String>,
    trustee: Trustee,
    condition: Option<String>,
    /// As it was read, without the parentheses.
    words: Option<String>,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AceKind {
    /// `A`
    Allow,
    /// `D`
    Deny,
    /// `AU`
    Audit,
    /// `AL`
    Alarm,
    /// `OA`: for one kind of object or property
    ObjectAllow,
    /// `OD`
    ObjectDeny,
    /// `OU`
    ObjectAudit,
    /// `OL`
    ObjectAlarm,
    /// `XA`: under a condition
    ConditionalAllow,
    /// `XD`
    ConditionalDeny,
    /// `XU`
    ConditionalAudit,
    /// `ZA`
    ConditionalObjectAllow,
    /// `ML`: an integrity label
    MandatoryLabel,
    /// `RA`: a named value of the object
    ResourceAttribute,
    /// `SP`: a central policy
    ScopedPolicy,
    /// `TL`: a trust label of processes
    ProcessTrustLabel,
    /// `FL`: a filter
    AccessFilter,
}

impl AceKind {
    /// With the letters and the number of each. [MS-DTYP] 2.4.4.1
    const NAMES: [(Self, &'static str, u8); 17] = [
        (Self::Allow, "A", 0x00),
        (Self::Deny, "D", 0x01),
        (Self::Audit, "AU", 0x02),
        (Self::Alarm, "AL", 0x03),
        (Self::ObjectAllow, "OA", 0x05),
        (Self::ObjectDeny, "OD", 0x06),
        (Self::ObjectAudit, "OU", 0x07),
        (Self::ObjectAlarm, "OL", 0x08),
        (Self::ConditionalAllow, "XA", 0x09),
        (Self::ConditionalDeny, "XD", 0x0a),
        (Self::ConditionalAudit, "XU", 0x0d),
        (Self::ConditionalObjectAllow, "ZA", 0x0b),
        (Self::MandatoryLabel, "ML", 0x11),
        (Self::ResourceAttribute, "RA", 0x12),
        (Self::ScopedPolicy, "SP", 0x13),
        (Self::ProcessTrustLabel, "TL", 0x14),
        (Self::AccessFilter, "FL", 0x15),
    ];

    /// `A`, `D`, `AU`…
    #[must_use]
    pub fn letters(self) -> &'static str {
        self.named().1
    }

    pub(super) fn number(self) -> u8 {
        self.named().2
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        Self::NAMES.into_iter().find(|(.., known)| *known == number).map(|(kind, ..)| kind)
    }

    fn of_letters(letters: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(_, known, _)| known.eq_ignore_ascii_case(letters))
            .map(|(kind, ..)| kind)
    }

    fn named(self) -> (Self, &'static str, u8) {
        Self::NAMES.into_iter().find(|(kind, ..)| *kind == self).unwrap_or(Self::NAMES[0])
    }

    /// Whether a condition has to stand behind the account.
    const fn wants_condition(self) -> bool {
        matches!(
            self,
            Self::ConditionalAllow | Self::ConditionalDeny | Self::ConditionalAudit | Self::ConditionalObjectAllow
        )
    }

    /// Whether something in parentheses may stand behind the account.
    pub(super) const fn may_have_condition(self) -> bool {
        self.wants_condition() || matches!(self, Self::ResourceAttribute | Self::AccessFilter)
    }

    pub(super) const fn is_of_objects(self) -> bool {
        matches!(
            self,
            Self::ObjectAllow | Self::ObjectDeny | Self::ObjectAudit | Self::ObjectAlarm | Self::ConditionalObjectAllow
        )
    }
}

/// How an entry is inherited, and what is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AceFlags(pub u8);

impl AceFlags {
    /// `OI`: objects inherit it.
    pub const OBJECT_INHERIT: Self = Self(0x01);
    /// `CI`: containers inherit it.
    pub const CONTAINER_INHERIT: Self = Self(0x02);
    /// `NP`: inherited, but not further.
    pub const NO_PROPAGATE: Self = Self(0x04);
    /// `IO`: it says nothing of the object itself.
    pub const INHERIT_ONLY: Self = Self(0x08);
    /// `ID`: it was inherited.
    pub const INHERITED: Self = Self(0x10);
    /// `SA`: successful access is recorded.
    pub const SUCCESS: Self = Self(0x40);
    /// `FA`: failed access is recorded.
    pub const FAILURE: Self = Self(0x80);

    /// In the order in which they are written. `CR` and `TP` are newer names of the same bits in other kinds of entries.
    const NAMES: [(Self, &'static str); 9] = [
        (Self::OBJECT_INHERIT, "OI"),
        (Self::CONTAINER_INHERIT, "CI"),
        (Self::NO_PROPAGATE, "NP"),
        (Self::INHERIT_ONLY, "IO"),
        (Self::INHERITED, "ID"),
        (Self::SUCCESS, "SA"),
        (Self::FAILURE, "FA"),
        (Self(0x20), "CR"),
        (Self(0x40), "TP"),
    ];
    /// How many of the names are written.
    const WRITTEN: usize = 8;

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut flags = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let name = rest.get(..2)?;
            flags = flags
                | Self::NAMES
                    .iter()
                    .find(|(_, known)| known.eq_ignore_ascii_case(name))
                    .map(|(flag, _)| *flag)?;
            rest = &rest[2..];
        }
        Some(flags)
    }
}

impl BitOr for AceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for AceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::NAMES[..Self::WRITTEN]
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .try_for_each(|(_, name)| f.write_str(name))
    }
}

impl Ace {
    /// An entry without conditions and object types.
    #[must_use]
    pub const fn new(kind: AceKind, flags: AceFlags, mask: AccessMask, trustee: Trustee) -> Self {
        Self {
            kind,
            flags,
            mask,
            object: None,
            inherited_object: None,
            trustee,
            condition: None,
            words: None,
        }
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> AceKind {
        self.kind
    }

    /// How it is inherited.
    #[must_use]
    pub const fn flags(&self) -> AceFlags {
        self.flags
    }

    /// Which rights it is about.
    #[must_use]
    pub const fn mask(&self) -> AccessMask {
        self.mask
    }

    /// Whom it is about.
    #[must_use]
    pub const fn trustee(&self) -> &Trustee {
        &self.trustee
    }

    /// The kind of object or property that it is limited to, a GUID.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The kind of object that inherits it, a GUID.
    #[must_use]
    pub fn inherited_object(&self) -> Option<&str> {
        self.inherited_object.as_deref()
    }

    /// The condition, or a resource's attribute, in its parentheses.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }

    /// Whether it was inherited: then it can only be changed where it comes from.
    #[must_use]
    pub const fn is_inherited(&self) -> bool {
        self.flags.contains(AceFlags::INHERITED)
    }

    /// The same entry about other rights, in words of its own.
    #[must_use]
    pub fn with_mask(&self, mask: AccessMask) -> Self {
        Self {
            mask,
            words: None,
            ..self.clone()
        }
    }

    /// The same entry in words of its own: flags and rights in the usual order.
    #[must_use]
    pub fn respelled(&self) -> Self {
        self.with_mask(self.mask)
    }

    pub(super) fn of_objects(self, object: Option<String>, inherited_object: Option<String>) -> Self {
        Self {
            object,
            inherited_object,
            ..self
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, SddlError> {
        const KIND: &str = "a kind of entry (A, D, AU, AL, OA, OD, OU, OL, XA, XD, XU, ZA, ML, RA, SP, TL, FL) and a ;";
        const FLAGS: &str = "flags of the entry (OI, CI, NP, IO, ID, SA, FA) and a ;";
        const RIGHTS: &str = "rights (GA, GR, GW, GX, RC, …, or a number) and a ;";
        const GUID: &str = "nothing or a GUID, and a ;";
        if !reader.take("(") {
            return Err(reader.expected("an entry in parentheses"));
        }
        let start = reader.position();
        let (place, text) = reader.field(KIND)?;
        let kind = AceKind::of_letters(text).ok_or_else(|| reader.expected_at(place, KIND))?;
        let (place, text) = reader.field(FLAGS)?;
        let flags = AceFlags::parse(text).ok_or_else(|| reader.expected_at(place, FLAGS))?;
        let (place, text) = reader.field(RIGHTS)?;
        let mask = AccessMask::parse(text).ok_or_else(|| reader.expected_at(place, RIGHTS))?;
        let mut guid = || {
            let (place, text) = reader.field(GUID)?;
            match text {
                "" => Ok(None),
                _ if is_guid(text) && kind.is_of_objects() => Ok(Some(text.to_owned())),
                _ if is_guid(text) => Err(reader.expected_at(place, "nothing: a GUID stands in entries of the kinds OA, OD, OU, OL, ZA")),
                _ => Err(reader.expected_at(place, GUID)),
            }
        };
        let (object, inherited_object) = (guid()?, guid()?);
        let trustee = reader.trustee()?;
        reader.skip_space();
        let condition = if reader.take(";") {
            reader.skip_space();
            let place = reader.position();
            if reader.rest().starts_with(')') && !kind.wants_condition() {
                None
            } else {
                let text = reader.parenthesised("a condition or an attribute in parentheses")?;
                if !kind.may_have_condition() {
                    return Err(reader.expected_at(place, "no condition: those stand in entries of the kinds XA, XD, XU, ZA, RA, FL"));
                }
                Some(text.to_owned())
            }
        } else if kind.wants_condition() {
            return Err(reader.expected("a ; and the condition in parentheses"));
        } else {
            None
        };
        reader.skip_space();
        let words = reader.since(start).to_owned();
        if !reader.take(")") {
            return Err(reader.expected("the ) that ends the entry"));
        }
        Ok(Self {
            kind,
            flags,
            mask,
            object,
            inherited_object,
            trustee,
            condition,
            words: Some(words),
        })
    }
}

/// Whether it is `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The meaning counts, not the words.
impl PartialEq for Ace {
    fn eq(&self, other: &Self) -> bool {
        let guids = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        (self.kind, self.flags, self.mask) == (other.kind, other.flags, other.mask)
            && self.trustee == other.trustee
            && self.condition == other.condition
            && guids(&self.object, &other.object)
            && guids(&self.inherited_object, &other.inherited_object)
    }
}

impl Eq for Ace {}

impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(words) = &self.words {
            return write!(f, "({words})");
        }
        write!(
            f,
            "({};{};{};{};{};{}",
            self.kind.letters(),
            self.flags,
            self.mask,
            self.object.as_deref().unwrap_or_default(),
            self.inherited_object.as_deref().unwrap_or_default(),
            self.trustee,
        )?;
        if let Some(condition) = &self.condition {
            write!(f, ";{condition}")?;
        }
        f.write_str(")")
    }
}
