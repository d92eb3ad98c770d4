use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::fault::{self, Fault, FaultCode};
use crate::header::HeaderOption;
use crate::identify::{Identify, IdentifyResponse};
use crate::transfer::Get;
use crate::xml::{Limits, decode};
use crate::{Envelope, Header, ReadError, Request, RequestHeader, ResponseHeader, WriteError, ns};

const MESSAGE: &str = "uuid:7C31C1E6-0000-4000-8000-0123456789AB";

fn header() -> RequestHeader {
    RequestHeader {
        session_id: Some("uuid:1".into()),
        ..RequestHeader::new("http://host:5985/wsman?a=1&b=2")
    }
}

fn response_header() -> ResponseHeader {
    ResponseHeader {
        message_id: "uuid:2".into(),
        relates_to: Some(MESSAGE.into()),
    }
}

fn with_envelope<T>(bytes: &[u8], check: impl FnOnce(&Envelope<'_>) -> T) -> T {
    let text = decode(bytes).unwrap();
    let envelope = Envelope::parse(&text, &Limits::default()).unwrap();
    check(&envelope)
}

fn reread(bytes: &[u8]) -> Request {
    with_envelope(bytes, |envelope| Request::read(envelope, &envelope.header().unwrap()).unwrap())
}

#[test]
fn options_and_selectors_stand_in_the_header() {
    let request = CommandRequest {
        skip_cmd_shell: Some(true),
        ..CommandRequest::new("S", "x")
    };
    with_envelope(&request.write(&header(), MESSAGE).unwrap(), |envelope| {
        let element = envelope.header_element().unwrap();
        assert!(element.child(ns::WSMAN, "OptionSet").is_some() && element.child(ns::WSMAN, "SelectorSet").is_some());
        let header = envelope.header().unwrap();
        assert_eq!(header.flag("winrs_skip_cmd_shell"), Ok(Some(true)));
        assert_eq!(header.shell_id(), Ok("S"));
        assert_eq!(header.to.as_deref(), Some("http://host:5985/wsman?a=1&b=2"));
        assert_eq!(header.message_id.as_deref(), Some(MESSAGE));
        assert_eq!(header.operation_timeout, Some(Duration::from_secs(20)));
        assert_eq!(header.max_envelope_size, Some(512_000));
        assert_eq!(
            (header.locale.as_deref(), header.session_id.as_deref()),
            (Some("en-US"), Some("uuid:1"))
        );
        assert_eq!(header.reply_to.as_deref(), Some(ns::ANONYMOUS));
        assert!(header.not_understood.is_empty());
    });
}

#[test]
fn headers_that_must_be_understood_and_are_not_are_named() {
    let text = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:x='urn:x'><s:Header><x:A s:mustUnderstand='1'/>\
        <x:B mustUnderstand='true'/><x:C s:mustUnderstand='false'/><x:D/></s:Header><s:Body/></s:Envelope>";
    let envelope = Envelope::parse(text, &Limits::default()).unwrap();
    assert_eq!(envelope.header().unwrap().not_understood, ["A", "B"]);
}

#[test]
fn a_wrong_header_is_named_with_its_value() {
    let bytes = DeleteShell::new("S").write(&header(), MESSAGE).unwrap();
    let text = String::from_utf8(bytes).unwrap().replace("PT20.000S", "PT-1S");
    let error = Envelope::parse(&text, &Limits::default()).unwrap().header().unwrap_err();
    assert!(
        matches!(&error, ReadError::Invalid { name, value, .. } if name == "OperationTimeout" && value == "PT-1S"),
        "{error:?}"
    );
}

#[test]
fn characters_xml_cannot_carry_are_an_error_that_says_where() {
    let mut request = CommandRequest::new("S", "echo");
    request.arguments = vec!["fine".into(), "a\u{0}b".into()];
    let error = request.write(&header(), MESSAGE).unwrap_err();
    assert_eq!(
        error,
        WriteError {
            what: "argument 2".into(),
            position: 1,
            code_point: 0
        }
    );
}

#[test]
fn answers_of_windows_are_read() {
    // The form of a Windows host: other prefixes, pieces of one byte, ends on empty streams.
    let text = format!(
        r#"<Envelope xmlns="{}" xmlns:q="{}"><Body><q:ReceiveResponse><q:Stream Name="stdout" CommandId="C">aGk=</q:Stream>
        <q:Stream Name='stdout' CommandId='C'><![CDATA[Cg]]>=<!-- -->=</q:Stream><q:Stream Name="stderr" CommandId="C" End="TRUE"/>
        <q:CommandState CommandId="C" State="http://x/CommandState/Done"><q:ExitCode>4294967295</q:ExitCode></q:CommandState>
        </q:ReceiveResponse></Body></Envelope>"#,
        ns::SOAP,
        ns::SHELL
    );
    let envelope = Envelope::parse(&text, &Limits::default()).unwrap();
    let response = ReceiveResponse::read(&envelope).unwrap();
    let got: Vec<_> = response
        .streams
        .iter()
        .map(|stream| (stream.name.as_str(), &stream.data[..], stream.end))
        .collect();
    assert_eq!(
        got,
        [("stdout", &b"hi"[..], false), ("stdout", b"\n", false), ("stderr", b"", true)]
    );
    let state = response.state.unwrap();
    assert_eq!((state.state, state.exit_code), (State::Done, Some(u32::MAX)));
}

#[test]
fn base64_that_is_not_is_an_error_and_line_breaks_in_it_are_not() {
    let text = |data: &str| {
        format!(
            "<s:Envelope xmlns:s='{}'><s:Body><r:ReceiveResponse xmlns:r='{}'><r:Stream Name='stdout'>{data}</r:Stream></r:ReceiveResponse></s:Body></s:Envelope>",
            ns::SOAP,
            ns::SHELL
        )
    };
    let read = |data: &str| {
        let text = text(data);
        ReceiveResponse::read(&Envelope::parse(&text, &Limits::default()).unwrap())
    };
    assert_eq!(&read("aGVs\n bG8=\r\n").unwrap().streams[0].data[..], b"hello");
    for bad in ["aGVsbG8", "a*==", "=", "aGVs bG8"] {
        assert!(
            matches!(read(bad), Err(ReadError::Invalid { name, .. }) if name == "Stream stdout"),
            "{bad}"
        );
    }
}

#[test]
fn a_fault_of_windows_is_decoded_to_the_last_detail() {
    let text = format!(
        r#"<s:Envelope xmlns:s="{}" xmlns:w="{}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InvalidSelectors</s:Value></s:Subcode></s:Code>
        <s:Reason><s:Text xml:lang="en-US">Invalid selectors. </s:Text></s:Reason><s:Detail><w:FaultDetail>urn:d</w:FaultDetail>
        <f:WSManFault xmlns:f="{}" Code="2150858843" Machine="h"><f:Message><f:ProviderFault provider="Shell provider" path="x.dll">
        <f:WSManFault Code="5" Machine="h"><f:Message>inner</f:Message></f:WSManFault><e:Error xmlns:e="urn:e"><e:A>1</e:A></e:Error></f:ProviderFault></f:Message></f:WSManFault>
        </s:Detail></s:Fault></s:Body></s:Envelope>"#,
        ns::SOAP,
        ns::WSMAN,
        ns::WSMAN_FAULT
    );
    let fault = Envelope::parse(&text, &Limits::default()).unwrap().fault().unwrap();
    assert_eq!(
        (fault.code, fault.subcode.as_deref()),
        (FaultCode::Sender, Some("InvalidSelectors"))
    );
    assert_eq!((fault.number(), fault.message()), (Some(fault::code::INVALID_SELECTORS), "inner"));
    assert!(fault.has_number(5) && !fault.has_number(6));
    assert_eq!(fault.detail_uri.as_deref(), Some("urn:d"));
    let provider = fault.wsman.as_ref().unwrap().provider.as_ref().unwrap();
    assert_eq!(
        (provider.provider.as_deref(), provider.path.as_deref()),
        (Some("Shell provider"), Some("x.dll"))
    );
    assert_eq!(provider.details, [("A".to_owned(), "1".to_owned())]);
    assert_eq!(fault.to_string(), "inner (fault 0x8033805B)");
}

#[test]
fn a_quota_fault_may_come_as_an_error_of_wmi() {
    let text = format!(
        r#"<s:Envelope xmlns:s="{}"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang="">r</s:Text></s:Reason><s:Detail>
        <p:MSFT_WmiError xmlns:p="{}"><p:ErrorSource/><p:Message>quota</p:Message><p:error_Code>2150859174</p:error_Code></p:MSFT_WmiError></s:Detail></s:Fault></s:Body></s:Envelope>"#,
        ns::SOAP,
        ns::WMI_ERROR
    );
    let fault = Envelope::parse(&text, &Limits::default()).unwrap().fault().unwrap();
    assert_eq!((fault.number(), fault.message()), (Some(fault::code::TOO_MANY_OPERATIONS), "quota"));
    assert_eq!(fault.wmi.unwrap().properties.len(), 2);
}

#[test]
fn faults_and_small_answers_read_back() {
    let fault = Fault::new(FaultCode::Receiver, "TimedOut", fault::code::OPERATION_TIMEOUT, "too <late>").with_detail("X");
    let again = with_envelope(&fault.write(&response_header()).unwrap(), |envelope| envelope.fault());
    assert_eq!(again, Some(fault));
    assert_eq!(reread(&Identify.write()), Request::Identify);
    let identity = IdentifyResponse {
        protocol_version: ns::WSMAN.into(),
        product_vendor: "V & Co".into(),
        product_version: "OS: 1".into(),
        security_profiles: vec!["p".into(), "q".into()],
    };
    with_envelope(&identity.write().unwrap(), |envelope| {
        assert_eq!(IdentifyResponse::read(envelope).unwrap(), identity)
    });
    assert_eq!(
        reread(&Get::config().write(&header(), MESSAGE).unwrap()),
        Request::Get(Get::config())
    );
    let config = Config {
        max_envelope_size_kb: Some(500),
        allow_unencrypted: Some(false),
        auth: vec![("Basic".into(), "true".into())],
        max_shells_per_user: Some(30),
        ..Config::default()
    };
    with_envelope(&config.write(&response_header()).unwrap(), |envelope| {
        assert_eq!(Config::read(envelope).unwrap(), config)
    });
    for (bytes, action) in [
        (SendResponse.write(&response_header()).unwrap(), SendResponse::ACTION),
        (SignalResponse.write(&response_header()).unwrap(), SignalResponse::ACTION),
        (DeleteResponse.write(&response_header()).unwrap(), DeleteResponse::ACTION),
    ] {
        with_envelope(&bytes, |envelope| {
            let header = envelope.header().unwrap();
            assert_eq!((header.action.as_str(), header.relates_to.as_deref()), (action, Some(MESSAGE)));
        });
    }
}

#[test]
fn a_send_fills_the_envelope_and_no_more() {
    for max in [10_000, 153_600, 512_000] {
        let mut send = SendRequest {
            shell_id: "S".into(),
            streams: vec![stream("stdin", Some("C".into()), Vec::new(), true)],
        };
        let capacity = send.capacity(&header(), MESSAGE, max).unwrap();
        send.streams[0].data = vec![0; capacity].into();
        let length = send.write(&header(), MESSAGE).unwrap().len();
        assert!(length <= max && length + 8 > max, "{length} of {max}");
    }
}

fn stream(name: &str, command_id: Option<String>, data: Vec<u8>, end: bool) -> StreamData {
    StreamData {
        name: name.into(),
        command_id,
        data: Bytes::from(data),
        end,
    }
}

fn text() -> impl Strategy<Value = String> {
    "[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\u{FFFE}\\u{FFFF}]{0,30}"
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,12}"
}

