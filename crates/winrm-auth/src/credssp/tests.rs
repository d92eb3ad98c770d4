use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;

use super::message::{parse_password, write_password};
use super::*;
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmError, NtlmInitiator};
use crate::sealed_body::{self, Protocol, SealedBodyError};
use crate::spnego::{InitToken, NegotiationState, ResponseToken, SpnegoAcceptor, SpnegoInitiator};
use crate::{Credentials, SealError, Secret};

const PASSWORD: &str = "Pässwörd 1!";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| value(&pair[0]) << 4 | value(&pair[1])).collect()
}

#[test]
fn a_request_is_written_as_the_specification_has_it() {
    // By hand, from the ASN.1 of [MS-CSSP] 2.2.1.
    let request = TsRequest {
        version: 6,
        nego_token: Some(b"NTLM".to_vec()),
        ..TsRequest::default()
    };
    let bytes = hex("30 13 a0 03 020106 a1 0c 30 0a 30 08 a0 06 04 04 4e544c4d");
    assert_eq!(request.write(), bytes);
    assert_eq!(TsRequest::parse(&bytes), Ok(request));

    let all = TsRequest {
        version: 5,
        nego_token: None,
        auth_info: Some(vec![1]),
        pub_key_auth: Some(vec![2, 3]),
        error_code: Some(0xC000_006D),
        client_nonce: Some([9; 32]),
    };
    let mut bytes = hex("30 3c a0 03 020105 a2 03 040101 a3 04 04020203 a4 06 0204c000006d a5 22 0420");
    bytes.extend([9; 32]);
    assert_eq!(all.write(), bytes);
    assert_eq!(TsRequest::parse(&bytes), Ok(all));
}

#[test]
fn an_error_code_is_read_with_and_without_sign() {
    let code = |bytes: &str| TsRequest::parse(&hex(bytes)).map(|request| request.error_code);
    assert_eq!(code("30 0d a0 03 020106 a4 06 0204 c000006d"), Ok(Some(0xC000_006D)));
    assert_eq!(code("30 0e a0 03 020106 a4 07 0205 00c000006d"), Ok(Some(0xC000_006D)));
    assert_eq!(code("30 0a a0 03 020106 a4 03 0201 05"), Ok(Some(5)));
    assert_eq!(
        code("30 0e a0 03 020106 a4 07 0205 01c000006d"),
        Err(CredSspError::Field("errorCode"))
    );
}

#[test]
fn every_malformation_of_a_request_is_an_error() {
    let refusal = |bytes: &[u8]| TsRequest::parse(bytes).unwrap_err();
    let good = TsRequest {
        version: 6,
        nego_token: Some(vec![7; 200]),
        pub_key_auth: Some(vec![8; 300]),
        client_nonce: Some([9; 32]),
        ..TsRequest::default()
    }
    .write();
    for length in 0..good.len() {
        assert!(matches!(refusal(&good[..length]), CredSspError::Malformed(_)), "{length} bytes");
    }
    let longer = [&good[..], b"x"].concat();
    assert_eq!(refusal(&longer), CredSspError::Malformed(DerError::Trailing { at: good.len() }));
    assert_eq!(refusal(&vec![0x30; MAX_MESSAGE + 1]), CredSspError::TooLong(MAX_MESSAGE + 1));
    assert_eq!(refusal(&hex("30 05 a0 03 0201ff")), CredSspError::Field("version"));
    assert_eq!(refusal(&hex("30 0a a0 03 020106 a5 03 040109")), CredSspError::Field("clientNonce"));
    // Fields in another order, a field twice, and one that nobody knows.
    for bytes in [
        "30 0f a0 03 020106 a3 03 040101 a2 03 040101",
        "30 0f a0 03 020106 a2 03 040101 a2 03 040101",
        "30 0a a0 03 020106 a6 03 040101",
        "30 05 a1 03 040101",
        "30 00",
        "04 05 a0 03 020106",
    ] {
        assert!(matches!(refusal(&hex(bytes)), CredSspError::Malformed(_)), "{bytes}");
    }
}

