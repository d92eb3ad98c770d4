//! [`winrm::Client`] as a Python object: one host, any number of threads, and a life of its own in every process.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyDict};
use tokio::runtime::Runtime;
use winrm::{CertificateCheck, ClientCertificate, CredSsp, Credentials, Encryption, Kerberos, Proxy, Reply, TicketSource, Transport};

use crate::failure::Failure;

/// How often a call that waits looks whether Python has got a signal.
const SIGNALS: Duration = Duration::from_millis(100);

/// The largest answer that is read, in bytes: what `MaxEnvelopeSizekb` can be set to at most.
const LARGEST_ANSWER: u32 = 8192 * 1024;

/// One host and who logs on there. Connections are made when they are needed, and kept.
///
/// All calls release the interpreter. In a forked child the parent's connections are left alone: the child makes its own.
#[pyclass(frozen, module = "winrm._winrm")]
pub(crate) struct Client {
    settings: Settings,
    // Never held while the interpreter is released: a fork, which takes place with the interpreter held, finds it free.
    link: Mutex<Option<Arc<Link>>>,
}

/// Everything that a client is made of, read again in every process.
#[derive(Clone)]
struct Settings {
    endpoint: String,
    transport: Transport,
    credentials: Option<Credentials>,
    encryption: Encryption,
    certificates: CertificateCheck,
    certificate: Option<(PathBuf, PathBuf)>,
    read_timeout: Duration,
    kerberos: Kerberos,
    credssp: CredSsp,
    channel_binding: bool,
    proxy: ProxyChoice,
}

#[derive(Clone)]
enum ProxyChoice {
    None,
    Environment,
    Address(String),
}

/// What one process has of a client.
struct Link {
    /// Both are there until the link is dropped.
    client: Option<winrm::Client>,
    runtime: Option<Runtime>,
    home: Home,
}

/// A process, so that a forked child is told from its parent. The count tells those apart that got the same id one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Home {
    pid: u32,
    forks: u64,
}

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Held while a client is made, which takes locks that clients share, and across a fork: a child has its parent's locks and not the threads
/// that would let go of them.
static MAKING: Mutex<()> = Mutex::new(());

thread_local! {
    static FORKING: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

impl Home {
    fn here() -> Self {
        Self {
            pid: std::process::id(),
            forks: FORKS.load(Ordering::Relaxed),
        }
    }
}

/// What the Python side imports when it is first used.
const LATE: [&str; 2] = ["re", "uuid"];

#[pyfunction]
fn before_fork(py: Python<'_>) {
    // A module that another thread is just importing stays locked in the child.
    for module in LATE {
        // Where it can't be imported, its first use says so.
        let _ = py.import(module);
    }
    let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    FORKING.replace(Some(making));
}

#[pyfunction]
fn after_fork_in_parent() {
    FORKING.take();
}

#[pyfunction]
fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    FORKING.take();
}

/// Has Python say when it is forked.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    // Not everywhere can processes be forked.
    if let Ok(register) = py.import("os")?.getattr("register_at_fork") {
        let hooks = PyDict::new(py);
        hooks.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
        hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, py)?)?;
        hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, py)?)?;
        register.call((), Some(&hooks))?;
    }
    Ok(())
}

/// A message: text, or bytes in UTF-8.
#[derive(FromPyObject)]
enum Message {
    Text(PyBackedStr),
    Bytes(PyBackedBytes),
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (
        endpoint, transport, *, username=None, password=None, encryption="auto", verify=true, authorities=None, certificate=None,
        read_timeout=30.0, service=None, host=None, realm=None, keytab=None, delegate=false, disable_tlsv1_2=false, mechanism="auto",
        minimum_version=2, channel_binding=true, proxy=None, proxy_from_environment=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        endpoint: String,
        transport: &str,
        username: Option<PyBackedStr>,
        password: Option<PyBackedStr>,
        encryption: &str,
        verify: bool,
        authorities: Option<PathBuf>,
        certificate: Option<(PathBuf, PathBuf)>,
        read_timeout: f64,
        service: Option<String>,
        host: Option<String>,
        realm: Option<String>,
        keytab: Option<String>,
        delegate: bool,
        disable_tlsv1_2: bool,
        mechanism: &str,
        minimum_version: u32,
        channel_binding: bool,
        proxy: Option<String>,
        proxy_from_environment: bool,
    ) -> PyResult<Self> {
        let unknown = |error: &dyn std::error::Error| Failure::of("configuration", error).raised(py);
        let transport: Transport = transport.parse().map_err(|error| unknown(&error))?;
        let name = username.as_deref().filter(|name| !name.is_empty());
        let credentials = name
            .map(|name| Credentials::parse(name, password.as_deref().unwrap_or_default()))
            .transpose()
            .map_err(|error| unknown(&error))?;
        let tickets = match keytab {
            Some(keytab) => TicketSource::Keytab(keytab),
            None => TicketSource::Default,
        };
        let mut kerberos = Kerberos::new().delegate(delegate);
        // Inside CredSSP a password is there, and who has no ticket takes NTLM.
        if transport == Transport::Kerberos {
            kerberos = kerberos.tickets(tickets);
        }
        if let Some(service) = service {
            kerberos = kerberos.service(service);
        }
        if let Some(host) = host {
            kerberos = kerberos.host(host);
        }
        if let Some(realm) = realm {
            kerberos = kerberos.realm(realm);
        }
        let settings = Settings {
            endpoint,
            transport,
            credentials,
            encryption: encryption.parse().map_err(|error| unknown(&error))?,
            certificates: match (verify, authorities) {
                (false, _) => CertificateCheck::Ignore,
                (true, Some(file)) => CertificateCheck::Authorities(file),
                (true, None) => CertificateCheck::System,
            },
            certificate,
            read_timeout: Duration::try_from_secs_f64(read_timeout).map_err(|error| unknown(&error))?,
            kerberos,
            credssp: CredSsp::new()
                .disable_tlsv1_2(disable_tlsv1_2)
                .minimum_version(minimum_version)
                .mechanism(mechanism.parse().map_err(|error| unknown(&error))?),
            channel_binding,
            proxy: match proxy {
                Some(address) => ProxyChoice::Address(address),
                None if proxy_from_environment => ProxyChoice::Environment,
                None => ProxyChoice::None,
            },
        };
        Ok(Self {
            settings,
            link: Mutex::new(None),
        })
    }

