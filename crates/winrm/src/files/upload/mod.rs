//! To the host.

mod plan;
mod reader;
mod send;

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::AsyncRead;
use winrm_proto::copy::{Answer, Entry, EntryKind, Request};

use self::plan::Plan;
use super::agent::{Agent, Lost};
use super::certutil;
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::host_path::HostPaths;
use super::options::{Options, option_methods};
use crate::client::Client;
use crate::error::{Error, ErrorKind};

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
        match outcome {
            Ok(()) => {
                agent.finish().await?;
                Ok(run.summary)
            }
            Err(Stop::Lost(lost)) => Err(agent.lost(lost, &options.engine).await),
            Err(Stop::Refused(error)) => {
                // What went wrong is known already.
                let _ = agent.finish().await;
                Err(error)
            }
        }
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

/// What ends a copy as a whole.
pub(super) enum Stop {
    Lost(Lost),
    Refused(Error),
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

pub(super) fn refuse(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Copy, message)
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

/// Runs what waits for this machine's disk where nobody else waits for it.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// All at once, in one task.
pub(super) async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, result) in &mut running {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    running.into_iter().filter_map(|(_, result)| result).collect()
}

pub(super) async fn resolve(agent: &mut Agent, path: &str) -> Result<(String, Entry), Stop> {
    let request = Request::Resolve {
        id: 0,
        path: path.to_owned(),
    };
    let mut result = Err(refuse("the host does not say what a path is"));
    agent
        .exchange(&[request], |_, answer| match answer {
            Answer::Resolved { path, entry, .. } => result = Ok((path, entry)),
            Answer::Failed { code, message, .. } => {
                let error = FileError::of_host(code, &message);
                result = Err(refuse(format!("{path}: {error}")));
            }
            _ => {}
        })
        .await?;
    result.map_err(Stop::Refused)
}

fn absent() -> Entry {
    Entry {
        name: String::new(),
        kind: EntryKind::Absent,
        size: 0,
        modified: 0,
        attributes: 0,
    }
}

/// What is at each of these full paths; those that the host can't look at count as absent.
pub(super) async fn resolve_all(agent: &mut Agent, paths: &[String]) -> Result<HashMap<usize, Entry>, Stop> {
    let requests: Vec<Request> = paths
        .iter()
        .enumerate()
        .map(|(id, path)| Request::Resolve {
            id: id as u32,
            path: path.clone(),
        })
        .collect();
    let mut found = HashMap::new();
    agent
        .exchange(&requests, |id, answer| {
            let entry = match answer {
                Answer::Resolved { entry, .. } => entry,
                _ => absent(),
            };
            found.insert(id as usize, entry);
        })
        .await?;
    Ok(found)
}

pub(super) async fn list(agent: &mut Agent, folder: &str, recursive: bool) -> Result<Result<Vec<Entry>, FileError>, Stop> {
    let request = Request::List {
        id: 0,
        folder: folder.to_owned(),
        recursive,
    };
    let mut found = Vec::new();
    let mut failure = None;
    agent
        .exchange(&[request], |_, answer| match answer {
            Answer::Entries { entries, .. } => found.extend(entries),
            Answer::Failed { code, message, .. } => failure = Some(FileError::of_host(code, &message)),
            _ => {}
        })
        .await?;
    Ok(match failure {
        Some(failure) => Err(failure),
        None => Ok(found),
    })
}
