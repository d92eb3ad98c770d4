//! What an HTTP answer means, before anything of SOAP is read.

use http::{HeaderMap, StatusCode, header};
use winrm_auth::{Challenge, Scheme};

use crate::connection::RawAnswer;
use crate::error::{Error, ErrorKind, MayHaveRun};

/// The media type of SOAP 1.2.
const SOAP: &str = "application/soap+xml";

/// The media type, in lower case and without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the body is said to be SOAP, or XML that may be.
pub(crate) fn is_soap(headers: &HeaderMap) -> bool {
    matches!(media_type(headers).as_str(), SOAP | "text/xml" | "application/xml")
}

/// Gives the body if it is SOAP, whatever the status says: faults come with 500.
pub(crate) fn soap_of(answer: RawAnswer, url: &str) -> Result<Vec<u8>, Error> {
    let kind = media_type(&answer.headers);
    if is_soap(&answer.headers) && !answer.body.is_empty() && answer.status != StatusCode::UNAUTHORIZED {
        return Ok(answer.body);
    }
    if answer.status == StatusCode::OK {
        return Err(unexpected_success(&kind, answer.body.is_empty(), url).at_least(MayHaveRun::Unknown));
    }
    Err(refusal(&answer, &kind, url))
}

fn unexpected_success(kind: &str, empty: bool, url: &str) -> Error {
    if empty {
        return Error::new(ErrorKind::Protocol, format!("{url} answered with nothing (HTTP 200, no body)"));
    }
    let what = match kind {
        "text/html" | "application/xhtml+xml" => "a web page".to_owned(),
        "" => "data of an unknown kind".to_owned(),
        other => format!("data of the kind {}", printable(other)),
    };
    Error::new(ErrorKind::NotWinRm, format!("{url} answered with {what}, not with WinRM's SOAP"))
        .with_hint("another service listens there: check host, port and path (5985 and 5986, /wsman)")
}

fn refusal(answer: &RawAnswer, kind: &str, url: &str) -> Error {
    let status = answer.status;
    match status {
        StatusCode::UNAUTHORIZED => unauthorized(&answer.headers, url, "a request"),
        StatusCode::FORBIDDEN => Error::new(ErrorKind::Forbidden, format!("{url} denies access (HTTP 403)"))
            .with_hint("the account may lack the right to use WinRM, or a proxy stands between"),
        StatusCode::NOT_FOUND => Error::new(ErrorKind::NotWinRm, format!("there is no WinRM service at {url} (HTTP 404)"))
            .with_hint("check the path (/wsman) and the port (5985 http, 5986 https)"),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Error::new(
            ErrorKind::NotWinRm,
            format!("{url} takes no POST requests (HTTP {}): it is no WinRM service", status.as_u16()),
        )
        .with_hint("check the path (/wsman) and the port (5985 http, 5986 https)"),
        StatusCode::PAYLOAD_TOO_LARGE => Error::new(ErrorKind::Protocol, format!("{url} found a request too large (HTTP 413)"))
            .with_hint("the host takes smaller envelopes than this client was told: see MaxEnvelopeSizekb"),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Error::new(
            ErrorKind::NotWinRm,
            format!("a proxy in front of {url} asks for credentials (HTTP 407)"),
        ),
        StatusCode::SERVICE_UNAVAILABLE => Error::new(ErrorKind::NotWinRm, format!("no service runs behind {url} (HTTP 503)"))
            .with_hint("is the WinRM service started on the host?")
            .at_least(MayHaveRun::Unknown),
        status if status.is_redirection() => {
            let to = answer
                .headers
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("nowhere");
            Error::new(
                ErrorKind::NotWinRm,
                format!("{url} sends clients elsewhere, to {} (HTTP {})", printable(to), status.as_u16()),
            )
            .with_hint("WinRM never redirects: credentials are not carried along; check host, port and path")
        }
        StatusCode::BAD_REQUEST => Error::new(ErrorKind::Protocol, format!("{url} could not read a request (HTTP 400)"))
            .with_hint("http sent to a port for https is answered so, and so is a message sealed for another connection"),
        status => {
            let page = if kind == "text/html" { ", with a web page" } else { "" };
            Error::new(ErrorKind::Protocol, format!("{url} failed with HTTP {}{page}", status.as_u16()))
                .with_hint("what answers there is no WinRM service, or a proxy in front of one")
                .at_least(if status.is_server_error() {
                    MayHaveRun::Unknown
                } else {
                    MayHaveRun::No
                })
        }
    }
}

/// HTTP 401: what was tried, and what the host would have taken.
pub(crate) fn unauthorized(headers: &HeaderMap, url: &str, tried: &str) -> Error {
    not_accepted(&offered(headers), url, tried)
}

/// The same for schemes that were read before.
pub(crate) fn not_accepted(offers: &[String], url: &str, tried: &str) -> Error {
    let offered = if offers.is_empty() {
        "nothing".to_owned()
    } else {
        offers.join(", ")
    };
    Error::new(
        ErrorKind::Unauthorized,
        format!("{url} refused {tried} (HTTP 401); it offers {offered}"),
    )
}

/// The names of the schemes that a host offers.
pub(crate) fn offered(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for value in headers.get_all(header::WWW_AUTHENTICATE) {
        for challenge in value
            .to_str()
            .ok()
            .and_then(|value| Challenge::parse_list(value).ok())
            .unwrap_or_default()
        {
            let name = printable(challenge.scheme.name());
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The token that a host sends for this scheme.
pub(crate) fn token_of(headers: &HeaderMap, scheme: &Scheme) -> Option<Vec<u8>> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let challenges = values
        .filter_map(|value| Challenge::parse_list(value.to_str().ok()?).ok())
        .flatten();
    challenges
        .filter(|challenge| challenge.scheme == *scheme)
        .find_map(|challenge| challenge.token)
}

/// A stranger's text, made harmless for terminals and short.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(200)
        .collect()
}
