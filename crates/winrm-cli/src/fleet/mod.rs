//! Runs over many hosts: who, how many at once, what is shown, what is recorded, and the exit status.

mod dry_run;
mod entry;
mod grouped;
mod input;
mod join;
mod json;
mod junit;
mod record;
mod report;
mod screen;
mod selection;
mod spool;
mod summary;
mod targets;
mod tree;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use winrm::{Client, Command};
use winrm_fleet::{Fleet, Host, HostResult, Run, Stop, Verdict};

use crate::args::{
    BecomeArguments, ConnectionArguments, FleetArguments, InventoryArguments, ObjectFormat, PingArguments, PsArguments, ReportFormat,
    RunArguments,
};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::printer::{self, Output, StatusLine};
use crate::ps::Script;
use crate::reboot;
use crate::signals::Signals;

use entry::Entry;
use record::{Header, Record};
use screen::{Message, Screen};
use selection::Selection;
use summary::Summary;
use targets::{Inventoried, Named, Targets};
use tree::Tree;

pub(crate) use join::run as report;
pub(crate) use targets::Described;

/// How many hosts at once where nobody says it.
const FORKS: usize = 100;

/// How often the progress line is written.
const TICK: Duration = Duration::from_millis(100);

/// How long the rest of the report may take when the run was aborted.
const PARTING: Duration = Duration::from_secs(1);

/// `winrm run` on a fleet.
pub(crate) async fn run(arguments: RunArguments) -> Result<ExitCode, Failure> {
    let named = Named {
        target: &arguments.target,
        inventory: &arguments.inventory,
        connection: &arguments.connection,
        becoming: Some(&arguments.becoming),
    };
    let inventoried = Inventoried::load(named)?;
    if let Some(inventoried) = &inventoried
        && !arguments.fleet.are_asked_for()
        && named.inventory.limit.is_empty()
        && inventoried.is_host(named.target)
    {
        let connected = connection::connect(inventoried.settings(named.target)?, &arguments.connection, true).await?;
        return crate::run::on_one_host(&connected, &arguments).await;
    }
    refuse_to_detach(&arguments.becoming)?;
    let targets = Targets::of(named, inventoried)?;
    let prepared = Prepared {
        verb: "run",
        target: arguments.target.clone(),
        command: arguments.command.clone(),
        arguments: arguments.fleet.clone(),
        records: true,
        objects: None,
    };
    let Some((selection, fleet)) = prepared.fleet(&targets)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if arguments.fleet.dry_run {
        return dry_run::print(&targets, &selection, &prepared);
    }
    let fleet = fleet
        .success_codes(arguments.many.ok_codes.clone())
        .output_limit(arguments.many.max_output)
        .may_restart(reboot::waiting(&arguments.reboot));
    let stdin = input::read(arguments.no_stdin).await?;
    let describe = move |client: &Client| -> Command {
        let mut command = crate::run::command(client, &arguments.command, &arguments.shell);
        command.as_task(arguments.becoming.task);
        if let Some(timeout) = arguments.timeout {
            command.timeout(timeout);
        }
        if let Some(bytes) = &stdin {
            command.stdin(winrm::Stdio::bytes(bytes.clone()));
        }
        command
    };
    work(fleet.run(describe), &targets, &selection, &prepared).await
}

