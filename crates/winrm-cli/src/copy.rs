//! `winrm put` and `winrm get`.

use std::fmt::Display;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use winrm::{Client, CopyEvent, CopySummary, FileOutcome, FileReport};
use winrm_fleet::{Host, Trouble};

use crate::args::{ConnectionArguments, CopyArguments, Format, GetArguments, PutArguments};
use crate::bars::{Bars, HostBars, human};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::fleet::Hosts;
use crate::printer;
use crate::signals::Signals;

/// Gives a copy in either direction its options.
macro_rules! configure {
    ($copy:expr, $arguments:expr, $watch:expr) => {{
        let arguments: &CopyArguments = &$arguments;
        let mut copy = $copy
            .make_folders(arguments.mkdir)
            .checksum(arguments.checksum)
            .compress(!arguments.no_compress)
            .delete(arguments.delete)
            .dry_run(arguments.dry_run)
            .preserve(arguments.preserve)
            .streams(arguments.streams.into())
            .engine(&arguments.engine);
        if arguments.backup {
            copy = copy.backup(backup_suffix(SystemTime::now()));
        }
        if let Some(rate) = arguments.limit_rate {
            copy = copy.limit_rate(rate);
        }
        let wrong = |error| Failure::configuration("a pattern can't be read").because(error);
        for pattern in &arguments.include {
            copy = copy.include(pattern).map_err(wrong)?;
        }
        for pattern in &arguments.exclude {
            copy = copy.exclude(pattern).map_err(wrong)?;
        }
        let watch: Arc<Watch> = $watch;
        copy.on_event(move |event| watch.see(event))
    }};
}

pub(crate) async fn put(arguments: PutArguments) -> Result<ExitCode, Failure> {
    let PutArguments {
        inventory,
        connection,
        copy,
        target,
        paths,
    } = arguments;
    let (sources, dest) = apart(paths);
    let dest = text(dest)?;
    let stdin = sources.iter().any(|source| source.as_os_str() == "-");
    if stdin && sources.len() > 1 {
        return Err(Failure::configuration(
            "- is standard input, and can't be copied beside other sources",
        ));
    }
    let options = copy.clone();
    let begin = move |client: &Client, _: Option<&str>, watch: Arc<Watch>| {
        let mut sources = sources.iter();
        let first = sources.next().cloned().unwrap_or_default();
        let upload = if stdin {
            client.upload_from(tokio::io::stdin(), &dest)
        } else {
            sources.fold(client.upload(first, &dest), winrm::Upload::source)
        };
        Ok(configure!(upload, options, watch).into_future())
    };
    if Hosts::are_meant(&target, &inventory) {
        if stdin {
            return Err(Failure::configuration("standard input can be read once, and not for many hosts").hint("put it into a file"));
        }
        return many(&Hosts::named(&target, &inventory, &connection)?, &copy, begin).await;
    }
    run(&target, &connection, &copy, false, begin).await
}

pub(crate) async fn get(arguments: GetArguments) -> Result<ExitCode, Failure> {
    let GetArguments {
        inventory,
        connection,
        copy,
        target,
        paths,
    } = arguments;
    let (sources, dest) = apart(paths);
    let sources = sources.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let stdout = dest.as_os_str() == "-";
    if stdout && sources.len() > 1 {
        return Err(Failure::configuration("- is standard output, and takes one file"));
    }
    let options = copy.clone();
    let begin = move |client: &Client, host: Option<&str>, watch: Arc<Watch>| {
        let mut sources = sources.iter();
        let first = sources.next().cloned().unwrap_or_default();
        let mut options = options.clone();
        let dest = match host {
            None => dest.clone(),
            Some(host) => {
                options.mkdir = true;
                // With a separator: what comes goes into it.
                dest.join(host_folder(host)).join("")
            }
        };
        let download = if stdout {
            client.download_to(first, tokio::io::stdout())
        } else {
            sources.fold(client.download(first, dest), winrm::Download::source)
        };
        Ok(configure!(download, options, watch).into_future())
    };
    if Hosts::are_meant(&target, &inventory) {
        if stdout {
            return Err(Failure::configuration("standard output takes the file of one host").hint("name a folder"));
        }
        return many(&Hosts::named(&target, &inventory, &connection)?, &copy, begin).await;
    }
    run(&target, &connection, &copy, stdout, begin).await
}

/// A host's name as that of a folder.
fn host_folder(host: &str) -> String {
    let name: String = host.chars().map(|c| if matches!(c, '/' | '\\' | '\0') { '_' } else { c }).collect();
    if matches!(name.as_str(), "" | "." | "..") {
        "_".to_owned()
    } else {
        name
    }
}

