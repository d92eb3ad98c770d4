//! Settings of a client, checked before anything is sent.

use std::time::Duration;

use winrm_auth::{ClientCertificate, Credentials};
use winrm_proto::RequestHeader;

use crate::client::Client;
use crate::credssp::CredSsp;
use crate::endpoint::{Endpoint, EndpointError, Scheme};
use crate::error::{Error, ErrorKind};
use crate::kerberos::Kerberos;
use crate::proxy::Proxy;
use crate::session::{Session, new_id};
use crate::tls::{CertificateCheck, Tls, TlsSettings, TlsVersion};
use crate::transport::{Encryption, Transport};

/// What a [`Client`] is made of.
///
/// | setting | where nothing is said |
/// |---|---|
/// | transport | [`Transport::Negotiate`] |
/// | encryption | [`Encryption::Auto`] |
/// | certificates | [`CertificateCheck::System`] |
/// | versions and ciphers of TLS | from 1.2 on, OpenSSL's choice |
/// | proxy | none |
/// | connect timeout | 15 s |
/// | read timeout, operation timeout | 30 s, 20 s |
/// | locale | `en-US` |
/// | largest envelope | 512,000 bytes |
/// | retries | 2 |
/// | channel binding | yes, over https |
#[derive(Clone, Debug)]
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    endpoint: Result<(Endpoint, Option<String>), EndpointError>,
    address: String,
    pub(crate) settings: Settings,
}

/// All but the endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) transport: Transport,
    pub(crate) encryption: Encryption,
    pub(crate) tls: TlsSettings,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) server_name: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) locale: String,
    pub(crate) max_envelope_size: u32,
    pub(crate) retries: u32,
    pub(crate) kerberos: Kerberos,
    pub(crate) credssp: CredSsp,
    pub(crate) channel_binding: bool,
}