#[test]
fn credentials_are_written_as_the_specification_has_them() {
    let credentials = Credentials::parse(r"D\u", "pw").unwrap();
    let bytes = hex("30 1f a0 03 020101 a1 18 0416 3014 a0 04 0402 4400 a1 04 0402 7500 a2 06 0404 70007700");
    assert_eq!(*write_password(&credentials), bytes);
    assert_eq!(parse_password(&bytes), Ok(credentials));
    let plain = Credentials::parse("üser@realm", PASSWORD).unwrap();
    assert_eq!(parse_password(&write_password(&plain)), Ok(plain));
}

#[test]
fn other_credentials_than_passwords_are_refused() {
    let refusal = |bytes: &str| parse_password(&hex(bytes)).unwrap_err();
    assert_eq!(refusal("30 09 a0 03 020102 a1 02 0400"), CredSspError::CredentialType(2));
    let odd = "30 1e a0 03 020101 a1 17 0415 3013 a0 03 0401 44 a1 04 0402 7500 a2 06 0404 70007700";
    assert_eq!(refusal(odd), CredSspError::Field("domainName"));
    let surrogate = "30 1f a0 03 020101 a1 18 0416 3014 a0 04 0402 4400 a1 04 0402 00d8 a2 06 0404 70007700";
    assert_eq!(refusal(surrogate), CredSspError::Field("userName"));
    assert!(matches!(refusal("30 05 a0 03 020101"), CredSspError::Malformed(_)));
}

/// A server's settings; making a key takes its time.
fn acceptor_tls() -> AcceptorTls {
    static TLS: OnceLock<AcceptorTls> = OnceLock::new();
    TLS.get_or_init(|| own_tls(InnerTlsVersion::Tls12)).clone()
}

/// The key of somebody in between.
fn middle_tls() -> AcceptorTls {
    static TLS: OnceLock<AcceptorTls> = OnceLock::new();
    TLS.get_or_init(|| own_tls(InnerTlsVersion::Tls12)).clone()
}

fn own_tls(version: InnerTlsVersion) -> AcceptorTls {
    AcceptorTls::self_signed("host", Duration::from_secs(1_700_000_000), version).unwrap()
}

fn initiator(password: &str, version: InnerTlsVersion) -> CredSspInitiator {
    let credentials = Credentials::parse("alice", password).unwrap();
    let ntlm = NtlmInitiator::new(credentials.clone(), NtlmEntropy::new([3; 24], Duration::ZERO));
    let inner = SpnegoInitiator::new(vec![Box::new(ntlm)]);
    CredSspInitiator::new(InitiatorTls::new(version).unwrap(), inner, credentials, [4; 32])
}

fn spnego_acceptor() -> SpnegoAcceptor {
    let users = |user: &str, _: Option<&str>| (user == "alice").then(|| NtHash::from_password(&Secret::new(PASSWORD)));
    let identity = AcceptorIdentity::standalone("host");
    SpnegoAcceptor::new(vec![Box::new(NtlmAcceptor::new(identity, Arc::new(users), [5; 8], Duration::ZERO))])
}

fn acceptor(tls: &AcceptorTls) -> CredSspAcceptor {
    CredSspAcceptor::new(tls, spnego_acceptor()).unwrap()
}

