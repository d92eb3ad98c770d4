//! The command line: each verb's arguments in a file of their own.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod access;
mod becoming;
mod cert;
mod connection;
mod copy;
mod credssp;
mod doctor;
mod fleet;
mod inventory;
mod ping;
mod ps;
mod reboot;
mod run;
mod serve;
mod setup;
mod task;
mod tls;
mod wsman;

pub(crate) use access::{AccessArguments, AccessChange, AccessShowArguments, AccessVerb, Guarded, Rights};
pub(crate) use becoming::BecomeArguments;
pub(crate) use cert::{
    CertArguments, CertConvertArguments, CertInstallArguments, CertListArguments, CertNewArguments, CertPurpose, CertRemoveArguments,
    CertShowArguments, CertVerb, KeyType,
};
pub(crate) use connection::{ConnectionArguments, KerberosArguments, KinitMode};
pub(crate) use copy::{CopyArguments, GetArguments, PutArguments};
pub(crate) use credssp::CredSspArguments;
pub(crate) use doctor::{DoctorArguments, DoctorFormat};
pub(crate) use fleet::{FleetArguments, ManyResults, ReportArguments, ReportFormat, ReportStyle, Rerun};
pub(crate) use inventory::{InventoryArguments, ShowArguments};
pub(crate) use ping::PingArguments;
pub(crate) use ps::{ObjectFormat, PsArguments, ScriptArguments};
pub(crate) use reboot::{RebootArguments, RebootOkArguments};
pub(crate) use run::{RunArguments, ShellArguments};
pub(crate) use serve::{QuotaArguments, ServeArguments};
pub(crate) use setup::{FirewallProfile, HardeningLevel, HowArguments, SetupArguments, SetupFormat, SetupVerb, WantedArguments};
pub(crate) use task::{TaskArguments, TaskTarget, TaskVerb};
pub(crate) use tls::{ProxyArguments, TlsArguments};
pub(crate) use wsman::{
    BodyArguments, HelpmsgArguments, WsmanArguments, WsmanCreateArguments, WsmanDeleteArguments, WsmanEnumerateArguments, WsmanFormat,
    WsmanGetArguments, WsmanIdentifyArguments, WsmanInvokeArguments, WsmanMode, WsmanSetArguments, WsmanVerb,
};

/// Run commands on Windows hosts over Windows Remote Management (WinRM), or serve it.
#[derive(Debug, Parser)]
#[command(
    name = "winrm",
    version,
    propagate_version = true,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "\
Examples:
  winrm run administrator@web1 -- ipconfig /all
  winrm run -u alice https://web1:5986 -- 'dir C:\\ & ver'
  winrm ps -u alice web1 -- 'Get-Service | Where-Object Status -eq Stopped'
  winrm put -u alice web1 app.zip 'C:\\Temp\\'        # files and folders to a host; `get` for the other way
  winrm ping -u alice web1
  winrm wsman get winrm/config web1                 # the host's configuration, and WMI's classes
  winrm doctor -u alice web1                        # why it doesn't answer or let us in, and what mends it
  winrm run -u alice web1,web2 -- hostname          # several hosts at once
  winrm inventory -i prod.ini --graph               # who is where in an Ansible inventory
  winrm setup --https --auth ntlm > setup.ps1       # the script that prepares a host; or carried out on one
  winrm serve --user alice --password-file pw       # a WinRM host of this machine, for tests
  winrm demo                                        # all of it, on this machine alone

`winrm VERB --help` tells more.")]
pub(crate) struct Arguments {
    /// Say more on standard error: -v for rare events, -vv for messages, -vvv for their contents (never secrets)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 900)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Box<RunArguments>),
    Ps(Box<PsArguments>),
    Put(Box<PutArguments>),
    Get(Box<GetArguments>),
    Ping(PingArguments),
    Reboot(Box<RebootArguments>),
    Access(AccessArguments),
    Wsman(WsmanArguments),
    Doctor(Box<DoctorArguments>),
    Task(Box<TaskArguments>),
    Report(ReportArguments),
    Inventory(ShowArguments),
    Serve(Box<ServeArguments>),
    Setup(Box<SetupArguments>),
    Cert(CertArguments),
    Demo(DemoArguments),
    Completions(CompletionsArguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Show what winrm does, on this machine alone
///
/// Starts embedded hosts on free ports of the loopback interface, runs commands on them over the wire, tells what happened, ends.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {}

/// Print a script that completes winrm's command line in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm completions bash > ~/.local/share/bash-completion/completions/winrm
  winrm completions zsh > ~/.zfunc/_winrm
  winrm completions fish > ~/.config/fish/completions/winrm.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Seconds, with a fraction if wished; more than zero.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it has to be more than 0 seconds".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for bad in ["0", "-1", "x", "NaN", "inf", "1e300", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_behind_the_target_belongs_to_the_command() {
        let parsed = Arguments::try_parse_from(["winrm", "run", "-u", "a", "web1", "--", "cmd", "-v", "--timeout", "--"]).unwrap();
        let Verb::Run(run) = parsed.verb else { panic!("not run") };
        assert_eq!(
            (run.target.as_str(), run.command),
            ("web1", vec!["cmd".into(), "-v".into(), "--timeout".into(), "--".into()])
        );
    }

    /// What is flattened in carries its heading on to what stands behind it.
    #[test]
    fn no_argument_stands_under_the_heading_of_others() {
        fn own(command: &clap::Command) -> Vec<(String, &str)> {
            let headed = command.get_arguments().filter_map(|argument| {
                let heading = argument.get_help_heading()?;
                Some((argument.get_id().to_string(), heading))
            });
            headed.collect()
        }
        fn look(command: &clap::Command, shared: &[(String, &str)]) {
            for argument in command.get_arguments().filter(|argument| argument.is_positional()) {
                assert_eq!(argument.get_help_heading(), None, "{}: {argument}", command.get_name());
            }
            for (id, heading) in own(command) {
                let is_shared = shared.iter().any(|(_, shared)| *shared == heading);
                assert!(
                    !is_shared || shared.contains(&(id.clone(), heading)),
                    "{}: {id} stands under {heading}",
                    command.get_name()
                );
            }
            for verb in command.get_subcommands() {
                look(verb, shared);
            }
        }
        let shared = [
            InventoryArguments::augment_args(clap::Command::new("inventory")),
            ConnectionArguments::augment_args(clap::Command::new("connection")),
            BecomeArguments::augment_args(clap::Command::new("becoming")),
            ManyResults::augment_args(FleetArguments::augment_args(clap::Command::new("fleet"))),
            RebootOkArguments::augment_args(RebootArguments::augment_args(clap::Command::new("reboot"))),
        ];
        let shared: Vec<_> = shared.iter().flat_map(own).collect();
        look(&Arguments::command(), &shared);
    }

    #[test]
    fn passwords_are_never_arguments() {
        fn all(command: &clap::Command) -> Vec<&clap::Arg> {
            command.get_arguments().chain(command.get_subcommands().flat_map(all)).collect()
        }
        let command = Arguments::command();
        let mut secrets = all(&command);
        secrets.retain(|argument| argument.get_id().as_str().contains("pass"));
        assert!(secrets.len() >= 9, "{}", secrets.len());
        for argument in secrets {
            let (id, takes_value) = (argument.get_id().as_str(), argument.get_action().takes_values());
            assert!(id.ends_with("_file") || !takes_value, "{id}");
        }
    }
}
