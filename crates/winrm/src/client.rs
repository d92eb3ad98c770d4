//! The client of one host.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use winrm_proto::config::Config;
use winrm_proto::identify::IdentifyResponse;
use winrm_proto::instance::Instance;
use winrm_proto::ns;

use crate::builder::ClientBuilder;
use crate::command::{Command, Place};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::files::{Download, Upload};
use crate::probe::Probe;
use crate::session::Session;
use crate::shell::ShellBuilder;
use crate::wsman::WsMan;

/// How long [`Client::close`] waits at most.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// A client of one host. Clones are the same client, with the same connections.
///
/// Connections are made when they are needed, authenticated once, and kept.
#[derive(Clone)]
pub struct Client(Arc<Session>);

impl Client {
    /// Begins a client for this address: a URL, or `[user@]host[:port]` (see [`Endpoint::parse`]).
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(crate) fn from_session(session: Session) -> Self {
        Self(Arc::new(session))
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// Where the host is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    /// Describes a command to run in a shell of its own, which is removed with the command's end.
    #[must_use]
    pub fn command(&self, program: impl Into<String>) -> Command {
        Command::new(Place::Own(self.clone()), program.into())
    }

    /// Describes a shell for many commands.
    pub fn shell(&self) -> ShellBuilder {
        ShellBuilder::new(self.clone())
    }

    /// Describes a copy of a file or folder to the host; awaiting it carries it out. The target is a path of the host, with `~` and
    /// `%NAME%` if wished: a folder that is there or ends in a separator takes the source under its own name, anything else is the
    /// copy itself. A folder that an earlier copy of the same folder made is brought up to date.
    ///
    /// ```no_run
    /// # async fn example(client: winrm::Client) -> Result<(), winrm::Error> {
    /// let summary = client.upload("site", r"C:\inetpub\site").delete(true).await?;
    /// println!("{} files, {} unchanged, {} failed", summary.copied, summary.unchanged, summary.failed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload(&self, source: impl Into<PathBuf>, target: impl Into<String>) -> Upload {
        Upload::new(self.clone(), source.into(), target.into())
    }

    /// Describes a copy of what a reader gives to a file of the host.
    pub fn upload_from(&self, reader: impl AsyncRead + Send + Unpin + 'static, target: impl Into<String>) -> Upload {
        Upload::of_reader(self.clone(), Box::new(reader), target.into())
    }

    /// Describes a copy of a file or folder of the host, with wildcards if wished, to this machine; as [`upload`](Self::upload)
    /// otherwise.
    pub fn download(&self, source: impl Into<String>, target: impl Into<PathBuf>) -> Download {
        Download::new(self.clone(), source.into(), target.into())
    }

    /// Describes a copy of a file of the host to a writer. It is flushed, and not shut down.
    pub fn download_to(&self, source: impl Into<String>, writer: impl AsyncWrite + Send + Unpin + 'static) -> Download {
        Download::to_writer(self.clone(), source.into(), Box::new(writer))
    }

    /// Asks who answers there, without credentials. Hosts keep their version to themselves then.
    ///
    /// # Errors
    /// When there is no WinRM service to be reached: see [`ErrorKind`](crate::ErrorKind).
    pub async fn identify(&self) -> Result<Identity, Error> {
        self.0.identify(false).await.map(Identity::from)
    }

    /// Sends an empty request without credentials, over a connection of its own, and tells what the host shows of itself: its TLS, its
    /// clock, and the ways to authenticate that it offers. Any answer of HTTP is one, that of another web server too.
    ///
    /// # Errors
    /// When no answer of HTTP comes: see [`ErrorKind`](crate::ErrorKind).
    pub async fn probe(&self) -> Result<Probe, Error> {
        Probe::of(&self.0).await
    }

    /// Proves that the credentials are accepted, and measures a round trip.
    ///
    /// It is an Identify with credentials, which needs no right but that to log on over the network. Whether the account may
    /// open shells is not asked: that would take a shell.
    ///
    /// # Errors
    /// When the host can't be reached or refuses the credentials: see [`ErrorKind`](crate::ErrorKind).
    pub async fn ping(&self) -> Result<Ping, Error> {
        let start = Instant::now();
        let identity = self.0.identify(true).await?;
        let connect = start.elapsed();
        let start = Instant::now();
        self.0.identify(true).await?;
        Ok(Ping {
            identity: identity.into(),
            connect,
            round_trip: start.elapsed(),
        })
    }

