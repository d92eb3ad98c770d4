//! From a request's envelope to its answer.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use winrm_proto::config::Config;
use winrm_proto::identify::IdentifyResponse;
use winrm_proto::shell::{
    CommandResponse, CreateResponse, DeleteResponse, ReceiveRequest, SendRequest, SendResponse, Signal, SignalRequest, SignalResponse,
};
use winrm_proto::xml::{Limits, decode};
use winrm_proto::{Envelope, Header, Request, ResponseHeader, WriteError, ns};

use crate::command::{Input, Wanted};
use crate::faults::{self, Refusal};
use crate::host::ProcessSignal;
use crate::server::Service;
use crate::shell::Shell;
use crate::shells::new_id;

/// Who sent a request, and how.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) user: String,
    /// The client's address.
    pub(crate) address: String,
}

/// An envelope to send.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) envelope: Vec<u8>,
}

/// A request that was understood.
struct Call {
    request: Request,
    header: Header,
    deadline: Instant,
}

/// The smallest MaxEnvelopeSize of a client, [DSP0226] R6.2-4.
const MIN_ENVELOPE: u32 = 8_192;

/// What an answer to Receive takes beside the output: headers, tags, the ends of the streams.
const RECEIVE_OVERHEAD: usize = 2_048;

/// The operation timeout of a request that has none: the largest there is.
const NO_TIMEOUT: Duration = Duration::MAX;

/// The options that mean something here.
const OPTIONS: &[&str] = &[
    "WINRS_NOPROFILE",
    "WINRS_CODEPAGE",
    "WINRS_CONSOLEMODE_STDIN",
    "WINRS_SKIP_CMD_SHELL",
    "WSMAN_CMDSHELL_OPTION_KEEPALIVE",
];

/// Carries a request out.
pub(crate) async fn answer(service: &Service, caller: &Caller, body: &[u8]) -> Answer {
    let mut relates_to = None;
    let call = match understand(service, body, &mut relates_to) {
        Ok(call) => call,
        Err(fault) => return refuse(service, fault, relates_to),
    };
    let header = ResponseHeader {
        message_id: message_id(),
        relates_to: relates_to.clone(),
    };
    tracing::debug!(user = caller.user, action = call.header.action, "request");
    match carry_out(service, caller, call, &header).await {
        Ok(Ok(envelope)) => Answer {
            status: StatusCode::OK,
            envelope,
        },
        Ok(Err(error)) => {
            tracing::warn!(%error, "an answer can't be written");
            refuse(service, faults::unwritable(), None)
        }
        Err(fault) => refuse(service, fault, relates_to),
    }
}

/// Whether the body is an Identify request, and the answer that tells a stranger no versions.
pub(crate) fn identify_stranger(service: &Service, body: &[u8]) -> Option<Answer> {
    let text = decode(body).ok()?;
    let envelope = Envelope::parse(&text, &limits(service)).ok()?;
    let header = envelope.header().ok()?;
    matches!(Request::read(&envelope, &header), Ok(Request::Identify)).then_some(())?;
    Some(Answer {
        status: StatusCode::OK,
        envelope: identity("0.0.0").write().ok()?,
    })
}

/// The answer to a request whose body is larger than allowed.
pub(crate) fn too_large(service: &Service) -> Answer {
    refuse(service, faults::too_large(), None)
}

fn refuse(service: &Service, mut fault: Refusal, relates_to: Option<String>) -> Answer {
    faults::sign(&mut fault, &service.settings.machine);
    tracing::debug!(code = fault.number(), subcode = fault.subcode, "fault");
    let header = ResponseHeader {
        message_id: message_id(),
        relates_to,
    };
    Answer {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        envelope: fault.write(&header).unwrap_or_default(),
    }
}

fn limits(service: &Service) -> Limits {
    // UTF-16 may be twice as long as the UTF-8 that is parsed, and the reverse.
    Limits::default().with_bytes(service.settings.quotas.max_envelope_bytes().saturating_mul(2))
}

