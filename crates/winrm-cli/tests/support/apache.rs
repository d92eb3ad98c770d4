//! Apache with mod_auth_gssapi, and a certificate for servers on this machine.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::kdc::Kdc;
use crate::peer;

/// A CGI program that answers every request with an identity, which names the user.
const IDENTITY_CGI: &str = r#"#!/bin/sh
body=$(cat)
printf 'Content-Type: application/soap+xml;charset=UTF-8\r\n\r\n'
printf '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><i:IdentifyResponse xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><i:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</i:ProtocolVersion><i:ProductVendor>Apache</i:ProductVendor><i:ProductVersion>for %s</i:ProductVersion></i:IdentifyResponse></s:Body></s:Envelope>' "$REMOTE_USER"
"#;

/// Apache in a folder that its unprivileged user can read.
pub(crate) struct Apache {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Apache {
    pub(crate) fn start(kdc: &Kdc) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let (program, module) = ("/usr/sbin/apache2", "/usr/lib/apache2/modules/mod_auth_gssapi.so");
        if !Path::new(program).is_file() || !Path::new(module).is_file() {
            peer::skip("Apache", "no apache2 with libapache2-mod-auth-gssapi");
            return None;
        }
        let open = |mode| fs::Permissions::from_mode(mode);
        let folder = tempfile::Builder::new().permissions(open(0o777)).tempdir().unwrap();
        certificate(folder.path(), "ours");
        fs::copy(kdc.keytab(), folder.path().join("http.keytab")).unwrap();
        fs::write(folder.path().join("cgi.sh"), IDENTITY_CGI).unwrap();
        for (file, mode) in [("http.keytab", 0o644), ("ours.key", 0o644), ("cgi.sh", 0o755)] {
            fs::set_permissions(folder.path().join(file), open(mode)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let template = fs::read_to_string(peer::file("sealed_apache.conf")).unwrap();
        let folder_name = folder.path().display().to_string();
        let settings = template.replace("@FOLDER@", &folder_name).replace("@PORT@", &port.to_string());
        fs::write(folder.path().join("a.conf"), settings).unwrap();
        let child = Command::new(program)
            .arg("-DFOREGROUND")
            .arg("-f")
            .arg(folder.path().join("a.conf"))
            .env("KRB5_CONFIG", kdc.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let apache = Self { child, folder, port };
        for _ in 0..200 {
            // Its CGI daemon listens a moment after itself.
            if apache.folder.path().join("httpd.pid").exists() && TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(apache);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("Apache does not start: {}", apache.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status());
        drop(self.child.wait());
    }
}

/// A certificate for `localhost` and its key, made by `openssl`.
pub(crate) fn certificate(folder: &Path, name: &str) -> (String, String) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-sha256",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl: {}", crate::text(&output.stderr));
    (certificate.display().to_string(), key.display().to_string())
}
