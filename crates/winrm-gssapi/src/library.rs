//! Finding and opening the library.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr;
use std::sync::OnceLock;

use crate::error::{Error, Status};
use crate::sys::{self, BufferDesc, Functions, OidDesc};

/// The system's GSSAPI library, opened once for the whole process.
pub struct Library {
    pub(crate) functions: Functions,
    name: String,
    implementation: Implementation,
    /// Never closed: contexts and credentials of other threads may outlive any scope, and the
    /// library keeps thread-local state of its own.
    _handle: ManuallyDrop<libloading::Library>,
}

/// Whose GSSAPI it is. They differ in what they can do beyond the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Implementation {
    /// MIT krb5: everything this crate offers.
    Mit,
    /// Heimdal, or Apple's descendant of it: credential stores only from version 8 on.
    Heimdal,
}

/// MIT first: it alone has credential stores in every version in use.
const CANDIDATES: &[&str] = &[
    "libgssapi_krb5.so.2",
    #[cfg(target_os = "macos")]
    "/opt/homebrew/opt/krb5/lib/libgssapi_krb5.2.dylib",
    #[cfg(target_os = "macos")]
    "/usr/local/opt/krb5/lib/libgssapi_krb5.2.dylib",
    #[cfg(target_os = "macos")]
    "/System/Library/Frameworks/GSS.framework/GSS",
    "libgssapi.so.3",
];

impl Library {
    /// The library, opened at the first call.
    ///
    /// # Errors
    /// [`Error::LibraryMissing`] where there is none, with the packages that have one;
    /// [`Error::FunctionMissing`] where what was found is no complete GSSAPI.
    pub fn load() -> Result<&'static Self, Error> {
        static LIBRARY: OnceLock<Result<Library, Error>> = OnceLock::new();
        LIBRARY.get_or_init(|| Self::open(CANDIDATES)).as_ref().map_err(Clone::clone)
    }

    fn open(candidates: &[&str]) -> Result<Self, Error> {
        let mut reasons = Vec::new();
        let mut incomplete = None;
        for name in candidates {
            // SAFETY: opening runs the initialisers of the system's own Kerberos library, which
            // make no demands on the process.
            let handle = match unsafe { libloading::Library::new(name) } {
                Ok(handle) => ManuallyDrop::new(handle),
                Err(error) => {
                    reasons.push(error.to_string());
                    continue;
                }
            };
            // SAFETY: the file names are those of GSSAPI libraries, the handle is never closed.
            match unsafe { Functions::resolve(&handle) } {
                Ok(functions) => {
                    let implementation = if name.contains("gssapi_krb5") {
                        Implementation::Mit
                    } else {
                        Implementation::Heimdal
                    };
                    return Ok(Self {
                        functions,
                        name: (*name).to_owned(),
                        implementation,
                        _handle: handle,
                    });
                }
                Err(function) => {
                    incomplete.get_or_insert(Error::FunctionMissing {
                        function,
                        library: (*name).to_owned(),
                    });
                }
            }
        }
        Err(incomplete.unwrap_or_else(|| Error::LibraryMissing {
            tried: candidates.iter().map(|&name| name.to_owned()).collect(),
            reasons,
        }))
    }

    /// The file name it was found by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose library it is.
    #[must_use]
    pub fn implementation(&self) -> Implementation {
        self.implementation
    }

    /// Whether a [`CredentialStore`](crate::CredentialStore) can be given to it.
    #[must_use]
    pub fn has_credential_stores(&self) -> bool {
        self.functions.gss_acquire_cred_from.is_some()
    }

    /// Whether messages can be sealed in place with their header apart, as WinRM wants them.
    #[must_use]
    pub fn has_iov(&self) -> bool {
        self.functions.gss_wrap_iov.is_some() && self.functions.gss_wrap_iov_length.is_some() && self.functions.gss_unwrap_iov.is_some()
    }

    pub(crate) fn missing(&self, function: &'static str) -> Error {
        Error::FunctionMissing {
            function,
            library: self.name.clone(),
        }
    }

    /// Turns a major status into a result. Has to be called on the thread of the failed call and
    /// before any other: the library keeps the details of the last error for each thread.
    pub(crate) fn check(&self, call: &'static str, major: u32, minor: u32, mechanism: *const OidDesc) -> Result<(), Error> {
        if major & sys::ERROR_MASK == 0 {
            return Ok(());
        }
        Err(self.status(call, major, minor, mechanism).into())
    }

    pub(crate) fn status(&self, call: &'static str, major: u32, minor: u32, mechanism: *const OidDesc) -> Status {
        // The minor text first: it is the one that may be kept for this thread only.
        let mut minor_text = match minor {
            0 => String::new(),
            _ => self.display(minor, sys::STATUS_MECH_CODE, mechanism),
        };
        // MIT numbers a mechanism's zero as well (100001).
        if minor_text == "Success" {
            minor_text.clear();
        }
        let major_text = self.display(major, sys::STATUS_GSS_CODE, ptr::null());
        Status {
            call,
            major,
            minor,
            major_text,
            minor_text,
        }
    }

    /// `gss_display_status` until it has said everything ([RFC 2744] 5.11).
    ///
    /// [RFC 2744]: https://www.rfc-editor.org/rfc/rfc2744#section-5.11
    fn display(&self, code: u32, kind: core::ffi::c_int, mechanism: *const OidDesc) -> String {
        let mut texts: Vec<String> = Vec::new();
        let mut message_context = 0;
        // More than a handful would be a library that never comes to an end.
        for _ in 0..8 {
            let mut minor = 0;
            let mut text = OwnedBuffer::new(self);
            // SAFETY: all pointers are valid for the call; the buffer is released by its owner.
            let major =
                unsafe { (self.functions.gss_display_status)(&mut minor, code, kind, mechanism, &mut message_context, text.as_mut_ptr()) };
            if major & sys::ERROR_MASK != 0 {
                break;
            }
            let text = String::from_utf8_lossy(text.bytes()).trim().to_owned();
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
            if message_context == 0 {
                break;
            }
        }
        texts.join("; ")
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("name", &self.name)
            .field("implementation", &self.implementation)
            .finish_non_exhaustive()
    }
}

