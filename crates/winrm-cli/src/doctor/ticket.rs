//! Tickets: the user's own, and one for the host.

use std::sync::Arc;
use std::time::Duration;

use winrm::{Kinit, TicketSource};
use winrm_auth::kerberos::{Delegation, HeldTicket, KerberosError, Tickets, service_ticket};
use winrm_auth::kinit::{KinitError, principal};
use winrm_fleet::settings::Method;
use winrm_gssapi::{ErrorKind, Implementation, Library};

use super::accounts::Leave;
use super::check::{Check, Verdict};
use super::examination::{Examination, KerberosIs};
use super::kerberos::{account, chain};

/// A ticket that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_secs(600);

/// The user's ticket: one that is there, or, with a password, a new one by `kinit`. The user's own caches are not changed.
pub(super) async fn look(examination: &mut Examination) -> Result<(), &'static str> {
    let tickets = match get(examination).await {
        Ok(tickets) => tickets,
        Err(Some(check)) => {
            examination.add(*check);
            return Err("kerberos.ticket");
        }
        Err(None) => return Err("kerberos.ticket"),
    };
    let look = tickets.clone();
    let held = match tokio::task::spawn_blocking(move || HeldTicket::of(&look)).await {
        Ok(Ok(held)) => held,
        Ok(Err(error)) => {
            let check = no_ticket(examination, &error);
            examination.add(check);
            return Err("kerberos.ticket");
        }
        Err(_) => return Err("kerberos.ticket"),
    };
    let origin = match &tickets {
        Tickets::Ccache(name) => format!("in the cache {name}"),
        Tickets::Keytab { keytab, .. } => format!("by the key table {keytab}"),
        Tickets::Managed(_) => "by kinit, with the password".to_owned(),
        _ => match std::env::var("KRB5CCNAME") {
            Ok(name) => format!("in the default cache, {name} (KRB5CCNAME)"),
            Err(_) => "in the default cache".to_owned(),
        },
    };
    let left = held
        .lifetime
        .map(|left| humantime::format_duration(Duration::from_secs(left.as_secs())).to_string());
    if held.lifetime == Some(Duration::ZERO) {
        let check = Check::new(
            "kerberos.ticket",
            examination.kerberos_verdict(),
            format!("the ticket of {} has expired", held.principal),
        )
        .evidence(format!("found {origin}"))
        .mend("run kinit again; or give a user and a password, and winrm gets tickets itself");
        examination.add(check);
        return Err("kerberos.ticket");
    }
    let summary = match &left {
        Some(left) => format!("there is a ticket of {}, good for {left}", held.principal),
        None => format!("there is a ticket of {}", held.principal),
    };
    let check = if held.lifetime.is_some_and(|left| left < SOON) {
        Check::warning("kerberos.ticket", summary).mend("renew it with kinit before it ends")
    } else {
        Check::ok("kerberos.ticket", summary)
    };
    examination.add(check.evidence(format!("found {origin}")));
    let check = canonical(examination, &held.principal, matches!(tickets, Tickets::Managed(_)));
    examination.add(check);
    if examination.password.is_none() && !examination.uses(Method::Ntlm) && !examination.uses(Method::Basic) {
        // Without a password there is nothing to go on with.
        examination.kerberos_is = KerberosIs::Needed;
    }
    examination.tickets = Some(tickets);
    Ok(())
}

/// Gets a ticket, or a cache that may have one.
async fn get(examination: &mut Examination) -> Result<Tickets, Option<Box<Check>>> {
    let source = examination.kerberos.source().cloned();
    let account = account(examination);
    let realm = examination.kerberos.said_realm().map(str::to_owned);
    let whom = account.as_ref().map(|account| principal(account, realm.as_deref()));
    let default = Kinit::default().forwardable(examination.kerberos.delegates());
    let kinit = match (source, examination.password.clone().filter(|password| !password.is_empty())) {
        (Some(TicketSource::Ccache(name)), _) => {
            examination.ticket_source = Some(TicketSource::Ccache(name.clone()));
            return Ok(Tickets::Ccache(name));
        }
        (Some(TicketSource::Keytab(keytab)), _) => {
            examination.ticket_source = Some(TicketSource::Keytab(keytab.clone()));
            let principal = whom;
            return Ok(Tickets::Keytab { keytab, principal });
        }
        (Some(TicketSource::Managed(kinit)), Some(password)) if account.is_some() => Some((kinit, password)),
        (None, Some(password)) if account.is_some() => Some((default.clone(), password)),
        _ => None,
    };
    let Some((kinit, password)) = kinit else {
        examination.ticket_source = Some(TicketSource::Default);
        return Ok(Tickets::Default);
    };
    if let Some(cause) = examination.password_refused {
        return Err(Some(Box::new(Check::because("kerberos.ticket", cause))));
    }
    // The page's test: what the KDC calls the account when it may say so.
    let kinit = if kinit == default {
        let mut arguments = vec![canonicalize()];
        if examination.kerberos.delegates() {
            arguments.push("-f");
        }
        kinit.arguments(arguments)
    } else {
        kinit
    };
    let whom = whom.unwrap_or_default();
    let leave = examination.accounts.leave(examination).await;
    if let Leave::Denied(host) = &leave {
        let check = refused_elsewhere(examination, "kerberos.ticket", host);
        return Err(Some(Box::new(check)));
    }
    let (managed, name) = (Arc::clone(&examination.managed), examination.name.clone());
    let get = move || managed.ticket(&kinit, &whom, &password);
    match tokio::task::spawn_blocking(get).await {
        Ok(Ok(ticket)) => {
            leave.judge(Some(true), &name);
            examination.ticket_source = Some(TicketSource::Ccache(ticket.ccache().to_owned()));
            Ok(Tickets::Managed(ticket))
        }
        Ok(Err(error)) => {
            let check = refused(examination, &error);
            leave.judge(examination.password_refused.map(|_| false), &name);
            Err(Some(Box::new(check)))
        }
        Err(_) => Err(None),
    }
}

