//! The keys of an established context, for callers that encrypt messages themselves.

use core::ptr;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::message::SecurityContext;
use crate::sys::{self, LucidContext, LucidKey};

/// What the messages of an RFC 4121 context are protected with.
pub struct ContextKeys {
    /// Whether this is the initiator's side.
    pub initiator: bool,
    /// Sequence number of the next message to send.
    pub send_sequence: u64,
    /// Sequence number the next received message has to have.
    pub receive_sequence: u64,
    /// Number of the encryption type (RFC 3961 section 8): 17 and 18 AES with SHA-1, 19 and 20 AES with
    /// SHA-2.
    pub encryption_type: u32,
    /// The key: the acceptor's subkey if there is one.
    pub key: Zeroizing<Vec<u8>>,
    /// Whether the key is a subkey of the acceptor, which messages say about themselves.
    pub acceptor_subkey: bool,
}

impl core::fmt::Debug for ContextKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ContextKeys")
            .field("initiator", &self.initiator)
            .field("encryption_type", &self.encryption_type)
            .finish_non_exhaustive()
    }
}

impl SecurityContext {
    /// Whether the messages are protected by AES (encryption types 17 to 20) and
    /// [`export_keys`](Self::export_keys) can take the keys out.
    #[must_use]
    pub fn has_aes_keys(&self) -> bool {
        let functions = &self.library().functions;
        if functions.gss_krb5_export_lucid_sec_context.is_none() || functions.gss_krb5_free_lucid_sec_context.is_none() {
            return false;
        }
        match self.encryption_type() {
            Some(number) => (17..=20).contains(&number),
            // Heimdal doesn't tell. Without padding the message is one of RFC 4121, and a checksum of
            // 12 bytes, beside header, confounder and the header's copy, have AES types 17 and 18 only.
            None => self
                .wrap_iov_length(true, 1)
                .is_ok_and(|lengths| lengths.header == 3 * 16 + 12 && lengths.padding == 0),
        }
    }

    /// The encryption type of the context's key; `None` if the library doesn't tell.
    fn encryption_type(&self) -> Option<u32> {
        let functions = &self.library().functions;
        let inquire = functions.gss_inquire_sec_context_by_oid?;
        let release = functions.gss_release_buffer_set?;
        let mut minor = 0;
        let mut set = ptr::null_mut();
        // SAFETY: the handle is alive, the identifier static; the set is released below.
        let major = unsafe { inquire(&mut minor, self.raw.handle, sys::INQ_SESSION_KEY.as_ptr(), &mut set) };
        if major & sys::ERROR_MASK != 0 || set.is_null() {
            return None;
        }
        // The key, then an object identifier that ends in the encryption type (1.2.840.113554.1.2.2.4.N).
        // SAFETY: the call has succeeded, so the set has `count` descriptors of readable memory.
        let number = unsafe {
            let set = &*set;
            let elements = core::slice::from_raw_parts(set.elements, set.count);
            elements.get(1).and_then(|oid| {
                let sys::BufferDesc { length, value } = *oid;
                let oid = core::slice::from_raw_parts(value.cast::<u8>(), length);
                match oid {
                    [.., before, last] if before & 0x80 == 0 && last & 0x80 == 0 => Some(u32::from(*last)),
                    _ => None,
                }
            })
        };
        // SAFETY: the set came from the library and is released once, here.
        unsafe { release(&mut minor, &mut set) };
        number
    }

    /// Takes the keys out (`gss_krb5_export_lucid_sec_context`) and ends the library's context. To be
    /// done before the first message: later ones would not be counted.
    ///
    /// # Errors
    /// [`Error::FunctionMissing`], and [`Error::State`] for a context that isn't one of RFC 4121.
    pub fn export_keys(mut self) -> Result<ContextKeys, Error> {
        let library = self.library();
        let export = library
            .functions
            .gss_krb5_export_lucid_sec_context
            .ok_or_else(|| library.missing("gss_krb5_export_lucid_sec_context"))?;
        let free = library
            .functions
            .gss_krb5_free_lucid_sec_context
            .ok_or_else(|| library.missing("gss_krb5_free_lucid_sec_context"))?;
        let mut minor = 0;
        let mut exported: *mut LucidContext = ptr::null_mut();
        // SAFETY: the handle is alive, and set to null by the call, so that its owner doesn't delete it
        // again; version 1 is the structure declared here.
        let major = unsafe { export(&mut minor, &mut self.raw.handle, 1, &mut exported) };
        self.check("gss_krb5_export_lucid_sec_context", major, minor)?;
        if exported.is_null() {
            return Err(Error::State("the library exported no context"));
        }
        // SAFETY: the call has succeeded, so this is a structure of version 1, alive until it is freed.
        let keys = unsafe { read(&*exported) };
        // SAFETY: it came from the library and is freed once, here.
        unsafe { free(&mut minor, exported) };
        keys
    }
}

/// # Safety
/// The keys of `context` have to point to memory of their length.
unsafe fn read(context: &LucidContext) -> Result<ContextKeys, Error> {
    if context.version != 1 || context.protocol != 1 {
        return Err(Error::State("the context is none of RFC 4121"));
    }
    let acceptor_subkey = context.cfx.have_acceptor_subkey != 0;
    let &LucidKey { kind, length, data } = if acceptor_subkey {
        &context.cfx.acceptor_subkey
    } else {
        &context.cfx.key
    };
    if data.is_null() {
        return Err(Error::State("the library exported no key"));
    }
    // SAFETY: the caller vouches for it.
    let key = unsafe { core::slice::from_raw_parts(data.cast::<u8>(), length as usize) };
    Ok(ContextKeys {
        initiator: context.initiate != 0,
        send_sequence: context.send_seq,
        receive_sequence: context.recv_seq,
        encryption_type: kind,
        key: Zeroizing::new(key.to_vec()),
        acceptor_subkey,
    })
}
