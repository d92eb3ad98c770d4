//! What went wrong, in the library's words and as a type.

use core::fmt;

/// An error of this crate or of the GSSAPI library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No GSSAPI library could be opened.
    #[error(
        "no GSSAPI library for Kerberos on this machine (tried {}); install libgssapi-krb5-2 \
         (Debian, Ubuntu), krb5-libs (Fedora, RHEL), krb5 (Alpine, Arch); macOS has one built in",
        tried.join(", ")
    )]
    LibraryMissing {
        /// The file names that were tried.
        tried: Vec<String>,
        /// What the dynamic loader said about each of them.
        reasons: Vec<String>,
    },
    /// The library is there but lacks a function: another implementation, or too old a version.
    #[error("the GSSAPI library {library} has no function {function}")]
    FunctionMissing {
        /// The C name of the function.
        function: &'static str,
        /// The file name of the library.
        library: String,
    },
    /// A text contains a NUL byte, which C strings can't.
    #[error("{what} contains a NUL byte")]
    NulByte {
        /// Which text it is.
        what: &'static str,
    },
    /// A method was called that needs an established context, or a step after the last one.
    #[error("{0}")]
    State(&'static str),
    /// The library refused.
    #[error(transparent)]
    Status(#[from] Status),
}

impl Error {
    /// What kind of failure this is, as far as the codes tell.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::LibraryMissing { .. } => ErrorKind::LibraryMissing,
            Self::FunctionMissing { .. } => ErrorKind::Unsupported,
            Self::NulByte { .. } | Self::State(_) => ErrorKind::Other,
            Self::Status(status) => status.kind(),
        }
    }

    /// The status of the failed call, if a call of the library failed.
    #[must_use]
    pub fn as_status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No GSSAPI library is installed.
    LibraryMissing,
    /// The library can't do what was asked.
    Unsupported,
    /// There is no ticket and no key to get one with, or the cache does not exist.
    NoCredentials,
    /// The ticket has expired.
    CredentialsExpired,
    /// The KDC does not know the service principal.
    UnknownServer,
    /// The KDC does not know the client principal.
    UnknownClient,
    /// The password or key of the client is wrong.
    WrongPassword,
    /// The account is locked, disabled or expired, or its password has expired.
    AccountDisabled,
    /// The clocks of this machine and of the KDC or the peer differ too much.
    ClockSkew,
    /// No KDC answered.
    KdcUnreachable,
    /// No KDC is configured or found for the realm.
    UnknownRealm,
    /// The acceptor has no key for the ticket: wrong principal, key version or encryption type.
    NoKey,
    /// The channel bindings of the two sides differ.
    BadBindings,
    /// A signature is wrong: the message was altered, or made with another key.
    BadSignature,
    /// A message or authenticator came a second time.
    Replay,
    /// A message came out of order, or one before it is missing.
    OutOfSequence,
    /// A token is not what it should be.
    DefectiveToken,
    /// The context has expired.
    ContextExpired,
    /// A name can't be understood.
    BadName,
    /// Another failure: the texts of the [`Status`] tell.
    Other,
}

/// A failed call of the GSSAPI library: its codes and the texts it has for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub(crate) call: &'static str,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) major_text: String,
    pub(crate) minor_text: String,
}

/// Numbers of the `krb5` error table that MIT and Heimdal share; as `i32`.
mod krb5 {
    pub(super) const NAME_EXPIRED: i32 = -1_765_328_383;
    pub(super) const CLIENT_UNKNOWN: i32 = -1_765_328_378;
    pub(super) const SERVER_UNKNOWN: i32 = -1_765_328_377;
    pub(super) const CLIENT_REVOKED: i32 = -1_765_328_366;
    pub(super) const KEY_EXPIRED: i32 = -1_765_328_361;
    pub(super) const PREAUTH_FAILED: i32 = -1_765_328_360;
    pub(super) const SERVER_NOMATCH: i32 = -1_765_328_358;
    pub(super) const BAD_INTEGRITY: i32 = -1_765_328_353;
    pub(super) const TICKET_EXPIRED: i32 = -1_765_328_352;
    pub(super) const TICKET_NOT_YET_VALID: i32 = -1_765_328_351;
    pub(super) const REPEAT: i32 = -1_765_328_350;
    pub(super) const SKEW: i32 = -1_765_328_347;
    pub(super) const MODIFIED: i32 = -1_765_328_343;
    pub(super) const BAD_KVNO: i32 = -1_765_328_340;
    pub(super) const NO_KEY: i32 = -1_765_328_339;
    pub(super) const CACHE_NOT_FOUND: i32 = -1_765_328_243;
    pub(super) const WRONG_PRINCIPAL: i32 = -1_765_328_240;
    pub(super) const REALM_UNKNOWN: i32 = -1_765_328_230;
    pub(super) const KDC_UNREACHABLE: i32 = -1_765_328_228;
    pub(super) const KDC_REPLY_SKEW: i32 = -1_765_328_222;
    pub(super) const KEYTAB_NOT_FOUND: i32 = -1_765_328_203;
    pub(super) const CACHE_NO_FILE: i32 = -1_765_328_189;
    pub(super) const REALM_UNRESOLVED: i32 = -1_765_328_164;
    pub(super) const KEYTAB_KVNO_NOT_FOUND: i32 = -1_765_328_154;
}

