//! The system's GSSAPI library, loaded at run time.
//!
//! Kerberos comes from the operating system: its configuration, ticket caches, key tables and
//! policies are what an administrator expects to apply. Linking against it would make it a
//! requirement of everybody, also of those who never use Kerberos, so this crate opens the library
//! when it is first asked for ([`Library::load`]) and says what to install where there is none.
//!
//! It is the one crate of the workspace that contains `unsafe` code. What it offers is small and
//! safe: names, credentials and security contexts that free themselves, errors that carry the
//! library's own words and answer typed questions ([`Error::kind`]).
//!
//! # Nothing global
//!
//! Credentials are taken from an explicit [`CredentialStore`] (`ccache`, `client_keytab`,
//! `keytab`) through `gss_acquire_cred_from`, so that two identities work side by side in two
//! threads. No environment variable is ever written; `KRB5_CONFIG` and its like are read by the
//! library as usual.
//!
//! # Blocking and threads
//!
//! [`Credential::acquire`] and [`InitContext::step`] may talk to a KDC over the network and block for
//! many seconds: keep them off asynchronous threads. Handles may move between threads, and a
//! [`Credential`] may be used by several at once (both libraries lock inside); a context belongs to
//! one thread at a time, which its `&mut self` methods enforce.
//!
//! ```no_run
//! use winrm_gssapi::{Credential, CredentialStore, Flags, InitContext, Library, Mechanism, Name, Usage};
//!
//! # fn main() -> Result<(), winrm_gssapi::Error> {
//! let library = Library::load()?;
//! let store = CredentialStore::new().ccache("FILE:/tmp/krb5cc_example");
//! let credential = Credential::acquire(library, None, Usage::Initiate, Mechanism::Krb5, &store)?;
//! let target = Name::service(library, "HTTP", "server.example.org")?;
//! let mut context = InitContext::new(library, target, Mechanism::Krb5)
//!     .credential(credential.into())
//!     .flags(Flags::MUTUAL | Flags::SEQUENCE);
//! let first = context.step(None)?;
//! // send first.token, receive the answer, step again until `complete`
//! # let _ = first; Ok(())
//! # }
//! ```

mod context;
mod credential;
mod error;
mod flags;
mod keys;
mod library;
mod message;
mod name;
#[cfg(unix)]
mod session;
mod sys;

pub use context::{AcceptContext, ChannelBindings, InitContext, Mechanism, StepOutcome};
pub use credential::{Credential, CredentialStore, Usage};
pub use error::{Error, ErrorKind, Status};
pub use flags::Flags;
pub use keys::ContextKeys;
pub use library::{Implementation, Library};
pub use message::{IovLengths, SecurityContext, Unwrapped};
pub use name::Name;
#[cfg(unix)]
pub use session::in_new_session;
