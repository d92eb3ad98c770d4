//! A host whose answers a test writes by hand.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use winrm::{Client, ClientBuilder, Credentials, Encryption, Transport};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The connection it came over, counted from 1.
    pub(crate) connection: usize,
    /// Which request it is, of all connections, counted from 1.
    pub(crate) number: usize,
    /// Request line and headers, names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// The body, where it is no text.
    pub(crate) raw: Vec<u8>,
}

impl Seen {
    /// The last segment of the action, `Identify` where there is none.
    pub(crate) fn action(&self) -> &str {
        let Some(start) = self.body.find("Action s:mustUnderstand=\"true\">") else {
            return "Identify";
        };
        let rest = &self.body[start..];
        let end = rest.find("</").unwrap();
        rest[..end].rsplit('/').next().unwrap()
    }

    /// The text between the first `begin` and the next `end`.
    pub(crate) fn between(&self, begin: &str, end: &str) -> Option<&str> {
        let start = self.body.find(begin)? + begin.len();
        let length = self.body[start..].find(end)?;
        Some(&self.body[start..start + length])
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What the host does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// SOAP with this status; the connection stays.
    Soap(u16, String),
    /// These bytes; the connection stays.
    Raw(Vec<u8>),
    /// These bytes, and the connection is closed.
    Last(Vec<u8>),
    /// The answer, and the connection is closed without the client being told.
    SoapThenClose(String),
    /// Nothing, for ever.
    Silence,
}

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

impl Host {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    pub(crate) async fn listen(tls: Option<SslAcceptor>, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self {
            address,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&host.seen), Arc::clone(&host.connections));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let connection = {
                    let mut connections = connections.lock().unwrap();
                    *connections += 1;
                    *connections
                };
                let (seen, answer, tls) = (Arc::clone(&seen), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    if let Some(acceptor) = tls {
                        let ssl = Ssl::new(acceptor.context()).unwrap();
                        let mut stream = tokio_openssl::SslStream::new(ssl, tcp).unwrap();
                        if Pin::new(&mut stream).accept().await.is_ok() {
                            serve(stream, connection, &seen, &*answer).await;
                        }
                    } else {
                        serve(tcp, connection, &seen, &*answer).await;
                    }
                });
            }
        });
        host
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn actions(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.action().to_owned()).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(crate) fn http(&self) -> ClientBuilder {
        Client::builder(&format!("http://{}", self.address))
            .credentials(Credentials::parse("alice", "secret").unwrap())
            .transport(Transport::Basic)
            .encryption(Encryption::Never)
    }

    pub(crate) fn https(&self) -> ClientBuilder {
        Client::builder(&format!("https://localhost:{}", self.address.port()))
            .transport(Transport::Basic)
            .credentials(Credentials::parse("alice", "secret").unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wsman", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        self.http().build().unwrap()
    }

    /// A client that loses its patience at once.
    pub(crate) fn impatient(&self) -> Client {
        let builder = self.http().operation_timeout(Duration::from_millis(50));
        builder.read_timeout(Duration::from_millis(300)).build().unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    answer: &(impl Fn(&Seen) -> Reply + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(mut request) = read_request(&mut stream, &mut buffer).await {
        request.connection = connection;
        {
            let mut seen = seen.lock().unwrap();
            request.number = seen.len() + 1;
            seen.push(request.clone());
        }
        match answer(&request) {
            Reply::Soap(status, body) => {
                if stream.write_all(&soap(status, &body)).await.is_err() {
                    return;
                }
            }
            Reply::Raw(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::SoapThenClose(body) => {
                let _ = stream.write_all(&soap(200, &body)).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Seen> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let raw = buffer[head_end..head_end + length].to_vec();
    let body = String::from_utf8_lossy(&raw).into_owned();
    buffer.drain(..head_end + length);
    Some(Seen {
        connection: 0,
        number: 0,
        head,
        body,
        raw,
    })
}

fn soap(status: u16, body: &str) -> Vec<u8> {
    http(
        &format!("{status} Whatever"),
        "Content-Type: application/soap+xml;charset=UTF-8\r\n",
        body.as_bytes(),
    )
}

/// An HTTP answer with its length.
pub(crate) fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";

/// An envelope around a body, with prefixes that this project itself doesn't use.
pub(crate) fn envelope(body: &str) -> String {
    format!(
        "<env:Envelope xmlns:env='http://www.w3.org/2003/05/soap-envelope' xmlns:sh='{SHELL}'>\
         <env:Header/><env:Body>{body}</env:Body></env:Envelope>"
    )
}

pub(crate) fn created(id: &str) -> String {
    envelope(&format!("<sh:Shell><sh:ShellId>{id}</sh:ShellId></sh:Shell>"))
}

pub(crate) fn started(id: &str) -> String {
    envelope(&format!(
        "<sh:CommandResponse><sh:CommandId>{id}</sh:CommandId></sh:CommandResponse>"
    ))
}

/// The streams' pieces (name, base64), and the exit code if the command has ended.
pub(crate) fn received(pieces: &[(&str, &str)], exit_code: Option<u32>) -> String {
    let mut body = "<sh:ReceiveResponse>".to_owned();
    for (name, data) in pieces {
        body += &format!("<sh:Stream Name='{name}' CommandId='C'>{data}</sh:Stream>");
    }
    match exit_code {
        Some(code) => {
            body += &format!(
                "<sh:CommandState CommandId='C' State='{SHELL}/CommandState/Done'><sh:ExitCode>{code}</sh:ExitCode></sh:CommandState>"
            );
        }
        None => body += &format!("<sh:CommandState CommandId='C' State='{SHELL}/CommandState/Running'/>"),
    }
    envelope(&(body + "</sh:ReceiveResponse>"))
}

pub(crate) fn fault(code: u32, message: &str) -> Reply {
    let body = format!(
        "<env:Fault><env:Code><env:Value>env:Receiver</env:Value></env:Code>\
         <env:Reason><env:Text xml:lang='en-US'>{message}</env:Text></env:Reason>\
         <env:Detail><f:WSManFault xmlns:f='http://schemas.microsoft.com/wbem/wsman/1/wsmanfault' Code='{code}' Machine='host'>\
         <f:Message>{message}</f:Message></f:WSManFault></env:Detail></env:Fault>"
    );
    Reply::Soap(500, envelope(&body))
}

/// What a host answers when all goes well; the command prints `out` and `err` and ends with 7.
pub(crate) fn well(seen: &Seen) -> Reply {
    Reply::Soap(
        200,
        match seen.action() {
            "Create" => created("S"),
            "Command" => started("C"),
            "Receive" => received(&[("stdout", "b3V0"), ("stderr", "ZXJy")], Some(7)),
            "Identify" => envelope(
                "<w:IdentifyResponse xmlns:w='http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd'>\
                 <w:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</w:ProtocolVersion>\
                 <w:ProductVendor>Microsoft Corporation</w:ProductVendor>\
                 <w:ProductVersion>OS: 10.0.20348 SP: 0.0 Stack: 3.0</w:ProductVersion></w:IdentifyResponse>",
            ),
            "Get" => envelope(
                "<c:Config xmlns:c='http://schemas.microsoft.com/wbem/wsman/1/config'><c:MaxEnvelopeSizekb>500</c:MaxEnvelopeSizekb></c:Config>",
            ),
            "Send" => envelope("<sh:SendResponse/>"),
            "Signal" => envelope("<sh:SignalResponse/>"),
            _ => envelope(""),
        },
    )
}
