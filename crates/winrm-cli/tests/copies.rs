//! `winrm put` and `winrm get` against the service with a real PowerShell: what is copied, what is not, and what is left when
//! something is cut. Without a PowerShell (`WINRM_PWSH`, or `pwsh` on `PATH`) each test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what is left out is said"
)]

#[path = "support/service.rs"]
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod service;

#[path = "support/cutter.rs"]
mod cutter;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cutter::Cutter;
use service::{Service, USER};

struct Scene {
    service: Service,
    folder: PathBuf,
    password: PathBuf,
}

/// Whether there is a PowerShell for the service.
fn has_engine() -> bool {
    let named = std::env::var_os("WINRM_PWSH").is_some_and(|engine| Path::new(&engine).is_file());
    let found = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("pwsh").is_file()));
    if !named && !found {
        println!("copies are left out: there is no PowerShell (WINRM_PWSH is not set, and pwsh is not on PATH)");
    }
    named || found
}

impl Scene {
    fn new(test: &str) -> Option<Self> {
        Self::with(test, &[])
    }

    fn with(test: &str, flags: &[&str]) -> Option<Self> {
        if !has_engine() {
            return None;
        }
        let folder = service::folder(&format!("copies-{test}"));
        let service = Service::start(&folder, &[&["--allow-unencrypted"], flags].concat());
        let password = service::password_file(&folder);
        Some(Self { service, folder, password })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `winrm VERB … URL`, to which the paths are added.
    fn command(&self, verb: &str, url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args([verb, "--user", USER, "--transport", "basic", "--encryption", "never"])
            .arg("--connection-password-file")
            .arg(&self.password)
            .arg(url)
            .current_dir(&self.folder)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Ended {
        Ended(self.command(verb, &self.service.url).args(arguments).output().unwrap())
    }

    fn put(&self, arguments: &[&str]) -> Ended {
        self.run("put", arguments)
    }

    fn get(&self, arguments: &[&str]) -> Ended {
        self.run("get", arguments)
    }
}

struct Ended(Output);

impl Ended {
    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// Ended well, and said this.
    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert_eq!(self.code(), Some(0), "{}{}", self.stdout(), self.stderr());
        assert!(
            self.stdout().contains(words),
            "{words:?} is not in {:?} {:?}",
            self.stdout(),
            self.stderr()
        );
        self
    }

    #[track_caller]
    fn fails(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code(), Some(code), "{}{}", self.stdout(), self.stderr());
        assert!(self.stderr().contains(words), "{words:?} is not in {:?}", self.stderr());
        self
    }
}

/// Bytes that don't give in to compression, and that are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// All below a folder: contents of files, nothing for folders.
fn tree(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.insert(below, None);
                waiting.push(path);
            } else {
                found.insert(below, Some(fs::read(path).unwrap()));
            }
        }
    }
    found
}

fn parts(root: &Path) -> Vec<String> {
    tree(root).into_keys().filter(|name| name.contains("winrm-part")).collect()
}

fn sample(scene: &Scene, name: &str) {
    scene.file(&format!("{name}/a.txt"), "a");
    scene.file(&format!("{name}/ü ö 'x' $y.txt"), "unicode");
    scene.file(&format!("{name}/empty"), "");
    scene.file(&format!("{name}/sub/deep/b.bin"), noise(1_300_000));
    scene.file(&format!("{name}/sub/text.log"), "again and again ".repeat(90_000));
    fs::create_dir_all(scene.path(&format!("{name}/hollow/nothing"))).unwrap();
}

#[test]
fn files_go_there_and_back() {
    let Some(scene) = Scene::new("files") else { return };
    let content = noise(3_000_000);
    scene.file("big", &content);
    fs::create_dir(scene.path("there")).unwrap();
    scene.put(&["big", "there/"]).says("1 file copied, 3.0 MB");
    scene.put(&["big", "there"]).says("0 files copied; 1 unchanged");
    scene.put(&["big", "there/renamed"]).says("1 file copied");
    scene.get(&[&scene.text("there/renamed"), "back"]).says("1 file copied, 3.0 MB");
    assert!(fs::read(scene.path("back")).unwrap() == content && fs::read(scene.path("there/big")).unwrap() == content);
    // An old file is replaced as a whole; times of change are taken over.
    scene.file("big", "now short");
    scene.put(&["big", "there/"]).says("1 file copied, 9 B");
    assert_eq!(fs::read(scene.path("there/big")).unwrap(), b"now short");
    let time = |name: &str| fs::metadata(scene.path(name)).unwrap().modified().unwrap();
    let apart = time("big").duration_since(time("there/big")).unwrap_or_default();
    assert!(apart < Duration::from_micros(1), "{apart:?}");
    assert_eq!(parts(&scene.folder), [""; 0]);
}

