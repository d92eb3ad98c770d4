//! `winrm doctor` before broken set-ups without Kerberos: each is found, and named by its cause.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/authority.rs"]
#[allow(dead_code, reason = "the tests of TLS use the rest")]
mod authority;
#[path = "support/daemon.rs"]
#[allow(dead_code, reason = "the tests of TLS use the rest")]
mod daemon;
#[path = "support/doctor.rs"]
#[allow(dead_code, reason = "the tests of Kerberos use the rest")]
mod doctor;
#[path = "support/peer.rs"]
#[allow(dead_code, reason = "the tests with scripts use the rest")]
mod peer;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod service;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use authority::{Authority, EC, RSA, openssl};
use daemon::{Daemon, free_port};
use doctor::{Findings, command, doctor};
use service::{Service, USER, password_file};

/// A service, and how its user logs on.
struct Host {
    service: Service,
    folder: PathBuf,
    password: String,
}

impl Host {
    fn start(name: &str, args: &[&str]) -> Self {
        let folder = service::folder(&format!("doctor-{name}"));
        let service = Service::start(&folder, args);
        let password = password_file(&folder).display().to_string();
        Self { service, folder, password }
    }

    fn https(&self) -> String {
        self.service.tls_url.replace("127.0.0.1", "localhost")
    }

    fn ca(&self) -> String {
        self.service.certificate.display().to_string()
    }

    /// As the user, over http, by NTLM unless the arguments say otherwise.
    fn http_as_user(&self, args: &[&str]) -> Findings {
        let user = ["-u", USER, "--connection-password-file", &self.password];
        let transport: &[&str] = if args.contains(&"--transport") {
            &[]
        } else {
            &["--transport", "ntlm"]
        };
        doctor(&[&user, transport, args, &[&self.service.url]].concat())
    }

