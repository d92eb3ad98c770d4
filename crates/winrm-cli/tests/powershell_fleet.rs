//! `winrm ps` on fleets: two services with a real engine, and a host that isn't there. Without an engine (`WINRM_PWSH`, or `pwsh` on
//! `PATH`) the tests that need one say so and pass.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[expect(dead_code, reason = "other tests use all of it")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::peer;
use support::service::{self, PASSWORD, Service, USER};

/// Hosts `web1` and `web2` with services of their own, and `web3` that nobody answers for.
struct Site {
    folder: PathBuf,
    inventory: PathBuf,
    _services: [Service; 2],
}

impl Site {
    /// Nothing after a sentence where there is no engine.
    fn new(test: &str) -> Option<Self> {
        if !service::has_powershell() {
            peer::skip(
                &format!("PowerShell on many hosts, {test}"),
                "no PowerShell: neither on PATH nor by WINRM_PWSH",
            );
            return None;
        }
        let folder = service::folder(&format!("ps-fleet-{test}"));
        let services = ["web1", "web2"].map(|name| {
            fs::create_dir_all(folder.join(name)).unwrap();
            Service::start(&folder.join(name), &[])
        });
        let ports: Vec<&str> = services
            .iter()
            .map(|service| service.url.rsplit(':').next().unwrap().trim_end_matches("/wsman"))
            .collect();
        let password = PASSWORD.replace('"', "\\\"");
        let inventory = folder.join("hosts.ini");
        fs::write(
            &inventory,
            format!(
                "[fleet]\nweb1 ansible_port={}\nweb2 ansible_port={}\nweb3 ansible_port=1\n[fleet:vars]\nansible_host=127.0.0.1\n\
                 ansible_user={USER}\nansible_password=\"{password}\"\nansible_winrm_transport=ntlm\nansible_winrm_scheme=http\n",
                ports[0], ports[1]
            ),
        )
        .unwrap();
        Some(Self {
            folder,
            inventory,
            _services: services,
        })
    }

    fn ps(&self, arguments: &[&str]) -> Told {
        self.fed(arguments, b"")
    }

    /// With this on standard input.
    fn fed(&self, arguments: &[&str], input: &[u8]) -> Told {
        let inventory = self.inventory.display().to_string();
        self.winrm(&[&["ps", "-i", &inventory], arguments].concat(), input)
    }

