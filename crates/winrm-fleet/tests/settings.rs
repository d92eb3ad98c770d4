//! Variables mean what they mean to Ansible's connection plugin `winrm`. `cargo xtask test` installs it; without it the test says so and
//! passes.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use winrm_fleet::settings::Flags;
use winrm_fleet::{Origin, Settings, Templar, Value, Variable, Variables, Vault};

/// Each a map of variables; `inventory_hostname` is added.
fn cases() -> Vec<Json> {
    let one = |name: &str, value: Json| json!({"ansible_user": "u", "ansible_password": "p", name: value});
    let mut cases = vec![
        json!({}),
        json!({"ansible_user": "u", "ansible_password": "p"}),
        json!({"ansible_user": "u@CORP.TEST", "ansible_password": "p"}),
        json!({"ansible_user": "u@CORP.TEST"}),
        json!({"ansible_user": "u@CORP.TEST", "ansible_password": ""}),
        json!({"ansible_user": "u@CORP.TEST", "ansible_port": 5985}),
        json!({"ansible_user": "CORP\\u", "ansible_password": "p"}),
        // Aliases: the last that is set counts.
        json!({"ansible_host": "a", "ansible_winrm_host": "b"}),
        json!({"ansible_winrm_host": "b"}),
        json!({"ansible_user": "a", "ansible_winrm_user": "b"}),
        json!({"ansible_user": "a", "ansible_password": "1", "ansible_winrm_pass": "2"}),
        json!({"ansible_user": "a", "ansible_winrm_pass": "2", "ansible_winrm_password": "3"}),
        json!({"ansible_port": 1, "ansible_winrm_port": 2}),
        json!({"ansible_port": null, "ansible_winrm_path": null}),
        json!({"ansible_user": null, "ansible_winrm_user": "b"}),
        json!({"ansible_host": "fe80::1"}),
        json!({"ansible_host": "::1", "ansible_port": 5985}),
        json!({"ansible_host": "10.0.0.1"}),
        // The scheme follows the port, and nothing follows the scheme.
        json!({"ansible_winrm_scheme": "http"}),
        json!({"ansible_port": 5985}),
        json!({"ansible_port": 5985, "ansible_winrm_scheme": "https"}),
        json!({"ansible_port": 80, "ansible_winrm_scheme": "http"}),
        json!({"ansible_port": 443}),
        json!({"ansible_winrm_transport": "kerberos", "ansible_user": "u@R", "ansible_password": "p", "ansible_winrm_kinit_mode": "manual"}),
        json!({"ansible_winrm_transport": "kerberos", "ansible_user": "u@R", "ansible_winrm_kinit_mode": "managed"}),
        json!({"ansible_winrm_transport": "ntlm", "ansible_user": "u", "ansible_password": "p", "ansible_winrm_operation_timeout_sec": 40, "ansible_winrm_read_timeout_sec": 50}),
        json!({"ansible_winrm_connection_timeout": 60, "ansible_winrm_operation_timeout_sec": 40, "ansible_winrm_read_timeout_sec": 50}),
        json!({"ansible_winrm_connection_timeout": 0, "ansible_winrm_operation_timeout_sec": 25}),
        json!({"ansible_user": "u", "ansible_password": "p", "ansible_winrm_operation_timeout_sec": 30, "ansible_winrm_read_timeout_sec": 30}),
        json!({"ansible_user": "u", "ansible_password": "p", "ansible_winrm_operation_timeout_sec": 0}),
    ];
    for port in [
        json!("5985"),
        json!(5985.0),
        json!("5985.0"),
        json!("abc"),
        json!("5985.5"),
        json!(""),
        json!([5985]),
    ] {
        cases.push(one("ansible_port", port));
    }
    for scheme in [json!("http"), json!("https"), json!("ftp")] {
        cases.push(one("ansible_winrm_scheme", scheme));
    }
    for transport in [
        json!("ntlm"),
        json!("kerberos,ntlm"),
        json!("kerberos, basic"),
        json!(["credssp", "ntlm"]),
        json!("'ntlm'"),
        json!("certificate"),
        json!("plaintext"),
        json!("ssl"),
        json!("pigeon"),
        json!("ntlm,pigeon"),
        json!(""),
    ] {
        cases.push(one("ansible_winrm_transport", transport));
    }
    for (name, value) in [
        ("ansible_winrm_path", json!("/other")),
        ("ansible_winrm_service", json!("WSMAN")),
        ("ansible_winrm_message_encryption", json!("always")),
        ("ansible_winrm_message_encryption", json!("never")),
        ("ansible_winrm_message_encryption", json!("sometimes")),
        ("ansible_winrm_server_cert_validation", json!("ignore")),
        ("ansible_winrm_server_cert_validation", json!("nonsense")),
        ("ansible_winrm_ca_trust_path", json!("/etc/ssl/corp.pem")),
        ("ansible_winrm_ca_trust_path", json!("legacy_requests")),
        ("ansible_winrm_kerberos_delegation", json!(true)),
        ("ansible_winrm_kerberos_delegation", json!("yes")),
        ("ansible_winrm_kerberos_delegation", json!("off")),
        ("ansible_winrm_kerberos_hostname_override", json!("web.corp.test")),
        ("ansible_winrm_send_cbt", json!(false)),
        ("ansible_winrm_send_cbt", json!("false")),
        ("ansible_winrm_send_cbt", json!(true)),
        ("ansible_winrm_credssp_disable_tlsv1_2", json!(true)),
        ("ansible_winrm_read_timeout_sec", json!("70")),
        ("ansible_winrm_read_timeout_sec", json!("x")),
        ("ansible_winrm_operation_timeout_sec", json!("15")),
        ("ansible_winrm_proxy", json!("http://proxy:3128")),
        ("ansible_winrm_realm", json!("CORP.TEST")),
        ("ansible_winrm_kinit_cmd", json!("/opt/kinit")),
        ("ansible_winrm_kinit_args", json!("-f -l 1h")),
        ("ansible_winrm_kinit_env_vars", json!("A,B")),
        ("ansible_winrm_kinit_env_vars", json!(["A", "B"])),
        ("ansible_winrm_kinit_mode", json!("sometimes")),
        ("ansible_winrm_connection_timeout", json!("45")),
        ("ansible_winrm_connection_timeout", json!("x")),
    ] {
        cases.push(one(name, value));
    }
    let becoming = |more: Json| {
        let mut case = json!({"ansible_user": "u", "ansible_password": "p", "ansible_become": true, "ansible_become_user": "CORP\\svc", "ansible_become_password": "b"});
        case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        case
    };
    cases.extend(
        [
            json!({}),
            json!({"ansible_become": "yes"}),
            json!({"ansible_become": "off"}),
            json!({"ansible_become_user": "SYSTEM", "ansible_become_password": null}),
            json!({"ansible_become_user": null}),
            json!({"ansible_become_user": null, "ansible_runas_user": "x"}),
            json!({"ansible_runas_user": "x"}),
            json!({"ansible_become_pass": "c"}),
            json!({"ansible_become_password": null, "ansible_runas_pass": "d"}),
            json!({"ansible_become_pass": "c", "ansible_runas_pass": "d"}),
            json!({"ansible_become_method": "runas"}),
            json!({"ansible_become_method": "ansible.builtin.runas"}),
            json!({"ansible_become_method": "sudo"}),
            json!({"ansible_become_flags": "logon_type=new_credentials logon_flags=netcredentials_only"}),
            json!({"ansible_become_flags": "logon_type=BATCH"}),
            json!({"ansible_become_flags": "logon_flags="}),
            json!({"ansible_become_flags": "logon_flags=none"}),
            json!({"ansible_become_flags": "logon_flags=with_profile,netcredentials_only"}),
            json!({"ansible_become_flags": "LOGON_TYPE=network_cleartext"}),
            json!({"ansible_become_flags": "logon_type=sideways"}),
            json!({"ansible_become_flags": "logon_flags=sideways"}),
            json!({"ansible_become_flags": "interactive"}),
            json!({"ansible_become_flags": "colour=red"}),
            json!({"ansible_become_flags": "logon_type=batch", "ansible_runas_flags": "logon_type=unlock"}),
        ]
        .map(becoming),
    );
    cases
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(_) => panic!("no case has one"),
    }
}

