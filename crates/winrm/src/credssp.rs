//! What a client wants of CredSSP.

use std::fmt;
use std::str::FromStr;

use winrm_auth::credssp::{NEWEST_VERSION, OLDEST_VERSION};

use crate::error::{Error, ErrorKind};
use crate::transport::UnknownName;

/// How a client authenticates inside CredSSP, and what it takes.
///
/// | setting | where nothing is said |
/// |---|---|
/// | minimum version | 2, as of every host |
/// | mechanism | [`CredSspMechanism::Auto`] |
/// | TLS inside | 1.2 |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredSsp {
    minimum_version: u32,
    mechanism: CredSspMechanism,
    disable_tlsv1_2: bool,
}

impl Default for CredSsp {
    fn default() -> Self {
        Self {
            minimum_version: OLDEST_VERSION,
            mechanism: CredSspMechanism::default(),
            disable_tlsv1_2: false,
        }
    }
}

impl CredSsp {
    /// Kerberos or NTLM inside TLS 1.2, with hosts of every version.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses hosts that speak older versions of CredSSP than this, 2 to 6. From 5 on they have the mend for CVE-2018-0886, by which
    /// somebody in between can run commands as the user.
    #[must_use]
    pub fn minimum_version(mut self, version: u32) -> Self {
        self.minimum_version = version;
        self
    }

    /// What authenticates inside.
    #[must_use]
    pub fn mechanism(mut self, mechanism: CredSspMechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// TLS 1.0 inside CredSSP in place of 1.2, with whatever ciphers and keys it brings: for Windows Server 2008 and no others. The TLS of
    /// https is not concerned.
    #[must_use]
    pub fn disable_tlsv1_2(mut self, disable: bool) -> Self {
        self.disable_tlsv1_2 = disable;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if (OLDEST_VERSION..=NEWEST_VERSION).contains(&self.minimum_version) {
            return Ok(());
        }
        let message = format!("there is no version {} of CredSSP to be the least", self.minimum_version);
        Err(Error::new(ErrorKind::Configuration, message).with_hint(format!(
            "versions are {OLDEST_VERSION} to {NEWEST_VERSION}; 5 and later are safe from CVE-2018-0886"
        )))
    }

    pub(crate) fn least_version(&self) -> u32 {
        self.minimum_version
    }

    pub(crate) fn inner(&self) -> CredSspMechanism {
        self.mechanism
    }

    pub(crate) fn tls(&self) -> winrm_auth::credssp::InnerTlsVersion {
        if self.disable_tlsv1_2 {
            winrm_auth::credssp::InnerTlsVersion::Tls10
        } else {
            winrm_auth::credssp::InnerTlsVersion::Tls12
        }
    }
}

/// What authenticates inside CredSSP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredSspMechanism {
    /// Kerberos when a ticket can be had, NTLM otherwise.
    #[default]
    Auto,
    /// NTLM only.
    Ntlm,
    /// Kerberos only.
    Kerberos,
}

impl CredSspMechanism {
    const NAMES: [(Self, &'static str); 3] = [(Self::Auto, "auto"), (Self::Ntlm, "ntlm"), (Self::Kerberos, "kerberos")];
}

crate::transport::named!(CredSspMechanism, "mechanism of CredSSP");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_2_to_6() {
        for version in [0, 1, 7] {
            let error = CredSsp::new().minimum_version(version).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
        }
        assert!((2..=6).all(|version| CredSsp::new().minimum_version(version).check().is_ok()));
    }

    #[test]
    fn names_read_back() {
        for (mechanism, name) in CredSspMechanism::NAMES {
            assert_eq!((name.parse(), mechanism.to_string().as_str()), (Ok(mechanism), name));
        }
        assert_eq!(
            "basic".parse::<CredSspMechanism>().unwrap_err().to_string(),
            "\"basic\" is no mechanism of CredSSP; there are auto, ntlm, kerberos"
        );
    }
}
