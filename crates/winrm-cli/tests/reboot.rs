//! `winrm reboot` and `--reboot-ok`, on machines of the test that go down and come up again on their ports.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[expect(dead_code, reason = "the client's own tests use more of it")]
#[path = "../../winrm/tests/support/machine.rs"]
mod machine;
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;

use std::fs;
use std::process::{Child, Command, Output, Stdio};

use machine::Machine;
use support::service;
use tokio::sync::mpsc::UnboundedReceiver;

const FIRST: &str = "2026-05-26T08:51:36.498403+02:00";
const SECOND: &str = "2026-11-27T12:00:00Z";

/// What a command that was lost ends with: the connection was lost, or the host, up again, knows nothing of the command.
const LOST: [Option<i32>; 2] = [Some(4), Some(2)];

fn winrm(test: &str, arguments: &[&str]) -> Child {
    let password = service::folder(test).join("password");
    fs::write(&password, "secret\n").unwrap();
    let (verb, arguments) = arguments.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_winrm"))
        .arg(verb)
        .args(["--transport", "plaintext", "--user", "alice", "--connection-password-file"])
        .arg(password)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Waits for the command that takes the machine down, and takes it down.
fn fall(machine: &mut Machine, asked: &mut UnboundedReceiver<()>) {
    asked.blocking_recv().unwrap();
    machine.down();
}

#[test]
fn a_host_is_restarted_and_waited_for() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let child = winrm(
        "reboot-waits",
        &["reboot", "--wait", "--settle", "0.2", "-m", "Patch day", &machine.url()],
    );
    fall(&mut machine, &mut asked);
    machine.up(SECOND);
    let (code, out, err) = told(child);
    assert_eq!(
        out, "restarted: up since 2026-11-27 12:00:00Z, before since 2026-05-26 06:51:36Z\n",
        "{err}"
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(machine.commands()[0].contains("Patch day"), "{:?}", machine.commands());
    // Without --wait nobody waits.
    let (code, out, _) = told(winrm("reboot-asks", &["reboot", &machine.url()]));
    assert_eq!((code, out.as_str()), (Some(0), "restarts; it was up since 2026-11-27 12:00:00Z\n"));
}

#[test]
fn a_host_that_stays_away_is_unreachable_and_one_that_stays_up_is_late() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let child = winrm("reboot-late", &["reboot", "--wait", "--timeout", "3", &machine.url()]);
    let (code, _, err) = told(child);
    assert_eq!(code, Some(124), "{err}");
    assert!(err.contains("the host has not restarted within 3 s: it answers"), "{err}");
    asked.blocking_recv().unwrap();
    let child = winrm("reboot-gone", &["reboot", "--wait", "--timeout", "5", &machine.url()]);
    fall(&mut machine, &mut asked);
    let (code, _, err) = told(child);
    assert_eq!(code, Some(4), "{err}");
    assert!(
        err.contains("the host has not come back within 5 s") && err.contains("hint: "),
        "{err}"
    );
}

#[test]
fn a_command_that_takes_its_host_down_is_done_when_the_host_has_restarted() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let url = machine.url();
    let child = winrm("reboot-ok", &["run", "--reboot-ok", &url, "--", "falls"]);
    fall(&mut machine, &mut asked);
    machine.up(SECOND);
    let (code, _, err) = told(child);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("the host has restarted: up since 2026-11-27 12:00:00Z"), "{err}");
    assert!(err.contains("the command's exit code is unknown"), "{err}");
    // A service that comes back without its host having restarted has lost the command.
    let child = winrm(
        "reboot-not-ok",
        &["run", "--reboot-ok", "--reboot-timeout", "3", &url, "--", "falls"],
    );
    fall(&mut machine, &mut asked);
    machine.up(SECOND);
    let (code, _, err) = told(child);
    assert!(LOST.contains(&code), "{code:?} {err}");
    assert!(
        err.contains("the host has not restarted within 3 s") && err.contains("error: "),
        "{err}"
    );
    // Without the flag a lost command is a lost command.
    let child = winrm("reboot-unsaid", &["run", &url, "--", "falls"]);
    fall(&mut machine, &mut asked);
    machine.up(FIRST);
    let (code, _, err) = told(child);
    assert!(LOST.contains(&code), "{code:?} {err}");
    assert!(!err.contains("looking whether the host restarts"), "{err}");
    // What ends by itself needs no restart.
    let (code, ..) = told(winrm("reboot-unneeded", &["run", "--reboot-ok", &url, "--", "exit", "0"]));
    assert_eq!(code, Some(0));
}

#[test]
fn a_script_that_takes_its_host_down_is_done_when_the_host_has_restarted() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    machine.let_powershell_fall();
    let child = winrm("reboot-ps", &["ps", "--reboot-ok", &machine.url(), "--", "Restart-Computer"]);
    fall(&mut machine, &mut asked);
    machine.up(SECOND);
    let (code, _, err) = told(child);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("the host has restarted: up since 2026-11-27 12:00:00Z"), "{err}");
    let child = winrm("reboot-ps-unsaid", &["ps", &machine.url(), "--", "Restart-Computer"]);
    fall(&mut machine, &mut asked);
    machine.up(FIRST);
    let (code, _, err) = told(child);
    assert!(LOST.contains(&code), "{code:?} {err}");
    assert!(!err.contains("looking whether the host restarts"), "{err}");
}

