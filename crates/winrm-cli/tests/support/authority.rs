//! Certificates made by `openssl`, which is no part of the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority, and the folder for what it issues.
pub(crate) struct Authority {
    pub(crate) folder: PathBuf,
    name: &'static str,
}

impl Authority {
    /// A new authority: `NAME.pem` and `NAME.key` in the folder.
    pub(crate) fn new(folder: &Path, name: &'static str) -> Self {
        let authority = Self {
            folder: folder.to_owned(),
            name,
        };
        openssl(
            folder,
            &format!("req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
        );
        authority
    }

    pub(crate) fn file(&self) -> String {
        self.path(&format!("{}.pem", self.name))
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// Issues `NAME.pem` with `NAME.key`, for `localhost` and 127.0.0.1. `key`: as `openssl genpkey` has it.
    pub(crate) fn server(&self, name: &str, key: &str) {
        self.issue(
            name,
            key,
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        );
    }

    /// Issues `NAME.pem` with `NAME.key` for the user `NAME@localhost`.
    pub(crate) fn client(&self, name: &str, key: &str) {
        let extensions = format!("subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:{name}@localhost\nextendedKeyUsage=clientAuth\n");
        self.issue(name, key, &extensions);
    }

    fn issue(&self, name: &str, key: &str, extensions: &str) {
        let subject = if extensions.contains("serverAuth") { "localhost" } else { name };
        fs::write(self.folder.join(format!("{name}.ext")), extensions).unwrap();
        openssl(&self.folder, &format!("genpkey {key} -out {name}.key"));
        openssl(
            &self.folder,
            &format!("req -new -key {name}.key -subj /CN={subject} -out {name}.csr"),
        );
        let authority = self.name;
        openssl(
            &self.folder,
            &format!(
                "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -sha256 -extfile {name}.ext -out {name}.pem"
            ),
        );
    }
}

/// A key of RSA, and one of an elliptic curve, as `openssl genpkey` has them.
pub(crate) const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
pub(crate) const EC: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/// Runs `openssl` in the folder with these words.
pub(crate) fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().unwrap();
    assert!(
        output.status.success(),
        "openssl {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
