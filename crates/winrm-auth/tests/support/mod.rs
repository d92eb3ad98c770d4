//! Starts a Python program as the other side of an authentication, and runs the conversation with it.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, also in what it calls")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, NtlmEntropy, NtlmInitiator};
use winrm_auth::{ChannelBinding, ChannelBindingPolicy, Credentials, Error, Secret, SecurityContext, Step, TokenMachine};

pub(crate) const USER: &str = "DOMAIN\\alice";
pub(crate) const PASSWORD: &str = "Pässwörd 1!";

/// The lengths of bodies that are sealed, in bytes.
pub(crate) const BODIES: [usize; 6] = [0, 1, 10, 5_000, 70_000, 5_000_000];

/// A running `tests/peers/token_peer.py`.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    title: String,
}

/// What the peer is to be: see the script.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) role: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) binding: Option<ChannelBinding>,
}

impl Setup {
    pub(crate) fn new(role: &'static str, protocol: &'static str, provider: &'static str) -> Self {
        Self {
            role,
            protocol,
            provider,
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            binding: None,
        }
    }
}

impl Peer {
    /// `None`, after a sentence on standard error, where there is no such peer.
    pub(crate) fn start(setup: &Setup) -> Option<Self> {
        let binding = setup.binding.as_ref().map_or_else(
            || "-".to_owned(),
            |binding| binding.application_data().iter().map(|byte| format!("{byte:02x}")).collect(),
        );
        let Setup {
            role,
            protocol,
            provider,
            user,
            password,
            ..
        } = setup;
        Self::run(
            "token_peer.py",
            &[role, protocol, provider, user, password, &binding],
            &format!("{provider} {protocol} {role}"),
        )
    }

