//! How long inventories of 100,000 hosts take to read, and how much memory they keep.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails where it can't go on"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use winrm_fleet::{Inventory, LoadOptions, Source};

const HOSTS: usize = 100_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut ini = String::from("[windows]\n");
    let mut yaml = String::from("all:\n  children:\n    windows:\n      hosts:\n");
    for host in 0..HOSTS {
        let (a, b) = (host / 250 % 250, host % 250 + 1);
        writeln!(
            ini,
            "host{host:06}.example.com ansible_host=10.{}.{a}.{b} ansible_user=CORP\\\\svc rack={}",
            host / 62_500,
            host % 400
        )
        .unwrap();
        writeln!(yaml, "        host{host:06}.example.com:").unwrap();
        writeln!(
            yaml,
            "          ansible_host: 10.{}.{a}.{b}\n          rack: {}",
            host / 62_500,
            host % 400
        )
        .unwrap();
    }
    ini.push_str("[windows:vars]\nansible_connection=winrm\n");
    let cases = [
        ("INI, a line for each host", "hosts.ini", ini),
        (
            "INI, one range",
            "range.ini",
            "[windows]\nhost[000000:099999].example.com rack=1\n".to_owned(),
        ),
        ("YAML, two variables for each host", "hosts.yml", yaml),
    ];
    fs::create_dir(folder.path().join("group_vars")).unwrap();
    fs::write(
        folder.path().join("group_vars/windows.yml"),
        "ansible_winrm_transport: [kerberos, ntlm]\nansible_port: 5986\n",
    )
    .unwrap();
    println!("{HOSTS} hosts; the limit is 1 s");
    for (name, file, text) in cases {
        let path = folder.path().join(file);
        fs::write(&path, &text).unwrap();
        measure(name, &path, text.len());
    }
}

fn measure(name: &str, path: &Path, size: usize) {
    let before = resident();
    let begin = Instant::now();
    let inventory = Inventory::load(&[Source::Path(path.to_owned())], &LoadOptions::default()).unwrap();
    let loaded = begin.elapsed();
    assert_eq!(inventory.len(), HOSTS);
    let kept = resident().saturating_sub(before);
    let begin = Instant::now();
    let selected = inventory.select("windows:!*99.example.com", &[]).unwrap();
    let matched = begin.elapsed();
    let begin = Instant::now();
    let variables: usize = selected.iter().map(|host| inventory.variables(host).unwrap().len()).sum();
    let merged = begin.elapsed();
    println!(
        "{name} ({} KB): read in {:.0} ms, {} MB kept; a pattern takes {:.0} ms; the variables of {} hosts ({variables}), one after the other, {:.0} ms",
        size / 1_000,
        loaded.as_secs_f64() * 1e3,
        kept / 1_000_000,
        matched.as_secs_f64() * 1e3,
        selected.len(),
        merged.as_secs_f64() * 1e3,
    );
}

/// What the process holds in memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default()
        * 1_024
}
