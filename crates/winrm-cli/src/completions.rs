//! `winrm completions`

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Arguments, CompletionsArguments};
use crate::failure::Failure;
use crate::printer;

pub(crate) fn run(arguments: &CompletionsArguments) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "winrm", &mut script);
    printer::line(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
