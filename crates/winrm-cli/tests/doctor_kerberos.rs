//! `winrm doctor` before broken Kerberos, with a real KDC: each set-up is found, and named by its cause.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/authority.rs"]
#[allow(dead_code, reason = "the tests of TLS use the rest")]
mod authority;
#[path = "support/doctor.rs"]
#[allow(dead_code, reason = "the tests without Kerberos use the rest")]
mod doctor;
#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod kdc;
#[path = "support/peer.rs"]
#[allow(dead_code, reason = "the tests with scripts use the rest")]
mod peer;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod service;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use authority::{Authority, RSA};
use doctor::{Findings, command};
use kdc::{Kdc, PRINCIPAL, REALM};
use openssl::ssl::{SslAcceptor, SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode};
use service::Service;

/// A realm, and a host of it.
struct Domain {
    kdc: Kdc,
    service: Service,
    folder: PathBuf,
}

impl Domain {
    fn start(test: &str, flags: &[&str]) -> Option<Self> {
        let folder = service::folder(&format!("doctor-{test}"));
        let kdc = Kdc::start(&format!("doctor, {test}"), &folder)?;
        let service = Service::start(&folder, &[&["--keytab", &kdc.keytab(), "--allow-any-principal"], flags].concat());
        Some(Self { kdc, service, folder })
    }

    fn http(&self) -> String {
        self.service.url.replace("127.0.0.1", "localhost")
    }

    fn https(&self) -> String {
        self.service.tls_url.replace("127.0.0.1", "localhost")
    }

    fn command(&self, before: &[&str], args: &[&str]) -> Command {
        let transport: &[&str] = if args.contains(&"--transport") {
            &[]
        } else {
            &["--transport", "kerberos"]
        };
        let mut command = command(before, &[transport, args].concat());
        command.env("KRB5_CONFIG", self.kdc.config());
        command
    }

    /// With Kerberos, at the host's http.
    fn doctor(&self, args: &[&str]) -> Findings {
        Findings::of(&mut self.command(&[], &[args, &[&self.http()]].concat()))
    }

    /// As this principal with the password of all of them.
    fn as_user(&self, principal: &str, args: &[&str]) -> Findings {
        let password = self.kdc.password_file().display().to_string();
        self.doctor(&[&["-u", principal, "--connection-password-file", &password], args].concat())
    }

