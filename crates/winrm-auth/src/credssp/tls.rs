//! The TLS inside CredSSP: OpenSSL over two buffers in memory. TLS 1.3 is left out: its tickets come at a time when the HTTP
//! exchange has no header to carry them.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509NameBuilder};

use super::CredSspError;
use crate::der::{BIT_STRING, Reader, SEQUENCE};

/// The greatest plain text of one TLS record, in bytes.
pub(crate) const RECORD: usize = 16_384;

/// Which TLS runs inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InnerTlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.0, for Windows Server 2008, at OpenSSL's security level 0: old ciphers, hashes and short keys are taken. It concerns
    /// this inner TLS and nothing else.
    Tls10,
}

impl InnerTlsVersion {
    fn context(self, method: SslMethod) -> Result<SslContextBuilder, ErrorStack> {
        let mut builder = SslContextBuilder::new(method)?;
        let version = match self {
            Self::Tls12 => {
                builder.set_cipher_list("DEFAULT")?;
                SslVersion::TLS1_2
            }
            Self::Tls10 => {
                // In this order: the list below names ciphers that a higher level would leave out.
                builder.set_security_level(0);
                builder.set_cipher_list("DEFAULT:@SECLEVEL=0")?;
                SslVersion::TLS1
            }
        };
        // Whichever is set first must not contradict what the machine's configuration has for the other.
        builder.set_min_proto_version(None)?;
        builder.set_max_proto_version(Some(version))?;
        builder.set_min_proto_version(Some(version))?;
        // Empty records would make two of what Windows expects to be one.
        builder.set_options(
            SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION | SslOptions::NO_TICKET | SslOptions::DONT_INSERT_EMPTY_FRAGMENTS,
        );
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        Ok(builder)
    }
}

/// The client's side of the inner TLS; make one and use it for all connections.
///
/// The server's certificate is not checked here: it is made by the host for itself, and its key is vouched for by the
/// authentication ([MS-CSSP] 3.1.5, step 1).
#[derive(Clone)]
pub struct InitiatorTls(SslContext);

impl InitiatorTls {
    /// Settings for this version.
    ///
    /// # Errors
    /// [`CredSspError::Tls`] if OpenSSL was built without it.
    pub fn new(version: InnerTlsVersion) -> Result<Self, CredSspError> {
        let mut builder = version.context(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::NONE);
        Ok(Self(builder.build()))
    }

    pub(super) fn connect(&self) -> Result<InnerTls, CredSspError> {
        let mut ssl = Ssl::new(&self.0)?;
        ssl.set_connect_state();
        InnerTls::new(ssl)
    }
}

/// The server's side of the inner TLS; make one and use it for all connections.
#[derive(Clone)]
pub struct AcceptorTls {
    context: SslContext,
    public_key: Vec<u8>,
}

impl AcceptorTls {
    /// Settings for this version with a certificate and its key.
    ///
    /// # Errors
    /// [`CredSspError::Tls`] if the two don't belong together, or OpenSSL doesn't take them.
    pub fn new(certificate: &X509, key: &PKey<Private>, version: InnerTlsVersion) -> Result<Self, CredSspError> {
        let mut builder = version.context(SslMethod::tls_server())?;
        builder.set_certificate(certificate)?;
        builder.set_private_key(key)?;
        builder.check_private_key()?;
        Ok(Self {
            context: builder.build(),
            public_key: public_key(certificate)?,
        })
    }

    /// The same from PEM texts; the key may not be encrypted.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for texts that can't be read.
    pub fn from_pem(certificate: &[u8], key: &[u8], version: InnerTlsVersion) -> Result<Self, CredSspError> {
        // The callback answers for an encrypted key: it is refused instead of asked for on the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0))?;
        Self::new(&X509::from_pem(certificate)?, &key, version)
    }

