//! The tokens, RFC 4178 section 4.2.

use super::{MAX_TOKEN, SpnegoError};
use crate::der::{self, ENUMERATED, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, context};

/// 1.3.6.1.5.5.2.
pub(super) const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// `[APPLICATION 0]`, which begins the first token of every mechanism, RFC 2743 section 3.1.
pub(super) const INITIAL: u8 = 0x60;

/// `NegTokenInit`: the client's first token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitToken {
    /// The object identifiers (content bytes) of the mechanisms, the preferred first.
    pub mechanisms: Vec<Vec<u8>>,
    /// A token of the preferred mechanism.
    pub token: Option<Vec<u8>>,
    /// A signature over [`list_bytes`](Self::list_bytes).
    pub mic: Option<Vec<u8>>,
}

impl InitToken {
    /// Reads a token with its GSSAPI header, and gives with it the bytes of the list that are signed.
    ///
    /// # Errors
    /// See [`SpnegoError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<u8>), SpnegoError> {
        let mut input = checked(bytes)?;
        let mut initial = input.element(INITIAL)?;
        input.finish()?;
        if initial.element(OBJECT_IDENTIFIER)?.remaining() != SPNEGO {
            return Err(SpnegoError::UnknownToken);
        }
        let mut choice = initial.element(context(0))?;
        initial.finish()?;
        let mut fields = choice.element(SEQUENCE)?;
        choice.finish()?;

        let mut field = fields.element(context(0))?;
        let list_bytes = field.remaining().to_vec();
        let mut list = field.element(SEQUENCE)?;
        field.finish()?;
        let mut mechanisms = Vec::new();
        while !list.is_empty() {
            mechanisms.push(list.element(OBJECT_IDENTIFIER)?.remaining().to_vec());
        }
        fields.optional(context(1))?; // reqFlags: to be ignored, RFC 4178 section 4.2.1
        let token = octets(&mut fields, 2)?;
        // [MS-SPNG] 2.2.1 puts hints for the user at [3] and moves the signature to [4]; hints are a sequence.
        let mut mic = None;
        if let Some(mut field) = fields.optional(context(3))?
            && field.peek() == Some(OCTET_STRING)
        {
            mic = Some(field.element(OCTET_STRING)?.remaining().to_vec());
            field.finish()?;
        }
        if let Some(late) = octets(&mut fields, 4)? {
            mic = Some(late);
        }
        fields.finish()?;
        Ok((Self { mechanisms, token, mic }, list_bytes))
    }

    /// The bytes of the list of mechanisms that both sides sign.
    pub fn list_bytes(&self) -> Vec<u8> {
        let identifiers: Vec<Vec<u8>> = self
            .mechanisms
            .iter()
            .map(|mechanism| der::write(OBJECT_IDENTIFIER, &[mechanism]))
            .collect();
        let identifiers: Vec<&[u8]> = identifiers.iter().map(Vec::as_slice).collect();
        der::write(SEQUENCE, &identifiers)
    }

    /// Writes the token with its GSSAPI header.
    pub fn write(&self) -> Vec<u8> {
        let list = der::write(context(0), &[&self.list_bytes()]);
        let token = write_octets(2, self.token.as_deref());
        let mic = write_octets(3, self.mic.as_deref());
        let fields = der::write(SEQUENCE, &[&list, &token, &mic]);
        let choice = der::write(context(0), &[&fields]);
        der::write(INITIAL, &[&der::write(OBJECT_IDENTIFIER, &[SPNEGO]), &choice])
    }
}

/// `negState`, RFC 4178 section 4.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegotiationState {
    /// Nothing more is needed.
    AcceptCompleted,
    /// More tokens are needed.
    AcceptIncomplete,
    /// The negotiation has failed.
    Reject,
    /// More tokens are needed, and signatures of the list of mechanisms.
    RequestMic,
}

const STATES: [NegotiationState; 4] = [
    NegotiationState::AcceptCompleted,
    NegotiationState::AcceptIncomplete,
    NegotiationState::Reject,
    NegotiationState::RequestMic,
];

/// `NegTokenResp`: every token but the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseToken {
    /// How the negotiation stands; left out by clients.
    pub state: Option<NegotiationState>,
    /// The object identifier (content bytes) of the chosen mechanism; only in the server's first token.
    pub mechanism: Option<Vec<u8>>,
    /// A token of the chosen mechanism.
    pub token: Option<Vec<u8>>,
    /// A signature over the list of mechanisms.
    pub mic: Option<Vec<u8>>,
}

impl ResponseToken {
    /// Reads a token.
    ///
    /// # Errors
    /// See [`SpnegoError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SpnegoError> {
        let mut input = checked(bytes)?;
        let mut choice = input.element(context(1))?;
        input.finish()?;
        let mut fields = choice.element(SEQUENCE)?;
        choice.finish()?;
        let state = match fields.optional(context(0))? {
            Some(mut field) => {
                let state = match field.element(ENUMERATED)?.remaining() {
                    &[number] => STATES.get(usize::from(number)).copied(),
                    _ => None,
                };
                field.finish()?;
                Some(state.ok_or(SpnegoError::UnknownValue("negState"))?)
            }
            None => None,
        };
        let mechanism = match fields.optional(context(1))? {
            Some(mut field) => {
                let mechanism = field.element(OBJECT_IDENTIFIER)?.remaining().to_vec();
                field.finish()?;
                Some(mechanism)
            }
            None => None,
        };
        let token = octets(&mut fields, 2)?;
        let mic = octets(&mut fields, 3)?;
        fields.finish()?;
        Ok(Self {
            state,
            mechanism,
            token,
            mic,
        })
    }

    /// Writes the token.
    pub fn write(&self) -> Vec<u8> {
        let state = self.state.map_or_else(Vec::new, |state| {
            let number = STATES.iter().position(|known| *known == state).unwrap_or_default();
            der::write(context(0), &[&[ENUMERATED, 1, number as u8]])
        });
        let mechanism = self.mechanism.as_ref().map_or_else(Vec::new, |mechanism| {
            der::write(context(1), &[&der::write(OBJECT_IDENTIFIER, &[mechanism])])
        });
        let token = write_octets(2, self.token.as_deref());
        let mic = write_octets(3, self.mic.as_deref());
        der::write(context(1), &[&der::write(SEQUENCE, &[&state, &mechanism, &token, &mic])])
    }
}

fn checked(bytes: &[u8]) -> Result<Reader<'_>, SpnegoError> {
    if bytes.len() > MAX_TOKEN {
        Err(SpnegoError::TooLong(bytes.len()))
    } else {
        Ok(Reader::new(bytes))
    }
}

/// An optional octet string. An empty one is the same as none: some peers send it so.
fn octets(fields: &mut Reader<'_>, number: u8) -> Result<Option<Vec<u8>>, SpnegoError> {
    let Some(mut field) = fields.optional(context(number))? else {
        return Ok(None);
    };
    let content = field.element(OCTET_STRING)?.remaining();
    field.finish()?;
    Ok((!content.is_empty()).then(|| content.to_vec()))
}

fn write_octets(number: u8, content: Option<&[u8]>) -> Vec<u8> {
    content.map_or_else(Vec::new, |content| {
        der::write(context(number), &[&der::write(OCTET_STRING, &[content])])
    })
}
