//! Opening and closing a shell.

use std::time::Duration;

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, HeaderOption, RequestHeader, ResponseHeader, Target, end, read_duration, read_selectors, write_selectors};
use crate::transfer::Get;
use crate::xml::{Element, WriteError, XmlWriter};
use crate::{duration, ns};

use super::{empty_response, shell_selector};

/// Opens a shell. \[MS-WSMV\] 3.1.4.5.2 and 2.2.4.37.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateShell {
    /// The kind of shell; [`ns::SHELL_CMD`] for commands.
    pub resource_uri: String,
    /// An id chosen by the client, a UUID; `None` lets the host choose.
    pub shell_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The console's code page, `WINRS_CODEPAGE`; 65001 is UTF-8.
    pub codepage: Option<u32>,
    /// Whether the user's profile is left alone, `WINRS_NOPROFILE`.
    pub no_profile: Option<bool>,
    /// Further options for the header.
    pub options: Vec<HeaderOption>,
    /// Environment variables, in order.
    pub environment: Vec<(String, String)>,
    /// The directory that commands start in.
    pub working_directory: Option<String>,
    /// How long the shell may be without a request before the host removes it.
    pub idle_timeout: Option<Duration>,
    /// How long the shell may exist.
    pub lifetime: Option<Duration>,
    /// The input streams' names.
    pub input_streams: Vec<String>,
    /// The output streams' names.
    pub output_streams: Vec<String>,
}

impl Default for CreateShell {
    /// A command shell with the streams `stdin`, `stdout` and `stderr` and nothing else asked for.
    fn default() -> Self {
        Self {
            resource_uri: ns::SHELL_CMD.to_owned(),
            shell_id: None,
            name: None,
            codepage: None,
            no_profile: None,
            options: Vec::new(),
            environment: Vec::new(),
            working_directory: None,
            idle_timeout: None,
            lifetime: None,
            input_streams: vec!["stdin".to_owned()],
            output_streams: vec!["stdout".to_owned(), "stderr".to_owned()],
        }
    }
}

