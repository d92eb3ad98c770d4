//! What an operation is for: a resource URI with its selectors, in the short form that people write, and as an endpoint reference.

use std::fmt;

use crate::envelope::ReadError;
use crate::header::{Selector, read_selectors, write_selectors};
use crate::ns;
use crate::xml::{Element, WriteError, XmlWriter};

/// A resource: its URI, and the selectors that pick one of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// The resource URI, in full.
    pub uri: String,
    /// The keys, in order.
    pub selectors: Vec<Selector>,
}

/// Short beginnings of URIs, as Windows' own `winrm` knows them (`winrm help aliases`), and what they stand for. The first that fits
/// is the one that is written.
const ALIASES: &[(&str, &str)] = &[
    ("wmicimv2", "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"),
    ("wmi", ns::WMI),
    ("cimv2", ns::CIM_SCHEMA),
    ("shell", ns::SHELL),
    ("winrm", "http://schemas.microsoft.com/wbem/wsman/1"),
    ("wsman", "http://schemas.microsoft.com/wbem/wsman/1"),
    ("winrs", "http://schemas.microsoft.com/wbem/wsman/1"),
];

impl Resource {
    /// The resource of this URI, without selectors.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            selectors: Vec::new(),
        }
    }

    /// The same with a further key.
    #[must_use]
    pub fn selector(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.selectors.push(Selector::new(name, value));
        self
    }

    /// Reads what people write: `winrm/config/Listener?Address=*+Transport=HTTP`, `wmicimv2/Win32_Service?Name=W3SVC`,
    /// `wmi/root/…`, `cimv2/…`, `shell`, or a full URI. A value in double quotes may hold `+`; a quote in it is doubled.
    ///
    /// # Errors
    /// [`ResourceError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let text = text.trim();
        let (path, selectors) = match text.split_once('?') {
            Some((path, selectors)) => (path, Some(selectors)),
            None => (text, None),
        };
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Err(ResourceError::Empty);
        }
        // What stands behind an alias may hold anything.
        let has_scheme = path.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('/'));
        let uri = if has_scheme || path.starts_with("urn:") {
            path.to_owned()
        } else {
            let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
            let known = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(first));
            let (_, base) = known.ok_or_else(|| ResourceError::Alias(first.to_owned()))?;
            rest.map_or_else(|| (*base).to_owned(), |rest| format!("{base}/{rest}"))
        };
        if let Some(character) = uri.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(ResourceError::Character(character));
        }
        Ok(Self {
            uri,
            selectors: selectors.map(parse_selectors).transpose()?.unwrap_or_default(),
        })
    }

    /// The value of a selector; names are compared without regard to case, as Windows does.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&str> {
        let found = self.selectors.iter().find(|selector| selector.name.eq_ignore_ascii_case(name));
        found.map(|selector| selector.value.as_str())
    }

    /// The last part of the URI: `Win32_Service`, `Listener`.
    #[must_use]
    pub fn class(&self) -> &str {
        let uri = self.uri.trim_end_matches('/');
        uri.rsplit_once('/').map_or(uri, |(_, class)| class)
    }

    /// Whether the resource is one of the service's own shells, or of PowerShell's.
    #[must_use]
    pub fn is_shell(&self) -> bool {
        [ns::SHELL, ns::POWERSHELL].iter().any(|base| {
            let beginning = self.uri.get(..base.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(base))
        })
    }

    /// The resource as an endpoint reference of WS-Addressing, a document of its own.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn to_xml(&self) -> Result<String, WriteError> {
        let mut xml = XmlWriter::with_capacity(512);
        xml.markup(r#"<a:EndpointReference xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing""#)
            .markup(r#" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">"#);
        self.write(&mut xml, ns::ANONYMOUS)?;
        xml.markup("</a:EndpointReference>");
        Ok(String::from_utf8_lossy(&xml.finish()).into_owned())
    }

    /// Writes what an endpoint reference holds; `address` is where the resource is.
    pub(crate) fn write(&self, xml: &mut XmlWriter, address: &str) -> Result<(), WriteError> {
        xml.element("a:Address", address, "the service's address")?
            .markup("<a:ReferenceParameters>")
            .element("w:ResourceURI", &self.uri, "the resource URI")?;
        write_selectors(xml, &self.selectors)?;
        xml.markup("</a:ReferenceParameters>");
        Ok(())
    }

    /// Reads an endpoint reference, or what holds the parts of one.
    pub(crate) fn read(reference: Element<'_, '_>) -> Result<Self, ReadError> {
        let parameters = reference
            .child(ns::ADDRESSING, "ReferenceParameters")
            .ok_or_else(|| ReadError::missing("ReferenceParameters"))?;
        let uri = parameters.child(ns::WSMAN, "ResourceURI");
        Ok(Self {
            uri: uri.map(|uri| uri.text().trim().to_owned()).unwrap_or_default(),
            selectors: parameters
                .child(ns::WSMAN, "SelectorSet")
                .map(read_selectors)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = ALIASES.iter().find_map(|(alias, base)| {
            let rest = self.uri.strip_prefix(base)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((alias, rest))
        });
        match short {
            Some((alias, rest)) => write!(f, "{alias}{rest}")?,
            None => f.write_str(&self.uri)?,
        }
        for (index, Selector { name, value }) in self.selectors.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '+' };
            let plain = !value.contains(['+', '"']) && value.trim() == value;
            if plain {
                write!(f, "{separator}{name}={value}")?;
            } else {
                write!(f, "{separator}{name}=\"{}\"", value.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

fn parse_selectors(text: &str) -> Result<Vec<Selector>, ResourceError> {
    let mut selectors = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (name, value) = text.split_once('=').ok_or_else(|| ResourceError::Selector(text.to_owned()))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(ResourceError::Selector(text.to_owned()));
        }
        let (value, left) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(|| ResourceError::Quote(name.to_owned()))?,
            None => match value.split_once('+') {
                Some((value, left)) => (value.trim().to_owned(), Some(left)),
                None => (value.trim().to_owned(), None),
            },
        };
        selectors.push(Selector::new(name, value));
        rest = left;
    }
    Ok(selectors)
}

/// The value whose opening quote is gone, and what follows the `+` behind it.
fn unquote(text: &str) -> Option<(String, Option<&str>)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        value.push_str(before);
        if let Some(more) = behind.strip_prefix('"') {
            value.push('"');
            rest = more;
        } else if behind.trim().is_empty() {
            return Some((value, None));
        } else {
            return Some((value, Some(behind.strip_prefix('+')?)));
        }
    }
}

