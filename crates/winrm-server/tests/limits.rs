//! What the service refuses, in whose words, and that it goes on afterwards.

mod wire;

use std::time::Duration;

use tokio::io::AsyncReadExt;
use winrm_server::Quotas;
use wire::{BOB, CREATE, GET, action, builder, envelope, envelope_for, selector, start};

fn quotas(change: impl FnOnce(&mut Quotas)) -> Quotas {
    let mut quotas = Quotas::default();
    change(&mut quotas);
    quotas
}

#[tokio::test]
async fn malformed_requests_get_faults_and_the_connection_goes_on() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let good = envelope(CREATE, "", "<rsp:Shell/>");
    for (body, number, subcode) in [
        (String::new(), 0x8033_8043, "w:SchemaValidationError"),
        ("<a>".to_owned(), 0x8033_8043, "w:SchemaValidationError"),
        ("<!DOCTYPE x []><x/>".to_owned(), 0x8033_8043, "w:SchemaValidationError"),
        ("<html/>".to_owned(), 0x8033_8043, "w:SchemaValidationError"),
        (good.replace("2003/05", "1999/05"), 0x8033_800D, "w:SchemaValidationError"),
        (
            good.replace(CREATE, "http://example.test/Dance"),
            0x8033_8013,
            "a:ActionNotSupported",
        ),
        (good.replace(CREATE, ""), 0x8033_8011, "a:MessageInformationHeaderRequired"),
        (
            good.replace("MessageID", "Other"),
            0x8033_8011,
            "a:MessageInformationHeaderRequired",
        ),
        (
            good.replace("/shell/cmd", "/shell/powershell"),
            0x8033_803B,
            "a:DestinationUnreachable",
        ),
        (good.replace("<rsp:Shell/>", "<rsp:Nut/>"), 0x8033_8041, "w:SchemaValidationError"),
        (
            good.replace("<rsp:Shell/>", "<rsp:Shell><rsp:IdleTimeOut>20</rsp:IdleTimeOut></rsp:Shell>"),
            0x8033_8041,
            "w:SchemaValidationError",
        ),
        (
            good.replace("<rsp:Shell/>", "<rsp:Shell><rsp:IdleTimeOut>P100D</rsp:IdleTimeOut></rsp:Shell>"),
            0x8033_81F2,
            "w:InvalidParameter",
        ),
        (
            good.replace("<rsp:Shell/>", r#"<rsp:Shell ShellId="x"/>"#),
            0x8033_81D5,
            "w:SchemaValidationError",
        ),
        (
            envelope(CREATE, "<w:OperationTimeout>PT-1S</w:OperationTimeout>", "<rsp:Shell/>"),
            0x8033_800F,
            "a:InvalidMessageInformationHeader",
        ),
        (
            envelope(CREATE, "<w:MaxEnvelopeSize>100</w:MaxEnvelopeSize>", "<rsp:Shell/>"),
            0x8033_807E,
            "w:EncodingLimit",
        ),
        (
            envelope(
                CREATE,
                r#"<w:OptionSet><w:Option Name="WINRS_NOPROFILE">perhaps</w:Option></w:OptionSet>"#,
                "<rsp:Shell/>",
            ),
            0x8033_8053,
            "w:InvalidOptions",
        ),
        (
            envelope(
                CREATE,
                r#"<w:OptionSet><w:Option Name="NEW" MustComply="true">1</w:Option></w:OptionSet>"#,
                "<rsp:Shell/>",
            ),
            0x8033_8051,
            "w:InvalidOptions",
        ),
        (
            envelope(
                &action("Command"),
                "",
                "<rsp:CommandLine><rsp:Command>x</rsp:Command></rsp:CommandLine>",
            ),
            0x8033_805A,
            "w:InvalidSelectors",
        ),
        (
            envelope_for("http://example.test/", GET, "", ""),
            0x8033_803B,
            "a:DestinationUnreachable",
        ),
    ] {
        let reply = wire.post(&body).await;
        reply.fault(number, subcode);
        assert!(
            reply.head.contains("content-type: application/soap+xml;charset=UTF-8"),
            "{}",
            reply.head
        );
    }
    let strange = r#"<x:New xmlns:x="urn:x" s:mustUnderstand="true"/>"#;
    let reply = wire.post(&envelope(CREATE, strange, "<rsp:Shell/>")).await;
    assert!(reply.body.contains("<s:Value>s:MustUnderstand</s:Value>"), "{}", reply.body);
    assert!(reply.body.contains("Code=\"2150858768\""), "{}", reply.body);
    wire.send(&[&good.as_bytes()[..50], b"\xFF\xFE\xFD"].concat()).await;
    wire.reply().await.unwrap().fault(0x8033_802C, "w:EncodingLimit");
    let timeout = wire
        .post(&envelope(CREATE, "<w:OperationTimeout>PT-1S</w:OperationTimeout>", "<rsp:Shell/>"))
        .await;
    assert!(
        timeout
            .body
            .contains("The XML contains an invalid timeout field in the SOAP header: PT-1S. "),
        "{}",
        timeout.body
    );
    let shell = wire.open().await;
    assert_eq!(wire.run(&shell, "echo on").await.0, "on\n");
}

