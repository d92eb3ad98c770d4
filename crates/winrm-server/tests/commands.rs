//! Commands of this machine over http: output, input, environment, signals, ends.

mod wire;

use wire::{action, builder, envelope, selector, start, until_gone};

#[tokio::test]
async fn streams_and_exit_codes_are_told_apart() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    assert_eq!(
        wire.run(&shell, "echo out; echo err >&2; exit 7").await,
        ("out\n".into(), "err\n".into(), 7)
    );
    assert_eq!(wire.run(&shell, "kill -9 $$").await.2, 128 + 9);
    let (_, error, code) = wire.run(&shell, "no-such-command").await;
    assert!(error.contains("not found"), "{error}");
    assert_eq!(code, 127);
    assert_eq!(wire.delete(&shell).await.status, 200);
    service.stop().await;
}

#[tokio::test]
async fn the_end_of_each_stream_is_said_and_the_state_comes_last() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "printf x").await;
    let mut pieces = String::new();
    loop {
        let reply = wire.receive(&shell, &command).await;
        pieces += &reply.body;
        if reply.body.contains("CommandState/Done") {
            break;
        }
    }
    let stream = |rest: &str| format!(r#"<rsp:Stream Name="stdout" CommandId="{command}"{rest}</rsp:Stream>"#);
    assert!(pieces.contains(&stream(">eA==")), "{pieces}");
    assert!(pieces.contains(&stream(r#" End="true">"#)), "{pieces}");
    assert!(pieces.contains(&stream(r#" End="true">"#).replace("stdout", "stderr")), "{pieces}");
    // The exit code stays to be asked for until the command is terminated: the answer may have been lost.
    assert_eq!(wire.finish(&shell, &command).await.2, 0);
    assert_eq!(wire.signal(&shell, &command, "terminate").await.status, 200);
    let gone = wire.receive(&shell, &command).await;
    assert_eq!(
        gone.fault(2_150_858_843, "w:InvalidSelectors"),
        "The WS-Management service cannot process the request because the request contained invalid selectors for the resource. "
    );
    assert!(gone.body.contains("a command identifier that does not exist"), "{}", gone.body);
}

#[tokio::test]
async fn a_megabyte_arrives_in_envelopes_of_the_size_asked_for() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "head -c 1000000 /dev/zero").await;
    let request = wire::receive(&shell, &command, "PT20S").replace(
        "<w:OperationTimeout>",
        "<w:MaxEnvelopeSize>16384</w:MaxEnvelopeSize><w:OperationTimeout>",
    );
    let mut total = 0;
    loop {
        let reply = wire.post(&request).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(reply.body.len() <= 16_384, "{}", reply.body.len());
        let bytes = reply.stream("stdout");
        assert!(bytes.iter().all(|byte| *byte == 0));
        total += bytes.len();
        if reply.body.contains("CommandState/Done") {
            break;
        }
    }
    assert_eq!(total, 1_000_000);
}

#[tokio::test]
async fn the_environment_is_the_clients_and_nothing_secret_of_the_services() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let body = concat!(
        "<rsp:Shell><rsp:Environment><rsp:Variable Name=\"GREETING\">grüß &lt;dich&gt;</rsp:Variable></rsp:Environment>",
        "<rsp:WorkingDirectory>/</rsp:WorkingDirectory></rsp:Shell>"
    );
    let reply = wire.post(&envelope(wire::CREATE, "", body)).await;
    let shell = reply.text("rsp:ShellId").to_owned();
    assert_eq!(wire.run(&shell, "echo $GREETING; pwd").await.0, "grüß <dich>\n/\n");
    // Cargo sets this for the test itself, as an operator sets WINRM_PASSWORD.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let (environment, _, _) = wire.run(&shell, "env").await;
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[tokio::test]
async fn a_working_directory_that_is_missing_is_a_fault_of_the_command() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let body = "<rsp:Shell><rsp:WorkingDirectory>/no/such/directory</rsp:WorkingDirectory></rsp:Shell>";
    let reply = wire.post(&envelope(wire::CREATE, "", body)).await;
    let shell = reply.text("rsp:ShellId").to_owned();
    let refused = wire.try_command(&shell, "pwd").await;
    assert_eq!(refused.fault(2_147_942_667, "w:InternalError"), "The directory name is invalid. ");
}

#[tokio::test]
async fn arguments_are_joined_and_programs_started_directly_when_asked() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let start_with = |options: &str, body: &str| {
        let headers = format!("{}<w:OptionSet>{options}</w:OptionSet>", selector(&shell));
        envelope(&action("Command"), &headers, &format!("<rsp:CommandLine>{body}</rsp:CommandLine>"))
    };
    let joined = start_with(
        "",
        "<rsp:Command>printf</rsp:Command><rsp:Arguments>'%s|'</rsp:Arguments><rsp:Arguments>a b</rsp:Arguments>",
    );
    let command = wire.post(&joined).await.text("rsp:CommandId").to_owned();
    assert_eq!(wire.finish(&shell, &command).await.0, b"a|b|");

    let skip = r#"<w:Option Name="WINRS_SKIP_CMD_SHELL">TRUE</w:Option>"#;
    let direct = start_with(
        skip,
        r#"<rsp:Command>printf</rsp:Command><rsp:Arguments>%s| "a b" $HOME</rsp:Arguments>"#,
    );
    let command = wire.post(&direct).await.text("rsp:CommandId").to_owned();
    assert_eq!(wire.finish(&shell, &command).await.0, b"a b|$HOME|");

    let missing = start_with(skip, "<rsp:Command>no-such-program</rsp:Command>");
    let reply = wire.post(&missing).await;
    assert_eq!(
        reply.fault(2_147_942_402, "w:InternalError"),
        "The system cannot find the file specified. "
    );
}

#[tokio::test]
async fn input_arrives_byte_for_byte_and_ends() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "cat").await;
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(wire.stdin(&shell, &command, &every_byte, false, "PT20S").await.status, 200);
    assert_eq!(wire.stdin(&shell, &command, b"end", true, "PT20S").await.status, 200);
    let (output, _, code) = wire.finish(&shell, &command).await;
    assert_eq!((output, code), ([&every_byte[..], b"end"].concat(), 0));
    let late = wire.stdin(&shell, &command, b"more", false, "PT20S").await;
    assert_eq!(late.fault(232, "w:InternalError"), "The pipe is being closed. ");
}

