//! The vectors of [MS-NLMP] 4.2.4, and both sides against each other, undisturbed and attacked.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::crypto::{Direction, Key, sealing_key, signing_key, utf16};
use super::*;
use crate::mechanism::{ChannelBindingPolicy, Error, Peer, SecurityContext, Step, TokenMachine};
use crate::{ChannelBinding, Credentials, SealError, Secret};

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A nonce of 0xaa and a session key of 0x55, as the vectors have them.
fn entropy() -> NtlmEntropy {
    let mut random = [0x55; 24];
    random[..8].fill(0xaa);
    NtlmEntropy::new(random, NOW)
}

fn initiator(name: &str, password: &str) -> NtlmInitiator {
    NtlmInitiator::new(Credentials::parse(name, password).unwrap(), entropy())
}

fn acceptor() -> NtlmAcceptor {
    let users = |user: &str, domain: Option<&str>| match (user, domain) {
        ("User", Some("Domain") | None) | ("user@domain.example", None) => Some(NtHash::from_password(&Secret::new("Password"))),
        _ => None,
    };
    NtlmAcceptor::new(
        AcceptorIdentity::standalone("server.example"),
        Arc::new(users),
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
        NOW,
    )
}

#[track_caller]
fn go_on(step: Result<Step, Error>) -> Vec<u8> {
    match step.unwrap() {
        Step::Continue(token) => token,
        Step::Done { .. } => panic!("done too early"),
    }
}

#[track_caller]
fn done(step: Result<Step, Error>) -> (Option<Vec<u8>>, SecurityContext) {
    match step.unwrap() {
        Step::Done { token, context } => (token, context),
        Step::Continue(_) => panic!("not done"),
    }
}