#[test]
fn folders_go_there_and_back_and_only_what_differs() {
    let Some(scene) = Scene::new("folders") else { return };
    sample(&scene, "folder");
    fs::create_dir(scene.path("host")).unwrap();
    scene.put(&["folder", "host/y"]).says("5 files copied");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("host/y")));
    scene.put(&["folder", "host/y"]).says("0 files copied; 5 unchanged");
    scene.file("folder/a.txt", "b");
    scene.put(&["folder", "host/y"]).says("1 file copied, 1 B");
    // Into a folder that is something else, as scp does.
    scene.put(&["folder", "host"]).says("5 files copied");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("host/folder")));
    let remote = scene.text("host/y");
    scene.get(&[&remote, "back"]).says("5 files copied");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("back")));
    scene.get(&[&remote, "back"]).says("0 files copied; 5 unchanged");
    // A mirror.
    fs::remove_file(scene.path("folder/sub/text.log")).unwrap();
    fs::remove_dir_all(scene.path("folder/hollow")).unwrap();
    scene.put(&["folder", "host/y", "--delete", "--dry-run"]).says("would remove");
    assert!(scene.path("host/y/hollow").exists());
    scene.put(&["folder", "host/y", "--delete"]).says("4 unchanged; 3 removed");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("host/y")));
    scene.get(&[&remote, "back", "--delete"]).says("3 removed");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("back")));
    assert_eq!(parts(&scene.folder), [""; 0]);
}

#[test]
fn options_do_what_they_say() {
    let Some(scene) = Scene::new("options") else { return };
    sample(&scene, "folder");
    scene.file("folder/skip.tmp", "x");
    scene
        .put(&["folder", "a", "--exclude", "*.tmp", "--exclude", "deep"])
        .says("4 files copied");
    assert!(!scene.path("a/skip.tmp").exists() && !scene.path("a/sub/deep").exists());
    scene
        .put(&["folder", "b", "--include", "*.txt", "--no-compress"])
        .says("2 files copied");
    scene.put(&["folder/a.txt", "x/y/z/", "--mkdir"]).says("1 file copied");
    assert!(scene.path("x/y/z/a.txt").is_file());
    // Same size, same time, other bytes: only the hash tells.
    let time = fs::metadata(scene.path("folder/a.txt")).unwrap().modified().unwrap();
    scene.file("folder/a.txt", "c");
    fs::File::open(scene.path("folder/a.txt")).unwrap().set_modified(time).unwrap();
    scene.put(&["folder/a.txt", "x/y/z/"]).says("1 unchanged");
    scene
        .put(&["folder/a.txt", "x/y/z/", "--checksum", "--backup"])
        .says("1 file copied");
    let kept = tree(&scene.path("x/y/z"));
    assert_eq!(kept.get("a.txt").unwrap().as_deref(), Some(&b"c"[..]));
    assert!(
        kept.iter()
            .any(|(name, content)| name.ends_with(".bak") && content.as_deref() == Some(b"a"))
    );
    scene.put(&["folder/a.txt", "x/y/z/", "--checksum"]).says("1 unchanged");
    // What is read-only stays so with --preserve, and is replaced with it only.
    fs::set_permissions(scene.path("x/y/z/a.txt"), fs::Permissions::from_mode(0o444)).unwrap();
    scene.file("folder/a.txt", "dd");
    scene.put(&["folder/a.txt", "x/y/z/"]).fails(2, "the file there is read-only");
    scene.put(&["folder/a.txt", "x/y/z/", "--preserve"]).says("1 file copied");
    // Several PowerShells, and a limit.
    for number in 0..40 {
        scene.file(&format!("many/{number}"), noise(20_000 + number));
    }
    scene.put(&["many", "many2", "--streams", "3"]).says("40 files copied");
    assert_eq!(tree(&scene.path("many")), tree(&scene.path("many2")));
    scene
        .get(&[&scene.text("many2"), "many3", "--streams", "3"])
        .says("40 files copied");
    assert_eq!(tree(&scene.path("many")), tree(&scene.path("many3")));
    let begin = Instant::now();
    scene.put(&["many", "many4", "--limit-rate", "800K"]).says("40 files copied");
    assert!(
        begin.elapsed() > Duration::from_millis(900),
        "800 kB can't take {:?}",
        begin.elapsed()
    );
    let json = scene.put(&["many", "many4", "folder/a.txt", "--format", "json", "--checksum"]);
    assert_eq!(json.code(), Some(2), "a file is no place for several");
    let json = scene.put(&["many", "many4", "--format", "json", "--checksum"]).stdout();
    assert!(json.contains("\"unchanged\":40") && json.contains("\"sha256\":\""), "{json}");
}

