//! NTLM and SPNEGO against independent programs: pyspnego's own code, and MIT's SPNEGO with gss-ntlmssp.

mod support;

use support::{BODIES, Failure, PASSWORD, Peer, Setup, USER, accept, acceptor, assert_seals, binding, initiate, initiator};
use winrm_auth::ntlm::{MicPolicy, NtlmError};
use winrm_auth::sealed_body::{Protocol, open, seal};
use winrm_auth::spnego::{SpnegoAcceptor, SpnegoInitiator};
use winrm_auth::{ChannelBinding, ChannelBindingPolicy, Error, TokenMachine};

const PROVIDERS: [&str; 2] = ["python", "gssapi"];
const PROTOCOLS: [&str; 2] = ["ntlm", "negotiate"];

fn our_initiator(protocol: &str, user: &str, password: &str, binding: Option<&ChannelBinding>) -> Box<dyn TokenMachine> {
    let ntlm = initiator(user, password, binding);
    if protocol == "ntlm" {
        Box::new(ntlm)
    } else {
        Box::new(SpnegoInitiator::new(vec![Box::new(ntlm)]))
    }
}

/// As a service has it: raw NTLM and SPNEGO are told apart by the token.
fn our_acceptor(provider: &str, policy: ChannelBindingPolicy) -> SpnegoAcceptor {
    // gss-ntlmssp sends integrity codes inside SPNEGO only.
    let mic = if provider == "python" {
        MicPolicy::Required
    } else {
        MicPolicy::IfAnnounced
    };
    SpnegoAcceptor::new(vec![Box::new(acceptor(policy).mic(mic))])
}

#[test]
fn we_initiate_and_seal() {
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let Some(mut peer) = Peer::start(&Setup::new("accept", protocol, provider)) else {
                continue;
            };
            let mut ours = our_initiator(protocol, USER, PASSWORD, None);
            let mut context = initiate(&mut *ours, &mut peer).unwrap_or_else(|failure| panic!("{provider} {protocol}: {failure:?}"));
            assert_eq!(peer.name(), USER, "{provider} {protocol}");
            assert_seals(&mut context, &mut peer);
        }
    }
}

#[test]
fn we_accept_and_seal() {
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let Some(mut peer) = Peer::start(&Setup::new("initiate", protocol, provider)) else {
                continue;
            };
            let mut ours = our_acceptor(provider, ChannelBindingPolicy::Ignore);
            let mut context = accept(&mut ours, &mut peer).unwrap_or_else(|failure| panic!("{provider} {protocol}: {failure:?}"));
            let name = context.peer.as_ref().unwrap().to_string();
            assert_eq!(name, USER, "{provider} {protocol}");
            assert_seals(&mut context, &mut peer);
        }
    }
}

#[test]
fn a_principal_name_stays_whole() {
    let mut setup = Setup::new("initiate", "ntlm", "python");
    setup.user = "alice@domain.example".to_owned();
    let Some(mut peer) = Peer::start(&setup) else { return };
    let context = accept(&mut our_acceptor("python", ChannelBindingPolicy::Ignore), &mut peer).unwrap();
    assert_eq!(context.peer.unwrap().to_string(), "alice@domain.example");

    setup.role = "accept";
    let Some(mut peer) = Peer::start(&setup) else { return };
    initiate(&mut initiator("alice@domain.example", PASSWORD, None), &mut peer).unwrap();
    assert_eq!(peer.name(), "alice@domain.example");
}

#[test]
fn a_wrong_password_is_refused_by_both_sides() {
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let Some(mut peer) = Peer::start(&Setup::new("accept", protocol, provider)) else {
                continue;
            };
            let mut ours = our_initiator(protocol, USER, "wrong", None);
            match initiate(&mut *ours, &mut peer) {
                Err(Failure::Theirs(_)) => {}
                other => panic!("{provider} {protocol}: {other:?}"),
            }
            let mut setup = Setup::new("initiate", protocol, provider);
            setup.password = "wrong".to_owned();
            let Some(mut peer) = Peer::start(&setup) else { continue };
            match accept(&mut our_acceptor(provider, ChannelBindingPolicy::Ignore), &mut peer) {
                Err(Failure::Ours(Error::Ntlm(NtlmError::WrongPassword(user)))) => assert_eq!(user, "alice"),
                other => panic!("{provider} {protocol}: {other:?}"),
            }
        }
    }
}

