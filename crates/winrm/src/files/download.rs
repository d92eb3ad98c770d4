//! From the host.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use openssl::sha::Sha256;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use winrm_proto::copy::{Answer, Entry, EntryKind, FailureCode, Request};

use super::agent::{Agent, Lost};
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::fetch::{Desk, MakeStore, Queue, Wanted, fetch_files};
use super::filter::{Filter, Pattern, is_pattern};
use super::host::{Stop, conclude, finish_others, join_streams, list, refuse, resolve, start_others};
use super::host_path::HostPaths;
use super::local::{self, Local, blocking};
use super::options::{Options, option_methods};
use super::place::is_earlier_copy;
use super::rate::Limiter;
use super::store::{Inflate, Store};
use super::tree::{self, Tree};
use super::{PART, certutil, hash, part_name, time};
use crate::client::Client;
use crate::error::Error;

/// Describes a copy from a host, and carries it out when it is awaited.
///
/// Nothing is written outside the target, whatever the host calls its files; no more of a file is taken than the host has
/// announced. As with [`Upload`](crate::Upload), what is cut leaves the old file and a part, and only what differs is fetched.
#[must_use = "nothing is copied until it is awaited"]
pub struct Download {
    client: Client,
    sources: Vec<String>,
    target: Target,
    options: Options,
}

pub(super) enum Target {
    Path(PathBuf),
    Writer(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Download {
    pub(crate) fn new(client: Client, source: String, target: PathBuf) -> Self {
        Self {
            client,
            sources: vec![source],
            target: Target::Path(target),
            options: Options::default(),
        }
    }

    pub(crate) fn to_writer(client: Client, source: String, writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self {
            client,
            sources: vec![source],
            target: Target::Writer(writer),
            options: Options::default(),
        }
    }

    /// Adds a source. With several, the target is a folder.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.sources.push(source.into());
        self
    }

    option_methods!();

    async fn run(self) -> Result<CopySummary, Error> {
        let options = Arc::new(self.options);
        let started = Agent::start(&self.client, &options.engine, |note| options.tell(CopyEvent::Note(note))).await;
        let mut agent = match started {
            Err(refused) if certutil::may_help(&refused, &options) => {
                return certutil::download(&self.client, options, &self.sources, self.target, refused).await;
            }
            started => started?,
        };
        let mut run = Run {
            options: Arc::clone(&options),
            paths: agent.paths,
            summary: CopySummary::default(),
            next: 0,
        };
        let outcome = match self.target {
            Target::Path(target) => run.copy(&self.client, &mut agent, &self.sources, &target).await,
            Target::Writer(writer) => run.copy_to_writer(&mut agent, &self.sources[0], writer).await,
        };
        conclude(agent, outcome, &options.engine).await?;
        Ok(run.summary)
    }
}

impl IntoFuture for Download {
    type Output = Result<CopySummary, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// One download.
struct Run {
    options: Arc<Options>,
    paths: HostPaths,
    summary: CopySummary,
    next: u32,
}

/// Something on the host.
struct Found {
    /// The full path.
    path: String,
    /// The last name of it.
    name: String,
    entry: Entry,
}

/// What is to be done below the target folder.
struct Plan {
    root: PathBuf,
    /// Whether the root has to be made.
    make_root: bool,
    folders: Vec<(String, i64)>,
    files: Vec<(Wanted, FileReport)>,
    /// Files of the same size, whose hashes decide.
    compare: Vec<usize>,
    remove: Vec<(String, bool, u64)>,
}

impl Run {
    fn finished(&mut self, report: FileReport) {
        self.summary.count(&report);
        self.options.tell(CopyEvent::Finished { index: None, report });
    }

    fn failed(&mut self, source: &str, target: &str, error: FileError) {
        self.finished(FileReport::new(source, target, 0, FileOutcome::Failed(error)));
    }