#[tokio::test]
async fn unknown_shells_and_commands_are_invalid_selectors() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let nobody = "11111111-2222-3333-4444-555555555555";
    for shell in [nobody, "nonsense"] {
        let reply = wire.try_command(shell, "true").await;
        reply.fault(2_150_858_843, "w:InvalidSelectors");
        assert!(reply.body.contains("faultDetail/UnexpectedSelectors"), "{}", reply.body);
        wire.delete(shell).await.fault(2_150_858_843, "w:InvalidSelectors");
    }
    let shell = wire.open().await;
    wire.receive(&shell, nobody).await.fault(2_150_858_843, "w:InvalidSelectors");
    wire.signal(&shell, nobody, "ctrl_c")
        .await
        .fault(2_150_858_843, "w:InvalidSelectors");
    wire.stdin(&shell, nobody, b"x", true, "PT20S")
        .await
        .fault(2_150_858_843, "w:InvalidSelectors");
    // Another user's shell is no shell either.
    let mut bob = service.connect().await;
    bob.headers = BOB.to_owned();
    bob.try_command(&shell, "true").await.fault(2_150_858_843, "w:InvalidSelectors");
    bob.delete(&shell).await.fault(2_150_858_843, "w:InvalidSelectors");
    assert_eq!(wire.delete(&shell).await.status, 200);
}

