//! Who a client is: headers and token machines, one for each connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use winrm_auth::certificate::{self, AlternativeName};
use winrm_auth::challenge::CERTIFICATE_SCHEME;
use winrm_auth::credssp::{CredSspInitiator, InitiatorTls};
use winrm_auth::kerberos::{KerberosError, KerberosInitiator};
use winrm_auth::kinit::KinitError;
use winrm_auth::ntlm::{NtlmEntropy, NtlmInitiator};
use winrm_auth::spnego::SpnegoInitiator;
use winrm_auth::{Authorization, ChannelBinding, ClientCertificate, Credentials, Mechanism, Scheme, Step, TokenMachine, basic};

use crate::builder::Settings;
use crate::credssp::{CredSsp, CredSspMechanism};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::kerberos::Kerberos;
use crate::transport::{Encryption, Transport};

/// How the connections of a client are authenticated.
pub(crate) enum Authentication {
    /// The same header with every request: Basic, for this account.
    Header(HeaderValue, String),
    /// The certificate that TLS has shown, for whom this is.
    Certificate(String),
    /// An exchange of tokens for each connection.
    Tokens(Box<Tokens>),
    /// No credentials were given.
    None,
}

/// What it takes to make a token machine.
#[derive(Clone)]
pub(crate) struct Tokens {
    transport: Transport,
    credentials: Option<Credentials>,
    kerberos: Kerberos,
    credssp: CredSsp,
    /// The client's side of the TLS inside CredSSP, if that is the transport.
    inner_tls: Option<InitiatorTls>,
    host: String,
    bind: bool,
    /// Whether messages are sealed once the tokens are exchanged.
    pub(crate) seals: bool,
}

/// A machine that has made its first step.
pub(crate) struct Begun {
    pub(crate) machine: Box<dyn TokenMachine>,
    pub(crate) step: Step,
}

impl Authentication {
    pub(crate) fn new(endpoint: &Endpoint, settings: &Settings) -> Result<Self, Error> {
        let clear_text = endpoint.scheme() == crate::Scheme::Http;
        match (settings.transport, &settings.credentials) {
            (Transport::Basic, Some(credentials)) => Self::basic(credentials),
            (Transport::Basic | Transport::Ntlm | Transport::CredSsp, None) => Ok(Self::None),
            (Transport::Certificate, _) => Ok(Self::Certificate(settings.tls.client.as_ref().map(whom).unwrap_or_default())),
            (transport, credentials) => Ok(Self::Tokens(Box::new(Tokens {
                transport,
                credentials: credentials.clone(),
                kerberos: settings.kerberos.clone(),
                credssp: settings.credssp.clone(),
                inner_tls: inner_tls(settings)?,
                host: endpoint.host().to_owned(),
                bind: settings.channel_binding,
                seals: match settings.encryption {
                    Encryption::Auto => clear_text,
                    Encryption::Always => true,
                    Encryption::Never => false,
                },
            }))),
        }
    }

