//! What would keep WinRM from taking a certificate, and what to do about it.

use std::fmt;
use std::time::SystemTime;

use super::inspection::{Inspection, Instant, KeyKind};
use super::{AlternativeName, Usage};

/// What a certificate is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A client that authenticates with it.
    Client,
    /// The https listener of a host.
    Server,
    /// An authority that signs either.
    Authority,
}

impl Purpose {
    /// What the certificate itself says.
    #[must_use]
    pub fn of(inspection: &Inspection) -> Self {
        let usages = inspection.usages.iter().flatten().flatten();
        let (mut client, mut server) = (false, false);
        for usage in usages {
            client |= *usage == Usage::ClientAuthentication;
            server |= *usage == Usage::ServerAuthentication;
        }
        match (client || inspection.upns().next().is_some(), server) {
            (false, true) => Self::Server,
            (false, false) if inspection.authority == Ok(true) => Self::Authority,
            _ => Self::Client,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Authority => "authority",
        })
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It won't work.
    Error,
    /// It may not work, or not for long.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something that is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as a sentence without a point.
    pub what: String,
    /// What to do about it.
    pub mend: &'static str,
}

/// The seconds in which an end is near: 30 days.
const SOON: i64 = 30 * 86_400;

struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, what: impl Into<String>, mend: &'static str) {
        self.add(Severity::Error, what, mend);
    }

    fn warning(&mut self, what: impl Into<String>, mend: &'static str) {
        self.add(Severity::Warning, what, mend);
    }

    fn add(&mut self, severity: Severity, what: impl Into<String>, mend: &'static str) {
        self.0.push(Finding {
            severity,
            what: what.into(),
            mend,
        });
    }
}

impl Inspection {
    /// What is wrong with the certificate for this purpose at this time, the worst first.
    #[must_use]
    pub fn findings(&self, purpose: Purpose, now: SystemTime) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        self.validity(now.into(), &mut findings);
        self.strength(&mut findings);
        let unreadable = [
            self.names.as_ref().err(),
            self.usages.as_ref().err(),
            self.key_usage.as_ref().err(),
            self.authority.as_ref().err(),
        ];
        for error in unreadable.into_iter().flatten() {
            findings.error(error.to_string(), "have it issued anew");
        }
        match purpose {
            Purpose::Client => self.client(&mut findings),
            Purpose::Server => self.server(&mut findings),
            Purpose::Authority => {}
        }
        findings.0.sort_by_key(|finding| finding.severity != Severity::Error);
        findings.0
    }

    fn validity(&self, now: Instant, findings: &mut Findings) {
        if self.not_after < now {
            findings.error(format!("it has expired on {}", self.not_after), "make or order a new one");
        } else if self.not_after.0 - now.0 < SOON {
            findings.warning(format!("it expires soon, on {}", self.not_after), "make or order a new one in time");
        }
        if self.not_before > now {
            findings.error(
                format!("it is not valid before {}", self.not_before),
                "wait, or check the clocks of this machine and of the one that made it",
            );
        }
    }

    fn strength(&self, findings: &mut Findings) {
        let mend = "make a new one with an RSA key of at least 2048 bits and SHA-256";
        match &self.key {
            KeyKind::Rsa(bits) | KeyKind::RsaPss(bits) if *bits < 2_048 => {
                findings.error(format!("its RSA key has only {bits} bits"), mend);
            }
            KeyKind::RsaPss(_) => findings.warning(
                "its key is for RSA-PSS alone, which Windows before Server 2019 can't use in TLS",
                mend,
            ),
            KeyKind::Rsa(_) => {}
            KeyKind::Ec(curve) if ["prime256v1", "secp384r1"].contains(&curve.as_str()) => {}
            KeyKind::Ec(curve) if curve == "secp521r1" => {
                findings.warning("its curve P-521 is off by default in Windows' TLS", "use P-256 or P-384");
            }
            other => findings.error(
                format!("Windows' TLS does not take keys of the kind {other}"),
                "use RSA, or P-256 or P-384",
            ),
        }
        if self.weak_signature {
            findings.error(format!("its signature ({}) can be forged", self.signature), mend);
        }
    }

    fn client(&self, findings: &mut Findings) {
        let new = "make one with: winrm cert new --upn USER@localhost --out PREFIX";
        if let Ok(names) = &self.names {
            match self.upns().count() {
                0 => findings.error("it has no user principal name, by which Windows maps it to an account", new),
                1 => {}
                count => findings.error(format!("it has {count} user principal names: which account it means is open"), new),
            }
            for name in names {
                if let AlternativeName::InvalidUpn(error) = name {
                    findings.error(format!("its user principal name can't be used: {error}"), new);
                }
            }
        }
        if let Ok(usages) = &self.usages
            && !usages.iter().flatten().any(|usage| *usage == Usage::ClientAuthentication)
        {
            findings.error("its extended key usage has no client authentication", new);
        }
        if let Ok(Some(usage)) = &self.key_usage
            && !usage.contains(&"digitalSignature")
        {
            findings.error("its key usage has no digital signature, which TLS clients need", new);
        }
        if self.authority == Ok(true) {
            findings.warning(
                "it may sign other certificates: whoever has its key can make certificates of other users",
                "use one without CA:TRUE for clients",
            );
        }
    }

    fn server(&self, findings: &mut Findings) {
        if let Ok(usages) = &self.usages
            && !usages.iter().flatten().any(|usage| *usage == Usage::ServerAuthentication)
        {
            findings.error(
                "its extended key usage has no server authentication: Windows refuses it for a listener",
                "have it issued anew with the usage server authentication",
            );
        }
        if let Ok(names) = &self.names
            && !names
                .iter()
                .any(|name| matches!(name, AlternativeName::Dns(_) | AlternativeName::Ip(_)))
        {
            findings.error(
                "it names no host among its alternative names, and clients look at nothing else",
                "have it issued anew with the names of the host (subjectAltName)",
            );
        }
    }
}
