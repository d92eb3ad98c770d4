//! `winrm inventory --explain`: each setting and the place that says so.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Made by `ansible-vault encrypt_string --vault-id prod@…`, with the password `vault password`: the text `hunter2`.
const VAULTED: &str = "$ANSIBLE_VAULT;1.2;AES256;prod\n\
    66386366323564343833376233336539346363383761636164346662656436306238336339653162\n\
    3636366262646639383639643662393235383565393534620a643032646139613136373763656437\n\
    66396233306438633439326464663635336530333261626331326237666162316235376131646436\n\
    3161633631333264310a643634376466653962663034316366613632393238646531663131613964\n\
    3962";

fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write(
        "hosts.ini",
        "[web]\nweb1 ansible_port=5985\nweb2 ansible_port=abc\nweb3 ansible_user='{{ nobody }}'\nlin ansible_connection=ssh\n\n[web:vars]\nansible_winrm_transport=ntlm\n",
    );
    write(
        "group_vars/all.yml",
        "ansible_port: 1\nansible_user: \"{{ inventory_hostname }}-admin\"\nansible_winrm_transprot: x\n",
    );
    let indented: String = VAULTED.lines().map(|line| format!("  {line}\n")).collect();
    write("host_vars/web1.yml", &format!("ansible_password: !vault |\n{indented}"));
    write("vault-password", "vault password\n");
    folder
}

/// Standard output, standard error and exit status.
fn explain(folder: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args(["inventory", "-i", "hosts.ini", "--explain"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("WINRM_PASSWORD")
        .env("ANSIBLE_CONFIG", folder.join("ansible.cfg"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn each_setting_has_the_place_that_says_so_and_secrets_stay_hidden() {
    let folder = scene();
    std::fs::write(folder.path().join("ansible.cfg"), "").unwrap();
    let vault = ["--vault-id", "prod@vault-password"];
    let (out, err, code) = explain(folder.path(), &[&["web1", "-v", "--path", "/p"], &vault[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    let line = |name: &str| {
        let found = out.lines().find(|line| line.split_whitespace().next() == Some(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {out}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(line("web1:").ends_with("http://web1:5985/p"), "{out}");
    assert_eq!(line("port"), "port 5985 ansible_port, hosts.ini:2");
    assert!(
        line("over").starts_with("over 1 ansible_port, ") && line("over").ends_with("group_vars/all.yml:1"),
        "{out}"
    );
    assert!(
        line("user").starts_with("user web1-admin ansible_user, ") && line("user").ends_with("group_vars/all.yml:2"),
        "{out}"
    );
    assert!(line("password").starts_with("password (hidden) ansible_password, "), "{out}");
    assert_eq!(line("transport"), "transport ntlm ansible_winrm_transport, hosts.ini:8");
    assert_eq!(line("path"), "path /p --path");
    assert_eq!(line("scheme"), "scheme http default");
    assert!(
        err.contains("ansible_winrm_transprot") && err.contains("is ansible_winrm_transport meant?"),
        "{err}"
    );
    let (out, _, code) = explain(
        folder.path(),
        &[&["web1", "--format", "json", "-e", "ansible_port=99"], &vault[..]].concat(),
    );
    assert_eq!(code, Some(0));
    let record: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(record["endpoint"], "https://web1:99/wsman");
    let port = record["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["setting"] == "port")
        .unwrap();
    assert_eq!(port["origin"], "--extra-vars");
    assert!(!out.contains("hunter2") && !out.contains("vault password"), "{out}");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_a_hint() {
    let folder = scene();
    std::fs::write(folder.path().join("ansible.cfg"), "").unwrap();
    std::fs::write(folder.path().join("wrong"), "not it\n").unwrap();
    for (arguments, parts) in [
        (&["web2"][..], &["ansible_port (hosts.ini:3) is \"abc\"", "from 1 to 65535"][..]),
        (&["web3"], &["ansible_user (hosts.ini:4)", "nobody is undefined", "default(...)"]),
        (&["lin"], &["reached by ssh", "hosts.ini:5", "--limit '!lin'"]),
        (&["web1"], &["host_vars/web1.yml:1", "no vault password", "--vault-password-file"]),
        (
            &["web1", "--vault-id", "dev@wrong"],
            &["vault id \"prod\"", "dev only", "prod@FILE"],
        ),
        (&["web1", "--vault-id", "prod@wrong"], &["wrong vault password for", "web1.yml:1"]),
        (&["web1", "--vault-id", "prod@none"], &["none can't be read"]),
        (&["web1", "-e", "nonsense"], &["NAME=VALUE"]),
        (&["nope"], &["no host \"nope\"", "--graph"]),
    ] {
        let (out, err, code) = explain(folder.path(), arguments);
        assert_eq!((out.as_str(), code), ("", Some(1)), "{arguments:?}: {err}");
        for part in parts {
            assert!(err.contains(part), "{part:?} is not in {err}");
        }
    }
}
