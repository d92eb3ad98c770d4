//! `winrm setup`: the script on a stand-in for Windows, printed and over a connection. No Windows has judged it: its judges are the engine
//! of `WINRM_PWSH`, `check51.ps1` beside it, and the stand-in, which is written from Microsoft's documentation.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[path = "support/authority.rs"]
#[expect(dead_code, reason = "the tests of certificates use the rest")]
mod authority;
#[path = "support/check51.rs"]
mod check51;
#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;
#[path = "support/windows_standin.rs"]
mod windows_standin;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use authority::openssl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::peer;
use support::service::{self, Service, USER};
use windows_standin::{Ran, WindowsStandin};

/// All that setup can do at once.
const EVERYTHING: &str = "--https --http --auth basic,kerberos,ntlm,certificate,credssp --cbt strict --tls12 --quota MaxShellsPerUser=50 \
                          --quota MaxEnvelopeSizekb=1024 --local-account-token-filter-policy --i-accept-clear-text";

/// A host, and a folder for scripts.
struct Scene {
    windows: WindowsStandin,
    folder: PathBuf,
    undo: PathBuf,
}

impl Scene {
    /// Nothing after a sentence where there is no PowerShell.
    fn new(test: &str) -> Option<Self> {
        let folder = service::folder(test);
        let windows = WindowsStandin::new(test, &folder)?;
        let undo = folder.join("undo.ps1");
        fs::write(&undo, printed("undo")).unwrap();
        Some(Self { windows, folder, undo })
    }

    fn script(&self, arguments: &str) -> PathBuf {
        let file = self.folder.join("setup.ps1");
        fs::write(&file, printed(arguments)).unwrap();
        file
    }

    fn run(&self, arguments: &str) -> Ran {
        let script = self.script(arguments);
        self.windows.run(&[(&script, "")]).remove(0)
    }

    /// Carries it out twice, and takes it back, with -Check before each.
    fn comes_and_goes(&self, arguments: &str) {
        let before = without_log(self.windows.host());
        let script = self.script(arguments);
        let (script, undo) = (script.as_path(), self.undo.as_path());
        let runs = self.windows.run(&[
            (script, "-Check"),
            (script, ""),
            (script, ""),
            (script, "-Check"),
            (undo, "-Check"),
            (undo, ""),
            (undo, ""),
        ]);
        let [announced, done, again, settled, undoing, undone, nothing] = runs.as_slice() else {
            panic!("{runs:?}")
        };
        let outcomes = |ran: &Ran, from: &str, to: &str| -> Vec<(String, String)> {
            let outcome = |record: &Value| {
                let outcome = record["Outcome"].as_str().unwrap();
                let outcome = if outcome == from { to } else { outcome };
                (record["Item"].as_str().unwrap().to_owned(), outcome.to_owned())
            };
            ran.records.iter().map(outcome).collect()
        };
        assert_eq!(announced.code, 2, "{arguments}: {announced:?}");
        assert_eq!(
            without_log(announced.host.clone()),
            before,
            "{arguments}: -Check has changed something"
        );
        assert_eq!((done.code, &done.error), (0, &None), "{arguments}: {done:?}");
        assert_eq!(
            outcomes(announced, "would change", "changed"),
            outcomes(done, "", ""),
            "{arguments}: -Check did not tell the truth"
        );
        assert_ne!(without_log(done.host.clone()), before, "{arguments}");
        for ran in [again, settled] {
            assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
            assert!(
                ran.records.iter().all(|record| record["Outcome"] == "unchanged"),
                "{arguments}: {ran:?}"
            );
            assert_eq!(ran.host, done.host, "{arguments}: the second time something was changed");
        }
        let changed = |ran: &Ran, word: &str| ran.records.iter().filter(|record| record["Outcome"] == word).count();
        assert_eq!(undoing.code, 2, "{arguments}: {undoing:?}");
        assert_eq!(undoing.host, done.host, "{arguments}: undo -Check has changed something");
        assert_eq!(
            changed(undoing, "would change"),
            changed(done, "changed"),
            "{arguments}: {undoing:?}"
        );
        assert_eq!(
            (undone.code, changed(undone, "changed")),
            (0, changed(done, "changed")),
            "{arguments}: {undone:?}"
        );
        assert_eq!(without_log(undone.host.clone()), before, "{arguments}: undo left something");
        assert_eq!((nothing.code, nothing.records.len()), (0, 0), "{arguments}: {nothing:?}");
        assert_eq!(nothing.host, undone.host);
    }
}

