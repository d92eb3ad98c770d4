//! All open shells, and the quotas that count over them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use winrm_proto::shell::CreateShell;

use crate::configuration::ConfigurationStore;
use crate::faults::{self, Refusal};
use crate::host::AnyHost;
use crate::quotas::Quotas;
use crate::shell::Shell;

pub(crate) struct Shells {
    host: Arc<dyn AnyHost>,
    configuration: Arc<ConfigurationStore>,
    open: Mutex<HashMap<String, Arc<Shell>>>,
    /// Operations of each user that are under way.
    operations: Arc<Mutex<HashMap<String, u32>>>,
}

/// One operation that counts until this is dropped.
#[must_use]
pub(crate) struct Operation {
    counts: Arc<Mutex<HashMap<String, u32>>>,
    user: String,
}

impl Shells {
    pub(crate) fn new(host: Arc<dyn AnyHost>, configuration: Arc<ConfigurationStore>) -> Arc<Self> {
        Arc::new(Self {
            host,
            configuration,
            open: Mutex::default(),
            operations: Arc::default(),
        })
    }

    pub(crate) fn host(&self) -> &dyn AnyHost {
        &*self.host
    }

    /// The limits in effect now.
    pub(crate) fn quotas(&self) -> Quotas {
        self.configuration.current().quotas.clone()
    }

    /// Opens a shell for `user`.
    pub(crate) fn create(self: &Arc<Self>, user: &str, client: &str, request: CreateShell) -> Result<Arc<Shell>, Refusal> {
        let quotas = self.quotas();
        let idle_timeout = request.idle_timeout.unwrap_or(quotas.idle_timeout);
        if idle_timeout.is_zero() || idle_timeout > quotas.max_idle_timeout {
            return Err(faults::idle_timeout_out_of_bounds());
        }
        let id = match &request.shell_id {
            Some(id) => canonical(id).ok_or_else(faults::shell_id_invalid)?,
            None => new_id(),
        };
        let lifetime = request.lifetime;
        let shell = {
            let mut open = self.open();
            let theirs = open.values().filter(|shell| shell.context.user == user).count();
            if theirs >= quotas.max_shells_per_user as usize {
                return Err(faults::too_many_shells(quotas.max_shells_per_user));
            }
            if theirs == 0 {
                let others: HashSet<_> = open.values().map(|shell| shell.context.user.as_str()).collect();
                if others.len() >= quotas.max_concurrent_users as usize {
                    return Err(faults::too_many_shell_users());
                }
            }
            let Entry::Vacant(place) = open.entry(id.clone()) else {
                return Err(faults::shell_exists());
            };
            place.insert(Arc::new(Shell::new(id, user, client, idle_timeout, request))).clone()
        };
        let watcher = tokio::spawn(watch(Arc::downgrade(self), Arc::downgrade(&shell), idle_timeout, lifetime));
        shell.watched_by(watcher.abort_handle());
        tracing::debug!(user, shell = shell.context.id, "shell opened");
        Ok(shell)
    }

    /// All shells of a user, the oldest first.
    pub(crate) fn of(&self, user: &str) -> Vec<Arc<Shell>> {
        let open = self.open();
        let mut theirs: Vec<_> = open.values().filter(|shell| shell.context.user == user).cloned().collect();
        theirs.sort_by_key(|shell| shell.opened());
        theirs
    }

    /// The shell of this id, if it is `user`'s.
    pub(crate) fn find(&self, user: &str, id: &str) -> Result<Arc<Shell>, Refusal> {
        let id = canonical(id).ok_or_else(faults::no_such_shell)?;
        let shell = self.open().get(&id).filter(|shell| shell.context.user == user).cloned();
        shell.ok_or_else(faults::no_such_shell)
    }

    /// Closes a shell: it can't be found any more, and what runs in it is ended in the background.
    pub(crate) fn close(&self, shell: &Arc<Shell>) {
        if self.open().remove(&shell.context.id).is_some() {
            tracing::debug!(shell = shell.context.id, "shell closed");
        }
        for ending in shell.close() {
            tokio::spawn(ending);
        }
    }

    /// Closes all shells and waits until what ran in them has ended.
    pub(crate) async fn close_all(&self) {
        let shells: Vec<_> = self.open().drain().map(|(_, shell)| shell).collect();
        let mut endings = tokio::task::JoinSet::new();
        for shell in shells {
            for ending in shell.close() {
                endings.spawn(ending);
            }
        }
        while endings.join_next().await.is_some() {}
    }

    /// Counts an operation of `user`.
    pub(crate) fn operation(&self, user: &str) -> Result<Operation, Refusal> {
        let allowed = self.quotas().max_concurrent_operations_per_user;
        let mut counts = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user.to_owned()).or_default();
        if *count >= allowed {
            return Err(faults::too_many_operations(allowed));
        }
        *count += 1;
        Ok(Operation {
            counts: self.operations.clone(),
            user: user.to_owned(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Shell>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

/// Closes a shell when nobody has used it for its idle timeout, or its lifetime is over.
async fn watch(shells: Weak<Shells>, shell: Weak<Shell>, idle_timeout: Duration, lifetime: Option<Duration>) {
    let end = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
    loop {
        let Some(idle_since) = shell.upgrade().map(|shell| shell.idle_since()) else {
            return;
        };
        let now = Instant::now();
        // A shell in use is asked again when it can have been idle long enough at the earliest.
        let idle_end = idle_since.unwrap_or(now) + idle_timeout;
        let next = end.map_or(idle_end, |end| end.min(idle_end));
        if next <= now {
            let (Some(shells), Some(shell)) = (shells.upgrade(), shell.upgrade()) else {
                return;
            };
            tracing::info!(
                shell = shell.context.id,
                user = shell.context.user,
                "shell removed: idle, or its lifetime is over"
            );
            // Closing aborts this task at its next await; there is none.
            shells.close(&shell);
            return;
        }
        tokio::time::sleep_until(next).await;
    }
}

/// A UUID as this service writes it: upper case, with hyphens, without braces.
pub(crate) fn canonical(id: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(id.trim()).ok()?;
    Some(id.hyphenated().to_string().to_uppercase())
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().hyphenated().to_string().to_uppercase()
}