#[tokio::test]
async fn ids_of_the_clients_choice_are_taken_once() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let id = "0a0b0c0d-1111-2222-3333-444444444444";
    let create = envelope(CREATE, "", &format!(r#"<rsp:Shell ShellId="{id}"/>"#));
    assert_eq!(wire.post(&create).await.text("rsp:ShellId"), id.to_uppercase());
    wire.post(&create).await.fault(0x8033_81D7, "w:AlreadyExists");
    let line = |id: &str| format!(r#"<rsp:CommandLine CommandId="{id}"><rsp:Command>sleep 1000</rsp:Command></rsp:CommandLine>"#);
    let command = envelope(&action("Command"), &selector(id), &line(id));
    assert_eq!(wire.post(&command).await.text("rsp:CommandId"), id.to_uppercase());
    wire.post(&command).await.fault(0x8033_81D6, "w:AlreadyExists");
    wire.post(&envelope(&action("Command"), &selector(id), &line("x")))
        .await
        .fault(0x8033_81D4, "w:SchemaValidationError");
}

#[tokio::test]
async fn quotas_are_kept_and_given_back() {
    let limits = quotas(|quotas| {
        quotas.max_shells_per_user = 2;
        quotas.max_processes_per_shell = 2;
        quotas.max_concurrent_operations_per_user = 4;
    });
    let service = start(builder().quotas(limits)).await;
    let mut wire = service.connect().await;
    let (shell, other) = (wire.open().await, wire.open().await);
    let create = envelope(CREATE, "", "<rsp:Shell/>");
    let full = wire.post(&create).await;
    let text = full.fault(2_150_859_173, "w:QuotaLimit");
    assert!(
        text.contains("This user is allowed a maximum number of 2 concurrent shells, which has been exceeded."),
        "{text}"
    );
    let mut bob = service.connect().await;
    bob.headers = BOB.to_owned();
    bob.open().await;
    wire.delete(&other).await;
    let other = wire.open().await;

    let sleeping = wire.command(&shell, "sleep 1000").await;
    wire.command(&shell, "sleep 1000").await;
    wire.try_command(&shell, "true").await.fault(0x8033_81E9, "w:QuotaLimit");
    wire.command(&other, "sleep 1000").await;
    let last = wire.command(&other, "true").await;
    wire.try_command(&other, "true").await.fault(2_150_859_174, "w:QuotaLimit");
    wire.signal(&shell, &sleeping, "terminate").await;
    wire.finish(&other, &last).await;
    // The operation is given back once the command is gone for good.
    while wire.try_command(&shell, "true").await.status != 200 {}
}

#[tokio::test]
async fn an_idle_shell_is_removed_with_its_commands_and_one_in_use_is_not() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let body = "<rsp:Shell><rsp:IdleTimeOut>PT0.5S</rsp:IdleTimeOut></rsp:Shell>";
    let created = wire.post(&envelope(CREATE, "", body)).await;
    assert_eq!(created.text("rsp:IdleTimeOut"), "PT0.500S");
    let shell = created.text("rsp:ShellId").to_owned();
    let command = wire.command(&shell, "echo $$; exec sleep 1000").await;
    let pid = String::from_utf8(wire.receive(&shell, &command).await.stream("stdout")).unwrap();
    // A Receive that waits longer than the idle timeout is use.
    wire.post(&wire::receive(&shell, &command, "PT1S"))
        .await
        .fault(2_150_858_793, "w:TimedOut");
    wire::until_gone(pid.trim().parse().unwrap()).await;
    wire.try_command(&shell, "true").await.fault(2_150_858_843, "w:InvalidSelectors");
}

#[tokio::test]
async fn too_large_a_request_is_refused_before_it_is_read() {
    let limits = quotas(|quotas| quotas.max_envelope_size_kb = 10);
    let service = start(builder().quotas(limits)).await;
    let mut wire = service.connect().await;
    // No byte of the body is sent.
    wire.raw(&format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\n{}Content-Length: 999999\r\n\r\n",
        wire::ALICE
    ))
    .await;
    wire.reply().await.unwrap().fault(0x8033_8035, "w:EncodingLimit");
    // In chunks, without a length; and a stranger learns nothing.
    for (authorization, status) in [(wire::ALICE, 500), ("", 401)] {
        let mut wire = service.connect().await;
        wire.raw(&format!(
            "POST /wsman HTTP/1.1\r\nHost: x\r\n{authorization}Transfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
        for _ in 0..4 {
            wire.raw(&format!("1000\r\n{}\r\n", "x".repeat(0x1000))).await;
        }
        assert_eq!(wire.reply().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let limits = quotas(|quotas| {
        quotas.header_timeout = Duration::from_millis(200);
        quotas.body_timeout = Duration::from_millis(200);
        quotas.keep_alive_timeout = Duration::from_millis(600);
    });
    let service = start(builder().quotas(limits)).await;
    let mut head = service.connect().await;
    head.raw("POST /wsman HTTP/1.1\r\nHost:").await;
    assert!(head.reply().await.is_none());
    let mut body = service.connect().await;
    body.raw(&format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\n{}Content-Length: 100\r\n\r\nbegin",
        wire::ALICE
    ))
    .await;
    assert_eq!(body.reply().await.unwrap().status, 408);
    assert!(body.reply().await.is_none());
    let mut silent = service.connect().await;
    assert!(silent.reply().await.is_none());
    // A request that takes longer than all of these is none of them, and the connection rests after it.
    let mut patient = service.connect().await;
    let shell = patient.open().await;
    let command = patient.command(&shell, "sleep 1; echo done").await;
    assert_eq!(patient.finish(&shell, &command).await.0, b"done\n");
    assert!(patient.reply().await.is_none());
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let limits = quotas(|quotas| {
        quotas.write_timeout = Duration::from_millis(300);
        quotas.max_envelope_size_kb = 32_000;
    });
    let service = start(builder().quotas(limits)).await;
    let mut wire = service.connect().await;
    let shell = wire.open().await;
    let command = wire.command(&shell, "yes").await;
    // Answers pile up until the sockets are full.
    for _ in 0..400 {
        wire.send(wire::receive(&shell, &command, "PT20S").as_bytes()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut rest = Vec::new();
    // What is in the sockets still arrives; then the connection ends, well-formed or not.
    let _ = wire.stream.read_to_end(&mut rest).await;
    let mut other = service.connect().await;
    assert_eq!(other.delete(&shell).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let service = start(builder().quotas(quotas(|quotas| quotas.max_connections = 2))).await;
    let (mut one, mut two) = (service.connect().await, service.connect().await);
    let shell = one.open().await;
    two.open().await;
    let mut three = service.connect().await;
    assert_eq!(three.reply().await.unwrap().status, 503);
    drop(two);
    // The place is free a moment later.
    loop {
        let mut again = service.connect().await;
        again.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        match again.reply().await {
            Some(reply) if reply.status == 404 => break,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    assert_eq!(one.run(&shell, "echo on").await.0, "on\n");
}

#[tokio::test]
async fn heads_are_bounded() {
    let limits = quotas(|quotas| {
        quotas.max_headers = 10;
        quotas.max_header_size = 8_192;
    });
    let service = start(builder().quotas(limits)).await;
    let many = "X: y\r\n".repeat(20);
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    for headers in [many, long] {
        let mut wire = service.connect().await;
        wire.raw(&format!("POST /wsman HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\n\r\n"))
            .await;
        assert_eq!(wire.reply().await.unwrap().status, 431);
    }
    let mut wire = service.connect().await;
    wire.raw("NONSENSE\r\n\r\n").await;
    assert_eq!(wire.reply().await.unwrap().status, 400);
    service.connect().await.open().await;
}

#[tokio::test]
async fn the_configuration_says_what_the_limits_are() {
    let limits = quotas(|quotas| {
        quotas.max_envelope_size_kb = 150;
        quotas.max_shells_per_user = 5;
    });
    let service = start(builder().quotas(limits)).await;
    let mut wire = service.connect().await;
    let reply = wire
        .post(&envelope_for("http://schemas.microsoft.com/wbem/wsman/1/config", GET, "", ""))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    for (tag, value) in [
        ("cfg:MaxEnvelopeSizekb", "150"),
        ("cfg:MaxTimeoutms", "60000"),
        ("cfg:MaxConcurrentOperationsPerUser", "1500"),
        ("cfg:MaxShellsPerUser", "5"),
        ("cfg:IdleTimeout", "7200000"),
    ] {
        assert_eq!(reply.text(tag), value, "{tag}");
    }
    // The client's settings stand in front, by the same names.
    let service = &reply.body[reply.body.find("<cfg:Service>").unwrap()..];
    assert!(service.contains("<cfg:AllowUnencrypted>true<"), "{service}");
    assert!(service.contains("<cfg:Basic>true<"), "{service}");
}