#[test]
fn streams_and_wildcards() {
    let Some(scene) = Scene::new("streams") else { return };
    let content = noise(1_500_000);
    let mut child = scene
        .command("put", &scene.service.url)
        .args(["-", &scene.text("from stdin")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&content).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(fs::read(scene.path("from stdin")).unwrap() == content);
    let got = scene.get(&[&scene.text("from stdin"), "-"]);
    assert!(got.0.stdout == content && got.stderr().contains("1 file copied"));
    for name in ["w/one.txt", "w/two.txt", "w/three.log", "w/s/four.txt"] {
        scene.file(name, name);
    }
    scene.get(&[&scene.text("w/*.txt"), "out", "--mkdir"]).says("2 files copied");
    scene.get(&[&scene.text("w/*/f*.txt"), "out"]).says("1 file copied");
    scene.put(&["w/*.txt", "in/", "--mkdir"]).says("2 files copied");
    assert_eq!(
        tree(&scene.path("out")).into_keys().collect::<Vec<_>>(),
        ["four.txt", "one.txt", "two.txt"]
    );
    scene
        .get(&[&scene.text("w/*.none"), "out"])
        .fails(2, "nothing on the host matches it");
    // What the host calls home.
    let home = scene.get(&["~/.no-such-file-for-sure", "x"]).fails(2, "the host has no such file");
    assert!(!home.stderr().contains('~') || home.stderr().contains(".no-such-file-for-sure"));
}

#[test]
fn what_fails_is_said_and_the_others_go_on() {
    let Some(scene) = Scene::new("failures") else { return };
    scene.file("a", "a");
    scene.file("b", "b");
    fs::create_dir(scene.path("there")).unwrap();
    let ended = scene
        .put(&["a", "none", "b", "there/"])
        .fails(2, "none: there is no such file here");
    assert!(ended.stdout().contains("2 files copied, 2 B") && ended.stdout().contains("1 failed"));
    scene.put(&["a", "no/such/folder"]).fails(2, "--mkdir");
    scene.put(&["a", "no/such/folder/"]).fails(2, "the host has no folder");
    scene.put(&["there", "no/such/folder"]).fails(2, "the host has no folder");
    scene
        .get(&[&scene.text("none"), "x"])
        .fails(2, "the host has no such file or folder");
    scene
        .get(&[&scene.text("a"), "no/folder/x"])
        .fails(2, "there is no folder no/folder here");
    scene.file("c", "c");
    fs::create_dir(scene.path("there/c")).unwrap();
    scene.put(&["c", "there/"]).fails(2, "a folder is there where a file is meant");
    scene.put(&["there", "a"]).fails(2, "is a file on the host, and a folder is meant");
    scene
        .get(&[&scene.text("there"), "b"])
        .fails(2, "is a file here, and a folder is meant");
    scene.put(&["a"]).fails(1, "");
    scene
        .put(&["--engine", "no-such-shell", "a", "x"])
        .fails(2, "the host has no no-such-shell");
    let nobody = Ended(
        scene
            .command("put", "http://127.0.0.1:1/wsman")
            .args(["--retries", "0", "a", "c"])
            .output()
            .unwrap(),
    );
    nobody.fails(4, "refuses connections");
    // Links: to files they are files, to folders they are left out.
    scene.file("links/real", "real");
    symlink("real", scene.path("links/file")).unwrap();
    symlink("..", scene.path("links/loop")).unwrap();
    let ended = scene.put(&["links", "links2"]).says("2 files copied, 8 B");
    assert!(ended.stderr().contains("links/loop: left out, it is a link to a folder"));
    assert_eq!(fs::read(scene.path("links2/file")).unwrap(), b"real");
    scene.get(&[&scene.text("links"), "links3"]).says("; 1 left out");
    fs::remove_file(scene.path("links/loop")).unwrap();
    assert_eq!(parts(&scene.folder), [""; 0]);
}

#[test]
fn many_hosts_of_which_one_is_dead() {
    let Some(scene) = Scene::new("fleet") else { return };
    let other = scene.path("other");
    fs::create_dir(&other).unwrap();
    let second = Service::start(&other, &["--allow-unencrypted"]);
    let port = |url: &str| url.trim_end_matches("/wsman").rsplit(':').next().unwrap().to_owned();
    scene.file(
        "hosts.ini",
        format!(
            "web1 ansible_port={}\ndead ansible_port=1\nweb2 ansible_port={}\n[all:vars]\nansible_host=127.0.0.1\n\
             ansible_connection=winrm\nansible_user={USER}\nansible_password=\"{}\"\nansible_winrm_transport=ntlm\n\
             ansible_winrm_scheme=http\n",
            port(&scene.service.url),
            port(&second.url),
            service::PASSWORD.replace('"', "\\\""),
        ),
    );
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(&arguments[..1])
            .args(["-i", "hosts.ini", "--retries", "0"])
            .args(&arguments[1..]);
        command.current_dir(&scene.folder).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
        Ended(command.output().unwrap())
    };
    sample(&scene, "folder");
    scene.file("one.txt", "one");
    let ended = run(&["put", "all", "folder", "one.txt", "in/", "--mkdir"]).fails(4, "dead: ");
    assert!(ended.stdout().contains("web1: 6 files copied") && ended.stdout().contains("web2: 6 files copied"));
    assert!(
        ended.stdout().ends_with("3 hosts: 2 ok, 0 failed, 1 unreachable\n"),
        "{}",
        ended.stdout()
    );
    for there in [scene.path("in"), other.join("in")] {
        assert_eq!(tree(&scene.path("folder")), tree(&there.join("folder")));
        assert_eq!(fs::read(there.join("one.txt")).unwrap(), b"one");
    }
    // What each host has is kept apart.
    fs::write(other.join("in/one.txt"), "two").unwrap();
    run(&["get", "all", "in/one.txt", "in/folder", "back"]).fails(4, "dead: ");
    assert_eq!(fs::read(scene.path("back/web1/one.txt")).unwrap(), b"one");
    assert_eq!(fs::read(scene.path("back/web2/one.txt")).unwrap(), b"two");
    for host in ["web1", "web2"] {
        assert_eq!(tree(&scene.path("folder")), tree(&scene.path(&format!("back/{host}/folder"))));
    }
    assert!(tree(&scene.path("back")).keys().all(|name| !name.starts_with("dead/")));
    // Where only a file fails, and no host is dead.
    let ended = run(&["get", "web*", "in/one.txt", "in/none", "back", "--format", "json"]).fails(2, "web1: ");
    let hosts: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout()).unwrap();
    let counts = hosts
        .iter()
        .map(|host| (host["host"].as_str(), host["unchanged"].as_u64(), host["failed"].as_u64()));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [(Some("web1"), Some(1), Some(1)), (Some("web2"), Some(1), Some(1))]
    );
    // A dead host is not tried by another transport, one that can't be used has its place in the report, and the others are done.
    scene.file(
        "odd.ini",
        "odd ansible_host=127.0.0.1 ansible_connection=winrm ansible_winrm_transport=nonsense\n",
    );
    let ended = run(&[
        "put",
        "-i",
        "odd.ini",
        "--transport",
        "ntlm,basic",
        "--format",
        "json",
        "dead:web1",
        "one.txt",
        "in/",
    ])
    .fails(4, "dead: ");
    let hosts: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(
        hosts.iter().map(|host| host["host"].as_str()).collect::<Vec<_>>(),
        [Some("dead"), Some("web1")]
    );
    assert!(hosts[0]["error"].as_str().unwrap().contains("refuses connections") && hosts[1]["error"].is_null());
    let ended = run(&["put", "-i", "odd.ini", "--format", "json", "odd:web1", "one.txt", "in/"]).fails(4, "odd: ");
    let hosts: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(
        hosts.iter().map(|host| host["host"].as_str()).collect::<Vec<_>>(),
        [Some("odd"), Some("web1")]
    );
    assert!(hosts[0]["error"].as_str().unwrap().contains("nonsense") && hosts[1]["error"].is_null());
}

