//! `winrm demo`: embedded hosts, and what can be done with them, through the public API over the wire.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use openssl::hash::MessageDigest;
use openssl::x509::X509;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use winrm::{CertificateCheck, Client, ClientBuilder, Credentials, Encryption, ErrorKind, Secret, Stdio, Transport};
use winrm_server::{LocalHost, Server};

use crate::args::DemoArguments;
use crate::connection::random_password;
use crate::failure::{Failure, Status};
use crate::printer;

const USER: &str = "alice";

pub(crate) async fn run(_: DemoArguments) -> Result<ExitCode, Failure> {
    let begin = Instant::now();
    let password = random_password()?;
    let plain = Host::start(&password, true, false).await?;
    let guarded = Host::start(&password, false, true).await?;
    printer::line("Two WinRM hosts of this machine, on free ports of the loopback interface:");
    printer::line(&format!("  {}   clear text allowed to those who ask for it by name", plain.url));
    printer::line(&format!("  {}  self-signed certificate, pinned by its fingerprint", guarded.url));
    printer::line("");

    let mut tally = Tally::default();
    let clear = plain.client(&password)?.encryption(Encryption::Never).build()?;
    let sealed = guarded.client(&password)?.build()?;
    tally.add("who answers", identify(&clear).await);
    let ntlm = plain.client(&password)?.transport(Transport::Ntlm).build()?;
    for (client, name) in [
        (&clear, "basic over http"),
        (&sealed, "basic over https"),
        (&ntlm, "ntlm, encrypted"),
    ] {
        tally.add(name, streams_and_exit_code(client).await);
    }
    tally.add("standard input", megabytes_through_stdin(&sealed).await);
    tally.add("a kept shell", many_commands(&sealed).await);
    tally.add("a deadline", deadline(&sealed).await);
    if LocalHost::new().powershell_path().is_some() {
        tally.add("PowerShell", powershell(&sealed).await);
        tally.add("its objects", objects(&sealed).await);
    } else {
        printer::line("     PowerShell           not shown: there is none on this machine (WINRM_PWSH names one)");
    }
    tally.add(
        "wrong password",
        refused(guarded.client(&Secret::new("wrong"))?, ErrorKind::Unauthorized).await,
    );
    tally.add("clear text", refused(plain.client(&password)?, ErrorKind::Configuration).await);
    tally.add(
        "unknown certificate",
        refused(guarded.client(&password)?.certificates(CertificateCheck::System), ErrorKind::Tls).await,
    );
    clear.close().await;
    ntlm.close().await;
    sealed.close().await;
    plain.stop().await?;
    guarded.stop().await?;

    printer::line("");
    let time = format!("{:.1} s", begin.elapsed().as_secs_f64());
    if tally.bad == 0 {
        printer::line(&format!("{} of {} went as they should, in {time}.", tally.good, tally.good));
        printer::line("Not shown: Kerberos, which needs a KDC (see `winrm serve --help`).");
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::new(
            Status::Failed,
            format!("{} of {} did not go as they should", tally.bad, tally.good + tally.bad),
        ))
    }
}

/// What a step has to tell when it went as it should, or why it did not.
type Shown = Result<String, String>;

#[derive(Default)]
struct Tally {
    good: usize,
    bad: usize,
}

