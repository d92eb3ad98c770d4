//! Who answers at the host's ports.

use winrm::{Endpoint, ErrorKind, Probe, Scheme, TlsProblem};

use super::check::Check;
use super::examination::Examination;

pub(super) async fn look(examination: &mut Examination) {
    let target = examination.endpoint().clone();
    let (asked, http, https) = tokio::join!(
        probe(examination, None),
        other(examination, &target, Scheme::Http),
        other(examination, &target, Scheme::Https),
    );
    proxy(examination, &asked);
    let elsewhere = [("port.5985", &http), ("port.5986", &https)]
        .into_iter()
        .find_map(|(_, probed)| probed.as_ref().filter(|probed| probed.is_winrm()));
    let mend = elsewhere.map(|probed| {
        let endpoint = &probed.endpoint;
        format!(
            "WinRM answers at port {}: give {endpoint} as TARGET, or --scheme {} --port {}",
            endpoint.port(),
            endpoint.scheme(),
            endpoint.port()
        )
    });
    match asked {
        Ok(probe) => at_target(examination, probe, mend).await,
        Err(error) => not_at_target(examination, &error, mend).await,
    }
    for (id, port, probed) in [("port.5985", 5985, http), ("port.5986", 5986, https)] {
        let check = match probed {
            None => Check::ok(id, "this is the port that was asked for"),
            Some(probed) => probed.check(id, port),
        };
        examination.add(check);
    }
}

async fn probe(examination: &Examination, endpoint: Option<Endpoint>) -> Result<Probe, winrm::Error> {
    let builder = match endpoint {
        None => examination.stranger(),
        Some(endpoint) => examination.glance(endpoint),
    };
    builder.build()?.probe().await
}

/// What came of a look at a port that nobody asked for.
struct Probed {
    endpoint: Endpoint,
    outcome: Result<Probe, winrm::Error>,
}

async fn other(examination: &Examination, target: &Endpoint, scheme: Scheme) -> Option<Probed> {
    if target.port() == scheme.default_port() {
        return None;
    }
    let endpoint = target.clone().with_scheme(scheme).with_port(scheme.default_port());
    let outcome = probe(examination, Some(endpoint.clone())).await;
    Some(Probed { endpoint, outcome })
}

impl Probed {
    fn is_winrm(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|probe| is_winrm(probe.status, &probe.schemes))
    }

    fn check(self, id: &'static str, port: u16) -> Check {
        match self.outcome {
            Ok(probe) if is_winrm(probe.status, &probe.schemes) => {
                Check::ok(id, format!("WinRM answers at port {port} as well")).evidence(format!("it offers {}", offers(&probe.schemes)))
            }
            Ok(probe) => Check::ok(id, format!("another web server answers at port {port}")).evidence(format!(
                "{} answers with HTTP {}",
                server(&probe),
                probe.status
            )),
            Err(error) if error.kind() == ErrorKind::Connect => Check::ok(id, format!("nothing answers at port {port}")),
            Err(error) => Check::ok(id, format!("something answers at port {port}, and it is no WinRM")).evidence(sentence(&error)),
        }
    }
}

/// WinRM asks everybody who it is, and offers at least one of its ways.
pub(super) fn is_winrm(status: u16, schemes: &[String]) -> bool {
    const WAYS: [&str; 4] = ["Negotiate", "Kerberos", "CredSSP", "Basic"];
    status == 401 && schemes.iter().any(|scheme| WAYS.iter().any(|way| scheme.eq_ignore_ascii_case(way)))
}

pub(super) fn offers(schemes: &[String]) -> String {
    if schemes.is_empty() {
        "nothing".to_owned()
    } else {
        schemes.join(", ")
    }
}

pub(super) fn server(probe: &Probe) -> &str {
    probe.server.as_deref().unwrap_or("a server without a name")
}

