//! A command that a script of ours starts on the host: what is sent in front of the command's input, and what is taken off the front of its
//! output.

use bytes::Bytes;
use memchr::memmem;
use winrm_auth::Secret;

use crate::error::{Error, ErrorKind};
use crate::powershell;
use crate::quote::quoted;
use crate::run::Plan;
use crate::run_as::{RunAs, RunAsFailure, RunAsProblem, Turn};
use crate::session::new_id;

/// The most that may stand before the script's first line: what a host's own start-up scripts print.
const PREAMBLE: usize = 256 * 1024;

/// The most of its error output that is kept until it has started the command.
const COMPLAINTS: usize = 32 * 1024;

/// The script, and what it is told.
pub(crate) struct Launch {
    mark: String,
    /// What standard input begins with. It holds passwords.
    pub(crate) prefix: Secret,
    /// What could not be done, for errors.
    what: String,
    run_as: Option<RunAs>,
}

impl Launch {
    pub(crate) fn new(mark: String, script: &str, fields: &[&str], what: String, run_as: impl Into<Option<RunAs>>) -> Result<Self, Error> {
        if fields.iter().any(|field| field.contains('\0')) {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a command, its directory, its variables and its account can't hold NUL characters",
            ));
        }
        let length: usize = fields.iter().map(|field| field.len() + 1).sum::<usize>().saturating_sub(1);
        // Grown once, so that no copies of a password are left behind.
        let mut prefix = String::with_capacity(script.len() + length + 16);
        prefix.push_str(&format!("{:08x}", script.len()));
        prefix.push_str(script);
        prefix.push_str(&format!("{length:08x}"));
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                prefix.push('\0');
            }
            prefix.push_str(field);
        }
        Ok(Self {
            mark,
            prefix: Secret::new(prefix),
            what,
            run_as: run_as.into(),
        })
    }

    /// What nobody else writes by accident.
    pub(crate) fn new_mark() -> String {
        format!("#winrm-{}#", new_id())
    }

    /// The script's text as it is sent, with the mark filled in.
    pub(crate) fn script(text: &str, mark: &str) -> String {
        powershell::without_comments(text).replace("MARK", mark)
    }

    /// The line that the plan would have had the host run. The host's shell is part of it, and what it does for a shell's code page.
    pub(crate) fn line(plan: &Plan) -> String {
        let (program, arguments) = Self::program(plan);
        let program = quoted(&program);
        if arguments.is_empty() {
            program
        } else {
            format!("{program} {arguments}")
        }
    }

    /// The same as a program and the line of its arguments.
    pub(crate) fn program(plan: &Plan) -> (String, String) {
        let mut line = plan.request.command.clone();
        for argument in &plan.request.arguments {
            line.push(' ');
            line.push_str(argument);
        }
        if plan.request.skip_cmd_shell == Some(true) {
            // A program's path may stand in quotes.
            let end = if let Some(rest) = line.strip_prefix('"') {
                rest.find('"').map_or(line.len(), |end| end + 2)
            } else {
                line.find(' ').unwrap_or(line.len())
            };
            return (line[..end].trim_matches('"').to_owned(), line[end..].trim_start().to_owned());
        }
        let codepage = plan.options.0.codepage.unwrap_or(65001);
        ("cmd.exe".to_owned(), format!("/s /c \"chcp {codepage} >nul & {line}\""))
    }

    /// Makes the plan one that runs the script.
    pub(crate) fn put_in_front(&self, plan: &mut Plan) {
        plan.request.command = powershell::bootstrap_line();
        plan.request.arguments.clear();
        plan.request.console_mode_stdin = Some(false);
        plan.request.skip_cmd_shell = None;
    }

    /// Waits for leave to try the account's password. The host has been reached then.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        match &self.run_as {
            Some(run_as) if run_as.password().is_some() && run_as.service_sid().is_none() => match run_as.trial().turn().await {
                Some(turn) => Ok(turn),
                None => Err(self.failed(RunAsFailure::not_tried_again())),
            },
            _ => Ok(Turn::free()),
        }
    }

    fn failed(&self, failure: RunAsFailure) -> Error {
        let mut error = Error::new(ErrorKind::RunAs, self.what.clone());
        if let Some(hint) = failure.hint() {
            error = error.with_hint(hint);
        }
        error.with_source(failure)
    }

    pub(crate) fn opening(self, turn: Turn) -> Opening {
        Opening {
            launch: self,
            turn,
            held: Vec::new(),
            complaints: Vec::new(),
        }
    }
}

