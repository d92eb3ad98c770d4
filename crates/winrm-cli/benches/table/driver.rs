//! Our library, and the floor, at one job of the comparison: see `tests/peers/bench_client.py`, whose arguments and output these are.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use winrm::{Client, ClientBuilder, Credentials, Encryption, Secret, Shell, Transport};

use crate::floor::{Bare, Sizes};
use crate::served::Outcome;

/// Makes the benchmark a driver; its value is `library` or `floor`.
pub(crate) const DRIVER: &str = "WINRM_BENCH_DRIVER";

/// What a job took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Processor time of the client, user and system, in seconds.
    pub(crate) cpu: f64,
    /// In seconds.
    pub(crate) wall: f64,
    /// The peak of the resident size, in kilobytes.
    pub(crate) kilobytes: f64,
}

/// Carries out the job that the arguments name.
pub(crate) async fn run(driver: &str) -> Outcome<String> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [job, transport, url, user, password_file, count, files @ ..] = arguments.as_slice() else {
        return Err("too few arguments".into());
    };
    let count: usize = count.parse()?;
    let figures = if driver == "floor" {
        floor(job, url, count, Duration::from_micros(files.first().ok_or("no pause")?.parse()?)).await?
    } else {
        let password = std::fs::read_to_string(password_file)?;
        library(job, transport, url, user, password.trim(), count, files).await?
    };
    Ok(serde_json::json!({"cpu": figures.cpu, "wall": figures.wall, "kilobytes": figures.kilobytes}).to_string())
}

struct Clock(Duration, Instant);

impl Clock {
    fn start() -> Self {
        Self(Self::cpu(), Instant::now())
    }

    fn cpu() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn stop(self) -> Outcome<Figures> {
        let (cpu, wall) = ((Self::cpu() - self.0).as_secs_f64(), self.1.elapsed().as_secs_f64());
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
        let kilobytes = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(Figures { cpu, wall, kilobytes })
    }
}

fn builder(transport: &str, url: &str, user: &str, password: &str) -> Outcome<ClientBuilder> {
    let builder = Client::builder(url);
    let given = || Credentials::parse(user, Secret::new(password));
    Ok(match transport {
        "basic" => builder
            .credentials(given()?)
            .transport(Transport::Basic)
            .encryption(Encryption::Never),
        "ntlm" => builder.credentials(given()?).transport(Transport::Ntlm),
        "credssp" => builder.credentials(given()?).transport(Transport::CredSsp),
        // By the ticket that is there.
        _ => builder.transport(Transport::Kerberos),
    })
}

async fn full(client: &Client) -> Outcome {
    let output = client.command("echo").arg("hello").output().await?;
    check(&output.stdout)
}

async fn kept(shell: &Shell) -> Outcome {
    let output = shell.command("echo").arg("hello").output().await?;
    check(&output.stdout)
}

fn check(output: &[u8]) -> Outcome {
    match output {
        b"hello\n" | b"hello\r\n" => Ok(()),
        other => Err(format!("the answer is {:?}", String::from_utf8_lossy(other)).into()),
    }
}

async fn library(job: &str, transport: &str, url: &str, user: &str, password: &str, count: usize, files: &[String]) -> Outcome<Figures> {
    if job == "hosts" {
        return hosts(url, password).await;
    }
    let client = builder(transport, url, user, password)?.build()?;
    let mut shell = None;
    match job {
        "full" => full(&client).await?,
        "kept" => {
            let opened = client.shell().open().await?;
            kept(&opened).await?;
            shell = Some(opened);
        }
        _ => {}
    }
    let clock = Clock::start();
    match (job, &shell, files) {
        ("up", _, [local, remote]) => drop(client.upload(local, remote).await?),
        ("down", _, [local, remote]) => drop(client.download(remote, local).await?),
        (_, Some(shell), _) => {
            for _ in 0..count {
                kept(shell).await?;
            }
        }
        _ => {
            for _ in 0..count {
                full(&client).await?;
            }
        }
    }
    let figures = clock.stop()?;
    if let Some(shell) = shell {
        shell.close().await?;
    }
    client.close().await;
    Ok(figures)
}

/// A command on every host of a list (address, port, user), all at once.
async fn hosts(list: &str, password: &str) -> Outcome<Figures> {
    let lines = std::fs::read_to_string(list)?;
    let clock = Clock::start();
    let mut running = tokio::task::JoinSet::new();
    for line in lines.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [address, port, user] = words[..] else {
            return Err("an odd line in the list".into());
        };
        let client = builder("ntlm", &format!("http://{address}:{port}/wsman"), user, password)?.build()?;
        let expected = format!("{user}\r\n");
        running.spawn(async move {
            let output = client.command("whoami").output().await?;
            client.close().await;
            Ok::<_, winrm::Error>(output.stdout == expected.as_bytes())
        });
    }
    while let Some(right) = running.join_next().await {
        if !right?? {
            return Err("a host gave another's answer".into());
        }
    }
    clock.stop()
}

/// The POSTs of a command, each answered after a pause, as long as a host takes.
async fn floor(job: &str, url: &str, count: usize, pause: Duration) -> Outcome<Figures> {
    let sizes = Sizes::of_a_command()?;
    let posts = if job == "kept" { &sizes.kept } else { &sizes.full };
    let mut bare = Bare::connect(url).await?;
    let round = async |bare: &mut Bare| -> Outcome {
        for &(request, response) in posts {
            bare.post(request, response, pause).await?;
        }
        Ok(())
    };
    if job != "first" {
        round(&mut bare).await?;
    }
    let clock = Clock::start();
    for _ in 0..count {
        round(&mut bare).await?;
    }
    clock.stop()
}
