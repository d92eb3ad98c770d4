//! How fast messages are sealed and opened, whole HTTP bodies included, and how long an authentication takes.
//!
//! `cargo xtask bench sealing`. The limit is 300 MB/s for NTLM.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmInitiator};
use winrm_auth::sealed_body::{Protocol, open, seal};
use winrm_auth::{Credentials, Sealer, Secret, Step, TokenMachine};

const ROUNDS: usize = 9;

fn main() {
    for length in [1_000, 5_000, 150_000, 5_000_000] {
        let (mut ours, mut theirs) = authenticate();
        let payload = vec![b'x'; length];
        let repeat = 40_000_000 / length;
        let mut sealing = Duration::MAX;
        let mut opening = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let bodies: Vec<Vec<u8>> = (0..repeat)
                .filter_map(|_| seal(&mut ours, Protocol::Spnego, "application/soap+xml", &payload).ok())
                .collect();
            sealing = sealing.min(start.elapsed());
            let start = Instant::now();
            for mut body in bodies {
                let opened = open(&mut theirs, Protocol::Spnego.content_type(), &mut body, length);
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
    let start = Instant::now();
    for _ in 0..1000 {
        black_box(authenticate());
    }
    println!("both sides of an authentication: {:.1} µs", start.elapsed().as_secs_f64() * 1e3);
}

fn authenticate() -> (Sealer, Sealer) {
    let credentials = Credentials {
        user: "user".to_owned(),
        domain: None,
        password: Secret::new("pw"),
    };
    let mut client = NtlmInitiator::new(credentials, NtlmEntropy::new([3; 24], Duration::ZERO));
    let hash = NtHash::from_password(&Secret::new("pw"));
    let users = move |_: &str, _: Option<&str>| Some(hash.clone());
    let identity = AcceptorIdentity::standalone("host");
    let mut server = NtlmAcceptor::new(identity, Arc::new(users), [5; 8], Duration::ZERO);
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
