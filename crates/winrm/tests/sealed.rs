//! NTLM and Negotiate: tokens once for each connection, sealed messages, channel binding, and attacks on them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::{X509, X509NameBuilder};
use support::{Host, Reply, Seen, fault, http, received, well};
use winrm::{CertificateCheck, Client, Encryption, ErrorKind, MayHaveRun, Transport};
use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor};
use winrm_auth::sealed_body::{self, Protocol};
use winrm_auth::spnego::SpnegoAcceptor;
use winrm_auth::{Authorization, Challenge, ChannelBinding, ChannelBindingPolicy, Scheme, Sealer, Step, TokenMachine};

/// What the host does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Answers the n-th sealed request in clear text.
    ClearText(usize),
    /// Changes a bit of the n-th sealed answer.
    FlippedBit(usize),
    /// Has forgotten the connection at the n-th sealed request.
    Forgets(usize),
    /// Knows the old scheme name only.
    OnlyNtlm,
    /// Says "fine" in the middle.
    AcceptsAtOnce,
    /// Is too busy for the n-th request with input.
    Busy(usize),
}

struct Acceptors {
    fault: Fault,
    password: &'static str,
    binding: ChannelBindingPolicy,
    connections: Mutex<HashMap<usize, Connection>>,
    sealed: Mutex<usize>,
    input: Arc<Mutex<Input>>,
}

/// What a command was sent.
#[derive(Default)]
struct Input {
    /// The command runs until its input has ended.
    awaited: bool,
    requests: usize,
    bytes: Vec<u8>,
    ended: bool,
}

enum Connection {
    Negotiating(Box<dyn TokenMachine>, Scheme),
    Open(Box<Sealer>),
}

fn acceptor(password: &'static str, binding: ChannelBindingPolicy) -> Box<dyn TokenMachine> {
    let passwords = move |user: &str, _: Option<&str>| (user == "alice").then(|| NtHash::from_password(&password.into()));
    let mut challenge = [0; 8];
    openssl::rand::rand_bytes(&mut challenge).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let machine = NtlmAcceptor::new(AcceptorIdentity::standalone("host.test"), Arc::new(passwords), challenge, now);
    Box::new(machine.channel_binding(binding))
}

impl Acceptors {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            password: "secret",
            binding: ChannelBindingPolicy::Ignore,
            connections: Mutex::default(),
            sealed: Mutex::default(),
            input: Arc::default(),
        }
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let mut connections = self.connections.lock().unwrap();
        if let Some(value) = seen.header("authorization") {
            let token = Authorization::parse(value).unwrap();
            if self.fault == Fault::OnlyNtlm && token.scheme != Scheme::Ntlm {
                return unauthorized("NTLM");
            }
            if self.fault == Fault::AcceptsAtOnce {
                return Reply::Raw(http("200 OK", "", b""));
            }
            let (mut machine, scheme) = match connections.remove(&seen.connection) {
                Some(Connection::Negotiating(machine, scheme)) => (machine, scheme),
                _ => {
                    let ntlm = acceptor(self.password, self.binding.clone());
                    let raw = token.scheme == Scheme::Ntlm || token.token.starts_with(b"NTLMSSP");
                    let machine: Box<dyn TokenMachine> = if raw { ntlm } else { Box::new(SpnegoAcceptor::new(vec![ntlm])) };
                    (machine, token.scheme.clone())
                }
            };
            return match machine.step(&token.token) {
                Ok(Step::Continue(reply)) => {
                    let challenge = Challenge::with_token(scheme.clone(), reply).to_string();
                    connections.insert(seen.connection, Connection::Negotiating(machine, scheme));
                    unauthorized(&challenge)
                }
                Ok(Step::Done { token, context }) => {
                    connections.insert(seen.connection, Connection::Open(Box::new(context.sealer)));
                    if !seen.raw.is_empty() {
                        return well(seen);
                    }
                    let header = token.map(|token| format!("WWW-Authenticate: {}\r\n", Challenge::with_token(scheme, token)));
                    Reply::Raw(http("200 OK", &header.unwrap_or_default(), b""))
                }
                Err(_) => unauthorized("Negotiate"),
            };
        }
        let Some(Connection::Open(sealer)) = connections.get_mut(&seen.connection) else {
            return unauthorized("Negotiate");
        };
        let content_type = seen.header("content-type").unwrap();
        if !sealed_body::is_sealed(content_type) {
            return well(seen);
        }
        let number = {
            let mut sealed = self.sealed.lock().unwrap();
            *sealed += 1;
            *sealed
        };
        if self.fault == Fault::Forgets(number) {
            connections.remove(&seen.connection);
            return unauthorized("Negotiate");
        }
        let mut raw = seen.raw.clone();
        let opened = sealed_body::open(sealer, content_type, &mut raw, 1 << 20).unwrap();
        let mut plain = seen.clone();
        plain.body = String::from_utf8(raw[opened.plain].to_vec()).unwrap();
        let reply = self.take_input(&plain).unwrap_or_else(|| well(&plain));
        if self.fault == Fault::ClearText(number) {
            return reply;
        }
        let Reply::Soap(status, body) = reply else {
            panic!("only SOAP is sealed")
        };
        let mut sealed = sealed_body::seal(sealer, Protocol::Spnego, "application/soap+xml;charset=UTF-8", body.as_bytes()).unwrap();
        if self.fault == Fault::FlippedBit(number) {
            let middle = sealed.len() - 60;
            sealed[middle] ^= 1;
        }
        Reply::Raw(http(
            &format!("{status} Whatever"),
            &format!("Content-Type: {}\r\n", Protocol::Spnego.content_type()),
            &sealed,
        ))
    }
}