/// What `winrm setup` prints.
fn printed(arguments: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .arg("setup")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn without_log(mut host: Value) -> Value {
    let table = host.as_object_mut().unwrap();
    table.remove("log");
    table.remove("changes_left");
    host
}

/// Windows 7's generation: no cmdlets for the firewall, networks and certificates.
fn make_old(host: &mut Value) {
    host["os"]["version"] = "6.1.7601".into();
    host["missing"] = json!([
        "New-SelfSignedCertificate",
        "New-NetFirewallRule",
        "Get-NetFirewallRule",
        "Get-NetConnectionProfile"
    ]);
    host["services"]["WinRM"]["status"] = "Stopped".into();
    host["registry"]["HKLM:\\SYSTEM\\CurrentControlSet\\Services\\WinRM"]["Start"]["value"] = 3.into();
    host["listeners"] = json!([]);
    host["firewall"] = json!({});
}

/// A certificate in the host's store, made by `openssl`; gives its thumbprint.
fn put_certificate(scene: &Scene, name: &str, usage: &str, days: &str, has_key: bool) -> String {
    let folder = &scene.folder;
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -sha256 -days {days} -subj /CN={name} -addext subjectAltName=DNS:{name} -addext extendedKeyUsage={usage} -keyout {name}.key -out {name}.pem"
        ),
    );
    openssl(
        folder,
        &format!("pkcs12 -export -in {name}.pem -inkey {name}.key -passout pass: -out {name}.pfx"),
    );
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha1", "-in"])
        .arg(folder.join(format!("{name}.pem")))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let thumbprint = printed.trim().rsplit('=').next().unwrap().replace(':', "");
    let pfx = STANDARD.encode(fs::read(folder.join(format!("{name}.pfx"))).unwrap());
    scene.windows.change(|host| {
        host["certificates"][format!("LocalMachine\\My\\{thumbprint}")] = json!({ "pfx": pfx, "key": has_key });
    });
    thumbprint
}

#[test]
fn the_standin_keeps_what_is_changed_and_fails_where_it_is_told() {
    let Some(scene) = Scene::new("windows-standin") else { return };
    let script = scene.folder.join("change.ps1");
    fs::write(
        &script,
        "Set-StrictMode -Version Latest; $ErrorActionPreference = 'Stop'\nSet-Item WSMan:\\localhost\\Service\\Auth\\Basic $true\n\
         Set-ItemProperty HKLM:\\SOFTWARE -Name x -Value 1 -Type DWord",
    )
    .unwrap();
    scene.windows.change(|host| host["changes_left"] = 1.into());
    let ran = scene.windows.run(&[(&script, "")]).remove(0);
    assert!(ran.error.is_some(), "{ran:?}");
    assert_eq!(ran.host["wsman"]["Service\\Auth\\Basic"], "true");
    assert_eq!(ran.host["registry"]["HKLM:\\SOFTWARE"], json!({}));
    assert_eq!(ran.host["log"], json!(["Set-Item Service\\Auth\\Basic True"]));
}

#[test]
fn each_setting_comes_once_and_goes_without_a_trace() {
    let Some(scene) = Scene::new("setup-each") else { return };
    for arguments in [
        "--https",
        "--https --self-signed --listener-name web1.corp.example --listener-name web1 --https-port 5999",
        "--http --http-port 8080 --firewall-from 10.0.0.0/8,LocalSubnet --firewall-profiles public,domain",
        "--no-http --https --no-firewall",
        "--http --auth certificate",
        "--http --auth basic,credssp",
        "--http --auth-off kerberos,ntlm",
        "--http --cbt none",
        "--http --quota IdleTimeout=3600000 --quota MaxConnections=25",
        "--http --local-account-token-filter-policy",
        "--http --i-accept-clear-text",
    ] {
        scene.comes_and_goes(arguments);
    }
}

#[test]
fn everything_comes_once_and_goes_without_a_trace() {
    let Some(scene) = Scene::new("setup-everything") else { return };
    scene.comes_and_goes(EVERYTHING);
}

