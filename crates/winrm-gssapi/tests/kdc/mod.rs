//! A throw-away KDC for tests, run by the script that `WINRM_TEST_KDC` names
//! (`SCRIPT start DIR PORT REALM` prints exports, `SCRIPT stop DIR`).
//!
//! The library reads its environment, which a test process with threads must not change. So the
//! one ordinary test of a file starts the KDC and runs the file's ignored tests in a process of
//! their own, with the exports set.

#![allow(dead_code, clippy::print_stderr, clippy::unwrap_used)]

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the cases find the KDC's directory.
const DIRECTORY: &str = "WINRM_TEST_KDC_DIRECTORY";

/// Password of every user of the script.
pub(crate) const PASSWORD: &str = "Passw0rd!";

/// A running KDC, stopped when dropped.
pub(crate) struct Kdc {
    script: PathBuf,
    directory: tempfile::TempDir,
    exports: Vec<(String, String)>,
}

impl Kdc {
    /// Starts one, or says why the test is skipped.
    pub(crate) fn start(realm: &str) -> Option<Self> {
        let Some(script) = std::env::var_os("WINRM_TEST_KDC") else {
            eprintln!("skipped: WINRM_TEST_KDC does not name a script that starts a KDC");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let printed = directory.path().join("exports");
        // Into a file: the KDC inherits the script's output, and a pipe would stay open with it.
        let status = Command::new(&script)
            .arg("start")
            .arg(directory.path())
            .arg(port.to_string())
            .arg(realm)
            .stdout(std::fs::File::create(&printed).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "the KDC did not start: {status}");
        let exports = std::fs::read_to_string(printed)
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            script: script.into(),
            directory,
            exports,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Has the KDC's administrator do something, from outside of the cases.
    pub(crate) fn kadmin(&self, query: &str) {
        let file = |name| self.directory().join(name);
        administer(
            Command::new("kadmin.local").env("KRB5_CONFIG", file("krb5.conf")),
            &file("kdc.conf"),
            query,
        );
    }

    /// Runs the ignored tests of this file whose names begin with `prefix`, in a process with the
    /// KDC's environment; `wrapper` is a command to run that process with.
    pub(crate) fn run(&self, prefix: &str, wrapper: &[&str]) {
        let exe = std::env::current_exe().unwrap();
        let mut command = match wrapper {
            [] => Command::new(&exe),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&exe);
                command
            }
        };
        command
            .args(["--ignored", "--nocapture", prefix])
            .envs(self.exports.iter().map(|(name, value)| (name, value)))
            .env(DIRECTORY, self.directory());
        let output = command.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{prefix}: {}\n{stdout}\n{stderr}", output.status);
        assert!(!stdout.contains("running 0 tests"), "no case is called {prefix}…");
        eprint!("{stderr}");
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        let _ = Command::new(&self.script).arg("stop").arg(self.directory.path()).status();
    }
}

/// Whether a program can be run.
pub(crate) fn has_program(name: &str) -> bool {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_err() {
        eprintln!("skipped in part: the program {name} is not installed");
    }
    found.is_ok()
}

/// The KDC's directory, inside of a case.
pub(crate) fn directory() -> PathBuf {
    std::env::var_os(DIRECTORY)
        .expect("this case is run by the test `kerberos` of this file")
        .into()
}

/// The service's key table.
pub(crate) fn keytab() -> String {
    format!("FILE:{}", directory().join("http.keytab").display())
}

/// Gets a ticket for `principal` by the script's password into a cache of this name; gives the
/// cache as `FILE:…`.
pub(crate) fn kinit(principal: &str, cache: &str, arguments: &[&str]) -> String {
    let cache = format!("FILE:{}", directory().join(cache).display());
    let mut child = Command::new("kinit")
        .args(arguments)
        .args(["-c", &cache, principal])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "kinit {principal}");
    cache
}

/// Has the KDC's administrator do something.
pub(crate) fn kadmin(query: &str) {
    administer(&mut Command::new("kadmin.local"), &directory().join("kdc.conf"), query);
}

fn administer(command: &mut Command, profile: &Path, query: &str) {
    let output = command.env("KRB5_KDC_PROFILE", profile).args(["-q", query]).output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
}