impl Tally {
    fn add(&mut self, name: &str, shown: Shown) {
        let (good, text) = match shown {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        *(if good { &mut self.good } else { &mut self.bad }) += 1;
        printer::marked(good, if good { "ok  " } else { "FAIL" }, &format!("{name:<20} {text}"));
    }
}

fn said(error: winrm::Error) -> String {
    error.to_string()
}

async fn identify(client: &Client) -> Shown {
    let identity = client.identify().await.map_err(said)?;
    Ok(format!("{} {}", identity.vendor, identity.version))
}

async fn streams_and_exit_code(client: &Client) -> Shown {
    let line = "echo out; echo err >&2; exit 7";
    let output = client.command(line).output().await.map_err(said)?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told = format!("{line:?}: stdout {out:?}, stderr {err:?}, exit code {:?}", output.exit_code);
    if (out.trim_end(), err.trim_end(), output.exit_code) == ("out", "err", Some(7)) {
        Ok(told)
    } else {
        Err(told)
    }
}

async fn megabytes_through_stdin(client: &Client) -> Shown {
    let sent: Vec<u8> = (0..5_000_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let begin = Instant::now();
    let output = client
        .command("cat")
        .stdin(Stdio::bytes(sent.clone()))
        .output()
        .await
        .map_err(said)?;
    let rate = sent.len() as f64 / 1e6 / begin.elapsed().as_secs_f64();
    if output.stdout == sent {
        Ok(format!("5 MB through cat and back, the same bytes, {rate:.0} MB/s"))
    } else {
        Err("other bytes came back".into())
    }
}

async fn many_commands(client: &Client) -> Shown {
    let shell = client.shell().env("GREETING", "hello").open().await.map_err(said)?;
    let begin = Instant::now();
    let count = 50;
    for number in 0..count {
        let output = shell.command(format!("echo $GREETING {number}")).output().await.map_err(said)?;
        if output.stdout != format!("hello {number}\n").as_bytes() {
            return Err(format!("command {number} said {:?}", String::from_utf8_lossy(&output.stdout)));
        }
    }
    let each = begin.elapsed().as_secs_f64() * 1e3 / f64::from(count);
    shell.close().await.map_err(said)?;
    Ok(format!("{count} commands in one shell, {each:.1} ms each"))
}

async fn powershell(client: &Client) -> Shown {
    let script = "param($Name) \"hello $Name\"; Write-Warning careful; exit 3";
    let output = client.powershell(script).param("Name", "a 'b' $c").output().await.map_err(said)?;
    let out = String::from_utf8_lossy(&output.stdout);
    let warnings: Vec<&str> = output.warnings().collect();
    let told = format!(
        "a script says {:?}, warns {warnings:?}, exit code {:?}",
        out.trim_end(),
        output.exit_code
    );
    if (out.trim_end(), warnings.as_slice(), output.exit_code) == ("hello a 'b' $c", &["careful"], Some(3)) {
        Ok(told)
    } else {
        Err(told)
    }
}

async fn objects(client: &Client) -> Shown {
    let script = "[pscustomobject] @{ Name = 'x'; Day = [DayOfWeek]::Friday; Sizes = 1, 2 }";
    let output = client.powershell(script).objects().await.map_err(said)?;
    let json = serde_json::to_string(&output.objects).map_err(|error| error.to_string())?;
    if json == r#"[{"Name":"x","Day":"Friday","Sizes":[1,2]}]"# {
        Ok(format!("as JSON: {json}"))
    } else {
        Err(format!("other objects came: {json}"))
    }
}

async fn deadline(client: &Client) -> Shown {
    match client.command("sleep 60").timeout(Duration::from_millis(500)).status().await {
        Err(error) if error.kind() == ErrorKind::Deadline => Ok(format!("sleep 60 was ended: {error}")),
        Err(error) => Err(said(error)),
        Ok(_) => Err("sleep 60 ended by itself".into()),
    }
}

async fn refused(client: ClientBuilder, kind: ErrorKind) -> Shown {
    let outcome = match client.retries(0).build() {
        Ok(client) => client.command("hostname").output().await.map(|_| ()),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() == kind => Ok(format!("refused: {error}")),
        Err(error) => Err(format!("refused, but as {:?}: {error}", error.kind())),
        Ok(()) => Err("was not refused".into()),
    }
}

/// An embedded host.
struct Host {
    url: String,
    fingerprint: Option<[u8; 32]>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), winrm_server::ServeError>>,
}

impl Host {
    async fn start(password: &Secret, allow_unencrypted: bool, tls: bool) -> Result<Self, Failure> {
        let failed = |error: winrm_server::ServeError| Failure::configuration("an embedded host can't start").because(error);
        let user = Credentials::parse(USER, password.clone()).map_err(|error| Failure::configuration("the user").because(error))?;
        let address = ([127, 0, 0, 1], 0).into();
        let builder = Server::builder().user(user).allow_unencrypted(allow_unencrypted);
        let builder = if tls {
            builder.tls_listen(address)
        } else {
            builder.listen(address)
        };
        let server = builder.bind().await.map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let fingerprint = server.certificate_pem().map(fingerprint).transpose()?;
        let url = server.urls().into_iter().next().unwrap_or_default();
        let task = tokio::spawn(server.serve(async {
            // The sender's end is the signal, whether it sends or goes away.
            let _ = stopped.await;
        }));
        Ok(Self {
            url,
            fingerprint,
            stop,
            task,
        })
    }

    fn client(&self, password: &Secret) -> Result<ClientBuilder, Failure> {
        let user = Credentials::parse(USER, password.clone()).map_err(|error| Failure::configuration("the user").because(error))?;
        let builder = Client::builder(&self.url).credentials(user).transport(Transport::Basic);
        Ok(match self.fingerprint {
            Some(fingerprint) => builder.certificates(CertificateCheck::Pinned(fingerprint)),
            None => builder,
        })
    }

    async fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        match self.task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(Status::Failed, "an embedded host has failed").because(error)),
            Err(error) => Err(Failure::new(Status::Failed, "an embedded host has failed").because(error)),
        }
    }
}

/// The SHA-256 fingerprint of a certificate in PEM.
fn fingerprint(pem: &str) -> Result<[u8; 32], Failure> {
    let digest = X509::from_pem(pem.as_bytes()).and_then(|certificate| certificate.digest(MessageDigest::sha256()));
    digest
        .ok()
        .and_then(|digest| digest.as_ref().try_into().ok())
        .ok_or_else(|| Failure::configuration("the embedded host's certificate can't be read"))
}