#[test]
fn hosts_of_2008_r2_get_their_keys_rules_and_certificates_by_older_means() {
    let Some(scene) = Scene::new("setup-old") else { return };
    scene.windows.change(make_old);
    // The service is stopped: what it is configured to be can't be read before it runs, and -Check doesn't start it.
    let service = scene.script("--no-firewall --http --https --auth ntlm");
    let runs = scene.windows.run(&[(&service, "-Check"), (&service, "")]);
    assert_eq!(
        (runs[0].code, runs[0].outcome("The service")),
        (2, Some("would change")),
        "{runs:?}"
    );
    for item in ["Listener for http", "Listener for https", "Authentication by Negotiate"] {
        assert_eq!(runs[0].outcome(item), Some("unknown"), "{item}: {runs:?}");
    }
    assert_eq!(runs[1].outcome("The service"), Some("changed"), "{runs:?}");
    assert_eq!(runs[1].host["services"]["WinRM"]["status"], "Running");
    scene.windows.change(|host| {
        make_old(host);
        host["services"]["WinRM"]["status"] = "Running".into();
        host["registry"]["HKLM:\\SYSTEM\\CurrentControlSet\\Services\\WinRM"]["Start"]["value"] = 2.into();
        host["registry"]
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !key.starts_with("HKLM:\\SOFTWARE\\winrm"));
    });
    scene.comes_and_goes("--https --tls12 --auth credssp");
    let done = scene.run("--https --tls12");
    let said = done.reason("TLS 1.2, Server, Enabled");
    assert!(said.contains("KB3080079") && said.contains("restarted"), "{done:?}");
    let log = done.host["log"].to_string();
    assert!(log.contains("CertEnroll") && log.contains("netsh add"), "{log}");
    let keys = &done.host["registry"];
    let path = "HKLM:\\SYSTEM\\CurrentControlSet\\Control\\SecurityProviders\\SCHANNEL\\Protocols\\TLS 1.2";
    assert_eq!(
        keys[format!("{path}\\Client")]["DisabledByDefault"],
        json!({ "type": "DWord", "value": 0 })
    );
    assert_eq!(keys[format!("{path}\\Server")]["Enabled"], json!({ "type": "DWord", "value": 1 }));
}

#[test]
fn a_failure_in_the_middle_leaves_what_undo_needs() {
    let Some(scene) = Scene::new("setup-halfway") else { return };
    let before = scene.windows.host();
    let script = scene.script(EVERYTHING);
    let all = scene.windows.run(&[(&script, "")]).remove(0);
    let changes = all.host["log"].as_array().unwrap().len();
    assert!(changes > 15, "{changes}");
    let mut steps = Vec::new();
    for left in 0..changes {
        let mut host = before.clone();
        host["changes_left"] = left.into();
        steps.push((scene.windows.put(left, &host), script.as_path(), ""));
        steps.push((scene.windows.unlimited(), scene.undo.as_path(), ""));
    }
    let runs = scene.windows.run_prepared(&steps);
    for (left, pair) in runs.chunks(2).enumerate() {
        let [failed, undone] = pair else { panic!("{pair:?}") };
        assert_eq!((failed.code, &failed.error), (1, &None), "after {left}: {failed:?}");
        assert!(
            failed.records.iter().any(|record| record["Outcome"] == "failed"),
            "after {left}: {failed:?}"
        );
        assert_eq!(undone.code, 0, "after {left}: {undone:?}");
        let mut rest = without_log(undone.host.clone());
        // Where a certificate can neither be noted nor removed again, its thumbprint is all that can be said.
        let left_over = rest["certificates"].as_object_mut().unwrap();
        let said = failed.reason("Certificate for https");
        left_over.retain(|path, _| !said.contains(&format!("{} was made", path.rsplit('\\').next().unwrap())));
        assert_eq!(rest, without_log(before.clone()), "after {left} changes of {changes}");
    }
}

