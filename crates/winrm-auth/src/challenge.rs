//! The values of `WWW-Authenticate` and `Authorization` headers, RFC 9110 section 11 and RFC 4559.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Tokens are read with or without their padding: not every peer sends it.
pub(crate) const DECODER: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The scheme URI by which a client says that it authenticates with its TLS client certificate (DSP0226, C.3.8).
pub const CERTIFICATE_SCHEME: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";

/// The longest header value that is read, in bytes. Kerberos tickets with many groups reach 48 KiB of base64.
pub const MAX_HEADER_VALUE: usize = 128 * 1024;

/// A scheme of HTTP authentication, as WinRM uses them. Compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// User and password in every request, RFC 7617.
    Basic,
    /// SPNEGO, or a raw Kerberos or NTLM token, RFC 4559.
    Negotiate,
    /// A raw NTLM token, [MS-NTHT].
    Ntlm,
    /// A raw Kerberos token ([MS-WSMV] 2.2.9.1).
    Kerberos,
    /// Credential delegation, [MS-CSSP].
    CredSsp,
    /// The TLS client certificate; see [`CERTIFICATE_SCHEME`].
    Certificate,
    /// Any other scheme, in lower case.
    Other(String),
}

impl Scheme {
    /// Recognises a scheme by its name in a header.
    pub fn from_name(name: &str) -> Self {
        for scheme in [
            Self::Basic,
            Self::Negotiate,
            Self::Ntlm,
            Self::Kerberos,
            Self::CredSsp,
            Self::Certificate,
        ] {
            if scheme.name().eq_ignore_ascii_case(name) {
                return scheme;
            }
        }
        Self::Other(name.to_ascii_lowercase())
    }

