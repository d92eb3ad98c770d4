//! TLS: what is spoken, and what the certificate says.

use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use winrm::{CertificateCheck, ProbedTls, TlsFailure, TlsProblem, TlsVersion};

use super::check::{Check, Verdict};
use super::clock::{self, FAR_APART};
use super::examination::Examination;
use super::port::sentence;
use crate::tls_hint::tls_hint;

/// A certificate that ends sooner than this is worth a word, in days.
const SOON: u32 = 30;

const ALL: [&str; 6] = ["tls.handshake", "tls.versions", "tls.chain", "tls.name", "tls.dates", "tls.binding"];

pub(super) async fn look(examination: &mut Examination) {
    if !examination.is_https() {
        for id in ALL {
            examination.add(Check::skipped(id, "the target is http"));
        }
        return;
    }
    // As the user's settings have it: what is wrong there is what keeps the user out.
    let outcome = match examination.settings.anonymous().retries(0).build() {
        Ok(client) => client.probe().await,
        Err(error) => Err(error),
    };
    let versions = versions(examination).await;
    let failure = outcome.as_ref().err().and_then(winrm::Error::as_tls).cloned();
    let shown = examination.probe.as_ref().and_then(|probe| probe.tls.clone());
    let Some(shown) = shown else {
        no_handshake(examination, outcome.err(), versions);
        return;
    };
    examination.add(
        Check::ok("tls.handshake", format!("{} with {}", shown.version, shown.cipher))
            .evidence(format!("the certificate is {}", shown.certificate)),
    );
    examination.add(versions_check(&versions));
    let chain = chain(examination, failure.as_ref(), &outcome, &shown);
    examination.add(chain);
    let name = name(examination, failure.as_ref(), &shown);
    examination.add(name);
    let dates = dates(examination, failure.as_ref(), &shown);
    examination.add(dates);
    examination.add(binding(examination, &shown));
}

/// Which versions the host takes, each tried by itself.
async fn versions(examination: &Examination) -> Vec<(TlsVersion, bool)> {
    let mut taken = Vec::new();
    for version in [TlsVersion::Tls1_0, TlsVersion::Tls1_1, TlsVersion::Tls1_2, TlsVersion::Tls1_3] {
        let mut builder = examination
            .glance(examination.endpoint().clone())
            .tls_minimum(version)
            .tls_maximum(version);
        if version < TlsVersion::Tls1_2 {
            builder = builder.ciphers("ALL:@SECLEVEL=0");
        }
        let is_taken = match builder.build() {
            Ok(client) => !matches!(client.probe().await, Err(error) if error.as_tls().is_some() || error.is_connect()),
            Err(_) => false,
        };
        taken.push((version, is_taken));
    }
    taken
}

fn listed(versions: &[(TlsVersion, bool)]) -> String {
    let taken: Vec<String> = versions
        .iter()
        .filter(|(_, taken)| *taken)
        .map(|(version, _)| version.to_string())
        .collect();
    if taken.is_empty() {
        "no version of TLS".to_owned()
    } else {
        format!("TLS {}", taken.join(", "))
    }
}

fn versions_check(versions: &[(TlsVersion, bool)]) -> Check {
    let listed = listed(versions);
    let has_weak = versions.iter().any(|(version, taken)| *taken && *version < TlsVersion::Tls1_2);
    if has_weak {
        return Check::warning("tls.versions", format!("the host takes {listed}: those before 1.2 are weak")).mend(
            "switch them off on the host (HKLM:\\SYSTEM\\CurrentControlSet\\Control\\SecurityProviders\\SCHANNEL\\Protocols, Enabled = 0 under \
             TLS 1.0\\Server and TLS 1.1\\Server)",
        );
    }
    Check::ok("tls.versions", format!("the host takes {listed}"))
}