#[test]
fn a_missing_right_is_named_and_what_cant_be_noted_is_left_alone() {
    let Some(scene) = Scene::new("setup-denied") else { return };
    let script = scene.script(EVERYTHING);
    let before = scene.windows.host();
    for (area, item, right) in [
        (
            "wsman",
            "Authentication by Basic",
            "the configuration of WinRM (Service\\Auth\\Basic)",
        ),
        ("wsman", "Listener for https", "to write the listeners of WinRM"),
        ("firewall", "Firewall for port 5986", "the rules of the firewall"),
        ("certificates", "Certificate for https", "LocalMachine\\My"),
        ("registry", "Authentication by Basic", "HKLM:\\SOFTWARE\\winrm\\Setup"),
    ] {
        scene.windows.change(|host| {
            *host = before.clone();
            host["denied"] = json!([area]);
        });
        let ran = scene.windows.run(&[(&script, "")]).remove(0);
        assert_eq!((ran.code, ran.outcome(item)), (1, Some("failed")), "{area}: {ran:?}");
        let reason = ran.reason(item);
        assert!(reason.contains(right) && reason.contains("full token"), "{area}: {reason}");
        if area == "registry" {
            assert_eq!(ran.host["log"], json!([]), "what can't be noted was changed");
        }
    }
}

#[test]
fn group_policy_wins_and_is_named() {
    let Some(scene) = Scene::new("setup-policy") else { return };
    let key = "HKLM:\\SOFTWARE\\Policies\\Microsoft\\Windows\\WinRM\\Service";
    let number = |value: i32| json!({ "type": "DWord", "value": value });
    scene.windows.change(|host| {
        host["registry"][key] = json!({ "AllowBasic": number(0), "AllowCredSSP": number(1), "AllowAutoConfig": number(1) });
        host["registry"][key]["IPv4Filter"] = json!({ "type": "String", "value": "" });
        host["registry"][format!("{key}\\WinRS")] = json!({ "MaxShellsPerUser": number(2) });
        host["listeners"][0]["source"] = "GPO".into();
    });
    let before = scene.windows.host();
    let ran = scene.run("--http --http-port 8080 --auth basic,credssp --quota MaxShellsPerUser=50 --no-firewall");
    assert_eq!(ran.code, 1, "{ran:?}");
    for (item, outcome, said) in [
        ("Group policy", "policy", "keeps the service from answering"),
        ("Authentication by Basic", "policy", "AllowBasic = 0"),
        ("Authentication by CredSSP", "unchanged", ""),
        ("MaxShellsPerUser", "policy", "WinRS\\MaxShellsPerUser = 2"),
        ("Listener for http", "policy", "AllowAutoConfig"),
    ] {
        assert_eq!(ran.outcome(item), Some(outcome), "{item}: {ran:?}");
        assert!(ran.reason(item).contains(said), "{item}: {ran:?}");
    }
    assert_eq!(ran.host, before, "what policy decides was written all the same");
}

#[test]
fn what_somebody_has_changed_since_is_left_alone() {
    let Some(scene) = Scene::new("setup-since") else { return };
    assert_eq!(scene.run("--http --quota MaxShellsPerUser=50").code, 0);
    scene.windows.change(|host| host["wsman"]["Shell\\MaxShellsPerUser"] = "99".into());
    let runs = scene.windows.run(&[(&scene.undo, ""), (&scene.undo, "-Force")]);
    assert_eq!((runs[0].code, runs[0].outcome("MaxShellsPerUser")), (1, Some("left")), "{runs:?}");
    assert_eq!(runs[0].host["wsman"]["Shell\\MaxShellsPerUser"], "99");
    assert_eq!(
        (runs[1].code, runs[1].outcome("MaxShellsPerUser")),
        (0, Some("changed")),
        "{runs:?}"
    );
    assert_eq!(runs[1].host["wsman"]["Shell\\MaxShellsPerUser"], "30");
}

#[test]
fn setup_after_setup_goes_back_to_the_first_state() {
    let Some(scene) = Scene::new("setup-twice") else { return };
    let before = without_log(scene.windows.host());
    assert_eq!(scene.run("--http --quota MaxShellsPerUser=50 --auth basic").code, 0);
    assert_eq!(scene.run("--http --quota MaxShellsPerUser=60 --auth credssp").code, 0);
    let undone = scene.windows.run(&[(&scene.undo, "")]).remove(0);
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(without_log(undone.host), before);
}

