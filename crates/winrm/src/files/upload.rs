//! To the host.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use openssl::sha::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Notify, mpsc};
use winrm_proto::copy::{Answer, Begin, Entry, EntryKind, FailureCode, HEADER, Request, header};

use super::agent::{Agent, Answers, Input, Lost};
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::host_path::HostPaths;
use super::local::{self, Local, LocalKind};
use super::options::{Options, option_methods};
use super::place::is_earlier_copy;
use super::pump::{Job, Jobs, Note, Packer, Piece, Pump, Refused};
use super::rate::Limiter;
use super::{BLOCK, PART, certutil, hash, part_name, time};
use crate::client::Client;
use crate::error::{Error, ErrorKind};

/// How often a host hears of a client that waits for its own input.
const ALIVE: Duration = Duration::from_secs(60);

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

/// A source and where it goes.
struct Placed {
    source: Local,
    target: String,
    /// What is there.
    there: Entry,
}

/// A file to send, before it is known how much of it is there already.
struct Planned {
    job: Job,
    /// How many bytes its part has.
    part: u64,
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

    /// The sources that are there; of the others it is said that they aren't.
    async fn sources(&mut self, sources: &[PathBuf], target: &str) -> Vec<Local> {
        let mut found = Vec::new();
        for source in sources {
            let source = source.clone();
            let shown = source.display().to_string();
            let looked = blocking(move || {
                let mut found = Vec::new();
                for path in local::expand(&source)? {
                    let metadata = std::fs::metadata(&path)?;
                    let name = base_name(&path)?;
                    found.push(Local::new(path, name, &metadata));
                }
                Ok(found)
            });
            match looked.await {
                Ok(locals) => found.extend(locals),
                Err(error) => self.failed(shown, target, FileError::local(&error)),
            }
        }
        found
    }

    /// Finds out where the sources go.
    async fn place(&mut self, agent: &mut Agent, sources: Vec<Local>, target: &str) -> Result<Vec<Placed>, Stop> {
        if let Some(reason) = self.paths.refuses(target) {
            return Err(Stop::Refused(refuse(format!("{target}: {reason}"))));
        }
        let as_folder = target.is_empty() || self.paths.is_folder(target) || sources.len() > 1;
        let (full, there) = resolve(agent, self.paths.trimmed(target)).await?;
        let mut into = as_folder;
        match there.kind {
            EntryKind::File | EntryKind::DeadLink if as_folder || sources[0].is_folder() => {
                let error = refuse(format!("{full} is a file on the host, and a folder is meant"));
                return Err(Stop::Refused(
                    error.with_hint("with several sources, or a folder, DEST is a folder"),
                ));
            }
            EntryKind::Absent if as_folder && !self.options.make_folders => {
                let error = refuse(format!("the host has no folder {full}"));
                return Err(Stop::Refused(error.with_hint("--mkdir makes it")));
            }
            EntryKind::Absent if !as_folder && sources[0].is_folder() && !self.options.make_folders => {
                if let Some(parent) = self.paths.parent(&full)
                    && resolve(agent, parent).await?.1.kind == EntryKind::Absent
                {
                    let error = refuse(format!("the host has no folder {parent}"));
                    return Err(Stop::Refused(error.with_hint("--mkdir makes it")));
                }
            }
            EntryKind::Folder | EntryKind::FolderLink if !as_folder => {
                into = !(sources[0].is_folder() && self.repeats(agent, &sources[0], &full).await?);
            }
            _ => {}
        }
        if !into {
            let source = sources.into_iter().next();
            return Ok(source
                .map(|source| Placed {
                    source,
                    target: full,
                    there,
                })
                .into_iter()
                .collect());
        }
        let targets: Vec<String> = sources.iter().map(|source| self.paths.join(&full, &source.below)).collect();
        let mut entries = resolve_all(agent, &targets).await?;
        let placed = sources.into_iter().zip(targets).enumerate();
        Ok(placed
            .filter_map(|(number, (source, target))| {
                let there = entries.remove(&number)?;
                Some(Placed { source, target, there })
            })
            .collect())
    }