impl Acceptors {
    /// The answer to a request with input, and to one for output as long as more input is to come.
    fn take_input(&self, plain: &Seen) -> Option<Reply> {
        let mut input = self.input.lock().unwrap();
        if plain.action() == "Receive" && input.awaited && !input.ended {
            std::thread::sleep(std::time::Duration::from_millis(5));
            return Some(Reply::Soap(200, received(&[], None)));
        }
        let stream = plain.between("<rsp:Stream", "</rsp:Stream>")?;
        input.requests += 1;
        if self.fault == Fault::Busy(input.requests) {
            return Some(fault(170, "The requested resource is in use. "));
        }
        let (attributes, base64) = stream.split_once('>')?;
        input.bytes.extend(STANDARD.decode(base64).unwrap());
        input.ended = attributes.contains("End=");
        None
    }
}

fn unauthorized(challenge: &str) -> Reply {
    Reply::Raw(http("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b""))
}

async fn host(fault: Fault) -> Host {
    let acceptors = Acceptors::new(fault);
    Host::start(move |seen| acceptors.answer(seen)).await
}

fn client(host: &Host, transport: Transport) -> Client {
    host.http().encryption(Encryption::Auto).transport(transport).build().unwrap()
}

#[tokio::test]
async fn a_sealed_command_shows_nothing_and_authenticates_once() {
    for transport in [Transport::Ntlm, Transport::Negotiate] {
        let host = host(Fault::None).await;
        let client = client(&host, transport);
        for _ in 0..3 {
            let output = client.command("supercalifragilistic").output().await.unwrap();
            assert_eq!((output.exit_code, output.stdout.as_slice()), (Some(7), &b"out"[..]));
        }
        let seen = host.seen();
        let tokens = seen.iter().filter(|seen| seen.header("authorization").is_some()).count();
        assert!((2..=3).contains(&tokens), "{tokens} tokens for {transport}");
        assert_eq!(seen.len(), tokens + 12);
        assert_eq!(client.connections_made(), 1);
        // The first token comes unasked, on an empty body.
        assert!(seen[0].header("authorization").unwrap().starts_with("Negotiate ") && seen[0].raw.is_empty());
        for request in &seen[tokens..] {
            assert!(request.header("content-type").unwrap().starts_with("multipart/encrypted;"));
            assert!(!request.body.contains("supercalifragilistic") && !request.body.contains("Envelope"));
        }
    }
}

#[tokio::test]
async fn a_host_that_knows_only_ntlm_gets_ntlm() {
    let host = host(Fault::OnlyNtlm).await;
    assert_eq!(
        client(&host, Transport::Ntlm).command("x").output().await.unwrap().exit_code,
        Some(7)
    );
    assert!(host.seen()[1].header("authorization").unwrap().starts_with("NTLM "));
    let error = client(&host, Transport::Negotiate).ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().ends_with("it offers NTLM"), "{error}");
    assert_eq!(error.hint(), Some("the host does not take this transport: use one that it offers"));
}

#[tokio::test]
async fn a_wrong_password_is_refused_after_one_attempt() {
    let mut acceptors = Acceptors::new(Fault::None);
    acceptors.password = "another";
    let host = Host::start(move |seen| acceptors.answer(seen)).await;
    for transport in [Transport::Ntlm, Transport::Negotiate] {
        let before = host.seen().len();
        let error = client(&host, transport).command("x").output().await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Unauthorized, MayHaveRun::No));
        let sentence = format!(
            "{} refused the credentials of alice with {transport} (HTTP 401); it offers Negotiate",
            host.url()
        );
        assert!(error.to_string().starts_with(&sentence), "{error}");
        assert!(error.hint().unwrap().contains("DOMAIN\\user"), "{error:?}");
        assert_eq!(host.seen().len() - before, 2, "an account is locked by too many attempts");
    }
}