#[test]
fn certificates_are_found_by_name_and_usage_or_refused_with_the_reason() {
    let Some(scene) = Scene::new("setup-certificates") else { return };
    let good = put_certificate(&scene, "web1.corp.example", "serverAuth", "30", true);
    let client = put_certificate(&scene, "client.corp.example", "clientAuth", "30", true);
    let keyless = put_certificate(&scene, "keyless.corp.example", "serverAuth", "30", false);
    let missing = "7C8DCBD5427AFEE6560F4AF524E325915F51172C";
    let before = scene.windows.host();
    for (arguments, said) in [
        (format!("--listener-cert {missing}"), "there is no certificate"),
        (format!("--listener-cert {client}"), "is not for server authentication"),
        (format!("--listener-cert {keyless}"), "has no private key"),
        (
            "--listener-cert-subject client.corp.example".to_owned(),
            "no certificate in LocalMachine\\My is valid",
        ),
    ] {
        let ran = scene.run(&format!("--https --no-firewall {arguments}"));
        assert_eq!(
            (ran.code, ran.outcome("Listener for https")),
            (1, Some("failed")),
            "{arguments}: {ran:?}"
        );
        assert!(ran.reason("Listener for https").contains(said), "{arguments}: {ran:?}");
        assert_eq!(ran.host, before, "{arguments}");
    }
    let ran = scene.run(&format!("--no-firewall --http --credssp-cert {client}"));
    assert!(
        ran.reason("Certificate for CredSSP").contains("is not for server authentication"),
        "{ran:?}"
    );
    for arguments in [
        format!("--listener-cert {}", good.to_lowercase()),
        "--listener-cert-subject WEB1.corp.example".to_owned(),
        // The name alone finds it: none is made.
        "--listener-name web1.corp.example".to_owned(),
        format!("--listener-name web1.corp.example --credssp-cert {good}"),
    ] {
        let ran = scene.run(&format!("--https --no-firewall {arguments}"));
        assert_eq!((ran.code, ran.outcome("Certificate for https")), (0, None), "{arguments}: {ran:?}");
        let listener = &ran.host["listeners"][1];
        assert_eq!(
            (&listener["CertificateThumbprint"], &listener["Hostname"]),
            (&json!(good), &json!("web1.corp.example")),
            "{arguments}"
        );
        scene.windows.run(&[(&scene.undo, "")]);
    }
    // A self-signed one is made beside it where that is wanted, since the one there is self-signed too only by chance of this test.
    let ran = scene.run("--https --no-firewall --self-signed --listener-name other.corp.example");
    assert_eq!(ran.outcome("Certificate for https"), Some("changed"), "{ran:?}");
}

#[test]
fn a_public_network_is_named_where_the_rule_is_not_for_it() {
    let Some(scene) = Scene::new("setup-public") else { return };
    scene
        .windows
        .change(|host| host["networks"] = json!([{ "name": "Hotel", "category": "Public" }]));
    let ran = scene.run("--https");
    let item = "Firewall for port 5986";
    assert_eq!((ran.code, ran.outcome(item)), (0, Some("changed")), "{ran:?}");
    assert!(
        ran.reason(item).contains("Hotel") && ran.reason(item).contains("--firewall-profiles"),
        "{ran:?}"
    );
    let ran = scene.run("--https --firewall-profiles domain,private,public --firewall-from 10.1.2.3");
    assert_eq!((ran.code, ran.reason(item)), (0, ""), "{ran:?}");
    let rule = &ran.host["firewall"]["winrm-setup-5986"];
    assert_eq!(
        (&rule["profile"], &rule["remoteAddress"]),
        (&json!("Domain, Private, Public"), &json!(["10.1.2.3"]))
    );
}

