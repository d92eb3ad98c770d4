//! What `ansible-vault` encrypted opens here. `cargo xtask test` installs it; without it the test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and it says what it lacks"
)]

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use winrm_fleet::{Origin, Vault, VaultError};

fn ansible_vault() -> Option<Command> {
    let Some(folder) = std::env::var_os("WINRM_TEST_ANSIBLE").filter(|folder| !folder.is_empty()) else {
        println!("ansible-vault is left out: WINRM_TEST_ANSIBLE is not set (cargo xtask test sets it)");
        return None;
    };
    let mut command = Command::new(Path::new(&folder).join("ansible-vault"));
    command
        .env("ANSIBLE_NOCOLOR", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    Some(command)
}

fn output(mut command: Command, arguments: &[OsString]) -> Vec<u8> {
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn files_and_values_of_ansible_vault_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let passwords = [("default", "correct horse"), ("prod", "pässwörd 2"), ("dev", "x")];
    for (id, password) in passwords {
        std::fs::write(file(id), password).unwrap();
    }
    let vault = passwords
        .into_iter()
        .fold(Vault::new(), |vault, (id, password)| vault.with(id, password.into()));
    let alone = |id: &str| {
        let (id, password) = *passwords.iter().find(|(known, _)| *known == id).unwrap();
        Vault::new().with(id, password.into())
    };
    let long = "line of text ä€😀\n".repeat(3_000);
    let texts: [&[u8]; 5] = [b"", b"a: 1\n", b"exactly sixteen!", long.as_bytes(), &[0, 255, 10, 13, 0]];
    let mut opened = 0;
    for (index, text) in texts.into_iter().enumerate() {
        for (id, header) in [
            ("default", "$ANSIBLE_VAULT;1.1;AES256\n"),
            ("prod", "$ANSIBLE_VAULT;1.2;AES256;prod\n"),
        ] {
            let name = file(&format!("text-{index}-{id}"));
            std::fs::write(&name, text).unwrap();
            let Some(command) = ansible_vault() else { return };
            let identity = format!("{id}@{}", file(id).display());
            output(
                command,
                &["encrypt".into(), "--vault-id".into(), identity.into(), name.clone().into()],
            );
            let encrypted = std::fs::read(&name).unwrap();
            assert!(
                encrypted.starts_with(header.as_bytes()) && Vault::is_encrypted(&encrypted),
                "{name:?}"
            );
            let place = Origin::File {
                path: name.into(),
                line: 0,
            };
            assert_eq!(vault.decrypt(&encrypted, &place).unwrap().as_slice(), text);
            assert_eq!(alone(id).decrypt(&encrypted, &place).unwrap().as_slice(), text);
            let other = alone("dev").decrypt(&encrypted, &place).unwrap_err();
            assert_eq!(matches!(other, VaultError::MissingId { .. }), id == "prod", "{other}");
            assert_eq!(matches!(other, VaultError::WrongPassword { .. }), id == "default", "{other}");
            opened += 1;
        }
    }
    assert_eq!(opened, 10);
    // As it stands in a file of variables, indented.
    let Some(command) = ansible_vault() else { return };
    let identity = format!("dev@{}", file("dev").display());
    let shown = output(
        command,
        &["encrypt_string".into(), "--vault-id".into(), identity.into(), "hunter2 ä".into()],
    );
    let shown = String::from_utf8(shown).unwrap();
    let inline = shown.split_once("|\n").unwrap().1;
    assert_eq!(
        vault.decrypt(inline.as_bytes(), &Origin::Default).unwrap().as_slice(),
        "hunter2 ä".as_bytes()
    );
}