    /// The same for any script of that kind.
    pub(crate) fn run(script: &str, args: &[&str], title: &str) -> Option<Self> {
        let Some(python) = std::env::var_os("WINRM_TEST_PYTHON") else {
            eprintln!("skipped: WINRM_TEST_PYTHON does not name a Python with pyspnego; `cargo xtask test` sets it");
            return None;
        };
        let mut child = Command::new(python)
            .arg(format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR")))
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
            .env("NETBIOS_COMPUTER_NAME", "SERVER")
            .env("NETBIOS_DOMAIN_NAME", "DOMAIN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("WINRM_TEST_PYTHON starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Self {
            child,
            input,
            output,
            title: title.to_owned(),
        };
        let ready = peer.line();
        if ready == "missing" {
            eprintln!("skipped: the system's GSSAPI has no NTLM; install the package gss-ntlmssp");
            return None;
        }
        assert_eq!(ready, "ready");
        Some(peer)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str, arguments: &[&[u8]]) -> Result<Vec<String>, String> {
        let mut line = command.to_owned();
        for argument in arguments {
            line.push(' ');
            line.push_str(&if argument.is_empty() {
                "-".to_owned()
            } else {
                STANDARD.encode(argument)
            });
        }
        line.push('\n');
        self.input.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let reply = self.line();
        match reply.split_once(' ') {
            Some(("error", text)) => Err(text.to_owned()),
            _ => Ok(reply.split(' ').skip(1).map(str::to_owned).collect()),
        }
    }

    /// The peer's token, and whether the peer is done.
    pub(crate) fn step(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), String> {
        let reply = self.ask("step", &[token])?;
        Ok((bytes(&reply[0]), reply[1] == "1"))
    }

    /// Signature and sealed bytes.
    pub(crate) fn wrap(&mut self, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let reply = self.ask("wrap", &[plain]).unwrap();
        (bytes(&reply[0]), bytes(&reply[1]))
    }

    pub(crate) fn unwrap(&mut self, signature: &[u8], sealed: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("unwrap", &[signature, sealed]).map(|reply| bytes(&reply[0]))
    }

    /// `Content-Type` and body, as pypsrp sends them.
    pub(crate) fn seal_body(&mut self, plain: &[u8]) -> (String, Vec<u8>) {
        let reply = self.ask("seal", &[plain]).unwrap();
        (String::from_utf8(bytes(&reply[0])).unwrap(), bytes(&reply[1]))
    }

    /// The plain text of a body, as pypsrp reads it.
    pub(crate) fn open_body(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("open", &[body]).map(|reply| bytes(&reply[0]))
    }

    /// The words that answer another command.
    pub(crate) fn tell(&mut self, command: &str) -> String {
        self.ask(command, &[]).unwrap().join(" ")
    }

    /// Whom the peer, as an acceptor, has authenticated.
    pub(crate) fn name(&mut self) -> String {
        self.tell("peer")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input ends the script.
        self.input = None;
        let _ = self.child.wait();
    }
}

fn bytes(text: &str) -> Vec<u8> {
    if text == "-" { Vec::new() } else { STANDARD.decode(text).unwrap() }
}

/// Why a conversation failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Ours(Error),
    #[expect(dead_code, reason = "seen by those who read of a failure")]
    Theirs(String),
}

/// Our initiator with the peer as acceptor.
pub(crate) fn initiate(ours: &mut dyn TokenMachine, peer: &mut Peer) -> Result<SecurityContext, Failure> {
    let mut input = Vec::new();
    let mut peer_done = false;
    loop {
        match ours.step(&input).map_err(Failure::Ours)? {
            Step::Continue(token) => {
                assert!(!peer_done, "the peer takes itself for done");
                (input, peer_done) = peer.step(&token).map_err(Failure::Theirs)?;
            }
            Step::Done { token, context } => {
                if let Some(token) = token {
                    let (rest, done) = peer.step(&token).map_err(Failure::Theirs)?;
                    assert!(done && rest.is_empty(), "the peer isn't done: {rest:02x?}");
                } else {
                    assert!(peer_done);
                }
                return Ok(context);
            }
        }
    }
}

/// The peer as initiator with our acceptor.
pub(crate) fn accept(ours: &mut dyn TokenMachine, peer: &mut Peer) -> Result<SecurityContext, Failure> {
    let mut input = Vec::new();
    loop {
        let (token, _) = peer.step(&input).map_err(Failure::Theirs)?;
        match ours.step(&token).map_err(Failure::Ours)? {
            Step::Continue(token) => input = token,
            Step::Done { token, context } => {
                if let Some(token) = token {
                    let (rest, done) = peer.step(&token).map_err(Failure::Theirs)?;
                    assert!(done && rest.is_empty(), "the peer isn't done: {rest:02x?}");
                }
                return Ok(context);
            }
        }
    }
}

/// Bodies of all lengths in both directions, and many small ones in a row.
pub(crate) fn assert_seals(context: &mut SecurityContext, peer: &mut Peer) {
    let lengths = BODIES.into_iter().chain((0..60).map(|n| n * 7));
    for (number, length) in lengths.enumerate() {
        if length == 0 && peer.title.starts_with("gssapi") {
            continue; // gss-ntlmssp refuses to wrap nothing
        }
        let plain: Vec<u8> = (0..length).map(|n| (n * 31 + number) as u8).collect();
        let layout = context.sealer.layout(plain.len()).unwrap();
        assert_eq!(layout.padding, 0);
        let message = context.sealer.seal(&plain).unwrap();
        let (signature, sealed) = message.split_at(layout.signature);
        let opened = peer.unwrap(signature, sealed);
        let opened = opened.unwrap_or_else(|text| panic!("{}: message {number}, {length} bytes: {text}", peer.title));
        assert!(opened == plain, "{length} bytes to the peer");

        let (signature, sealed) = peer.wrap(&plain);
        assert!(length < 16 || sealed != plain);
        let mut message = [&signature[..], &sealed].concat();
        let range = context.sealer.unseal_in_place(signature.len(), &mut message).unwrap();
        assert!(message[range] == plain, "{length} bytes from the peer");
    }
}

/// gss-ntlmssp refuses servers whose clock is wrong.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A fixed stand-in for random bytes: what depends on them isn't tested here.
pub(crate) fn initiator(user: &str, password: &str, binding: Option<&ChannelBinding>) -> NtlmInitiator {
    let random = std::array::from_fn(|index| (index as u8).wrapping_mul(11));
    let entropy = NtlmEntropy::new(random, now());
    let machine = NtlmInitiator::new(Credentials::parse(user, password).unwrap(), entropy)
        .target_name("http/server.example")
        .workstation("CLIENT");
    match binding {
        Some(binding) => machine.channel_binding(binding.clone()),
        None => machine,
    }
}

/// Knows [`USER`] with [`PASSWORD`], as `alice@domain.example` too.
pub(crate) fn acceptor(policy: ChannelBindingPolicy) -> NtlmAcceptor {
    let users = |user: &str, domain: Option<&str>| {
        let known = matches!((user, domain), ("alice", Some("DOMAIN") | None) | ("alice@domain.example", None));
        known.then(|| NtHash::from_password(&Secret::new(PASSWORD)))
    };
    let identity = AcceptorIdentity::standalone("server.example");
    NtlmAcceptor::new(identity, Arc::new(users), *b"8 random", now()).channel_binding(policy)
}

pub(crate) fn binding(text: &str) -> ChannelBinding {
    ChannelBinding::from_application_data(format!("tls-server-end-point:{text}").into_bytes())
}