/// `winrm ps` on a fleet.
pub(crate) async fn powershell(arguments: PsArguments) -> Result<ExitCode, Failure> {
    let style = &arguments.fleet.report;
    if arguments.script.objects == Some(ObjectFormat::Yaml) && style.format != ReportFormat::Text {
        return Err(Failure::configuration("--objects yaml is for reports as text only")
            .hint("--objects json puts each host's objects into its result in JSON"));
    }
    let named = Named {
        target: &arguments.target,
        inventory: &arguments.inventory,
        connection: &arguments.connection,
        becoming: Some(&arguments.becoming),
    };
    // A list of names needs no script.
    let script = if arguments.fleet.list_hosts {
        None
    } else {
        Some(Script::read(&arguments)?)
    };
    let inventoried = Inventoried::load(named)?;
    if let (Some(script), Some(inventoried)) = (&script, &inventoried)
        && !arguments.fleet.are_asked_for()
        && named.inventory.limit.is_empty()
        && inventoried.is_host(named.target)
    {
        let connected = connection::connect(inventoried.settings(named.target)?, &arguments.connection, true).await?;
        return crate::ps::on_one_host(&connected, script, &arguments).await;
    }
    refuse_to_detach(&arguments.becoming)?;
    let targets = Targets::of(named, inventoried)?;
    let prepared = Prepared {
        verb: "ps",
        target: arguments.target.clone(),
        command: arguments.title(),
        arguments: arguments.fleet.clone(),
        records: true,
        objects: arguments.script.objects,
    };
    let (Some((selection, fleet)), Some(script)) = (prepared.fleet(&targets)?, script) else {
        return Ok(ExitCode::SUCCESS);
    };
    if arguments.fleet.dry_run {
        return dry_run::print(&targets, &selection, &prepared);
    }
    let fleet = fleet
        .success_codes(arguments.many.ok_codes.clone())
        .output_limit(arguments.many.max_output)
        .may_restart(reboot::waiting(&arguments.reboot));
    let stdin = input::read(arguments.no_stdin || script.took_stdin).await?;
    let describe = move |client: &Client| {
        let (mut powershell, listener) = crate::ps::for_fleet(client, &script, &arguments);
        if let Some(bytes) = &stdin {
            powershell.stdin(winrm::Stdio::bytes(bytes.clone()));
        }
        (powershell, listener)
    };
    work(fleet.run_powershell(describe), &targets, &selection, &prepared).await
}

fn refuse_to_detach(becoming: &BecomeArguments) -> Result<(), Failure> {
    if becoming.detach {
        return Err(
            Failure::configuration("--detach is for one host: a fleet's results are there when its commands have ended")
                .hint("leave out --detach, or run it for each host by itself"),
        );
    }
    Ok(())
}

/// `winrm ping` on a fleet.
pub(crate) async fn ping(arguments: PingArguments) -> Result<ExitCode, Failure> {
    let named = Named {
        target: &arguments.target,
        inventory: &arguments.inventory,
        connection: &arguments.connection,
        becoming: None,
    };
    let targets = Targets::of(named, Inventoried::load(named)?)?;
    let prepared = Prepared {
        verb: "ping",
        target: arguments.target.clone(),
        command: Vec::new(),
        arguments: arguments.fleet.clone(),
        // Looking whether hosts answer doesn't make the last run's failures forgotten.
        records: false,
        objects: None,
    };
    let Some((selection, fleet)) = prepared.fleet(&targets)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if prepared.arguments.dry_run {
        return dry_run::print(&targets, &selection, &prepared);
    }
    work(fleet.ping(), &targets, &selection, &prepared).await
}

/// Whether the arguments are about a fleet, and not about one host as ssh treats it.
pub(crate) fn is_meant(target: &str, inventory: &InventoryArguments, arguments: &FleetArguments) -> bool {
    arguments.are_asked_for() || targets::is_inventory(inventory) || targets::are_several(target)
}

/// The hosts that a target names, for verbs that work on each by themselves. To be kept as long as their clients.
pub(crate) struct Hosts(Targets);

impl Hosts {
    /// Those of an inventory if there is one, else those of a list with commas.
    pub(crate) fn named(target: &str, inventory: &InventoryArguments, connection: &ConnectionArguments) -> Result<Self, Failure> {
        let named = Named {
            target,
            inventory,
            connection,
            becoming: None,
        };
        Targets::of(named, Inventoried::load(named)?).map(Self)
    }

    /// Whether a target is about several hosts, or one of an inventory.
    pub(crate) fn are_meant(target: &str, inventory: &InventoryArguments) -> bool {
        targets::is_inventory(inventory) || targets::are_several(target)
    }

    pub(crate) fn all(&self) -> &[Host] {
        &self.0.hosts
    }

    /// What is odd about their settings, and was not said yet.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.0.warnings.take()
    }
}

/// What is to be done, and how.
struct Prepared {
    verb: &'static str,
    target: String,
    command: Vec<String>,
    arguments: FleetArguments,
    /// Whether a record is kept without being asked for.
    records: bool,
    /// Whether hosts give objects, and how they are shown as text.
    objects: Option<ObjectFormat>,
}

