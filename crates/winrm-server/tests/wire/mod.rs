//! A WinRM client of nothing but sockets and text, so that no mistake of ours is made on both sides.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use winrm_server::{Credentials, ServeError, Server, ServerBuilder};

pub(crate) const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
const ACTIONS: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/";
pub(crate) const CREATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create";
pub(crate) const DELETE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete";
pub(crate) const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
pub(crate) const ALICE: &str = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"; // alice:secret
pub(crate) const BOB: &str = "Authorization: Basic Ym9iOmhpZGRlbg==\r\n"; // bob:hidden

/// A running service.
pub(crate) struct Service {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) certificate_pem: Option<String>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

/// A builder with the accounts of the tests, clear text allowed.
pub(crate) fn builder() -> ServerBuilder {
    Server::builder()
        .listen("127.0.0.1:0".parse().unwrap())
        .user(Credentials::parse("alice", "secret").unwrap())
        .user(Credentials::parse("bob", "hidden").unwrap())
        .allow_unencrypted(true)
}

pub(crate) async fn start(builder: ServerBuilder) -> Service {
    let server = builder.bind().await.unwrap();
    let addresses = server.addresses();
    let certificate_pem = server.certificate_pem().map(str::to_owned);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    Service {
        addresses,
        certificate_pem,
        stop: Some(stop),
        task,
    }
}

impl Service {
    pub(crate) async fn connect(&self) -> Wire<TcpStream> {
        Wire::new(TcpStream::connect(self.addresses[0]).await.unwrap())
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap();
    }
}

