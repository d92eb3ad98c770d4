//! Executable inventories.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::error::InventoryError;
use super::graph::{Entry, Graph};
use super::json;
use super::reader::{Document, MAX_FILE};
use crate::value::Value;
use crate::yaml::{Data, Node};

/// How much of standard error is kept, in bytes.
const MAX_STDERR: usize = 4_096;
/// The system's number for "Exec format error".
const ENOEXEC: i32 = 8;

/// How a program ended.
pub(super) enum Run {
    /// Well.
    Output(Vec<u8>),
    /// It is no program: it has no `#!` line, and isn't built for this machine.
    NoProgram,
}

/// Runs an inventory program.
///
/// # Errors
/// A program that doesn't start, fails, takes too long, or writes too much.
pub(super) fn run(path: &Path, arguments: &[&str], limit: Duration) -> Result<Run, InventoryError> {
    let failed = |what: String, stderr: &[u8]| InventoryError::Program {
        path: path.to_owned(),
        what,
        stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
    };
    // Without a slash it would be looked for in PATH.
    let file = if path.components().count() == 1 {
        Path::new(".").join(path)
    } else {
        path.to_owned()
    };
    let spawned = Command::new(&file)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.raw_os_error() == Some(ENOEXEC) || error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Run::NoProgram);
        }
        Err(error) => return Err(failed(format!("doesn't start: {error}"), b"")),
    };
    let deadline = Instant::now() + limit;
    let stdout = collect(child.stdout.take(), usize::try_from(MAX_FILE).unwrap_or(usize::MAX), true);
    let stderr = collect(child.stderr.take(), MAX_STDERR, false);
    let output = stdout.recv_timeout(limit);
    let status = output.is_ok().then(|| wait(&mut child, deadline)).flatten();
    if status.is_none() {
        // It may have ended in between; then there is nothing to kill.
        let _ = child.kill();
        let _ = child.wait();
    }
    // Something that the program started may hold the pipe for longer.
    let stderr = stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default().bytes;
    let (Some(status), Ok(output)) = (status, output) else {
        return Err(failed(
            format!("took longer than {} s, and was stopped", limit.as_secs_f64()),
            &stderr,
        ));
    };
    if output.too_much {
        return Err(failed(format!("wrote more than {} MiB", MAX_FILE >> 20), &stderr));
    }
    if !status.success() {
        let how = match status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        return Err(failed(how, &stderr));
    }
    Ok(Run::Output(output.bytes))
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    too_much: bool,
}

/// Reads a pipe to its end on a thread; what is too much is thrown away, or stops the reading.
fn collect(pipe: Option<impl Read + Send + 'static>, limit: usize, stop: bool) -> mpsc::Receiver<Collected> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut collected = Collected::default();
        let mut buffer = vec![0; 64 << 10];
        if let Some(mut pipe) = pipe {
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                collected.bytes.extend_from_slice(&buffer[..count]);
                if collected.bytes.len() > limit {
                    collected.too_much = true;
                    if stop {
                        break;
                    }
                    // Its end says why.
                    let surplus = collected.bytes.len() - limit;
                    collected.bytes.drain(..surplus);
                }
            }
        }
        // Nobody may be waiting any more.
        let _ = sender.send(collected);
    });
    receiver
}