impl Prepared {
    /// The hosts and the fleet; nothing when there is nothing to do.
    fn fleet(&self, targets: &Targets) -> Result<Option<(Selection, Fleet)>, Failure> {
        let selection = Selection::new(targets, &self.arguments)?;
        if self.arguments.list_hosts {
            selection.list(&self.arguments.report);
            return Ok(None);
        }
        if selection.hosts.is_empty() {
            // A shard may well be empty, and a last run without failures is what everybody wants.
            printer::note(&selection.why_empty);
            return Ok(None);
        }
        let mut fleet =
            Fleet::new(selection.hosts.iter().map(|(_, host)| host.clone())).forks(self.arguments.forks.or(targets.forks).unwrap_or(FORKS));
        if let Some(batch) = self.arguments.batch {
            fleet = fleet.batch(batch);
        }
        if let Some(most) = self.arguments.max_fail {
            fleet = fleet.max_fail(most);
        }
        if !self.arguments.dry_run {
            fleet.reserve_files().map_err(|error| {
                let possible = error.possible_forks();
                Failure::configuration(format!("too few files may be open: {error}"))
                    .hint(format!("raise the limit (ulimit -Hn), or take --forks {possible}"))
            })?;
        }
        Ok(Some((selection, fleet)))
    }

    /// What the whole is called.
    fn title(&self) -> String {
        if self.command.is_empty() {
            self.verb.to_owned()
        } else {
            self.command.join(" ")
        }
    }
}

/// Where results are kept, beside the screen.
struct Keeping {
    record: Option<Record>,
    tree: Option<Tree>,
    /// The first thing that went wrong with what the user asked for.
    trouble: Option<Failure>,
    asked_for_record: bool,
}

impl Keeping {
    fn new(selection: &Selection, prepared: &Prepared) -> Result<Self, Failure> {
        let arguments = &prepared.arguments;
        let tree = match &arguments.report.tree {
            None => None,
            Some(folder) => Some(Tree::new(folder).map_err(|error| {
                Failure::configuration(format!("the folder {} for --tree can't be made", folder.display())).because(error)
            })?),
        };
        let header = Header {
            verb: prepared.verb,
            command: prepared.command.clone(),
            target: prepared.target.clone(),
            shard: arguments.shard.map(|shard| shard.to_string()),
            hosts: selection
                .hosts
                .iter()
                .map(|(index, host)| (*index, host.name().to_owned()))
                .collect(),
        };
        let record = match (&arguments.record, prepared.records) {
            (None, false) => None,
            (Some(file), _) => Some(
                Record::begin(Some(file), &header)
                    .map_err(|error| Failure::configuration(format!("the record {} can't be written", file.display())).because(error))?,
            ),
            (None, true) => match Record::begin(None, &header) {
                Ok(record) => Some(record),
                Err(error) => {
                    printer::warning(&format!(
                        "this run leaves no record, --rerun won't know of it: {error}; --record FILE says where to keep one"
                    ));
                    None
                }
            },
        };
        Ok(Self {
            record,
            tree,
            trouble: None,
            asked_for_record: arguments.record.is_some(),
        })
    }

