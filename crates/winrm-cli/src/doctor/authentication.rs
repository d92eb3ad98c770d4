//! Logging on, once for each transport that the settings allow, and never twice with a password that was refused.

use winrm::{ClientBuilder, Encryption, ErrorKind, Kerberos, TicketSource, Transport};
use winrm_fleet::SettingsError;
use winrm_fleet::settings::{Method, Way};

use super::accounts::Leave;
use super::check::{Check, Verdict};
use super::examination::Examination;
use super::port::sentence;
use super::service::{is_offered, switch_on};
use super::ticket::refused_elsewhere;

/// A cache that has no tickets, so that nobody runs `kinit` once more.
const NO_TICKETS: &str = "MEMORY:winrm-doctor-has-none";

/// The checks of the transports that the settings name.
pub(super) fn ids(examination: &Examination) -> Vec<&'static str> {
    let mut ids = Vec::new();
    for (method, way) in ways(examination) {
        let id = id_of(method, way.as_ref().ok().map(|way| way.transport));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Whether there is anything to log on with.
pub(super) fn would_try(examination: &Examination) -> bool {
    let certified = examination.settings.client_certificate().is_some();
    let has_somebody = examination.user().is_some() && examination.password.is_some() || certified || examination.tickets.is_some();
    has_somebody && ways(examination).iter().any(|(_, way)| way.is_ok())
}

fn ways(examination: &Examination) -> Vec<(Method, Result<Way, SettingsError>)> {
    examination.settings.each_way(examination.password.as_ref(), &Kerberos::new())
}

fn id_of(method: Method, transport: Option<Transport>) -> &'static str {
    match (method, transport) {
        (_, Some(Transport::Certificate)) | (Method::Certificate, _) => "auth.certificate",
        (Method::Ntlm, _) => "auth.ntlm",
        (Method::Negotiate, _) => "auth.negotiate",
        (Method::Kerberos, _) => "auth.kerberos",
        (Method::Credssp, _) => "auth.credssp",
        _ => "auth.basic",
    }
}

/// A way that is to be gone.
struct Prepared {
    builder: ClientBuilder,
    by_ticket: bool,
    with_password: bool,
    transport: Transport,
}

/// A way that was gone.
struct Gone {
    id: &'static str,
    builder: ClientBuilder,
    by_ticket: bool,
    transport: Transport,
    outcome: Result<(), winrm::Error>,
}

pub(super) async fn look(examination: &mut Examination) {
    let mut gone = Vec::new();
    for (method, way) in ways(examination) {
        let id = id_of(method, way.as_ref().ok().map(|way| way.transport));
        if examination.checks.iter().any(|check| check.id == id) {
            continue;
        }
        match prepare(examination, id, method, way) {
            Ok(prepared) => gone.extend(go(examination, id, prepared).await),
            Err(check) => {
                if check.verdict == Verdict::Problem || check.cause.is_some() {
                    examination.let_in.get_or_insert(false);
                }
                examination.add(*check);
            }
        }
    }
    clear_text(examination, &gone).await;
    binding(examination, &gone).await;
}

/// What is to be tried, or why nothing is.
fn prepare(examination: &Examination, id: &'static str, method: Method, way: Result<Way, SettingsError>) -> Result<Prepared, Box<Check>> {
    let way = match way {
        Ok(way) => way,
        Err(SettingsError::NoUser { .. }) => return Err(Box::new(Check::skipped(id, "no user was given (--user)"))),
        Err(SettingsError::NoPassword { .. }) => {
            return Err(Box::new(Check::skipped(
                id,
                "no password was given: -k asks for one, --connection-password-file reads it, WINRM_PASSWORD holds it",
            )));
        }
        Err(error) => {
            let mut check = Check::problem(id, error.to_string());
            check.mend = error.hint();
            return Err(Box::new(check));
        }
    };
    let schemes = examination.probe.as_ref().map(|probe| probe.schemes.clone()).unwrap_or_default();
    let transport = way.transport;
    if transport != Transport::Certificate && !is_offered(method, &schemes) {
        let check = Check::because(id, "service.mechanisms");
        return Err(Box::new(check.mend(switch_on(method))));
    }
    let own = examination.kerberos.clone();
    let ticketed = |source: &Option<TicketSource>| match source {
        Some(source) => own.clone().tickets(source.clone()),
        None => own.clone(),
    };
    let has_ticket = examination.tickets.is_some();
    let no_ticket = || {
        let failed = examination.checks.iter().find(|check| {
            (check.id.starts_with("kerberos.") || check.id.starts_with("clock.") || check.id == "name.kind")
                && (check.verdict == Verdict::Problem || check.verdict == Verdict::Warning)
                && check.id != "kerberos.canonical"
        });
        failed.map(|check| check.id)
    };
    let mut transport = transport;
    let (builder, by_ticket, with_password) = match transport {
        Transport::Kerberos if has_ticket => (way.builder.kerberos(ticketed(&examination.ticket_source)), true, false),
        Transport::Kerberos => {
            let check = match no_ticket() {
                Some(cause) => Check::because(id, cause),
                None => Check::skipped(id, "there is no ticket, and no user and password to get one"),
            };
            return Err(Box::new(check));
        }
        Transport::Negotiate if has_ticket => (way.builder.kerberos(ticketed(&examination.ticket_source)), true, false),
        Transport::Negotiate if examination.password.is_some() && examination.user().is_some() => {
            // What there is to say of Kerberos has been said: this is what Negotiate goes on with.
            transport = Transport::Ntlm;
            (way.builder.transport(transport), false, true)
        }
        Transport::Negotiate => {
            return Err(Box::new(Check::skipped(
                id,
                "no user was given, and there is no ticket: --user NAME, or kinit",
            )));
        }
        Transport::CredSsp if has_ticket => (way.builder.kerberos(ticketed(&examination.ticket_source)), false, true),
        Transport::CredSsp => {
            let none = own.clone().tickets(TicketSource::Ccache(NO_TICKETS.to_owned()));
            (way.builder.kerberos(none), false, true)
        }
        Transport::Certificate => (way.builder, false, false),
        _ => (way.builder, false, true),
    };
    if let Some(cause) = examination.password_refused.filter(|_| with_password) {
        let mut check = Check::because(id, cause);
        check.summary = format!("not tried: {cause} has found the password refused, and one more try would count against the account");
        return Err(Box::new(check));
    }
    Ok(Prepared {
        builder,
        by_ticket,
        with_password,
        transport,
    })
}

