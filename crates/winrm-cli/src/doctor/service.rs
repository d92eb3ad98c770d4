//! The service: whether it is WinRM, what it says of itself, and which ways to authenticate it offers.

use winrm_fleet::settings::Method;

use super::check::Check;
use super::clock;
use super::examination::Examination;
use super::kdc::seconds_ahead;
use super::port::{is_winrm, offers, sentence, server};

/// The host's clock, which its answer has told.
pub(super) fn look_at_clock(examination: &mut Examination) {
    let date = examination.probe.as_ref().and_then(|probe| probe.date);
    let check = match date {
        Some(date) => {
            let ahead = seconds_ahead(date);
            examination.host_ahead = Some(ahead);
            clock::check(examination, "clock.host", "that of the host", ahead)
        }
        None => Check::skipped("clock.host", "the host's answer has no date"),
    };
    examination.add(check);
}

pub(super) async fn look(examination: &mut Examination) {
    let Some(probe) = examination.probe.clone() else {
        for id in ["service.answer", "service.identify", "service.mechanisms", "service.clear_text"] {
            let cause = examination.in_the_way(&["tls."]).unwrap_or("tls.handshake");
            examination.add(Check::because(id, cause));
        }
        return;
    };
    let path = examination.endpoint().path().to_owned();
    let identity = match examination.stranger().build() {
        Ok(client) => client.identify().await,
        Err(error) => Err(error),
    };
    let said = format!("{} answers with HTTP {}", server(&probe), probe.status);
    let is_it = is_winrm(probe.status, &probe.schemes) || identity.is_ok();
    if !is_it {
        let (summary, mend) = match probe.status {
            404 => (
                format!("there is no WinRM at the path {path}"),
                "the path of WinRM is /wsman: leave --path out, and check the port (5985 http, 5986 https)".to_owned(),
            ),
            407 => (
                "a proxy in front of the host asks for credentials".to_owned(),
                "give --proxy http://USER@HOST:PORT, or --no-proxy".to_owned(),
            ),
            503 => (
                "the web server is there, and WinRM behind it is not".to_owned(),
                "on the host: Start-Service WinRM, and Set-Service WinRM -StartupType Automatic".to_owned(),
            ),
            status if (300..400).contains(&status) => (
                "the web server sends clients elsewhere, which WinRM never does".to_owned(),
                "check host, port and path: 5985 and 5986, /wsman".to_owned(),
            ),
            401 => (
                "a web server with other ways to authenticate answers, and not WinRM".to_owned(),
                "check host and port: 5985 and 5986 are those of WinRM".to_owned(),
            ),
            _ => (
                "another web server answers, and not WinRM".to_owned(),
                "check host, port and path: 5985 and 5986, /wsman".to_owned(),
            ),
        };
        let mut check = Check::problem("service.answer", summary).evidence(said).mend(mend);
        if let Err(error) = &identity {
            check = check.evidence(sentence(error));
        }
        examination.add(check);
        for id in ["service.identify", "service.mechanisms", "service.clear_text"] {
            examination.add(Check::because(id, "service.answer"));
        }
        return;
    }
    examination.add(Check::ok("service.answer", format!("WinRM answers at {path}")).evidence(said));
    examination.add(match identity {
        Ok(identity) => Check::ok("service.identify", format!("{} {}", identity.vendor, identity.version))
            .evidence(format!("protocol {}", identity.protocol_version)),
        Err(error) => Check::warning("service.identify", "the host does not say what it is without credentials").evidence(sentence(&error)),
    });
    let check = mechanisms(examination, &probe.schemes);
    examination.add(check);
}

/// The schemes by which a transport goes; any of them will do.
pub(super) fn schemes_of(method: Method) -> &'static [&'static str] {
    match method {
        Method::Basic | Method::Plaintext | Method::Ssl => &["Basic"],
        Method::Ntlm => &["Negotiate", "NTLM"],
        Method::Kerberos => &["Negotiate", "Kerberos"],
        Method::Negotiate => &["Negotiate"],
        Method::Credssp => &["CredSSP"],
        // Not every host lists it.
        _ => &[],
    }
}

/// What switches a transport on.
pub(super) fn switch_on(method: Method) -> &'static str {
    match method {
        Method::Basic | Method::Plaintext | Method::Ssl => {
            "on the host: Set-Item WSMan:\\localhost\\Service\\Auth\\Basic $true; over http it takes AllowUnencrypted too, which shows the \
             password to everybody on the way: better https"
        }
        Method::Credssp => "on the host: Enable-WSManCredSSP -Role Server -Force",
        Method::Certificate => "on the host: Set-Item WSMan:\\localhost\\Service\\Auth\\Certificate $true",
        Method::Kerberos => "on the host: Set-Item WSMan:\\localhost\\Service\\Auth\\Kerberos $true",
        _ => "on the host: Set-Item WSMan:\\localhost\\Service\\Auth\\Negotiate $true",
    }
}

pub(super) fn is_offered(method: Method, schemes: &[String]) -> bool {
    let wanted = schemes_of(method);
    let offered = |name: &str| schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(name));
    wanted.is_empty() || wanted.iter().any(|name| offered(name))
}

fn mechanisms(examination: &Examination, schemes: &[String]) -> Check {
    let methods = &examination.settings.methods().value;
    let missing: Vec<Method> = methods.iter().copied().filter(|method| !is_offered(*method, schemes)).collect();
    let offers = format!("the host offers {}", offers(schemes));
    let Some(first) = missing.first() else {
        return Check::ok("service.mechanisms", offers);
    };
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let summary = format!("the host does not offer {}", names.join(" and "));
    let check = if missing.len() == methods.len() {
        Check::problem("service.mechanisms", summary)
    } else {
        Check::warning("service.mechanisms", summary)
    };
    let mend = format!("use a transport that is offered (--transport); or, {}", switch_on(*first));
    check.evidence(offers).mend(mend)
}
