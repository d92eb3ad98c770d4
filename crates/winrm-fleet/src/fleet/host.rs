//! A host: its name, and how to come by its client.

use std::fmt;
use std::sync::Arc;

use winrm::{Client, ClientBuilder, RunAs, Transport};

use super::result::Trouble;

/// A host of a fleet. Its settings are looked up when its turn comes, so that ten thousand waiting hosts cost little.
#[derive(Clone)]
pub struct Host {
    pub(super) name: Arc<str>,
    pub(super) recipe: Arc<dyn Recipe>,
}

impl Host {
    /// A host of this name; all hosts may share one recipe.
    pub fn new(name: impl Into<Arc<str>>, recipe: Arc<impl Recipe + 'static>) -> Self {
        Self { name: name.into(), recipe }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What would be tried on this host, in this order.
    ///
    /// # Errors
    /// Whatever is wrong with the host's settings.
    pub fn attempts(&self) -> Result<Vec<Attempt>, Trouble> {
        self.recipe.attempts(&self.name)
    }

    /// A client by the first attempt that the host takes. The last one is not tried: what is done with it will show.
    ///
    /// # Errors
    /// Whatever is wrong with the host's settings, and what keeps an attempt from being tried that another transport can't help.
    pub async fn connect(&self) -> Result<Client, Trouble> {
        let host = self.clone();
        // Templates and vaults take their time, and may run programs.
        let attempts = tokio::task::spawn_blocking(move || host.attempts()).await;
        let mut attempts = attempts.unwrap_or_else(|_| Err(Trouble::panicked()))?;
        let last = attempts.pop().ok_or_else(|| Trouble::settings("no transport is left to try"))?;
        let mut earlier = Vec::new();
        for attempt in attempts {
            let transport = attempt.transport;
            let outcome = match attempt.client.build() {
                Ok(client) => client.ping().await.map(|_| client),
                Err(error) => Err(error),
            };
            match outcome.map_err(Trouble::from) {
                Ok(client) => return Ok(client),
                Err(trouble) if trouble.is_refusal() => earlier.push((transport, trouble)),
                Err(trouble) => return Err(trouble.after(&earlier, transport)),
            }
        }
        let transport = last.transport;
        last.client.build().map_err(|error| Trouble::from(error).after(&earlier, transport))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Makes clients for hosts out of their settings. Called on a thread that may block, once for each host.
pub trait Recipe: Send + Sync {
    /// The clients to try for this host, in this order: the next one is taken when the host refuses this one's credentials, or when
    /// its settings can't be used.
    ///
    /// # Errors
    /// Whatever is wrong with the host's settings: it becomes this host's result.
    fn attempts(&self, host: &str) -> Result<Vec<Attempt>, Trouble>;
}

impl<F> Recipe for F
where
    F: Fn(&str) -> Result<Vec<Attempt>, Trouble> + Send + Sync,
{
    fn attempts(&self, host: &str) -> Result<Vec<Attempt>, Trouble> {
        self(host)
    }
}

/// One way to reach a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// What the client is made of.
    pub client: ClientBuilder,
    /// How it authenticates.
    pub transport: Transport,
    /// As whom, where that is known.
    pub user: Option<String>,
    /// The account that commands run as, if it isn't the connection's.
    pub run_as: Option<RunAs>,
}

impl Attempt {
    /// A way with this client.
    pub fn new(client: ClientBuilder, transport: Transport) -> Self {
        Self {
            client,
            transport,
            user: None,
            run_as: None,
        }
    }

    /// The account that commands run as.
    #[must_use]
    pub fn run_as(mut self, account: Option<RunAs>) -> Self {
        self.run_as = account;
        self
    }

    /// As whom it logs on, for reports.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}
