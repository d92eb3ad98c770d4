//! The C side: structures, constants and the table of functions ([RFC 2744], MIT's
//! `gssapi_ext.h`, RFC 5587/5588 and the credential-store extensions).
//!
//! [RFC 2744]: https://www.rfc-editor.org/rfc/rfc2744

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

pub(crate) type NameHandle = *mut c_void;
pub(crate) type CredentialHandle = *mut c_void;
pub(crate) type ContextHandle = *mut c_void;

/// `gss_OID_desc`. The macOS headers pack the basic structures to two bytes on x86-64 only.
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
#[derive(Clone, Copy)]
pub(crate) struct OidDesc {
    pub(crate) length: u32,
    pub(crate) elements: *const c_void,
}

/// `gss_OID_set_desc`
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
pub(crate) struct OidSetDesc {
    pub(crate) count: usize,
    pub(crate) elements: *const OidDesc,
}

/// `gss_buffer_desc`
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
#[derive(Clone, Copy)]
pub(crate) struct BufferDesc {
    pub(crate) length: usize,
    pub(crate) value: *mut c_void,
}

impl BufferDesc {
    pub(crate) const EMPTY: Self = Self {
        length: 0,
        value: ptr::null_mut(),
    };

    /// A buffer the library only reads, in spite of the `void *` of its C type.
    pub(crate) fn reading(bytes: &[u8]) -> Self {
        Self {
            length: bytes.len(),
            value: bytes.as_ptr().cast_mut().cast(),
        }
    }

    /// A buffer the library reads and writes.
    pub(crate) fn writing(bytes: &mut [u8]) -> Self {
        Self {
            length: bytes.len(),
            value: bytes.as_mut_ptr().cast(),
        }
    }
}

/// `gss_channel_bindings_struct`
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
pub(crate) struct ChannelBindingsDesc {
    pub(crate) initiator_addrtype: u32,
    pub(crate) initiator_address: BufferDesc,
    pub(crate) acceptor_addrtype: u32,
    pub(crate) acceptor_address: BufferDesc,
    pub(crate) application_data: BufferDesc,
}

/// `gss_iov_buffer_desc`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct IovBufferDesc {
    pub(crate) kind: u32,
    pub(crate) buffer: BufferDesc,
}

/// `gss_key_value_element_desc`
#[repr(C)]
pub(crate) struct KeyValueElementDesc {
    pub(crate) key: *const c_char,
    pub(crate) value: *const c_char,
}

/// `gss_key_value_set_desc`
#[repr(C)]
pub(crate) struct KeyValueSetDesc {
    pub(crate) count: u32,
    pub(crate) elements: *const KeyValueElementDesc,
}

/// `gss_buffer_set_desc`
#[repr(C)]
pub(crate) struct BufferSetDesc {
    pub(crate) count: usize,
    pub(crate) elements: *const BufferDesc,
}

/// `gss_krb5_lucid_key_t`
#[repr(C)]
pub(crate) struct LucidKey {
    pub(crate) kind: u32,
    pub(crate) length: u32,
    pub(crate) data: *const c_void,
}

/// `gss_krb5_lucid_context_v1_t`
#[repr(C)]
pub(crate) struct LucidContext {
    pub(crate) version: u32,
    pub(crate) initiate: u32,
    pub(crate) endtime: u32,
    pub(crate) send_seq: u64,
    pub(crate) recv_seq: u64,
    /// 0: RFC 1964, 1: RFC 4121.
    pub(crate) protocol: u32,
    pub(crate) rfc1964: Rfc1964Keys,
    pub(crate) cfx: CfxKeys,
}

/// `gss_krb5_rfc1964_keydata_t`
#[repr(C)]
pub(crate) struct Rfc1964Keys {
    pub(crate) sign_alg: u32,
    pub(crate) seal_alg: u32,
    pub(crate) key: LucidKey,
}

/// `gss_krb5_cfx_keydata_t`
#[repr(C)]
pub(crate) struct CfxKeys {
    pub(crate) have_acceptor_subkey: u32,
    pub(crate) key: LucidKey,
    pub(crate) acceptor_subkey: LucidKey,
}

