//! `winrm wsman` against programs and answers that nobody here wrote.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[expect(dead_code, reason = "the other tests use more of it")]
mod support;

use support::peer;
use support::service::{self, USER};

#[test]
fn recordings() {
    let Some(python) = peer::variable("wsman recordings", "WINRM_TEST_PYTHON") else {
        return;
    };
    let Some(sources) = peer::variable("wsman recordings", "WINRM_TEST_SOURCES") else {
        return;
    };
    let has = |name: &str| {
        let entries = std::fs::read_dir(&sources).unwrap().flatten();
        entries
            .filter(|entry| entry.path().is_dir())
            .any(|entry| entry.file_name().to_string_lossy().starts_with(name))
    };
    for name in ["txwinrm-", "python-dracclient-", "pypsrp-"] {
        if !has(name) {
            peer::skip(
                "wsman recordings",
                &format!("the source package {name}* is not there (cargo xtask test fetches it)"),
            );
            return;
        }
    }
    let folder = service::folder("wsman-recordings");
    let mut command = peer::script(python, "wsman_recordings.py");
    command
        .arg("--winrm")
        .arg(env!("CARGO_BIN_EXE_winrm"))
        .arg("--sources")
        .arg(&sources)
        .args(["--user", USER, "--password-file"])
        .arg(service::password_file(&folder));
    peer::judge("wsman recordings", command, 13, String::new);
}