async fn go(examination: &mut Examination, id: &'static str, prepared: Prepared) -> Option<Gone> {
    let Prepared {
        builder,
        by_ticket,
        with_password,
        transport,
    } = prepared;
    let leave = match with_password {
        true => examination.accounts.leave(examination).await,
        false => Leave::Granted,
    };
    if let Leave::Denied(host) = &leave {
        examination.let_in.get_or_insert(false);
        let check = refused_elsewhere(examination, id, host);
        examination.add(check);
        return None;
    }
    let outcome = match builder.clone().retries(0).build() {
        Ok(client) => match client.ping().await {
            Ok(ping) => Ok((client, ping)),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    leave.judge(
        match &outcome {
            Ok(_) => Some(true),
            Err(error) if error.kind() == ErrorKind::Unauthorized => Some(false),
            Err(_) => None,
        },
        &examination.name,
    );
    let outcome = match outcome {
        Ok((client, ping)) => {
            let whom = whom(examination, transport);
            let mut check = Check::ok(id, format!("{} lets {whom} in", id.trim_start_matches("auth.")))
                .evidence(format!("{} {}", ping.identity.vendor, ping.identity.version))
                .evidence(format!("a round trip takes {:.1} ms", ping.round_trip.as_secs_f64() * 1e3));
            if transport == Transport::Negotiate {
                check = check.evidence("with Kerberos");
            } else if id == "auth.negotiate" {
                check = check.evidence("with NTLM");
            }
            examination.add(check);
            examination.let_in = Some(true);
            examination.client.get_or_insert(client);
            Ok(())
        }
        Err(error) => {
            examination.let_in.get_or_insert(false);
            let check = refused(examination, id, by_ticket, transport, &error);
            examination.add(check);
            Err(error)
        }
    };
    Some(Gone {
        id,
        builder,
        by_ticket,
        transport,
        outcome,
    })
}

fn whom(examination: &Examination, transport: Transport) -> String {
    if transport == Transport::Certificate
        && let Some(certificate) = examination.settings.client_certificate()
    {
        return format!("the certificate of {}", certificate.subject());
    }
    match examination.user() {
        Some(user) => user.to_owned(),
        None => "the owner of the ticket".to_owned(),
    }
}

fn refused(examination: &mut Examination, id: &'static str, by_ticket: bool, transport: Transport, error: &winrm::Error) -> Check {
    let name = id.trim_start_matches("auth.").to_owned();
    let check = |summary: String| Check::problem(id, summary).evidence(sentence(error));
    if !matches!(error.kind(), ErrorKind::Unauthorized) {
        let hint = error
            .as_tls()
            .and_then(crate::tls_hint::tls_hint)
            .or_else(|| error.hint().map(str::to_owned));
        let check = check(error.to_string());
        return match hint {
            Some(hint) => check.mend(hint),
            None => check,
        };
    }
    let whom = whom(examination, transport);
    if by_ticket {
        let principal = examination.kerberos.target(examination.endpoint().host()).principal();
        return check(format!("the host can't use the ticket for {principal}")).mend(
            "the principal has to be that of the host's own account, with the key the host has now: setspn -Q finds doubles and strangers, and \
             a keytab has to be exported anew after each change; look at the clocks and at channel binding too",
        );
    }
    if transport == Transport::Certificate {
        let hint = error.hint().unwrap_or_default().to_owned();
        return check(format!("the host does not take {whom}")).mend(hint);
    }
    examination.password_refused = Some(id);
    let is_domain = examination.user().is_some_and(|user| user.contains(['\\', '@']));
    let mend = if transport == Transport::Basic && is_domain {
        "Basic is for accounts of the host alone: give one without a domain, or use ntlm or kerberos"
    } else if !examination.settings.sends_channel_binding() && examination.is_https() {
        "check user and password; or the host insists on channel binding: leave --no-cbt out"
    } else {
        error.hint().unwrap_or("check user and password")
    };
    check(format!(
        "the host refuses {whom} with {name}: the user or the password is wrong, or the account is locked, disabled or expired"
    ))
    .evidence("it was tried once, and is not tried again, so that the account is not locked")
    .mend(mend)
}

/// Over http: whether the host would take messages that everybody on the way can read.
async fn clear_text(examination: &mut Examination, gone: &[Gone]) {
    const ID: &str = "service.clear_text";
    if examination.is_https() {
        examination.add(Check::skipped(ID, "the target is https"));
        return;
    }
    let offers_basic = examination
        .probe
        .as_ref()
        .is_some_and(|probe| probe.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic")));
    let sealing = gone.iter().find(|way| way.outcome.is_ok() && way.transport.can_encrypt());
    let check = match sealing {
        None if offers_basic => Check::warning(
            ID,
            "the host offers Basic over http, which shows the password to everybody on the way",
        )
        .mend("on the host: Set-Item WSMan:\\localhost\\Service\\AllowUnencrypted $false; and https for Basic"),
        None => Check::skipped(
            ID,
            "only those who were let in, with encryption, can see whether the host insists on it",
        ),
        Some(way) => {
            let trial = match way.builder.clone().encryption(Encryption::Never).retries(0).build() {
                Ok(client) => client.ping().await.map(drop),
                Err(error) => Err(error),
            };
            match trial {
                Ok(()) => Check::warning(ID, "the host takes messages in clear text (AllowUnencrypted)")
                    .evidence("a message that was not encrypted was answered")
                    .mend("on the host: Set-Item WSMan:\\localhost\\Service\\AllowUnencrypted $false"),
                Err(error) => Check::ok(ID, "the host refuses messages in clear text").evidence(sentence(&error)),
            }
        }
    };
    examination.add(check);
}

/// Over https: whether authentication works bound to the TLS connection, and whether it has to be.
async fn binding(examination: &mut Examination, gone: &[Gone]) {
    const ID: &str = "auth.binding";
    if !examination.is_https() {
        examination.add(Check::skipped(ID, "the target is http: there is no TLS to bind to"));
        return;
    }
    let binds = |way: &&Gone| !matches!(way.transport, Transport::Basic | Transport::Certificate | Transport::CredSsp);
    let bound: Vec<&Gone> = gone.iter().filter(binds).collect();
    let Some(way) = bound.iter().find(|way| way.outcome.is_ok()).or_else(|| bound.first()) else {
        examination.add(Check::skipped(ID, "only ntlm and kerberos bind to TLS, and neither was tried"));
        return;
    };
    let sends = examination.settings.sends_channel_binding();
    let is_refusal = |error: &winrm::Error| error.kind() == ErrorKind::Unauthorized;
    if let Err(error) = &way.outcome
        && (!is_refusal(error) || !way.by_ticket)
    {
        let why = if is_refusal(error) {
            "not tried the other way: one more password would count against the account"
        } else {
            "the authentication failed for another reason"
        };
        examination.add(Check::skipped(ID, why).caused_by(way.id));
        return;
    }
    let trial = match way.builder.clone().channel_binding(!sends).retries(0).build() {
        Ok(client) => client.ping().await.map(drop),
        Err(error) => Err(error),
    };
    let check = match (way.outcome.is_ok(), sends, trial) {
        (true, true, Ok(())) => Check::ok(ID, "authentication works bound to TLS, and the host takes it without as well")
            .evidence("CbtHardeningLevel is Relaxed or None: Strict would refuse relayed connections"),
        (true, true, Err(_)) => Check::ok(ID, "authentication works bound to TLS, and the host insists on it")
            .evidence("without it the host refuses (CbtHardeningLevel Strict)"),
        (true, false, Ok(())) => {
            Check::warning(ID, "authentication would work bound to TLS: there is no need for --no-cbt").mend("leave --no-cbt out")
        }
        (true, false, Err(error)) => Check::warning(ID, "bound to TLS the host refuses: something between here and the host ends TLS")
            .evidence(sentence(&error))
            .mend("go around it (--no-proxy, another address), or let it pass TLS through"),
        (false, false, Ok(())) => Check::problem(ID, "the host insists on channel binding, and the settings forbid it")
            .evidence("with a binding the same ticket is taken")
            .mend("leave --no-cbt (ansible_winrm_send_cbt: false) out"),
        (false, true, Ok(())) => Check::problem(
            ID,
            "something between here and the host ends TLS: the certificate that is seen here is not the host's own",
        )
        .evidence("without a binding the same ticket is taken")
        .mend("go around it, or let it pass TLS through; --no-cbt where that can't be, if the host does not insist"),
        (false, _, Err(_)) => Check::skipped(ID, "with a binding and without, the answer is the same").caused_by(way.id),
    };
    let (id, is_cause) = (way.id, check.verdict == Verdict::Problem);
    examination.add(check);
    if is_cause && let Some(check) = examination.checks.iter_mut().find(|check| check.id == id) {
        check.cause = Some(ID);
    }
}
