//! Established contexts and their messages.

use core::ffi::c_int;
use core::fmt;
use core::ops::Range;
use core::ptr;
use core::time::Duration;

use crate::context::{Mechanism, RawContext};
use crate::error::Error;
use crate::flags::Flags;
use crate::library::{Implementation, Library, OwnedBuffer};
use crate::name::Name;
use crate::sys::{self, BufferDesc, ContextHandle, IovBufferDesc, NameHandle};

/// An established security context: signs and encrypts messages, in order, with one peer.
pub struct SecurityContext {
    pub(crate) raw: RawContext,
    mechanism: Mechanism,
    flags: Flags,
}

/// How many bytes a sealed message has beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IovLengths {
    /// Length of the header, in bytes.
    pub header: usize,
    /// Length of the padding after the data, in bytes: 0 with AES, 1 with RC4.
    pub padding: usize,
}

/// An opened message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// Where the plain text is in the buffer that was given.
    pub data: Range<usize>,
    /// Whether the message was encrypted, not only signed.
    pub confidential: bool,
}

impl SecurityContext {
    pub(crate) fn new(raw: RawContext, mechanism: Mechanism, flags: Flags) -> Self {
        Self { raw, mechanism, flags }
    }

    pub(crate) fn library(&self) -> &'static Library {
        self.raw.library
    }

    pub(crate) fn check(&self, call: &'static str, major: u32, minor: u32) -> Result<(), Error> {
        self.library().check(call, major, minor, self.mechanism.oid().as_ptr())
    }

    /// Like `check`, and a repeated, lost or reordered message is an error as well: over a
    /// connection none of them happens by itself.
    fn check_sequence(&self, call: &'static str, major: u32, minor: u32) -> Result<(), Error> {
        self.check(call, major, minor)?;
        if major & sys::SEQUENCE_MASK != 0 {
            return Err(self.library().status(call, major, minor, self.mechanism.oid().as_ptr()).into());
        }
        Ok(())
    }

    /// The flags the handshake ended with.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// How long the context is valid; zero once expired, `None` if it never ends.
    ///
    /// # Errors
    /// What the library refuses to tell.
    pub fn lifetime(&self) -> Result<Option<Duration>, Error> {
        let mut seconds = 0;
        self.inquire(ptr::null_mut(), ptr::null_mut(), &mut seconds)?;
        Ok((seconds != sys::INDEFINITE).then(|| Duration::from_secs(seconds.into())))
    }

    /// The name of the initiator; `None` if it stayed anonymous.
    ///
    /// # Errors
    /// What the library refuses to tell.
    pub fn source(&self) -> Result<Option<Name>, Error> {
        let mut handle = ptr::null_mut();
        self.inquire(&mut handle, ptr::null_mut(), ptr::null_mut())?;
        // SAFETY: just received from the library, with the duty to release it.
        Ok(unsafe { Name::from_handle(self.library(), handle) })
    }

    /// The name of the acceptor.
    ///
    /// # Errors
    /// What the library refuses to tell.
    pub fn target(&self) -> Result<Option<Name>, Error> {
        let mut handle = ptr::null_mut();
        self.inquire(ptr::null_mut(), &mut handle, ptr::null_mut())?;
        // SAFETY: just received from the library, with the duty to release it.
        Ok(unsafe { Name::from_handle(self.library(), handle) })
    }

    fn inquire(&self, source: *mut NameHandle, target: *mut NameHandle, lifetime: *mut u32) -> Result<(), Error> {
        let mut minor = 0;
        // SAFETY: the handle is alive; the three pointers are null or a local of the caller.
        let major = unsafe {
            (self.library().functions.gss_inquire_context)(
                &mut minor,
                self.raw.handle,
                source,
                target,
                lifetime,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.check("gss_inquire_context", major, minor)
    }

    /// What [`wrap_iov`](Self::wrap_iov) needs beside `data` bytes.
    ///
    /// # Errors
    /// [`Error::FunctionMissing`] if the library can't, and what it refuses.
    pub fn wrap_iov_length(&self, confidential: bool, data: usize) -> Result<IovLengths, Error> {
        let wrap_iov_length = self
            .library()
            .functions
            .gss_wrap_iov_length
            .ok_or_else(|| self.library().missing("gss_wrap_iov_length"))?;
        let empty = |kind| IovBufferDesc {
            kind,
            buffer: BufferDesc::EMPTY,
        };
        let mut iov = [empty(sys::IOV_HEADER), empty(sys::IOV_DATA), empty(sys::IOV_PADDING)];
        // Only the length of the data is looked at.
        iov[1].buffer.length = data;
        self.iov_call("gss_wrap_iov_length", &mut iov, |minor, context, conf, iov, count| {
            // SAFETY: the handle and the descriptors are valid for the call, no bytes are touched.
            unsafe { wrap_iov_length(minor, context, c_int::from(confidential), 0, conf, iov, count) }
        })?;
        Ok(IovLengths {
            header: iov[0].buffer.length,
            padding: iov[2].buffer.length,
        })
    }

    /// Seals `data` in place: the layout `HEADER | DATA | PADDING` of WinRM, each part in memory of
    /// the caller. The lengths of `header` and `padding` are those of
    /// [`wrap_iov_length`](Self::wrap_iov_length).
    ///
    /// # Errors
    /// [`Error::FunctionMissing`] if the library can't, and what it refuses: buffers that are too
    /// short, an expired context. [`Error::State`] if it would only sign where encryption was
    /// asked for.
    pub fn wrap_iov(&mut self, confidential: bool, header: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> Result<(), Error> {
        let wrap_iov = self
            .library()
            .functions
            .gss_wrap_iov
            .ok_or_else(|| self.library().missing("gss_wrap_iov"))?;
        let lengths = (header.len(), padding.len());
        let mut iov = parts(header, data, padding);
        let encrypted = self.iov_call("gss_wrap_iov", &mut iov, |minor, context, conf, iov, count| {
            // SAFETY: the descriptors are three disjoint exclusive slices, which live through the
            // call and whose lengths the library keeps to, as no allocation flag is set.
            unsafe { wrap_iov(minor, context, c_int::from(confidential), 0, conf, iov, count) }
        })?;
        if confidential && !encrypted {
            return Err(Error::State("the context signs but does not encrypt"));
        }
        if (iov[0].buffer.length, iov[2].buffer.length) != lengths {
            return Err(Error::State("the parts of a sealed message have other lengths than foretold"));
        }
        Ok(())
    }

    /// Opens a message of the layout `HEADER | DATA | PADDING` in place; the padding, if any, is at
    /// the end of `data`. The range of the result is one of `data`.
    ///
    /// # Errors
    /// [`ErrorKind::BadSignature`](crate::ErrorKind::BadSignature),
    /// [`ErrorKind::OutOfSequence`](crate::ErrorKind::OutOfSequence),
    /// [`ErrorKind::Replay`](crate::ErrorKind::Replay),
    /// [`ErrorKind::DefectiveToken`](crate::ErrorKind::DefectiveToken); what `data` holds then is
    /// undefined.
    pub fn unwrap_iov(&mut self, header: &mut [u8], data: &mut [u8]) -> Result<Unwrapped, Error> {
        let whole = data.as_ptr_range();
        // The framing of RFC 1964 and RFC 4757 (RC4) begins with the tag 0x60 and has padding, whose
        // last byte is its length: that byte is all the library needs to see as padding. AES
        // (RFC 4121) has none.
        let padded = header.first() == Some(&0x60) && !data.is_empty();
        let (data, padding) = data.split_at_mut(data.len() - usize::from(padded));
        let mut iov = parts(header, data, padding);
        let confidential = self.unwrap_iov_call(&mut iov)?;
        let data = inside(whole, iov[1].buffer)?;
        Ok(Unwrapped { data, confidential })
    }

    /// Opens a message in one piece, as [`wrap`](Self::wrap) of the peer makes it or as header and
    /// data one after the other, in place where the library can. The range of the result is one of
    /// `token`.
    ///
    /// # Errors
    /// As [`unwrap_iov`](Self::unwrap_iov).
    pub fn unwrap_in_place(&mut self, token: &mut [u8]) -> Result<Unwrapped, Error> {
        // MIT puts the rotation of RFC 4121 4.2.5 right by itself; Heimdal doesn't know the type.
        if self.library().implementation() == Implementation::Mit && self.library().has_iov() {
            let whole = token.as_ptr_range();
            let mut iov = [
                IovBufferDesc {
                    kind: sys::IOV_STREAM,
                    buffer: BufferDesc::writing(token),
                },
                IovBufferDesc {
                    kind: sys::IOV_DATA,
                    buffer: BufferDesc::EMPTY,
                },
            ];
            let confidential = self.unwrap_iov_call(&mut iov)?;
            let data = inside(whole, iov[1].buffer)?;
            return Ok(Unwrapped { data, confidential });
        }
        let (plain, confidential) = self.unwrap(token)?;
        let room = token
            .get_mut(..plain.len())
            .ok_or(Error::State("the plain text is longer than the message"))?;
        room.copy_from_slice(&plain);
        Ok(Unwrapped {
            data: 0..plain.len(),
            confidential,
        })
    }

    fn unwrap_iov_call(&mut self, iov: &mut [IovBufferDesc]) -> Result<bool, Error> {
        let unwrap_iov = self
            .library()
            .functions
            .gss_unwrap_iov
            .ok_or_else(|| self.library().missing("gss_unwrap_iov"))?;
        self.iov_call("gss_unwrap_iov", iov, |minor, context, conf, iov, count| {
            // SAFETY: the descriptors are disjoint exclusive slices that live through the call, or
            // empty; no allocation flag is set.
            unsafe { unwrap_iov(minor, context, conf, ptr::null_mut(), iov, count) }
        })
    }

    /// Runs one of the three iov functions; gives whether the message is encrypted.
    fn iov_call(
        &self,
        name: &'static str,
        iov: &mut [IovBufferDesc],
        call: impl FnOnce(*mut u32, ContextHandle, *mut c_int, *mut IovBufferDesc, c_int) -> u32,
    ) -> Result<bool, Error> {
        let mut minor = 0;
        let mut confidential = 0;
        let count = c_int::try_from(iov.len()).map_err(|_| Error::State("too many buffers"))?;
        let major = call(&mut minor, self.raw.handle, &mut confidential, iov.as_mut_ptr(), count);
        self.check_sequence(name, major, minor)?;
        Ok(confidential != 0)
    }

    /// `gss_wrap`: a message in one piece, in new memory.
    ///
    /// # Errors
    /// What the library refuses: an expired context.
    pub fn wrap(&mut self, confidential: bool, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut minor = 0;
        let mut encrypted = 0;
        let mut output = OwnedBuffer::new(self.library());
        // SAFETY: the handle is alive, the data is only read, the output is released by its owner.
        let major = unsafe {
            (self.library().functions.gss_wrap)(
                &mut minor,
                self.raw.handle,
                c_int::from(confidential),
                0,
                &BufferDesc::reading(data),
                &mut encrypted,
                output.as_mut_ptr(),
            )
        };
        self.check("gss_wrap", major, minor)?;
        if confidential && encrypted == 0 {
            return Err(Error::State("the context signs but does not encrypt"));
        }
        Ok(output.bytes().to_vec())
    }

    /// `gss_unwrap`: the plain text in new memory, and whether it was encrypted.
    ///
    /// # Errors
    /// As [`unwrap_iov`](Self::unwrap_iov).
    pub fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), Error> {
        let mut minor = 0;
        let mut encrypted = 0;
        let mut output = OwnedBuffer::new(self.library());
        // SAFETY: the handle is alive, the token is only read, the output is released by its owner.
        let major = unsafe {
            (self.library().functions.gss_unwrap)(
                &mut minor,
                self.raw.handle,
                &BufferDesc::reading(token),
                output.as_mut_ptr(),
                &mut encrypted,
                ptr::null_mut(),
            )
        };
        self.check_sequence("gss_unwrap", major, minor)?;
        Ok((output.bytes().to_vec(), encrypted != 0))
    }

    /// `gss_get_mic`: a signature apart from its message.
    ///
    /// # Errors
    /// What the library refuses: an expired context.
    pub fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut minor = 0;
        let mut output = OwnedBuffer::new(self.library());
        // SAFETY: the handle is alive, the message is only read, the output is released by its owner.
        let major = unsafe {
            (self.library().functions.gss_get_mic)(&mut minor, self.raw.handle, 0, &BufferDesc::reading(message), output.as_mut_ptr())
        };
        self.check("gss_get_mic", major, minor)?;
        Ok(output.bytes().to_vec())
    }

    /// `gss_verify_mic`: checks the peer's signature of `message`.
    ///
    /// # Errors
    /// As [`unwrap_iov`](Self::unwrap_iov).
    pub fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Error> {
        let mut minor = 0;
        // SAFETY: the handle is alive, both buffers are only read.
        let major = unsafe {
            (self.library().functions.gss_verify_mic)(
                &mut minor,
                self.raw.handle,
                &BufferDesc::reading(message),
                &BufferDesc::reading(mic),
                ptr::null_mut(),
            )
        };
        self.check_sequence("gss_verify_mic", major, minor)
    }
}

impl fmt::Debug for SecurityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityContext")
            .field("mechanism", &self.mechanism)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// Where in the caller's buffer the library put the plain text. It is trusted with memory but not
/// with arithmetic.
fn inside(whole: Range<*const u8>, part: BufferDesc) -> Result<Range<usize>, Error> {
    let BufferDesc { length, value } = part;
    if length == 0 {
        return Ok(0..0);
    }
    let outside = Error::State("the library put the plain text elsewhere");
    let start = (value as usize).checked_sub(whole.start as usize).ok_or(outside.clone())?;
    let end = start.checked_add(length).ok_or(outside.clone())?;
    if end > whole.end as usize - whole.start as usize {
        return Err(outside);
    }
    Ok(start..end)
}

/// The three parts of a sealed message, as the library takes them.
fn parts(header: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> [IovBufferDesc; 3] {
    [(sys::IOV_HEADER, header), (sys::IOV_DATA, data), (sys::IOV_PADDING, padding)].map(|(kind, part)| IovBufferDesc {
        kind,
        buffer: BufferDesc::writing(part),
    })
}