/// The handshake failed with any certificate allowed: versions or ciphers, or what stands in between.
fn no_handshake(examination: &mut Examination, error: Option<winrm::Error>, versions: Vec<(TlsVersion, bool)>) {
    let only_weak =
        versions.iter().any(|(_, taken)| *taken) && versions.iter().all(|(version, taken)| !taken || *version < TlsVersion::Tls1_2);
    let id = if only_weak { "tls.versions" } else { "tls.handshake" };
    let (summary, evidence) = match &error {
        Some(error) => (error.to_string(), sentence(error)),
        None => ("the host breaks TLS off".to_owned(), String::new()),
    };
    let check = if only_weak {
        Check::problem(
            id,
            format!("the host speaks {} only, which is weak and off by default", listed(&versions)),
        )
        .evidence(evidence)
        .mend(
            "switch TLS 1.2 on there (Server 2008 R2 and Windows 7: update KB3080079 and the registry keys of SCHANNEL); in a trusted \
                 network, --tls-min 1.0",
        )
    } else {
        let hint = error.as_ref().and_then(winrm::Error::as_tls).and_then(tls_hint);
        let hint = hint.or_else(|| error.as_ref().and_then(|error| error.hint().map(str::to_owned)));
        Check::problem(id, summary)
            .evidence(evidence)
            .evidence(format!("of the versions, tried one by one, the host takes {}", listed(&versions)))
            .mend(hint.unwrap_or_else(|| "the host, or something in between, cuts the handshake off".to_owned()))
    };
    examination.add(check);
    for other in ALL.into_iter().filter(|other| *other != id) {
        examination.add(Check::because(other, id));
    }
}

fn is(failure: Option<&TlsFailure>, problems: &[TlsProblem]) -> bool {
    failure.is_some_and(|failure| problems.contains(&failure.problem()))
}

/// The flag that trusts exactly this certificate.
fn pin(shown: &ProbedTls) -> String {
    format!("--fingerprint {}", shown.certificate.fingerprint)
}

fn chain(
    examination: &Examination,
    failure: Option<&TlsFailure>,
    outcome: &Result<winrm::Probe, winrm::Error>,
    shown: &ProbedTls,
) -> Check {
    use TlsProblem as P;
    let check = &examination.settings.certificates().value;
    let to_pin = format!("to trust this certificate alone: {}", pin(shown));
    if is(failure, &[P::Expired, P::NotYetValid]) {
        return Check::because("tls.chain", "tls.dates").evidence(to_pin);
    }
    if is(failure, &[P::WrongName]) {
        return Check::ok("tls.chain", "a trusted authority has issued the certificate").evidence(to_pin);
    }
    if let (Some(failure), Err(error)) = (failure, outcome) {
        let check = Check::problem("tls.chain", error.to_string()).evidence(format!("OpenSSL says: {failure}"));
        return check
            .evidence(to_pin)
            .mend(tls_hint(failure).unwrap_or_else(|| error.hint().unwrap_or_default().to_owned()));
    }
    match (check, outcome) {
        (_, Err(error)) => Check::problem("tls.chain", error.to_string()).evidence(sentence(error)).mend(
            error
                .hint()
                .unwrap_or("look at --ca, --fingerprint and the system's store of authorities")
                .to_owned(),
        ),
        (CertificateCheck::Ignore, _) => Check::warning(
            "tls.chain",
            "any certificate is accepted: whoever sits between here and the host reads everything, the password included",
        )
        .mend(format!(
            "compare the fingerprint with what the host itself shows, and pin it: {}",
            pin(shown)
        )),
        (CertificateCheck::Pinned(_), _) => Check::ok("tls.chain", "the certificate is the pinned one"),
        _ => Check::ok("tls.chain", "a trusted authority has issued the certificate").evidence(to_pin),
    }
}

/// Whether the settings go by the name and the dates of certificates.
fn verifies(examination: &Examination) -> bool {
    !matches!(
        examination.settings.certificates().value,
        CertificateCheck::Ignore | CertificateCheck::Pinned(_)
    )
}

fn name(examination: &Examination, failure: Option<&TlsFailure>, shown: &ProbedTls) -> Check {
    let host = examination.settings.server_name().unwrap_or_else(|| examination.endpoint().host());
    let names = &shown.certificate.names;
    let listed = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    let fits = names.iter().any(|name| covers(name, host));
    if !is(failure, &[TlsProblem::WrongName]) && (fits || failure.is_none() && verifies(examination)) {
        return Check::ok("tls.name", format!("the certificate is for {host}")).evidence(format!("its names: {listed}"));
    }
    let summary = format!("the certificate is not for {host}, but for {listed}");
    if !verifies(examination) {
        return Check::ok("tls.name", format!("{summary}; the settings don't go by names"));
    }
    let mend = failure
        .filter(|failure| failure.problem() == TlsProblem::WrongName)
        .and_then(tls_hint);
    Check::problem("tls.name", summary)
        .mend(mend.unwrap_or_else(|| "use a name that the certificate holds, or --hostname-override NAME".to_owned()))
}

/// As certificates have it: a star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(host),
    }
}

