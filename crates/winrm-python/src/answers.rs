//! What pywinrm reads of answers, from the bytes that came.
//!
//! Answers are untrusted: they are read by namespace, bounded in size and depth. What is no envelope, or not the one that was waited for, is
//! an error of the kind "protocol".

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use winrm_proto::shell::{CommandResponse, CreateResponse, ReceiveResponse, State};
use winrm_proto::xml::{Element, Limits};
use winrm_proto::{Envelope, ReadError, ns};

use crate::failure::Failure;

/// An answer: bytes as they came, or text.
#[derive(FromPyObject)]
pub(crate) enum Answer {
    Bytes(PyBackedBytes),
    Text(PyBackedStr),
}

impl Answer {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }

    /// Reads the answer while others have the interpreter.
    fn read<T: Send>(&self, py: Python<'_>, operation: &'static str, read: fn(&Envelope<'_>) -> Result<T, ReadError>) -> PyResult<T> {
        let bytes = self.bytes();
        let result = py.detach(|| {
            let text = winrm_proto::xml::decode(bytes)?;
            // Who sent it was asked for less; what is here is in memory already.
            let limits = Limits::default().with_bytes(bytes.len() + text.len());
            read(&Envelope::parse(&text, &limits)?)
        });
        result.map_err(|error| {
            let failure = Failure::of("protocol", &error);
            failure.about(&format!("the answer to {operation} can't be understood")).raised(py)
        })
    }
}

/// The id of the shell that was opened.
#[pyfunction]
pub(crate) fn shell_id(py: Python<'_>, answer: Answer) -> PyResult<String> {
    answer.read(py, "Create", |envelope| {
        CreateResponse::read(envelope).map(|created| created.shell_id)
    })
}

/// The id of the command that was started.
#[pyfunction]
pub(crate) fn command_id(py: Python<'_>, answer: Answer) -> PyResult<String> {
    answer.read(py, "Command", |envelope| {
        CommandResponse::read(envelope).map(|started| started.command_id)
    })
}

/// The id of the message that is answered, if the answer says so.
#[pyfunction]
pub(crate) fn relates_to(py: Python<'_>, answer: Answer) -> PyResult<Option<String>> {
    answer.read(py, "a message", |envelope| envelope.header().map(|header| header.relates_to))
}

/// Standard output, standard error, the exit code or -1, and whether the command has ended.
#[pyfunction]
pub(crate) fn output<'py>(py: Python<'py>, answer: Answer) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, i64, bool)> {
    let answer = answer.read(py, "Receive", ReceiveResponse::read)?;
    let of_stream = |name: &str| {
        let pieces: Vec<&[u8]> = answer
            .streams
            .iter()
            .filter(|piece| piece.name == name)
            .map(|piece| piece.data.as_ref())
            .collect();
        match pieces.as_slice() {
            [piece] => PyBytes::new(py, piece),
            pieces => PyBytes::new(py, &pieces.concat()),
        }
    };
    let done = answer.state.as_ref().filter(|state| state.state == State::Done);
    let code = done.and_then(|state| state.exit_code).map_or(-1, i64::from);
    Ok((of_stream("stdout"), of_stream("stderr"), code, done.is_some()))
}

/// A fault as pywinrm has it: the codes with their prefixes, the first reason, the number of Windows' detail, that of WMI's.
type Fault = (Option<String>, Option<String>, Option<String>, Option<u32>, Option<u32>);

/// The fault that this text holds; `None` for anything else, XML or not.
#[pyfunction]
pub(crate) fn fault(answer: Answer) -> Option<Fault> {
    let text = winrm_proto::xml::decode(answer.bytes()).ok()?;
    let limits = Limits::default().with_bytes(text.len());
    let envelope = Envelope::parse(&text, &limits).ok()?;
    let fault = envelope.body().child(ns::SOAP, "Fault")?;
    let code = fault.child(ns::SOAP, "Code");
    let value = |of: Option<Element<'_, '_>>| of?.child(ns::SOAP, "Value").and_then(text_of);
    let detail = |name: &str| {
        fault
            .child(ns::SOAP, "Detail")?
            .children()
            .find(|detail| detail.local_name() == name)
    };
    let number = |text: &str| text.trim().parse().ok();
    Some((
        value(code),
        value(code.and_then(|code| code.child(ns::SOAP, "Subcode"))),
        fault
            .child(ns::SOAP, "Reason")
            .and_then(|reason| reason.child(ns::SOAP, "Text"))
            .and_then(text_of),
        detail("WSManFault").and_then(|detail| number(detail.attribute("", "Code")?)),
        detail("MSFT_WmiError").and_then(|detail| {
            let code = detail.children().find(|property| property.local_name() == "error_Code")?;
            number(code.text())
        }),
    ))
}

fn text_of(element: Element<'_, '_>) -> Option<String> {
    Some(element.text()).filter(|text| !text.is_empty()).map(str::to_owned)
}