#[tokio::test]
async fn an_answer_in_clear_text_is_refused() {
    let host = host(Fault::ClearText(2)).await;
    let client = client(&host, Transport::Ntlm);
    let error = client.command("x").output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Protocol, MayHaveRun::Unknown));
    assert_eq!(
        error.to_string(),
        format!("the encrypted answer of {} can't be accepted", host.url())
    );
    assert_eq!(error.source().unwrap().to_string(), "the answer is in clear text");
    assert!(client.close().await);
    assert_eq!(client.connections_made(), 2, "the connection is of no use any more");
}

#[tokio::test]
async fn a_changed_answer_is_refused() {
    let host = host(Fault::FlippedBit(1)).await;
    let error = client(&host, Transport::Ntlm).command("x").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(error.source().unwrap().to_string(), "the encrypted body can't be decrypted");
}

#[tokio::test]
async fn a_connection_that_the_host_forgot_is_replaced_and_the_message_sealed_anew() {
    let host = host(Fault::Forgets(3)).await;
    let client = client(&host, Transport::Ntlm);
    assert_eq!(client.command("x").output().await.unwrap().exit_code, Some(7));
    assert_eq!(client.connections_made(), 2);
}

/// Requests with input are sealed while the one before is on its way. When that one isn't taken, what was sealed is of no use any more.
#[tokio::test]
async fn input_arrives_whole_and_in_order_whatever_is_refused() {
    let content: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 251) as u8).collect();
    for number in [1, 3, 4] {
        for fault in [Fault::Busy(number), Fault::Forgets(2 * number)] {
            let acceptors = Acceptors::new(fault);
            let input = Arc::clone(&acceptors.input);
            input.lock().unwrap().awaited = true;
            let host = Host::start(move |seen| acceptors.answer(seen)).await;
            let client = client(&host, Transport::Ntlm);
            let mut child = client.command("x").stdin(content.clone()).spawn().await.unwrap();
            child.stdout = None;
            assert_eq!(child.wait().await.unwrap().code(), Some(7));
            let input = input.lock().unwrap();
            assert!(
                input.bytes == content && input.ended,
                "{number}: {} bytes in {} requests",
                input.bytes.len(),
                input.requests
            );
            assert!(input.requests >= 4);
        }
    }
}

