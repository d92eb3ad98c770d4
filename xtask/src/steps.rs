//! Running other programs: the workspace they run in, headings, exit statuses.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where things are.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub(crate) fn locate() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.parent().unwrap_or(own).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// What the peers need and no commit holds.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// The cargo that runs this program, started at the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }
}

/// A task that ended early: what to say, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One or more lines; empty when the program that failed has said it already.
    pub(crate) message: String,
    /// 1, or the status of the program that failed.
    pub(crate) status: u8,
}

impl Failure {
    /// A failure with status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: 1,
        }
    }

    /// A command line that makes no sense: status 2.
    pub(crate) fn usage(message: String) -> Self {
        Self { message, status: 2 }
    }
}

/// Prints the name of the step that begins.
pub(crate) fn heading(name: &str) {
    eprintln!("== {name}");
}

/// Prints one line about the step that runs.
pub(crate) fn note(text: &str) {
    eprintln!("   {text}");
}

/// Runs a program to its end; its exit status becomes ours.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("{name} can't be started: {error}")))?;
    if status.success() {
        return Ok(());
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Err(Failure {
            message: String::new(),
            status: code,
        }),
        None => Err(Failure::new(format!("{name}: {status}"))),
    }
}

/// Runs a program quietly; what it printed comes out only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("{name} can't be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    eprint!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(Failure::new(format!("{name}: {}", output.status)))
}

/// What a program prints on standard output if it can be started and succeeds.
pub(crate) fn ask<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Every file called `name` in a folder of `PATH`, in its order.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file())
        .collect()
}

/// Whether everything has to be checked and nothing may be left out: `CI` is set.
pub(crate) fn checks_everything() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// The text as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_passes_its_status_on() {
        let failure = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!((failure.status, failure.message.as_str()), (7, ""));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("winrm-no-such-program")).unwrap_err();
        assert_eq!(failure.status, 1);
        assert!(
            failure.message.starts_with("winrm-no-such-program can't be started: "),
            "{}",
            failure.message
        );
    }

    #[test]
    fn a_quoted_word_is_one_word_to_the_shell() {
        let word = "it's $HOME \"and\" `this`\n";
        let printed = ask("sh", ["-c", &format!("printf %s {}x", shell_quoted(word))]).unwrap();
        assert_eq!(printed, format!("{word}x"));
    }
}
