use std::path::Path;

use super::*;

fn place() -> Origin {
    Origin::File {
        path: Path::new("group_vars/all.yml").into(),
        line: 7,
    }
}

/// Encrypts as the format says: what `ansible-vault` itself made is read in `tests/vault.rs`.
fn encrypted(text: &[u8], password: &str, header: &str) -> String {
    let salt = [7; 32];
    let mut keys = [0; KEY_BYTES];
    openssl::pkcs5::pbkdf2_hmac(password.as_bytes(), &salt, ROUNDS, MessageDigest::sha256(), &mut keys).unwrap();
    let padding = 16 - text.len() % 16;
    let padded = [text, &vec![padding as u8; padding]].concat();
    let data = decrypt(&keys[..32], &keys[64..], &padded).unwrap();
    let key = PKey::hmac(&keys[32..64]).unwrap();
    let hmac = Signer::new(MessageDigest::sha256(), &key)
        .unwrap()
        .sign_oneshot_to_vec(&data)
        .unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = hex([hex(&salt), hex(&hmac), hex(&data)].join("\n").as_bytes());
    let lines: Vec<&str> = body.as_bytes().chunks(80).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("{header}\n{}\n", lines.join("\n"))
}

const HEADER: &str = "$ANSIBLE_VAULT;1.1;AES256";
const PROD: &str = "$ANSIBLE_VAULT;1.2;AES256;prod";

