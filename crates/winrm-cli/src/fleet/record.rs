//! Records of runs: a line of JSON about the run, one for each host, and one at the end.
//!
//! The last runs are kept in `$XDG_STATE_HOME/winrm/runs` (`~/.local/state/winrm/runs`), for `--rerun`; nobody else may read them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::entry::Entry;
use super::summary::Summary;
use crate::failure::Failure;

/// How many records are kept.
const KEPT: usize = 20;

/// The first line of a record.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// `run` or `ping`.
    pub(super) verb: &'static str,
    /// The command, as it was given.
    pub(super) command: Vec<String>,
    pub(super) target: String,
    pub(super) shard: Option<String>,
    /// The hosts that are to be worked on, with their places among all that the pattern names.
    pub(super) hosts: Vec<(usize, String)>,
}

/// A record that is being written.
pub(super) struct Record {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Record {
    /// Begins a record in this file, or among those of the last runs.
    pub(super) fn begin(file: Option<&Path>, header: &Header) -> io::Result<Self> {
        let started = SystemTime::now();
        let path = match file {
            Some(file) => file.to_owned(),
            None => next_file(started)?,
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut record = Self {
            file: BufWriter::new(options.open(&path)?),
            path,
        };
        let line = json!({
            "winrm_record": 1,
            "verb": header.verb,
            "command": header.command,
            "target": header.target,
            "shard": header.shard,
            "started": humantime::format_rfc3339_millis(started).to_string(),
            "hosts": header.hosts,
        });
        writeln!(record.file, "{line}")?;
        record.file.flush()?;
        Ok(record)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn host(&mut self, entry: &Entry) -> io::Result<()> {
        entry.write_json(&mut self.file)?;
        self.file.write_all(b"\n")?;
        // Complete as far as it goes, whatever becomes of this process.
        self.file.flush()
    }

    pub(super) fn end(mut self, summary: &Summary) -> io::Result<()> {
        writeln!(self.file, "{}", json!({ "summary": summary.to_json() }))?;
        self.file.flush()
    }
}

/// The folder of the last runs' records.
fn folder() -> io::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME names a folder"))?;
    Ok(state.join("winrm").join("runs"))
}

fn next_file(now: SystemTime) -> io::Result<PathBuf> {
    let folder = folder()?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    let mut old = records(&folder)?;
    old.truncate(old.len().saturating_sub(KEPT - 1));
    for file in old {
        // Another run may have removed it.
        let _ = fs::remove_file(file);
    }
    // Names sort by time.
    let name = humantime::format_rfc3339_micros(now).to_string().replace(':', "");
    Ok(folder.join(format!("{name}-{}.jsonl", std::process::id())))
}

/// The records of a folder, the oldest first.
fn records(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// The record of the last run.
pub(super) fn last() -> Result<PathBuf, Failure> {
    let none = || Failure::configuration("there is no record of a last run").hint("--rerun needs a run of several hosts before it");
    let folder = folder().map_err(|error| none().because(error))?;
    let mut files = records(&folder).map_err(|error| {
        let failure = none();
        if error.kind() == io::ErrorKind::NotFound {
            failure
        } else {
            failure.because(error)
        }
    })?;
    files.pop().ok_or_else(none)
}

/// What records say, joined.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The last that was said of each host, in the hosts' order.
    pub(super) entries: Vec<Entry>,
    /// What is wrong with the records.
    pub(super) complaints: Vec<String>,
    /// What the runs did.
    pub(super) title: Option<String>,
    by_host: HashMap<String, usize>,
    planned: Vec<(usize, String)>,
    shards: Vec<(u64, u64)>,
}

impl Records {
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut records = Self::default();
        for file in files {
            records.read_one(file)?;
        }
        records.complete();
        Ok(records)
    }

