//! One host under examination: what is known of it so far, and what was found.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use winrm::{Client, ClientBuilder, Endpoint, Kerberos, Probe, Scheme, Secret, TicketSource};
use winrm_auth::kinit::TicketCache;
use winrm_fleet::Settings;
use winrm_fleet::settings::Method;

use super::accounts::Accounts;
use super::check::{Check, HOST_IDS, IDS, Verdict};
use super::{access, authentication, kerberos, name, port, service, tls};
use crate::failure::Status;
use crate::printer::StatusLine;

/// How long a look at a port that nobody asked for may take.
const GLANCE: Duration = Duration::from_secs(4);

/// A host, and what is known of it so far.
pub(super) struct Examination {
    pub(super) name: String,
    pub(super) settings: Settings,
    /// The password that was given, if one was.
    pub(super) password: Option<Secret>,
    pub(super) kerberos: Kerberos,
    pub(super) accounts: Accounts,
    pub(super) managed: Arc<TicketCache>,
    pub(super) checks: Vec<Check>,
    /// What the host showed at the port that was asked for, whatever its certificate.
    pub(super) probe: Option<Probe>,
    /// How far the clocks of the host and of the KDC are ahead of ours, in seconds.
    pub(super) host_ahead: Option<i64>,
    pub(super) kdc_ahead: Option<i64>,
    /// What Kerberos is to this user.
    pub(super) kerberos_is: KerberosIs,
    /// The tickets that were found to be usable; a cache of our own is kept as long as this.
    pub(super) tickets: Option<winrm_auth::kerberos::Tickets>,
    pub(super) ticket_source: Option<TicketSource>,
    /// The check that has found the password to be refused: it is not tried again.
    pub(super) password_refused: Option<&'static str>,
    /// Whether somebody was let in; `None` while nobody has tried.
    pub(super) let_in: Option<bool>,
    /// A client that was let in.
    pub(super) client: Option<Client>,
    status: Option<StatusLine>,
}

/// What the examinations of a run share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    accounts: Accounts,
    /// One ticket for each principal, however many hosts it is for.
    managed: Arc<TicketCache>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The threads of a program that ends may not get to it.
        self.managed.close();
    }
}

/// What Kerberos is to this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KerberosIs {
    /// Nothing of it is used.
    Unused,
    /// Another way is taken where it fails.
    Preferred,
    /// There is no other way.
    Needed,
}

impl Examination {
    pub(super) fn new(name: String, settings: Settings, shared: &Shared) -> Self {
        let password = settings.password().map(|password| password.value.clone());
        let kerberos = settings.kerberos(password.as_ref(), &Kerberos::new());
        Self {
            name,
            settings,
            password,
            kerberos,
            accounts: shared.accounts.clone(),
            managed: Arc::clone(&shared.managed),
            checks: Vec::new(),
            probe: None,
            host_ahead: None,
            kdc_ahead: None,
            kerberos_is: KerberosIs::Unused,
            tickets: None,
            ticket_source: None,
            password_refused: None,
            let_in: None,
            client: None,
            status: None,
        }
    }

    /// Shows on the terminal what is being looked at.
    pub(super) fn with_status(mut self) -> Self {
        self.status = StatusLine::is_seen().then(StatusLine::default);
        self
    }

    fn show(&mut self, what: &str) {
        if let Some(status) = &mut self.status {
            status.show(&format!("looking at {what} of {} ...", self.name));
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.settings.endpoint()
    }

    pub(super) fn is_https(&self) -> bool {
        self.endpoint().scheme() == Scheme::Https
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.settings.user().map(|user| user.value.as_str())
    }

    /// Whether one of the transports is this one.
    pub(super) fn uses(&self, method: Method) -> bool {
        self.settings.methods().value.contains(&method)
    }

    /// A client that knows nobody and takes any certificate: it sends nothing that anybody could want.
    pub(super) fn stranger(&self) -> ClientBuilder {
        self.settings.anonymous().certificates(winrm::CertificateCheck::Ignore).retries(0)
    }

    /// The same for a short look elsewhere.
    pub(super) fn glance(&self, endpoint: Endpoint) -> ClientBuilder {
        let patience = self.settings.connect_timeout().min(GLANCE);
        self.stranger()
            .endpoint(endpoint)
            .connect_timeout(patience)
            .operation_timeout(patience)
            .read_timeout(patience + Duration::from_secs(1))
    }

    pub(super) fn add(&mut self, check: Check) {
        tracing::debug!(host = self.name, id = check.id, verdict = check.verdict.name(), "checked");
        self.checks.push(check);
    }

    /// The verdict of something that keeps Kerberos from working.
    pub(super) fn kerberos_verdict(&self) -> Verdict {
        match self.kerberos_is {
            KerberosIs::Needed => Verdict::Problem,
            _ => Verdict::Warning,
        }
    }

    /// The first check of these that has found a problem, or, of Kerberos, what comes to one.
    pub(super) fn in_the_way(&self, ids: &[&str]) -> Option<&'static str> {
        let stops = |check: &&Check| ids.iter().any(|id| check.id.starts_with(id)) && check.verdict == Verdict::Problem;
        self.checks.iter().find(stops).map(|check| check.id)
    }

