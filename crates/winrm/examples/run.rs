//! Runs one command: `run HOST USER COMMAND [ARGUMENT…]`, with the password in `WINRM_PASSWORD`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::io::Write as _;
use std::process::ExitCode;

use winrm::{Client, Credentials};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(host), Some(user), Some(command)) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: run HOST USER COMMAND [ARGUMENT…]");
        return Ok(ExitCode::from(2));
    };
    let password = std::env::var("WINRM_PASSWORD")?;
    let client = Client::builder(&host).credentials(Credentials::parse(&user, password)?).build()?;
    let output = match client.command(command).args(arguments).output().await {
        Ok(output) => output,
        Err(error) => {
            eprintln!("{error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            return Ok(ExitCode::from(4));
        }
    };
    std::io::stdout().write_all(&output.stdout)?;
    std::io::stderr().write_all(&output.stderr)?;
    println!("{}", output.status());
    Ok(if output.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
