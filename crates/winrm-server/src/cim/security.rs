//! `__SystemSecurity`: who may do what in a namespace.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use winrm_proto::instance::Instance;
use winrm_proto::sddl::{AccessMask, Acl, GenericMapping, SecurityDescriptor, wmi};

use super::{CimCaller, CimClass, CimError};
use crate::identities::Identities;

/// The descriptors of all namespaces.
pub(crate) struct NamespaceSecurity {
    identities: Arc<Identities>,
    /// By namespace, in lower case; those that nobody has changed have Windows' default.
    changed: RwLock<HashMap<String, SecurityDescriptor>>,
}

/// What Windows gives its namespaces: administrators may do everything, everybody else what needs no network.
const DEFAULT: &str = "O:BAG:BAD:(A;CI;CCDCLCSWRPWPRCWD;;;BA)(A;CI;CCDCRP;;;NS)(A;CI;CCDCRP;;;LS)(A;CI;CCDCRP;;;AU)";

impl NamespaceSecurity {
    pub(crate) fn new(identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self {
            identities,
            changed: RwLock::default(),
        })
    }

    /// Whether an account may read a namespace's instances from elsewhere, and call methods if `methods`.
    pub(crate) fn allows(&self, namespace: &str, account: &str, methods: bool) -> bool {
        let wanted = wmi::ENABLE | wmi::REMOTE_ENABLE;
        self.has(namespace, account, if methods { wanted | wmi::EXECUTE_METHODS } else { wanted })
    }

    fn has(&self, namespace: &str, account: &str, wanted: AccessMask) -> bool {
        let identities = self.identities.of(account);
        self.descriptor(namespace).allows(&identities, wanted, &GenericMapping::WMI)
    }

    fn descriptor(&self, namespace: &str) -> SecurityDescriptor {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let changed = changed.get(&namespace.to_lowercase()).cloned();
        changed.unwrap_or_else(|| {
            // The default can be read: a test does. Nobody would be let in otherwise.
            DEFAULT.parse().unwrap_or_else(|_| SecurityDescriptor {
                dacl: Some(Acl::default()),
                ..SecurityDescriptor::default()
            })
        })
    }
}

/// The class of one namespace.
pub(crate) struct SystemSecurity {
    namespace: String,
    security: Arc<NamespaceSecurity>,
}

impl SystemSecurity {
    pub(crate) fn new(namespace: &str, security: Arc<NamespaceSecurity>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            security,
        }
    }
}

/// What WMI's methods return to whom it is denied.
const ACCESS_DENIED: u32 = 0x8004_1003;

impl CimClass for SystemSecurity {
    fn name(&self) -> &str {
        "__SystemSecurity"
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn keys(&self) -> &[&str] {
        &[]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        Ok(vec![Instance::default()])
    }

    async fn invoke(&self, caller: &CimCaller, _instance: Option<&Instance>, method: &str, input: &Instance) -> Result<Instance, CimError> {
        let denied = |wanted| !self.security.has(&self.namespace, &caller.user, wanted);
        let output = Instance::default();
        match method.to_ascii_lowercase().as_str() {
            "getsd" if denied(wmi::READ_SECURITY) => Ok(output.with("ReturnValue", ACCESS_DENIED)),
            "getsd" => {
                let bytes = self.security.descriptor(&self.namespace).to_bytes(|_| None);
                let bytes = bytes.map_err(|error| CimError::Failed {
                    // WBEM_E_FAILED
                    code: 0x8004_1001,
                    message: error.to_string(),
                })?;
                let output = bytes.iter().fold(output, |output, byte| output.with("SD", u32::from(*byte)));
                Ok(output.with("ReturnValue", 0_u32))
            }
            "setsd" if denied(wmi::EDIT_SECURITY) => Ok(output.with("ReturnValue", ACCESS_DENIED)),
            "setsd" => {
                let bytes = input.all("SD").map(|byte| byte.text()?.trim().parse().ok());
                let bytes: Vec<u8> = bytes.collect::<Option<_>>().ok_or(CimError::Parameters)?;
                let descriptor = SecurityDescriptor::from_bytes(&bytes).map_err(|_| CimError::Parameters)?;
                let mut changed = self.security.changed.write().unwrap_or_else(PoisonError::into_inner);
                changed.insert(self.namespace.to_lowercase(), descriptor);
                tracing::info!(user = caller.user, namespace = self.namespace, "the namespace's descriptor changed");
                Ok(output.with("ReturnValue", 0_u32))
            }
            _ => Err(CimError::NoMethod),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_descriptor() {
        let default: SecurityDescriptor = DEFAULT.parse().unwrap();
        assert!(default.to_bytes(|_| None).is_ok());
    }
}
