//! The floor: the POSTs of a command over a bare connection of hyper's, and a server that answers them.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use winrm_proto::shell::{
    CommandRequest, CommandResponse, CommandState, CreateResponse, CreateShell, DeleteResponse, DeleteShell, ReceiveRequest,
    ReceiveResponse, Signal, SignalRequest, SignalResponse, State, StreamData,
};
use winrm_proto::{RequestHeader, ResponseHeader};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Makes a benchmark the floor's server.
pub(crate) const FLOOR: &str = "WINRM_BENCH_FLOOR";

const ID: &str = "11111111-2222-3333-4444-555555555555";

/// The sizes of a command's requests and answers, headers of HTTP left out.
pub(crate) struct Sizes {
    pub(crate) full: Vec<(usize, usize)>,
    pub(crate) kept: Vec<(usize, usize)>,
}

impl Sizes {
    pub(crate) fn of_a_command() -> Outcome<Self> {
        let mut header = RequestHeader::new("http://127.0.0.1:12345/wsman");
        header.session_id = Some(format!("uuid:{ID}"));
        let message = format!("uuid:{ID}");
        let answer = ResponseHeader {
            message_id: message.clone(),
            relates_to: Some(message.clone()),
        };
        let mut create = CreateShell::default();
        (create.codepage, create.no_profile) = (Some(65_001), Some(false));
        let mut created = CreateResponse::default();
        (created.shell_id, created.address, created.resource_uri) = (ID.into(), header.to.clone(), winrm_proto::ns::SHELL_CMD.into());
        let receive = ReceiveRequest {
            shell_id: ID.into(),
            command_id: Some(ID.into()),
            streams: vec!["stdout".into(), "stderr".into()],
            keep_alive: true,
        };
        let end = |name: &str| StreamData {
            name: name.into(),
            command_id: Some(ID.into()),
            data: Bytes::new(),
            end: true,
        };
        let received = ReceiveResponse {
            streams: vec![end("stdout"), end("stderr")],
            state: Some(CommandState {
                command_id: Some(ID.into()),
                state: State::Done,
                exit_code: Some(0),
            }),
        };
        let mut kept = vec![
            (
                CommandRequest::new(ID, "true").write(&header, &message)?.len(),
                CommandResponse { command_id: ID.into() }.write(&answer)?.len(),
            ),
            (receive.write(&header, &message)?.len(), received.write(&answer)?.len()),
        ];
        let signal = SignalRequest {
            shell_id: ID.into(),
            command_id: Some(ID.into()),
            signal: Signal::Terminate,
        };
        let mut full = vec![(create.write(&header, &message)?.len(), created.write(&answer)?.len())];
        full.extend(&kept);
        full.push((
            DeleteShell::new(ID).write(&header, &message)?.len(),
            DeleteResponse.write(&answer)?.len(),
        ));
        // A shell that goes on has to be told that the command's end was seen.
        kept.push((signal.write(&header, &message)?.len(), SignalResponse.write(&answer)?.len()));
        Ok(Self { full, kept })
    }
}

/// One connection of hyper's and nothing above it.
pub(crate) struct Bare {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Bare {
    pub(crate) async fn connect(url: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub(crate) async fn post(&mut self, request: usize, response: usize, pause: Duration) -> Outcome {
        let request = Request::post(format!("/{response}/{}", pause.as_micros()))
            .header("host", "127.0.0.1")
            .header("content-type", "application/soap+xml;charset=UTF-8")
            .header("authorization", "Basic YmVuY2g6YmVuY2htYXJr")
            .body(Full::from(vec![b'x'; request]))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        assert_eq!(answer.len(), response, "another answer");
        Ok(())
    }
}

/// Answers `POST /N/P` with N bytes after P microseconds.
pub(crate) async fn serve() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let mut numbers = request.uri().path()[1..].split('/').map(|number| number.parse().unwrap_or(0));
            let (length, pause) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            let _ = request.into_body().collect().await;
            if pause > 0 {
                // On a thread of its own, as a process: tokio's own clock only knows milliseconds.
                let _ = tokio::task::spawn_blocking(move || std::thread::sleep(Duration::from_micros(pause as u64))).await;
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(vec![b'y'; length])))
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
