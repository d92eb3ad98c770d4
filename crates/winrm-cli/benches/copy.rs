//! How fast files are copied, beside Ansible's put_file and fetch_file in the same run, against the service of this machine with a
//! real PowerShell (`WINRM_PWSH`, or `pwsh` on `PATH`).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod served;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use served::{Outcome, Served};

const LARGE: u64 = 1_000_000_000;
/// What Ansible is given: its rate doesn't depend on the size, and patience ends.
const SMALLER: u64 = 10_000_000;

fn main() -> Outcome {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("pw"), "benchmark\n")?;
    let service = Served::service(folder.path(), |_| {})?;
    let copy = |verb: &str, flags: &[&str], from: &str, to: &str| -> Outcome<(f64, u64)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command.args([verb, "--user", "bench", "--connection-password-file", &at("pw")]);
        command.args(flags).args([&service.url, from, to]);
        timed(command)
    };
    let basic = ["--transport", "basic", "--encryption", "never"];
    let random = |name: &str, size: u64| io::copy(&mut File::open("/dev/urandom")?.take(size), &mut File::create(at(name))?);
    let rate = |size: u64, seconds: f64| size as f64 / 1e6 / seconds;
    random("large", LARGE)?;
    random("smaller", SMALLER)?;
    let (up, up_peak) = copy("put", &basic, &at("large"), &at("there"))?;
    let (down, down_peak) = copy("get", &basic, &at("there"), &at("back"))?;
    println!(
        "1 GB up {:.0} MB/s (client {up_peak} MB), down {:.0} MB/s (client {down_peak} MB)",
        rate(LARGE, up),
        rate(LARGE, down)
    );
    fs::remove_file(at("back"))?;
    fs::remove_file(at("there"))?;
    let (sealed, _) = copy("put", &["--transport", "ntlm"], &at("large"), &at("there"))?;
    println!(
        "1 GB up over NTLM, sealed: {:.0} MB/s, {:.0} % of Basic's",
        rate(LARGE, sealed),
        up / sealed * 100.0
    );
    fs::write(at("one"), "1")?;
    let (start, _) = copy("put", &basic, &at("one"), &at("two"))?;
    fs::create_dir(at("many"))?;
    for number in 0..1_000 {
        random(&format!("many/{number}"), 10_000)?;
    }
    let (many, _) = copy("put", &basic, &at("many"), &at("many-there"))?;
    println!(
        "1,000 files of 10 KB: {:.2} s beside PowerShell's start ({start:.2} s)",
        many - start
    );
    fs::create_dir(at("unchanged"))?;
    for number in 0..10_000 {
        fs::write(at(&format!("unchanged/{number}")), "x")?;
    }
    copy("put", &basic, &at("unchanged"), &at("unchanged-there"))?;
    let (unchanged, _) = copy("put", &basic, &at("unchanged"), &at("unchanged-there"))?;
    println!("10,000 unchanged files: {unchanged:.2} s");
    ansible(&service.url, &at, rate(LARGE, up), rate(LARGE, down))
}

fn ansible(url: &str, at: &dyn Fn(&str) -> String, up: f64, down: f64) -> Outcome {
    let Some(python) = std::env::var_os("WINRM_TEST_PYTHON") else {
        println!("Ansible is left out: WINRM_TEST_PYTHON is not set");
        return Ok(());
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/copy_ansible.py");
    let output = Command::new(python)
        .arg(script)
        .args([url, "bench", &at("pw"), &at("smaller"), &at("theirs"), &at("their-back")])
        .output()?;
    let printed = String::from_utf8(output.stdout)?;
    for (line, name, ours) in printed
        .lines()
        .zip([("put_file", up), ("fetch_file", down)])
        .map(|(line, (name, ours))| (line, name, ours))
    {
        let seconds: f64 = line.split(' ').nth(1).ok_or("Ansible said something else")?.parse()?;
        let theirs = SMALLER as f64 / 1e6 / seconds;
        println!("Ansible's {name}: {theirs:.1} MB/s; ours is {:.1} times that", ours / theirs);
    }
    Ok(())
}

/// Runs a command to its end: seconds, and the peak of its resident size in megabytes.
fn timed(mut command: Command) -> Outcome<(f64, u64)> {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let of = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = of.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line
            .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok((begin.elapsed().as_secs_f64(), peak / 1_024))
}