    fn keep(&mut self, entry: &Entry, screen: &Screen) {
        if let Some(record) = &mut self.record
            && let Err(error) = record.host(entry)
        {
            let message = format!("the record {} can't be written", record.path().display());
            self.record = None;
            if self.asked_for_record {
                self.fail(Failure::configuration(message).because(error));
            } else {
                screen.note(format!("{message}: {error}"));
            }
        }
        if let Some(tree) = &self.tree
            && let Err(error) = tree.host(entry)
        {
            self.fail(Failure::configuration(format!("the file of {} for --tree can't be written", entry.host)).because(error));
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.trouble.get_or_insert(failure);
    }

    /// Ends the record, and gives what went wrong.
    fn end(mut self, summary: &Summary) -> Option<Failure> {
        if let Some(record) = self.record.take()
            && let Err(error) = record.end(summary)
        {
            self.fail(Failure::configuration("the record's end can't be written").because(error));
        }
        self.trouble
    }
}

/// How the run was stopped from outside.
#[derive(Clone, Copy, Default)]
struct Stopped {
    by: Option<Status>,
    twice: bool,
}

async fn work(mut run: Run, targets: &Targets, selection: &Selection, prepared: &Prepared) -> Result<ExitCode, Failure> {
    let begin = Instant::now();
    let mut keeping = Keeping::new(selection, prepared)?;
    let signals = Signals::new()?;
    let no_report = |error: io::Error| Failure::configuration("the report can't be begun").because(error);
    let report = report::of(&prepared.arguments.report, &prepared.title(), Output::has_colours()).map_err(no_report)?;
    let screen = Screen::new(report).map_err(no_report)?;
    let stop = run.stop();
    let mut stopped = Stopped::default();
    let mut summary = Summary::default();
    let mut tick = tokio::time::interval(TICK);
    let shows_progress = StatusLine::is_seen();
    let mut unshown: Option<Box<Entry>> = None;
    loop {
        tokio::select! {
            biased;
            () = signals.interrupted() => interrupted(&stop, &mut stopped, Status::Interrupted, &run, &screen),
            () = signals.killed() => interrupted(&stop, &mut stopped, Status::Terminated, &run, &screen),
            // The terminal has gone: what is left goes into the record.
            () = signals.hung_up() => {}
            permit = screen.messages.reserve(), if unshown.is_some() => {
                if let (Ok(permit), Some(entry)) = (permit, unshown.take()) {
                    permit.send(Message::Host(entry));
                }
            }
            // A reader who takes nothing holds up the run, unless nobody is waited for any more.
            result = run.next(), if unshown.is_none() || stopped.twice => match result {
                None => break,
                Some(result) => {
                    for warning in targets.warnings.take() {
                        screen.note(format!("warning: {warning}"));
                    }
                    let entry = selection.entry(result, prepared.objects);
                    summary.add(entry.verdict);
                    keeping.keep(&entry, &screen);
                    unshown = Some(Box::new(entry));
                }
            },
            _ = tick.tick(), if shows_progress => {
                let line = progress(&summary, &run, begin.elapsed());
                let _ = screen.messages.try_send(Message::Progress(line));
            }
        }
    }
    summary.took(begin.elapsed());
    let trouble = keeping.end(&summary);
    let shown = show_the_rest(screen, unshown, &summary, &signals, stopped).await;
    if let Err(error) = shown {
        return Err(Failure::configuration("the report can't be written").because(error));
    }
    match (stopped.by, trouble) {
        (_, Some(failure)) => Err(failure),
        (Some(status), None) => Ok(status.into()),
        (None, None) => Ok(summary.status().into()),
    }
}

/// Waits for the screen; when nobody is waited for any more, a moment only.
async fn show_the_rest(
    screen: Screen,
    unshown: Option<Box<Entry>>,
    summary: &Summary,
    signals: &Signals,
    stopped: Stopped,
) -> io::Result<()> {
    let summary = Box::new(summary.clone());
    let rest = async move {
        if let Some(entry) = unshown {
            let _ = screen.messages.send(Message::Host(entry)).await;
        }
        let _ = screen.messages.send(Message::End(summary)).await;
        screen.finished().await
    };
    let patience = async {
        if stopped.twice {
            tokio::time::sleep(PARTING).await;
        } else {
            signals.interrupted().await;
        }
    };
    tokio::select! {
        shown = rest => shown,
        () = patience => Ok(()),
    }
}

fn interrupted(stop: &Stop, stopped: &mut Stopped, by: Status, run: &Run, screen: &Screen) {
    if stopped.by.is_none() {
        stopped.by = Some(by);
        stop.interrupt();
        screen.note(format!(
            "winrm: no more hosts are begun, and the commands on {} were sent Ctrl-C; again to end now",
            summary::hosts(run.running())
        ));
    } else {
        stopped.twice = true;
        stop.abort();
    }
}

/// ` 312/10000 hosts, 3 failed, 1 unreachable, 100 running, 0:42`, and who, when they are few.
fn progress(summary: &Summary, run: &Run, elapsed: Duration) -> String {
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    let mut line = format!(
        "{}/{} done, {} failed, {} unreachable, {} running, {minutes}:{seconds:02}",
        summary.total(),
        run.total(),
        summary.count(Verdict::Failed),
        summary.count(Verdict::Unreachable),
        run.running(),
    );
    if (1..=3).contains(&run.running()) {
        let mut names: Vec<&str> = run.running_hosts().collect();
        names.sort_unstable();
        line.push_str(&format!(": {}", names.join(", ")));
    }
    line
}

impl Selection {
    fn entry(&self, result: HostResult, objects: Option<ObjectFormat>) -> Entry {
        let index = self.hosts[result.index].0;
        Entry::new(result, index, objects)
    }
}
