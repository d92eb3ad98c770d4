//! What goes wrong, with the codes and in the words of Windows (`wsmerror.h`, `winerror.h`; fault subcodes and details of [DSP0226] 14.6).

use winrm_proto::fault::{FaultCode, ProviderFault, WsmanFault};
use winrm_proto::xml::XmlErrorKind;
use winrm_proto::{Fault, ReadError};

use crate::host::HostError;

mod cim;
mod configuration;

pub(crate) use cim::*;
pub(crate) use configuration::*;

use FaultCode::{Receiver, Sender};

/// A fault instead of an answer.
pub(crate) type Refusal = Box<Fault>;

/// What can be said of a request that can't be understood.
pub(crate) fn unreadable(error: &ReadError) -> Refusal {
    match error {
        ReadError::Xml(error) => match error.kind {
            XmlErrorKind::Encoding(_) => detailed(
                "CharacterSet",
                Sender,
                "EncodingLimit",
                0x8033_802C,
                "The request contains character encoding that is unsupported. WS-Management only supports requests that are encoded in UTF-8 or UTF-16. Change the character encoding in the request and try the request again. ",
            ),
            XmlErrorKind::TooLarge(_) => too_large(),
            _ => refusal(
                Sender,
                "SchemaValidationError",
                0x8033_8043,
                format!("The WS-Management service cannot process the request because the XML is invalid. ({error}) "),
            ),
        },
        ReadError::Version { .. } => refusal(
            FaultCode::VersionMismatch,
            "SchemaValidationError",
            0x8033_800D,
            "The WS-Management service does not support the SOAP version specified in the request. ",
        ),
        ReadError::NotSoap { .. } => refusal(
            Sender,
            "SchemaValidationError",
            0x8033_8043,
            "The WS-Management service cannot process the request because the XML is invalid. ",
        ),
        ReadError::Missing { name } => missing(name),
        ReadError::Invalid { name, value, .. } => invalid(name, value),
        _ => schema(),
    }
}

fn missing(name: &str) -> Refusal {
    match name {
        "Body" => refusal(
            Sender,
            "SchemaValidationError",
            0x8033_8027,
            "The WS-Management service cannot process the request because the request packet does not have a valid SOAP body. ",
        ),
        "ResourceURI" => detailed(
            "InvalidResourceURI",
            Sender,
            "DestinationUnreachable",
            0x8033_803B,
            "The WS-Management service cannot process the request. The resource URI is missing or it has an incorrect format. Check the documentation or use the following command for information on how to construct a resource URI: \"winrm help uris\". ",
        ),
        "the selector ShellId" => insufficient_selectors(),
        _ => schema(),
    }
}

fn invalid(name: &str, value: &str) -> Refusal {
    let header = |what: &str| {
        let mut fault = refusal(
            Sender,
            "InvalidMessageInformationHeader",
            0x8033_800F,
            "The WS-Management service cannot process the request. The request contains one or more invalid SOAP headers. ",
        );
        say(
            &mut fault,
            format!(
                "The WS-Management service cannot process the request. The XML contains an invalid {what} field in the SOAP header: {value}. "
            ),
        );
        fault
    };
    match name {
        "OperationTimeout" => header("timeout"),
        "MaxEnvelopeSize" => header("maximum envelope size"),
        _ if name.starts_with("WINRS_") || name.starts_with("WSMAN_CMDSHELL_") => detailed(
            "InvalidValue",
            Sender,
            "InvalidOptions",
            0x8033_8053,
            "The WS-Management service cannot process the request because one or more of the options has an invalid value. ",
        ),
        _ => schema(),
    }
}

fn schema() -> Refusal {
    refusal(
        Sender,
        "SchemaValidationError",
        0x8033_8041,
        "The SOAP XML in the message does not match the corresponding XML schema definition. Change the XML and retry. ",
    )
}

/// A header that WS-Addressing asks for isn't there.
pub(crate) fn header_required() -> Refusal {
    refusal(
        Sender,
        "MessageInformationHeaderRequired",
        0x8033_8011,
        "The WS-Management service cannot process the request. The request does not have all the expected SOAP headers. ",
    )
}

pub(crate) fn not_understood() -> Refusal {
    let mut fault = refusal(
        FaultCode::MustUnderstand,
        "",
        0x8033_8010,
        "The WS-Management service cannot process a SOAP header in the request that is marked as mustUnderstand by the client. This could be caused by the use of a version of the protocol which is not supported, or may be an incompatibility between the client and server implementations. ",
    );
    fault.subcode = None;
    fault
}

