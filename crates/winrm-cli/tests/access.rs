//! `winrm access` on embedded services: descriptors shown, granted, revoked, and in effect.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;
#[path = "support/windows_standin.rs"]
#[expect(dead_code, reason = "the tests of setup use more of it")]
mod windows_standin;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::peer;
use support::service::{self, Service, USER};
use windows_standin::WindowsStandin;

#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `winrm access` with these words in front of the target.
fn access(url: &str, password: &Path, words: &[&str]) -> Told {
    let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .arg("access")
        .args(words)
        .args(["--transport", "plaintext", "--user", USER, "--connection-password-file"])
        .arg(password)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn the_descriptor_of_an_endpoint_is_shown_and_changed() {
    let folder = service::folder("access-endpoints");
    let Some(windows) = WindowsStandin::new("access, endpoints", &folder) else {
        return;
    };
    let program = windows.program.to_str().unwrap();
    let service = Service::start(&folder, &["--allow-unencrypted", "--pwsh", program]);
    let password = service::password_file(&folder);
    let access = |words: &[&str]| access(&service.url, &password, words);

    let shown = access(&["show", "--on", "endpoints"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(
        shown.out.starts_with(
            "PowerShell's endpoint microsoft.powershell (Enter-PSSession, PSRP)\n  \
             allow  BUILTIN\\Administrators (S-1-5-32-544): full\n  \
             allow  NT AUTHORITY\\INTERACTIVE (S-1-5-4): full\n  \
             allow  BUILTIN\\Remote Management Users (S-1-5-32-580): full\n  \
             audit  Everyone (S-1-1-0): full; when it fails\n  \
             audit  Everyone (S-1-1-0): write, execute; when it succeeds\n  \
             owner  NT AUTHORITY\\NETWORK SERVICE (S-1-5-20)\n\n"
        ),
        "{}",
        shown.out
    );
    let before = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GA;;;RM)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";
    let after = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GA;;;RM)(A;;GX;;;S-1-5-21-1-2-3-1104)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";
    let on = ["--on", "endpoint:Microsoft.PowerShell32", "S-1-5-21-1-2-3-1104"];
    let endpoint = || windows.host()["endpoints"][1]["sddl"].as_str().unwrap().to_owned();

    let tried = access(&[&["grant", "--dry-run"], &on[..]].concat());
    assert_eq!((tried.code, endpoint().as_str()), (Some(0), before), "{}", tried.err);
    assert!(
        tried
            .out
            .contains("would change endpoint:microsoft.powershell32:\n  + allow  S-1-5-21-1-2-3-1104: execute\n"),
        "{}",
        tried.out
    );
    let granted = access(&[&["grant"], &on[..]].concat());
    assert_eq!((granted.code, endpoint().as_str()), (Some(0), after), "{}", granted.err);
    assert!(
        granted.out.contains(&format!("before  {before}\nafter   {after}\n")),
        "{}",
        granted.out
    );
    assert!(
        granted.err.contains("Remote Management Users suffices") && granted.err.contains("Restart-Service WinRM"),
        "{}",
        granted.err
    );
    let again = access(&[&["grant"], &on[..]].concat());
    assert_eq!((again.code, endpoint().as_str()), (Some(0), after));
    assert!(again.out.contains("has it already; nothing changes"), "{}", again.out);
    let revoked = access(&[&["revoke", "--format", "json"], &on[..]].concat());
    assert_eq!((revoked.code, endpoint().as_str()), (Some(0), before), "{}", revoked.err);
    let document: Value = serde_json::from_str(&revoked.out).unwrap();
    assert_eq!(
        (&document["changed"], &document["before"], &document["after"]),
        (&true.into(), &after.into(), &before.into())
    );

    // Administrators are not locked out by accident.
    let lockout = access(&["revoke", "Administrators", "--on", "endpoint:microsoft.powershell"]);
    assert_eq!(lockout.code, Some(1), "{}", lockout.err);
    assert!(
        lockout
            .err
            .contains("take rights on endpoint:microsoft.powershell away from BUILTIN\\Administrators"),
        "{}",
        lockout.err
    );
    let missing = access(&["show", "--on", "endpoint:nobody"]);
    assert_eq!(missing.code, Some(1), "{}", missing.err);
    assert!(
        missing
            .err
            .contains("it has endpoint:microsoft.powershell, endpoint:microsoft.powershell32"),
        "{}",
        missing.err
    );
    // What can't be read is shown, and left alone.
    windows.change(|host| host["endpoints"][1]["sddl"] = "O:NSG:BAD:P(A;;GA;;;BA)(A;;QQ;;;RM)".into());
    let unreadable = access(&[&["grant"], &on[..]].concat());
    assert_eq!(unreadable.code, Some(2), "{}", unreadable.err);
    assert!(
        unreadable
            .err
            .contains(&format!("  O:NSG:BAD:P(A;;GA;;;BA)(A;;QQ;;;RM)\n{}^\n", " ".repeat(29))),
        "{}",
        unreadable.err
    );
    assert!(unreadable.err.contains("at position 27: expected rights"), "{}", unreadable.err);
    // No right to change it.
    windows.change(|host| host["denied"] = Value::from(vec!["endpoints"]));
    let denied = access(&["show", "--on", "endpoints"]);
    assert_eq!(denied.code, Some(2), "{}", denied.err);
    assert!(
        denied.err.contains("Access is denied") && denied.err.contains("takes an administrator"),
        "{}",
        denied.err
    );
}
