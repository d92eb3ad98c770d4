//! A WinRM host on this machine, until Ctrl-C: `WINRM_PASSWORD=secret cargo run -p winrm-server --example serve -- alice`
//!
//! Clear text over http is allowed here, which is right for trying things out on one's own machine and nowhere else.

use std::error::Error;

use winrm_server::{Credentials, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let user = std::env::args()
        .nth(1)
        .ok_or("usage: serve USER, with the password in WINRM_PASSWORD")?;
    let password = std::env::var("WINRM_PASSWORD").map_err(|_| "WINRM_PASSWORD is not set")?;
    let port = |name: &str| std::env::var(name).unwrap_or_else(|_| "127.0.0.1:0".to_owned()).parse();
    let server = Server::builder()
        .listen(port("HTTP_ADDRESS")?)
        .tls_listen(port("HTTPS_ADDRESS")?)
        .user(Credentials::parse(&user, password)?)
        .allow_unencrypted(true)
        .bind()
        .await?;
    for url in server.urls() {
        #[allow(clippy::print_stdout, reason = "this is a program")]
        {
            println!("listening {url}");
        }
    }
    let interrupted = async {
        // Without signals there is no end to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.serve(interrupted).await?;
    Ok(())
}
