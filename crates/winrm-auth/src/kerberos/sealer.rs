//! Message encryption of RFC 4121 (AES) and RFC 4757 (RC4).

use std::ops::Range;
use std::sync::Mutex;

use winrm_gssapi::{Flags, SecurityContext};

use super::KerberosError;
use crate::{SealError, SealLayout, Sealer};

/// Encrypts and decrypts the messages of one Kerberos context.
///
/// Sealed messages have the layout `HEADER | DATA | PADDING` of `gss_wrap_iov`, the header being the signature. Opened
/// are those and plain `gss_wrap` tokens, whatever their rotation (RFC 4121 section 4.2.5): signature and data, one after
/// the other, are a token in either case.
#[derive(Debug)]
pub struct KerberosSealer {
    // The library's contexts may not be used by two threads at once, not even to be asked.
    context: Mutex<SecurityContext>,
    encrypts: bool,
    broken: bool,
}

impl KerberosSealer {
    /// `encrypt` is false where nobody asked for encryption; MIT grants it all the same.
    pub(super) fn new(context: SecurityContext, encrypt: bool) -> Result<Self, KerberosError> {
        let encrypts = encrypt && context.flags().contains(Flags::CONFIDENTIALITY);
        Ok(Self {
            context: Mutex::new(context),
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

    fn exclusive(&mut self) -> &mut SecurityContext {
        self.context.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn layout(&self, length: usize) -> Result<SealLayout, SealError> {
        self.usable()?;
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lengths = context.wrap_iov_length(true, length)?;
        Ok(SealLayout {
            signature: lengths.header,
            padding: lengths.padding,
        })
    }

    pub(crate) fn seal_in_place(&mut self, signature: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> Result<(), SealError> {
        self.usable()?;
        Ok(self.exclusive().wrap_iov(true, signature, data, padding)?)
    }

    /// `message` is the signature and what follows it.
    pub(crate) fn unseal_in_place(&mut self, message: &mut [u8]) -> Result<Range<usize>, SealError> {
        self.usable()?;
        let opened = self
            .exclusive()
            .unwrap_in_place(message)
            .and_then(|opened| match opened.confidential {
                true => Ok(opened.data),
                false => Err(winrm_gssapi::Error::State("the message is signed but not encrypted")),
            });
        self.broken = opened.is_err();
        Ok(opened?)
    }

    pub(crate) fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(self.exclusive().mic(message)?)
    }

    pub(crate) fn verify(&mut self, message: &[u8], signature: &[u8]) -> Result<(), SealError> {
        Ok(self.exclusive().verify_mic(message, signature)?)
    }
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