#[test]
fn our_channel_binding_is_checked_by_the_peer() {
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let mut setup = Setup::new("accept", protocol, provider);
            setup.binding = Some(binding("right"));
            let attempt = |sent: Option<ChannelBinding>| {
                let mut peer = Peer::start(&setup)?;
                Some(initiate(&mut *our_initiator(protocol, USER, PASSWORD, sent.as_ref()), &mut peer))
            };
            let Some(right) = attempt(Some(binding("right"))) else { continue };
            let context = right.unwrap_or_else(|failure| panic!("{provider} {protocol}: {failure:?}"));
            assert!(context.channel_bound);
            let wrong = attempt(Some(binding("wrong")));
            assert!(matches!(wrong, Some(Err(Failure::Theirs(_)))), "{provider} {protocol}: {wrong:?}");
            let missing = attempt(None);
            // gss-ntlmssp takes clients without a binding, pyspnego refuses them.
            match (provider, missing) {
                ("python", Some(Err(Failure::Theirs(_)))) | ("gssapi", Some(Ok(_))) => {}
                (_, missing) => panic!("{provider} {protocol}: {missing:?}"),
            }
        }
    }
}

#[test]
fn the_channel_binding_of_the_peer_is_checked_by_us() {
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let attempt = |sent: Option<ChannelBinding>, policy: ChannelBindingPolicy| {
                let mut setup = Setup::new("initiate", protocol, provider);
                setup.binding = sent;
                let mut peer = Peer::start(&setup)?;
                let result = accept(&mut our_acceptor(provider, policy), &mut peer);
                Some(result.map(|context| context.channel_bound).map_err(|failure| match failure {
                    Failure::Ours(Error::Ntlm(error)) => error,
                    other => panic!("{provider} {protocol}: {other:?}"),
                }))
            };
            let required = || ChannelBindingPolicy::Required(binding("right"));
            let if_present = || ChannelBindingPolicy::IfPresent(binding("right"));
            let Some(right) = attempt(Some(binding("right")), required()) else {
                continue;
            };
            assert_eq!(right, Ok(true), "{provider} {protocol}");
            let wrong = attempt(Some(binding("wrong")), if_present());
            assert_eq!(wrong, Some(Err(NtlmError::BindingMismatch)), "{provider} {protocol}");
            assert_eq!(
                attempt(None, required()),
                Some(Err(NtlmError::BindingMissing)),
                "{provider} {protocol}"
            );
            assert_eq!(attempt(None, if_present()), Some(Ok(false)), "{provider} {protocol}");
        }
    }
}

#[test]
fn a_disturbed_message_is_refused_by_the_peer() {
    let Some(mut peer) = Peer::start(&Setup::new("accept", "negotiate", "python")) else {
        return;
    };
    let mut ours = our_initiator("negotiate", USER, PASSWORD, None);
    let mut context = initiate(&mut *ours, &mut peer).unwrap();
    let mut message = context.sealer.seal(b"payload").unwrap();
    message[20] ^= 1;
    let refused = peer.unwrap(&message[..16], &message[16..]).unwrap_err();
    assert!(refused.starts_with("BadMICError"), "{refused}");
}

#[test]
fn bodies_of_pypsrp_and_ours() {
    const SOAP: &str = "application/soap+xml;charset=UTF-8";
    for protocol in PROTOCOLS {
        let Some(mut peer) = Peer::start(&Setup::new("initiate", protocol, "python")) else {
            continue;
        };
        let mut context = accept(&mut our_acceptor("python", ChannelBindingPolicy::Ignore), &mut peer).unwrap();
        for length in BODIES {
            // XML, because pypsrp looks for the boundary instead of counting.
            let plain = format!("<s:Envelope>{}</s:Envelope>", "é".repeat(length / 2)).into_bytes();
            let (content_type, mut body) = peer.seal_body(&plain);
            let opened = open(&mut context.sealer, &content_type, &mut body, plain.len()).unwrap();
            assert_eq!(opened.protocol, Protocol::Spnego);
            assert_eq!(opened.original_type, SOAP);
            assert!(body[opened.plain] == plain, "{length} bytes from pypsrp");

            let body = seal(&mut context.sealer, Protocol::Spnego, SOAP, &plain).unwrap();
            assert!(peer.open_body(&body).unwrap() == plain, "{length} bytes to pypsrp");
        }
    }
}