pub(crate) fn unknown_action() -> Refusal {
    refusal(
        Sender,
        "ActionNotSupported",
        0x8033_8013,
        "The WS-Management service does not support the action specified in the request. ",
    )
}

pub(crate) fn unknown_resource(uri: &str) -> Refusal {
    let mut fault = missing("ResourceURI");
    say(
        &mut fault,
        format!(
            "The WS-Management service cannot process the request. The resource URI ({uri}) was not found in the WS-Management catalog. The catalog contains the metadata that describes resources, or logical endpoints. "
        ),
    );
    fault
}

pub(crate) fn unsupported_option() -> Refusal {
    detailed(
        "NotSupported",
        Sender,
        "InvalidOptions",
        0x8033_8051,
        "The WS-Management provider does not support the specified option set because mustComply for one of the options is set to true. Change mustComply for one of the options to false. ",
    )
}

/// The request is larger than MaxEnvelopeSizekb.
pub(crate) fn too_large() -> Refusal {
    detailed(
        "MaxEnvelopeSize",
        Sender,
        "EncodingLimit",
        0x8033_8035,
        "The WS-Management service cannot process the request because the encoding of the request exceeds an internal encoding limit. Reconfigure the client to send messages which fit the encoding limits of the service. ",
    )
}

/// The answer holds what XML can't carry.
pub(crate) fn unwritable() -> Refusal {
    refusal(
        Receiver,
        "InternalError",
        0x8033_8003,
        "An error was encountered inside the plugin. ",
    )
}

/// The client takes only answers that are too small to hold anything.
pub(crate) fn envelope_too_small() -> Refusal {
    detailed(
        "MinimumEnvelopeLimit",
        Sender,
        "EncodingLimit",
        0x8033_807E,
        "The WS-Management service cannot process the request because the envelope size in the request is too small. ",
    )
}

pub(crate) fn no_such_shell() -> Refusal {
    let mut fault = selectors();
    provider(&mut fault, "Shell provider", r"%systemroot%\system32\WsmSvc.dll");
    fault
}

pub(crate) fn no_such_command() -> Refusal {
    let mut fault = selectors();
    say(
        &mut fault,
        "The Windows Remote Shell received a request to perform an operation on a command identifier that does not exist. Either the command has completed execution or the client specified an invalid command identifier. ".to_owned(),
    );
    fault
}

pub(crate) fn selectors() -> Refusal {
    detailed(
        "UnexpectedSelectors",
        Sender,
        "InvalidSelectors",
        0x8033_805B,
        "The WS-Management service cannot process the request because the request contained invalid selectors for the resource. ",
    )
}

/// A selector that the resource needs isn't there.
pub(crate) fn insufficient_selectors() -> Refusal {
    detailed(
        "InsufficientSelectors",
        Sender,
        "InvalidSelectors",
        0x8033_805A,
        "The WS-Management service cannot process the request because the request did not contain all required selectors. ",
    )
}

/// The selectors pick more than one instance.
pub(crate) fn ambiguous_selectors() -> Refusal {
    detailed(
        "AmbiguousSelectors",
        Sender,
        "InvalidSelectors",
        0x8033_805E,
        "The WS-Management service cannot process the request because the selectors for the resource are ambiguous. ",
    )
}

pub(crate) fn selector_value() -> Refusal {
    detailed(
        "InvalidValue",
        Sender,
        "InvalidSelectors",
        0x8033_805D,
        "The WS-Management service cannot process the request because a value for the selector is invalid. ",
    )
}

/// The selectors pick nothing.
pub(crate) fn resource_not_found() -> Refusal {
    refusal(
        Sender,
        "DestinationUnreachable",
        0x8033_8000,
        "The WS-Management service cannot process the request. The service cannot find the resource identified by the resource URI and selectors. ",
    )
}

pub(crate) fn already_exists() -> Refusal {
    refusal(
        Sender,
        "AlreadyExists",
        0x8033_8033,
        "The WS-Management service cannot create the resource because it already exists. ",
    )
}

/// RootSDDL, or what the account is, forbids it.
pub(crate) fn access_denied() -> Refusal {
    refusal(Sender, "AccessDenied", 5, "Access is denied. ")
}

/// `AllowRemoteShellAccess` is off.
pub(crate) fn remote_shells_not_allowed() -> Refusal {
    refusal(
        Sender,
        "AccessDenied",
        0x8033_81AC,
        "The WS-Management service cannot process the request. The service is configured to not accept any remote shell requests. ",
    )
}

