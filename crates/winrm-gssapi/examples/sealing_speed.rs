//! How fast the library seals and opens messages: both sides in one process.
//!
//! Needs a ticket in the default cache and the key table of `HTTP/localhost`
//! (`KRB5CCNAME`, `KRB5_KTNAME`): `cargo run --release -p winrm-gssapi --example sealing_speed`

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use winrm_gssapi::{AcceptContext, Credential, CredentialStore, Flags, InitContext, Library, Mechanism, Name, Usage};

fn main() -> Result<(), Box<dyn Error>> {
    let library = Library::load()?;
    let store = CredentialStore::new();
    let credential = |usage| Credential::acquire(library, None, usage, Mechanism::Krb5, &store).map(Arc::new);
    let target = Name::service(library, "HTTP", "localhost")?;
    let mut client = InitContext::new(library, target, Mechanism::Krb5)
        .credential(credential(Usage::Initiate)?)
        .flags(Flags::MUTUAL | Flags::SEQUENCE | Flags::CONFIDENTIALITY | Flags::INTEGRITY);
    let mut server = AcceptContext::new(library, Mechanism::Krb5).credential(credential(Usage::Accept)?);
    let answer = server.step(&client.step(None)?.token)?;
    client.step(Some(&answer.token))?;
    let (mut client, mut server) = (client.finish()?, server.finish()?);

    println!("{:>10} {:>12} {:>12}", "bytes", "seal MB/s", "open MB/s");
    for length in [1_000, 10_000, 100_000, 1_000_000, 10_000_000_usize] {
        let rounds = (200_000_000 / length).clamp(10, 100_000);
        let mut data = vec![0x41; length];
        let (mut seal, mut open) = (0.0, 0.0);
        for _ in 0..rounds {
            let start = Instant::now();
            let lengths = client.wrap_iov_length(true, length)?;
            let mut header = vec![0; lengths.header];
            let mut padding = vec![0; lengths.padding];
            client.wrap_iov(true, &mut header, &mut data, &mut padding)?;
            seal += start.elapsed().as_secs_f64();
            data.extend_from_slice(&padding);
            let start = Instant::now();
            server.unwrap_iov(&mut header, &mut data)?;
            open += start.elapsed().as_secs_f64();
            data.truncate(length);
        }
        let megabytes = (rounds * length) as f64 / 1e6;
        println!("{length:>10} {:>12.0} {:>12.0}", megabytes / seal, megabytes / open);
    }
    Ok(())
}
