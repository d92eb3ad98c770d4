//! Kerberos: this machine's side of it, the KDC, tickets and principals.

use std::sync::Arc;
use std::time::Duration;

use winrm::{Credentials, Kinit, Secret, TicketSource};
use winrm_auth::kerberos::kdc::{KdcAnswer, KdcError, code, enctype_name};
use winrm_auth::kerberos::{Delegation, HeldTicket, KerberosError, Tickets, service_ticket};
use winrm_auth::kinit::{KinitError, Ticket, principal};
use winrm_fleet::settings::Method;
use winrm_gssapi::ErrorKind;

use super::check::{Check, Verdict};
use super::examination::{Examination, KerberosIs};
use super::krb5_conf::Krb5Conf;
use super::{clock, dns, kdc};

/// A ticket that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_secs(600);

/// Who asks a KDC for the time where there is no user.
const NOBODY: &str = "winrm-doctor";

const ALL: [&str; 11] = [
    "kerberos.library",
    "kerberos.config",
    "kerberos.realm",
    "kerberos.enctypes",
    "kerberos.kdc",
    "kerberos.account",
    "clock.kdc",
    "kerberos.ticket",
    "kerberos.canonical",
    "kerberos.spn",
    "kerberos.delegation",
];

/// What Kerberos is to the user of these settings.
pub(super) fn is(examination: &Examination) -> KerberosIs {
    let methods = &examination.settings.methods().value;
    if methods.iter().all(|method| *method == Method::Kerberos) {
        return KerberosIs::Needed;
    }
    if examination.uses(Method::Kerberos) {
        return KerberosIs::Preferred;
    }
    let account = account(examination);
    let is_worth_trying = match (&account, examination.kerberos.source()) {
        // Whoever has no ticket did not think of Kerberos.
        (None, None | Some(TicketSource::Default)) => HeldTicket::of(&Tickets::Default).is_ok(),
        _ => examination.kerberos.is_worth_trying(account.as_ref()),
    };
    if (examination.uses(Method::Negotiate) || examination.uses(Method::Credssp)) && is_worth_trying {
        KerberosIs::Preferred
    } else {
        KerberosIs::Unused
    }
}

/// The user, with the password if there is one.
fn account(examination: &Examination) -> Option<Credentials> {
    let password = examination.password.clone().unwrap_or_else(|| Secret::new(""));
    Credentials::parse(examination.user()?, password).ok()
}

/// What is known of the realm.
struct Realm {
    conf: Krb5Conf,
    /// The user's, or else the default one.
    name: Option<String>,
    /// KDCs as `krb5.conf` writes them, and where they were found.
    kdcs: Vec<String>,
    from_dns: bool,
}

impl Realm {
    async fn find(examination: &Examination) -> Self {
        let conf = Krb5Conf::read(std::env::var_os("KRB5_CONFIG"));
        let principal = account(examination).map(|account| principal(&account, examination.kerberos.said_realm()));
        let of_user = principal.and_then(|principal| principal.rsplit_once('@').map(|(_, realm)| realm.to_owned()));
        let said = of_user.or_else(|| examination.kerberos.said_realm().map(str::to_owned));
        let name = said.or_else(|| conf.said("default_realm").map(str::to_owned));
        let mut realm = Self {
            kdcs: name.as_deref().map(|name| conf.kdcs(name)).unwrap_or_default(),
            conf,
            name,
            from_dns: false,
        };
        if let Some(name) = realm.name.as_ref().filter(|_| realm.kdcs.is_empty() && realm.asks_dns()) {
            let services = dns::services(&format!("_kerberos._tcp.{name}")).await;
            realm.kdcs = services.into_iter().map(|(host, port)| format!("{host}:{port}")).collect();
            realm.from_dns = true;
        }
        realm
    }

    fn asks_dns(&self) -> bool {
        self.conf.switch("dns_lookup_kdc", self.conf.switch("dns_fallback", true))
    }
}

