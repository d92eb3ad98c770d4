//! The system's library against a real KDC.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod kdc;

use std::sync::Arc;

use winrm_gssapi::{
    AcceptContext, ChannelBindings, Credential, CredentialStore, Error, ErrorKind, Flags, Implementation, InitContext, Library, Mechanism,
    Name, SecurityContext, Usage,
};

#[test]
fn kerberos() {
    let Some(kdc) = kdc::Kdc::start("GSS.TEST") else { return };
    kdc.run("case_", &[]);
    if kdc::has_program("faketime") {
        kdc.run("fast_clock_", &["faketime", "-f", "+20m"]);
    }
}

fn library() -> &'static Library {
    Library::load().unwrap()
}

fn initiate(cache: &str) -> Result<Arc<Credential>, Error> {
    let store = CredentialStore::new().ccache(cache);
    Credential::acquire(library(), None, Usage::Initiate, Mechanism::Krb5, &store).map(Arc::new)
}

fn service() -> Arc<Credential> {
    let store = CredentialStore::new().keytab(kdc::keytab());
    Arc::new(Credential::acquire(library(), None, Usage::Accept, Mechanism::Krb5, &store).unwrap())
}

fn initiator(cache: &str, host: &str) -> InitContext {
    let target = Name::service(library(), "HTTP", host).unwrap();
    InitContext::new(library(), target, Mechanism::Krb5)
        .credential(initiate(cache).unwrap())
        .flags(Flags::MUTUAL | Flags::SEQUENCE | Flags::REPLAY | Flags::CONFIDENTIALITY | Flags::INTEGRITY)
}

fn acceptor() -> AcceptContext {
    AcceptContext::new(library(), Mechanism::Krb5).credential(service())
}

