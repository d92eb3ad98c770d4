//! Scripts that listen: pyspnego's acceptor behind an HTTP server, and what stands in between.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::kdc::Kdc;
use super::peer;

/// The password of the acceptor's accounts, `carol` and `CORP\dave`.
pub(crate) const ACCEPTORS: &str = "Open Sesame";

/// A script that listens, until this is dropped.
pub(crate) struct Listening {
    child: Child,
    pub(crate) url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Listening {
    /// pyspnego's acceptor, with Kerberos where there is a KDC.
    pub(crate) fn acceptor(python: &OsString, folder: &Path, kdc: Option<&Kdc>, args: &[&str]) -> Self {
        let users = folder.join("ntlm-users");
        fs::write(&users, format!(":carol:{ACCEPTORS}\nCORP:dave:{ACCEPTORS}\n")).unwrap();
        let mut command = peer::script(python.clone(), "sealed_acceptor.py");
        command.args(args).env("NTLM_USER_FILE", users).env_remove("KRB5_KTNAME");
        if let Some(kdc) = kdc {
            command.env("KRB5_CONFIG", kdc.config()).env("KRB5_KTNAME", kdc.keytab());
        }
        Self::start(command, folder)
    }

    /// A script whose first line says where it listens.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Self {
        let log = folder.join("listening.log");
        let errors = fs::File::create(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = reader.next().and_then(Result::ok).unwrap_or_default();
        let Some(url) = first.strip_prefix("listening ") else {
            drop(child.kill());
            panic!("{}", fs::read_to_string(log).unwrap());
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = lines.clone();
        std::thread::spawn(move || reader.map_while(Result::ok).for_each(|line| said.lock().unwrap().push(line)));
        Self {
            child,
            url: url.replace("127.0.0.1", "localhost"),
            lines,
        }
    }

    /// What it has said until now.
    pub(crate) fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// From here on, only what it says from here on.
    pub(crate) fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// Fails unless it has said so by now.
    #[track_caller]
    pub(crate) fn assert_said(&self, words: &str) {
        let said = self.said();
        assert!(said.contains(words), "{words:?} is not in what was said:\n{said}");
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
