//! From end to end: against the embedded service, which runs real processes of this machine.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use winrm::{CertificateCheck, Client, ClientBuilder, Credentials, Encryption, ErrorKind, Signal, Stdio, Transport};
use winrm_server::Server;

struct Service {
    urls: Vec<String>,
    certificate: Option<String>,
    _stop: oneshot::Sender<()>,
}

impl Service {
    async fn start(change: impl FnOnce(winrm_server::ServerBuilder) -> winrm_server::ServerBuilder) -> Self {
        let builder = Server::builder()
            .user(Credentials::parse("alice", "secret").unwrap())
            .allow_unencrypted(true);
        let server = change(builder).bind().await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = Self {
            urls: server.urls(),
            certificate: server.certificate_pem().map(str::to_owned),
            _stop: stop,
        };
        tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
        service
    }

    async fn http() -> Self {
        Self::start(|builder| builder.listen("127.0.0.1:0".parse().unwrap())).await
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder(&self.urls[0])
            .credentials(Credentials::parse("alice", "secret").unwrap())
            .transport(Transport::Basic)
            .encryption(Encryption::Never)
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

/// Waits until a file has a process's number in it, and gives it.
async fn process_in(file: &Path) -> u32 {
    for _ in 0..500 {
        if let Ok(text) = std::fs::read_to_string(file)
            && let Ok(number) = text.trim().parse()
        {
            return number;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the command has not started");
}

fn runs(process: u32) -> bool {
    // A process that was ended and not yet waited for counts as gone.
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn assert_gone(process: u32) {
    for _ in 0..500 {
        if !runs(process) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {process} still runs");
}

#[tokio::test]
async fn output_errors_and_exit_code_come_apart() {
    let service = Service::http().await;
    let output = service.client().command("echo out; echo err >&2; exit 7").output().await.unwrap();
    assert_eq!(
        (output.exit_code, output.stdout.as_slice(), output.stderr.as_slice()),
        (Some(7), &b"out\n"[..], &b"err\n"[..])
    );
}

#[tokio::test]
async fn environment_directory_and_arguments_arrive() {
    let service = Service::http().await;
    let mut command = service.client().command("printf");
    command
        .arg("%s|")
        .arg("a b")
        .arg("é")
        .raw_arg("\"$NAME\" \"$PWD\"")
        .env("NAME", "wört & <more>")
        .current_dir("/");
    assert_eq!(
        String::from_utf8(command.output().await.unwrap().stdout).unwrap(),
        "a b|é|wört & <more>|/|"
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let service = Service::http().await;
    let client = service
        .builder()
        .credentials(Credentials::parse("alice", "wrong").unwrap())
        .build()
        .unwrap();
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(client.identify().await.is_ok());
    assert!(service.client().ping().await.is_ok());
}

#[tokio::test]
async fn https_with_the_services_own_certificate() {
    let service = Service::start(|builder| builder.tls_listen("127.0.0.1:0".parse().unwrap())).await;
    let builder = Client::builder(&service.urls[0])
        .transport(Transport::Basic)
        .credentials(Credentials::parse("alice", "secret").unwrap());
    let error = builder.clone().build().unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), service.certificate.as_ref().unwrap()).unwrap();
    let client = builder
        .certificates(CertificateCheck::Authorities(file.path().to_owned()))
        .server_name("localhost")
        .build()
        .unwrap();
    assert_eq!(client.command("echo sealed").output().await.unwrap().stdout, b"sealed\n");
    assert_eq!(client.connections_made(), 1);
}

#[tokio::test]
async fn fifty_megabytes_go_through_and_come_back() {
    let service = Service::http().await;
    let mut state = 1u32;
    let data: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(50_000_000)
    .collect();
    let client = service.client();
    let mut child = client.command("cat").stdin(Stdio::piped()).spawn().await.unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let write = async {
        stdin.write_all(&data).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let mut back = Vec::with_capacity(data.len());
    let (_, read) = tokio::join!(write, stdout.read_to_end(&mut back));
    read.unwrap();
    assert!(back == data, "{} bytes of {}", back.len(), data.len());
    assert!(child.wait().await.unwrap().success());
    assert_eq!(client.connections_made(), 2, "one waits for output, one carries input");
}

#[tokio::test]
async fn a_slow_reader_holds_the_command_back() {
    let service = Service::http().await;
    let client = service.client();
    let mut child = client.command("head -c 30000000 /dev/zero").spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut total = 0;
    while let Some(piece) = stdout.chunk().await.unwrap() {
        total += piece.len();
    }
    assert_eq!(total, 30_000_000);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn many_commands_run_in_one_shell_at_once() {
    let service = Service::http().await;
    let client = service.client();
    let shell = client.shell().env("SHARED", "yes").open().await.unwrap();
    let commands: Vec<_> = (0..12)
        .map(|index| {
            let shell = shell.clone();
            tokio::spawn(async move {
                shell
                    .command(format!("sleep 0.1; echo {index} $SHARED; exit {index}"))
                    .output()
                    .await
            })
        })
        .collect();
    for (index, command) in commands.into_iter().enumerate() {
        let output = command.await.unwrap().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{index} yes\n"));
        assert_eq!(output.exit_code, Some(index as u32));
    }
    shell.close().await.unwrap();
    assert!(client.close().await);
    let error = shell.client().command("true").output().await;
    assert!(error.is_ok(), "other shells go on");
}

#[tokio::test]
async fn a_thousand_commands_take_few_connections() {
    let service = Service::http().await;
    let client = service.client();
    let shell = client.shell().open().await.unwrap();
    for _ in 0..100 {
        assert!(shell.command("true").status().await.unwrap().success());
    }
    let made = client.connections_made();
    assert!(made <= 2, "{made} connections");
}

#[tokio::test]
async fn commands_without_input_find_its_end() {
    let service = Service::http().await;
    let output = service
        .client()
        .command("cat; echo end")
        .timeout(Duration::from_secs(30))
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"end\n");
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_error() {
    let service = Service::http().await;
    let output = service
        .client()
        .command("head -c 3")
        .stdin(vec![b'x'; 3_000_000])
        .output()
        .await
        .unwrap();
    assert_eq!((output.exit_code, output.stdout.as_slice()), (Some(0), &b"xxx"[..]));
}

#[tokio::test]
async fn a_dropped_child_ends_its_process() {
    let service = Service::http().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let client = service.client();
    let line = format!("echo $$ > {}; exec sleep 600", file.display());
    let child = client.command(line).spawn().await.unwrap();
    let process = process_in(&file).await;
    assert!(runs(process));
    drop(child);
    assert!(client.close().await);
    assert_gone(process).await;
}

#[tokio::test]
async fn a_cancelled_command_of_a_kept_shell_ends_its_process() {
    let service = Service::http().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let client = service.client();
    let shell = client.shell().open().await.unwrap();
    let mut command = shell.command(format!("echo $$ > {}; exec sleep 600", file.display()));
    let task = tokio::spawn(command.output());
    let process = process_in(&file).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(client.close().await);
    assert_gone(process).await;
    assert!(shell.command("true").status().await.unwrap().success(), "the shell is still there");
}

#[tokio::test]
async fn a_deadline_ends_the_process() {
    let service = Service::http().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // Ctrl-C alone does not suffice.
    let line = format!("trap '' INT; echo $$ > {}; sleep 600 & wait; wait", file.display());
    let error = service
        .client()
        .command(line)
        .timeout(Duration::from_millis(700))
        .output()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_gone(process_in(&file).await).await;
}

#[tokio::test]
async fn ctrl_c_and_kill_reach_the_command() {
    let service = Service::http().await;
    let client = service.client();
    let mut child = client
        .command("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done")
        .spawn()
        .await
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(stdout.chunk().await.unwrap().unwrap(), "ready\n");
    child.signal(Signal::CtrlC).await.unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!((rest.as_str(), child.wait().await.unwrap().code()), ("caught\n", Some(3)));

    let mut child = client.command("sleep 600").spawn().await.unwrap();
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_command_longer_than_the_operation_timeout_goes_on() {
    let service = Service::http().await;
    let builder = service
        .builder()
        .operation_timeout(Duration::from_millis(300))
        .read_timeout(Duration::from_secs(10));
    let output = builder.build().unwrap().command("sleep 1; echo late").output().await.unwrap();
    assert_eq!(output.stdout, b"late\n");
}

#[tokio::test]
async fn ipv6_addresses_are_hosts() {
    let service = Service::start(|builder| builder.listen("[::1]:0".parse().unwrap())).await;
    assert!(service.urls[0].starts_with("http://[::1]:"), "{}", service.urls[0]);
    assert_eq!(service.client().command("echo six").output().await.unwrap().stdout, b"six\n");
}

#[tokio::test]
async fn the_configuration_can_be_read() {
    let service = Service::http().await;
    let config = service.client().config().await.unwrap();
    assert_eq!(config.max_envelope_size_kb, Some(500));
}

#[tokio::test]
async fn a_host_shows_itself_to_strangers() {
    let service = Service::start(|builder| {
        builder
            .listen("127.0.0.1:0".parse().unwrap())
            .tls_listen("127.0.0.1:0".parse().unwrap())
    })
    .await;
    // Credentials are there, and are not sent.
    let probe = service.client().probe().await.unwrap();
    assert_eq!(probe.status, 401);
    assert!(probe.schemes.contains(&"Negotiate".to_owned()), "{probe:?}");
    assert!(probe.tls.is_none() && probe.date.is_some());
    let stranger = Client::builder(&service.urls[1])
        .certificates(CertificateCheck::Ignore)
        .build()
        .unwrap();
    let tls = stranger.probe().await.unwrap().tls.unwrap();
    assert_eq!(tls.version, "TLSv1.3");
    // What it shows is what can be pinned.
    let pinned = CertificateCheck::pinned(&tls.certificate.fingerprint).unwrap();
    let pinned = Client::builder(&service.urls[1]).certificates(pinned).build().unwrap();
    assert_eq!(pinned.probe().await.unwrap().tls.unwrap().der, tls.der);
    let strict = Client::builder(&service.urls[1]).build().unwrap();
    assert_eq!(strict.probe().await.unwrap_err().kind(), ErrorKind::Tls);
    // Another address with the settings of the first.
    let elsewhere = Client::builder("http://host.invalid").endpoint(service.client().endpoint().clone());
    assert_eq!(elsewhere.build().unwrap().probe().await.unwrap().status, 401);
}
