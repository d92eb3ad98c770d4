//! The Basic scheme, RFC 7617: `Authorization: Basic <base64 of user:password>`, in UTF-8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::challenge::{DECODER, Scheme};
use crate::{Credentials, Secret};

/// Writes the value of the `Authorization` header.
///
/// The result holds the password in a reversible encoding, hence a [`Secret`].
///
/// # Errors
/// A colon in the user name would move the border between user and password, and control characters are forbidden
/// by RFC 7617 section 2 in both.
pub fn write_authorization(credentials: &Credentials) -> Result<Secret, BasicError> {
    let account = credentials.account();
    let password = credentials.password.expose();
    if account.contains(':') {
        return Err(BasicError::ColonInUser);
    }
    if account.chars().any(char::is_control) {
        return Err(BasicError::ControlCharacterInUser);
    }
    if password.chars().any(char::is_control) {
        return Err(BasicError::ControlCharacterInPassword);
    }
    // Sized at once: growing would leave pieces of the password behind in freed memory.
    let mut pair = Zeroizing::new(String::with_capacity(account.len() + 1 + password.len()));
    pair.push_str(&account);
    pair.push(':');
    pair.push_str(password);
    let mut value = String::with_capacity(6 + pair.len().div_ceil(3) * 4);
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    Ok(Secret::new(value))
}

/// Reads the value of an `Authorization` header of the Basic scheme, on the service's side.
///
/// # Errors
/// Says which part of the value is wrong; never repeats the value.
pub fn parse_authorization(value: &str) -> Result<Credentials, BasicError> {
    let (scheme, encoded) = value.trim().split_once(' ').ok_or(BasicError::NotBasic)?;
    if Scheme::from_name(scheme) != Scheme::Basic {
        return Err(BasicError::NotBasic);
    }
    let pair = DECODER.decode(encoded.trim()).map_err(|_| BasicError::NotBase64)?;
    let pair = Zeroizing::new(pair);
    let pair = std::str::from_utf8(&pair).map_err(|_| BasicError::NotUtf8)?;
    let (account, password) = pair.split_once(':').ok_or(BasicError::NoColon)?;
    if password.chars().any(char::is_control) {
        return Err(BasicError::ControlCharacterInPassword);
    }
    Credentials::parse(account, password).map_err(|reason| match reason {
        crate::credentials::InvalidUserName::NoUser => BasicError::NoUser,
        crate::credentials::InvalidUserName::ControlCharacter => BasicError::ControlCharacterInUser,
    })
}

/// Why credentials can't be written for, or read from, the Basic scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BasicError {
    /// The user name has a colon.
    #[error("a user name with a colon can't be sent with Basic authentication")]
    ColonInUser,
    /// The user name has a control character.
    #[error("the user name contains a control character")]
    ControlCharacterInUser,
    /// The password has a control character.
    #[error("the password contains a control character")]
    ControlCharacterInPassword,
    /// Another scheme, or no credentials after the scheme.
    #[error("the Authorization header is not of the form `Basic <base64>`")]
    NotBasic,
    /// The credentials are not base64.
    #[error("the Basic credentials are not base64")]
    NotBase64,
    /// The decoded credentials are not UTF-8.
    #[error("the Basic credentials are not UTF-8")]
    NotUtf8,
    /// No colon between user and password.
    #[error("the Basic credentials have no colon between user and password")]
    NoColon,
    /// The user is empty.
    #[error("the Basic credentials name no user")]
    NoUser,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn written(user: &str, password: &str) -> Result<String, BasicError> {
        let credentials = Credentials {
            user: user.into(),
            domain: None,
            password: password.into(),
        };
        write_authorization(&credentials).map(|value| value.expose().to_owned())
    }

    #[test]
    fn the_examples_of_rfc_7617() {
        assert_eq!(written("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(written("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
    }

    #[test]
    fn what_can_not_be_sent_is_refused() {
        assert_eq!(written("a:b", "x"), Err(BasicError::ColonInUser));
        assert_eq!(written("a\nb", "x"), Err(BasicError::ControlCharacterInUser));
        assert_eq!(written("a", "x\r\ny"), Err(BasicError::ControlCharacterInPassword));
    }

    #[test]
    fn malformed_values_have_distinct_reasons() {
        for (value, reason) in [
            ("", BasicError::NotBasic),
            ("Basic", BasicError::NotBasic),
            ("Negotiate QTpi", BasicError::NotBasic),
            ("Basic ***", BasicError::NotBase64),
            ("Basic gICA", BasicError::NotUtf8),
            ("Basic YWJj", BasicError::NoColon),
            ("Basic OnB3", BasicError::NoUser),
            ("Basic YQpiOmM=", BasicError::ControlCharacterInUser),
        ] {
            assert_eq!(parse_authorization(value), Err(reason), "{value:?}");
        }
    }

    #[test]
    fn the_scheme_is_matched_without_case_and_padding_may_be_missing() {
        let credentials = parse_authorization("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ").unwrap();
        assert_eq!(credentials.user, "Aladdin");
        assert_eq!(credentials.password.expose(), "open sesame");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            user in r"[^:\\@\p{Cc}]{1,20}",
            domain in proptest::option::of(r"[^:\\@\p{Cc}]{1,12}"),
            password in r"[^\p{Cc}]{0,40}",
        ) {
            let credentials = Credentials { user, domain, password: password.into() };
            let value = write_authorization(&credentials).unwrap();
            prop_assert_eq!(parse_authorization(value.expose()).unwrap(), credentials);
        }

        #[test]
        fn no_input_panics(value in "\\PC*") {
            let _ = parse_authorization(&format!("Basic {value}"));
            prop_assert!(parse_authorization(&value).is_err() || value.to_lowercase().contains("basic"));
        }
    }
}
