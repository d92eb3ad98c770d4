//! Channel binding `tls-server-end-point`, RFC 5929 section 4: the authentication is tied to the certificate of the
//! TLS server, so that tokens relayed over another TLS connection are refused.

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::der::{DerError, OBJECT_IDENTIFIER, Reader, SEQUENCE, context};

const PREFIX: &[u8] = b"tls-server-end-point:";

/// The binding of one TLS connection, made from its server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBinding {
    application_data: Vec<u8>,
}

impl ChannelBinding {
    /// Makes the binding from the server's certificate (DER, as TLS carried it).
    ///
    /// The certificate is hashed with the hash function of its signature; MD5 and SHA-1 are replaced by SHA-256.
    /// RFC 5929 leaves signatures without exactly one hash undefined (Ed25519, SHA-3, …): SHA-256 is used there, as other
    /// implementations do.
    ///
    /// # Errors
    /// Bytes that aren't the DER of a certificate.
    pub fn from_certificate_der(certificate: &[u8]) -> Result<Self, InvalidCertificate> {
        let mut application_data = PREFIX.to_vec();
        match signature_hash(certificate)? {
            Hash::Sha256 => application_data.extend_from_slice(&Sha256::digest(certificate)),
            Hash::Sha384 => application_data.extend_from_slice(&Sha384::digest(certificate)),
            Hash::Sha512 => application_data.extend_from_slice(&Sha512::digest(certificate)),
        }
        Ok(Self { application_data })
    }

    /// A binding with these application data, for callers that have them from elsewhere.
    pub fn from_application_data(application_data: Vec<u8>) -> Self {
        Self { application_data }
    }

    /// `tls-server-end-point:` and the hash of the certificate: what GSSAPI calls the application data.
    pub fn application_data(&self) -> &[u8] {
        &self.application_data
    }

    /// The `gss_channel_bindings_struct` as it is hashed: no addresses (four zero u32), then the length of the
    /// application data (u32, little-endian) and the data. RFC 4121 section 4.1.1.2, [MS-NLMP] 3.1.5.1.2.
    pub fn gss_struct(&self) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(&(self.application_data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.application_data);
        bytes
    }

    /// The MD5 of [`gss_struct`](Self::gss_struct): the content of `MsvAvChannelBindings`.
    pub fn md5(&self) -> [u8; 16] {
        Md5::digest(self.gss_struct()).into()
    }
}

/// The bytes are not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's certificate can't be read for channel binding")]
pub struct InvalidCertificate(#[from] DerError);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Finds the hash in `Certificate.signatureAlgorithm` (RFC 5280 section 4.1).
fn signature_hash(certificate: &[u8]) -> Result<Hash, DerError> {
    let mut input = Reader::new(certificate);
    let mut fields = input.element(SEQUENCE)?;
    fields.element(SEQUENCE)?; // tbsCertificate
    let mut algorithm = fields.element(SEQUENCE)?;
    fields.any()?; // signatureValue
    fields.finish()?;
    input.finish()?;
    let identifier = algorithm.element(OBJECT_IDENTIFIER)?.remaining();
    if identifier == RSASSA_PSS {
        pss_hash(algorithm)
    } else {
        Ok(hash_of(identifier))
    }
}

/// `RSASSA-PSS-params`, RFC 4055 section 3.1: the hash is field `[0]`; SHA-1 if it is left out.
fn pss_hash(mut algorithm: Reader<'_>) -> Result<Hash, DerError> {
    let Some(mut parameters) = algorithm.optional(SEQUENCE)? else {
        return Ok(Hash::Sha256);
    };
    let Some(mut field) = parameters.optional(context(0))? else {
        return Ok(Hash::Sha256);
    };
    let mut hash = field.element(SEQUENCE)?;
    Ok(hash_of(hash.element(OBJECT_IDENTIFIER)?.remaining()))
}

/// 1.2.840.113549.1.1.10.
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// SHA-384 and SHA-512 by the identifiers of their signatures and of the functions themselves; everything else is
/// SHA-256 or is replaced by it.
fn hash_of(identifier: &[u8]) -> Hash {
    match identifier {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c] // sha384WithRSAEncryption
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] // ecdsa-with-SHA384
        | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x03] // dsa-with-sha384
        | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02] => Hash::Sha384,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d] // sha512WithRSAEncryption
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] // ecdsa-with-SHA512
        | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x04] // dsa-with-sha512
        | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03] => Hash::Sha512,
        _ => Hash::Sha256,
    }
}

#[cfg(test)]
#[path = "channel_binding_tests.rs"]
mod tests;
