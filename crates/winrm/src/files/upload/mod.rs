//! To the host.

mod plan;
mod reader;
mod send;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::AsyncRead;

use self::plan::Plan;
use super::agent::Agent;
use super::certutil;
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::host::{Stop, conclude};
use super::host_path::HostPaths;
use super::options::{Options, option_methods};
use crate::client::Client;
use crate::error::Error;

/// Describes a copy to a host, and carries it out when it is awaited.
///
/// Whatever is cut on its way leaves the old file as it was, and a part beside it (`NAME.winrm-part`), with which the next try
/// goes on. Only what differs is sent: files whose size and time of change are the same stay.
#[must_use = "nothing is copied until it is awaited"]
pub struct Upload {
    client: Client,
    sources: Sources,
    target: String,
    options: Options,
}

pub(super) enum Sources {
    Paths(Vec<PathBuf>),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
}

impl Upload {
    pub(crate) fn new(client: Client, source: PathBuf, target: String) -> Self {
        Self {
            client,
            sources: Sources::Paths(vec![source]),
            target,
            options: Options::default(),
        }
    }

    pub(crate) fn of_reader(client: Client, reader: Box<dyn AsyncRead + Send + Unpin>, target: String) -> Self {
        Self {
            client,
            sources: Sources::Reader(reader),
            target,
            options: Options::default(),
        }
    }

    /// Adds a source. With several, the target is a folder.
    pub fn source(mut self, source: impl Into<PathBuf>) -> Self {
        if let Sources::Paths(sources) = &mut self.sources {
            sources.push(source.into());
        }
        self
    }

    option_methods!();

    async fn run(self) -> Result<CopySummary, Error> {
        let options = Arc::new(self.options);
        let started = Agent::start(&self.client, &options.engine, |note| options.tell(CopyEvent::Note(note))).await;
        let mut agent = match started {
            Err(refused) if certutil::may_help(&refused, &options) => {
                return certutil::upload(&self.client, options, self.sources, &self.target, refused).await;
            }
            started => started?,
        };
        let mut run = Run {
            options: Arc::clone(&options),
            paths: agent.paths,
            summary: CopySummary::default(),
            next: 0,
        };
        let outcome = match self.sources {
            Sources::Paths(sources) => run.copy(&self.client, &mut agent, &sources, &self.target).await,
            Sources::Reader(reader) => run.copy_reader(&mut agent, reader, &self.target).await,
        };
        conclude(agent, outcome, &options.engine).await?;
        Ok(run.summary)
    }
}

impl IntoFuture for Upload {
    type Output = Result<CopySummary, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("target", &self.target).finish_non_exhaustive()
    }
}

/// One upload.
struct Run {
    options: Arc<Options>,
    paths: HostPaths,
    summary: CopySummary,
    /// The next file's number.
    next: u32,
}

impl Run {
    fn finished(&mut self, index: Option<u32>, report: FileReport) {
        self.summary.count(&report);
        self.options.tell(CopyEvent::Finished { index, report });
    }

    fn failed(&mut self, source: impl fmt::Display, target: &str, error: FileError) {
        let report = FileReport::new(source.to_string(), target, 0, FileOutcome::Failed(error));
        self.finished(None, report);
    }

    async fn copy(&mut self, client: &Client, agent: &mut Agent, sources: &[PathBuf], target: &str) -> Result<(), Stop> {
        let sources = self.sources(sources, target).await;
        if sources.is_empty() {
            return Ok(());
        }
        let placed = self.place(agent, sources, target).await?;
        let mut plan = Plan::default();
        for placed in placed {
            if placed.source.is_folder() {
                self.plan_folder(agent, placed, &mut plan).await?;
            } else {
                self.plan_file(placed.source, placed.target, &placed.there, &mut plan);
            }
        }
        self.find_parts(agent, &mut plan).await?;
        if self.options.checksum {
            self.compare_hashes(agent, &mut plan).await?;
        }
        let (files, bytes) = (
            plan.files.len() as u64,
            plan.files.iter().filter_map(|file| file.job.begin.size).sum(),
        );
        self.options.tell(CopyEvent::Planned { files, bytes });
        if self.options.dry_run {
            return self.pretend(plan);
        }
        self.make_folders(agent, &plan).await?;
        let jobs = self.resume(agent, plan.files).await?;
        self.send(client, agent, jobs).await?;
        self.remove(agent, plan.remove).await?;
        if self.options.preserve {
            self.set_times(agent, &plan.times).await?;
        }
        Ok(())
    }
}
