//! `winrm cert install`, `list` and `remove` against the embedded service, whose certificate store is a folder. The certificates of
//! authorities are made by `openssl`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[path = "support/authority.rs"]
#[expect(dead_code, reason = "the tests of TLS use the rest")]
mod authority;
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use authority::{Authority, EC, RSA, openssl};
use serde_json::Value;
use support::peer;
use support::service::{self, Service, USER};

/// A service with a store, and a folder with certificates.
struct Scene {
    folder: PathBuf,
    service: Service,
}

#[derive(Debug)]
struct Told {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Scene {
    /// Nothing after a sentence where there is no PowerShell.
    fn new(test: &str) -> Option<Self> {
        Self::with(test, &[])
    }

    fn with(test: &str, arguments: &[&str]) -> Option<Self> {
        if !service::has_powershell() {
            peer::skip(
                &format!("certificates of hosts, {test}"),
                "no PowerShell: neither on PATH nor by WINRM_PWSH",
            );
            return None;
        }
        let folder = service::folder(test);
        let store = folder.join("store").display().to_string();
        // Certificates are off until they are switched on.
        let own = ["--certificate-store", &store, "--auth", "basic,ntlm,negotiate"];
        let service = Service::start(&folder, &[&own, arguments].concat());
        Some(Self { folder, service })
    }

    /// Runs the program in the folder; `@URL` becomes the address, with what is needed to log on.
    fn winrm(&self, line: &str) -> Told {
        let mut words: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            match word {
                "@TLS" | "@HTTP" => {
                    let url = if word == "@TLS" { &self.service.tls_url } else { &self.service.url };
                    let ca = self.service.certificate.display().to_string();
                    words.extend(["--ca", &ca, "--hostname-override", "localhost"].map(str::to_owned));
                    if !line.contains("--transport certificate") {
                        let password = self.folder.join("password").display().to_string();
                        words.extend(["--transport", "ntlm", "--user", USER, "--connection-password-file", &password].map(str::to_owned));
                    }
                    words.push(url.clone());
                }
                word => words.push(word.to_owned()),
            }
        }
        let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args(words)
            .current_dir(&self.folder)
            .env_remove("WINRM_PASSWORD")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Told {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    fn mapped(&self) -> Value {
        let told = self.winrm("cert list --format json @TLS");
        assert_eq!(told.code, Some(0), "{told:?}");
        serde_json::from_str(&told.out).unwrap()
    }

    fn stored(&self, store: &str) -> usize {
        fs::read_dir(self.folder.join("store").join(store)).unwrap().count()
    }
}

#[test]
fn a_certificate_is_installed_lets_in_and_is_removed_again() {
    let Some(scene) = Scene::new("cert-install") else { return };
    assert_eq!(scene.winrm("cert new --upn alice@localhost --out alice").code, Some(0));
    let run = "run --transport certificate --cert alice.pem --cert-key alice.key @TLS -- printf in";
    assert_eq!(scene.winrm(run).code, Some(4));

    let told = scene.winrm("cert install alice.pem --account alice @TLS");
    assert_eq!(told.code, Some(0), "{told:?}");
    for line in [
        "is in Root",
        "is in TrustedPeople",
        "alice@localhost is mapped to alice",
        "changed certificates are taken",
        "ok the certificate lets alice@localhost in",
    ] {
        assert!(told.out.contains(line), "{line}: {told:?}");
    }
    let told = scene.winrm(run);
    assert_eq!((told.out.as_str(), told.code), ("in", Some(0)), "{told:?}");

    // Again: nothing but the password is set.
    let told = scene.winrm("cert install alice.pem --account alice --format json @TLS");
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.code, &json["let_in"]), (Some(0), &Value::Bool(true)), "{json}");
    let changed: Vec<_> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["changed"] == true)
        .collect();
    assert!(changed.len() == 1 && changed[0]["step"] == "mapping", "{json}");
    let mapped = scene.mapped();
    assert_eq!(mapped.as_array().unwrap().len(), 1);
    assert_eq!(
        (&mapped[0]["subject"], &mapped[0]["account"]),
        (&"alice@localhost".into(), &"alice".into())
    );

    let told = scene.winrm("cert remove alice.pem @TLS");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.out.contains("from Root") && told.out.contains("from TrustedPeople") && told.out.contains("the mapping"),
        "{told:?}"
    );
    assert_eq!(scene.winrm(run).code, Some(4));
    assert_eq!(
        (scene.mapped(), scene.stored("Root"), scene.stored("TrustedPeople")),
        (serde_json::json!([]), 0, 0)
    );
    let told = scene.winrm("cert remove alice@localhost @TLS");
    assert!(told.code == Some(2) && told.err.contains("is mapped there"), "{told:?}");
}