fn dates(examination: &mut Examination, failure: Option<&TlsFailure>, shown: &ProbedTls) -> Check {
    let certificate = &shown.certificate;
    let span = format!("valid from {} to {}", certificate.not_before, certificate.not_after);
    let now = std::time::SystemTime::now();
    let (validity, by_host) = match X509::from_der(&shown.der) {
        Ok(read) => {
            let host_now = examination.probe.as_ref().and_then(|probe| probe.date);
            (validity(&read, now), host_now.map(|now| validity(&read, now)))
        }
        Err(_) => (Validity::Now, None),
    };
    if validity == Validity::Now && !is(failure, &[TlsProblem::Expired, TlsProblem::NotYetValid]) {
        return if ends_soon(shown) {
            Check::warning(
                "tls.dates",
                format!("the certificate ends within {SOON} days, on {}", certificate.not_after),
            )
            .mend("renew it on the host, and give its listener the new one's thumbprint")
        } else {
            Check::ok("tls.dates", format!("the certificate is {span}"))
        };
    }
    let summary = match validity {
        Validity::Before => format!("the certificate is not valid yet: it is {span}"),
        _ => format!("the certificate has expired: it is {span}"),
    };
    let verdict = if verifies(examination) {
        Verdict::Problem
    } else {
        Verdict::Warning
    };
    let is_clock = by_host == Some(Validity::Now) && examination.host_ahead.is_some_and(|ahead| ahead.unsigned_abs() > FAR_APART);
    let check = Check::new("tls.dates", verdict, summary);
    if is_clock {
        // The certificate is good; what time it is, is the question.
        clock::blame(
            examination,
            "the certificate is valid by the host's clock, and not by this machine's",
        );
        return check.caused_by("clock.host").mend("set this machine's clock right first");
    }
    let mend = failure.and_then(tls_hint).unwrap_or_else(|| "renew it on the host".to_owned());
    check
        .evidence(format!("to trust this certificate alone: {}", pin(shown)))
        .mend(mend)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Before,
    Now,
    After,
}

fn validity(certificate: &X509, now: std::time::SystemTime) -> Validity {
    let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Ok(now) = Asn1Time::from_unix(i64::try_from(seconds).unwrap_or_default()) else {
        return Validity::Now;
    };
    if certificate.not_before() > now {
        Validity::Before
    } else if certificate.not_after() < now {
        Validity::After
    } else {
        Validity::Now
    }
}

fn ends_soon(shown: &ProbedTls) -> bool {
    let read = || {
        let certificate = X509::from_der(&shown.der).ok()?;
        let soon = Asn1Time::days_from_now(SOON).ok()?;
        Some(certificate.not_after() < soon)
    };
    read().unwrap_or_default()
}

/// What channel binding makes of the certificate.
fn binding(examination: &Examination, shown: &ProbedTls) -> Check {
    let signature = X509::from_der(&shown.der)
        .ok()
        .and_then(|certificate| certificate.signature_algorithm().object().nid().long_name().ok().map(str::to_owned))
        .unwrap_or_else(|| "an unknown algorithm".to_owned());
    if !examination.settings.sends_channel_binding() {
        return Check::warning(
            "tls.binding",
            "authentication is not bound to TLS (--no-cbt): it can be relayed to other connections",
        )
        .mend("leave --no-cbt (ansible_winrm_send_cbt: false) out, unless something between here and the host ends TLS");
    }
    let lower = signature.to_ascii_lowercase();
    let hash = match () {
        () if lower.contains("512") => "SHA-512",
        () if lower.contains("384") => "SHA-384",
        () => "SHA-256",
    };
    let check = Check::ok("tls.binding", format!("authentication is bound to the certificate by its {hash}"));
    let check = check.evidence(format!("the certificate is signed with {signature}"));
    if lower.contains("sha256") || lower.contains("sha384") || lower.contains("sha512") || lower.contains("sha1") || lower.contains("md5") {
        return check;
    }
    if lower.contains("rsassapss") || lower.contains("rsassa-pss") {
        return check.evidence("with PSS the hash stands in the parameters");
    }
    Check::warning(
        "tls.binding",
        "no rule says which hash binds to a certificate with this signature: hosts and clients may differ",
    )
    .evidence(format!("the certificate is signed with {signature}; SHA-256 is used here"))
    .mend("give the host a certificate that is signed with RSA or ECDSA and SHA-256; or --no-cbt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("web1.corp.example", "WEB1.corp.example."));
        assert!(covers("*.corp.example", "web1.corp.example"));
        assert!(!covers("*.corp.example", "a.web1.corp.example"));
        assert!(!covers("*.corp.example", "corp.example"));
        assert!(!covers("web2", "web1"));
    }
}