/// How a conversation ended.
#[derive(Debug)]
enum End {
    Done(Box<(SecurityContext, SecurityContext)>),
    Client(#[expect(dead_code, reason = "seen by those who read of a failure")] Error),
    /// With what the client makes of the last word.
    Server(Error, Option<Error>),
}

/// `change` sees each token on its way: from the client if true.
fn converse(client: &mut dyn TokenMachine, server: &mut dyn TokenMachine, mut change: impl FnMut(bool, usize, &mut Vec<u8>)) -> End {
    let mut input = Vec::new();
    for leg in 0..20 {
        let (mut token, ours) = match client.step(&input) {
            Ok(Step::Continue(token)) => (token, None),
            Ok(Step::Done { token, context }) => (token.unwrap(), Some(context)),
            Err(error) => return End::Client(error),
        };
        change(true, leg, &mut token);
        match (server.step(&token), ours) {
            (Ok(Step::Continue(token)), None) => input = token,
            (Ok(Step::Done { token: None, context }), Some(ours)) => return End::Done(Box::new((ours, context))),
            (Ok(step), ours) => panic!("{step:?} {ours:?}"),
            (Err(error), _) => {
                let word = server.farewell().map(|word| client.step(&word).unwrap_err());
                return End::Server(error, word);
            }
        }
        change(false, leg, &mut input);
    }
    panic!("no end")
}

fn done(client: &mut dyn TokenMachine, server: &mut dyn TokenMachine) -> (SecurityContext, SecurityContext) {
    match converse(client, server, |_, _, _| {}) {
        End::Done(contexts) => *contexts,
        end => panic!("{end:?}"),
    }
}

#[test]
fn both_sides_agree_and_the_credentials_arrive() {
    for version in [InnerTlsVersion::Tls12, InnerTlsVersion::Tls10] {
        let mut client = initiator(PASSWORD, version);
        let mut server = acceptor(&own_tls(version));
        let (mut ours, mut theirs) = done(&mut client, &mut server);
        assert_eq!((client.version(), server.version()), (Some(6), Some(6)));
        assert_eq!((ours.mechanism, theirs.mechanism), (Mechanism::Ntlm, Mechanism::Ntlm));
        assert_eq!(theirs.peer.unwrap().user, "alice");
        assert_eq!(
            theirs.delegated_credentials.as_deref(),
            Some(&Credentials::parse("alice", PASSWORD).unwrap())
        );
        assert_eq!(ours.delegated_credentials, None);
        for length in [1, 15, 16, 17, 16_383, 16_384, 16_385, 100_000] {
            let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for _ in 0..2 {
                let mut sealed = ours.sealer.seal(&plain).unwrap();
                let opened = theirs.sealer.unseal_in_place(0, &mut sealed).unwrap();
                assert!(sealed[opened] == plain, "{length} bytes");
                std::mem::swap(&mut ours.sealer, &mut theirs.sealer);
            }
        }
        assert_eq!(client.step(b"x").unwrap_err(), Error::OutOfTurn);
        assert_eq!(server.step(b"x").unwrap_err(), Error::OutOfTurn);
    }
}

#[test]
fn a_wrong_password_is_told_by_the_server() {
    let mut server = acceptor(&acceptor_tls());
    let end = converse(&mut initiator("wrong", InnerTlsVersion::Tls12), &mut server, |_, _, _| {});
    let End::Server(Error::Ntlm(NtlmError::WrongPassword(_)), Some(Error::CredSsp(error))) = end else {
        panic!("{end:?}")
    };
    assert_eq!(error, CredSspError::Refused(NtStatus::LOGON_FAILURE));
    assert_eq!(
        error.to_string(),
        "the host refused: user name or password is wrong (STATUS_LOGON_FAILURE, 0xC000006D)"
    );
    assert!(error.hint().is_some());
}

#[test]
fn sides_with_another_tls_say_so() {
    let mut server = acceptor(&acceptor_tls());
    let end = converse(&mut initiator(PASSWORD, InnerTlsVersion::Tls10), &mut server, |_, _, _| {});
    let End::Server(Error::CredSsp(CredSspError::Tls(ours)), Some(Error::CredSsp(CredSspError::Tls(theirs)))) = end else {
        panic!("{end:?}")
    };
    assert_eq!(
        (ours.as_str(), theirs.as_str()),
        ("unsupported protocol", "tlsv1 alert protocol version")
    );
}

/// Ends both TLS connections and passes on what is in them: as somebody in between has to.
struct Middle {
    to_client: tls::InnerTls,
    to_server: tls::InnerTls,
}

impl Middle {
    fn new() -> Self {
        Self {
            to_client: middle_tls().accept().unwrap(),
            to_server: InitiatorTls::new(InnerTlsVersion::Tls12).unwrap().connect().unwrap(),
        }
    }

    /// Runs both handshakes. The client's first message, still sealed for us, is the result.
    fn handshakes(&mut self, client: &mut dyn TokenMachine, server: &mut dyn TokenMachine) -> Vec<u8> {
        let go_on = |machine: &mut dyn TokenMachine, token: &[u8]| match machine.step(token) {
            Ok(Step::Continue(token)) => token,
            other => panic!("{other:?}"),
        };
        let hello = go_on(client, &[]);
        let (flight, _) = self.to_client.handshake(&hello).unwrap();
        let finished = go_on(client, &flight);
        let (flight, complete) = self.to_client.handshake(&finished).unwrap();
        assert!(complete);
        let first = go_on(client, &flight);
        let (hello, _) = self.to_server.handshake(&[]).unwrap();
        let flight = go_on(server, &hello);
        let (finished, _) = self.to_server.handshake(&flight).unwrap();
        let flight = go_on(server, &finished);
        assert!(self.to_server.handshake(&flight).unwrap().1);
        first
    }

