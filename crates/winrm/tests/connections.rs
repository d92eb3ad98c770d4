//! Connections: made when needed, kept, replaced only when nothing was sent, and what is asked again.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Host, Reply, envelope, fault, http, received, started, well};
use winrm::{Client, Credentials, Encryption, ErrorKind, MayHaveRun, Transport};

fn client(url: &str) -> winrm::ClientBuilder {
    Client::builder(url)
        .credentials(Credentials::parse("alice", "secret").unwrap())
        .transport(Transport::Basic)
        .encryption(Encryption::Never)
}

#[tokio::test]
async fn a_command_takes_four_requests_on_one_connection() {
    let host = Host::start(well).await;
    let client = host.client();
    let output = client.command("x").output().await.unwrap();
    assert_eq!(
        (output.exit_code, output.stdout.as_slice(), output.stderr.as_slice()),
        (Some(7), &b"out"[..], &b"err"[..])
    );
    assert_eq!(host.actions(), ["Create", "Command", "Receive", "Delete"]);
    assert_eq!((host.connections(), client.connections_made()), (1, 1));
    assert_eq!(client.command("x").status().await.unwrap().code(), Some(7));
    assert_eq!(host.connections(), 1);
}

#[tokio::test]
async fn a_kept_shell_releases_each_command() {
    let host = Host::start(well).await;
    let client = host.client();
    let shell = client.shell().env("A", "b").current_dir("C:\\x").open().await.unwrap();
    assert_eq!(shell.id(), "S");
    for _ in 0..2 {
        assert_eq!(shell.command("x").output().await.unwrap().stdout, b"out");
        assert!(client.close().await);
    }
    shell.close().await.unwrap();
    drop(shell);
    assert!(client.close().await);
    assert_eq!(
        host.actions(),
        ["Create", "Command", "Receive", "Signal", "Command", "Receive", "Signal", "Delete"]
    );
    let signal = host.seen().into_iter().find(|seen| seen.action() == "Signal").unwrap();
    assert_eq!(
        signal.between("<rsp:Code>", "<"),
        Some("http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/terminate")
    );
}

#[tokio::test]
async fn a_refused_port_is_told_after_the_retries() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let client = client(&format!("http://127.0.0.1:{port}")).retries(1).build().unwrap();
    let error = client.command("x").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.to_string(), format!("127.0.0.1 refuses connections to port {port}"));
    assert_eq!(error.may_have_run(), MayHaveRun::No);
    assert!(error.is_connect() && error.hint().unwrap().contains("winrm quickconfig"));
}

#[tokio::test]
async fn a_refused_port_that_opens_meanwhile_is_found() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let client = client(&format!("http://{address}")).retries(6).build().unwrap();
    let command = tokio::spawn(async move { client.identify().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let accepted = tokio::time::timeout(Duration::from_secs(30), listener.accept()).await;
    assert!(accepted.unwrap().is_ok());
    command.abort();
}

#[tokio::test]
async fn an_unknown_name_is_told() {
    let client = client("http://host.invalid").build().unwrap();
    let error = client.identify().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert_eq!(error.to_string(), "the name host.invalid has no address");
}

#[tokio::test]
async fn a_host_that_swallows_connections_is_given_up_within_the_connect_timeout() {
    // The handshake of TLS never comes: the listener accepts nothing, the kernel does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = client(&format!("https://127.0.0.1:{port}"))
        .connect_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let error = client.identify().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let sentence = format!("127.0.0.1 port {port} took the connection and did not finish TLS within 200ms");
    assert_eq!(error.to_string(), sentence);
}

#[tokio::test]
async fn a_kept_connection_that_the_host_has_closed_is_replaced() {
    let host = Host::start(|seen| match (seen.action(), well(seen)) {
        ("Delete", Reply::Soap(_, body)) => Reply::SoapThenClose(body),
        (_, reply) => reply,
    })
    .await;
    let client = host.client();
    for round in 1..=3 {
        assert_eq!(client.command("x").output().await.unwrap().exit_code, Some(7));
        assert_eq!(host.connections(), round);
        // The end of the connection has to arrive first.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(host.seen().len(), 12, "no request was sent twice");
}

#[tokio::test]
async fn a_connection_lost_after_a_request_is_never_tried_again() {
    let host = Host::start(|seen| {
        if seen.action() == "Command" {
            Reply::Last(Vec::new())
        } else {
            well(seen)
        }
    })
    .await;
    let client = host.client();
    let error = client.command("x").output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Closed, MayHaveRun::Unknown));
    assert!(client.close().await);
    // The command may run: its shell is removed, over another connection.
    assert_eq!(host.actions(), ["Create", "Command", "Delete"]);
    assert_eq!(host.connections(), 2);
}

