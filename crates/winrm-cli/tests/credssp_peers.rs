//! CredSSP, judged by programs that nobody here wrote: clients of the program's service, acceptors for its client, a real KDC, and
//! somebody in between. `cargo xtask test` installs them; without it each test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/apache.rs"]
#[allow(dead_code, reason = "only its certificates are of use here")]
mod apache;
#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests of Kerberos use the rest")]
mod kdc;
#[path = "support/listening.rs"]
#[allow(dead_code, reason = "the other mechanisms use the rest")]
mod listening;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "the tests with PowerShell use the rest")]
mod service;
#[path = "support/tap.rs"]
mod tap;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kdc::Kdc;
use listening::{ACCEPTORS, Listening};
use service::{PASSWORD, Service, USER};
use tap::Tap;

/// Runs a client's cases against a service that takes no clear text, one that requires channel bindings, and one that is set up by
/// `other`: `least` of them without a KDC, and `least_with_kdc` with one.
fn client(peer: &str, script: &str, least: usize, least_with_kdc: usize, other: &[&str]) -> String {
    match peer::variable(peer, "WINRM_TEST_PYTHON") {
        Some(python) => client_by(python, peer, script, least, least_with_kdc, other),
        None => String::new(),
    }
}

/// The same with another Python than that of the peers.
fn client_by(python: OsString, peer: &str, script: &str, least: usize, least_with_kdc: usize, other: &[&str]) -> String {
    let programs = Path::new(&python).parent().unwrap().to_owned();
    let folder = service::folder(script);
    let kdc = Kdc::start(peer, &folder);
    let keytab = kdc.as_ref().map(Kdc::keytab);
    let accept: Vec<&str> = match &keytab {
        Some(keytab) => vec!["-v", "--keytab", keytab, "--allow-any-principal"],
        None => vec!["-v"],
    };
    let start = |name: &str, more: &[&str]| {
        let folder = service::folder(&format!("{script}-{name}"));
        Service::start(&folder, &[accept.as_slice(), more].concat())
    };
    // Of RSA: some clients can bind themselves to no other key.
    let (certificate, key) = apache::certificate(&folder, "main");
    let main = start("service", &["--cert", &certificate, "--key", &key]);
    let strict = start("strict", &["--require-channel-binding"]);
    let other = start("other", other);
    let mut command = peer::script(python, script);
    command.args(["--url", &main.url, "--tls-url", &main.tls_url, "--strict-url", &strict.tls_url]);
    command
        .args(["--other-url", &other.url])
        .arg("--certificate")
        .arg(&main.certificate);
    command.arg("--strict-certificate").arg(&strict.certificate);
    command
        .args(["--user", USER, "--password-file"])
        .arg(service::password_file(&folder));
    command.arg("--folder").arg(&folder);
    command.arg("--ansible").arg(programs);
    if let Some(kdc) = &kdc {
        command.arg("--krb5-config").arg(kdc.config());
        command.args(["--ccache", &kdc.ccache("cc", &[]), "--principal", kdc::PRINCIPAL]);
        command.arg("--principal-password-file").arg(kdc.password_file());
    }
    let least = if kdc.is_some() { least_with_kdc } else { least };
    peer::judge(peer, command, least, || main.log() + &strict.log() + &other.log());
    let log = main.log() + &strict.log();
    if kdc.is_some() && least_with_kdc > least {
        assert!(
            log.contains("scheme=CredSSP mechanism=Kerberos"),
            "nobody came with Kerberos:\n{log}"
        );
    }
    assert!(log.contains("scheme=CredSSP mechanism=NTLM"), "nobody came with NTLM:\n{log}");
    for ended in [main.stop(), strict.stop(), other.stop()] {
        assert!(ended.success(), "a service that got SIGTERM: {ended}");
    }
    log
}

#[test]
fn pywinrm() {
    client("pywinrm with CredSSP", "credssp_pywinrm.py", 28, 52, &["--auth", "negotiate,basic"]);
}