    /// The same over https, with the certificate trusted.
    fn https_as_user(&self, args: &[&str]) -> Findings {
        let user = ["-u", USER, "--connection-password-file", &self.password, "--ca", &self.ca()];
        let transport: &[&str] = if args.contains(&"--transport") {
            &[]
        } else {
            &["--transport", "ntlm"]
        };
        doctor(&[&user, transport, args, &[&self.https()]].concat())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.folder.join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

/// Short times, for hosts that keep silent.
const SHORT: [&str; 6] = ["--connect-timeout", "3", "--operation-timeout", "2", "--read-timeout", "3"];

/// Serves connections by hand; gives the port.
fn by_hand(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

#[test]
fn a_host_in_order_has_no_problem() {
    let host = Host::start("well", &[]);
    let over_http = host.http_as_user(&[]).finds_nothing();
    over_http
        .has("service.clear_text", "ok", "refuses")
        .has("auth.ntlm", "ok", "lets alice in");
    let over_https = host.https_as_user(&["--transport", "basic,ntlm,credssp"]).finds_nothing();
    let over_https = over_https
        .has("tls.versions", "ok", "1.2")
        .has("auth.binding", "ok", "without as well");
    over_https
        .has("auth.basic", "ok", "")
        .has("auth.credssp", "ok", "")
        .has("host.access", "ok", "");
    // Without a user it goes as far as it can, and says what it has left out.
    let anonymous = doctor(&["--ca", &host.ca(), &host.https()]).finds_nothing();
    anonymous
        .has("service.mechanisms", "ok", "Negotiate")
        .has("auth.negotiate", "skipped", "no user was given");
    let no_password = doctor(&["-u", USER, "--transport", "ntlm", "--ca", &host.ca(), &host.https()]).finds_nothing();
    no_password.has("auth.ntlm", "skipped", "no password was given");
}

#[test]
fn nobody_answers() {
    let closed = format!("http://127.0.0.1:{}", free_port());
    doctor(&[&closed])
        .cause("port.target", "refuses connections", 4)
        .mends("port.target", "Enable-PSRemoting");
    let silent = by_hand(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
    let url = format!("http://127.0.0.1:{silent}");
    doctor(&[&SHORT[..], &[&url]].concat()).cause("port.target", "says nothing", 4);
    let url = format!("https://127.0.0.1:{silent}");
    doctor(&[&SHORT[..], &[&url]].concat()).cause("port.target", "did not finish TLS", 4);
    let unknown = doctor(&["no-such-host.invalid"]);
    unknown
        .cause("dns.forward", "has no address", 4)
        .has("port.target", "skipped", "dns.forward");
}

#[test]
fn what_answers_is_no_winrm() {
    let folder = service::folder("doctor-nginx");
    let Some(nginx) = Daemon::start("/usr/sbin/nginx", &["-c"], "doctor_nginx.conf", &folder, &[]) else {
        return;
    };
    fs::write(folder.join("wsman"), "a page").unwrap();
    let at = |path: &str| doctor(&[&format!("http://127.0.0.1:{}{path}", nginx.port)]);
    at("/wsman").cause("service.answer", "another web server", 2);
    at("/nothing")
        .cause("service.answer", "no WinRM at the path /nothing", 2)
        .mends("service.answer", "/wsman");
    at("/moved").cause("service.answer", "sends clients elsewhere", 2);
    at("/down")
        .cause("service.answer", "WinRM behind it is not", 2)
        .mends("service.answer", "Start-Service WinRM");
    at("/realm").cause("service.answer", "other ways to authenticate", 2);
    let host = Host::start("path", &[]);
    let wrong = host.http_as_user(&["--path", "/wrong"]);
    wrong
        .cause("service.answer", "no WinRM at the path /wrong", 4)
        .has("auth.ntlm", "skipped", "service.answer");
}

#[test]
fn the_scheme_is_wrong() {
    let host = Host::start("scheme", &[]);
    let http_on_https = doctor(&[&host.service.url.replace("http:", "https:")]);
    http_on_https
        .cause("port.target", "speaks http, and was asked for TLS", 4)
        .mends("port.target", "--scheme http");
    let tls_on_http = doctor(&[&host.service.tls_url.replace("https:", "http:")]);
    tls_on_http
        .cause("port.target", "speaks TLS, and was asked without it", 4)
        .mends("port.target", "--scheme https");
}

/// Makes a self-signed certificate for `localhost` at another time, for nine days.
fn dated(folder: &Path, name: &str, when: &str) {
    let made = Command::new("faketime")
        .args([
            when,
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-sha256",
            "-days",
            "9",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn certificates_are_not_accepted() {
    if Command::new("faketime").arg("--version").output().is_err() {
        return peer::skip("certificates of other times", "there is no faketime");
    }
    let folder = service::folder("doctor-certificates");
    let authority = Authority::new(&folder, "authority");
    authority.server("good", RSA);
    dated(&folder, "old", "2020-01-01");
    dated(&folder, "new", "2037-01-01");
    openssl(
        &folder,
        "req -x509 -newkey rsa:2048 -nodes -sha256 -days 9 -subj /CN=other.example -addext subjectAltName=DNS:other.example -keyout other.key -out other.pem",
    );
    openssl(
        &folder,
        "req -x509 -newkey rsa:2048 -nodes -sha1 -days 9 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout sha1.key -out sha1.pem",
    );
    openssl(
        &folder,
        "req -x509 -newkey ed25519 -nodes -days 90 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout odd.key -out odd.pem",
    );
    let path = |name: &str| folder.join(name).display().to_string();
    let with = |name: &str, flags: &[&str]| {
        let (cert, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let host = Host::start(&format!("certificate-{name}"), &["--cert", &cert, "--key", &key]);
        doctor(&[flags, &[&host.https()]].concat())
    };
    with("old", &["--ca", &path("old.pem")])
        .cause("tls.dates", "has expired", 2)
        .mends("tls.dates", "renew");
    with("new", &["--ca", &path("new.pem")]).cause("tls.dates", "not valid yet", 2);
    with("other", &["--ca", &path("other.pem")])
        .cause("tls.name", "not for localhost, but for other.example", 2)
        .mends("tls.name", "--hostname-override other.example");
    with("good", &[])
        .cause("tls.chain", "authority that is not trusted", 2)
        .mends("tls.chain", "--ca FILE");
    with("old", &["--insecure"])
        .finds_nothing()
        .has("tls.dates", "warning", "expired")
        .has("tls.chain", "warning", "any certificate");
    with("other", &[])
        .cause("tls.chain", "self-signed", 2)
        .mends("tls.chain", "--fingerprint ")
        .has("tls.name", "problem", "other.example");
    with("good", &["--fingerprint", &"ab".repeat(32)]).cause("tls.chain", "pinned", 2);
    with("good", &["--ca", &authority.file()])
        .finds_nothing()
        .has("tls.dates", "warning", "within 30 days");
    with("sha1", &["--insecure"]).has("tls.binding", "ok", "SHA-256");
    with("odd", &["--ca", &path("odd.pem")]).has("tls.binding", "warning", "no rule says which hash");
}

/// `openssl s_server`, until this is dropped.
struct OpenSsl {
    child: Child,
    port: u16,
}

impl OpenSsl {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www"])
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self { child, port }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn versions_and_ciphers_of_tls() {
    let folder = service::folder("doctor-versions");
    let authority = Authority::new(&folder, "authority");
    authority.server("host", RSA);
    authority.server("curve", EC);
    let certificate = ["-cert", "host.pem", "-key", "host.key"];
    let old = OpenSsl::start(&folder, &[&certificate[..], &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]].concat());
    let url = format!("https://localhost:{}", old.port);
    doctor(&["--ca", &authority.file(), &url])
        .cause("tls.versions", "speaks TLS 1.0 only", 4)
        .mends("tls.versions", "KB3080079");
    let odd = [
        "-cert",
        "curve.pem",
        "-key",
        "curve.key",
        "-tls1_2",
        "-cipher",
        "ECDHE-ECDSA-AES128-SHA",
    ];
    let odd = OpenSsl::start(&folder, &odd);
    let url = format!("https://localhost:{}", odd.port);
    doctor(&["--ca", &authority.file(), "--ciphers", "ECDHE-RSA-AES256-SHA384", &url]).cause("tls.handshake", "", 4);
    let mutual = [&certificate[..], &["-Verify", "1", "-tls1_2"]].concat();
    let mutual = OpenSsl::start(&folder, &mutual);
    let url = format!("https://localhost:{}", mutual.port);
    doctor(&["--ca", &authority.file(), &url])
        .cause("tls.handshake", "client certificate", 4)
        .mends("tls.handshake", "--cert");
    let (cert, key) = (authority.path("host.pem"), authority.path("host.key"));
    let values = [("@CERT@", cert.as_str()), ("@KEY@", key.as_str())];
    let Some(nginx) = Daemon::start("/usr/sbin/nginx", &["-c"], "doctor_nginx_tls.conf", &folder, &values) else {
        return;
    };
    let url = format!("https://localhost:{}", nginx.port);
    let weak = doctor(&["--ca", &authority.file(), &url]).cause("service.answer", "another web server", 2);
    weak.has("tls.versions", "warning", "TLS 1.0").mends("tls.versions", "SCHANNEL");
}

#[test]
fn passwords_are_tried_once() {
    let host = Host::start("password", &["-v"]);
    let wrong = host.file("wrong", "not this one\n");
    let with = |user: &str, transport: &str| {
        let flags = [
            "-u",
            user,
            "--connection-password-file",
            &wrong,
            "--transport",
            transport,
            "--ca",
            &host.ca(),
        ];
        doctor(&[&flags[..], &[&host.https()]].concat())
    };
    let refused = |log: &str| {
        log.lines()
            .filter(|line| line.contains("refused") || line.contains("authentication failed"))
            .count()
    };
    let before = refused(&host.service.log());
    let findings = with(USER, "ntlm,basic,credssp").cause("auth.ntlm", "the user or the password is wrong", 4);
    let findings = findings
        .has("auth.basic", "skipped", "not tried")
        .has("auth.credssp", "skipped", "count against the account");
    findings
        .has("auth.binding", "skipped", "count against the account")
        .has("host.access", "skipped", "auth.ntlm");
    let after = refused(&host.service.log());
    assert_eq!(after - before, 1, "{}", host.service.log());
    with("nobody", "ntlm").cause("auth.ntlm", "the host refuses nobody", 4);
    with(r"CORP\alice", "basic")
        .cause("auth.basic", "wrong", 4)
        .mends("auth.basic", "accounts of the host alone");
}

#[test]
fn a_password_is_tried_once_for_all_hosts() {
    let host = Host::start("accounts", &["-v"]);
    let port = host.service.url.rsplit(':').next().unwrap().trim_end_matches("/wsman").to_owned();
    let inventory = host.file(
        "hosts.ini",
        &format!(
            "[web]\nweb[1:4] ansible_port={port}\n[web:vars]\nansible_host=127.0.0.1\nansible_connection=winrm\nansible_winrm_scheme=http\n\
             ansible_winrm_transport=ntlm\n"
        ),
    );
    let wrong = host.file("wrong", "not this one\n");
    let tried = |user: &str| {
        let failures = || {
            host.service
                .log()
                .lines()
                .filter(|line| line.contains("authentication failed"))
                .count()
        };
        let before = failures();
        let args = ["-i", &inventory, "-u", user, "--connection-password-file", &wrong, "web"];
        let findings = Findings::of(&mut command(&[], &args));
        assert_eq!(findings.status, 4, "{:#}", findings.report);
        let causes: Vec<String> = findings
            .report
            .as_array()
            .unwrap()
            .iter()
            .map(|host| host["cause"]["summary"].to_string())
            .collect();
        let elsewhere = causes.iter().filter(|cause| cause.contains("was refused when web")).count();
        (failures() - before, elsewhere)
    };
    assert_eq!(tried(r"CORP\alice"), (1, 3));
    // An account of the host alone is another one at each of them.
    assert_eq!(tried(USER), (4, 0));
}

#[test]
fn transports_are_switched_off() {
    let host = Host::start("offers", &["--auth", "ntlm"]);
    let basic = host.https_as_user(&["--transport", "basic"]);
    basic
        .cause("service.mechanisms", "does not offer basic", 4)
        .mends("service.mechanisms", "Auth\\Basic");
    let credssp = host.http_as_user(&["--transport", "credssp"]);
    credssp
        .cause("service.mechanisms", "does not offer credssp", 4)
        .mends("service.mechanisms", "Enable-WSManCredSSP");
    let both = host.https_as_user(&["--transport", "basic,ntlm"]).finds_nothing();
    both.has("service.mechanisms", "warning", "does not offer basic")
        .has("auth.ntlm", "ok", "");
    let clear = host.http_as_user(&["--transport", "basic"]);
    clear
        .cause("service.mechanisms", "does not offer basic", 4)
        .has("auth.basic", "problem", "readable");
}

#[test]
fn messages_in_clear_text_are_taken() {
    let host = Host::start("clear", &["--allow-unencrypted"]);
    let findings = host.http_as_user(&[]).finds_nothing();
    findings
        .has("service.clear_text", "warning", "clear text")
        .mends("service.clear_text", "AllowUnencrypted $false");
    doctor(&[&host.service.url]).has("service.clear_text", "warning", "Basic over http");
}

#[test]
fn channel_binding_is_insisted_on() {
    let host = Host::start("binding", &["--require-channel-binding"]);
    host.https_as_user(&[]).finds_nothing().has("auth.binding", "ok", "insists on it");
    let without = host
        .https_as_user(&["--no-cbt"])
        .cause("auth.ntlm", "", 4)
        .mends("auth.ntlm", "leave --no-cbt out");
    without.has("tls.binding", "warning", "--no-cbt");
    let lax = Host::start("lax", &[]);
    lax.https_as_user(&["--no-cbt"])
        .finds_nothing()
        .has("auth.binding", "warning", "no need for --no-cbt");
}

#[test]
fn certificates_of_clients_are_not_asked_for() {
    let host = Host::start("client-certificate", &[]);
    let authority = Authority::new(&host.folder, "clients");
    authority.client("alice", RSA);
    let (cert, key) = (authority.path("alice.pem"), authority.path("alice.key"));
    let flags = [
        "--transport",
        "certificate",
        "--cert",
        &cert,
        "--cert-key",
        &key,
        "--ca",
        &host.ca(),
    ];
    let findings = doctor(&[&flags[..], &[&host.https()]].concat());
    findings
        .cause("auth.certificate", "does not take the certificate", 4)
        .mends("auth.certificate", "Auth\\Certificate");
}

#[test]
fn a_proxy_is_in_the_way() {
    let host = Host::start("proxy", &[]);
    let away = format!("http://127.0.0.1:{}", free_port());
    host.http_as_user(&["--proxy", &away])
        .cause("port.proxy", "the proxy", 4)
        .mends("port.proxy", "--no-proxy");
    let proxy = by_hand(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
    });
    let proxy = format!("http://127.0.0.1:{proxy}");
    host.http_as_user(&["--proxy", &proxy]).cause("port.proxy", "credentials", 4);
    let tinyproxy = service::folder("doctor-tinyproxy");
    if let Some(proxy) = Daemon::start("/usr/bin/tinyproxy", &["-d", "-c"], "tls_tinyproxy.conf", &tinyproxy, &[]) {
        let proxy = format!("http://127.0.0.1:{}", proxy.port);
        host.http_as_user(&["--proxy", &proxy])
            .finds_nothing()
            .has("port.proxy", "ok", "goes through the proxy");
    }
}

#[test]
fn quotas_are_small() {
    let host = Host::start("quotas", &["--max-shells-per-user", "3", "--max-processes-per-shell", "2"]);
    let findings = host.http_as_user(&[]).finds_nothing();
    findings
        .has("host.quotas", "warning", "MaxShellsPerUser (3), MaxProcessesPerShell (2)")
        .mends("host.quotas", "Shell\\MaxShellsPerUser");
}

#[test]
fn shells_are_used_up() {
    let host = Host::start("shells", &["--max-shells-per-user", "1"]);
    let mut held = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args([
            "run",
            "-u",
            USER,
            "--connection-password-file",
            &host.password,
            "--transport",
            "ntlm",
            &host.service.url,
        ])
        .args(["--", "echo here; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    held.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let findings = host.http_as_user(&[]);
    drop(held.kill());
    drop(held.wait());
    findings
        .cause("host.access", "as many shells", 2)
        .has("host.shells", "problem", "one shell open, and the host allows 1")
        .mends("host.access", "MaxShellsPerUser");
}

/// A PowerShell of this name in the folder.
fn engine(folder: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("pwsh-of-the-test");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

#[test]
fn powershell_is_missing_or_restricted() {
    let folder = service::folder("doctor-engines");
    let ends = engine(&folder, "#!/bin/sh\necho 'powershell.exe: not found' >&2\nexit 127\n");
    let host = Host::start("no-powershell", &["--pwsh", &ends]);
    host.http_as_user(&[])
        .cause("host.powershell", "has no PowerShell", 2)
        .mends("host.powershell", "winrm run");
    let blocked =
        "#!/bin/sh\necho 'This program is blocked by group policy. For more information, contact your system administrator.' >&2\nexit 1\n";
    let blocked = engine(&folder, blocked);
    let host = Host::start("blocked-powershell", &["--pwsh", &blocked]);
    host.http_as_user(&[]).cause("host.powershell", "policy forbids PowerShell", 2);
    let Some(pwsh) = peer::variable("Constrained Language", "WINRM_PWSH") else {
        return;
    };
    // The real engine, put into the mode that AppLocker and WDAC put it into.
    let script = format!(
        "#!/bin/bash\nargs=()\nwhile [ $# -gt 1 ]; do args+=(\"$1\"); shift; done\n\
         exec '{}' \"${{args[@]}}\" \"\\$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'; $1\"\n",
        pwsh.display()
    );
    let constrained = engine(&folder, &script);
    let host = Host::start("constrained", &["--pwsh", &constrained]);
    host.http_as_user(&[]).cause("host.powershell", "ConstrainedLanguage", 2);
    let host = Host::start("powershell", &[]);
    host.http_as_user(&[])
        .finds_nothing()
        .has("host.powershell", "ok", "FullLanguage")
        .has("host.policy", "ok", "");
}

const IDENTITY: &str = "<i:IdentifyResponse><i:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</i:ProtocolVersion><i:ProductVendor>Microsoft Corporation</i:ProductVendor><i:ProductVersion>OS: 10.0.17763 SP: 0.0 Stack: 3.0</i:ProductVersion></i:IdentifyResponse>";

/// A fault as Windows words it.
fn fault(code: u32, text: &str) -> (&'static str, String) {
    let fault = format!(
        r#"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail><f:WSManFault Code="{code}" Machine="web1"><f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>"#
    );
    ("500 Internal Server Error", fault)
}

/// A host that takes any user by Basic, and answers what Windows has been seen to answer; gives its URL.
fn windows(answer: impl Fn(&str) -> (&'static str, String) + Send + Sync + 'static) -> String {
    const ENVELOPE: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:c="http://schemas.microsoft.com/wbem/wsman/1/config" xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header/><s:Body>@</s:Body></s:Envelope>"#;
    let port = by_hand(move |mut stream| {
        loop {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut byte) {
                    Ok(1) => head.push(byte[0]),
                    _ => return,
                }
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
            let mut body = vec![0; length.unwrap_or_default()];
            stream.read_exact(&mut body).unwrap();
            let body = String::from_utf8_lossy(&body);
            let known = head.contains("authorization: basic") || head.contains("wsmanidentify");
            let (status, payload) = match () {
                () if !known => ("401 Unauthorized", None),
                () if body.contains("Identify") => ("200 OK", Some(IDENTITY.to_owned())),
                () => {
                    let (status, payload) = answer(&body);
                    (status, Some(payload))
                }
            };
            let payload = payload.map(|payload| ENVELOPE.replace('@', &payload)).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"WSMAN\"\r\nServer: Microsoft-HTTPAPI/2.0\r\n\
                 Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{payload}",
                payload.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// As `bob`, by Basic.
fn as_bob(url: &str) -> Findings {
    let folder = service::folder(&format!("doctor-bob-{}", url.rsplit(':').next().unwrap()));
    let password = password_file(&folder).display().to_string();
    doctor(&[
        "-u",
        "bob",
        "--connection-password-file",
        &password,
        "--transport",
        "plaintext",
        url,
    ])
}

#[test]
fn access_is_denied() {
    let url = windows(|_| fault(5, "Access is denied. "));
    let findings = as_bob(&url)
        .cause("host.access", "may not open a shell", 2)
        .mends("host.access", "LocalAccountTokenFilterPolicy");
    let findings = findings
        .mends("host.access", "RootSDDL")
        .has("host.quotas", "skipped", "administrators only");
    findings
        .has("auth.basic", "ok", "Microsoft Corporation")
        .has("host.powershell", "skipped", "host.access");
}

#[test]
fn shells_are_left_over_and_policies_win() {
    const CONFIG: &str = r#"<c:Config><c:MaxEnvelopeSizekb>500</c:MaxEnvelopeSizekb><c:Service><c:AllowUnencrypted Source="GPO">false</c:AllowUnencrypted></c:Service><c:Winrs><c:MaxShellsPerUser>2</c:MaxShellsPerUser><c:MaxMemoryPerShellMB>150</c:MaxMemoryPerShellMB></c:Winrs></c:Config>"#;
    let shell = |id: &str, owner: &str| {
        format!(
            "<r:Shell><r:ShellId>{id}</r:ShellId><r:Owner>{owner}</r:Owner><r:ClientIP>10.0.0.7</r:ClientIP><r:ShellInactivity>P0DT3H0M4S</r:ShellInactivity></r:Shell>"
        )
    };
    let shells = [shell("A", r"WEB1\bob"), shell("B", r"WEB1\bob"), shell("C", r"WEB1\carol")].concat();
    let url = windows(move |body| match () {
        () if body.contains("enumeration/Enumerate") => (
            "200 OK",
            format!("<n:EnumerateResponse><n:EnumerationContext/><w:Items>{shells}</w:Items><w:EndOfSequence/></n:EnumerateResponse>"),
        ),
        () if body.contains("transfer/Get") => ("200 OK", CONFIG.to_owned()),
        () => fault(
            2_150_859_173,
            "The WS-Management service cannot process the request. This user is allowed a maximum number of 2 concurrent shells, which has been exceeded.",
        ),
    });
    let findings =
        as_bob(&url)
            .cause("host.access", "as many shells", 2)
            .has("host.shells", "problem", "has 2 shells open, and the host allows 2");
    let findings = findings
        .has("host.shells", "problem", "idle for P0DT3H0M4S")
        .has("host.quotas", "warning", "MaxShellsPerUser (2)");
    findings.has(
        "host.policy",
        "warning",
        "winrm/config/Service/AllowUnencrypted = false (Source=GPO)",
    );
}

#[test]
fn many_hosts_at_once() {
    let host = Host::start("fleet", &[]);
    let port = host.service.url.rsplit(':').next().unwrap().trim_end_matches("/wsman").to_owned();
    let inventory = host.file(
        "hosts.ini",
        &format!(
            "[web]\ngood ansible_port={port}\nclosed ansible_port={}\n[web:vars]\nansible_host=127.0.0.1\nansible_connection=winrm\n\
             ansible_winrm_scheme=http\nansible_user={USER}\nansible_winrm_transport=ntlm\n",
            free_port()
        ),
    );
    let args = ["-i", &inventory, "--connection-password-file", &host.password, "web"];
    let findings = Findings::of(&mut command(&[], &args));
    let hosts = findings.report.as_array().unwrap();
    assert_eq!(findings.status, 4, "{hosts:#?}");
    let told: Vec<_> = hosts.iter().map(|host| (host["host"].as_str(), host["status"].as_u64())).collect();
    assert_eq!(told, [(Some("good"), Some(0)), (Some("closed"), Some(4))]);
    let formatted = |format| command(&[], &[&["--format", format], &args[..]].concat()).output().unwrap();
    let text = formatted("text");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("2 hosts: 1 ok, 0 with problems, 1 out of reach"), "{text}");
    assert!(text.contains("cause: 127.0.0.1 refuses connections"), "{text}");
    let lines = formatted("jsonl");
    assert_eq!(String::from_utf8_lossy(&lines.stdout).lines().count(), 2);
}
