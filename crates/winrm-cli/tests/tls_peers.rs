//! TLS, client certificates and proxies of the program, judged by programs that nobody here wrote: nginx, Apache, OpenSSL's server,
//! tinyproxy and squid. `cargo xtask test` installs them; without one its tests say so and pass.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/peer.rs"]
#[expect(dead_code, reason = "the tests with scripts use more of it")]
mod peer;
#[path = "support/service.rs"]
#[expect(dead_code, reason = "the tests with scripts use more of it")]
mod service;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authority::{Authority, EC, RSA, openssl};
use daemon::{Daemon, free_port};
use service::{PASSWORD, Service, USER};

/// What the program prints and how it ends.
struct Told {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Runs the program, without what the environment of the tests may say of proxies and passwords.
fn winrm(arguments: &[&str], environment: &[(&str, &str)]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in [
        "WINRM_PASSWORD",
        "WINRM_PROXY_PASSWORD",
        "WINRM_CERT_PASSPHRASE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Told {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

impl Told {
    #[track_caller]
    fn is_fine(&self, part: &str) {
        assert!(
            self.code == Some(0) && self.out.contains(part),
            "{:?}\n{}{}",
            self.code,
            self.out,
            self.err
        );
    }

    /// An error with each part, and a hint.
    #[track_caller]
    fn is_refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.err.contains("\nhint: "), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {}", self.err);
        }
    }
}

/// A folder with an authority `ca`, a server's certificate and alice's.
fn scene(test: &str) -> Authority {
    let authority = Authority::new(&service::folder(test), "ca");
    authority.server("server", RSA);
    authority.client("alice", RSA);
    authority
}

/// A folder that everybody may write to, for servers that change their user.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// A service that takes clear text, for what stands in front of it.
fn behind(folder: &Path) -> Service {
    Service::start(folder, &["--allow-unencrypted"])
}

#[test]
fn nginx_asks_for_certificates_in_the_handshake() {
    let ca = scene("nginx");
    let folder = ca.folder.clone();
    let service = behind(&folder);
    let settings = [("@SERVICE@", service.url.as_str()), ("@PROTOCOLS@", "TLSv1.2 TLSv1.3")];
    let Some(nginx) = Daemon::start("/usr/sbin/nginx", &["-c"], "tls_nginx.conf", &folder, &settings) else {
        return;
    };
    let url = format!("https://localhost:{}", nginx.port);
    let (authority, certificate, key) = (ca.file(), ca.path("alice.pem"), ca.path("alice.key"));
    let ping = |flags: &[&str]| {
        let identity = format!("{url}/identity");
        winrm(&[&["ping", "--ca", &authority], flags, &[&identity]].concat(), &[])
    };
    // Its XML has to have no special characters of its own.
    let identity = "nginx TLSv1.2 for CN=alice with http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
    ping(&["--cert", &certificate, "--cert-key", &key]).is_fine(identity);
    ping(&["--cert", &certificate, "--cert-key", &key, "--tls-max", "1.3"]).is_fine("nginx TLSv1.3 for CN=alice");
    // Without one nginx answers with a page of its own.
    ping(&[]).is_refused(4, &["wants a client certificate, and none was given (HTTP 400)", "--cert"]);
    let stranger = Authority::new(&folder, "other");
    stranger.client("mallory", RSA);
    let (certificate, key) = (stranger.path("mallory.pem"), stranger.path("mallory.key"));
    ping(&["--cert", &certificate, "--cert-key", &key])
        .is_refused(4, &["refused our certificate, CN=mallory for mallory@localhost (HTTP 400)"]);

    // A gateway that wants a certificate, and a service behind it that wants a password.
    let password = service::password_file(&folder).display().to_string();
    let (certificate, key) = (ca.path("alice.pem"), ca.path("alice.key"));
    let run = winrm(
        &[
            "run",
            "--ca",
            &authority,
            "--cert",
            &certificate,
            "--cert-key",
            &key,
            "--transport",
            "basic",
            "-u",
            USER,
            "--connection-password-file",
            &password,
            &url,
            "--",
            "echo through",
        ],
        &[],
    );
    run.is_fine("through");
}

#[test]
fn apache_asks_for_certificates_in_a_renegotiation() {
    use std::os::unix::fs::PermissionsExt as _;
    let ca = scene("apache");
    let service = behind(&ca.folder);
    // Its processes run as another user.
    let folder = open_folder();
    let open = std::fs::Permissions::from_mode;
    for file in ["ca.pem", "server.pem", "server.key"] {
        std::fs::copy(ca.path(file), folder.path().join(file)).unwrap();
        std::fs::set_permissions(folder.path().join(file), open(0o644)).unwrap();
    }
    let settings = [("@SERVICE@", service.url.as_str())];
    let Some(apache) = Daemon::start(
        "/usr/sbin/apache2",
        &["-DFOREGROUND", "-f"],
        "tls_apache.conf",
        folder.path(),
        &settings,
    ) else {
        return;
    };
    let url = format!("https://localhost:{}", apache.port);
    let password = service::password_file(&ca.folder).display().to_string();
    let authority = ca.file();
    let run = |flags: &[&str]| {
        let basic = ["--transport", "basic", "-u", USER, "--connection-password-file", &password];
        winrm(
            &[&["run", "--ca", &authority], &basic[..], flags, &[&url, "--", "echo through"]].concat(),
            &[],
        )
    };
    let (certificate, key) = (ca.path("alice.pem"), ca.path("alice.key"));
    run(&["--cert", &certificate, "--cert-key", &key]).is_fine("through");
    let log = apache.log();
    assert!(log.contains("Requesting connection re-negotiation"), "{log}");
    run(&[]).is_refused(4, &["wants a client certificate, and none was given", "--cert FILE"]);
    let stranger = Authority::new(&ca.folder, "other");
    stranger.client("mallory", RSA);
    let (certificate, key) = (stranger.path("mallory.pem"), stranger.path("mallory.key"));
    run(&["--cert", &certificate, "--cert-key", &key]).is_refused(4, &["localhost refused our certificate: ", "unknown CA"]);
    // A certificate alone says who we are: this service has nothing of it, and says so.
    let (certificate, key) = (ca.path("alice.pem"), ca.path("alice.key"));
    let told = winrm(
        &[
            "run",
            "--ca",
            &authority,
            "--cert",
            &certificate,
            "--cert-key",
            &key,
            &url,
            "--",
            "true",
        ],
        &[],
    );
    told.is_refused(
        4,
        &["refused our certificate, CN=alice for alice@localhost (HTTP 401)", "certmapping"],
    );
}

/// `openssl s_server` for one connection, which answers one request with an identity.
struct OpenSsl {
    child: Child,
    port: u16,
    /// What it was sent.
    seen: Arc<Mutex<Vec<u8>>>,
}

impl OpenSsl {
    fn start(folder: &Path, certificate: &str, flags: &str) -> Self {
        const IDENTITY: &str = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><i:IdentifyResponse \
             xmlns:i=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\"><i:ProtocolVersion>x</i:ProtocolVersion>\
             <i:ProductVendor>openssl</i:ProductVendor><i:ProductVersion>0</i:ProductVersion></i:IdentifyResponse></s:Body></s:Envelope>";
        let port = free_port();
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-naccept", "1", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", &format!("{certificate}.pem"), "-key", &format!("{certificate}.key")])
            .args(flags.split_whitespace())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("s_server.err")).unwrap())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let mut seen = requests.lock().unwrap();
                seen.extend_from_slice(&buffer[..length]);
                if seen.ends_with(b"Envelope>") {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {}\r\n\r\n",
                        IDENTITY.len()
                    );
                    drop(input.write_all((head + IDENTITY).as_bytes()));
                    drop(input.flush());
                }
            }
        });
        let server = Self { child, port, seen };
        // It listens when it has read its files; a connection would use up its only one.
        let line = format!(":{port:04X} ");
        for _ in 0..400 {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            if table.lines().any(|entry| entry.contains(&line) && entry.contains(" 0A ")) {
                return server;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let log = std::fs::read_to_string(folder.join("s_server.err")).unwrap_or_default();
        panic!("openssl s_server {flags} does not listen: {log}");
    }

    /// Who answers there?
    fn ping(&self, flags: &[&str]) -> Told {
        let url = format!("https://localhost:{}", self.port);
        winrm(&[&["ping"], flags, &[&url]].concat(), &[])
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What Windows Server 2012 R2 has by default for a certificate of RSA, up to its update 2919355; each alone, by OpenSSL's names.
const SERVER_2012_R2: [&str; 14] = [
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-SHA",
    "DHE-RSA-AES128-SHA",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA256",
    "AES256-SHA",
    "AES128-SHA",
];

#[test]
fn each_suite_of_server_2012_r2_is_spoken() {
    let ca = scene("suites");
    for suite in SERVER_2012_R2 {
        let server = OpenSsl::start(&ca.folder, "server", &format!("-tls1_2 -cipher {suite}"));
        let told = server.ping(&["--ca", &ca.file(), "-vv"]);
        assert!(told.err.contains(&format!("cipher=\"{suite}\"")), "{suite}: {}", told.err);
        told.is_fine("openssl");
    }
}

#[test]
fn old_versions_are_spoken_only_when_they_are_asked_for() {
    let ca = scene("versions");
    let authority = ca.file();
    let old = "-cipher DEFAULT@SECLEVEL=0";
    for (version, flag) in [("1.0", "-tls1"), ("1.1", "-tls1_1")] {
        let server = OpenSsl::start(&ca.folder, "server", &format!("{flag} {old}"));
        server
            .ping(&["--ca", &authority])
            .is_refused(4, &["it speaks no TLS from 1.2 on", "--tls-min 1.0"]);
        assert_eq!(server.seen(), "");
        let server = OpenSsl::start(&ca.folder, "server", &format!("{flag} {old}"));
        let told = server.ping(&["--ca", &authority, "--tls-min", version, "-vv"]);
        let spoken = if version == "1.0" { "TLSv1\"" } else { "TLSv1.1\"" };
        assert!(told.err.contains(spoken), "{}", told.err);
        told.is_fine("openssl");
    }
    // The best that both speak is taken, however low the lowest is.
    let server = OpenSsl::start(&ca.folder, "server", "");
    let told = server.ping(&["--ca", &authority, "--tls-min", "1.0", "-vv"]);
    assert!(told.err.contains("TLSv1.3"), "{}", told.err);
    told.is_fine("openssl");
    let server = OpenSsl::start(&ca.folder, "server", "-tls1_3");
    server
        .ping(&["--ca", &authority, "--tls-max", "1.2"])
        .is_refused(4, &["it speaks no TLS 1.2", "newer"]);
    let server = OpenSsl::start(&ca.folder, "server", "-tls1_2 -cipher AES128-SHA");
    server
        .ping(&["--ca", &authority, "--ciphers", "ECDHE+AESGCM"])
        .is_refused(4, &["no cipher in common", "--ciphers"]);
    let server = OpenSsl::start(&ca.folder, "server", "");
    let told = server.ping(&["--ca", &authority, "--ciphers", "TLS_AES_128_GCM_SHA256:AES128-SHA", "-vv"]);
    assert!(told.err.contains("cipher=\"TLS_AES_128_GCM_SHA256\""), "{}", told.err);
    told.is_fine("openssl");
}

#[test]
fn a_certificate_of_the_right_name_from_another_authority_gets_nothing() {
    let ca = scene("namesake");
    let folder = service::folder("namesake-evil");
    // The same names all the way up.
    let evil = Authority::new(&folder, "ca");
    evil.server("server", RSA);
    let server = OpenSsl::start(&folder, "server", "");
    let told = server.ping(&["--ca", &ca.file()]);
    told.is_refused(
        4,
        &[
            "was issued by an authority that is not trusted: subject CN=localhost, issuer CN=ca",
            "--fingerprint ",
        ],
    );
    assert_eq!(server.seen(), "");
    // Nor does a certificate of ours go to one that isn't the pinned one.
    let server = OpenSsl::start(&folder, "server", "-tls1_2 -Verify 1");
    let (certificate, key) = (ca.path("alice.pem"), ca.path("alice.key"));
    let told = server.ping(&["--fingerprint", &"ab".repeat(32), "--cert", &certificate, "--cert-key", &key]);
    told.is_refused(4, &["is not the pinned one"]);
    assert_eq!(server.seen(), "");
    let log = std::fs::read_to_string(folder.join("s_server.err")).unwrap();
    assert!(!log.contains("alice"), "{log}");
}

#[test]
fn a_revoked_certificate_is_refused() {
    let ca = scene("revoked");
    let folder = &ca.folder;
    std::fs::write(
        folder.join("ca.cnf"),
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=2\n",
    )
    .unwrap();
    std::fs::write(folder.join("index"), "").unwrap();
    std::fs::write(folder.join("number"), "01\n").unwrap();
    let bundle = |name: &str| {
        openssl(folder, "ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out list.crl");
        let both = std::fs::read_to_string(ca.file()).unwrap() + &std::fs::read_to_string(folder.join("list.crl")).unwrap();
        std::fs::write(folder.join(name), both).unwrap();
        ca.path(name)
    };
    let before = bundle("before.pem");
    openssl(folder, "ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke server.pem");
    let after = bundle("after.pem");
    OpenSsl::start(folder, "server", "").ping(&["--ca", &before]).is_fine("openssl");
    let server = OpenSsl::start(folder, "server", "");
    server.ping(&["--ca", &after]).is_refused(
        4,
        &["the certificate of localhost was revoked by its authority: subject CN=localhost"],
    );
    assert_eq!(server.seen(), "");
}

#[test]
fn the_systems_authorities_can_be_named_by_the_environment() {
    let ca = scene("environment");
    let authority = ca.file();
    let ping = |server: &OpenSsl, environment: &[(&str, &str)]| {
        let url = format!("https://localhost:{}", server.port);
        winrm(&["ping", &url], environment)
    };
    ping(&OpenSsl::start(&ca.folder, "server", ""), &[("SSL_CERT_FILE", &authority)]).is_fine("openssl");
    let folder = ca.folder.join("hashed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&authority, folder.join("ca.pem")).unwrap();
    // As OpenSSL wants its folders, and then one as anybody fills it.
    openssl(&folder, "rehash .");
    let hashed = folder.display().to_string();
    ping(&OpenSsl::start(&ca.folder, "server", ""), &[("SSL_CERT_DIR", &hashed)]).is_fine("openssl");
    let plain = ca.folder.join("plain");
    std::fs::create_dir(&plain).unwrap();
    std::fs::copy(&authority, plain.join("our authority.crt")).unwrap();
    std::fs::copy(ca.path("ca.key"), plain.join("ca.key")).unwrap();
    OpenSsl::start(&ca.folder, "server", "")
        .ping(&["--ca", plain.to_str().unwrap()])
        .is_fine("openssl");
    let missing = ping(&OpenSsl::start(&ca.folder, "server", ""), &[("SSL_CERT_FILE", "/no/such/file")]);
    missing.is_refused(1, &["/no/such/file", "SSL_CERT_FILE"]);
}

/// A private key, or a PFX, in each form that people have them, and whether it takes a passphrase.
fn forms(ca: &Authority) -> Vec<(&'static str, Vec<String>, bool)> {
    let folder = &ca.folder;
    ca.client("carol", EC);
    let out = |words: &str| openssl(folder, words);
    out("rsa -in alice.key -traditional -out pkcs1.key");
    out("rsa -in alice.key -traditional -aes256 -passout pass:sesame -out pkcs1-aes.key");
    out("rsa -in alice.key -traditional -des3 -passout pass:sesame -out pkcs1-des3.key");
    out("pkcs8 -topk8 -in alice.key -v2 aes-256-cbc -passout pass:sesame -out pkcs8-aes.key");
    out("pkcs8 -topk8 -in alice.key -scrypt -passout pass:sesame -out pkcs8-scrypt.key");
    out("ec -in carol.key -out sec1.key");
    out("ec -in carol.key -aes128 -passout pass:sesame -out sec1-aes.key");
    out("rsa -in alice.key -outform DER -out der.key");
    out("pkcs12 -export -in alice.pem -inkey alice.key -certfile ca.pem -passout pass:sesame -out modern.pfx");
    out("pkcs12 -export -in alice.pem -inkey alice.key -passout pass: -out open.pfx");
    let pair = |certificate: &str, key: &str| vec!["--cert".to_owned(), ca.path(certificate), "--cert-key".to_owned(), ca.path(key)];
    let one = |file: &str| vec!["--cert".to_owned(), ca.path(file)];
    let both = std::fs::read_to_string(ca.path("alice.key")).unwrap() + &std::fs::read_to_string(ca.path("alice.pem")).unwrap();
    std::fs::write(folder.join("both.pem"), both).unwrap();
    vec![
        ("PKCS#8", pair("alice.pem", "alice.key"), false),
        ("PKCS#1", pair("alice.pem", "pkcs1.key"), false),
        ("PKCS#1, AES", pair("alice.pem", "pkcs1-aes.key"), true),
        ("PKCS#1, 3DES", pair("alice.pem", "pkcs1-des3.key"), true),
        ("PKCS#8, AES", pair("alice.pem", "pkcs8-aes.key"), true),
        ("PKCS#8, scrypt", pair("alice.pem", "pkcs8-scrypt.key"), true),
        ("EC, PKCS#8", pair("carol.pem", "carol.key"), false),
        ("EC, SEC 1", pair("carol.pem", "sec1.key"), false),
        ("EC, SEC 1, AES", pair("carol.pem", "sec1-aes.key"), true),
        ("DER", pair("alice.pem", "der.key"), false),
        ("one file", one("both.pem"), false),
        ("PFX", one("modern.pfx"), true),
        ("PFX without passphrase", one("open.pfx"), false),
    ]
}

#[test]
fn every_form_of_key_logs_on_to_the_service() {
    let ca = scene("forms");
    let (authority, alice, carol) = (ca.file(), "alice@localhost=alice", "carol@localhost=alice");
    let flags = [
        "--auth",
        "certificate",
        "--client-ca",
        &authority,
        "--map-certificate",
        alice,
        "--map-certificate",
        carol,
    ];
    let service = Service::start(&ca.folder, &flags);
    let trusted = service.certificate.display().to_string();
    let passphrase = ca.path("passphrase");
    std::fs::write(&passphrase, "sesame\n").unwrap();
    let wrong = ca.path("wrong");
    std::fs::write(&wrong, "open\n").unwrap();
    for (form, certificate, is_encrypted) in forms(&ca) {
        let certificate: Vec<&str> = certificate.iter().map(String::as_str).collect();
        let run = |more: &[&str], environment: &[(&str, &str)]| {
            let words = [
                &["run", "--ca", &trusted],
                &certificate[..],
                more,
                &[&service.tls_url, "--", "echo in"],
            ];
            winrm(&words.concat(), environment)
        };
        println!("{form}");
        if !is_encrypted {
            run(&[], &[]).is_fine("in\n");
            continue;
        }
        run(&["--cert-passphrase-file", &passphrase], &[]).is_fine("in\n");
        run(&[], &[("WINRM_CERT_PASSPHRASE", "sesame")]).is_fine("in\n");
        let told = run(&["--cert-passphrase-file", &wrong], &[]);
        assert_eq!(told.code, Some(1), "{form}: {}", told.err);
        assert!(
            told.err.contains("the passphrase of the ") && told.err.contains(" is wrong"),
            "{}",
            told.err
        );
        run(&[], &[]).is_refused(1, &["is encrypted: give --cert-passphrase-file FILE"]);
    }
}

/// A service, tinyproxy or squid in front of it, and how the program is run.
struct Proxied {
    service: Service,
    folder: PathBuf,
    password: String,
}

impl Proxied {
    fn new(test: &str) -> Self {
        let folder = service::folder(test);
        let service = behind(&folder);
        let password = service::password_file(&folder).display().to_string();
        Self { service, folder, password }
    }

    fn run(&self, flags: &[&str], url: &str, environment: &[(&str, &str)]) -> Told {
        let account = ["run", "-u", USER, "--connection-password-file", &self.password];
        let told = winrm(&[&account[..], flags, &[url, "--", "echo in"]].concat(), environment);
        assert!(!told.err.contains(PASSWORD) && !told.err.contains("s3cret"), "{}", told.err);
        told
    }

    /// With message encryption over http, TLS, and Basic: what a proxy has to carry.
    fn all_ways(&self, flags: &[&str], environment: &[(&str, &str)]) {
        let certificate = self.service.certificate.display().to_string();
        self.run(&[flags, &["--transport", "ntlm"]].concat(), &self.service.url, environment)
            .is_fine("in\n");
        let flags = [flags, &["--transport", "basic"]].concat();
        self.run(&[&flags[..], &["--ca", &certificate]].concat(), &self.service.tls_url, environment)
            .is_fine("in\n");
        self.run(&[&flags[..], &["--encryption", "never"]].concat(), &self.service.url, environment)
            .is_fine("in\n");
    }
}

fn port_of(url: &str) -> &str {
    url.rsplit(':').next().unwrap().split('/').next().unwrap()
}

#[test]
fn tinyproxy_carries_every_way() {
    let scene = Proxied::new("tinyproxy");
    let Some(proxy) = Daemon::start("/usr/bin/tinyproxy", &["-d", "-c"], "tls_tinyproxy.conf", &scene.folder, &[]) else {
        return;
    };
    let url = format!("http://127.0.0.1:{}", proxy.port);
    scene.all_ways(&["--proxy", &url], &[]);
    scene.all_ways(&[], &[("ALL_PROXY", &url)]);
    let log = proxy.log();
    for request in [
        format!("CONNECT 127.0.0.1:{} HTTP", port_of(&scene.service.url)),
        format!("CONNECT 127.0.0.1:{} HTTP", port_of(&scene.service.tls_url)),
        format!("POST {} HTTP", scene.service.url),
    ] {
        assert!(log.contains(&request), "{request} is not in {log}");
    }
    let requests = |log: &str| log.matches(": Request (").count();
    let before = requests(&log);
    assert!(before >= 10, "{log}");
    // Past the proxy.
    scene.all_ways(&["--no-proxy=127.0.0.0/8", "--proxy", &url], &[]);
    scene.all_ways(&["--no-proxy"], &[("ALL_PROXY", &url)]);
    scene.all_ways(&[], &[("ALL_PROXY", &url), ("NO_PROXY", "example.com,127.0.0.1")]);
    assert_eq!(requests(&proxy.log()), before, "{}", proxy.log());
    // A host that isn't there.
    let nobody = format!("https://127.0.0.1:{}", free_port());
    let flags = ["--proxy", url.as_str(), "--insecure"];
    scene
        .run(&flags, &nobody, &[])
        .is_refused(4, &["can't reach 127.0.0.1:", "HTTP 500"]);
}

#[test]
fn tinyproxy_wants_a_password() {
    let scene = Proxied::new("tinyproxy-password");
    let template = std::fs::read_to_string(peer::file("tls_tinyproxy.conf")).unwrap();
    assert!(template.contains("Allow 127.0.0.1"));
    let users = [("Allow 127.0.0.1", "Allow 127.0.0.1\nBasicAuth al s3cret")];
    let Some(proxy) = Daemon::start("/usr/bin/tinyproxy", &["-d", "-c"], "tls_tinyproxy.conf", &scene.folder, &users) else {
        return;
    };
    let bare = format!("http://127.0.0.1:{}", proxy.port);
    let with_user = format!("http://al@127.0.0.1:{}", proxy.port);
    let with_password = format!("http://al:s3cret@127.0.0.1:{}", proxy.port);
    let file = scene.folder.join("proxy-password").display().to_string();
    std::fs::write(&file, "s3cret\n").unwrap();
    scene.all_ways(&["--proxy", &with_user, "--proxy-password-file", &file], &[]);
    scene.all_ways(&["--proxy", &with_user], &[("WINRM_PROXY_PASSWORD", "s3cret")]);
    scene.all_ways(&[], &[("HTTPS_PROXY", &with_password), ("http_proxy", &with_password)]);
    let certificate = scene.service.certificate.display().to_string();
    let tls = ["--ca", certificate.as_str()];
    for (url, flags) in [
        (&scene.service.tls_url, &tls[..]),
        (&scene.service.url, &["--transport", "basic", "--encryption", "never"][..]),
    ] {
        let run = |proxy: &str, environment: &[(&str, &str)]| scene.run(&[flags, &["--proxy", proxy]].concat(), url, environment);
        run(&bare, &[]).is_refused(4, &["asks for credentials (HTTP 407)", "USER@HOST"]);
        // tinyproxy answers 401 to that, which over plain http could as well be the host's answer.
        let refused = if url.starts_with("https") {
            "refused the credentials of al (HTTP 401)"
        } else {
            "those for the proxy as well"
        };
        run(&with_user, &[("WINRM_PROXY_PASSWORD", "wrong")]).is_refused(4, &["(HTTP 401)", refused]);
        run(&with_password, &[]).is_refused(1, &["a password does not belong into --proxy", "--proxy-password-file"]);
        run(&with_user, &[]).is_refused(1, &["no terminal", "WINRM_PROXY_PASSWORD"]);
    }
}

#[test]
fn squid_tunnels_to_the_ports_that_it_is_told() {
    let scene = Proxied::new("squid");
    // Its processes run as another user.
    let folder = open_folder();
    squid_users(folder.path());
    let tunnel = [("@TUNNEL@", port_of(&scene.service.tls_url))];
    let Some(proxy) = Daemon::start("/usr/sbin/squid", &["-N", "-f"], "tls_squid.conf", folder.path(), &tunnel) else {
        return;
    };
    let url = format!("http://al@127.0.0.1:{}", proxy.port);
    let certificate = scene.service.certificate.display().to_string();
    let password = [("WINRM_PROXY_PASSWORD", "s3cret")];
    let run =
        |flags: &[&str], target: &str, environment: &[(&str, &str)]| scene.run(&[flags, &["--proxy", &url]].concat(), target, environment);
    run(&["--ca", &certificate, "--transport", "ntlm"], &scene.service.tls_url, &password).is_fine("in\n");
    run(&["--transport", "basic", "--encryption", "never"], &scene.service.url, &password).is_fine("in\n");
    // NTLM can't pass without a tunnel, and there is none to this port.
    run(&["--transport", "ntlm"], &scene.service.url, &password).is_refused(
        4,
        &[
            "does not let connections through to 127.0.0.1:",
            "(HTTP 403)",
            "NTLM, Kerberos and CredSSP authenticate the connection, so they can't pass a plain-http proxy without a tunnel",
        ],
    );
    let wrong = [("WINRM_PROXY_PASSWORD", "wrong")];
    run(&["--ca", &certificate], &scene.service.tls_url, &wrong).is_refused(4, &["refused the credentials of al (HTTP 407)"]);
    run(&["--transport", "basic", "--encryption", "never"], &scene.service.url, &wrong)
        .is_refused(4, &["refused the credentials of al (HTTP 407)"]);
}

/// Users of squid: al.
fn squid_users(folder: &Path) {
    let output = Command::new("openssl").args(["passwd", "-apr1", "s3cret"]).output().unwrap();
    let line = format!("al:{}", String::from_utf8_lossy(&output.stdout));
    std::fs::write(folder.join("users"), line).unwrap();
}

#[test]
fn what_is_no_proxy_is_told() {
    let scene = Proxied::new("no-proxy");
    let target = "https://127.0.0.1:5986";
    let run = |proxy: &str| scene.run(&["--insecure", "-T", "2", "--proxy", proxy], target, &[]);
    // A WinRM service, a port of https, silence, garbage, the end, and nobody.
    run(&format!("127.0.0.1:{}", port_of(&scene.service.url))).is_refused(4, &["makes no tunnels (HTTP 404 to CONNECT)"]);
    let told = run(&format!("127.0.0.1:{}", port_of(&scene.service.tls_url)));
    told.is_refused(4, &["the proxy"]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    run(&address).is_refused(4, &["did not connect to 127.0.0.1 port 5986 within 2s"]);
    for (answer, sentence) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "answered CONNECT with something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "answered CONNECT with something that is not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "answered CONNECT with something that is not HTTP"),
        (b"", "closed the connection instead of connecting to 127.0.0.1:5986"),
        (b"HTTP/1.1 200", "answered CONNECT with something that is not HTTP"),
        (
            b"HTTP/1.1 302 Found\r\n\r\n",
            "does not let connections through to 127.0.0.1:5986 (HTTP 302)",
        ),
        (
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "asks for credentials by Negotiate, NTLM (HTTP 407)",
        ),
        (b"HTTP/1.0 504 Late\r\n\r\n", "can't reach 127.0.0.1:5986 (HTTP 504)"),
    ] {
        let answering = answer_once(answer);
        run(&answering).is_refused(4, &[sentence]);
    }
    // A head that does not end.
    let endless = answer_once(&[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 100_000]].concat());
    run(&endless).is_refused(4, &["something that is not HTTP"]);
    run(&format!("127.0.0.1:{}", free_port())).is_refused(4, &["refuses connections"]);
    scene
        .run(&["--proxy", "socks5://127.0.0.1:1080"], target, &[])
        .is_refused(1, &["\"socks5\" are not supported"]);
}

/// Answers the first connection with these bytes and ends it.
fn answer_once(answer: &[u8]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = answer.to_vec();
    std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 1_024];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
                _ => return,
            }
        }
        drop(stream.write_all(&answer));
    });
    address
}