#[test]
fn pypsrp() {
    client("pypsrp with CredSSP", "credssp_pypsrp.py", 20, 38, &["--auth", "negotiate,basic"]);
}

#[test]
fn ansible() {
    const PEER: &str = "ansible with CredSSP";
    if !service::has_powershell() {
        peer::skip(PEER, "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return;
    }
    for ansible in peer::ansibles(PEER) {
        client_by(ansible.python, &ansible.peer, "credssp_ansible.py", 6, 8, &[]);
    }
}

#[test]
fn attacks() {
    client(
        "attacks on CredSSP",
        "credssp_attacks.py",
        19,
        19,
        &["--credssp-minimum-version", "5"],
    );
}

/// pyspnego's acceptor of CredSSP.
fn acceptor(python: &OsString, folder: &Path, kdc: Option<&Kdc>, args: &[&str]) -> Listening {
    Listening::acceptor(
        python,
        folder,
        kdc,
        &[&["--protocol", "credssp", "--scheme", "CredSSP"], args].concat(),
    )
}

/// No password of anyone here.
const WRONG: &str = "not the password";

/// The program with this user; there are no tickets.
fn winrm(folder: &Path, kdc: Option<&Kdc>, user: (&str, &str), flags: &[&str], url: &str) -> Command {
    let file = folder.join(format!("password-{}", user.1.len()));
    fs::write(&file, format!("{}\n", user.1)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    command.args([
        "-v",
        "run",
        "--transport",
        "credssp",
        "--user",
        user.0,
        "--connection-password-file",
    ]);
    command.arg(file).args(flags).arg(url);
    command
        .env("KRB5CCNAME", "FILE:/nowhere/cc")
        .env_remove("WINRM_PASSWORD")
        .stdin(Stdio::null());
    match kdc {
        Some(kdc) => command.env("KRB5_CONFIG", kdc.config()),
        None => command.env("KRB5_CONFIG", "/dev/null"),
    };
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the program prints of a failure, after it has ended with status 4, said nothing else, and shown no password.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.args(["--", "hello"]).output().unwrap();
    let (out, err) = (text(&stdout), text(&stderr));
    assert_eq!((out.as_str(), status.code()), ("", Some(4)), "{err}");
    assert!(err.contains("error: "), "{err}");
    assert!(
        ![PASSWORD, ACCEPTORS, WRONG, kdc::PASSWORD]
            .iter()
            .any(|password| err.contains(password)),
        "{err}"
    );
    err
}

#[test]
fn an_acceptor_of_pyspnego_takes_our_tokens_and_messages() {
    let Some(python) = peer::variable("acceptor of CredSSP", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("credssp-acceptor");
    let kdc = Kdc::start("acceptor of CredSSP with Kerberos", &folder);
    let kdc = kdc.as_ref();
    let (carol, dave, user) = (("carol", ACCEPTORS), (r"CORP\dave", ACCEPTORS), (kdc::PRINCIPAL, kdc::PASSWORD));
    type Way<'a> = (&'a [&'a str], &'a [&'a str], (&'a str, &'a str), &'a str, &'a str);
    let mut ways: Vec<Way<'_>> = vec![
        (&[], &[], carol, "ntlm carol", "credssp 6 TLSv1.2"),
        (
            &[],
            &["--credssp-auth-mechanism", "ntlm"],
            dave,
            r"ntlm CORP\dave",
            "credssp 6 TLSv1.2",
        ),
        (&["--version", "2"], &[], carol, "ntlm carol", "credssp 2 TLSv1.2"),
        (
            &["--version", "5"],
            &["--credssp-minimum-version", "5"],
            carol,
            "ntlm carol",
            "credssp 5 TLSv1.2",
        ),
        (
            &["--inner-tls", "1.0"],
            &["--credssp-disable-tlsv1-2"],
            carol,
            "ntlm carol",
            "credssp 6 TLSv1 ",
        ),
        (
            &["--inner-tls", "1.0", "--version", "2"],
            &["--credssp-disable-tlsv1-2"],
            carol,
            "ntlm carol",
            "credssp 2 TLSv1 ",
        ),
    ];
    if kdc.is_some() {
        ways.push((&[], &[], user, "kerberos user@WINRM.TEST", "credssp 6 TLSv1.2"));
        ways.push((
            &[],
            &["--credssp-auth-mechanism", "kerberos"],
            user,
            "kerberos user@WINRM.TEST",
            "credssp 6 TLSv1.2",
        ));
        ways.push((&["--version", "2"], &[], user, "kerberos user@WINRM.TEST", "credssp 2 TLSv1.2"));
    }
    let sent: Vec<u8> = (0..300_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for (theirs, ours, user, known, agreed) in ways {
        let way = format!("{theirs:?} {ours:?}");
        let acceptor = acceptor(&python, &folder, kdc, theirs);
        let run = |user| winrm(&folder, kdc, user, ours, &acceptor.url);
        let output = run(user).args(["--", "hello"]).output().unwrap();
        let err = text(&output.stderr);
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            ("hello", Some(3)),
            "{way}: {err}{}",
            acceptor.said()
        );
        assert!(err.ends_with("complaint") && err.contains("scheme=CredSSP"), "{way}: {err}");
        acceptor.assert_said(&format!("CredSSP {known} "));
        acceptor.assert_said(agreed);
        let (domain, name) = user.0.split_once('\\').unwrap_or(("", user.0));
        let digest = openssl::sha::sha256(user.1.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        acceptor.assert_said(&format!(r"{domain}\{name} {digest}"));

        let mut child = run(user)
            .args(["--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&sent).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout == sent, "{way}: {} bytes came back", output.stdout.len());
        acceptor.assert_said("multipart/x-multi-encrypted");
        assert!(!acceptor.said().contains("clear"), "{way}: {}", acceptor.said());

        let err = refusal(&mut run((user.0, WRONG)));
        assert!(err.contains("hint: "), "{way}: {err}");
    }
}

#[test]
fn an_acceptor_over_tls_gets_messages_sealed_when_asked_for() {
    let Some(python) = peer::variable("acceptor of CredSSP over TLS", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("credssp-acceptor-tls");
    let (certificate, key) = apache::certificate(&folder, "ours");
    let acceptor = acceptor(&python, &folder, None, &["--certificate", &certificate, "--key", &key]);
    for (flags, said) in [(&[][..], "clear"), (&["--encryption", "always"], "sealed")] {
        let flags = [&["--ca", &certificate], flags].concat();
        let output = winrm(&folder, None, ("carol", ACCEPTORS), &flags, &acceptor.url)
            .args(["--", "hello"])
            .output()
            .unwrap();
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            ("hello", Some(3)),
            "{}",
            text(&output.stderr)
        );
        acceptor.assert_said(said);
        acceptor.assert_said("delegated");
    }
}

#[test]
fn a_dishonest_acceptor_never_gets_the_password() {
    let Some(python) = peer::variable("dishonest acceptor of CredSSP", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("credssp-dishonest");
    for (theirs, ours, words, hint) in [
        (
            &["--attack", "other-key"][..],
            &[][..],
            "another TLS key than the one in use",
            "the password was not sent",
        ),
        (
            &["--attack", "other-key", "--version", "2"],
            &[],
            "another TLS key than the one in use",
            "the password was not sent",
        ),
        (
            &["--attack", "client-proof"],
            &[],
            "another TLS key than the one in use",
            "the password was not sent",
        ),
        (
            &["--attack", "client-proof", "--version", "4"],
            &[],
            "another TLS key than the one in use",
            "the password was not sent",
        ),
        (
            &["--attack", "random-proof"],
            &[],
            "proof of its TLS key can't be opened",
            "the password was not sent",
        ),
        (
            &["--attack", "empty-proof"],
            &[],
            "proof of its TLS key can't be opened",
            "the password was not sent",
        ),
        (&["--attack", "no-proof"], &[], "sent no pubKeyAuth", ""),
        (&["--attack", "no-token"], &[], "sent no negoTokens", ""),
        (&["--attack", "other-version"], &[], "changed its CredSSP version from 6 to 2", ""),
        (&["--attack", "truncated"], &[], "a CredSSP message is malformed", ""),
        (&["--attack", "no-tls"], &[], "the TLS inside CredSSP failed", "1.0"),
        (&["--attack", "early-success"], &[], "without proving who it is", ""),
        (&["--attack", "long"], &[], "HTTP 401", ""),
        (
            &["--version", "4"],
            &["--credssp-minimum-version", "5"],
            "version 4 at most, and at least 5 is asked for",
            "CVE-2018-0886",
        ),
        (
            &["--version", "5"],
            &["--credssp-minimum-version", "6"],
            "version 5 at most, and at least 6 is asked for",
            "updates",
        ),
        (
            &["--inner-tls", "1.0"],
            &[],
            "the TLS inside CredSSP failed: unsupported protocol",
            "1.0",
        ),
        (
            &["--attack", "status:0xC0000193"],
            &[],
            "the account has expired (STATUS_ACCOUNT_EXPIRED, 0xC0000193)",
            "administrator",
        ),
        (
            &["--attack", "status:0xC0000234"],
            &[],
            "the account is locked after too many wrong passwords",
            "unlock",
        ),
        (
            &["--attack", "status:0xC0000071", "--version", "3"],
            &[],
            "the password has expired",
            "new password",
        ),
        (&["--attack", "status:0xC0000224"], &[], "has to be changed", "new password"),
        (&["--attack", "status:0xC0000072"], &[], "the account is disabled", "administrator"),
        (&["--attack", "status:0x80090346"], &[], "belongs to another TLS connection", ""),
        (&["--attack", "status:0x12345678"], &[], "status 0x12345678", ""),
        (
            &["--attack", "first-status:0xC000005E"],
            &[],
            "no domain controller answers the host",
            "domain",
        ),
    ] {
        let acceptor = acceptor(&python, &folder, None, theirs);
        let err = refusal(&mut winrm(&folder, None, ("carol", ACCEPTORS), ours, &acceptor.url));
        assert!(err.contains(words) && err.contains(hint), "{theirs:?}: {err}");
        let said = acceptor.said();
        assert!(
            !said.contains("password received") && !said.contains("delegated"),
            "{theirs:?}: {said}"
        );
    }
}

#[test]
fn an_answer_in_clear_text_to_an_encrypted_request_is_an_error() {
    let Some(python) = peer::variable("acceptor of CredSSP in clear text", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("credssp-clear");
    let acceptor = acceptor(&python, &folder, None, &["--clear-answers"]);
    let err = refusal(&mut winrm(&folder, None, ("carol", ACCEPTORS), &[], &acceptor.url));
    assert!(err.contains("the answer is in clear text") && err.contains("hint: "), "{err}");
    acceptor.assert_said("sealed");
}

#[test]
fn somebody_in_between_is_found_and_gets_no_password() {
    let Some(python) = peer::variable("somebody in between", "WINRM_TEST_PYTHON") else {
        return;
    };
    let folder = service::folder("credssp-middle");
    let service = Service::start(&folder, &["-v"]);
    for version in ["2", "3", "4", "5", "6"] {
        let mut command = peer::script(python.clone(), "credssp_middle.py");
        command.args(["--service", &service.url, "--version", version]);
        let middle = Listening::start(command, &folder);
        let err = refusal(&mut winrm(&folder, None, (USER, PASSWORD), &[], &middle.url));
        middle.assert_said(&format!("proof passed on, version {version}"));
        let told = matches!(version, "3" | "4" | "6");
        middle.assert_said(if told {
            "service says 0xc0000022"
        } else {
            "service 401 without token"
        });
        assert!(!middle.said().contains("password received"), "{}", middle.said());
        assert!(err.contains(if told { "access is denied" } else { "HTTP 401" }), "{version}: {err}");
    }
    let log = service.log();
    assert_eq!(log.matches("somebody sits in between").count(), 5, "{log}");
    assert!(!log.contains("authenticated "), "{log}");
    // The same two without him.
    let output = winrm(&folder, None, (USER, PASSWORD), &[], &service.url)
        .args(["--", "echo hello"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "hello\n", "{}", text(&output.stderr));
}

#[test]
fn our_client_and_our_service_with_every_setting() {
    let folder = service::folder("credssp-own");
    let kdc = Kdc::start("CredSSP with Kerberos", &folder);
    let keytab = kdc.as_ref().map(Kdc::keytab);
    let mut accept = vec!["-v"];
    accept.extend(keytab.iter().flat_map(|keytab| ["--keytab", keytab, "--allow-any-principal"]));
    let service = Service::start(&folder, &accept);
    let old_folder = service::folder("credssp-own-old");
    let old = Service::start(
        &old_folder,
        &[&accept[..], &["--auth", "credssp", "--credssp-disable-tlsv1-2"]].concat(),
    );
    let certificate = service.certificate.display().to_string();
    let run = |user, flags: &[&str], url: &str| {
        let mut command = winrm(&folder, kdc.as_ref(), user, flags, &url.replace("127.0.0.1", "localhost"));
        let output = command.args(["--", "echo out; exit 7"]).output().unwrap();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    };
    let mut users = vec![
        ((USER, PASSWORD), &[][..], "NTLM"),
        ((USER, PASSWORD), &["--credssp-auth-mechanism", "ntlm"], "NTLM"),
    ];
    if kdc.is_some() {
        let user = (kdc::PRINCIPAL, kdc::PASSWORD);
        users.push((user, &[], "Kerberos"));
        users.push((
            user,
            &["--credssp-auth-mechanism", "kerberos", "--credssp-minimum-version", "6"],
            "Kerberos",
        ));
        // Found by the realm of krb5.conf.
        users.push((("user", kdc::PASSWORD), &["--credssp-auth-mechanism", "kerberos"], "Kerberos"));
    }
    for (user, flags, mechanism) in users {
        for (url, more, sealed) in [
            (&service.url, &[][..], "sealed=true"),
            (&service.tls_url, &["--ca", &certificate], "sealed=false"),
            (&service.tls_url, &["--ca", &certificate, "--encryption", "always"], "sealed=true"),
            (&old.url, &["--credssp-disable-tlsv1-2"], "sealed=true"),
        ] {
            let (out, err, status) = run(user, &[flags, more].concat(), url);
            assert_eq!((out.as_str(), status), ("out\n", Some(7)), "{user:?} {flags:?} {more:?}: {err}");
            assert!(
                err.contains(&format!("scheme=CredSSP mechanism={mechanism} {sealed}")),
                "{flags:?} {more:?}: {err}"
            );
        }
    }
    // Each says what is wrong.
    for (user, flags, url, words) in [
        (
            (USER, WRONG),
            &[][..],
            &service.url,
            "user name or password is wrong (STATUS_LOGON_FAILURE",
        ),
        (("mallory", WRONG), &[], &service.url, "user name or password is wrong"),
        ((USER, PASSWORD), &[], &old.url, "the TLS inside CredSSP failed"),
        (
            (USER, PASSWORD),
            &["--credssp-disable-tlsv1-2"],
            &service.url,
            "the TLS inside CredSSP failed",
        ),
    ] {
        let (out, err, status) = run(user, flags, url);
        assert_eq!((out.as_str(), status), ("", Some(4)), "{err}");
        assert!(err.contains(words) && err.contains("hint: ") && !err.contains(user.1), "{err}");
    }
    let other_folder = service::folder("credssp-own-other");
    let other = Service::start(&other_folder, &["--auth", "negotiate"]);
    let (_, err, status) = run((USER, PASSWORD), &[], &other.url);
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("it offers Negotiate") && err.contains("Enable-WSManCredSSP"), "{err}");
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
    let folder = service::folder("credssp-capture");
    let service = Service::start(&folder, &[]);
    let tap = Tap::start(&service.url);
    let mut child = winrm(&folder, None, (USER, PASSWORD), &[], &tap.url())
        .args(["--", "echo secret-word; tr a-z A-Z; echo secret-complaint >&2; exit 7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"secret-input").unwrap();
    let output = child.wait_with_output().unwrap();
    let outcome = (text(&output.stdout), output.status.code());
    assert_eq!(outcome, ("secret-word\nSECRET-INPUT".into(), Some(7)), "{}", text(&output.stderr));
    let streams = tap.streams();
    assert!(!streams.is_empty());
    let utf16: Vec<u8> = USER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for stream in streams.iter().filter(|stream| count(&stream.sent, "authorization: ") > 0) {
        // Two legs of TLS, two of NTLM, one with the password.
        let seen = (
            count(&stream.sent, "\r\nauthorization: CredSSP "),
            count(&stream.answered, "HTTP/1.1 401"),
        );
        assert_eq!(seen, (5, 4), "tokens and refusals");
        for (direction, name) in [(&stream.sent, "sent"), (&stream.answered, "answered")] {
            // Tokens are read as what they are.
            let tokens = tokens(direction);
            assert!(tokens.len() >= 4, "{name}: {} tokens", tokens.len());
            for bytes in tokens.iter().chain([direction]) {
                for word in [
                    "secret-word",
                    "secret-input",
                    "Envelope",
                    "schemas.",
                    "CommandLine",
                    "rsp:",
                    "NTLMSSP",
                    USER,
                    PASSWORD,
                ] {
                    assert_eq!(count(bytes, word), 0, "{word:?} was {name} as it is");
                }
                assert!(
                    !bytes.windows(utf16.len()).any(|window| window == utf16),
                    "the user's name was {name} as it is"
                );
            }
            assert!(count(direction, "HTTP-CredSSP-session-encrypted") > 0, "nothing was encrypted");
        }
    }
}

/// What stands behind `CredSSP ` in the headers, decoded.
fn tokens(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split("\r\n").filter_map(|line| line.split_once("CredSSP "));
    lines
        .filter_map(|(_, token)| openssl::base64::decode_block(token.trim()).ok())
        .collect()
}

#[test]
fn a_session_of_a_hundred_commands_costs_one_handshake_for_each_connection() {
    let folder = service::folder("credssp-hundred");
    let service = Service::start(&folder, &["-v"]);
    let tap = Tap::start(&service.url);
    let credentials = winrm::Credentials::parse(USER, winrm::Secret::new(PASSWORD)).unwrap();
    let builder = winrm::Client::builder(&tap.url())
        .credentials(credentials)
        .transport(winrm::Transport::CredSsp);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(async {
        let client = builder.build().unwrap();
        for number in 0..100 {
            let output = client
                .command(format!("echo {number}; exit {}", number % 7))
                .output()
                .await
                .unwrap();
            assert_eq!(
                (output.stdout, output.exit_code),
                (format!("{number}\n").into_bytes(), Some(number % 7))
            );
        }
        let made = client.connections_made();
        client.close().await;
        made
    });
    let streams = tap.streams();
    let refused: usize = streams.iter().map(|stream| count(&stream.answered, "HTTP/1.1 401")).sum();
    let tokens: usize = streams.iter().map(|stream| count(&stream.sent, "\r\nauthorization: ")).sum();
    let authenticated = service.log().matches("scheme=CredSSP").count();
    assert!(made <= 3, "{made} connections");
    assert_eq!(
        (refused, tokens),
        (4 * authenticated, 5 * authenticated),
        "{authenticated} handshakes"
    );
    assert!(authenticated <= made as usize, "{authenticated} handshakes");
}
