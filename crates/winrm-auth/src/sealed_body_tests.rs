use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmInitiator};
use crate::{Credentials, Secret, Step, TokenMachine};

const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// The sealers of client and server.
fn sealers() -> (Sealer, Sealer) {
    let credentials = Credentials::parse("user", "pw").unwrap();
    let mut client = NtlmInitiator::new(credentials, NtlmEntropy::new([3; 24], Duration::ZERO));
    let users = |_: &str, _: Option<&str>| Some(NtHash::from_password(&Secret::new("pw")));
    let identity = AcceptorIdentity::standalone("host");
    let mut server = NtlmAcceptor::new(identity, Arc::new(users), [5; 8], Duration::ZERO);
    let mut input = Vec::new();
    loop {
        let (token, ours) = match client.step(&input).unwrap() {
            Step::Continue(token) => (token, None),
            Step::Done { token, context } => (token.unwrap(), Some(context.sealer)),
        };
        match (server.step(&token).unwrap(), ours) {
            (Step::Continue(token), None) => input = token,
            (Step::Done { context, .. }, Some(ours)) => return (ours, context.sealer),
            other => panic!("{other:?}"),
        }
    }
}

fn sealed(payload: &[u8]) -> (Vec<u8>, Sealer) {
    let (mut ours, theirs) = sealers();
    (seal(&mut ours, Protocol::Spnego, SOAP, payload).unwrap(), theirs)
}

fn content_type() -> &'static str {
    Protocol::Spnego.content_type()
}

#[track_caller]
fn refusal(content_type: &str, body: &[u8]) -> SealedBodyError {
    parse(content_type, body).unwrap_err()
}

/// `text` in place of `old` in a good body.
fn changed(old: &str, text: &str) -> Vec<u8> {
    let (body, _) = sealed(b"x");
    let at = body.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    [&body[..at], text.as_bytes(), &body[at + old.len()..]].concat()
}

#[test]
fn the_bytes_of_a_body() {
    let (body, _) = sealed(b"<s:Envelope/>");
    let headers = b"--Encrypted Boundary\r\n\
        \tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
        \tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=13\r\n\
        --Encrypted Boundary\r\n\
        \tContent-Type: application/octet-stream\r\n\
        \x10\0\0\0\x01\0\0\0";
    assert_eq!(body[..headers.len()], headers[..]);
    assert_eq!(body.len(), headers.len() + 12 + 13 + 24);
    assert!(body.ends_with(b"--Encrypted Boundary--\r\n"));
    assert_eq!(body.capacity(), body.len(), "sized at once");
    assert_eq!(
        content_type(),
        r#"multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary""#
    );
}

#[test]
fn bodies_in_the_spelling_of_other_programs() {
    let opened = |content_type: &str, change: &dyn Fn(&[u8]) -> Vec<u8>| {
        let (body, mut theirs) = sealed(b"payload");
        let mut body = change(&body);
        let opened = open(&mut theirs, content_type, &mut body, 7).unwrap();
        assert_eq!(opened.original_type, SOAP);
        assert_eq!(opened.protocol, Protocol::Spnego);
        body[opened.plain].to_vec()
    };
    let replaced = |old: &'static [u8], new: &'static [u8]| {
        move |body: &[u8]| {
            let mut out = Vec::new();
            let mut rest = body;
            while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(new);
                rest = &rest[at + old.len()..];
            }
            out.extend_from_slice(rest);
            out
        }
    };
    assert_eq!(opened(content_type(), &|body| body.to_vec()), b"payload");
    assert_eq!(opened(content_type(), &replaced(b"\t", b"")), b"payload", "Ruby");
    assert_eq!(
        opened(content_type(), &replaced(b"--Encrypted", b"-- Encrypted")),
        b"payload",
        "Exchange"
    );
    assert_eq!(opened(content_type(), &replaced(b"--\r\n", b"--")), b"payload", "no last line end");
    assert_eq!(opened(content_type(), &replaced(b"Length", b" length")), b"payload");
    assert_eq!(opened(content_type(), &replaced(b"Content-Type: ", b"content-type:")), b"payload");
    let spaced = r#"Multipart/Encrypted; Protocol="application/http-spnego-session-encrypted"; boundary="Encrypted Boundary""#;
    assert_eq!(opened(spaced, &|body| body.to_vec()), b"payload");
    let other = r#"multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary=abc"#;
    assert_eq!(opened(other, &replaced(b"Encrypted Boundary", b"abc")), b"payload");
}

