//! The messages, [MS-CSSP] 2.2.1: DER with explicit tags.

use zeroize::Zeroizing;

use super::CredSspError;
use crate::der::{self, DerError, OCTET_STRING, Reader, SEQUENCE, context};
use crate::{Credentials, Secret};

/// The greatest message that is read, in bytes: above all a Kerberos ticket with many groups.
pub const MAX_MESSAGE: usize = 128 * 1024;

/// `TSRequest`, [MS-CSSP] 2.2.1: what goes through the inner TLS, in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TsRequest {
    /// The newest version that the sender speaks; 2 to 6 are known.
    pub version: u32,
    /// A token of SPNEGO; those of NTLM and Kerberos without it are taken as well. `NegoData`, [MS-CSSP] 2.2.1.1, is a list, of
    /// which no peer makes use.
    pub nego_token: Option<Vec<u8>>,
    /// The sealed credentials.
    pub auth_info: Option<Vec<u8>>,
    /// What binds the authentication to the key of the inner TLS, sealed.
    pub pub_key_auth: Option<Vec<u8>>,
    /// NTSTATUS of the server's refusal; versions 3, 4 and from 6 on.
    pub error_code: Option<u32>,
    /// The client's 32 random bytes; from version 5 on.
    pub client_nonce: Option<[u8; 32]>,
}

impl TsRequest {
    /// Reads a message.
    ///
    /// # Errors
    /// [`CredSspError::TooLong`], [`CredSspError::Malformed`], [`CredSspError::Field`] for a nonce or a version that can't be one.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredSspError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(CredSspError::TooLong(bytes.len()));
        }
        let mut input = Reader::new(bytes);
        let mut fields = input.element(SEQUENCE)?;
        input.finish()?;
        let version = u32::try_from(integer(fields.element(context(0))?)?).map_err(|_| CredSspError::Field("version"))?;
        let nego_token = fields.optional(context(1))?.map(first_token).transpose()?.flatten();
        let auth_info = fields.optional(context(2))?.map(octets).transpose()?;
        let pub_key_auth = fields.optional(context(3))?.map(octets).transpose()?;
        let error_code = fields.optional(context(4))?.map(integer).transpose()?;
        // Half of the writers take NTSTATUS for a signed number.
        let unsigned = |code| i32::try_from(code).map(i32::cast_unsigned).or(u32::try_from(code));
        let error_code = error_code.map(unsigned).transpose().map_err(|_| CredSspError::Field("errorCode"))?;
        let client_nonce = fields.optional(context(5))?.map(octets).transpose()?;
        let client_nonce = client_nonce.map(<[u8; 32]>::try_from).transpose();
        let client_nonce = client_nonce.map_err(|_| CredSspError::Field("clientNonce"))?;
        fields.finish()?;
        Ok(Self {
            version,
            nego_token,
            auth_info,
            pub_key_auth,
            error_code,
            client_nonce,
        })
    }

    /// Writes the message.
    pub fn write(&self) -> Vec<u8> {
        let version = i32::try_from(self.version).unwrap_or(i32::MAX);
        let version = der::write(context(0), &[&der::write_integer(version)]);
        let nego = self.nego_token.as_ref().map_or_else(Vec::new, |token| {
            let item = der::write(SEQUENCE, &[&write_octets(0, token)]);
            der::write(context(1), &[&der::write(SEQUENCE, &[&item])])
        });
        let optional = |number, field: Option<&[u8]>| field.map_or_else(Vec::new, |field| write_octets(number, field));
        let auth_info = optional(2, self.auth_info.as_deref());
        let pub_key_auth = optional(3, self.pub_key_auth.as_deref());
        // As Windows does: 32 bits with a sign.
        let error_code = self
            .error_code
            .map_or_else(Vec::new, |code| der::write(context(4), &[&der::write_integer(code.cast_signed())]));
        let nonce = optional(5, self.client_nonce.as_ref().map(<[u8; 32]>::as_slice));
        der::write(SEQUENCE, &[&version, &nego, &auth_info, &pub_key_auth, &error_code, &nonce])
    }
}

/// `TSCredentials` with `TSPasswordCreds`, [MS-CSSP] 2.2.1.2 and 2.2.1.2.1: name and password, texts in UTF-16LE. Smart cards and
/// Remote Credential Guard, the other kinds, are refused.
pub(super) fn write_password(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let text = |number, text: &str| {
        let utf16: Zeroizing<Vec<u8>> = Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        Zeroizing::new(write_octets(number, &utf16))
    };
    let domain = text(0, credentials.domain.as_deref().unwrap_or_default());
    let user = text(1, &credentials.user);
    let password = text(2, credentials.password.expose());
    let kind = der::write(context(0), &[&der::write_integer(PASSWORD)]);
    let inner = Zeroizing::new(der::write(SEQUENCE, &[&domain, &user, &password]));
    let inner = Zeroizing::new(write_octets(1, &inner));
    Zeroizing::new(der::write(SEQUENCE, &[&kind, &inner]))
}

/// The value of `credType` for a name and a password.
const PASSWORD: i32 = 1;

/// The counterpart of [`write_password`].
pub(super) fn parse_password(bytes: &[u8]) -> Result<Credentials, CredSspError> {
    let mut input = Reader::new(bytes);
    let mut fields = input.element(SEQUENCE)?;
    input.finish()?;
    let kind = integer(fields.element(context(0))?)?;
    if kind != i64::from(PASSWORD) {
        return Err(CredSspError::CredentialType(kind));
    }
    let inner = Zeroizing::new(octets(fields.element(context(1))?)?);
    fields.finish()?;
    let mut input = Reader::new(&inner);
    let mut fields = input.element(SEQUENCE)?;
    input.finish()?;
    let mut text = |number, name| {
        let content = Zeroizing::new(octets(fields.element(context(number))?)?);
        utf16(&content).ok_or(CredSspError::Field(name))
    };
    let (domain, user, password) = (text(0, "domainName")?, text(1, "userName")?, text(2, "password")?);
    fields.finish()?;
    Ok(Credentials {
        user: user.as_str().to_owned(),
        domain: Some(domain.as_str().to_owned()).filter(|domain| !domain.is_empty()),
        password: Secret::new(password.as_str()),
    })
}

fn utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let (units, rest) = bytes.as_chunks::<2>();
    // Room for all of it: a text that moves would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(units.len() * 3));
    for character in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
        text.push(character.ok()?);
    }
    rest.is_empty().then_some(text)
}

/// The first token of a `NegoData`.
fn first_token(mut field: Reader<'_>) -> Result<Option<Vec<u8>>, DerError> {
    let mut list = field.element(SEQUENCE)?;
    field.finish()?;
    let mut first = None;
    while !list.is_empty() {
        let mut item = list.element(SEQUENCE)?;
        let token = octets(item.element(context(0))?)?;
        item.finish()?;
        first = first.or(Some(token));
    }
    Ok(first)
}

fn integer(mut field: Reader<'_>) -> Result<i64, DerError> {
    let value = field.integer()?;
    field.finish()?;
    Ok(value)
}

fn octets(mut field: Reader<'_>) -> Result<Vec<u8>, DerError> {
    let content = field.element(OCTET_STRING)?.remaining().to_vec();
    field.finish()?;
    Ok(content)
}

fn write_octets(number: u8, content: &[u8]) -> Vec<u8> {
    let inner = Zeroizing::new(der::write(OCTET_STRING, &[content]));
    der::write(context(number), &[&inner])
}
