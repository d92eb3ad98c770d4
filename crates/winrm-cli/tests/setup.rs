//! `winrm setup`: the script on a stand-in for Windows, printed and over a connection. No Windows has judged it: its judges are the engine
//! of `WINRM_PWSH`, `check51.ps1` beside it, and the stand-in, which is written from Microsoft's documentation.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;
#[expect(dead_code, reason = "the tests over a connection use the rest")]
#[path = "support/windows_standin.rs"]
mod windows_standin;

use std::fs;

use support::{peer, service};
use windows_standin::WindowsStandin;

#[test]
fn the_standin_keeps_what_is_changed_and_fails_where_it_is_told() {
    let folder = service::folder("windows-standin");
    let Some(windows) = WindowsStandin::new("the stand-in for Windows", &folder) else {
        return;
    };
    let script = folder.join("change.ps1");
    fs::write(
        &script,
        "Set-StrictMode -Version Latest; $ErrorActionPreference = 'Stop'\nSet-Item WSMan:\\localhost\\Service\\Auth\\Basic $true\n\
         Set-ItemProperty HKLM:\\SOFTWARE -Name x -Value 1 -Type DWord",
    )
    .unwrap();
    windows.change(|host| host["changes_left"] = 1.into());
    let output = windows.run(&script, "");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let host = windows.host();
    assert_eq!(host["wsman"]["Service\\Auth\\Basic"], "true");
    assert_eq!(host["registry"]["HKLM:\\SOFTWARE"], serde_json::json!({}));
    assert_eq!(host["log"], serde_json::json!(["Set-Item Service\\Auth\\Basic True"]));
}