    /// Passes over all checks that begin so and were not made.
    fn pass_over(&mut self, prefixes: &[&str], cause: &'static str) {
        let open = IDS
            .iter()
            .chain(&HOST_IDS)
            .filter(|id| prefixes.iter().any(|prefix| id.starts_with(prefix)) && !self.checks.iter().any(|check| check.id == **id));
        let skipped: Vec<Check> = open.map(|id| Check::because(id, cause)).collect();
        self.checks.extend(skipped);
    }

    /// Looks at everything, each as far as what was found before it allows.
    pub(super) async fn run(mut self) -> Report {
        self.show("the name");
        self.kerberos_is = kerberos::is(&self).await;
        name::look(&mut self).await;
        self.show("the ports");
        if let Some(cause) = self.in_the_way(&["dns.forward"]) {
            self.pass_over(&["port.5", "port.target"], cause);
        } else {
            port::look(&mut self).await;
        }
        match self.in_the_way(&["dns.forward", "port."]) {
            Some(cause) => self.pass_over(&["clock.host", "tls.", "service."], cause),
            None => {
                service::look_at_clock(&mut self);
                self.show("TLS");
                tls::look(&mut self).await;
                service::look(&mut self).await;
            }
        }
        self.show("Kerberos");
        kerberos::look(&mut self).await;
        match self.in_the_way(&["dns.forward", "port.", "tls.", "service.answer"]) {
            Some(cause) => {
                if authentication::would_try(&self) {
                    self.let_in = Some(false);
                }
                self.pass_over(&["auth.settings", "auth.binding"], cause);
                let tried: Vec<&'static str> = authentication::ids(&self);
                for id in tried {
                    self.add(Check::because(id, cause));
                }
                self.pass_over(&["host."], cause);
            }
            None => {
                self.show("authentication");
                authentication::look(&mut self).await;
                self.show("what is allowed");
                access::look(&mut self).await;
            }
        }
        if let Some(client) = self.client.take() {
            client.close().await;
        }
        if let Some(status) = &mut self.status {
            status.clear();
        }
        self.report()
    }

    fn report(self) -> Report {
        let reached = self.probe.is_some();
        Report {
            user: self.user().map(str::to_owned),
            endpoint: Some(self.endpoint().to_string()),
            transports: self.settings.methods().value.iter().map(ToString::to_string).collect(),
            name: self.name,
            checks: self.checks,
            reached,
            let_in: self.let_in,
        }
    }
}

/// What was found at one host.
pub(super) struct Report {
    pub(super) name: String,
    pub(super) endpoint: Option<String>,
    pub(super) user: Option<String>,
    pub(super) transports: Vec<String>,
    pub(super) checks: Vec<Check>,
    reached: bool,
    pub(super) let_in: Option<bool>,
}

impl Report {
    /// Of a host whose settings can't be used.
    pub(super) fn unusable(name: String, message: String, hint: Option<String>) -> Self {
        let mut check = Check::problem("auth.settings", message);
        check.mend = hint;
        Self {
            name,
            endpoint: None,
            user: None,
            transports: Vec::new(),
            checks: vec![check],
            reached: true,
            let_in: None,
        }
    }

    /// The problem that stands behind the others: each check is made only where no earlier one is in its way, so it is the first that
    /// names no other as its cause.
    pub(super) fn cause(&self) -> Option<&Check> {
        let problems = || self.checks.iter().filter(|check| check.verdict == Verdict::Problem);
        problems().find(|check| check.cause.is_none()).or_else(|| problems().next())
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// The exit status that follows.
    pub(super) fn status(&self) -> u8 {
        if !self.reached || self.let_in == Some(false) {
            Status::Unreachable as u8
        } else if self.count(Verdict::Problem) > 0 {
            Status::Failed as u8
        } else {
            0
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "host": self.name,
            "endpoint": self.endpoint,
            "user": self.user,
            "transports": self.transports,
            "status": self.status(),
            "reached": self.reached,
            "let_in": self.let_in,
            "cause": self.cause().map(Check::to_json),
            "checks": self.checks.iter().map(Check::to_json).collect::<Vec<_>>(),
        })
    }
}
