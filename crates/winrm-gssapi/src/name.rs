//! Names of services and users.

use core::fmt;
use core::ptr;

use crate::error::Error;
use crate::library::{Library, OwnedBuffer};
use crate::sys::{self, BufferDesc, NameHandle, Oid};

/// A name in the library's internal form.
pub struct Name {
    library: &'static Library,
    handle: NameHandle,
}

// SAFETY: a name is immutable once imported, and both implementations keep no thread-bound state
// in it.
unsafe impl Send for Name {}
// SAFETY: as above; the library only reads it.
unsafe impl Sync for Name {}

impl Name {
    /// A service on a host, `service@host`. The library finds the realm by its `[domain_realm]`
    /// rules or by referral. Takes IPv6 addresses as they are.
    ///
    /// # Errors
    /// A name that the library doesn't take.
    pub fn service(library: &'static Library, service: &str, host: &str) -> Result<Self, Error> {
        Self::import(library, &format!("{service}@{host}"), &sys::NT_HOSTBASED_SERVICE)
    }

    /// A Kerberos principal as written: `user@REALM`, `HTTP/host@REALM`. Without a realm the
    /// default realm of the configuration applies.
    ///
    /// # Errors
    /// A name that the library doesn't take.
    pub fn principal(library: &'static Library, principal: &str) -> Result<Self, Error> {
        Self::import(library, principal, &sys::NT_KRB5_PRINCIPAL)
    }

    fn import(library: &'static Library, text: &str, kind: &'static Oid) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(Error::NulByte { what: "a Kerberos name" });
        }
        let input = BufferDesc::reading(text.as_bytes());
        let mut minor = 0;
        let mut handle = ptr::null_mut();
        // SAFETY: the input lives through the call and is only read, the type is static, the
        // handle is released by `Name`.
        let major = unsafe { (library.functions.gss_import_name)(&mut minor, &input, kind.as_ptr(), &mut handle) };
        library.check("gss_import_name", major, minor, ptr::null())?;
        Ok(Self { library, handle })
    }

    /// # Safety
    /// `handle` has to be a name of `library` that nobody else releases.
    pub(crate) unsafe fn from_handle(library: &'static Library, handle: NameHandle) -> Option<Self> {
        (!handle.is_null()).then_some(Self { library, handle })
    }

    pub(crate) fn handle(&self) -> NameHandle {
        self.handle
    }

    /// The name as text: `user@REALM` for a Kerberos principal.
    ///
    /// # Errors
    /// What the library refuses to display.
    pub fn display(&self) -> Result<String, Error> {
        let mut minor = 0;
        let mut text = OwnedBuffer::new(self.library);
        // SAFETY: the handle is alive, the text is released by its owner; no name type is wanted.
        let major = unsafe { (self.library.functions.gss_display_name)(&mut minor, self.handle, text.as_mut_ptr(), ptr::null_mut()) };
        self.library.check("gss_display_name", major, minor, ptr::null())?;
        Ok(String::from_utf8_lossy(text.bytes()).into_owned())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name").field(&self.display().unwrap_or_default()).finish()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle came from the library and is released once, here.
        unsafe { (self.library.functions.gss_release_name)(&mut minor, &mut self.handle) };
    }
}
