//! What a server says when it refuses, [MS-CSSP] 2.2.1 `errorCode`: NTSTATUS ([MS-ERREF] 2.3) or the HRESULT of a security package
//! ([MS-ERREF] 2.1).

use std::fmt;

/// A server's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

const WRONG: &str = "check user and password; domain accounts are written DOMAIN\\user or user@domain, local ones without a domain";
const UNKNOWN: &str = "check user and password first; the status is Windows' own number for the reason ([MS-ERREF])";
const EXPIRED: &str = "set a new password on the host or in the domain first";
const ADMINISTRATOR: &str = "an administrator of the account has to change that";
const CLOCK: &str = "synchronise the clocks of this machine, the host and the domain";
const DOMAIN: &str = "the host has no working connection to its domain: is a domain controller up, is the host still a member?";
const DELEGATION: &str = "the host's group policy decides which accounts may delegate their credentials to it, and how";

/// Code, name, sentence, hint.
const KNOWN: [(u32, &str, &str, Option<&str>); 32] = [
    (0xC000_000D, "STATUS_INVALID_PARAMETER", "the host can't read a message", None),
    (
        0xC000_0022,
        "STATUS_ACCESS_DENIED",
        "access is denied",
        Some("the account may lack the right to log on to this host"),
    ),
    (
        0xC000_005E,
        "STATUS_NO_LOGON_SERVERS",
        "no domain controller answers the host",
        Some(DOMAIN),
    ),
    (0xC000_0064, "STATUS_NO_SUCH_USER", "there is no such account", Some(WRONG)),
    (0xC000_006A, "STATUS_WRONG_PASSWORD", "the password is wrong", Some(WRONG)),
    (0xC000_006D, "STATUS_LOGON_FAILURE", "user name or password is wrong", Some(WRONG)),
    (
        0xC000_006E,
        "STATUS_ACCOUNT_RESTRICTION",
        "the account may not log on like this",
        Some("empty passwords, for one, are for the host's own console only"),
    ),
    (
        0xC000_006F,
        "STATUS_INVALID_LOGON_HOURS",
        "the account may not log on at this hour",
        Some(ADMINISTRATOR),
    ),
    (
        0xC000_0070,
        "STATUS_INVALID_WORKSTATION",
        "the account may not log on to this host",
        Some(ADMINISTRATOR),
    ),
    (0xC000_0071, "STATUS_PASSWORD_EXPIRED", "the password has expired", Some(EXPIRED)),
    (
        0xC000_0072,
        "STATUS_ACCOUNT_DISABLED",
        "the account is disabled",
        Some(ADMINISTRATOR),
    ),
    (
        0xC000_00BB,
        "STATUS_NOT_SUPPORTED",
        "the host does not support this kind of credentials",
        None,
    ),
    (
        0xC000_0133,
        "STATUS_TIME_DIFFERENCE_AT_DC",
        "the clocks of the host and its domain controller differ",
        Some(CLOCK),
    ),
    (
        0xC000_015B,
        "STATUS_LOGON_TYPE_NOT_GRANTED",
        "the account lacks the right to log on like this",
        Some(ADMINISTRATOR),
    ),
    (
        0xC000_018B,
        "STATUS_NO_TRUST_SAM_ACCOUNT",
        "the domain does not know the host any more",
        Some(DOMAIN),
    ),
    (
        0xC000_018C,
        "STATUS_TRUSTED_DOMAIN_FAILURE",
        "the trust between the domains is broken",
        Some(DOMAIN),
    ),
    (
        0xC000_018D,
        "STATUS_TRUSTED_RELATIONSHIP_FAILURE",
        "the trust between the host and its domain is broken",
        Some(DOMAIN),
    ),
    (
        0xC000_0193,
        "STATUS_ACCOUNT_EXPIRED",
        "the account has expired",
        Some(ADMINISTRATOR),
    ),
    (
        0xC000_0224,
        "STATUS_PASSWORD_MUST_CHANGE",
        "the password has to be changed before the first logon",
        Some(EXPIRED),
    ),
    (
        0xC000_0234,
        "STATUS_ACCOUNT_LOCKED_OUT",
        "the account is locked after too many wrong passwords",
        Some("wait until the lock ends, or have an administrator unlock the account"),
    ),
    (
        0xC000_0388,
        "STATUS_DOWNGRADE_DETECTED",
        "the host can't reach the domain controller safely, or someone keeps it from that",
        Some(DOMAIN),
    ),
    (
        0xC000_0413,
        "STATUS_AUTHENTICATION_FIREWALL_FAILED",
        "the account is not allowed to authenticate with this host",
        Some(ADMINISTRATOR),
    ),
    (
        0xC000_0418,
        "STATUS_NTLM_BLOCKED",
        "the host takes no NTLM",
        Some("use Kerberos inside CredSSP: a user of the domain as user@REALM, and the host by its full name"),
    ),
    (0x8009_0303, "SEC_E_TARGET_UNKNOWN", "the target is unknown", None),
    (0x8009_0308, "SEC_E_INVALID_TOKEN", "the host can't read a token", None),
    (0x8009_030C, "SEC_E_LOGON_DENIED", "user name or password is wrong", Some(WRONG)),
    (
        0x8009_0311,
        "SEC_E_NO_AUTHENTICATING_AUTHORITY",
        "no domain controller answers the host",
        Some(DOMAIN),
    ),
    (
        0x8009_0322,
        "SEC_E_WRONG_PRINCIPAL",
        "the ticket is for another service",
        Some("connect by the name that the host has in its domain"),
    ),
    (0x8009_0324, "SEC_E_TIME_SKEW", "the clocks differ", Some(CLOCK)),
    (
        0x8009_0346,
        "SEC_E_BAD_BINDINGS",
        "the authentication belongs to another TLS connection",
        Some("something between here and the host ends TLS, or attacks"),
    ),
    (
        0x8009_035E,
        "SEC_E_DELEGATION_POLICY",
        "the policy forbids to delegate credentials to this host",
        Some(DELEGATION),
    ),
    (
        0x8009_035F,
        "SEC_E_POLICY_NLTM_ONLY",
        "the policy forbids to delegate credentials where NTLM is all that vouches for the host",
        Some(DELEGATION),
    ),
];

