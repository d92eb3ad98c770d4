//! PowerShell: `winrm ps` on the embedded service, with a real engine behind it, and CLIXML before PowerShell's own serializer.
//! Without an engine (`WINRM_PWSH`, or `pwsh` on `PATH`) each test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[path = "support/check51.rs"]
mod check51;
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;
#[path = "support/tap.rs"]
mod tap;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::peer;
use support::service::{self, Service, USER};
use tap::Tap;
use winrm_proto::clixml;

/// A service with an engine, and a folder for the test's files.
struct Scene {
    service: Service,
    folder: PathBuf,
    password: PathBuf,
}

impl Scene {
    /// Nothing after a sentence where there is no engine.
    fn new(test: &str) -> Option<Self> {
        Self::with(test, &[])
    }

    fn with(test: &str, arguments: &[&str]) -> Option<Self> {
        if !service::has_powershell() {
            peer::skip(&format!("PowerShell, {test}"), "no PowerShell: neither on PATH nor by WINRM_PWSH");
            return None;
        }
        let folder = service::folder(test);
        let service = Service::start(&folder, &[&["--allow-unencrypted"], arguments].concat());
        let password = service::password_file(&folder);
        Some(Self { service, folder, password })
    }

    fn ps(&self, arguments: &[&str]) -> Told {
        self.fed(arguments, None)
    }

    fn fed(&self, arguments: &[&str], input: Option<&[u8]>) -> Told {
        told("ps", &self.service.url, &self.password, arguments, input)
    }
}

