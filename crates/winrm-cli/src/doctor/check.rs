//! What one look at something has found.

use serde_json::{Value, json};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// It works, and something about it is worth knowing.
    Warning,
    /// It keeps the user from something that was asked for.
    Problem,
    /// It was not looked at, for a reason that is said.
    Skipped,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Skipped => "skipped",
        }
    }
}

/// The areas in the order in which they are told: the part of an id in front of its dot, and the title.
pub(super) const AREAS: [(&str, &str); 9] = [
    ("name", "Name"),
    ("dns", "DNS"),
    ("port", "Ports"),
    ("clock", "Clocks"),
    ("tls", "TLS"),
    ("service", "Service"),
    ("kerberos", "Kerberos"),
    ("auth", "Authentication"),
    ("host", "Host"),
];

/// All checks. Their ids are stable: scripts look for them.
pub(super) const IDS: [&str; 38] = [
    "name.kind",
    "dns.forward",
    "dns.canonical",
    "dns.reverse",
    "port.proxy",
    "port.target",
    "port.5985",
    "port.5986",
    "clock.host",
    "clock.kdc",
    "tls.handshake",
    "tls.versions",
    "tls.chain",
    "tls.name",
    "tls.dates",
    "tls.binding",
    "service.answer",
    "service.identify",
    "service.mechanisms",
    "service.clear_text",
    "kerberos.library",
    "kerberos.config",
    "kerberos.realm",
    "kerberos.enctypes",
    "kerberos.kdc",
    "kerberos.account",
    "kerberos.ticket",
    "kerberos.canonical",
    "kerberos.spn",
    "kerberos.delegation",
    "auth.settings",
    "auth.basic",
    "auth.ntlm",
    "auth.negotiate",
    "auth.kerberos",
    "auth.credssp",
    "auth.certificate",
    "auth.binding",
];

/// The checks of what only those see who were let in.
pub(super) const HOST_IDS: [&str; 6] = [
    "host.access",
    "host.quotas",
    "host.shells",
    "host.powershell",
    "host.policy",
    "host.delegation",
];

/// What one look has found.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// One of [`IDS`] and [`HOST_IDS`].
    pub(super) id: &'static str,
    pub(super) verdict: Verdict,
    /// One sentence.
    pub(super) summary: String,
    /// What it was concluded from, a line each.
    pub(super) evidence: Vec<String>,
    /// The command or setting that mends it.
    pub(super) mend: Option<String>,
    /// The check whose problem is the reason for this one.
    pub(super) cause: Option<&'static str>,
}

impl Check {
    pub(super) fn new(id: &'static str, verdict: Verdict, summary: impl Into<String>) -> Self {
        debug_assert!(IDS.contains(&id) || HOST_IDS.contains(&id), "{id}");
        Self {
            id,
            verdict,
            summary: summary.into(),
            evidence: Vec::new(),
            mend: None,
            cause: None,
        }
    }

    pub(super) fn ok(id: &'static str, summary: impl Into<String>) -> Self {
        Self::new(id, Verdict::Ok, summary)
    }

    pub(super) fn warning(id: &'static str, summary: impl Into<String>) -> Self {
        Self::new(id, Verdict::Warning, summary)
    }

    pub(super) fn problem(id: &'static str, summary: impl Into<String>) -> Self {
        Self::new(id, Verdict::Problem, summary)
    }

    pub(super) fn skipped(id: &'static str, why: impl Into<String>) -> Self {
        Self::new(id, Verdict::Skipped, why)
    }

    /// Not looked at, since the reason is known already.
    pub(super) fn because(id: &'static str, cause: &'static str) -> Self {
        let mut check = Self::skipped(id, format!("{cause} is in the way"));
        check.cause = Some(cause);
        check
    }

    pub(super) fn caused_by(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    pub(super) fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    pub(super) fn area(&self) -> &'static str {
        self.id.split('.').next().unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "verdict": self.verdict.name(),
            "summary": self.summary,
            "evidence": self.evidence,
            "mend": self.mend,
            "cause": self.cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_an_area_and_is_documented() {
        let page = include_str!("../../../../docs/doctor.md");
        for id in IDS.iter().chain(&HOST_IDS) {
            let area = Check::ok(id, "").area();
            assert!(AREAS.iter().any(|(name, _)| *name == area), "{id}");
            assert!(page.contains(&format!("`{id}`")), "docs/doctor.md does not tell of {id}");
        }
    }
}
