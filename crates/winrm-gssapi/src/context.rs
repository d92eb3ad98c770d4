//! Establishing security contexts, on both sides.

use core::fmt;
use core::ptr;
use std::sync::Arc;

use crate::credential::{Credential, descriptors};
use crate::error::Error;
use crate::flags::Flags;
use crate::library::{Library, OwnedBuffer};
use crate::message::SecurityContext;
use crate::name::Name;
use crate::sys::{self, BufferDesc, ChannelBindingsDesc, ContextHandle, Oid, OidDesc};

/// The mechanism of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Kerberos 5 alone (1.2.840.113554.1.2.2): raw tokens.
    Krb5,
    /// The library's own SPNEGO (1.3.6.1.5.5.2), with Kerberos inside.
    Spnego,
}

impl Mechanism {
    pub(crate) fn oid(self) -> &'static Oid {
        match self {
            Self::Krb5 => &sys::MECH_KRB5,
            Self::Spnego => &sys::MECH_SPNEGO,
        }
    }

    /// What a credential for this mechanism has to cover.
    pub(crate) fn acquired(self) -> Vec<OidDesc> {
        match self {
            Self::Krb5 => descriptors(&[&sys::MECH_KRB5]),
            Self::Spnego => descriptors(&[&sys::MECH_KRB5, &sys::MECH_SPNEGO]),
        }
    }
}

/// Channel bindings: what ties a context to the TLS connection around it ([RFC 5929]).
///
/// [RFC 5929]: https://www.rfc-editor.org/rfc/rfc5929
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBindings {
    application_data: Vec<u8>,
}

impl ChannelBindings {
    /// Bindings without addresses, with this application data: `tls-server-end-point:` and the
    /// hash of the server's certificate.
    #[must_use]
    pub fn new(application_data: impl Into<Vec<u8>>) -> Self {
        Self {
            application_data: application_data.into(),
        }
    }

    fn as_desc(&self) -> ChannelBindingsDesc {
        // Address type 0 (`GSS_C_AF_UNSPEC`), as Windows and RFC 5929 have it.
        ChannelBindingsDesc {
            initiator_addrtype: 0,
            initiator_address: BufferDesc::EMPTY,
            acceptor_addrtype: 0,
            acceptor_address: BufferDesc::EMPTY,
            application_data: BufferDesc::reading(&self.application_data),
        }
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBindings({} bytes)", self.application_data.len())
    }
}

/// What a step of a handshake gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// The token for the peer; empty if there is nothing to send.
    pub token: Vec<u8>,
    /// Whether this side is done. The token, if there is one, still has to be sent.
    pub complete: bool,
}

/// A context handle of the library, deleted with its owner.
pub(crate) struct RawContext {
    pub(crate) library: &'static Library,
    pub(crate) handle: ContextHandle,
}

// SAFETY: neither implementation binds a context to a thread; every method that changes it takes
// `&mut`, and none of the types around it is `Sync`.
unsafe impl Send for RawContext {}

impl RawContext {
    fn new(library: &'static Library) -> Self {
        Self {
            library,
            handle: ptr::null_mut(),
        }
    }
}

impl Drop for RawContext {
    fn drop(&mut self) {
        if self.handle.is_null() {
            return;
        }
        let mut minor = 0;
        // SAFETY: the handle came from the library and is deleted once, here; no token is wanted.
        unsafe { (self.library.functions.gss_delete_sec_context)(&mut minor, &mut self.handle, ptr::null_mut()) };
    }
}

/// The client side of a handshake.
pub struct InitContext {
    raw: RawContext,
    credential: Option<Arc<Credential>>,
    target: Name,
    mechanism: Mechanism,
    wanted: Flags,
    bindings: Option<ChannelBindings>,
    granted: Flags,
    complete: bool,
}

impl InitContext {
    /// A handshake with the service `target`.
    #[must_use]
    pub fn new(library: &'static Library, target: Name, mechanism: Mechanism) -> Self {
        Self {
            raw: RawContext::new(library),
            credential: None,
            target,
            mechanism,
            wanted: Flags::empty(),
            bindings: None,
            granted: Flags::empty(),
            complete: false,
        }
    }

    /// The credential to use; without one the library takes its default.
    #[must_use]
    pub fn credential(mut self, credential: Arc<Credential>) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The flags to ask for. [`flags`](SecurityContext::flags) tells which were granted.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.wanted = flags;
        self
    }

    /// The channel bindings, which go into the first token.
    #[must_use]
    pub fn channel_bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Takes the peer's token (`None` for the first step) and gives the next one. The first step
    /// gets a service ticket: it may ask a KDC and block.
    ///
    /// # Errors
    /// Everything Kerberos can fail with: see [`ErrorKind`](crate::ErrorKind).
    pub fn step(&mut self, token: Option<&[u8]>) -> Result<StepOutcome, Error> {
        if self.complete {
            return Err(Error::State("the handshake has ended already"));
        }
        let library = self.raw.library;
        let bindings = self.bindings.as_ref().map(ChannelBindings::as_desc);
        let input = token.map(BufferDesc::reading);
        let mut output = OwnedBuffer::new(library);
        let mut minor = 0;
        let mut granted = 0;
        // SAFETY: every pointer is null where the standard allows it, or valid for the call;
        // token and bindings are only read; the context handle is updated in place and deleted by
        // its owner; credential and target are alive.
        let major = unsafe {
            (library.functions.gss_init_sec_context)(
                &mut minor,
                self.credential.as_ref().map_or(ptr::null_mut(), |credential| credential.handle()),
                &mut self.raw.handle,
                self.target.handle(),
                self.mechanism.oid().as_ptr(),
                self.wanted.bits(),
                0,
                bindings.as_ref().map_or(ptr::null(), ptr::from_ref),
                input.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null_mut(),
                output.as_mut_ptr(),
                &mut granted,
                ptr::null_mut(),
            )
        };
        library.check("gss_init_sec_context", major, minor, self.mechanism.oid().as_ptr())?;
        self.granted = Flags::from_bits(granted);
        self.complete = major & sys::S_CONTINUE_NEEDED == 0;
        Ok(StepOutcome {
            token: output.bytes().to_vec(),
            complete: self.complete,
        })
    }

    /// The established context.
    ///
    /// # Errors
    /// [`Error::State`] before the last step.
    pub fn finish(self) -> Result<SecurityContext, Error> {
        if !self.complete {
            return Err(Error::State("the handshake has not ended yet"));
        }
        Ok(SecurityContext::new(self.raw, self.mechanism, self.granted))
    }
}

