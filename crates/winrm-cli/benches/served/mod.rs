//! Servers in processes of their own, so that the processor time of a benchmark is its own.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A server in a process of its own, ended when dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Served {
    /// The program's service in this folder, for the account `bench` whose password is in the folder's file `pw`, with more than that.
    pub(crate) fn service(folder: &Path, more: impl FnOnce(&mut Command)) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--user", "bench", "--allow-unencrypted"]);
        command.args(["--password-file", "pw"]).current_dir(folder);
        more(&mut command);
        Self::start(&mut command)
    }

    /// Its first line says where it listens.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let url = line
            .trim()
            .strip_prefix("listening ")
            .ok_or_else(|| format!("the server said {line:?}"))?;
        Ok(Self {
            url: url.to_owned(),
            child,
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
