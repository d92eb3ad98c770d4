//! The wheel of the Python module, and an environment that has it and Ansible, and no pywinrm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::python::{self, Python};
use crate::steps::{self, Failure, Workspace};

/// What builds wheels.
const MATURIN: &str = "maturin==1.16.0";

/// What stands beside the wheel in its environment.
const REQUIREMENTS: &str = "tests/peers/module-requirements.txt";

/// Builds the wheel for release, below `target/wheels`.
pub(crate) fn build(workspace: &Workspace, python: &Python) -> Result<PathBuf, Failure> {
    let maturin = maturin(workspace, python)?;
    let folder = workspace.target.join("wheels");
    steps::heading("the Python module");
    let crate_folder = workspace.root.join("crates/winrm-python");
    let mut build = Command::new(maturin);
    // OpenSSL is the system's, as for the program: the wheel is for this machine and its like.
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--compatibility",
            "linux",
            "--auditwheel",
            "skip",
            "--out",
        ])
        .arg(&folder)
        .current_dir(&crate_folder)
        .env("CARGO_TARGET_DIR", &workspace.target);
    steps::run_quietly(&mut build)?;
    newest_wheel(&folder).ok_or_else(|| Failure::new(format!("maturin left no wheel in {}", folder.display())))
}

/// The environment's folder, with the wheel of now.
pub(crate) fn environment(workspace: &Workspace, python: &Python) -> Result<PathBuf, Failure> {
    let wheel = build(workspace, python)?;
    let folder = workspace.peers().join("module-venv");
    let requirements = workspace.root.join(REQUIREMENTS);
    python::made(python, &folder, &python::read(&requirements)?, |pip| {
        pip.args(["install", "--quiet", "--requirement"]).arg(&requirements);
    })?;
    // The version is the same as before, whatever the wheel holds.
    let mut pip = python::pip(&folder);
    pip.args(["install", "--quiet", "--force-reinstall", "--no-deps"]).arg(wheel);
    steps::run_quietly(&mut pip)?;
    Ok(folder)
}

fn maturin(workspace: &Workspace, python: &Python) -> Result<PathBuf, Failure> {
    let folder = workspace.target.join("maturin");
    python::made(python, &folder, MATURIN, |pip| {
        pip.args(["install", "--quiet", MATURIN]);
    })?;
    Ok(folder.join("bin/maturin"))
}

fn newest_wheel(folder: &Path) -> Option<PathBuf> {
    let age = |file: &PathBuf| {
        fs::metadata(file)
            .and_then(|metadata| metadata.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("winrm-") && name.ends_with(".whl")
        })
        .max_by_key(age)
}