    /// The name as it is written into a header.
    pub fn name(&self) -> &str {
        match self {
            Self::Basic => "Basic",
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
            Self::CredSsp => "CredSSP",
            Self::Certificate => CERTIFICATE_SCHEME,
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One scheme that a server offers in a `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    /// The token that follows it, decoded from base64.
    pub token: Option<Vec<u8>>,
    /// Parameters, names in lower case, values without their quotes.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// An offer without a token.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            token: None,
            parameters: Vec::new(),
        }
    }

    /// An offer with a token, as it is sent in the middle of a handshake.
    pub fn with_token(scheme: Scheme, token: Vec<u8>) -> Self {
        Self {
            scheme,
            token: Some(token),
            parameters: Vec::new(),
        }
    }

    /// `Basic realm="…"`.
    pub fn basic(realm: &str) -> Self {
        Self {
            scheme: Scheme::Basic,
            token: None,
            parameters: vec![("realm".to_owned(), realm.to_owned())],
        }
    }

    /// The parameter `realm`.
    pub fn realm(&self) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| name == "realm")
            .map(|(_, value)| value.as_str())
    }

    /// Reads one `WWW-Authenticate` value, which may hold several challenges.
    ///
    /// # Errors
    /// A value longer than [`MAX_HEADER_VALUE`], a token that isn't base64, an unfinished quoted text, or a
    /// parameter before any scheme.
    pub fn parse_list(value: &str) -> Result<Vec<Self>, HeaderError> {
        if value.len() > MAX_HEADER_VALUE {
            return Err(HeaderError::TooLong(value.len()));
        }
        Reader { text: value, at: 0 }.challenges()
    }
}

impl fmt::Display for Challenge {
    /// The value as it stands in a `WWW-Authenticate` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.name())?;
        if let Some(token) = &self.token {
            write!(f, " {}", STANDARD.encode(token))?;
        }
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "{} {name}=\"{escaped}\"", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// An `Authorization` header with an opaque token: `Negotiate YIIC…`.
///
/// Basic is apart, in [`basic`](crate::basic), because its token is a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The scheme.
    pub scheme: Scheme,
    /// The decoded token; empty where none follows the scheme.
    pub token: Vec<u8>,
}

impl Authorization {
    /// A header with this scheme and token.
    pub fn new(scheme: Scheme, token: Vec<u8>) -> Self {
        Self { scheme, token }
    }

    /// Only the scheme of a value, so that Basic can go its own way.
    pub fn scheme_of(value: &str) -> Scheme {
        Scheme::from_name(value.trim().split(' ').next().unwrap_or_default())
    }

    /// Reads an `Authorization` value.
    ///
    /// # Errors
    /// An empty value, one longer than [`MAX_HEADER_VALUE`], or a token that isn't base64.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        if value.len() > MAX_HEADER_VALUE {
            return Err(HeaderError::TooLong(value.len()));
        }
        let value = value.trim();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.is_empty() {
            return Err(HeaderError::NoScheme { at: 0 });
        }
        let scheme = Scheme::from_name(scheme);
        let token = DECODER
            .decode(token.trim_start())
            .map_err(|_| HeaderError::NotBase64 { scheme: scheme.clone() })?;
        Ok(Self { scheme, token })
    }
}

impl fmt::Display for Authorization {
    /// The value as it stands in the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.name())?;
        if !self.token.is_empty() {
            write!(f, " {}", STANDARD.encode(&self.token))?;
        }
        Ok(())
    }
}

/// What is wrong with a header value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Longer than [`MAX_HEADER_VALUE`]; the length in bytes.
    #[error("the authentication header has {0} bytes, more than {MAX_HEADER_VALUE}")]
    TooLong(usize),
    /// No scheme where one should stand, at this byte.
    #[error("no authentication scheme at byte {at} of the header")]
    NoScheme {
        /// Byte offset in the header value.
        at: usize,
    },
    /// The token after a scheme isn't base64.
    #[error("the token after {scheme} is not base64")]
    NotBase64 {
        /// The scheme in front of the token.
        scheme: Scheme,
    },
    /// A quoted text without its closing quote, opened at this byte.
    #[error("the quoted text that begins at byte {at} of the header has no end")]
    UnfinishedQuote {
        /// Byte offset in the header value.
        at: usize,
    },
}

/// Reads challenges from left to right. A comma separates both challenges and the parameters of one challenge: what
/// follows it is a parameter if it is `name = value`, else the next scheme.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn challenges(mut self) -> Result<Vec<Challenge>, HeaderError> {
        let mut list: Vec<Challenge> = Vec::new();
        loop {
            self.skip(|c| c == ',' || is_space(c));
            if self.at == self.text.len() {
                return Ok(list);
            }
            let start = self.at;
            if let Some((name, value)) = self.parameter()? {
                let challenge = list.last_mut().ok_or(HeaderError::NoScheme { at: start })?;
                challenge.parameters.push((name.to_ascii_lowercase(), value));
                continue;
            }
            let name = self.take(|c| c != ',' && !is_space(c));
            let mut challenge = Challenge::new(Scheme::from_name(name));
            self.skip(is_space);
            let after_scheme = self.at;
            if self.parameter()?.is_some() {
                self.at = after_scheme;
            } else {
                let token = self.take(|c| c != ',' && !is_space(c));
                if !token.is_empty() {
                    let token = DECODER.decode(token).map_err(|_| HeaderError::NotBase64 {
                        scheme: challenge.scheme.clone(),
                    })?;
                    challenge.token = Some(token);
                }
            }
            list.push(challenge);
        }
    }

    /// `name = value` or `name = "value"`; `None`, without moving, if something else stands here. A token's padding
    /// (`YII=`) is told from a parameter by the lack of a value.
    fn parameter(&mut self) -> Result<Option<(&'a str, String)>, HeaderError> {
        let start = self.at;
        let name = self.take(|c| c != '=' && c != ',' && c != '"' && !is_space(c));
        self.skip(is_space);
        if name.is_empty() || !self.text[self.at..].starts_with('=') {
            self.at = start;
            return Ok(None);
        }
        self.at += 1;
        self.skip(is_space);
        if self.text[self.at..].starts_with('"') {
            return Ok(Some((name, self.quoted()?)));
        }
        let value = self.take(|c| c != ',' && c != '=' && !is_space(c));
        if value.is_empty() {
            self.at = start;
            return Ok(None);
        }
        Ok(Some((name, value.to_owned())))
    }

    fn quoted(&mut self) -> Result<String, HeaderError> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut escaped = false;
        for (offset, c) in self.text[self.at..].char_indices() {
            match c {
                _ if escaped => {
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += offset + 1;
                    return Ok(value);
                }
                _ => value.push(c),
            }
        }
        Err(HeaderError::UnfinishedQuote { at: start })
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        self.take(wanted);
    }
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schemes(value: &str) -> Vec<Scheme> {
        Challenge::parse_list(value).unwrap().into_iter().map(|c| c.scheme).collect()
    }

    #[test]
    fn a_line_with_all_schemes_of_a_windows_host() {
        let value = format!("Negotiate, NTLM,Kerberos , CredSSP, Basic realm=\"WSMAN\", {CERTIFICATE_SCHEME}");
        let list = Challenge::parse_list(&value).unwrap();
        assert_eq!(
            list.iter().map(|c| c.scheme.clone()).collect::<Vec<_>>(),
            [
                Scheme::Negotiate,
                Scheme::Ntlm,
                Scheme::Kerberos,
                Scheme::CredSsp,
                Scheme::Basic,
                Scheme::Certificate
            ]
        );
        assert_eq!(list[4].realm(), Some("WSMAN"));
    }

    #[test]
    fn tokens_with_each_length_of_padding() {
        for (text, bytes) in [("QQ==", &b"A"[..]), ("QUI=", b"AB"), ("QUJD", b"ABC"), ("QQ", b"A")] {
            let list = Challenge::parse_list(&format!("Negotiate {text}, NTLM")).unwrap();
            assert_eq!(list[0].token.as_deref(), Some(bytes), "{text}");
            assert_eq!(list[1], Challenge::new(Scheme::Ntlm));
        }
    }

    #[test]
    fn parameters_in_every_spelling() {
        let list = Challenge::parse_list(r#"Digest realm = "a, b \"c\"" , qop=auth,Nonce=x, negotiate"#).unwrap();
        assert_eq!(list[0].scheme, Scheme::Other("digest".to_owned()));
        assert_eq!(list[0].realm(), Some(r#"a, b "c""#));
        assert_eq!(
            list[0].parameters[1..],
            [("qop".to_owned(), "auth".to_owned()), ("nonce".to_owned(), "x".to_owned())]
        );
        assert_eq!(list[1].scheme, Scheme::Negotiate);
    }

    #[test]
    fn empty_elements_are_skipped() {
        assert_eq!(schemes(""), []);
        assert_eq!(schemes(" , ,Negotiate,, "), [Scheme::Negotiate]);
    }

    #[test]
    fn malformed_values_have_distinct_reasons() {
        assert_eq!(
            Challenge::parse_list("Negotiate !!!"),
            Err(HeaderError::NotBase64 { scheme: Scheme::Negotiate })
        );
        assert_eq!(Challenge::parse_list("realm=\"x\""), Err(HeaderError::NoScheme { at: 0 }));
        assert_eq!(
            Challenge::parse_list("Basic realm=\"x"),
            Err(HeaderError::UnfinishedQuote { at: 12 })
        );
        let long = "x".repeat(MAX_HEADER_VALUE + 1);
        assert_eq!(Challenge::parse_list(&long), Err(HeaderError::TooLong(long.len())));
        assert_eq!(Authorization::parse(&long), Err(HeaderError::TooLong(long.len())));
        assert_eq!(Authorization::parse("  "), Err(HeaderError::NoScheme { at: 0 }));
        assert_eq!(Authorization::parse("NTLM ?"), Err(HeaderError::NotBase64 { scheme: Scheme::Ntlm }));
    }

    #[test]
    fn authorization_in_both_directions() {
        let header = Authorization::new(Scheme::CredSsp, b"\x16\x03\x01".to_vec());
        assert_eq!(header.to_string(), "CredSSP FgMB");
        assert_eq!(Authorization::parse("credssp  FgMB ").unwrap(), header);
        let certificate = Authorization::new(Scheme::Certificate, Vec::new());
        assert_eq!(certificate.to_string(), CERTIFICATE_SCHEME);
        assert_eq!(Authorization::parse(CERTIFICATE_SCHEME).unwrap(), certificate);
        assert_eq!(Authorization::scheme_of("basic QTpi"), Scheme::Basic);
    }

    proptest! {
        #[test]
        fn challenges_read_back(token in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..80)), realm in "\\PC{0,20}") {
            let list = [
                Challenge { scheme: Scheme::Negotiate, token, parameters: Vec::new() },
                Challenge::basic(&realm),
            ];
            let value = format!("{}, {}", list[0], list[1]);
            prop_assert_eq!(Challenge::parse_list(&value).unwrap(), list);
        }

        #[test]
        fn no_input_panics(value in "[A-Za-z=,\" \\\\\u{e9}]{0,60}") {
            if let Ok(list) = Challenge::parse_list(&value) {
                prop_assert!(list.iter().all(|c| !c.scheme.name().is_empty()));
            }
            let _ = Authorization::parse(&value);
        }
    }
}