/// An object identifier in static storage: the standard lets a library keep the pointer.
#[repr(transparent)]
pub(crate) struct Oid(OidDesc);

// SAFETY: the descriptor is never written and points to immutable static bytes.
unsafe impl Sync for Oid {}

impl Oid {
    const fn new(bytes: &'static [u8]) -> Self {
        Self(OidDesc {
            length: bytes.len() as u32,
            elements: bytes.as_ptr().cast(),
        })
    }

    pub(crate) const fn as_ptr(&'static self) -> *const OidDesc {
        &raw const self.0
    }
}

/// 1.2.840.113554.1.2.2: Kerberos 5
pub(crate) static MECH_KRB5: Oid = Oid::new(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02");
/// 1.3.6.1.5.5.2: SPNEGO
pub(crate) static MECH_SPNEGO: Oid = Oid::new(b"\x2b\x06\x01\x05\x05\x02");
/// 1.2.840.113554.1.2.1.4: `GSS_C_NT_HOSTBASED_SERVICE`
pub(crate) static NT_HOSTBASED_SERVICE: Oid = Oid::new(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04");
/// 1.2.840.113554.1.2.2.1: `GSS_KRB5_NT_PRINCIPAL_NAME`
pub(crate) static NT_KRB5_PRINCIPAL: Oid = Oid::new(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01");

/// 1.2.840.113554.1.2.2.5.5: `GSS_C_INQ_SSPI_SESSION_KEY`
pub(crate) static INQ_SESSION_KEY: Oid = Oid::new(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05");

pub(crate) const S_CONTINUE_NEEDED: u32 = 1;
/// Calling and routine errors; what is outside of the mask is supplementary information.
pub(crate) const ERROR_MASK: u32 = 0xffff_0000;
pub(crate) const ROUTINE_ERROR_MASK: u32 = 0x00ff_0000;
/// Duplicate, old, out of sequence, gap.
pub(crate) const SEQUENCE_MASK: u32 = 0x1e;

pub(crate) const INDEFINITE: u32 = 0xffff_ffff;
pub(crate) const STATUS_GSS_CODE: c_int = 1;
pub(crate) const STATUS_MECH_CODE: c_int = 2;

pub(crate) const IOV_DATA: u32 = 1;
pub(crate) const IOV_HEADER: u32 = 2;
pub(crate) const IOV_PADDING: u32 = 9;
pub(crate) const IOV_STREAM: u32 = 10;

macro_rules! functions {
    (
        required { $( fn $req:ident( $($rarg:ty),* $(,)? ); )* }
        optional { $( fn $opt:ident( $($oarg:ty),* $(,)? ); )* }
    ) => {
        /// The functions of the library, by their C names. Every one returns its major status.
        pub(crate) struct Functions {
            $( pub(crate) $req: unsafe extern "C" fn($($rarg),*) -> u32, )*
            $( pub(crate) $opt: Option<unsafe extern "C" fn($($oarg),*) -> u32>, )*
        }

        impl Functions {
            /// Looks all functions up.
            ///
            /// # Errors
            /// The name of the first function that has to be there and isn't.
            ///
            /// # Safety
            /// `library` has to be a GSSAPI library, whose functions have the C signatures of
            /// RFC 2744 and of MIT's extensions, and must never be closed.
            pub(crate) unsafe fn resolve(library: &libloading::Library) -> Result<Self, &'static str> {
                Ok(Self {
                    // SAFETY: the caller vouches for the signatures.
                    $( $req: unsafe { symbol(library, stringify!($req)) }.ok_or(stringify!($req))?, )*
                    // SAFETY: as above.
                    $( $opt: unsafe { symbol(library, stringify!($opt)) }, )*
                })
            }
        }
    };
}

/// Apple exports the functions it keeps out of its headers with this prefix.
const APPLE_PREFIX: &str = "__ApplePrivate_";

/// # Safety
/// `F` has to be the type of the function that `library` calls `name`.
unsafe fn symbol<F: Copy>(library: &libloading::Library, name: &str) -> Option<F> {
    [name.to_owned(), format!("{APPLE_PREFIX}{name}")].iter().find_map(|name| {
        // SAFETY: the caller vouches for the type.
        unsafe { library.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
    })
}

functions! {
    required {
        fn gss_display_status(*mut u32, u32, c_int, *const OidDesc, *mut u32, *mut BufferDesc);
        fn gss_release_buffer(*mut u32, *mut BufferDesc);
        fn gss_import_name(*mut u32, *const BufferDesc, *const OidDesc, *mut NameHandle);
        fn gss_display_name(*mut u32, NameHandle, *mut BufferDesc, *mut *const OidDesc);
        fn gss_release_name(*mut u32, *mut NameHandle);
        fn gss_acquire_cred(
            *mut u32, NameHandle, u32, *const OidSetDesc, c_int, *mut CredentialHandle,
            *mut *mut OidSetDesc, *mut u32,
        );
        fn gss_inquire_cred(
            *mut u32, CredentialHandle, *mut NameHandle, *mut u32, *mut c_int, *mut *mut OidSetDesc,
        );
        fn gss_release_cred(*mut u32, *mut CredentialHandle);
        fn gss_init_sec_context(
            *mut u32, CredentialHandle, *mut ContextHandle, NameHandle, *const OidDesc, u32, u32,
            *const ChannelBindingsDesc, *const BufferDesc, *mut *const OidDesc, *mut BufferDesc,
            *mut u32, *mut u32,
        );
        fn gss_accept_sec_context(
            *mut u32, *mut ContextHandle, CredentialHandle, *const BufferDesc,
            *const ChannelBindingsDesc, *mut NameHandle, *mut *const OidDesc, *mut BufferDesc,
            *mut u32, *mut u32, *mut CredentialHandle,
        );
        fn gss_inquire_context(
            *mut u32, ContextHandle, *mut NameHandle, *mut NameHandle, *mut u32,
            *mut *const OidDesc, *mut u32, *mut c_int, *mut c_int,
        );
        fn gss_delete_sec_context(*mut u32, *mut ContextHandle, *mut BufferDesc);
        fn gss_wrap(
            *mut u32, ContextHandle, c_int, u32, *const BufferDesc, *mut c_int, *mut BufferDesc,
        );
        fn gss_unwrap(
            *mut u32, ContextHandle, *const BufferDesc, *mut BufferDesc, *mut c_int, *mut u32,
        );
        fn gss_get_mic(*mut u32, ContextHandle, u32, *const BufferDesc, *mut BufferDesc);
        fn gss_verify_mic(*mut u32, ContextHandle, *const BufferDesc, *const BufferDesc, *mut u32);
    }
    optional {
        fn gss_acquire_cred_from(
            *mut u32, NameHandle, u32, *const OidSetDesc, c_int, *const KeyValueSetDesc,
            *mut CredentialHandle, *mut *mut OidSetDesc, *mut u32,
        );
        fn gss_store_cred_into(
            *mut u32, CredentialHandle, c_int, *const OidDesc, u32, u32, *const KeyValueSetDesc,
            *mut *mut OidSetDesc, *mut c_int,
        );
        fn gss_wrap_iov(
            *mut u32, ContextHandle, c_int, u32, *mut c_int, *mut IovBufferDesc, c_int,
        );
        fn gss_wrap_iov_length(
            *mut u32, ContextHandle, c_int, u32, *mut c_int, *mut IovBufferDesc, c_int,
        );
        fn gss_unwrap_iov(
            *mut u32, ContextHandle, *mut c_int, *mut u32, *mut IovBufferDesc, c_int,
        );
        fn gss_inquire_sec_context_by_oid(
            *mut u32, ContextHandle, *const OidDesc, *mut *mut BufferSetDesc,
        );
        fn gss_release_buffer_set(*mut u32, *mut *mut BufferSetDesc);
        fn gss_krb5_export_lucid_sec_context(
            *mut u32, *mut ContextHandle, u32, *mut *mut LucidContext,
        );
        fn gss_krb5_free_lucid_sec_context(*mut u32, *mut LucidContext);
    }
}