impl NtStatus {
    /// `STATUS_LOGON_FAILURE`: what a server says of a wrong user and of a wrong password, without telling which.
    pub const LOGON_FAILURE: Self = Self(0xC000_006D);
    /// `STATUS_ACCESS_DENIED`.
    pub const ACCESS_DENIED: Self = Self(0xC000_0022);
    /// `STATUS_INVALID_PARAMETER`.
    pub const INVALID_PARAMETER: Self = Self(0xC000_000D);
    /// `STATUS_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(0xC000_00BB);

    /// The name that [MS-ERREF] has for it, for the codes that a logon ends in.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|(_, name, ..)| *name)
    }

    /// What a person can do about it, in one sentence.
    pub fn hint(self) -> Option<&'static str> {
        self.known().map_or(Some(UNKNOWN), |(.., hint)| *hint)
    }

    fn known(self) -> Option<&'static (u32, &'static str, &'static str, Option<&'static str>)> {
        KNOWN.iter().find(|(code, ..)| *code == self.0)
    }
}

impl fmt::Display for NtStatus {
    /// `the password has expired (STATUS_PASSWORD_EXPIRED, 0xC0000071)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((code, name, sentence, _)) => write!(f, "{sentence} ({name}, {code:#010X})"),
            None => write!(f, "status {:#010X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sentences() {
        let text = |code| NtStatus(code).to_string();
        assert_eq!(
            text(0xC000_0234),
            "the account is locked after too many wrong passwords (STATUS_ACCOUNT_LOCKED_OUT, 0xC0000234)"
        );
        assert_eq!(text(0xC000_0193), "the account has expired (STATUS_ACCOUNT_EXPIRED, 0xC0000193)");
        assert_eq!(text(0xDEAD_BEEF), "status 0xDEADBEEF");
        assert_eq!((NtStatus::LOGON_FAILURE.hint(), NtStatus(1).hint()), (Some(WRONG), Some(UNKNOWN)));
        assert_eq!(NtStatus::ACCESS_DENIED.name(), Some("STATUS_ACCESS_DENIED"));
    }

    #[test]
    fn no_status_stands_twice() {
        for (index, (code, name, ..)) in KNOWN.iter().enumerate() {
            assert!(
                KNOWN[..index].iter().all(|(other, known, ..)| code != other && name != known),
                "{name}"
            );
        }
    }
}