#[test]
fn an_issued_certificate_needs_its_issuer() {
    let Some(scene) = Scene::new("cert-issued") else { return };
    let authority = Authority::new(&scene.folder, "authority");
    authority.client("alice", EC);
    let told = scene.winrm("cert install alice.pem --account alice @TLS");
    assert!(
        told.code == Some(1) && told.err.contains("CN=authority, is not at hand") && told.err.contains("--issuer FILE"),
        "{told:?}"
    );
    let told = scene.winrm("cert install alice.pem --issuer authority.pem --account alice @TLS");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("ok the certificate lets alice@localhost in"), "{told:?}");
    // What the host has already need not be at hand.
    authority.client("bob", RSA);
    let issuer = scene.mapped()[0]["issuer"].as_str().unwrap().to_owned();
    let told = scene.winrm(&format!("cert install bob.pem --issuer-thumbprint {issuer} --account alice @TLS"));
    assert!(told.code == Some(0) && told.out.contains("lets bob@localhost in"), "{told:?}");
    assert_eq!((scene.stored("Root"), scene.stored("TrustedPeople")), (1, 2));
    let told = scene.winrm("cert remove bob@localhost @TLS");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(scene.mapped().as_array().unwrap().len(), 1);
}

#[test]
fn what_would_not_work_is_refused_with_the_reason() {
    let Some(scene) = Scene::new("cert-refused") else { return };
    assert_eq!(scene.winrm("cert new --upn alice@localhost --out alice").code, Some(0));
    let new = |name: &str, extensions: &str| {
        openssl(
            &scene.folder,
            &format!("req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -subj /CN={name} {extensions} -keyout {name}.key -out {name}.pem"),
        );
    };
    let upn = "-addext subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice@localhost";
    new("server", &format!("{upn} -addext extendedKeyUsage=serverAuth"));
    new("nameless", "-addext extendedKeyUsage=clientAuth");
    fs::write(scene.folder.join("wrong"), "not the password\n").unwrap();
    for (line, code, said) in [
        ("cert install server.pem --account alice @TLS", 1, "would let nobody in"),
        ("cert install nameless.pem --account alice @TLS", 1, "principal name"),
        (r"cert install alice.pem --account CORP\alice @TLS", 1, "no local account"),
        ("cert install missing.pem --account alice @TLS", 1, "missing.pem"),
        ("cert install alice.key --account alice @TLS", 1, "alice.key"),
        (
            "cert install alice.pem --account nobody --account-password-file wrong @TLS",
            2,
            "no local account nobody",
        ),
        (
            "cert install alice.pem --account alice --account-password-file wrong @TLS",
            2,
            "credentials",
        ),
        (
            "cert install alice.pem --account alice --issuer-thumbprint 12 @TLS",
            1,
            "40 hexadecimal digits",
        ),
        ("cert remove nothing.pem @TLS", 1, "there is no file"),
    ] {
        let told = scene.winrm(line);
        assert!(told.code == Some(code) && told.err.contains(said), "{line}: {told:?}");
    }
    assert_eq!(scene.mapped(), serde_json::json!([]));
    // Without its key it is installed, and can't be tried.
    fs::rename(scene.folder.join("alice.key"), scene.folder.join("elsewhere.key")).unwrap();
    let told = scene.winrm("cert install alice.pem --account alice @TLS");
    assert!(
        told.code == Some(0) && told.out.contains("was not tried: its private key"),
        "{told:?}"
    );
    let told = scene.winrm("cert install alice.pem --key server.key --account alice @TLS");
    assert!(told.code == Some(1) && told.err.contains("key"), "{told:?}");
}

#[test]
fn who_may_not_change_the_configuration_is_told_so() {
    let Some(scene) = Scene::with("cert-denied", &["--operator", USER]) else {
        return;
    };
    assert_eq!(scene.winrm("cert new --upn alice@localhost --out alice").code, Some(0));
    let told = scene.winrm("cert install alice.pem --account alice @TLS");
    assert!(
        told.code == Some(4) && told.err.contains("denied") && told.err.contains("administrators"),
        "{told:?}"
    );
    let told = scene.winrm("cert list @TLS");
    assert!(told.code == Some(4) && told.err.contains("denied"), "{told:?}");
}
