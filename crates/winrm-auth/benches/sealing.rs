//! How fast messages are sealed and opened, whole HTTP bodies included, and how long an authentication takes.
//!
//! `cargo xtask bench sealing`. The limit is 300 MB/s for NTLM, and for CredSSP.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use winrm_auth::credssp::{AcceptorTls, CredSspAcceptor, CredSspInitiator, InitiatorTls, InnerTlsVersion};
use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmInitiator};
use winrm_auth::sealed_body::{Protocol, open, seal};
use winrm_auth::spnego::{SpnegoAcceptor, SpnegoInitiator};
use winrm_auth::{Credentials, Sealer, Secret, Step, TokenMachine};

const ROUNDS: usize = 9;

fn main() {
    println!("NTLM");
    bodies(Protocol::Spnego, authenticate);
    println!("CredSSP");
    bodies(Protocol::CredSsp, || delegate(&TLS));
    authentications("NTLM", authenticate);
    authentications("CredSSP with NTLM inside", || delegate(&TLS));
}

fn authentications(name: &str, authenticate: impl Fn() -> (Sealer, Sealer)) {
    let start = Instant::now();
    for _ in 0..500 {
        black_box(authenticate());
    }
    println!(
        "both sides of an authentication with {name}: {:.1} µs",
        start.elapsed().as_secs_f64() * 1e6 / 500.0
    );
}

fn bodies(protocol: Protocol, authenticate: impl Fn() -> (Sealer, Sealer)) {
    for length in [1_000, 5_000, 150_000, 5_000_000] {
        let (mut ours, mut theirs) = authenticate();
        let payload = vec![b'x'; length];
        let repeat = 40_000_000 / length;
        let mut sealing = Duration::MAX;
        let mut opening = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let bodies: Vec<Vec<u8>> = (0..repeat)
                .filter_map(|_| seal(&mut ours, protocol, "application/soap+xml", &payload).ok())
                .collect();
            sealing = sealing.min(start.elapsed());
            let start = Instant::now();
            for mut body in bodies {
                let opened = open(&mut theirs, protocol.content_type_for(length), &mut body, length);
                assert!(black_box(opened).is_ok());
            }
            opening = opening.min(start.elapsed());
        }
        let rate = |time: Duration| (length * repeat) as f64 / time.as_secs_f64() / 1e6;
        println!(
            "bodies of {length:>9} bytes: sealed {:>4.0} MB/s, opened {:>4.0} MB/s",
            rate(sealing),
            rate(opening)
        );
    }
}

static TLS: LazyLock<(InitiatorTls, AcceptorTls)> = LazyLock::new(|| {
    let version = InnerTlsVersion::Tls12;
    let server = AcceptorTls::self_signed("host", Duration::from_secs(1_700_000_000), version);
    match (InitiatorTls::new(version), server) {
        (Ok(client), Ok(server)) => (client, server),
        other => panic!("{other:?}"),
    }
});

fn credentials() -> Credentials {
    Credentials {
        user: "user".to_owned(),
        domain: None,
        password: Secret::new("pw"),
    }
}

fn ntlm() -> (NtlmInitiator, NtlmAcceptor) {
    let client = NtlmInitiator::new(credentials(), NtlmEntropy::new([3; 24], Duration::ZERO));
    let hash = NtHash::from_password(&Secret::new("pw"));
    let users = move |_: &str, _: Option<&str>| Some(hash.clone());
    let identity = AcceptorIdentity::standalone("host");
    (client, NtlmAcceptor::new(identity, Arc::new(users), [5; 8], Duration::ZERO))
}

fn authenticate() -> (Sealer, Sealer) {
    let (mut client, mut server) = ntlm();
    converse(&mut client, &mut server)
}

fn delegate((ours, theirs): &(InitiatorTls, AcceptorTls)) -> (Sealer, Sealer) {
    let (client, server) = ntlm();
    let inner = SpnegoInitiator::new(vec![Box::new(client)]);
    let mut client = CredSspInitiator::new(ours.clone(), inner, credentials(), [7; 32]);
    match CredSspAcceptor::new(theirs, SpnegoAcceptor::new(vec![Box::new(server)])) {
        Ok(mut server) => converse(&mut client, &mut server),
        Err(error) => panic!("{error}"),
    }
}

fn converse(client: &mut dyn TokenMachine, server: &mut dyn TokenMachine) -> (Sealer, Sealer) {
    let mut input = Vec::new();
    loop {
        let (token, ours) = match client.step(&input) {
            Ok(Step::Continue(token)) => (token, None),
            Ok(Step::Done {
                token: Some(token),
                context,
            }) => (token, Some(context.sealer)),
            other => panic!("{other:?}"),
        };
        match (server.step(&token), ours) {
            (Ok(Step::Continue(token)), None) => input = token,
            (Ok(Step::Done { context, .. }), Some(ours)) => return (ours, context.sealer),
            other => panic!("{other:?}"),
        }
    }
}
