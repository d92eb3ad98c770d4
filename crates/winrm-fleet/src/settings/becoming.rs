//! As whom commands run on a host: Ansible's `become`, by its method `runas`.

use winrm::{RunAs, Secret};

use super::{Key, Resolver, Setting, Settings, SettingsError};
use crate::value::Origin;

/// What is said of it. It is looked at when a command is to run: who only copies or pings becomes nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Become {
    /// Where it was said that there is another account at all.
    wanted: Option<Origin>,
    account: Option<Setting<String>>,
    method: Option<Setting<String>>,
    flags: Option<Setting<String>>,
    password: Option<Setting<Secret>>,
}

impl Resolver<'_> {
    pub(super) fn becoming(&mut self) -> Result<Become, SettingsError> {
        let Some(wanted) = self.boolean(Key::Become)?.filter(|wanted| wanted.value) else {
            // What nobody wants is not decrypted either.
            return Ok(Become::default());
        };
        Ok(Become {
            wanted: Some(wanted.origin),
            account: self.text(Key::BecomeUser)?,
            method: self.text(Key::BecomeMethod)?,
            flags: self.text(Key::BecomeFlags)?,
            password: self.secret(Key::BecomePassword)?,
        })
    }
}

impl Settings {
    /// The account whose password has to be asked for before [`run_as`](Self::run_as): nobody has said it, and it is needed.
    #[must_use]
    pub fn asks_password_to_become(&self) -> Option<&str> {
        let account = &self.becoming.wanted.as_ref().and(self.becoming.account.as_ref())?.value;
        (self.becoming.password.is_none() && RunAs::service(account).is_none()).then_some(account)
    }

    /// The account that commands run as, if it isn't the connection's. `password` is for where no setting has one.
    ///
    /// # Errors
    /// For another method than `runas`, and without an account or its password.
    pub fn run_as(&self, password: Option<&Secret>) -> Result<Option<RunAs>, SettingsError> {
        let Become {
            wanted: Some(wanted),
            account,
            method,
            flags,
            password: said,
        } = &self.becoming
        else {
            return Ok(None);
        };
        if let Some(method) = method
            && method.value.strip_prefix("ansible.builtin.").unwrap_or(&method.value) != "runas"
        {
            return Err(SettingsError::BecomeMethod {
                method: method.value.clone(),
                origin: method.origin.clone(),
            });
        }
        let Some(account) = account.as_ref().filter(|account| !account.value.is_empty()) else {
            return Err(SettingsError::BecomeNobody { origin: wanted.clone() });
        };
        let run_as = match (RunAs::service(&account.value), said.as_ref().map(|said| &said.value).or(password)) {
            (Some(service), _) => service,
            (None, Some(password)) => RunAs::new(account.value.as_str(), password.clone()),
            (None, None) => {
                return Err(SettingsError::BecomeNoPassword {
                    account: account.value.clone(),
                    origin: account.origin.clone(),
                });
            }
        };
        match flags {
            None => Ok(Some(run_as)),
            Some(flags) => run_as.flags(&flags.value).map(Some).map_err(|source| SettingsError::BecomeFlags {
                origin: flags.origin.clone(),
                source,
            }),
        }
    }
}