#[tokio::test]
async fn a_command_that_takes_no_input_holds_its_sender_up() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "sleep 1000").await;
    let piece = vec![b'x'; 200_000];
    // The pipe is full (512 KiB on Linux), one piece is being written, one waits: the next is refused, as a whole, for the time being.
    let most = 512 * 1_024 / piece.len() + 2;
    let mut taken = 0;
    let refused = loop {
        let reply = wire.stdin(&shell, &command, &piece, false, "PT0.2S").await;
        if reply.status != 200 {
            break reply;
        }
        taken += 1;
        assert!(taken <= most, "input piles up in the service");
    };
    refused.fault(2_150_858_793, "w:TimedOut");
    wire.signal(&shell, &command, "terminate").await;

    // What is refused isn't lost and isn't doubled: sent again it comes exactly once.
    let command = wire.command(&shell, "sleep 0.5; wc -c").await;
    let mut sent = 0;
    for _ in 0..10 {
        while wire.stdin(&shell, &command, &piece, false, "PT0.05S").await.status != 200 {}
        sent += piece.len();
    }
    while wire.stdin(&shell, &command, b"", true, "PT0.05S").await.status != 200 {}
    let (output, _, _) = wire.finish(&shell, &command).await;
    assert_eq!(String::from_utf8(output).unwrap().trim(), sent.to_string());
}

#[tokio::test]
async fn nothing_within_the_operation_timeout_is_a_fault_and_no_end() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "read line; echo $line").await;
    let reply = wire.post(&wire::receive(&shell, &command, "PT0.1S")).await;
    assert_eq!(
        reply.fault(2_150_858_793, "w:TimedOut"),
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  "
    );
    assert!(
        reply
            .body
            .contains("<a:RelatesTo>uuid:0A0B0C0D-0000-0000-0000-000000000001</a:RelatesTo>"),
        "{}",
        reply.body
    );
    wire.stdin(&shell, &command, b"late\n", true, "PT20S").await;
    assert_eq!(wire.finish(&shell, &command).await.0, b"late\n");
}

#[tokio::test]
async fn terminate_ends_a_command_with_all_that_it_started() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    for end in ["terminate", "Terminate", "delete"] {
        // Neither the shell nor its child heeds the polite signal.
        let command = wire.command(&shell, "trap '' TERM; sleep 1000 & echo $!; wait").await;
        let pid = String::from_utf8(wire.receive(&shell, &command).await.stream("stdout")).unwrap();
        let pid: i32 = pid.trim().parse().unwrap();
        assert!(!wire::is_gone(pid));
        let reply = match end {
            "delete" => wire.delete(&shell).await,
            code => wire.signal(&shell, &command, code).await,
        };
        assert_eq!(reply.status, 200, "{}", reply.body);
        until_gone(pid).await;
    }
    wire.try_command(&shell, "true").await.fault(2_150_858_843, "w:InvalidSelectors");
}

