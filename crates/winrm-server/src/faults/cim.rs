//! What is wrong with a request for classes: WMI's own errors (`wbemcli.h`) inside WS-Management's.

use winrm_proto::fault::FaultCode::{Receiver, Sender};
use winrm_proto::fault::WmiError;

use super::{Refusal, refusal, say};

/// There is no such class in the namespace.
pub(crate) fn no_class() -> Refusal {
    wmi(0x8004_1010, "Invalid class ")
}

pub(crate) fn no_namespace() -> Refusal {
    wmi(0x8004_100E, "Invalid namespace ")
}

/// The namespace's descriptor forbids it.
pub(crate) fn namespace_denied() -> Refusal {
    wmi(0x8004_1003, "Access denied ")
}

pub(crate) fn no_method() -> Refusal {
    wmi(0x8004_102E, "Invalid method ")
}

pub(crate) fn method_parameters() -> Refusal {
    wmi(0x8004_102F, "Invalid method Parameter(s) ")
}

/// The class can't do this.
pub(crate) fn not_capable() -> Refusal {
    wmi(0x8004_1024, "Provider is not capable of the attempted operation ")
}

/// What is behind the class failed: a WMI error, Win32 error or HRESULT and its text.
pub(crate) fn class_failed(number: u32, text: &str) -> Refusal {
    wmi(number, text)
}

/// A query that can't be carried out, and why.
pub(crate) fn query(why: &str) -> Refusal {
    let mut fault = refusal(
        Sender,
        "CannotProcessFilter",
        0x8033_801A,
        "The data source could not process the filter. The filter might be missing or it might be invalid. Change the filter and try the request again. ",
    );
    say(
        &mut fault,
        format!(
            "The data source could not process the filter. The filter might be missing or it might be invalid. Change the filter and try the request again. (WQL, {why}) "
        ),
    );
    fault.wmi = Some(error(0x8004_1017, "Invalid query "));
    fault
}

fn wmi(number: u32, text: &str) -> Refusal {
    let mut fault = refusal(Receiver, "InternalError", number, text);
    fault.wmi = Some(error(number, text));
    fault
}

fn error(number: u32, text: &str) -> WmiError {
    WmiError {
        code: Some(number),
        message: text.to_owned(),
        ..WmiError::default()
    }
}
