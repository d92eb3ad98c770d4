//! The Go client's program for copies, winrmcp, against the service.
//!
//! It writes its temporary file as `%TEMP%\…` by `cmd`'s `echo`, and reads it as `$env:TEMP\…` by PowerShell. Only on Windows is that
//! one file, so that a shell and a PowerShell of another system can't serve it: behind the service stands the tests' own `cmd`, which
//! puts together what arrives. What is judged is the service: its shells, of which winrmcp opens one for every few commands, its
//! command lines to the last character, and its answers.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

#[path = "support/cmd_host.rs"]
#[expect(dead_code, reason = "each test has its own faults")]
mod cmd_host;
#[path = "support/peer.rs"]
#[expect(dead_code, reason = "the tests with scripts use more of it")]
mod peer;

use std::fs;
use std::path::PathBuf;

use cmd_host::{CmdHost, Fault, PowerShell};
use tokio::process::Command;
use winrm::Credentials;
use winrm_server::Server;

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("winrmcp"))
        .find(|program| program.is_file());
    if found.is_none() {
        peer::skip("winrmcp", "it is not installed (cargo xtask test installs Debian's)");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn its_copies_arrive() {
    let Some(program) = program() else { return };
    let host = CmdHost::new(PowerShell::Winrmcp, Fault::None);
    let server = Server::builder()
        .user(Credentials::parse("alice", "open: Sesame").unwrap())
        .allow_unencrypted(true)
        .listen("127.0.0.1:0".parse().unwrap())
        .host(host.clone())
        .bind()
        .await
        .unwrap();
    let address = server.urls()[0].trim_start_matches("http://").trim_end_matches("/wsman").to_owned();
    tokio::spawn(server.serve(std::future::pending()));
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..150_000_u32).map(|number| (number.wrapping_mul(number) / 11) as u8).collect();
    fs::create_dir_all(folder.path().join("tree/sub")).unwrap();
    for (name, content) in [
        ("file.bin", &content[..]),
        ("tree/a.bin", &content[..70_001]),
        ("tree/sub/b.txt", b"hello"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for (source, target) in [("file.bin", r"C:\Temp\file.bin"), ("tree", r"C:\Temp\tree")] {
        for operations in ["15", "1"] {
            host.disk.lock().unwrap().files.clear();
            let output = Command::new(&program)
                .args([
                    "-user",
                    "alice",
                    "-pass",
                    "open: Sesame",
                    "-addr",
                    &address,
                    "-max-ops-per-shell",
                    operations,
                ])
                .args([source, target])
                .current_dir(folder.path())
                .kill_on_drop(true)
                .output();
            let output = tokio::time::timeout(std::time::Duration::from_secs(120), output)
                .await
                .unwrap()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
            let disk = host.disk.lock().unwrap();
            // Nothing else stays, its temporary file included.
            let there: Vec<_> = disk
                .files
                .iter()
                .map(|(path, content)| (path.as_str(), content.as_slice()))
                .collect();
            match source {
                "tree" => assert!(there == [(r"c:\temp\tree\a.bin", &content[..70_001]), (r"c:\temp\tree\sub\b.txt", b"hello")]),
                _ => assert!(there == [(r"c:\temp\file.bin", &content[..])]),
            }
        }
    }
}