fn handshake(mut client: InitContext, mut server: AcceptContext) -> Result<(SecurityContext, SecurityContext), Error> {
    let mut token = client.step(None)?.token;
    loop {
        let answer = server.step(&token)?;
        if answer.token.is_empty() {
            break;
        }
        let next = client.step(Some(&answer.token))?;
        if next.token.is_empty() {
            break;
        }
        token = next.token;
    }
    Ok((client.finish()?, server.finish()?))
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    let error = result.unwrap_err();
    eprintln!(
        "{:?}: {error} [{:x?}]",
        error.kind(),
        error.as_status().map(|s| (s.call(), s.major(), s.minor()))
    );
    error.kind()
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_a_context_has_names_flags_and_a_lifetime() {
    let cache = kdc::kinit("user", "names", &[]);
    let (client, server) = handshake(initiator(&cache, "localhost"), acceptor()).unwrap();
    assert_eq!(server.source().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");
    assert_eq!(client.target().unwrap().unwrap().display().unwrap(), "HTTP/localhost@GSS.TEST");
    for context in [&client, &server] {
        let flags = context.flags();
        assert!(
            flags.contains(Flags::MUTUAL | Flags::SEQUENCE | Flags::CONFIDENTIALITY),
            "{flags:?}"
        );
        assert!(!flags.contains(Flags::CHANNEL_BOUND), "{flags:?}");
        assert!(!flags.contains(Flags::DELEGATE), "{flags:?}");
        let lifetime = context.lifetime().unwrap().unwrap().as_secs();
        assert!((1..=2 * 3600).contains(&lifetime), "{lifetime} s of a ticket of one hour");
    }
    let credential = initiate(&cache).unwrap();
    assert_eq!(credential.name().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");
    assert!(credential.lifetime().unwrap().unwrap().as_secs() > 0);
}

/// Every way to seal is read by every way to open, in both directions and in order.
fn seals_and_opens(a: &mut SecurityContext, b: &mut SecurityContext) {
    for (round, length) in [0_usize, 1, 10, 5_000, 70_000, 5_000_000].into_iter().enumerate() {
        let plain: Vec<u8> = (0..length).map(|i| (i * 7 + round) as u8).collect();
        for way in 0..4 {
            let (mut header, mut body) = match way {
                0 | 1 => {
                    let lengths = a.wrap_iov_length(true, length).unwrap();
                    let mut header = vec![0; lengths.header];
                    let mut body = plain.clone();
                    body.resize(length + lengths.padding, 0);
                    let (data, padding) = body.split_at_mut(length);
                    a.wrap_iov(true, &mut header, data, padding).unwrap();
                    (header, body)
                }
                _ => (Vec::new(), a.wrap(true, &plain).unwrap()),
            };
            if length >= 10 {
                assert!(!body.windows(10).any(|window| window == &plain[..10]), "clear text in the message");
            }
            let opened = match way {
                0 => {
                    let opened = b.unwrap_iov(&mut header, &mut body).unwrap();
                    assert!(opened.confidential);
                    body[opened.data].to_vec()
                }
                1 | 2 => {
                    let mut token = header;
                    token.extend_from_slice(&body);
                    let opened = b.unwrap_in_place(&mut token).unwrap();
                    assert!(opened.confidential);
                    token[opened.data].to_vec()
                }
                _ => {
                    let (opened, confidential) = b.unwrap(&body).unwrap();
                    assert!(confidential);
                    opened
                }
            };
            assert!(opened == plain, "way {way}, {length} bytes");
        }
    }
    let mic = a.mic(b"message").unwrap();
    b.verify_mic(b"message", &mic).unwrap();
    assert_eq!(kind(b.verify_mic(b"massage", &a.mic(b"message").unwrap())), ErrorKind::BadSignature);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_messages_in_every_layout() {
    let cache = kdc::kinit("user", "messages", &[]);
    let (mut client, mut server) = handshake(initiator(&cache, "localhost"), acceptor()).unwrap();
    seals_and_opens(&mut client, &mut server);
    seals_and_opens(&mut server, &mut client);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_messages_with_rc4() {
    // RC4 is off by default, so this case has a configuration of its own for both sides, which needs
    // a KDC and a process of their own.
    let directory = kdc::directory();
    let file = |name: &str| directory.join(name);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let edited = |from: &str, to: &str| {
        let text: String = std::fs::read_to_string(file(from))
            .unwrap()
            .lines()
            .map(|line| match line.split_once("127.0.0.1:") {
                Some((key, _)) => format!("{key}127.0.0.1:{port}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        let weak = "[libdefaults]\n allow_weak_crypto = true\n allow_rc4 = true\n default_tgs_enctypes = rc4-hmac\n \
                    default_tkt_enctypes = rc4-hmac\n permitted_enctypes = rc4-hmac aes256-cts\n";
        std::fs::write(file(to), text.replace("[libdefaults]\n", weak)).unwrap();
        file(to)
    };
    let configuration = edited("krb5.conf", "rc4-krb5.conf");
    let profile = edited("kdc.conf", "rc4-kdc.conf");
    let mut server = std::process::Command::new("krb5kdc")
        .arg("-n")
        .env("KRB5_CONFIG", &configuration)
        .env("KRB5_KDC_PROFILE", profile)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert_eq!(server.try_wait().unwrap(), None, "the KDC has ended");
        std::thread::yield_now();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--exact", "rc4_messages"])
        .env("KRB5_CONFIG", &configuration)
        .output()
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("running 1 test"), "{text}");
}

#[test]
#[ignore = "run by `case_messages_with_rc4`"]
fn rc4_messages() {
    let cache = kdc::kinit("alice", "rc4", &[]);
    let (mut client, mut server) = handshake(initiator(&cache, "localhost"), acceptor()).unwrap();
    assert_eq!(client.wrap_iov_length(true, 100).unwrap().padding, 1, "this is not RC4");
    seals_and_opens(&mut client, &mut server);
    seals_and_opens(&mut server, &mut client);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_altered_repeated_and_reordered_messages() {
    let cache = kdc::kinit("user", "altered", &[]);
    let pair = || handshake(initiator(&cache, "localhost"), acceptor()).unwrap();

    let (mut client, mut server) = pair();
    let token = client.wrap(true, b"one").unwrap();
    for position in 0..token.len() {
        // The filler byte and the sequence number are covered by the copy inside; RRC decides
        // where things are. Not one bit may go unnoticed.
        let mut altered = token.clone();
        altered[position] ^= 0x10;
        let result = server.unwrap_in_place(&mut altered);
        assert!(result.is_err(), "byte {position}: {result:?}");
    }

    let (mut client, mut server) = pair();
    let first = client.wrap(true, b"one").unwrap();
    server.unwrap(&first).unwrap();
    assert_eq!(kind(server.unwrap(&first)), ErrorKind::Replay);

    let (mut client, mut server) = pair();
    let first = client.wrap(true, b"one").unwrap();
    let second = client.wrap(true, b"two").unwrap();
    assert_eq!(kind(server.unwrap(&second)), ErrorKind::OutOfSequence);
    assert_eq!(kind(server.unwrap(&first)), ErrorKind::OutOfSequence);

    let (mut client, mut server) = pair();
    for length in 0..token.len() {
        let mut cut = client.wrap(true, b"one").unwrap();
        cut.truncate(length);
        assert!(server.unwrap_in_place(&mut cut).is_err(), "{length} bytes");
    }

    // A signed message is no encrypted one, and the result says so.
    let (mut client, mut server) = pair();
    let mut signed = client.wrap(false, b"one").unwrap();
    assert!(!server.unwrap_in_place(&mut signed).unwrap().confidential);

    // Another context's message.
    let (mut stranger, _) = pair();
    assert!(server.unwrap(&stranger.wrap(true, b"one").unwrap()).is_err());
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_channel_bindings() {
    let cache = kdc::kinit("user", "bindings", &[]);
    let bindings = |text: &str| ChannelBindings::new(format!("tls-server-end-point:{text}"));
    let bound = |client: Option<&str>, server: Option<&str>| {
        let mut initiator = initiator(&cache, "localhost");
        if let Some(text) = client {
            initiator = initiator.channel_bindings(bindings(text));
        }
        let mut acceptor = acceptor();
        if let Some(text) = server {
            acceptor = acceptor.channel_bindings(bindings(text));
        }
        handshake(initiator, acceptor).map(|(_, server)| server.flags().contains(Flags::CHANNEL_BOUND))
    };
    assert_eq!(bound(Some("a"), Some("a")), Ok(true));
    assert_eq!(bound(None, Some("a")), Ok(false));
    assert_eq!(bound(Some("a"), None), Ok(false));
    assert_eq!(bound(None, None), Ok(false));
    assert_eq!(kind(bound(Some("a"), Some("b"))), ErrorKind::BadBindings);
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_spnego_of_the_library() {
    let cache = kdc::kinit("user", "spnego", &[]);
    let credential =
        |usage, store: CredentialStore| Arc::new(Credential::acquire(library(), None, usage, Mechanism::Spnego, &store).unwrap());
    let target = Name::service(library(), "HTTP", "localhost").unwrap();
    let client = InitContext::new(library(), target, Mechanism::Spnego)
        .credential(credential(Usage::Initiate, CredentialStore::new().ccache(cache)))
        .flags(Flags::MUTUAL | Flags::SEQUENCE | Flags::CONFIDENTIALITY | Flags::INTEGRITY);
    let server = AcceptContext::new(library(), Mechanism::Spnego)
        .credential(credential(Usage::Accept, CredentialStore::new().keytab(kdc::keytab())));
    let (mut client, mut server) = handshake(client, server).unwrap();
    let mut token = client.wrap(true, b"inside").unwrap();
    let opened = server.unwrap_in_place(&mut token).unwrap();
    assert_eq!(&token[opened.data], b"inside");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_two_identities_on_two_threads() {
    let caches = [kdc::kinit("user", "first", &[]), kdc::kinit("alice", "second", &[])];
    let service = service();
    std::thread::scope(|scope| {
        for (cache, name) in caches.iter().zip(["user@GSS.TEST", "alice@GSS.TEST"]) {
            let service = service.clone();
            scope.spawn(move || {
                for _ in 0..20 {
                    let acceptor = AcceptContext::new(library(), Mechanism::Krb5).credential(service.clone());
                    let (mut client, mut server) = handshake(initiator(cache, "localhost"), acceptor).unwrap();
                    assert_eq!(server.source().unwrap().unwrap().display().unwrap(), name);
                    let token = client.wrap(true, name.as_bytes()).unwrap();
                    assert_eq!(server.unwrap(&token).unwrap(), (name.as_bytes().to_vec(), true));
                }
            });
        }
    });
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_one_credential_on_many_threads() {
    let cache = kdc::kinit("user", "shared", &[]);
    let credential = initiate(&cache).unwrap();
    let service = service();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let target = Name::service(library(), "HTTP", "localhost").unwrap();
                    let client = InitContext::new(library(), target, Mechanism::Krb5)
                        .credential(credential.clone())
                        .flags(Flags::MUTUAL);
                    let server = AcceptContext::new(library(), Mechanism::Krb5).credential(service.clone());
                    let (_, server) = handshake(client, server).unwrap();
                    assert_eq!(server.source().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");
                }
            });
        }
    });
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_a_delegated_ticket_fetches_another() {
    let cache = kdc::kinit("user", "forward", &["-f"]);
    let mut client = initiator(&cache, "localhost").flags(Flags::MUTUAL | Flags::DELEGATE);
    let mut server = acceptor();
    let token = client.step(None).unwrap().token;
    let answer = server.step(&token).unwrap();
    client.step(Some(&answer.token)).unwrap();
    let delegated = server.take_delegated().expect("a delegated credential");
    assert!(server.take_delegated().is_none(), "handed out once");
    assert!(server.finish().unwrap().flags().contains(Flags::DELEGATE));
    assert_eq!(delegated.name().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");

    // Into a cache, from there into a context with a service no ticket was there for.
    let onward = format!("FILE:{}", kdc::directory().join("onward").display());
    delegated.store_into(&CredentialStore::new().ccache(onward.clone())).unwrap();
    let (_, second) = handshake(initiator(&onward, "host1.gss.test"), acceptor()).unwrap();
    assert_eq!(second.source().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");

    // And without the detour.
    let target = Name::service(library(), "WSMAN", "localhost").unwrap();
    let direct = InitContext::new(library(), target, Mechanism::Krb5).credential(delegated.into());
    let (_, third) = handshake(direct.flags(Flags::MUTUAL), acceptor()).unwrap();
    assert_eq!(third.source().unwrap().unwrap().display().unwrap(), "user@GSS.TEST");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_a_ticket_that_may_not_be_forwarded_is_not() {
    let cache = kdc::kinit("user", "unforwardable", &["-F"]);
    let client = initiator(&cache, "localhost").flags(Flags::MUTUAL | Flags::DELEGATE);
    let (client, server) = handshake(client, acceptor()).unwrap();
    assert!(!client.flags().contains(Flags::DELEGATE));
    assert!(!server.flags().contains(Flags::DELEGATE));
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_a_client_keytab_gets_its_own_ticket() {
    kdc::kadmin("addprinc -randkey batch");
    let keytab = kdc::directory().join("batch.keytab");
    kdc::kadmin(&format!("ktadd -k {} batch", keytab.display()));
    let cache = format!("FILE:{}", kdc::directory().join("batch").display());
    let store = CredentialStore::new().client_keytab(keytab.display().to_string()).ccache(cache);
    let name = Name::principal(library(), "batch@GSS.TEST").unwrap();
    let credential = Credential::acquire(library(), Some(&name), Usage::Initiate, Mechanism::Krb5, &store).unwrap();
    let target = Name::principal(library(), "HTTP/localhost@GSS.TEST").unwrap();
    let client = InitContext::new(library(), target, Mechanism::Krb5).credential(credential.into());
    let (_, server) = handshake(client, acceptor()).unwrap();
    assert_eq!(server.source().unwrap().unwrap().display().unwrap(), "batch@GSS.TEST");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_failures_have_kinds_and_texts() {
    let cache = kdc::kinit("user", "failures", &[]);

    let missing = format!("FILE:{}", kdc::directory().join("no-such-cache").display());
    assert_eq!(kind(initiate(&missing)), ErrorKind::NoCredentials);

    let unknown = initiator(&cache, "nowhere.gss.test").step(None);
    let text = unknown.as_ref().unwrap_err().to_string();
    assert!(text.contains("Server HTTP/nowhere.gss.test@GSS.TEST not found"), "{text}");
    assert_eq!(kind(unknown), ErrorKind::UnknownServer);

    let name = Name::principal(library(), "HTTP/localhost@ELSEWHERE.TEST").unwrap();
    let elsewhere = InitContext::new(library(), name, Mechanism::Krb5)
        .credential(initiate(&cache).unwrap())
        .step(None);
    assert_eq!(kind(elsewhere), ErrorKind::UnknownRealm);

    let no_keys = CredentialStore::new().keytab("FILE:/no/such/keytab");
    let no_keys = Credential::acquire(library(), None, Usage::Accept, Mechanism::Krb5, &no_keys);
    assert_eq!(kind(no_keys), ErrorKind::NoKey);

    assert_eq!(kind(acceptor().step(b"what is this")), ErrorKind::DefectiveToken);
    assert_eq!(acceptor().step(b"").unwrap_err(), Error::State("the client sent an empty token"));

    let nul = CredentialStore::new().ccache("FILE:\0");
    let nul = Credential::acquire(library(), None, Usage::Initiate, Mechanism::Krb5, &nul);
    assert_eq!(
        nul.unwrap_err(),
        Error::NulByte {
            what: "an entry of the credential store"
        }
    );

    let mut replayed = initiator(&cache, "localhost");
    let token = replayed.step(None).unwrap().token;
    acceptor().step(&token).unwrap();
    assert_eq!(kind(acceptor().step(&token)), ErrorKind::Replay);

    assert_eq!(
        initiator(&cache, "localhost").finish().unwrap_err(),
        Error::State("the handshake has not ended yet")
    );
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_an_expired_ticket() {
    let cache = kdc::kinit("user", "expired", &["-l", "1s"]);
    let credential = initiate(&cache).unwrap();
    let attempt = || {
        let target = Name::service(library(), "HTTP", "localhost").unwrap();
        InitContext::new(library(), target, Mechanism::Krb5)
            .credential(credential.clone())
            .step(None)
    };
    // The ticket counts to the end of its last second.
    let mut outcome = attempt();
    for _ in 0..100 {
        if outcome.is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        outcome = attempt();
    }
    assert_eq!(kind(outcome), ErrorKind::CredentialsExpired);
    assert_eq!(credential.lifetime(), Ok(Some(std::time::Duration::ZERO)));
    let again = initiate(&cache).unwrap();
    assert_eq!(again.lifetime(), Ok(Some(std::time::Duration::ZERO)), "acquired all the same");
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_garbage_never_harms() {
    let cache = kdc::kinit("user", "garbage", &[]);
    let token = initiator(&cache, "localhost").step(None).unwrap().token;
    for length in 0..token.len() {
        assert!(acceptor().step(&token[..length]).is_err(), "{length} bytes of {}", token.len());
    }
    assert!(acceptor().step(&vec![0x60; 64 * 1024]).is_err());
    let mut client = initiator(&cache, "localhost");
    client.step(None).unwrap();
    assert!(client.step(Some(&[0x60, 0x82, 0xff, 0xff])).is_err());
}

#[test]
#[ignore = "run by `kerberos`"]
fn case_the_library_is_the_one_expected() {
    let library = library();
    assert_eq!(library.implementation(), Implementation::Mit);
    assert!(library.has_credential_stores() && library.has_iov());
}

#[test]
#[ignore = "run by `kerberos`, under a clock that is 20 minutes fast"]
fn fast_clock_of_the_client() {
    // A cache written with the right time: `kinit` here would note the offset and make up for it.
    let exe = std::env::current_exe().unwrap();
    let output = std::process::Command::new(exe)
        .args(["--ignored", "--exact", "right_clock_cache"])
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let cache = format!("FILE:{}", kdc::directory().join("right").display());
    assert_eq!(kind(initiator(&cache, "localhost").step(None)), ErrorKind::ClockSkew);
}

#[test]
#[ignore = "run by `fast_clock_of_the_client`"]
fn right_clock_cache() {
    let cache = kdc::kinit("user", "right", &[]);
    initiator(&cache, "host1.gss.test").step(None).unwrap();
}
