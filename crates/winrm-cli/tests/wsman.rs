//! `winrm wsman` as a person uses it, on the service of this machine.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]

#[path = "support/service.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod service;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use service::{PASSWORD, Service, USER};

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

    /// `winrm wsman` with these words; `URL` stands for the service's address.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(&["wsman"]);
        command.args(
            words
                .iter()
                .map(|word| if *word == "URL" { self.service.url.as_str() } else { word }),
        );
        command
            .args([
                "--user",
                USER,
                "--transport",
                "basic",
                "--encryption",
                "never",
                "--connection-password-file",
            ])
            .arg(&self.password);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What is printed when all goes well.
    fn said(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, words: &[&str]) -> Vec<Value> {
        let words = [words, &["--format", "json"]].concat();
        self.said(&words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is said when it fails with this exit status.
    fn refused(&self, status: i32, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {}", text(&output.stderr));
        text(&output.stderr)
    }
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
    command.args(words).env_remove("WINRM_PASSWORD").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_configuration_is_read_and_changed_and_is_in_effect() {
    let scene = Scene::new("wsman-config");
    let config = &scene.json(&["get", "winrm/config", "URL"])[0];
    assert_eq!(config["MaxTimeoutms"], "60000");
    assert_eq!(config["Service"]["AllowUnencrypted"], "true");
    let shown = scene.said(&["get", "winrm/config/service/auth", "URL"]);
    assert!(shown.starts_with("Auth\n    Basic = true\n"), "{shown}");
    let fragment = scene.said(&["get", "winrm/config/service/auth", "URL", "--fragment", "Basic"]);
    assert_eq!(fragment, "XmlFragment\n    Basic = true\n");
    let table = scene.said(&["get", "winrm/config", "URL", "--format", "table"]);
    assert!(
        table.lines().any(|line| line.split_whitespace().eq(["Service/Auth/Basic", "true"])),
        "{table}"
    );

    // The target may stand first or last, and Windows' own form of values is taken.
    let changed = scene.said(&["set", "winrm/config", "URL", "maxtimeoutms=70000", "--properties", "MaxTimeoutms"]);
    assert_eq!(changed, "Config\n    MaxTimeoutms = 70000\n");
    scene.said(&["set", "winrm/config", r#"@{MaxTimeoutms="80000"}"#, "URL"]);
    assert_eq!(
        scene.json(&["get", "winrm/config", "URL", "--properties", "MaxTimeoutms"])[0]["MaxTimeoutms"],
        "80000"
    );

    // What was read as XML goes back as a file, and from standard input.
    let xml = scene.said(&["get", "winrm/config/winrs", "URL", "--format", "xml"]);
    let file = scene.folder.join("winrs.xml");
    std::fs::write(&file, xml.replace(":MaxShellsPerUser>", ":MaxShellsPerUser>1")).unwrap();
    let broken = scene.refused(2, &["set", "winrm/config/winrs", "URL", "--file", file.to_str().unwrap()]);
    assert!(broken.contains("the host did not change winrm/config/winrs"), "{broken}");
    let mut put = scene.command(&[
        "set",
        "winrm/config/winrs",
        "URL",
        "--file",
        "-",
        "MaxShellsPerUser=7",
        "--format",
        "json",
    ]);
    let mut child = put.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let winrs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(winrs["MaxShellsPerUser"], "7");

    // It is in effect: nobody gets in by Basic any more.
    scene.said(&["set", "winrm/config/service/auth", "Basic=false", "URL"]);
    let outside = scene.refused(4, &["get", "winrm/config", "URL"]);
    assert!(outside.contains("HTTP 401"), "{outside}");
}

#[test]
fn listeners_and_mappings_are_made_listed_and_removed() {
    let scene = Scene::new("wsman-create");
    let listeners = scene.json(&["enumerate", "winrm/config/Listener", "URL", "--mode", "epr"]);
    assert_eq!(listeners.len(), 2, "{listeners:?}");
    let listener = listeners[0]["resource"].as_str().unwrap();
    let there = scene.refused(
        2,
        &["create", "winrm/config/Listener", "Address=IP:127.0.0.1", "Transport=HTTP", "URL"],
    );
    assert!(there.contains("0x80338033") && there.contains("hint: delete it first"), "{there}");
    let one = &scene.json(&["get", listener, "URL"])[0];
    assert_eq!(one["Enabled"], "true");

    // Another one answers as long as it is there.
    let port = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap().port();
    let port_is = format!("Port={port}");
    let created = scene.said(&[
        "create",
        "winrm/config/Listener",
        "URL",
        "Address=IP:127.0.0.2",
        "Transport=HTTP",
        &port_is,
    ]);
    let second = "winrm/config/Listener?Address=IP:127.0.0.2+Transport=HTTP";
    // Windows writes the configuration's parts in small letters here.
    assert!(created.trim_end().eq_ignore_ascii_case(second), "{created}");
    let url = format!("http://127.0.0.2:{port}");
    let there = program(&["wsman", "identify", &url]).output().unwrap();
    assert!(there.status.success(), "{}", text(&there.stderr));
    assert_eq!(scene.said(&["delete", second, "URL"]), "");
    let gone = program(&["wsman", "identify", &url, "--retries", "0"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(4));
}

#[test]
fn a_password_from_a_file_is_in_no_log() {
    let scene = Scene::new("wsman-secret");
    let secret = scene.folder.join("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    // The host does not know the issuer, and says so: what was sent is the same.
    let resource = "winrm/config/service/certmapping?Issuer=0123456789abcdef0123456789abcdef01234567+Subject=alice@corp.example+URI=*";
    let password = format!("Password={}", secret.display());
    let user = format!("UserName={USER}");
    let said = scene.refused(2, &["create", resource, &user, "--secret", &password, "URL", "-vvv"]);
    assert!(said.contains("action=\"Create\"") && !said.contains("Sesame"), "{said}");
    assert!(
        said.contains("0x80338162") && said.contains("hint: import the issuer's certificate"),
        "{said}"
    );
    assert!(!scene.service.log().contains("Sesame"));
    // A request without a secret stands in the log.
    let open = scene.run(&["get", "winrm/config", "URL", "-vvv"]);
    assert!(text(&open.stderr).contains("transfer/Get</a:Action>"), "{}", text(&open.stderr));
}

#[test]
fn classes_are_listed_queried_and_called() {
    let scene = Scene::new("wsman-classes");
    let own = std::process::id().to_string();
    let condition = format!("ProcessId={own}");
    let found = scene.json(&["enumerate", "wmicimv2/Win32_Process", "URL", "--filter", &condition]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["ProcessId"], own.as_str());
    let query = format!("select Name,ProcessId from Win32_Process where ProcessId = {own}");
    let fragment = scene.json(&["enum", "wmicimv2/*", "URL", "--filter", &query]);
    assert_eq!(fragment[0].as_object().unwrap().len(), 2, "{fragment:?}");
    let both = scene.json(&[
        "enum",
        "wmicimv2/Win32_Process",
        "URL",
        "--filter",
        &condition,
        "--mode",
        "object-and-epr",
    ]);
    assert_eq!(both[0]["instance"]["ProcessId"], own.as_str());
    let handle = format!("Handle={own}");
    let selected = scene.json(&[
        "enum",
        "wmicimv2/Win32_Process",
        "URL",
        "--dialect",
        "selector",
        "--filter",
        &handle,
    ]);
    assert_eq!(selected.len(), 1);
    let table = scene.said(&["enum", "wmicimv2/Win32_Process", "URL", "--format", "table", "--max-elements", "5"]);
    assert!(table.starts_with("ProcessId") && table.lines().count() > 5, "{table}");
    let short = scene.json(&["enum", "wmicimv2/Win32_Process", "URL", "--max-elements", "1", "--limit", "2"]);
    assert_eq!(short.len(), 2);

    let created = scene.json(&["invoke", "Create", "wmicimv2/Win32_Process", "CommandLine=sleep 600", "URL"]);
    assert_eq!(created[0]["ReturnValue"], "0");
    let process = format!("wmicimv2/Win32_Process?Handle={}", created[0]["ProcessId"].as_str().unwrap());
    scene.said(&["get", &process, "URL"]);
    let ended = scene.json(&["invoke", "Terminate", &process, "Reason=0", "URL"]);
    assert_eq!(ended[0]["ReturnValue"], "0");

    let failed = scene.refused(
        2,
        &["invoke", "Create", "wmicimv2/Win32_Process", "CommandLine=/nothing/there", "URL"],
    );
    assert!(
        failed.contains("Create of wmicimv2/Win32_Process returned 9: the path was not found"),
        "{failed}"
    );
    let taken = [
        "invoke",
        "Create",
        "wmicimv2/Win32_Process",
        "CommandLine=/nothing/there",
        "URL",
        "--ok-codes",
        "0,9",
    ];
    scene.said(&taken);
}

#[test]
fn each_refusal_is_a_sentence_with_what_to_do() {
    let scene = Scene::new("wsman-refusals");
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (
            &["get", "winrm/config/nothing", "URL"],
            2,
            "the host did not give winrm/config/nothing",
            "hint: check the URI",
        ),
        (
            &["get", "wmicimv2/Win32_Process", "URL"],
            2,
            "all required selectors",
            "hint: all keys of the class",
        ),
        (
            &["get", "wmicimv2/Win32_Process?Handle=999999999", "URL"],
            2,
            "the host did not give",
            "hint: check the URI and its selectors",
        ),
        (
            &["enumerate", "wmicimv2/Win32_Nope", "URL"],
            2,
            "Invalid class",
            "hint: check the class's name",
        ),
        (
            &["enumerate", "wmicimv2/*", "URL", "--filter", "selct"],
            2,
            "0x8033801A",
            "hint: check the query",
        ),
        (
            &[
                "enumerate",
                "wmicimv2/Win32_Process",
                "URL",
                "--filter",
                "x",
                "--dialect",
                "http://example.org/d",
            ],
            2,
            "the host did not list",
            "hint: WMI takes WQL",
        ),
        (
            &["invoke", "Nope", "wmicimv2/Win32_Process", "URL"],
            2,
            "the host did not carry out Nope of wmicimv2/Win32_Process",
            "hint: methods that a class has",
        ),
        (
            &["set", "winrm/config", "Nope=1", "URL"],
            1,
            "winrm/config has no property Nope",
            "hint: it has MaxEnvelopeSizekb",
        ),
        (
            &["set", "winrm/config", "Service=1", "URL"],
            1,
            "Service of winrm/config holds settings of its own",
            "hint: name them",
        ),
        (
            &["set", "winrm/config", "URL"],
            1,
            "there is nothing to set",
            "hint: give properties as KEY=VALUE",
        ),
        (
            &["set", "winrm/config", "A=1"],
            1,
            "no host is given",
            "hint: name it before or behind the properties",
        ),
        (&["get", "http", "URL"], 1, "\"http\" is no beginning of a resource", "winrm/"),
        (
            &["enumerate", "wmicimv2/*", "URL", "--dialect", "x", "--filter", "y"],
            1,
            "there is no dialect",
            "hint: it is wql",
        ),
        (
            &["set", "winrm/config", "URL", "--file", "/nothing/there"],
            1,
            "no instance can be read from /nothing/there",
            "No such file",
        ),
        (
            &["get", "winrm/config", "http://127.0.0.1:1"],
            4,
            "127.0.0.1 refuses connections to port 1",
            "hint: is WinRM switched on",
        ),
    ];
    for (words, status, sentence, more) in cases {
        let said = scene.refused(*status, words);
        assert!(said.contains(sentence) && said.contains(more), "{words:?}: {said}");
    }
}

#[test]
fn a_host_says_who_it_is() {
    let scene = Scene::new("wsman-identify");
    let known = &scene.json(&["identify", "URL"])[0];
    assert!(!known["ProductVersion"].as_str().unwrap().contains("0.0.0"), "{known}");
    let output = program(&["wsman", "identify", &scene.service.url]).output().unwrap();
    let stranger = text(&output.stdout);
    assert!(
        output.status.success() && stranger.contains("ProductVersion = OS: 0.0.0"),
        "{stranger}"
    );
}

#[test]
fn numbers_are_explained_without_a_host() {
    let output = program(&["wsman", "helpmsg", "2150859174", "-2144108122", "0x803381A6"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = text(&output.stdout);
    assert_eq!(
        said.matches("0x803381A6 (2150859174, -2144108122)  ERROR_WSMAN_QUOTA_MAX_OPERATIONS")
            .count(),
        3,
        "{said}"
    );
    assert_eq!(said.matches("hint: ").count(), 3);
    let output = program(&["wsman", "helpmsg", "5", "--format", "json"]).output().unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&record["name"], &record["number"]), (&"ERROR_ACCESS_DENIED".into(), &5.into()));
    let unknown = program(&["wsman", "helpmsg", "0x80331234"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let wrong = program(&["wsman", "helpmsg", "x"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("\"x\" is no error number"));
}
