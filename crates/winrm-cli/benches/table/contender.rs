//! Those who are compared, and how each is set to work.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::driver::{DRIVER, Figures};
use crate::served::Outcome;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// A command in a shell of its own, over a connection that is kept where the client keeps it.
    Full,
    /// A command in a shell that is there.
    Kept,
    /// A process that runs one command, from its start to its end.
    First,
    /// Two hundred hosts at once.
    Hosts,
    Up,
    Down,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Kept => "kept",
            Self::First => "first",
            Self::Hosts => "hosts",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Where and as whom.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    pub(crate) floor: String,
    /// Of Kerberos, where there is a KDC: variables, and the user.
    pub(crate) kerberos: Option<(Vec<(&'static str, OsString)>, String)>,
}

pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Program,
    Library,
    Floor,
    /// A Python, and who is driven in it.
    Python(OsString, &'static str),
    Go(PathBuf),
    WinrmRs(PathBuf),
}

const OURS: &str = "each command is a process of its own";
const NO_COPIES: &str = "has no copies of files";
const NO_HOSTS: &str = "these hosts want sealed messages";

impl Contender {
    /// How often a job is done in one go, or why it isn't.
    pub(crate) fn takes(&self, job: Job, transport: &str) -> Result<usize, &'static str> {
        let reason = match (&self.kind, job, transport) {
            (_, Job::Hosts, other) if other != "ntlm" => "measured over NTLM",
            (_, Job::Up | Job::Down, "credssp" | "kerberos") => "measured over Basic and NTLM",
            (Kind::Program, Job::Kept, _) => OURS,
            (Kind::Floor, Job::Full | Job::Kept, "basic") => return Ok(100),
            (Kind::Floor, ..) => "POSTs alone",
            (Kind::Python(_, "pypsrp"), Job::Up | Job::Down, _) => "copies by PowerShell remoting, which this service doesn't have",
            (Kind::Python(_, "ansible"), Job::Hosts, _) => "a process for each host: see the line about `raw` below",
            (Kind::Python(_, "pywinrm"), Job::Up | Job::Down, _) => NO_COPIES,
            (Kind::Go(_), _, "credssp" | "kerberos") => "has neither in the version that Debian packages",
            (Kind::Go(_), Job::Hosts, _) => NO_HOSTS,
            (Kind::Go(_), Job::Up | Job::Down, _) => "winrmcp, its copier, needs a `cmd` whose %TEMP% is PowerShell's $env:TEMP",
            (Kind::WinrmRs(_), _, "credssp") => "does CredSSP over https only",
            (Kind::WinrmRs(_), _, "kerberos") => "needs libclang for Kerberos",
            (Kind::WinrmRs(_), Job::Hosts, _) => "not driven",
            (_, Job::Full, _) => {
                return Ok(match self.kind {
                    Kind::Library => 100,
                    Kind::Python(_, "ansible") | Kind::Program => 10,
                    _ => 20,
                });
            }
            (_, Job::Kept, _) => return Ok(if matches!(self.kind, Kind::Library) { 100 } else { 20 }),
            _ => return Ok(1),
        };
        Err(reason)
    }

    /// The size of the file that is copied: those who are slow get less, and their rate is what counts.
    pub(crate) fn file_size(&self, job: Job) -> u64 {
        match (&self.kind, job) {
            (Kind::WinrmRs(_), Job::Up) => 20_000,
            (Kind::WinrmRs(_), _) => 10_000_000,
            (Kind::Python(..), Job::Down) => 3_000_000,
            (Kind::Python(..), _) => 10_000_000,
            _ => 100_000_000,
        }
    }

    /// Does a job so many times.
    pub(crate) fn run(&self, site: &Site, job: Job, transport: &str, url: &str, count: usize, more: &[String]) -> Outcome<Figures> {
        let mut command = match (&self.kind, job) {
            (Kind::Program, _) => return self.program(site, job, transport, url, count, more),
            (Kind::Python(python, _), Job::Hosts) => {
                let mut command = Command::new(python);
                let peer = if matches!(self.kind, Kind::Python(_, "pypsrp")) {
                    "pypsrp"
                } else {
                    "pywinrm"
                };
                command.arg(peers("bench_fleet.py")).args([peer, url]).arg(site.folder.join("pw"));
                return printed(surrounded(&mut command, site, transport));
            }
            (Kind::Library | Kind::Floor, _) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.env(DRIVER, if matches!(self.kind, Kind::Floor) { "floor" } else { "library" });
                command
            }
            (Kind::Python(python, peer), _) => {
                let mut command = Command::new(python);
                command.arg(peers("bench_client.py")).arg(peer);
                command
            }
            (Kind::Go(binary) | Kind::WinrmRs(binary), _) => Command::new(binary),
        };
        command
            .args([job.name(), transport, url, user(site, transport)])
            .arg(site.folder.join("pw"));
        command.arg(count.to_string()).args(more);
        surrounded(&mut command, site, transport);
        if job == Job::First {
            measured(&mut command)
        } else {
            printed(&mut command)
        }
    }

    fn program(&self, site: &Site, job: Job, transport: &str, url: &str, count: usize, more: &[String]) -> Outcome<Figures> {
        let mut all = Figures::default();
        for _ in 0..count {
            let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
            let verb = match job {
                Job::Up => "put",
                Job::Down => "get",
                _ => "run",
            };
            command.arg(verb).args(["--transport", transport]).current_dir(&site.folder);
            command.env("XDG_STATE_HOME", site.folder.join("state"));
            if job == Job::Hosts {
                command.args(["-n", "--format", "jsonl", "-f", "200", "-i", url, "all", "--", "whoami"]);
            } else {
                if transport == "kerberos" {
                    command.args(["--kinit", "manual"]);
                } else {
                    command.args(["--user", "bench", "--connection-password-file", "pw"]);
                }
                if transport == "basic" {
                    command.args(["--encryption", "never"]);
                }
                command.arg(url);
                match (job, more) {
                    (Job::Up, [local, remote]) => command.args([local, remote]),
                    (Job::Down, [local, remote]) => command.args([remote, local]),
                    _ => command.args(["--", "echo", "hello"]),
                };
            }
            let one = measured(surrounded(&mut command, site, transport))?;
            all.cpu += one.cpu;
            all.wall += one.wall;
            all.kilobytes = all.kilobytes.max(one.kilobytes);
        }
        Ok(all)
    }
}

