//! The Python module `winrm`, judged by the one that it stands in for and by Ansible: pywinrm's own tests, the same script with both, the
//! same plays with both; and what pywinrm doesn't do: threads, forks, signals. `cargo xtask test` builds and installs it; without it each test
//! says what it lacks and passes.
//!
//! `peers.rs`, `sealed_peers.rs`, `credssp_peers.rs`, `cert_peers.rs` and `powershell.rs` run the cases of pywinrm and Ansible with it as well.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests of tickets use the rest")]
mod kdc;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/service.rs"]
mod service;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use kdc::Kdc;
use service::{Service, USER};

/// The Python with our module, and one with pywinrm.
struct Pythons {
    own: OsString,
    peer: OsString,
}

impl Pythons {
    fn find(peer: &str) -> Option<Self> {
        Some(Self {
            own: peer::variable(peer, "WINRM_TEST_OWN_PYTHON")?,
            peer: peer::variable(peer, "WINRM_TEST_PYTHON")?,
        })
    }
}

/// Runs the cases of a script against a service that takes clear text and one that doesn't. `more` are arguments that follow from those.
fn judge(peer: &str, command: Command, least: usize, more: impl FnOnce(&Service, &Path) -> Vec<OsString>) {
    judge_on(peer, command, least, &["-v"], more);
}

/// The same with these arguments of the one that takes no clear text.
fn judge_on(peer: &str, mut command: Command, least: usize, refusing: &[&str], more: impl FnOnce(&Service, &Path) -> Vec<OsString>) {
    let (folder, refusing_folder) = (service::folder(peer), service::folder(&format!("{peer}-refusing")));
    let service = Service::start(&folder, &["--allow-unencrypted"]);
    let refusing = Service::start(&refusing_folder, refusing);
    command.args([
        "--url",
        &service.url,
        "--tls-url",
        &service.tls_url,
        "--refusing-url",
        &refusing.url,
    ]);
    command
        .args(["--user", USER, "--password-file"])
        .arg(service::password_file(&folder));
    command.arg("--folder").arg(&folder);
    command.args(more(&service, &refusing_folder));
    if service::has_powershell() {
        command.arg("--powershell");
    }
    peer::judge(peer, command, least, || service.log() + &refusing.log());
    for ended in [service.stop(), refusing.stop()] {
        assert!(ended.success(), "a service that got SIGTERM: {ended}");
    }
}

#[test]
fn tests_of_pywinrm() {
    const PEER: &str = "module-tests-of-pywinrm";
    let Some(python) = peer::variable(PEER, "WINRM_TEST_OWN_PYTHON") else {
        return;
    };
    let Some(sources) = peer::variable(PEER, "WINRM_TEST_SOURCES") else {
        return;
    };
    let mut command = peer::script(python, "module/own_tests.py");
    command.arg("--sources").arg(sources);
    judge(PEER, command, 54, |_, _| Vec::new());
}

#[test]
fn side_by_side_with_pywinrm() {
    const PEER: &str = "module-side-by-side";
    let Some(pythons) = Pythons::find(PEER) else { return };
    let mut command = peer::script(pythons.peer, "module/side_by_side.py");
    command.arg("--own").arg(pythons.own);
    judge(PEER, command, 175, |service, _| {
        vec!["--certificate".into(), service.certificate.clone().into()]
    });
}

#[test]
fn threads_forks_and_signals() {
    const PEER: &str = "module-processes";
    let Some(python) = peer::variable(PEER, "WINRM_TEST_OWN_PYTHON") else {
        return;
    };
    judge(PEER, peer::script(python, "module/processes.py"), 21, |service, refusing| {
        vec![
            "--certificate".into(),
            service.certificate.clone().into(),
            "--log".into(),
            refusing.join("service.log").into(),
            "--winrm".into(),
            env!("CARGO_BIN_EXE_winrm").into(),
        ]
    });
}

#[test]
fn kerberos() {
    const PEER: &str = "module-kerberos";
    const OWNER: &str = "administrator@WINRM.TEST";
    let Some(python) = peer::variable(PEER, "WINRM_TEST_OWN_PYTHON") else {
        return;
    };
    let folder = service::folder("module-kdc");
    let Some(kdc) = Kdc::start(PEER, &folder) else { return };
    let mut command = peer::script(python, "module/kerberos_cases.py");
    command.args(["--ccache", &kdc.ccache("cc", &[]), "--principal", kdc::PRINCIPAL]);
    command.args(["--keytab", &kdc.client_keytab(OWNER), "--owner", OWNER]);
    command.arg("--config").arg(kdc.config());
    let accept = ["-v", "--keytab", &kdc.keytab(), "--allow-any-principal"];
    judge_on(PEER, command, 7, &accept, |_, _| Vec::new());
}

/// The folders with both Ansibles, as arguments of a script.
fn with_ansibles(peer: &str, script: &str) -> Option<Command> {
    let pythons = Pythons::find(peer)?;
    if !service::has_powershell() {
        peer::skip(peer, "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return None;
    }
    let programs = |python: &OsString| Path::new(python).parent().unwrap().to_owned();
    let (with_peer, with_own) = (programs(&pythons.peer), programs(&pythons.own));
    let mut command = peer::script(pythons.peer, script);
    command.arg("--ansible").arg(with_peer).arg("--own").arg(with_own);
    Some(command)
}

#[test]
fn ansible_side_by_side() {
    const PEER: &str = "module-ansible";
    let Some(mut command) = with_ansibles(PEER, "module/plays.py") else {
        return;
    };
    let Some(collections) = peer::variable(PEER, "WINRM_TEST_COLLECTIONS") else {
        return;
    };
    command
        .arg("--winrm")
        .arg(env!("CARGO_BIN_EXE_winrm"))
        .env("ANSIBLE_COLLECTIONS_PATH", collections);
    judge(PEER, command, 4, |_, _| Vec::new());
}

#[test]
fn ansible_on_fifty_hosts() {
    const PEER: &str = "module-ansible-fifty";
    let Some(command) = with_ansibles(PEER, "module/fifty.py") else {
        return;
    };
    judge(PEER, command, 1, |_, _| Vec::new());
}