    /// Whether the folder on the host is an earlier copy of this one.
    async fn repeats(&mut self, agent: &mut Agent, source: &Local, target: &str) -> Result<bool, Stop> {
        let paths = self.paths;
        let root = source.path.clone();
        let here = blocking(move || {
            let entries = std::fs::read_dir(root)?.flatten();
            Ok(entries
                .filter_map(|entry| {
                    let folder = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
                    Some((paths.key(entry.file_name().to_str()?), folder))
                })
                .collect::<HashSet<_>>())
        });
        let Ok(here) = here.await else { return Ok(false) };
        let Ok(entries) = list(agent, target, false).await? else {
            return Ok(false);
        };
        let there: HashSet<_> = entries
            .into_iter()
            .filter(|entry| !entry.name.ends_with(PART))
            .map(|entry| {
                (
                    paths.key(&entry.name),
                    matches!(entry.kind, EntryKind::Folder | EntryKind::FolderLink),
                )
            })
            .collect();
        Ok(is_earlier_copy(&paths.key(&source.below), &here, &there, self.options.delete))
    }

    async fn plan_folder(&mut self, agent: &mut Agent, placed: Placed, plan: &mut Plan) -> Result<(), Stop> {
        let Placed { source, target, there } = placed;
        let (root, filter) = (source.path.clone(), self.options.filter.clone());
        let found = match blocking(move || local::walk(&root, &filter)).await {
            Ok(found) => found,
            Err(error) => {
                self.failed(source.path.display(), &target, FileError::local(&error));
                return Ok(());
            }
        };
        let paths = self.paths;
        let mut existing: HashMap<String, Entry> = HashMap::new();
        match there.kind {
            EntryKind::Absent => plan.folders.push(target.clone()),
            EntryKind::Folder | EntryKind::FolderLink => match list(agent, &target, true).await? {
                Ok(entries) => existing.extend(entries.into_iter().map(|entry| (paths.key(&entry.name), entry))),
                Err(error) => {
                    self.failed(source.path.display(), &target, error);
                    return Ok(());
                }
            },
            _ => {
                let error = FileError::new(FailureCode::Other, "a file is there on the host where a folder is meant");
                self.failed(source.path.display(), &target, error);
                return Ok(());
            }
        }
        plan.times.push((target.clone(), source.modified));
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut refused: HashSet<String> = HashSet::new();
        for local in found {
            let whole = paths.join(&target, &local.below);
            let above = local.below.rfind('/').map(|at| &local.below[..at]);
            if above.is_some_and(|above| refused.contains(above)) {
                refused.insert(local.below.clone());
                continue;
            }
            let name = local.below.rsplit('/').next().unwrap_or(&local.below);
            if let Some(reason) = paths.forbids(name) {
                refused.insert(local.below.clone());
                let error = FileError::new(FailureCode::Other, format!("the host can't have this name: {reason}"));
                self.failed(
                    local.path.display(),
                    &whole,
                    error.with_hint("rename it, or leave it out with --exclude"),
                );
                continue;
            }
            let key = paths.key(&local.below);
            if let Some(other) = seen.insert(key.clone(), local.below.clone()) {
                refused.insert(local.below.clone());
                let error = FileError::new(
                    FailureCode::Other,
                    format!("on the host it is the same name as {other}, where capitals make no difference"),
                );
                self.failed(local.path.display(), &whole, error);
                continue;
            }
            let mut there = existing.remove(&key).unwrap_or_else(absent);
            if local.is_folder() {
                match there.kind {
                    EntryKind::Absent => plan.folders.push(whole.clone()),
                    EntryKind::Folder | EntryKind::FolderLink | EntryKind::Unreadable => {}
                    EntryKind::File | EntryKind::DeadLink => {
                        refused.insert(local.below.clone());
                        let error = FileError::new(FailureCode::Other, "a file is there on the host where a folder is meant");
                        self.failed(local.path.display(), &whole, error);
                        continue;
                    }
                }
                plan.times.push((whole, local.modified));
                continue;
            }
            // Its own part may be there; it is none of what the source doesn't have.
            let part = existing.remove(&paths.key(&sibling(&local.below, &part_name(name))));
            there.attributes &= 0xFFFF;
            let before = plan.files.len();
            self.plan_file(local, whole, &there, plan);
            if let (Some(file), Some(part)) = (plan.files.get_mut(before), part) {
                file.part = part.size;
            }
        }
        if self.options.delete {
            self.plan_removal(&target, existing, plan);
        }
        plan.listed = true;
        Ok(())
    }

