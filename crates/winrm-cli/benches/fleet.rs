//! A command on ten thousand hosts from one process, and on two hundred beside pypsrp and pywinrm.
//!
//! Every host has an address of its own in 127.0.0.0/8 and a user of its own, whose name is the right answer: an answer that went to
//! another host would be seen. Messages are sealed by NTLM. The hosts are a process of their own, so that what is measured is the
//! client's.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "served/hosts.rs"]
mod hosts;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hosts::{Hosts, PASSWORD, user};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const FLEET: usize = 10_000;
const BESIDE: usize = 200;
const ROUNDS: usize = 3;
const RESIDENT_LIMIT: u64 = 150;

fn main() -> Outcome {
    if let Ok(count) = std::env::var(hosts::HOSTS) {
        return tokio::runtime::Runtime::new()?.block_on(hosts::serve(count.parse()?));
    }
    let folder = tempfile::tempdir()?;
    let password = folder.path().join("pw");
    std::fs::write(&password, PASSWORD)?;
    let hosts = Hosts::start(FLEET)?;
    println!("{} hosts, NTLM, every message encrypted:", hosts.addresses.len());
    for forks in [100, 500] {
        ten_thousand(folder.path(), &hosts, forks)?;
    }
    beside(folder.path(), &password, &hosts)
}

fn ten_thousand(folder: &Path, hosts: &Hosts, forks: usize) -> Outcome {
    let run = ours(folder, &hosts.addresses, forks)?;
    println!(
        "  {forks} at once: {} of {} right in {:.1} s, {:.2} ms of CPU for each",
        run.right,
        hosts.addresses.len(),
        run.wall,
        run.cpu * 1e3 / hosts.addresses.len() as f64,
    );
    let verdict = if run.resident <= RESIDENT_LIMIT { "within" } else { "BEYOND" };
    println!(
        "    resident at most {} MB, {verdict} {RESIDENT_LIMIT}; at most {} files open (5 for each of the {forks} and 64 are allowed)",
        run.resident, run.files
    );
    if run.right != hosts.addresses.len() {
        return Err("answers are wrong".into());
    }
    Ok(())
}

/// The same two hundred hosts, by turns.
fn beside(folder: &Path, password: &Path, hosts: &Hosts) -> Outcome {
    let some = &hosts.addresses[..BESIDE];
    println!("{BESIDE} hosts at once, medians of {ROUNDS} rounds by turns:");
    let python = std::env::var_os("WINRM_TEST_PYTHON");
    if python.is_none() {
        println!("  pypsrp and pywinrm are left out: WINRM_TEST_PYTHON is not set (eval \"$(cargo xtask env)\" sets it)");
    }
    let list = folder.join("hosts");
    let lines: String = some
        .iter()
        .enumerate()
        .map(|(number, address)| format!("{} {} {}\n", address.ip(), address.port(), user(number)))
        .collect();
    std::fs::write(&list, lines)?;
    let names = ["winrm", "pypsrp", "pywinrm"];
    let mut rounds: [Vec<Run>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (name, runs) in names.iter().zip(&mut rounds) {
            runs.push(match (&python, *name) {
                (_, "winrm") => ours(folder, some, BESIDE)?,
                (Some(python), peer) => theirs(python, peer, &list, password)?,
                (None, _) => continue,
            });
        }
    }
    let median = |runs: &[Run], value: fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (cpu, wall) = (median(&rounds[0], |run| run.cpu), median(&rounds[0], |run| run.wall));
    for (name, runs) in names.iter().zip(&rounds).filter(|(_, runs)| !runs.is_empty()) {
        let (their_cpu, their_wall) = (median(runs, |run| run.cpu), median(runs, |run| run.wall));
        println!(
            "  {name:<8} {} of {BESIDE} right, client CPU {their_cpu:.2} s (ratio {:.1}), {their_wall:.2} s in all (ratio {:.1})",
            runs.iter().map(|run| run.right).min().unwrap_or_default(),
            their_cpu / cpu,
            their_wall / wall,
        );
    }
    Ok(())
}

/// What a run took.
#[derive(Debug, Default)]
struct Run {
    right: usize,
    /// Seconds.
    wall: f64,
    /// Seconds.
    cpu: f64,
    /// Megabytes at most.
    resident: u64,
    /// Files open at most.
    files: usize,
}

fn ours(folder: &Path, addresses: &[SocketAddr], forks: usize) -> Outcome<Run> {
    let mut inventory = String::from("[hosts]\n");
    for (number, address) in addresses.iter().enumerate() {
        writeln!(
            inventory,
            "web{number:05} ansible_host={} ansible_port={} ansible_user={}",
            address.ip(),
            address.port(),
            user(number)
        )?;
    }
    write!(
        inventory,
        "[hosts:vars]\nansible_password={PASSWORD}\nansible_connection=winrm\nansible_winrm_transport=ntlm\n\
         ansible_winrm_scheme=http\nansible_winrm_message_encryption=always\n"
    )?;
    let file = folder.join("hosts.ini");
    std::fs::write(&file, inventory)?;
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args(["run", "-n", "--format", "jsonl", "-f", &forks.to_string(), "-i"])
        .arg(&file)
        .args(["all", "--", "whoami"])
        .env("XDG_STATE_HOME", folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || count_right(output));
    let mut run = Run::default();
    let process = format!("/proc/{}", child.id());
    // The figures of a process that has ended and was not yet waited for are still there, but for its memory and files.
    loop {
        let stat = std::fs::read_to_string(format!("{process}/stat"))?;
        let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("an odd stat")?.1.split(' ').collect();
        if fields[0] == "Z" {
            run.wall = begin.elapsed().as_secs_f64();
            // In hundredths of a second: USER_HZ is 100 on every Linux.
            run.cpu = (fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0;
            break;
        }
        if let Ok(files) = std::fs::read_dir(format!("{process}/fd")) {
            run.files = run.files.max(files.count());
        }
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            run.resident = peak.trim().trim_end_matches(" kB").parse::<u64>()? / 1024;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait()?;
    run.right = reader.join().map_err(|_| "the reader failed")??;
    Ok(run)
}

/// Counts the hosts whose answer is their own user's name.
fn count_right(mut output: ChildStdout) -> std::io::Result<usize> {
    let mut lines = String::new();
    output.read_to_string(&mut lines)?;
    let right = lines.lines().filter(|line| {
        let Ok(result) = serde_json::from_str::<serde_json::Value>(line) else {
            return false;
        };
        let number = result["host"].as_str().and_then(|host| host.strip_prefix("web")?.parse().ok());
        result["rc"] == 0 && number.is_some_and(|number| result["stdout"] == format!("{}\r\n", user(number)))
    });
    Ok(right.count())
}

fn theirs(python: &std::ffi::OsStr, peer: &str, list: &Path, password: &Path) -> Outcome<Run> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/bench_fleet.py");
    let output = Command::new(python)
        .arg(script)
        .arg(peer)
        .args([list, password])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::null())
        .output()?;
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| figures[name].as_f64().unwrap_or_default();
    Ok(Run {
        right: number("right") as usize,
        wall: number("wall"),
        cpu: number("cpu"),
        ..Run::default()
    })
}