impl CreateShell {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let mut options = self.options.clone();
        if let Some(no_profile) = self.no_profile {
            options.push(HeaderOption::new("WINRS_NOPROFILE", if no_profile { "TRUE" } else { "FALSE" }));
        }
        if let Some(codepage) = self.codepage {
            options.push(HeaderOption::new("WINRS_CODEPAGE", codepage.to_string()));
        }
        let target = Target {
            action: Self::ACTION,
            resource_uri: &self.resource_uri,
            selectors: &[],
            options: &options,
            fragment: None,
        };
        let mut xml = header.begin(message_id, target, 512)?;
        xml.markup("<rsp:Shell");
        if let Some(shell_id) = &self.shell_id {
            xml.attribute("ShellId", shell_id, "the shell's id")?;
        }
        if let Some(name) = &self.name {
            xml.attribute("Name", name, "the shell's name")?;
        }
        xml.markup(">");
        // The order is the schema's, [MS-WSMV] 2.2.4.37.
        if !self.environment.is_empty() {
            xml.markup("<rsp:Environment>");
            for (name, value) in &self.environment {
                xml.markup("<rsp:Variable")
                    .attribute("Name", name, "an environment variable's name")?;
                xml.markup(">")
                    .text(value, &format!("the environment variable {name}"))?
                    .markup("</rsp:Variable>");
            }
            xml.markup("</rsp:Environment>");
        }
        if let Some(idle_timeout) = self.idle_timeout {
            xml.markup("<rsp:IdleTimeOut>")
                .plain(&duration::format(idle_timeout))
                .markup("</rsp:IdleTimeOut>");
        }
        if let Some(directory) = &self.working_directory {
            xml.element("rsp:WorkingDirectory", directory, "the working directory")?;
        }
        if let Some(lifetime) = self.lifetime {
            xml.markup("<rsp:Lifetime>")
                .plain(&duration::format(lifetime))
                .markup("</rsp:Lifetime>");
        }
        xml.element("rsp:InputStreams", &self.input_streams.join(" "), "a stream's name")?;
        xml.element("rsp:OutputStreams", &self.output_streams.join(" "), "a stream's name")?;
        xml.markup("</rsp:Shell>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let shell = envelope.payload(ns::SHELL, "Shell")?;
        let text = |name: &str| shell.child(ns::SHELL, name).map(|child| child.text().to_owned());
        let time = |name: &str| shell.child(ns::SHELL, name).map(read_duration).transpose();
        let streams = |name: &str| {
            text(name)
                .map(|names| names.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let mut environment = Vec::new();
        for variable in shell.child(ns::SHELL, "Environment").into_iter().flat_map(Element::children) {
            let name = variable.attribute("", "Name").ok_or_else(|| ReadError::missing("Variable/@Name"))?;
            environment.push((name.to_owned(), variable.text().to_owned()));
        }
        let codepage = header.option("WINRS_CODEPAGE").map(str::trim);
        let is_own = |option: &&HeaderOption| {
            ["WINRS_CODEPAGE", "WINRS_NOPROFILE"]
                .iter()
                .any(|known| option.name.eq_ignore_ascii_case(known))
        };
        Ok(Self {
            resource_uri: header.resource_uri.clone().ok_or_else(|| ReadError::missing("ResourceURI"))?,
            shell_id: shell.attribute("", "ShellId").map(str::to_owned),
            name: shell.attribute("", "Name").map(str::to_owned),
            codepage: codepage
                .map(|codepage| {
                    codepage
                        .parse()
                        .map_err(|_| ReadError::invalid("WINRS_CODEPAGE", codepage, "it is not a number"))
                })
                .transpose()?,
            no_profile: header.flag("WINRS_NOPROFILE")?,
            options: header.options.iter().filter(|option| !is_own(option)).cloned().collect(),
            environment,
            working_directory: text("WorkingDirectory"),
            idle_timeout: time("IdleTimeOut")?,
            lifetime: time("Lifetime")?,
            input_streams: streams("InputStreams"),
            output_streams: streams("OutputStreams"),
        })
    }
}

/// The answer to [`CreateShell`], \[MS-WSMV\] 3.1.4.5.2.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateResponse {
    /// The shell's id.
    pub shell_id: String,
    /// The shell's resource.
    pub resource_uri: String,
    /// The service's address.
    pub address: String,
    /// The account that owns it.
    pub owner: Option<String>,
    /// The client's address as the host sees it.
    pub client_ip: Option<String>,
    /// How long the shell may be idle.
    pub idle_timeout: Option<Duration>,
    /// The input streams' names.
    pub input_streams: Vec<String>,
    /// The output streams' names.
    pub output_streams: Vec<String>,
}

impl CreateResponse {
    /// The answer's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/CreateResponse";

    /// Writes the answer, with the shell's id both as a selector and as an element, since clients read either.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::ACTION, 1_024)?;
        xml.markup("<x:ResourceCreated>")
            .element("a:Address", &self.address, "the service's address")?;
        xml.markup("<a:ReferenceParameters>")
            .element("w:ResourceURI", &self.resource_uri, "the resource URI")?;
        write_selectors(&mut xml, &shell_selector(&self.shell_id))?;
        xml.markup("</a:ReferenceParameters></x:ResourceCreated>");
        self.write_shell(&mut xml)?;
        Ok(end(xml))
    }