    async fn copy(&mut self, client: &Client, agent: &mut Agent, sources: &[String], target: &Path) -> Result<(), Stop> {
        let mut found = Vec::new();
        for source in sources {
            if let Err(error) = self.expand(agent, source, &mut found).await? {
                self.failed(source, &target.display().to_string(), error);
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let several = found.len() > 1 || sources.len() > 1;
        let mut plan = self.plan(agent, found, target, several).await?;
        if self.options.checksum {
            self.compare_hashes(agent, &mut plan).await?;
        }
        let (files, bytes) = (plan.files.len() as u64, plan.files.iter().map(|(_, report)| report.size).sum());
        self.options.tell(CopyEvent::Planned { files, bytes });
        if self.options.dry_run {
            for (_, report) in std::mem::take(&mut plan.files) {
                self.finished(report);
            }
            for (below, _, size) in plan.remove {
                let shown = plan.root.join(below).display().to_string();
                self.finished(FileReport::new("", shown, size, FileOutcome::Removed));
            }
            return Ok(());
        }
        self.carry_out(client, agent, plan).await
    }

    /// What a source means on the host.
    async fn expand(&mut self, agent: &mut Agent, source: &str, found: &mut Vec<Found>) -> Result<Result<(), FileError>, Stop> {
        let paths = self.paths;
        if let Some(reason) = paths.refuses(source) {
            return Ok(Err(FileError::new(FailureCode::Other, reason)));
        }
        let whole = |path: String, entry: Entry| {
            let name = paths.last(&path).to_owned();
            Found { path, name, entry }
        };
        let literal = !is_pattern(source) || !paths.is_windows();
        if literal {
            let (path, entry) = resolve(agent, paths.trimmed(source)).await?;
            match entry.kind {
                EntryKind::Absent if is_pattern(source) => {}
                EntryKind::Absent => return Ok(Err(FileError::of_host(FailureCode::NotFound, &path))),
                _ => {
                    found.push(whole(path, entry));
                    return Ok(Ok(()));
                }
            }
        }
        // The folder before the first wildcard, and then name by name.
        let is_separator = |c: char| c == '/' || paths.is_windows() && c == '\\';
        let wild = source.find(['*', '?', '[']).unwrap_or(source.len());
        let split = source[..wild].rfind(is_separator).map_or(0, |at| at + 1);
        let (base, rest) = source.split_at(split);
        let base = if base.is_empty() { "." } else { base };
        let (base, _) = resolve(agent, base).await?;
        let mut folders = vec![base];
        let names: Vec<&str> = rest.split(is_separator).filter(|name| !name.is_empty()).collect();
        let mut matched = Vec::new();
        for (depth, name) in names.iter().enumerate() {
            let pattern = match Pattern::new(name) {
                Ok(pattern) => pattern.folded(paths.is_windows()),
                Err(error) => return Ok(Err(FileError::new(FailureCode::Other, error.to_string()))),
            };
            let last = depth + 1 == names.len();
            let mut next = Vec::new();
            for folder in folders {
                let Ok(entries) = list(agent, &folder, false).await? else {
                    continue;
                };
                for entry in entries {
                    let hidden = entry.name.starts_with('.') && !name.starts_with('.') && !paths.is_windows();
                    if hidden || tree::refuses(&entry.name).is_some() || !pattern.matches(&entry.name) {
                        continue;
                    }
                    let path = paths.join(&folder, &entry.name);
                    if last && !entry.name.ends_with(PART) {
                        matched.push(whole(path, entry));
                    } else if entry.kind == EntryKind::Folder {
                        next.push(path);
                    }
                }
            }
            folders = next;
        }
        if matched.is_empty() {
            return Ok(Err(FileError::new(FailureCode::NotFound, "nothing on the host matches it")));
        }
        matched.sort_by(|a, b| a.path.cmp(&b.path));
        found.extend(matched);
        Ok(Ok(()))
    }

    /// Decides where everything goes, and what has to be fetched.
    async fn plan(&mut self, agent: &mut Agent, found: Vec<Found>, target: &Path, several: bool) -> Result<Plan, Stop> {
        let text = target.as_os_str().to_string_lossy();
        let as_folder = several
            || text.ends_with('/')
            || matches!(
                target.components().next_back(),
                Some(std::path::Component::CurDir | std::path::Component::ParentDir)
            )
            || text.is_empty();
        let target = if text.is_empty() { Path::new(".") } else { target };
        let there = std::fs::metadata(target).ok();
        let is_folder = there.as_ref().is_some_and(std::fs::Metadata::is_dir);
        let shown = target.display();
        let into = match &there {
            Some(_) if !is_folder && (as_folder || found[0].entry.kind != EntryKind::File) => {
                let error = refuse(format!("{shown} is a file here, and a folder is meant"));
                return Err(Stop::Refused(
                    error.with_hint("with several sources, or a folder, DEST is a folder"),
                ));
            }
            None if as_folder && !self.options.make_folders => {
                return Err(Stop::Refused(
                    refuse(format!("there is no folder {shown} here")).with_hint("--mkdir makes it"),
                ));
            }
            _ if as_folder => true,
            Some(_) if is_folder => !(found[0].entry.kind == EntryKind::Folder && self.repeats(agent, &found[0], target).await?),
            _ => false,
        };
        let file_alone = !into && found[0].entry.kind != EntryKind::Folder;
        let (root, alone) = if file_alone {
            let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            (target.parent().unwrap_or(Path::new("")).to_owned(), Some(name))
        } else {
            (target.to_owned(), None)
        };
        if !root.as_os_str().is_empty() && !root.is_dir() && !self.options.make_folders {
            let parent_is_there = root.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir());
            if file_alone || !parent_is_there {
                let missing = if file_alone {
                    root.display()
                } else {
                    root.parent().unwrap_or(&root).display()
                };
                let error = refuse(format!("there is no folder {missing} here"));
                return Err(Stop::Refused(error.with_hint("--mkdir makes it")));
            }
        }
        let mut plan = Plan {
            make_root: !root.as_os_str().is_empty() && !root.is_dir(),
            root,
            folders: Vec::new(),
            files: Vec::new(),
            compare: Vec::new(),
            remove: Vec::new(),
        };
        for found in found {
            let below = match &alone {
                Some(name) => name.clone(),
                None if into => found.name.clone(),
                None => String::new(),
            };
            if let Some(reason) = tree::refuses(&below).filter(|_| !below.is_empty()) {
                let error = FileError::new(FailureCode::Other, format!("its name can't be used here: {reason}"));
                self.failed(&found.path, &below, error);
                continue;
            }
            match found.entry.kind {
                EntryKind::Folder | EntryKind::FolderLink => self.plan_folder(agent, &found, below, &mut plan).await?,
                _ => {
                    let path = plan.root.join(&below);
                    let here = blocking(move || {
                        let metadata = std::fs::metadata(&path)?;
                        Ok(Local::new(path, String::new(), &metadata))
                    });
                    let here = here.await.ok();
                    self.plan_file(found.path, below, &found.entry, here.as_ref(), &mut plan);
                }
            }
        }
        Ok(plan)
    }

    async fn repeats(&mut self, agent: &mut Agent, found: &Found, target: &Path) -> Result<bool, Stop> {
        let Ok(entries) = list(agent, &found.path, false).await? else {
            return Ok(false);
        };
        let theirs: HashSet<_> = entries
            .into_iter()
            .map(|entry| (entry.name, matches!(entry.kind, EntryKind::Folder | EntryKind::FolderLink)))
            .collect();
        let Ok(here) = std::fs::read_dir(target) else { return Ok(false) };
        let ours: HashSet<_> = here
            .flatten()
            .filter_map(|entry| {
                let folder = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
                Some((entry.file_name().into_string().ok()?, folder))
            })
            .filter(|(name, _)| !name.ends_with(PART))
            .collect();
        Ok(is_earlier_copy(&found.name, &theirs, &ours, self.options.delete))
    }

    async fn plan_folder(&mut self, agent: &mut Agent, found: &Found, below: String, plan: &mut Plan) -> Result<(), Stop> {
        let target = plan.root.join(&below);
        let shown = target.display().to_string();
        let mut entries = match list(agent, &found.path, true).await? {
            Ok(entries) => entries,
            Err(error) => {
                self.failed(&found.path, &shown, error);
                return Ok(());
            }
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let walked = target.clone();
        let existing = blocking(move || local::walk(&walked, &Filter::default())).await.unwrap_or_default();
        let mut existing: HashMap<String, Local> = existing.into_iter().map(|local| (local.below.clone(), local)).collect();
        let join = |name: &str| {
            if below.is_empty() {
                name.to_owned()
            } else {
                format!("{below}/{name}")
            }
        };
        if !below.is_empty() {
            plan.folders.push((below.clone(), found.entry.modified));
        }
        let filter = self.options.filter.clone();
        let mut complete = true;
        for entry in entries {
            let is_file = matches!(entry.kind, EntryKind::File | EntryKind::DeadLink);
            if let Some(reason) = entry.name.split('/').find_map(tree::refuses) {
                let name: String = entry.name.chars().filter(|c| !c.is_control()).take(200).collect();
                let error = FileError::new(
                    FailureCode::Other,
                    format!("the host calls a file {name:?}, which is refused: {reason}"),
                );
                self.failed(&found.path, &shown, error);
                continue;
            }
            let here = existing.remove(&entry.name);
            existing.remove(&match entry.name.rsplit_once('/') {
                Some((folder, name)) => format!("{folder}/{}", part_name(name)),
                None => part_name(&entry.name),
            });
            if filter.skips(&entry.name, is_file) || is_file && entry.name.ends_with(PART) {
                continue;
            }
            let path = self.paths.join(&found.path, &entry.name);
            let whole = join(&entry.name);
            let left_out = |reason| FileReport::new(&path, plan.root.join(&whole).display().to_string(), 0, FileOutcome::LeftOut(reason));
            match entry.kind {
                EntryKind::Folder => plan.folders.push((whole, entry.modified)),
                EntryKind::File => self.plan_file(path, whole, &entry, here.as_ref(), plan),
                EntryKind::FolderLink => self.finished(left_out("it is a link to a folder")),
                EntryKind::DeadLink => self.finished(left_out("it is a link that leads nowhere")),
                EntryKind::Unreadable | EntryKind::Absent => {
                    complete = false;
                    let shown = plan.root.join(&whole).display().to_string();
                    self.failed(&path, &shown, FileError::of_host(FailureCode::Denied, "the folder can't be read"));
                }
            }
        }
        if self.options.delete && complete {
            let suffix = self.options.backup.clone();
            let mut gone: Vec<Local> = existing
                .into_values()
                .filter(|local| {
                    let kept = suffix.as_ref().is_some_and(|suffix| local.below.ends_with(suffix));
                    !kept && !filter.skips(&local.below, !local.is_folder())
                })
                .collect();
            gone.sort_by(|a, b| b.below.cmp(&a.below));
            plan.remove
                .extend(gone.into_iter().map(|local| (join(&local.below), local.is_folder(), local.size)));
        }
        Ok(())
    }

    fn plan_file(&mut self, remote: String, below: String, there: &Entry, here: Option<&Local>, plan: &mut Plan) {
        let shown = plan.root.join(&below).display().to_string();
        let same_size = here.is_some_and(|here| here.is_file() && here.size == there.size);
        let report = FileReport::new(&remote, &shown, there.size, FileOutcome::Copied);
        if same_size && self.options.checksum {
            plan.compare.push(plan.files.len());
        } else if same_size && here.is_some_and(|here| time::same(here.modified, there.modified)) {
            self.finished(FileReport::new(remote, shown, there.size, FileOutcome::Unchanged));
            return;
        }
        let wanted = Wanted {
            index: self.next,
            remote,
            below,
            prefix: None,
        };
        self.next += 1;
        plan.files.push((wanted, report));
    }

    /// Takes out of the plan what has the same hash on both sides.
    async fn compare_hashes(&mut self, agent: &mut Agent, plan: &mut Plan) -> Result<(), Stop> {
        let requests: Vec<Request> = plan
            .compare
            .iter()
            .enumerate()
            .map(|(id, &number)| Request::Hash {
                id: id as u32,
                path: plan.files[number].0.remote.clone(),
                length: i64::MAX as u64,
            })
            .collect();
        let local: Vec<PathBuf> = plan
            .compare
            .iter()
            .map(|&number| plan.root.join(&plan.files[number].0.below))
            .collect();
        let mut theirs: HashMap<usize, [u8; 32]> = HashMap::new();
        let exchange = agent.exchange(&requests, |id, answer| {
            if let Answer::Hash { sha256, .. } = answer {
                theirs.insert(id as usize, sha256);
            }
        });
        let ours = blocking(move || {
            Ok(local
                .iter()
                .map(|path| {
                    let hashed = std::fs::File::open(path).and_then(|mut file| hash::prefix(&mut file, u64::MAX));
                    hashed.ok().map(|(hash, _)| hash.finish())
                })
                .collect::<Vec<_>>())
        });
        let (exchanged, ours) = tokio::join!(exchange, ours);
        exchanged?;
        let ours = ours.unwrap_or_default();
        let same: HashMap<usize, [u8; 32]> = plan
            .compare
            .iter()
            .enumerate()
            .filter_map(|(id, &number)| {
                let ours = (*ours.get(id)?)?;
                (theirs.get(&id) == Some(&ours)).then_some((number, ours))
            })
            .collect();
        let files = std::mem::take(&mut plan.files);
        for (number, (wanted, mut report)) in files.into_iter().enumerate() {
            match same.get(&number) {
                None => plan.files.push((wanted, report)),
                Some(sha256) => {
                    report.outcome = FileOutcome::Unchanged;
                    report.sha256 = Some(*sha256);
                    self.finished(report);
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, client: &Client, agent: &mut Agent, plan: Plan) -> Result<(), Stop> {
        let Plan {
            root,
            make_root,
            folders,
            files,
            remove,
            ..
        } = plan;
        let opened = {
            let (root, folders) = (root.clone(), folders.clone());
            blocking(move || {
                let mut tree = Tree::open(&root, make_root)?;
                let mut failures = Vec::new();
                for (below, _) in folders {
                    if let Err(error) = tree.folder(&below, true) {
                        failures.push((tree.shown(&below), FileError::local(&error)));
                    }
                }
                let mut kept = Vec::with_capacity(files.len());
                for (mut wanted, report) in files {
                    wanted.prefix = held(&mut tree, &wanted.below, report.size);
                    kept.push((wanted, report));
                }
                Ok((kept, failures))
            })
            .await
        };
        let (files, failures) =
            opened.map_err(|error| Stop::Refused(refuse(format!("{} can't be written to", root.display())).with_source(error)))?;
        for (path, error) in failures {
            self.failed("", &path, error);
        }
        self.fetch(client, agent, &root, files).await?;
        let preserve = self.options.preserve;
        let rest = blocking(move || {
            let mut tree = Tree::open(&root, false)?;
            let mut reports = Vec::new();
            for (below, is_folder, size) in remove {
                let outcome = match tree.remove(&below, is_folder) {
                    Ok(()) => FileOutcome::Removed,
                    Err(error) => FileOutcome::Failed(FileError::local(&error)),
                };
                reports.push(FileReport::new("", tree.shown(&below), size, outcome));
            }
            if preserve {
                for (below, modified) in folders.iter().rev() {
                    // A folder without its time is still a copy.
                    let _ = tree.set_folder_time(below, *modified);
                }
            }
            Ok(reports)
        });
        for report in rest.await.unwrap_or_default() {
            self.finished(report);
        }
        Ok(())
    }

    async fn fetch(&mut self, client: &Client, agent: &mut Agent, root: &Path, files: Vec<(Wanted, FileReport)>) -> Result<(), Stop> {
        let streams = self.options.streams.min(files.len());
        if streams == 0 {
            return Ok(());
        }
        let (wanted, reports): (VecDeque<_>, HashMap<_, _>) = files
            .into_iter()
            .map(|(wanted, report)| {
                let index = wanted.index;
                (wanted, (index, report))
            })
            .unzip();
        let desk = Desk::new(reports, Arc::clone(&self.options), self.summary);
        let queue: Queue = Arc::new(Mutex::new(wanted));
        let limiter = Limiter::new(self.options.limit_rate);
        let mut stores = Vec::new();
        for _ in 0..streams {
            let tree = Tree::open(root, false)
                .map_err(|error| Stop::Refused(refuse(format!("{} can't be written to", root.display())).with_source(error)))?;
            let options = Arc::clone(&self.options);
            let make: MakeStore = Box::new(move |orders, results| Store {
                tree,
                make_folders: true,
                preserve: options.preserve,
                backup: options.backup.clone(),
                orders,
                results,
            });
            stores.push(make);
        }
        let mut others = start_others(client, &self.options.engine, streams).await?;
        let fetches = std::iter::once(&mut *agent)
            .chain(&mut others)
            .zip(stores)
            .map(|(agent, make)| fetch_files(agent, Arc::clone(&queue), &desk, &limiter, make));
        let outcome = join_streams(fetches).await;
        finish_others(others).await;
        self.summary = desk.summary();
        outcome
    }

    /// Gives a file's bytes to a writer.
    async fn copy_to_writer(
        &mut self,
        agent: &mut Agent,
        source: &str,
        mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> Result<(), Stop> {
        let mut found = Vec::new();
        if let Err(error) = self.expand(agent, source, &mut found).await? {
            self.failed(source, "-", error);
            return Ok(());
        }
        for found in found {
            let request = Request::Fetch {
                id: 0,
                path: found.path.clone(),
                offset: 0,
                known: [0; 32],
                pack: self.options.compress,
            };
            agent.input.send(request.write()).await?;
            let limiter = Limiter::new(self.options.limit_rate);
            let mut report = FileReport::new(&found.path, "-", 0, FileOutcome::Copied);
            let (mut whole, mut inflate, mut left) = (Sha256::new(), Inflate::default(), 0_u64);
            loop {
                let failure = match agent.answers.next().await? {
                    Answer::File { size, .. } => {
                        (report.size, left) = (size, size);
                        self.options.tell(CopyEvent::Started {
                            index: self.next,
                            name: found.path.clone(),
                            size: Some(size),
                            offset: 0,
                        });
                        continue;
                    }
                    Answer::Data(data) => {
                        limiter.pass(data.len()).await;
                        pass_on(&mut writer, &data, &mut whole, &mut left).await
                    }
                    Answer::Packed { size, data } => {
                        limiter.pass(data.len()).await;
                        match inflate.block(&data, size) {
                            Ok(data) => pass_on(&mut writer, data, &mut whole, &mut left).await,
                            Err(error) => Err(error),
                        }
                    }
                    Answer::FileEnd { sha256, .. } => {
                        let hash = std::mem::take(&mut whole).finish();
                        if hash != sha256 || left != 0 {
                            Err(FileError::of_host(FailureCode::Damaged, ""))
                        } else {
                            report.sha256 = Some(hash);
                            break;
                        }
                    }
                    Answer::Failed { code, message, .. } => Err(FileError::of_host(code, &message)),
                    _ => return Err(Lost::Nonsense("an answer to what nobody asked".to_owned()).into()),
                };
                match failure {
                    Ok(bytes) => self.options.tell(CopyEvent::Advanced { index: self.next, bytes }),
                    Err(error) => {
                        // What is on its way already, nobody takes.
                        agent.input.send(Request::Cancel { id: 0 }.write()).await?;
                        report.outcome = FileOutcome::Failed(error);
                        self.summary.count(&report);
                        self.options.tell(CopyEvent::Finished {
                            index: Some(self.next),
                            report,
                        });
                        return Ok(());
                    }
                }
            }
            self.summary.count(&report);
            self.options.tell(CopyEvent::Finished {
                index: Some(self.next),
                report,
            });
            self.next += 1;
        }
        if let Err(error) = writer.flush().await {
            self.failed(source, "-", FileError::local(&error));
        }
        Ok(())
    }
}

async fn pass_on(writer: &mut (dyn AsyncWrite + Send + Unpin), data: &[u8], whole: &mut Sha256, left: &mut u64) -> Result<u64, FileError> {
    let count = data.len() as u64;
    *left = left
        .checked_sub(count)
        .ok_or_else(|| FileError::new(FailureCode::Damaged, "the host sends more than it has announced"))?;
    whole.update(data);
    writer.write_all(data).await.map_err(|error| FileError::local(&error))?;
    Ok(count)
}

/// How much of a file is here from an earlier try, and the hash of that.
fn held(tree: &mut Tree, below: &str, size: u64) -> Option<(u64, Sha256)> {
    let (folder, name) = tree.place(below, false).ok()?;
    let mut part = tree::open_part(&folder, &part_name(name), false).ok()?;
    let length = part.metadata().ok()?.len().min(size);
    if length == 0 {
        return None;
    }
    let (hash, done) = hash::prefix(&mut part, length).ok()?;
    (done == length).then_some((length, hash))
}
