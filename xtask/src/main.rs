//! The project's own tasks: `cargo xtask demo | test | bench | wheel | env | help`.
//!
//! Depends on the standard library alone, so that a fresh clone has its first line of output within seconds.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task's output is for the person who typed it"
)]

mod bench;
mod packages;
mod peers;
mod python;
mod report;
mod steps;
mod wheel;

use std::process::ExitCode;

use crate::steps::{Failure, Workspace};

const HELP: &str = "\
The project's own tasks.

  cargo xtask demo                build the program and run `winrm demo`
  cargo xtask test [-- ARGS]      set up every peer, then run all tests; ARGS go to `cargo test`
                                  (a filter, `-p CRATE`, `--test NAME`, `-- --nocapture`)
  cargo xtask bench [NAME]        set up every peer, then build for release and run the benchmarks, or the one called NAME
  cargo xtask wheel               build the Python module: target/wheels/winrm-*.whl
  cargo xtask env                 set up every peer and print the variables that tests read, as shell exports
  cargo xtask help                this text

On Debian and its relatives `demo` and `wheel` need the packages that a build needs, the others also those of the peers. As root they are installed; otherwise the line to type is printed. Everything else goes below target/peers.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let workspace = Workspace::locate();
    let result = match args.first().map(String::as_str) {
        Some("demo") => demo(&workspace, &args[1..]),
        Some("test") => test(&workspace, &args[1..]),
        Some("bench") => bench::run(&workspace, &args[1..]),
        Some("wheel") => wheel(&workspace),
        Some("env") => env(&workspace),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(Failure::usage(format!("no task is called `{other}`\n\n{HELP}"))),
        None => Err(Failure::usage(HELP.to_owned())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("xtask: {}", failure.message);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Builds the program and runs its own demonstration.
fn demo(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    packages::install(&packages::for_building(false))?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--package", "winrm-cli", "--bin", "winrm", "--", "demo"]);
    steps::run(cargo.args(args))
}

/// Sets up the peers and runs every test with them.
fn test(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    let args = match args.split_first() {
        Some((dashes, rest)) if dashes == "--" => rest,
        _ => args,
    };
    let peers = peers::set_up(workspace)?;
    steps::heading("tests");
    let report = report::start(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.arg("test");
    if !chooses_package(args) {
        cargo.arg("--workspace");
    }
    if !args.iter().any(|arg| arg == "--no-fail-fast") {
        cargo.arg("--no-fail-fast");
    }
    cargo.args(args);
    // Nobody steps through these builds in a debugger, and without it they are smaller and quicker.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
    cargo.envs(peers.variables.iter().map(|(name, value)| (name, value)));
    cargo.env(report::VARIABLE, &report);
    let outcome = steps::run(&mut cargo);
    report::print(&report, &peers.missing, outcome.is_ok());
    outcome?;
    // On a machine that was set up for checking, a peer that isn't there is a fault of the set-up, not a choice.
    if !peers.missing.is_empty() && steps::checks_everything() {
        return Err(Failure::new("CI is set, and a peer could not be set up (see above)"));
    }
    Ok(())
}

/// Whether the arguments for `cargo test`, up to its own `--`, name a package themselves.
fn chooses_package(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "-p" || arg == "--workspace" || arg.starts_with("--package"))
}

/// Builds the Python module and says where it is.
fn wheel(workspace: &Workspace) -> Result<(), Failure> {
    let python = python::find();
    packages::install(&packages::for_building(python.is_none()))?;
    let python = python
        .or_else(python::find)
        .ok_or_else(|| Failure::new("no Python 3.11 or newer with venv and headers"))?;
    println!("{}", wheel::build(workspace, &python)?.display());
    Ok(())
}

/// Sets up the peers and prints the variables, for `eval "$(cargo xtask env)"`.
fn env(workspace: &Workspace) -> Result<(), Failure> {
    let peers = peers::set_up(workspace)?;
    for (name, value) in &peers.variables {
        println!("export {name}={}", steps::shell_quoted(&value.to_string_lossy()));
    }
    for missing in &peers.missing {
        println!("# {missing}");
    }
    Ok(())
}