impl fmt::Debug for InitContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitContext")
            .field("target", &self.target)
            .field("mechanism", &self.mechanism)
            .field("wanted", &self.wanted)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

/// The service side of a handshake.
pub struct AcceptContext {
    raw: RawContext,
    credential: Option<Arc<Credential>>,
    mechanism: Mechanism,
    bindings: Option<ChannelBindings>,
    granted: Flags,
    complete: bool,
    delegated: Option<Credential>,
    error_token: Vec<u8>,
}

impl AcceptContext {
    /// Waits for a first token. `mechanism` is only what failures are put into words by: the
    /// credential decides which mechanisms are accepted.
    #[must_use]
    pub fn new(library: &'static Library, mechanism: Mechanism) -> Self {
        Self {
            raw: RawContext::new(library),
            credential: None,
            mechanism,
            bindings: None,
            granted: Flags::empty(),
            complete: false,
            delegated: None,
            error_token: Vec::new(),
        }
    }

    /// The keys of the service; without them the library takes its default key table.
    #[must_use]
    pub fn credential(mut self, credential: Arc<Credential>) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The channel bindings of this side. Those of the client have to be the same **if it sent
    /// any**; whether it did tells [`Flags::CHANNEL_BOUND`].
    #[must_use]
    pub fn channel_bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Takes the client's token and gives the next one.
    ///
    /// # Errors
    /// [`ErrorKind::BadBindings`](crate::ErrorKind::BadBindings),
    /// [`ErrorKind::NoKey`](crate::ErrorKind::NoKey),
    /// [`ErrorKind::ClockSkew`](crate::ErrorKind::ClockSkew),
    /// [`ErrorKind::Replay`](crate::ErrorKind::Replay) and what else Kerberos can fail with.
    pub fn step(&mut self, token: &[u8]) -> Result<StepOutcome, Error> {
        if self.complete {
            return Err(Error::State("the handshake has ended already"));
        }
        if token.is_empty() {
            // MIT would say that there are no credentials.
            return Err(Error::State("the client sent an empty token"));
        }
        let library = self.raw.library;
        let bindings = self.bindings.as_ref().map(ChannelBindings::as_desc);
        let input = BufferDesc::reading(token);
        let mut output = OwnedBuffer::new(library);
        let mut minor = 0;
        let mut granted = 0;
        let mut delegated = ptr::null_mut();
        // SAFETY: as for the initiator; the source name and the mechanism are not asked for here,
        // the delegated credential gets an owner right after the call.
        let major = unsafe {
            (library.functions.gss_accept_sec_context)(
                &mut minor,
                &mut self.raw.handle,
                self.credential.as_ref().map_or(ptr::null_mut(), |credential| credential.handle()),
                &input,
                bindings.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null_mut(),
                ptr::null_mut(),
                output.as_mut_ptr(),
                &mut granted,
                ptr::null_mut(),
                &mut delegated,
            )
        };
        // SAFETY: just received from the library, with the duty to release it.
        if let Some(delegated) = unsafe { Credential::from_handle(library, delegated) } {
            self.delegated = Some(delegated);
        }
        let status = library.check("gss_accept_sec_context", major, minor, self.mechanism.oid().as_ptr());
        if let Err(error) = status {
            self.error_token = output.bytes().to_vec();
            return Err(error);
        }
        self.granted = Flags::from_bits(granted);
        self.complete = major & sys::S_CONTINUE_NEEDED == 0;
        Ok(StepOutcome {
            token: output.bytes().to_vec(),
            complete: self.complete,
        })
    }

    /// The token a failed step has for the client (a `KRB-ERROR`: the client learns that its
    /// clock is off, say); empty if there is none.
    #[must_use]
    pub fn error_token(&self) -> &[u8] {
        &self.error_token
    }

    /// The ticket the client forwarded, once. Only there if [`Flags::DELEGATE`] was granted.
    pub fn take_delegated(&mut self) -> Option<Credential> {
        self.delegated.take()
    }

    /// The established context.
    ///
    /// # Errors
    /// [`Error::State`] before the last step.
    pub fn finish(self) -> Result<SecurityContext, Error> {
        if !self.complete {
            return Err(Error::State("the handshake has not ended yet"));
        }
        Ok(SecurityContext::new(self.raw, self.mechanism, self.granted))
    }
}

impl fmt::Debug for AcceptContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptContext")
            .field("mechanism", &self.mechanism)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}