    /// What the source doesn't have, the deepest first.
    fn plan_removal(&mut self, target: &str, existing: HashMap<String, Entry>, plan: &mut Plan) {
        let filter = &self.options.filter;
        let suffix = self.options.backup.as_deref();
        let mut gone: Vec<Entry> = existing
            .into_values()
            .filter(|entry| {
                let is_file = matches!(entry.kind, EntryKind::File | EntryKind::DeadLink);
                let kept = suffix.is_some_and(|suffix| entry.name.ends_with(suffix));
                !kept && !filter.skips(&entry.name, is_file) && !matches!(entry.kind, EntryKind::Unreadable | EntryKind::Absent)
            })
            .collect();
        gone.sort_by(|a, b| b.name.cmp(&a.name));
        plan.remove
            .extend(gone.into_iter().map(|entry| (self.paths.join(target, &entry.name), entry.size)));
    }

    /// Decides about one file.
    fn plan_file(&mut self, local: Local, target: String, there: &Entry, plan: &mut Plan) {
        let shown = local.path.display().to_string();
        match local.kind {
            LocalKind::File => {}
            LocalKind::Folder => return,
            LocalKind::LeftOut(reason) => {
                self.finished(None, FileReport::new(shown, target, 0, FileOutcome::LeftOut(reason)));
                return;
            }
            LocalKind::Failed(error) => {
                self.failed(shown, &target, error);
                return;
            }
        }
        let name = self.paths.last(&target).to_owned();
        if let Some(reason) = self.paths.forbids(&name) {
            let error = FileError::new(FailureCode::Other, format!("the host can't have this name: {reason}"));
            self.failed(shown, &target, error);
            return;
        }
        if matches!(there.kind, EntryKind::Folder | EntryKind::FolderLink | EntryKind::Unreadable) {
            self.failed(shown, &target, FileError::of_host(FailureCode::IsFolder, ""));
            return;
        }
        let same_size = there.kind == EntryKind::File && there.size == local.size;
        if same_size && self.options.checksum {
            plan.compare.push(plan.files.len());
        } else if same_size && time::same(there.modified, local.modified) {
            self.finished(None, FileReport::new(shown, target, local.size, FileOutcome::Unchanged));
            return;
        }
        let folder = self.paths.parent(&target).unwrap_or_default().to_owned();
        let begin = Begin {
            id: self.next,
            part: self.paths.join(&folder, &part_name(&name)),
            backup: self.options.backup.as_ref().map(|suffix| format!("{target}{suffix}")),
            target,
            size: Some(local.size),
            offset: 0,
            modified: local.modified,
            accessed: if self.options.preserve { local.accessed } else { 0 },
            replace_read_only: self.options.preserve,
            read_only: self.options.preserve && local.read_only,
        };
        self.next += 1;
        if !plan.listed && self.options.make_folders {
            plan.folders.push(folder);
        }
        plan.files.push(Planned {
            job: Job {
                source: local.path,
                begin,
                prefix: None,
            },
            part: 0,
        });
    }

    /// Looks for the parts of files whose folder was not listed.
    async fn find_parts(&mut self, agent: &mut Agent, plan: &mut Plan) -> Result<(), Stop> {
        plan.folders.dedup();
        if plan.listed || self.options.dry_run {
            return Ok(());
        }
        let parts: Vec<String> = plan.files.iter().map(|file| file.job.begin.part.clone()).collect();
        for (number, entry) in resolve_all(agent, &parts).await? {
            if let (EntryKind::File, Some(file)) = (entry.kind, plan.files.get_mut(number)) {
                file.part = entry.size;
            }
        }
        Ok(())
    }

