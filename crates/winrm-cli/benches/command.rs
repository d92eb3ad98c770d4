//! What a command costs the client, beside the same POSTs over a bare hyper connection; and how fast bytes stream.
//!
//! The service and the floor's server are processes of their own, so that the CPU time of this process is the client's.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "served/floor.rs"]
mod floor;
mod served;

use std::process::Command;
use std::time::{Duration, Instant};

use floor::{Bare, FLOOR, Sizes};
use rustix::time::{ClockId, clock_gettime};
use served::{Outcome, Served};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm::{Client, Credentials, Encryption, Secret, Transport};

const PASSWORD: &str = "benchmark";
const ROUNDS: usize = 9;
const COMMANDS: u32 = 200;
const STREAMED: u64 = 500_000_000;

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::var_os(FLOOR).is_some() {
        return runtime.block_on(floor::serve());
    }
    runtime.block_on(measure())
}

async fn measure() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("pw"), PASSWORD)?;
    let service = Served::service(folder.path(), |_| {})?;
    let floor = Served::start(Command::new(std::env::current_exe()?).env(FLOOR, "1"))?;
    let client = Client::builder(&service.url)
        .credentials(Credentials::parse("bench", Secret::new(PASSWORD))?)
        .transport(Transport::Basic)
        .encryption(Encryption::Never)
        .build()?;
    commands(&client, &floor.url).await?;
    sealed(&client, &service).await?;
    output(&client, &service).await?;
    input(&client, &service).await?;
    client.close().await;
    Ok(())
}

async fn commands(client: &Client, floor: &str) -> Outcome {
    let sizes = Sizes::of_a_command()?;
    let mut bare = Bare::connect(floor).await?;
    let shell = client.shell().open().await?;
    let (mut full, mut full_floor, mut kept, mut kept_floor) = (vec![], vec![], vec![], vec![]);
    for _ in 0..=ROUNDS {
        let (cost, wall) = per_command(async || client.command("true").output().await.map(drop)).await?;
        full.push(cost);
        full_floor.push(floor_round(&mut bare, &sizes.full, wall).await?);
        let (cost, wall) = per_command(async || shell.command("true").output().await.map(drop)).await?;
        kept.push(cost);
        kept_floor.push(floor_round(&mut bare, &sizes.kept, wall).await?);
    }
    shell.close().await?;
    println!("client CPU for one command over Basic/http, medians of {ROUNDS} rounds of {COMMANDS} (least to most):");
    row("full command", &full, &full_floor, "4 bare POSTs of the same sizes and pauses");
    row("on a kept shell", &kept, &kept_floor, "3 bare POSTs of the same sizes and pauses");
    Ok(())
}

/// The same command with messages encrypted by NTLM, and by CredSSP, over connections that are authenticated once.
async fn sealed(basic: &Client, service: &Served) -> Outcome {
    let client = |transport| -> Outcome<Client> {
        Ok(Client::builder(&service.url)
            .credentials(Credentials::parse("bench", Secret::new(PASSWORD))?)
            .transport(transport)
            .build()?)
    };
    let (ntlm, credssp) = (client(Transport::Ntlm)?, client(Transport::CredSsp)?);
    let (mut by_ntlm, mut by_credssp, mut floor) = (vec![], vec![], vec![]);
    for _ in 0..=ROUNDS {
        by_ntlm.push(per_command(async || ntlm.command("true").output().await.map(drop)).await?.0);
        by_credssp.push(per_command(async || credssp.command("true").output().await.map(drop)).await?.0);
        floor.push(per_command(async || basic.command("true").output().await.map(drop)).await?.0);
    }
    println!("client CPU for one full command over NTLM and CredSSP, encrypted (the limit of CredSSP is 1.5 times NTLM's):");
    row("ntlm", &by_ntlm, &floor, "Basic");
    row("credssp", &by_credssp, &by_ntlm, "NTLM");
    for (name, client) in [("ntlm", &ntlm), ("credssp", &credssp)] {
        println!(
            "  connections made by {name} for {} commands: {}",
            (ROUNDS + 1) * COMMANDS as usize,
            client.connections_made()
        );
        client.close().await;
    }
    Ok(())
}

async fn output(client: &Client, service: &Served) -> Outcome {
    let begin = (Instant::now(), cpu());
    let mut child = client.command(format!("head -c {STREAMED} /dev/zero")).spawn().await?;
    let mut output = child.stdout.take().ok_or("no output")?;
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match output.read(&mut buffer).await? {
            0 => break,
            read => total += read as u64,
        }
    }
    child.wait().await?;
    assert_eq!(total, STREAMED, "bytes were lost");
    rate("output of a command", begin, service)
}

async fn input(client: &Client, service: &Served) -> Outcome {
    let begin = (Instant::now(), cpu());
    let mut child = client.command("cat > /dev/null").stdin(winrm::Stdio::piped()).spawn().await?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let buffer = vec![0; 256 * 1024];
    let mut left = STREAMED;
    while left > 0 {
        let piece = usize::try_from(left)?.min(buffer.len());
        input.write_all(&buffer[..piece]).await?;
        left -= piece as u64;
    }
    input.shutdown().await?;
    drop(input);
    child.wait().await?;
    rate("input of a command", begin, service)
}

fn rate(name: &str, (begin, cpu_before): (Instant, Duration), service: &Served) -> Outcome {
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    let (client, service) = (peak_megabytes("self")?, peak_megabytes(&service.child.id().to_string())?);
    println!(
        "{name}: {:.0} MB/s ({} MB in {wall:.2} s, client CPU {cpu:.2} s)",
        STREAMED as f64 / 1e6 / wall,
        STREAMED / 1_000_000
    );
    println!("  peak resident size: client {client} MB, service {service} MB");
    Ok(())
}

/// The CPU time this process has used.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Milliseconds of CPU for one command over a round of them, and how long one took.
async fn per_command(run: impl AsyncFn() -> Result<(), winrm::Error>) -> Outcome<(f64, Duration)> {
    let (before, begin) = (cpu(), Instant::now());
    for _ in 0..COMMANDS {
        run().await?;
    }
    Ok((
        (cpu() - before).as_secs_f64() * 1e3 / f64::from(COMMANDS),
        begin.elapsed() / COMMANDS,
    ))
}

/// Milliseconds of CPU for the POSTs of one command. The server takes as long for each as the host does for a request, on the
/// average: a process that has slept pays for waking up, and the floor has to pay the same.
async fn floor_round(bare: &mut Bare, sizes: &[(usize, usize)], wall: Duration) -> Outcome<f64> {
    let pause = wall / u32::try_from(sizes.len())?;
    let before = cpu();
    for _ in 0..COMMANDS {
        for &(request, response) in sizes {
            bare.post(request, response, pause).await?;
        }
    }
    Ok((cpu() - before).as_secs_f64() * 1e3 / f64::from(COMMANDS))
}

fn row(name: &str, ours: &[f64], floor: &[f64], beside: &str) {
    // The first round warms up.
    let spread = |values: &[f64]| {
        let mut values = values[1..].to_vec();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[0], values[values.len() - 1])
    };
    let ratios: Vec<f64> = ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect();
    let ((ours, least, most), (floor, ..), (ratio, ratio_least, ratio_most)) = (spread(ours), spread(floor), spread(&ratios));
    println!("  {name:<16} {ours:.3} ms ({least:.3} to {most:.3}); {beside} {floor:.3} ms");
    println!("  {:<16} ratio {ratio:.2} ({ratio_least:.2} to {ratio_most:.2})", "");
}

fn peak_megabytes(process: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no peak in the process's status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
