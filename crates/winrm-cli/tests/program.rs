//! The program as a person uses it, on the service of this machine: what it prints, and how it ends.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]

#[path = "support/service.rs"]
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod service;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use service::{PASSWORD, Service, USER};

/// A service that takes clear text, and a folder for the test's files.
struct Scene {
    service: Service,
    folder: PathBuf,
    password: PathBuf,
}

impl Scene {
    fn new(test: &str) -> Self {
        let folder = service::folder(test);
        let service = Service::start(&folder, &["--allow-unencrypted"]);
        let password = service::password_file(&folder);
        Self { service, folder, password }
    }

    /// `winrm run` with clear text, and the flags given, up to the target.
    fn run(&self, flags: &[&str]) -> Command {
        let mut command = self.bare(&["run", "--transport", "basic", "--encryption", "never"]);
        command
            .args(flags)
            .arg("--connection-password-file")
            .arg(&self.password)
            .arg(&self.service.url);
        command
    }

    /// The program with the test's user.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program(&arguments[..1]);
        command.args(["--user", USER]).args(&arguments[1..]);
        command
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let file = self.folder.join(name);
        std::fs::write(&file, content).unwrap();
        file
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    command.args(arguments).env_remove("WINRM_PASSWORD").stdin(Stdio::null());
    command
}