pub(crate) fn too_many_shell_users() -> Refusal {
    quota(
        0x8033_81AB,
        "The WS-Management service cannot process the request. The maximum number of users executing shell operations has been exceeded. Retry after some time or raise the quota for concurrent shell users. ".to_owned(),
    )
}

/// The answer is larger than the client takes, or the service sends.
pub(crate) fn answer_too_large() -> Refusal {
    detailed(
        "MaxEnvelopeSizeExceeded",
        Sender,
        "EncodingLimit",
        0x8033_8048,
        "The response that the WS-Management service computed exceeds the maximum envelope size in the request. ",
    )
}

/// The same of a request that has changed something.
pub(crate) fn success_too_large() -> Refusal {
    detailed(
        "UnreportableSuccess",
        Receiver,
        "EncodingLimit",
        0x8033_804D,
        "The operation succeeded and cannot be reversed but the result is too large to send. ",
    )
}

/// A part of a resource was asked for that it doesn't have.
pub(crate) fn fragment_path() -> Refusal {
    detailed(
        "FragmentLevelAccess",
        Sender,
        "UnsupportedFeature",
        0x8033_8093,
        "Cannot execute the Fragment-Level operation because the fragment path is invalid. Check the syntax of the fragment path string. Also check the spelling and the case of the property names in the fragment path string: they have to match the spelling and the case of the resource properties. ",
    )
}

/// What the request wants is nothing that this service can do.
pub(crate) fn impossible(why: &str) -> Refusal {
    let mut fault = refusal(
        Sender,
        "UnsupportedFeature",
        0x8033_8042,
        "The WS-Management service does not support the specified feature. Remove the unsupported feature from the request and retry. ",
    );
    say(
        &mut fault,
        format!("The WS-Management service does not support the specified feature: {why}. "),
    );
    fault
}

/// Of [DSP0226] 8, what is wrong with a list that goes on.
pub(crate) fn enumeration_context() -> Refusal {
    refusal(
        Receiver,
        "InvalidEnumerationContext",
        0x8033_801B,
        "The WS-Enumeration context in the enumeration is not valid. Enumeration may have been completed or canceled. You cannot use this enumeration context anymore. Start a new enumeration. ",
    )
}

pub(crate) fn filtering_not_supported() -> Refusal {
    refusal(
        Sender,
        "FilteringNotSupported",
        0x8033_8018,
        "The data source does not support filtering. Remove the filter from the request and try the request again. ",
    )
}

/// All classes of a namespace can't be listed, only those that a query asks for.
pub(crate) fn filter_required() -> Refusal {
    detailed(
        "FilteringRequired",
        Sender,
        "UnsupportedFeature",
        0x8033_8070,
        "The WS-Management service does not support unfiltered enumeration. ",
    )
}

pub(crate) fn filter_dialect() -> Refusal {
    refusal(
        Sender,
        "FilterDialectRequestedUnavailable",
        0x8033_8019,
        "The filter dialect (the type associated with the filter) was not supported for this resource. Change the filter dialect or remove it from the request and try the request again. ",
    )
}

pub(crate) fn shell_id_invalid() -> Refusal {
    refusal(
        Sender,
        "SchemaValidationError",
        0x8033_81D5,
        "The WinRM service cannot process the request because the shell ID specified by the client is not a valid GUID. Provide a valid ID and try again. ",
    )
}

pub(crate) fn command_id_invalid() -> Refusal {
    refusal(
        Sender,
        "SchemaValidationError",
        0x8033_81D4,
        "The WinRM service cannot process the request because the command ID specified by the client is not a valid GUID. Modify the request and retry the request. ",
    )
}

pub(crate) fn shell_exists() -> Refusal {
    refusal(
        Sender,
        "AlreadyExists",
        0x8033_81D7,
        "The WinRM service cannot process the request. A resource already exists with the shell ID specified by the client. ",
    )
}

pub(crate) fn command_exists() -> Refusal {
    refusal(
        Sender,
        "AlreadyExists",
        0x8033_81D6,
        "The WinRM service cannot process the request. A command already exists with the command ID specified by the client. ",
    )
}

pub(crate) fn idle_timeout_out_of_bounds() -> Refusal {
    refusal(
        Sender,
        "InvalidParameter",
        0x8033_81F2,
        "The WS-Management service cannot process the request. The requested IdleTimeout is outside the allowed range. ",
    )
}