    /// The same with a key made for the purpose (RSA, 2048 bits, as Windows does: the Python clients can't do with others) and a
    /// certificate signed by itself, valid for a year from now on. Takes a tenth of a second.
    ///
    /// # Errors
    /// [`CredSspError::Tls`].
    pub fn self_signed(machine: &str, since_unix_epoch: Duration, version: InnerTlsVersion) -> Result<Self, CredSspError> {
        let (certificate, key) = self_signed(machine, since_unix_epoch)?;
        Self::new(&certificate, &key, version)
    }

    /// What clients bind themselves to: the `subjectPublicKey` of the certificate.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    pub(super) fn accept(&self) -> Result<InnerTls, CredSspError> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_accept_state();
        InnerTls::new(ssl)
    }
}

impl fmt::Debug for InitiatorTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitiatorTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for AcceptorTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptorTls").finish_non_exhaustive()
    }
}

fn self_signed(machine: &str, since_unix_epoch: Duration) -> Result<(X509, PKey<Private>), ErrorStack> {
    const DAY: u64 = 24 * 60 * 60;
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    // ub-common-name of RFC 5280 is 64 characters.
    let common: String = format!("CREDSSP-{machine}").chars().filter(char::is_ascii).take(64).collect();
    name.append_entry_by_text("CN", &common)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let at = |seconds: u64| Asn1Time::from_unix(seconds.try_into().unwrap_or(i64::MAX));
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    // Clocks differ.
    builder.set_not_before(&*at(since_unix_epoch.as_secs().saturating_sub(DAY))?)?;
    builder.set_not_after(&*at(since_unix_epoch.as_secs().saturating_add(365 * DAY))?)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

/// The content of the bit string `subjectPublicKey`, RFC 5280 section 4.1: for RSA a DER structure, for EC a point.
fn public_key(certificate: &X509) -> Result<Vec<u8>, CredSspError> {
    let info = certificate.public_key()?.public_key_to_der()?;
    let mut fields = Reader::new(&info).element(SEQUENCE)?;
    fields.element(SEQUENCE)?;
    let bits = fields.element(BIT_STRING)?.remaining();
    // The first byte counts bits that are left out at the end: none in a key.
    bits.get(1..).map(<[u8]>::to_vec).ok_or(CredSspError::NoKey)
}

/// One inner TLS connection.
pub(crate) struct InnerTls {
    stream: SslStream<Buffers>,
    /// What stands between a record's header and its data: nonce or initialisation vector, in bytes.
    explicit: usize,
}

/// Where OpenSSL reads from and writes to.
#[derive(Default)]
struct Buffers {
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
}

impl Read for Buffers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.input[self.read..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl InnerTls {
    fn new(ssl: Ssl) -> Result<Self, CredSspError> {
        Ok(Self {
            stream: SslStream::new(ssl, Buffers::default())?,
            explicit: 0,
        })
    }

    /// Goes on with the handshake: what has to be sent, and whether this side is done.
    pub(super) fn handshake(&mut self, input: &[u8]) -> Result<(Vec<u8>, bool), CredSspError> {
        self.feed(input);
        let done = match self.stream.do_handshake() {
            Ok(()) => true,
            Err(error) if error.code() == ErrorCode::WANT_READ => false,
            Err(error) => return Err(failed(error)),
        };
        if done {
            self.explicit = self.explicit_length();
        }
        Ok((std::mem::take(&mut self.stream.get_mut().output), done))
    }

    /// What OpenSSL wants to tell the peer after a failure: an alert.
    pub(super) fn alert(&mut self) -> Option<Vec<u8>> {
        let alert = std::mem::take(&mut self.stream.get_mut().output);
        (!alert.is_empty()).then_some(alert)
    }

    /// Version and cipher suite, for logs: `TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384`.
    pub(super) fn suite(&self) -> String {
        let cipher = self.stream.ssl().current_cipher().map_or("no cipher", |cipher| cipher.name());
        format!("{} {cipher}", self.stream.ssl().version_str())
    }

    /// What the server has shown; `None` for an initiator whose peer has shown none.
    pub(super) fn peer_public_key(&self) -> Result<Vec<u8>, CredSspError> {
        public_key(&self.stream.ssl().peer_certificate().ok_or(CredSspError::NoKey)?)
    }

    /// Encrypts a message of any length.
    pub(super) fn write(&mut self, plain: &[u8]) -> Result<Vec<u8>, CredSspError> {
        let mut out = Vec::with_capacity(plain.len() + 64);
        for piece in plain.chunks(RECORD) {
            self.write_record(piece, &mut out)?;
        }
        Ok(out)
    }

    /// Appends one record with these bytes, at most [`RECORD`] of them, to `out`. Tells the length of what follows the data in the
    /// record: its authentication code and padding.
    pub(crate) fn write_record(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CredSspError> {
        let before = out.len();
        // OpenSSL writes right behind what is there.
        std::mem::swap(&mut self.stream.get_mut().output, out);
        let written = self.stream.ssl_write(plain);
        std::mem::swap(&mut self.stream.get_mut().output, out);
        match written {
            Ok(length) if length == plain.len() => Ok((out.len() - before).saturating_sub(HEADER + self.explicit + length)),
            Ok(_) => Err(CredSspError::TooLong(plain.len())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Decrypts a message of at most [`MAX_MESSAGE`](super::MAX_MESSAGE) bytes.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<Vec<u8>, CredSspError> {
        let mut plain = vec![0; input.len().min(super::MAX_MESSAGE)];
        let length = self.read_into(input, &mut plain)?;
        plain.truncate(length);
        Ok(plain)
    }

    /// Decrypts a message where it stands; how many bytes it then has.
    pub(crate) fn read_in_place(&mut self, message: &mut [u8]) -> Result<usize, CredSspError> {
        self.feed(message);
        self.drain(message)
    }

    fn read_into(&mut self, input: &[u8], plain: &mut [u8]) -> Result<usize, CredSspError> {
        self.feed(input);
        self.drain(plain)
    }

    /// Reads until nothing is left of the input. The plain text is always shorter than the records were.
    fn drain(&mut self, plain: &mut [u8]) -> Result<usize, CredSspError> {
        let mut length = 0;
        loop {
            if length == plain.len() {
                return Err(if length == 0 {
                    CredSspError::Closed
                } else {
                    CredSspError::TooLong(length)
                });
            }
            match self.stream.ssl_read(&mut plain[length..]) {
                Ok(0) => return Err(CredSspError::Closed),
                Ok(read) => length += read,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(length),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn feed(&mut self, input: &[u8]) {
        let buffers = self.stream.get_mut();
        buffers.input.clear();
        buffers.input.extend_from_slice(input);
        buffers.read = 0;
    }

    fn explicit_length(&self) -> usize {
        let ssl = self.stream.ssl();
        let name = ssl.current_cipher().map_or("", |cipher| cipher.name());
        match ssl.version2() {
            Some(SslVersion::TLS1) => 0,
            _ if name.contains("GCM") || name.contains("CCM") => 8,
            _ if name.contains("CHACHA20") || name.contains("RC4") => 0,
            _ if name.contains("DES") => 8,
            _ => 16,
        }
    }
}

/// Type, version and length of a record.
const HEADER: usize = 5;

/// OpenSSL's reason for a failure, without its file names.
fn failed(error: openssl::ssl::Error) -> CredSspError {
    error.ssl_error().map_or(CredSspError::Closed, |stack| stack.clone().into())
}

impl From<ErrorStack> for CredSspError {
    fn from(stack: ErrorStack) -> Self {
        let reason = stack.errors().first().and_then(|error| error.reason());
        Self::Tls(reason.unwrap_or("OpenSSL gives no reason").to_owned())
    }
}

impl fmt::Debug for InnerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerTls").field("suite", &self.suite()).finish_non_exhaustive()
    }
}
