//! The program's own service, as a child with free ports.

#![expect(clippy::unwrap_used, reason = "a service that can't be started is the test's failure")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The user of every service here.
pub(crate) const USER: &str = "alice";

/// The user's password: with a colon, which Basic authentication has to take, and what XML, YAML and shells escape.
pub(crate) const PASSWORD: &str = "open: \"Sesame\" & <50%>";

/// How long a service may take to say where it listens, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `winrm serve`. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    /// The address of the listener without TLS.
    pub(crate) url: String,
    /// The address of the listener with TLS.
    pub(crate) tls_url: String,
    /// The certificate of that listener, PEM.
    pub(crate) certificate: PathBuf,
    /// What it writes to standard error.
    log: PathBuf,
}

impl Service {
    /// Starts a service with two listeners and waits until it accepts.
    ///
    /// `folder` takes its password file and its log; `args` come after the user's.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let (log, certificate) = (folder.join("service.log"), folder.join("certificate.pem"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--tls-listen",
                "127.0.0.1:0",
                "--user",
                USER,
                "--password-file",
            ])
            .arg(password_file(folder))
            .arg("--cert-out")
            .arg(&certificate)
            .args(args)
            // A command that writes files without saying where writes them there.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = std::sync::mpsc::channel();
        // Reads to the end, so that the service never waits for somebody to take its output.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let (mut url, mut tls_url) = (None, None);
        while url.is_none() || tls_url.is_none() {
            let Ok(line) = receiver.recv_timeout(PATIENCE) else {
                drop(child.kill());
                panic!(
                    "the service says no address; its log:\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            };
            match line.strip_prefix("listening ") {
                Some(address) if address.starts_with("https://") => tls_url = Some(address.to_owned()),
                Some(address) => url = Some(address.to_owned()),
                None => {}
            }
        }
        Self {
            child,
            url: url.unwrap(),
            tls_url: tls_url.unwrap(),
            certificate,
            log,
        }
    }

    /// Ends the service as an administrator would, with SIGTERM, and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate().expect("the service ends within 20 s of SIGTERM")
    }

    /// The service's log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        None
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
        }
    }
}

/// A file in the folder with the user's password.
pub(crate) fn password_file(folder: &Path) -> PathBuf {
    let file = folder.join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    file
}

/// A new, empty folder for one test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peers-{test}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether the services started here find a PowerShell.
pub(crate) fn has_powershell() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::var_os("WINRM_PWSH").is_some_and(|pwsh| Path::new(&pwsh).is_file())
        || std::env::split_paths(&path).any(|folder| folder.join("pwsh").is_file())
}