/// Standard output, standard error and exit status.
fn told(command: &mut Command) -> (String, String, Option<i32>) {
    let output = command.output().unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ends with the exit status, an error that holds each part, and a hint.
fn assert_refused(command: &mut Command, status: i32, parts: &[&str]) {
    let (out, err, code) = told(command);
    assert_eq!((out.as_str(), code), ("", Some(status)), "{err}");
    let first = err.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{err}");
    for part in parts {
        assert!(err.contains(part), "{part:?} is not in {err:?}");
    }
    assert!(!err.contains(PASSWORD), "the password is in {err:?}");
}

/// Waits until no process of this machine has these words, as arguments of its own.
fn is_gone(word: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let running = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            words.first() == Some(&b"sleep".as_slice()) && words.get(1) == Some(&word.as_bytes())
        });
        if !running || Instant::now() > deadline {
            return !running;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("the program does not end");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn streams_stay_apart_and_the_exit_status_is_the_commands() {
    let scene = Scene::new("streams");
    let outcome = told(scene.run(&[]).args(["--", "echo out; echo err >&2; exit 7"]));
    assert_eq!(outcome, ("out\n".into(), "err\n".into(), Some(7)));
    let outcome = told(scene.run(&["--env", "A=b c", "-C", "/"]).args(["--", "echo \"$A\" $PWD"]));
    assert_eq!(outcome, ("b c /\n".into(), String::new(), Some(0)));
    let outcome = told(scene.run(&[]).args(["--", "printf", "%s|", "two words", "a\"b", "&", "", "ä"]));
    assert_eq!(outcome, ("two words|a\"b|&||ä|".into(), String::new(), Some(0)));
}

#[test]
fn standard_input_passes_through_byte_for_byte() {
    let scene = Scene::new("stdin");
    let sent: Vec<u8> = (0..3_000_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut child = scene
        .run(&[])
        .args(["--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy).unwrap());
    let mut back = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert_eq!((wait_for(&mut child), back == sent), (Some(0), true));
    // Without input, and with an input that nobody reads, the command still ends.
    assert_eq!(told(scene.run(&["-n"]).args(["--", "cat; echo end"])).0, "end\n");
    let mut child = scene.run(&[]).args(["--", "true"]).stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(wait_for(&mut child), Some(0));
}

#[test]
fn a_deadline_ends_the_command_on_the_host() {
    let scene = Scene::new("deadline");
    assert_refused(
        scene.run(&["--timeout", "0.5"]).args(["--", "sleep 7101"]),
        124,
        &["deadline", "hint: "],
    );
    assert!(is_gone("7101"));
}

#[test]
fn ctrl_c_reaches_the_command_and_a_second_one_ends_the_program() {
    let scene = Scene::new("ctrl-c");
    let start = |line: &str| {
        let mut child = scene
            .run(&[])
            .args(["--", line])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command says when it runs.
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        child
    };
    let mut child = start("trap 'echo got it; exit 5' INT; echo ready; sleep 7102 & wait");
    signal(&child, "-INT");
    assert_eq!(wait_for(&mut child), Some(5));
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got it\n");

    let mut child = start("trap '' INT; echo ready; sleep 7103");
    signal(&child, "-INT");
    let mut said = [0; 7];
    child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"winrm: ");
    signal(&child, "-INT");
    assert_eq!(wait_for(&mut child), Some(130));
    assert!(is_gone("7103"));

    for name in ["-TERM", "-HUP"] {
        let mut child = start("echo ready; sleep 7104");
        signal(&child, name);
        assert_eq!(wait_for(&mut child), Some(143), "{name}");
        assert!(is_gone("7104"), "{name}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_without_a_word() {
    let scene = Scene::new("broken-pipe");
    let mut child = scene
        .run(&[])
        .args(["--", "yes & sleep 7105"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    assert_eq!(wait_for(&mut child), Some(141));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
    assert!(is_gone("7105"));
}

#[test]
fn what_a_person_gets_wrong_is_said_with_a_hint() {
    let scene = Scene::new("wrong");
    let wrong = scene.file("wrong", "not it\n");
    let empty = scene.file("empty", "\nsecond\n");
    let with = |file: &Path, flags: &[&str]| {
        let mut command = scene.bare(&["run", "--connection-password-file"]);
        command.arg(file).args(flags).arg(&scene.service.url).args(["--", "true"]);
        command
    };
    let clear = ["--transport", "basic", "--encryption", "never"];
    assert_refused(&mut with(&wrong, &clear), 4, &["401", "hint: "]);
    assert_refused(&mut with(&scene.folder.join("none"), &clear), 1, &["can't be read", "No such file"]);
    assert_refused(&mut with(&empty, &clear), 1, &["first line is empty"]);
    assert_refused(&mut with(&scene.password, &["--transport", "basic"]), 1, &["readable", "hint: "]);
    assert_refused(
        &mut with(&scene.password, &["--transport", "basic", "--encryption", "always"]),
        1,
        &["basic", "hint: "],
    );
    assert_refused(&mut with(&scene.password, &["--fingerprint", "12"]), 1, &["SHA-256", "hint: "]);
    assert_refused(
        &mut with(&scene.password, &["--operation-timeout", "9", "--read-timeout", "9"]),
        1,
        &["timeout"],
    );
    let mut nobody = program(&[
        "run",
        "--transport",
        "basic",
        "--encryption",
        "never",
        &scene.service.url,
        "--",
        "true",
    ]);
    assert_refused(&mut nobody, 1, &["no user", "hint: "]);
    assert_refused(
        scene.bare(&["run", &scene.service.url, "--", "true"]).stdin(Stdio::null()),
        1,
        &["no password", "hint: "],
    );
    for target in ["http://", "http://a:b@h/", "ftp://h", "h:99999", "[::1", "a b"] {
        assert_refused(&mut program(&["run", "-u", "x", target, "--", "true"]), 1, &[target]);
    }
    assert_refused(scene.run(&["-C", "/no/such/folder"]).args(["--", "true"]), 2, &["directory"]);
    assert_refused(scene.run(&["--env", "A=\u{1}"]).args(["--", "true"]), 1, &["U+0001"]);
    assert_eq!(told(&mut program(&["run"])).2, Some(1));
    assert_eq!(told(&mut program(&["nonsense"])).2, Some(1));
}

#[test]
fn hosts_that_cannot_be_reached_are_told_apart() {
    let scene = Scene::new("unreachable");
    let run = |target: &str, flags: &[&str]| {
        let mut command = scene.bare(&[
            "run",
            "--transport",
            "basic",
            "--encryption",
            "never",
            "--retries",
            "0",
            "--connection-password-file",
        ]);
        command.arg(&scene.password).args(flags).args([target, "--", "true"]);
        command
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_refused(&mut run(&format!("http://{free}"), &[]), 4, &["refuses connections", "hint: "]);
    assert_refused(&mut run("http://no.such.host.invalid", &[]), 4, &["no.such.host.invalid", "hint: "]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    assert_refused(
        &mut run(&address, &["--operation-timeout", "0.2", "--read-timeout", "0.5"]),
        4,
        &["silent", "hint: "],
    );
    // https with a certificate that nobody vouches for.
    assert_refused(&mut run(&scene.service.tls_url, &[]), 4, &["self-signed", "SHA-256", "hint: "]);
    // A server that is no WinRM.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", web.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        let mut request = [0; 100];
        let _ = stream.read(&mut request);
        let page = "<html><body>hello</body></html>";
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        )
        .unwrap();
        // Until the other side has read it: closing with unread input would cut it off.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_refused(&mut run(&address, &[]), 4, &["hint: "]);
    answering.join().unwrap();
}

#[test]
fn https_works_with_the_certificate_known_or_pinned() {
    let scene = Scene::new("https");
    let run = |flags: &[&str]| {
        let mut command = scene.bare(&["run", "--transport", "basic", "--connection-password-file"]);
        command
            .arg(&scene.password)
            .args(flags)
            .args([&scene.service.tls_url, "--", "echo in"]);
        command
    };
    let certificate = scene.service.certificate.to_str().unwrap();
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", certificate])
        .output();
    assert_eq!(told(&mut run(&["--ca", certificate])), ("in\n".into(), String::new(), Some(0)));
    if let Ok(shown) = shown {
        let shown = text(&shown.stdout);
        let fingerprint = shown.trim().rsplit('=').next().unwrap();
        assert_eq!(told(&mut run(&["--fingerprint", fingerprint])).0, "in\n");
    } else {
        eprintln!("there is no openssl command: the fingerprint it would show is not tried");
    }
    assert_refused(&mut run(&["--fingerprint", &"ab".repeat(32)]), 4, &["hint: "]);
    assert_eq!(told(&mut run(&["--insecure"])).0, "in\n");
    assert_refused(&mut run(&["--ca", "/no/such/file"]), 1, &["/no/such/file"]);
}

#[test]
fn ping_tells_who_answers_and_whether_it_lets_us_in() {
    let scene = Scene::new("ping");
    let (out, err, code) = told(&mut program(&["ping", "--encryption", "never", &scene.service.url]));
    assert_eq!((err.as_str(), code), ("", Some(0)));
    assert!(out.contains("OS: 0.0.0") && out.contains("not tried"), "{out}");
    let ping = |password: &Path, flags: &[&str]| {
        let mut command = scene.bare(&[
            "ping",
            "--transport",
            "basic",
            "--encryption",
            "never",
            "--connection-password-file",
        ]);
        command.arg(password).args(flags).arg(&scene.service.url);
        command
    };
    let (out, _, code) = told(&mut ping(&scene.password, &[]));
    assert_eq!(code, Some(0));
    assert!(out.contains("lets alice in") && !out.contains("OS: 0.0.0"), "{out}");
    let (out, _, _) = told(&mut ping(&scene.password, &["--format", "json"]));
    let record: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&record["authenticated"], &record["user"]),
        (&serde_json::json!(true), &serde_json::json!("alice"))
    );
    let (out, err, code) = told(&mut ping(&scene.file("wrong", "no\n"), &[]));
    assert_eq!(code, Some(4));
    assert!(out.contains("does not let alice in") && err.contains("401"), "{out}{err}");
}

#[test]
fn a_ping_of_a_silent_host_ends_by_ctrl_c() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut child = program(&["ping", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The request is on its way: signals are caught by now.
    let (mut stream, _) = silent.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    signal(&child, "-INT");
    assert_eq!(wait_for(&mut child), Some(130));
}

#[test]
fn the_password_may_come_from_the_environment_and_never_shows() {
    let scene = Scene::new("environment");
    let mut command = scene.bare(&[
        "run",
        "-vvv",
        "--transport",
        "basic",
        "--encryption",
        "never",
        &scene.service.url,
        "--",
        "env",
    ]);
    let (out, err, code) = told(command.env("WINRM_PASSWORD", PASSWORD));
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains(PASSWORD) && !out.contains("WINRM_PASSWORD"), "{out}");
    let encoded = "YWxpY2U6"; // "alice:" in base64, with which the credentials of Basic begin
    assert!(!err.is_empty() && !err.contains(PASSWORD) && !err.contains(encoded), "{err}");
    assert!(!scene.service.log().contains(PASSWORD));
}

#[test]
fn what_is_printed_for_people_obeys_no_color_and_pipes() {
    let coloured = |command: &mut Command| told(command).1.contains('\u{1b}');
    assert!(!coloured(&mut program(&["run", "-u", "x", "ftp://h", "--", "y"])));
    assert!(coloured(
        program(&["run", "-u", "x", "ftp://h", "--", "y"]).env("CLICOLOR_FORCE", "1")
    ));
    assert!(!coloured(program(&["run", "-u", "x", "ftp://h", "--", "y"]).env("NO_COLOR", "1")));
}

#[test]
fn serve_says_what_is_wrong_with_its_set_up() {
    let folder = service::folder("serve");
    let bad = folder.join("users");
    std::fs::write(&bad, "# accounts\nalice:x\nnocolon\n").unwrap();
    let serve = |arguments: &[&str]| {
        let mut command = program(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        command
    };
    assert_refused(&mut serve(&["--users", bad.to_str().unwrap()]), 1, &["line 3"]);
    assert_refused(&mut serve(&["--users", "/no/such/file"]), 1, &["/no/such/file"]);
    assert_refused(&mut serve(&["--user", "a"]), 1, &["no password", "hint: "]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(&mut serve(&["--listen", &address]), 1, &[&address]);
    assert_refused(
        &mut serve(&["--operator", "nobody"]),
        1,
        &["\"nobody\" is to be an operator, and is no account", "hint: "],
    );
    assert_refused(
        &mut serve(&["--root-sddl", "D:(A;;XX;;;BA)"]),
        1,
        &["the security descriptor can't be read: at position 6", "hint: "],
    );
    assert_eq!(told(&mut serve(&["--auth", "magic"])).2, Some(1));
    assert_eq!(told(&mut serve(&["--cert", "x"])).2, Some(1));
}

#[test]
fn completions_and_help_name_every_verb() {
    let (help, _, code) = told(&mut program(&["--help"]));
    assert_eq!(code, Some(0));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, _, code) = told(&mut program(&["completions", shell]));
        assert_eq!(code, Some(0));
        for verb in ["run", "ping", "serve", "demo", "completions"] {
            assert!(script.contains(verb) && help.contains(&format!("  {verb}")), "{shell} {verb}");
        }
    }
    for verb in ["run", "ping", "serve", "completions"] {
        assert!(told(&mut program(&[verb, "--help"])).0.contains("Examples:"), "{verb}");
    }
}

#[test]
fn the_demo_goes_well() {
    let (out, err, code) = told(&mut program(&["demo"]));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains("FAIL") && out.contains("went as they should"), "{out}");
}