pub(super) async fn look(examination: &mut Examination) {
    if examination.kerberos_is == KerberosIs::Unused {
        let why = match examination.user() {
            Some(user) if examination.uses(Method::Negotiate) => format!("{user} is no account of a realm: nobody asks for a ticket"),
            None if examination.uses(Method::Negotiate) => "no user was given, and there is no ticket".to_owned(),
            _ => "no transport of these settings uses Kerberos".to_owned(),
        };
        for id in ALL {
            examination.add(Check::skipped(id, why.clone()));
        }
        return;
    }
    if let Err(error) = winrm_auth::kerberos::available() {
        let check = Check::new("kerberos.library", examination.kerberos_verdict(), chain(&error))
            .mend("apt-get install libgssapi-krb5-2 krb5-user (Debian, Ubuntu), dnf install krb5-libs krb5-workstation (Fedora, RHEL)");
        examination.add(check);
        pass_over(examination, "kerberos.library");
        return;
    }
    examination.add(Check::ok("kerberos.library", "the system has a library for Kerberos"));
    let realm = Realm::find(examination).await;
    let is_readable = tokio::task::spawn_blocking(is_readable).await.unwrap_or(true);
    let mut stopped = config(examination, &realm, is_readable);
    if stopped.is_none() {
        stopped = name_of_realm(examination, &realm);
    }
    if stopped.is_none() {
        stopped = enctypes(examination, &realm);
    }
    if stopped.is_none() {
        stopped = ask_kdcs(examination, &realm).await;
    }
    if let Some(cause) = examination.in_the_way(&["clock.", "name.kind"]).filter(|_| stopped.is_none()) {
        // What fails after this fails for this reason.
        stopped = Some(cause);
    }
    if let Some(cause) = stopped {
        pass_over(examination, cause);
        return;
    }
    match ticket(examination).await {
        Ok(()) => {}
        Err(cause) => {
            pass_over(examination, cause);
            return;
        }
    }
    principals(examination).await;
}