/// The output of a command up to its script's first line.
pub(crate) struct Opening {
    launch: Launch,
    turn: Turn,
    held: Vec<u8>,
    complaints: Vec<u8>,
}

impl Opening {
    /// Takes standard output; gives the beginning of the command's own once the script has said that it runs.
    pub(crate) fn stdout(&mut self, data: &[u8]) -> Result<Option<Bytes>, Error> {
        self.held.extend_from_slice(data);
        let Some((line, rest)) = self.first_line() else {
            if self.held.len() > PREAMBLE {
                return Err(self.launch.failed(RunAsFailure::power_shell(
                    "what was started there says other things than the script",
                )));
            }
            return Ok(None);
        };
        let mut words = line.splitn(3, ' ');
        let (stage, code, text) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if stage == "started" {
            self.turn.was_right();
            return Ok(Some(Bytes::copy_from_slice(&self.held[rest..])));
        }
        // Windows' codes are unsigned, .NET's numbers are not.
        let code = code.parse::<i64>().map_or(0, |code| code as u32);
        let failure = RunAsFailure::new(stage, code, text);
        match failure.problem() {
            RunAsProblem::WrongPassword => self.turn.was_wrong(),
            RunAsProblem::Privilege | RunAsProblem::PowerShell | RunAsProblem::ServiceOff | RunAsProblem::Other => {}
            // Windows has looked at the password before it says any of these, or needs none; another try would do the same.
            _ => self.turn.was_right(),
        }
        Err(self.launch.failed(failure))
    }

    fn first_line(&self) -> Option<(String, usize)> {
        let at = memmem::find(&self.held, self.launch.mark.as_bytes())? + self.launch.mark.len();
        let length = memchr::memchr(b'\n', &self.held[at..])?;
        let line = String::from_utf8_lossy(&self.held[at..at + length]).trim().to_owned();
        Some((line, at + length + 1))
    }

    /// Takes standard error: what it says before the command runs is PowerShell's.
    pub(crate) fn stderr(&mut self, data: &[u8]) {
        let room = COMPLAINTS.saturating_sub(self.complaints.len());
        self.complaints.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The script has ended, and said nothing.
    pub(crate) fn ended(&self, code: Option<u32>) -> Error {
        let mut said = powershell::plain(&self.complaints);
        if said.is_empty() {
            said = powershell::plain(&self.held);
        }
        let code = code.map_or_else(|| "without an exit code".to_owned(), |code| format!("with exit code {code}"));
        let text = if said.is_empty() {
            format!("it ended {code} and said nothing")
        } else {
            format!("it ended {code} and said: {said}")
        };
        self.launch.failed(RunAsFailure::power_shell(text))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn opening() -> Opening {
        Launch::new("#m#".to_owned(), "script", &["a", "", "b"], "it can't be done".to_owned(), None)
            .unwrap()
            .opening(Turn::free())
    }

    #[test]
    fn the_script_and_its_fields_stand_in_front() {
        assert_eq!(opening().launch.prefix.expose(), "00000006script00000004a\0\0b");
    }

    #[test]
    fn output_begins_behind_the_scripts_line_however_it_is_cut() {
        let all = b"noise\n#m# started 42\r\nown\xFF";
        for cut in 0..all.len() - 4 {
            let mut opening = opening();
            let first = opening.stdout(&all[..cut]).unwrap();
            let rest = first.or_else(|| opening.stdout(&all[cut..]).unwrap()).unwrap();
            assert!(b"own\xFF".starts_with(&rest));
        }
    }

    #[test]
    fn failures_are_told_with_their_cause() {
        let error = opening().stdout(b"#m# logon 1326 nope\n").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::RunAs);
        assert_eq!(error.as_run_as().unwrap().problem(), RunAsProblem::WrongPassword);
        assert_eq!(error.to_string(), "it can't be done");
        let mut opening = opening();
        opening.stderr(b"'powershell' is not recognized\r\n");
        let error = opening.ended(Some(1));
        assert_eq!(
            error.source().unwrap().to_string(),
            "PowerShell on the host can't do it: it ended with exit code 1 and said: 'powershell' is not recognized"
        );
    }
}
