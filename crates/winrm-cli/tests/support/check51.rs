//! The checker of what Windows PowerShell 5.1 and .NET Framework 4.5 know.

#![expect(clippy::unwrap_used, reason = "a checker that can't be started is the test's failure")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peer;

/// Fails unless Windows PowerShell would run these scripts; says so where there is no checker.
pub(crate) fn assert_runs_on_windows_powershell(scripts: &[PathBuf]) {
    let Some(pwsh) = peer::variable("check51", "WINRM_PWSH") else {
        return;
    };
    let check = Path::new(&pwsh).with_file_name("check51.ps1");
    if !check.is_file() {
        peer::skip("check51", "there is no check51.ps1 beside the PowerShell of WINRM_PWSH");
        return;
    }
    let output = Command::new(pwsh)
        .arg("-NoProfile")
        .arg("-File")
        .arg(check)
        .args(scripts)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
