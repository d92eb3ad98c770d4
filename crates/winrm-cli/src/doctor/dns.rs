//! Names and addresses, by the system's resolver; and the service records (SRV) that it doesn't ask for.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    pub(super) addresses: Vec<IpAddr>,
    /// The name at the end of its aliases, if there are any.
    pub(super) canonical: Option<String>,
}

/// `AI_CANONNAME`, the same number on Linux, macOS and the BSDs.
const CANONICAL_NAME: i32 = 2;

/// Looks a name up, as every program of this machine does.
pub(super) async fn forward(name: String) -> Result<Resolved, String> {
    let look_up = move || {
        let hints = dns_lookup::AddrInfoHints {
            flags: CANONICAL_NAME,
            socktype: dns_lookup::SockType::Stream.into(),
            ..dns_lookup::AddrInfoHints::default()
        };
        let answers = dns_lookup::getaddrinfo(Some(&name), None, Some(hints)).map_err(|error| std::io::Error::from(error).to_string())?;
        let mut resolved = Resolved::default();
        for answer in answers.filter_map(Result::ok) {
            let address = answer.sockaddr.ip();
            if !resolved.addresses.contains(&address) {
                resolved.addresses.push(address);
            }
            let canonical = answer.canonname.map(|name| name.trim_end_matches('.').to_owned());
            resolved.canonical = resolved.canonical.or(canonical);
        }
        let plain = name.trim_end_matches('.');
        resolved.canonical = resolved.canonical.filter(|canonical| !canonical.eq_ignore_ascii_case(plain));
        Ok(resolved)
    };
    blocking(look_up)
        .await
        .unwrap_or_else(|| Err("the resolver was interrupted".to_owned()))
}

/// The name of an address, if it has one.
pub(super) async fn reverse(address: IpAddr) -> Option<String> {
    let look_up = move || {
        let name = dns_lookup::lookup_addr(&address).ok()?;
        let name = name.trim_end_matches('.').to_owned();
        // Without a name the address itself comes back.
        let is_name = name.split('%').next().is_none_or(|name| name.parse::<IpAddr>().is_err());
        is_name.then_some(name)
    };
    blocking(look_up).await.flatten()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Hosts and ports that a service record names, the preferred ones first. Nothing where no server answers, or none knows.
pub(super) async fn services(name: &str) -> Vec<(String, u16)> {
    let Some(question) = question(name) else { return Vec::new() };
    for server in servers(Path::new("/etc/resolv.conf")) {
        match timeout(PATIENCE, ask(server, &question)).await {
            Ok(Ok(answer)) => return records(&answer),
            _ => tracing::debug!(%server, "no answer from a server of DNS"),
        }
    }
    Vec::new()
}

fn question(name: &str) -> Option<Vec<u8>> {
    let id = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet
        .questions
        .push(Question::new(Name::new(name).ok()?, TYPE::SRV.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

async fn ask(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        // Another question's answer, or nobody's.
        if answer.get(..2) != question.get(..2) {
            continue;
        }
        answer.truncate(length);
        break;
    }
    let is_whole = Packet::parse(&answer).is_ok_and(|packet| !packet.has_flags(PacketFlag::TRUNCATION));
    if is_whole {
        return Ok(answer);
    }
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u16(u16::try_from(question.len()).unwrap_or(u16::MAX)).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn records(answer: &[u8]) -> Vec<(String, u16)> {
    let Ok(packet) = Packet::parse(answer) else { return Vec::new() };
    let mut found: Vec<_> = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::SRV(service) => Some((service.priority, service.target.to_string(), service.port)),
            _ => None,
        })
        // A single dot says that there is no such service (RFC 2782).
        .filter(|(_, host, _)| !host.is_empty() && host != ".")
        .collect();
    found.sort_by_key(|(priority, ..)| *priority);
    found.into_iter().map(|(_, host, port)| (host, port)).collect()
}

/// The servers of a `resolv.conf`; the machine itself where it names none.
fn servers(file: &Path) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let mut servers: Vec<SocketAddr> = named
        .filter_map(|address| address.parse::<IpAddr>().ok())
        .map(|address| (address, 53).into())
        .collect();
    if servers.is_empty() {
        servers.push(([127, 0, 0, 1], 53).into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    #[test]
    fn service_records_come_by_priority() {
        let mut packet = Packet::new_reply(1);
        for (priority, target, port) in [(20, "b.test", 88), (10, "a.test", 89)] {
            let record = SRV {
                priority,
                weight: 0,
                port,
                target: Name::new_unchecked(target),
            };
            let name = Name::new_unchecked("_kerberos._tcp.test");
            packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, RData::SRV(record)));
        }
        let answer = packet.build_bytes_vec().unwrap();
        assert_eq!(records(&answer), [("a.test".to_owned(), 89), ("b.test".to_owned(), 88)]);
        assert_eq!(records(b"nonsense"), []);
    }

    #[test]
    fn servers_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        std::fs::write(&file, "# nameserver 9.9.9.9\nnameserver 10.0.0.1\nnameserver ::1\nsearch x\n").unwrap();
        let expected: [SocketAddr; 2] = [([10, 0, 0, 1], 53).into(), "[::1]:53".parse().unwrap()];
        assert_eq!(servers(&file), expected);
        assert_eq!(servers(Path::new("/nowhere")).len(), 1);
    }
}