impl ClientBuilder {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            endpoint: Endpoint::parse(address),
            address: address.to_owned(),
            settings: Settings {
                credentials: None,
                transport: Transport::default(),
                encryption: Encryption::default(),
                tls: TlsSettings::default(),
                proxy: None,
                server_name: None,
                connect_timeout: Duration::from_secs(15),
                read_timeout: Duration::from_secs(30),
                operation_timeout: Duration::from_secs(20),
                locale: "en-US".to_owned(),
                max_envelope_size: 512_000,
                retries: 2,
                kerberos: Kerberos::default(),
                credssp: CredSsp::default(),
                channel_binding: true,
            },
        }
    }

    /// Another address than the one it was begun with.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.address = endpoint.to_string();
        self.endpoint = Ok((endpoint, None));
        self
    }

    /// Who logs on. A user in the address is ignored in favour of these.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.settings.credentials = Some(credentials);
        self
    }

    /// How the client authenticates.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.settings.transport = transport;
        self
    }

    /// Whether the transport encrypts messages.
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.settings.encryption = encryption;
        self
    }

    /// Which certificates of a host are accepted.
    pub fn certificates(mut self, certificates: CertificateCheck) -> Self {
        self.settings.tls.check = certificates;
        self
    }

    /// The lowest version of TLS, 1.2 where nothing is said. With TLS 1.0 or 1.1 OpenSSL's security level becomes 0 for the
    /// connections of this client, which allows weak keys and signatures as well: for old hosts in a trusted network.
    pub fn tls_minimum(mut self, version: TlsVersion) -> Self {
        self.settings.tls.minimum = version;
        self
    }

    /// The highest version of TLS; any where nothing is said, and 1.2 with [`Transport::Certificate`]: Windows asks for the
    /// certificate in the middle of a connection, for which TLS 1.3 has another way that hosts don't go.
    pub fn tls_maximum(mut self, version: TlsVersion) -> Self {
        self.settings.tls.maximum = Some(version);
        self
    }

    /// The certificate that is shown to hosts which ask for one. With [`Transport::Certificate`] it is who logs on; with other
    /// transports it is for what stands in front of the host.
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.settings.tls.client = Some(certificate);
        self
    }

    /// The ciphers of TLS by OpenSSL's names, separated by colons: a list as of `openssl ciphers` for versions up to 1.2
    /// (`ECDHE-RSA-AES256-SHA384`, `DEFAULT@SECLEVEL=1`), and suites of TLS 1.3, which begin with `TLS_`. A kind of which
    /// none is named keeps OpenSSL's own choice.
    pub fn ciphers(mut self, ciphers: impl Into<String>) -> Self {
        self.settings.tls.ciphers = Some(ciphers.into());
        self
    }

    /// The proxy that connections go through. Nothing is taken from the environment unless it is asked: see
    /// [`Proxy::from_environment`].
    ///
    /// The proxy is asked for a tunnel (CONNECT), so that TLS and authentication reach from end to end. With Basic over http,
    /// where there is nothing to keep together, requests are handed to the proxy instead.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = Some(proxy);
        self
    }

    /// The name that the host's certificate has to hold, where it isn't that of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.server_name = Some(name.into());
        self
    }

    /// How long making one connection may take: all addresses of the name, and TLS.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long the host may be silent after a request. It has to be longer than the operation timeout.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.read_timeout = timeout;
        self
    }

    /// How long the host may work on one request before it says that there is nothing yet. No deadline for commands: the
    /// client asks again. See [`Command::timeout`](crate::Command::timeout) for that.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.settings.operation_timeout = timeout;
        self
    }

    /// The language of the host's messages, a tag such as `de-DE`.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.settings.locale = locale.into();
        self
    }

    /// The largest answer that is accepted, in bytes.
    pub fn max_envelope_size(mut self, bytes: u32) -> Self {
        self.settings.max_envelope_size = bytes;
        self
    }

    /// How many times a connection that was refused or reset, before anything was sent, is tried again.
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// How Kerberos gets its tickets, and for which service.
    pub fn kerberos(mut self, kerberos: Kerberos) -> Self {
        self.settings.kerberos = kerberos;
        self
    }

    /// What [`Transport::CredSsp`] takes, and how it authenticates.
    pub fn credssp(mut self, credssp: CredSsp) -> Self {
        self.settings.credssp = credssp;
        self
    }

    /// Whether authentication is bound to the TLS connection (RFC 5929), so that it can't be relayed over another. To be
    /// switched off only where something between client and host ends TLS.
    pub fn channel_binding(mut self, channel_binding: bool) -> Self {
        self.settings.channel_binding = channel_binding;
        self
    }

    /// Makes the client. Nothing is sent yet. Files with certificates are read here.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for settings that can't be used, or that would send a password in clear text.
    pub fn build(self) -> Result<Client, Error> {
        let refuse = |message: String| Error::new(ErrorKind::Configuration, message);
        let (endpoint, _) = self
            .endpoint
            .map_err(|error| refuse(format!("{:?} is no address of a WinRM service", self.address)).with_source(error))?;
        let settings = self.settings;
        settings.check(&endpoint)?;
        let tls = match endpoint.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::new(settings.tls())?),
        };
        let mut header = RequestHeader::new(endpoint.url_for_host());
        header.session_id = Some(format!("uuid:{}", new_id()));
        header.locale.clone_from(&settings.locale);
        header.data_locale.clone_from(&settings.locale);
        header.max_envelope_size = settings.max_envelope_size;
        header.operation_timeout = settings.operation_timeout;
        Ok(Client::from_session(Session::new(endpoint, settings, tls, header)?))
    }
}

impl Settings {
    /// How TLS is spoken, after the transport.
    fn tls(&self) -> TlsSettings {
        let mut tls = self.tls.clone();
        if self.transport == Transport::Certificate {
            tls.maximum = tls.maximum.or(Some(TlsVersion::Tls1_2));
        }
        tls
    }