fn pass_over(examination: &mut Examination, cause: &'static str) {
    for id in ALL {
        if !examination.checks.iter().any(|check| check.id == id) {
            examination.add(Check::because(id, cause));
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Adds a check, and tells whether it stands in the way of the next ones.
fn add(examination: &mut Examination, check: Check) -> Option<&'static str> {
    let stops = matches!(check.verdict, Verdict::Problem | Verdict::Warning).then_some(check.id);
    examination.add(check);
    stops
}

/// Whether the library can read its configuration: it refuses all of Kerberos otherwise.
fn is_readable() -> bool {
    /// `KRB5_CONFIG_BADFORMAT`.
    const BAD_FORMAT: i32 = -1_765_328_248;
    match HeldTicket::of(&Tickets::Default) {
        Err(KerberosError::Credentials {
            source: winrm_gssapi::Error::Status(status),
            ..
        }) => status.minor().cast_signed() != BAD_FORMAT,
        _ => true,
    }
}

fn config(examination: &mut Examination, realm: &Realm, is_readable: bool) -> Option<&'static str> {
    let files: Vec<String> = realm.conf.files.iter().map(|file| file.display().to_string()).collect();
    let unread: Vec<String> = realm
        .conf
        .unread
        .iter()
        .map(|(file, why)| format!("{}: {why}", file.display()))
        .collect();
    let mend = "install krb5-config or write the file: [libdefaults] default_realm, [realms] with the kdc lines, [domain_realm]; or let DNS \
                have the records _kerberos._tcp.REALM";
    if files.is_empty() {
        let is_lost = realm.kdcs.is_empty();
        let verdict = if is_lost { examination.kerberos_verdict() } else { Verdict::Ok };
        let summary = if is_lost {
            "krb5.conf is missing, and DNS knows no KDC".to_owned()
        } else {
            "there is no krb5.conf; DNS knows the KDC".to_owned()
        };
        let mut check = Check::new("kerberos.config", verdict, summary);
        check.evidence = unread;
        if std::env::var_os("KRB5_CONFIG").is_some() {
            check = check.evidence("KRB5_CONFIG names the files that are read");
        }
        let check = if is_lost { check.mend(mend) } else { check };
        examination.add(check);
        return is_lost.then_some("kerberos.config");
    }
    if !is_readable {
        let check = Check::new(
            "kerberos.config",
            examination.kerberos_verdict(),
            format!("the library can't read {}: its format is wrong", files.join(", ")),
        )
        .evidence("\"Improper format of Kerberos configuration file\"")
        .mend("each line is a [section], NAME = VALUE, NAME = {, or }; comments have lines of their own and begin with #");
        return add(examination, check);
    }
    let switches: Vec<String> = [
        ("dns_lookup_kdc", true),
        ("dns_lookup_realm", false),
        ("dns_canonicalize_hostname", true),
        ("rdns", true),
    ]
    .into_iter()
    .map(|(name, otherwise)| match realm.conf.said(name) {
        Some(value) => format!("{name} = {value}"),
        None => format!("{name} = {otherwise} (default)"),
    })
    .collect();
    let mut check = Check::ok("kerberos.config", format!("{} is read", files.join(", "))).evidence(switches.join(", "));
    check.evidence.extend(unread);
    examination.add(check);
    None
}

fn name_of_realm(examination: &mut Examination, realm: &Realm) -> Option<&'static str> {
    let verdict = examination.kerberos_verdict();
    let host = examination.kerberos.host_name(examination.endpoint().host()).to_owned();
    let Some(name) = &realm.name else {
        let check = Check::new(
            "kerberos.realm",
            verdict,
            "nothing tells the realm: neither the user's name nor krb5.conf",
        )
        .mend("write the user as NAME@REALM, give --realm, or set default_realm in [libdefaults] of krb5.conf");
        return add(examination, check);
    };
    let of_host = realm.conf.realm_of(&host);
    let mapping = match &of_host {
        Some((key, mapped)) => format!("[domain_realm] {key} = {mapped} says the realm of {host}"),
        None => format!("[domain_realm] does not tell the realm of {host}; the KDC is asked for it"),
    };
    let upper = name.to_uppercase();
    if *name != upper && realm.kdcs.is_empty() {
        let check = Check::new(
            "kerberos.realm",
            verdict,
            format!("the realm {name} is not written in capitals, and nobody knows it so"),
        )
        .evidence(mapping)
        .mend(format!("write it in capitals: {upper}"));
        return add(examination, check);
    }
    let is_strange = of_host.as_ref().is_some_and(|(_, mapped)| *mapped != name);
    let check = if is_strange {
        Check::warning(
            "kerberos.realm",
            format!(
                "user and host are of different realms, {name} and {}: these have to trust each other",
                of_host.map_or("", |(_, mapped)| mapped)
            ),
        )
        .mend("if that is not so, correct [domain_realm] of krb5.conf, or give --realm")
    } else {
        Check::ok("kerberos.realm", format!("the realm is {name}"))
    };
    examination.add(check.evidence(mapping));
    None
}

/// Whether an encryption type, or a family of them, is one that domains still take.
fn is_strong(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("aes") || name.starts_with("camellia") || name == "default"
}

fn enctypes(examination: &mut Examination, realm: &Realm) -> Option<&'static str> {
    let mut weak = None;
    let mut evidence = Vec::new();
    for setting in ["permitted_enctypes", "default_tkt_enctypes", "default_tgs_enctypes"] {
        if let Some(list) = realm.conf.said(setting) {
            evidence.push(format!("{setting} = {list}"));
            if !list.split([' ', ',', '\t']).filter(|name| !name.is_empty()).any(is_strong) {
                weak = Some(setting);
            }
        }
    }
    if realm.conf.switch("allow_weak_crypto", false) {
        evidence.push("allow_weak_crypto = true".to_owned());
    }
    let mut check = match weak {
        Some(setting) => Check::new(
            "kerberos.enctypes",
            examination.kerberos_verdict(),
            format!("{setting} of krb5.conf leaves out AES, without which most domains give no ticket"),
        )
        .mend(format!("take {setting} out of [libdefaults], or add aes256-cts-hmac-sha1-96")),
        None => Check::ok("kerberos.enctypes", "krb5.conf allows AES"),
    };
    check.evidence = evidence;
    add(examination, check).filter(|_| weak.is_some())
}