    /// Takes out of the plan what has the same hash on both sides.
    async fn compare_hashes(&mut self, agent: &mut Agent, plan: &mut Plan) -> Result<(), Stop> {
        let requests: Vec<Request> = plan
            .compare
            .iter()
            .enumerate()
            .map(|(id, &number)| Request::Hash {
                id: id as u32,
                path: plan.files[number].job.begin.target.clone(),
                length: i64::MAX as u64,
            })
            .collect();
        let sources: Vec<(PathBuf, u64)> = plan
            .compare
            .iter()
            .map(|&number| {
                let job = &plan.files[number].job;
                (job.source.clone(), job.begin.size.unwrap_or(0))
            })
            .collect();
        let mut theirs: HashMap<u32, [u8; 32]> = HashMap::new();
        let exchange = agent.exchange(&requests, |id, answer| {
            if let Answer::Hash { sha256, .. } = answer {
                theirs.insert(id, sha256);
            }
        });
        let ours = blocking(move || {
            Ok(sources
                .iter()
                .map(|(path, size)| {
                    let (hash, done) = std::fs::File::open(path)
                        .and_then(|mut file| hash::prefix(&mut file, u64::MAX))
                        .ok()?;
                    (done == *size).then(|| hash.finish())
                })
                .collect::<Vec<_>>())
        });
        let (exchanged, ours) = tokio::join!(exchange, ours);
        exchanged?;
        let ours = ours.unwrap_or_default();
        let mut same: HashMap<usize, [u8; 32]> = HashMap::new();
        for (id, &number) in plan.compare.iter().enumerate() {
            if let (Some(Some(ours)), Some(theirs)) = (ours.get(id), theirs.get(&(id as u32)))
                && ours == theirs
            {
                same.insert(number, *ours);
            }
        }
        let mut number = 0;
        let mut unchanged = Vec::new();
        plan.files.retain(|file| {
            let sha256 = same.get(&number).copied();
            number += 1;
            if let Some(sha256) = sha256 {
                let begin = &file.job.begin;
                let source = file.job.source.display().to_string();
                let mut report = FileReport::new(source, &begin.target, begin.size.unwrap_or(0), FileOutcome::Unchanged);
                report.sha256 = Some(sha256);
                unchanged.push(report);
            }
            sha256.is_none()
        });
        for report in unchanged {
            self.finished(None, report);
        }
        Ok(())
    }

    fn pretend(&mut self, plan: Plan) -> Result<(), Stop> {
        for file in plan.files {
            let begin = file.job.begin;
            let source = file.job.source.display().to_string();
            self.finished(
                None,
                FileReport::new(source, begin.target, begin.size.unwrap_or(0), FileOutcome::Copied),
            );
        }
        for (path, size) in plan.remove {
            self.finished(None, FileReport::new("", path, size, FileOutcome::Removed));
        }
        Ok(())
    }

    async fn make_folders(&mut self, agent: &mut Agent, plan: &Plan) -> Result<(), Stop> {
        let requests: Vec<Request> = plan
            .folders
            .iter()
            .enumerate()
            .map(|(id, path)| Request::MakeFolder {
                id: id as u32,
                path: path.clone(),
            })
            .collect();
        let mut failures = Vec::new();
        agent
            .exchange(&requests, |id, answer| {
                if let Answer::Failed { code, message, .. } = answer {
                    failures.push((id, FileError::of_host(code, &message)));
                }
            })
            .await?;
        for (id, error) in failures {
            self.failed("", &plan.folders[id as usize], error);
        }
        Ok(())
    }

    /// Finds out how much of each file is there already, and the same.
    async fn resume(&mut self, agent: &mut Agent, files: Vec<Planned>) -> Result<VecDeque<Job>, Stop> {
        let mut jobs = VecDeque::with_capacity(files.len());
        for Planned { mut job, part } in files {
            let length = part.min(job.begin.size.unwrap_or(0));
            if length > 0 {
                let source = job.source.clone();
                let ours = blocking(move || std::fs::File::open(source).and_then(|mut file| hash::prefix(&mut file, length)));
                let request = Request::Hash {
                    id: 0,
                    path: job.begin.part.clone(),
                    length,
                };
                let mut theirs = None;
                let exchange = agent.exchange(std::slice::from_ref(&request), |_, answer| {
                    if let Answer::Hash { length, sha256, .. } = answer {
                        theirs = Some((length, sha256));
                    }
                });
                let (exchanged, ours) = tokio::join!(exchange, ours);
                exchanged?;
                if let (Ok((ours, done)), Some(theirs)) = (ours, theirs)
                    && (done, ours.clone().finish()) == theirs
                {
                    job.begin.offset = done;
                    job.prefix = Some(ours);
                }
            }
            jobs.push_back(job);
        }
        Ok(jobs)
    }