    fn basic(credentials: &Credentials) -> Result<Self, Error> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(
                ErrorKind::Configuration,
                "these credentials can't be sent with Basic authentication",
            )
            .with_source(error)
        };
        let value = basic::write_authorization(credentials).map_err(|error| unusable(error.into()))?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|error| unusable(error.into()))?;
        value.set_sensitive(true);
        Ok(Self::Header(value, credentials.account()))
    }

    /// The header that goes with every request.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Header(value, _) => Some(value.clone()),
            Self::Certificate(_) => Some(HeaderValue::from_static(CERTIFICATE_SCHEME)),
            _ => None,
        }
    }

    /// What a host has refused: `the credentials of alice with ntlm`.
    pub(crate) fn tried(&self) -> String {
        match self {
            Self::None => "a request without credentials".to_owned(),
            Self::Header(_, account) => format!("the credentials of {account} with basic"),
            Self::Certificate(whom) => format!("our certificate, {whom}"),
            Self::Tokens(tokens) => match &tokens.credentials {
                Some(credentials) => format!("the credentials of {} with {}", credentials.account(), tokens.transport),
                None => format!("the tickets at hand with {}", tokens.transport),
            },
        }
    }

    /// Why a host may have refused. `was_asked`: whether it wanted to see a certificate.
    pub(crate) fn hint(&self, offered: &[String], was_asked: bool) -> &'static str {
        let offers = |name: &str| offered.iter().any(|offer| offer.eq_ignore_ascii_case(name));
        match self {
            Self::None => "this host tells nothing without credentials",
            Self::Header(..) if !offered.is_empty() && !offers("Basic") => {
                "the host does not take Basic: use another transport, or switch it on (WSMan:\\localhost\\Service\\Auth\\Basic)"
            }
            Self::Header(..) => "check user and password; Basic is for local accounts only, and not for disabled or locked ones",
            Self::Certificate(_) if !was_asked => {
                "the host did not ask for a certificate: switch that on (WSMan:\\localhost\\Service\\Auth\\Certificate); or something \
                 in between ends TLS"
            }
            Self::Certificate(_) => {
                "the host has to know it (TrustedPeople), trust its issuer, and map its user principal name to a local account with the \
                 right password (winrm/config/service/certmapping)"
            }
            Self::Tokens(tokens) => tokens.hint(offered),
        }
    }
}

/// Whom a certificate is for: its subject, and the name that Windows looks for.
fn whom(certificate: &ClientCertificate) -> String {
    let subject = certificate.subject();
    let names = certificate::alternative_names(certificate.leaf()).unwrap_or_default();
    let upn = names.into_iter().find_map(|name| match name {
        AlternativeName::Upn(upn) => Some(upn),
        _ => None,
    });
    match upn {
        Some(upn) => format!("{subject} for {upn}"),
        None => format!("{subject}, which has no user principal name"),
    }
}

