//! The accounts of a run over many hosts: a password that one host, or the KDC, has refused is not tried at the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::examination::Examination;

/// What is known of the accounts so far. Clones know the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>>);

/// What is known of an account's password.
#[derive(Debug, Default)]
pub(super) enum Known {
    /// Nobody has tried it, or nobody has judged it.
    #[default]
    Nothing,
    Good,
    /// This is where it was refused.
    Refused(String),
}

/// The right to try a password: as long as nobody has judged it, one host has it at a time.
pub(super) enum Leave {
    /// Nobody has judged it: what comes of it has to be said.
    First(OwnedMutexGuard<Known>),
    Granted,
    /// This is where it was refused.
    Denied(String),
}

impl Accounts {
    /// Asks for leave to try a password. For the accounts of a domain one is waited for that is being tried elsewhere; those of a host
    /// alone are another at each host.
    pub(super) async fn leave(&self, examination: &Examination) -> Leave {
        let account = self.account(examination);
        let known = account.lock_owned().await;
        match &*known {
            Known::Nothing => Leave::First(known),
            Known::Good => Leave::Granted,
            Known::Refused(host) if *host == examination.name => Leave::Granted,
            Known::Refused(host) => Leave::Denied(host.clone()),
        }
    }

    fn account(&self, examination: &Examination) -> Arc<tokio::sync::Mutex<Known>> {
        let user = examination.user().unwrap_or_default().to_lowercase();
        let of_domain = user.contains('@') || user.split_once('\\').is_some_and(|(domain, _)| domain != ".");
        let key = if of_domain { user } else { format!("{}\\{user}", examination.name) };
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(key).or_default())
    }
}

impl Leave {
    /// Says what came of it; `None`: the password was not judged.
    pub(super) fn judge(self, is_good: Option<bool>, host: &str) {
        if let (Self::First(mut known), Some(is_good)) = (self, is_good) {
            *known = if is_good { Known::Good } else { Known::Refused(host.to_owned()) };
        }
    }
}