#[track_caller]
fn refusal(step: Result<Step, Error>) -> NtlmError {
    match step {
        Err(Error::Ntlm(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Runs both sides up to the last message.
fn last_message(client: &mut NtlmInitiator, server: &mut NtlmAcceptor) -> (Vec<u8>, SecurityContext) {
    let negotiate = go_on(client.step(&[]));
    let challenge = go_on(server.step(&negotiate));
    let (token, context) = done(client.step(&challenge));
    (token.unwrap(), context)
}

fn pair() -> (SecurityContext, SecurityContext) {
    let (mut client, mut server) = (initiator("Domain\\User", "Password"), acceptor());
    let (token, ours) = last_message(&mut client, &mut server);
    (ours, done(server.step(&token)).1)
}

/// The challenge of [MS-NLMP] 4.2.4.3, as far as it goes into the response.
fn challenge_of_the_vectors() -> ChallengeMessage {
    let mut target_info = AvPairs::default();
    target_info.set_text(AvId::NbDomainName, "Domain");
    target_info.set_text(AvId::NbComputerName, "Server");
    ChallengeMessage {
        flags: 0xe28a_8233,
        target_name: "Server".to_owned(),
        server_challenge: [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
        target_info,
    }
}

#[test]
fn vectors_of_the_keys() {
    let key = NtHash::from_password(&Secret::new("Password")).response_key("User", "Domain");
    assert_eq!(key.to_vec(), hex("0c868a403bfd7a93a3001ef22ef02e3f"), "4.2.4.1.1");
    let session_key = Key::new([0x55; 16]);
    assert_eq!(
        sealing_key(&session_key, Direction::ToServer).to_vec(),
        hex("59f600973cc4960a25480a7c196e4c58")
    );
    assert_eq!(
        signing_key(&session_key, Direction::ToServer).to_vec(),
        hex("4788dc861b4782f35d43fd98fe1a2d39")
    );
}

#[test]
fn vectors_of_the_response_and_of_a_sealed_message() {
    // The vectors' time is zero, which they put into the response as the client's.
    let mut random = [0x55; 24];
    random[..8].fill(0xaa);
    let mut zero = NtlmEntropy::new(random, Duration::ZERO);
    zero.set_now(0);
    let mut client = NtlmInitiator::new(Credentials::parse("Domain\\User", "Password").unwrap(), zero).workstation("COMPUTER");
    go_on(client.step(&[]));
    let (token, mut context) = done(client.step(&challenge_of_the_vectors().write().unwrap()));
    let message = AuthenticateMessage::parse(&token.unwrap()).unwrap();
    assert_eq!(message.nt_response[..16], hex("68cd0ab851e51c96aabc927bebef6a1c"), "4.2.4.2.2");
    assert_eq!(message.encrypted_session_key, hex("c5dad2544fc9799094ce1ce90bc9d03e"), "4.2.4.2.3");
    assert_eq!(message.lm_response, [0; 24]);
    assert_eq!(message.workstation, "COMPUTER");
    let sealed = context.sealer.seal(&hex("50006c00610069006e007400650078007400")).unwrap();
    assert_eq!(
        sealed,
        hex("01000000 7fb38ec5c55d4976 00000000 54e50165bf1936dc996020c1811b0f06fb5f"),
        "4.2.4.4"
    );
}

#[test]
fn the_first_message_is_the_one_of_the_protocol_notes() {
    let token = go_on(initiator("u", "p").step(&[]));
    assert_eq!(token.len(), 40);
    assert_eq!(token[12..16], 0xe208_8237_u32.to_le_bytes());
    assert_eq!(token[32..], [10, 0, 0, 0, 0, 0, 0, 15]);
}

#[test]
fn both_sides_agree() {
    for (name, user, domain) in [
        ("Domain\\User", "User", Some("Domain")),
        ("User", "User", None),
        ("user@domain.example", "user@domain.example", None),
    ] {
        let (mut client, mut server) = (initiator(name, "Password"), acceptor().mic(MicPolicy::Required));
        let (token, mut ours) = last_message(&mut client, &mut server);
        let (none, mut theirs) = done(server.step(&token));
        assert_eq!(none, None);
        assert_eq!(
            theirs.peer,
            Some(Peer {
                user: user.to_owned(),
                domain: domain.map(str::to_owned)
            })
        );
        for length in [0, 1, 10, 59, 60, 61, 5000, 70_000] {
            let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for _ in 0..2 {
                let (from, to) = (&mut ours, &mut theirs);
                let mut sealed = from.sealer.seal(&plain).unwrap();
                let range = to.sealer.unseal_in_place(16, &mut sealed).unwrap();
                assert_eq!(sealed[range], plain);
                let signature = from.sealer.sign(&plain).unwrap();
                to.sealer.verify(&plain, &signature).unwrap();
                std::mem::swap(&mut ours, &mut theirs);
            }
        }
    }
}

#[test]
fn what_the_client_adds_to_the_attributes() {
    let binding = ChannelBinding::from_application_data(b"tls-server-end-point:x".to_vec());
    let mut client = initiator("User", "Password")
        .target_name("http/server")
        .channel_binding(binding.clone());
    let (token, context) = last_message(&mut client, &mut acceptor());
    assert!(context.channel_bound);
    let message = AuthenticateMessage::parse(&token).unwrap();
    let response = NtlmV2Response::parse(&message.nt_response).unwrap();
    assert_eq!(response.attributes.flags(), AvPairs::FLAG_MIC);
    assert_eq!(response.attributes.value(AvId::ChannelBindings), Some(&binding.md5()[..]));
    assert_eq!(response.attributes.value(AvId::TargetName), Some(utf16("http/server").as_slice()));
    assert_eq!(response.timestamp, filetime(NOW));

    let (token, context) = last_message(&mut initiator("User", "Password"), &mut acceptor());
    assert!(!context.channel_bound);
    let response = AuthenticateMessage::parse(&token).unwrap().nt_response;
    let attributes = NtlmV2Response::parse(&response).unwrap().attributes;
    assert_eq!(attributes.value(AvId::ChannelBindings), None, "not even zeroes");
}

#[test]
fn wrong_users_and_passwords() {
    for (name, password, reason) in [
        ("Domain\\User", "password", NtlmError::WrongPassword("User".to_owned())),
        ("Domain\\User", "", NtlmError::WrongPassword("User".to_owned())),
        ("Other\\User", "Password", NtlmError::UnknownUser("User".to_owned())),
        ("nobody", "Password", NtlmError::UnknownUser("nobody".to_owned())),
    ] {
        let (mut client, mut server) = (initiator(name, password), acceptor());
        let (token, _) = last_message(&mut client, &mut server);
        assert_eq!(refusal(server.step(&token)), reason, "{name}");
        assert_eq!(server.step(&token).unwrap_err(), Error::OutOfTurn);
    }
}

#[test]
fn channel_binding_policies() {
    let right = ChannelBinding::from_application_data(b"tls-server-end-point:right".to_vec());
    let wrong = ChannelBinding::from_application_data(b"tls-server-end-point:wrong".to_vec());
    let attempt = |sent: Option<&ChannelBinding>, policy: ChannelBindingPolicy| {
        let mut client = initiator("User", "Password");
        if let Some(sent) = sent {
            client = client.channel_binding(sent.clone());
        }
        let mut server = acceptor().channel_binding(policy);
        let (token, _) = last_message(&mut client, &mut server);
        server.step(&token).map(|step| done(Ok(step)).1.channel_bound)
    };
    let if_present = || ChannelBindingPolicy::IfPresent(right.clone());
    let required = || ChannelBindingPolicy::Required(right.clone());
    assert_eq!(attempt(Some(&right), if_present()), Ok(true));
    assert_eq!(attempt(Some(&right), required()), Ok(true));
    assert_eq!(attempt(None, if_present()), Ok(false));
    assert_eq!(attempt(None, required()), Err(NtlmError::BindingMissing.into()));
    assert_eq!(attempt(Some(&wrong), if_present()), Err(NtlmError::BindingMismatch.into()));
    assert_eq!(attempt(Some(&wrong), required()), Err(NtlmError::BindingMismatch.into()));
    assert_eq!(attempt(Some(&wrong), ChannelBindingPolicy::Ignore), Ok(false));
}

/// Changes the parsed last message and writes it anew.
fn forged(change: impl FnOnce(&mut AuthenticateMessage)) -> NtlmError {
    let (mut client, mut server) = (initiator("Domain\\User", "Password"), acceptor());
    let (token, _) = last_message(&mut client, &mut server);
    let mut message = AuthenticateMessage::parse(&token).unwrap();
    change(&mut message);
    refusal(server.step(&message.write().unwrap()))
}

#[test]
fn forged_last_messages() {
    let wrong_password = || NtlmError::WrongPassword("User".to_owned());
    // Lets anyone into servers that don't compare the proof.
    assert_eq!(
        forged(|m| {
            m.nt_response[..16].fill(0);
            m.mic = None;
        }),
        wrong_password()
    );
    assert_eq!(forged(|m| m.mic = None), NtlmError::MicMissing);
    assert_eq!(forged(|m| m.mic = Some([0; 16])), NtlmError::WrongMic);
    assert_eq!(forged(|m| m.workstation = "ELSEWHERE".to_owned()), NtlmError::WrongMic);
    assert_eq!(forged(|m| m.flags &= !flags::KEY_EXCHANGE), NtlmError::WrongMic);
    assert_eq!(forged(|m| m.flags &= !flags::SEAL), NtlmError::NotNegotiated("message encryption"));
    assert_eq!(forged(|m| m.flags &= !flags::SIGN), NtlmError::NotNegotiated("message signatures"));
    assert_eq!(forged(|m| m.flags &= !flags::KEY_128), NtlmError::NotNegotiated("128-bit keys"));
    assert_eq!(forged(|m| m.encrypted_session_key[0] ^= 1), NtlmError::WrongMic);
    assert_eq!(
        forged(|m| m.encrypted_session_key.clear()),
        NtlmError::NotNegotiated("a session key of 16 bytes")
    );
    // The statement that there is an integrity code is under the proof.
    assert_eq!(
        forged(|m| {
            let mut response = NtlmV2Response::parse(&m.nt_response).unwrap();
            response.attributes.remove(AvId::Flags);
            m.nt_response = [&response.proof[..], &response.write_covered().unwrap()].concat();
            m.mic = None;
        }),
        wrong_password()
    );
}

#[test]
fn lm_ntlm1_and_anonymous_are_refused() {
    assert_eq!(forged(|m| m.nt_response.truncate(24)), NtlmError::NotNtlmV2);
    assert_eq!(forged(|m| m.nt_response.clear()), NtlmError::NotNtlmV2);
    assert_eq!(forged(|m| m.flags |= flags::ANONYMOUS), NtlmError::Anonymous);
    assert_eq!(
        forged(|m| {
            m.user.clear();
            m.nt_response.clear();
            m.lm_response = vec![0];
        }),
        NtlmError::Anonymous
    );
}

#[test]
fn a_replayed_response_is_worth_nothing() {
    let (mut client, mut server) = (initiator("Domain\\User", "Password"), acceptor());
    let (token, _) = last_message(&mut client, &mut server);
    done(server.step(&token));
    let users = |_: &str, _: Option<&str>| Some(NtHash::from_password(&Secret::new("Password")));
    let mut other = NtlmAcceptor::new(AcceptorIdentity::standalone("server.example"), Arc::new(users), [9; 8], NOW);
    go_on(other.step(&go_on(initiator("User", "").step(&[]))));
    assert_eq!(refusal(other.step(&token)), NtlmError::WrongPassword("User".to_owned()));
}

#[test]
fn clients_without_an_integrity_code() {
    let without_code = |policy| {
        let mut server = acceptor().mic(policy);
        let mut client = initiator("Domain\\User", "Password");
        let challenge = go_on(server.step(&go_on(client.step(&[]))));
        // A client that doesn't know of the code behaves as one that sees no time.
        let mut challenge = ChallengeMessage::parse(&challenge).unwrap();
        challenge.target_info.remove(AvId::Timestamp);
        let (token, _) = done(client.step(&challenge.write().unwrap()));
        let token = token.unwrap();
        assert_eq!(AuthenticateMessage::parse(&token).unwrap().mic, None);
        server.step(&token).map(|step| done(Ok(step)).1.peer.unwrap().user)
    };
    assert_eq!(without_code(MicPolicy::IfAnnounced), Ok("User".to_owned()));
    assert_eq!(without_code(MicPolicy::Required), Err(NtlmError::MicMissing.into()));
}

#[test]
fn weak_challenges_are_refused() {
    let answer = |change: &dyn Fn(&mut ChallengeMessage)| {
        let mut challenge = challenge_of_the_vectors();
        change(&mut challenge);
        let mut client = initiator("Domain\\User", "Password");
        go_on(client.step(&[]));
        refusal(client.step(&challenge.write().unwrap()))
    };
    for (flag, name) in [
        (flags::UNICODE, "Unicode"),
        (flags::EXTENDED_SESSION_SECURITY, "extended session security"),
        (flags::SIGN, "message signatures"),
        (flags::SEAL, "message encryption"),
        (flags::KEY_128, "128-bit keys"),
        (flags::KEY_EXCHANGE, "key exchange"),
    ] {
        assert_eq!(answer(&|c| c.flags &= !flag), NtlmError::NotNegotiated(name));
    }
    assert_eq!(answer(&|c| c.target_info = AvPairs::default()), NtlmError::NoTargetInfo);
}

#[test]
fn weak_offers_are_refused() {
    for (flag, name) in [
        (flags::UNICODE, "Unicode"),
        (flags::EXTENDED_SESSION_SECURITY, "extended session security"),
        (flags::KEY_128, "128-bit keys"),
    ] {
        let token = NegotiateMessage {
            flags: 0xe208_8237 & !flag,
        }
        .write();
        assert_eq!(refusal(acceptor().step(&token)), NtlmError::NotNegotiated(name));
    }
}

#[test]
fn sealed_messages_that_are_disturbed() {
    let sealed = |plain: &[u8]| {
        let (mut ours, theirs) = pair();
        (ours.sealer.seal(plain).unwrap(), ours, theirs)
    };
    for byte in 0..16 + 100 {
        let (mut message, _, mut theirs) = sealed(&[7; 100]);
        message[byte] ^= 0x10;
        let error = theirs.sealer.unseal_in_place(16, &mut message).unwrap_err();
        let expected = match byte {
            0..4 => matches!(error, SealError::Version(_)),
            12..16 => matches!(error, SealError::Sequence { expected: 0, .. }),
            _ => error == SealError::Checksum,
        };
        assert!(expected, "byte {byte}: {error}");
        assert_eq!(theirs.sealer.unseal_in_place(16, &mut message), Err(SealError::Broken));
    }
    let (mut first, mut ours, mut theirs) = sealed(b"first");
    let mut second = ours.sealer.seal(b"second").unwrap();
    assert_eq!(
        theirs.sealer.unseal_in_place(16, &mut second),
        Err(SealError::Sequence { expected: 0, found: 1 }),
        "changed order"
    );
    let (_, _, mut theirs) = sealed(b"first");
    let mut again = first.clone();
    theirs.sealer.unseal_in_place(16, &mut first).unwrap();
    assert_eq!(
        theirs.sealer.unseal_in_place(16, &mut again),
        Err(SealError::Sequence { expected: 1, found: 0 }),
        "replay"
    );
    let (message, mut ours, mut theirs) = sealed(b"reflected");
    assert_eq!(ours.sealer.unseal_in_place(16, &mut message.clone()), Err(SealError::Checksum));
    assert_eq!(
        theirs.sealer.unseal_in_place(15, &mut message.clone()),
        Err(SealError::Length { expected: 16, found: 15 })
    );
    assert_eq!(
        theirs.sealer.unseal_in_place(1000, &mut message.clone()),
        Err(SealError::Length { expected: 1000, found: 25 })
    );
}

#[test]
fn truncated_messages_are_refused_at_every_byte() {
    let mut client = initiator("Domain\\User", "Password").target_name("http/server");
    let negotiate = go_on(client.step(&[]));
    let challenge = go_on(acceptor().step(&negotiate));
    let token = done(client.step(&challenge)).0.unwrap();
    for length in 0..16 {
        assert!(NegotiateMessage::parse(&negotiate[..length]).is_err(), "{length}");
    }
    for length in 0..challenge.len() {
        let mut client = initiator("Domain\\User", "Password");
        go_on(client.step(&[]));
        assert!(
            matches!(refusal(client.step(&challenge[..length])), NtlmError::Malformed(_)),
            "{length}"
        );
    }
    for length in 0..token.len() {
        let mut server = acceptor();
        go_on(server.step(&negotiate));
        assert!(
            matches!(refusal(server.step(&token[..length])), NtlmError::Malformed(_)),
            "{length}"
        );
    }
}

#[test]
fn malformed_messages_name_the_field() {
    let field = |bytes: &[u8]| {
        let Malformed { message, field, at } = ChallengeMessage::parse(bytes).unwrap_err();
        (message, field, at)
    };
    let good = challenge_of_the_vectors().write().unwrap();
    assert_eq!(field(b"NTLMSSX\0\x02\0\0\0"), ("CHALLENGE", "the signature", 0));
    assert_eq!(field(b"NTLMSSP\0\x03\0\0\0"), ("CHALLENGE", "the message type", 8));
    assert_eq!(field(&good[..22]), ("CHALLENGE", "the flags", 20));
    assert_eq!(field(&[0; 0x1_0000]), ("CHALLENGE", "the length", 0xffff));
    let mut bytes = good.clone();
    bytes[16] = 0xff;
    assert_eq!(field(&bytes), ("CHALLENGE", "the target name", 12));
    let mut bytes = good.clone();
    bytes[56..58].copy_from_slice(&[0, 0xd8]);
    assert_eq!(field(&bytes), ("CHALLENGE", "the target name", 56), "half a surrogate pair");
    let mut bytes = good.clone();
    bytes[70] = 0x40;
    assert_eq!(
        field(&bytes),
        ("CHALLENGE", "target information", 68),
        "an attribute that goes on too long"
    );
    let mut bytes = good;
    bytes[84] = 2;
    assert_eq!(field(&bytes), ("CHALLENGE", "target information", 84), "an attribute twice");
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let mut client = initiator(&"u".repeat(0x8000), "p");
    go_on(client.step(&[]));
    let challenge = challenge_of_the_vectors().write().unwrap();
    assert_eq!(refusal(client.step(&challenge)), NtlmError::TooLong("user name"));
}

#[test]
fn tokens_out_of_turn() {
    assert_eq!(initiator("u", "p").step(b"early").unwrap_err(), Error::OutOfTurn);
    let (mut client, mut server) = (initiator("User", "Password"), acceptor());
    let (token, _) = last_message(&mut client, &mut server);
    assert_eq!(client.step(&token).unwrap_err(), Error::OutOfTurn);
    done(server.step(&token));
    assert_eq!(server.step(&token).unwrap_err(), Error::OutOfTurn);
}

fn any_av_pairs() -> impl Strategy<Value = AvPairs> {
    let pair = prop_oneof![
        "\\PC{0,12}".prop_map(|text| (AvId::NbComputerName, utf16(&text).to_vec())),
        any::<[u8; 4]>().prop_map(|value| (AvId::Flags, value.to_vec())),
        any::<[u8; 8]>().prop_map(|value| (AvId::Timestamp, value.to_vec())),
        any::<[u8; 16]>().prop_map(|value| (AvId::ChannelBindings, value.to_vec())),
        (11_u16.., proptest::collection::vec(any::<u8>(), 0..30)).prop_map(|(id, value)| (AvId::Other(id), value)),
    ];
    proptest::collection::vec(pair, 1..6).prop_map(|list| {
        let mut pairs = AvPairs::default();
        for (id, value) in list {
            pairs.set(id, value);
        }
        pairs
    })
}

proptest! {
    #[test]
    fn challenges_read_back(flags: u32, target_name in "\\PC{0,12}", server_challenge: [u8; 8], target_info in any_av_pairs()) {
        let flags = flags | flags::VERSION | flags::TARGET_INFO | flags::UNICODE | flags::REQUEST_TARGET;
        let message = ChallengeMessage { flags, target_name, server_challenge, target_info };
        prop_assert_eq!(ChallengeMessage::parse(&message.write().unwrap()).unwrap(), message);
    }

    #[test]
    fn last_messages_read_back(
        flags: u32, lm_response: [u8; 24], nt_response in proptest::collection::vec(any::<u8>(), 0..200),
        domain in "\\PC{0,12}", user in "\\PC{0,12}", workstation in "\\PC{0,12}",
        encrypted_session_key: [u8; 16], mic: Option<[u8; 16]>,
    ) {
        let message = AuthenticateMessage {
            flags: flags | flags::VERSION | flags::UNICODE,
            lm_response: lm_response.to_vec(), nt_response, domain, user, workstation,
            encrypted_session_key: encrypted_session_key.to_vec(), mic,
        };
        prop_assert_eq!(AuthenticateMessage::parse(&message.write().unwrap()).unwrap(), message);
    }

    #[test]
    fn responses_read_back(proof: [u8; 16], timestamp: u64, client_challenge: [u8; 8], attributes in any_av_pairs()) {
        let response = NtlmV2Response { proof, timestamp, client_challenge, attributes };
        let bytes = [&proof[..], &response.write_covered().unwrap()].concat();
        prop_assert_eq!(NtlmV2Response::parse(&bytes).unwrap(), response);
    }

    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (mut client, mut server) = (initiator("Domain\\User", "Password"), acceptor());
        let (mut token, _) = last_message(&mut client, &mut server);
        let at = at.index(token.len());
        token[at] ^= flip;
        prop_assert!(server.step(&token).is_err(), "byte {}", at);
    }

    #[test]
    fn no_bytes_panic(kind in 1_u8..4, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let token = [&b"NTLMSSP\0"[..], &[kind, 0, 0, 0], &rest].concat();
        let mut client = initiator("u", "p");
        go_on(client.step(&[]));
        prop_assert!(client.step(&token).is_err());
        let mut server = acceptor();
        if server.step(&token).is_ok() {
            prop_assert!(server.step(&token).is_err());
        }
        let _ = AuthenticateMessage::parse(&token);
        let _ = NtlmV2Response::parse(&rest);
    }
}