type Copying = Pin<Box<dyn Future<Output = Result<CopySummary, winrm::Error>> + Send>>;

/// What came of one host among many.
enum Ended {
    /// There is no client of it.
    NotReached(Trouble),
    /// The arguments can't be used.
    NotBegun(Failure),
    Copied(Result<CopySummary, winrm::Error>),
}

/// Copies to or from many hosts, a number of them at once.
async fn many(
    hosts: &Hosts,
    copy: &CopyArguments,
    begin: impl Fn(&Client, Option<&str>, Arc<Watch>) -> Result<Copying, Failure> + Send + Sync + 'static,
) -> Result<ExitCode, Failure> {
    if hosts.all().is_empty() {
        printer::note("winrm: no hosts");
        return Ok(ExitCode::SUCCESS);
    }
    let begin = Arc::new(begin);
    let signals = Signals::new()?;
    let bars = HostBars::new(copy.format == Format::Text && !copy.dry_run, hosts.all().len());
    let (mut waiting, mut running) = (hosts.all().iter().enumerate(), tokio::task::JoinSet::new());
    let (mut ended, mut failed, mut unreachable) = (Vec::new(), 0, 0);
    loop {
        while running.len() < usize::from(copy.forks)
            && let Some((number, host)) = waiting.next()
        {
            let (host, begin) = (host.clone(), Arc::clone(&begin));
            let watch = Arc::new(Watch::of_host(copy, host.name(), bars.host(host.name())));
            running.spawn(async move {
                let ended = one_of_many(&host, &*begin, &watch).await;
                (number, host, watch, ended)
            });
        }
        let next = tokio::select! {
            next = running.join_next() => next,
            () = signals.interrupted() => {
                bars.clear();
                running.shutdown().await;
                return Ok(Status::Interrupted.into());
            }
            () = signals.terminated() => {
                bars.clear();
                running.shutdown().await;
                return Ok(Status::Terminated.into());
            }
        };
        let Some(next) = next else { break };
        let (number, host, watch, outcome) = next.map_err(|error| Failure::new(Status::Failed, "a copy has ended early").because(error))?;
        watch.clear();
        for warning in hosts.warnings() {
            printer::warning(&warning);
        }
        let outcome = match outcome {
            Ended::NotBegun(failure) => return Err(failure),
            Ended::NotReached(trouble) => {
                if copy.format == Format::Json {
                    ended.push((number, watch.document(host.name(), Err(&trouble))));
                }
                unreachable += 1;
                watch.say_failed(failure(&trouble));
                continue;
            }
            Ended::Copied(outcome) => outcome,
        };
        if copy.format == Format::Json {
            let told = outcome.as_ref().map_err(|error| error as &dyn Display);
            ended.push((number, watch.document(host.name(), told)));
        }
        match outcome {
            Ok(summary) => {
                failed += u64::from(summary.failed > 0);
                watch.say_summary(&summary);
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.is_unreachable() {
                    unreachable += 1;
                } else {
                    failed += 1;
                }
                watch.say_failed(failure);
            }
        }
    }
    bars.clear();
    if copy.format == Format::Json {
        ended.sort_by_key(|(number, _)| *number);
        let documents = ended.into_iter().map(|(_, document)| document).collect();
        printer::line(&serde_json::Value::Array(documents).to_string());
    } else {
        let all = hosts.all().len() as u64;
        printer::line(&format!(
            "{all} hosts: {} ok, {failed} failed, {unreachable} unreachable",
            all - failed - unreachable
        ));
    }
    Ok(match (unreachable, failed) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => Status::Failed.into(),
        _ => Status::Unreachable.into(),
    })
}

async fn one_of_many(
    host: &Host,
    begin: &(impl Fn(&Client, Option<&str>, Arc<Watch>) -> Result<Copying, Failure> + Sync),
    watch: &Arc<Watch>,
) -> Ended {
    let client = match host.connect().await {
        Ok(client) => client,
        Err(trouble) => return Ended::NotReached(trouble),
    };
    let copying = match begin(&client, Some(host.name()), Arc::clone(watch)) {
        Ok(copying) => copying,
        Err(failure) => return Ended::NotBegun(failure),
    };
    let outcome = copying.await;
    client.close().await;
    Ended::Copied(outcome)
}

