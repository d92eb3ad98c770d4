//! Message encryption of RFC 4121 (AES) and RFC 4757 (RC4).

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use winrm_gssapi::{Flags, SecurityContext};

use super::KerberosError;
use super::cfx::Cfx;
use crate::{SealError, SealLayout, Sealer};

/// Encrypts and decrypts the messages of one Kerberos context.
///
/// Sealed messages have the layout `HEADER | DATA | PADDING` of `gss_wrap_iov`, the header being the signature. Opened
/// are those and plain `gss_wrap` tokens, whatever their rotation (RFC 4121 section 4.2.5): signature and data, one after
/// the other, are a token in either case.
#[derive(Debug)]
pub struct KerberosSealer {
    protection: Protection,
    encrypts: bool,
    broken: bool,
}

#[derive(Debug)]
enum Protection {
    /// AES, encrypted here.
    Cfx(Box<Cfx>),
    /// Anything else, encrypted by the library. Its contexts may not be used by two threads at once, not even to be
    /// asked.
    Library(Mutex<SecurityContext>),
}

impl KerberosSealer {
    /// `encrypt` is false where nobody asked for encryption; MIT grants it all the same.
    pub(super) fn new(context: SecurityContext, encrypt: bool) -> Result<Self, KerberosError> {
        let encrypts = encrypt && context.flags().contains(Flags::CONFIDENTIALITY);
        let protection = if context.has_aes_keys() {
            let keys = context.export_keys().map_err(KerberosError::Context)?;
            let unusable = winrm_gssapi::Error::State("the library exported a key of the wrong length");
            Protection::Cfx(Cfx::new(&keys).ok_or(KerberosError::Context(unusable))?.into())
        } else {
            Protection::Library(Mutex::new(context))
        };
        Ok(Self {
            protection,
            encrypts,
            broken: false,
        })
    }

    fn usable(&self) -> Result<(), SealError> {
        match (self.broken, self.encrypts) {
            (true, _) => Err(SealError::Broken),
            (false, false) => Err(SealError::NotNegotiated("encryption")),
            (false, true) => Ok(()),
        }
    }

    pub(crate) fn layout(&self, length: usize) -> Result<SealLayout, SealError> {
        self.usable()?;
        match &self.protection {
            Protection::Cfx(cfx) => Ok(SealLayout {
                signature: cfx.signature_length(),
                padding: 0,
            }),
            Protection::Library(context) => {
                let lengths = context
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .wrap_iov_length(true, length)?;
                Ok(SealLayout {
                    signature: lengths.header,
                    padding: lengths.padding,
                })
            }
        }
    }

    pub(crate) fn seal_in_place(&mut self, signature: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> Result<(), SealError> {
        self.usable()?;
        match &mut self.protection {
            Protection::Cfx(_) if !padding.is_empty() => Err(SealError::Length {
                expected: 0,
                found: padding.len(),
            }),
            Protection::Cfx(cfx) => cfx.seal(signature, data),
            Protection::Library(context) => Ok(exclusive(context).wrap_iov(true, signature, data, padding)?),
        }
    }

    /// `message` is the signature and what follows it.
    pub(crate) fn unseal_in_place(&mut self, message: &mut [u8]) -> Result<Range<usize>, SealError> {
        self.usable()?;
        let opened = match &mut self.protection {
            Protection::Cfx(cfx) => cfx.open(message),
            Protection::Library(context) => match exclusive(context).unwrap_in_place(message) {
                Ok(opened) if opened.confidential => Ok(opened.data),
                Ok(_) => Err(winrm_gssapi::Error::State("it is signed but not encrypted").into()),
                Err(error) => Err(error.into()),
            },
        };
        self.broken = opened.is_err();
        opened
    }

    pub(crate) fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        match &mut self.protection {
            Protection::Cfx(cfx) => cfx.sign(message),
            Protection::Library(context) => Ok(exclusive(context).mic(message)?),
        }
    }

    pub(crate) fn verify(&mut self, message: &[u8], signature: &[u8]) -> Result<(), SealError> {
        match &mut self.protection {
            Protection::Cfx(cfx) => cfx.verify(message, signature),
            Protection::Library(context) => Ok(exclusive(context).verify_mic(message, signature)?),
        }
    }
}

fn exclusive(context: &mut Mutex<SecurityContext>) -> &mut SecurityContext {
    context.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl From<KerberosSealer> for Sealer {
    fn from(sealer: KerberosSealer) -> Self {
        Self::Kerberos(Box::new(sealer))
    }
}

impl From<winrm_gssapi::Error> for SealError {
    fn from(error: winrm_gssapi::Error) -> Self {
        match error.kind() {
            winrm_gssapi::ErrorKind::BadSignature => Self::Checksum,
            _ => Self::Kerberos(error),
        }
    }
}
