//! NTLM, Kerberos and encrypted messages, judged by programs that nobody here wrote: clients of the program's service, acceptors
//! for its client, and a real KDC. `cargo xtask test` installs them; without it each test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/kdc.rs"]
mod kdc;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/service.rs"]
mod service;

use std::process::Command;

use kdc::Kdc;
use service::{Service, USER};

/// Runs a client's cases against a service that takes no clear text and one that requires channel bindings: `least` of them
/// without a KDC, and `least_with_kdc` with one.
fn client(peer: &str, least: usize, least_with_kdc: usize, mut command: Command) -> String {
    let (folder, strict_folder) = (service::folder(peer), service::folder(&format!("{peer}-strict")));
    let kdc = Kdc::start(peer, &folder);
    let keytab = kdc.as_ref().map(Kdc::keytab);
    let accept: Vec<&str> = match &keytab {
        Some(keytab) => vec!["-v", "--keytab", keytab, "--allow-any-principal"],
        None => vec!["-v"],
    };
    let service = Service::start(&folder, &accept);
    let strict = Service::start(&strict_folder, &[accept.as_slice(), &["--require-channel-binding"]].concat());
    command.args([
        "--url",
        &service.url,
        "--tls-url",
        &service.tls_url,
        "--strict-url",
        &strict.tls_url,
    ]);
    command.arg("--certificate").arg(&service.certificate);
    command.arg("--strict-certificate").arg(&strict.certificate);
    command
        .args(["--user", USER, "--password-file"])
        .arg(service::password_file(&folder));
    command.arg("--folder").arg(&folder);
    if service::has_powershell() {
        command.arg("--powershell");
    }
    if let Some(kdc) = &kdc {
        command.arg("--krb5-config").arg(kdc.config());
        command.args(["--ccache", &kdc.ccache("cc", &[]), "--principal", kdc::PRINCIPAL]);
        command.arg("--principal-password-file").arg(kdc.password_file());
    }
    let least = if kdc.is_some() { least_with_kdc } else { least };
    peer::judge(peer, command, least, || service.log() + &strict.log());
    let log = service.log() + &strict.log();
    for ended in [service.stop(), strict.stop()] {
        assert!(ended.success(), "a service that got SIGTERM: {ended}");
    }
    if kdc.is_some() {
        assert!(authenticated(&log, "Kerberos"), "nobody came with Kerberos:\n{log}");
    }
    log
}

/// Whether the service's log has someone who authenticated with this mechanism.
fn authenticated(log: &str, mechanism: &str) -> bool {
    let mechanism = format!("mechanism={mechanism}");
    log.lines().any(|line| line.contains("authenticated") && line.contains(&mechanism))
}

/// Whether it has someone who did so, bound to the TLS connection.
fn bound(log: &str, mechanism: &str) -> bool {
    let mechanism = format!("mechanism={mechanism}");
    log.lines()
        .any(|line| line.contains(&mechanism) && line.contains("channel_bound=true"))
}

#[test]
fn pywinrm() {
    let Some(python) = peer::variable("pywinrm, sealed", "WINRM_TEST_PYTHON") else {
        return;
    };
    let log = client("pywinrm-sealed", 14, 27, peer::script(python, "sealed_pywinrm.py"));
    assert!(bound(&log, "NTLM"), "{log}");
}

#[test]
fn pypsrp() {
    let Some(python) = peer::variable("pypsrp, sealed", "WINRM_TEST_PYTHON") else {
        return;
    };
    let log = client("pypsrp-sealed", 23, 45, peer::script(python, "sealed_pypsrp.py"));
    assert!(bound(&log, "NTLM"), "{log}");
}
