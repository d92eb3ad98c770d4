//! Programs that nobody here wrote, and the scripts that drive them.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that all cases of a peer may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A file below `tests/peers` at the root of the repository.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers").join(name)
}

/// What the variable says, or nothing after a sentence that the peer is left out.
pub(crate) fn variable(peer: &str, name: &str) -> Option<OsString> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    if value.is_none() {
        skip(peer, &format!("{name} is not set (cargo xtask test sets it)"));
    }
    value
}

/// Says that a peer is left out, and why.
pub(crate) fn skip(peer: &str, reason: &str) {
    println!("{peer} is left out: {reason}");
    report(peer, &format!("left out: {reason}"));
}

/// A Python with Ansible, and what Ansible's `winrm` is in it.
#[derive(Debug)]
#[allow(dead_code, reason = "not every test that has peers has Ansible")]
pub(crate) struct Ansible {
    /// The peer's name, with `-module` where it stands on our module.
    pub(crate) peer: String,
    pub(crate) python: OsString,
    /// The folder with Ansible's programs.
    pub(crate) programs: PathBuf,
}

/// Ansible with pywinrm, and Ansible with our Python module in its place; those that are there.
#[allow(dead_code, reason = "not every test that has peers has Ansible")]
pub(crate) fn ansibles(peer: &str) -> Vec<Ansible> {
    let of_environment = |peer: String, name| {
        let python = variable(&peer, name)?;
        let programs = Path::new(&python).parent()?.to_owned();
        Some(Ansible { peer, python, programs })
    };
    let environments = [
        of_environment(peer.to_owned(), "WINRM_TEST_PYTHON"),
        of_environment(format!("{peer}-module"), "WINRM_TEST_OWN_PYTHON"),
    ];
    environments.into_iter().flatten().collect()
}

/// Python with one of the scripts.
pub(crate) fn script(python: OsString, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(file(name)).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    command
}

/// Runs a peer's cases. Fails with all that it printed unless it ends well and its last line counts at least
/// `least` cases passed and none failed.
pub(crate) fn judge(peer: &str, mut command: Command, least: usize, log: impl FnOnce() -> String) {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = read_to_end(child.stdout.take().unwrap());
    let stderr = read_to_end(child.stderr.take().unwrap());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let printed = stdout.join().unwrap();
    let complaints = stderr.join().unwrap();
    println!("{printed}");
    let passed = printed.lines().last().and_then(|line| {
        let (passed, rest) = line.split_once(" cases passed, ")?;
        (rest == "0 failed").then(|| passed.parse::<usize>().ok())?
    });
    let ended_well = status.is_some_and(|status| status.success());
    let (true, Some(passed)) = (ended_well, passed) else {
        let ended = status.map_or_else(|| "was ended after 600 s".to_owned(), |status| status.to_string());
        report(peer, "FAILED");
        panic!("{peer}: {ended}\n{printed}\n{complaints}\nthe service's log:\n{}", tail(&log()));
    };
    assert!(passed >= least, "{peer}: {passed} cases, and there should be {least} at the least");
    report(peer, &format!("{passed} cases passed"));
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Adds a line to the report that `cargo xtask test` prints at its end.
fn report(peer: &str, outcome: &str) {
    let Some(file) = std::env::var_os("WINRM_TEST_REPORT") else {
        return;
    };
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    // One write, so that tests that end at the same time don't mix their lines.
    file.write_all(format!("{peer}\t{outcome}\n").as_bytes()).unwrap();
}
