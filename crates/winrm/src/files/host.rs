//! What copies in both directions do with the host: ask what is there, have several agents work at once, end.

use std::collections::HashMap;

use winrm_proto::copy::{Answer, Entry, EntryKind, Request};

use super::agent::{Agent, Lost};
use super::event::FileError;
use crate::client::Client;
use crate::error::{Error, ErrorKind};

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

/// Ends a copy: the agent is let go, or it is found out why it is gone.
pub(super) async fn conclude(agent: Agent, outcome: Result<(), Stop>, engine: &str) -> Result<(), Error> {
    match outcome {
        Ok(()) => agent.finish().await,
        Err(Stop::Lost(lost)) => Err(agent.lost(lost, engine).await),
        Err(Stop::Refused(error)) => {
            // What went wrong is known already.
            let _ = agent.finish().await;
            Err(error)
        }
    }
}

/// What a path stands for there, and what is at it.
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

/// Nothing.
pub(super) fn absent() -> Entry {
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

/// What is in a folder; an error of the folder's own where it can't be read.
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

/// The agents of a copy of so many streams, beside the one that is there.
pub(super) async fn start_others(client: &Client, engine: &str, streams: usize) -> Result<Vec<Agent>, Stop> {
    let mut others = Vec::new();
    for _ in 1..streams {
        others.push(Agent::start(client, engine, |_| {}).await.map_err(Stop::Refused)?);
    }
    Ok(others)
}

/// Lets go the agents beside the first.
pub(super) async fn finish_others(others: Vec<Agent>) {
    for other in others {
        // What it had to say was said file by file.
        let _ = other.finish().await;
    }
}

/// Runs all streams to their ends; the first that lost its agent is told.
pub(super) async fn join_streams(streams: impl Iterator<Item = impl Future<Output = Result<(), Lost>>>) -> Result<(), Stop> {
    let outcomes = join_all(streams).await;
    outcomes.into_iter().collect::<Result<(), Lost>>().map_err(Stop::Lost)
}

/// All at once, in one task.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
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