#[derive(Debug, PartialEq)]
struct Told {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Runs the program; without input it has none.
fn told(verb: &str, url: &str, password: &Path, arguments: &[&str], input: Option<&[u8]>) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    command
        .args([
            verb,
            "--transport",
            "basic",
            "--encryption",
            "never",
            "--user",
            USER,
            "--connection-password-file",
        ])
        .arg(password)
        .arg(url)
        .args(input.is_none().then_some("-n"))
        .args(arguments)
        .env_remove("WINRM_PASSWORD")
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        let input = input.to_owned();
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let output = child.wait_with_output().unwrap();
    Told {
        out: text(&output.stdout),
        err: text(&output.stderr),
        code: output.status.code(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn streams_are_told_apart_without_clixml() {
    let Some(scene) = Scene::new("ps-streams") else { return };
    let script = "Write-Output out; Write-Warning w; Write-Verbose v -Verbose; Write-Debug d -Debug; Write-Information i; \
                  /bin/sh -c 'echo native >&2'; Write-Progress -Activity Copying -PercentComplete 5\nWrite-Error e; exit 3";
    let told = scene.ps(&["--", script]);
    assert_eq!((told.out.as_str(), told.code), ("out\r\n", Some(3)), "{told:?}");
    for line in ["WARNING: w", "VERBOSE: v", "DEBUG: d", "native", "Write-Error : e"] {
        assert!(told.err.lines().any(|said| said == line), "{line:?} is not in {:?}", told.err);
    }
    assert!(
        !told.err.contains("CLIXML") && !told.err.contains('<') && !told.err.contains('\u{1b}') && !told.err.contains("Copying"),
        "{}",
        told.err
    );
}

#[test]
fn exit_codes_are_the_scripts() {
    let Some(scene) = Scene::new("ps-codes") else { return };
    for (script, code) in [
        ("1", 0),
        ("", 0),
        ("return 5", 0),
        ("if ($true) { return }; exit 9", 0),
        ("exit 7", 7),
        ("throw 'x'", 1),
        ("Get-Item /no/such", 1),
        ("Get-Item /no/such; 1", 0),
        ("/bin/sh -c 'exit 6'", 6),
        ("/bin/sh -c 'exit 6'; 'fine'", 0),
        ("/bin/sh -c 'exit 6'; Get-Item /no/such", 1),
        ("Get-Item /no/such; /bin/sh -c 'exit 6'", 6),
        ("foreach ($i in 1, 2) { /bin/sh -c 'exit 5' }", 5),
        ("begin { 'b' } end { exit 4 }", 4),
        ("$ErrorActionPreference = 'Stop'; Get-Item /no/such; 'not reached'", 1),
        ("exit", 0),
    ] {
        let told = scene.ps(&["--", script]);
        assert_eq!(told.code, Some(code), "{script}: {told:?}");
        assert!(!told.out.contains("not reached"), "{told:?}");
    }
}

#[test]
fn parameters_are_bound_as_a_person_expects() {
    let Some(scene) = Scene::new("ps-parameters") else { return };
    let file = scene.folder.join("script.ps1");
    std::fs::write(
        &file,
        "\u{FEFF}param([Parameter(Mandatory)] [string] $Name, [int] $Count = 1, [switch] $Force, [switch] $Off, $Rest)\n\"<$Name>$Count $Force $Off <$Rest>\"",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for (arguments, out) in [
        (&["-Name", "x"][..], "<x>1 False False <>"),
        (
            &["-Name", "a 'b' \"c\" $d `e %PATH% \u{2019}", "-Force"],
            "<a 'b' \"c\" $d `e %PATH% \u{2019}>1 True False <>",
        ),
        (
            &["-name:two\nlines", "-Count", "-5", "-Off:$false"],
            "<two\nlines>-5 False False <>",
        ),
        (&["-Force", "first", "2", "-Rest", "é😀"], "<first>2 True False <é😀>"),
        (&["-Count", "3", "--", "-Name"], "<-Name>3 False False <>"),
    ] {
        let told = scene.ps(&[&["-f", file, "--"], arguments].concat());
        assert_eq!((told.out.trim_end(), told.code), (out, Some(0)), "{arguments:?}: {told:?}");
    }
    let missing = scene.ps(&["-f", file, "--", "-Nonsense", "x"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("Nonsense"), "{}", missing.err);
}

#[test]
fn scripts_of_any_length_have_their_input() {
    let Some(scene) = Scene::new("ps-length") else { return };
    for length in [0, 1_000, 1_500, 3_000, 40_000, 1_000_000] {
        let file = scene.folder.join(format!("{length}.ps1"));
        let filler = "#".repeat(length);
        let lines = "$n = 0; $input | ForEach-Object { $n += $_.Length; $last = $_ }; \"$n $last\"";
        std::fs::write(&file, format!("{lines}\n{filler}\n")).unwrap();
        let told = scene.fed(&["-f", file.to_str().unwrap()], Some("grün\n\nzwölf 😀\n".as_bytes()));
        assert_eq!((told.out.as_str(), told.code), ("12 zwölf 😀\r\n", Some(0)), "{length}: {told:?}");
        // All of it as bytes, when the script takes it itself.
        let bytes = "$out = [Console]::OpenStandardOutput(); [Console]::OpenStandardInput().CopyTo($out); $out.Flush()";
        std::fs::write(&file, format!("{bytes}\n{filler}\n")).unwrap();
        let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let told = scene.fed(&["-f", file.to_str().unwrap()], Some(&every));
        assert_eq!((told.out, told.code), (text(&every), Some(0)), "{length}");
        let told = scene.ps(&["-f", file.to_str().unwrap()]);
        assert_eq!((told.out.as_str(), told.code), ("", Some(0)), "{length}");
    }
}

#[test]
fn a_script_comes_from_standard_input_too() {
    let Some(scene) = Scene::new("ps-stdin") else { return };
    for arguments in [&[][..], &["-"], &["--", "-"], &["-f", "-"]] {
        let told = scene.fed(arguments, Some("'é😀'\nexit 4\n".as_bytes()));
        assert_eq!((told.out.as_str(), told.code), ("é😀\r\n", Some(4)), "{arguments:?}: {told:?}");
    }
    let told = scene.ps(&[]);
    assert_eq!(told.code, Some(1));
    assert!(told.err.starts_with("error: there is no script\nhint: "), "{}", told.err);
    let told = scene.ps(&["-f", "/no/such.ps1"]);
    assert!(
        told.err.starts_with("error: the script /no/such.ps1 can't be read: "),
        "{}",
        told.err
    );
}

#[test]
fn syntax_errors_have_line_and_column() {
    let Some(scene) = Scene::new("ps-syntax") else { return };
    let told = scene.ps(&["--", "1\n  if (2 {\n"]);
    assert_eq!((told.out.as_str(), told.code), ("", Some(1)), "{told:?}");
    assert!(
        told.err.contains("At line:2 char:9") && told.err.contains("Missing closing ')'"),
        "{}",
        told.err
    );
    let told = scene.ps(&["--", "$a = 1\nWrite-Error e"]);
    assert!(told.err.contains("At line:2 char:1"), "{}", told.err);
}

#[test]
fn objects_are_json_and_yaml() {
    let Some(scene) = Scene::new("ps-objects") else { return };
    let script = "[pscustomobject] @{ Name = 'ä\"b'; Size = 5GB; When = [datetime]::SpecifyKind([datetime] '2020-01-02T03:04:05', 'Utc'); Day = [DayOfWeek]::Friday; Null = $null; List = 1, 2 }; \
                  @{ k = 1.5 }; 'text'; Write-Host 'to people'; Write-Warning w";
    let told = scene.ps(&["--objects", "json", "--", script]);
    let objects: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let expected = serde_json::json!([
        { "Name": "ä\"b", "Size": 5_368_709_120_u64, "When": "2020-01-02T03:04:05Z", "Day": "Friday", "Null": null, "List": [1, 2] },
        { "k": 1.5 },
        "text"
    ]);
    assert_eq!(objects, expected);
    assert!(told.out.find("Name") < told.out.find("Size"), "properties keep their order");
    assert!(told.err.contains("to people") && told.err.contains("WARNING: w"), "{}", told.err);
    let told = scene.ps(&[
        "--objects",
        "yaml",
        "--",
        "[pscustomobject] @{ Name = 'a b'; List = @('no', 2); Map = @{ k = $true } }",
    ]);
    assert_eq!(
        (told.out.as_str(), told.code),
        ("- Name: a b\n  List:\n    - \"no\"\n    - 2\n  Map:\n    k: true\n", Some(0)),
        "{told:?}"
    );
    let told = scene.ps(&["--objects", "json", "--", "exit 5"]);
    assert_eq!((told.out.as_str(), told.code), ("[]\n", Some(5)), "{told:?}");
    let told = scene.ps(&["--objects", "json", "--", "1..5000"]);
    assert_eq!(
        serde_json::from_str::<Vec<u32>>(&told.out).unwrap(),
        (1..=5_000).collect::<Vec<_>>()
    );
}

/// `WINRM_PWSH` behind a script that has a profile for those who don't say `-NoProfile`.
fn with_profile(scene_folder: &Path, profile: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let pwsh = std::env::var_os("WINRM_PWSH").unwrap_or_else(|| "pwsh".into());
    let program = scene_folder.join("with-profile");
    // The text goes in front of the encoded command, as the statements of a profile run before it.
    let script = format!(
        "#!/usr/bin/env python3\nimport base64, os, sys\nprofile = {profile:?}\nargv = sys.argv[1:]\nat = argv.index('-EncodedCommand') + 1\ntext = base64.b64decode(argv[at]).decode('utf-16le')\nargv[at] = base64.b64encode((profile + '\\n' + text).encode('utf-16le')).decode()\nos.execv({pwsh:?}, [{pwsh:?}] + argv)\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

#[test]
fn a_strict_profile_is_no_obstacle() {
    let folder = service::folder("ps-strict-program");
    let program = with_profile(&folder, "Set-StrictMode -Version Latest; $ErrorActionPreference = 'Stop'");
    let Some(scene) = Scene::with("ps-strict", &["--pwsh", &program]) else {
        return;
    };
    let long = format!("$input; 'done'\n{}", "#".repeat(20_000));
    let file = scene.folder.join("long.ps1");
    std::fs::write(&file, long).unwrap();
    for (arguments, input, out, code) in [
        (&["--", "'x'"][..], None, "x\r\n", 0),
        (&["--", ""], None, "", 0),
        (&["--", "# nothing"], None, "", 0),
        (&["--", "/bin/sh -c 'exit 6'"], None, "", 6),
        (&["--", "exit 5"], None, "", 5),
        (&["--", "Get-Item /no/such; 'not reached'"], None, "", 1),
        (&["--", "$input | ForEach-Object { $_ }"], Some("a\n"), "a\r\n", 0),
        (&["--", "process { $_ }"], Some("a\nb\n"), "a\r\nb\r\n", 0),
        (&["--", "param($a) $a"], Some(""), "", 0),
        (&["-f", file.to_str().unwrap()], Some("l\n"), "l\r\ndone\r\n", 0),
        (&["--objects", "json", "--", "1"], None, "[\n  1\n]\n", 0),
    ] {
        let told = scene.fed(arguments, input.map(str::as_bytes));
        assert_eq!((told.out.as_str(), told.code), (out, Some(code)), "{arguments:?}: {told:?}");
    }
    // The mode is there: what it forbids fails.
    let told = scene.ps(&["--", "$undefined"]);
    assert_eq!(told.code, Some(1), "{told:?}");
}

#[test]
fn constrained_language_is_said() {
    let folder = service::folder("ps-constrained-program");
    let program = with_profile(&folder, "$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'");
    let Some(scene) = Scene::with("ps-constrained", &["--pwsh", &program]) else {
        return;
    };
    let told = scene.ps(&["--", "[System.IO.File]::Exists('/')"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("error: PowerShell is in Constrained Language mode"),
        "{}",
        told.err
    );
    let told = scene.ps(&["--", "'still works'"]);
    assert_eq!(told.out, "still works\r\n", "{told:?}");
    assert!(told.err.contains("ConstrainedLanguage mode"), "{}", told.err);
    let long = format!("1\n{}", "#".repeat(20_000));
    let told = scene.ps(&["--", &long]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("error: PowerShell is in Constrained Language mode") && told.err.contains("hint: "),
        "{}",
        told.err
    );
}

#[test]
fn a_missing_powershell_is_said() {
    let Some(scene) = Scene::with("ps-missing", &["--pwsh", "/bin/false"]) else {
        return;
    };
    let told = scene.ps(&["--engine", "nosuchshell", "--", "1"]);
    assert!(
        told.err
            .contains("error: the host has no PowerShell called \"nosuchshell\"\nhint: --engine takes"),
        "{told:?}"
    );
    let told = scene.ps(&["--engine", "a\"b", "--", "1"]);
    assert_eq!(told.code, Some(1));
    assert!(
        told.err.starts_with("error: \"a\\\"b\" can't be the path of a PowerShell"),
        "{}",
        told.err
    );
}

#[test]
fn a_deadline_ends_the_script() {
    let Some(scene) = Scene::new("ps-deadline") else { return };
    let told = scene.ps(&["--timeout", "8", "--", "'begun'; Start-Sleep 60; 'not reached'"]);
    assert_eq!((told.out.as_str(), told.code), ("begun\r\n", Some(124)), "{told:?}");
}

/// How many requests a verb takes.
fn requests(scene: &Scene, verb: &str, command: &str) -> usize {
    let tap = Tap::start(&scene.service.url);
    let told = told(verb, &tap.url(), &scene.password, &["--", command], None);
    assert_eq!(told.code, Some(0), "{told:?}");
    let sent: Vec<u8> = tap.streams().into_iter().flat_map(|stream| stream.sent).collect();
    text(&sent).matches("POST /wsman").count()
}

#[test]
fn a_script_takes_the_round_trips_of_a_command() {
    let Some(scene) = Scene::new("ps-requests") else { return };
    let run = requests(&scene, "run", "echo 1");
    // On a busy machine PowerShell may take longer to end than the service waits for that.
    let ps = (0..5).map(|_| requests(&scene, "ps", "1")).min().unwrap();
    assert!(run > 0 && ps * 10 <= run * 11, "{ps} requests, and run takes {run}");
}

#[test]
fn every_script_of_ours_runs_on_windows_powershell() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut scripts = Vec::new();
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "ps1") {
                scripts.push(path);
            }
        }
    }
    assert!(scripts.len() >= 5, "{scripts:?}");
    check51::assert_runs_on_windows_powershell(&scripts);
}

/// Runs a peer's cases against a service with an engine.
fn client(peer: &str, least: usize, mut command: Command) {
    let Some(scene) = Scene::new(&format!("peer-{}", peer.replace([' ', ','], "-"))) else {
        return;
    };
    command
        .args([
            "--url",
            &scene.service.url,
            "--tls-url",
            &scene.service.tls_url,
            "--refusing-url",
            &scene.service.url,
        ])
        .args(["--user", USER, "--password-file"])
        .arg(&scene.password)
        .arg("--certificate")
        .arg(&scene.service.certificate)
        .arg("--folder")
        .arg(&scene.folder);
    peer::judge(peer, command, least, || scene.service.log());
}

#[test]
fn clients_of_others_run_powershell() {
    let Some(python) = peer::variable("pywinrm and pypsrp, PowerShell", "WINRM_TEST_PYTHON") else {
        return;
    };
    client("pywinrm and pypsrp, PowerShell", 14, peer::script(python, "powershell_clients.py"));
}

#[test]
fn ansible_runs_its_modules() {
    let Some(collections) = peer::variable("Ansible, modules", "WINRM_TEST_COLLECTIONS") else {
        return;
    };
    for ansible in peer::ansibles("Ansible, modules") {
        let mut command = peer::script(ansible.python, "powershell_ansible.py");
        command
            .arg("--ansible")
            .arg(ansible.programs)
            .env("ANSIBLE_COLLECTIONS_PATH", &collections);
        client(&ansible.peer, 10, command);
    }
}

#[test]
fn clixml_is_what_powershell_makes_of_it() {
    let Some(pwsh) = peer::variable("PSSerializer", "WINRM_PWSH") else {
        return;
    };
    let mut engine = Command::new(pwsh)
        .args(["-NoProfile", "-File"])
        .arg(peer::file("clixml_values.ps1"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines().map(Result::unwrap);
    let theirs: Vec<String> = lines
        .by_ref()
        .take_while(|line| line.trim_end() != ".")
        .map(|line| String::from_utf8(STANDARD.decode(line.trim_end()).unwrap()).unwrap())
        .collect();
    assert!(theirs.len() >= 200, "{} values", theirs.len());
    let mut stdin = engine.stdin.take().unwrap();
    for form in &theirs {
        let items = clixml::read(form, &clixml::Limits::default()).unwrap_or_else(|error| panic!("{error:?}: {form}"));
        let ours = clixml::write(&items);
        assert!(
            clixml::read(&ours, &clixml::Limits::default()).unwrap() == items || form.contains("NaN"),
            "{form}"
        );
        serde_json::to_string(&items[0].value).unwrap();
        writeln!(stdin, "{}", STANDARD.encode(ours)).unwrap();
    }
    drop(stdin);
    let verdict: Vec<String> = lines.collect();
    assert!(engine.wait().unwrap().success(), "{verdict:#?}");
    assert_eq!(verdict, [format!("{} values passed, 0 failed", theirs.len())]);
    println!("{} values", theirs.len());
}
