//! What is to be done, decided from what is on both sides.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use winrm_proto::copy::{Answer, Begin, Entry, EntryKind, FailureCode, Request};

use super::Run;
use crate::files::agent::Agent;
use crate::files::event::{FileError, FileOutcome, FileReport};
use crate::files::host::{Stop, absent, list, refuse, resolve, resolve_all};
use crate::files::local::{self, Local, LocalKind, blocking};
use crate::files::place::is_earlier_copy;
use crate::files::pump::Job;
use crate::files::{PART, hash, part_name, time};

/// A source and where it goes.
pub(super) struct Placed {
    pub(super) source: Local,
    pub(super) target: String,
    /// What is there.
    pub(super) there: Entry,
}

/// A file to send, before it is known how much of it is there already.
pub(super) struct Planned {
    pub(super) job: Job,
    /// How many bytes its part has.
    pub(super) part: u64,
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) folders: Vec<String>,
    pub(super) files: Vec<Planned>,
    /// Numbers of files of the same size, whose hashes decide.
    pub(super) compare: Vec<usize>,
    pub(super) remove: Vec<(String, u64)>,
    pub(super) times: Vec<(String, i64)>,
    /// Whether the folders were listed, and with them all parts.
    pub(super) listed: bool,
}

impl Run {
    /// The sources that are there; of the others it is said that they aren't.
    pub(super) async fn sources(&mut self, sources: &[PathBuf], target: &str) -> Vec<Local> {
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
    pub(super) async fn place(&mut self, agent: &mut Agent, sources: Vec<Local>, target: &str) -> Result<Vec<Placed>, Stop> {
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
    pub(super) async fn repeats(&mut self, agent: &mut Agent, source: &Local, target: &str) -> Result<bool, Stop> {
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

    pub(super) async fn plan_folder(&mut self, agent: &mut Agent, placed: Placed, plan: &mut Plan) -> Result<(), Stop> {
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
    pub(super) fn plan_removal(&mut self, target: &str, existing: HashMap<String, Entry>, plan: &mut Plan) {
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
    pub(super) fn plan_file(&mut self, local: Local, target: String, there: &Entry, plan: &mut Plan) {
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
    pub(super) async fn find_parts(&mut self, agent: &mut Agent, plan: &mut Plan) -> Result<(), Stop> {
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
    pub(super) async fn compare_hashes(&mut self, agent: &mut Agent, plan: &mut Plan) -> Result<(), Stop> {
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

    pub(super) fn pretend(&mut self, plan: Plan) -> Result<(), Stop> {
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
