//! Credentials and where they come from.

use core::ffi::c_int;
use core::fmt;
use core::ptr;
use core::time::Duration;
use std::ffi::CString;

use crate::context::Mechanism;
use crate::error::{Error, ErrorKind};
use crate::library::Library;
use crate::name::Name;
use crate::sys::{self, CredentialHandle, KeyValueElementDesc, KeyValueSetDesc, OidDesc, OidSetDesc};

/// What a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Initiating and accepting.
    Both,
    /// Initiating contexts: a client.
    Initiate,
    /// Accepting contexts: a service.
    Accept,
}

impl Usage {
    fn number(self) -> c_int {
        match self {
            Self::Both => 0,
            Self::Initiate => 1,
            Self::Accept => 2,
        }
    }
}

/// Where credentials are read from or written to, as keys and values of the library
/// (`gss_key_value_set_desc`). What is not named is the library's default, which follows
/// `KRB5CCNAME`, `KRB5_KTNAME` and `krb5.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialStore {
    entries: Vec<(String, String)>,
}

impl CredentialStore {
    /// A store that names nothing: the library's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ticket cache of an initiator, with its type: `FILE:/path`, `DIR:`, `KEYRING:`, `KCM:`,
    /// `MEMORY:`.
    #[must_use]
    pub fn ccache(self, name: impl Into<String>) -> Self {
        self.entry("ccache", name)
    }

    /// The key table an initiator gets its tickets with: a path, or `FILE:/path`.
    #[must_use]
    pub fn client_keytab(self, name: impl Into<String>) -> Self {
        self.entry("client_keytab", name)
    }

    /// The key table of an acceptor: a path, or `FILE:/path`.
    #[must_use]
    pub fn keytab(self, name: impl Into<String>) -> Self {
        self.entry("keytab", name)
    }

    /// The replay cache of an acceptor: `dfl:`, `file2:/path`, `none:` (MIT 1.18 and later).
    #[must_use]
    pub fn replay_cache(self, name: impl Into<String>) -> Self {
        self.entry("rcache", name)
    }