fn resolve(case: &Json) -> Result<Settings, String> {
    let variables: Variables = case
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, json)| {
            let origin = Origin::Flag("the case");
            let value = value(json);
            (Arc::from(name.as_str()), Variable { value, origin })
        })
        .collect();
    let templar = Templar::new(variables, Vault::new());
    Settings::resolve("web1", &templar, &Flags::new(), &Variables::new()).map_err(|error| error.to_string())
}

/// What we make of a case, in the words of Ansible's plugin; only what it says as well.
fn ours(settings: &Settings, ansible: &Json) -> Json {
    let row = |name: &str| settings.explain().iter().find(|row| row.setting == name);
    let shown = |name: &str| row(name).map(|row| row.value.clone());
    let endpoint = settings.endpoint();
    let mut kwargs = serde_json::Map::new();
    for (name, theirs) in ansible["kwargs"].as_object().unwrap() {
        let setting = match name.as_str() {
            "operation_timeout_sec" => "operation_timeout",
            "read_timeout_sec" => "read_timeout",
            "kerberos_hostname_override" => "hostname_override",
            other => other,
        };
        // One variable sets both timeouts.
        let both = || {
            let both: f64 = row("connection_timeout")?.value.parse().ok().filter(|both| *both > 0.0)?;
            Some(if setting == "read_timeout" { both + 10.0 } else { both }.to_string())
        };
        let text = setting.ends_with("_timeout").then(both).flatten().or_else(|| shown(setting));
        let value = match (text, theirs) {
            (None, _) => Json::Null,
            // Ansible hands on the text: what it means is compared, not how pywinrm takes it.
            (Some(text), Json::String(_)) if matches!(text.as_str(), "true" | "false") => {
                let theirs = theirs.as_str().unwrap().to_lowercase();
                let yes = ["yes", "true", "on", "1"].contains(&theirs.as_str());
                if yes == (text == "true") {
                    json!(ansible["kwargs"][name])
                } else {
                    json!(text)
                }
            }
            (Some(text), Json::Bool(_)) => json!(text == "true"),
            (Some(text), Json::Number(_)) => json!(text.parse::<i64>().unwrap()),
            (Some(text), _) => json!(text),
        };
        kwargs.insert(name.clone(), value);
    }
    let transports = &settings.methods().value;
    let names: Vec<String> = transports.iter().map(ToString::to_string).collect();
    // By default Basic over http is refused here: it has another name than the one that allows clear text.
    let by_default = settings.methods().origin == Origin::Default;
    let names = names.into_iter().map(|name| {
        if by_default && name == "basic" {
            "plaintext".to_owned()
        } else {
            name
        }
    });
    json!({
        "host": endpoint.host(),
        "user": settings.user().map(|user| &user.value),
        "password": settings.password().map(|password| password.value.expose()),
        "port": endpoint.port(),
        "scheme": endpoint.scheme().to_string(),
        "path": endpoint.path(),
        "transport": names.collect::<Vec<_>>(),
        "managed": ansible["managed"],
        "kinit_cmd": shown("kinit_cmd").unwrap_or_else(|| "kinit".to_owned()),
        "kinit_args": shown("kinit_args").map(|words| words.replace(", ", " ")),
        "kinit_env_vars": shown("kinit_env_vars").map_or(json!([]), |names| json!(names.split(", ").collect::<Vec<_>>())),
        "become": becoming(settings),
        "kwargs": kwargs,
    })
}

