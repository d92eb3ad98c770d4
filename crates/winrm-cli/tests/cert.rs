//! `winrm cert`, judged by the program `openssl`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a file that is missing is the test's failure, and what is left out is its output"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const PASSPHRASE: &str = "öpen: \"Sesame\" & more";

/// A folder, and programs that run in it.
struct Scene(TempDir);

/// What a program said.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Ends with status 1 and an error with all these parts.
    #[track_caller]
    fn refused(self, parts: &[&str]) {
        assert_eq!((self.out.as_str(), self.code), ("", Some(1)), "{}", self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
        }
        assert!(!self.err.contains(PASSPHRASE), "the passphrase is in {:?}", self.err);
    }
}

impl Scene {
    /// Nothing after a sentence where there is no `openssl`.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            println!("openssl is left out: there is no such program");
            return None;
        }
        let scene = Self(tempfile::tempdir().unwrap());
        scene.write("pass", format!("{PASSPHRASE}\n"));
        scene.write("other-pass", "other\n");
        Some(scene)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path().join(name)).unwrap().permissions().mode() & 0o777
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn run(&self, program: &str, line: &str) -> Said {
        let mut command = Command::new(program);
        command
            .args(shlex::split(line).unwrap())
            .current_dir(self.path())
            .stdin(Stdio::null());
        // Without a terminal there is nobody to ask.
        let output = command.env("NO_COLOR", "1").output().unwrap();
        Said {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }

    fn cert(&self, line: &str) -> Said {
        self.run("setsid", &format!("--wait {} cert {line}", env!("CARGO_BIN_EXE_winrm")))
    }

    /// Runs it on a terminal, where these lines are typed.
    fn cert_typing(&self, line: &str, typed: &str) -> (String, Option<i32>) {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command"])
            .arg(format!("{} cert {line}", env!("CARGO_BIN_EXE_winrm")))
            .arg("/dev/null")
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    #[track_caller]
    fn openssl(&self, line: &str) -> String {
        let said = self.run("openssl", line);
        assert_eq!(said.code, Some(0), "openssl {line}: {}{}", said.out, said.err);
        said.out
    }

    /// A self-signed certificate `NAME.pem` with its key, made by openssl with these extensions.
    #[track_caller]
    fn made(&self, name: &str, options: &str, extensions: &str) {
        let config = format!("[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN={name}\n[v3]\n{extensions}\n");
        self.write("req.cnf", config);
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 60 -config req.cnf -keyout {name}.key -out {name}.pem {options}"
        ));
    }
}

const UPN: &str = "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice@localhost";

#[test]
fn new_certificates_are_what_openssl_expects() {
    let Some(scene) = Scene::new() else { return };
    for (kind, shown) in [
        ("rsa:2048", "RSA 2048"),
        ("rsa:3072", "RSA 3072"),
        ("rsa:4096", "RSA 4096"),
        ("ec:p256", "EC prime256v1"),
        ("ec:p384", "EC secp384r1"),
    ] {
        let name = kind.replace(':', "");
        let said = scene
            .cert(&format!("new --upn alice@localhost --key-type {kind} --out {name}"))
            .well();
        assert!(said.contains(shown), "{said}");
        let text = scene.openssl(&format!("x509 -in {name}.pem -noout -text"));
        let usage = match kind.starts_with("rsa") {
            true => "Digital Signature, Key Encipherment",
            false => "Digital Signature",
        };
        for part in [
            "Version: 3",
            "Subject: CN = alice\n",
            "CA:FALSE",
            "TLS Web Client Authentication\n",
            "othername: UPN::alice@localhost\n",
            "X509v3 Subject Key Identifier",
            &format!("                {usage}\n"),
        ] {
            assert!(text.contains(part), "{kind}: {part:?} is not in {text}");
        }
        assert_eq!(
            scene.openssl(&format!("verify -purpose sslclient -CAfile {name}.pem {name}.pem")),
            format!("{name}.pem: OK\n")
        );
        let thumbprint = scene.openssl(&format!("x509 -in {name}.pem -noout -fingerprint -sha1"));
        let thumbprint = thumbprint.trim().rsplit('=').next().unwrap().replace(':', "");
        assert!(said.contains(&thumbprint), "{said}: {thumbprint}");
        assert_eq!(
            scene.openssl(&format!("pkey -in {name}.key -pubout")),
            scene.openssl(&format!("x509 -in {name}.pem -noout -pubkey"))
        );
        assert_eq!(scene.mode(&format!("{name}.key")), 0o600);
        let shown = scene.cert(&format!("show {name}.pem --key {name}.key")).well();
        assert!(
            shown.contains("private key   belongs to it\nok fit for client authentication\n"),
            "{shown}"
        );
    }
}