    fn read_client(&mut self, token: &[u8]) -> TsRequest {
        TsRequest::parse(&self.to_client.read(token).unwrap()).unwrap()
    }

    fn write_client(&mut self, message: &TsRequest) -> Vec<u8> {
        self.to_client.write(&message.write()).unwrap()
    }

    fn through_server(&mut self, server: &mut dyn TokenMachine, message: &TsRequest) -> Result<TsRequest, Error> {
        let token = self.to_server.write(&message.write()).unwrap();
        let answer = match server.step(&token)? {
            Step::Continue(answer) => answer,
            step @ Step::Done { .. } => panic!("{step:?}"),
        };
        Ok(TsRequest::parse(&self.to_server.read(&answer).unwrap()).unwrap())
    }
}

#[test]
fn somebody_in_between_with_a_key_of_his_own_is_found_by_the_server() {
    for version in 2..=6 {
        let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
        let mut server = acceptor(&acceptor_tls());
        let mut middle = Middle::new();
        let token = middle.handshakes(&mut client, &mut server);
        let mut message = middle.read_client(&token);
        message.version = version;
        let mut answer = middle.through_server(&mut server, &message).unwrap();
        answer.version = version;
        let Ok(Step::Continue(token)) = client.step(&middle.write_client(&answer)) else {
            panic!("version {version}")
        };
        let mut message = middle.read_client(&token);
        message.version = version;
        assert!(message.pub_key_auth.is_some() && message.auth_info.is_none());
        let error = middle.through_server(&mut server, &message).unwrap_err();
        assert_eq!(error, Error::CredSsp(CredSspError::KeyMismatch), "version {version}");
    }
}

#[test]
fn somebody_in_between_never_gets_the_credentials() {
    // He does not ask the server, but gives back what the client itself said, or something he made up.
    type Answer = fn(&TsRequest) -> TsRequest;
    let attempts: [(&str, Answer); 4] = [
        ("the client's own proof", |message| TsRequest {
            nego_token: None,
            ..message.clone()
        }),
        ("garbage", |message| TsRequest {
            version: 6,
            pub_key_auth: Some(vec![7; message.pub_key_auth.as_ref().unwrap().len()]),
            ..TsRequest::default()
        }),
        ("a proof of no length", |_| TsRequest {
            version: 6,
            pub_key_auth: Some(Vec::new()),
            ..TsRequest::default()
        }),
        ("no proof", |_| TsRequest {
            version: 6,
            ..TsRequest::default()
        }),
    ];
    for (name, answer) in attempts {
        let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
        let mut server = acceptor(&acceptor_tls());
        let mut middle = Middle::new();
        let token = middle.handshakes(&mut client, &mut server);
        let message = middle.read_client(&token);
        let challenge = middle.through_server(&mut server, &message).unwrap();
        let Ok(Step::Continue(token)) = client.step(&middle.write_client(&challenge)) else {
            panic!("{name}")
        };
        let proof = middle.read_client(&token);
        let error = client.step(&middle.write_client(&answer(&proof))).unwrap_err();
        assert!(
            matches!(error, Error::CredSsp(CredSspError::Proof(_) | CredSspError::Missing("pubKeyAuth"))),
            "{name}: {error:?}"
        );
        assert_eq!(
            client.step(&middle.write_client(&challenge)).unwrap_err(),
            Error::OutOfTurn,
            "{name}"
        );
    }
}

/// Plays a server that knows the password, over a TLS of its own, and lets `change` have its messages.
fn dishonest_server(client: &mut dyn TokenMachine, mut change: impl FnMut(usize, &mut TsRequest)) -> Result<Step, Error> {
    let mut server = acceptor(&acceptor_tls());
    let mut middle = Middle::new();
    let mut token = middle.handshakes(client, &mut server);
    for leg in 0.. {
        let message = middle.read_client(&token);
        let Ok(mut answer) = middle.through_server(&mut server, &message) else {
            // It found our key not to be its own.
            return Err(Error::OutOfTurn);
        };
        change(leg, &mut answer);
        match client.step(&middle.write_client(&answer))? {
            Step::Continue(next) => token = next,
            step @ Step::Done { .. } => return Ok(step),
        }
    }
    unreachable!()
}

/// A server of SPNEGO's first days, which has NTLM only and signs no list; it proves `key`, or its own.
fn unsigning_server(client: &mut CredSspInitiator, key: Option<&[u8]>) -> Result<Step, Error> {
    let users = |_: &str, _: Option<&str>| Some(NtHash::from_password(&Secret::new(PASSWORD)));
    let mut ntlm = NtlmAcceptor::new(AcceptorIdentity::standalone("host"), Arc::new(users), [5; 8], Duration::ZERO);
    let mut middle = Middle::new();
    let token = middle.handshakes(client, &mut acceptor(&acceptor_tls()));
    let (init, list) = InitToken::parse(&middle.read_client(&token).nego_token.unwrap()).unwrap();
    let Ok(Step::Continue(challenge)) = ntlm.step(&init.token.unwrap()) else {
        panic!()
    };
    let answer = ResponseToken {
        state: Some(NegotiationState::AcceptIncomplete),
        mechanism: Some(Mechanism::Ntlm.object_identifier().to_vec()),
        token: Some(challenge),
        mic: None,
    };
    let answer = TsRequest {
        version: 6,
        nego_token: Some(answer.write()),
        ..TsRequest::default()
    };
    let Ok(Step::Continue(token)) = client.step(&middle.write_client(&answer)) else {
        panic!()
    };
    let message = middle.read_client(&token);
    let last = ResponseToken::parse(&message.nego_token.unwrap()).unwrap();
    let Ok(Step::Done { mut context, .. }) = ntlm.step(&last.token.unwrap()) else {
        panic!()
    };
    context.sealer.verify_mechanism_list(&list, &last.mic.unwrap()).unwrap();
    context.sealer.unseal(&mut message.pub_key_auth.unwrap()).unwrap();
    let tls = middle_tls();
    let value = proof::proof(proof::Side::Server, key.unwrap_or(tls.public_key()), message.client_nonce.as_ref());
    let answer = TsRequest {
        version: 6,
        pub_key_auth: Some(context.sealer.seal(&value).unwrap()),
        ..TsRequest::default()
    };
    client.step(&middle.write_client(&answer))
}

#[test]
fn a_server_need_not_sign_the_choice_where_there_was_none() {
    let step = unsigning_server(&mut initiator(PASSWORD, InnerTlsVersion::Tls12), None);
    assert!(matches!(step, Ok(Step::Done { token: Some(_), .. })), "{step:?}");
    // The password goes to nobody else, even if he knows it.
    let step = unsigning_server(&mut initiator(PASSWORD, InnerTlsVersion::Tls12), Some(b"another key"));
    assert_eq!(step.unwrap_err(), Error::CredSsp(CredSspError::KeyMismatch));
}

#[test]
fn versions_below_the_minimum_are_refused() {
    for (version, minimum, accepted) in [
        (2, 2, true),
        (4, 5, false),
        (5, 5, true),
        (5, 6, false),
        (6, 6, true),
        (9, 6, true),
        (1, 2, false),
    ] {
        let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12).minimum_version(minimum);
        let error = dishonest_server(&mut client, |_, answer| answer.version = version).unwrap_err();
        let expected = match (accepted, version) {
            (true, _) => Error::OutOfTurn,
            (false, 1) => Error::CredSsp(CredSspError::Field("version")),
            (false, peer) => Error::CredSsp(CredSspError::VersionTooOld { peer, minimum }),
        };
        assert_eq!(error, expected, "{version} with a minimum of {minimum}");

        let mut middle = Middle::new();
        let mut server = acceptor(&acceptor_tls()).minimum_version(minimum);
        let token = middle.handshakes(&mut initiator(PASSWORD, InnerTlsVersion::Tls12), &mut server);
        let mut message = middle.read_client(&token);
        message.version = version;
        let outcome = middle.through_server(&mut server, &message);
        assert_eq!(outcome.is_ok(), accepted, "{version} with a minimum of {minimum}: {outcome:?}");
    }
}

