//! Certificate authentication of the service, judged by clients that nobody here wrote, with certificates that `winrm cert` and
//! `cryptography` have made. `cargo xtask test` installs them; without it each test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::peer;
use support::service::{self, Service, USER};

const PASSPHRASE: &str = "öpen sesame";

/// A service that takes certificates, and files for its clients.
struct Scene {
    folder: PathBuf,
    service: Service,
}

impl Scene {
    fn new(name: &str, python: &OsString) -> Self {
        let folder = service::folder(name);
        let made = folder.join("made");
        fs::create_dir(&made).unwrap();
        fs::write(folder.join("passphrase"), PASSPHRASE).unwrap();
        run(peer::script(python.clone(), "cert_authority.py").arg(&made));
        let (authority, key) = (made.join("ca.pem"), made.join("ca.key"));
        winrm_cert_new(&folder, "self-signed", &[]);
        let issued = ["--ca", authority.to_str().unwrap(), "--ca-key", key.to_str().unwrap()];
        winrm_cert_new(&folder, "issued", &[issued.as_slice(), &["--key-type", "ec:p256"]].concat());
        let passphrase = folder.join("passphrase");
        let encrypted = ["--passphrase-file", passphrase.to_str().unwrap()];
        winrm_cert_new(&folder, "encrypted", &[issued.as_slice(), &encrypted].concat());

        let authorities = folder.join("authorities.pem");
        let both = [fs::read(&authority).unwrap(), fs::read(folder.join("self-signed.pem")).unwrap()].concat();
        fs::write(&authorities, both).unwrap();
        let authorities = authorities.display().to_string();
        let mapping = format!("alice@localhost={USER}");
        let service = Service::start(&folder, &["--client-ca", &authorities, "--map-certificate", &mapping]);
        Self { folder, service }
    }

    fn prefix(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A pair as PFX, with the passphrase.
    fn pfx(&self, name: &str, to: &str, args: &[&str]) -> PathBuf {
        let (pfx, passphrase) = (self.prefix(&format!("{to}.pfx")), self.prefix("passphrase"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command.args(["cert", "convert"]).args(args).arg("--to").arg(&pfx);
        command.arg("--key").arg(self.prefix(&format!("{name}.key")));
        command
            .arg("--passphrase-file")
            .arg(&passphrase)
            .arg("--out-passphrase-file")
            .arg(&passphrase);
        run(command.arg(self.prefix(&format!("{name}.pem"))));
        pfx
    }

    fn made(&self, name: &str) -> PathBuf {
        self.folder.join("made").join(format!("{name}.pem"))
    }
}

fn winrm_cert_new(folder: &Path, name: &str, args: &[&str]) {
    run(Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args(["cert", "new", "--upn", "alice@localhost", "--out"])
        .arg(folder.join(name))
        .args(args));
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn clients() {
    let Some(python) = peer::variable("certificates", "WINRM_TEST_PYTHON") else {
        return;
    };
    let scene = Scene::new("certificates", &python);
    let service = &scene.service;
    let mut command = peer::script(python, "cert_clients.py");
    command.args(["--url", &service.url, "--tls-url", &service.tls_url, "--user", USER]);
    command.arg("--certificate").arg(&service.certificate);
    command.arg("--password-file").arg(service::password_file(&scene.folder));
    command.arg("--made").arg(scene.folder.join("made"));
    command.arg("--new").args([scene.prefix("self-signed"), scene.prefix("issued")]);
    command
        .arg("--encrypted")
        .arg(scene.prefix("encrypted"))
        .args(["--passphrase", PASSPHRASE]);
    let both = [scene.pfx("encrypted", "aes", &[]), scene.pfx("encrypted", "old", &["--legacy"])];
    command.arg("--pfx").args(both);
    peer::judge("certificates", command, 46, || service.log());
    // Whoever runs the service reads why.
    let log = service.log();
    for reason in [
        "subject=\"CN=alice\" mechanism=\"certificate\"",
        "the client has shown no certificate",
        "the certificate is not trusted: self-signed certificate",
        "the certificate is not trusted: certificate signature failure",
        "the certificate is not trusted: certificate has expired",
        "the certificate is not trusted: certificate is not yet valid",
        "the certificate is not trusted: unable to get local issuer certificate",
        "the certificate is not trusted: invalid CA certificate (authority 1 above it)",
        "the certificate is not trusted: EE certificate key too weak",
        "the certificate's extended key usage has no client authentication",
        "no account is mapped to mallory@localhost",
        "no account is mapped to alice@localhost.example",
        "the certificate has several user principal names",
        "the certificate has no user principal name",
        "the certificate's user principal name can't be used: it contains a control character",
        "the certificate's user principal name can't be used: it is not of the form user@suffix",
        "the certificate's user principal name can't be used: it is not a UTF8String",
    ] {
        assert!(log.contains(reason), "{reason:?} is not in the log:\n{log}");
    }
    assert!(scene.service.stop().success());
}

#[test]
fn ansible() {
    let Some(python) = peer::variable("ansible, certificates", "WINRM_TEST_PYTHON") else {
        return;
    };
    if !service::has_powershell() {
        peer::skip("ansible, certificates", "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return;
    }
    let scene = Scene::new("ansible-certificates", &python);
    for ansible in peer::ansibles("ansible, certificates") {
        let mut command = peer::script(ansible.python, "cert_ansible.py");
        command.arg("--ansible").arg(ansible.programs).arg("--folder").arg(&scene.folder);
        command
            .args(["--tls-url", &scene.service.tls_url])
            .arg("--certificate")
            .arg(&scene.service.certificate);
        command
            .arg("--new")
            .arg(scene.prefix("issued"))
            .arg("--refused")
            .arg(scene.made("unmapped"));
        peer::judge(&ansible.peer, command, 2, || scene.service.log());
    }
}

/// curl takes keys and certificates as users have them.
#[test]
fn curl() {
    let Some(python) = peer::variable("curl, certificates", "WINRM_TEST_PYTHON") else {
        return;
    };
    let scene = Scene::new("curl-certificates", &python);
    let issued = scene.prefix("issued");
    let pfx = scene.pfx("issued", "issued", &[]);
    let curl = |args: &[&str]| {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
        ]);
        command
            .args(["--write-out", "%{http_code}", "--data", "", "--cacert"])
            .arg(&scene.service.certificate);
        command
            .args(["--header", &format!("Authorization: {}", winrm_auth_scheme())])
            .args(args);
        run(command.arg(&scene.service.tls_url))
    };
    let pem = issued.with_extension("pem").display().to_string();
    let key = issued.with_extension("key").display().to_string();
    // An empty body is no envelope, which only those hear who are let in.
    assert_eq!(curl(&["--cert", &pem, "--key", &key]), "500");
    let pfx = format!("{}:{PASSPHRASE}", pfx.display());
    assert_eq!(curl(&["--cert-type", "P12", "--cert", &pfx]), "500");
    assert_eq!(curl(&[]), "401");
    let unmapped = scene.made("unmapped").display().to_string();
    assert_eq!(curl(&["--cert", &unmapped]), "401");
}

/// [DSP0226] C.3.8.
fn winrm_auth_scheme() -> &'static str {
    "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
}
