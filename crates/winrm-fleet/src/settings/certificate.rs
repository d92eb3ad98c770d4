//! The client certificate that flags or variables name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use winrm::{ClientCertificate, Secret};

use super::{Key, Layer, Method, Resolver, SettingsError};
use crate::value::Origin;

/// Certificates that were opened before: a key with a good passphrase takes a while to decrypt, and most hosts name the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<Mutex<Vec<(Named, ClientCertificate)>>>);

/// What makes a certificate another one.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    certificate: PathBuf,
    key: Option<PathBuf>,
    passphrase: Option<Secret>,
}

impl Resolver<'_> {
    /// Opens the certificate, if one of the ways to authenticate wants it.
    pub(super) fn certificate(&mut self, methods: &[Method]) -> Result<Option<ClientCertificate>, SettingsError> {
        let certificate = self.text(Key::CertPem)?;
        let key = self.text(Key::CertKeyPem)?.map(|key| PathBuf::from(key.value));
        let passphrase = self.secret(Key::CertPassphrase)?.map(|passphrase| passphrase.value);
        let Some(certificate) = certificate else {
            return Ok(None);
        };
        if certificate.layer == Layer::Flag {
            return Ok(self.flags.certificate().cloned());
        }
        if !methods.iter().any(|method| matches!(method, Method::Certificate | Method::Ssl)) {
            return Ok(None);
        }
        let named = Named {
            certificate: PathBuf::from(&certificate.value),
            key,
            passphrase: passphrase.or_else(|| self.flags.fallback_passphrase().cloned()),
        };
        self.flags.opened().open(named, &certificate.origin).map(Some)
    }
}

impl Opened {
    fn open(&self, named: Named, origin: &Origin) -> Result<ClientCertificate, SettingsError> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, certificate)) = opened.iter().find(|(known, _)| *known == named) {
            return Ok(certificate.clone());
        }
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| SettingsError::CertificateFile {
                path: path.to_owned(),
                origin: origin.clone(),
                source: Arc::new(source),
            })
        };
        let bytes = read(&named.certificate)?;
        let key = named.key.as_deref().map(read).transpose()?;
        let certificate =
            ClientCertificate::read(&bytes, key.as_deref(), named.passphrase.as_ref()).map_err(|source| SettingsError::Certificate {
                path: named.certificate.clone(),
                origin: origin.clone(),
                source,
            })?;
        opened.push((named, certificate.clone()));
        Ok(certificate)
    }
}