fn failure(trouble: &Trouble) -> Failure {
    let failure = Failure::configuration(trouble.to_string());
    match trouble.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

async fn run(
    target: &str,
    connection: &ConnectionArguments,
    copy: &CopyArguments,
    stdout_taken: bool,
    begin: impl FnOnce(&Client, Option<&str>, Arc<Watch>) -> Result<Copying, Failure>,
) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    let connected = connection::client(target, connection, true).await?;
    let client = connected.client.clone();
    let watch = Arc::new(Watch::new(copy, stdout_taken));
    let copying = begin(&client, None, Arc::clone(&watch))?;
    let outcome = tokio::select! {
        outcome = copying => outcome,
        () = signals.interrupted() => {
            watch.clear();
            client.close().await;
            return Ok(Status::Interrupted.into());
        }
        () = signals.terminated() => {
            watch.clear();
            client.close().await;
            return Ok(Status::Terminated.into());
        }
    };
    watch.clear();
    client.close().await;
    watch.conclude(&client, outcome)
}

/// The last of the paths is the destination. The parser can't tell it from the others: behind `--` they may begin with a dash.
fn apart(mut paths: Vec<PathBuf>) -> (Vec<PathBuf>, PathBuf) {
    // There are two at least.
    let dest = paths.pop().unwrap_or_default();
    (paths, dest)
}

fn text(path: PathBuf) -> Result<String, Failure> {
    path.into_os_string()
        .into_string()
        .map_err(|path| Failure::configuration(format!("the host's path {} is not UTF-8", path.to_string_lossy())))
}

/// `.20260131-235959.bak`, in UTC.
fn backup_suffix(now: SystemTime) -> String {
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let digits = time.replace(['-', ':', 'Z'], "").replace('T', "-");
    format!(".{digits}.bak")
}

/// Follows a copy.
struct Watch {
    state: Mutex<State>,
    format: Format,
    dry_run: bool,
    stdout_taken: bool,
    begin: Instant,
    /// What lines begin with: a host's name, where there are many.
    prefix: String,
}

struct State {
    bars: Bars,
    files: Vec<serde_json::Value>,
    /// Hints that were given.
    hints: Vec<&'static str>,
}

impl Watch {
    fn of_host(copy: &CopyArguments, host: &str, bars: Bars) -> Self {
        let watch = Self::new(copy, false);
        watch.state().bars = bars;
        Self {
            prefix: format!("{host}: "),
            ..watch
        }
    }

    /// What came of one host among many.
    fn say_summary(&self, summary: &CopySummary) {
        if self.format == Format::Text {
            let text = format!("{}{}", self.prefix, self.sentence(summary, self.begin.elapsed().as_secs_f64()));
            self.state().bars.above(|| printer::line(&text));
        }
    }

    fn say_failed(&self, failure: Failure) {
        let state = self.state();
        // The status of all hosts together is worked out from their number.
        state.bars.above(|| {
            let _ = failure.about(&self.prefix).report();
        });
    }

