//! What is taken away from a copy under way: its part, as an antivirus does, or the whole folder, as a share does. Without a PowerShell
//! the test says so and passes.

#[path = "support/service.rs"]
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod service;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use service::{Service, USER};

#[test]
fn what_vanishes_is_said_and_other_files_go_on() {
    if !service::has_powershell() {
        println!("left out: there is no PowerShell (WINRM_PWSH is not set, and pwsh is not on PATH)");
        return;
    }
    let folder = service::folder("copies-hazards");
    let service = Service::start(&folder, &["--allow-unencrypted"]);
    fs::write(folder.join("big"), vec![7; 4_000_000]).unwrap();
    fs::write(folder.join("little"), "little").unwrap();
    for (whole, copied) in [(false, "1 file copied, 6 B"), (true, "0 files copied; 2 failed")] {
        let target = folder.join("target");
        drop(fs::remove_dir_all(&target));
        fs::create_dir_all(&target).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args([
                "put",
                "--user",
                USER,
                "--transport",
                "basic",
                "--encryption",
                "never",
                "--no-compress",
            ])
            .args(["--limit-rate", "1M", "--connection-password-file"])
            .arg(service::password_file(&folder))
            .args([&service.url, "big", "little", "target/"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let part = target.join("big.winrm-part");
        let begin = Instant::now();
        while !fs::metadata(&part).is_ok_and(|part| part.len() > 0) {
            assert!(begin.elapsed() < Duration::from_secs(120), "no part appears");
            std::thread::sleep(Duration::from_millis(20));
        }
        if whole {
            fs::remove_dir_all(&target).unwrap();
        } else {
            fs::remove_file(&part).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{out}{err}");
        assert!(err.contains("big: the part that was written is gone from the host"), "{err}");
        assert!(out.contains(copied), "{out}");
        assert_eq!(target.join("little").exists(), !whole);
        assert!(!target.join("big").exists());
    }
}