impl Tokens {
    /// The schemes that carry the tokens, the usual one first.
    pub(crate) fn schemes(&self) -> &'static [Scheme] {
        match self.transport {
            Transport::Ntlm => &[Scheme::Negotiate, Scheme::Ntlm],
            Transport::Kerberos => &[Scheme::Negotiate, Scheme::Kerberos],
            Transport::CredSsp => &[Scheme::CredSsp],
            _ => &[Scheme::Negotiate],
        }
    }

    /// Makes a machine for a connection and lets it begin. Kerberos asks its KDC for that, so it runs on a thread of its own.
    pub(crate) async fn begin(&self, certificate: Option<&[u8]>) -> Result<Begun, Error> {
        let binding = match certificate {
            // Inside CredSSP there is another TLS, and what binds the authentication to that.
            _ if self.transport == Transport::CredSsp => None,
            Some(certificate) if self.bind => Some(ChannelBinding::from_certificate_der(certificate).map_err(|error| {
                Error::new(ErrorKind::Tls, "the host's certificate can't be read for channel binding").with_source(error)
            })?),
            _ => None,
        };
        if self.transport == Transport::Ntlm {
            let mut machine: Box<dyn TokenMachine> = Box::new(self.ntlm(binding)?);
            let step = machine.step(&[]).map_err(|error| self.failed(error))?;
            return Ok(Begun { machine, step });
        }
        let tokens = self.clone();
        let begun = tokio::task::spawn_blocking(move || tokens.begin_blocking(binding)).await;
        begun.unwrap_or_else(|error| Err(Error::new(ErrorKind::Unauthorized, "the authentication was interrupted").with_source(error)))
    }

    fn begin_blocking(&self, binding: Option<ChannelBinding>) -> Result<Begun, Error> {
        if self.transport == Transport::Kerberos {
            let mut machine = self.kerberos(binding).map_err(|error| error.into_error(&self.host))?;
            let step = machine.step(&[]).map_err(|error| self.failed(error))?;
            return Ok(Begun {
                machine: Box::new(machine),
                step,
            });
        }
        if self.transport == Transport::CredSsp {
            return self.begin_credssp();
        }
        let mut machine = self.spnego(binding)?;
        let step = machine.step(&[]).map_err(|error| self.failed(error))?;
        self.log_skipped(machine.skipped());
        tracing::debug!(host = %self.host, mechanism = %machine.mechanism(), "negotiation begun");
        Ok(Begun {
            machine: Box::new(machine),
            step,
        })
    }

    fn begin_credssp(&self) -> Result<Begun, Error> {
        let (Some(credentials), Some(tls)) = (&self.credentials, &self.inner_tls) else {
            return Err(no_credentials());
        };
        let inner = match self.credssp.inner() {
            CredSspMechanism::Auto => self.spnego(None)?,
            CredSspMechanism::Ntlm => SpnegoInitiator::new(vec![Box::new(self.ntlm(None)?)]),
            CredSspMechanism::Kerberos => {
                let machine = self.kerberos(None).map_err(|error| error.into_error(&self.host))?;
                SpnegoInitiator::new(vec![Box::new(machine)])
            }
        };
        let mut nonce = [0; 32];
        random(&mut nonce)?;
        let machine = CredSspInitiator::new(tls.clone(), inner, credentials.clone(), nonce);
        let mut machine = machine.minimum_version(self.credssp.least_version());
        let step = machine.step(&[]).map_err(|error| self.failed(error))?;
        self.log_skipped(machine.skipped());
        tracing::debug!(host = %self.host, mechanism = %machine.mechanism(), "CredSSP begun");
        Ok(Begun {
            machine: Box::new(machine),
            step,
        })
    }

    /// Kerberos, if it is worth trying, and NTLM.
    fn spnego(&self, binding: Option<ChannelBinding>) -> Result<SpnegoInitiator, Error> {
        let mut machines: Vec<Box<dyn TokenMachine>> = Vec::new();
        let mut missing = None;
        if self.kerberos.is_worth_trying(self.credentials.as_ref()) {
            match self.kerberos(binding.clone()) {
                Ok(machine) => machines.push(Box::new(machine)),
                Err(error) => {
                    let error = error.into_error(&self.host);
                    let reason = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::info!(host = %self.host, %error, reason, "no Kerberos");
                    missing = Some(error);
                }
            }
        }
        match (&self.credentials, missing) {
            (Some(_), _) => machines.push(Box::new(self.ntlm(binding)?)),
            (None, Some(error)) => return Err(error),
            (None, None) => {}
        }
        Ok(SpnegoInitiator::new(machines))
    }

    fn log_skipped(&self, skipped: &[(Mechanism, winrm_auth::Error)]) {
        for (mechanism, error) in skipped {
            tracing::info!(host = %self.host, %mechanism, %error, "mechanism left out");
        }
    }

    fn ntlm(&self, binding: Option<ChannelBinding>) -> Result<NtlmInitiator, Error> {
        let credentials = self.credentials.clone().ok_or_else(no_credentials)?;
        let mut bytes = [0; 24];
        random(&mut bytes)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let machine = NtlmInitiator::new(credentials, NtlmEntropy::new(bytes, now))
            .target_name(format!("http/{}", self.kerberos.host_name(&self.host)));
        Ok(match binding {
            Some(binding) => machine.channel_binding(binding),
            None => machine,
        })
    }

    fn kerberos(&self, binding: Option<ChannelBinding>) -> Result<KerberosInitiator, NoTicket> {
        winrm_auth::kerberos::available()?;
        let tickets = self.kerberos.fetch(self.credentials.as_ref())?;
        let credssp = self.transport == Transport::CredSsp;
        let mut target = self.kerberos.target(&self.host).channel_binding(binding);
        // What CredSSP says inside is always sealed, and a host that gets the password needs no ticket.
        target = target.encrypt(self.seals || credssp);
        if credssp {
            target = target.delegate(false);
        }
        let mut machine = KerberosInitiator::new(target, tickets);
        machine.prepare()?;
        Ok(machine)
    }

    /// An authentication that has failed on this side.
    pub(crate) fn failed(&self, error: winrm_auth::Error) -> Error {
        let hint = match &error {
            winrm_auth::Error::Kerberos(error) => error.hint(),
            winrm_auth::Error::CredSsp(error) => error.hint(),
            _ => None,
        };
        let failed = Error::new(
            ErrorKind::Unauthorized,
            format!("the {} authentication with {} failed", self.transport, self.host),
        );
        match hint {
            Some(hint) => failed.with_hint(hint).with_source(error),
            None => failed.with_source(error),
        }
    }

    fn hint(&self, offered: &[String]) -> &'static str {
        let offers = |scheme: &Scheme| offered.iter().any(|offer| offer.eq_ignore_ascii_case(scheme.name()));
        if !offered.is_empty() && !self.schemes().iter().any(offers) {
            return match self.transport {
                Transport::CredSsp => "the host does not take CredSSP: switch it on there (Enable-WSManCredSSP -Role Server -Force)",
                _ => "the host does not take this transport: use one that it offers",
            };
        }
        match (self.transport, &self.credentials) {
            (Transport::Kerberos, _) => {
                "the host could not use the ticket: is it for this host's name (SPN), are the clocks right, and is channel binding possible?"
            }
            (_, Some(credentials)) if credentials.domain.is_none() && !credentials.is_principal_name() => {
                "check user and password; domain accounts are written DOMAIN\\user or user@domain, and disabled or locked ones are refused too"
            }
            _ => "check user and password; local accounts are written without a domain, and disabled or locked ones are refused too",
        }
    }
}