    /// Any key the library knows.
    #[must_use]
    pub fn entry(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.entries.push((key.into(), value.into()));
        self
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn encode(&self) -> Result<EncodedStore, Error> {
        let text = |text: &str| {
            CString::new(text).map_err(|_| Error::NulByte {
                what: "an entry of the credential store",
            })
        };
        let strings = self
            .entries
            .iter()
            .map(|(key, value)| Ok((text(key)?, text(value)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let elements = strings
            .iter()
            .map(|(key, value)| KeyValueElementDesc {
                key: key.as_ptr(),
                value: value.as_ptr(),
            })
            .collect();
        Ok(EncodedStore {
            _strings: strings,
            elements,
        })
    }
}

/// A store as C sees it. The elements point into the strings, whose heap memory stays where it is.
struct EncodedStore {
    _strings: Vec<(CString, CString)>,
    elements: Vec<KeyValueElementDesc>,
}

impl EncodedStore {
    fn as_desc(&self) -> KeyValueSetDesc {
        KeyValueSetDesc {
            count: self.elements.len() as u32,
            elements: self.elements.as_ptr(),
        }
    }
}

/// A credential: tickets or keys. Several contexts may use one at the same time.
pub struct Credential {
    library: &'static Library,
    handle: CredentialHandle,
}

// SAFETY: credentials are not bound to a thread in either implementation.
unsafe impl Send for Credential {}
// SAFETY: both implementations guard the mutable parts of a credential with a mutex of its own
// (MIT: `krb5_gss_cred_id_rec.lock`, Heimdal: `cred_id_mutex`), and no method here changes it.
unsafe impl Sync for Credential {}

impl Credential {
    /// Acquires a credential from `store`: `gss_acquire_cred_from`, or plain `gss_acquire_cred`
    /// when the store names nothing.
    ///
    /// With no `name` it is that of the default principal of the store. For [`Usage::Initiate`]
    /// with a client key table this asks the KDC for a ticket and blocks; a ticket already in
    /// the cache isn't checked against any KDC, and MIT hands out an expired one: see
    /// [`lifetime`](Self::lifetime).
    ///
    /// # Errors
    /// [`ErrorKind::NoCredentials`](crate::ErrorKind::NoCredentials) and everything a KDC may say;
    /// [`Error::FunctionMissing`] if the library has no credential stores.
    pub fn acquire(
        library: &'static Library,
        name: Option<&Name>,
        usage: Usage,
        mechanism: Mechanism,
        store: &CredentialStore,
    ) -> Result<Self, Error> {
        let name = name.map_or(ptr::null_mut(), Name::handle);
        let mechanisms = mechanism.acquired();
        let mechanisms = OidSetDesc {
            count: mechanisms.len(),
            elements: mechanisms.as_ptr(),
        };
        let mut minor = 0;
        let mut handle = ptr::null_mut();
        let (call, major) = if store.is_empty() {
            // SAFETY: all pointers are valid for the call; the handle is released by `Credential`.
            let major = unsafe {
                (library.functions.gss_acquire_cred)(
                    &mut minor,
                    name,
                    sys::INDEFINITE,
                    &mechanisms,
                    usage.number(),
                    &mut handle,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
            ("gss_acquire_cred", major)
        } else {
            let acquire = library
                .functions
                .gss_acquire_cred_from
                .ok_or_else(|| library.missing("gss_acquire_cred_from"))?;
            let store = store.encode()?;
            // SAFETY: as above; the encoded store lives to the end of this block.
            let major = unsafe {
                acquire(
                    &mut minor,
                    name,
                    sys::INDEFINITE,
                    &mechanisms,
                    usage.number(),
                    &store.as_desc(),
                    &mut handle,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
            ("gss_acquire_cred_from", major)
        };
        library.check(call, major, minor, mechanism.oid().as_ptr())?;
        Ok(Self { library, handle })
    }

    /// # Safety
    /// `handle` has to be a credential of `library` that nobody else releases.
    pub(crate) unsafe fn from_handle(library: &'static Library, handle: CredentialHandle) -> Option<Self> {
        (!handle.is_null()).then_some(Self { library, handle })
    }

    pub(crate) fn handle(&self) -> CredentialHandle {
        self.handle
    }

    /// The name it belongs to; `None` for an acceptor that answers to every key of its table.
    ///
    /// For an initiator this decides which ticket is used, if that was still open.
    ///
    /// # Errors
    /// [`ErrorKind::NoCredentials`](crate::ErrorKind::NoCredentials) if it has none after all.
    pub fn name(&self) -> Result<Option<Name>, Error> {
        let mut handle = ptr::null_mut();
        let mut minor = 0;
        // SAFETY: the handle is alive; what isn't wanted is null; the name is owned by `Name`.
        let major = unsafe {
            (self.library.functions.gss_inquire_cred)(
                &mut minor,
                self.handle,
                &mut handle,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.library.check("gss_inquire_cred", major, minor, sys::MECH_KRB5.as_ptr())?;
        // SAFETY: just received from the library, with the duty to release it.
        Ok(unsafe { Name::from_handle(self.library, handle) })
    }

    /// How long it is still valid; zero once it has expired, `None` if it never ends.
    ///
    /// # Errors
    /// [`ErrorKind::NoCredentials`](crate::ErrorKind::NoCredentials) if it has no ticket after all.
    pub fn lifetime(&self) -> Result<Option<Duration>, Error> {
        let mut seconds = 0;
        let mut minor = 0;
        // SAFETY: the handle is alive; what isn't wanted is null.
        let major = unsafe {
            (self.library.functions.gss_inquire_cred)(
                &mut minor,
                self.handle,
                ptr::null_mut(),
                &mut seconds,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        match self.library.check("gss_inquire_cred", major, minor, sys::MECH_KRB5.as_ptr()) {
            // MIT makes an error of it.
            Err(error) if error.kind() == ErrorKind::CredentialsExpired => return Ok(Some(Duration::ZERO)),
            status => status?,
        }
        Ok((seconds != sys::INDEFINITE).then(|| Duration::from_secs(seconds.into())))
    }

    /// Writes its tickets into the `ccache` of `store`: how a service hands a delegated credential
    /// on to a program it starts.
    ///
    /// # Errors
    /// [`Error::FunctionMissing`] if the library has no credential stores, and whatever writing
    /// the cache meets.
    pub fn store_into(&self, store: &CredentialStore) -> Result<(), Error> {
        let store_into = self
            .library
            .functions
            .gss_store_cred_into
            .ok_or_else(|| self.library.missing("gss_store_cred_into"))?;
        let store = store.encode()?;
        let mut minor = 0;
        // SAFETY: the handle is alive and the store lives through the call; overwriting is asked
        // for, becoming the default cache isn't.
        let major = unsafe {
            store_into(
                &mut minor,
                self.handle,
                Usage::Initiate.number(),
                sys::MECH_KRB5.as_ptr(),
                1,
                0,
                &store.as_desc(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.library.check("gss_store_cred_into", major, minor, sys::MECH_KRB5.as_ptr())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle came from the library and is released once, here.
        unsafe { (self.library.functions.gss_release_cred)(&mut minor, &mut self.handle) };
    }
}

/// The descriptors of the mechanisms a credential is wanted for.
pub(crate) fn descriptors(oids: &[&'static sys::Oid]) -> Vec<OidDesc> {
    oids.iter()
        .map(|oid| {
            // SAFETY: a static descriptor, which is `Copy`.
            unsafe { *oid.as_ptr() }
        })
        .collect()
}