#[test]
fn a_version_may_not_change_on_the_way() {
    let mut server = acceptor(&acceptor_tls());
    let mut middle = Middle::new();
    let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
    let token = middle.handshakes(&mut client, &mut server);
    let message = middle.read_client(&token);
    let answer = middle.through_server(&mut server, &message).unwrap();
    let Ok(Step::Continue(token)) = client.step(&middle.write_client(&answer)) else {
        panic!()
    };
    let mut message = middle.read_client(&token);
    message.version = 4;
    let error = middle.through_server(&mut server, &message).unwrap_err();
    assert_eq!(error, Error::CredSsp(CredSspError::VersionChanged { from: 6, to: 4 }));
}

#[test]
fn a_server_of_version_5_or_later_wants_a_nonce() {
    let mut server = acceptor(&acceptor_tls());
    let mut middle = Middle::new();
    let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
    let token = middle.handshakes(&mut client, &mut server);
    let message = middle.read_client(&token);
    let answer = middle.through_server(&mut server, &message).unwrap();
    let Ok(Step::Continue(token)) = client.step(&middle.write_client(&answer)) else {
        panic!()
    };
    let mut message = middle.read_client(&token);
    message.client_nonce = None;
    let error = middle.through_server(&mut server, &message).unwrap_err();
    assert_eq!(error, Error::CredSsp(CredSspError::Missing("clientNonce")));
}

