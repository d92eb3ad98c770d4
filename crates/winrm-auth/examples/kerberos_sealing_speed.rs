//! How fast Kerberos messages are sealed and opened: both sides in one process.
//!
//! Needs a ticket in the default cache and the key table of `HTTP/localhost`
//! (`KRB5CCNAME`, `KRB5_KTNAME`): `cargo run --release -p winrm-auth --example kerberos_sealing_speed`

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use winrm_auth::kerberos::{KerberosInitiator, KerberosService, KerberosTarget, Tickets};
use winrm_auth::{ChannelBindingPolicy, Step, TokenMachine};

fn main() -> Result<(), Box<dyn Error>> {
    let mut client = KerberosInitiator::new(KerberosTarget::new("localhost"), Tickets::Default);
    let mut server = KerberosService::open(None)?.acceptor(ChannelBindingPolicy::Ignore);
    let Step::Continue(token) = client.step(&[])? else {
        return Err("no first token".into());
    };
    let Step::Done {
        token: Some(answer),
        context: mut accepted,
    } = server.step(&token)?
    else {
        return Err("no answer".into());
    };
    let Step::Done {
        context: mut initiated, ..
    } = client.step(&answer)?
    else {
        return Err("no end".into());
    };

    println!("{:>10} {:>12} {:>12}", "bytes", "seal MB/s", "open MB/s");
    for length in [1_000, 10_000, 100_000, 1_000_000, 10_000_000_usize] {
        let rounds = (500_000_000 / length).clamp(10, 100_000);
        let layout = initiated.sealer.layout(length)?;
        let mut message = vec![0x41; layout.signature + length + layout.padding];
        let (mut seal, mut open) = (0.0, 0.0);
        for _ in 0..rounds {
            let start = Instant::now();
            let (signature, rest) = message.split_at_mut(layout.signature);
            let (data, padding) = rest.split_at_mut(length);
            initiated.sealer.seal_in_place(signature, data, padding)?;
            seal += start.elapsed().as_secs_f64();
            let start = Instant::now();
            accepted.sealer.unseal_in_place(layout.signature, &mut message)?;
            open += start.elapsed().as_secs_f64();
        }
        let megabytes = (rounds * length) as f64 / 1e6;
        println!("{length:>10} {:>12.0} {:>12.0}", megabytes / seal, megabytes / open);
    }
    Ok(())
}
