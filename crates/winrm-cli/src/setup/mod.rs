//! `winrm setup`: what a host needs to be managed, as one script, printed or carried out.

mod carry_out;
mod formats;
mod script;

use std::process::ExitCode;

use crate::args::{HowArguments, SetupArguments, SetupFormat, SetupVerb};
use crate::failure::Failure;
use crate::printer;
use script::Script;

pub(crate) async fn run(arguments: SetupArguments) -> Result<ExitCode, Failure> {
    if let Some(SetupVerb::Undo(undo)) = arguments.verb {
        let script = Script::undo();
        return match &undo.target {
            Some(target) => carry_out::run(target, &undo.connection, &undo.how, script, None).await,
            None => print(&script, &undo.how),
        };
    }
    let wanted = arguments.wanted;
    let script = Script::setup(&wanted)?;
    match &arguments.target {
        Some(target) => carry_out::run(target, &arguments.connection, &arguments.how, script, Some(&wanted)).await,
        None => print(&script, &arguments.how),
    }
}

fn print(script: &Script, how: &HowArguments) -> Result<ExitCode, Failure> {
    for (given, flag, parameter) in [(how.check, "--check", "-Check"), (how.force, "--force", "-Force")] {
        if given {
            return Err(Failure::configuration(format!("{flag} is about a host, and there is no TARGET"))
                .hint(format!("give one, or run the printed script with {parameter}")));
        }
    }
    let text = match how.format.unwrap_or(SetupFormat::Ps1) {
        SetupFormat::Ps1 => script.printed(),
        SetupFormat::Cloudbase => formats::cloudbase(script),
        SetupFormat::Unattend => formats::unattend(script),
        SetupFormat::Packer => formats::packer(script)?,
        SetupFormat::Text | SetupFormat::Json => {
            return Err(
                Failure::configuration("--format text and json are for a host's results, and there is no TARGET")
                    .hint("give a TARGET, or one of ps1, cloudbase, unattend, packer"),
            );
        }
    };
    for warning in script.warnings() {
        printer::warning(warning);
    }
    printer::line(text.trim_end());
    Ok(ExitCode::SUCCESS)
}
