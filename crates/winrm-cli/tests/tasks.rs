//! Commands by scheduled tasks: the scripts that register and run them, on a Task Scheduler that stands in for Windows' (see
//! `support/windows.rs`). Without PowerShell or a C compiler each test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[expect(dead_code, reason = "other tests use all of it")]
mod support;
#[path = "support/windows.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod windows;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use windows::{Told, Windows, files_with, processes_with, signal, until};

impl Windows {
    fn fed(&self, verb: &str, arguments: &[&str], input: &[u8]) -> std::process::Output {
        let mut child = self.command(verb, arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feed = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap();
        output
    }

    /// What the Task Scheduler has, now.
    fn registered(&self) -> usize {
        fs::read_dir(self.folder.join("tasks/winrm")).map_or(0, Iterator::count)
    }

    fn detached(&self, more: &[&str], line: &str) -> String {
        let told = self.told("run", &[&["--task", "--detach"], more, &[&self.service.url, "--", line]].concat());
        assert_eq!(told.code, Some(0), "{told:?}");
        told.out.trim().to_owned()
    }

    fn task(&self, arguments: &[&str]) -> Told {
        let (verb, rest) = arguments.split_first().unwrap();
        let mut command = self.command("task", &[]);
        // The verb stands before its flags.
        let given: Vec<_> = command.get_args().skip(1).map(ToOwned::to_owned).collect();
        command = self.bare(&["task", verb]);
        command.args(given).args(rest).arg(&self.service.url);
        command.output().unwrap().into()
    }

    /// The only task that there is.
    fn listed(&self) -> serde_json::Value {
        let told = self.task(&["list", "--format", "json"]);
        assert_eq!(told.code, Some(0), "{told:?}");
        serde_json::from_str(&told.out).unwrap()
    }
}

#[test]
fn a_task_streams_and_ends_as_a_command_does() {
    let Some(windows) = Windows::new("task-streams", &[]) else { return };
    let (url, alices) = (windows.service.url.as_str(), windows.alices());
    let line = "pwd; cat; echo $GREETING, $STANDIN_TOKEN; echo beside >&2; exit 5";
    let arguments = [
        "--task",
        "--become",
        "alice",
        "--become-password-file",
        &alices,
        "--env",
        "GREETING=grüß dich",
        "-C",
        "/usr",
        url,
        "--",
        line,
    ];
    let told: Told = windows.fed("run", &arguments, b"input\n").into();
    assert_eq!(told.out, "/usr\ninput\ngrüß dich, alice highest logon=1\n", "{told:?}");
    assert_eq!((told.err.as_str(), told.code), ("beside\n", Some(5)));
    let log = windows.log();
    assert_eq!(log.matches("RegisterTaskDefinition").count(), 1, "{log}");
    assert!(
        log.contains("Deny S-1-5-2 FullControl") && log.contains("Allow alice FullControl"),
        "{log}"
    );
    // Nothing of it is left.
    assert!(!windows.folder.join("tasks/winrm").exists());
    let definition = fs::read_to_string(windows.folder.join("tasks/definitions")).unwrap();
    for line in [
        "RunLevel=1",
        "ExecutionTimeLimit=PT0S",
        "DisallowStartIfOnBatteries=False",
        "DeleteExpiredTaskAfter=PT0S",
        "Priority=4",
    ] {
        assert!(definition.lines().any(|known| known == line), "{line}: {definition}");
    }

    let told = windows.told(
        "run",
        &["--task", "--become", "NT AUTHORITY\\LocalService", url, "--", "echo $STANDIN_TOKEN"],
    );
    assert_eq!(
        (told.out.as_str(), told.code),
        ("LOCAL SERVICE highest logon=5\n", Some(0)),
        "{told:?}"
    );
    let told = windows.told("run", &["--task", url, "--", "echo $STANDIN_TOKEN"]);
    assert!(told.out.ends_with(" highest logon=2\n") && told.code == Some(0), "{told:?}");
    // Many hosts at once.
    let port = url.split(':').nth(2).unwrap().split('/').next().unwrap();
    let hosts = format!("127.0.0.1:{port},localhost:{port}");
    let told = windows.told("run", &["--task", "--become", "SYSTEM", &hosts, "--", "echo $STANDIN_TOKEN"]);
    assert_eq!(
        (told.code, told.out.matches("SYSTEM highest logon=5").count()),
        (Some(0), 2),
        "{told:?}"
    );
    let told = windows.told("run", &["--task", "--skip-cmd-shell", url, "--", "/bin/echo", "a b"]);
    assert_eq!((told.out.as_str(), told.code), ("a b\n", Some(0)), "{told:?}");
}

#[test]
fn megabytes_pass_a_task_in_both_directions() {
    let Some(windows) = Windows::new("task-large", &[]) else { return };
    let input: Vec<u8> = (0..5_000_000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let output = windows.fed("run", &["--task", &windows.service.url, "--", "tee /dev/stderr"], &input);
    assert!(output.stdout == input, "{} bytes of output", output.stdout.len());
    assert!(output.stderr == input, "{} bytes beside it", output.stderr.len());
}

#[test]
fn refusals_of_the_task_scheduler_are_told() {
    let Some(windows) = Windows::new("task-refused", &[]) else { return };
    let (url, wrong, x) = (windows.service.url.as_str(), windows.secret("this is not it"), windows.secret("x"));
    for (account, password, sentence) in [
        (
            "alice",
            &wrong,
            "by a task of alice: the host refuses the password, or knows no such account (0x8007052E)",
        ),
        ("locked", &x, "the account is locked (0x80070775)"),
        ("disabled", &x, "the account is disabled (0x80070533)"),
        ("nobody", &x, "the host knows no account of this name (0x80070534)"),
    ] {
        let before = windows.log().matches("RegisterTaskDefinition").count();
        let told = windows.told(
            "run",
            &["--task", "--become", account, "--become-password-file", password, url, "--", "id"],
        );
        assert!(told.err.contains(sentence) && told.code == Some(2), "{account}: {told:?}");
        assert_eq!(windows.log().matches("RegisterTaskDefinition").count(), before + 1, "once");
    }
    assert_eq!(windows.registered(), 0);
    let told = windows.told("run", &["--task", "-C", "/nowhere", url, "--", "id"]);
    assert!(
        told.err.contains("the directory to start in is not there") && told.code == Some(2),
        "{told:?}"
    );
    let limited = Windows::new("task-limited", &[("STANDIN_CALLER", "limited")]).unwrap();
    let told = limited.told("run", &["--task", &limited.service.url, "--", "id"]);
    assert!(
        told.err.contains("the connection's account has not the right to do this") && told.code == Some(2),
        "{told:?}"
    );
}

#[test]
fn no_secret_of_a_task_is_on_a_command_line_or_in_a_file() {
    let Some(windows) = Windows::new("task-secret", &[]) else { return };
    let alices = windows.alices();
    let ready = windows.folder.join("ready");
    let line = format!("touch {}; cat; : geheimes-wort", ready.display());
    let arguments = [
        "-vvv",
        "--task",
        "--become",
        "alice",
        "--become-password-file",
        &alices,
        "--env",
        "TOKEN=geheim-variable",
        &windows.service.url,
        "--",
        &line,
    ];
    let mut child = windows.command("run", &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    until("the command", || ready.exists());
    let found = processes_with("horse Zeppelin");
    assert!(found.is_empty(), "{found:?}");
    let files = files_with(&windows.folder, "horse Zeppelin");
    let mut known: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    known.sort_unstable();
    // Those that the test has written itself.
    assert_eq!(known, ["accounts", "alices"]);
    // Nor is what runs there: command lines hold secrets, too.
    for text in ["geheimes-wort", "geheim-variable"] {
        let files = files_with(&windows.folder, text);
        assert!(files.is_empty(), "{files:?}");
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr).into_owned() + &windows.service.log();
    assert!(!log.contains("Zeppelin"), "the log tells it");
}

#[test]
fn a_client_that_goes_ends_the_command() {
    let Some(windows) = Windows::new("task-signals", &[]) else { return };
    for name in ["TERM", "INT"] {
        let arguments = [
            "--task",
            "--become",
            "SYSTEM",
            &windows.service.url,
            "--",
            "echo $$; sleep 600; echo never",
        ];
        let mut child = windows.command("run", &arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut pid = String::new();
        output.read_line(&mut pid).unwrap();
        let process = format!("/proc/{}", pid.trim());
        assert!(Path::new(&process).exists(), "{pid:?}");
        assert_eq!(windows.registered(), 0, "the task is out of the Task Scheduler as soon as it runs");
        signal(&child, name);
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(!child.wait().unwrap().success());
        until("the command's end", || !Path::new(&process).exists());
    }
}

#[test]
fn scripts_of_powershell_run_by_tasks() {
    let Some(windows) = Windows::new("task-ps", &[]) else { return };
    let url = windows.service.url.as_str();
    let script = "Write-Warning careful; \"I am $env:USERNAME\"; exit 9";
    let told = windows.told("ps", &["--task", "--become", "SYSTEM", url, "--", script]);
    assert_eq!((told.out.trim(), told.code), ("I am SYSTEM", Some(9)), "{told:?}");
    assert!(told.err.contains("WARNING: careful"), "{told:?}");
    let long = format!(
        "{}\n$input | ForEach-Object {{ [pscustomobject] @{{ Line = $_ }} }}",
        "# a comment\n".repeat(2_000)
    );
    let file = windows.folder.join("long.ps1");
    fs::write(&file, long).unwrap();
    let output = windows.fed(
        "ps",
        &["--task", "--objects", "json", "-f", file.to_str().unwrap(), url],
        b"eins\nzwei\n",
    );
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(said, serde_json::json!([{"Line": "eins"}, {"Line": "zwei"}]));
}

#[test]
fn a_task_outlives_the_connection_and_is_found_again() {
    let Some(windows) = Windows::new("task-detached", &[]) else {
        return;
    };
    assert_eq!(windows.listed(), serde_json::json!([]));
    let go = windows.folder.join("go");
    let line = format!(
        "echo first; echo beside >&2; while [ ! -e {} ]; do sleep 0.1; done; echo last; exit 300",
        go.display()
    );
    let line = line.replace("exit 300", "exit 7");
    let id = windows.detached(&["--become", "SYSTEM"], &line);
    let task = &windows.listed()[0];
    assert_eq!(
        (task["id"].as_str(), task["state"].as_str(), task["account"].as_str()),
        (Some(id.as_str()), Some("running"), Some("SYSTEM")),
        "{task}"
    );
    assert_eq!(task["title"], "echo");
    assert_eq!(windows.registered(), 0);
    let log = windows.log();
    assert!(
        log.contains("icacls ") && log.contains("/inheritance:r") && log.contains("*S-1-5-18:(OI)(CI)M"),
        "{log}"
    );

    let told = windows.task(&["remove", &id]);
    assert!(told.err.contains("the task still runs") && told.code == Some(2), "{told:?}");
    // What there is, then what comes.
    let given = windows.command("task", &[]);
    let given: Vec<_> = given.get_args().skip(1).map(ToOwned::to_owned).collect();
    let mut follower = windows
        .bare(&["task", "attach"])
        .args(&given)
        .args([&id, &windows.service.url])
        .spawn()
        .unwrap();
    let mut output = BufReader::new(follower.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "first\n");
    fs::write(&go, "").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), follower.wait().unwrap().code()), ("last\n", Some(7)));
    let mut beside = String::new();
    follower.stderr.take().unwrap().read_to_string(&mut beside).unwrap();
    assert_eq!(beside, "beside\n");

    // Again, from the beginning, as often as one likes.
    let told = windows.task(&["attach", &id]);
    assert_eq!(
        (told.out.as_str(), told.err.as_str(), told.code),
        ("first\nlast\n", "beside\n", Some(7))
    );
    let task = &windows.listed()[0];
    assert_eq!(
        (task["state"].as_str(), task["exit_code"].as_u64()),
        (Some("ended"), Some(7)),
        "{task}"
    );
    assert_eq!(windows.task(&["remove", &id]).code, Some(0));
    assert_eq!(windows.listed(), serde_json::json!([]));
    assert!(!windows.folder.join("Windows/winrm-tasks").exists());
    let told = windows.task(&["attach", &id]);
    assert!(
        told.err.contains("the host has no task of this id") && told.code == Some(2),
        "{told:?}"
    );
    let told = windows.task(&["attach", "../x"]);
    assert!(told.err.contains("is no id of a task") && told.code == Some(1), "{told:?}");
}

#[test]
fn a_task_that_is_left_alone_can_be_stopped_and_has_a_deadline() {
    let Some(windows) = Windows::new("task-stop", &[]) else { return };
    let pid = windows.folder.join("pid");
    let line = format!("echo $$ > {}; sleep 600; echo never", pid.display());
    let id = windows.detached(&[], &line);
    until("the command", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')));
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    assert!(Path::new(&process).exists());
    let told = windows.task(&["stop", &id]);
    assert_eq!(told.code, Some(0), "{told:?}");
    until("the command's end", || !Path::new(&process).exists());
    assert_eq!(windows.listed()[0]["exit_code"].as_u64(), Some(0xC000_013A));
    assert_eq!(windows.task(&["remove", &id]).code, Some(0));

    let id = windows.detached(&["--timeout", "1"], "sleep 600; echo never");
    let told = windows.task(&["attach", &id]);
    // WAIT_TIMEOUT, of which this machine's exit codes hold the lower half.
    assert_eq!((told.out.as_str(), told.code), ("", Some(258 % 256)), "{told:?}");
    assert_eq!(windows.listed()[0]["exit_code"].as_u64(), Some(258));
    let id = windows.detached(&[], "sleep 600");
    assert_eq!(windows.task(&["remove", "--force", &id]).code, Some(0));
    let told = windows.told("run", &["--task", "--detach", "127.0.0.1,127.0.0.2", "--", "id"]);
    assert!(told.err.contains("--detach is for one host") && told.code == Some(1), "{told:?}");
}

#[test]
fn what_earlier_launchers_left_behind_is_swept() {
    let Some(windows) = Windows::new("task-stale", &[]) else {
        return;
    };
    let all = windows.folder.join("tasks/winrm");
    let leave = |name: &str, date: &str, runs: bool| {
        fs::create_dir_all(all.join(name)).unwrap();
        fs::write(all.join(name).join("definition"), format!("Date={date}\n")).unwrap();
        if runs {
            fs::write(all.join(name).join("running"), "").unwrap();
        }
    };
    leave("winrm-stale", "2020-01-01T00:00:00", false);
    leave("winrm-runs", "2020-01-01T00:00:00", true);
    leave("winrm-fresh", "2099-01-01T00:00:00", false);
    let told = windows.told("run", &["--task", &windows.service.url, "--", "echo ok"]);
    assert_eq!((told.out.as_str(), told.code), ("ok\n", Some(0)), "{told:?}");
    let mut left: Vec<_> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["winrm-fresh", "winrm-runs"]);
}