fn inner_tls(settings: &Settings) -> Result<Option<InitiatorTls>, Error> {
    if settings.transport != Transport::CredSsp {
        return Ok(None);
    }
    let tls = InitiatorTls::new(settings.credssp.tls());
    tls.map(Some)
        .map_err(|error| Error::new(ErrorKind::Configuration, "the TLS inside CredSSP can't be set up").with_source(error))
}

fn no_credentials() -> Error {
    Error::new(ErrorKind::Configuration, "no credentials were given").with_hint("give a user and a password")
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    // Not OpenSSL's, which takes three milliseconds to be set up: more than the whole rest of a command over NTLM.
    getrandom::fill(bytes).map_err(|error| Error::new(ErrorKind::Configuration, "this machine has no random numbers").with_source(error))
}

/// Why there is no Kerberos.
enum NoTicket {
    Kerberos(KerberosError),
    Kinit(KinitError),
}

impl From<KerberosError> for NoTicket {
    fn from(error: KerberosError) -> Self {
        Self::Kerberos(error)
    }
}

impl From<KinitError> for NoTicket {
    fn from(error: KinitError) -> Self {
        Self::Kinit(error)
    }
}

impl NoTicket {
    fn into_error(self, host: &str) -> Error {
        let error = Error::new(ErrorKind::Unauthorized, format!("no Kerberos ticket for {host}"));
        let hint = match &self {
            Self::Kerberos(error) => error.hint(),
            Self::Kinit(error) => error.hint(),
        };
        let error = match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        match self {
            Self::Kerberos(source) => error.with_source(source),
            Self::Kinit(source) => error.with_source(source),
        }
    }
}

/// The header that carries a token.
pub(crate) fn authorization(scheme: &Scheme, token: Vec<u8>) -> Result<HeaderValue, Error> {
    let value = Authorization::new(scheme.clone(), token).to_string();
    let mut value =
        HeaderValue::try_from(value).map_err(|error| Error::new(ErrorKind::Unauthorized, "a token can't be sent").with_source(error))?;
    value.set_sensitive(true);
    Ok(value)
}
