//! `cargo xtask bench`: runs the benchmarks.
//!
//! A benchmark is a program in `crates/*/benches/NAME.rs`, with a section in the crate's Cargo.toml that switches the
//! test harness off:
//!
//! ```toml
//! [[bench]]
//! name = "NAME"
//! harness = false
//! ```
//!
//! It prints what it measured and exits 0; a limit that is missed is printed, not enforced, because machines differ.
//! Benchmarks of the program find it as `env!("CARGO_BIN_EXE_winrm")`, built for release.

use std::fs;
use std::path::PathBuf;

use crate::peers;
use crate::steps::{self, Failure, Workspace};

/// A benchmark: its crate and its name.
type Benchmark = (String, String);

/// Builds for release and runs all benchmarks, or those called like an argument.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<(), Failure> {
    let all = find(workspace);
    if let Some(unknown) = names.iter().find(|wanted| !all.iter().any(|(_, name)| name == *wanted)) {
        let known: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
        return Err(Failure::usage(format!(
            "no benchmark is called `{unknown}`; there are: {}",
            known.join(", ")
        )));
    }
    if all.is_empty() {
        steps::note("there is no benchmark yet: crates/*/benches is empty");
        return Ok(());
    }
    // What others take for the same work is measured in the same run.
    let mut peers = peers::set_up(workspace)?;
    if names.is_empty() || names.iter().any(|name| name == "table") {
        peers::build_drivers(workspace, &mut peers);
    }
    for missing in &peers.missing {
        steps::note(missing);
    }
    for (package, name) in all.iter().filter(|(_, name)| names.is_empty() || names.contains(name)) {
        steps::heading(&format!("{package}: {name}"));
        let mut cargo = workspace.cargo();
        cargo.args(["bench", "--quiet", "--package", package, "--bench", name]);
        cargo.envs(peers.variables.iter().map(|(name, value)| (name, value)));
        steps::run(&mut cargo)?;
    }
    Ok(())
}

/// Every benchmark of the workspace, sorted.
fn find(workspace: &Workspace) -> Vec<Benchmark> {
    let mut found: Vec<Benchmark> = entries(workspace.root.join("crates"))
        .into_iter()
        .flat_map(|member| {
            let package = member
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            entries(member.join("benches"))
                .into_iter()
                .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
                .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
                .map(move |name| (package.clone(), name))
                .collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    found
}

fn entries(folder: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}
