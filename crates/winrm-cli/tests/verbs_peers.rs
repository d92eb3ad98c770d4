//! WS-Management's verbs of the service, judged by clients that nobody here wrote. `cargo xtask test` installs them; without it each
//! test says what it lacks and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what it prints is its output"
)]

#[path = "support/authority.rs"]
#[expect(dead_code, reason = "the tests of certificates use more of it")]
mod authority;
#[path = "support/peer.rs"]
mod peer;

use std::path::PathBuf;
use std::process::Command;

use authority::{Authority, EC};
use winrm::Credentials;
use winrm_server::{ClientAuthorities, Server, ServerBuilder, Upn};

/// Plain enough for scripts that give it to another shell without quotes.
const PASSWORD: &str = "open-sesame-17";

/// A running service, and the folder that is its client's.
struct Service {
    urls: Vec<String>,
    folder: tempfile::TempDir,
}

impl Service {
    async fn start(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = Server::builder()
            .listen("127.0.0.1:0".parse().unwrap())
            .user(Credentials::parse("alice", PASSWORD).unwrap())
            .user(Credentials::parse("operator", PASSWORD).unwrap())
            .operator("operator");
        let server = change(builder).bind().await.unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        if let Some(certificate) = server.certificate_pem() {
            std::fs::write(folder.path().join("certificate.pem"), certificate).unwrap();
        }
        let urls = server.urls();
        tokio::spawn(server.serve(std::future::pending()));
        Self { urls, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn judge(&self, peer: &'static str, mut command: Command, least: usize) {
        command.args(["--user", "alice", "--password-file"]).arg(self.path("password"));
        tokio::task::spawn_blocking(move || peer::judge(peer, command, least, String::new))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pypsrp() {
    let Some(python) = peer::variable("pypsrp, the verbs", "WINRM_TEST_PYTHON") else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    let authority = Authority::new(made.path(), "authority");
    authority.client("alice", EC);
    let authorities = std::fs::read(authority.file()).unwrap();
    let believed = ClientAuthorities::from_pem(&authorities).unwrap();
    let issuer = openssl::x509::X509::from_pem(&authorities).unwrap();
    let issuer = issuer.digest(openssl::hash::MessageDigest::sha1()).unwrap();
    let issuer: String = issuer.iter().map(|byte| format!("{byte:02X}")).collect();
    let service = Service::start(|builder| {
        builder
            .tls_listen("127.0.0.1:0".parse().unwrap())
            .client_authorities(believed)
            // Somebody else: whose certificate is let in comes by the verbs.
            .map_certificate(Upn::new("nobody@localhost").unwrap(), "operator")
    })
    .await;
    let mut command = peer::script(python, "verbs_pypsrp.py");
    command.args(["--url", &service.urls[0], "--tls-url", &service.urls[1]]);
    command.arg("--certificate").arg(service.path("certificate.pem"));
    command.args(["--issuer", &issuer, "--client"]).arg(made.path().join("alice"));
    let free_port = std::net::TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap().port();
    command.args(["--free-port", &free_port.to_string()]);
    let mut least = 17;
    if let Some(recordings) = peer::variable("pypsrp's recordings of configurations", "WINRM_TEST_RECORDINGS") {
        command.arg("--recordings").arg(recordings);
        least += 2;
    }
    service.judge("pypsrp, the verbs", command, least).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pywinrm() {
    let Some(python) = peer::variable("pywinrm, the verbs", "WINRM_TEST_PYTHON") else {
        return;
    };
    let service = Service::start(|builder| builder).await;
    let mut command = peer::script(python, "verbs_pywinrm.py");
    command.args(["--url", &service.urls[0]]);
    service.judge("pywinrm, the verbs", command, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wsl() {
    let Some(python) = peer::variable("wsl", "WINRM_TEST_PYTHON") else {
        return;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("wslenum").is_file()) {
        peer::skip("wsl", "it is not installed (cargo xtask test installs Debian's)");
        return;
    }
    let service = Service::start(|builder| builder.allow_unencrypted(true)).await;
    let address = service.urls[0].trim_start_matches("http://").trim_end_matches("/wsman");
    let mut command = peer::script(python, "verbs_wsl.py");
    std::fs::create_dir(service.path("wsl")).unwrap();
    command.args(["--address", address, "--folder"]).arg(service.path("wsl"));
    service.judge("wsl", command, 5).await;
}
