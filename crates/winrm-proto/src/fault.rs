//! SOAP faults with the details that Windows gives: reasons, codes, machine, provider.

mod meaning;

pub use meaning::{Meaning, meaning};

use crate::header::ResponseHeader;
use crate::ns;
use crate::xml::{Element, WriteError, XmlWriter};

/// Numbers that faults carry: Win32 errors, HRESULTs and the WS-Management errors of Windows' `wsmerror.h`.
pub mod code {
    /// The request works on something that another request still holds: try again.
    pub const BUSY: u32 = 170;
    /// The account may not do this.
    pub const ACCESS_DENIED: u32 = 5;
    /// A parameter is wrong.
    pub const INVALID_PARAMETER: u32 = 87;
    /// The operation was ended from elsewhere.
    pub const OPERATION_ABORTED: u32 = 995;
    /// A wait timed out.
    pub const TIMEOUT: u32 = 1460;
    /// The program or file was not found (HRESULT).
    pub const FILE_NOT_FOUND: u32 = 0x8007_0002;
    /// An operation on a registry key marked for deletion: the user's profile was unloaded, and the shell is gone.
    pub const KEY_DELETED: u32 = 0x8007_03FA;
    /// The service doesn't know the resource URI.
    pub const INVALID_RESOURCE_URI: u32 = 0x8033_803B;
    /// A header of the request is missing or wrong.
    pub const INVALID_HEADER: u32 = 0x8033_800F;
    /// Nothing listens there.
    pub const DESTINATION_UNREACHABLE: u32 = 0x8033_8012;
    /// Nothing came within the operation timeout: ask again.
    pub const OPERATION_TIMEOUT: u32 = 0x8033_8029;
    /// The request doesn't fit the schema.
    pub const SCHEMA_VALIDATION: u32 = 0x8033_8041;
    /// No such shell or command.
    pub const INVALID_SELECTORS: u32 = 0x8033_805B;
    /// Too many shells for this user.
    pub const TOO_MANY_SHELLS: u32 = 0x8033_81A5;
    /// Too many operations for this user or shell.
    pub const TOO_MANY_OPERATIONS: u32 = 0x8033_81A6;
}

/// What a code means for who uses shells, or what to do about it, in a plain sentence; `None` for codes that speak for themselves or
/// aren't known. [`meaning`] knows more of them.
#[must_use]
pub fn explain(number: u32) -> Option<&'static str> {
    Some(match number {
        code::OPERATION_TIMEOUT => "nothing happened within the operation timeout; asking again goes on",
        code::INVALID_SELECTORS => "the host knows no such shell or command; it has ended, or was removed by the idle timeout",
        code::SCHEMA_VALIDATION => "the host found the request not to fit its schema",
        code::INVALID_HEADER => "the host found a header of the request wrong",
        code::TOO_MANY_SHELLS => "this user has as many shells open as the host allows (MaxShellsPerUser)",
        code::TOO_MANY_OPERATIONS => "this user or shell has spent its quota of operations (MaxConcurrentOperationsPerUser)",
        code::DESTINATION_UNREACHABLE => "the host's WinRM service is not listening there",
        code::INVALID_RESOURCE_URI => "the host has no such resource",
        code::ACCESS_DENIED => {
            "access denied: the account may log on but not use WinRM's shell (RootSDDL, or a filtered local administrator)"
        }
        code::INVALID_PARAMETER => "the host found a parameter wrong",
        code::BUSY => "the resource is busy",
        code::OPERATION_ABORTED => "the operation was ended from elsewhere",
        code::TIMEOUT => "a wait on the host timed out",
        code::FILE_NOT_FOUND => "the host did not find the program or file",
        code::KEY_DELETED => "the user's profile was unloaded on the host; the shell is gone",
        _ => return meaning(number)?.advice,
    })
}

