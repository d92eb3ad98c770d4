//! Every kind of bad answer: the exact kind of error, its sentence, and whether the command may have run.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::error::Error as _;
use std::time::Duration;

use support::{Host, Reply, created, envelope, fault, http, received, well};
use winrm::{Error, ErrorKind, MayHaveRun};

/// Runs a command against a host that answers `action` with `reply`, and everything else well.
async fn failure(action: &'static str, reply: Reply) -> (Error, Host) {
    let host = Host::start(move |seen| if seen.action() == action { reply.clone() } else { well(seen) }).await;
    let error = host.impatient().command("x").output().await.unwrap_err();
    (error, host)
}

#[track_caller]
fn assert_error(error: &Error, kind: ErrorKind, sentence: &str, may_have_run: MayHaveRun) {
    assert_eq!(
        (error.kind(), error.to_string().as_str(), error.may_have_run()),
        (kind, sentence, may_have_run)
    );
}

#[tokio::test]
async fn a_wrong_password_says_what_is_offered() {
    let reply = Reply::Raw(http(
        "401 ",
        "WWW-Authenticate: Basic realm=\"WSMAN\"\r\nWWW-Authenticate: Negotiate\r\n",
        b"",
    ));
    let (error, host) = failure("Create", reply).await;
    let sentence = format!(
        "{} refused the credentials of alice with basic (HTTP 401); it offers Basic, Negotiate",
        host.url()
    );
    assert_error(&error, ErrorKind::Unauthorized, &sentence, MayHaveRun::No);
    assert!(error.is_auth());
    assert!(error.hint().unwrap().contains("check user and password"), "{error:?}");
    assert_eq!(host.actions(), ["Create"]);
    assert_eq!(host.seen()[0].header("authorization"), Some("Basic YWxpY2U6c2VjcmV0"));
    assert!(!format!("{error:?}").contains("c2VjcmV0"));
}

#[tokio::test]
async fn a_host_without_basic_is_named() {
    let (error, _) = failure("Create", Reply::Raw(http("401 ", "WWW-Authenticate: Negotiate, Kerberos\r\n", b""))).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().unwrap().starts_with("the host does not take Basic"), "{error:?}");
}

#[tokio::test]
async fn http_statuses_have_their_own_sentences() {
    use ErrorKind::{Forbidden, NotWinRm, Protocol};
    for (status, headers, kind, sentence, may_have_run) in [
        ("403 ", "", Forbidden, "URL denies access (HTTP 403)", MayHaveRun::No),
        ("404 ", "", NotWinRm, "there is no WinRM service at URL (HTTP 404)", MayHaveRun::No),
        (
            "405 ",
            "",
            NotWinRm,
            "URL takes no POST requests (HTTP 405): it is no WinRM service",
            MayHaveRun::No,
        ),
        ("413 ", "", Protocol, "URL found a request too large (HTTP 413)", MayHaveRun::No),
        ("400 ", "", Protocol, "URL could not read a request (HTTP 400)", MayHaveRun::No),
        (
            "302 ",
            "Location: https://login.example/\r\n",
            NotWinRm,
            "URL sends clients elsewhere, to https://login.example/ (HTTP 302)",
            MayHaveRun::No,
        ),
        ("503 ", "", NotWinRm, "no service runs behind URL (HTTP 503)", MayHaveRun::Unknown),
        (
            "502 ",
            "Content-Type: text/html\r\n",
            Protocol,
            "URL failed with HTTP 502, with a web page",
            MayHaveRun::Unknown,
        ),
    ] {
        let (error, host) = failure("Command", Reply::Raw(http(status, headers, b"<html>no</html>"))).await;
        assert_error(&error, kind, &sentence.replace("URL", &host.url()), may_have_run);
        assert!(error.hint().is_some(), "{status}");
    }
}