/// A buffer the library allocates and this type gives back.
pub(crate) struct OwnedBuffer<'l> {
    library: &'l Library,
    buffer: BufferDesc,
}

impl<'l> OwnedBuffer<'l> {
    pub(crate) fn new(library: &'l Library) -> Self {
        Self {
            library,
            buffer: BufferDesc::EMPTY,
        }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut BufferDesc {
        &raw mut self.buffer
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let BufferDesc { length, value } = self.buffer;
        if value.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: the library filled the descriptor with memory of its own that stays until
        // `gss_release_buffer`, which only `drop` calls.
        unsafe { core::slice::from_raw_parts(value.cast::<u8>(), length) }
    }
}

impl Drop for OwnedBuffer<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the descriptor is empty or was filled by the library; released once, here.
        unsafe { (self.library.functions.gss_release_buffer)(&mut minor, &raw mut self.buffer) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_the_package_to_install() {
        let error = Library::open(&["libgssapi_of_nobody.so.7"]).expect_err("there is none");
        let Error::LibraryMissing { tried, reasons } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(tried, &["libgssapi_of_nobody.so.7"]);
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].contains("libgssapi_of_nobody.so.7"), "{reasons:?}");
        let text = error.to_string();
        for word in ["libgssapi_of_nobody.so.7", "libgssapi-krb5-2", "krb5-libs", "macOS"] {
            assert!(text.contains(word), "{word} is missing in: {text}");
        }
        assert_eq!(error.kind(), crate::ErrorKind::LibraryMissing);
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[allow(clippy::print_stderr, reason = "says why it is skipped")]
    fn heimdal_is_taken_where_it_is_all_there_is() {
        match Library::open(&["libgssapi_of_nobody.so.7", "libgssapi.so.3"]) {
            Ok(library) => {
                assert_eq!(library.implementation(), Implementation::Heimdal);
                assert_eq!(library.name(), "libgssapi.so.3");
                assert!(library.has_iov());
            }
            Err(Error::LibraryMissing { .. }) => eprintln!("skipped: Heimdal (libgssapi3-heimdal) is not installed"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_library_that_is_no_gssapi_is_refused() {
        let error = Library::open(&["libc.so.6"]).expect_err("the C library has no GSSAPI");
        assert_eq!(
            error,
            Error::FunctionMissing {
                function: "gss_display_status",
                library: "libc.so.6".to_owned()
            }
        );
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    }
}