/// A SOAP 1.2 fault, all of it decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Whose fault it is.
    pub code: FaultCode,
    /// The local name of the subcode: `TimedOut`, `InvalidSelectors`.
    pub subcode: Option<String>,
    /// The reason, once for each language.
    pub reasons: Vec<Reason>,
    /// The URI of `wsman:FaultDetail`, \[DSP0226\] 14.6.
    pub detail_uri: Option<String>,
    /// Windows' own detail.
    pub wsman: Option<WsmanFault>,
    /// A detail that WMI made.
    pub wmi: Option<WmiError>,
}

/// The SOAP fault code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    /// The request was wrong.
    Sender,
    /// The service could not do it.
    Receiver,
    /// A header that has to be understood wasn't.
    MustUnderstand,
    /// The envelope is of another SOAP version.
    VersionMismatch,
    /// The encoding of the data isn't known.
    DataEncodingUnknown,
}

/// A fault's reason in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The language, `xml:lang`.
    pub language: String,
    /// The text.
    pub text: String,
}

/// `f:WSManFault`, \[MS-WSMV\] 2.2.4.44.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WsmanFault {
    /// The error's number, see [`code`].
    pub code: Option<u32>,
    /// The host's name as it knows itself.
    pub machine: Option<String>,
    /// The message without those nested in it.
    pub message: String,
    /// What a provider added.
    pub provider: Option<ProviderFault>,
}

/// `f:ProviderFault` within a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderFault {
    /// The provider's name.
    pub provider: Option<String>,
    /// The path of its library on the host.
    pub path: Option<String>,
    /// Its message.
    pub message: String,
    /// A fault nested in it.
    pub fault: Option<Box<WsmanFault>>,
    /// Other details: the name of each innermost element and its text.
    pub details: Vec<(String, String)>,
}

/// `MSFT_WmiError`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WmiError {
    /// The error's number, `error_Code`.
    pub code: Option<u32>,
    /// The message.
    pub message: String,
    /// All properties that have a value: name and text.
    pub properties: Vec<(String, String)>,
}