    fn check_certificate(&self, clear_text: bool) -> Result<(), Error> {
        let refuse = |message: &'static str, hint: &'static str| Err(Error::new(ErrorKind::Configuration, message).with_hint(hint));
        if clear_text {
            return refuse(
                "a certificate can be shown over https only",
                "use https; hosts listen for it at port 5986",
            );
        }
        if self.tls.client.is_none() {
            return refuse(
                "the transport certificate needs a certificate, and none was given",
                "give a certificate with its key, or a PFX file",
            );
        }
        if self.tls.minimum > TlsVersion::Tls1_2 && self.tls.maximum.is_none() {
            return refuse(
                "certificates are asked for in ways that TLS 1.3 does not have, and no older version is allowed",
                "allow TLS 1.2, or set the highest version to 1.3 as well, for hosts that ask in the handshake",
            );
        }
        Ok(())
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Configuration, message));
        for (name, value) in [
            ("connect timeout", self.connect_timeout),
            ("read timeout", self.read_timeout),
            ("operation timeout", self.operation_timeout),
        ] {
            if value.is_zero() {
                return refuse(format!("the {name} is zero"));
            }
        }
        if self.read_timeout <= self.operation_timeout {
            return refuse(format!(
                "the read timeout ({:?}) is not longer than the operation timeout ({:?})",
                self.read_timeout, self.operation_timeout
            ))
            .map_err(|error| error.with_hint("a host answers only when the operation timeout is over: make the read timeout longer"));
        }
        // [MS-WSMV] 2.2.4.20: less than 8,192 bytes is refused by hosts.
        if self.max_envelope_size < 8_192 {
            return refuse(format!(
                "the largest envelope ({} bytes) is below 8,192 bytes",
                self.max_envelope_size
            ));
        }
        self.credssp.check()?;
        let clear_text = endpoint.scheme() == Scheme::Http;
        if self.transport == Transport::Certificate {
            self.check_certificate(clear_text)?;
        }
        if !self.transport.can_encrypt() {
            if self.encryption == Encryption::Always {
                return refuse(format!(
                    "the transport {} can't encrypt messages, as \"always\" asks for",
                    self.transport
                ))
                .map_err(|error| error.with_hint("choose another transport, or leave the encryption to https"));
            }
            if clear_text && self.encryption != Encryption::Never {
                return refuse(format!("{} over http would send the password readable on the way", self.transport))
                    .map_err(|error| error.with_hint("use https, or another transport; encryption \"never\" allows clear text"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(builder: ClientBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        let builder = || Client::builder("https://host").certificates(CertificateCheck::Ignore);
        assert_eq!(
            refused(Client::builder("ftp://host")),
            "\"ftp://host\" is no address of a WinRM service"
        );
        assert_eq!(
            refused(builder().operation_timeout(Duration::ZERO)),
            "the operation timeout is zero"
        );
        assert_eq!(refused(builder().read_timeout(Duration::ZERO)), "the read timeout is zero");
        assert_eq!(refused(builder().connect_timeout(Duration::ZERO)), "the connect timeout is zero");
        assert_eq!(
            refused(builder().operation_timeout(Duration::from_secs(30))),
            "the read timeout (30s) is not longer than the operation timeout (30s)"
        );
        assert_eq!(
            refused(builder().max_envelope_size(100)),
            "the largest envelope (100 bytes) is below 8,192 bytes"
        );
        assert!(builder().build().is_ok());
    }

    #[test]
    fn clear_text_has_to_be_asked_for_by_name() {
        let http = || Client::builder("http://host").transport(Transport::Basic);
        assert_eq!(refused(http()), "basic over http would send the password readable on the way");
        assert_eq!(
            refused(http().encryption(Encryption::Always)),
            "the transport basic can't encrypt messages, as \"always\" asks for"
        );
        assert_eq!(
            refused(
                Client::builder("https://host")
                    .transport(Transport::Basic)
                    .encryption(Encryption::Always)
            ),
            "the transport basic can't encrypt messages, as \"always\" asks for"
        );
        assert!(http().encryption(Encryption::Never).build().is_ok());
    }
}
