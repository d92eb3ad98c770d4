//! A command on many hosts at once: as many at a time as wanted, each on its own.

mod capture;
mod files;
mod host;
mod result;
mod script;
mod shard;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use winrm::{Client, Command, PowerShell, Waiting};

pub use capture::{CaptureReader, Captured};
pub use files::TooFewFiles;
pub use host::{Attempt, Host, Recipe};
pub use result::{HostResult, Outcome, Trouble, TroubleKind, Verdict, Via};
pub use script::{Kept, Listener};
pub use shard::{InvalidShard, Shard};

use task::{Job, Limits, Stage};

/// What a host may write, in bytes, before its command is ended: 64 MiB.
pub const OUTPUT_LIMIT: u64 = 64 << 20;

/// Many hosts, and how they are worked on.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use winrm::{Client, Credentials, Transport};
/// use winrm_fleet::{Attempt, Fleet, Host};
///
/// let recipe = Arc::new(|host: &str| {
///     let client = Client::builder(host).transport(Transport::Ntlm);
///     Ok(vec![Attempt::new(client.credentials(Credentials::parse("alice", "correct horse")?), Transport::Ntlm)])
/// });
/// let hosts = ["web1", "web2"].map(|name| Host::new(name, recipe.clone()));
/// let mut run = Fleet::new(hosts).forks(200).run(|client| client.command("hostname"));
/// while let Some(result) = run.next().await {
///     println!("{}: {}", result.host, result.verdict());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a fleet does nothing before `run`"]
pub struct Fleet {
    hosts: Vec<Host>,
    forks: usize,
    batch: Option<Amount>,
    max_fail: Option<Amount>,
    output_limit: u64,
    success_codes: Vec<u32>,
    restart: Option<Waiting>,
}

impl Fleet {
    /// A fleet of these hosts, which are begun in this order.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            forks: 100,
            batch: None,
            max_fail: None,
            output_limit: OUTPUT_LIMIT,
            success_codes: vec![0],
            restart: None,
        }
    }

    /// How many hosts are worked on at once; 100 where nothing is said, one at the least.
    pub fn forks(mut self, forks: usize) -> Self {
        self.forks = forks.max(1);
        self
    }

    /// Takes the hosts in batches: the next one begins when all hosts of this one have ended.
    pub fn batch(mut self, batch: Amount) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Begins no more hosts once more than this many have failed or could not be reached. Percents are of all hosts.
    pub fn max_fail(mut self, most: Amount) -> Self {
        self.max_fail = Some(most);
        self
    }

    /// How much one host may write, in bytes, standard output and standard error together. A command that writes more is ended,
    /// and has failed. What doesn't fit into a little memory waits in a temporary file.
    pub fn output_limit(mut self, bytes: u64) -> Self {
        self.output_limit = bytes;
        self
    }

    /// The exit codes that mean success; only 0 where nothing is said.
    pub fn success_codes(mut self, codes: impl IntoIterator<Item = u32>) -> Self {
        self.success_codes = codes.into_iter().collect();
        self
    }

    /// What is run may restart its host: when the connection is lost, the host is waited for in this way, and it went well there once it
    /// is up again ([`Outcome::Restarted`]). Hosts are asked for their boot time first. Those that are waited for count among those
    /// that are worked on at once. With `None`, or where nothing is said, a command that is lost is lost.
    pub fn may_restart(mut self, waiting: impl Into<Option<Waiting>>) -> Self {
        self.restart = waiting.into();
        self
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Sees to it that this process may have as many files open as the forks can need, raising its soft limit where necessary.
    ///
    /// # Errors
    /// When the hard limit is lower than that.
    pub fn reserve_files(&self) -> Result<(), TooFewFiles> {
        files::reserve(self.forks.min(self.hosts.len()))
    }

    /// Runs a command on every host. `command` describes it for a host's client; it is called once for each transport that is tried.
    ///
    /// Hosts are begun as results are taken: whoever takes no more holds up the run, not the memory. A run that is dropped is
    /// aborted.
    #[must_use = "nothing begins before the first result is asked for"]
    pub fn run(self, command: impl Fn(&Client) -> Command + Send + Sync + 'static) -> Run {
        Run::new(self, Job::Run(Box::new(command)))
    }

    /// Runs a PowerShell script on every host. `describe` gives it for a host's client, with who listens to it there; it is called once
    /// for each transport that is tried. All else is as with [`run`](Self::run).
    #[must_use = "nothing begins before the first result is asked for"]
    pub fn run_powershell(self, describe: impl Fn(&Client) -> (PowerShell, Box<dyn Listener>) + Send + Sync + 'static) -> Run {
        Run::new(self, Job::Script(Box::new(describe)))
    }

    /// Proves on every host that the credentials are accepted: see [`Client::ping`].
    #[must_use = "nothing begins before the first result is asked for"]
    pub fn ping(self) -> Run {
        Run::new(self, Job::Ping)
    }
}

/// A run over a fleet: a stream of results, each host's as it ends.
pub struct Run {
    waiting: std::iter::Enumerate<std::vec::IntoIter<Host>>,
    tasks: JoinSet<HostResult>,
    /// What has to be known of a task when it panics.
    begun: HashMap<Id, Begun>,
    job: Arc<Job>,
    limits: Arc<Limits>,
    forks: usize,
    batch: usize,
    left_in_batch: usize,
    total: usize,
    max_fail: Option<Amount>,
    troubled: usize,
    stage: watch::Sender<Stage>,
}