/// Reads a request. Everything borrowed from the body ends here.
fn understand(service: &Service, body: &[u8], relates_to: &mut Option<String>) -> Result<Call, Refusal> {
    let unreadable = |error: winrm_proto::ReadError| faults::unreadable(&error);
    let text = decode(body).map_err(|error| unreadable(error.into()))?;
    let envelope = Envelope::parse(&text, &limits(service)).map_err(unreadable)?;
    let message_id = envelope
        .header_element()
        .and_then(|header| header.child(ns::ADDRESSING, "MessageID"));
    *relates_to = message_id.map(|id| id.text().trim().to_owned());
    let header = envelope.header().map_err(unreadable)?;
    let request = Request::read(&envelope, &header);
    if !matches!(request, Ok(Request::Identify)) {
        check(&header)?;
    }
    let timeout = header.operation_timeout.unwrap_or(NO_TIMEOUT);
    Ok(Call {
        request: request.map_err(unreadable)?,
        deadline: Instant::now() + timeout.min(service.settings.quotas.max_timeout),
        header,
    })
}

fn check(header: &Header) -> Result<(), Refusal> {
    if !header.not_understood.is_empty() {
        return Err(faults::not_understood());
    }
    if header.action.is_empty() || header.message_id.is_none() {
        return Err(faults::header_required());
    }
    if header.max_envelope_size.is_some_and(|size| size < MIN_ENVELOPE) {
        return Err(faults::envelope_too_small());
    }
    let unknown = |name: &str| !OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if header.options.iter().any(|option| option.must_comply && unknown(&option.name)) {
        return Err(faults::unsupported_option());
    }
    Ok(())
}

type Written = Result<Vec<u8>, WriteError>;

async fn carry_out(service: &Service, caller: &Caller, call: Call, header: &ResponseHeader) -> Result<Written, Refusal> {
    let Call {
        request,
        header: asked,
        deadline,
    } = call;
    let shells = &service.shells;
    let resource = asked.resource_uri.as_deref().unwrap_or_default();
    let needs_shell = !matches!(request, Request::Identify | Request::Get(_) | Request::Unknown { .. });
    if needs_shell && !resource.eq_ignore_ascii_case(ns::SHELL_CMD) {
        return Err(faults::unknown_resource(resource));
    }
    Ok(match request {
        Request::Identify => identity(&kernel_version()).write(),
        Request::Get(get) => {
            let _operation = shells.operation(&caller.user)?;
            let uri = get.resource.uri.trim_end_matches('/');
            if [ns::SHELL, ns::SHELL_CMD].iter().any(|shell| uri.eq_ignore_ascii_case(shell)) {
                let shell = shells.find(&caller.user, asked.shell_id().map_err(|error| faults::unreadable(&error))?)?;
                describe(&shell, caller, &asked).write_to_get(header)
            } else if uri.eq_ignore_ascii_case(ns::CONFIG) {
                config(service).write(header)
            } else {
                return Err(faults::unknown_resource(&get.resource.uri));
            }
        }
        Request::Create(create) => {
            let _operation = shells.operation(&caller.user)?;
            describe(&*shells.create(&caller.user, create)?, caller, &asked).write(header)
        }
        Request::Delete(delete) => {
            let shell = shells.find(&caller.user, &delete.shell_id)?;
            shells.close(&shell);
            DeleteResponse.write(header)
        }
        Request::Command(command) => {
            let shell = shells.find(&caller.user, &command.shell_id)?;
            let _visit = shell.visit();
            let command_id = shell.start(shells, command).await?;
            CommandResponse { command_id }.write(header)
        }
        Request::Send(send) => {
            send_input(service, caller, send, deadline).await?;
            SendResponse.write(header)
        }
        Request::Receive(receive) => return receive_output(service, caller, receive, &asked, deadline, header).await,
        Request::Signal(signal) => {
            pass_signal(service, caller, &signal)?;
            SignalResponse.write(header)
        }
        _ => return Err(faults::unknown_action()),
    })
}

fn describe(shell: &Shell, caller: &Caller, asked: &Header) -> CreateResponse {
    let mut response = CreateResponse::default();
    response.shell_id = shell.context.id.clone();
    response.resource_uri = ns::SHELL_CMD.to_owned();
    response.address = asked.to.clone().unwrap_or_default();
    response.owner = Some(shell.context.user.clone());
    response.client_ip = Some(caller.address.clone());
    response.idle_timeout = Some(shell.idle_timeout);
    response.input_streams = shell.input_streams.clone();
    response.output_streams = shell.output_streams.clone();
    response
}

