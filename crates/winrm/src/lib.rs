//! An asynchronous client for Windows Remote Management.
//!
//! Commands are described and started as with `tokio::process`, and run on another machine:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use winrm::{Client, Credentials};
//!
//! let client = Client::builder("https://host.example:5986")
//!     .credentials(Credentials::parse("alice", "correct horse")?)
//!     .build()?;
//! let output = client.command("ipconfig").arg("/all").output().await?;
//! println!("{}", String::from_utf8_lossy(&output.stdout));
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! * [`Client::command`] runs one command in a shell of its own; [`Client::shell`] opens a shell for many.
//! * [`Command::output`] collects, [`Command::spawn`] gives streams, [`Command::status`] only waits.
//! * [`Client::powershell`] runs a PowerShell script: its errors, warnings and progress come as records, and its output as objects if wanted.
//! * [`Client::reboot`] restarts the host, and knows by its boot time when it has.
//! * [`Client::wsman`] reads and changes the host's resources: its configuration, and the classes of WMI.
//! * Whatever is dropped before its end is ended on the host in the background; [`Client::close`] waits for that.
//! * Nothing is sent twice where that could run a command twice: [`Error::may_have_run`] tells what is known.
//!
//! The client needs a Tokio runtime with I/O and time enabled.

mod answer;
mod authentication;
mod builder;
mod child;
mod cleanup;
mod client;
mod command;
mod connection;
mod credssp;
mod dial;
mod endpoint;
mod enumeration;
mod error;
mod feed;
mod files;
mod kerberos;
mod launch;
mod operations;
mod pool;
mod powershell;
mod probe;
mod proxy;
mod quote;
mod restart;
mod run;
mod run_as;
mod session;
mod shell;
mod stdio;
mod streams;
mod task;
mod tls;
mod transport;
mod wsman;

pub use builder::ClientBuilder;
pub use child::{Child, ExitStatus, Output, Signal};
pub use client::{Client, Identity, Ping, Reply};
pub use command::Command;
pub use credssp::{CredSsp, CredSspMechanism};
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use enumeration::{Enumerate, Enumeration};
pub use error::{Error, ErrorKind, MayHaveRun};
pub use files::{CopyEvent, CopySummary, Download, FailureCode, FileError, FileOutcome, FileReport, InvalidPattern, Upload};
pub use kerberos::{Kerberos, TicketSource};
pub use powershell::{Information, Objects, PowerShell, PowerShellChild, PowerShellOutput, Record, Records};
pub use probe::{Probe, ProbedTls};
pub use proxy::{NoProxy, Proxy, ProxyError};
pub use restart::{BootTime, Reboot, RestartEvent, Restarted, Waiting};
pub use run_as::{InvalidRunAsFlag, LogonType, RunAs, RunAsFailure, RunAsProblem};
pub use shell::{Shell, ShellBuilder};
pub use stdio::Stdio;
pub use streams::{ChildStderr, ChildStdin, ChildStdout};
pub use task::{TaskInfo, TaskState, Tasks};
pub use tls::{CertificateCheck, InvalidFingerprint, ShownCertificate, TlsFailure, TlsProblem, TlsVersion, UnknownTlsVersion};
pub use transport::{Encryption, Transport, UnknownName};
pub use wsman::{Value, WsMan};

pub use winrm_auth::certificate;
pub use winrm_auth::credentials::InvalidUserName;
pub use winrm_auth::kinit::Kinit;
pub use winrm_auth::{CertificateError, ClientCertificate, Credentials, Secret};
pub use winrm_proto::clixml;
pub use winrm_proto::config::Config;
pub use winrm_proto::enumeration::{Association, Filter, Item, Mode, Polymorphism};
pub use winrm_proto::fault;
pub use winrm_proto::fault::Fault;
pub use winrm_proto::header::Selector;
pub use winrm_proto::instance::{Instance, Property};
pub use winrm_proto::resource::{Resource, ResourceError};
pub use winrm_proto::sddl;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