#[tokio::test]
async fn what_is_no_soap_is_told() {
    for (headers, body, kind, sentence) in [
        (
            "Content-Type: text/html; charset=utf-8\r\n",
            "<html></html>",
            ErrorKind::NotWinRm,
            "URL answered with a web page, not with WinRM's SOAP",
        ),
        (
            "Content-Type: application/json\r\n",
            "{}",
            ErrorKind::NotWinRm,
            "URL answered with data of the kind application/json, not with WinRM's SOAP",
        ),
        ("", "", ErrorKind::Protocol, "URL answered with nothing (HTTP 200, no body)"),
    ] {
        let (error, host) = failure("Create", Reply::Raw(http("200 OK", headers, body.as_bytes()))).await;
        assert_error(&error, kind, &sentence.replace("URL", &host.url()), MayHaveRun::No);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_told() {
    let (error, host) = failure("Create", Reply::Last(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())).await;
    let sentence = format!("{} answered with something that is not HTTP", host.url());
    assert_error(&error, ErrorKind::NotWinRm, &sentence, MayHaveRun::No);
}

#[tokio::test]
async fn broken_soap_says_where() {
    let soap = "Content-Type: application/soap+xml\r\n";
    for (body, kind, source) in [
        (b"<a><b></a>".as_slice(), ErrorKind::Protocol, "the XML can't be read"),
        (b"\xff\xfe\xff", ErrorKind::Protocol, "the XML can't be read"),
        (b"caf\xe9", ErrorKind::Protocol, "the XML can't be read"),
        (b"<!DOCTYPE a><a/>", ErrorKind::Protocol, "the XML can't be read"),
        (b"<html/>", ErrorKind::NotWinRm, "the root element is html, not a SOAP Envelope"),
        (envelope("").as_bytes(), ErrorKind::Protocol, "CommandResponse is missing"),
    ] {
        let (error, host) = failure("Command", Reply::Raw(http("200 OK", soap, body))).await;
        let sentence = format!("the answer of {} can't be understood", host.url());
        assert_error(&error, kind, &sentence, MayHaveRun::Unknown);
        assert_eq!(error.source().unwrap().to_string(), source);
    }
}

#[tokio::test]
async fn output_that_is_not_base64_is_an_error_and_the_command_is_ended() {
    let (error, host) = failure("Receive", Reply::Soap(200, received(&[("stdout", "$$$")], Some(0)))).await;
    let sentence = format!("the answer of {} can't be understood", host.url());
    assert_error(&error, ErrorKind::Protocol, &sentence, MayHaveRun::Yes);
    assert!(error.source().unwrap().to_string().contains("it is not base64"), "{error:?}");
    assert_eq!(host.actions(), ["Create", "Command", "Receive", "Delete"]);
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer() {
    let mut cut = http("200 OK", "Content-Type: application/soap+xml\r\n", created("S").as_bytes());
    cut.truncate(cut.len() - 20);
    let (error, host) = failure("Command", Reply::Last(cut)).await;
    let sentence = format!("{} closed the connection before its answer was complete (Command)", host.url());
    assert_error(&error, ErrorKind::Closed, &sentence, MayHaveRun::Unknown);
    // It has answered before: that it speaks http is beyond doubt.
    assert!(error.hint().unwrap().starts_with("the host may have been restarted"), "{error:?}");
}

#[tokio::test]
async fn a_first_answer_that_never_comes_may_be_that_of_https() {
    let (error, _) = failure("Create", Reply::Last(Vec::new())).await;
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Closed, MayHaveRun::No));
    assert!(error.hint().unwrap().starts_with("the port may be for https"), "{error:?}");
}

#[tokio::test]
async fn oversized_answers_are_not_read() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut chunked = endless.clone();
    for _ in 0..20 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend_from_slice(&[b' '; 0x8000]);
        chunked.extend_from_slice(b"\r\n");
    }
    let announced = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 99999999\r\n\r\n".to_vec();
    for bytes in [chunked, announced] {
        let (error, host) = failure("Create", Reply::Raw(bytes)).await;
        let sentence = format!("{} answered with more than 577536 bytes", host.url());
        assert_error(&error, ErrorKind::Protocol, &sentence, MayHaveRun::No);
    }
}

#[tokio::test]
async fn a_silent_host_is_given_up() {
    for (action, may_have_run) in [
        ("Create", MayHaveRun::No),
        ("Command", MayHaveRun::Unknown),
        ("Receive", MayHaveRun::Yes),
    ] {
        let (error, host) = failure(action, Reply::Silence).await;
        let sentence = format!("{} has been silent for 300ms ({action})", host.url());
        assert_error(&error, ErrorKind::Timeout, &sentence, may_have_run);
        assert!(error.is_timeout());
    }
}

#[tokio::test]
async fn a_host_silent_within_its_answer_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 1000\r\n\r\n<s:Envelope".to_vec();
    let (error, _) = failure("Create", Reply::Raw(head)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn faults_are_kept_whole() {
    let (error, _) = failure("Create", fault(2150859173, "The maximum number of shells is exceeded.")).await;
    assert_error(&error, ErrorKind::Fault, "the host did not open a shell", MayHaveRun::No);
    let fault_ = error.as_fault().unwrap();
    assert_eq!(fault_.number(), Some(winrm::fault::code::TOO_MANY_SHELLS));
    assert_eq!(fault_.message(), "The maximum number of shells is exceeded.");
    assert_eq!(fault_.wsman.as_ref().unwrap().machine.as_deref(), Some("host"));
    assert!(error.hint().unwrap().contains("MaxShellsPerUser"));

    let (error, host) = failure("Create", fault(5, "Access is denied.")).await;
    assert_error(&error, ErrorKind::Forbidden, "the host did not open a shell", MayHaveRun::No);
    assert!(error.is_auth());
    assert_eq!(host.actions(), ["Create"], "nothing was opened, nothing is to be removed");
}

#[tokio::test]
async fn a_fault_of_the_command_removes_the_shell() {
    let (error, host) = failure("Command", fault(2147942402, "The system cannot find the file specified.")).await;
    assert_error(&error, ErrorKind::Fault, "the host did not start the command", MayHaveRun::No);
    // The shell is removed in the background.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while host.actions().len() < 3 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(host.actions(), ["Create", "Command", "Delete"]);
}