#[test]
fn the_three_ways_to_fail_are_told_apart() {
    let text = encrypted(b"hunter2", "pass", PROD);
    let open = |vault: &Vault, text: &str| vault.decrypt(text.as_bytes(), &place());
    assert_eq!(
        open(&Vault::new(), &text).unwrap_err().to_string(),
        "group_vars/all.yml:7 is encrypted, and there is no vault password"
    );
    let wrong = Vault::new().with("dev", "no".into()).with("prod", "neither".into());
    assert_eq!(
        open(&wrong, &text).unwrap_err().to_string(),
        "wrong vault password for group_vars/all.yml:7 (tried: dev, prod)"
    );
    let missing = open(&Vault::new().with("dev", "no".into()), &text).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "group_vars/all.yml:7 is encrypted with the vault id \"prod\"; there are passwords for dev only, and none of them fits"
    );
    assert_eq!(
        missing.hint().as_deref(),
        Some("give its password: --vault-id prod@FILE, or prod@prompt")
    );
    let right = Vault::new().with("prod", "pass".into());
    assert_eq!(open(&right, &text).unwrap().as_slice(), b"hunter2");
    let damaged = |text: &str| match open(&right, text) {
        Err(VaultError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    for missing in [5, 10, 86, 167] {
        assert!(damaged(&text[..text.len() - missing]).contains("end missing"), "{missing}");
    }
    assert!(damaged(&text[..text.len() - 2]).contains("hexadecimal"));
    assert!(damaged(&format!("{PROD}\n")).contains("three parts"));
    assert!(damaged(&format!("{PROD}\nxyz")).contains("hexadecimal"));
    assert!(damaged("$ANSIBLE_VAULT\n00").contains("first line"));
    assert!(damaged("plain").contains("begin"));
    // A bit of the HMAC: the text still decrypts, and is said to be changed.
    let at = text.find('\n').unwrap() + 1 + 131 + 1;
    let mut changed = text.clone().into_bytes();
    changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
    assert!(damaged(std::str::from_utf8(&changed).unwrap()).contains("changed"));
    for header in ["$ANSIBLE_VAULT;1.0;AES", "$ANSIBLE_VAULT;2.0;AES256", "$ANSIBLE_VAULT;1.1;AES"] {
        let text = encrypted(b"x", "pass", header);
        assert!(matches!(open(&right, &text), Err(VaultError::Unsupported { .. })), "{header}");
    }
}

#[test]
fn the_own_id_comes_first_and_the_others_are_tried_unless_ids_must_match() {
    let text = encrypted(b"x", "pass", PROD);
    let vault = Vault::new().with("dev", "pass".into());
    assert!(vault.decrypt(text.as_bytes(), &place()).is_ok());
    let strict = vault.clone().match_ids(true);
    assert!(matches!(
        strict.decrypt(text.as_bytes(), &place()),
        Err(VaultError::MissingId { .. })
    ));
    // A text without an id is anybody's.
    assert!(strict.decrypt(encrypted(b"x", "pass", HEADER).as_bytes(), &place()).is_ok());
    let vault = Vault::new().with("dev", "other".into()).with("prod", "pass".into());
    assert!(vault.decrypt(text.as_bytes(), &place()).is_ok());
    assert_eq!(vault.keys.lock().unwrap().len(), 1, "only the key of the text's own id was derived");
    assert_eq!(format!("{vault:?}"), r#"Vault { ids: ["dev", "prod"], .. }"#);
}

#[test]
fn indented_texts_and_all_lengths_come_back() {
    let vault = Vault::new().with(DEFAULT_ID, "pässword".into());
    for length in [0, 1, 15, 16, 17, 1000] {
        let text = "ä".repeat(length);
        let shown = encrypted(text.as_bytes(), "pässword", HEADER).replace('\n', "\r\n    ");
        let shown = format!("  {shown}");
        assert!(Vault::is_encrypted(shown.as_bytes()));
        assert_eq!(vault.decrypt(shown.as_bytes(), &place()).unwrap().as_slice(), text.as_bytes());
    }
    assert!(!Vault::is_encrypted(b"ANSIBLE_VAULT"));
    assert!(!Vault::is_encrypted(b""));
}

#[test]
fn ids_and_sources_are_read_as_ansible_reads_them() {
    let folder = Path::new("/here");
    let parse = |text| VaultId::parse(text, folder);
    let file = |id: &str, path: &str| VaultId {
        id: id.into(),
        source: PasswordSource::File(path.into()),
    };
    assert_eq!(parse("prod@pw"), file("prod", "/here/pw"));
    assert_eq!(parse("/etc/pw"), file("default", "/etc/pw"));
    assert_eq!(parse("@pw"), file("default", "/here/pw"));
    assert_eq!(parse("a@b@c"), file("a", "/here/b@c"));
    assert_eq!(parse("dev@prompt").source, PasswordSource::Prompt);
    let asked = |answer: &'static str| {
        parse("dev@prompt").password(&mut |question| {
            assert_eq!(question, "Vault password (dev): ");
            Ok(Secret::new(answer))
        })
    };
    assert_eq!(asked("x").unwrap(), Secret::new("x"));
    assert!(matches!(asked(""), Err(PasswordSourceError::Empty { .. })));
}

#[test]
fn passwords_come_from_files_and_programs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8], mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let get = |text: &str| VaultId::parse(text, folder.path()).password(&mut |_| Err(io_error()));
    fn io_error() -> std::io::Error {
        std::io::Error::other("nobody is there")
    }
    write("plain", b"  secret word \n\n", 0o600);
    assert_eq!(get("plain").unwrap().expose(), "secret word");
    write("script", b"#!/bin/sh\nprintf ' %s|%s \\n' \"$#\" \"$1\"", 0o700);
    assert_eq!(get("dev@script").unwrap().expose(), " 0| ");
    write(
        "my-client.sh",
        b"#!/bin/sh\n[ $2 = dev ] || exit 2\nprintf '%s=%s\\n' \"$1\" \"$2\"",
        0o700,
    );
    assert_eq!(get("dev@my-client.sh").unwrap().expose(), "--vault-id=dev");
    assert!(matches!(get("prod@my-client.sh"), Err(PasswordSourceError::UnknownId { .. })));
    write("failing", b"#!/bin/sh\necho x; exit 3", 0o700);
    assert!(matches!(get("failing"), Err(PasswordSourceError::Status { .. })));
    write("endless", b"#!/bin/sh\nexec yes", 0o700);
    assert!(matches!(get("endless"), Err(PasswordSourceError::Program { .. })));
    write("no-program", b"secret", 0o700);
    assert!(matches!(get("no-program"), Err(PasswordSourceError::Program { .. })));
    write("empty", b"\n", 0o600);
    assert!(matches!(get("empty"), Err(PasswordSourceError::Empty { .. })));
    write("latin", b"\xe4", 0o600);
    assert!(matches!(get("latin"), Err(PasswordSourceError::NotUtf8 { .. })));
    write("vaulted", encrypted(b"x", "y", HEADER).as_bytes(), 0o600);
    assert!(matches!(get("vaulted"), Err(PasswordSourceError::Encrypted { .. })));
    assert!(matches!(get("missing"), Err(PasswordSourceError::File { .. })));
    assert!(matches!(get("."), Err(PasswordSourceError::File { .. })));
    assert!(matches!(get("prompt"), Err(PasswordSourceError::Prompt { .. })));
}
