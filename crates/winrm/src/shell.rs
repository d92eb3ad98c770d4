//! A shell on the host: what commands run in.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use winrm_proto::shell::CreateShell;

use crate::client::Client;
use crate::command::{Command, Place};
use crate::error::Error;
use crate::session::{Session, new_id};

/// UTF-8.
const DEFAULT_CODEPAGE: u32 = 65001;

/// What a shell is opened with; the same for a shell of one command and for one that is kept.
#[derive(Clone, Debug)]
pub(crate) struct ShellOptions(pub(crate) CreateShell);

impl Default for ShellOptions {
    fn default() -> Self {
        let mut create = CreateShell::default();
        create.codepage = Some(DEFAULT_CODEPAGE);
        Self(create)
    }
}

/// Describes a shell, and opens it.
#[derive(Debug)]
#[must_use = "a shell is opened by `open`"]
pub struct ShellBuilder {
    client: Client,
    options: ShellOptions,
}

impl ShellBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            options: ShellOptions::default(),
        }
    }

    /// Sets an environment variable for all commands of the shell.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.0.environment.push((name.into(), value.into()));
        self
    }

    /// Sets several environment variables.
    pub fn envs<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.options.0.environment.extend(variables);
        self
    }

    /// The directory that commands start in; a path of the host.
    pub fn current_dir(mut self, directory: impl Into<String>) -> Self {
        self.options.0.working_directory = Some(directory.into());
        self
    }

    /// The console's code page, which programs write their output in. 65001 (UTF-8) where nothing else is said.
    pub fn codepage(mut self, codepage: u32) -> Self {
        self.options.0.codepage = Some(codepage);
        self
    }

    /// Whether the user's profile (registry hive, environment) is left alone, which opens the shell faster.
    pub fn no_profile(mut self, no_profile: bool) -> Self {
        self.options.0.no_profile = Some(no_profile);
        self
    }

    /// After how long without a request the host removes the shell. The host's own default is two hours.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.options.0.idle_timeout = Some(idle_timeout);
        self
    }

    /// Opens the shell.
    ///
    /// # Errors
    /// Whatever keeps the host from being reached or from opening it: see [`ErrorKind`](crate::ErrorKind).
    pub async fn open(self) -> Result<Shell, Error> {
        let core = ShellCore::open(self.client.session(), &self.options).await?;
        Ok(Shell(Arc::new(Kept {
            client: self.client,
            options: self.options,
            current: Mutex::new(core),
        })))
    }
}

/// An open shell for many commands, several at once if wanted. Clones are the same shell.
///
/// When the host has lost the shell, or its quota of operations is spent, the next command opens another one of the same
/// description. When the last clone and the last of its commands are dropped, it is removed from the host in the
/// background.
#[derive(Clone)]
pub struct Shell(Arc<Kept>);

struct Kept {
    client: Client,
    options: ShellOptions,
    current: Mutex<Arc<ShellCore>>,
}

impl Shell {
    /// Describes a command to run in this shell. Environment, directory, code page and profile are the shell's own.
    #[must_use]
    pub fn command(&self, program: impl Into<String>) -> Command {
        Command::new(Place::Kept(self.clone()), program.into())
    }

    /// The id that the host knows the shell by.
    #[must_use]
    pub fn id(&self) -> String {
        self.current().id.clone()
    }

    /// The client that the shell belongs to.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Removes the shell from the host, and ends what still runs in it.
    ///
    /// # Errors
    /// Whatever keeps the host from being reached, or its fault. It is tried again in the background when the last clone is
    /// dropped.
    pub async fn close(&self) -> Result<(), Error> {
        self.current().close().await
    }

    pub(crate) fn current(&self) -> Arc<ShellCore> {
        Arc::clone(&self.0.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens another shell in place of `lost`, unless that was done already.
    pub(crate) async fn replace(&self, lost: &Arc<ShellCore>) -> Result<Arc<ShellCore>, Error> {
        let current = self.current();
        if !Arc::ptr_eq(&current, lost) {
            return Ok(current);
        }
        let fresh = ShellCore::open(self.0.client.session(), &self.0.options).await?;
        let mut slot = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&slot, lost) {
            *slot = Arc::clone(&fresh);
        }
        Ok(Arc::clone(&slot))
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// One shell on the host. Removed in the background when dropped.
pub(crate) struct ShellCore {
    pub(crate) session: Arc<Session>,
    pub(crate) id: String,
    /// The host has nothing of it: not yet, or not any more.
    absent: AtomicBool,
    runtime: Handle,
}

impl ShellCore {
    pub(crate) async fn open(session: &Arc<Session>, options: &ShellOptions) -> Result<Arc<Self>, Error> {
        let mut create = options.0.clone();
        // Chosen here, so that the shell can be removed also when the answer never comes.
        let id = new_id();
        create.shell_id = Some(id.clone());
        let mut core = Self {
            session: Arc::clone(session),
            id,
            absent: AtomicBool::new(true),
            runtime: Handle::current(),
        };
        match session.create(&create, &core.absent).await {
            // Hosts older than the attribute choose an id of their own.
            Ok(created) => {
                core.id = created;
                tracing::debug!(shell = %core.id, "shell opened");
                Ok(Arc::new(core))
            }
            Err(error) => {
                // Lost answers leave a shell behind; refusals and failed connections don't.
                let nothing_opened = error.may_have_run() == crate::MayHaveRun::No;
                core.absent = AtomicBool::new(nothing_opened);
                Err(error.not_run())
            }
        }
    }

    /// Removes the shell; once it has succeeded, nothing more is done.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        if self.absent.load(Ordering::Acquire) {
            return Ok(());
        }
        let result = self.session.delete(&self.id).await;
        if result.is_ok() {
            self.absent.store(true, Ordering::Release);
        }
        result
    }
}

impl Drop for ShellCore {
    fn drop(&mut self) {
        if *self.absent.get_mut() {
            return;
        }
        let (session, id) = (Arc::clone(&self.session), std::mem::take(&mut self.id));
        self.session.cleanups().spawn(&self.runtime, async move {
            if let Err(error) = session.delete(&id).await {
                tracing::debug!(shell = %id, error = %error, "shell not removed");
            }
        });
    }
}