    async fn send(&mut self, client: &Client, agent: &mut Agent, jobs: VecDeque<Job>) -> Result<(), Stop> {
        let streams = self.options.streams.min(jobs.len());
        if streams == 0 {
            return Ok(());
        }
        let board = Board::new(&jobs, Arc::clone(&self.options), self.summary);
        let jobs: Jobs = Arc::new(Mutex::new(jobs));
        let limiter = Limiter::new(self.options.limit_rate);
        let mut others = Vec::new();
        for _ in 1..streams {
            others.push(Agent::start(client, &self.options.engine, |_| {}).await.map_err(Stop::Refused)?);
        }
        let mut first = None;
        let sends = std::iter::once(&mut *agent)
            .chain(&mut others)
            .map(|agent| send_files(agent, Arc::clone(&jobs), &board, &limiter, self.options.compress));
        for outcome in join_all(sends).await {
            if let Err(lost) = outcome {
                first = first.or(Some(lost));
            }
        }
        for other in others {
            // What it had to say was said file by file.
            let _ = other.finish().await;
        }
        self.summary = board.summary();
        match first {
            Some(lost) => Err(Stop::Lost(lost)),
            None => Ok(()),
        }
    }

    async fn remove(&mut self, agent: &mut Agent, paths: Vec<(String, u64)>) -> Result<(), Stop> {
        let requests: Vec<Request> = paths
            .iter()
            .enumerate()
            .map(|(id, (path, _))| Request::Remove {
                id: id as u32,
                path: path.clone(),
            })
            .collect();
        let mut reports = Vec::new();
        agent
            .exchange(&requests, |id, answer| {
                let (path, size) = &paths[id as usize];
                let outcome = match answer {
                    Answer::Failed { code, message, .. } => FileOutcome::Failed(FileError::of_host(code, &message)),
                    _ => FileOutcome::Removed,
                };
                reports.push(FileReport::new("", path, *size, outcome));
            })
            .await?;
        for report in reports {
            self.finished(None, report);
        }
        Ok(())
    }

    async fn set_times(&mut self, agent: &mut Agent, folders: &[(String, i64)]) -> Result<(), Stop> {
        let requests: Vec<Request> = folders
            .iter()
            .enumerate()
            .rev()
            .map(|(id, (path, modified))| Request::SetFolderTime {
                id: id as u32,
                path: path.clone(),
                modified: *modified,
            })
            .collect();
        // A folder without its time is still a copy.
        agent.exchange(&requests, |_, _| {}).await?;
        Ok(())
    }

    /// Sends what a reader gives, however long it is.
    async fn copy_reader(&mut self, agent: &mut Agent, mut reader: Box<dyn AsyncRead + Send + Unpin>, target: &str) -> Result<(), Stop> {
        if let Some(reason) = self.paths.refuses(target) {
            return Err(Stop::Refused(refuse(format!("{target}: {reason}"))));
        }
        let (full, there) = resolve(agent, target).await?;
        let name = self.paths.last(&full).to_owned();
        if self.paths.is_folder(target) || matches!(there.kind, EntryKind::Folder | EntryKind::FolderLink) {
            let error = refuse(format!("{full} is a folder on the host, and a stream has no name"));
            return Err(Stop::Refused(error.with_hint("name a file")));
        }
        if let Some(reason) = self.paths.forbids(&name) {
            return Err(Stop::Refused(refuse(format!("the host can't have the name {name:?}: {reason}"))));
        }
        let folder = self.paths.parent(&full).unwrap_or_default().to_owned();
        if self.options.make_folders {
            let request = Request::MakeFolder {
                id: 0,
                path: folder.clone(),
            };
            agent.exchange(&[request], |_, _| {}).await?;
        }
        let begin = Begin {
            part: self.paths.join(&folder, &part_name(&name)),
            backup: self.options.backup.as_ref().map(|suffix| format!("{full}{suffix}")),
            target: full.clone(),
            replace_read_only: self.options.preserve,
            ..Begin::default()
        };
        self.options.tell(CopyEvent::Started {
            index: 0,
            name: full.clone(),
            size: None,
            offset: 0,
        });
        let limiter = Limiter::new(self.options.limit_rate);
        let options = Arc::clone(&self.options);
        let Agent { input, answers, .. } = agent;
        let send = async {
            input.send(Request::Begin(begin).write()).await?;
            let mut packer = options.compress.then(Packer::new);
            let (mut sha256, mut size) = (Sha256::new(), 0);
            loop {
                let mut frame = BytesMut::with_capacity(HEADER + BLOCK);
                frame.put_bytes(0, HEADER);
                let broken = fill(&mut reader, &mut frame, input).await?;
                if let Some(error) = broken {
                    input.send(Request::Abort.write()).await?;
                    return Ok(Err(FileError::local(&error)));
                }
                let count = frame.len() - HEADER;
                if count == 0 {
                    break;
                }
                sha256.update(&frame[HEADER..]);
                size += count as u64;
                let bytes = match packer.as_mut().and_then(|packer| packer.pack(&frame[HEADER..])) {
                    Some(packed) => packed,
                    None => {
                        frame[..HEADER].copy_from_slice(&header(Request::DATA, count));
                        frame.freeze()
                    }
                };
                limiter.pass(bytes.len()).await;
                input.send(bytes).await?;
                options.tell(CopyEvent::Advanced {
                    index: 0,
                    bytes: count as u64,
                });
            }
            let sha256 = sha256.finish();
            input.send(Request::End(sha256).write()).await?;
            Ok::<_, Lost>(Ok((size, sha256)))
        };
        let sent;
        let mut answer = None;
        {
            let mut send = std::pin::pin!(send);
            tokio::select! {
                biased;
                result = &mut send => sent = Some(result?),
                early = answers.next() => {
                    answer = Some(early?);
                    sent = None;
                }
            }
        }
        let mut report = FileReport::new("-", full, 0, FileOutcome::Copied);
        match sent {
            Some(Err(error)) => report.outcome = FileOutcome::Failed(error),
            Some(Ok((size, sha256))) => {
                report.size = size;
                report.sha256 = Some(sha256);
                answer = Some(answers.next().await?);
            }
            None => {}
        }
        if let Some(Answer::Failed { code, message, .. }) = answer {
            report.outcome = FileOutcome::Failed(FileError::of_host(code, &message));
        }
        self.finished(Some(0), report);
        Ok(())
    }
}

