//! What a KDC tells anybody who asks for a ticket without proving who he is, RFC 4120: its clock, whether it serves a realm and knows
//! an account, and which encryption types the account has. No password goes into it, and no attempt is counted against the account.
//!
//! Over TCP each message has its length in front, four bytes, big-endian (RFC 4120 section 7.2.2).

use std::time::Duration;

use crate::der::{self, BIT_STRING, DerError, OCTET_STRING, Reader, SEQUENCE, context};

const GENERAL_STRING: u8 = 0x1b;
const GENERALIZED_TIME: u8 = 0x18;

/// `[APPLICATION 10]`, AS-REQ.
const REQUEST: u8 = 0x6a;
/// `[APPLICATION 11]`, AS-REP.
const REPLY: u8 = 0x6b;
/// `[APPLICATION 30]`, KRB-ERROR.
const ERROR: u8 = 0x7e;

/// `KDC_OPT_CANONICALIZE`: the answer may name the account as the KDC has it, and the realm that knows it (RFC 6806).
const CANONICALIZE: [u8; 5] = [0, 0x00, 0x01, 0x00, 0x00];

/// The encryption types that are asked for: AES of RFC 8009 and RFC 3962, and RC4, which old accounts have alone.
const ENCTYPES: [i32; 5] = [20, 19, 18, 17, 23];

/// `PA-ETYPE-INFO2`.
const ETYPE_INFO2: i64 = 19;

/// Error codes of RFC 4120 section 7.5.9.
pub mod code {
    /// The KDC does not know the client.
    pub const CLIENT_UNKNOWN: i64 = 6;
    /// The KDC does not know the service.
    pub const SERVER_UNKNOWN: i64 = 7;
    /// No encryption type that was asked for is taken.
    pub const ETYPE_NOT_SUPPORTED: i64 = 14;
    /// The account is disabled, locked, expired, or outside of its hours.
    pub const CLIENT_REVOKED: i64 = 18;
    /// The password has expired.
    pub const KEY_EXPIRED: i64 = 23;
    /// All is well so far: now the password would be needed.
    pub const PREAUTH_REQUIRED: i64 = 25;
    /// The account is known in another realm, which the answer names.
    pub const WRONG_REALM: i64 = 68;
}

/// A request for a ticket-granting ticket, without any proof (AS-REQ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRequest<'a> {
    /// The account, without its realm.
    pub client: &'a str,
    /// The realm.
    pub realm: &'a str,
    /// What the ticket is to be for; `None` for the realm's own ticket-granting service.
    pub service: Option<&'a str>,
    /// A number that no other request has.
    pub nonce: u32,
}

impl TicketRequest<'_> {
    /// Writes the request, without the length that TCP has in front of it.
    pub fn write(&self) -> Vec<u8> {
        let field = |number, content: &[u8]| der::write(context(number), &[content]);
        let service: Vec<&str> = match self.service {
            Some(service) => service.split('/').collect(),
            None => vec!["krbtgt", self.realm],
        };
        let enctypes: Vec<Vec<u8>> = ENCTYPES.iter().map(|number| der::write_integer(*number)).collect();
        let enctypes: Vec<&[u8]> = enctypes.iter().map(Vec::as_slice).collect();
        let body = [
            field(0, &der::write(BIT_STRING, &[&CANONICALIZE])),
            field(1, &name(1, &self.client.split('/').collect::<Vec<_>>())),
            field(2, &der::write(GENERAL_STRING, &[self.realm.as_bytes()])),
            field(3, &name(2, &service)),
            // As long as the KDC likes (RFC 4120 5.4.1 has this time for it).
            field(5, &der::write(GENERALIZED_TIME, &[b"19700101000000Z"])),
            // Microsoft's KDC takes 31 bits.
            field(7, &der::write_integer((self.nonce & 0x7fff_ffff).cast_signed())),
            field(8, &der::write(SEQUENCE, &enctypes)),
        ];
        let request = [
            field(1, &der::write_integer(5)),
            field(2, &der::write_integer(10)),
            field(4, &der::write(SEQUENCE, &[&body.concat()])),
        ];
        der::write(REQUEST, &[&der::write(SEQUENCE, &[&request.concat()])])
    }
}

