//! Authentication of a connection: legs, sealed messages, and what must not work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod wire;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpStream;
use winrm_auth::ntlm::{NtlmEntropy, NtlmInitiator};
use winrm_auth::sealed_body::{self, Protocol};
use winrm_auth::{Credentials, Sealer, Step, TokenMachine};
use wire::{CREATE, Reply, Service, Wire, builder, envelope, start};

const SHELL: &str = "<rsp:Shell/>";

async fn service() -> Service {
    start(builder().allow_unencrypted(false)).await
}

fn initiator(password: &str) -> NtlmInitiator {
    let now: Duration = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    NtlmInitiator::new(Credentials::parse("alice", password).unwrap(), NtlmEntropy::new([7; 24], now))
}

fn token(step: Result<Step, winrm_auth::Error>) -> Vec<u8> {
    match step.unwrap() {
        Step::Continue(token) => token,
        Step::Done { .. } => panic!("done too early"),
    }
}

async fn leg(wire: &mut Wire<TcpStream>, scheme: &str, token: &[u8], body: &str) -> Reply {
    wire.headers = format!("Authorization: {scheme} {}\r\n", STANDARD.encode(token));
    let reply = wire.post(body).await;
    wire.headers.clear();
    reply
}

/// The first leg; gives the server's challenge.
async fn challenge(wire: &mut Wire<TcpStream>, scheme: &str, first: &[u8]) -> Vec<u8> {
    // The body of an unfinished leg means nothing.
    let reply = leg(wire, scheme, first, "ignored").await;
    assert_eq!(reply.status, 401);
    let line = format!("www-authenticate: {scheme} ");
    let value = reply.head.lines().find_map(|header| header.strip_prefix(&line)).expect("a token");
    STANDARD.decode(value).unwrap()
}

/// The whole handshake with an empty body; gives the sealer, or the answer that refused.
async fn log_on(wire: &mut Wire<TcpStream>, scheme: &str, password: &str) -> Result<Sealer, Reply> {
    let mut machine = initiator(password);
    let first = token(machine.step(&[]));
    let challenge = challenge(wire, scheme, &first).await;
    let Step::Done { token, context } = machine.step(&challenge).unwrap() else {
        panic!("not done")
    };
    let reply = leg(wire, scheme, &token.unwrap(), "").await;
    if reply.status == 401 {
        return Err(reply);
    }
    assert_eq!((reply.status, reply.bytes.len()), (200, 0));
    Ok(context.sealer)
}

async fn sealed(wire: &mut Wire<TcpStream>, body: &[u8]) -> Option<Reply> {
    let head = format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        Protocol::Spnego.content_type(),
        body.len()
    );
    wire.raw(&head).await;
    tokio::io::AsyncWriteExt::write_all(&mut wire.stream, body).await.unwrap();
    wire.reply().await
}

fn seal(sealer: &mut Sealer, text: &str) -> Vec<u8> {
    sealed_body::seal(sealer, Protocol::Spnego, "application/soap+xml;charset=UTF-8", text.as_bytes()).unwrap()
}

fn open(sealer: &mut Sealer, reply: &Reply) -> String {
    let content_type = reply.head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
    assert!(!reply.body.contains("Envelope"), "clear text: {}", reply.body);
    let mut body = reply.bytes.clone();
    let opened = sealed_body::open(sealer, content_type, &mut body, 1 << 20).unwrap();
    String::from_utf8(body[opened.plain].to_vec()).unwrap()
}

#[tokio::test]
async fn what_is_offered_depends_on_the_settings() {
    let service = service().await;
    let mut wire = service.connect().await;
    wire.headers.clear();
    let reply = wire.post("").await;
    let offers: Vec<_> = reply.head.lines().filter(|line| line.starts_with("www-authenticate")).collect();
    assert_eq!(
        offers,
        ["www-authenticate: Negotiate", "www-authenticate: NTLM", "www-authenticate: CredSSP"],
        "no Basic in clear text"
    );
}

#[tokio::test]
async fn a_handshake_leads_to_sealed_messages_and_to_nothing_else() {
    let service = service().await;
    for scheme in ["Negotiate", "NTLM"] {
        let mut wire = service.connect().await;
        let mut sealer = log_on(&mut wire, scheme, "secret").await.unwrap();
        for _ in 0..2 {
            let request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
            let reply = sealed(&mut wire, &request).await.unwrap();
            assert_eq!(reply.status, 200);
            assert!(open(&mut sealer, &reply).contains("<rsp:Owner>alice</rsp:Owner>"));
        }
        // Faults are sealed as well.
        let request = seal(&mut sealer, "<nonsense/>");
        let reply = sealed(&mut wire, &request).await.unwrap();
        assert_eq!(reply.status, 500);
        assert!(open(&mut sealer, &reply).contains("s:Fault"));
        // An empty request without credentials is the wish to authenticate anew.
        assert_eq!(wire.post("").await.status, 401);
        let clear = wire.post(&envelope(CREATE, "", SHELL)).await;
        assert_eq!((clear.status, clear.body.as_str()), (500, ""));
        assert!(wire.reply().await.is_none(), "the connection is closed");
    }
}