#[test]
fn a_refusal_by_the_server_is_a_sentence() {
    for (code, words) in [
        (0xC000_0193, "the account has expired"),
        (0xC000_0234, "the account is locked"),
        (0xC000_0071, "the password has expired"),
        (0x1234, "status 0x00001234"),
    ] {
        let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
        let error = dishonest_server(&mut client, |_, answer| answer.error_code = Some(code)).unwrap_err();
        let Error::CredSsp(error @ CredSspError::Refused(_)) = error else {
            panic!("{error:?}")
        };
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_disturbed_or_truncated_token_ends_the_conversation() {
    let legs = {
        let mut count = 0;
        converse(
            &mut initiator(PASSWORD, InnerTlsVersion::Tls12),
            &mut acceptor(&acceptor_tls()),
            |_, leg, _| count = leg,
        );
        count + 1
    };
    assert_eq!(legs, 5);
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("a bit", |token| {
            let last = token.len() - 1;
            token[last] ^= 1;
        }),
        ("the last byte", |token| {
            token.pop();
        }),
        ("everything", Vec::clear),
        ("TLS itself", |token| *token = b"\x30\x05\xa0\x03\x02\x01\x06".to_vec()),
    ];
    for (name, disturb) in changes {
        for at in 0..2 * legs - 1 {
            let (from_client, leg) = (at % 2 == 0, at / 2);
            let mut client = initiator(PASSWORD, InnerTlsVersion::Tls12);
            let mut server = acceptor(&acceptor_tls());
            let end = converse(&mut client, &mut server, |client, number, token| {
                if (client, number) == (from_client, leg) {
                    disturb(token);
                }
            });
            assert!(!matches!(end, End::Done(_)), "{name} of token {at}");
        }
    }
}

#[test]
fn tokens_of_another_conversation_are_worthless() {
    let recorded = {
        let mut tokens = Vec::new();
        let mut record = |client: bool, _: usize, token: &mut Vec<u8>| {
            if client {
                tokens.push(token.clone());
            }
        };
        converse(
            &mut initiator(PASSWORD, InnerTlsVersion::Tls12),
            &mut acceptor(&acceptor_tls()),
            &mut record,
        );
        tokens
    };
    let mut server = acceptor(&acceptor_tls());
    let outcomes: Vec<bool> = recorded.iter().map(|token| server.step(token).is_ok()).collect();
    assert_eq!(
        outcomes,
        [true, false, false, false, false],
        "the second hello is not answered as the first was"
    );
}

#[test]
fn what_is_sealed_cannot_be_changed_repeated_or_left_out() {
    let contexts = || done(&mut initiator(PASSWORD, InnerTlsVersion::Tls12), &mut acceptor(&acceptor_tls()));
    let (mut ours, mut theirs) = contexts();
    let sealed = ours.sealer.seal(b"payload").unwrap();
    theirs.sealer.unseal_in_place(0, &mut sealed.clone()).unwrap();
    assert!(matches!(
        theirs.sealer.unseal_in_place(0, &mut sealed.clone()),
        Err(SealError::Tls(_))
    ));
    assert_eq!(theirs.sealer.unseal_in_place(0, &mut sealed.clone()), Err(SealError::Broken));

    let (mut ours, mut theirs) = contexts();
    let mut sealed = ours.sealer.seal(b"payload").unwrap();
    sealed[10] ^= 1;
    assert!(matches!(theirs.sealer.unseal_in_place(0, &mut sealed), Err(SealError::Tls(_))));

    let (mut ours, mut theirs) = contexts();
    ours.sealer.seal(b"lost").unwrap();
    let mut sealed = ours.sealer.seal(b"payload").unwrap();
    assert!(matches!(theirs.sealer.unseal_in_place(0, &mut sealed), Err(SealError::Tls(_))));

    let (mut ours, mut theirs) = contexts();
    let mut cut = ours.sealer.seal(b"payload").unwrap();
    cut.pop();
    assert_eq!(theirs.sealer.unseal_in_place(0, &mut cut), Err(SealError::Empty));
    assert!(matches!(
        ours.sealer.unseal_in_place(0, &mut b"clear text".to_vec()),
        Err(SealError::Tls(_))
    ));
    assert_eq!(contexts().0.sealer.seal(b""), Ok(Vec::new()));
    assert_eq!(contexts().0.sealer.layout(1), Err(SealError::Records));
    assert!(matches!(contexts().0.sealer.sign(b"x"), Err(SealError::NotNegotiated(_))));
}

#[test]
fn bodies_are_cut_into_records() {
    const SOAP: &str = "application/soap+xml;charset=UTF-8";
    let (mut ours, mut theirs) = done(&mut initiator(PASSWORD, InnerTlsVersion::Tls12), &mut acceptor(&acceptor_tls()));
    for length in [1, 16_384, 16_385, 40_000, 512_000] {
        let plain: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
        let content_type = Protocol::CredSsp.content_type_for(length);
        assert_eq!(content_type.starts_with("multipart/x-multi-encrypted;"), length > 16_384);
        let mut body = sealed_body::seal(&mut ours.sealer, Protocol::CredSsp, SOAP, &plain).unwrap();
        let (_, parts) = sealed_body::parse(content_type, &body).unwrap();
        assert_eq!(parts.len(), length.div_ceil(16_384));
        assert!(parts.iter().all(|part| part.signature == 16 && part.length <= 16_384), "{parts:?}");
        let opened = sealed_body::open(&mut theirs.sealer, content_type, &mut body, length).unwrap();
        assert_eq!((opened.protocol, opened.original_type.as_str()), (Protocol::CredSsp, SOAP));
        assert!(body[opened.plain] == plain, "{length} bytes");
    }
    let mut body = sealed_body::seal(&mut ours.sealer, Protocol::CredSsp, SOAP, b"12345").unwrap();
    let at = body.windows(8).position(|window| window == b"Length=5").unwrap();
    body[at + 7] = b'4';
    let outcome = sealed_body::open(&mut theirs.sealer, Protocol::CredSsp.content_type(), &mut body, 100);
    assert_eq!(outcome, Err(SealedBodyError::Length { stated: 4, found: 5 }));
    let refused = sealed_body::seal(&mut ours.sealer, Protocol::CredSsp, SOAP, b"");
    assert_eq!(refused, Err(SealError::Empty));
}

proptest! {
    #[test]
    fn requests_read_back(
        version in 2_u32..=6,
        nego_token in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        auth_info in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        pub_key_auth in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        error_code in proptest::option::of(any::<u32>()),
        client_nonce in proptest::option::of(any::<[u8; 32]>()),
    ) {
        let request = TsRequest { version, nego_token, auth_info, pub_key_auth, error_code, client_nonce };
        prop_assert_eq!(TsRequest::parse(&request.write()), Ok(request));
    }

    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = TsRequest::parse(&bytes);
        let _ = parse_password(&bytes);
    }

    #[test]
    fn credentials_read_back(domain in "\\PC{0,20}", user in "\\PC{1,20}", password in "\\PC{0,40}") {
        let credentials = Credentials { user, domain: Some(domain).filter(|domain| !domain.is_empty()), password: Secret::new(password) };
        prop_assert_eq!(parse_password(&write_password(&credentials)), Ok(credentials));
    }
}