    /// Writes the shell as the answer to a Get of it.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write_to_get(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Get::RESPONSE_ACTION, 1_024)?;
        self.write_shell(&mut xml)?;
        Ok(end(xml))
    }

    fn write_shell(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        xml.markup("<rsp:Shell>").element("rsp:ShellId", &self.shell_id, "the shell's id")?;
        xml.element("rsp:ResourceUri", &self.resource_uri, "the resource URI")?;
        if let Some(owner) = &self.owner {
            xml.element("rsp:Owner", owner, "the shell's owner")?;
        }
        if let Some(client_ip) = &self.client_ip {
            xml.element("rsp:ClientIP", client_ip, "the client's address")?;
        }
        if let Some(idle_timeout) = self.idle_timeout {
            xml.markup("<rsp:IdleTimeOut>")
                .plain(&duration::format(idle_timeout))
                .markup("</rsp:IdleTimeOut>");
        }
        xml.element("rsp:InputStreams", &self.input_streams.join(" "), "a stream's name")?;
        xml.element("rsp:OutputStreams", &self.output_streams.join(" "), "a stream's name")?;
        xml.markup("<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>");
        Ok(())
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when it names no shell.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let created = envelope.body().child(ns::TRANSFER, "ResourceCreated");
        let shell = envelope.body().child(ns::SHELL, "Shell");
        let parameters = created.and_then(|created| created.child(ns::ADDRESSING, "ReferenceParameters"));
        let selectors = parameters
            .and_then(|parameters| parameters.child(ns::WSMAN, "SelectorSet"))
            .map(read_selectors)
            .transpose()?;
        let text = |name: &str| {
            shell
                .and_then(|shell| shell.child(ns::SHELL, name))
                .map(|child| child.text().trim().to_owned())
        };
        let names = |name: &str| {
            text(name)
                .map(|names| names.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let selected = selectors
            .and_then(|selectors| selectors.into_iter().find(|selector| selector.name == "ShellId"))
            .map(|selector| selector.value.trim().to_owned());
        let shell_id = selected.or_else(|| text("ShellId")).filter(|id| !id.is_empty());
        let of_parameters = |name: &str| parameters.and_then(|parameters| parameters.child(ns::WSMAN, name));
        Ok(Self {
            shell_id: shell_id.ok_or_else(|| ReadError::missing("ShellId"))?,
            resource_uri: of_parameters("ResourceURI")
                .map(|uri| uri.text().trim().to_owned())
                .unwrap_or_default(),
            address: created
                .and_then(|created| created.child(ns::ADDRESSING, "Address"))
                .map(|address| address.text().trim().to_owned())
                .unwrap_or_default(),
            owner: text("Owner"),
            client_ip: text("ClientIP"),
            // For information only: a form that isn't known must not lose the shell.
            idle_timeout: text("IdleTimeOut").and_then(|text| duration::parse(&text).ok()),
            input_streams: names("InputStreams"),
            output_streams: names("OutputStreams"),
        })
    }
}

/// Closes a shell and ends what runs in it. \[MS-WSMV\] 3.1.4.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteShell {
    /// The kind of shell.
    pub resource_uri: String,
    /// The shell's id.
    pub shell_id: String,
}

impl DeleteShell {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete";

    /// Closes a command shell.
    pub fn new(shell_id: impl Into<String>) -> Self {
        Self {
            resource_uri: ns::SHELL_CMD.to_owned(),
            shell_id: shell_id.into(),
        }
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let selectors = shell_selector(&self.shell_id);
        let target = Target {
            action: Self::ACTION,
            resource_uri: &self.resource_uri,
            selectors: &selectors,
            options: &[],
            fragment: None,
        };
        Ok(end(header.begin(message_id, target, 0)?))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError::Missing`] without a shell's id or a resource URI.
    pub fn read(header: &Header) -> Result<Self, ReadError> {
        let resource_uri = header.resource_uri.clone().ok_or_else(|| ReadError::missing("ResourceURI"))?;
        Ok(Self {
            resource_uri,
            shell_id: header.shell_id()?.to_owned(),
        })
    }
}

empty_response! {
    /// The answer to [`DeleteShell`]: its body is empty.
    DeleteResponse, "http://schemas.xmlsoap.org/ws/2004/09/transfer/DeleteResponse", ""
}