#[test]
fn no_right_to_write() {
    let Some(scene) = Scene::new("rights") else { return };
    scene.file("a", "a");
    // Where even root can't write.
    scene.put(&["a", "/proc/winrm-test"]).fails(2, "a: ");
    scene.get(&[&scene.text("a"), "/proc/winrm-test"]).fails(2, "a: ");
}

#[test]
fn a_full_disk_is_said_and_nothing_stays_on_it() {
    let Some(scene) = Scene::new("full") else { return };
    let small = scene.path("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("the full disk is left out: a small file system can't be mounted here");
        return;
    }
    struct Mounted(PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            drop(Command::new("umount").arg(&self.0).status());
        }
    }
    let mounted = Mounted(small);
    scene.file("big", noise(3_000_000));
    scene.file("little", "little");
    let ended = scene.put(&["big", "little", "small/"]).fails(2, "the host's disk is full");
    assert!(ended.stdout().contains("1 file copied, 6 B"));
    assert_eq!(tree(&mounted.0).into_keys().collect::<Vec<_>>(), ["little"]);
    scene.get(&[&scene.text("big"), "small/"]).fails(2, "the disk here is full");
    assert_eq!(tree(&mounted.0).into_keys().collect::<Vec<_>>(), ["little"]);
    // What doesn't fit isn't fetched to its end, and the files behind it are.
    scene.file("huge", noise(60_000_000));
    scene.file("last", "last");
    let cutter = Cutter::start(&scene.service.url, u64::MAX);
    let mut command = scene.command("get", &cutter.url());
    command.args([&scene.text("huge"), &scene.text("last"), "small/"]);
    Ended(command.output().unwrap()).fails(2, "the disk here is full");
    assert_eq!(tree(&mounted.0).into_keys().collect::<Vec<_>>(), ["last", "little"]);
    // Whole it would take 160 requests with their answers.
    assert!(cutter.messages() < 160, "{}", cutter.messages());
}