/// A text that names no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Nothing is there.
    #[error("the resource is empty")]
    Empty,
    /// It begins with a word that is no alias.
    #[error(
        "{0:?} is no beginning of a resource: it is a full URI, or begins with winrm/, wmi/, wmicimv2/, cimv2/, wsman/, winrs/ or shell"
    )]
    Alias(String),
    /// A character that URIs don't have.
    #[error("a resource's URI can't hold the character {0:?}")]
    Character(char),
    /// A selector without a name, or without `=`.
    #[error("{0:?} is no selector: write Name=value, several joined by +")]
    Selector(String),
    /// A quoted value that doesn't end, or goes on behind its end.
    #[error("the quotes around the value of the selector {0} don't match; a quote within is doubled")]
    Quote(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aliases_stand_for_what_windows_means_by_them() {
        let uri = |text: &str| Resource::parse(text).unwrap().uri;
        assert_eq!(uri("winrm/config"), ns::CONFIG);
        assert_eq!(uri("WINRM/config/"), ns::CONFIG);
        assert_eq!(uri("shell"), ns::SHELL);
        assert_eq!(uri("shell/cmd"), ns::SHELL_CMD);
        assert_eq!(
            uri("wmicimv2/Win32_Service"),
            "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service"
        );
        assert_eq!(uri("wmi/root/hardware/*"), format!("{}/root/hardware/*", ns::WMI));
        assert_eq!(uri("cimv2/CIM_Processor"), format!("{}/CIM_Processor", ns::CIM_SCHEMA));
        assert_eq!(uri("http://example.org/x"), "http://example.org/x");
        assert_eq!(uri("winrm/x://y"), "http://schemas.microsoft.com/wbem/wsman/1/x://y");
    }

    #[test]
    fn selectors_are_read_with_their_quotes() {
        let listener = Resource::parse("winrm/config/Listener?Address=*+Transport=HTTP").unwrap();
        assert_eq!(listener.key("transport"), Some("HTTP"));
        assert_eq!(listener.key("Address"), Some("*"));
        assert_eq!(listener.class(), "Listener");
        let quoted = Resource::parse(r#"wmicimv2/Win32_Group?Name="a + ""b"""+Domain=X"#).unwrap();
        assert_eq!(quoted.key("Name"), Some(r#"a + "b""#));
        assert_eq!(quoted.to_string(), r#"wmicimv2/Win32_Group?Name="a + ""b"""+Domain=X"#);
        let command = Resource::parse("wmicimv2/Win32_X?Line=a=b").unwrap();
        assert_eq!(command.key("Line"), Some("a=b"));
    }

    #[test]
    fn says_what_is_no_resource() {
        let wrong = |text: &str| Resource::parse(text).unwrap_err();
        assert_eq!(wrong(" "), ResourceError::Empty);
        assert_eq!(wrong("http"), ResourceError::Alias("http".into()));
        assert_eq!(wrong("winrm/a b"), ResourceError::Character(' '));
        assert_eq!(wrong("winrm/config?Address"), ResourceError::Selector("Address".into()));
        assert_eq!(wrong("winrm/config?=x"), ResourceError::Selector("=x".into()));
        assert_eq!(wrong(r#"winrm/config?A="x"#), ResourceError::Quote("A".into()));
        assert_eq!(wrong(r#"winrm/config?A="x"y"#), ResourceError::Quote("A".into()));
    }

    #[test]
    fn shells_are_told_from_other_resources() {
        assert!(Resource::parse("shell/cmd").unwrap().is_shell());
        assert!(Resource::new("http://schemas.microsoft.com/powershell/Microsoft.PowerShell").is_shell());
        assert!(!Resource::parse("winrm/config").unwrap().is_shell());
        assert!(!Resource::new("é").is_shell());
    }

    proptest! {
        #[test]
        fn the_short_form_reads_back(
            path in "(winrm|wmicimv2|cimv2|wmi|shell|http://h)(/[A-Za-z0-9_*.-]{1,8}){1,3}",
            selectors in proptest::collection::vec(("[A-Za-z_]{1,6}", "[ -~é]{0,10}"), 0..4),
        ) {
            let mut resource = Resource::parse(&path).unwrap();
            for (name, value) in selectors {
                resource = resource.selector(name, value);
            }
            prop_assert_eq!(Resource::parse(&resource.to_string()), Ok(resource));
        }

        #[test]
        fn any_text_is_a_resource_or_an_error(text in ".{0,40}") {
            let _ = Resource::parse(&text);
        }
    }
}
