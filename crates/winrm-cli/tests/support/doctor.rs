//! `winrm doctor`, and what it has to find.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What `winrm doctor --format json` has found.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) status: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

/// The program without anything of this machine's Kerberos, passwords and proxies; times are short for what keeps silent.
pub(crate) fn command(before: &[&str], args: &[&str]) -> Command {
    let format: &[&str] = if args.contains(&"--format") { &[] } else { &["--format", "json"] };
    let line = [before, &[env!("CARGO_BIN_EXE_winrm"), "doctor"], format, args].concat();
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).stdin(Stdio::null());
    for name in [
        "WINRM_PASSWORD",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "KRB5CCNAME",
    ] {
        command.env_remove(name);
    }
    command
        .env("KRB5CCNAME", "FILE:/nonexistent/winrm-doctor")
        .env("KRB5_CONFIG", "/nonexistent/krb5.conf");
    command
}

pub(crate) fn doctor(args: &[&str]) -> Findings {
    Findings::of(&mut command(&[], args))
}

impl Findings {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let text = String::from_utf8_lossy(&stdout);
        let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {status}\n{text}\n{stderr}"));
        Self {
            status: status.code().unwrap_or(-1),
            report,
            stderr,
        }
    }

    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap();
        let found: Vec<&Value> = checks.iter().filter(|check| check["id"] == id).collect();
        assert_eq!(found.len(), 1, "{id} is there {} times: {:#}", found.len(), self.report);
        found[0]
    }

    /// Fails unless the check has this verdict, with these words in its sentence or evidence.
    #[track_caller]
    pub(crate) fn has(self, id: &str, verdict: &str, words: &str) -> Self {
        let check = self.check(id);
        assert_eq!(check["verdict"], verdict, "{id}: {:#}", self.report);
        let said = format!("{} {}", check["summary"], check["evidence"]);
        assert!(said.contains(words), "{id} does not say {words:?}: {check:#}");
        self
    }

    /// Fails unless the check names this mend.
    #[track_caller]
    pub(crate) fn mends(self, id: &str, words: &str) -> Self {
        let check = self.check(id);
        assert!(
            check["mend"].as_str().is_some_and(|mend| mend.contains(words)),
            "{id}: {words:?}: {check:#}"
        );
        self
    }

    /// Fails unless this is the one thing that stands behind everything, and the exit status this.
    #[track_caller]
    pub(crate) fn cause(self, id: &str, words: &str, status: i32) -> Self {
        let cause = &self.report["cause"];
        assert_eq!(cause["id"], id, "{words:?}: {:#}\n{}", self.report, self.stderr);
        assert!(cause["summary"].as_str().unwrap().contains(words), "{words:?}: {cause:#}");
        assert!(cause["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "no mend: {cause:#}");
        assert_eq!(self.status, status, "{id}: {:#}", self.report);
        // Whatever else is a problem names what it comes from, or is one that is there as well.
        self
    }

    /// Fails unless nothing is a problem.
    #[track_caller]
    pub(crate) fn finds_nothing(self) -> Self {
        assert_eq!((self.status, &self.report["cause"]), (0, &Value::Null), "{:#}", self.report);
        self
    }
}