#[tokio::test]
async fn a_host_that_proves_nothing_is_not_trusted() {
    let host = host(Fault::AcceptsAtOnce).await;
    let error = client(&host, Transport::Ntlm).command("x").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        error.to_string(),
        format!("{} accepted the credentials without proving who it is", host.url())
    );
    assert_eq!(host.seen().len(), 1);
}

#[tokio::test]
async fn identify_needs_no_authentication_and_keeps_none() {
    let acceptors = Acceptors::new(Fault::None);
    let host = Host::start(move |seen| {
        if seen.header("wsmanidentify").is_some() {
            well(seen)
        } else {
            acceptors.answer(seen)
        }
    })
    .await;
    let client = client(&host, Transport::Ntlm);
    client.ping().await.unwrap();
    client.identify().await.unwrap();
    let last = host.seen().pop().unwrap();
    assert_eq!((last.connection, last.header("authorization")), (2, None));
}

#[tokio::test]
async fn ntlm_needs_credentials_and_never_means_clear_text() {
    let error = Client::builder("http://127.0.0.1:1")
        .transport(Transport::Ntlm)
        .build()
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);

    let host = host(Fault::None).await;
    let client = host
        .http()
        .transport(Transport::Ntlm)
        .encryption(Encryption::Never)
        .build()
        .unwrap();
    assert_eq!(client.command("x").output().await.unwrap().exit_code, Some(7));
    let seen = host.seen();
    // The last token goes with the first message.
    assert_eq!(seen.len(), 5);
    assert!(seen[1].header("authorization").is_some() && seen[1].body.contains("Envelope"));
    assert_eq!(seen[2].header("authorization"), None);
}

fn certificate() -> (X509, PKey<openssl::pkey::Private>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

#[tokio::test]
async fn over_tls_the_authentication_is_bound_to_the_certificate() {
    let (shown, key) = certificate();
    let (another, _) = certificate();
    let binding = |certificate: &X509| ChannelBinding::from_certificate_der(&certificate.to_der().unwrap()).unwrap();
    for (required, bind, accepted) in [
        (binding(&shown), true, true),
        (binding(&shown), false, false),
        // Relayed: the host that checks has another certificate than the one the client saw.
        (binding(&another), true, false),
    ] {
        let mut tls = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        tls.set_certificate(&shown).unwrap();
        tls.set_private_key(&key).unwrap();
        let mut acceptors = Acceptors::new(Fault::None);
        acceptors.binding = ChannelBindingPolicy::Required(required);
        let host = Host::listen(Some(tls.build()), move |seen| acceptors.answer(seen)).await;
        for encryption in [Encryption::Auto, Encryption::Always] {
            let client = host.https().transport(Transport::Ntlm).encryption(encryption).channel_binding(bind);
            let client = client.certificates(CertificateCheck::Ignore).build().unwrap();
            match client.command("x").output().await {
                Ok(output) => assert!(accepted && output.exit_code == Some(7)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unauthorized);
                    assert!(!accepted, "{error:?}");
                }
            }
            let sealed = host.seen().iter().filter(|seen| seen.body.contains("Encrypted Boundary")).count();
            assert_eq!(sealed > 0, accepted && encryption == Encryption::Always);
        }
    }
}

#[tokio::test]
async fn kerberos_without_a_ticket_is_told() {
    let host = host(Fault::None).await;
    let kerberos = winrm::Kerberos::new().tickets(winrm::TicketSource::Ccache("FILE:/nonexistent/ccache".to_owned()));
    let client = host
        .http()
        .encryption(Encryption::Auto)
        .transport(Transport::Kerberos)
        .kerberos(kerberos.clone());
    let error = client.build().unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.to_string(), "no Kerberos ticket for 127.0.0.1");
    assert!(error.hint().is_some() && error.source().is_some());

    // Negotiate goes on with NTLM.
    let client = host
        .http()
        .encryption(Encryption::Auto)
        .transport(Transport::Negotiate)
        .kerberos(kerberos);
    assert_eq!(client.build().unwrap().command("x").output().await.unwrap().exit_code, Some(7));
}