impl Status {
    /// The C function that failed.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The major status: calling error, routine error and supplementary bits.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The mechanism's minor status. For Kerberos an error number of `libkrb5`, read as `i32`.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The library's text for the major status.
    #[must_use]
    pub fn major_text(&self) -> &str {
        &self.major_text
    }

    /// The library's text for the minor status; empty if it has none.
    #[must_use]
    pub fn minor_text(&self) -> &str {
        &self.minor_text
    }

    /// What kind of failure the codes stand for. The minor status is looked at first, being the
    /// more exact one: most Kerberos failures have the major status "unspecified failure".
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.minor.cast_signed() {
            krb5::CLIENT_UNKNOWN => return ErrorKind::UnknownClient,
            // On the way to another realm it is that realm's ticket-granting service.
            krb5::SERVER_UNKNOWN if self.minor_text.contains(" krbtgt/") => return ErrorKind::UnknownRealm,
            krb5::SERVER_UNKNOWN => return ErrorKind::UnknownServer,
            krb5::CLIENT_REVOKED | krb5::KEY_EXPIRED | krb5::NAME_EXPIRED => {
                return ErrorKind::AccountDisabled;
            }
            krb5::PREAUTH_FAILED => return ErrorKind::WrongPassword,
            krb5::TICKET_EXPIRED => return ErrorKind::CredentialsExpired,
            krb5::SKEW | krb5::TICKET_NOT_YET_VALID | krb5::KDC_REPLY_SKEW => return ErrorKind::ClockSkew,
            krb5::KDC_UNREACHABLE => return ErrorKind::KdcUnreachable,
            krb5::REALM_UNKNOWN | krb5::REALM_UNRESOLVED => return ErrorKind::UnknownRealm,
            krb5::CACHE_NO_FILE | krb5::CACHE_NOT_FOUND => return ErrorKind::NoCredentials,
            krb5::REPEAT => return ErrorKind::Replay,
            krb5::NO_KEY
            | krb5::BAD_KVNO
            | krb5::SERVER_NOMATCH
            | krb5::WRONG_PRINCIPAL
            | krb5::KEYTAB_NOT_FOUND
            | krb5::KEYTAB_KVNO_NOT_FOUND => return ErrorKind::NoKey,
            krb5::BAD_INTEGRITY | krb5::MODIFIED => return ErrorKind::BadSignature,
            _ => {}
        }
        match (self.major >> 16) & 0xff {
            1 | 16 => ErrorKind::Unsupported,
            2 | 3 => ErrorKind::BadName,
            4 => ErrorKind::BadBindings,
            6 => ErrorKind::BadSignature,
            7 => ErrorKind::NoCredentials,
            9 => ErrorKind::DefectiveToken,
            11 => ErrorKind::CredentialsExpired,
            12 => ErrorKind::ContextExpired,
            _ if self.major & crate::sys::ERROR_MASK != 0 => ErrorKind::Other,
            // No error, but supplementary bits this crate treats as one.
            _ if self.major & 0x6 != 0 => ErrorKind::Replay,
            _ if self.major & 0x18 != 0 => ErrorKind::OutOfSequence,
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "Unspecified GSS failure.  Minor code may provide more information" tells nobody
        // anything once the minor text is there.
        let vague = self.major & crate::sys::ROUTINE_ERROR_MASK == 13 << 16;
        if vague && !self.minor_text.is_empty() {
            return f.write_str(&self.minor_text);
        }
        f.write_str(self.major_text.trim_end())?;
        if !self.minor_text.is_empty() && self.minor != 0 {
            write!(f, " ({})", self.minor_text)?;
        }
        Ok(())
    }
}

impl core::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(major: u32, minor: i32) -> Status {
        Status {
            call: "gss_test",
            major,
            minor: minor.cast_unsigned(),
            major_text: "Unspecified GSS failure.  Minor code may provide more information".to_owned(),
            minor_text: "Clock skew too great".to_owned(),
        }
    }

    #[test]
    fn the_minor_code_is_more_exact_than_the_major_one() {
        assert_eq!(status(13 << 16, krb5::SKEW).kind(), ErrorKind::ClockSkew);
        assert_eq!(status(7 << 16, krb5::KDC_UNREACHABLE).kind(), ErrorKind::KdcUnreachable);
        assert_eq!(status(7 << 16, 0).kind(), ErrorKind::NoCredentials);
        assert_eq!(status(4 << 16, 0).kind(), ErrorKind::BadBindings);
        assert_eq!(status(0x2, 0).kind(), ErrorKind::Replay);
        assert_eq!(status(0x8, 0).kind(), ErrorKind::OutOfSequence);
    }

    #[test]
    fn a_vague_major_text_gives_way_to_the_minor_one() {
        assert_eq!(status(13 << 16, krb5::SKEW).to_string(), "Clock skew too great");
        assert_eq!(
            Status {
                major_text: "No credentials were supplied".to_owned(),
                ..status(7 << 16, -1)
            }
            .to_string(),
            "No credentials were supplied (Clock skew too great)"
        );
    }
}
