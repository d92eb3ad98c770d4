//! What requests say, and how input is cut.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use support::{Host, Reply, fault, received, well};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm::{ErrorKind, MayHaveRun, Signal, Stdio};

/// A host whose command ends once it has read the end of its input.
async fn reader_host() -> Host {
    let ended = AtomicBool::new(false);
    Host::start(move |seen| match seen.action() {
        "Send" => {
            ended.fetch_or(seen.body.contains("End=\"true\""), Ordering::SeqCst);
            well(seen)
        }
        "Receive" if !ended.load(Ordering::SeqCst) => {
            std::thread::sleep(Duration::from_millis(5));
            fault(2150858793, "nothing yet")
        }
        _ => well(seen),
    })
    .await
}

fn input_of(host: &Host) -> (Vec<u8>, Vec<usize>) {
    let (mut all, mut lengths) = (Vec::new(), Vec::new());
    for seen in host.seen().iter().filter(|seen| seen.action() == "Send") {
        let (_, data) = seen.between("<rsp:Stream ", "</rsp:Stream>").unwrap().split_once('>').unwrap();
        all.extend(openssl::base64::decode_block(data).unwrap());
        lengths.push(seen.body.len());
    }
    (all, lengths)
}

#[tokio::test]
async fn options_stand_in_the_header_and_the_rest_in_the_body() {
    let host = Host::start(well).await;
    let mut command = host.client().command("ipconfig");
    command.arg("/all").arg("a b").raw_arg("| more").arg("");
    command
        .env("NAME", "a<b")
        .envs([("X", "1")])
        .current_dir(r"C:\Temp")
        .codepage(437)
        .no_profile(true);
    command
        .idle_timeout(Duration::from_secs(60))
        .skip_cmd_shell(true)
        .console_mode_stdin(false);
    command.output().await.unwrap();
    let seen = host.seen();
    let header = |index: usize| seen[index].between("<s:Header>", "</s:Header>").unwrap().to_owned();
    assert!(header(0).contains(r#"<w:Option Name="WINRS_NOPROFILE">TRUE</w:Option><w:Option Name="WINRS_CODEPAGE">437</w:Option>"#));
    assert!(
        seen[0]
            .body
            .contains(r#"<rsp:Variable Name="NAME">a&lt;b</rsp:Variable><rsp:Variable Name="X">1</rsp:Variable>"#)
    );
    assert!(seen[0].body.contains(r"<rsp:WorkingDirectory>C:\Temp</rsp:WorkingDirectory>"));
    assert!(seen[0].body.contains("<rsp:IdleTimeOut>PT60.000S</rsp:IdleTimeOut>"));
    assert!(header(1).contains(r#"Name="WINRS_CONSOLEMODE_STDIN">FALSE<"#));
    assert!(header(1).contains(r#"Name="WINRS_SKIP_CMD_SHELL">TRUE<"#));
    assert!(seen[1].body.contains(concat!(
        "<rsp:Command>ipconfig</rsp:Command><rsp:Arguments>/all</rsp:Arguments>",
        "<rsp:Arguments>&quot;a b&quot;</rsp:Arguments><rsp:Arguments>| more</rsp:Arguments><rsp:Arguments>&quot;&quot;</rsp:Arguments>",
    )));
    assert!(header(2).contains(r#"Name="WSMAN_CMDSHELL_OPTION_KEEPALIVE">TRUE<"#));
}

#[tokio::test]
async fn a_shell_is_utf_8_and_the_input_a_console_where_nothing_is_said() {
    let host = Host::start(well).await;
    host.client().command("x").output().await.unwrap();
    let seen = host.seen();
    assert!(seen[0].body.contains(r#"<w:Option Name="WINRS_CODEPAGE">65001</w:Option>"#));
    assert!(!seen[0].body.contains("WINRS_NOPROFILE"));
    assert!(seen[1].body.contains(r#"Name="WINRS_CONSOLEMODE_STDIN">TRUE<"#));
}

#[tokio::test]
async fn a_command_that_waits_without_input_is_told_the_end() {
    let host = reader_host().await;
    host.client().command("sort").output().await.unwrap();
    let sends: Vec<_> = host.seen().into_iter().filter(|seen| seen.action() == "Send").collect();
    assert_eq!(sends.len(), 1);
    assert!(
        sends[0]
            .body
            .contains(r#"<rsp:Stream Name="stdin" CommandId="C" End="true"></rsp:Stream>"#)
    );
}

#[tokio::test]
async fn little_input_takes_one_request() {
    let host = reader_host().await;
    host.client().command("cat").stdin(Stdio::bytes("hello")).output().await.unwrap();
    assert_eq!(input_of(&host).0, b"hello");
    let actions = host.actions();
    assert_eq!(actions.iter().filter(|action| *action == "Send").count(), 1);
    assert!(!actions.iter().any(|action| action == "Get"));
}

#[tokio::test]
async fn much_input_fills_what_the_host_takes() {
    let data: Vec<u8> = (0..1_500_000u32).map(|index| (index % 251) as u8).collect();
    // By bytes, by a reader, and by hand.
    for way in 0..3 {
        let host = reader_host().await;
        let client = host.client();
        let mut command = client.command("cat");
        match way {
            0 => drop(command.stdin(data.clone()).output().await.unwrap()),
            1 => drop(
                command
                    .stdin(Stdio::reader(std::io::Cursor::new(data.clone())))
                    .output()
                    .await
                    .unwrap(),
            ),
            _ => {
                let mut child = command.stdin(Stdio::piped()).spawn().await.unwrap();
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(&data).await.unwrap();
                stdin.shutdown().await.unwrap();
                assert_eq!(child.wait().await.unwrap().code(), Some(7));
            }
        }
        let (input, lengths) = input_of(&host);
        assert!(input == data, "way {way}");
        assert!(lengths.iter().all(|length| *length <= 512_000), "{lengths:?}");
        assert!(
            lengths.iter().filter(|length| **length > 150 * 1024).count() >= 1,
            "way {way}: {lengths:?}"
        );
        assert_eq!(host.actions().iter().filter(|action| *action == "Get").count(), 1, "asked once");
    }
}

#[tokio::test]
async fn who_may_not_ask_sends_small_requests() {
    let ended = AtomicBool::new(false);
    let host = Host::start(move |seen| match seen.action() {
        "Get" => fault(5, "Access is denied."),
        "Receive" if !ended.load(Ordering::SeqCst) => {
            std::thread::sleep(Duration::from_millis(5));
            fault(2150858793, "nothing yet")
        }
        "Send" => {
            ended.fetch_or(seen.body.contains("End=\"true\""), Ordering::SeqCst);
            well(seen)
        }
        _ => well(seen),
    })
    .await;
    let data = vec![7; 1_000_000];
    host.client().command("cat").stdin(data.clone()).output().await.unwrap();
    let (input, lengths) = input_of(&host);
    assert!(input == data);
    assert!(lengths.iter().all(|length| *length <= 150 * 1024), "{lengths:?}");
}

#[tokio::test]
async fn a_command_that_reads_no_more_is_no_error() {
    let refused = AtomicBool::new(false);
    let host = Host::start(move |seen| match seen.action() {
        "Send" => {
            refused.store(true, Ordering::SeqCst);
            fault(2147942632, "The pipe is being closed.")
        }
        "Receive" if !refused.load(Ordering::SeqCst) => fault(2150858793, "nothing yet"),
        _ => well(seen),
    })
    .await;
    let output = host.client().command("head").stdin(vec![1; 400_000]).output().await.unwrap();
    assert_eq!(output.exit_code, Some(7));
    assert_eq!(host.actions().iter().filter(|action| *action == "Send").count(), 1);
}

#[tokio::test]
async fn lost_input_ends_the_command_with_an_error() {
    let host = Host::start(|seen| match seen.action() {
        "Send" => fault(1460, "timeout"),
        "Receive" => Reply::Silence,
        _ => well(seen),
    })
    .await;
    let error = host.client().command("cat").stdin(vec![1; 10]).output().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Fault, "the host did not take the command's input")
    );
    assert_eq!(error.may_have_run(), MayHaveRun::Yes);
    assert_eq!(host.actions().last().unwrap(), "Delete");
}

#[tokio::test]
async fn input_that_cannot_be_read_is_an_error_of_this_side() {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("disk on fire")))
        }
    }
    let host = reader_host().await;
    let error = host
        .client()
        .command("cat")
        .stdin(Stdio::reader(Broken))
        .output()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(host.actions().last().unwrap(), "Delete");
}

#[tokio::test]
async fn a_shell_that_is_kept_takes_no_settings_of_a_command() {
    let host = Host::start(well).await;
    let shell = host.client().shell().open().await.unwrap();
    let error = shell.command("x").env("A", "b").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(host.actions(), ["Create"]);
}

#[tokio::test]
async fn what_xml_cannot_carry_is_refused_here() {
    let host = Host::start(well).await;
    let error = host.client().command("echo \u{1}").output().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Configuration, "a request can't be written")
    );
    assert_eq!(error.may_have_run(), MayHaveRun::No);
}

#[tokio::test]
async fn streams_give_output_as_it_comes_and_signals_go_out() {
    let receives = AtomicUsize::new(0);
    let host = Host::start(move |seen| match seen.action() {
        "Receive" => match receives.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Soap(200, received(&[("stdout", "Zmlyc3Q="), ("stderr", "ZXJy")], None)),
            _ => {
                std::thread::sleep(Duration::from_millis(20));
                Reply::Soap(200, received(&[("stdout", "c2Vjb25k")], Some(0)))
            }
        },
        _ => well(seen),
    })
    .await;
    let client = host.client();
    let mut child = client.command("x").spawn().await.unwrap();
    assert_eq!((child.id(), child.shell_id()), ("C", "S"));
    child.signal(Signal::CtrlC).await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(stdout.chunk().await.unwrap().unwrap(), "first");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "second");
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.exit_code, output.stderr.as_slice()), (Some(0), &b"err"[..]));
    let signal = host.seen().into_iter().find(|seen| seen.action() == "Signal").unwrap();
    assert!(signal.body.contains("signal/ctrl_c</rsp:Code>"));
    assert!(signal.body.contains(r#"<rsp:Signal CommandId="C">"#));
}

#[tokio::test]
async fn a_stream_of_a_broken_command_does_not_just_end() {
    let host = Host::start(|seen| {
        if seen.action() == "Receive" {
            Reply::Last(Vec::new())
        } else {
            well(seen)
        }
    })
    .await;
    let mut child = host.client().command("x").spawn().await.unwrap();
    let mut all = Vec::new();
    let error = child.stdout.take().unwrap().read_to_end(&mut all).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let error = child.wait().await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Closed, MayHaveRun::Yes));
    assert_eq!(child.wait().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_child_that_is_dropped_is_ended() {
    let host = Host::start(|seen| if seen.action() == "Receive" { Reply::Silence } else { well(seen) }).await;
    let client = host.client();
    drop(client.command("x").spawn().await.unwrap());
    assert!(client.close().await);
    assert_eq!(host.actions().last().unwrap(), "Delete");

    // In a kept shell, the command alone.
    let shell = client.shell().open().await.unwrap();
    drop(shell.command("x").spawn().await.unwrap());
    assert!(client.close().await);
    assert_eq!(host.actions().last().unwrap(), "Signal");
    assert_eq!(host.actions().iter().filter(|action| *action == "Delete").count(), 1);
}

#[tokio::test]
async fn a_future_that_is_dropped_ends_its_command() {
    let host = Host::start(|seen| if seen.action() == "Receive" { Reply::Silence } else { well(seen) }).await;
    let client = host.client();
    let output = client.command("x").output();
    assert!(tokio::time::timeout(Duration::from_millis(200), output).await.is_err());
    assert!(client.close().await);
    assert_eq!(host.actions(), ["Create", "Command", "Receive", "Delete"]);
}

#[tokio::test]
async fn a_deadline_interrupts_then_removes_the_shell() {
    let host = Host::start(|seen| if seen.action() == "Receive" { Reply::Silence } else { well(seen) }).await;
    let error = host
        .client()
        .command("x")
        .stdin(Stdio::open())
        .timeout(Duration::from_millis(100))
        .output()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.to_string(), "the command's deadline has passed; it was ended on the host");
    assert_eq!(error.may_have_run(), MayHaveRun::Yes);
    assert_eq!(host.actions(), ["Create", "Command", "Receive", "Signal", "Delete"]);
}

#[tokio::test]
async fn a_deadline_holds_before_the_start_as_well() {
    for (action, may_have_run) in [("Create", MayHaveRun::No), ("Command", MayHaveRun::Unknown)] {
        let host = Host::start(move |seen| if seen.action() == action { Reply::Silence } else { well(seen) }).await;
        let client = host.client();
        let error = client.command("x").timeout(Duration::from_millis(100)).output().await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Deadline, may_have_run));
        assert_eq!(error.to_string(), "the command was not started within its deadline of 100ms");
        assert!(client.close().await);
        let actions = host.actions();
        assert_eq!(actions[actions.len() - 2..], [action, "Delete"]);
    }
}

#[tokio::test]
async fn a_shell_can_be_removed_in_the_background() {
    let host = Host::start(well).await;
    let client = host.client();
    client.command("x").delete_in_background(true).output().await.unwrap();
    assert!(client.close().await);
    assert_eq!(host.actions(), ["Create", "Command", "Receive", "Delete"]);
}