#[tokio::test]
async fn clear_text_is_refused_on_http_and_after_a_sealed_message() {
    let strict = service().await;
    let mut wire = strict.connect().await;
    log_on(&mut wire, "Negotiate", "secret").await.unwrap();
    assert_eq!(wire.post(&envelope(CREATE, "", SHELL)).await.status, 500);

    let lenient = start(builder()).await;
    let mut wire = lenient.connect().await;
    let mut sealer = log_on(&mut wire, "Negotiate", "secret").await.unwrap();
    assert_eq!(wire.post(&envelope(CREATE, "", SHELL)).await.status, 200, "allowed");
    let request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
    assert_eq!(sealed(&mut wire, &request).await.unwrap().status, 200);
    assert_eq!(
        wire.post(&envelope(CREATE, "", SHELL)).await.status,
        500,
        "somebody has stripped the encryption"
    );
}

#[tokio::test]
async fn changed_repeated_and_foreign_messages_are_refused() {
    let service = service().await;
    for attack in ["changed", "repeated", "foreign"] {
        let mut wire = service.connect().await;
        let mut sealer = log_on(&mut wire, "Negotiate", "secret").await.unwrap();
        let mut request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
        match attack {
            "changed" => {
                let middle = request.len() - 60;
                request[middle] ^= 1;
            }
            "repeated" => assert_eq!(sealed(&mut wire, &request).await.unwrap().status, 200),
            _ => {
                let mut other = service.connect().await;
                let mut sealer = log_on(&mut other, "Negotiate", "secret").await.unwrap();
                // Its second message, so that not only the sequence number is wrong.
                seal(&mut sealer, "first");
                request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
            }
        }
        assert_eq!(sealed(&mut wire, &request).await.unwrap().status, 400, "{attack}");
        assert!(wire.reply().await.is_none(), "{attack}: the connection is closed");
    }
}

#[tokio::test]
async fn failed_handshakes_leave_nobody_and_may_be_begun_anew() {
    let service = service().await;
    let mut wire = service.connect().await;
    let refused = log_on(&mut wire, "Negotiate", "wrong").await.unwrap_err();
    assert!(refused.head.contains("www-authenticate: Negotiate\r\n"), "{}", refused.head);
    assert_eq!(wire.post(&envelope(CREATE, "", SHELL)).await.status, 401);

    for nonsense in [
        &b""[..],
        b"x",
        b"NTLMSSP\0\x03\0\0\0",
        b"NTLMSSP\0\x01\0\0\0",
        &[0x60; 3],
        &[0xA1; 40],
    ] {
        assert_eq!(leg(&mut wire, "Negotiate", nonsense, "").await.status, 401);
    }
    assert_eq!(
        leg(&mut wire, "Kerberos", b"x", "").await.status,
        401,
        "not offered without a key table"
    );
    // A first token in the middle starts over; so does one on an authenticated connection.
    let first = token(initiator("secret").step(&[]));
    challenge(&mut wire, "Negotiate", &first).await;
    log_on(&mut wire, "Negotiate", "secret").await.unwrap();
    let mut sealer = log_on(&mut wire, "NTLM", "secret").await.unwrap();
    let request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
    assert_eq!(sealed(&mut wire, &request).await.unwrap().status, 200);
    // A failed one ends what was there before.
    assert!(log_on(&mut wire, "NTLM", "wrong").await.is_err());
    let request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
    assert_eq!(sealed(&mut wire, &request).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_recorded_handshake_is_worthless() {
    let service = service().await;
    let mut wire = service.connect().await;
    let mut machine = initiator("secret");
    let first = token(machine.step(&[]));
    let answer = machine.step(&challenge(&mut wire, "NTLM", &first).await).unwrap();
    let Step::Done { token: Some(last), .. } = answer else {
        panic!("not done")
    };
    assert_eq!(leg(&mut wire, "NTLM", &last, "").await.status, 200);

    let mut thief = service.connect().await;
    challenge(&mut thief, "NTLM", &first).await;
    assert_eq!(leg(&mut thief, "NTLM", &last, "").await.status, 401);
}

#[tokio::test]
async fn the_authentication_is_the_connections_alone() {
    let service = service().await;
    let mut one = service.connect().await;
    let mut sealer = log_on(&mut one, "Negotiate", "secret").await.unwrap();
    let mut other = service.connect().await;
    let request = seal(&mut sealer, &envelope(CREATE, "", SHELL));
    assert_eq!(sealed(&mut other, &request).await.unwrap().status, 401);
}