async fn ask_kdcs(examination: &mut Examination, realm: &Realm) -> Option<&'static str> {
    let verdict = examination.kerberos_verdict();
    let name = realm.name.clone().unwrap_or_default();
    if realm.kdcs.is_empty() {
        let known = if realm.conf.knows(&name) {
            format!("[realms] of krb5.conf has {name} without a kdc line")
        } else {
            format!("[realms] of krb5.conf does not know {name}")
        };
        let by_dns = if realm.asks_dns() {
            format!("DNS has no record _kerberos._tcp.{name}")
        } else {
            "dns_lookup_kdc is off".to_owned()
        };
        let check = Check::new("kerberos.kdc", verdict, format!("no KDC is known for the realm {name}"))
            .evidence(known)
            .evidence(by_dns)
            .mend(format!(
                "is {name} the right realm? If so, add it to [realms] of krb5.conf with its kdc lines, or let DNS have the record"
            ));
        return add(examination, check);
    }
    let origin = if realm.from_dns { "DNS" } else { "krb5.conf" };
    let account = account(examination);
    let client = account.as_ref().map(|account| account.user.clone());
    let client = client.map(|user| user.split('@').next().unwrap_or_default().to_owned());
    let mut evidence = Vec::new();
    for kdc in realm.kdcs.iter().take(6) {
        match kdc::ask(kdc, client.as_deref().unwrap_or(NOBODY), &name).await {
            Ok(said) => {
                let mut check = Check::ok("kerberos.kdc", format!("the KDC {kdc} of {name} answers"));
                check.evidence = evidence;
                examination.add(check.evidence(format!("found by {origin}, asked over TCP")));
                return what_it_said(examination, said, client.as_deref(), &name);
            }
            Err(error) => evidence.push(format!("{kdc}: {error}")),
        }
    }
    let mut check = Check::new("kerberos.kdc", verdict, format!("no KDC of {name} answers"))
        .mend("is the network or VPN right, is port 88 open (TCP), and are the kdc lines of krb5.conf, or the records of DNS, up to date?");
    check.evidence = evidence;
    add(examination, check.evidence(format!("found by {origin}")))
}

fn what_it_said(examination: &mut Examination, said: kdc::Said, client: Option<&str>, realm: &str) -> Option<&'static str> {
    let verdict = examination.kerberos_verdict();
    examination.kdc_ahead = said.ahead;
    let clock = match said.ahead {
        Some(ahead) => clock::check(examination, "clock.kdc", "that of the KDC", ahead),
        None => Check::skipped("clock.kdc", "the KDC did not tell its time"),
    };
    let Some(client) = client else {
        examination.add(Check::skipped(
            "kerberos.account",
            "no user was given; whose ticket it is, is said below",
        ));
        examination.add(clock);
        return None;
    };
    let who = format!("{client}@{realm}");
    let (account, check) = match said.answer {
        KdcAnswer::Error(error) => said_of_account(verdict, &who, &error),
        KdcAnswer::Ticket { client } => (
            Account::Usable,
            Check::ok(
                "kerberos.account",
                format!("the KDC knows {client}, and gives tickets without asking for a proof"),
            )
            .evidence("accounts without Kerberos pre-authentication can have their passwords guessed offline"),
        ),
        _ => (
            Account::Usable,
            Check::skipped("kerberos.account", "the KDC said nothing of the account"),
        ),
    };
    examination.add(clock);
    examination.add(check);
    if account == Account::Blocked {
        // A try would count, and can't succeed.
        examination.password_refused = Some("kerberos.account");
    }
    (account != Account::Usable).then_some("kerberos.account")
}