#[test]
fn names_may_begin_with_a_dash() {
    let Some(scene) = Scene::new("dash") else { return };
    scene.file("-name", "dashing");
    let copy = |verb: &str, paths: &[&str]| {
        let mut command = scene.command(verb, &scene.service.url);
        Ended(command.arg("--").args(paths).output().unwrap()).says("1 file copied");
    };
    copy("put", &["-name", &scene.text("there")]);
    copy("get", &[&scene.text("there"), "-back"]);
    assert_eq!(fs::read(scene.path("-back")).unwrap(), b"dashing");
}

#[test]
fn a_reader_who_has_enough_ends_the_copy() {
    let Some(scene) = Scene::new("enough") else { return };
    scene.file("huge", noise(60_000_000));
    let cutter = Cutter::start(&scene.service.url, u64::MAX);
    let mut child = scene
        .command("get", &cutter.url())
        .args([&scene.text("huge"), "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(first, noise(10)[..]);
    assert!(!output.status.success());
    assert!(cutter.messages() < 160, "{}", cutter.messages());
}

#[test]
fn a_killed_copy_goes_on_where_it_was() {
    let Some(scene) = Scene::new("killed") else { return };
    let content = noise(6_000_000);
    scene.file("big", &content);
    for (verb, source, target) in [("put", "big".to_owned(), "up"), ("get", scene.text("big"), "down")] {
        let mut child = scene
            .command(verb, &scene.service.url)
            .args([&source, target, "--limit-rate", "2M"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let part = scene.path(&format!("{target}.winrm-part"));
        let begin = Instant::now();
        while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 1_500_000 {
            assert!(begin.elapsed() < Duration::from_secs(60), "no part grows");
            std::thread::sleep(Duration::from_millis(20));
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!scene.path(target).exists());
        let ended = scene.run(verb, &[&source, target]).says("1 file copied, 6.0 MB");
        assert!(ended.stderr().contains(": goes on at "), "{}", ended.stderr());
        assert!(fs::read(scene.path(target)).unwrap() == content && !part.exists());
    }
    // Another file's part is of no use.
    scene.file("up.winrm-part", noise(100_000));
    scene.file("up", "old");
    scene.file("big", vec![7; 200_000]);
    let ended = scene.put(&["big", "up"]).says("1 file copied");
    assert!(!ended.stderr().contains("goes on") && fs::read(scene.path("up")).unwrap() == vec![7; 200_000]);
}

/// Cuts the wire at each message in turn, and copies again.
///
/// Each cut has a file and a client of its own. What takes the time is PowerShell's start, so a few files cut at neighbouring
/// messages are made good by one rerun, and several such batches run at once. Each has a service of its own, since the agents
/// of clients that are gone stay for some minutes.
fn cut_everywhere(test: &str, verb: &str) {
    const BATCH: u64 = 5;
    let Some(scene) = Scene::new(test) else { return };
    let content = noise(5_000_000);
    scene.file("big", &content);
    let (from, to) = (scene.path("from"), scene.path("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    let cutter = Cutter::start(&scene.service.url, u64::MAX);
    let whole = scene
        .command(verb, &cutter.url())
        .args([&scene.text("big"), &scene.text("to/whole")])
        .output();
    Ended(whole.unwrap()).says("1 file copied, 5.0 MB");
    let messages = cutter.messages();
    assert!(messages > 20, "{messages} messages");
    let next = AtomicU64::new(0);
    let batch = |first: u64| {
        let folder = scene.path(&format!("service{first}"));
        fs::create_dir(&folder).unwrap();
        let service = Service::start(&folder, &["--allow-unencrypted"]);
        let mut names = Vec::new();
        for cut in first..messages.min(first + BATCH) {
            let name = format!("cut{cut}");
            fs::hard_link(scene.path("big"), from.join(&name)).unwrap();
            fs::write(to.join(&name), "old").unwrap();
            let cutter = Cutter::start(&service.url, cut);
            let mut command = scene.command(verb, &cutter.url());
            command.args(["--retries", "0"]).arg(from.join(&name)).arg(to.join(&name));
            let ended = Ended(command.output().unwrap());
            let now = fs::read(to.join(&name)).unwrap();
            assert!(now == b"old" || now == content, "{name}: {} bytes are neither", now.len());
            assert!(ended.code() != Some(0) || now == content, "{name}: {}", ended.stderr());
            names.push(name);
        }
        let mut again = scene.command(verb, &service.url);
        again.args(names.iter().map(|name| from.join(name))).arg(&to);
        Ended(again.output().unwrap()).says("");
        for name in names {
            assert!(fs::read(to.join(&name)).unwrap() == content, "{name}");
            assert!(!to.join(format!("{name}.winrm-part")).exists(), "{name}");
            fs::remove_file(to.join(&name)).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= messages {
                        return;
                    }
                    batch(first);
                }
            });
        }
    });
}

#[test]
fn an_upload_cut_at_any_message_is_made_good() {
    cut_everywhere("cut-up", "put");
}

#[test]
fn a_download_cut_at_any_message_is_made_good() {
    cut_everywhere("cut-down", "get");
}

/// A PowerShell that something stands before: a shell script in place of the engine.
fn engine_behind(scene: &Scene, name: &str, script: &str) -> Option<String> {
    let engine = std::env::var("WINRM_PWSH").ok()?;
    let path = scene.file(name, format!("#!/bin/sh\n{}\n", script.replace("ENGINE", &format!("'{engine}'"))));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Some(path)
}

#[test]
fn ways_that_change_bytes_are_gone_in_text() {
    let Some(scene) = Scene::new("mangled") else { return };
    sample(&scene, "folder");
    for (number, script) in [
        // Bytes lost one way, line ends changed the other way, only letters left.
        "LC_ALL=C tr -d '\\000\\200-\\377' | ENGINE \"$@\"",
        "ENGINE \"$@\" | LC_ALL=C sed -u 's/$/\\r/'",
        "ENGINE \"$@\" | LC_ALL=C tr '\\200-\\377' '?'",
    ]
    .iter()
    .enumerate()
    {
        let Some(engine) = engine_behind(&scene, &format!("engine{number}"), &script.replace("tr ", "stdbuf -i0 -o0 tr ")) else {
            return;
        };
        let (up, down) = (format!("up{number}"), format!("down{number}"));
        let ended = scene.put(&["-v", "--engine", &engine, "folder", &up]).says("5 files copied");
        assert!(ended.stderr().contains("goes on in base64"), "{script}: {}", ended.stderr());
        assert_eq!(tree(&scene.path("folder")), tree(&scene.path(&up)), "{script}");
        scene.get(&["--engine", &engine, &scene.text(&up), &down]).says("5 files copied");
        assert_eq!(tree(&scene.path("folder")), tree(&scene.path(&down)), "{script}");
    }
}

#[test]
fn strict_modes_banners_and_restrictions() {
    let Some(scene) = Scene::new("modes") else { return };
    sample(&scene, "folder");
    // What a profile could have set, by a line before the script.
    let strict = "for last; do :; done\nmore=$(printf 'Set-StrictMode -Version Latest; $ErrorActionPreference = \"Stop\"; $PSDefaultParameterValues[\"*:Verbose\"] = $true\\n' | iconv -t UTF-16LE | base64 -w0)\n";
    let script = format!(
        "{strict}script=$(printf '%s' \"$last\" | base64 -d)\nboth=$( (printf '%s' \"$more\" | base64 -d; printf '%s' \"$last\" | base64 -d) | base64 -w0)\nexec ENGINE -NoProfile -NonInteractive -InputFormat None -EncodedCommand \"$both\""
    )
    .replace("script=$(printf '%s' \"$last\" | base64 -d)\n", "");
    let Some(engine) = engine_behind(&scene, "strict", &script) else {
        return;
    };
    scene.put(&["--engine", &engine, "folder", "up"]).says("5 files copied");
    scene.get(&["--engine", &engine, &scene.text("up"), "down"]).says("5 files copied");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("down")));
    let Some(banner) = engine_behind(&scene, "banner", "echo 'Welcome to this host'; echo; exec ENGINE \"$@\"") else {
        return;
    };
    scene.put(&["--engine", &banner, "folder", "up2"]).says("5 files copied");
    let Some(limited) = engine_behind(
        &scene,
        "limited",
        "cat >/dev/null & echo 'winrm-agent language ConstrainedLanguage'; exit 3",
    ) else {
        return;
    };
    scene
        .put(&["--engine", &limited, "folder", "up3"])
        .fails(2, "runs in ConstrainedLanguage mode");
    let Some(dies) = engine_behind(&scene, "dies", "stdbuf -o0 head -c 200000 | ENGINE \"$@\"") else {
        return;
    };
    scene.put(&["--engine", &dies, "folder", "up4"]).fails(2, "");
    scene.put(&["folder", "up4"]).says("");
    assert_eq!(tree(&scene.path("folder")), tree(&scene.path("up4")));
}