impl Fault {
    /// A fault with a WSManFault detail: how a service makes one.
    #[must_use]
    pub fn new(fault_code: FaultCode, subcode: &str, number: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code: fault_code,
            subcode: Some(subcode.to_owned()),
            reasons: vec![Reason {
                language: "en-US".to_owned(),
                text: message.clone(),
            }],
            detail_uri: None,
            wsman: Some(WsmanFault {
                code: Some(number),
                machine: None,
                message,
                provider: None,
            }),
            wmi: None,
        }
    }

    /// The same with the URI of a `wsman:FaultDetail`, of which `detail` is the last segment.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail_uri = Some(format!("http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/{detail}"));
        self
    }

    /// The fault's number: of the WSManFault, else of what is nested in it, else of WMI's error.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let nested = |fault: &WsmanFault| fault.code.or_else(|| fault.provider.as_ref()?.fault.as_ref()?.code);
        self.wsman.as_ref().and_then(nested).or_else(|| self.wmi.as_ref()?.code)
    }

    /// Whether the number stands anywhere in the fault.
    #[must_use]
    pub fn has_number(&self, number: u32) -> bool {
        let mut fault = self.wsman.as_ref();
        while let Some(current) = fault {
            if current.code == Some(number) {
                return true;
            }
            fault = current.provider.as_ref().and_then(|provider| provider.fault.as_deref());
        }
        self.wmi.as_ref().is_some_and(|error| error.code == Some(number))
    }

    /// The most telling message: the innermost of the details, else the reason.
    #[must_use]
    pub fn message(&self) -> &str {
        let mut best = self.reasons.first().map_or("", |reason| reason.text.as_str());
        if let Some(error) = &self.wmi
            && !error.message.trim().is_empty()
        {
            best = &error.message;
        }
        let mut fault = self.wsman.as_ref();
        while let Some(current) = fault {
            let provider = current.provider.as_ref();
            let texts = [Some(current.message.as_str()), provider.map(|provider| provider.message.as_str())];
            for text in texts.into_iter().flatten().filter(|text| !text.trim().is_empty()) {
                best = text;
            }
            fault = provider.and_then(|provider| provider.fault.as_deref());
        }
        best.trim()
    }

    pub(crate) fn read(fault: Element<'_, '_>) -> Self {
        let code = fault.child(ns::SOAP, "Code");
        let value = |element: Element<'_, '_>| element.child(ns::SOAP, "Value").map(|value| local_part(value.text()).to_owned());
        let detail = fault.child(ns::SOAP, "Detail");
        let detail_child = |namespace: &str, name: &str| detail.and_then(|detail| detail.child(namespace, name));
        Self {
            code: match code.and_then(value).as_deref() {
                Some("Sender") => FaultCode::Sender,
                Some("MustUnderstand") => FaultCode::MustUnderstand,
                Some("VersionMismatch") => FaultCode::VersionMismatch,
                Some("DataEncodingUnknown") => FaultCode::DataEncodingUnknown,
                _ => FaultCode::Receiver,
            },
            subcode: code.and_then(|code| code.child(ns::SOAP, "Subcode")).and_then(value),
            reasons: fault
                .child(ns::SOAP, "Reason")
                .into_iter()
                .flat_map(Element::children)
                .map(|text| Reason {
                    language: text.attribute(ns::XML, "lang").unwrap_or_default().to_owned(),
                    text: text.text().trim().to_owned(),
                })
                .collect(),
            detail_uri: detail_child(ns::WSMAN, "FaultDetail").map(|uri| uri.text().trim().to_owned()),
            wsman: detail_child(ns::WSMAN_FAULT, "WSManFault").map(|fault| WsmanFault::read(fault, 0)),
            // The class lives in whatever WMI namespace the provider has.
            wmi: detail
                .and_then(|detail| detail.children().find(|child| child.local_name() == "MSFT_WmiError"))
                .map(WmiError::read),
        }
    }

    /// Writes the fault as a whole envelope.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let addressing = matches!(
            self.subcode.as_deref(),
            Some(
                "InvalidMessageInformationHeader"
                    | "MessageInformationHeaderRequired"
                    | "DestinationUnreachable"
                    | "ActionNotSupported"
                    | "EndpointUnavailable"
            )
        );
        let action = if addressing {
            ns::ACTION_ADDRESSING_FAULT
        } else {
            ns::ACTION_FAULT
        };
        let mut xml = header.begin(action, 1_024)?;
        xml.markup("<s:Fault><s:Code><s:Value>").markup(match self.code {
            FaultCode::Sender => "s:Sender",
            FaultCode::Receiver => "s:Receiver",
            FaultCode::MustUnderstand => "s:MustUnderstand",
            FaultCode::VersionMismatch => "s:VersionMismatch",
            FaultCode::DataEncodingUnknown => "s:DataEncodingUnknown",
        });
        xml.markup("</s:Value>");
        if let Some(subcode) = &self.subcode {
            xml.markup(match subcode.as_str() {
                _ if addressing => "<s:Subcode><s:Value>a:",
                // Of WS-Transfer and WS-Enumeration themselves.
                "InvalidRepresentation" => "<s:Subcode><s:Value>x:",
                "InvalidEnumerationContext" | "CannotProcessFilter" | "FilteringNotSupported" | "FilterDialectRequestedUnavailable" => {
                    r#"<s:Subcode><s:Value xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">n:"#
                }
                _ => "<s:Subcode><s:Value>w:",
            });
            xml.text(subcode, "the fault's subcode")?.markup("</s:Value></s:Subcode>");
        }
        xml.markup("</s:Code><s:Reason>");
        for reason in &self.reasons {
            xml.markup("<s:Text")
                .attribute("xml:lang", &reason.language, "the fault's language")?;
            xml.markup(">").text(&reason.text, "the fault's reason")?.markup("</s:Text>");
        }
        xml.markup("</s:Reason><s:Detail>");
        if let Some(uri) = &self.detail_uri {
            xml.element("w:FaultDetail", uri, "the fault's detail")?;
        }
        if let Some(fault) = &self.wsman {
            fault.write(&mut xml)?;
        }
        if let Some(error) = &self.wmi {
            error.write(&mut xml)?;
        }
        xml.markup("</s:Detail></s:Fault>");
        Ok(crate::header::end(xml))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message().trim_end_matches('.');
        match self.number() {
            Some(number) if number > 0xFFFF => write!(f, "{message} (fault 0x{number:08X})"),
            Some(number) => write!(f, "{message} (fault {number})"),
            None => match &self.subcode {
                Some(subcode) => write!(f, "{message} (fault {subcode})"),
                None => write!(f, "{message}"),
            },
        }
    }
}

