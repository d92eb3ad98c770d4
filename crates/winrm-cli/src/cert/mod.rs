//! `winrm cert`

use std::process::ExitCode;

use crate::args::{CertArguments, CertVerb};
use crate::failure::Failure;

mod convert;
mod files;
mod install;
mod mapping;
mod new;
mod passphrase;
mod show;
mod stores;

pub(crate) async fn run(arguments: CertArguments) -> Result<ExitCode, Failure> {
    match &arguments.verb {
        CertVerb::New(arguments) => new::run(arguments),
        CertVerb::Show(arguments) => show::run(arguments),
        CertVerb::Convert(arguments) => convert::run(arguments),
        CertVerb::Install(arguments) => install::run(arguments).await,
        CertVerb::List(arguments) => mapping::list(arguments).await,
        CertVerb::Remove(arguments) => mapping::remove(arguments).await,
    }
}

/// What OpenSSL has against something that it normally does.
fn openssl(error: openssl::error::ErrorStack) -> Failure {
    Failure::configuration("OpenSSL can't do it").because(error)
}