fn user<'a>(site: &'a Site, transport: &str) -> &'a str {
    match &site.kerberos {
        Some((_, user)) if transport == "kerberos" => user,
        _ => "bench",
    }
}

fn surrounded<'a>(command: &'a mut Command, site: &Site, transport: &str) -> &'a mut Command {
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("WINRM_PASSWORD");
    if let (Some((variables, _)), "kerberos") = (&site.kerberos, transport) {
        command.envs(variables.iter().map(|(name, value)| (name, value)));
    }
    command
}

fn peers(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers").join(name)
}

/// The figures that a driver prints.
fn printed(command: &mut Command) -> Outcome<Figures> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = serde_json::from_slice::<serde_json::Value>(&output.stdout);
    match said {
        Ok(said) if output.status.success() => {
            let number = |name: &str| said[name].as_f64().unwrap_or_default();
            if said.get("right").is_some_and(|right| right != super::BESIDE) {
                return Err(format!("only {} answers are right", said["right"]).into());
            }
            Ok(Figures {
                cpu: number("cpu"),
                wall: number("wall"),
                kilobytes: number("kilobytes"),
            })
        }
        _ => Err(last_line(&output.stderr).into()),
    }
}

/// The figures of a process from its start to its end, with all that it has started and waited for.
pub(crate) fn measured(command: &mut Command) -> Outcome<Figures> {
    let (before, begin) = (children()?, Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut figures = Figures::default();
    let status = format!("/proc/{}/status", child.id());
    let stderr = child.stderr.take();
    let complaints = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.map(|mut stderr| stderr.read_to_end(&mut text));
        text
    });
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        if let Some(peak) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            figures.kilobytes = peak.trim().trim_end_matches(" kB").parse()?;
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    figures.wall = begin.elapsed().as_secs_f64();
    figures.cpu = children()? - before;
    let complaints = complaints.join().unwrap_or_default();
    if !ended.success() {
        return Err(last_line(&complaints).into());
    }
    Ok(figures)
}

/// The processor time of all processes that were waited for, in seconds.
fn children() -> Outcome<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it failed without a word")
        .trim()
        .to_owned()
}
