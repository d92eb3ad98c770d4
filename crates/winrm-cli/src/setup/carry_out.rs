//! The script on a host, and what became of each setting.

use std::process::ExitCode;

use winrm::clixml::Value;
use winrm::{Client, Encryption, Endpoint, Objects, Scheme, Transport};
use winrm_fleet::settings::Key;
use winrm_fleet::{Origin as Source, Settings};

use super::script::{Origin, Script};
use crate::args::{ConnectionArguments, HowArguments, SetupFormat, WantedArguments};
use crate::connection::{self, Connected};
use crate::failure::{Failure, Status};
use crate::printer;

/// What became of a setting.
#[derive(Debug)]
struct Record {
    item: String,
    before: Option<String>,
    wanted: Option<String>,
    outcome: String,
    reason: Option<String>,
    /// SHA-256 of the certificate that a listener shows.
    fingerprint: Option<String>,
}

/// A mechanism that was asked for, tried by connecting anew.
#[derive(Debug)]
struct Trial {
    transport: Transport,
    endpoint: String,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    LetIn,
    Refused { why: String, hint: Option<String> },
    NotTried(&'static str),
}

/// Runs the script there. `wanted` is what to try afterwards; nothing is tried after an undo.
pub(super) async fn run(
    target: &str,
    arguments: &ConnectionArguments,
    how: &HowArguments,
    script: Script,
    wanted: Option<&WantedArguments>,
) -> Result<ExitCode, Failure> {
    let format = how.format.unwrap_or(SetupFormat::Text);
    if !matches!(format, SetupFormat::Text | SetupFormat::Json) {
        return Err(Failure::configuration("with a TARGET, --format is text or json").hint("leave TARGET away to print the script"));
    }
    for warning in script.warnings() {
        printer::warning(warning);
    }
    let mut flags = connection::flags(arguments)?;
    let mut settings = connection::typed(target, flags.clone())?;
    if let Some(password) = connection::asked_password(&settings)? {
        // Asked for once, for this connection and those that try the mechanisms.
        flags.set_password(password, Source::Flag("--ask-pass"));
        settings = connection::typed(target, flags)?;
    }
    let connected = connection::connect(settings.clone(), arguments, true).await?;
    let origin = origin(&connected, arguments, &settings);
    let records = records(&connected.client, &script.over(&origin), how).await;
    connected.client.close().await;
    let records = records?;
    if format == SetupFormat::Text {
        show(&records, wanted.is_none());
    }
    let trials = match wanted {
        Some(wanted) if !how.check => tried(wanted, &connected, arguments, &settings, &records).await?,
        _ => Vec::new(),
    };
    match format {
        SetupFormat::Json => printer::line(&json(&records, &trials).to_string()),
        _ => trials.iter().for_each(Trial::show),
    }
    let would_change = records.iter().any(|record| record.outcome == "would change");
    let all_well = records.iter().all(Record::is_well) && trials.iter().all(Trial::is_well);
    if format == SetupFormat::Text && how.check {
        let count = records.iter().filter(|record| record.outcome == "would change").count();
        printer::line(&format!("{count} of {} settings would change", records.len()));
    }
    Ok(if all_well && !would_change {
        ExitCode::SUCCESS
    } else {
        Status::Failed.into()
    })
}

fn origin(connected: &Connected, arguments: &ConnectionArguments, settings: &Settings) -> Origin {
    let endpoint = connected.client.endpoint();
    let is_https = endpoint.scheme() == Scheme::Https;
    let user = settings.user().map_or("", |user| user.value.as_str());
    Origin {
        is_https,
        port: endpoint.port(),
        transport: connected.transport,
        is_unbound: is_https && arguments.no_cbt && connected.transport.can_encrypt(),
        is_clear_text: !is_https && (!connected.transport.can_encrypt() || arguments.encryption == Some(Encryption::Never)),
        is_local: may_be_local(user),
    }
}

/// The built-in Administrator is let in with all rights by any policy, and so are accounts of a domain.
fn may_be_local(user: &str) -> bool {
    let name = user.strip_prefix(r".\").unwrap_or(user);
    !name.contains(['\\', '@']) && !name.eq_ignore_ascii_case("Administrator")
}

async fn records(client: &Client, script: &str, how: &HowArguments) -> Result<Vec<Record>, Failure> {
    let mut powershell = client.powershell(script);
    powershell.progress(false);
    if how.check {
        powershell.switch("Check");
    }
    if how.force {
        powershell.switch("Force");
    }
    let given = powershell.objects().await?;
    let records: Vec<_> = given.objects.iter().filter_map(Record::read).collect();
    if !given.errors().trim().is_empty() || !matches!(given.exit_code, Some(0..=2)) {
        let failure = broken_off(&given);
        if records.is_empty() {
            return Err(failure);
        }
        show(&records, false);
        return Err(failure.hint("what it has changed is noted on the host: winrm setup undo puts it back"));
    }
    Ok(records)
}

fn broken_off(given: &Objects) -> Failure {
    let said = given.errors();
    let said = match said.trim() {
        "" => String::from_utf8_lossy(&given.text).trim().to_owned(),
        // The place in the script is of no use to anyone who didn't write it.
        said => said.split("\nAt ").next().unwrap_or(said).trim().to_owned(),
    };
    Failure::new(Status::Failed, format!("the script did not run to its end: {said}"))
}

impl Record {
    fn read(value: &Value) -> Option<Self> {
        // The host's words are shown on a terminal, and steer nothing there.
        let text = |name| value.property(name).and_then(Value::as_str).map(printer::plain);
        Some(Self {
            item: text("Item")?,
            before: text("Before"),
            wanted: text("Wanted"),
            outcome: text("Outcome")?,
            reason: text("Reason"),
            fingerprint: text("Fingerprint"),
        })
    }

    fn is_well(&self) -> bool {
        matches!(self.outcome.as_str(), "unchanged" | "changed" | "would change")
    }
}

fn show(records: &[Record], is_undo: bool) {
    if records.is_empty() {
        let nothing = if is_undo {
            "nothing is noted on this host that setup has changed"
        } else {
            "there was nothing to do"
        };
        printer::line(nothing);
    }
    for record in records {
        let state = |state: &Option<String>| match state.as_deref() {
            None | Some("") => "nothing".to_owned(),
            Some(state) => state.to_owned(),
        };
        let (before, wanted) = (state(&record.before), state(&record.wanted));
        let states = if before == wanted {
            before
        } else {
            format!("{before} -> {wanted}")
        };
        printer::marked(record.is_well(), &record.outcome, &format!("{}: {states}", record.item));
        if let Some(reason) = &record.reason {
            printer::line(&format!("   {reason}"));
        }
        if let Some(fingerprint) = &record.fingerprint {
            printer::line(&format!("   its certificate: --fingerprint {fingerprint}"));
        }
    }
}

/// Connects anew with each mechanism that was asked for, or with the present one where none was.
async fn tried(
    wanted: &WantedArguments,
    connected: &Connected,
    arguments: &ConnectionArguments,
    settings: &Settings,
    records: &[Record],
) -> Result<Vec<Trial>, Failure> {
    let present = connected.client.endpoint();
    let endpoint = listener(wanted, present);
    let is_new = endpoint.to_string() != present.to_string();
    let fingerprint = records.iter().find_map(|record| record.fingerprint.as_deref());
    let mut transports = wanted.auth.clone();
    transports.dedup();
    if transports.is_empty() {
        transports.push(connected.transport);
    }
    let mut trials = Vec::new();
    for transport in transports {
        let outcome = match obstacle(transport, &endpoint, wanted, settings) {
            Some(why) => Outcome::NotTried(why),
            None => {
                let mut arguments = arguments.clone();
                (arguments.ask_pass, arguments.connection_password_file) = (false, None);
                (arguments.port, arguments.scheme) = (None, None);
                arguments.transport = Some(vec![transport.to_string()]);
                if endpoint.scheme() == Scheme::Http && !transport.can_encrypt() {
                    arguments.encryption = Some(Encryption::Never);
                }
                if let Some(fingerprint) = fingerprint.filter(|_| endpoint.scheme() == Scheme::Https) {
                    // The host itself has said which one it is.
                    arguments.fingerprint = Some(fingerprint.to_owned());
                    (arguments.ca, arguments.insecure) = (None, false);
                }
                match try_once(&endpoint, &arguments, settings).await {
                    Ok(()) => Outcome::LetIn,
                    Err(failure) => {
                        let (why, hint) = failure.into_parts();
                        Outcome::Refused { why, hint }
                    }
                }
            }
        };
        trials.push(Trial {
            transport,
            endpoint: endpoint.to_string(),
            outcome,
        });
    }
    if is_new && trials.iter().all(|trial| matches!(trial.outcome, Outcome::NotTried(_))) {
        printer::warning(&format!("nobody has connected to {endpoint} yet"));
    }
    Ok(trials)
}

/// Where the listener is that was asked for; https where there are two.
fn listener(wanted: &WantedArguments, present: &Endpoint) -> Endpoint {
    let https = present.clone().with_scheme(Scheme::Https).with_port(wanted.https_port);
    let http = present.clone().with_scheme(Scheme::Http).with_port(wanted.http_port);
    match (wanted.https, wanted.http) {
        (true, _) => https,
        (_, true) => http,
        _ if wanted.no_https => present.clone(),
        _ if wanted.no_http => present.clone(),
        _ => https,
    }
}

/// Why a mechanism can't be tried.
fn obstacle(transport: Transport, endpoint: &Endpoint, wanted: &WantedArguments, settings: &Settings) -> Option<&'static str> {
    let is_http = endpoint.scheme() == Scheme::Http;
    match transport {
        Transport::Certificate if settings.client_certificate().is_none() => {
            Some("give --cert to try it, and --transport for this connection")
        }
        Transport::Certificate if is_http => Some("it works over https alone"),
        Transport::Basic if is_http && !wanted.i_accept_clear_text => Some("it would send the password in clear text"),
        Transport::Certificate => None,
        _ if settings.user().is_none() => Some("give --user to try it"),
        _ => None,
    }
}

async fn try_once(endpoint: &Endpoint, arguments: &ConnectionArguments, settings: &Settings) -> Result<(), Failure> {
    let mut flags = connection::flags(arguments)?;
    if let Some(user) = settings.user() {
        flags.set_text(Key::User, &user.value, "--user");
    }
    if let Some(password) = settings.password() {
        flags.set_password(password.value.clone(), password.origin.clone());
    }
    let connected = connection::connect(connection::typed(&endpoint.to_string(), flags)?, arguments, true).await?;
    let outcome = connected.client.ping().await;
    connected.client.close().await;
    outcome?;
    Ok(())
}

impl Trial {
    fn is_well(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused { .. })
    }