#[test]
fn a_certificate_begins_an_hour_ago_and_lasts_as_long_as_it_was_said() {
    let Some(scene) = Scene::new() else { return };
    let seconds = |text: &str| {
        let date = text.trim().rsplit('=').next().unwrap().to_owned();
        let said = scene.run("date", &format!("--date '{date}' +%s")).well();
        said.trim().parse::<i64>().unwrap()
    };
    for days in [1, 36_500] {
        scene
            .cert(&format!("new --upn a@b --key-type ec:p256 --days {days} --force --out a"))
            .well();
        let begin = seconds(&scene.openssl("x509 -in a.pem -noout -startdate"));
        let end = seconds(&scene.openssl("x509 -in a.pem -noout -enddate"));
        assert_eq!(end - begin, days * 86_400 + 3_600);
    }
}

#[test]
fn an_authority_signs_for_a_client() {
    let Some(scene) = Scene::new() else { return };
    scene.made(
        "root",
        "",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=hash",
    );
    // An intermediate authority with an encrypted key, in the old form.
    scene.openssl("ecparam -genkey -name prime256v1 -noout -out plain.key");
    scene.openssl("ec -in plain.key -aes256 -passout file:pass -out middle.key");
    scene.openssl("req -new -key plain.key -subj /CN=middle -out middle.csr");
    scene.write("ext.cnf", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n");
    scene.openssl("x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 400 -extfile ext.cnf -out middle.pem");
    let both = [scene.read("middle.pem"), scene.read("root.pem")].concat();
    scene.write("authority.pem", both);

    let new = "new --upn alice@corp.example --key-type ec:p256 --ca authority.pem --ca-key middle.key";
    scene
        .cert(&format!("{new} --out a"))
        .refused(&["a passphrase is needed", "--ca-passphrase-file FILE"]);
    scene
        .cert(&format!("{new} --ca-passphrase-file other-pass --out a"))
        .refused(&["middle.key: the passphrase of the private key is wrong"]);
    scene
        .cert(&format!("{new} --ca-passphrase-file pass --subject 'Alice A.' --out a"))
        .well();
    // The root stays out: who doesn't have it doesn't trust it.
    assert_eq!(scene.text("a.pem").matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(
        scene.openssl("verify -purpose sslclient -CAfile root.pem -untrusted a.pem a.pem"),
        "a.pem: OK\n"
    );
    let text = scene.openssl("x509 -in a.pem -noout -text");
    for part in [
        "Issuer: CN = middle\n",
        "Subject: CN = Alice A.\n",
        "X509v3 Authority Key Identifier",
        "UPN::alice@corp.example",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let shown = scene.cert("show a.pem").well();
    assert_eq!(shown.matches("\nok fit for ").count(), 2, "{shown}");
    let longer = scene.cert(&format!("{new} --ca-passphrase-file pass --days 500 --out longer"));
    assert!(
        longer.err.contains("warning: the authority's certificate ends before, on "),
        "{}",
        longer.err
    );

    scene.cert("new --upn a@b --key-type ec:p256 --out leaf").well();
    scene
        .cert("new --upn a@b --ca leaf.pem --ca-key leaf.key --out b")
        .refused(&["CN=a, which is no authority", "hint:"]);
    scene
        .cert("new --upn a@b --ca root.pem --ca-key plain.key --out b")
        .refused(&["does not belong to the certificate of CN=root"]);
}

#[test]
fn keys_are_encrypted_when_asked() {
    let Some(scene) = Scene::new() else { return };
    let new = "new --upn alice@localhost --key-type ec:p256";
    let said = scene.cert(&format!("{new} --passphrase-file pass --out a")).well();
    assert!(said.contains("encrypted") && !said.contains("not encrypted"), "{said}");
    assert!(scene.text("a.key").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    scene.openssl("pkey -in a.key -passin file:pass -noout");
    assert_eq!(scene.mode("a.key"), 0o600);
    let shown = scene.cert("show a.pem --key a.key --passphrase-file pass").well();
    assert!(shown.contains("private key   belongs to it"), "{shown}");
    scene
        .cert("show a.pem --key a.key --passphrase-file other-pass")
        .refused(&["a.key: the passphrase of the private key is wrong"]);
    scene
        .cert("show a.pem --key a.key")
        .refused(&["a passphrase is needed, and there is no terminal", "--passphrase-file FILE"]);
    scene.write("empty", "\n");
    scene.cert(&format!("{new} --passphrase-file empty --out b")).refused(&["empty"]);
    scene.write("long", "x".repeat(1_001));
    scene
        .cert(&format!("{new} --passphrase-file long --out b"))
        .refused(&["longer than 1,000 bytes"]);
    scene
        .cert(&format!("{new} --passphrase-file nowhere --out b"))
        .refused(&["nowhere"]);
    assert!(!scene.names().iter().any(|name| name.starts_with("b.")));
}

#[test]
fn a_new_passphrase_is_typed_twice() {
    let Some(scene) = Scene::new() else { return };
    let new = "new --upn alice@localhost --key-type ec:p256 --encrypt --out a";
    for (typed, complaint) in [("one\ntwo\n", "the two passphrases differ"), ("\n\n", "the passphrase is empty")] {
        let (said, code) = scene.cert_typing(new, typed);
        assert!(said.contains(complaint), "{said}");
        assert_eq!(code, Some(1));
        assert!(!scene.names().iter().any(|name| name.starts_with("a.")));
    }
    let (said, code) = scene.cert_typing(new, "typed words\ntyped words\n");
    assert_eq!(code, Some(0), "{said}");
    scene.write("typed", "typed words\n");
    scene.openssl("pkey -in a.key -passin file:typed -noout");
    let (said, code) = scene.cert_typing("show a.pem --key a.key", "typed words\n");
    assert!(said.contains("belongs to it"), "{said}");
    assert_eq!(code, Some(0));
    let (said, code) = scene.cert_typing("show a.pem --key a.key", "wrong\n");
    assert!(said.contains("the passphrase of the private key is wrong"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn nothing_is_overwritten_unless_asked() {
    let Some(scene) = Scene::new() else { return };
    let new = "new --upn a@b --key-type ec:p256 --out a";
    scene.cert(new).well();
    let before = (scene.read("a.pem"), scene.read("a.key"));
    scene.cert(new).refused(&["a.key is there already", "--force"]);
    fs::remove_file(scene.path().join("a.key")).unwrap();
    scene.cert(new).refused(&["a.pem is there already"]);
    assert!(!scene.path().join("a.key").exists(), "half a pair");
    assert_eq!(scene.read("a.pem"), before.0);
    // A link that leads nowhere, or to a file that is wanted, is a file that is there.
    fs::remove_file(scene.path().join("a.pem")).unwrap();
    scene.write("wanted", "wanted");
    std::os::unix::fs::symlink("wanted", scene.path().join("a.key")).unwrap();
    scene.cert(new).refused(&["a.key is there already"]);
    scene.cert(&format!("{new} --force")).well();
    assert_eq!(scene.text("wanted"), "wanted");
    assert_eq!(scene.mode("a.key"), 0o600);
    assert_ne!(scene.read("a.key"), before.1);
    let names = scene.names();
    assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
    // A mode that lets everybody read is not kept.
    fs::set_permissions(scene.path().join("a.key"), fs::Permissions::from_mode(0o644)).unwrap();
    scene.cert(&format!("{new} --force")).well();
    assert_eq!(scene.mode("a.key"), 0o600);
}

#[test]
fn what_new_does_not_take() {
    let Some(scene) = Scene::new() else { return };
    let upn = |text: &str| scene.cert(&format!("new --upn '{text}' --out a"));
    for text in ["alice", "@localhost", "alice@", "", " a@b"] {
        upn(text).refused(&["--upn", "it is not of the form user@suffix"]);
    }
    upn("a\nb@c").refused(&["it contains a control character"]);
    upn(&format!("a@{}", "b".repeat(1_100))).refused(&["longer than 1024 bytes"]);
    upn(&format!("{}@b", "a".repeat(65))).refused(&["1 to 64 characters", "--subject NAME"]);
    for days in ["0", "-1", "36501", "99999999999999", "x", "1.5", ""] {
        scene.cert(&format!("new --upn a@b --days='{days}' --out a")).refused(&["--days"]);
    }
    for kind in ["rsa", "rsa:1024", "rsa:512", "dsa", "ec:p521", "ed25519", ""] {
        scene
            .cert(&format!("new --upn a@b --key-type '{kind}' --out a"))
            .refused(&["--key-type", "rsa:2048"]);
    }
    scene.cert("new --upn a@b").refused(&["--out"]);
    scene.cert("new --out a").refused(&["--upn"]);
    scene.cert("new --upn a@b --out a --ca pass").refused(&["--ca-key"]);
    scene
        .cert("new --upn a@b --out a --ca pass --ca-key pass")
        .refused(&["pass: there is no certificate in it"]);
    scene
        .cert("new --upn a@b --out a --ca nowhere --ca-key pass")
        .refused(&["nowhere can't be read"]);
    scene
        .cert("new --upn a@b --out nowhere/a")
        .refused(&["nowhere/a.key can't be written"]);
    scene.cert("new --upn a@b --out pass/a").refused(&["pass/a.key can't be written"]);
    assert_eq!(scene.names(), ["other-pass", "pass"]);
}

#[test]
fn show_says_what_is_wrong_and_how_to_mend_it() {
    let Some(scene) = Scene::new() else { return };
    let usage = "extendedKeyUsage=clientAuth";
    let wrong = |name: &str, options: &str, extensions: &str, parts: &[&str]| {
        scene.made(name, options, extensions);
        let said = scene.cert(&format!("show {name}.pem"));
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        for part in parts {
            assert!(said.out.contains(part), "{name}: {part:?} is not in {}", said.out);
        }
        assert_eq!(
            said.out.matches("\nerror ").count(),
            said.out.matches("   mend: ").count() - said.out.matches("\nwarning ").count()
        );
    };
    wrong(
        "no-upn",
        "",
        usage,
        &["UPN           none", "error it has no user principal name", "winrm cert new --upn"],
    );
    wrong(
        "no-usage",
        "",
        UPN,
        &[
            "usage         not said",
            "error its extended key usage has no client authentication",
        ],
    );
    wrong(
        "server-usage",
        "",
        &format!("{UPN}\nextendedKeyUsage=serverAuth,codeSigning"),
        &["usage         server authentication, code signing", "has no client authentication"],
    );
    wrong(
        "no-signature",
        "",
        &format!("{UPN}\n{usage}\nkeyUsage=keyEncipherment"),
        &["key usage     keyEncipherment", "has no digital signature"],
    );
    wrong(
        "small",
        "-newkey rsa:1024",
        &format!("{UPN}\n{usage}"),
        &["key           RSA 1024", "only 1024 bits"],
    );
    wrong(
        "sha1",
        "-sha1",
        &format!("{UPN}\n{usage}"),
        &["signature     sha1WithRSAEncryption", "can be forged"],
    );
    wrong(
        "ed",
        "-newkey ed25519",
        &format!("{UPN}\n{usage}"),
        &["does not take keys of the kind ED25519"],
    );
    wrong(
        "two",
        "",
        "subjectAltName=@n\nextendedKeyUsage=clientAuth\n[n]\notherName.1=1.3.6.1.4.1.311.20.2.3;UTF8:a@b\notherName.2=1.3.6.1.4.1.311.20.2.3;UTF8:c@d",
        &["UPN           a@b, c@d", "error it has 2 user principal names"],
    );
    wrong(
        "bad-upn",
        "",
        &format!("{usage}\nsubjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;IA5:alice@localhost"),
        &["error its user principal name can't be used: it is not a UTF8String"],
    );
    wrong(
        "server",
        "",
        "extendedKeyUsage=serverAuth",
        &["error it names no host among its alternative names"],
    );

    for (name, start, end, part) in [
        (
            "expired",
            "20200101000000Z",
            "20210101000000Z",
            "error it has expired on 2021-01-01 00:00:00 UTC",
        ),
        (
            "not-yet",
            "20900101000000Z",
            "20910101000000Z",
            "error it is not valid before 2090-01-01 00:00:00 UTC",
        ),
    ] {
        scene.write("ca.cnf", format!("[ca]\ndefault_ca=d\n[d]\ndatabase=db\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\nx509_extensions=v3\n[p]\ncommonName=supplied\n[v3]\n{UPN}\n{usage}\n"));
        scene.write("db", "");
        scene.write("serial", "01\n");
        scene.openssl(&format!(
            "req -new -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        scene.openssl(&format!(
            "ca -batch -config ca.cnf -selfsign -keyfile {name}.key -in {name}.csr -startdate {start} -enddate {end} -out {name}.pem"
        ));
        let said = scene.cert(&format!("show {name}.pem"));
        assert_eq!(said.code, Some(1));
        assert!(said.out.contains(part), "{}", said.out);
    }

    // What only may go wrong is no error.
    scene.made("authority", "-days 10", &format!("{UPN}\n{usage}\nbasicConstraints=CA:TRUE"));
    let said = scene.cert("show authority.pem").well();
    assert!(said.contains("warning it may sign other certificates"), "{said}");
    assert!(said.contains("warning it expires soon"), "{said}");
    scene.made("host", "", "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:web1,IP:10.0.0.1");
    let said = scene.cert("show host.pem").well();
    assert!(
        said.contains("other names   DNS:web1, IP:10.0.0.1\n") && said.contains("ok fit for an https listener"),
        "{said}"
    );
    assert_eq!(scene.cert("show host.pem --purpose client").code, Some(1));
    // A name that would steer the terminal.
    scene.made("steer", "-subj /CN=\u{1b}[31mred", &format!("{UPN}\n{usage}"));
    let said = scene.cert("show steer.pem").well();
    assert!(said.contains("CN=\u{fffd}[31mred"), "{said:?}");
}

#[test]
fn show_reads_every_form() {
    let Some(scene) = Scene::new() else { return };
    scene.cert("new --upn alice@localhost --out a").well();
    scene.cert("new --upn bob@localhost --key-type ec:p256 --out b").well();
    scene.openssl("x509 -in a.pem -outform DER -out a.der");
    scene.openssl("x509 -in a.pem -trustout -addtrust clientAuth -out trusted.pem");
    scene.openssl("pkcs12 -export -in a.pem -inkey a.key -passout file:pass -out a.pfx");
    scene.openssl("pkcs12 -export -in a.pem -inkey a.key -passout pass: -out none.pfx");
    let both = [b"some text\r\n".to_vec(), scene.read("a.key"), scene.read("a.pem")].concat();
    scene.write("both.pem", both);
    let thumbprint = scene.openssl("x509 -in a.pem -noout -fingerprint -sha1").trim().replace(':', "");
    let thumbprint = thumbprint.rsplit('=').next().unwrap();
    let fingerprint = scene
        .openssl("x509 -in a.pem -noout -fingerprint -sha256")
        .trim()
        .replace(':', "")
        .to_lowercase();
    let fingerprint = fingerprint.rsplit('=').next().unwrap();
    for line in [
        "a.pem",
        "a.der",
        "trusted.pem",
        "both.pem",
        "none.pfx",
        "a.pfx --passphrase-file pass",
    ] {
        let said = scene.cert(&format!("show {line}")).well();
        for part in [
            thumbprint,
            fingerprint,
            "UPN           alice@localhost",
            "issuer        (self-signed)",
        ] {
            assert!(said.contains(part), "{line}: {part:?} is not in {said}");
        }
        assert_eq!(
            said.contains("private key   belongs to it"),
            !line.starts_with(['t']) && line != "a.pem" && line != "a.der",
            "{line}"
        );
    }
    let json = scene.cert("show both.pem --format json").well();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["certificates"][0]["thumbprint"], thumbprint);
    assert_eq!(json["certificates"][0]["upns"][0], "alice@localhost");
    assert_eq!(json["certificates"][0]["findings"], serde_json::json!([]));
    assert_eq!(json["key_matches"], true);

    let said = scene.cert("show a.pem --key b.key");
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("error the private key does not belong to the certificate"),
        "{}",
        said.out
    );

    scene.cert("show a.pfx").refused(&["a passphrase is needed", "--passphrase-file"]);
    scene
        .cert("show a.pfx --passphrase-file other-pass")
        .refused(&["a.pfx: the passphrase of the PFX file is wrong"]);
    scene.cert("show a.pfx --key a.key").refused(&["is a PFX file", "leave --key away"]);
    scene
        .cert("show a.key")
        .refused(&["a.key: there is no certificate in it, only PRIVATE KEY"]);
    scene.cert("show pass").refused(&["pass: there is no certificate in it"]);
    scene
        .cert("show nowhere.pem")
        .refused(&["nowhere.pem can't be read", "No such file"]);
    scene.cert("show .").refused(&["can't be read"]);
    scene.cert("show /dev/zero").refused(&["larger than 4 MiB"]);
    scene.write("empty.pem", "");
    scene.cert("show empty.pem").refused(&["there is no certificate in it"]);
    let pem = scene.text("a.pem");
    scene.write("cut.pem", &pem[..pem.len() / 2]);
    scene
        .cert("show cut.pem")
        .refused(&["the PEM block at line 1 is damaged", "END CERTIFICATE"]);
    let pfx = scene.read("a.pfx");
    scene.write("cut.pfx", &pfx[..pfx.len() / 2]);
    scene
        .cert("show cut.pfx --passphrase-file pass")
        .refused(&["the PFX file of", "is damaged"]);
    let der = scene.read("a.der");
    scene.write("cut.der", &der[..der.len() / 2]);
    scene.cert("show cut.der").refused(&["the certificate in DER is damaged"]);
}

/// What the service does not take of certificates, before it listens.
#[test]
fn the_service_says_what_is_missing() {
    let Some(scene) = Scene::new() else { return };
    scene.cert("new --upn alice@localhost --key-type ec:p256 --out a").well();
    scene.write("users", "alice:pw\n");
    let serve = |line: &str| {
        let tls = "--wait timeout 20";
        let line = format!(
            "{tls} {} serve --users users --tls-listen 127.0.0.1:0 {line}",
            env!("CARGO_BIN_EXE_winrm")
        );
        scene.run("setsid", &line)
    };
    let map = "--map-certificate alice@localhost=alice";
    serve("--client-ca a.pem").refused(&["--map-certificate"]);
    serve(map).refused(&["--client-ca"]);
    for (mapping, complaint) in [
        ("alice", "it is not UPN=USER"),
        ("alice@localhost=", "the account behind = is missing"),
        ("alice=alice", "it is not of the form user@suffix"),
    ] {
        serve(&format!("--client-ca a.pem --map-certificate {mapping}")).refused(&[complaint]);
    }
    serve("--client-ca a.pem --map-certificate alice@localhost=bob")
        .refused(&["alice@localhost is mapped to \"bob\", which is no account", "hint: "]);
    serve(&format!("--client-ca a.pem {map} --map-certificate ALICE@localhost=alice")).refused(&["ALICE@localhost is mapped twice"]);
    serve(&format!("--client-ca a.key {map}")).refused(&["a.key", "there is no certificate in it, only PRIVATE KEY"]);
    serve(&format!("--client-ca nowhere {map}")).refused(&["nowhere can't be read"]);
    serve("--auth certificate").refused(&["needs authorities", "--client-ca FILE"]);
    serve(&format!("--auth basic --client-ca a.pem {map}"))
        .refused(&["certificate authentication is not offered", "add certificate to --auth"]);
    let line = format!(
        "{} serve --users users --listen 127.0.0.1:0 --client-ca a.pem {map}",
        env!("CARGO_BIN_EXE_winrm")
    );
    scene
        .run("timeout", &format!("20 {line}"))
        .refused(&["needs an address to listen on for https", "--tls-listen"]);
}

#[test]
fn convert_goes_both_ways() {
    let Some(scene) = Scene::new() else { return };
    scene.cert("new --upn alice@localhost --passphrase-file pass --out a").well();
    scene.write("out-pass", "another: påss\n");
    let to_pfx = "convert a.pem --key a.key --passphrase-file pass --out-passphrase-file out-pass";
    let said = scene.cert(&format!("{to_pfx} --to a.pfx")).well();
    assert!(said.contains("AES-256") && said.contains("--legacy"), "{said}");
    assert_eq!(scene.mode("a.pfx"), 0o600);
    let algorithms = |name: &str| {
        let said = scene.run("openssl", &format!("pkcs12 -in {name} -passin file:out-pass -info -noout"));
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.err
    };
    let aes = algorithms("a.pfx");
    assert!(aes.contains("MAC: sha256") && aes.matches("AES-256-CBC").count() == 2, "{aes}");
    scene.cert(&format!("{to_pfx} --legacy --to old.p12")).well();
    let old = algorithms("old.p12");
    assert!(
        old.contains("MAC: sha1") && old.matches("pbeWithSHA1And3-KeyTripleDES-CBC").count() == 2,
        "{old}"
    );

    for pfx in ["a.pfx", "old.p12"] {
        scene
            .cert(&format!("convert {pfx} --passphrase-file out-pass --to back.pem --force"))
            .well();
        assert_eq!(scene.read("back.pem"), scene.read("a.pem"));
        assert_eq!(scene.mode("back.key"), 0o600);
        assert_eq!(
            scene.openssl("pkey -in back.key -pubout"),
            scene.openssl("x509 -in a.pem -noout -pubkey")
        );
    }
    scene
        .cert("convert a.pfx --passphrase-file out-pass --out-passphrase-file pass --to sealed.pem")
        .well();
    scene.openssl("pkey -in sealed.key -passin file:pass -noout");
    // Windows imports a certificate without its key from DER.
    scene.cert("convert a.pem --to a.cer").well();
    assert_eq!(scene.openssl("x509 -inform DER -in a.cer"), scene.text("a.pem"));
    scene.cert("convert a.pfx --passphrase-file out-pass --to b.crt").well();
    assert_eq!(scene.read("b.crt"), scene.read("a.cer"));

    // One that Windows Server 2012 R2 has written, or OpenSSL 1.
    let legacy = scene.run(
        "openssl",
        "pkcs12 -export -legacy -in a.pem -inkey a.key -passin file:pass -passout file:pass -out rc2.pfx",
    );
    if legacy.code == Some(0) {
        scene.cert("convert rc2.pfx --passphrase-file pass --to rc2.pem").well();
        assert_eq!(scene.read("rc2.pem"), scene.read("a.pem"));
        scene
            .cert("show rc2.pfx --passphrase-file other-pass")
            .refused(&["the passphrase of the PFX file is wrong"]);
    }
    let (said, code) = scene.cert_typing("convert back.pem --key back.key --to typed.pfx", "Typed\nTyped\n");
    assert_eq!(code, Some(0), "{said}");
    scene.openssl("pkcs12 -in typed.pfx -passin pass:Typed -noout");
}

#[test]
fn what_convert_does_not_take() {
    let Some(scene) = Scene::new() else { return };
    scene.cert("new --upn a@b --key-type ec:p256 --out a").well();
    scene.cert("new --upn a@b --key-type ec:p256 --out other").well();
    let convert = "convert a.pem --key a.key --out-passphrase-file pass";
    scene.cert(&format!("{convert} --to a.pfx")).well();
    let before = scene.read("a.pfx");
    scene
        .cert(&format!("{convert} --to a.pfx"))
        .refused(&["a.pfx is there already", "--force"]);
    scene.cert(&format!("{convert} --to a.pem")).refused(&["is there already"]);
    assert_eq!(scene.read("a.pfx"), before);
    scene
        .cert(&format!("{convert} --to nowhere/a.pfx"))
        .refused(&["nowhere/a.pfx can't be written"]);
    for ending in ["a", "a.txt", ".pfx"] {
        scene
            .cert(&format!("{convert} --to {ending}"))
            .refused(&["does not say what to write", ".pfx or .p12"]);
    }
    scene.cert(&format!("{convert} --to b.cer")).refused(&["a passphrase goes with"]);
    scene
        .cert(&format!("{convert} --encrypt --to b.pfx"))
        .refused(&["--encrypt goes with"]);
    scene
        .cert(&format!("{convert} --legacy --to b.pem"))
        .refused(&["--legacy goes with .pfx"]);
    scene
        .cert("convert a.pem --key other.key --out-passphrase-file pass --to b.pfx")
        .refused(&["the private key does not belong to the certificate of CN=a"]);
    scene
        .cert("convert a.pem --out-passphrase-file pass --to b.pfx")
        .refused(&["there is no private key in it, only CERTIFICATE"]);
    scene
        .cert("convert a.pfx --key a.key --passphrase-file pass --to b.pem")
        .refused(&["a PFX file holds its own private key"]);
    scene
        .cert("convert a.pfx --passphrase-file other-pass --to b.pem")
        .refused(&["is wrong"]);
    scene
        .cert("convert a.pem --key a.key --to b.pfx")
        .refused(&["a passphrase is needed", "--out-passphrase-file FILE"]);
    scene.cert("convert nowhere --to b.pem").refused(&["nowhere can't be read"]);
    scene
        .cert("convert pass --to b.cer")
        .refused(&["pass: there is no certificate in it"]);
    assert!(!scene.names().iter().any(|name| name.starts_with("b.")), "{:?}", scene.names());
}