pub(crate) fn too_many_shells(allowed: u32) -> Refusal {
    quota(
        0x8033_81A5,
        format!(
            "The WS-Management service cannot process the request. This user is allowed a maximum number of {allowed} concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user. "
        ),
    )
}

pub(crate) fn too_many_operations(allowed: u32) -> Refusal {
    quota(
        0x8033_81A6,
        format!(
            "The WS-Management service cannot process the request. This user is allowed a maximum number of {allowed} concurrent operations, which has been exceeded. Close existing operations for this user, or raise the quota for this user. "
        ),
    )
}

pub(crate) fn too_many_commands() -> Refusal {
    quota(
        0x8033_81E9,
        "The WS-Management service cannot process the request. The maximum number of concurrent commands per shell has been exceeded. Retry the request later or raise the Maximum Commands per Shell quota. ".to_owned(),
    )
}

fn quota(number: u32, text: String) -> Refusal {
    refusal(Sender, "QuotaLimit", number, text)
}

/// Nothing came within the operation timeout.
pub(crate) fn timed_out() -> Refusal {
    refusal(
        Receiver,
        "TimedOut",
        0x8033_8029,
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  ",
    )
}

/// The command was ended, or the service ends, while a request waited for it.
pub(crate) fn aborted() -> Refusal {
    of_command(
        995,
        "The I/O operation has been aborted because of either a thread exit or an application request. ",
    )
}

/// The command has closed its input.
pub(crate) fn input_closed() -> Refusal {
    of_command(232, "The pipe is being closed. ")
}

/// A parameter of a shell operation isn't one that the command shell knows.
pub(crate) fn parameter() -> Refusal {
    let mut fault = detailed("InvalidValue", Sender, "InvalidParameter", 87, "The parameter is incorrect. ");
    provider_text(&mut fault, "The parameter is incorrect. ");
    fault
}

/// The host couldn't start a command.
pub(crate) fn not_started(error: &HostError) -> Refusal {
    match error {
        HostError::NotFound => of_command(0x8007_0002, "The system cannot find the file specified. "),
        HostError::Directory => of_command(0x8007_010B, "The directory name is invalid. "),
        HostError::AccessDenied => of_command(5, "Access is denied. "),
        HostError::Refused { code, message } => of_command(*code, message),
        HostError::Io(error) => of_command(0x8007_001F, &format!("The command cannot be started: {error}. ")),
    }
}

/// A fault as the plug-in behind the command shell reports it.
fn of_command(number: u32, text: &str) -> Refusal {
    let mut fault = refusal(Receiver, "InternalError", number, text);
    provider_text(&mut fault, text);
    fault
}

fn provider_text(fault: &mut Refusal, text: &str) {
    if let Some(detail) = &mut fault.wsman {
        detail.message.clear();
        detail.provider = Some(ProviderFault {
            provider: Some("Shell cmd plugin".to_owned()),
            path: Some(r"%systemroot%\system32\winrscmd.dll".to_owned()),
            message: text.to_owned(),
            ..ProviderFault::default()
        });
    }
}

/// Moves the detail's message into that of a provider.
fn provider(fault: &mut Refusal, name: &str, path: &str) {
    if let Some(detail) = &mut fault.wsman {
        let nested = WsmanFault {
            code: detail.code,
            message: std::mem::take(&mut detail.message),
            ..WsmanFault::default()
        };
        detail.provider = Some(ProviderFault {
            provider: Some(name.to_owned()),
            path: Some(path.to_owned()),
            fault: Some(Box::new(nested)),
            ..ProviderFault::default()
        });
    }
}

/// Gives the detail another message than the reason.
fn say(fault: &mut Refusal, message: String) {
    if let Some(detail) = &mut fault.wsman {
        detail.message = message;
    }
}

/// Puts the machine's name into a fault.
pub(crate) fn sign(fault: &mut Fault, machine: &str) {
    let mut detail = fault.wsman.as_mut();
    while let Some(current) = detail {
        current.machine = Some(machine.to_owned());
        detail = current.provider.as_mut().and_then(|provider| provider.fault.as_deref_mut());
    }
}

fn refusal(code: FaultCode, subcode: &str, number: u32, text: impl Into<String>) -> Refusal {
    Box::new(Fault::new(code, subcode, number, text))
}

fn detailed(detail: &str, code: FaultCode, subcode: &str, number: u32, text: impl Into<String>) -> Refusal {
    Box::new(Fault::new(code, subcode, number, text).with_detail(detail))
}