/// What commands run as, in Ansible's words.
fn becoming(settings: &Settings) -> Json {
    let Some(account) = settings.run_as(None).unwrap() else {
        return Json::Null;
    };
    let (logon, profile, network_only) = account.logon();
    json!({
        "account": account.account(),
        "password": account.password().map(winrm::Secret::expose),
        "logon": format!("{logon:?}"),
        "profile": profile,
        "network_only": network_only,
    })
}

/// Where we mean to differ: the case, and why.
fn differs_on_purpose(case: &Json) -> Option<&'static str> {
    if case.get("ansible_winrm_realm").is_some() {
        return Some("the document has Kerberos, then Basic, where a realm is named");
    }
    if case.get("ansible_winrm_ca_trust_path") == Some(&json!("legacy_requests")) {
        return Some("the name of pywinrm's own default is not shown as a path");
    }
    None
}

#[test]
fn variables_mean_what_they_mean_to_ansible() {
    let Some(python) = std::env::var_os("WINRM_TEST_PYTHON").filter(|python| !python.is_empty()) else {
        eprintln!("Ansible's plugin is left out: WINRM_TEST_PYTHON is not set (cargo xtask test sets it)");
        return;
    };
    let mut cases = cases();
    for case in &mut cases {
        case["inventory_hostname"] = json!("web1");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/settings.py");
    let mut peer = Command::new(python)
        .arg(script)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .env_remove("ANSIBLE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    peer.stdin
        .take()
        .unwrap()
        .write_all(Json::from(cases.clone()).to_string().as_bytes())
        .unwrap();
    let answer = peer.wait_with_output().unwrap();
    let expected: Vec<Json> = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(expected.len(), cases.len());
    let (mut same, mut wrong) = (0, Vec::new());
    for (case, expected) in cases.iter().zip(&expected) {
        let settings = resolve(case);
        let ours = match &settings {
            Ok(settings) => match (settings.run_as(None), expected.get("error")) {
                (Err(error), _) => json!({"error": error.to_string()}),
                (Ok(_), None) => ours(settings, expected),
                (Ok(_), Some(_)) => json!("no error"),
            },
            Err(error) => json!({"error": error}),
        };
        let agrees = ours == *expected || (ours.get("error").is_some() && expected.get("error").is_some());
        match (agrees, differs_on_purpose(case)) {
            (true, _) => same += 1,
            (false, Some(_)) => {}
            (false, None) => wrong.push(format!("{case}\n   ours    {ours}\n   ansible {expected}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(same >= 102, "only {same} cases agree");
}
