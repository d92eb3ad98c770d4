//! Asking a KDC without a password.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use winrm_auth::kerberos::kdc::{KdcAnswer, KdcError, TicketRequest};

/// How long one KDC may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const LONGEST: u32 = 64 * 1024;

/// A service that no realm has: asked for it, a KDC always says no, and with that what time it is.
const NOBODY: &str = "winrm-doctor/nobody";

/// What a KDC said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) answer: KdcAnswer,
    /// How far its clock is ahead of ours, in seconds.
    pub(super) ahead: Option<i64>,
}

/// Asks a KDC, written as in `krb5.conf`, for a ticket of this account.
pub(super) async fn ask(kdc: &str, client: &str, realm: &str) -> Result<Said, String> {
    let (host, port) = place(kdc)?;
    let request = TicketRequest {
        client,
        realm,
        service: None,
        nonce: nonce(),
    };
    let answer = exchange(&host, port, &request).await?;
    let error = match &answer {
        KdcAnswer::Error(error) => Some(error.clone()),
        // A ticket has the time where only the account's key reaches.
        _ => {
            let service = Some(NOBODY);
            match exchange(&host, port, &TicketRequest { service, ..request }).await? {
                KdcAnswer::Error(error) => Some(error),
                _ => None,
            }
        }
    };
    let ahead = error.as_ref().and_then(ahead);
    Ok(Said { answer, ahead })
}

fn ahead(error: &KdcError) -> Option<i64> {
    (!error.time.is_zero()).then(|| seconds_ahead(UNIX_EPOCH + error.time))
}

/// How far a clock that shows this is ahead of ours.
pub(super) fn seconds_ahead(clock: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match clock.duration_since(SystemTime::now()) {
        Ok(ahead) => seconds(ahead),
        Err(error) => -seconds(error.duration()),
    }
}

/// `HOST`, `HOST:PORT`, `ADDRESS`, `[ADDRESS]:PORT`, with `tcp/` or `udp/` in front if wished.
fn place(kdc: &str) -> Result<(String, u16), String> {
    if kdc.starts_with("https://") || kdc.starts_with("http://") {
        return Err("a proxy for Kerberos, which is not looked at here".to_owned());
    }
    let kdc = kdc.strip_prefix("tcp/").or_else(|| kdc.strip_prefix("udp/")).unwrap_or(kdc);
    if let Some(rest) = kdc.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket of the address is not closed")?;
        return Ok((host.to_owned(), port(rest.strip_prefix(':'))?));
    }
    match kdc.split_once(':') {
        // More than one colon is an address of IPv6.
        Some((host, number)) if !number.contains(':') => Ok((host.to_owned(), port(Some(number))?)),
        _ => Ok((kdc.to_owned(), 88)),
    }
}

fn port(text: Option<&str>) -> Result<u16, String> {
    text.map_or(Ok(88), |text| text.parse().map_err(|_| format!("{text:?} is no port")))
}

fn nonce() -> u32 {
    let mut bytes = [0; 4];
    // A number that repeats does no harm here: nothing of the answer is used as a ticket.
    let _ = openssl::rand::rand_bytes(&mut bytes);
    u32::from_be_bytes(bytes)
}

async fn exchange(host: &str, port: u16, request: &TicketRequest<'_>) -> Result<KdcAnswer, String> {
    let talk = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        let request = request.write();
        stream.write_u32(u32::try_from(request.len()).unwrap_or(u32::MAX)).await?;
        stream.write_all(&request).await?;
        let length = stream.read_u32().await?;
        if length > LONGEST {
            return Err(std::io::Error::other("what answers there is no KDC"));
        }
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer = match timeout(PATIENCE, talk).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    KdcAnswer::read(&answer).map_err(|error| format!("what answers there is no KDC: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kdcs_in_every_spelling() {
        for (text, host, port) in [
            ("dc1.corp.example", "dc1.corp.example", 88),
            ("dc1:8888", "dc1", 8888),
            ("tcp/dc1", "dc1", 88),
            ("[fe80::1]:750", "fe80::1", 750),
            ("[fe80::1]", "fe80::1", 88),
            ("fe80::1", "fe80::1", 88),
        ] {
            assert_eq!(place(text), Ok((host.to_owned(), port)), "{text}");
        }
        assert!(place("dc1:x").is_err() && place("[::1").is_err() && place("https://proxy/KdcProxy").is_err());
    }
}
