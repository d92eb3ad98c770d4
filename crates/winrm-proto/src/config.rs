//! The service's configuration as types, `winrm/config`.

use crate::envelope::{Envelope, ReadError};
use crate::header::{ResponseHeader, end};
use crate::ns;
use crate::transfer::Get;
use crate::xml::{Element, WriteError};

/// The service's configuration, as far as a client or the embedded service has a use for it. `None`: the host doesn't say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest envelope, in kilobytes of 1,024 bytes.
    pub max_envelope_size_kb: Option<u32>,
    /// The longest operation timeout, in milliseconds.
    pub max_timeout_ms: Option<u32>,
    /// Operations one user may have under way.
    pub max_concurrent_operations_per_user: Option<u32>,
    /// Connections the service takes at once.
    pub max_connections: Option<u32>,
    /// Whether clear-text messages are taken.
    pub allow_unencrypted: Option<bool>,
    /// The switches under `Service/Auth`: name and value.
    pub auth: Vec<(String, String)>,
    /// How long a shell may be idle, in milliseconds.
    pub idle_timeout_ms: Option<u32>,
    /// Shells one user may have open.
    pub max_shells_per_user: Option<u32>,
    /// Commands one shell may run at once.
    pub max_processes_per_shell: Option<u32>,
}

impl Config {
    /// Reads the answer to [`Get::config`].
    ///
    /// # Errors
    /// [`ReadError`] when the body holds no configuration or a number isn't one.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let config = envelope.payload(ns::CONFIG, "Config")?;
        let section = |name: &str| config.child(ns::CONFIG, name);
        let (service, winrs) = (section("Service"), section("Winrs"));
        let auth = service.and_then(|service| service.child(ns::CONFIG, "Auth"));
        Ok(Self {
            max_envelope_size_kb: setting(Some(config), "MaxEnvelopeSizekb")?,
            max_timeout_ms: setting(Some(config), "MaxTimeoutms")?,
            max_concurrent_operations_per_user: setting(service, "MaxConcurrentOperationsPerUser")?,
            max_connections: setting(service, "MaxConnections")?,
            allow_unencrypted: setting(service, "AllowUnencrypted")?,
            auth: auth
                .into_iter()
                .flat_map(Element::children)
                .map(|switch| (switch.local_name().to_owned(), switch.text().trim().to_owned()))
                .collect(),
            idle_timeout_ms: setting(winrs, "IdleTimeout")?,
            max_shells_per_user: setting(winrs, "MaxShellsPerUser")?,
            max_processes_per_shell: setting(winrs, "MaxProcessesPerShell")?,
        })
    }

    /// Writes the answer to [`Get::config`].
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Get::RESPONSE_ACTION, 1_024)?;
        let mut settings = |tag: &'static str, value: Option<String>| -> Result<(), WriteError> {
            if let Some(value) = value {
                xml.element(tag, &value, "a setting")?;
            } else if tag.starts_with(['<', '/']) {
                xml.markup(tag);
            }
            Ok(())
        };
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        settings(r#"<c:Config xmlns:c="http://schemas.microsoft.com/wbem/wsman/1/config">"#, None)?;
        settings("c:MaxEnvelopeSizekb", number(self.max_envelope_size_kb))?;
        settings("c:MaxTimeoutms", number(self.max_timeout_ms))?;
        settings("<c:Service>", None)?;
        settings("c:MaxConcurrentOperationsPerUser", number(self.max_concurrent_operations_per_user))?;
        settings("c:MaxConnections", number(self.max_connections))?;
        settings("c:AllowUnencrypted", self.allow_unencrypted.map(|value| value.to_string()))?;
        settings("<c:Auth>", None)?;
        for tag in [
            "c:Basic",
            "c:Kerberos",
            "c:Negotiate",
            "c:Certificate",
            "c:CredSSP",
            "c:CbtHardeningLevel",
        ] {
            let value = self.auth.iter().find(|(name, _)| tag.strip_prefix("c:") == Some(name));
            settings(tag, value.map(|(_, value)| value.clone()))?;
        }
        settings("</c:Auth></c:Service><c:Winrs>", None)?;
        settings("c:IdleTimeout", number(self.idle_timeout_ms))?;
        settings("c:MaxProcessesPerShell", number(self.max_processes_per_shell))?;
        settings("c:MaxShellsPerUser", number(self.max_shells_per_user))?;
        settings("</c:Winrs></c:Config>", None)?;
        Ok(end(xml))
    }
}

fn setting<T: std::str::FromStr>(section: Option<Element<'_, '_>>, name: &str) -> Result<Option<T>, ReadError> {
    let Some(element) = section.and_then(|section| section.child(ns::CONFIG, name)) else {
        return Ok(None);
    };
    let text = element.text().trim();
    text.parse()
        .map(Some)
        .map_err(|_| ReadError::invalid(name, text, "it is not of the setting's type"))
}