impl std::error::Error for Fault {}

impl WsmanFault {
    fn read(element: Element<'_, '_>, depth: usize) -> Self {
        let message = element.child(ns::WSMAN_FAULT, "Message");
        Self {
            code: element.attribute("", "Code").and_then(|code| code.trim().parse().ok()),
            machine: element.attribute("", "Machine").map(str::to_owned),
            message: message.map(|message| message.text().trim().to_owned()).unwrap_or_default(),
            provider: message
                .and_then(|message| message.child(ns::WSMAN_FAULT, "ProviderFault"))
                .map(|provider| ProviderFault::read(provider, depth)),
        }
    }

    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        xml.markup(r#"<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault""#);
        if let Some(code) = self.code {
            xml.attribute("Code", &code.to_string(), "the fault's code")?;
        }
        if let Some(machine) = &self.machine {
            xml.attribute("Machine", machine, "the machine's name")?;
        }
        xml.markup("><f:Message>").text(&self.message, "the fault's message")?;
        if let Some(provider) = &self.provider {
            provider.write(xml)?;
        }
        xml.markup("</f:Message></f:WSManFault>");
        Ok(())
    }
}

impl ProviderFault {
    fn read(element: Element<'_, '_>, depth: usize) -> Self {
        let mut provider = Self {
            provider: element.attribute("", "provider").map(str::to_owned),
            path: element.attribute("", "path").map(str::to_owned),
            message: element.text().trim().to_owned(),
            ..Self::default()
        };
        for child in element.children() {
            if child.is(ns::WSMAN_FAULT, "WSManFault") && provider.fault.is_none() && depth < 8 {
                provider.fault = Some(Box::new(WsmanFault::read(child, depth + 1)));
            } else {
                leaves(child, &mut provider.details);
            }
        }
        provider
    }

    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        xml.markup("<f:ProviderFault");
        if let Some(provider) = &self.provider {
            xml.attribute("provider", provider, "the provider's name")?;
        }
        if let Some(path) = &self.path {
            xml.attribute("path", path, "the provider's path")?;
        }
        xml.markup(">").text(&self.message, "the provider's message")?;
        if let Some(fault) = &self.fault {
            fault.write(xml)?;
        }
        xml.markup("</f:ProviderFault>");
        Ok(())
    }
}

impl WmiError {
    fn read(element: Element<'_, '_>) -> Self {
        let mut error = Self::default();
        for property in element.children().filter(|property| !property.text().trim().is_empty()) {
            let text = property.text().trim();
            match property.local_name() {
                "error_Code" => error.code = text.parse().ok(),
                "Message" => error.message = text.to_owned(),
                _ => {}
            }
            error.properties.push((property.local_name().to_owned(), text.to_owned()));
        }
        error
    }

    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        xml.markup(r#"<m:MSFT_WmiError xmlns:m="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/MSFT_WmiError">"#);
        xml.element("m:Message", &self.message, "the message of WMI's error")?;
        if let Some(code) = self.code {
            xml.element("m:error_Code", &code.to_string(), "the code of WMI's error")?;
        }
        xml.markup("</m:MSFT_WmiError>");
        Ok(())
    }
}

fn leaves(element: Element<'_, '_>, found: &mut Vec<(String, String)>) {
    let mut children = element.children().peekable();
    if children.peek().is_none() {
        let text = element.text().trim();
        if !text.is_empty() {
            found.push((element.local_name().to_owned(), text.to_owned()));
        }
    }
    children.for_each(|child| leaves(child, found));
}

/// The local part of a qualified name in text: `s:Receiver` is `Receiver`.
fn local_part(name: &str) -> &str {
    let name = name.trim();
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}