/// One connection.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// `Authorization` and whatever else each request carries.
    pub(crate) headers: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body as text, as far as it is text.
    pub(crate) body: String,
    pub(crate) bytes: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            headers: ALICE.to_owned(),
        }
    }

    /// Sends an envelope and reads the answer.
    pub(crate) async fn post(&mut self, body: &str) -> Reply {
        self.send(body.as_bytes()).await;
        self.reply().await.expect("an answer")
    }

    pub(crate) async fn send(&mut self, body: &[u8]) {
        let head = format!(
            "POST /wsman HTTP/1.1\r\nHost: test\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n{}Content-Length: {}\r\n\r\n",
            self.headers,
            body.len()
        );
        // In one piece: two would wait for each other's acknowledgement.
        let request = [head.as_bytes(), body].concat();
        self.stream.write_all(&request).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends whatever this is.
    pub(crate) async fn raw(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads one answer; `None` if the connection ends first.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")
                    .map(|n| n.trim().parse::<usize>().unwrap())
            })
            .unwrap_or(0);
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        let bytes = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Some(Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        })
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.buffer).await.ok()?;
        (count > 0).then_some(())
    }

    /// Opens a shell and gives its id.
    pub(crate) async fn open(&mut self) -> String {
        let reply = self.post(&envelope(CREATE, "", "<rsp:Shell/>")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.text("rsp:ShellId").to_owned()
    }

    /// Starts a command and gives its id.
    pub(crate) async fn command(&mut self, shell: &str, command: &str) -> String {
        let reply = self.try_command(shell, command).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.text("rsp:CommandId").to_owned()
    }

    pub(crate) async fn try_command(&mut self, shell: &str, command: &str) -> Reply {
        let command = command.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!("<rsp:CommandLine><rsp:Command>{command}</rsp:Command></rsp:CommandLine>");
        self.post(&envelope(&action("Command"), &selector(shell), &body)).await
    }

    pub(crate) async fn receive(&mut self, shell: &str, command: &str) -> Reply {
        self.post(&receive(shell, command, "PT20S")).await
    }

    /// Receives until the command is done: standard output, standard error, exit code.
    pub(crate) async fn finish(&mut self, shell: &str, command: &str) -> (Vec<u8>, Vec<u8>, u32) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let reply = self.receive(shell, command).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            stdout.extend(reply.stream("stdout"));
            stderr.extend(reply.stream("stderr"));
            if reply.body.contains("CommandState/Done") {
                return (stdout, stderr, reply.text("rsp:ExitCode").parse().unwrap());
            }
        }
    }

    pub(crate) async fn run(&mut self, shell: &str, command: &str) -> (String, String, u32) {
        let command = self.command(shell, command).await;
        let (stdout, stderr, code) = self.finish(shell, &command).await;
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), code)
    }

    pub(crate) async fn stdin(&mut self, shell: &str, command: &str, data: &[u8], end: bool, timeout: &str) -> Reply {
        let end = if end { r#" End="true""# } else { "" };
        let data = STANDARD.encode(data);
        let body = format!(r#"<rsp:Send><rsp:Stream Name="stdin" CommandId="{command}"{end}>{data}</rsp:Stream></rsp:Send>"#);
        let headers = format!("{}<w:OperationTimeout>{timeout}</w:OperationTimeout>", selector(shell));
        self.post(&envelope(&action("Send"), &headers, &body)).await
    }

    pub(crate) async fn signal(&mut self, shell: &str, command: &str, code: &str) -> Reply {
        let body = format!(r#"<rsp:Signal CommandId="{command}"><rsp:Code>{ACTIONS}signal/{code}</rsp:Code></rsp:Signal>"#);
        self.post(&envelope(&action("Signal"), &selector(shell), &body)).await
    }

    pub(crate) async fn delete(&mut self, shell: &str) -> Reply {
        self.post(&envelope(DELETE, &selector(shell), "")).await
    }
}

impl Reply {
    /// The text of the first element of this name.
    #[track_caller]
    pub(crate) fn text(&self, tag: &str) -> &str {
        let begin = self
            .body
            .find(&format!("<{tag}"))
            .unwrap_or_else(|| panic!("no {tag} in {}", self.body));
        let rest = &self.body[begin..];
        let rest = &rest[rest.find('>').unwrap() + 1..];
        &rest[..rest.find("</").unwrap()]
    }

    /// All bytes of a stream.
    pub(crate) fn stream(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in self.body.split(&format!("<rsp:Stream Name=\"{name}\"")).skip(1) {
            let text = &piece[piece.find('>').unwrap() + 1..piece.find("</").unwrap()];
            bytes.extend(STANDARD.decode(text).unwrap());
        }
        bytes
    }

    /// Checks that this is a fault with this number and subcode, and gives its text.
    #[track_caller]
    pub(crate) fn fault(&self, number: u32, subcode: &str) -> &str {
        assert_eq!(self.status, 500, "{}", self.body);
        assert!(self.body.contains(&format!("Code=\"{number}\"")), "{number} in {}", self.body);
        assert!(self.body.contains(&format!(">{subcode}</s:Value>")), "{subcode} in {}", self.body);
        self.text("s:Text")
    }
}

pub(crate) fn action(name: &str) -> String {
    format!("{ACTIONS}{name}")
}

pub(crate) fn selector(shell: &str) -> String {
    format!(r#"<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>"#)
}

pub(crate) fn receive(shell: &str, command: &str, timeout: &str) -> String {
    let body = format!(r#"<rsp:Receive><rsp:DesiredStream CommandId="{command}">stdout stderr</rsp:DesiredStream></rsp:Receive>"#);
    let headers = format!("{}<w:OperationTimeout>{timeout}</w:OperationTimeout>", selector(shell));
    envelope(&action("Receive"), &headers, &body)
}

/// A request of the command shell's resource.
pub(crate) fn envelope(action: &str, headers: &str, body: &str) -> String {
    envelope_for(SHELL, action, headers, body)
}

pub(crate) fn envelope_for(resource: &str, action: &str, headers: &str, body: &str) -> String {
    format!(
        concat!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing""#,
            r#" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">"#,
            "<s:Header><a:To>http://windows-host:5985/wsman</a:To>",
            "<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>",
            "<a:Action>{action}</a:Action><a:MessageID>uuid:0A0B0C0D-0000-0000-0000-000000000001</a:MessageID>",
            "<w:ResourceURI>{resource}</w:ResourceURI>{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>",
        ),
        action = action,
        resource = resource,
        headers = headers,
        body = body,
    )
}

/// Whether a process is gone, or only waits to be reaped by whoever is its parent.
pub(crate) fn is_gone(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_err();
    };
    stat.rsplit(')').next().unwrap().trim_start().starts_with('Z')
}

/// Waits until a process is gone; the test hangs if it never is.
pub(crate) async fn until_gone(pid: i32) {
    while !is_gone(pid) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