#[test]
fn an_answer_files_command_finds_its_script() {
    let Some(engine) = peer::variable("setup, unattend", "WINRM_PWSH") else {
        return;
    };
    let folder = service::folder("setup-unattend");
    let arguments = "--https --auth ntlm --listener-name web1.corp.example";
    let file = folder.join("unattend.xml");
    fs::write(&file, printed(&format!("{arguments} --format unattend"))).unwrap();
    // The command as it stands there, but for the place of the file, and for what it does with the script.
    let read = format!(
        "$x = New-Object System.Xml.XmlDocument; $x.Load('{}'); $x.GetElementsByTagName('CommandLine').Item(0).InnerText",
        file.display()
    );
    let powershell = |command: &str| {
        let output = Command::new(&engine)
            .args(["-NoProfile", "-NonInteractive", "-Command", command])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = powershell(&read);
    let command = line.trim().split_once(" -Command \"").unwrap().1.strip_suffix('"').unwrap();
    let place = "$env:windir + '\\Panther\\unattend.xml'";
    assert!(line.trim().len() <= 1024 && command.contains(place), "{command}");
    let command = command
        .replace(place, &format!("'{}'", file.display()))
        .replace(". ([ScriptBlock]::Create(", "([ScriptBlock]::Create(");
    let script = String::from_utf8(printed(arguments)).unwrap();
    assert_eq!(powershell(&command).replace("\r\n", "\n").trim(), script.trim());
}

#[test]
fn user_data_and_templates_hold_the_script() {
    let arguments = "--https --auth ntlm";
    let script = String::from_utf8(printed(arguments)).unwrap();
    let cloudbase = String::from_utf8(printed(&format!("{arguments} --format cloudbase"))).unwrap();
    assert_eq!(cloudbase.strip_prefix("#ps1_sysnative\n"), Some(script.as_str()));
    let packer = String::from_utf8(printed(&format!("{arguments} --format packer"))).unwrap();
    assert!(
        packer.contains(&script) && packer.contains("winrm_use_ntlm = true") && packer.contains("winrm_insecure = true"),
        "{packer}"
    );
}

#[test]
fn packer_takes_the_template() {
    let folder = service::folder("setup-packer");
    let file = folder.join("host.pkr.hcl");
    let mut template = printed("--https --auth ntlm,basic --format packer");
    template.extend(b"build {\n  sources = [\"source.amazon-ebs.windows\"]\n}\n");
    fs::write(&file, template).unwrap();
    let Ok(output) = Command::new("packer")
        .args(["validate", "-syntax-only"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
    else {
        peer::skip("Packer", "there is no packer on PATH");
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_is_printed_runs_on_windows_powershell() {
    let folder = service::folder("setup-check51");
    let mut scripts = Vec::new();
    let most = format!("{EVERYTHING} --credssp-cert 7C8DCBD5427AFEE6560F4AF524E325915F51172C");
    for (name, arguments) in [
        ("usual.ps1", "--https --auth kerberos,certificate --format ps1"),
        ("most.ps1", &most),
        ("cloudbase.ps1", "--http --format cloudbase"),
        ("undo.ps1", "undo"),
    ] {
        let file = folder.join(name);
        fs::write(&file, printed(arguments)).unwrap();
        scripts.push(file);
    }
    check51::assert_runs_on_windows_powershell(&scripts);
}

/// A service whose commands see the stand-in, and whose certificate is in its store.
struct Host {
    scene: Scene,
    service: Service,
    /// Of the service's certificate.
    thumbprint: String,
}

#[derive(Debug)]
struct Told {
    out: String,
    #[expect(dead_code, reason = "it is shown when a test fails")]
    err: String,
    code: Option<i32>,
}

impl Host {
    fn new(test: &str) -> Option<Self> {
        let scene = Scene::new(test)?;
        let thumbprint = put_certificate(&scene, "localhost", "serverAuth", "30", true);
        let file = |name: &str| scene.folder.join(name).display().to_string();
        let program = scene.windows.program.display().to_string();
        let arguments = [
            "--pwsh",
            &program,
            "--cert",
            &file("localhost.pem"),
            "--key",
            &file("localhost.key"),
        ];
        let service = Service::start(&scene.folder, &arguments);
        Some(Self {
            scene,
            service,
            thumbprint,
        })
    }

    fn port(&self) -> &str {
        let (_, rest) = self.service.tls_url.rsplit_once(':').unwrap();
        rest.trim_end_matches("/wsman")
    }

    fn setup(&self, url: &str, arguments: &str) -> Told {
        let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .arg("setup")
            .args(arguments.split_whitespace())
            .args(["--user", USER, "--connection-password-file"])
            .arg(self.scene.folder.join("password"))
            .arg("--ca")
            .arg(self.scene.folder.join("localhost.pem"))
            .args(["--hostname-override", "localhost", url])
            .env_remove("WINRM_PASSWORD")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Told {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

#[test]
fn a_host_is_prepared_over_a_connection_and_each_mechanism_is_tried() {
    let Some(host) = Host::new("setup-connection") else { return };
    let before = host.scene.windows.host();
    let wanted = format!(
        "--https --https-port {} --listener-cert-subject localhost --auth basic,ntlm,certificate --no-firewall --transport ntlm",
        host.port()
    );
    let told = host.setup(&host.service.url, &format!("--check {wanted}"));
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.out.contains("3 of 5 settings would change"), "{told:?}");
    assert_eq!(host.scene.windows.host(), before, "--check has changed something");

    let told = host.setup(&host.service.url, &wanted);
    assert_eq!(told.code, Some(0), "{told:?}");
    for line in [
        "changed Listener for https",
        "ok basic lets us in at https",
        "ok ntlm lets us in at https",
    ] {
        assert!(told.out.contains(line), "{line}: {told:?}");
    }
    assert!(
        told.out.contains("certificate was not tried") && told.out.contains("--cert"),
        "{told:?}"
    );
    let after = host.scene.windows.host();
    assert_eq!(after["wsman"]["Service\\Auth\\Basic"], "true");
    assert_eq!(after["listeners"][1]["CertificateThumbprint"], host.thumbprint.as_str());

    let told = host.setup(&host.service.url, &format!("--check {wanted}"));
    assert_eq!(told.code, Some(0), "{told:?}");

    let told = host.setup(&host.service.url, "undo --format json --transport ntlm");
    assert_eq!(told.code, Some(0), "{told:?}");
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(without_log(host.scene.windows.host()), without_log(before));
    let told = host.setup(&host.service.url, "undo --transport ntlm");
    assert!(told.code == Some(0) && told.out.contains("nothing is noted"), "{told:?}");
}

#[test]
fn what_would_cut_the_connection_is_refused_without_force() {
    let Some(host) = Host::new("setup-cut") else { return };
    let url = host.service.tls_url.as_str();
    let first = format!(
        "--https --https-port {} --listener-cert {} --no-firewall --transport ntlm",
        host.port(),
        host.thumbprint
    );
    assert_eq!(host.setup(url, &first).code, Some(0));
    let before = without_log(host.scene.windows.host());
    for (arguments, said) in [
        (
            "--https --https-port 5986 --listener-cert-subject localhost --no-firewall --transport ntlm",
            "refused Listener for https",
        ),
        ("--no-https --transport ntlm", "refused No listener for https"),
        (
            "--http --auth-off ntlm --no-firewall --transport ntlm",
            "refused Authentication by Negotiate",
        ),
        (
            "--http --auth-off basic --no-firewall --transport basic",
            "unchanged Authentication by Basic",
        ),
        (
            "--http --cbt strict --no-cbt --no-firewall --transport ntlm",
            "refused Channel binding",
        ),
        ("undo --transport ntlm", "refused Listener for https"),
    ] {
        let told = host.setup(url, arguments);
        assert!(told.out.contains(said), "{arguments}: {told:?}");
        assert_eq!(without_log(host.scene.windows.host()), before, "{arguments}");
    }
    let told = host.setup(url, "undo --force --transport ntlm");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(host.scene.windows.host()["listeners"].as_array().unwrap().len(), 1);
}

#[test]
fn a_host_that_is_no_windows_is_told_so() {
    if !service::has_powershell() {
        peer::skip("setup, no Windows", "no PowerShell: neither on PATH nor by WINRM_PWSH");
        return;
    }
    let folder = service::folder("setup-no-windows");
    let service = Service::start(&folder, &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args(["setup", "--transport", "ntlm", "--user", USER, "--connection-password-file"])
        .arg(folder.join("password"))
        .arg(&service.url)
        .env_remove("WINRM_PASSWORD")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && err.contains("this is no Windows"), "{err}");
    assert!(!err.contains("At line"), "{err}");
}

#[test]
fn what_does_not_go_together_is_said_before_anything_is_sent() {
    for (arguments, said) in [
        ("--check", "--check is about a host"),
        ("--force", "-Force"),
        ("--format json", "there is no TARGET"),
        ("--format ps1 host", "leave TARGET away"),
        ("--auth ntlm --auth-off negotiate", "on by --auth and off by --auth-off"),
        ("--no-http --no-https", "without a listener"),
        ("--http --self-signed", "add --https"),
        ("--format packer", "add --auth ntlm"),
        ("undo --format packer", "nothing to undo"),
        ("--listener-cert 12", "40 hexadecimal digits"),
        ("--quota Foo=1", "there is no limit"),
        ("--listener-name a'b", "no name of a host"),
        ("--auth digest", "transport"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
            .arg("setup")
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && err.contains(said), "{arguments}: {err}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}