#[tokio::test]
async fn a_shell_whose_answer_was_lost_is_removed_by_the_id_chosen_here() {
    let host = Host::start(|seen| {
        if seen.action() == "Create" {
            Reply::Last(Vec::new())
        } else {
            well(seen)
        }
    })
    .await;
    let client = host.client();
    let error = client.command("x").output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Closed, MayHaveRun::No));
    assert!(client.close().await);
    assert_eq!(host.actions(), ["Create", "Delete"]);
    let seen = host.seen();
    let chosen = seen[0].between("<rsp:Shell ShellId=\"", "\"").unwrap();
    assert_eq!(seen[1].between("Name=\"ShellId\">", "<"), Some(chosen));
}

#[tokio::test]
async fn a_busy_host_is_asked_again() {
    let host = Host::start(|seen| match seen.number {
        2 | 3 => fault(170, "The requested resource is in use."),
        _ => well(seen),
    })
    .await;
    assert_eq!(host.client().command("x").output().await.unwrap().exit_code, Some(7));
    assert_eq!(host.actions(), ["Create", "Command", "Command", "Command", "Receive", "Delete"]);
}

#[tokio::test]
async fn an_envelope_of_the_callers_is_answered_as_it_is() {
    let host = Host::start(|seen| match seen.number {
        1 => fault(170, "The requested resource is in use."),
        2 => Reply::Raw(http("200 ", "", b"no envelope")),
        3 => Reply::Raw(http("404 ", "Content-Type: text/html\r\n", b"<p>no such page")),
        4 => fault(5, "Access is denied."),
        _ => Reply::Raw(http("401 ", "WWW-Authenticate: Basic realm=\"WSMAN\"\r\n", b"")),
    })
    .await;
    let client = host.client();
    let mine = envelope("<mine/>");
    for (status, body) in [(200, "no envelope"), (404, "<p>no such page"), (500, "Access is denied.")] {
        let reply = client.exchange(mine.clone()).await.unwrap();
        assert_eq!(reply.status, status);
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.contains(body), "{text}");
    }
    let error = client.exchange(mine.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(host.seen().iter().all(|seen| seen.body == mine));
    assert_eq!(host.seen().len(), 5);
}

#[tokio::test]
async fn the_operation_timeout_means_to_ask_again() {
    let receives = AtomicUsize::new(0);
    let host = Host::start(move |seen| match seen.action() {
        "Receive" => match receives.fetch_add(1, Ordering::Relaxed) {
            0 => fault(
                2150858793,
                "The WS-Management service cannot complete the operation within the time specified.",
            ),
            1 => Reply::Soap(200, received(&[("stdout", "YQ==")], None)),
            2 => Reply::Soap(200, received(&[], None)),
            _ => Reply::Soap(200, received(&[("stdout", "Yg=="), ("stdout", "Yw==")], Some(4294967295))),
        },
        _ => well(seen),
    })
    .await;
    let output = host.client().command("x").output().await.unwrap();
    assert_eq!((output.exit_code, output.stdout.as_slice()), (Some(u32::MAX), &b"abc"[..]));
    assert_eq!(output.status().to_string(), "exit code 4294967295 (0xFFFFFFFF)");
}

