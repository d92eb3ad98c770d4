//! Fleets against the embedded service, and against hosts that behave badly.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use winrm::{Client, Credentials, ErrorKind, MayHaveRun, Transport};
use winrm_fleet::{Amount, Attempt, Captured, Fleet, Host, HostResult, Outcome, Run, Trouble, TroubleKind, Verdict};
use winrm_server::{CommandLine, HostError, Process, Server, ShellContext};

/// A host that knows a few commands, and counts how many run at once.
#[derive(Clone, Default)]
struct Machine {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl winrm_server::Host for Machine {
    async fn start(&self, _: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
        let (running, most) = (Arc::clone(&self.running), Arc::clone(&self.most));
        Ok(Process::from_fn(move |_, mut stdout, mut stderr| async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            let words: Vec<&str> = command.command.split(' ').collect();
            let code = match words.as_slice() {
                ["say", text] => {
                    stdout.write_all(text.as_bytes()).await.unwrap();
                    stderr.write_all(b"err").await.unwrap();
                    0
                }
                ["exit", code] => code.parse().unwrap(),
                ["wait"] => {
                    stdout.write_all(b"begun").await.unwrap();
                    std::future::pending().await
                }
                ["write", bytes] => {
                    let mut left: usize = bytes.parse().unwrap();
                    while left > 0 {
                        let piece = left.min(10_000);
                        if stdout.write_all(&vec![b'x'; piece]).await.is_err() {
                            break;
                        }
                        left -= piece;
                    }
                    0
                }
                _ => 1,
            };
            tokio::time::sleep(Duration::from_millis(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            code
        }))
    }
}

struct Service {
    url: String,
    machine: Machine,
}

impl Service {
    async fn start() -> Self {
        let machine = Machine::default();
        let server = Server::builder()
            .listen("127.0.0.1:0".parse().unwrap())
            .user(Credentials::parse("alice", "secret").unwrap())
            .host(machine.clone())
            .bind()
            .await
            .unwrap();
        let url = server.urls().remove(0);
        tokio::spawn(server.serve(std::future::pending()));
        Self { url, machine }
    }

