//! Commands as other accounts: the script that logs them on and starts them, on native functions that stand in for Windows' (see
//! `support/windows.rs`). Without PowerShell or a C compiler each test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[path = "support/cutter.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod cutter;
#[expect(dead_code, reason = "other tests use all of it")]
mod support;
#[path = "support/windows.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod windows;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use cutter::Cutter;
use windows::{ALICES, Windows, files_with, processes_with, signal, until};

#[test]
fn streams_and_codes_pass_through() {
    let Some(windows) = Windows::new("become-streams", &[]) else {
        return;
    };
    let (url, alices) = (windows.service.url.as_str(), windows.alices());
    let whoami = "echo $USERNAME: $STANDIN_TOKEN; echo beside >&2; exit 5";
    let told = windows.told("run", &["--become", "SYSTEM", url, "--", whoami]);
    assert_eq!(
        (told.out.as_str(), told.err.as_str(), told.code),
        ("SYSTEM: SYSTEM elevated service profile\n", "beside\n", Some(5))
    );
    assert_eq!(windows.logons(), 0);

    let become_alice = ["--become", "STANDIN\\alice", "--become-password-file", &alices];
    let shell = [
        "--env",
        "GREETING=grüß dich",
        "-C",
        "/usr",
        url,
        "--",
        "pwd; echo $GREETING, $STANDIN_TOKEN",
    ];
    let told = windows.told("run", &[&become_alice[..], &shell].concat());
    assert_eq!(told.out, "/usr\ngrüß dich, alice elevated interactive profile\n");
    assert_eq!((told.err.as_str(), told.code), ("", Some(0)));
    // As the system, so that the elevated half can be had; and once.
    assert_eq!(windows.logons(), 1);
    let log = windows.log();
    assert!(
        log.contains("LogonUserW user=alice domain=STANDIN type=interactive as=system code=0"),
        "{log}"
    );
    assert_eq!(
        (log.matches("LoadUserProfileW").count(), log.matches("UnloadUserProfile").count()),
        (1, 1),
        "{log}"
    );

    let flags = ["--become-flags", "logon_type=batch logon_flags=", url, "--", "echo $STANDIN_TOKEN"];
    assert_eq!(
        windows.told("run", &[&become_alice[..], &flags].concat()).out,
        "alice elevated batch\n"
    );
    let flags = [
        "--become-flags",
        "logon_type=new_credentials logon_flags=netcredentials_only",
        url,
        "--",
        "echo $STANDIN_TOKEN",
    ];
    assert_eq!(
        windows.told("run", &[&become_alice[..], &flags].concat()).out,
        "alice plain new_credentials netonly\n"
    );
    // Longer than what Windows takes.
    let long = format!("echo $USERNAME; : {}; exit 6", "x".repeat(3_000));
    let told = windows.told("run", &[&become_alice[..], &[url, "--", &long]].concat());
    assert_eq!((told.out.as_str(), told.err.as_str(), told.code), ("alice\n", "", Some(6)));
    let told = windows.told(
        "run",
        &[&["--skip-cmd-shell"], &become_alice[..], &[url, "--", "echo", "a b"]].concat(),
    );
    assert_eq!((told.out.as_str(), told.code), ("a b\n", Some(0)));
}