fn streams() -> impl Strategy<Value = Vec<StreamData>> {
    let one = (
        name(),
        proptest::option::of(name()),
        proptest::collection::vec(any::<u8>(), 0..200),
        any::<bool>(),
    );
    proptest::collection::vec(one.prop_map(|(name, command, data, end)| stream(&name, command, data, end)), 0..5)
}

fn millis() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((0u64..1 << 40).prop_map(Duration::from_millis))
}

proptest! {
    #[test]
    fn create_reads_back(
        ids in (proptest::option::of(name()), proptest::option::of(text())),
        codepage in proptest::option::of(any::<u32>()),
        no_profile in proptest::option::of(any::<bool>()),
        options in proptest::collection::vec((name(), text(), any::<bool>()), 0..3),
        environment in proptest::collection::vec((text(), text()), 0..4),
        directory in proptest::option::of(text()),
        times in (millis(), millis()),
        streams in (proptest::collection::vec(name(), 0..3), proptest::collection::vec(name(), 0..3)),
    ) {
        let options = options.into_iter().map(|(name, value, must_comply)| HeaderOption { name, value, must_comply }).collect();
        let request = CreateShell {
            resource_uri: ns::SHELL_CMD.into(), shell_id: ids.0, name: ids.1, codepage, no_profile, options, environment,
            working_directory: directory, idle_timeout: times.0, lifetime: times.1, input_streams: streams.0, output_streams: streams.1,
        };
        prop_assert_eq!(reread(&request.write(&header(), MESSAGE).unwrap()), Request::Create(request));
    }

    #[test]
    fn commands_signals_and_deletes_read_back(
        shell in name(), id in proptest::option::of(name()), command in text(), arguments in proptest::collection::vec(text(), 0..4),
        switches in (proptest::option::of(any::<bool>()), proptest::option::of(any::<bool>())), other in "[a-z:/]{1,20}",
    ) {
        let request = CommandRequest {
            shell_id: shell.clone(), command_id: id.clone(), command, arguments, console_mode_stdin: switches.0, skip_cmd_shell: switches.1,
        };
        prop_assert_eq!(reread(&request.write(&header(), MESSAGE).unwrap()), Request::Command(request));
        for signal in [Signal::Terminate, Signal::CtrlC, Signal::CtrlBreak, Signal::Other(other)] {
            let request = SignalRequest { shell_id: shell.clone(), command_id: id.clone(), signal };
            prop_assert_eq!(reread(&request.write(&header(), MESSAGE).unwrap()), Request::Signal(request));
        }
        let request = DeleteShell::new(&shell);
        prop_assert_eq!(reread(&request.write(&header(), MESSAGE).unwrap()), Request::Delete(request));
        let response = CommandResponse { command_id: shell.clone() };
        let again = with_envelope(&response.write(&response_header()).unwrap(), CommandResponse::read).unwrap();
        prop_assert_eq!(again, response);
        let response = CreateResponse { shell_id: shell, owner: id, resource_uri: ns::SHELL_CMD.into(), ..CreateResponse::default() };
        let again = with_envelope(&response.write(&response_header()).unwrap(), CreateResponse::read).unwrap();
        prop_assert_eq!(again, response);
    }

    #[test]
    fn streams_read_back_both_ways(shell in name(), command in proptest::option::of(name()), streams in streams(), names in proptest::collection::vec(name(), 0..3),
        keep_alive in any::<bool>(), code in proptest::option::of(any::<u32>())) {
        let send = SendRequest { shell_id: shell.clone(), streams: streams.clone() };
        prop_assert_eq!(reread(&send.write(&header(), MESSAGE).unwrap()), Request::Send(send));
        let receive = ReceiveRequest { shell_id: shell, command_id: command.clone(), streams: names, keep_alive };
        prop_assert_eq!(reread(&receive.write(&header(), MESSAGE).unwrap()), Request::Receive(receive));
        for state in [State::Running, State::Done, State::Pending] {
            let response = ReceiveResponse {
                streams: streams.clone(),
                state: Some(CommandState { command_id: command.clone(), state, exit_code: code }),
            };
            let again = with_envelope(&response.write(&response_header()).unwrap(), ReceiveResponse::read).unwrap();
            prop_assert_eq!(again, response);
        }
    }

    #[test]
    fn a_damaged_message_never_panics(position in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<proptest::sample::Index>()) {
        let request = CreateShell { environment: vec![("A".into(), "b".into())], codepage: Some(65_001), ..CreateShell::default() };
        let mut bytes = request.write(&header(), MESSAGE).unwrap();
        bytes.truncate(cut.index(bytes.len()) + 1);
        let at = position.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = decode(&bytes)
            && let Ok(envelope) = Envelope::parse(&text, &Limits::default())
        {
            let header = envelope.header().unwrap_or_else(|_| Header::default());
            let _ = (Request::read(&envelope, &header), CreateShell::read(&envelope, &header), envelope.fault());
        }
    }
}
