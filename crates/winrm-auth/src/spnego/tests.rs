use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::mechanism::{Error, SecurityContext, Step, TokenMachine};
use crate::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmError, NtlmInitiator};
use crate::{Credentials, Secret};

/// NTLM under the name of Kerberos, to have a second mechanism.
struct Disguised<M>(M);

impl<M: TokenMachine> TokenMachine for Disguised<M> {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        self.0.step(input)
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Kerberos
    }
}

/// Kerberos without a ticket.
struct NoTicket;

impl TokenMachine for NoTicket {
    fn step(&mut self, _: &[u8]) -> Result<Step, Error> {
        Err(Error::OutOfTurn)
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Kerberos
    }
}

fn ntlm_initiator(password: &str) -> NtlmInitiator {
    let credentials = Credentials::parse("user", password).unwrap();
    NtlmInitiator::new(credentials, NtlmEntropy::new([3; 24], Duration::ZERO))
}

fn ntlm_acceptor() -> NtlmAcceptor {
    let users = |_: &str, _: Option<&str>| Some(NtHash::from_password(&Secret::new("pw")));
    NtlmAcceptor::new(AcceptorIdentity::standalone("host"), Arc::new(users), [5; 8], Duration::ZERO)
}

fn client(names: &[Mechanism]) -> SpnegoInitiator {
    SpnegoInitiator::new(
        names
            .iter()
            .map(|name| -> Box<dyn TokenMachine> {
                match name {
                    Mechanism::Ntlm => Box::new(ntlm_initiator("pw")),
                    Mechanism::Kerberos => Box::new(Disguised(ntlm_initiator("pw"))),
                }
            })
            .collect(),
    )
}

fn server(names: &[Mechanism]) -> SpnegoAcceptor {
    SpnegoAcceptor::new(
        names
            .iter()
            .map(|name| -> Box<dyn TokenMachine> {
                match name {
                    Mechanism::Ntlm => Box::new(ntlm_acceptor()),
                    Mechanism::Kerberos => Box::new(Disguised(ntlm_acceptor())),
                }
            })
            .collect(),
    )
}

