//! The crate winrm-rs at one job of the comparison; see bench_client.py, whose arguments and output these are.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use winrm_rs::{AuthMethod, EncryptionMode, Shell, WinrmClient, WinrmConfig, WinrmCredentials};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn check(output: &winrm_rs::CommandOutput) -> Outcome {
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    if text == "hello\n" { Ok(()) } else { Err(format!("the answer is {text:?}").into()) }
}

async fn full(client: &WinrmClient, host: &str) -> Outcome {
    check(&client.run_command(host, "echo", &["hello"]).await?)
}

async fn kept(shell: &Shell<'_>) -> Outcome {
    check(&shell.run_command("echo", &["hello"]).await?)
}

async fn run() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, transport, url, user, password_file, count, files @ ..] = arguments.as_slice() else {
        return Err("too few arguments".into());
    };
    let count: u32 = count.parse()?;
    let address = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let (host, port) = address.split_once(':').ok_or("no port")?;
    let config = WinrmConfig {
        port: port.parse()?,
        auth_method: if transport == "basic" { AuthMethod::Basic } else { AuthMethod::Ntlm },
        encryption: if transport == "basic" { EncryptionMode::Never } else { EncryptionMode::Always },
        ..WinrmConfig::default()
    };
    let password = std::fs::read_to_string(password_file)?;
    let client = WinrmClient::new(config, WinrmCredentials::new(user, password.trim(), ""))?;
    let mut shell = None;
    match job.as_str() {
        "full" => full(&client, host).await?,
        "kept" => {
            let opened = client.open_shell(host).await?;
            kept(&opened).await?;
            shell = Some(opened);
        }
        _ => {}
    }
    let (begin, before) = (Instant::now(), cpu());
    match (job.as_str(), &shell, files) {
        ("up", _, [local, remote]) => drop(client.upload_file(host, Path::new(local), remote).await?),
        ("down", _, [local, remote]) => drop(client.download_file(host, remote, Path::new(local)).await?),
        _ => {
            for _ in 0..count {
                match &shell {
                    Some(shell) => kept(shell).await?,
                    None => full(&client, host).await?,
                }
            }
        }
    }
    println!(
        "{{\"cpu\": {}, \"wall\": {}, \"kilobytes\": {}}}",
        cpu() - before,
        begin.elapsed().as_secs_f64(),
        peak()?
    );
    if let Some(shell) = shell {
        shell.close().await?;
    }
    Ok(())
}