/// The check of a password that another host, or the KDC at another host's turn, has refused.
pub(super) fn refused_elsewhere(examination: &mut Examination, id: &'static str, host: &str) -> Check {
    examination.password_refused = Some(id);
    let user = examination.user().unwrap_or_default();
    Check::problem(
        id,
        format!("not tried: the password of {user} was refused when {host} was looked at"),
    )
    .mend("give the right one; it was tried once for all hosts, so that the account is not locked")
}

/// `kinit`'s option for a name that the KDC may change.
fn canonicalize() -> &'static str {
    match Library::load().map(Library::implementation) {
        // There `-C` is for certificates.
        Ok(Implementation::Heimdal) => "--canonicalize",
        _ => "-C",
    }
}

/// `kinit` got no ticket.
fn refused(examination: &mut Examination, error: &KinitError) -> Check {
    let verdict = examination.kerberos_verdict();
    let output = match error {
        KinitError::Refused { output, .. } => output.as_str(),
        _ => "",
    };
    let is = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let check = if is(&["Password incorrect", "Preauthentication failed", "Decrypt integrity check failed"]) {
        // Wherever it is tried next, it would count once more against the account.
        examination.password_refused = Some("kerberos.ticket");
        let user = examination.user().unwrap_or_default();
        Check::problem("kerberos.ticket", format!("the password of {user} is wrong"))
            .mend("give the right one; it was tried once, and is not tried again, so that the account is not locked")
    } else if is(&["not found in Kerberos database"]) {
        Check::new("kerberos.ticket", verdict, "the KDC does not know this account").mend("check the spelling, and the realm")
    } else if is(&["revoked", "has expired", "Password has expired"]) {
        examination.password_refused = Some("kerberos.ticket");
        Check::problem(
            "kerberos.ticket",
            "the account is locked, disabled or expired, or its password has to be changed",
        )
        .mend("have it unlocked or enabled in the domain; kpasswd changes a password")
    } else if is(&["Clock skew"]) {
        Check::new(
            "kerberos.ticket",
            verdict,
            "the clocks of this machine and of the KDC differ too much",
        )
        .mend("synchronise this machine's clock with the domain")
    } else {
        let check = Check::new("kerberos.ticket", verdict, "kinit got no ticket");
        match error.hint() {
            Some(hint) => check.mend(hint),
            None => check,
        }
    };
    check.evidence(chain(error))
}

fn no_ticket(examination: &Examination, error: &KerberosError) -> Check {
    // Nobody asked for Kerberos by name, or for a user: then there is just nothing to try.
    let is_asked_for = examination.uses(Method::Kerberos) || examination.user().is_some() || examination.kerberos.source().is_some();
    let verdict = if is_asked_for {
        examination.kerberos_verdict()
    } else {
        Verdict::Skipped
    };
    let by_key = matches!(examination.kerberos.source(), Some(TicketSource::Keytab(_)));
    let summary = match error.kind() {
        Some(ErrorKind::NoCredentials | ErrorKind::NoKey) if by_key => "the key table has no key for this user, or is not there".to_owned(),
        Some(ErrorKind::NoCredentials) => "there is no ticket".to_owned(),
        Some(ErrorKind::CredentialsExpired) => "the ticket has expired".to_owned(),
        Some(ErrorKind::WrongPassword) => "the key in the key table is not that of the account any more".to_owned(),
        Some(ErrorKind::UnknownClient) => "the KDC does not know this account".to_owned(),
        _ => "no ticket can be had".to_owned(),
    };
    let check = Check::new("kerberos.ticket", verdict, summary).evidence(chain(error));
    match error.hint() {
        Some(hint) => check.mend(hint),
        None => check,
    }
}

