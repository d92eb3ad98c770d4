//! The program against programs that nobody here wrote: clients of its service, and recordings of real hosts for its
//! client. `cargo xtask test` installs them; without it each test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::peer;
use support::service::{self, Service, USER};

/// Runs a client's cases against a service that takes clear text and one that doesn't.
fn client(peer: &str, least: usize, mut command: Command) {
    let (folder, refusing_folder) = (service::folder(peer), service::folder(&format!("{peer}-refusing")));
    let service = Service::start(&folder, &["--allow-unencrypted"]);
    let refusing = Service::start(&refusing_folder, &[]);
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
    command.arg("--certificate").arg(&service.certificate);
    command.arg("--folder").arg(&folder);
    if service::has_powershell() {
        command.arg("--powershell");
    }
    peer::judge(peer, command, least, || service.log());
    for ended in [service.stop(), refusing.stop()] {
        assert!(ended.success(), "a service that got SIGTERM: {ended}");
    }
}

#[test]
fn pywinrm() {
    let Some(python) = peer::variable("pywinrm", "WINRM_TEST_PYTHON") else {
        return;
    };
    client("pywinrm", 40, peer::script(python, "pywinrm_client.py"));
}

#[test]
fn pypsrp() {
    let Some(python) = peer::variable("pypsrp", "WINRM_TEST_PYTHON") else {
        return;
    };
    client("pypsrp", 33, peer::script(python, "pypsrp_client.py"));
}

/// Our Python module, by the cases of the one that it stands in for.
#[test]
fn module() {
    let Some(python) = peer::variable("module", "WINRM_TEST_OWN_PYTHON") else {
        return;
    };
    client("module", 40, peer::script(python, "pywinrm_client.py"));
}

#[test]
fn ansible() {
    if !service::has_powershell() {
        peer::skip("ansible", "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return;
    }
    for ansible in peer::ansibles("ansible") {
        let mut command = peer::script(ansible.python, "ansible_client.py");
        command.arg("--ansible").arg(ansible.programs);
        client(&ansible.peer, 10, command);
    }
}

#[test]
fn go() {
    let Some(go) = peer::variable("go", "WINRM_TEST_GO") else { return };
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-client");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&program)
        .arg("client.go")
        .current_dir(peer::file("go"))
        // Debian's packages of Go sources are a GOPATH; nothing is fetched.
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")])
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"))
        .output()
        .unwrap();
    assert!(built.status.success(), "the Go client: {}", String::from_utf8_lossy(&built.stderr));
    client("go", 23, Command::new(program));
}

#[test]
fn recordings() {
    let Some(python) = peer::variable("recordings", "WINRM_TEST_PYTHON") else {
        return;
    };
    let Some(recordings) = peer::variable("recordings", "WINRM_TEST_RECORDINGS") else {
        return;
    };
    let folder = service::folder("recordings");
    let mut command = peer::script(python, "recordings.py");
    command
        .arg("--winrm")
        .arg(env!("CARGO_BIN_EXE_winrm"))
        .arg("--recordings")
        .arg(recordings);
    command
        .args(["--user", USER, "--password-file"])
        .arg(service::password_file(&folder));
    peer::judge("recordings", command, 14, String::new);
}
