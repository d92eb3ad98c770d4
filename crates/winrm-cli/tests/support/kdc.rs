//! A real KDC on the loopback interface, for one test.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::peer;

/// The realm of every KDC here.
pub(crate) const REALM: &str = "WINRM.TEST";

/// Someone whom the KDC knows.
pub(crate) const PRINCIPAL: &str = "user@WINRM.TEST";

/// The password of [`PRINCIPAL`].
pub(crate) const PASSWORD: &str = "Passw0rd!";

/// A running KDC with principals and a key table for `HTTP/localhost` and others. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Kdc {
    script: OsString,
    folder: PathBuf,
}

impl Kdc {
    /// Starts a KDC in the folder; nothing after a sentence where there is none.
    pub(crate) fn start(peer: &str, folder: &Path) -> Option<Self> {
        let script = peer::variable(peer, "WINRM_TEST_KDC")?;
        let folder = folder.join("kdc");
        // The port is free now; another program would have to take it within milliseconds.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let status = Command::new(&script)
            .args(["start".as_ref(), folder.as_os_str(), port.to_string().as_ref(), REALM.as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "the KDC does not start: {status}");
        let kdc = Self { script, folder };
        fs::write(kdc.password_file(), format!("{PASSWORD}\n")).unwrap();
        Some(kdc)
    }

    /// Ends it, so that nobody answers at its port.
    pub(crate) fn stop(&self) {
        let status = Command::new(&self.script).arg("stop").arg(&self.folder).status().unwrap();
        assert!(status.success(), "the KDC does not end: {status}");
    }

    /// `KRB5_CONFIG` of its clients.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("krb5.conf")
    }

    /// The keys of the services.
    pub(crate) fn keytab(&self) -> String {
        self.folder.join("http.keytab").display().to_string()
    }

    /// A file with [`PASSWORD`].
    pub(crate) fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    /// A new cache with a ticket of [`PRINCIPAL`]; `args` are more of `kinit`'s.
    pub(crate) fn ccache(&self, name: &str, args: &[&str]) -> String {
        let ccache = format!("FILE:{}", self.folder.join(name).display());
        let output = Command::new("kinit")
            .args(args)
            .args(["-c", &ccache, PRINCIPAL])
            .env("KRB5_CONFIG", self.config())
            .stdin(fs::File::open(self.password_file()).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "kinit: {}", String::from_utf8_lossy(&output.stderr));
        ccache
    }

    /// A key table with a new key of this principal, which from now on has no password.
    pub(crate) fn client_keytab(&self, principal: &str) -> String {
        let keytab = self.folder.join("client.keytab").display().to_string();
        let output = Command::new("kadmin.local")
            .args(["-r", REALM, "-q", &format!("ktadd -k {keytab} {principal}")])
            .env("KRB5_CONFIG", self.config())
            .env("KRB5_KDC_PROFILE", self.folder.join("kdc.conf"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(Path::new(&keytab).is_file(), "kadmin: {}", String::from_utf8_lossy(&output.stderr));
        keytab
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        drop(Command::new(&self.script).arg("stop").arg(&self.folder).status());
    }
}

/// Whether a service's log has someone who authenticated with this mechanism.
pub(crate) fn authenticated(log: &str, mechanism: &str) -> bool {
    let mechanism = format!("mechanism={mechanism}");
    log.lines().any(|line| line.contains("authenticated") && line.contains(&mechanism))
}