fn canonical(examination: &Examination, held: &str, by_kinit: bool) -> Check {
    let asked = account(examination).map(|account| principal(&account, examination.kerberos.said_realm()));
    let test = match (&asked, by_kinit) {
        (Some(asked), true) => format!("kinit -C {asked} gave a ticket of {held}"),
        _ => format!("klist shows {held}"),
    };
    let Some(asked) = asked else {
        return Check::ok("kerberos.canonical", format!("the ticket is one of {held}")).evidence(test);
    };
    let (user, realm) = held.rsplit_once('@').unwrap_or((held, ""));
    let (asked_user, asked_realm) = match asked.rsplit_once('@') {
        Some((user, realm)) => (user, Some(realm)),
        None => (asked.as_str(), None),
    };
    if let Some(asked_realm) = asked_realm.filter(|asked| *asked != realm) {
        return Check::warning(
            "kerberos.canonical",
            format!("the realm is {realm}, and {asked_realm} is another name for it"),
        )
        .evidence(test)
        .mend(format!(
            "write {user}@{realm}, and let krb5.conf have the full name of the domain, not an alias"
        ));
    }
    if user != asked_user {
        return Check::warning(
            "kerberos.canonical",
            format!("the ticket is one of {held}, and the user is {asked}"),
        )
        .evidence(test)
        .mend(format!(
            "if that is not meant: kinit {asked}, or another --ccache; else give {held} as the user"
        ));
    }
    Check::ok("kerberos.canonical", format!("the KDC calls the account as it was written, {held}")).evidence(test)
}

/// A ticket of the host's service, and whether ours can be handed on.
pub(super) async fn principals(examination: &mut Examination) {
    let Some(tickets) = examination.tickets.clone() else { return };
    let target = examination.kerberos.target(examination.endpoint().host());
    let plain = target.clone().delegate(false);
    let held = tickets.clone();
    let asked = tokio::task::spawn_blocking(move || service_ticket(&plain, &held)).await;
    let check = match asked {
        Ok(Ok(_)) => Check::ok("kerberos.spn", format!("the KDC gives a ticket for {}", target.principal())),
        Ok(Err(error)) => {
            let summary = match error.kind() {
                Some(ErrorKind::UnknownServer) => format!("the KDC knows no service {} (SPN)", target.principal()),
                Some(ErrorKind::ClockSkew) => "the clocks of this machine and of the KDC differ too much".to_owned(),
                Some(ErrorKind::CredentialsExpired) => "the ticket has expired".to_owned(),
                _ => format!("no ticket for {} can be had", target.principal()),
            };
            let mend = match error.kind() {
                Some(ErrorKind::UnknownServer) => format!(
                    "use the host's full name as Active Directory has it (setspn -L HOST lists its SPNs), or --hostname-override NAME; a \
                     missing one is added by setspn -S {} HOST",
                    target.principal().split('@').next().unwrap_or_default()
                ),
                _ => error.hint().unwrap_or("look at krb5.conf and at the KDC's log").to_owned(),
            };
            Check::new("kerberos.spn", examination.kerberos_verdict(), summary)
                .evidence(chain(&error))
                .mend(mend)
        }
        Err(_) => Check::skipped("kerberos.spn", "the question was interrupted"),
    };
    let has_ticket = check.verdict == Verdict::Ok;
    examination.add(check);
    if !has_ticket {
        examination.tickets = None;
        examination.add(Check::because("kerberos.delegation", "kerberos.spn"));
        return;
    }
    if !examination.kerberos.delegates() {
        examination.add(Check::skipped(
            "kerberos.delegation",
            "nobody asked for it (--delegate, ansible_winrm_kerberos_delegation)",
        ));
        return;
    }
    let asked = tokio::task::spawn_blocking(move || service_ticket(&target, &tickets)).await;
    let check = match asked {
        Ok(Ok(Delegation::Sent)) => Check::ok("kerberos.delegation", "the ticket can be handed to the host, which can act with it on other hosts"),
        Ok(Ok(_)) => Check::problem("kerberos.delegation", "the ticket can't be handed to the host: it is not forwardable")
            .evidence("a ticket-granting ticket with the flag F (klist -f) is needed")
            .mend(
                "get one with kinit -f, or set forwardable = true in [libdefaults]; accounts that are \"sensitive and cannot be delegated\", and \
                 Protected Users, never get one: use CredSSP, --become or --task",
            ),
        Ok(Err(error)) => Check::problem("kerberos.delegation", "the ticket can't be handed to the host").evidence(chain(&error)),
        Err(_) => Check::skipped("kerberos.delegation", "the question was interrupted"),
    };
    examination.add(check);
}
