//! Inventories as Ansible reads them: `tests/inventories` is read by `ansible-inventory` and by us, and the answers are compared.

#![expect(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the support modules hold more than is needed here; what they run into is the test's failure"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod support;

/// A case: where it is, and what its `case.json` says.
struct Case {
    name: String,
    folder: PathBuf,
    sources: Vec<String>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    patterns: Vec<Vec<String>>,
    /// Whether `--graph --vars` is compared: it prints values as Python does, sets, dates and keys that are numbers among them, which
    /// are lists and texts with us as in JSON.
    graph_variables: bool,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/inventories")
        .canonicalize()
        .unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

fn cases() -> Vec<Case> {
    let mut names: Vec<_> = std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
        .into_iter()
        .map(|folder| {
            let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
            let case: Value = serde_json::from_str(&text).unwrap();
            Case {
                name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
                sources: texts(&case["sources"]),
                arguments: texts(&case["args"]),
                environment: case["env"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect(),
                patterns: case["patterns"].as_array().into_iter().flatten().map(texts).collect(),
                graph_variables: case["graph_vars"] != false,
                folder,
            }
        })
        .collect()
}

impl Case {
    /// What the program prints, asked for `what`.
    fn ask(&self, what: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command.current_dir(&self.folder).arg("inventory").args(what);
        // Ansible's --graph and --host take no limit; ours neither.
        command.args(&self.arguments);
        for source in &self.sources {
            command.args(["-i", source]);
        }
        // Nothing of this machine's own configuration.
        command
            .env("HOME", &self.folder)
            .env_remove("ANSIBLE_CONFIG")
            .env_remove("ANSIBLE_INVENTORY");
        command.envs(&self.environment);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {what:?}: {stderr}", self.name);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Where two values differ.
fn difference(place: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let missing = Value::String("(missing)".to_owned());
                let (ours, theirs) = (ours.get(key).unwrap_or(&missing), theirs.get(key).unwrap_or(&missing));
                difference(&format!("{place}.{key}"), ours, theirs, found);
            }
        }
        // 1 and 1.0 are not the same.
        _ if ours == theirs => {}
        _ => found.push(format!("{place}: ours {ours}, Ansible's {theirs}")),
    }
}

#[test]
fn inventories_are_read_as_ansible_reads_them() {
    let Some(python) = support::peer::variable("ansible-inventory", "WINRM_TEST_PYTHON") else {
        return;
    };
    let corpus = corpus();
    let script = corpus.join("../peers/inventories.py");
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg(script)
        .arg(&corpus)
        .env("HOME", home.path())
        .env_remove("ANSIBLE_CONFIG")
        .env_remove("ANSIBLE_INVENTORY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();

    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut found = Vec::new();
    for case in &cases {
        let theirs = &answers[&case.name];
        let name = &case.name;
        let list = case.ask(&["--list"]);
        difference(
            &format!("{name} --list"),
            &serde_json::from_str(&list).unwrap(),
            &theirs["list"],
            &mut found,
        );
        // Byte for byte, so that people can lay one beside the other.
        if found.is_empty() && list != theirs["text"].as_str().unwrap() {
            found.push(format!("{name} --list differs in its form"));
        }
        let graph = Value::String(case.ask(&["--graph"]).trim_end().to_owned());
        difference(&format!("{name} --graph"), &graph, &theirs["graph"], &mut found);
        if case.graph_variables && !theirs["graph_vars"].is_null() {
            let graph = Value::String(case.ask(&["--graph", "--vars"]).trim_end().to_owned());
            difference(&format!("{name} --graph --vars"), &graph, &theirs["graph_vars"], &mut found);
        }
        for (host, theirs) in theirs["hosts"].as_object().unwrap().iter().take(4) {
            // A name with a colon or comma is a pattern for both, which means other hosts.
            if host.contains([',', ' ', '[']) {
                continue;
            }
            let ours = serde_json::from_str(&case.ask(&["--host", host])).unwrap();
            difference(&format!("{name} --host {host}"), &ours, theirs, &mut found);
        }
        patterns(case, &theirs["patterns"], &mut found);
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// What patterns select, asked of the library.
fn patterns(case: &Case, theirs: &Value, found: &mut Vec<String>) {
    use winrm_fleet::{Inventory, LoadOptions, PatternError, Source};

    if case.patterns.is_empty() {
        return;
    }
    let sources: Vec<Source> = case
        .sources
        .iter()
        .map(|text| match Source::parse(text) {
            Source::Path(path) => Source::Path(case.folder.join(path)),
            list => list,
        })
        .collect();
    let inventory = Inventory::load(&sources, &LoadOptions::default()).unwrap();
    for (pattern, theirs) in case.patterns.iter().zip(theirs.as_array().unwrap()) {
        let limit: Vec<String> = pattern[1..]
            .iter()
            .map(|limit| match limit.strip_prefix('@') {
                Some(file) => format!("@{}", case.folder.join(file).display()),
                None => limit.clone(),
            })
            .collect();
        let ours = match inventory.select(&pattern[0], &limit) {
            Ok(hosts) => hosts.into_iter().map(|host| Value::from(host.name())).collect(),
            Err(PatternError::NoHosts { .. }) => Value::Array(Vec::new()),
            Err(error) => Value::String(error.to_string()),
        };
        // Both refuse, each in its words.
        if ours.is_string() && theirs.is_string() {
            continue;
        }
        difference(&format!("{} pattern {pattern:?}", case.name), &ours, theirs, found);
    }
}
