//! `winrm put` and `winrm get` where the host has no usable PowerShell: by certutil, against a `cmd` written from its documentation.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]

#[path = "support/cmd_host.rs"]
mod cmd_host;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use cmd_host::{CmdHost, Disk, Fault, PowerShell};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::oneshot;
use winrm::Credentials;
use winrm_server::Server;

struct Scene {
    host: CmdHost,
    url: String,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Scene {
    async fn new(powershell: PowerShell, fault: Fault) -> Self {
        let host = CmdHost::new(powershell, fault);
        let server = Server::builder()
            .user(Credentials::parse("alice", "secret").unwrap())
            .allow_unencrypted(true)
            .listen("127.0.0.1:0".parse().unwrap())
            .host(host.clone())
            .bind()
            .await
            .unwrap();
        let url = server.urls()[0].to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "secret\n").unwrap();
        Self {
            host,
            url,
            folder,
            _stop: stop,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.host.disk.lock().unwrap()
    }

    fn there(&self, path: &str) -> Option<Vec<u8>> {
        self.disk().files.get(&cmd_host::full(path)).cloned()
    }

    /// What is left on the host beside the files that should be there.
    fn litter(&self) -> Vec<String> {
        let disk = self.disk();
        disk.files
            .keys()
            .filter(|path| path.contains(".winrm-part") || path.contains(".b64"))
            .cloned()
            .collect()
    }

    async fn run(&self, verb: &str, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args([verb, "--user", "alice", "--transport", "basic", "--encryption", "never"])
            .args(["--connection-password-file", "password", &self.url])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    fn is(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        let said = format!("{}{}", self.stdout, self.stderr);
        assert!(said.contains(words), "{words:?} is not in {said:?}");
        self
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number * number / 7 + number) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_there_and_back() {
    for (powershell, reason) in [
        (PowerShell::Missing, "the host has no powershell"),
        (PowerShell::Constrained, "ConstrainedLanguage mode"),
        (PowerShell::Blocked, "blocked by group policy"),
    ] {
        let scene = Scene::new(powershell, Fault::None).await;
        let content = bytes(700_001);
        fs::write(scene.path("a b.bin"), &content).unwrap();
        fs::write(scene.path("empty"), "").unwrap();
        let ended = scene.run("put", &["a b.bin", "empty", r"C:\Temp\"]).await.is(0, "2 files copied");
        assert!(
            ended.stderr.contains(reason) && ended.stderr.contains("certutil"),
            "{}",
            ended.stderr
        );
        assert!(scene.there(r"C:\Temp\a b.bin") == Some(content.clone()));
        assert_eq!(scene.there(r"C:\Temp\empty"), Some(Vec::new()));
        // What is there already stays.
        scene.run("put", &["a b.bin", r"C:\Temp"]).await.is(0, "1 unchanged");
        scene
            .run("get", &[r"C:\Temp\a b.bin", "C:/Temp/empty", "back/", "--mkdir"])
            .await
            .is(0, "2 files copied");
        assert!(fs::read(scene.path("back/a b.bin")).unwrap() == content);
        assert_eq!(fs::read(scene.path("back/empty")).unwrap(), b"");
        scene.run("get", &[r"C:\Temp\a b.bin", "back"]).await.is(0, "1 unchanged");
        assert_eq!(scene.litter(), [""; 0]);
        assert_eq!(fs::read_dir(scene.path("back")).unwrap().count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_options() {
    let scene = Scene::new(PowerShell::Missing, Fault::None).await;
    fs::write(scene.path("a"), "new").unwrap();
    for target in [r"C:\R&D (x)\y^z;k=1.txt", "~/deep/er/a", "./-name", "C:/Temp/ü.txt", r"%TEMP%\t"] {
        scene.run("put", &["--mkdir", "--", "a", target]).await.is(0, "1 file copied");
    }
    for path in [
        r"c:\r&d (x)\y^z;k=1.txt",
        r"c:\users\alice\deep\er\a",
        r"c:\users\alice\-name",
        r"c:\temp\ü.txt",
        r"c:\users\alice\tmp r&d\t",
    ] {
        assert_eq!(scene.there(path).unwrap(), b"new", "{path}");
    }
    scene.run("get", &[r"C:\R&D (x)\y^z;k=1.txt", "b"]).await.is(0, "1 file copied");
    let ended = scene.run("get", &[r"~\deep\er\a", "-"]).await.is(0, "");
    assert_eq!(ended.stdout, "new");
    // The old file is kept, and a dry run changes nothing.
    fs::write(scene.path("a"), "newer").unwrap();
    scene.run("put", &["--dry-run", "a", "~/deep/er"]).await.is(0, "1 file to copy");
    assert_eq!(scene.there(r"~\deep").or_else(|| scene.there(r"deep\er\a")).unwrap(), b"new");
    scene.run("put", &["--backup", "a", "~/deep/er"]).await.is(0, "1 file copied");
    assert_eq!(scene.there(r"deep\er\a").unwrap(), b"newer");
    assert!(
        scene
            .disk()
            .files
            .iter()
            .any(|(path, content)| path.ends_with(".bak") && content == b"new")
    );
    assert_eq!(scene.litter(), [""; 0]);
    let disk = scene.disk();
    let longest = disk
        .lines
        .iter()
        .filter(|line| !line.starts_with("powershell"))
        .map(String::len)
        .max();
    assert!(longest.unwrap() < 1_000, "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_go_this_way_is_said() {
    let scene = Scene::new(PowerShell::Constrained, Fault::None).await;
    fs::create_dir(scene.path("folder")).unwrap();
    fs::write(scene.path("a"), "a").unwrap();
    fs::write(scene.path("large"), vec![1; 4 * 1024 * 1024 + 1]).unwrap();
    let ended = scene.run("put", &["folder", "large", "a", r"C:\Temp"]).await.is(2, "4 MiB");
    assert!(
        ended.stderr.contains("folders can't be copied") && ended.stdout.contains("1 file copied"),
        "{}",
        ended.stderr
    );
    assert_eq!(scene.there(r"C:\Temp\a").unwrap(), b"a");
    for bad in [r"x\%TEMP%", "100%", "a!b", "a\"b", r"C:\Temp\nul", r"C:\Temp\a:b"] {
        scene.run("put", &["a", bad]).await.is(2, "");
    }
    scene.run("put", &["a", r"C:\None\x"]).await.is(2, "cannot find the path");
    scene.run("put", &["a", r"C:\None\"]).await.is(2, "--mkdir makes it");
    scene.run("get", &[r"C:\Temp\none", r"C:\Temp\a", "."]).await.is(2, "no such file");
    scene.run("get", &[r"C:\Temp", "x"]).await.is(2, "folders can't be copied");
    scene.run("get", &[r"C:\Temp\*", "x"]).await.is(2, "wildcards");
    scene.disk().files.insert(r"c:\temp\large".to_owned(), vec![0; 5_000_000]);
    scene.run("get", &[r"C:\Temp\large", "x"]).await.is(2, "4 MiB");
    assert!(!scene.path("x").exists());
    assert_eq!(scene.litter(), [""; 0]);
    // Whoever names an engine wants that one.
    scene.run("put", &["--engine", "pwsh", "a", r"C:\Temp\b"]).await.is(2, "");
    assert_eq!(scene.there(r"C:\Temp\b"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_leaves_the_old_file_and_nothing_else() {
    for (fault, words) in [
        (Fault::Damage, "the bytes that arrived are not those that were sent"),
        (Fault::DiskFull, "There is not enough space on the disk"),
        (Fault::Antivirus, "the part that was written is gone from the host"),
        (Fault::Posix, "the host has no powershell"),
    ] {
        let scene = Scene::new(PowerShell::Missing, fault).await;
        fs::write(scene.path("a"), bytes(10_000)).unwrap();
        scene.disk().files.insert(r"c:\temp\a".to_owned(), b"old".to_vec());
        scene.run("put", &["a", r"C:\Temp"]).await.is(2, words);
        assert_eq!(scene.there(r"C:\Temp\a").unwrap(), b"old");
        assert_eq!(scene.litter(), [""; 0], "{fault:?}");
    }
    let scene = Scene::new(PowerShell::Missing, Fault::Damage).await;
    scene.disk().files.insert(r"c:\temp\a".to_owned(), b"old".to_vec());
    fs::write(scene.path("mine"), "mine").unwrap();
    scene.run("get", &[r"C:\Temp\a", "mine"]).await.is(2, "");
    assert_eq!(fs::read(scene.path("mine")).unwrap(), b"mine");
    assert_eq!(scene.litter(), [""; 0]);
}
