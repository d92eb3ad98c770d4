//! Identify: who answers there, before any authentication. \[DSP0226\] 11.

use crate::envelope::{Envelope, ReadError};
use crate::ns;
use crate::xml::{WriteError, XmlWriter};

/// The request; it has an empty header. Sent with the HTTP header `WSMANIDENTIFY: unauthenticated` it needs no credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identify;

impl Identify {
    /// Writes the request.
    #[must_use]
    pub fn write(self) -> Vec<u8> {
        let mut xml = XmlWriter::with_capacity(300);
        xml.markup(concat!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope""#,
            r#" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">"#,
            "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>",
        ));
        xml.finish()
    }

    /// Whether the envelope is this request.
    #[must_use]
    pub fn is(envelope: &Envelope<'_>) -> bool {
        envelope.body().child(ns::IDENTIFY, "Identify").is_some()
    }
}

/// The answer, \[DSP0226\] 11 and \[MS-WSMV\] 3.1.4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentifyResponse {
    /// The URI of the WS-Management version.
    pub protocol_version: String,
    /// `Microsoft Corporation` for Windows.
    pub product_vendor: String,
    /// `OS: 10.0.17763 SP: 0.0 Stack: 3.0`; a host that wasn't told who asks leaves the versions at `0.0.0`.
    pub product_version: String,
    /// URIs of the security profiles offered.
    pub security_profiles: Vec<String>,
}

impl IdentifyResponse {
    /// Writes the answer.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let mut xml = XmlWriter::with_capacity(800);
        xml.markup(concat!(
            r#"<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>"#,
            r#"<wsmid:IdentifyResponse xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">"#,
        ));
        xml.element("wsmid:ProtocolVersion", &self.protocol_version, "the protocol's version")?;
        xml.element("wsmid:ProductVendor", &self.product_vendor, "the vendor")?;
        xml.element("wsmid:ProductVersion", &self.product_version, "the product's version")?;
        if !self.security_profiles.is_empty() {
            xml.markup("<wsmid:SecurityProfiles>");
            for profile in &self.security_profiles {
                xml.element("wsmid:SecurityProfileName", profile, "a security profile")?;
            }
            xml.markup("</wsmid:SecurityProfiles>");
        }
        xml.markup("</wsmid:IdentifyResponse></s:Body></s:Envelope>");
        Ok(xml.finish())
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when the body holds no `IdentifyResponse`.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let element = envelope.payload(ns::IDENTIFY, "IdentifyResponse")?;
        let text = |name: &str| {
            element
                .child(ns::IDENTIFY, name)
                .map(|child| child.text().trim().to_owned())
                .unwrap_or_default()
        };
        let profiles = element.child(ns::IDENTIFY, "SecurityProfiles");
        Ok(Self {
            protocol_version: text("ProtocolVersion"),
            product_vendor: text("ProductVendor"),
            product_version: text("ProductVersion"),
            security_profiles: profiles
                .into_iter()
                .flat_map(|profiles| profiles.children())
                .map(|profile| profile.text().trim().to_owned())
                .collect(),
        })
    }
}