#[test]
fn the_scripts_run_on_windows_powershell() {
    let Some(engine) = std::env::var_os("WINRM_PWSH") else {
        println!("the check of scripts is left out: WINRM_PWSH is not set");
        return;
    };
    let check = Path::new(&engine).with_file_name("check51.ps1");
    if !check.is_file() {
        println!("the check of scripts is left out: there is no check51.ps1 beside the PowerShell of WINRM_PWSH");
        return;
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../winrm/src/files");
    let output = Command::new(engine)
        .args(["-NoProfile", "-File"])
        .arg(check)
        .args([scripts.join("agent.ps1"), scripts.join("bootstrap.ps1")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn ansible_sees_the_same_bytes() {
    let Some(python) = std::env::var_os("WINRM_TEST_PYTHON") else {
        println!("Ansible's copies are left out: WINRM_TEST_PYTHON is not set (cargo xtask test sets it)");
        return;
    };
    let Some(scene) = Scene::new("ansible") else { return };
    let content = noise(700_001);
    let local = scene.file("local", &content);
    let ansible = |from: &str, to: &str, back: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/copy_ansible.py");
        let mut command = Command::new(&python);
        command
            .arg(script)
            .arg(&scene.service.url)
            .arg(USER)
            .arg(&scene.password)
            .args([from, to, back])
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ended(command.output().unwrap()).says("fetch")
    };
    ansible(&local, &scene.text("theirs"), &scene.text("their-back"));
    scene.get(&[&scene.text("theirs"), "ours"]).says("1 file copied");
    scene.put(&["local", "put"]).says("1 file copied");
    ansible(&local, &scene.text("other"), &scene.text("other-back"));
    for name in ["theirs", "their-back", "ours", "put"] {
        assert!(fs::read(scene.path(name)).unwrap() == content, "{name} differs");
    }
}
