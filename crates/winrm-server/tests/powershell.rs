//! PowerShell by the names that Windows' clients call it.

#![expect(clippy::unwrap_used, reason = "a stand-in that cannot be written is the test's failure")]

mod wire;

use std::os::unix::fs::PermissionsExt as _;

use winrm_server::LocalHost;
use wire::{builder, start};

/// A stand-in that shows how it was called.
fn stand_in(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let program = folder.path().join("stand 'in'");
    std::fs::write(&program, "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done\nexit 3\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test]
async fn every_name_runs_the_hosts_powershell() {
    let folder = tempfile::tempdir().unwrap();
    let host = LocalHost::new().powershell(stand_in(&folder));
    let service = start(builder().host(host)).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    for (line, told) in [
        ("powershell -NoProfile -File a", "<-NoProfile><-File><a>"),
        ("POWERSHELL.exe -File a", "<-File><a>"),
        (r#""C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe" -x"#, "<-x>"),
        (
            r#"pwsh -Command "$env:A; 'a b' | x" \"q\""#,
            r#"<-Command><$env:A; 'a b' | x><"q">"#,
        ),
        ("exec PowerShell.exe 'a b'", "<a b>"),
        ("true && pwsh.exe x", "<x>"),
        ("powershell -c '$x' 2>&1", "<-c><$x>"),
    ] {
        assert_eq!(wire.run(&shell, line).await, (told.into(), String::new(), 3), "{line}");
    }
    for (line, told, code) in [
        ("chcp", "Active code page: 65001\r\n", 0),
        ("chcp.com 437", "Active code page: 437\r\n", 0),
    ] {
        assert_eq!(wire.run(&shell, line).await, (told.into(), String::new(), code), "{line}");
    }
    assert_eq!(wire.run(&shell, "chcp x").await.2, 1);
    service.stop().await;
}

#[tokio::test]
async fn without_one_windows_own_answer_is_given() {
    let service = start(builder().host(LocalHost::new().without_powershell())).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let told =
        |name: &str| format!("'{name}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n");
    for (line, name) in [
        ("PowerShell -EncodedCommand AA==", "powershell"),
        ("pwsh.exe -x", "pwsh"),
        ("true && powershell.exe", "powershell.exe"),
    ] {
        assert_eq!(wire.run(&shell, line).await, (String::new(), told(name), 1), "{line}");
    }
    service.stop().await;
}

#[tokio::test]
async fn the_programs_go_with_the_service() {
    let service = start(builder().host(LocalHost::new().without_powershell())).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let (folder, _, _) = wire.run(&shell, "dirname $(command -v powershell)").await;
    let folder = folder.trim_end().to_owned();
    assert!(std::path::Path::new(&folder).is_dir(), "{folder}");
    drop(wire);
    service.stop().await;
    assert!(!std::path::Path::new(&folder).exists(), "{folder}");
}
