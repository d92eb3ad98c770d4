//! NTLM, Kerberos and encrypted messages, judged by programs that nobody here wrote: clients of the program's service, acceptors
//! for its client, and a real KDC. `cargo xtask test` installs them; without it each test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/apache.rs"]
mod apache;
#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests of tickets use the rest")]
mod kdc;
#[path = "support/listening.rs"]
mod listening;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/service.rs"]
mod service;
#[path = "support/tap.rs"]
mod tap;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use apache::{Apache, certificate};
use kdc::Kdc;
use listening::{ACCEPTORS, Listening};
use service::{Service, USER};
use tap::Tap;

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
        assert!(kdc::authenticated(&log, "Kerberos"), "nobody came with Kerberos:\n{log}");
    }
    log
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

/// Our Python module, by the cases of the one that it stands in for.
#[test]
fn module() {
    let Some(python) = peer::variable("module, sealed", "WINRM_TEST_OWN_PYTHON") else {
        return;
    };
    let log = client("module-sealed", 14, 27, peer::script(python, "sealed_pywinrm.py"));
    assert!(bound(&log, "NTLM"), "{log}");
}

#[test]
fn ansible() {
    if !service::has_powershell() {
        peer::skip("ansible, sealed", "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return;
    }
    for ansible in peer::ansibles("ansible-sealed") {
        let mut command = peer::script(ansible.python, "sealed_ansible.py");
        command.arg("--ansible").arg(ansible.programs);
        client(&ansible.peer, 7, 14, command);
    }
}

#[test]
fn attacks() {
    let Some(python) = peer::variable("attacks", "WINRM_TEST_PYTHON") else {
        return;
    };
    client("attacks", 52, 82, peer::script(python, "sealed_attacks.py"));
}

/// No password of anyone here.
const WRONG: &str = "not the password";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The program with this user on that acceptor; `KRB5_CONFIG` is the KDC's, and there are no tickets.
fn towards(acceptor: &Listening, folder: &Path, kdc: Option<&Kdc>, verb: &str, user: &str, password: &str, flags: &[&str]) -> Command {
    let file = folder.join(format!("password-{}", password.len()));
    fs::write(&file, format!("{password}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    command.args([verb, "--user", user, "--connection-password-file"]).arg(file);
    command.args(flags).arg(&acceptor.url).stdin(Stdio::null());
    command.env("KRB5CCNAME", "FILE:/nowhere/cc").env_remove("WINRM_PASSWORD");
    match kdc {
        Some(kdc) => command.env("KRB5_CONFIG", kdc.config()),
        None => command.env("KRB5_CONFIG", "/dev/null"),
    };
    command
}

#[test]
fn an_acceptor_of_pyspnego_takes_our_tokens_and_messages() {
    let Some(python) = peer::variable("acceptor", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("acceptor");
    let kdc = Kdc::start("acceptor with Kerberos", &folder);
    let kdc = kdc.as_ref();
    let mut ways = vec![
        ("negotiate", "Negotiate", "ntlm", "carol", ACCEPTORS, "Negotiate ntlm carol"),
        (
            "negotiate",
            "Negotiate",
            "ntlm",
            "CORP\\dave",
            ACCEPTORS,
            "Negotiate ntlm CORP\\dave",
        ),
        ("negotiate", "Negotiate", "negotiate", "carol", ACCEPTORS, "Negotiate ntlm carol"),
        ("ntlm", "NTLM", "ntlm", "carol", ACCEPTORS, "NTLM ntlm carol"),
    ];
    if kdc.is_some() {
        let user = (kdc::PRINCIPAL, kdc::PASSWORD);
        ways.push((
            "negotiate",
            "Negotiate",
            "negotiate",
            user.0,
            user.1,
            "Negotiate kerberos user@WINRM.TEST",
        ));
        ways.push((
            "negotiate",
            "Negotiate",
            "kerberos",
            user.0,
            user.1,
            "Negotiate kerberos user@WINRM.TEST",
        ));
        ways.push((
            "kerberos",
            "Kerberos",
            "kerberos",
            user.0,
            user.1,
            "Kerberos kerberos user@WINRM.TEST",
        ));
    }
    let sent: Vec<u8> = (0..300_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for (protocol, scheme, transport, user, password, known) in ways {
        let way = format!("{transport} to {scheme}");
        let acceptor = Listening::acceptor(&python, &folder, kdc, &["--protocol", protocol, "--scheme", scheme]);
        let run = |password: &str| towards(&acceptor, &folder, kdc, "run", user, password, &["--transport", transport]);
        let output = run(password).args(["--", "hello"]).output().unwrap();
        let outcome = (text(&output.stdout), text(&output.stderr), output.status.code());
        assert_eq!(outcome, ("hello".into(), "complaint".into(), Some(3)), "{way}: {}", acceptor.said());
        acceptor.assert_said(&format!("{known} delegated=nothing"));
        acceptor.assert_said("sealed");

        let mut child = run(password)
            .args(["--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&sent).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout == sent, "{way}: {} bytes came back", output.stdout.len());

        let output = towards(&acceptor, &folder, kdc, "ping", user, password, &["--transport", transport])
            .output()
            .unwrap();
        assert!(
            output.status.success() && text(&output.stdout).contains("pretended"),
            "{way}: {output:?}"
        );
        assert!(!acceptor.said().contains("clear"), "{way}: {}", acceptor.said());

        let output = run(WRONG).args(["--", "hello"]).output().unwrap();
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{way}: {err}");
        assert!(
            err.contains("error: ") && err.contains("hint: ") && !err.contains(WRONG),
            "{way}: {err}"
        );
    }
}

#[test]
fn an_answer_in_clear_text_to_an_encrypted_request_is_an_error() {
    let Some(python) = peer::variable("acceptor in clear text", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("acceptor-clear");
    let acceptor = Listening::acceptor(&python, &folder, None, &["--clear-answers"]);
    let mut command = towards(&acceptor, &folder, None, "run", "carol", ACCEPTORS, &["--transport", "ntlm"]);
    let output = command.args(["--", "hello"]).output().unwrap();
    let err = text(&output.stderr);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(4)), "{err}");
    assert!(err.contains("the answer is in clear text") && err.contains("hint: "), "{err}");
    acceptor.assert_said("sealed");
}

#[test]
fn an_acceptor_checks_our_channel_binding() {
    let Some(python) = peer::variable("acceptor over TLS", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("acceptor-tls");
    let kdc = Kdc::start("acceptor over TLS with Kerberos", &folder);
    let kdc = kdc.as_ref();
    let ((ours, key), (other, _)) = (certificate(&folder, "ours"), certificate(&folder, "other"));
    let mut users = vec![("ntlm", "carol", ACCEPTORS), ("negotiate", "carol", ACCEPTORS)];
    if kdc.is_some() {
        users.push(("kerberos", kdc::PRINCIPAL, kdc::PASSWORD));
        users.push(("negotiate", kdc::PRINCIPAL, kdc::PASSWORD));
    }
    let genuine = Listening::acceptor(&python, &folder, kdc, &["--certificate", &ours, "--key", &key]);
    // Sees tokens that are bound to one certificate, and believes to be another host.
    let relay = Listening::acceptor(&python, &folder, kdc, &["--certificate", &ours, "--key", &key, "--binding", &other]);
    for (transport, user, password) in users {
        let run = |acceptor: &Listening, flags: &[&str]| {
            let flags = [&["--transport", transport, "--ca", &ours], flags].concat();
            let mut command = towards(acceptor, &folder, kdc, "run", user, password, &flags);
            command.args(["--", "hello"]).output().unwrap()
        };
        for flags in [&[][..], &["--encryption", "always"]] {
            let output = run(&genuine, flags);
            let outcome = (text(&output.stdout), output.status.code());
            assert_eq!(
                outcome,
                ("hello".into(), Some(3)),
                "{transport} {flags:?}: {}",
                text(&output.stderr)
            );
        }
        let output = run(&relay, &[]);
        let err = text(&output.stderr);
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            ("", Some(4)),
            "{transport} {user}: {err}"
        );
        assert!(err.contains("hint: "), "{err}");
    }
    // NTLM requires the binding that the acceptor knows; Kerberos of MIT ignores an absent one.
    let flags = ["--transport", "ntlm", "--ca", &ours, "--no-cbt"];
    let output = towards(&genuine, &folder, kdc, "run", "carol", ACCEPTORS, &flags)
        .args(["--", "hello"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(!relay.said().contains("authenticated"), "{}", relay.said());
    genuine.assert_said("clear");
    genuine.assert_said("sealed");
}

#[test]
fn a_delegated_ticket_is_of_use_to_the_host() {
    let Some(python) = peer::variable("delegation", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("delegation");
    let Some(kdc) = Kdc::start("delegation", &folder) else { return };
    let acceptor = Listening::acceptor(&python, &folder, Some(&kdc), &[]);
    for transport in ["kerberos", "negotiate"] {
        let run = |flags: &[&str]| {
            let flags = [&["--transport", transport], flags].concat();
            let mut command = towards(&acceptor, &folder, Some(&kdc), "run", kdc::PRINCIPAL, kdc::PASSWORD, &flags);
            let output = command.args(["--", "hello"]).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        };
        run(&[]);
        assert!(!acceptor.said().contains("delegated=user"), "not asked for: {}", acceptor.said());
        run(&["--delegate"]);
        // It fetched another ticket with it.
        acceptor.assert_said("delegated=user@WINRM.TEST:True");
        acceptor.forget();
    }
}

/// How often the words stand in the bytes, small letters and capitals alike.
fn count(bytes: &[u8], words: &str) -> usize {
    let words = words.as_bytes();
    bytes
        .windows(words.len())
        .filter(|window| window.eq_ignore_ascii_case(words))
        .count()
}

#[test]
fn nothing_of_an_encrypted_command_can_be_read_on_the_way() {
    let folder = service::folder("capture");
    let kdc = Kdc::start("capture with Kerberos", &folder);
    let keytab = kdc.as_ref().map(Kdc::keytab);
    let mut accept = vec!["--allow-unencrypted"];
    accept.extend(keytab.iter().flat_map(|keytab| ["--keytab", keytab, "--allow-any-principal"]));
    let service = Service::start(&folder, &accept);
    let mut ways = vec![("ntlm", USER, service::PASSWORD), ("negotiate", USER, service::PASSWORD)];
    if kdc.is_some() {
        ways.push(("kerberos", kdc::PRINCIPAL, kdc::PASSWORD));
        ways.push(("negotiate", kdc::PRINCIPAL, kdc::PASSWORD));
    }
    // Base64 of every alignment would hide the words too: the SOAP around them does not.
    let telling = [
        "secret-word",
        "secret-input",
        "Envelope",
        "schemas.",
        "CommandLine",
        "rsp:",
        "stdout",
        "c2VjcmV0",
    ];
    let run = |tap: &Tap, flags: &[&str], user: &str, password: &str| {
        let file = folder.join(format!("password-{}", password.len()));
        fs::write(&file, format!("{password}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(["run", "--user", user, "--connection-password-file"])
            .arg(&file)
            .args(flags);
        command.args([&tap.url(), "--", "echo secret-word; tr a-z A-Z; echo secret-complaint >&2; exit 7"]);
        if let Some(kdc) = &kdc {
            command.env("KRB5_CONFIG", kdc.config()).env("KRB5CCNAME", "FILE:/nowhere/cc");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"secret-input").unwrap();
        let output = child.wait_with_output().unwrap();
        let outcome = (text(&output.stdout), text(&output.stderr), output.status.code());
        assert_eq!(
            outcome,
            ("secret-word\nSECRET-INPUT".into(), "secret-complaint\n".into(), Some(7)),
            "{flags:?}"
        );
    };
    for (transport, user, password) in ways {
        let tap = Tap::start(&service.url);
        run(&tap, &["--transport", transport], user, password);
        let streams = tap.streams();
        assert!(!streams.is_empty());
        // NTLM's first token is answered by 401, Kerberos needs one only; nothing is asked without a token before.
        let legs = if transport == "kerberos" || user == kdc::PRINCIPAL { 1 } else { 2 };
        for stream in streams {
            let seen = (count(&stream.sent, "\r\nauthorization: "), count(&stream.answered, "HTTP/1.1 401"));
            assert_eq!(seen, (legs, legs - 1), "{transport} as {user}: tokens and refusals");
            for direction in [&stream.sent, &stream.answered] {
                assert!(
                    count(direction, "HTTP/1.1") > 0 && count(direction, "Encrypted Boundary") > 0,
                    "nothing was encrypted"
                );
                for word in telling.iter().chain([&password]) {
                    assert_eq!(count(direction, word), 0, "{transport}: {word:?} was sent as it is");
                }
            }
        }
    }
    // The search finds what there is: the same in clear text.
    let tap = Tap::start(&service.url);
    run(&tap, &["--transport", "ntlm", "--encryption", "never"], USER, service::PASSWORD);
    let sent = tap.streams().iter().map(|stream| count(&stream.sent, "secret-word")).sum::<usize>();
    assert_eq!(sent, 1);
}

/// 1,000 commands in one shell.
fn a_thousand_commands(client: winrm::ClientBuilder) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = client.build().unwrap();
        let shell = client.shell().open().await.unwrap();
        for number in 0..1_000 {
            let output = shell.command(format!("echo {number}; exit {}", number % 7)).output().await.unwrap();
            assert_eq!(output.stdout, format!("{number}\n").into_bytes());
            assert_eq!(output.exit_code, Some(number % 7));
        }
        shell.close().await.unwrap();
        client.close().await;
    });
}

#[test]
fn a_session_of_a_thousand_commands_authenticates_once_for_each_connection() {
    let folder = service::folder("thousand");
    let service = Service::start(&folder, &["-v", "--max-operations-per-user", "5000"]);
    for transport in [winrm::Transport::Ntlm, winrm::Transport::Negotiate] {
        let tap = Tap::start(&service.url);
        let credentials = winrm::Credentials::parse(USER, winrm::Secret::new(service::PASSWORD)).unwrap();
        a_thousand_commands(winrm::Client::builder(&tap.url()).credentials(credentials).transport(transport));
        let streams = tap.streams();
        let refused: usize = streams.iter().map(|stream| count(&stream.answered, "HTTP/1.1 401")).sum();
        let tokens: usize = streams.iter().map(|stream| count(&stream.sent, "\r\nauthorization: ")).sum();
        let sealed: usize = streams
            .iter()
            .map(|stream| count(&stream.sent, "HTTP-SPNEGO-session-encrypted\r\n\tOriginal"))
            .sum();
        // Two tokens for NTLM, the first of which is answered by 401: no request goes out without one to learn that it takes one.
        assert_eq!((refused, tokens), (streams.len(), 2 * streams.len()), "{transport}");
        // Beside the command that runs there are signals to those that have ended, on a slow machine several: a few, not one a command.
        assert!(streams.len() <= 10, "{transport}: {} connections", streams.len());
        assert!(sealed > 2_000, "{transport}: {sealed} sealed requests");
    }
}

#[test]
fn apache_takes_our_tickets() {
    let folder = service::folder("apache");
    let Some(kdc) = Kdc::start("Apache", &folder) else { return };
    let Some(apache) = Apache::start(&kdc) else { return };
    let ca = apache.folder.path().join("ours.pem").display().to_string();
    let ping = |password: &str, flags: &[&str]| {
        let file = folder.join(format!("password-{}", password.len()));
        fs::write(&file, format!("{password}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(["ping", "--user", kdc::PRINCIPAL, "--ca", &ca, "--connection-password-file"])
            .arg(file);
        command.args(flags).arg(format!("https://localhost:{}/wsman", apache.port));
        command
            .env("KRB5_CONFIG", kdc.config())
            .env("KRB5CCNAME", "FILE:/nowhere/cc")
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    };
    for flags in [
        &["--transport", "kerberos"][..],
        &["--transport", "negotiate"],
        &["--transport", "kerberos", "--no-cbt"],
    ] {
        let (out, err, status) = ping(kdc::PASSWORD, flags);
        assert_eq!(status, Some(0), "{flags:?}: {out}{err}\n{}", apache.log());
        assert!(out.contains("Apache for user@WINRM.TEST"), "{flags:?}: {out}");
    }
    for (password, flags, words) in [
        (WRONG, &["--transport", "kerberos"][..], "Password incorrect"),
        (
            kdc::PASSWORD,
            &["--transport", "kerberos", "--kinit", "manual"],
            "no Kerberos ticket",
        ),
        (
            kdc::PASSWORD,
            &["--transport", "kerberos", "--service", "nothing"],
            "nothing/localhost@WINRM.TEST not found",
        ),
        // Its accounts are those of Kerberos.
        (kdc::PASSWORD, &["--transport", "ntlm"], "HTTP 401"),
    ] {
        let (out, err, status) = ping(password, flags);
        assert_eq!(status, Some(4), "{flags:?}: {out}{err}");
        assert!(
            err.contains(words) && err.contains("hint: ") && !err.contains(password),
            "{flags:?}: {err}"
        );
    }
}
