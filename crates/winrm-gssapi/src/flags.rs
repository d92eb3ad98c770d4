//! Context flags.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign};

/// What is asked of a security context, and what it turned out to have ([RFC 2744] 5.19
/// `req_flags`/`ret_flags`). Bits without a name here are kept.
///
/// [RFC 2744]: https://www.rfc-editor.org/rfc/rfc2744#section-5.19
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// `GSS_C_DELEG_FLAG`: forward the initiator's ticket to the acceptor.
    pub const DELEGATE: Self = Self(0x1);
    /// `GSS_C_MUTUAL_FLAG`: the acceptor proves itself too (AP-REP).
    pub const MUTUAL: Self = Self(0x2);
    /// `GSS_C_REPLAY_FLAG`: repeated messages are noticed.
    pub const REPLAY: Self = Self(0x4);
    /// `GSS_C_SEQUENCE_FLAG`: messages out of order are noticed.
    pub const SEQUENCE: Self = Self(0x8);
    /// `GSS_C_CONF_FLAG`: messages can be encrypted.
    pub const CONFIDENTIALITY: Self = Self(0x10);
    /// `GSS_C_INTEG_FLAG`: messages can be signed.
    pub const INTEGRITY: Self = Self(0x20);
    /// `GSS_C_CHANNEL_BOUND_FLAG`: the acceptor saw channel bindings of the initiator and they
    /// match its own. The only way to know that an initiator sent any: MIT accepts a context
    /// without bindings even where the acceptor gave some.
    pub const CHANNEL_BOUND: Self = Self(0x800);
    /// `GSS_C_DELEG_POLICY_FLAG`: forward the ticket only to services the KDC marks as trusted.
    pub const DELEGATE_BY_POLICY: Self = Self(0x8000);

    /// No flag at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// The flags of a number in GSSAPI's own encoding.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number in GSSAPI's own encoding.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#x})", self.0)
    }
}
