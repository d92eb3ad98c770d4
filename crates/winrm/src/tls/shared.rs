//! Clients with the same settings share what holds the certificates of authorities: a fleet of thousands would load them for each
//! of its hosts, milliseconds and megabytes each time.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use openssl::ssl::SslConnector;

use super::{CertificateCheck, TlsSettings, TlsVersion};
use crate::error::Error;

/// After how long authorities are read again for new clients, so that one that was withdrawn is not trusted for much longer.
const FRESH: Duration = Duration::from_secs(60);

/// What decides about a connector, where no client's certificate is shown.
#[derive(Clone, PartialEq)]
struct Key {
    check: CertificateCheck,
    minimum: TlsVersion,
    maximum: Option<TlsVersion>,
    ciphers: Option<String>,
}

struct Shared {
    key: Key,
    made: Instant,
    /// Gone with its last client.
    connector: Weak<SslConnector>,
}

static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// The connector that another client has for these settings, or else a new one.
pub(super) fn connector(
    settings: &TlsSettings,
    make: impl FnOnce(&TlsSettings) -> Result<SslConnector, Error>,
) -> Result<Arc<SslConnector>, Error> {
    if settings.client.is_some() {
        return make(settings).map(Arc::new);
    }
    let key = Key {
        check: settings.check.clone(),
        minimum: settings.minimum,
        maximum: settings.maximum,
        ciphers: settings.ciphers.clone(),
    };
    // Held while one is made, so that hundreds that begin together wait for one.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.retain(|shared| shared.made.elapsed() < FRESH && shared.connector.strong_count() > 0);
    let known = shared.iter().find(|shared| shared.key == key);
    if let Some(connector) = known.and_then(|shared| shared.connector.upgrade()) {
        return Ok(connector);
    }
    let connector = Arc::new(make(settings)?);
    shared.push(Shared {
        key,
        made: Instant::now(),
        connector: Arc::downgrade(&connector),
    });
    Ok(connector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Tls;

    #[test]
    fn only_the_same_settings_share() {
        let settings = |ciphers: &str| TlsSettings {
            check: CertificateCheck::Ignore,
            ciphers: Some(ciphers.to_owned()),
            ..TlsSettings::default()
        };
        let made = std::cell::Cell::new(0);
        let connector = |settings: &TlsSettings| {
            connector(settings, |_| {
                made.set(made.get() + 1);
                Ok(SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap().build())
            })
            .unwrap()
        };
        let first = connector(&settings("one of a test's own"));
        assert!(Arc::ptr_eq(&first, &connector(&settings("one of a test's own"))));
        assert_eq!(made.get(), 1);
        let other = connector(&settings("another of a test's own"));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(made.get(), 2);
        drop(first);
        drop(connector(&settings("one of a test's own")));
        assert_eq!(made.get(), 3, "it goes with its last client");
        assert!(Tls::new(settings("DEFAULT")).is_ok());
    }
}