/// Fills a frame as far as the reader goes, and tells the host meanwhile that somebody is there.
async fn fill(reader: &mut (dyn AsyncRead + Send + Unpin), frame: &mut BytesMut, input: &mut Input) -> Result<Option<io::Error>, Lost> {
    while frame.len() < HEADER + BLOCK {
        let room = HEADER + BLOCK - frame.len();
        let mut limited = (&mut *frame).limit(room);
        match tokio::time::timeout(ALIVE, reader.read_buf(&mut limited)).await {
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Ok(Some(error)),
            Err(_) => input.send(Request::Alive.write()).await?,
        }
    }
    Ok(None)
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    folders: Vec<String>,
    files: Vec<Planned>,
    /// Numbers of files of the same size, whose hashes decide.
    compare: Vec<usize>,
    remove: Vec<(String, u64)>,
    times: Vec<(String, i64)>,
    /// Whether the folders were listed, and with them all parts.
    listed: bool,
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

/// The path of another name in the same folder.
fn sibling(below: &str, name: &str) -> String {
    match below.rfind('/') {
        Some(at) => format!("{}/{name}", &below[..at]),
        None => name.to_owned(),
    }
}

fn base_name(path: &Path) -> io::Result<String> {
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        // "." and "..", by their real names.
        None => path.canonicalize()?.file_name().unwrap_or_default().to_owned(),
    };
    name.into_string()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the name is not UTF-8"))
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

/// What is known of the files under way, for those who send and those who hear.
struct Board {
    state: Mutex<BoardState>,
    refused: Refused,
    options: Arc<Options>,
    changed: Notify,
}

struct BoardState {
    /// Files that have no result yet.
    reports: HashMap<u32, FileReport>,
    summary: CopySummary,
}

impl Board {
    fn new(jobs: &VecDeque<Job>, options: Arc<Options>, summary: CopySummary) -> Self {
        let reports = jobs.iter().map(|job| {
            let begin = &job.begin;
            let source = job.source.display().to_string();
            let mut report = FileReport::new(source, &begin.target, begin.size.unwrap_or(0), FileOutcome::Copied);
            report.resumed_at = begin.offset;
            (begin.id, report)
        });
        Self {
            state: Mutex::new(BoardState {
                reports: reports.collect(),
                summary,
            }),
            refused: Refused::default(),
            options,
            changed: Notify::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> CopySummary {
        self.state().summary
    }

    /// `false` when the file has a result already.
    fn finish(&self, id: u32, failure: Option<FileError>) -> bool {
        let report = {
            let mut state = self.state();
            let Some(mut report) = state.reports.remove(&id) else {
                return false;
            };
            if let Some(failure) = failure {
                report.outcome = FileOutcome::Failed(failure);
                report.sha256 = None;
            }
            state.summary.count(&report);
            report
        };
        self.options.tell(CopyEvent::Finished { index: Some(id), report });
        true
    }

    /// Before the bytes of a piece go out. Gives the files that only the host's answer ends.
    fn note_before(&self, notes: &[Note], awaited: &mut HashSet<u32>) {
        for note in notes {
            match note {
                Note::Started(id, offset) => {
                    let (name, size) = match self.state().reports.get(id) {
                        Some(report) => (report.target.clone(), report.size),
                        None => continue,
                    };
                    self.options.tell(CopyEvent::Started {
                        index: *id,
                        name,
                        size: Some(size),
                        offset: *offset,
                    });
                }
                Note::Ended(id, sha256) => {
                    if let Some(report) = self.state().reports.get_mut(id) {
                        report.sha256 = Some(*sha256);
                        awaited.insert(*id);
                    }
                }
                Note::Broken(id, error) => {
                    self.finish(*id, Some(error.clone()));
                }
                Note::Advanced(..) => {}
            }
        }
    }

    fn note_after(&self, notes: Vec<Note>) {
        for note in notes {
            if let Note::Advanced(index, bytes) = note {
                self.options.tell(CopyEvent::Advanced { index, bytes });
            }
        }
    }
}

/// Sends files over one stream until none is left.
async fn send_files(agent: &mut Agent, jobs: Jobs, board: &Board, limiter: &Limiter, compress: bool) -> Result<(), Lost> {
    let (out, mut pieces) = mpsc::channel::<Piece>(2);
    let pump = Pump {
        jobs,
        refused: Arc::clone(&board.refused),
        out,
        mode: agent.input.mode,
        packer: compress.then(Packer::new),
    };
    // Ends when the channel does.
    let pumping = tokio::task::spawn_blocking(move || pump.run());
    let awaited = Mutex::new(HashSet::new());
    let sent = std::sync::atomic::AtomicBool::new(false);
    let Agent { input, answers, .. } = agent;
    let awaited_by = || awaited.lock().unwrap_or_else(PoisonError::into_inner);
    let send = async {
        loop {
            let piece = match tokio::time::timeout(ALIVE, pieces.recv()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(_) => {
                    input.send(Request::Alive.write()).await?;
                    continue;
                }
            };
            board.note_before(&piece.notes, &mut awaited_by());
            limiter.pass(piece.bytes.len()).await;
            input.send_bytes(piece.bytes).await?;
            board.note_after(piece.notes);
        }
        pumping.await.map_err(|_| Lost::Here)?;
        sent.store(true, std::sync::atomic::Ordering::Release);
        board.changed.notify_waiters();
        Ok(())
    };
    let receive = take_answers(answers, board, &awaited_by, &sent);
    tokio::try_join!(send, receive).map(drop)
}

async fn take_answers<'a>(
    answers: &mut Answers,
    board: &Board,
    awaited: &impl Fn() -> std::sync::MutexGuard<'a, HashSet<u32>>,
    sent: &std::sync::atomic::AtomicBool,
) -> Result<(), Lost> {
    loop {
        let changed = board.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if sent.load(std::sync::atomic::Ordering::Acquire) && awaited().is_empty() {
            return Ok(());
        }
        let answer = tokio::select! {
            biased;
            answer = answers.next() => answer?,
            () = changed => continue,
        };
        match answer {
            Answer::Done { id } => {
                if !awaited().remove(&id) {
                    return Err(Lost::Nonsense("the end of a file that was not sent".to_owned()));
                }
                board.finish(id, None);
            }
            Answer::Failed { id, code, message } => {
                awaited().remove(&id);
                board.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                let mut error = FileError::of_host(code, &message);
                if code == FailureCode::NotFound {
                    error = error.with_hint("--mkdir makes the folders that a copy needs");
                }
                board.finish(id, Some(error));
            }
            _ => return Err(Lost::Nonsense("an answer to what nobody asked".to_owned())),
        }
    }
}
