//! What the service is told to do, as a client reads and changes it: `winrm/config`.
//!
//! All connections share one [`ConfigurationStore`]. What a request or a connection goes by is a snapshot of it: a change is in effect
//! for the next one, and no request sees half of it.

pub(crate) mod certificate_mapping;
mod ip_filter;
mod listener;
mod resource;
mod settings;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(crate) use certificate_mapping::CertificateMapping;
pub(crate) use ip_filter::IpFilter;
pub(crate) use resource::Part;

use winrm_proto::sddl::SecurityDescriptor;

use crate::authentication::AuthMethod;
use crate::quotas::Quotas;

/// How strictly a channel binding is asked for over https, `CbtHardeningLevel`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CbtHardeningLevel {
    /// Bindings are not looked at.
    None,
    /// Wrong bindings are refused, missing ones are taken.
    #[default]
    Relaxed,
    /// Authentication without a binding is refused as well.
    Strict,
}

/// All that can be changed while the service runs.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) quotas: Quotas,
    /// The ways to authenticate, in the order in which they are offered.
    pub(crate) methods: Vec<AuthMethod>,
    pub(crate) cbt_hardening_level: CbtHardeningLevel,
    pub(crate) allow_unencrypted: bool,
    pub(crate) ipv4_filter: IpFilter,
    pub(crate) ipv6_filter: IpFilter,
    pub(crate) certificate_mappings: Vec<CertificateMapping>,
    /// Who may do what.
    pub(crate) root_sddl: SecurityDescriptor,
    /// The ports of listeners that are created without one.
    pub(crate) default_ports: Ports,
    /// The certificate of listeners that are created without one, and of the TLS inside CredSSP; empty for the service's first, and for
    /// one of CredSSP's own.
    pub(crate) certificate_thumbprint: String,
    pub(crate) allow_remote_shell_access: bool,
    /// Kept, and without effect: what a command takes is the machine's business.
    pub(crate) max_memory_per_shell_mb: u32,
    pub(crate) client: ClientSettings,
}

/// What Windows' own client goes by: kept, and without effect.
#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    network_delay_ms: u32,
    url_prefix: String,
    allow_unencrypted: bool,
    /// Basic, Digest, Kerberos, Negotiate, Certificate, CredSSP.
    auth: [bool; 6],
    ports: Ports,
    trusted_hosts: String,
}

/// A port for each transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
}

/// What the service has been given, which decides what can be turned on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capabilities {
    /// A key table.
    pub(crate) kerberos: bool,
    /// Authorities for client certificates.
    pub(crate) certificates: bool,
    /// The thumbprints of its own certificates.
    pub(crate) thumbprints: Vec<String>,
}

/// Administrators may do everything, whoever sits at the machine may read: what Windows comes with.
pub(crate) const DEFAULT_ROOT_SDDL: &str = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";

/// The configuration, one for the whole service.
pub(crate) struct ConfigurationStore {
    current: RwLock<Arc<Configuration>>,
    /// Held while a change is made, so that none is lost between reading and writing.
    changing: Mutex<()>,
}

impl ConfigurationStore {
    pub(crate) fn new(configuration: Configuration) -> Arc<Self> {
        Arc::new(Self {
            current: RwLock::new(Arc::new(configuration)),
            changing: Mutex::default(),
        })
    }

    /// What is in effect now.
    pub(crate) fn current(&self) -> Arc<Configuration> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the configuration as a whole or, if `change` fails, not at all.
    pub(crate) fn change<T, E>(&self, change: impl FnOnce(&mut Configuration) -> Result<T, E>) -> Result<T, E> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Configuration::clone(&self.current());
        let result = change(&mut changed)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
        Ok(result)
    }
}

impl std::fmt::Display for CbtHardeningLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Relaxed => "Relaxed",
            Self::Strict => "Strict",
        })
    }
}
