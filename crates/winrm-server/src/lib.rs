//! An embedded Windows Remote Management service.
//!
//! It answers WinRM clients on Linux and macOS: shells and commands over http and https, with the faults, limits and manners of a
//! Windows host. What runs behind a shell is a [`Host`]: by default the real processes of this machine ([`LocalHost`]); a test puts
//! its own there and needs neither Windows nor processes.
//!
//! ```
//! use winrm_server::{CommandLine, Credentials, Host, HostError, Process, Server, ShellContext};
//!
//! /// A host that knows one command.
//! struct Greeter;
//!
//! impl Host for Greeter {
//!     async fn start(&self, shell: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
//!         match command.command.as_str() {
//!             "hello" => Ok(Process::finished(format!("hello {}\r\n", shell.user), "", 0)),
//!             other => Ok(Process::finished("", format!("'{other}' is not recognized\r\n"), 1)),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder()
//!     .listen("127.0.0.1:0".parse()?)
//!     .user(Credentials::parse("alice", "secret")?)
//!     .allow_unencrypted(true)
//!     .host(Greeter)
//!     .bind()
//!     .await?;
//! let url = server.urls().remove(0); // http://127.0.0.1:PORT/wsman
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let service = tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
//! // … test the automation against `url` …
//! # assert!(url.starts_with("http://127.0.0.1:"));
//! drop(stop);
//! service.await??;
//! # Ok(()) }
//! ```
//!
//! A request's way: `listener` accepts, `connection` keeps HTTP in its bounds, `session` authenticates and opens sealed bodies,
//! `dispatch` reads the envelope, `shells`, `shell` and `command` do what it says, or `resources` for all that isn't a shell's:
//! `configuration`, `cim`, `enumerations`; `identities` says who may; `faults` words what goes wrong.

mod authentication;
mod buffers;
mod builder;
mod cim;
mod client_certificate;
mod command;
mod configuration;
mod connection;
mod credssp;
mod dispatch;
mod enumerations;
mod faults;
pub mod host;
mod identities;
mod listener;
mod listeners;
mod quotas;
mod resources;
mod server;
mod session;
mod shell;
mod shells;
mod tls;
mod users;

pub use authentication::{AuthMethod, UnknownAuthMethod};
pub use builder::ServerBuilder;
pub use cim::{CimCaller, CimClass, CimError};
pub use client_certificate::ClientAuthorities;
pub use configuration::CbtHardeningLevel;
pub use credssp::CredSsp;
pub use host::{CommandLine, Host, HostError, LocalHost, Process, ProcessSignal, ShellContext};
pub use quotas::Quotas;
pub use server::{ServeError, Server};
pub use tls::{Identity, IdentityError};
pub use users::{Users, UsersError, UsersErrorKind};
pub use winrm_auth::certificate::{CertificateError, InvalidUpn, Upn};
pub use winrm_auth::{Credentials, Secret};
pub use winrm_proto::{Instance, Property, Resource};