async fn send_input(service: &Service, caller: &Caller, send: SendRequest, deadline: Instant) -> Result<(), Refusal> {
    let shell = service.shells.find(&caller.user, &send.shell_id)?;
    let _visit = shell.visit();
    let first = send.streams.first().ok_or_else(faults::parameter)?;
    let command = shell.command(first.command_id.as_deref())?;
    let one_command = send.streams.iter().all(|stream| stream.command_id == first.command_id);
    if !one_command || send.streams.iter().any(|stream| stream.name != "stdin") {
        return Err(faults::parameter());
    }
    let input = Input {
        end: send.streams.iter().any(|stream| stream.end),
        data: send.streams.into_iter().map(|stream| stream.data).collect(),
    };
    command.send(input, deadline).await
}

async fn receive_output(
    service: &Service,
    caller: &Caller,
    receive: ReceiveRequest,
    asked: &Header,
    deadline: Instant,
    header: &ResponseHeader,
) -> Result<Written, Refusal> {
    let shell = service.shells.find(&caller.user, &receive.shell_id)?;
    let _visit = shell.visit();
    // The shell has no output of its own: Windows answers "The parameter is incorrect".
    let command_id = receive.command_id.as_deref().ok_or_else(faults::parameter)?;
    let command = shell.command(Some(command_id))?;
    let wants = |name: &str| receive.streams.iter().any(|stream| stream == name);
    let wanted = Wanted {
        stdout: wants("stdout"),
        stderr: wants("stderr"),
    };
    if receive.streams.is_empty() || receive.streams.iter().any(|stream| stream != "stdout" && stream != "stderr") {
        return Err(faults::parameter());
    }
    let largest = service.settings.quotas.max_envelope_bytes();
    let largest = asked.max_envelope_size.map_or(largest, |size| largest.min(size as usize));
    // Three bytes of output are four of base64.
    let room = (largest.saturating_sub(RECEIVE_OVERHEAD) / 4 * 3).max(1);
    let response = command.receive(wanted, room, deadline).await?;
    Ok(response.write(header))
}

fn pass_signal(service: &Service, caller: &Caller, signal: &SignalRequest) -> Result<(), Refusal> {
    let shell = service.shells.find(&caller.user, &signal.shell_id)?;
    let _visit = shell.visit();
    let command = shell.command(signal.command_id.as_deref())?;
    match recognised(&signal.signal).ok_or_else(faults::parameter)? {
        Signal::Terminate => {
            shell.forget(&command);
            tokio::spawn(command.end());
        }
        Signal::CtrlC => command.tell(ProcessSignal::Interrupt),
        _ => command.tell(ProcessSignal::Break),
    }
    Ok(())
}

/// The signal meant: PowerShell's own ctrl_c is used for commands too.
fn recognised(signal: &Signal) -> Option<Signal> {
    match signal {
        Signal::Other(uri) => (uri == "powershell/signal/ctrl_c").then_some(Signal::CtrlC),
        known => Some(known.clone()),
    }
}

fn config(service: &Service) -> Config {
    let settings = &service.settings;
    let quotas = &settings.quotas;
    let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let mut config = Config::default();
    config.max_envelope_size_kb = Some(quotas.max_envelope_size_kb);
    config.max_timeout_ms = Some(millis(quotas.max_timeout));
    config.max_concurrent_operations_per_user = Some(quotas.max_concurrent_operations_per_user);
    config.max_connections = Some(quotas.max_connections);
    config.allow_unencrypted = Some(settings.allow_unencrypted);
    config.auth = settings
        .methods
        .iter()
        .filter_map(|method| Some((method.config_name()?.to_owned(), "true".to_owned())))
        .collect();
    config.idle_timeout_ms = Some(millis(quotas.idle_timeout));
    config.max_shells_per_user = Some(quotas.max_shells_per_user);
    config.max_processes_per_shell = Some(quotas.max_processes_per_shell);
    config
}

fn identity(version: &str) -> IdentifyResponse {
    IdentifyResponse {
        protocol_version: "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd".to_owned(),
        product_vendor: concat!("winrm-server ", env!("CARGO_PKG_VERSION")).to_owned(),
        product_version: format!("OS: {version} SP: 0.0 Stack: 3.0"),
        security_profiles: Vec::new(),
    }
}

/// The kernel's version as far as it is numbers: `6.1.0`.
fn kernel_version() -> String {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let end = release.find(|character: char| !character.is_ascii_digit() && character != '.');
    release[..end.unwrap_or(release.len())].trim_matches('.').to_owned()
}

fn message_id() -> String {
    format!("uuid:{}", new_id())
}