/// The exit status, unless the deadline comes first. Standard output is closed: it ends any moment.
fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Reads what a program wrote for `--list` into the graph, and asks it for the hosts' variables if it didn't tell.
///
/// # Errors
/// What is no JSON, or isn't built as an inventory is.
pub(super) fn read(document: &mut Document<'_>, output: &[u8], graph: &mut Graph, limit: Duration) -> Result<(), InventoryError> {
    let path = document.path.clone();
    let wrong = |what: String| InventoryError::Program {
        path: path.to_path_buf(),
        what,
        stderr: String::new(),
    };
    let root = json::parse(output, document.interner).map_err(|error| wrong(format!("wrote what is no JSON: {error}")))?;
    let Data::Mapping(groups) = root.data else {
        return Err(wrong("wrote JSON that is no map of groups".to_owned()));
    };
    let mut listed: Vec<u32> = Vec::new();
    let mut seen: HashSet<u32> = HashSet::new();
    let mut meta: Option<Vec<crate::yaml::Pair>> = None;
    for pair in groups {
        if &*pair.key == "_meta" {
            if let Data::Mapping(pairs) = pair.value.data {
                for pair in pairs.into_iter().filter(|pair| &*pair.key == "hostvars") {
                    let Data::Mapping(hosts) = pair.value.data else {
                        return Err(wrong("wrote _meta.hostvars that is no map".to_owned()));
                    };
                    meta = Some(hosts);
                }
            }
            continue;
        }
        group(document, graph, &pair.key, pair.value, &mut |host| {
            if seen.insert(host) {
                listed.push(host);
            }
        })
        .map_err(wrong)?;
    }
    match meta {
        Some(hosts) => {
            for pair in hosts {
                let Some(index) = graph.hosts.get_index_of(&*pair.key).and_then(|index| u32::try_from(index).ok()) else {
                    continue;
                };
                if seen.contains(&index) {
                    say(document, graph, index, &pair.key, pair.value).map_err(wrong)?;
                }
            }
        }
        None => {
            let deadline = Instant::now() + limit;
            for host in listed {
                let name = graph.host_at(host).name.clone();
                let left = deadline.saturating_duration_since(Instant::now());
                let Run::Output(output) = run(&path, &["--host", &name], left)? else {
                    continue;
                };
                if output.trim_ascii().is_empty() {
                    continue;
                }
                let node = json::parse(&output, document.interner)
                    .map_err(|error| wrong(format!("wrote for --host {name} what is no JSON: {error}")))?;
                say(document, graph, host, &name, node).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// A group is a map with hosts, vars and children, or a list of hosts, or the variables of the one host that is called like it.
fn group(document: &mut Document<'_>, graph: &mut Graph, name: &Arc<str>, value: Node, list: &mut impl FnMut(u32)) -> Result<(), String> {
    if name.is_empty() {
        return Err("wrote a group without a name".to_owned());
    }
    let group = graph.group(name.clone());
    let mut add = |document: &Document<'_>, graph: &mut Graph, host: &str| {
        let (host, _) = graph.host(host, document.source);
        graph.add_host(group, host);
        list(host);
    };
    let is_section = |key: &str| matches!(key, "hosts" | "vars" | "children");
    let (hosts, variables, children) = match value.data {
        Data::Mapping(pairs) if pairs.iter().any(|pair| is_section(&pair.key)) => {
            let (mut hosts, mut variables, mut children) = (None, None, None);
            for pair in pairs {
                match &*pair.key {
                    "hosts" => hosts = Some(pair.value),
                    "vars" => variables = Some(pair.value),
                    "children" => children = Some(pair.value),
                    _ => {}
                }
            }
            (hosts, variables, children)
        }
        Data::Mapping(_) => {
            add(document, graph, name);
            // In this old form Ansible takes no templates.
            (None, Some(without_templates(value)), None)
        }
        _ => (Some(value), None, None),
    };
    for host in names(hosts, name, "hosts")? {
        if host.is_empty() {
            return Err(format!("wrote a host without a name in the group {name:?}"));
        }
        add(document, graph, &host);
    }
    if let Some(variables) = variables {
        let Data::Mapping(pairs) = variables.data else {
            return Err(format!("wrote vars of the group {name:?} that are no map"));
        };
        for pair in pairs {
            let entry = document.entry(0, &pair.key, pair.value.into_value());
            graph.say_of_group(group, entry).map_err(impossible)?;
        }
    }
    for child in names(children, name, "children")? {
        let child = graph.group(child);
        graph.adopt(group, child).map_err(impossible)?;
    }
    Ok(())
}

fn impossible(what: String) -> String {
    format!("wrote what can't be: {what}")
}

fn without_templates(mut node: Node) -> Node {
    node.data = match node.data {
        Data::Scalar(Value::String(text)) => Data::Scalar(Value::Unsafe(text)),
        Data::Scalar(value) => Data::Scalar(value),
        Data::Sequence(items) => Data::Sequence(items.into_iter().map(without_templates).collect()),
        Data::Mapping(mut pairs) => {
            pairs = pairs
                .into_iter()
                .map(|pair| crate::yaml::Pair {
                    value: without_templates(pair.value),
                    ..pair
                })
                .collect();
            Data::Mapping(pairs)
        }
    };
    node
}

fn names(list: Option<Node>, group: &str, what: &str) -> Result<Vec<Arc<str>>, String> {
    let wrong = || format!("wrote {what} of the group {group:?} that are no list of names");
    let Some(list) = list else { return Ok(Vec::new()) };
    let Data::Sequence(items) = list.data else { return Err(wrong()) };
    items
        .into_iter()
        .map(|item| match item.data {
            Data::Scalar(Value::String(name)) => Ok(name),
            _ => Err(wrong()),
        })
        .collect()
}

fn say(document: &mut Document<'_>, graph: &mut Graph, host: u32, name: &str, value: Node) -> Result<(), String> {
    let Data::Mapping(pairs) = value.data else {
        return Err(format!("wrote variables of the host {name:?} that are no map"));
    };
    let entries: Vec<Entry> = pairs
        .into_iter()
        .map(|pair| document.entry(0, &pair.key, pair.value.into_value()))
        .collect();
    graph.say(host, &entries.into());
    Ok(())
}
