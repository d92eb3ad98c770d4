//! Runs on fleets that are interrupted, and what stands around them: signals, readers and terminals.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/site.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod site;
#[expect(dead_code, reason = "other tests use all of it")]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use site::{PATIENCE, Site, by_host, finish, signal, silent_host, statuses};
use support::service::PASSWORD;

/// Starts a run whose commands tell by a file that they have begun, and gives it when `count` of them have. They tell it a moment
/// later, so that this side knows it too: a command that is only being started is given up by Ctrl-C, not signalled.
fn begun(site: &Site, args: &[&str], command: &str, count: usize) -> Child {
    let child = site
        .command("run")
        .args(args)
        .args(["--", command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let file = site.folder.join("begun");
    let started = Instant::now();
    while fs::read_to_string(&file).unwrap_or_default().lines().count() < count {
        assert!(started.elapsed() < PATIENCE, "the commands don't begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn waiting(site: &Site, then: &str) -> String {
    format!(
        "trap '{then}' INT; echo out; sleep 0.5; echo x >> {}; sleep 60 & wait; sleep 60 & wait; sleep 60",
        site.folder.join("begun").display()
    )
}

#[test]
fn ctrl_c_once_reaches_the_commands() {
    let site = Site::new("interrupt").with_good(5);
    let child = begun(
        &site,
        &["all", "-f", "2", "--format", "jsonl"],
        &waiting(&site, "echo stopped; exit 9"),
        2,
    );
    signal(child.id(), "INT");
    let run = finish(child).with_status(130);
    assert_eq!(run.counts(), "5 hosts: 0 ok, 2 failed, 0 unreachable, 3 not started");
    assert!(
        run.stderr.contains("the commands on 2 hosts were sent Ctrl-C; again to end now"),
        "{}",
        run.stderr
    );
    let hosts = run.hosts();
    assert_eq!(
        (&hosts["web1"]["rc"], &hosts["web1"]["stdout"]),
        (&9.into(), &"out\nstopped\n".into())
    );
    let record = by_host(&fs::read_to_string(site.record()).unwrap());
    assert_eq!(record, hosts);
}

#[test]
fn ctrl_c_twice_ends_now() {
    let mut site = Site::new("abort").with_good(2);
    site.add("silent", &format!("ansible_port={}", silent_host()));
    let child = begun(&site, &["all"], &waiting(&site, ""), 2);
    signal(child.id(), "INT");
    // The first one has to be taken before the second is sent.
    let mut child = child;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("again to end now")));
    signal(child.id(), "INT");
    finish(child).with_status(130);
    let record = by_host(&fs::read_to_string(site.record()).unwrap());
    assert_eq!(
        statuses(&record),
        [("silent", "cancelled"), ("web1", "cancelled"), ("web2", "cancelled")]
    );
    assert_eq!(
        (&record["web1"]["may_have_run"], &record["web1"]["stdout"]),
        (&"yes".into(), &"out\n".into())
    );
}

#[test]
fn a_run_goes_on_when_the_terminal_or_the_reader_goes_away() {
    let site = Site::new("gone").with_good(3);
    let command = format!("echo x >> {}; sleep 0.5; seq 20000", site.folder.join("begun").display());
    let mut child = begun(&site, &["all", "-f", "1"], &command, 1);
    // Nobody reads any more.
    drop(child.stdout.take());
    signal(child.id(), "HUP");
    let run = finish(child).with_status(0);
    assert_eq!(run.counts(), "3 hosts: 3 ok, 0 failed, 0 unreachable");
    let record = by_host(&fs::read_to_string(site.record()).unwrap());
    let lengths: Vec<usize> = record.values().map(|host| host["stdout"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [108_894; 3]);
}

#[test]
fn sigterm_is_as_ctrl_c() {
    let site = Site::new("term").with_good(1);
    let child = begun(&site, &["all", "--format", "jsonl"], &waiting(&site, "exit 9"), 1);
    signal(child.id(), "TERM");
    assert_eq!(finish(child).with_status(143).hosts()["web1"]["rc"], 9);
}

/// A terminal, by script(1): the password is asked for once, and progress shows.
#[test]
fn a_terminal_sees_progress_and_is_asked_once() {
    if Command::new("script").arg("--version").output().is_err() {
        println!("left out: there is no script(1)");
        return;
    }
    let site = Site::new("terminal").with_good(4);
    let inventory = site.inventory();
    let line = format!(
        "{} run -k -i {inventory} all -f 2 -- 'sleep 0.5; echo done'",
        env!("CARGO_BIN_EXE_winrm")
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("XDG_STATE_HOME", site.folder.join("state"))
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The prompt empties what was typed before it.
    let typist = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        writeln!(stdin, "{PASSWORD}").unwrap();
        stdin
    });
    let run = finish(child).with_status(0);
    drop(typist.join().unwrap());
    assert_eq!(run.stdout.matches("Password").count(), 1, "{run:?}");
    assert!(
        run.stdout
            .contains("\r\x1b[2K0/4 done, 0 failed, 0 unreachable, 2 running, 0:00: web1, web2"),
        "{run:?}"
    );
    assert_eq!(run.stdout.matches("| rc=0 >>").count(), 4, "{run:?}");
    assert!(!run.stdout.contains("\x1b[3") && !run.stdout.contains(PASSWORD), "{run:?}");
}