    fn winrm(&self, arguments: &[&str], input: &[u8]) -> Told {
        let mut child = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args(arguments)
            .current_dir(&self.folder)
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env_remove("WINRM_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end without reading it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Told {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

#[derive(Debug)]
struct Told {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Told {
    #[track_caller]
    fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The last line of standard error without the time.
    fn counts(&self) -> &str {
        let line = self.err.lines().last().unwrap_or_default();
        line.rsplit_once("; ").map_or(line, |(counts, _)| counts)
    }

    /// Lines of JSON by their hosts.
    fn hosts(&self) -> BTreeMap<String, Value> {
        let values = self.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.map(|value| (value["host"].as_str().unwrap().to_owned(), value)).collect()
    }
}

/// The blocks of a report, by their first lines.
fn blocks(out: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut blocks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut head = "";
    for line in out.lines() {
        if let Some(begun) = line.strip_suffix(" >>") {
            head = begun;
            blocks.entry(head).or_default();
        } else {
            blocks.entry(head).or_default().push(line);
        }
    }
    blocks
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    fs::write(folder.join(name), text).unwrap();
    name.to_owned()
}

#[test]
fn each_host_has_its_block_with_what_powershell_says() {
    let Some(site) = Site::new("blocks") else { return };
    let text = "Write-Output out; Write-Warning w; Write-Verbose v -Verbose; Write-Progress -Activity Copying -PercentComplete 5\n\
                /bin/sh -c 'echo native >&2'; Write-Error e; exit 3";
    let told = site.ps(&["fleet", "--", text]).with_code(4);
    assert_eq!(told.counts(), "3 hosts: 0 ok, 2 failed, 1 unreachable");
    let blocks = blocks(&told.out);
    assert_eq!(
        blocks.keys().copied().collect::<Vec<_>>(),
        ["web1 | FAILED | rc=3", "web2 | FAILED | rc=3", "web3 | UNREACHABLE!"]
    );
    for host in ["web1 | FAILED | rc=3", "web2 | FAILED | rc=3"] {
        for line in ["out", "WARNING: w", "VERBOSE: v", "native", "Write-Error : e"] {
            assert!(blocks[host].contains(&line), "{line:?} is not in {:#?}", blocks[host]);
        }
    }
    for never in ["CLIXML", "<Obj", "_x000", "Copying", "\u{1b}", "\r"] {
        assert!(!told.out.contains(never), "{never:?} is in {}", told.out);
    }
    assert!(blocks["web3 | UNREACHABLE!"][0].contains("refuses connections"), "{}", told.out);
}

#[test]
fn exit_codes_are_those_of_many_hosts() {
    let Some(site) = Site::new("codes") else { return };
    for (arguments, code, counts) in [
        (&["web1:web2", "--", "1"][..], 0, "2 hosts: 2 ok, 0 failed, 0 unreachable"),
        (&["web1:web2", "--", "throw 'x'"], 2, "2 hosts: 0 ok, 2 failed, 0 unreachable"),
        (
            &["web1:web2", "--ok-codes", "0,5", "--", "exit 5"],
            0,
            "2 hosts: 2 ok, 0 failed, 0 unreachable",
        ),
        (
            &["web1:web2", "--timeout", "2", "--", "Start-Sleep 60"],
            2,
            "2 hosts: 0 ok, 2 failed, 0 unreachable",
        ),
        (
            &["web1:web2", "--max-output", "1K", "--", "'x' * 5000"],
            2,
            "2 hosts: 0 ok, 2 failed, 0 unreachable",
        ),
    ] {
        let told = site.ps(arguments).with_code(code);
        assert_eq!(told.counts(), counts, "{arguments:?}: {told:#?}");
    }
    // One host's own name, without a flag for many: the script's own code, and no block.
    let told = site.ps(&["web1", "--", "'alone'; exit 7"]).with_code(7);
    assert_eq!(told.out, "alone\r\n");
    let told = site.ps(&["web1", "-o", "--", "'alone'; exit 7"]).with_code(2);
    assert_eq!(told.out, "web1 | FAILED | rc=7 | (stdout) alone\n");
    // Usage.
    let told = site.ps(&["nobody", "--", "1"]).with_code(1);
    assert!(told.err.contains("nobody"), "{}", told.err);
    let told = site.ps(&["fleet", "-f", "missing.ps1"]).with_code(1);
    assert!(told.err.contains("missing.ps1"), "{}", told.err);
}

#[test]
fn results_in_json_have_standard_error_decoded() {
    let Some(site) = Site::new("json") else { return };
    let told = site
        .ps(&[
            "fleet",
            "--format",
            "jsonl",
            "--forks",
            "1",
            "--",
            "'ü €'; Write-Warning 'ü'; exit 2",
        ])
        .with_code(4);
    let hosts = told.hosts();
    for host in ["web1", "web2"] {
        let result = &hosts[host];
        assert_eq!(
            (&result["status"], &result["rc"], &result["stdout"], &result["stderr"]),
            (&json!("failed"), &json!(2), &json!("ü €\r\n"), &json!("WARNING: ü\n")),
            "{result}"
        );
    }
    assert_eq!(hosts["web3"]["status"], "unreachable");
    let told = site.ps(&["fleet", "--format", "json", "--", "1"]).with_code(4);
    let document: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(document["hosts"].as_array().unwrap().len(), 3);
    let told = site
        .ps(&["fleet", "--format", "junit", "--", "Write-Warning 'a < b'; exit 1"])
        .with_code(4);
    assert!(
        told.out.contains("failures=\"2\" errors=\"1\"") && told.out.contains("<system-err>WARNING: a &lt; b\n"),
        "{}",
        told.out
    );
    // -t writes the same, and --rerun begins with those that are left.
    site.ps(&["fleet", "-t", "tree", "--", "'kept'"]).with_code(4);
    let kept: Value = serde_json::from_str(&fs::read_to_string(site.folder.join("tree/web2")).unwrap()).unwrap();
    assert_eq!(kept["stdout"], "kept\r\n");
    let told = site.ps(&["fleet", "--rerun", "failed", "--list-hosts"]).with_code(0);
    assert_eq!(told.out, "web3\n");
}

#[test]
fn objects_are_in_each_hosts_result() {
    let Some(site) = Site::new("objects") else { return };
    let text = "[pscustomobject] @{ Name = 'a\"b'; Ids = 1, 2 }; 5; Write-Host hi; Write-Warning w";
    let objects = json!([{"Name": "a\"b", "Ids": [1, 2]}, 5]);
    let told = site
        .ps(&[
            "fleet",
            "--objects",
            "json",
            "--format",
            "jsonl",
            "--record",
            "objects.jsonl",
            "--",
            text,
        ])
        .with_code(4);
    let hosts = told.hosts();
    for host in ["web1", "web2"] {
        assert_eq!(hosts[host]["objects"], objects, "{told:#?}");
        assert_eq!(hosts[host].get("stdout"), None);
        let beside = hosts[host]["stderr"].as_str().unwrap();
        assert!(beside.contains("WARNING: w\n") && beside.contains("hi"), "{beside:?}");
    }
    assert_eq!(hosts["web3"]["objects"], json!([]));
    // From the record they are the same.
    let told = site.winrm(&["report", "--format", "jsonl", "objects.jsonl"], b"").with_code(4);
    assert_eq!(told.hosts()["web1"]["objects"], objects);
    // As text they are laid out as for one host.
    let told = site
        .ps(&[
            "web1:web2",
            "--group-identical",
            "--objects",
            "yaml",
            "--",
            "[pscustomobject] @{ A = 1; B = 'x' }; 5",
        ])
        .with_code(0);
    assert_eq!(told.out, "web1,web2 (2 hosts) | rc=0 >>\n- A: 1\n  B: x\n- 5\n");
    let told = site.ps(&["web1", "-o", "--objects", "json", "--", "5; 'x'"]).with_code(0);
    assert_eq!(told.out, "web1 | rc=0 | (stdout) [5,\"x\"]\n");
    let alone = site.ps(&["web1", "--objects", "json", "--", "@{}; 5"]).with_code(0);
    let many = site
        .ps(&["web1,", "--batch", "1", "--objects", "json", "--", "@{}; 5"])
        .with_code(0);
    assert_eq!(many.out, format!("web1 | rc=0 >>\n{}", alone.out));
    // A list stays a list when the host is cut off, or gives nothing.
    let told = site
        .ps(&[
            "web1:web2",
            "--objects",
            "json",
            "--format",
            "jsonl",
            "--max-output",
            "64K",
            "--",
            "1..9999",
        ])
        .with_code(2);
    let cut = &told.hosts()["web1"];
    assert!(
        cut["objects"].as_array().unwrap().len() > 10 && cut["error"].as_str().unwrap().contains("wrote more than 65536 bytes"),
        "{cut}"
    );
    let told = site
        .ps(&["web1:web2", "--objects", "json", "--format", "jsonl", "--", ""])
        .with_code(0);
    assert_eq!(told.hosts()["web2"]["objects"], json!([]));
    let told = site.ps(&["fleet", "--objects", "yaml", "--format", "json", "--", "1"]).with_code(1);
    assert!(told.err.contains("--objects yaml is for reports as text only"), "{}", told.err);
}

#[test]
fn scripts_have_parameters_and_standard_input_on_each_host() {
    let Some(site) = Site::new("input") else { return };
    let file = script(
        &site.folder,
        "hello.ps1",
        "param($Name, [switch] $Loud)\n$lines = @($input)\n\"$Name $Loud $($lines.Count) $($lines[0])\"",
    );
    let told = site
        .fed(
            &["web1:web2", "-o", "-f", &file, "--", "-Loud", "-Name", "a 'b' $d"],
            "ü\nb\n".as_bytes(),
        )
        .with_code(0);
    let mut lines: Vec<&str> = told.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "web1 | rc=0 | (stdout) a 'b' $d True 2 ü",
            "web2 | rc=0 | (stdout) a 'b' $d True 2 ü"
        ]
    );
    // -n leaves it alone.
    let told = site.fed(&["web1", "-o", "-n", "-f", &file], b"x\n").with_code(0);
    assert_eq!(told.out, "web1 | rc=0 | (stdout)  False 0 \n");
    // The script itself comes from there; it is far too long for a command line.
    let long = format!("# {}\n'long ' + @($input).Count", "x".repeat(40_000));
    let told = site.fed(&["web1:web2", "--group-identical", "-"], long.as_bytes()).with_code(0);
    assert_eq!(told.out, "web1,web2 (2 hosts) | rc=0 >>\nlong 0\n");
}

#[test]
fn a_host_without_powershell_fails_with_a_hint() {
    let Some(site) = Site::new("missing") else { return };
    let engine = std::env::var("WINRM_PWSH").unwrap_or_else(|_| "pwsh".to_owned());
    fs::write(site.folder.join("web1/engine"), format!("#!/bin/sh\nexec \"{engine}\" \"$@\"\n")).unwrap();
    let mut permissions = fs::metadata(site.folder.join("web1/engine")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(site.folder.join("web1/engine"), permissions).unwrap();
    // Its code counts as success here, but nothing was done.
    for ok_codes in ["0", "0,127"] {
        let told = site
            .ps(&[
                "web1:web2",
                "--engine",
                "./engine",
                "--ok-codes",
                ok_codes,
                "--format",
                "jsonl",
                "--",
                "'there'",
            ])
            .with_code(2);
        let hosts = told.hosts();
        assert_eq!(
            (&hosts["web1"]["status"], &hosts["web1"]["stdout"]),
            (&json!("ok"), &json!("there\r\n"))
        );
        let missing = &hosts["web2"];
        assert_eq!(
            (&missing["status"], &missing["rc"], &missing["error"]),
            (
                &json!("failed"),
                &json!(127),
                &json!("the host has no PowerShell called \"./engine\"")
            )
        );
        assert!(missing["hint"].as_str().unwrap().starts_with("--engine takes"), "{missing}");
    }
}

#[test]
fn hosts_are_listed_and_runs_described_without_a_connection() {
    let folder = service::folder("ps-fleet-list");
    let file = script(&folder, "deploy.ps1", "param($Version)");
    let site = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .args(["ps", "-i", "web2,web1,db1"])
            .args(arguments)
            .current_dir(&folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("WINRM_PASSWORD", "x")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    // No script is needed for names.
    assert_eq!(site(&["web*", "--list-hosts"]), ("web2\nweb1\n".to_owned(), Some(0)));
    assert_eq!(
        site(&["all", "-l", "db1", "--list-hosts", "--", "1"]),
        ("db1\n".to_owned(), Some(0))
    );
    let dry = [
        "web1",
        "--dry-run",
        "-u",
        "alice",
        "--transport",
        "ntlm",
        "-f",
        &file,
        "--",
        "-Version",
        "1.2",
    ];
    assert_eq!(
        site(&dry),
        (
            "web1 | https://web1:5986/wsman as alice by ntlm | deploy.ps1 -Version 1.2\n".to_owned(),
            Some(0)
        )
    );
}