#[test]
fn a_payload_that_looks_like_a_boundary() {
    // RC4 is its own inverse: sealing the key stream gives any bytes one likes.
    let wanted = b"--Encrypted Boundary--\r\n--Encrypted Boundary\r\n";
    let (mut ours, mut theirs) = sealers();
    let key_stream = ours.seal(&vec![0; wanted.len()]).unwrap()[16..].to_vec();
    let plain: Vec<u8> = key_stream.iter().zip(wanted).map(|(a, b)| a ^ b).collect();
    let (mut fresh, _) = sealers();
    let mut body = seal(&mut fresh, Protocol::Spnego, SOAP, &plain).unwrap();
    assert!(body.windows(wanted.len()).any(|window| window == wanted));
    let opened = open(&mut theirs, content_type(), &mut body, 1000).unwrap();
    assert_eq!(body[opened.plain], plain);
}

#[test]
fn several_messages_in_one_body() {
    let (mut ours, mut theirs) = sealers();
    let mut body = Vec::new();
    for piece in [&b"first, "[..], b"", b"second, ", b"third"] {
        let one = seal(&mut ours, Protocol::Spnego, SOAP, piece).unwrap();
        body.extend_from_slice(&one[..one.len() - 24]);
    }
    body.extend_from_slice(b"--Encrypted Boundary--\r\n");
    let multi = content_type().replace("multipart/encrypted", "multipart/x-multi-encrypted");
    assert_eq!(parse(&multi, &body).unwrap().1.len(), 4);
    let opened = open(&mut theirs, &multi, &mut body, 20).unwrap();
    assert_eq!(&body[opened.plain], b"first, second, third");
}

#[test]
fn the_limit_counts_all_messages() {
    let (mut ours, mut theirs) = sealers();
    let one = seal(&mut ours, Protocol::Spnego, SOAP, b"12345").unwrap();
    let two = seal(&mut ours, Protocol::Spnego, SOAP, b"67890").unwrap();
    let mut body = [&one[..one.len() - 24], &two].concat();
    assert_eq!(
        open(&mut theirs, content_type(), &mut body, 9),
        Err(SealedBodyError::TooLarge { limit: 9 })
    );
}

#[test]
fn records_of_tls_are_taken_by_their_own_lengths() {
    let record = |length: u16| {
        let mut record = vec![0x17, 3, 3];
        record.extend_from_slice(&length.to_be_bytes());
        record.resize(5 + usize::from(length), b'-');
        record
    };
    // TLS 1.0 splits off a first record of one byte.
    let records = [record(33), record(700)].concat();
    let head = "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-CredSSP-session-encrypted\r\n\
        \tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=650\r\n\
        --Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n";
    let mut body = [head.as_bytes(), &[16, 0, 0, 0], &records, b"--Encrypted Boundary--\r\n"].concat();
    let (protocol, parts) = parse(Protocol::CredSsp.content_type(), &body).unwrap();
    assert_eq!((protocol, parts.len()), (Protocol::CredSsp, 1));
    assert_eq!((parts[0].length, parts[0].signature), (650, 16));
    assert_eq!(body[parts[0].message.clone()], records);
    let at = head.len() + 4;
    body[at] = 0x16;
    assert_eq!(
        refusal(Protocol::CredSsp.content_type(), &body),
        SealedBodyError::Truncated { at: at - 4 }
    );
}