/// An error with all that stands behind it.
pub(super) fn sentence(error: &winrm::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn proxy(examination: &mut Examination, asked: &Result<Probe, winrm::Error>) {
    let Some(proxy) = examination.settings.proxy().map(ToString::to_string) else {
        examination.add(Check::ok("port.proxy", "no proxy is in between, as far as the settings say"));
        return;
    };
    let check = match asked {
        Err(error) if error.to_string().contains("proxy") => Check::problem("port.proxy", error.to_string())
            .evidence(sentence(error))
            .mend(format!(
                "{}; --no-proxy HOSTS (NO_PROXY) reaches hosts without it",
                error.hint().unwrap_or("check --proxy, HTTP_PROXY and HTTPS_PROXY")
            )),
        _ => Check::ok("port.proxy", format!("the way goes through the proxy {proxy}"))
            .evidence("what is said below of ports is what the proxy sees"),
    };
    examination.add(check);
}

async fn at_target(examination: &mut Examination, probe: Probe, mend: Option<String>) {
    let (host, port) = (examination.endpoint().host().to_owned(), examination.endpoint().port());
    if !examination.is_https() && probe.status == 400 && speaks_tls(examination).await {
        examination.add(wrong_way(examination, mend, true));
        return;
    }
    let evidence = format!("{} answers with HTTP {}", server(&probe), probe.status);
    examination.add(Check::ok("port.target", format!("{host} answers at port {port}")).evidence(evidence));
    examination.probe = Some(probe);
}

async fn not_at_target(examination: &mut Examination, error: &winrm::Error, mend: Option<String>) {
    let problem = error.as_tls().map(winrm::TlsFailure::problem);
    let is_https = examination.is_https();
    if examination.in_the_way(&["port.proxy"]).is_some() {
        examination.add(Check::because("port.target", "port.proxy"));
        return;
    }
    if is_https && matches!(problem, Some(TlsProblem::NotTls | TlsProblem::Closed | TlsProblem::Other)) && speaks_http(examination).await {
        examination.add(wrong_way(examination, mend, false));
        return;
    }
    if !is_https && matches!(error.kind(), ErrorKind::NotWinRm | ErrorKind::Closed | ErrorKind::Timeout) && speaks_tls(examination).await {
        examination.add(wrong_way(examination, mend, true));
        return;
    }
    let (host, port) = (examination.endpoint().host().to_owned(), examination.endpoint().port());
    if problem.is_some() && problem != Some(TlsProblem::NotTls) {
        // Something listens, and TLS is the trouble: its own checks say which.
        examination.add(Check::ok("port.target", format!("{host} takes connections at port {port}")));
        return;
    }
    let summary = match error.kind() {
        ErrorKind::Timeout => format!("{host} takes connections at port {port}, and says nothing"),
        _ => error.to_string(),
    };
    let refused = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    let hint = error.hint().unwrap_or("check host and port").to_owned();
    let mend = match mend {
        Some(mend) => mend,
        None if refused => {
            "on the host, elevated: `winrm quickconfig` or Enable-PSRemoting -Force; and check the port: 5985 is for http, 5986 for https"
                .to_owned()
        }
        None if error.kind() == ErrorKind::Connect => {
            format!("{hint}; on the host: a rule for TCP {port} in its firewall, for the network profile that is in use")
        }
        None => hint,
    };
    examination.add(Check::problem("port.target", summary).evidence(sentence(error)).mend(mend));
}

fn wrong_way(examination: &Examination, mend: Option<String>, tls: bool) -> Check {
    let endpoint = examination.endpoint();
    let (host, port) = (endpoint.host(), endpoint.port());
    let (summary, scheme) = if tls {
        (format!("port {port} of {host} speaks TLS, and was asked without it"), "https")
    } else {
        (format!("port {port} of {host} speaks http, and was asked for TLS"), "http")
    };
    let here = format!("--scheme {scheme}: 5985 is the usual port of http, 5986 that of https");
    Check::problem("port.target", summary).mend(match mend {
        Some(mend) => format!("{here}; {mend}"),
        None => here,
    })
}

async fn speaks_tls(examination: &Examination) -> bool {
    let endpoint = examination
        .endpoint()
        .clone()
        .with_scheme(Scheme::Https)
        .with_port(examination.endpoint().port());
    match probe(examination, Some(endpoint)).await {
        Ok(_) => true,
        // A failure that only those have who speak it.
        Err(error) => matches!(
            error.as_tls().map(winrm::TlsFailure::problem),
            Some(TlsProblem::Version | TlsProblem::NoCommonCipher | TlsProblem::WeakKeyExchange | TlsProblem::ClientCertificateWanted)
        ),
    }
}

async fn speaks_http(examination: &Examination) -> bool {
    let endpoint = examination
        .endpoint()
        .clone()
        .with_scheme(Scheme::Http)
        .with_port(examination.endpoint().port());
    probe(examination, Some(endpoint)).await.is_ok()
}