    /// From the first host's begin to the last one's end.
    pub(super) fn elapsed(&self) -> Duration {
        let begun = self.entries.iter().filter_map(|entry| entry.started).min();
        let ended = self.entries.iter().filter_map(|entry| Some(entry.started? + entry.duration)).max();
        match (begun, ended) {
            (Some(begun), Some(ended)) => ended.duration_since(begun).unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    fn read_one(&mut self, path: &Path) -> Result<(), Failure> {
        let unreadable = |error: io::Error| Failure::configuration(format!("the record {} can't be read", path.display())).because(error);
        let mut source: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).map_err(unreadable)?))
        };
        let mut line = Vec::new();
        let mut number = 0_usize;
        let mut seen = HashMap::new();
        loop {
            line.clear();
            if source.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                return Ok(());
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let whole = line.ends_with(b"\n");
            let entry = match serde_json::from_slice::<Map<String, Value>>(&line) {
                Ok(object) => self.line(object),
                // What a run wrote when it was killed.
                Err(_) if !whole => {
                    self.complaints.push(format!(
                        "{}:{number}: the line is cut off: the run did not get to its end",
                        path.display()
                    ));
                    continue;
                }
                Err(error) => Err(error.to_string()),
            };
            let entry = entry.map_err(|error| {
                Failure::configuration(format!("{}:{number} is no line of a record: {error}", path.display()))
                    .hint("records are written by --record FILE and --format jsonl")
            })?;
            if let Some(entry) = entry {
                if let Some(earlier) = seen.insert(entry.host.clone(), number) {
                    self.complaints.push(format!(
                        "{}:{number}: {} stands there a second time, after line {earlier}",
                        path.display(),
                        entry.host
                    ));
                }
                self.add(entry);
            }
        }
    }

    fn line(&mut self, object: Map<String, Value>) -> Result<Option<Entry>, String> {
        if object.contains_key("winrm_record") {
            let texts = |name: &str| -> Vec<&str> {
                let list = object.get(name).and_then(Value::as_array);
                list.into_iter().flatten().filter_map(Value::as_str).collect()
            };
            let command = texts("command").join(" ");
            let verb = object.get("verb").and_then(Value::as_str).unwrap_or_default();
            self.title = Some(if command.is_empty() { verb.to_owned() } else { command });
            if let Some(shard) = object
                .get("shard")
                .and_then(Value::as_str)
                .and_then(|shard| shard.parse::<winrm_fleet::Shard>().ok())
            {
                self.shards.push((shard.number(), shard.count()));
            }
            for pair in object.get("hosts").and_then(Value::as_array).into_iter().flatten() {
                if let (Some(index), Some(host)) = (pair.get(0).and_then(Value::as_u64), pair.get(1).and_then(Value::as_str)) {
                    self.planned.push((index as usize, host.to_owned()));
                }
            }
            return Ok(None);
        }
        if object.contains_key("summary") {
            return Ok(None);
        }
        Entry::from_json(object).map(Some)
    }

    fn add(&mut self, entry: Entry) {
        match self.by_host.get(&entry.host) {
            Some(at) => self.entries[*at] = entry,
            None => {
                self.by_host.insert(entry.host.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// Adds the hosts that were to be worked on and of which nothing is said.
    fn complete(&mut self) {
        let planned = std::mem::take(&mut self.planned);
        let mut missing = 0;
        for (index, host) in planned {
            if !self.by_host.contains_key(&host) {
                missing += 1;
                self.add(Entry::missing(host, index));
            }
        }
        if missing > 0 {
            self.complaints
                .push(format!("of {missing} hosts that were to be worked on, the records say nothing"));
        }
        if let Some((_, count)) = self.shards.first().copied() {
            if self.shards.iter().any(|(_, other)| *other != count) {
                self.complaints
                    .push("the records are of splits into different numbers of shards".to_owned());
            } else {
                let absent: Vec<String> = (1..=count)
                    .filter(|number| !self.shards.contains(&(*number, count)))
                    .take(10)
                    .map(|number| format!("{number}/{count}"))
                    .collect();
                if !absent.is_empty() {
                    self.complaints.push(format!("there is no record of shard {}", absent.join(", ")));
                }
            }
        }
        self.entries.sort_by(|a, b| (a.index, &a.host).cmp(&(b.index, &b.host)));
    }
}