#[test]
fn each_of_many_hosts_may_be_restarted_by_its_command() {
    for (test, verb) in [
        ("reboot-ok-many", ["run", "falls"]),
        ("reboot-ok-many-ps", ["ps", "Restart-Computer"]),
    ] {
        let (mut restarts, mut restarts_asked) = Machine::new(FIRST);
        let (mut loses, mut loses_asked) = Machine::new(FIRST);
        restarts.let_powershell_fall();
        loses.let_powershell_fall();
        let targets = format!("{},{}", restarts.url(), loses.url());
        let flags = ["--reboot-ok", "--reboot-timeout", "12", "--format", "jsonl"];
        let child = winrm(test, &[&[verb[0]], &flags[..], &[&targets, "--", verb[1]]].concat());
        fall(&mut restarts, &mut restarts_asked);
        fall(&mut loses, &mut loses_asked);
        restarts.up(SECOND);
        // Its service alone was gone.
        loses.up(FIRST);
        let (code, out, err) = told(child);
        assert!(LOST.contains(&code), "{code:?} {out}{err}");
        let (restarted, lost): (Vec<&str>, Vec<&str>) = out.lines().partition(|line| line.contains(r#""status":"ok""#));
        assert_eq!((restarted.len(), lost.len()), (1, 1), "{out}");
        let times = r#""restarted":{"before":"2026-05-26 06:51:36Z","after":"2026-11-27 12:00:00Z","starts":1}"#;
        assert!(restarted[0].contains(times) && !restarted[0].contains(r#""rc""#), "{out}");
        assert!(
            lost[0].contains(r#""may_have_run":"#) && !lost[0].contains(r#""restarted":"#),
            "{out}"
        );
    }
}

#[test]
fn ctrl_c_ends_the_wait_for_many_hosts() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let other = Machine::new(FIRST).0;
    let targets = format!("{},{}", machine.url(), other.url());
    let flags = ["run", "--reboot-ok", "-f", "1", "--format", "jsonl"];
    let child = winrm("reboot-ok-interrupted", &[&flags[..], &[&targets, "--", "falls"]].concat());
    fall(&mut machine, &mut asked);
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let (code, out, err) = told(child);
    assert_eq!(code, Some(130), "{out}{err}");
    assert!(
        out.contains(r#""status":"cancelled""#) && out.contains(r#""status":"not started""#),
        "{out}"
    );
}

#[test]
fn a_host_of_many_that_stays_away_has_run_its_command() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let other = Machine::new(FIRST).0;
    let targets = format!("{},{}", machine.url(), other.url());
    let flags = [
        "run",
        "--reboot-ok",
        "--reboot-timeout",
        "5",
        "-f",
        "1",
        "--max-fail",
        "0",
        "--format",
        "jsonl",
    ];
    let child = winrm("reboot-ok-away", &[&flags[..], &[&targets, "--", "falls"]].concat());
    fall(&mut machine, &mut asked);
    let (code, out, err) = told(child);
    assert_eq!(code, Some(4), "{out}{err}");
    let away = out
        .lines()
        .find(|line| line.contains("the host has not come back within 5 s"))
        .unwrap();
    assert!(
        away.contains(r#""status":"unreachable""#) && away.contains(r#""may_have_run":"yes""#),
        "{away}"
    );
}

#[test]
fn of_many_hosts_some_restart_and_the_others_keep_their_codes() {
    let (mut one, mut one_asked) = Machine::new(FIRST);
    let (mut other, mut other_asked) = Machine::new(FIRST);
    let targets = format!("{},{}", one.url(), other.url());
    let child = winrm("reboot-ok-text", &["run", "--reboot-ok", &targets, "--", "falls"]);
    fall(&mut one, &mut one_asked);
    fall(&mut other, &mut other_asked);
    one.up(SECOND);
    other.up(SECOND);
    let (code, out, err) = told(child);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out.matches(" | restarted, rc unknown >>\n").count(), 2, "{out}");
    assert!(err.contains("2 ok"), "{err}");
    let (code, out, err) = told(winrm("reboot-ok-code", &["run", "--reboot-ok", &targets, "--", "unheard-of"]));
    assert_eq!(code, Some(2), "{out}{err}");
    assert_eq!(out.matches(" | FAILED | rc=1 >>\n").count(), 2, "{out}");
}

#[test]
fn many_hosts_are_restarted_side_by_side() {
    let (mut one, mut one_asked) = Machine::new(FIRST);
    let (mut other, mut other_asked) = Machine::new(FIRST);
    let refusing = Machine::new(FIRST).0;
    refusing.shutdown_answers(5, "Access is denied.(5)\r\n");
    let targets = format!("{},{},{}", one.url(), other.url(), refusing.url());
    let child = winrm("reboot-several", &["reboot", "--wait", "--settle", "0.2", &targets]);
    fall(&mut one, &mut one_asked);
    fall(&mut other, &mut other_asked);
    one.up(SECOND);
    other.up(SECOND);
    let (code, out, err) = told(child);
    assert_eq!(out.matches("restarted: up since 2026-11-27 12:00:00Z").count(), 2, "{out}{err}");
    assert!(out.contains("refused the restart with 5"), "{out}");
    assert!(err.contains("3 hosts: 2 ok, 0 failed, 1 unreachable, 0 left out"), "{err}");
    assert_eq!(code, Some(4));
}