/// What a KDC has told of an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    Usable,
    Unknown,
    /// No password helps.
    Blocked,
}

fn said_of_account(verdict: Verdict, who: &str, error: &KdcError) -> (Account, Check) {
    let of = |summary: String| Check::new("kerberos.account", verdict, summary);
    let words = match &error.text {
        Some(text) => format!("error {}, {text}", error.code),
        None => format!("error {}", error.code),
    };
    let types: Vec<String> = error
        .enctypes
        .iter()
        .map(|number| enctype_name(*number).map_or_else(|| number.to_string(), str::to_owned))
        .collect();
    let (account, check) = match error.code {
        code::CLIENT_UNKNOWN => (
            Account::Unknown,
            of(format!("the KDC does not know the account {who}"))
                .mend("check the spelling, and the realm; accounts of the host alone are written without a realm and go by NTLM"),
        ),
        code::CLIENT_REVOKED => (
            Account::Blocked,
            of(format!("the account {who} is disabled, locked or expired"))
                .mend("have it unlocked or enabled in the domain: Unlock-ADAccount, Enable-ADAccount"),
        ),
        code::KEY_EXPIRED => (
            Account::Blocked,
            of(format!("the password of {who} has expired")).mend("change it: kpasswd, or log on to a machine of the domain"),
        ),
        code::WRONG_REALM => {
            let realm = error.client_realm.as_ref().map(|realm| format!(", {realm}")).unwrap_or_default();
            (
                Account::Unknown,
                of(format!("the account {who} is one of another realm{realm}")).mend("write the user with that realm"),
            )
        }
        code::ETYPE_NOT_SUPPORTED => (
            Account::Unknown,
            of(format!("{who} has no key of an encryption type that is asked for here"))
                .mend("let the domain support AES for the account, and set its password anew"),
        ),
        code::PREAUTH_REQUIRED if types.is_empty() || types.iter().any(|name| is_strong(name)) => (
            Account::Usable,
            Check::ok("kerberos.account", format!("the KDC knows {who}, and wants to see the password")),
        ),
        code::PREAUTH_REQUIRED => (
            Account::Usable,
            Check::warning("kerberos.account", format!("the account {who} has no key of AES"))
                .mend("set its password anew, and let the account support AES"),
        ),
        _ => (
            Account::Usable,
            Check::warning("kerberos.account", format!("the KDC says of {who}: {words}")),
        ),
    };
    let check = check.evidence(format!("the KDC's answer to a request without a password: {words}"));
    let check = if types.is_empty() {
        check
    } else {
        check.evidence(format!("the account has keys of {}", types.join(", ")))
    };
    (account, check)
}

/// The user's ticket: one that is there, or, with a password, a new one by `kinit`. The user's own caches are not changed.
async fn ticket(examination: &mut Examination) -> Result<(), &'static str> {
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
        let mut arguments = vec!["-C"];
        if examination.kerberos.delegates() {
            arguments.push("-f");
        }
        kinit.arguments(arguments)
    } else {
        kinit
    };
    let whom = whom.unwrap_or_default();
    let get = move || kinit.ticket(&whom, &password);
    match tokio::task::spawn_blocking(get).await {
        Ok(Ok(ticket)) => Ok(managed(examination, ticket)),
        Ok(Err(error)) => Err(Some(Box::new(refused(examination, &error)))),
        Err(_) => Err(None),
    }
}

fn managed(examination: &mut Examination, ticket: Ticket) -> Tickets {
    examination.ticket_source = Some(TicketSource::Ccache(ticket.ccache().to_owned()));
    Tickets::Managed(Arc::new(ticket))
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
async fn principals(examination: &mut Examination) {
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