#[test]
fn each_malformation_has_its_own_reason() {
    let (good, _) = sealed(b"x");
    let clear = "application/soap+xml;charset=UTF-8".to_owned();
    assert_eq!(refusal(&clear, b"<x/>"), SealedBodyError::NotSealed { content_type: clear });
    let ours = content_type().to_owned();
    let other = ours.replace("SPNEGO", "ROT13");
    assert_eq!(
        refusal(&other, &good),
        SealedBodyError::Protocol {
            content_type: other.clone()
        }
    );
    let none = ours.split(";boundary").next().unwrap();
    assert_eq!(
        refusal(none, &good),
        SealedBodyError::Boundary {
            content_type: none.to_owned()
        }
    );

    let at_of = |text: &str| good.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    let check = |old: &str, new: &str, reason: SealedBodyError| {
        assert_eq!(refusal(&ours, &changed(old, new)), reason, "{old:?} -> {new:?}");
    };
    let octets = at_of("\tContent-Type: application/octet");
    let original = at_of("\tOriginal");
    check("--Enc", "-Enc", SealedBodyError::Delimiter { at: 0 });
    check("Boundary\r\n\tC", "Boundary\n\tC", SealedBodyError::LineEnd { at: 20 });
    check(
        "Boundary\r\n\tContent-Type: appl",
        "Boundary\r\n\tContent-Typ: appl",
        SealedBodyError::Header {
            at: 22,
            expected: "Content-Type",
        },
    );
    check(
        "HTTP-SPNEGO",
        "HTTP-Kerberos",
        SealedBodyError::Header {
            at: 22,
            expected: Protocol::Spnego.media_type(),
        },
    );
    check(
        "OriginalContent",
        "Original",
        SealedBodyError::Header {
            at: original,
            expected: "OriginalContent",
        },
    );
    check(
        "octet-stream",
        "octets",
        SealedBodyError::Header {
            at: octets,
            expected: OCTET_STREAM,
        },
    );
    check("octet-stream\r\n", "octet-stream\n", SealedBodyError::LineEnd { at: octets + 39 });
    for length in ["=", "=x", "=-1", "=+1", "=99999999999999999999", ""] {
        check(
            "=1\r\n--",
            &format!("{length}\r\n--"),
            SealedBodyError::OriginalContent { at: original },
        );
    }
    check("type=app", "app", SealedBodyError::OriginalContent { at: original });
    let message = at_of("\x10\0\0\0");
    check(
        "\x10\0\0\0",
        "\x01\x04\0\0",
        SealedBodyError::Signature { at: message, length: 1025 },
    );
    check("=1\r\n--", "=42\r\n--", SealedBodyError::Truncated { at: message + 1 });
    check("=1\r\n--", "=2\r\n--", SealedBodyError::Delimiter { at: message + 4 + 16 + 2 });
    check("=1\r\n--", "=0\r\n--", SealedBodyError::Delimiter { at: message + 4 + 16 });
    check("--\r\n", "\n", SealedBodyError::LineEnd { at: good.len() - 4 });
    check("--\r\n", "--\r\n\r\n", SealedBodyError::Trailing { at: good.len() });
}

#[test]
fn every_truncation_is_refused() {
    let (good, _) = sealed(b"payload");
    for length in 0..good.len() - 2 {
        refusal(content_type(), &good[..length]);
    }
}

#[test]
fn every_flipped_bit_of_the_message_is_refused() {
    let (good, _) = sealed(b"payload");
    let (_, parts) = parse(content_type(), &good).unwrap();
    for at in parts[0].message.clone() {
        for bit in 0..8 {
            let (mut body, mut theirs) = sealed(b"payload");
            body[at] ^= 1 << bit;
            let error = open(&mut theirs, content_type(), &mut body, 1000).unwrap_err();
            assert!(matches!(error, SealedBodyError::Seal(_)), "byte {at}: {error}");
        }
    }
}

#[test]
fn another_order_and_a_replay_are_refused() {
    let (mut ours, mut theirs) = sealers();
    let first = seal(&mut ours, Protocol::Spnego, SOAP, b"1").unwrap();
    let mut second = seal(&mut ours, Protocol::Spnego, SOAP, b"2").unwrap();
    open(&mut theirs, content_type(), &mut first.clone(), 9).unwrap();
    assert_eq!(
        open(&mut theirs, content_type(), &mut first.clone(), 9),
        Err(SealError::Sequence { expected: 1, found: 0 }.into())
    );
    let (_, mut theirs) = sealers();
    assert_eq!(
        open(&mut theirs, content_type(), &mut second, 9),
        Err(SealError::Sequence { expected: 0, found: 1 }.into())
    );
}

#[test]
fn protocols_of_schemes() {
    assert_eq!(Protocol::of_scheme(&Scheme::Negotiate), Some(Protocol::Spnego));
    assert_eq!(Protocol::of_scheme(&Scheme::Ntlm), Some(Protocol::Spnego));
    assert_eq!(Protocol::of_scheme(&Scheme::Kerberos), Some(Protocol::Kerberos));
    assert_eq!(Protocol::of_scheme(&Scheme::Basic), None);
    for protocol in [Protocol::Spnego, Protocol::Kerberos, Protocol::CredSsp] {
        assert!(protocol.content_type().contains(protocol.media_type()));
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..5)) {
        let (mut ours, mut theirs) = sealers();
        for payload in payloads {
            let mut body = seal(&mut ours, Protocol::Spnego, SOAP, &payload).unwrap();
            let opened = open(&mut theirs, content_type(), &mut body, 3000).unwrap();
            prop_assert_eq!(&body[opened.plain], &payload);
        }
    }

    #[test]
    fn no_body_panics(start in 0_usize..250, middle in proptest::collection::vec(any::<u8>(), 0..60), end in 0_usize..250) {
        let (good, mut theirs) = sealed(b"payload");
        let mut body = [&good[..start.min(good.len())], &middle, &good[good.len() - end.min(good.len())..]].concat();
        if let Ok(opened) = open(&mut theirs, content_type(), &mut body, 1000) {
            prop_assert_eq!(&body[opened.plain], b"payload");
        }
    }
}
