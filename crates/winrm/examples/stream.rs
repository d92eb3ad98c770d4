//! Streams: this program's input goes to the command, the command's output comes as it is written.
//! `stream HOST USER COMMAND`, with the password in `WINRM_PASSWORD`.
#![allow(clippy::print_stderr, reason = "a program for people")]

use tokio::io::{copy, stderr, stdin, stdout};
use winrm::{Client, Credentials, Signal, Stdio};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, user, command] = arguments.as_slice() else {
        return Err("usage: stream HOST USER COMMAND".into());
    };
    let password = std::env::var("WINRM_PASSWORD")?;
    let client = Client::builder(host).credentials(Credentials::parse(user, password)?).build()?;

    let mut child = client.command(command).stdin(Stdio::reader(stdin())).spawn().await?;
    let (Some(mut output), Some(mut errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("a new command has both its streams".into());
    };
    let (mut to_stdout, mut to_stderr) = (stdout(), stderr());
    let streams = async { tokio::join!(copy(&mut output, &mut to_stdout), copy(&mut errors, &mut to_stderr)) };
    tokio::pin!(streams);
    loop {
        tokio::select! {
            (output, errors) = &mut streams => {
                output?;
                errors?;
                break;
            }
            // Ctrl-C is for the command; it ends the loop by ending the streams.
            _ = tokio::signal::ctrl_c() => child.signal(Signal::CtrlC).await?,
        }
    }
    let status = child.wait().await?;
    eprintln!("{status}");
    client.close().await;
    Ok(())
}