    fn new(copy: &CopyArguments, stdout_taken: bool) -> Self {
        Self {
            prefix: String::new(),
            state: Mutex::new(State {
                bars: Bars::new(copy.format == Format::Text && !copy.dry_run),
                files: Vec::new(),
                hints: Vec::new(),
            }),
            format: copy.format,
            dry_run: copy.dry_run,
            stdout_taken,
            begin: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.state().bars.clear();
    }

    fn see(&self, event: CopyEvent) {
        let mut state = self.state();
        match event {
            CopyEvent::Planned { files, bytes } => state.bars.planned(files, bytes),
            CopyEvent::Started { index, name, size, offset } => {
                if offset > 0 {
                    let percent = size.filter(|size| *size > 0).map_or(0, |size| offset * 100 / size);
                    let text = format!("{}{name}: goes on at {} ({percent} %)", self.prefix, human(offset));
                    state.bars.above(|| printer::note(&text));
                }
                state.bars.started(index, &name, size, offset);
            }
            CopyEvent::Advanced { index, bytes } => state.bars.advanced(index, bytes),
            CopyEvent::Finished { index, report } => {
                if let Some(index) = index {
                    state.bars.finished(index);
                }
                self.report(&mut state, &report);
            }
            CopyEvent::Note(text) => tracing::info!("{text}"),
            CopyEvent::Fallback(text) => {
                let text = format!("{}{text}", self.prefix);
                state.bars.above(|| printer::note(&text));
            }
            _ => {}
        }
    }

    fn report(&self, state: &mut State, report: &FileReport) {
        let subject = if report.source.is_empty() { &report.target } else { &report.source };
        match &report.outcome {
            FileOutcome::Failed(error) => {
                let hint = error.hint().filter(|hint| !state.hints.contains(hint));
                state.hints.extend(hint);
                state
                    .bars
                    .above(|| printer::error(&format!("{}{subject}: {error}", self.prefix), hint));
            }
            FileOutcome::LeftOut(reason) => state
                .bars
                .above(|| printer::note(&format!("{}{subject}: left out, {reason}", self.prefix))),
            FileOutcome::Copied if self.dry_run && self.format == Format::Text => {
                printer::line(&format!("{}would copy {} -> {}", self.prefix, report.source, report.target));
            }
            FileOutcome::Removed if self.format == Format::Text => {
                let would = if self.dry_run { "would remove" } else { "removed" };
                let text = format!("{}{would} {}", self.prefix, report.target);
                state
                    .bars
                    .above(|| if self.dry_run { printer::line(&text) } else { printer::note(&text) });
            }
            _ => {}
        }
        if self.format == Format::Json {
            let (outcome, reason) = match &report.outcome {
                FileOutcome::Copied => ("copied", None),
                FileOutcome::Unchanged => ("unchanged", None),
                FileOutcome::Removed => ("removed", None),
                FileOutcome::LeftOut(reason) => ("left_out", Some((*reason).to_owned())),
                FileOutcome::Failed(error) => ("failed", Some(error.to_string())),
                _ => ("other", None),
            };
            state.files.push(serde_json::json!({
                "source": report.source,
                "target": report.target,
                "size": report.size,
                "outcome": outcome,
                "sha256": report.sha256_hex(),
                "resumed_at": report.resumed_at,
                "reason": reason,
            }));
        }
    }

    fn conclude(&self, client: &Client, outcome: Result<CopySummary, winrm::Error>) -> Result<ExitCode, Failure> {
        let elapsed = self.begin.elapsed().as_secs_f64();
        if self.format == Format::Json {
            let told = outcome.as_ref().map_err(|error| error as &dyn Display);
            let document = self.document(&client.endpoint().to_string(), told);
            if self.stdout_taken {
                printer::note(&document.to_string());
            } else {
                printer::line(&document.to_string());
            }
        }
        let summary = outcome?;
        if self.format == Format::Text {
            let text = self.sentence(&summary, elapsed);
            if self.stdout_taken {
                printer::note(&text);
            } else {
                printer::line(&text);
            }
        }
        Ok(if summary.failed > 0 {
            Status::Failed.into()
        } else {
            ExitCode::SUCCESS
        })
    }

    /// All that is known of one host's copy.
    fn document(&self, host: &str, outcome: Result<&CopySummary, &dyn Display>) -> serde_json::Value {
        let elapsed = self.begin.elapsed().as_secs_f64();
        let files = std::mem::take(&mut self.state().files);
        let summary = outcome.ok();
        let count = |of: fn(&CopySummary) -> u64| summary.map(of);
        serde_json::json!({
            "host": host,
            "files": files,
            "copied": count(|summary| summary.copied),
            "bytes": count(|summary| summary.bytes),
            "resumed": count(|summary| summary.resumed),
            "unchanged": count(|summary| summary.unchanged),
            "removed": count(|summary| summary.removed),
            "left_out": count(|summary| summary.left_out),
            "failed": count(|summary| summary.failed),
            "seconds": elapsed,
            "dry_run": self.dry_run,
            "error": outcome.err().map(ToString::to_string),
        })
    }

    fn sentence(&self, summary: &CopySummary, elapsed: f64) -> String {
        let files = |count: u64| {
            if count == 1 {
                "1 file".to_owned()
            } else {
                format!("{count} files")
            }
        };
        let copied = if self.dry_run { "to copy" } else { "copied" };
        let mut text = format!("{} {copied}", files(summary.copied));
        if summary.copied > 0 {
            let went = summary.bytes - summary.resumed;
            text.push_str(&format!(", {}", human(summary.bytes)));
            if !self.dry_run {
                text.push_str(&format!(
                    " in {elapsed:.1} s ({}/s)",
                    human((went as f64 / elapsed.max(0.001)) as u64)
                ));
            }
        }
        let mut add = |count: u64, what: &str| {
            if count > 0 {
                text.push_str(&format!("; {count} {what}"));
            }
        };
        add(summary.unchanged, "unchanged");
        add(summary.removed, if self.dry_run { "to remove" } else { "removed" });
        add(summary.left_out, "left out");
        add(summary.failed, "failed");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn replaced_files_are_called_after_the_time() {
        let after = |days: u64| backup_suffix(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + 86_399));
        assert_eq!(after(0), ".19700101-235959.bak");
        assert_eq!(after(11_016), ".20000229-235959.bak");
        assert_eq!(after(20_779), ".20261122-235959.bak");
    }
}
