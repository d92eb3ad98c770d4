//! `winrm cert`

use std::process::ExitCode;

use crate::args::{CertArguments, CertVerb};
use crate::failure::Failure;

mod convert;
mod files;
mod new;
mod passphrase;
mod show;

pub(crate) fn run(arguments: &CertArguments) -> Result<ExitCode, Failure> {
    match &arguments.verb {
        CertVerb::New(arguments) => new::run(arguments),
        CertVerb::Show(arguments) => show::run(arguments),
        CertVerb::Convert(arguments) => convert::run(arguments),
    }
}

/// What OpenSSL has against something that it normally does.
fn openssl(error: openssl::error::ErrorStack) -> Failure {
    Failure::configuration("OpenSSL can't do it").because(error)
}