#[test]
fn megabytes_pass_in_both_directions() {
    let Some(windows) = Windows::new("become-large", &[]) else { return };
    let alices = windows.alices();
    let input: Vec<u8> = (0..5_000_000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let arguments = [
        "--become",
        "alice",
        "--become-password-file",
        &alices,
        &windows.service.url,
        "--",
        "tee /dev/stderr",
    ];
    let mut child = windows.command("run", &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = input.clone();
    let feed = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.stdout == input, "{} bytes of output", output.stdout.len());
    assert!(output.stderr == input, "{} bytes beside it", output.stderr.len());
}

#[test]
fn a_wrong_password_is_tried_once_and_said() {
    let Some(windows) = Windows::new("become-wrong", &[]) else { return };
    let wrong = windows.secret("this is not it");
    let port = windows.service.url.split(':').nth(2).unwrap().split('/').next().unwrap();
    let told = windows.told(
        "run",
        &[
            "--become",
            "alice",
            "--become-password-file",
            &wrong,
            &windows.service.url,
            "--",
            "id",
        ],
    );
    assert_eq!((told.out.as_str(), told.code), ("", Some(2)));
    assert!(
        told.err.contains("could not be started as alice: the host refuses the password"),
        "{}",
        told.err
    );
    assert!(told.err.contains("hint: ") && !told.err.contains("this is not it"), "{}", told.err);
    assert_eq!(windows.logons(), 1);

    // One account of a domain on many hosts: the first refusal is enough.
    let hosts: Vec<String> = (1..=6).map(|host| format!("127.0.0.{host}:{port}")).collect();
    let hosts = hosts.join(",").replace("127.0.0.2", "localhost").replace("127.0.0.3", "LOCALHOST");
    let three: Vec<&str> = hosts.split(',').take(3).collect();
    let arguments = [
        "--become",
        "STANDIN\\alice",
        "--become-password-file",
        &wrong,
        &three.join(","),
        "--",
        "id",
    ];
    let told = windows.told("run", &arguments);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert_eq!(windows.logons(), 2, "{}", windows.log());
    assert_eq!(
        told.out.matches("was not tried again").count() + told.err.matches("was not tried again").count(),
        2,
        "{told:?}"
    );
    // A right one keeps nobody back.
    let alices = windows.alices();
    let arguments = [
        "--become",
        "STANDIN\\alice",
        "--become-password-file",
        &alices,
        &three.join(","),
        "--",
        "echo $USERNAME",
    ];
    let told = windows.told("run", &arguments);
    assert_eq!((told.code, told.out.matches("alice").count()), (Some(0), 3), "{told:?}");
}

#[test]
fn each_refusal_has_its_sentence() {
    let Some(windows) = Windows::new("become-refused", &[]) else {
        return;
    };
    let x = windows.secret("x");
    for (account, sentence) in [
        ("nobody", "the host knows no account of this name (Windows error 1332)"),
        ("locked", "the account is locked (Windows error 1909)"),
        ("disabled", "the account is disabled (Windows error 1331)"),
        ("expired", "the account has expired (Windows error 1793)"),
        (
            "stale",
            "the account's password has expired, or has to be changed first (Windows error 1907)",
        ),
        ("remote", "the account has not the right to log on in this way (Windows error 1385)"),
    ] {
        let told = windows.told(
            "run",
            &["--become", account, "--become-password-file", &x, &windows.service.url, "--", "id"],
        );
        assert!(told.err.contains(sentence) && told.code == Some(2), "{account}: {told:?}");
    }
    let arguments = ["--become", "SYSTEM", "-C", "/nowhere", &windows.service.url, "--", "id"];
    let told = windows.told("run", &arguments);
    assert!(told.err.contains("the directory to start in is not there"), "{told:?}");
    let arguments = [
        "--become",
        "alice",
        "--become-flags",
        "logon_type=sideways",
        "--become-password-file",
        &x,
    ];
    let told = windows.told("run", &[&arguments[..], &[&windows.service.url, "--", "id"]].concat());
    assert!(
        told.err.contains("\"sideways\" is no logon type") && told.code == Some(1),
        "{told:?}"
    );
}

#[test]
fn an_account_that_is_no_administrator_says_what_is_missing() {
    let Some(windows) = Windows::new("become-limited", &[("STANDIN_CALLER", "limited")]) else {
        return;
    };
    let told = windows.told("run", &["--become", "SYSTEM", &windows.service.url, "--", "id"]);
    assert!(
        told.err.contains("the connection's account has not the right to do this") && told.code == Some(2),
        "{told:?}"
    );
    let alices = windows.alices();
    let arguments = [
        "--become",
        "alice",
        "--become-password-file",
        &alices,
        &windows.service.url,
        "--",
        "echo $STANDIN_TOKEN",
    ];
    let told = windows.told("run", &arguments);
    assert_eq!(
        (told.out.as_str(), told.code),
        ("alice plain interactive profile\n", Some(0)),
        "{told:?}"
    );
    assert!(windows.log().contains("CreateProcessWithLogonW user=alice"), "{}", windows.log());
    assert_eq!(windows.logons(), 1);
}

#[test]
fn scripts_of_powershell_become_somebody_too() {
    let Some(windows) = Windows::new("become-ps", &[]) else { return };
    let (url, alices) = (windows.service.url.as_str(), windows.alices());
    let become_alice = ["--become", "alice", "--become-password-file", &alices, url];
    let script = "\"I am $env:USERNAME\"; Write-Warning careful; exit 9";
    let told = windows.told("ps", &[&become_alice[..], &["--", script]].concat());
    assert_eq!((told.out.trim(), told.code), ("I am alice", Some(9)), "{told:?}");
    assert!(told.err.contains("WARNING: careful"), "{told:?}");
    // Longer than a command line, with input of its own and objects.
    let long = format!(
        "{}\n$input | ForEach-Object {{ [pscustomobject] @{{ Line = $_; User = $env:USERNAME }} }}",
        "# a comment\n".repeat(2_000)
    );
    let file = windows.folder.join("long.ps1");
    fs::write(&file, long).unwrap();
    let arguments = [&become_alice[..], &["--objects", "json", "-f", file.to_str().unwrap()]].concat();
    let mut child = windows.command("ps", &arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("eins\nzwei\n".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(
        said,
        serde_json::json!([{"Line": "eins", "User": "alice"}, {"Line": "zwei", "User": "alice"}])
    );
}

#[test]
fn an_inventory_says_whom_to_become() {
    let Some(windows) = Windows::new("become-inventory", &[]) else {
        return;
    };
    let port = windows.service.url.split(':').nth(2).unwrap().split('/').next().unwrap();
    let inventory = windows.folder.join("hosts.ini");
    let text = format!(
        "[all:vars]\nansible_port={port}\n[windows]\none ansible_host=127.0.0.1\ntwo ansible_host=localhost\n[windows:vars]\nansible_become=yes\n\
         ansible_become_method=runas\nansible_become_user=alice\nansible_become_password='{ALICES}'\nansible_become_flags=logon_type=batch\n\
         [plain]\nthree ansible_host=127.0.0.1\n[other]\nfour ansible_host=127.0.0.1 ansible_become=yes ansible_become_method=sudo\n"
    );
    fs::write(&inventory, text).unwrap();
    let inventory = ["-i", inventory.to_str().unwrap()];
    let told = windows.told("run", &[&inventory[..], &["windows:plain", "--", "echo [$STANDIN_TOKEN]"]].concat());
    assert_eq!(
        (
            told.code,
            told.out.matches("[alice elevated batch profile]").count(),
            told.out.matches("[]").count()
        ),
        (Some(0), 2, 1),
        "{told:?}"
    );
    // A flag goes over variables; a host alone streams.
    let told = windows.told(
        "run",
        &[&inventory[..], &["one", "--become", "SYSTEM", "--", "echo $USERNAME"]].concat(),
    );
    assert_eq!(told.out, "SYSTEM\n", "{told:?}");
    let told = windows.told(
        "ps",
        &[
            &inventory[..],
            &["windows", "--objects", "json", "--format", "jsonl", "--", "$env:USERNAME"],
        ]
        .concat(),
    );
    assert_eq!(told.out.matches("\"objects\":[\"alice\"]").count(), 2, "{told:?}");
    let told = windows.told("run", &[&inventory[..], &["four", "--", "id"]].concat());
    assert!(told.err.contains("ansible_become_method") && told.err.contains("sudo"), "{told:?}");
}

#[test]
fn no_secret_is_on_a_command_line_in_a_variable_or_in_a_file() {
    let Some(windows) = Windows::new("become-secret", &[]) else {
        return;
    };
    let alices = windows.alices();
    let ready = windows.folder.join("ready");
    let line = format!("touch {}; cat", ready.display());
    let arguments = [
        "-vvv",
        "--become",
        "alice",
        "--become-password-file",
        &alices,
        &windows.service.url,
        "--",
        &line,
    ];
    let mut child = windows.command("run", &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    until("the command", || ready.exists());
    let found = processes_with("horse Zeppelin");
    let files = files_with(&windows.folder, "horse Zeppelin");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(found.is_empty(), "{found:?}");
    let mut known: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    known.sort_unstable();
    // Those that the test has written itself.
    assert_eq!(known, ["accounts", "alices"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned() + &windows.service.log();
    assert!(!log.contains("Zeppelin"), "the log tells it");
}

#[test]
fn ctrl_c_reaches_the_command_and_a_client_that_goes_ends_it() {
    let Some(windows) = Windows::new("become-signals", &[]) else {
        return;
    };
    let alices = windows.alices();
    let begin = |line: &str| {
        let arguments = [
            "--become",
            "alice",
            "--become-password-file",
            &alices,
            &windows.service.url,
            "--",
            line,
        ];
        let mut child = windows.command("run", &arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        (child, output, first.trim().to_owned())
    };
    let (mut child, mut output, first) = begin("trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done");
    assert_eq!(first, "ready");
    signal(&child, "INT");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.trim(), child.wait().unwrap().code()), ("caught", Some(7)));
    assert!(windows.log().contains("GenerateConsoleCtrlEvent kind=1"), "{}", windows.log());

    let (mut child, _output, pid) = begin("echo $$; exec sleep 600");
    let process = format!("/proc/{pid}");
    assert!(std::path::Path::new(&process).exists(), "{pid:?}");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    until("the command's end", || !std::path::Path::new(&process).exists());
}

#[test]
fn a_deadline_ends_the_command() {
    let Some(windows) = Windows::new("become-deadline", &[]) else {
        return;
    };
    let pid = windows.folder.join("pid");
    let line = format!("echo $$ > {}; exec sleep 600", pid.display());
    let told = windows.told("run", &["--become", "SYSTEM", "--timeout", "20", &windows.service.url, "--", &line]);
    assert_eq!(told.code, Some(124), "{told:?}");
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    until("the command's end", || !std::path::Path::new(&process).exists());
}

#[test]
fn a_connection_that_is_cut_logs_nobody_on_twice() {
    let Some(windows) = Windows::new("become-cut", &[]) else {
        return;
    };
    let alices = windows.alices();
    let mut limit = 0;
    loop {
        let cutter = Cutter::start(&windows.service.url, limit);
        let url = cutter.url();
        let arguments = ["--become", "alice", "--become-password-file", &alices, &url, "--", "echo $USERNAME"];
        let told = windows.told("run", &arguments);
        limit += 1;
        // A script that was begun may come to its logon after its client has ended: so all are counted.
        assert!(windows.logons() as u64 <= limit, "{limit} runs: {}", windows.log());
        if told.code == Some(0) {
            assert_eq!(told.out, "alice\n");
            // The last messages say that the shell may go.
            break;
        }
        assert!(!told.err.is_empty() && told.code == Some(4), "cut at message {limit}: {told:?}");
        assert!(limit < 60, "{told:?}");
    }
    assert!(limit > 6, "only {limit} messages");
}