/// Every token of a conversation goes through `change`, with its number.
fn converse(
    client: &mut dyn TokenMachine,
    server: &mut dyn TokenMachine,
    change: &mut dyn FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Result<(SecurityContext, SecurityContext, Vec<Vec<u8>>), Error> {
    let (mut ours, mut theirs) = (None, None);
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut input = Vec::new();
    let mut from_client = false;
    while ours.is_none() || theirs.is_none() {
        from_client = !from_client;
        let (machine, result): (&mut dyn TokenMachine, _) = if from_client {
            (&mut *client, &mut ours)
        } else {
            (&mut *server, &mut theirs)
        };
        let token = match machine.step(&input)? {
            Step::Continue(token) => token,
            Step::Done { token, context } => {
                *result = Some(context);
                token.unwrap_or_default()
            }
        };
        if !token.is_empty() {
            input = change(tokens.len(), token);
            tokens.push(input.clone());
        }
    }
    Ok((ours.unwrap(), theirs.unwrap(), tokens))
}

fn undisturbed(_: usize, token: Vec<u8>) -> Vec<u8> {
    token
}

#[track_caller]
fn assert_same_keys(ours: &mut SecurityContext, theirs: &mut SecurityContext) {
    let mut message = ours.sealer.seal(b"hello").unwrap();
    let range = theirs.sealer.unseal_in_place(16, &mut message).unwrap();
    assert_eq!(&message[range], b"hello");
    let mut message = theirs.sealer.seal(b"you").unwrap();
    let range = ours.sealer.unseal_in_place(16, &mut message).unwrap();
    assert_eq!(&message[range], b"you");
}

#[test]
fn each_choice_of_mechanisms() {
    use Mechanism::{Kerberos, Ntlm};
    for (offered, known, chosen, tokens) in [
        (&[Ntlm][..], &[Ntlm][..], Ntlm, 4),
        (&[Ntlm], &[Kerberos, Ntlm], Ntlm, 4),
        (&[Kerberos, Ntlm], &[Kerberos, Ntlm], Kerberos, 4),
        (&[Kerberos, Ntlm], &[Ntlm], Ntlm, 6),
        (&[Ntlm, Kerberos], &[Kerberos], Kerberos, 6),
    ] {
        let (mut client, mut server) = (client(offered), server(known));
        let (mut ours, mut theirs, conversation) = converse(&mut client, &mut server, &mut undisturbed).unwrap();
        assert_eq!((client.mechanism(), server.mechanism()), (chosen, chosen));
        assert_eq!(conversation.len(), tokens, "{offered:?} to {known:?}");
        assert_eq!(theirs.peer.as_ref().unwrap().user, "user");
        assert_same_keys(&mut ours, &mut theirs);
    }
}

#[test]
fn ntlm_is_always_signed_and_another_choice_too() {
    use Mechanism::{Kerberos, Ntlm};
    for (offered, known, signed) in [
        (&[Ntlm][..], &[Ntlm][..], true),
        (&[Kerberos, Ntlm], &[Ntlm], true),
        (&[Kerberos], &[Kerberos], false),
    ] {
        let (.., tokens) = converse(&mut client(offered), &mut server(known), &mut undisturbed).unwrap();
        let mics: Vec<bool> = tokens[1..]
            .iter()
            .map(|token| ResponseToken::parse(token).unwrap().mic.is_some())
            .collect();
        let (before, last) = mics.split_at(mics.len() - 2);
        assert_eq!(last, [signed, signed]);
        assert!(!before.contains(&true));
    }
}

/// [MS-SPNG] 3.3.5.1, and seen of pyspnego and gss-ntlmssp: the key stream starts over, the numbers go on.
#[test]
fn messages_after_the_signature_of_the_list() {
    let first = |mut client: Box<dyn TokenMachine>| {
        let (mut ours, ..) = converse(&mut *client, &mut server(&[Mechanism::Ntlm]), &mut undisturbed).unwrap();
        ours.sealer.seal(b"hello").unwrap()
    };
    let raw = first(Box::new(ntlm_initiator("pw")));
    let after_signature = first(Box::new(client(&[Mechanism::Ntlm])));
    assert_eq!((raw[12], after_signature[12]), (0, 1));
    assert_eq!(raw[16..], after_signature[16..]);
}

#[test]
fn a_mechanism_that_can_not_begin_is_left_out_and_reported() {
    let mut initiator = SpnegoInitiator::new(vec![Box::new(NoTicket), Box::new(ntlm_initiator("pw"))]);
    let (mut ours, mut theirs, tokens) = converse(
        &mut initiator,
        &mut server(&[Mechanism::Kerberos, Mechanism::Ntlm]),
        &mut undisturbed,
    )
    .unwrap();
    assert_eq!(initiator.skipped(), [(Mechanism::Kerberos, Error::OutOfTurn)]);
    let (init, _) = InitToken::parse(&tokens[0]).unwrap();
    assert_eq!(init.mechanisms, [Mechanism::Ntlm.object_identifier()]);
    assert_same_keys(&mut ours, &mut theirs);

    let mut alone = SpnegoInitiator::new(vec![Box::new(NoTicket)]);
    assert_eq!(alone.step(&[]).unwrap_err(), Error::OutOfTurn);
    let mut none = SpnegoInitiator::new(vec![Box::new(NoTicket), Box::new(NoTicket)]);
    assert_eq!(none.step(&[]).unwrap_err(), SpnegoError::NoCommonMechanism.into());
    let mut empty = SpnegoInitiator::new(Vec::new());
    assert_eq!(empty.step(&[]).unwrap_err(), SpnegoError::NoCommonMechanism.into());
}

#[test]
fn raw_ntlm_is_answered_raw() {
    let (mut ours, mut theirs, tokens) = converse(&mut ntlm_initiator("pw"), &mut server(&[Mechanism::Ntlm]), &mut undisturbed).unwrap();
    assert!(tokens[1].starts_with(b"NTLMSSP\0\x02"));
    assert_eq!(tokens.len(), 3);
    assert_same_keys(&mut ours, &mut theirs);
}

#[test]
fn the_identifier_of_windows_2000_is_returned_as_it_was_sent() {
    let windows = vec![0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
    let Step::Continue(token) = ntlm_initiator("pw").step(&[]).unwrap() else {
        panic!()
    };
    let init = InitToken {
        mechanisms: vec![windows.clone()],
        token: Some(token),
        mic: None,
    };
    let Step::Continue(reply) = server(&[Mechanism::Kerberos]).step(&init.write()).unwrap() else {
        panic!()
    };
    assert_eq!(ResponseToken::parse(&reply).unwrap().mechanism, Some(windows));
}

#[test]
fn a_list_from_which_the_better_mechanism_was_taken_is_noticed() {
    let mut downgrade = |number: usize, token: Vec<u8>| {
        if number != 0 {
            return token;
        }
        let (mut init, _) = InitToken::parse(&token).unwrap();
        init.mechanisms.remove(0);
        init.token = None;
        init.write()
    };
    let names = [Mechanism::Kerberos, Mechanism::Ntlm];
    let error = converse(&mut client(&names), &mut server(&names), &mut downgrade).unwrap_err();
    assert_eq!(error, SpnegoError::WrongMic(SealError::Checksum).into());
}

#[test]
fn signatures_that_are_wrong_or_missing() {
    let attempt = |number: usize, change: fn(&mut ResponseToken)| {
        let mut change_one = |at: usize, token: Vec<u8>| {
            if at != number {
                return token;
            }
            let mut message = ResponseToken::parse(&token).unwrap();
            change(&mut message);
            message.write()
        };
        let names = [Mechanism::Ntlm];
        converse(&mut client(&names), &mut server(&names), &mut change_one).map(drop)
    };
    let wrong = Err(SpnegoError::WrongMic(SealError::Checksum).into());
    assert_eq!(attempt(2, |m| m.mic.as_mut().unwrap()[5] ^= 1), wrong, "the client's");
    assert_eq!(attempt(3, |m| m.mic.as_mut().unwrap()[5] ^= 1), wrong, "the server's");
    assert_eq!(attempt(3, |m| m.mic = None), Err(SpnegoError::MicMissing.into()));
    assert_eq!(
        attempt(2, |m| m.mic = None),
        Err(SpnegoError::MicMissing.into()),
        "the server signs none then"
    );
    assert_eq!(
        attempt(3, |m| m.state = Some(NegotiationState::Reject)),
        Err(SpnegoError::Rejected.into())
    );
    assert_eq!(
        attempt(1, |m| m.state = Some(NegotiationState::AcceptCompleted)),
        Err(SpnegoError::Incomplete(Mechanism::Ntlm).into())
    );
    assert_eq!(
        attempt(1, |m| m.token = None),
        Err(SpnegoError::TokenMissing(Mechanism::Ntlm).into())
    );
    assert_eq!(
        attempt(2, |m| m.token = None),
        Err(SpnegoError::TokenMissing(Mechanism::Ntlm).into())
    );
    assert_eq!(
        attempt(3, |m| m.token = Some(vec![1])),
        Err(SpnegoError::ExtraToken(Mechanism::Ntlm).into())
    );
    assert_eq!(
        attempt(1, |m| m.mechanism = Some(Mechanism::Kerberos.object_identifier().to_vec())),
        Err(SpnegoError::NotOffered.into())
    );
    assert_eq!(attempt(1, |m| m.mechanism = Some(vec![1, 2])), Err(SpnegoError::NotOffered.into()));
}

#[test]
fn a_second_choice_needs_both_signatures() {
    let strip = |number: usize| {
        let mut change = move |at: usize, token: Vec<u8>| {
            if at != number {
                return token;
            }
            let mut message = ResponseToken::parse(&token).unwrap();
            message.mic = None;
            message.write()
        };
        let mut initiator = client(&[Mechanism::Kerberos, Mechanism::Ntlm]);
        converse(&mut initiator, &mut server(&[Mechanism::Ntlm]), &mut change).map(drop)
    };
    // The server waits for it, but the client has nothing left to say.
    assert_eq!(strip(4), Err(SpnegoError::Incomplete(Mechanism::Ntlm).into()));
    assert_eq!(strip(5), Err(SpnegoError::MicMissing.into()));
}

#[test]
fn nothing_in_common() {
    let error = converse(
        &mut client(&[Mechanism::Kerberos]),
        &mut server(&[Mechanism::Ntlm]),
        &mut undisturbed,
    );
    assert_eq!(error.unwrap_err(), SpnegoError::NoCommonMechanism.into());
}

#[test]
fn a_refusal_of_the_mechanism_comes_through() {
    let mut initiator = SpnegoInitiator::new(vec![Box::new(ntlm_initiator("wrong"))]);
    let error = converse(&mut initiator, &mut server(&[Mechanism::Ntlm]), &mut undisturbed).unwrap_err();
    assert_eq!(error, NtlmError::WrongPassword("user".to_owned()).into());
}

#[test]
fn tokens_that_are_no_tokens() {
    let refused = |token: &[u8]| match server(&[Mechanism::Ntlm]).step(token) {
        Err(Error::Spnego(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(b""), SpnegoError::UnknownToken);
    assert_eq!(refused(b"hello"), SpnegoError::UnknownToken);
    assert_eq!(refused(&[0x60, 4, 0x06, 2, 1, 2]), SpnegoError::UnknownToken);
    assert_eq!(refused(&[0x60, 5, 0x06]), DerError::Truncated { at: 0 }.into());
    assert_eq!(refused(&vec![0x60; MAX_TOKEN + 1]), SpnegoError::TooLong(MAX_TOKEN + 1));
    let mut kerberos = vec![0x60, 11, 0x06, 9];
    kerberos.extend_from_slice(Mechanism::Kerberos.object_identifier());
    assert_eq!(refused(&kerberos), SpnegoError::NoCommonMechanism);
    let bad_state = [0xa1, 7, 0x30, 5, 0xa0, 3, 0x0a, 1, 9];
    assert_eq!(ResponseToken::parse(&bad_state), Err(SpnegoError::UnknownValue("negState")));
    assert_eq!(client(&[Mechanism::Ntlm]).step(b"x").unwrap_err(), Error::OutOfTurn);
}

#[test]
fn hints_of_the_server_are_read_over() {
    // [MS-SPNG] 2.2.1: [3] with a sequence of hints.
    let hints = [0xa3, 6, 0x30, 4, 0xa0, 2, 0x1b, 0];
    let list = [0xa0, 4, 0x30, 2, 0x06, 0];
    let fields: Vec<u8> = [&[0x30, 14][..], &list, &hints].concat();
    let choice: Vec<u8> = [&[0xa0, 16][..], &fields].concat();
    let token: Vec<u8> = [&[0x60, 26, 0x06, 6, 0x2b, 6, 1, 5, 5, 2][..], &choice].concat();
    let (init, signed) = InitToken::parse(&token).unwrap();
    assert_eq!(
        init,
        InitToken {
            mechanisms: vec![Vec::new()],
            token: None,
            mic: None
        }
    );
    assert_eq!(signed, list[2..]);
}

#[test]
fn every_truncation_is_refused() {
    let names = [Mechanism::Ntlm];
    let (.., tokens) = converse(&mut client(&names), &mut server(&names), &mut undisturbed).unwrap();
    for (number, token) in tokens.iter().enumerate() {
        for length in 0..token.len() {
            let mut cut = |at: usize, token: Vec<u8>| {
                if at == number { token[..length].to_vec() } else { token }
            };
            let result = converse(&mut client(&names), &mut server(&names), &mut cut);
            // The server was done before its last token was cut; that the client wasn't is seen by its next step.
            assert!(result.is_err(), "token {number} cut to {length}");
        }
    }
}

proptest! {
    #[test]
    fn first_tokens_read_back(
        mechanisms in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..4),
        token in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..300)),
        mic in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..20)),
    ) {
        let message = InitToken { mechanisms, token, mic };
        let (read, list) = InitToken::parse(&message.write()).unwrap();
        prop_assert_eq!(list, message.list_bytes());
        prop_assert_eq!(read, message);
    }

    #[test]
    fn later_tokens_read_back(
        state in proptest::option::of(prop_oneof![
            Just(NegotiationState::AcceptCompleted), Just(NegotiationState::AcceptIncomplete),
            Just(NegotiationState::Reject), Just(NegotiationState::RequestMic),
        ]),
        mechanism in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12)),
        token in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..300)),
        mic in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..20)),
    ) {
        let message = ResponseToken { state, mechanism, token, mic };
        prop_assert_eq!(ResponseToken::parse(&message.write()).unwrap(), message);
    }

    #[test]
    fn no_bytes_panic(start in proptest::sample::select(vec![&[0x60_u8, 20, 6, 6, 0x2b, 6, 1, 5, 5, 2][..], &[0xa1], b"NTLMSSP\0", b""]), rest in proptest::collection::vec(any::<u8>(), 0..60)) {
        let token = [start, &rest].concat();
        if server(&[Mechanism::Ntlm]).step(&token).is_ok() {
            prop_assert!(start.len() > 1);
        }
        let mut initiator = client(&[Mechanism::Ntlm]);
        initiator.step(&[]).unwrap();
        prop_assert!(initiator.step(&token).is_err());
    }
}