#[tokio::test]
async fn control_c_and_control_break_reach_the_group() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    for (code, trap) in [("ctrl_c", "INT"), ("ctrl_break", "QUIT")] {
        let command = wire
            .command(
                &shell,
                &format!("trap 'echo {trap}; exit 3' {trap}; echo ready; while :; do sleep 0.05; done"),
            )
            .await;
        assert_eq!(wire.receive(&shell, &command).await.stream("stdout"), b"ready\n");
        assert_eq!(wire.signal(&shell, &command, code).await.status, 200);
        let (output, _, exit) = wire.finish(&shell, &command).await;
        assert_eq!((output, exit), (format!("{trap}\n").into_bytes(), 3));
    }
    let command = wire.command(&shell, "sleep 1000").await;
    wire.signal(&shell, &command, "nonsense").await.fault(87, "w:InvalidParameter");
}

#[tokio::test]
async fn a_receive_that_waits_is_answered_when_its_command_is_terminated() {
    let service = start(builder()).await;
    let (mut one, mut other) = (service.connect().await, service.connect().await);
    let shell = one.open().await;
    let command = one.command(&shell, "sleep 1000").await;
    one.send(wire::receive(&shell, &command, "PT60S").as_bytes()).await;
    // Not before the Receive is under way; if it comes too late all the same, it finds no command.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    other.signal(&shell, &command, "terminate").await;
    let reply = one.reply().await.unwrap();
    assert!(
        reply.fault_number() == 995 || reply.fault_number() == 2_150_858_843,
        "{}",
        reply.body
    );
}

#[allow(clippy::unwrap_used, reason = "part of the tests")]
impl wire::Reply {
    fn fault_number(&self) -> u32 {
        let rest = self.body.split("Code=\"").nth(1).expect("a fault");
        rest.split('"').next().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn a_child_in_the_background_does_not_keep_its_command_from_ending() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let (output, _, code) = wire.run(&shell, "sleep 1000 & echo $!; exit 4").await;
    assert_eq!(code, 4);
    let pid: i32 = output.trim().parse().unwrap();
    assert!(!wire::is_gone(pid), "it may go on until the shell is closed");
    // One that never stops talking neither.
    let (output, _, code) = wire.run(&shell, "yes & sleep 0.1; exit 5").await;
    assert_eq!(code, 5);
    assert!(output.len() >= 2);
    wire.delete(&shell).await;
    until_gone(pid).await;
}

#[tokio::test]
async fn several_commands_in_several_shells_keep_apart() {
    let service = start(builder()).await;
    let mut tasks = Vec::new();
    for number in 0..6 {
        let mut wire = service.connect().await;
        tasks.push(tokio::spawn(async move {
            let shell = wire.open().await;
            let mut commands = Vec::new();
            for index in 0..4 {
                let command = format!("read x; echo {number}.{index}.$x; exit {index}");
                commands.push(wire.command(&shell, &command).await);
            }
            for (index, command) in commands.iter().enumerate().rev() {
                wire.stdin(&shell, command, format!("in{index}\n").as_bytes(), true, "PT20S").await;
            }
            for (index, command) in commands.iter().enumerate() {
                let (output, _, code) = wire.finish(&shell, command).await;
                assert_eq!(String::from_utf8(output).unwrap(), format!("{number}.{index}.in{index}\n"));
                assert_eq!(code as usize, index);
            }
            wire.delete(&shell).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_leaves_the_shell() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "read x; echo still $x").await;
    wire.send(wire::receive(&shell, &command, "PT60S").as_bytes()).await;
    drop(wire);
    let mut wire = service.connect().await;
    wire.stdin(&shell, &command, b"here\n", true, "PT20S").await;
    assert_eq!(wire.finish(&shell, &command).await.0, b"still here\n");
}

#[tokio::test]
async fn the_end_of_the_service_is_the_end_of_what_it_runs() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "sleep 1000 & echo $!; wait").await;
    let pid = String::from_utf8(wire.receive(&shell, &command).await.stream("stdout")).unwrap();
    wire.send(wire::receive(&shell, &command, "PT60S").as_bytes()).await;
    let address = service.addresses[0];
    service.stop().await;
    until_gone(pid.trim().parse().unwrap()).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