    fn kadmin(&self, query: &str) {
        let output = Command::new("kadmin.local")
            .args(["-r", REALM, "-q", query])
            .env("KRB5_CONFIG", self.kdc.config())
            .env("KRB5_KDC_PROFILE", self.folder.join("kdc/kdc.conf"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A `krb5.conf` that is changed so.
    fn config(&self, name: &str, change: impl Fn(String) -> String) -> String {
        let text = change(fs::read_to_string(self.kdc.config()).unwrap());
        let file = self.folder.join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    fn with_config(&self, config: &str, args: &[&str]) -> Findings {
        let url = self.http();
        let mut command = self.command(&[], &[args, &[&url]].concat());
        Findings::of(command.env("KRB5_CONFIG", config))
    }
}

#[test]
fn kerberos_in_order() {
    let Some(domain) = Domain::start("kerberos-well", &[]) else {
        return;
    };
    let findings = domain.as_user(PRINCIPAL, &["--delegate"]).finds_nothing();
    let findings = findings
        .has("kerberos.kdc", "ok", "answers")
        .has("clock.kdc", "ok", "agree")
        .has("kerberos.ticket", "ok", "by kinit");
    let findings = findings
        .has("kerberos.canonical", "ok", "kinit -C user@WINRM.TEST")
        .has("kerberos.spn", "ok", "HTTP/localhost");
    let findings = findings
        .has("kerberos.delegation", "ok", "handed")
        // The embedded service keeps the ticket to itself.
        .has("host.delegation", "warning", "klist on the host shows none")
        .has("auth.kerberos", "ok", "lets user@WINRM.TEST in");
    findings
        .has("service.clear_text", "ok", "refuses")
        .has("kerberos.realm", "ok", "[domain_realm] localhost = WINRM.TEST");
    let ccache = domain.kdc.ccache("well", &[]);
    let findings = domain.doctor(&["--ccache", &ccache]).finds_nothing();
    findings
        .has("kerberos.ticket", "ok", "user@WINRM.TEST")
        .has("kerberos.delegation", "skipped", "--delegate");
    let negotiate = domain.as_user(PRINCIPAL, &["--transport", "negotiate"]).finds_nothing();
    negotiate.has("auth.negotiate", "ok", "with Kerberos");
    // Preauthentication is how Windows has it: the KDC tells what keys there are.
    domain.kadmin("modprinc +requires_preauth user");
    domain
        .as_user(PRINCIPAL, &[])
        .finds_nothing()
        .has("kerberos.account", "ok", "aes256-cts-hmac-sha1-96");
}

#[test]
fn accounts_are_unknown_locked_or_expired() {
    let Some(domain) = Domain::start("accounts", &[]) else { return };
    domain
        .as_user("nobody@WINRM.TEST", &[])
        .cause("kerberos.account", "does not know the account nobody@WINRM.TEST", 4);
    domain.kadmin("modprinc -allow_tix alice");
    domain
        .as_user("alice@WINRM.TEST", &[])
        .cause("kerberos.account", "disabled, locked or expired", 4)
        .mends("kerberos.account", "Unlock-ADAccount");
    domain.kadmin("modprinc +requires_preauth -pwexpire yesterday administrator");
    let expired = domain.as_user("administrator@WINRM.TEST", &["--transport", "kerberos,ntlm"]);
    // With NTLM a try would count against it.
    expired
        .has("kerberos.account", "warning", "has expired")
        .has("auth.ntlm", "skipped", "not tried");
}

#[test]
fn a_wrong_password_is_tried_once() {
    let Some(domain) = Domain::start("wrong-password", &[]) else {
        return;
    };
    domain.kadmin("modprinc +requires_preauth user");
    let wrong = domain.folder.join("wrong").display().to_string();
    fs::write(&wrong, "not this one\n").unwrap();
    let flags = [
        "-u",
        PRINCIPAL,
        "--connection-password-file",
        &wrong,
        "--transport",
        "kerberos,ntlm,basic",
    ];
    let findings = domain
        .doctor(&flags)
        .cause("kerberos.ticket", "the password of user@WINRM.TEST is wrong", 4);
    findings
        .has("auth.ntlm", "skipped", "count against the account")
        .has("auth.kerberos", "skipped", "kerberos.ticket");
    let log = fs::read_to_string(domain.folder.join("kdc/kdc.log")).unwrap();
    let failures = log
        .lines()
        .filter(|line| line.contains("preauth (encrypted_timestamp) verify failure"))
        .count();
    assert_eq!(failures, 1, "{log}");
}

#[test]
fn the_realm_is_wrong() {
    let Some(domain) = Domain::start("realm", &[]) else { return };
    domain
        .as_user("user@OTHER.TEST", &[])
        .cause("kerberos.kdc", "no KDC is known for the realm OTHER.TEST", 4);
    domain
        .as_user("user@winrm.test", &[])
        .cause("kerberos.realm", "not written in capitals", 4)
        .mends("kerberos.realm", "WINRM.TEST");
    let none = domain.config("no-default", |text| text.replace("default_realm", "# default_realm"));
    let password = domain.kdc.password_file().display().to_string();
    let flags = ["-u", "user", "--connection-password-file", &password];
    domain
        .with_config(&none, &flags)
        .cause("kerberos.realm", "nothing tells the realm", 4)
        .mends("kerberos.realm", "--realm");
    let strange = domain.config("strange", |text| text.replace("localhost = WINRM.TEST", "localhost = OTHER.TEST"));
    let flags = ["-u", PRINCIPAL, "--connection-password-file", &password];
    domain
        .with_config(&strange, &flags)
        .has("kerberos.realm", "warning", "different realms");
}

#[test]
fn the_configuration_is_missing_or_weak() {
    let Some(domain) = Domain::start("configuration", &[]) else {
        return;
    };
    let password = domain.kdc.password_file().display().to_string();
    let flags = ["-u", PRINCIPAL, "--connection-password-file", &password];
    domain
        .with_config("/nonexistent/krb5.conf", &flags)
        .cause("kerberos.config", "krb5.conf is missing", 4);
    let weak = domain.config("weak", |text| {
        text.replace("[libdefaults]", "[libdefaults]\n permitted_enctypes = rc4-hmac des-cbc-crc")
    });
    domain
        .with_config(&weak, &flags)
        .cause("kerberos.enctypes", "leaves out AES", 4)
        .mends("kerberos.enctypes", "permitted_enctypes");
    let bare = domain.config("bare", |text| text.replace(" kdc = 127", " # kdc = 127"));
    let broken = domain.config("broken", |text| text.replace(" dns_lookup_kdc = false", " dns_lookup_kdc # false"));
    domain
        .with_config(&broken, &flags)
        .cause("kerberos.config", "its format is wrong", 4);
    domain
        .with_config(&bare, &flags)
        .cause("kerberos.kdc", "no KDC is known", 4)
        .has("kerberos.kdc", "problem", "without a kdc line");
}

#[test]
fn no_kdc_answers() {
    let Some(domain) = Domain::start("kdc-down", &[]) else { return };
    let ccache = domain.kdc.ccache("before", &[]);
    domain.kdc.stop();
    let findings = domain
        .as_user(PRINCIPAL, &[])
        .cause("kerberos.kdc", "no KDC of WINRM.TEST answers", 4);
    findings
        .has("kerberos.ticket", "skipped", "kerberos.kdc")
        .has("auth.kerberos", "skipped", "kerberos.kdc");
    domain.doctor(&["--ccache", &ccache]).cause("kerberos.kdc", "", 4);
    // Where another way is left, it is gone, and Kerberos is a warning.
    let password = domain.folder.join("local").display().to_string();
    fs::write(&password, format!("{}\n", service::PASSWORD)).unwrap();
    let flags = [
        "-u",
        service::USER,
        "--realm",
        REALM,
        "--connection-password-file",
        &password,
        "--transport",
        "negotiate",
    ];
    domain
        .doctor(&flags)
        .finds_nothing()
        .has("kerberos.kdc", "warning", "no KDC")
        .has("auth.negotiate", "ok", "with NTLM");
}

#[test]
fn principals_are_missing_or_of_another_key() {
    let Some(domain) = Domain::start("principals", &[]) else { return };
    let missing = domain.as_user(PRINCIPAL, &["--service", "NOSUCH"]);
    missing
        .cause("kerberos.spn", "knows no service NOSUCH/localhost", 4)
        .mends("kerberos.spn", "setspn");
    // The service goes on with the key it has begun with.
    domain.kadmin("cpw -randkey HTTP/localhost");
    let findings = domain.as_user(PRINCIPAL, &[]).cause("auth.kerberos", "can't use the ticket", 4);
    findings.has("kerberos.spn", "ok", "").mends("auth.kerberos", "exported anew");
}

#[test]
fn an_address_is_no_name() {
    let Some(domain) = Domain::start("address", &[]) else { return };
    let password = domain.kdc.password_file().display().to_string();
    let flags = ["-u", PRINCIPAL, "--connection-password-file", &password, &domain.service.url];
    let findings = Findings::of(&mut domain.command(&[], &flags));
    findings
        .cause("name.kind", "127.0.0.1 is an address", 4)
        .mends("name.kind", "FQDN")
        .has("auth.kerberos", "skipped", "name.kind");
    let flags = [&["--hostname-override", "localhost"], &flags[..]].concat();
    Findings::of(&mut domain.command(&[], &flags))
        .finds_nothing()
        .has("name.kind", "ok", "another name");
}

#[test]
fn tickets_are_missing_expired_or_not_forwardable() {
    let Some(domain) = Domain::start("tickets", &[]) else { return };
    domain
        .doctor(&[])
        .cause("kerberos.ticket", "there is no ticket", 4)
        .mends("kerberos.ticket", "kinit");
    let keytab = domain.kdc.keytab();
    domain
        .doctor(&["-u", PRINCIPAL, "--keytab", &keytab])
        .cause("kerberos.ticket", "key table has no key", 4)
        .mends("kerberos.ticket", "klist -k");
    let ccache = domain.kdc.ccache("short", &["-l", "2s"]);
    let plain = domain.kdc.ccache("plain", &["-F"]);
    let findings = domain
        .doctor(&["--ccache", &plain, "--delegate"])
        .cause("kerberos.delegation", "not forwardable", 2);
    findings.mends("kerberos.delegation", "kinit -f").has("auth.kerberos", "ok", "");
    let other = domain.doctor(&["-u", "alice@WINRM.TEST", "--ccache", &plain]);
    other.has(
        "kerberos.canonical",
        "warning",
        "the ticket is one of user@WINRM.TEST, and the user is alice@WINRM.TEST",
    );
    std::thread::sleep(Duration::from_secs(3));
    domain
        .doctor(&["--ccache", &ccache])
        .cause("kerberos.ticket", "has expired", 4)
        .mends("kerberos.ticket", "run kinit again");
}

#[test]
fn clocks_differ() {
    if Command::new("faketime").arg("--version").output().is_err() {
        return peer::skip("clocks that differ", "there is no faketime");
    }
    let Some(domain) = Domain::start("clocks", &[]) else { return };
    let password = domain.kdc.password_file().display().to_string();
    let url = domain.http();
    let flags = ["-u", PRINCIPAL, "--connection-password-file", &password, &url];
    let findings = Findings::of(&mut domain.command(&["faketime", "-f", "+10m"], &flags));
    let findings = findings
        .cause("clock.host", "ahead of that of the host", 4)
        .mends("clock.host", "chrony");
    findings
        .has("clock.kdc", "problem", "ahead of that of the KDC")
        .has("auth.kerberos", "skipped", "clock.host");
    let findings = Findings::of(&mut domain.command(&["faketime", "-f", "-1h"], &flags));
    findings.cause("clock.host", "behind that of the host", 4);
    // A certificate that is valid, and seems not to be: the clock is the cause.
    let ca = domain.service.certificate.display().to_string();
    let (early, url) = (["faketime", "-f", "-40d"], domain.https());
    let findings = Findings::of(&mut command(&early, &["--transport", "ntlm", "--ca", &ca, &url]));
    findings
        .cause("clock.host", "behind that of the host", 2)
        .has("tls.dates", "problem", "not valid yet");
}

#[test]
fn channel_binding_with_tickets() {
    let Some(domain) = Domain::start("bound", &["--require-channel-binding"]) else {
        return;
    };
    let ca = domain.service.certificate.display().to_string();
    let ccache = domain.kdc.ccache("bound", &[]);
    let url = domain.https();
    let flags = ["--ca", &ca, "--ccache", &ccache, &url];
    let strict = Findings::of(&mut domain.command(&[], &flags)).finds_nothing();
    strict.has("auth.binding", "ok", "insists on it");
    let flags = [&["--no-cbt"], &flags[..]].concat();
    let findings = Findings::of(&mut domain.command(&[], &flags));
    findings
        .cause("auth.binding", "the settings forbid it", 4)
        .mends("auth.binding", "leave --no-cbt");
}

/// Ends TLS with a certificate of its own, and passes on what it reads; gives its port.
fn middle(certificate: &str, key: &str, url: &str) -> u16 {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate_chain_file(certificate).unwrap();
    acceptor.set_private_key_file(key, SslFiletype::PEM).unwrap();
    let acceptor = acceptor.build();
    let address = url.trim_start_matches("https://").trim_end_matches("/wsman").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            std::thread::spawn(move || {
                let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
                connector.set_verify(SslVerifyMode::NONE);
                let server = TcpStream::connect(address).unwrap();
                for stream in [&client, &server] {
                    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                }
                // Handshakes are given their time.
                client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let Ok(mut client) = acceptor.accept(client) else { return };
                client.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let mut server = connector.build().connect("localhost", server).unwrap();
                server.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                while pass(&mut client, &mut server) && pass(&mut server, &mut client) {}
            });
        }
    });
    port
}

/// Whether the connection goes on.
fn pass(from: &mut SslStream<TcpStream>, to: &mut SslStream<TcpStream>) -> bool {
    let mut buffer = [0; 16_384];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => to.write_all(&buffer[..length]).is_ok(),
        Err(error) => matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn something_in_between_ends_tls() {
    let Some(domain) = Domain::start("middle", &[]) else { return };
    let authority = Authority::new(&domain.folder, "authority");
    authority.server("middle", RSA);
    let port = middle(
        &authority.path("middle.pem"),
        &authority.path("middle.key"),
        &domain.service.tls_url,
    );
    let ccache = domain.kdc.ccache("middle", &[]);
    let flags = ["--ca", &authority.file(), "--ccache", &ccache, &format!("https://localhost:{port}")];
    let findings = Findings::of(&mut domain.command(&[], &flags));
    findings
        .cause("auth.binding", "something between here and the host ends TLS", 4)
        .mends("auth.binding", "--no-cbt");
    let flags = [&["--no-cbt"], &flags[..]].concat();
    let findings = Findings::of(&mut domain.command(&[], &flags)).finds_nothing();
    findings.has("auth.binding", "warning", "ends TLS");
}