struct Begun {
    index: usize,
    host: Arc<str>,
    started: SystemTime,
}

impl Run {
    fn new(fleet: Fleet, job: Job) -> Self {
        let total = fleet.hosts.len();
        let batch = fleet.batch.map_or(total, |batch| batch.of(total)).max(1);
        Self {
            waiting: fleet.hosts.into_iter().enumerate(),
            tasks: JoinSet::new(),
            begun: HashMap::new(),
            job: Arc::new(job),
            limits: Arc::new(Limits {
                output: fleet.output_limit,
                success_codes: fleet.success_codes,
                restart: fleet.restart,
            }),
            forks: fleet.forks,
            batch,
            left_in_batch: batch,
            total,
            max_fail: fleet.max_fail,
            troubled: 0,
            stage: watch::Sender::new(Stage::Running),
        }
    }

    /// The next result, in the order in which hosts end; `None` after the last. Every host has exactly one. Can be cancelled.
    pub async fn next(&mut self) -> Option<HostResult> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// How many hosts there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many hosts are worked on just now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// The names of the hosts that are worked on just now, in no order.
    pub fn running_hosts(&self) -> impl Iterator<Item = &str> {
        self.begun.values().map(|begun| &*begun.host)
    }

    /// What stops this run, from anywhere.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.stage.clone())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<HostResult>> {
        loop {
            let stopped = *self.stage.borrow() != Stage::Running || self.has_too_many_failures();
            if !stopped {
                self.begin();
            }
            match ready!(self.tasks.poll_join_next_with_id(context)) {
                Some(Ok((id, result))) => {
                    self.begun.remove(&id);
                    return Poll::Ready(Some(self.counted(result)));
                }
                Some(Err(error)) => {
                    if let Some(begun) = self.begun.remove(&error.id()) {
                        let outcome = Outcome::Failed(Trouble::panicked());
                        let result = HostResult::new(begun.index, begun.host, begun.started, outcome);
                        return Poll::Ready(Some(self.counted(result)));
                    }
                }
                None if stopped => {
                    return Poll::Ready(self.waiting.next().map(|(index, host)| HostResult::not_started(index, host.name)));
                }
                None if self.waiting.len() == 0 => return Poll::Ready(None),
                None => self.left_in_batch = self.batch,
            }
        }
    }

    fn begin(&mut self) {
        while self.tasks.len() < self.forks && self.left_in_batch > 0 {
            let Some((index, host)) = self.waiting.next() else { return };
            self.left_in_batch -= 1;
            let begun = Begun {
                index,
                host: Arc::clone(&host.name),
                started: SystemTime::now(),
            };
            let (job, limits, stage) = (Arc::clone(&self.job), Arc::clone(&self.limits), self.stage.subscribe());
            let task = self.tasks.spawn(task::work(index, host, job, limits, stage));
            self.begun.insert(task.id(), begun);
        }
    }

    fn counted(&mut self, result: HostResult) -> HostResult {
        if matches!(result.verdict(), Verdict::Failed | Verdict::Unreachable) {
            self.troubled += 1;
        }
        result
    }

    fn has_too_many_failures(&self) -> bool {
        match self.max_fail {
            None => false,
            Some(Amount::Count(most)) => self.troubled > most,
            Some(Amount::Percent(most)) => self.troubled as f64 * 100.0 > most * self.total as f64,
        }
    }
}

impl Stream for Run {
    type Item = HostResult;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<HostResult>> {
        self.poll(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.waiting.len() + self.tasks.len();
        (left, Some(left))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("total", &self.total)
            .field("waiting", &self.waiting.len())
            .field("running", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// Stops a [`Run`], in two steps. The results of all hosts come all the same.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<Stage>);

impl Stop {
    /// No more hosts are begun, hosts whose command has not begun are given up, and the commands that run get Ctrl-C. What becomes
    /// of them, their results tell.
    pub fn interrupt(&self) {
        self.0.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Interrupted;
            }
            running
        });
    }

    /// Nobody is waited for any more. The commands that run are ended on their hosts in the background, as far as the runtime goes
    /// on.
    pub fn abort(&self) {
        self.0.send_replace(Stage::Aborted);
    }
}

/// A number of hosts, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many hosts.
    Count(usize),
    /// So many of a hundred, 0 to 100.
    Percent(f64),
}

impl Amount {
    /// How many of `total` these are, a fraction of a host left out, but one host at the least.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            // Never negative, and no more than `total`.
            Self::Percent(percent) => (total as f64 * percent / 100.0) as usize,
        }
        .max(1)
    }
}

impl std::str::FromStr for Amount {
    type Err = InvalidAmount;

    /// `25`, or `10%`.
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Count).map_err(|_| InvalidAmount),
            Some(percent) => match percent.parse() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                _ => Err(InvalidAmount),
            },
        }
    }
}

/// A text is no number of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a number of hosts nor 0% to 100% of them")]
pub struct InvalidAmount;

#[cfg(test)]
mod tests;