    /// Reads the service's configuration, `winrm/config`. Windows shows it to administrators only.
    ///
    /// # Errors
    /// When the host can't be reached or denies it: see [`ErrorKind`](crate::ErrorKind).
    pub async fn config(&self) -> Result<Config, Error> {
        self.0.config().await
    }

    /// The host's resources by WS-Management: its configuration, and the classes of WMI.
    ///
    /// ```no_run
    /// # async fn example(client: winrm::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use winrm::Resource;
    ///
    /// let wsman = client.wsman();
    /// let service = wsman.get(&Resource::parse("wmicimv2/Win32_Service?Name=W3SVC")?).await?;
    /// println!("{}", service.text("State").unwrap_or_default());
    /// wsman.set(&Resource::parse("winrm/config/service/auth")?, [("Basic", "true")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn wsman(&self) -> WsMan {
        WsMan::new(self.0.clone())
    }

    /// Sends an envelope that the caller has written, and gives the answer as it came: for operations that this crate doesn't
    /// know. Nothing is read of either but whether the host says that it is busy; it is asked again then, a few times.
    ///
    /// ```no_run
    /// # async fn example(client: winrm::Client, envelope: String) -> Result<(), winrm::Error> {
    /// let reply = client.exchange(envelope).await?;
    /// println!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the host can't be reached, doesn't answer or refuses the credentials: see [`ErrorKind`](crate::ErrorKind). Faults, and
    /// whatever comes with another HTTP status than 401, are replies.
    pub async fn exchange(&self, envelope: impl Into<Bytes>) -> Result<Reply, Error> {
        self.0.relay(envelope.into()).await
    }

    /// How many connections this client has made so far, those that have been closed included.
    #[must_use]
    pub fn connections_made(&self) -> u64 {
        self.0.connections_made()
    }

    /// Waits until commands and shells that were dropped are gone from the host, for ten seconds at most, and closes the
    /// connections that nobody uses. `false` when the time did not suffice.
    pub async fn close(&self) -> bool {
        let finished = self.0.cleanups().finished(CLOSE_LIMIT).await;
        self.0.close_idle();
        finished
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint().to_string())
            .finish_non_exhaustive()
    }
}

/// What came back for an envelope of the caller's.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status: 200, or 500 for faults.
    pub status: u16,
    /// The body, decrypted: an envelope in UTF-8 or UTF-16, or whatever else answers there.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish()
    }
}

/// Who answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The URI of the WS-Management version.
    pub protocol_version: String,
    /// `Microsoft Corporation` for Windows.
    pub vendor: String,
    /// `OS: 10.0.17763 SP: 0.0 Stack: 3.0`; `OS: 0.0.0 …` for those who did not authenticate.
    pub version: String,
    /// URIs of the security profiles that the host offers, if it says so.
    pub security_profiles: Vec<String>,
}

impl From<IdentifyResponse> for Identity {
    fn from(response: IdentifyResponse) -> Self {
        Self {
            protocol_version: response.protocol_version,
            vendor: response.product_vendor,
            version: response.product_version,
            security_profiles: response.security_profiles,
        }
    }
}

impl From<Identity> for Instance {
    /// The answer as it stood on the wire.
    fn from(identity: Identity) -> Self {
        let mut instance = Self::new(ns::IDENTIFY, "IdentifyResponse")
            .with("ProtocolVersion", identity.protocol_version)
            .with("ProductVendor", identity.vendor)
            .with("ProductVersion", identity.version);
        if !identity.security_profiles.is_empty() {
            let mut profiles = Self::new(ns::IDENTIFY, "SecurityProfiles");
            for profile in identity.security_profiles {
                profiles.push("SecurityProfileName", profile);
            }
            instance.push("SecurityProfiles", profiles);
        }
        instance
    }
}

/// What [`Client::ping`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ping {
    /// Who answers, told to an authenticated client.
    pub identity: Identity,
    /// How long the first answer took: connection, TLS and authentication included, where they were not there yet.
    pub connect: Duration,
    /// How long one request and its answer take on a connection that is there.
    pub round_trip: Duration,
}
