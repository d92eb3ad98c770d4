//! Kerberos: this machine's side of it, the realm, the KDC and the account; [`ticket`] has the rest.

use winrm::{Credentials, Secret, TicketSource};
use winrm_auth::kerberos::kdc::{KdcAnswer, KdcError, code, enctype_name};
use winrm_auth::kerberos::{HeldTicket, KerberosError, Tickets};
use winrm_auth::kinit::principal;
use winrm_fleet::settings::Method;

use super::check::{Check, Verdict};
use super::examination::{Examination, KerberosIs};
use super::krb5_conf::Krb5Conf;
use super::{clock, dns, kdc, ticket};

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
pub(super) async fn is(examination: &Examination) -> KerberosIs {
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
        (None, None | Some(TicketSource::Default)) => {
            let has_one = || HeldTicket::of(&Tickets::Default).is_ok();
            tokio::task::spawn_blocking(has_one).await.unwrap_or_default()
        }
        _ => examination.kerberos.is_worth_trying(account.as_ref()),
    };
    if (examination.uses(Method::Negotiate) || examination.uses(Method::Credssp)) && is_worth_trying {
        KerberosIs::Preferred
    } else {
        KerberosIs::Unused
    }
}

/// The user, with the password if there is one.
pub(super) fn account(examination: &Examination) -> Option<Credentials> {
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
    if let Err(cause) = ticket::look(examination).await {
        pass_over(examination, cause);
        return;
    }
    ticket::principals(examination).await;
}

fn pass_over(examination: &mut Examination, cause: &'static str) {
    for id in ALL {
        if !examination.checks.iter().any(|check| check.id == id) {
            examination.add(Check::because(id, cause));
        }
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
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
            Check::warning(
                "kerberos.account",
                format!("the KDC knows {client}, and gives tickets without asking for a proof"),
            )
            .evidence("accounts without Kerberos pre-authentication can have their passwords guessed offline")
            .mend("let the account need pre-authentication: Set-ADAccountControl -DoesNotRequirePreAuth $false"),
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