    fn fleet(&self, names: &[&str]) -> Fleet {
        fleet(&self.url, names)
    }
}

fn attempt(url: &str, user: &str, password: &str) -> Attempt {
    let client = Client::builder(url)
        .credentials(Credentials::parse(user, password).unwrap())
        .transport(Transport::Ntlm)
        .retries(0)
        .operation_timeout(Duration::from_millis(600))
        .read_timeout(Duration::from_millis(1_500));
    Attempt::new(client, Transport::Ntlm).user(user)
}

/// Hosts that are all at one address, but those whose name tells something else.
fn fleet(url: &str, names: &[&str]) -> Fleet {
    let url = url.to_owned();
    let recipe = Arc::new(move |host: &str| {
        Ok(vec![match host.split_once('=') {
            Some(("at", address)) => attempt(address, "alice", "secret"),
            Some(("password", password)) => attempt(&url, "alice", password),
            Some(("undefined", name)) => return Err(Trouble::settings(format!("{name} is undefined")).with_hint("define it")),
            Some(("panic", text)) => panic!("{text}"),
            Some(("port", _)) => attempt("ftp://x", "alice", "secret"),
            Some(("second", _)) => return Ok(vec![attempt(&url, "alice", "no"), attempt(&url, "alice", "secret")]),
            Some(("neither", _)) => return Ok(vec![attempt(&url, "alice", "no"), attempt(&url, "bob", "no")]),
            _ => attempt(&url, "alice", "secret"),
        }])
    });
    Fleet::new(names.iter().map(|name| Host::new(*name, recipe.clone())))
}

async fn all(mut run: Run) -> BTreeMap<usize, HostResult> {
    let mut results = BTreeMap::new();
    while let Some(result) = run.next().await {
        assert!(results.insert(result.index, result).is_none(), "two results of one host");
    }
    results
}

fn text(captured: &Captured) -> String {
    let mut text = String::new();
    captured.reader().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn verdicts(results: &BTreeMap<usize, HostResult>) -> Vec<Verdict> {
    results.values().map(HostResult::verdict).collect()
}

/// Why a host did not get through.
fn trouble(result: &HostResult) -> &Trouble {
    match &result.outcome {
        Outcome::Failed(trouble) | Outcome::Unreachable(trouble) => trouble,
        other => panic!("{}: {other:?}", result.host),
    }
}

#[tokio::test]
async fn every_host_gives_its_own_result() {
    let service = Service::start().await;
    let results = all(service.fleet(&["a", "b"]).run(|client| client.command("say hello"))).await;
    assert_eq!(verdicts(&results), [Verdict::Ok; 2]);
    for (result, name) in results.values().zip(["a", "b"]) {
        assert_eq!(
            (&*result.host, text(&result.stdout), text(&result.stderr)),
            (name, "hello".into(), "err".into())
        );
        let via = result.via.as_ref().unwrap();
        assert_eq!((via.user.as_deref(), via.transport), (Some("alice"), Transport::Ntlm));
        assert!(service.url.starts_with(via.endpoint.trim_end_matches('/')), "{}", via.endpoint);
    }
    let results = all(service.fleet(&["a"]).ping()).await;
    assert!(matches!(results[&0].outcome, Outcome::Answered(_)));
}

#[tokio::test]
async fn no_more_hosts_at_once_than_wanted() {
    let service = Service::start().await;
    let names: Vec<String> = (0..30).map(|number| format!("web{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = all(service.fleet(&names).forks(4).run(|client| client.command("exit 0"))).await;
    assert_eq!(results.len(), 30);
    assert_eq!(service.machine.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_batch_begins_when_the_one_before_has_ended() {
    let service = Service::start().await;
    let names = ["a", "b", "c", "d", "e"];
    let results = all(service.fleet(&names).batch(Amount::Count(2)).run(|client| client.command("exit 0"))).await;
    assert_eq!(service.machine.most.load(Ordering::SeqCst), 2);
    let begun: Vec<_> = results.values().map(|result| result.started.unwrap()).collect();
    let ended: Vec<_> = results.values().map(|result| result.started.unwrap() + result.duration).collect();
    assert!(begun[2] >= ended[0] && begun[2] >= ended[1] && begun[4] >= ended[3]);
}

#[tokio::test]
async fn exit_codes_that_count_as_success_are_told() {
    let service = Service::start().await;
    let run = |codes: Vec<u32>| service.fleet(&["a"]).success_codes(codes).run(|client| client.command("exit 3010"));
    assert_eq!(verdicts(&all(run(vec![0])).await), [Verdict::Failed]);
    assert_eq!(verdicts(&all(run(vec![0, 3010])).await), [Verdict::Ok]);
}

#[tokio::test]
async fn after_too_many_failures_no_host_is_begun() {
    let service = Service::start().await;
    let names = ["password=x", "a", "password=y", "b", "c"];
    let run = |most| service.fleet(&names).forks(1).max_fail(most).run(|client| client.command("exit 0"));
    use Verdict::{NotStarted, Ok, Unreachable};
    let stopped = [Unreachable, Ok, Unreachable, NotStarted, NotStarted];
    assert_eq!(verdicts(&all(run(Amount::Count(1))).await), stopped);
    assert_eq!(verdicts(&all(run(Amount::Percent(20.0))).await), stopped);
    assert_eq!(
        verdicts(&all(run(Amount::Percent(40.0))).await),
        [Unreachable, Ok, Unreachable, Ok, Ok]
    );
}

#[tokio::test]
async fn one_hosts_trouble_is_not_anothers() {
    let service = Service::start().await;
    let silent = bad_host(|_, mut stream| async move { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} }).await;
    let rubbish = bad_host(|_, mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\xfe").await;
    })
    .await;
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let names = [
        "good".to_owned(),
        "password=wrong".to_owned(),
        format!("at=http://{silent}"),
        format!("at=http://{rubbish}"),
        format!("at=http://{refused}"),
        "undefined=realm".to_owned(),
        "port=x".to_owned(),
        "panic=boom".to_owned(),
        "last".to_owned(),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = all(service.fleet(&names).run(|client| client.command("say hello"))).await;
    use Verdict::{Failed, Ok, Unreachable};
    assert_eq!(
        verdicts(&results),
        [Ok, Unreachable, Unreachable, Unreachable, Unreachable, Failed, Failed, Failed, Ok]
    );
    let kinds: Vec<_> = (1..8).map(|index| trouble(&results[&index]).kind()).collect();
    assert_eq!(
        kinds,
        [
            TroubleKind::Winrm(ErrorKind::Unauthorized),
            TroubleKind::Winrm(ErrorKind::Timeout),
            TroubleKind::Winrm(ErrorKind::NotWinRm),
            TroubleKind::Winrm(ErrorKind::Connect),
            TroubleKind::Settings,
            TroubleKind::Winrm(ErrorKind::Configuration),
            TroubleKind::Panic,
        ]
    );
    assert_eq!(trouble(&results[&5]).to_string(), "realm is undefined");
    assert_eq!(trouble(&results[&5]).hint(), Some("define it"));
}

#[tokio::test]
async fn transports_are_tried_in_their_order() {
    let service = Service::start().await;
    let results = all(service.fleet(&["second=", "neither="]).run(|client| client.command("say hello"))).await;
    assert_eq!(verdicts(&results), [Verdict::Ok, Verdict::Unreachable]);
    let message = trouble(&results[&1]).to_string();
    assert!(
        message.starts_with("ntlm: ") && message.contains("; then ntlm: ") && message.contains("bob"),
        "{message}"
    );
}

#[tokio::test]
async fn long_output_is_kept_and_endless_output_is_ended() {
    let service = Service::start().await;
    let mut run = service.fleet(&["a"]).run(|client| client.command("write 3000000"));
    let result = run.next().await.unwrap();
    assert_eq!(text(&result.stdout), "x".repeat(3_000_000));
    let mut run = service
        .fleet(&["a"])
        .output_limit(100_000)
        .run(|client| client.command("write 1000000000000"));
    let result = run.next().await.unwrap();
    assert_eq!(trouble(&result).kind(), TroubleKind::Output);
    assert_eq!(trouble(&result).may_have_run(), MayHaveRun::Yes);
    assert!(
        result.stdout.len() > 100_000 && result.stdout.len() < 2_000_000,
        "{}",
        result.stdout.len()
    );
}

/// Waits until so many commands run.
async fn running(machine: &Machine, count: usize) {
    while machine.running.load(Ordering::SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_interrupt_reaches_the_commands_and_begins_no_more() {
    let service = Service::start().await;
    let run = service.fleet(&["a", "b", "c", "d"]).forks(2).run(|client| client.command("wait"));
    let stop = run.stop();
    let results = tokio::spawn(all(run));
    running(&service.machine, 2).await;
    stop.interrupt();
    let results = results.await.unwrap();
    use Verdict::{Failed, NotStarted};
    assert_eq!(verdicts(&results), [Failed, Failed, NotStarted, NotStarted]);
    // What Windows gives for a program that Ctrl-C has ended.
    assert!(matches!(
        results[&0].outcome,
        Outcome::Ended {
            exit_code: Some(0xC000_013A),
            success: false
        }
    ));
    assert_eq!(text(&results[&0].stdout), "begun");
}

#[tokio::test]
async fn an_abort_waits_for_nobody() {
    let service = Service::start().await;
    let silent = bad_host(|_, mut stream| async move { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} }).await;
    let silent = format!("at=http://{silent}");
    let run = service.fleet(&["a", &silent, "c"]).forks(2).run(|client| client.command("wait"));
    let stop = run.stop();
    let results = tokio::spawn(all(run));
    running(&service.machine, 1).await;
    stop.abort();
    let results = results.await.unwrap();
    use Verdict::{Cancelled, NotStarted};
    assert_eq!(verdicts(&results), [Cancelled, Cancelled, NotStarted]);
    assert!(matches!(results[&0].outcome, Outcome::Cancelled(MayHaveRun::Yes)));
}

/// Serves connections by hand.
async fn bad_host<F>(serve: impl Fn(usize, tokio::net::TcpStream) -> F + Send + 'static) -> std::net::SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, stream));
        }
    });
    address
}