    fn show(&self) {
        let (transport, endpoint) = (self.transport, &self.endpoint);
        match &self.outcome {
            Outcome::LetIn => printer::marked(true, "ok", &format!("{transport} lets us in at {endpoint}")),
            Outcome::Refused { why, hint } => {
                printer::marked(false, "no", &format!("{transport} does not let us in at {endpoint}: {why}"));
                if let Some(hint) = hint {
                    printer::line(&format!("   hint: {hint}"));
                }
            }
            Outcome::NotTried(why) => printer::line(&format!("-  {transport} was not tried at {endpoint}: {why}")),
        }
    }
}

fn json(records: &[Record], trials: &[Trial]) -> serde_json::Value {
    let records = records.iter().map(|record| {
        serde_json::json!({
            "item": record.item,
            "before": record.before,
            "wanted": record.wanted,
            "outcome": record.outcome,
            "reason": record.reason,
            "fingerprint": record.fingerprint,
        })
    });
    let trials = trials.iter().map(|trial| {
        let (let_in, why) = match &trial.outcome {
            Outcome::LetIn => (Some(true), None),
            Outcome::Refused { why, .. } => (Some(false), Some(why.as_str())),
            Outcome::NotTried(why) => (None, Some(*why)),
        };
        serde_json::json!({ "transport": trial.transport.to_string(), "endpoint": trial.endpoint, "let_in": let_in, "reason": why })
    });
    serde_json::json!({ "settings": records.collect::<Vec<_>>(), "tried": trials.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_local_accounts_have_a_filtered_token() {
        assert!(may_be_local("alice") && may_be_local(r".\alice"));
        for user in [r"CORP\alice", "alice@corp.example", "administrator", r".\Administrator"] {
            assert!(!may_be_local(user), "{user}");
        }
    }
}
