//! A fleet to run on: hosts that work and hosts that don't, an inventory of them, and a place for records.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::service::{self, PASSWORD, Service, USER};

/// How long anything may take before a test gives it up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts, an inventory of them, and a place for records.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) service: Service,
    pub(crate) lines: Vec<String>,
}

impl Site {
    pub(crate) fn new(name: &str) -> Self {
        let folder = service::folder(&format!("fleet-{name}"));
        let service = Service::start(&sub(&folder, "good"), &[]);
        Self {
            folder,
            service,
            lines: Vec::new(),
        }
    }

    /// So many hosts that work, `web1` and on.
    pub(crate) fn with_good(mut self, count: usize) -> Self {
        let port = port(&self.service.url);
        for number in 1..=count {
            self.lines.push(format!("web{number} ansible_port={port}"));
        }
        self
    }

    pub(crate) fn add(&mut self, host: &str, variables: &str) {
        self.lines.push(format!("{host} {variables}"));
    }

    /// The inventory's path.
    pub(crate) fn inventory(&self) -> String {
        let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!(
            "[fleet]\n{}\n[fleet:vars]\nansible_host=127.0.0.1\nansible_connection=winrm\nansible_user={USER}\n\
             ansible_password=\"{password}\"\nansible_winrm_transport=ntlm\nansible_winrm_scheme=http\n\
             ansible_winrm_message_encryption=always\n",
            self.lines.join("\n")
        );
        let file = self.folder.join("hosts.ini");
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// `winrm VERB -i INVENTORY`, with short time-outs for hosts that keep silent.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = self.bare();
        command.arg(verb).args(["-i", &self.inventory()]);
        command.args(["--operation-timeout", "2", "--read-timeout", "3", "--connect-timeout", "3"]);
        command
    }

    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env_remove("WINRM_PASSWORD")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command on the hosts that `args` name.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(self.command("run").args(args))
    }

    /// The newest record.
    pub(crate) fn record(&self) -> PathBuf {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.join("state/winrm/runs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.pop().unwrap()
    }
}

pub(crate) fn sub(folder: &Path, name: &str) -> PathBuf {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn port(url: &str) -> &str {
    url.rsplit(':').next().unwrap().trim_end_matches("/wsman")
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn with_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// The last line of standard error without the time.
    pub(crate) fn counts(&self) -> &str {
        let line = self.stderr.lines().last().unwrap_or_default();
        line.rsplit_once("; ").map_or(line, |(counts, _)| counts)
    }

    /// Lines of JSON by their hosts.
    pub(crate) fn hosts(&self) -> BTreeMap<String, Value> {
        by_host(&self.stdout)
    }
}

pub(crate) fn by_host(lines: &str) -> BTreeMap<String, Value> {
    let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    values
        .filter_map(|value| Some((value.get("host")?.as_str()?.to_owned(), value)))
        .collect()
}

/// What stands there for each host.
pub(crate) fn each<'a>(hosts: &'a BTreeMap<String, Value>, name: &str) -> Vec<(&'a str, &'a Value)> {
    hosts.iter().map(|(host, value)| (host.as_str(), &value[name])).collect()
}

pub(crate) fn statuses(hosts: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    each(hosts, "status")
        .into_iter()
        .map(|(host, status)| (host, status.as_str().unwrap()))
        .collect()
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(child)
}

pub(crate) fn finish(child: Child) -> Ended {
    let id = child.id();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if wait.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            signal(id, "KILL");
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    guard.join().unwrap();
    Ended::new(output)
}

pub(crate) fn signal(id: u32, name: &str) {
    drop(Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status());
}

/// Serves connections by hand; gives the port.
pub(crate) fn bad_host(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

pub(crate) fn silent_host() -> u16 {
    bad_host(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {})
}