    /// Sends an envelope and gives the HTTP status and the body of the answer.
    fn exchange<'py>(&self, py: Python<'py>, message: Message) -> PyResult<(u16, Bound<'py, PyBytes>)> {
        let message = Bytes::copy_from_slice(match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Bytes(bytes) => bytes,
        });
        let link = self.link(py)?;
        let reply = link.exchange(py, message)?;
        Ok((reply.status, PyBytes::new(py, &reply.body)))
    }

    /// How many connections this process has made for it.
    fn connections_made(&self) -> u64 {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let link = link.as_ref().filter(|link| link.home == Home::here());
        link.and_then(|link| link.client.as_ref())
            .map_or(0, winrm::Client::connections_made)
    }

    /// Closes the connections that nobody uses. The next exchange makes another.
    fn close(&self) {
        if let Some(link) = self.link.lock().unwrap_or_else(PoisonError::into_inner).take() {
            release(link);
        }
    }
}

impl Client {
    /// What this process has, made now if need be.
    fn link(&self, py: Python<'_>) -> PyResult<Arc<Link>> {
        let here = Home::here();
        {
            let mut kept = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            match kept.take() {
                Some(link) if link.home == here => return Ok(Arc::clone(kept.insert(link))),
                Some(inherited) => release(inherited),
                None => {}
            }
        }
        let made = py
            .detach(|| Link::new(&self.settings, here))
            .map_err(|failure| failure.raised(py))?;
        let mut kept = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster: there is one for all, so that connections are shared.
        Ok(Arc::clone(kept.get_or_insert_with(|| Arc::new(made))))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(link) = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            release(link);
        }
    }
}

/// Lets go of a link. One of a parent's is never dropped: its sockets and its place in the kernel are the parent's as well, and what ends a
/// connection here would end it there.
fn release(link: Arc<Link>) {
    if link.home != Home::here() {
        std::mem::forget(link);
    }
}

impl Link {
    fn new(settings: &Settings, home: Home) -> Result<Self, Failure> {
        let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let client = settings.client()?;
        drop(making);
        // No threads of its own: whoever waits does the work. What isn't there can't be lost in a fork.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Failure::of("closed", &error))?;
        Ok(Self {
            client: Some(client),
            runtime: Some(runtime),
            home,
        })
    }

    fn exchange(&self, py: Python<'_>, message: Bytes) -> PyResult<Reply> {
        let (Some(client), Some(runtime)) = (&self.client, &self.runtime) else {
            return Err(Failure::new("closed", "the client is closed").raised(py));
        };
        let exchanged = py.detach(|| {
            runtime.block_on(async {
                let mut exchange = std::pin::pin!(client.exchange(message));
                loop {
                    tokio::select! {
                        biased;
                        reply = &mut exchange => return Ok(reply),
                        // A signal's handler may raise: the request is dropped then, and its connection with it.
                        () = tokio::time::sleep(SIGNALS) => Python::attach(|py| py.check_signals())?,
                    }
                }
            })
        });
        exchanged.and_then(|reply: Result<Reply, winrm::Error>| reply.map_err(|error| Failure::from(&error).raised(py)))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(runtime) = self.runtime.take() {
            // A resolver may still be at work for a request that was given up: nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

impl Settings {
    fn client(&self) -> Result<winrm::Client, Failure> {
        let mut builder = winrm::Client::builder(&self.endpoint)
            .transport(self.transport)
            .encryption(self.encryption)
            .certificates(self.certificates.clone())
            .connect_timeout(self.read_timeout)
            .read_timeout(self.read_timeout)
            // The envelopes say their own.
            .operation_timeout(self.read_timeout / 2)
            .max_envelope_size(LARGEST_ANSWER)
            .kerberos(self.kerberos.clone())
            .credssp(self.credssp.clone())
            .channel_binding(self.channel_binding);
        if let Some(credentials) = &self.credentials {
            builder = builder.credentials(credentials.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            let read = |file: &PathBuf| std::fs::read(file).map_err(|error| Failure::of_file(file, &error));
            let certificate = ClientCertificate::from_pem(&read(certificate)?, &read(key)?, None);
            builder = builder.client_certificate(certificate.map_err(|error| Failure::of("tls", &error))?);
        }
        let proxy = match &self.proxy {
            ProxyChoice::None => None,
            ProxyChoice::Address(address) => Some(Proxy::parse(address).map_err(|error| Failure::of("proxy", &error))?),
            ProxyChoice::Environment => match winrm::Endpoint::parse(&self.endpoint) {
                Ok((endpoint, _)) => Proxy::from_environment(&endpoint).map_err(|error| Failure::of("proxy", &error))?,
                // Building says what is wrong with it.
                Err(_) => None,
            },
        };
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| Failure::from(&error))
    }
}
