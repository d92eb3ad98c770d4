//! From a request's envelope to its answer.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use winrm_proto::enumeration::ReleaseResponse;
use winrm_proto::identify::IdentifyResponse;
use winrm_proto::invoke::InvokeResponse;
use winrm_proto::shell::{
    CommandResponse, CreateResponse, DeleteResponse, ReceiveRequest, SendRequest, SendResponse, Signal, SignalRequest, SignalResponse,
};
use winrm_proto::transfer::Created;
use winrm_proto::xml::{Limits, decode};
use winrm_proto::{Envelope, Header, Request, ResponseHeader, WriteError, ns};

use crate::command::{Input, Wanted};
use crate::configuration::CertificateMapping;
use crate::faults::{self, Refusal};
use crate::host::ProcessSignal;
use crate::identities::Right;
use crate::listener::ListenerId;
use crate::resources;
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
    /// The listener that the request came through.
    pub(crate) listener: ListenerId,
    /// Of someone who is known by a certificate: the mappings that let him in, each for its resources.
    pub(crate) mappings: Option<Vec<CertificateMapping>>,
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
    let carried_out = match admit(service, caller, &call) {
        Ok(caller) => {
            tracing::debug!(user = caller.user, action = call.header.action, "request");
            carry_out(service, &caller, call, &header).await
        }
        Err(fault) => Err(fault),
    };
    match carried_out {
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
    Limits::default().with_bytes(service.configuration.current().quotas.max_envelope_bytes().saturating_mul(2))
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
        deadline: Instant::now() + timeout.min(service.configuration.current().quotas.max_timeout),
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

/// Whether the caller may do what he asks for; with the account that his certificate means for this resource.
fn admit<'a>(service: &Service, caller: &'a Caller, call: &Call) -> Result<Cow<'a, Caller>, Refusal> {
    let right = match &call.request {
        // What strangers may know.
        Request::Identify | Request::Unknown { .. } => return Ok(Cow::Borrowed(caller)),
        Request::Get(_) | Request::Enumerate(_) | Request::Pull(_) | Request::Release(_) => Right::Read,
        Request::Put(_) | Request::CreateInstance(_) | Request::DeleteInstance(_) => Right::Write,
        _ => Right::Execute,
    };
    let mut caller = Cow::Borrowed(caller);
    if let Some(mappings) = &caller.mappings {
        let resource = call.header.resource_uri.as_deref().unwrap_or_default();
        let mapping = mappings.iter().find(|mapping| mapping.covers(resource));
        let user = mapping.ok_or_else(faults::access_denied)?.user.clone();
        caller.to_mut().user = user;
    }
    let configuration = service.configuration.current();
    let allowed = service.settings.identities.allows(&configuration.root_sddl, &caller.user, right);
    if !allowed {
        tracing::info!(user = caller.user, ?right, "refused by RootSDDL");
        return Err(faults::access_denied());
    }
    Ok(caller)
}

type Written = Result<Vec<u8>, WriteError>;

async fn carry_out(service: &Service, caller: &Caller, call: Call, header: &ResponseHeader) -> Result<Written, Refusal> {
    let Call {
        request,
        header: asked,
        deadline,
    } = call;
    let shells = &service.shells;
    let largest = largest(service, &asked);
    let resource = asked.resource_uri.as_deref().unwrap_or_default();
    let of_shell = matches!(
        request,
        Request::Create(_) | Request::Delete(_) | Request::Command(_) | Request::Send(_) | Request::Receive(_) | Request::Signal(_)
    );
    // A shell of a list may be removed by the resource that the list is of.
    let listed = matches!(request, Request::Delete(_)) && resource.trim_end_matches('/').eq_ignore_ascii_case(ns::SHELL);
    if of_shell && !listed && !resource.eq_ignore_ascii_case(ns::SHELL_CMD) {
        return Err(faults::unknown_resource(resource));
    }
    Ok(match request {
        Request::Identify => identity(&kernel_version()).write(),
        Request::Get(get) => {
            let _operation = shells.operation(&caller.user)?;
            let response = within(deadline, resources::get(service, caller, &get)).await?;
            fitting(response.write_to_get(header), largest, faults::answer_too_large)?
        }
        Request::Put(put) => {
            let _operation = shells.operation(&caller.user)?;
            let response = resources::put(service, caller, &put).await?;
            fitting(response.write_to_put(header), largest, faults::success_too_large)?
        }
        Request::CreateInstance(create) => {
            let _operation = shells.operation(&caller.user)?;
            let created = Created {
                resource: resources::create(service, caller, &create).await?,
                address: asked.to.clone().unwrap_or_default(),
            };
            created.write(header)
        }
        Request::DeleteInstance(delete) => {
            let _operation = shells.operation(&caller.user)?;
            resources::delete(service, caller, &delete).await?;
            DeleteResponse.write(header)
        }
        Request::Enumerate(enumerate) => {
            let page = within(deadline, resources::enumerate(service, caller, &enumerate, largest)).await?;
            page.write_to_enumerate(header)
        }
        Request::Pull(pull) => resources::pull(service, caller, &pull, largest)?.write_to_pull(header),
        Request::Release(release) => {
            resources::release(service, caller, &release)?;
            ReleaseResponse.write(header)
        }
        Request::Invoke(invoke) => {
            let _operation = shells.operation(&caller.user)?;
            let output = within(deadline, resources::invoke(service, caller, &invoke)).await?;
            fitting(
                InvokeResponse { output }.write(header, &asked.action),
                largest,
                faults::success_too_large,
            )?
        }
        Request::Create(create) => {
            if !service.configuration.current().allow_remote_shell_access {
                return Err(faults::remote_shells_not_allowed());
            }
            let _operation = shells.operation(&caller.user)?;
            let shell = shells.create(&caller.user, &caller.address, create)?;
            describe(&shell, &asked).write(header)
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

/// What a class or the machine says, if it says it before the operation timeout is over.
async fn within<T>(deadline: Instant, answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let answer = tokio::time::timeout_at(deadline, answer).await;
    answer.unwrap_or_else(|_| Err(faults::timed_out()))
}

/// An answer, unless it is larger than the client takes or the service sends.
fn fitting(written: Written, largest: usize, otherwise: fn() -> Refusal) -> Result<Written, Refusal> {
    match written {
        Ok(envelope) if envelope.len() > largest => Err(otherwise()),
        written => Ok(written),
    }
}

fn describe(shell: &Shell, asked: &Header) -> CreateResponse {
    let mut response = CreateResponse::default();
    response.shell_id = shell.context.id.clone();
    response.resource_uri = ns::SHELL_CMD.to_owned();
    response.address = asked.to.clone().unwrap_or_default();
    response.owner = Some(shell.context.user.clone());
    response.client_ip = Some(shell.client.clone());
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
    let largest = largest(service, asked);
    // Three bytes of output are four of base64.
    let room = (largest.saturating_sub(RECEIVE_OVERHEAD) / 4 * 3).max(1);
    let response = command.receive(wanted, room, deadline).await?;
    Ok(response.write(header))
}

/// The largest answer, in bytes: that of the service or the client.
fn largest(service: &Service, asked: &Header) -> usize {
    let largest = service.configuration.current().quotas.max_envelope_bytes();
    asked.max_envelope_size.map_or(largest, |size| largest.min(size as usize))
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
