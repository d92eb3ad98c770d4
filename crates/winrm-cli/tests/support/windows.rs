//! A service whose PowerShell finds stand-ins for what is Windows' own: the native functions that start processes as other accounts, and its
//! compiler's limits. They are in `tests/peers/windows-standin`.

#![expect(clippy::unwrap_used, reason = "a scene that can't be set is the test's failure")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::peer;
use crate::support::service::{self, Service, USER};

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The accounts of the host: name, flags, password.
const ACCOUNTS: &str = "\
alice:admin:correct horse Zeppelin
bob::Bobs Password
locked:locked:x
disabled:disabled:x
expired:expired:x
stale:must-change:x
remote:no-interactive:x
";

/// alice's password.
pub(crate) const ALICES: &str = "correct horse Zeppelin";

/// A service with the stand-ins, and a folder for the test's files.
pub(crate) struct Windows {
    pub(crate) service: Service,
    pub(crate) folder: PathBuf,
}

impl Windows {
    /// Nothing after a sentence where there is no PowerShell or no compiler for C. `variables` are the stand-ins'.
    pub(crate) fn new(test: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let Some(pwsh) = std::env::var_os("WINRM_PWSH").filter(|pwsh| Path::new(pwsh).is_file()) else {
            peer::skip(&format!("Windows' stand-ins, {test}"), "WINRM_PWSH names no PowerShell");
            return None;
        };
        let folder = service::folder(test);
        let standins = peer::file("windows-standin/run-as").canonicalize().unwrap();
        let library = folder.join("lib");
        fs::create_dir(&library).unwrap();
        let native = library.join("advapi32.dll.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&native)
            .arg(standins.join("native.c"))
            .status();
        if !built.is_ok_and(|status| status.success()) {
            peer::skip(&format!("Windows' stand-ins, {test}"), "there is no cc to build them with");
            return None;
        }
        for name in ["kernel32", "userenv", "user32"] {
            std::os::unix::fs::symlink(&native, library.join(format!("{name}.dll.so"))).unwrap();
        }
        fs::write(folder.join("accounts"), ACCOUNTS).unwrap();
        fs::write(folder.join("alices"), ALICES).unwrap();
        let mut script = "#!/bin/sh\n".to_owned();
        let mut export = |name: &str, value: &Path| writeln!(script, "export {name}='{}'", value.display()).unwrap();
        export("STANDIN_PWSH", Path::new(&pwsh));
        let scripts = format!("{0}/csharp5.ps1:{0}/tasks.ps1", standins.display());
        export("STANDIN_SCRIPTS", Path::new(&scripts));
        export("STANDIN_USERS", &folder.join("accounts"));
        export("STANDIN_LOG", &folder.join("log"));
        export("STANDIN_TASKS", &folder.join("tasks"));
        export("STANDIN_POWERSHELL", &folder.join("powershell"));
        export("SystemRoot", &folder.join("Windows"));
        export("LD_LIBRARY_PATH", &library);
        for (name, value) in variables {
            export(name, Path::new(value));
        }
        // Where processes find cmd.exe, and PowerShell.
        let programs = folder.join("bin");
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(standins.join("cmd.sh"), programs.join("cmd.exe")).unwrap();
        std::os::unix::fs::symlink(folder.join("powershell"), programs.join("powershell.exe")).unwrap();
        writeln!(script, "export PATH='{}':\"$PATH\"", programs.display()).unwrap();
        writeln!(script, "exec sh '{}' \"$@\"", standins.join("pwsh.sh").display()).unwrap();
        let wrapper = folder.join("powershell");
        fs::write(&wrapper, script).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let service = Service::start(&folder, &["--allow-unencrypted", "--pwsh", wrapper.to_str().unwrap()]);
        service::password_file(&folder);
        Some(Self { service, folder })
    }

    /// The program, without what it takes to reach the service.
    pub(crate) fn bare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(words)
            .env("XDG_STATE_HOME", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The program with what it takes to reach the service, which `arguments` name.
    pub(crate) fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = self.bare(&[verb]);
        command
            .args(["--transport", "basic", "--encryption", "never", "--scheme", "http", "--user", USER])
            .arg("--connection-password-file")
            .arg(self.folder.join("password"))
            .args(arguments);
        command
    }

    pub(crate) fn told(&self, verb: &str, arguments: &[&str]) -> Told {
        self.command(verb, arguments).output().unwrap().into()
    }

    /// A file with a password.
    pub(crate) fn secret(&self, text: &str) -> String {
        let file = self.folder.join(format!("secret-{}", text.len()));
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    pub(crate) fn alices(&self) -> String {
        self.folder.join("alices").to_str().unwrap().to_owned()
    }

    /// The calls of native functions so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// How often somebody was logged on, or tried to be.
    pub(crate) fn logons(&self) -> usize {
        self.log().lines().filter(|line| line.contains(" user=")).count()
    }
}

/// What the program said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl From<std::process::Output> for Told {
    fn from(output: std::process::Output) -> Self {
        Self {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} does not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// The processes whose command line or variables hold a text, ours left out.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&bytes).contains(text) {
                found.push(format!("{name}/{file}"));
            }
        }
    }
    found
}

/// The files below a folder that hold a text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.is_file() && String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).contains(text) {
                found.push(path);
            }
        }
    }
    found
}