#[tokio::test]
async fn a_lost_shell_is_replaced_once() {
    for (code, place) in [(2150858843, "own"), (2150859174, "own"), (2147943418, "kept"), (2150858843, "kept")] {
        let commands = AtomicUsize::new(0);
        let host = Host::start(move |seen| match seen.action() {
            "Command" if commands.fetch_add(1, Ordering::Relaxed) == 0 => fault(code, "gone"),
            "Command" => Reply::Soap(200, started("C")),
            _ => well(seen),
        })
        .await;
        let client = host.client();
        let output = if place == "kept" {
            let shell = client.shell().open().await.unwrap();
            shell.command("x").output().await
        } else {
            client.command("x").output().await
        };
        assert_eq!(output.unwrap().exit_code, Some(7), "{code} {place}");
        assert!(client.close().await);
        let actions = host.actions();
        let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
        assert_eq!(
            (count("Create"), count("Command"), count("Delete")),
            (2, 2, 2),
            "{code} {place} {actions:?}"
        );
    }
}

#[tokio::test]
async fn a_shell_lost_twice_is_an_error() {
    let host = Host::start(|seen| {
        if seen.action() == "Command" {
            fault(2150859174, "quota")
        } else {
            well(seen)
        }
    })
    .await;
    let error = host.client().command("x").output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Fault, MayHaveRun::No));
    assert_eq!(error.to_string(), "the host did not start the command");
}

#[tokio::test]
async fn a_shell_lost_while_the_command_runs_is_an_error() {
    let host = Host::start(|seen| {
        if seen.action() == "Receive" {
            fault(2150858843, "gone")
        } else {
            well(seen)
        }
    })
    .await;
    let error = host.client().command("x").output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Fault, MayHaveRun::Yes));
    assert_eq!(host.actions().iter().filter(|action| *action == "Command").count(), 1);
}

#[tokio::test]
async fn identify_withholds_the_credentials_and_ping_shows_them() {
    let host = Host::start(well).await;
    let client = host.client();
    let identity = client.identify().await.unwrap();
    assert_eq!(
        (identity.vendor.as_str(), identity.version.as_str()),
        ("Microsoft Corporation", "OS: 10.0.20348 SP: 0.0 Stack: 3.0")
    );
    let ping = client.ping().await.unwrap();
    assert_eq!(ping.identity, identity);
    let seen = host.seen();
    let headers: Vec<_> = seen
        .iter()
        .map(|seen| (seen.header("wsmanidentify"), seen.header("authorization").is_some()))
        .collect();
    assert_eq!(headers, [(Some("unauthenticated"), false), (None, true), (None, true)]);
    assert_eq!(client.config().await.unwrap().max_envelope_size_kb, Some(500));
}

#[tokio::test]
async fn without_credentials_only_identify_works() {
    let host = Host::start(well).await;
    let client = Client::builder(&host.url())
        .transport(Transport::Basic)
        .encryption(Encryption::Never)
        .build()
        .unwrap();
    assert!(client.identify().await.is_ok());
    // Over the connection that is there, and over a new one.
    for _ in 0..2 {
        let error = client.ping().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Configuration, "no credentials were given")
        );
        client.close().await;
    }
    assert_eq!(host.actions(), ["Identify"]);
}

#[tokio::test]
async fn requests_carry_the_headers_that_hosts_want() {
    let host = Host::start(well).await;
    let client = host.client();
    client.command("x").output().await.unwrap();
    let seen = host.seen();
    assert!(seen[0].head.starts_with("POST /wsman HTTP/1.1\r\n"));
    assert_eq!(seen[0].header("content-type"), Some("application/soap+xml;charset=UTF-8"));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("host"), Some(host.address.to_string().as_str()));
    let session = |index: usize| seen[index].between("SessionId s:mustUnderstand=\"false\">", "<").map(str::to_owned);
    assert!(session(0).unwrap().starts_with("uuid:"));
    assert_eq!(session(0), session(3));
    let message = |index: usize| seen[index].between("<a:MessageID>", "<").map(str::to_owned);
    assert_ne!(message(0), message(1));
    let _ = envelope("");
}

#[tokio::test]
async fn a_deadline_before_anything_was_sent_leaves_nothing_to_remove() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = client(&format!("https://127.0.0.1:{port}")).build().unwrap();
    let error = client.command("x").timeout(Duration::from_millis(100)).output().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Deadline, MayHaveRun::No));
    assert!(client.close().await);
    assert_eq!(client.connections_made(), 1);
}