fn name(kind: i32, parts: &[&str]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| der::write(GENERAL_STRING, &[part.as_bytes()])).collect();
    let kind = der::write(context(0), &[&der::write_integer(kind)]);
    let parts = der::write(context(1), &[&der::write(SEQUENCE, &[&parts.concat()])]);
    der::write(SEQUENCE, &[&kind, &parts])
}

/// What a KDC answers. Its texts are a stranger's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KdcAnswer {
    /// A ticket that only the account's key opens: this account needs no proof beforehand.
    Ticket {
        /// `user@REALM`, as the KDC has it.
        client: String,
    },
    /// Anything else.
    Error(KdcError),
}

/// What a KDC says instead of a ticket (KRB-ERROR).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KdcError {
    /// Its number: see [`code`].
    pub code: i64,
    /// The KDC's clock, since 1970 (UTC).
    pub time: Duration,
    /// The client's realm, where the KDC names it: with [`code::WRONG_REALM`] the one to ask.
    pub client_realm: Option<String>,
    /// Its own words.
    pub text: Option<String>,
    /// The numbers of the encryption types that the account has keys of, the preferred one first. With [`code::PREAUTH_REQUIRED`].
    pub enctypes: Vec<i64>,
}

impl KdcAnswer {
    /// Reads an answer, without the length that TCP has in front of it.
    ///
    /// # Errors
    /// Anything that is neither a ticket nor an error of Kerberos, with its place.
    pub fn read(answer: &[u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(answer);
        if let Some(mut error) = reader.optional(ERROR)? {
            return KdcError::read(&mut error.element(SEQUENCE)?).map(Self::Error);
        }
        let mut reply = reader.element(REPLY)?.element(SEQUENCE)?;
        let (mut realm, mut client) = (String::new(), String::new());
        while !reply.is_empty() {
            match reply.any()? {
                (tag, mut content) if tag == context(3) => realm = text(&mut content)?,
                (tag, mut content) if tag == context(4) => client = read_name(&mut content)?,
                _ => {}
            }
        }
        Ok(Self::Ticket {
            client: format!("{client}@{realm}"),
        })
    }
}

impl KdcError {
    fn read(fields: &mut Reader<'_>) -> Result<Self, DerError> {
        let mut error = Self {
            code: -1,
            time: Duration::ZERO,
            client_realm: None,
            text: None,
            enctypes: Vec::new(),
        };
        let mut data = None;
        while !fields.is_empty() {
            let (tag, mut content) = fields.any()?;
            match tag & 0x1f {
                4 => error.time = time(content.element(GENERALIZED_TIME)?.remaining()),
                6 => error.code = content.integer()?,
                7 => error.client_realm = Some(text(&mut content)?),
                11 => error.text = Some(text(&mut content)?),
                12 => data = Some(content.element(OCTET_STRING)?.remaining()),
                _ => {}
            }
        }
        if error.code == code::PREAUTH_REQUIRED {
            // Other codes have other data there, and some KDCs none that could be read.
            error.enctypes = data.and_then(|data| enctypes(data).ok()).unwrap_or_default();
        }
        Ok(error)
    }
}

/// `METHOD-DATA`, a list of what the KDC wants to see beforehand.
fn enctypes(data: &[u8]) -> Result<Vec<i64>, DerError> {
    let mut numbers = Vec::new();
    let mut methods = Reader::new(data).element(SEQUENCE)?;
    while !methods.is_empty() {
        let mut method = methods.element(SEQUENCE)?;
        let kind = method.element(context(1))?.integer()?;
        let Some(mut value) = method.optional(context(2))?.filter(|_| kind == ETYPE_INFO2) else {
            continue;
        };
        let mut entries = Reader::new(value.element(OCTET_STRING)?.remaining()).element(SEQUENCE)?;
        while !entries.is_empty() {
            let number = entries.element(SEQUENCE)?.element(context(0))?.integer()?;
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    Ok(numbers)
}

fn text(content: &mut Reader<'_>) -> Result<String, DerError> {
    Ok(printable(content.element(GENERAL_STRING)?.remaining()))
}

fn read_name(content: &mut Reader<'_>) -> Result<String, DerError> {
    let mut name = content.element(SEQUENCE)?;
    name.element(context(0))?;
    let mut parts = name.element(context(1))?.element(SEQUENCE)?;
    let mut texts = Vec::new();
    while !parts.is_empty() {
        texts.push(text(&mut parts)?);
    }
    Ok(texts.join("/"))
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean = text.trim_end_matches('\0').chars();
    clean.map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

/// `YYYYMMDDHHMMSSZ` as seconds since 1970; zero for anything else, and for what lies before.
fn time(text: &[u8]) -> Duration {
    let number = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(text.get(range)?).ok()?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())?
    };
    let read = || {
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        let (hour, minute, second) = (number(8..10)?, number(10..12)?, number(12..14)?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        // Days of years that begin in March, so that a leap day is the last of its year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
        let days = days.checked_sub(719_469)?;
        Some(Duration::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
    };
    read().unwrap_or_default()
}

/// The name of an encryption type as `krb5.conf` has it, where it is a known one.
#[must_use]
pub fn enctype_name(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "des-cbc-crc",
        3 => "des-cbc-md5",
        16 => "des3-cbc-sha1",
        17 => "aes128-cts-hmac-sha1-96",
        18 => "aes256-cts-hmac-sha1-96",
        19 => "aes128-cts-hmac-sha256-128",
        20 => "aes256-cts-hmac-sha384-192",
        23 => "arcfour-hmac",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        der::write(context(number), &[content])
    }

    fn string(text: &str) -> Vec<u8> {
        der::write(GENERAL_STRING, &[text.as_bytes()])
    }

    #[test]
    fn an_error_tells_clock_realm_and_encryption_types() {
        let entry = |number| der::write(SEQUENCE, &[&field(0, &der::write_integer(number)), &field(1, &string("salt"))]);
        let info = der::write(SEQUENCE, &[&entry(18), &entry(23), &entry(18)]);
        let method = |kind, value: &[u8]| {
            let value = field(2, &der::write(OCTET_STRING, &[value]));
            der::write(SEQUENCE, &[&field(1, &der::write_integer(kind)), &value])
        };
        let methods = der::write(SEQUENCE, &[&method(2, b""), &method(19, &info)]);
        let error = [
            field(0, &der::write_integer(5)),
            field(1, &der::write_integer(30)),
            field(4, &der::write(GENERALIZED_TIME, &[b"20261127124500Z"])),
            field(5, &der::write_integer(7)),
            field(6, &der::write_integer(25)),
            field(7, &string("CORP.EXAMPLE")),
            field(9, &string("CORP.EXAMPLE")),
            field(11, &string("NEEDED\n\0")),
            field(12, &der::write(OCTET_STRING, &[&methods])),
        ];
        let answer = der::write(ERROR, &[&der::write(SEQUENCE, &[&error.concat()])]);
        assert_eq!(
            KdcAnswer::read(&answer),
            Ok(KdcAnswer::Error(KdcError {
                code: code::PREAUTH_REQUIRED,
                time: Duration::from_secs(1_795_783_500),
                client_realm: Some("CORP.EXAMPLE".to_owned()),
                text: Some("NEEDED\u{fffd}".to_owned()),
                enctypes: vec![18, 23],
            }))
        );
    }

    #[test]
    fn a_ticket_names_its_client() {
        let reply = [field(3, &string("R.TEST")), field(4, &name(1, &["alice", "admin"]))].concat();
        let answer = der::write(REPLY, &[&der::write(SEQUENCE, &[&reply])]);
        let client = "alice/admin@R.TEST".to_owned();
        assert_eq!(KdcAnswer::read(&answer), Ok(KdcAnswer::Ticket { client }));
    }

    #[test]
    fn times_of_the_calendar() {
        for (text, seconds) in [
            ("19700101000000Z", 0),
            ("20000229235959Z", 951_868_799),
            ("20380119031408Z", 2_147_483_648),
            ("21000301000000Z", 4_107_542_400),
            ("1970", 0),
            ("20001301000000Z", 0),
            ("2000010100000+Z", 0),
        ] {
            assert_eq!(time(text.as_bytes()), Duration::from_secs(seconds), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in prop_oneof![Just(ERROR), Just(REPLY)]) {
            let _ = KdcAnswer::read(&bytes);
            let _ = KdcAnswer::read(&der::write(tag, &[&der::write(SEQUENCE, &[&bytes])]));
        }
    }
}
