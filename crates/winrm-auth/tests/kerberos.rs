//! Kerberos with a real KDC, between our own two sides and with pyspnego on the other side.
//!
//! `WINRM_TEST_KDC` names the script that starts a KDC, `WINRM_TEST_PYTHON` a Python with `pyspnego[kerberos]`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../winrm-gssapi/tests/kdc/mod.rs"]
mod kdc;

use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use winrm_auth::kerberos::{Delegation, KerberosAcceptor, KerberosError, KerberosInitiator, KerberosService, KerberosTarget, Tickets};
use winrm_auth::kinit::{Kinit, KinitError, TicketCache};
use winrm_auth::spnego::{SpnegoAcceptor, SpnegoInitiator};
use winrm_auth::{ChannelBinding, ChannelBindingPolicy, Error, Mechanism, SealError, Secret, SecurityContext, Step, TokenMachine};
use winrm_gssapi::ErrorKind;

const LENGTHS: &[usize] = &[0, 1, 10, 5_000, 70_000, 5_000_000];
/// For what differs in the cipher only.
const SHORT: &[usize] = &[0, 1, 10, 15, 16, 17, 5_000, 70_000];

#[test]
fn kerberos() {
    let Some(kdc) = kdc::Kdc::start("AUTH.TEST") else { return };
    kdc.run("case_", &[]);

    let nowhere = kdc.directory().join("nowhere.conf");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = std::fs::read_to_string(kdc.directory().join("krb5.conf")).unwrap();
    let text: Vec<_> = text
        .lines()
        .map(|line| {
            if line.contains("kdc = ") {
                format!("  kdc = 127.0.0.1:{port}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    std::fs::write(&nowhere, text.join("\n")).unwrap();
    kdc.run("unreachable_", &["env", &format!("KRB5_CONFIG={}", nowhere.display())]);

    if std::env::var_os("WINRM_TEST_PYTHON").is_some() {
        kdc.run("peer_", &[]);
        other_encryption_types(&kdc);
    } else {
        eprintln!("skipped in part: WINRM_TEST_PYTHON does not name a Python with pyspnego[kerberos]");
    }
}

/// Once more with the peer, for every encryption type a host may have: AES with SHA-1 and SHA-2, and Camellia for those
/// that are left to the library.
fn other_encryption_types(kdc: &kdc::Kdc) {
    // The ticket is made with the first of them, which has to be permitted always.
    let types = "aes256-cts:normal,aes128-cts:normal,aes128-sha2:normal,aes256-sha2:normal,camellia128-cts:normal";
    let keytab = kdc.directory().join("types.keytab");
    kdc.kadmin(&format!("addprinc -randkey -e {types} HTTP/types.auth.test"));
    kdc.kadmin(&format!("ktadd -k {} -e {types} HTTP/types.auth.test", keytab.display()));
    let text = std::fs::read_to_string(kdc.directory().join("krb5.conf")).unwrap();
    for (name, signature) in [
        ("aes128-cts", 60),
        ("aes128-sha2", 64),
        ("aes256-sha2", 72),
        ("camellia128-cts", 64),
    ] {
        let path = kdc.directory().join(format!("{name}.conf"));
        let preferred = format!("[libdefaults]\n permitted_enctypes = {name} aes256-cts\n");
        std::fs::write(&path, text.replace("[libdefaults]\n", &preferred)).unwrap();
        let set = |name: &str, value: &dyn std::fmt::Display| format!("{name}={value}");
        kdc.run(
            "types_",
            &[
                "env",
                &set("KRB5_CONFIG", &path.display()),
                &set("KRB5_KTNAME", &keytab.display()),
                &set("WINRM_TEST_SIGNATURE", &signature),
            ],
        );
    }
}

#[test]
#[ignore = "run by `kerberos`, for each encryption type"]
fn types_of_encryption() {
    let signature: usize = std::env::var("WINRM_TEST_SIGNATURE").unwrap().parse().unwrap();
    let tickets = ccache("user", "types");
    let target = || KerberosTarget::new("types.auth.test");
    let service = || KerberosService::open(None).unwrap().acceptor(ChannelBindingPolicy::Ignore);
    let (mut client, mut server) = handshake(KerberosInitiator::new(target(), tickets.clone()), service()).unwrap();
    assert_eq!(
        client.sealer.layout(10).unwrap().signature,
        signature,
        "another encryption type was chosen"
    );
    seals(&mut client, &mut server, SHORT);
    seals(&mut server, &mut client, SHORT);
    for protocol in ["kerberos", "negotiate"] {
        let mut peer = Peer::new(&format!("server {protocol} -"));
        let kerberos = KerberosInitiator::new(target(), tickets.clone());
        let machine: Box<dyn TokenMachine> = match protocol {
            "kerberos" => Box::new(kerberos),
            _ => Box::new(SpnegoInitiator::new(vec![Box::new(kerberos)])),
        };
        let mut ours = with_peer(&mut peer, Boxed(machine), false).unwrap();
        assert_eq!(ours.sealer.layout(10).unwrap().signature, signature);
        seals_with_peer(&mut ours, &mut peer, SHORT);
    }
    kdc::kinit("user", "cc", &[]);
    let mut peer = Peer::new("client kerberos types.auth.test - -");
    let mut ours = with_peer(&mut peer, service(), true).unwrap();
    assert_eq!(ours.sealer.layout(10).unwrap().signature, signature);
    seals_with_peer(&mut ours, &mut peer, SHORT);
}

#[test]
fn two_realms() {
    let (Some(home), Some(far)) = (kdc::Kdc::start("HOME.TEST"), kdc::Kdc::start("FAR.TEST")) else {
        return;
    };
    // Both realms have the key of the service that leads from the one to the other.
    home.kadmin("addprinc -pw cross krbtgt/FAR.TEST@HOME.TEST");
    far.kadmin("addprinc -pw cross krbtgt/FAR.TEST@HOME.TEST");
    let section = |kdc: &kdc::Kdc, name: &str| {
        let text = std::fs::read_to_string(kdc.directory().join("krb5.conf")).unwrap();
        let start = text.find(name).unwrap() + name.len();
        let end = text[start..].find("\n[").map_or(text.len(), |i| start + i);
        text[start..end].to_owned()
    };
    let both = format!(
        "[libdefaults]{}\n[realms]{}{}\n[domain_realm]\n .far.test = FAR.TEST\n localhost = HOME.TEST\n",
        section(&home, "[libdefaults]"),
        section(&home, "[realms]"),
        section(&far, "[realms]"),
    );
    let path = home.directory().join("both.conf");
    std::fs::write(&path, both).unwrap();
    let keytab = far.directory().join("http.keytab");
    let keytab = format!("WINRM_TEST_FAR_KEYTAB=FILE:{}", keytab.display());
    home.run("across_", &["env", &format!("KRB5_CONFIG={}", path.display()), &keytab]);
}

fn secret() -> Secret {
    Secret::new(kdc::PASSWORD)
}

fn ccache(principal: &str, name: &str) -> Tickets {
    Tickets::Ccache(kdc::kinit(principal, name, &[]))
}

fn initiator(tickets: Tickets) -> KerberosInitiator {
    KerberosInitiator::new(KerberosTarget::new("localhost"), tickets)
}

fn acceptor(policy: ChannelBindingPolicy) -> KerberosAcceptor {
    KerberosService::open(Some(&kdc::keytab())).unwrap().acceptor(policy)
}

/// Runs two machines against each other; the initiator's result first.
fn handshake(mut client: impl TokenMachine, mut server: impl TokenMachine) -> Result<(SecurityContext, SecurityContext), Error> {
    let mut token = Vec::new();
    let (mut client_done, mut server_done) = (None, None);
    loop {
        match client.step(&token)? {
            Step::Continue(next) => token = next,
            Step::Done { token: last, context } => {
                client_done = Some(context);
                match last {
                    Some(last) => token = last,
                    None => break,
                }
            }
        }
        match server.step(&token)? {
            Step::Continue(next) => token = next,
            Step::Done { token: last, context } => {
                server_done = Some(context);
                match last {
                    Some(last) => token = last,
                    None => break,
                }
            }
        }
        if client_done.is_some() && server_done.is_some() {
            break;
        }
    }
    Ok((client_done.unwrap(), server_done.unwrap()))
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn seals(a: &mut SecurityContext, b: &mut SecurityContext, lengths: &[usize]) {
    for &length in lengths {
        let plain = body(length);
        let layout = a.sealer.layout(length).unwrap();
        let mut message = a.sealer.seal(&plain).unwrap();
        assert_eq!(message.len(), layout.signature + length + layout.padding);
        let range = b.sealer.unseal_in_place(layout.signature, &mut message).unwrap();
        assert!(message[range] == plain, "{length} bytes");
    }
}

fn kerberos_error(result: Result<impl std::fmt::Debug, Error>) -> KerberosError {
    match result.unwrap_err() {
        Error::Kerberos(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            eprintln!("{error}: {source}\n  hint: {}", error.hint().unwrap_or("-"));
            error
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_a_password_becomes_a_ticket_that_is_gone_afterwards() {
    let cache = TicketCache::new();
    let ticket = cache.ticket(&Kinit::default(), "user@AUTH.TEST", &secret()).unwrap();
    let path = std::path::PathBuf::from(ticket.ccache().strip_prefix("FILE:").unwrap());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(ticket.remaining().unwrap() > Duration::from_secs(60));

    let (mut client, mut server) = handshake(initiator(Tickets::Managed(ticket)), acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    let peer = server.peer.clone().unwrap();
    assert_eq!((peer.user.as_str(), peer.domain.as_deref()), ("user", Some("AUTH.TEST")));
    assert!(client.peer.is_none());
    assert!(matches!(client.delegation, Delegation::None) && matches!(server.delegation, Delegation::None));
    seals(&mut client, &mut server, LENGTHS);
    seals(&mut server, &mut client, LENGTHS);

    assert!(path.exists());
    drop(cache);
    assert!(!path.exists() && !path.parent().unwrap().exists(), "the cache is left behind");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_inside_spnego() {
    let client = SpnegoInitiator::new(vec![Box::new(initiator(ccache("user", "spnego")))]);
    let server = SpnegoAcceptor::new(vec![Box::new(acceptor(ChannelBindingPolicy::Ignore))]);
    let (mut client, mut server) = handshake(client, server).unwrap();
    assert_eq!(client.mechanism, Mechanism::Kerberos);
    seals(&mut client, &mut server, LENGTHS);
    seals(&mut server, &mut client, LENGTHS);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_tickets_from_everywhere() {
    kdc::kadmin("addprinc -randkey batch");
    let table = kdc::directory().join("batch.keytab").display().to_string();
    kdc::kadmin(&format!("ktadd -k {table} batch"));
    kdc::kinit("alice", "cc", &[]); // the default one: KRB5CCNAME of the script
    let keytab = |principal: Option<&str>| Tickets::Keytab {
        keytab: table.clone(),
        principal: principal.map(str::to_owned),
    };
    for (tickets, user) in [
        (ccache("user", "explicit"), "user"),
        (keytab(Some("batch@AUTH.TEST")), "batch"),
        (keytab(Some("batch@AUTH.TEST")), "batch"),
        (keytab(None), "batch"),
        (Tickets::Default, "alice"),
    ] {
        let (_, server) = handshake(initiator(tickets.clone()), acceptor(ChannelBindingPolicy::Ignore)).unwrap();
        assert_eq!(server.peer.unwrap().user, user, "{tickets:?}");
    }
    // Service, realm and host name as the user gives them.
    for target in [
        KerberosTarget::new("localhost").service("WSMAN"),
        KerberosTarget::new("localhost").realm("AUTH.TEST"),
        KerberosTarget::new("host1.auth.test"),
        KerberosTarget::new("127.0.0.1").service("host"),
    ] {
        let client = KerberosInitiator::new(target, Tickets::Default);
        handshake(client, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    }
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_channel_bindings() {
    let tickets = ccache("user", "bindings");
    let binding = |text: &str| ChannelBinding::from_application_data(format!("tls-server-end-point:{text}").into_bytes());
    let outcome = |client: Option<&str>, policy: ChannelBindingPolicy| {
        let target = KerberosTarget::new("localhost").channel_binding(client.map(binding));
        handshake(KerberosInitiator::new(target, tickets.clone()), acceptor(policy)).map(|(_, server)| server.channel_bound)
    };
    use ChannelBindingPolicy::{IfPresent, Ignore, Required};
    assert_eq!(outcome(None, Ignore), Ok(false));
    assert_eq!(outcome(Some("a"), Ignore), Ok(false));
    assert_eq!(outcome(None, IfPresent(binding("a"))), Ok(false));
    assert_eq!(outcome(Some("a"), IfPresent(binding("a"))), Ok(true));
    assert_eq!(outcome(Some("a"), Required(binding("a"))), Ok(true));
    for policy in [IfPresent(binding("b")), Required(binding("b"))] {
        assert_eq!(kerberos_error(outcome(Some("a"), policy)).kind(), Some(ErrorKind::BadBindings));
    }
    assert_eq!(
        kerberos_error(outcome(None, Required(binding("a")))),
        KerberosError::NoChannelBinding
    );
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_delegation() {
    let cache = TicketCache::new();
    let target = || KerberosTarget::new("localhost").delegate(true);
    let kinit = Kinit::default().forwardable(true);
    let ticket = cache.ticket(&kinit, "user", &secret()).unwrap();
    let client = KerberosInitiator::new(target(), Tickets::Managed(ticket));
    let (client, server) = handshake(client, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    assert!(matches!(client.delegation, Delegation::Sent), "{:?}", client.delegation);
    let Delegation::Received(delegated) = server.delegation else {
        panic!("{:?}", server.delegation)
    };
    let onward = format!("FILE:{}", kdc::directory().join("onward").display());
    delegated.store_into(&onward).unwrap();
    // With it the service goes on to another one, for which the client had no ticket.
    let next = KerberosInitiator::new(KerberosTarget::new("host1.auth.test"), Tickets::Ccache(onward));
    let (_, server) = handshake(next, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    assert_eq!(server.peer.unwrap().user, "user");

    // kinit's arguments replace -f: this ticket may not be forwarded, and that is said.
    let ticket = cache.ticket(&kinit.arguments(["-F"]), "user", &secret()).unwrap();
    let client = KerberosInitiator::new(target(), Tickets::Managed(ticket));
    let (client, server) = handshake(client, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    assert!(matches!(client.delegation, Delegation::Refused), "{:?}", client.delegation);
    assert!(matches!(server.delegation, Delegation::None), "{:?}", server.delegation);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_one_ticket_for_all_hosts_of_a_run() {
    let counter = kdc::directory().join("kinit-runs");
    let script = kdc::directory().join("counting-kinit");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho run >> {}\nexec kinit \"$@\"\n", counter.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let kinit = Kinit::default().command(script.display().to_string());
    let runs = || std::fs::read_to_string(&counter).unwrap().lines().count();
    let cache = TicketCache::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            for user in ["user", "alice"] {
                let (cache, kinit) = (&cache, &kinit);
                scope.spawn(move || {
                    let ticket = cache.ticket(kinit, user, &secret()).unwrap();
                    for _ in 0..5 {
                        let client = initiator(Tickets::Managed(ticket.clone()));
                        let (_, server) = handshake(client, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
                        assert_eq!(server.peer.unwrap().user, user);
                    }
                });
            }
        }
    });
    assert_eq!(runs(), 2);

    // A ticket that has ended is replaced, and only then.
    let short = kinit.arguments(["-l", "2s"]);
    let first = cache.ticket(&short, "user", &secret()).unwrap();
    assert_eq!(runs(), 3);
    while first.remaining().unwrap() > Duration::ZERO {
        std::thread::sleep(Duration::from_millis(50));
    }
    let second = cache.ticket(&short, "user", &secret()).unwrap();
    assert_eq!(runs(), 4);
    assert!(!Arc::ptr_eq(&first, &second) && first.ccache() != second.ccache());
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_kinit_that_is_refused_says_why() {
    let run = |principal: &str, password: &str| {
        let error = Kinit::default().ticket(principal, &Secret::new(password)).unwrap_err();
        eprintln!("{error}\n  hint: {}", error.hint().unwrap_or("-"));
        let KinitError::Refused { output, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(!output.contains(password) && !output.contains("Password for"), "{output}");
        (output.clone(), error.hint().unwrap_or_default())
    };
    let (output, hint) = run("user@AUTH.TEST", "hunter2");
    assert_eq!(output, "kinit: Password incorrect while getting initial credentials");
    assert!(hint.contains("password is wrong"), "{hint}");
    let (output, hint) = run("nobody@AUTH.TEST", "hunter2");
    assert!(output.contains("Client 'nobody@AUTH.TEST' not found"), "{output}");
    assert!(hint.contains("does not know this user"), "{hint}");
    let (output, hint) = run("user@WRONG.TEST", "hunter2");
    assert!(output.contains("Cannot find KDC for realm \"WRONG.TEST\""), "{output}");
    assert!(hint.contains("krb5.conf"), "{hint}");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_failures_have_hints() {
    let tickets = ccache("user", "hints");
    let start = |target: KerberosTarget, tickets: &Tickets| KerberosInitiator::new(target, tickets.clone()).step(&[]);
    let check = |error: KerberosError, kind: ErrorKind, word: &str| {
        assert_eq!(error.kind(), Some(kind));
        assert!(error.hint().unwrap().contains(word), "{:?}", error.hint());
    };
    let missing = Tickets::Ccache("FILE:/no/such/cache".to_owned());
    let error = kerberos_error(start(KerberosTarget::new("localhost"), &missing));
    assert!(matches!(error, KerberosError::Credentials { .. }));
    check(error, ErrorKind::NoCredentials, "kinit");
    let error = kerberos_error(start(KerberosTarget::new("unknown.auth.test"), &tickets));
    assert_eq!(error.to_string(), "Kerberos authentication with HTTP/unknown.auth.test failed");
    check(error, ErrorKind::UnknownServer, "setspn");
    let error = kerberos_error(start(KerberosTarget::new("localhost").realm("OTHER.TEST"), &tickets));
    check(error, ErrorKind::UnknownRealm, "krb5.conf");
    let keytab = Tickets::Keytab {
        keytab: "/no/such/keytab".to_owned(),
        principal: None,
    };
    let error = kerberos_error(start(KerberosTarget::new("localhost"), &keytab));
    assert!(matches!(error, KerberosError::Credentials { .. }));
    assert!(error.hint().unwrap().contains("klist -k"));
    let error = KerberosService::open(Some("/no/such/keytab")).map(|_| ()).unwrap_err();
    check(error, ErrorKind::NoKey, "klist -k");

    let mut server = acceptor(ChannelBindingPolicy::Ignore);
    check_refused(&mut server, b"rubbish");
    assert_eq!(server.step(b"again").unwrap_err(), Error::OutOfTurn);
    let mut client = initiator(tickets.clone());
    client.step(&[]).unwrap();
    assert!(matches!(kerberos_error(client.step(b"rubbish")), KerberosError::Initiate { .. }));
    assert_eq!(client.step(&[]).unwrap_err(), Error::OutOfTurn);

    // A replayed first token.
    let Step::Continue(token) = initiator(tickets).step(&[]).unwrap() else {
        panic!("mutual authentication has two steps")
    };
    acceptor(ChannelBindingPolicy::Ignore).step(&token).unwrap();
    let error = kerberos_error(acceptor(ChannelBindingPolicy::Ignore).step(&token));
    check(error, ErrorKind::Replay, "twice");
}

fn check_refused(server: &mut KerberosAcceptor, token: &[u8]) {
    assert!(matches!(kerberos_error(server.step(token)), KerberosError::Accept { .. }));
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_altered_and_reordered_messages_end_the_connection() {
    let tickets = ccache("user", "altered");
    let pair = || handshake(initiator(tickets.clone()), acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    let (mut client, _) = pair();
    let length = client.sealer.seal(b"0123456789").unwrap().len();
    for position in 0..length {
        let (mut client, mut server) = pair();
        let mut message = client.sealer.seal(b"0123456789").unwrap();
        message[position] ^= 1;
        assert!(server.sealer.unseal_in_place(length - 10, &mut message).is_err(), "byte {position}");
        let mut good = client.sealer.seal(b"0123456789").unwrap();
        assert_eq!(server.sealer.unseal_in_place(length - 10, &mut good), Err(SealError::Broken));
    }
    for cut in 0..length {
        let (mut client, mut server) = pair();
        let mut message = client.sealer.seal(b"0123456789").unwrap();
        message.truncate(cut);
        assert!(
            server.sealer.unseal_in_place(cut.min(length - 10), &mut message).is_err(),
            "{cut} bytes"
        );
    }
    let (mut client, mut server) = pair();
    let _lost = client.sealer.seal(b"first").unwrap();
    let mut second = client.sealer.seal(b"second").unwrap();
    assert!(server.sealer.unseal_in_place(length - 10, &mut second).is_err(), "a lost message");
    let (mut client, mut server) = pair();
    let message = client.sealer.seal(b"first").unwrap();
    server.sealer.unseal_in_place(length - 10, &mut message.clone()).unwrap();
    assert!(
        server.sealer.unseal_in_place(length - 10, &mut message.clone()).is_err(),
        "a repeated message"
    );
    // One's own message, sent back.
    let (mut client, _server) = pair();
    let mut message = client.sealer.seal(b"first").unwrap();
    assert!(
        client.sealer.unseal_in_place(length - 10, &mut message).is_err(),
        "a reflected message"
    );
    // Signatures of clear text.
    let (mut client, mut server) = pair();
    let signature = client.sealer.sign(b"clear").unwrap();
    server.sealer.verify(b"clear", &signature).unwrap();
    let signature = client.sealer.sign(b"clear").unwrap();
    assert!(server.sealer.verify(b"cleat", &signature).is_err());
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_no_encryption_where_none_was_asked_for() {
    let target = KerberosTarget::new("localhost").encrypt(false);
    let client = KerberosInitiator::new(target, ccache("user", "clear"));
    let (client, _) = handshake(client, acceptor(ChannelBindingPolicy::Ignore)).unwrap();
    assert_eq!(client.sealer.layout(10), Err(SealError::NotNegotiated("encryption")));
}

#[test]
#[ignore = "run by `kerberos`, where no KDC answers"]
fn unreachable_kdc() {
    let error = Kinit::default().ticket("user", &secret()).unwrap_err();
    eprintln!("{error}\n  hint: {}", error.hint().unwrap_or("-"));
    assert!(
        matches!(&error, KinitError::Refused { output, .. } if output.contains("Cannot contact any KDC")),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("port 88"));

    // A ticket from before, for a service that still has to be asked for.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "reachable_before"])
        .env("KRB5_CONFIG", kdc::directory().join("krb5.conf"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let tickets = Tickets::Ccache(format!("FILE:{}", kdc::directory().join("before").display()));
    let error = kerberos_error(initiator(tickets).step(&[]));
    assert_eq!(error.kind(), Some(ErrorKind::KdcUnreachable));
    assert!(error.hint().unwrap().contains("port 88"));
}

#[test]
#[ignore = "run by `unreachable_kdc`"]
fn reachable_before() {
    assert!(std::path::Path::new(kdc::kinit("user", "before", &[]).strip_prefix("FILE:").unwrap()).exists());
}

#[test]
#[ignore = "run by `two_realms`"]
fn across_realms() {
    let keytab = std::env::var("WINRM_TEST_FAR_KEYTAB").unwrap();
    let ticket = Kinit::default().ticket("user@HOME.TEST", &secret()).unwrap();
    let target = KerberosTarget::new("host1.far.test");
    let client = KerberosInitiator::new(target, Tickets::Managed(ticket.into()));
    let server = KerberosService::open(Some(&keytab)).unwrap().acceptor(ChannelBindingPolicy::Ignore);
    let (mut client, mut server) = handshake(client, server).unwrap();
    assert_eq!(server.peer.clone().unwrap().domain.as_deref(), Some("HOME.TEST"));
    seals(&mut client, &mut server, LENGTHS);
}

/// pyspnego, as `kerberos_peer.py` has it.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn new(start: &str) -> Self {
        let mut child = Command::new(std::env::var_os("WINRM_TEST_PYTHON").unwrap())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kerberos_peer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, input, output };
        peer.ask(start).unwrap();
        peer
    }

    fn ask(&mut self, line: &str) -> Result<Vec<String>, String> {
        self.input.write_all(line.as_bytes()).unwrap();
        self.input.write_all(b"\n").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        match answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), "")) {
            ("ok", fields) => Ok(fields.split(' ').map(str::to_owned).collect()),
            (_, error) => Err(error.to_owned()),
        }
    }

    fn step(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), String> {
        let fields = self.ask(&format!("step {}", if token.is_empty() { "-".to_owned() } else { encode(token) }))?;
        Ok((decode(&fields[0]), fields[1] == "complete"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn encode(bytes: &[u8]) -> String {
    if bytes.is_empty() { "=".to_owned() } else { STANDARD.encode(bytes) }
}

fn decode(field: &str) -> Vec<u8> {
    if matches!(field, "-" | "=") {
        Vec::new()
    } else {
        STANDARD.decode(field).unwrap()
    }
}

/// Our `machine` with the peer; `first` is the peer's token if it begins.
fn with_peer(peer: &mut Peer, mut machine: impl TokenMachine, peer_begins: bool) -> Result<SecurityContext, String> {
    let mut token = if peer_begins { peer.step(&[])?.0 } else { Vec::new() };
    let mut done = None;
    loop {
        if done.is_none() {
            match machine.step(&token).map_err(|error| format!("ours: {error:?}"))? {
                Step::Continue(next) => token = next,
                Step::Done { token: last, context } => {
                    done = Some(context);
                    token = last.unwrap_or_default();
                }
            }
        }
        if token.is_empty() {
            return done.ok_or_else(|| "no token and not done".to_owned());
        }
        let (answer, complete) = peer.step(&token)?;
        if complete && answer.is_empty() {
            return done.ok_or_else(|| "the peer is done and we are not".to_owned());
        }
        token = answer;
        if complete && done.is_some() {
            return done.ok_or_else(String::new);
        }
    }
}

fn seals_with_peer(ours: &mut SecurityContext, peer: &mut Peer, lengths: &[usize]) {
    for &length in lengths {
        let plain = body(length);
        let encoded = encode(&plain);
        // Ours, read in both ways.
        let layout = ours.sealer.layout(length).unwrap();
        let message = ours.sealer.seal(&plain).unwrap();
        let (signature, data) = message.split_at(layout.signature);
        assert!(
            peer.ask(&format!("open {} {}", encode(signature), encode(data))).unwrap() == [encoded.clone()],
            "{length}"
        );
        let message = ours.sealer.seal(&plain).unwrap();
        assert!(
            peer.ask(&format!("unwrap {}", encode(&message))).unwrap() == [encoded.clone()],
            "{length}"
        );
        // Theirs: header and data, and a plain token, cut wherever a peer likes.
        let fields = peer.ask(&format!("seal {encoded}")).unwrap();
        let mut message = decode(&fields[0]);
        let signature = message.len();
        message.extend(decode(&fields[1]));
        let range = ours.sealer.unseal_in_place(signature, &mut message).unwrap();
        assert!(message[range] == plain, "{length}");
        for signature in [0, 16, 32, 60] {
            let mut message = decode(&peer.ask(&format!("wrap {encoded}")).unwrap()[0]);
            let range = ours.sealer.unseal_in_place(signature.min(message.len()), &mut message).unwrap();
            assert!(message[range] == plain, "{length}, cut at {signature}");
        }
    }
}

#[test]
#[ignore = "run by `kerberos`"]
fn peer_accepts_our_tokens() {
    let tickets = ccache("user", "to-peer");
    for protocol in ["kerberos", "negotiate"] {
        let mut peer = Peer::new(&format!("server {protocol} -"));
        let kerberos = initiator(tickets.clone());
        let machine: Box<dyn TokenMachine> = match protocol {
            "kerberos" => Box::new(kerberos),
            _ => Box::new(SpnegoInitiator::new(vec![Box::new(kerberos)])),
        };
        let mut ours = with_peer(&mut peer, Boxed(machine), false).unwrap();
        assert_eq!(peer.ask("peer").unwrap(), ["user@AUTH.TEST", "kerberos"]);
        seals_with_peer(&mut ours, &mut peer, LENGTHS);
    }
}

#[test]
#[ignore = "run by `kerberos`"]
fn peer_initiates_with_our_acceptor() {
    kdc::kinit("user", "cc", &["-f"]);
    for protocol in ["kerberos", "negotiate"] {
        let mut peer = Peer::new(&format!("client {protocol} localhost - delegate"));
        let kerberos = acceptor(ChannelBindingPolicy::Ignore);
        let machine: Box<dyn TokenMachine> = match protocol {
            "kerberos" => Box::new(kerberos),
            _ => Box::new(SpnegoAcceptor::new(vec![Box::new(kerberos)])),
        };
        let mut ours = with_peer(&mut peer, Boxed(machine), true).unwrap();
        assert_eq!(ours.peer.as_ref().unwrap().user, "user");
        assert!(matches!(ours.delegation, Delegation::Received(_)), "{:?}", ours.delegation);
        seals_with_peer(&mut ours, &mut peer, LENGTHS);
    }
}

#[test]
#[ignore = "run by `kerberos`"]
fn peer_and_channel_bindings() {
    let tickets = Tickets::Ccache(kdc::kinit("user", "cc-bindings", &[]));
    let data = |text: &str| format!("tls-server-end-point:{text}").into_bytes();
    let binding = |text: &str| ChannelBinding::from_application_data(data(text));
    // Ours to pyspnego.
    for (sent, expected, accepted) in [(Some("a"), "a", true), (Some("b"), "a", false), (None, "a", true)] {
        let mut peer = Peer::new(&format!("server kerberos {}", encode(&data(expected))));
        let target = KerberosTarget::new("localhost").channel_binding(sent.map(binding));
        let result = with_peer(&mut peer, KerberosInitiator::new(target, tickets.clone()), false);
        assert_eq!(result.is_ok(), accepted, "{sent:?}: {result:?}");
        if let Err(error) = result {
            assert!(error.contains("bindings"), "{error}");
        }
    }
    // pyspnego's to ours.
    kdc::kinit("user", "cc", &["-f"]);
    for (sent, bound) in [
        (Some("a"), Ok(true)),
        (Some("b"), Err("BadBindings")),
        (None, Err("NoChannelBinding")),
    ] {
        let field = sent.map_or("-".to_owned(), |text| encode(&data(text)));
        let mut peer = Peer::new(&format!("client kerberos localhost {field} -"));
        let result = with_peer(&mut peer, acceptor(ChannelBindingPolicy::Required(binding("a"))), true);
        match (bound, result) {
            (Ok(bound), Ok(ours)) => assert_eq!(ours.channel_bound, bound),
            (Err("BadBindings"), Err(error)) => assert!(error.contains("channel bindings"), "{error}"),
            (Err(word), Err(error)) => assert!(error.contains(word), "{error}"),
            (expected, result) => panic!("{sent:?}: {expected:?} but {result:?}"),
        }
    }
}

/// A boxed machine as a machine.
struct Boxed(Box<dyn TokenMachine>);

impl TokenMachine for Boxed {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        self.0.step(input)
    }

    fn mechanism(&self) -> Mechanism {
        self.0.mechanism()
    }
}
