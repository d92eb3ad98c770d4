//! The Python peers: a virtual environment with pinned packages, and their source packages with recordings in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{self, Failure, Workspace};

/// The pinned packages of the virtual environment.
const REQUIREMENTS: &str = "tests/peers/requirements.txt";

/// Prints the version and the place of a Python that is new enough, can make virtual environments and has the
/// headers that C extensions are built with; fails otherwise.
const PROBE: &str = "
import os, sys, sysconfig
import venv, ensurepip
assert sys.version_info >= (3, 11)
assert os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))
print(sys.version.split()[0], sys.base_prefix)
";

/// A Python that can make virtual environments.
#[derive(Debug)]
pub(crate) struct Python {
    program: PathBuf,
    /// Version and place, such as `3.11.2 /usr`.
    identity: String,
}

/// The first Python from `PATH` that will do.
pub(crate) fn find() -> Option<Python> {
    ["python3", "python3.13", "python3.12", "python3.11"]
        .iter()
        .flat_map(|name| steps::on_path(name))
        .find_map(|program| {
            let identity = steps::ask(&program, ["-c", PROBE])?;
            Some(Python { program, identity })
        })
}

/// The folder of the virtual environment with everything that is pinned, made now if there is none or another one.
pub(crate) fn environment(workspace: &Workspace, python: &Python) -> Result<PathBuf, Failure> {
    let requirements = workspace.root.join(REQUIREMENTS);
    let folder = workspace.peers().join("venv");
    made(python, &folder, &read(&requirements)?, |pip| {
        pip.args(["install", "--quiet", "--requirement"]).arg(&requirements);
    })?;
    Ok(folder)
}

/// Makes a virtual environment, unless there is one of this Python and these packages, which `fill` has pip install.
pub(crate) fn made(python: &Python, folder: &Path, packages: &str, fill: impl FnOnce(&mut Command)) -> Result<(), Failure> {
    let stamp = folder.join("made-of.txt");
    let made_of = format!("{}\n{packages}", python.identity);
    if fs::read_to_string(&stamp).is_ok_and(|text| text == made_of) {
        return Ok(());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    steps::heading(&format!("Python environment {name} ({})", python.identity));
    steps::run_quietly(Command::new(&python.program).args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = pip(folder);
    fill(&mut pip);
    steps::run_quietly(&mut pip)?;
    fs::write(&stamp, made_of).map_err(|error| Failure::new(format!("{}: {error}", stamp.display())))
}

/// The folder of a peer's unpacked source package, in the version that the requirements name, also where it isn't installed.
pub(crate) fn source(workspace: &Workspace, environment: &Path, name: &str) -> Result<PathBuf, Failure> {
    let version =
        pinned(&read(&workspace.root.join(REQUIREMENTS))?, name).ok_or_else(|| Failure::new(format!("{REQUIREMENTS} pins no {name}")))?;
    let folder = workspace.peers().join(format!("{name}-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    steps::heading(&format!("source package {name} {version}"));
    let downloads = workspace.peers().join("sources");
    let mut pip = pip(environment);
    // `--no-binary NAME` and not `:all:`: pip asks a source package for its metadata, and what that takes (Cython) would
    // be built from source as well.
    pip.args(["download", "--quiet", "--no-deps", "--no-binary", name, "--dest"])
        .arg(&downloads);
    steps::run_quietly(pip.arg(format!("{name}=={version}")))?;
    // Unpacked beside its place and moved there whole, so that an interrupted run leaves no half of it behind.
    let unpacking = workspace.peers().join(format!("unpacking-{name}"));
    let _ = fs::remove_dir_all(&unpacking);
    fs::create_dir_all(&unpacking).map_err(|error| Failure::new(format!("{}: {error}", unpacking.display())))?;
    let archive = downloads.join(format!("{name}-{version}.tar.gz"));
    steps::run_quietly(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacking))?;
    fs::rename(unpacking.join(format!("{name}-{version}")), &folder)
        .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    let _ = fs::remove_dir_all(&unpacking);
    Ok(folder)
}

/// The folder with Ansible's collection for Windows, in the version that the requirements name. The package `ansible` holds a hundred
/// collections, half a gigabyte of them; only this one is unpacked.
pub(crate) fn collections(workspace: &Workspace, environment: &Path) -> Result<PathBuf, Failure> {
    let version = pinned(&read(&workspace.root.join(REQUIREMENTS))?, "ansible")
        .ok_or_else(|| Failure::new(format!("{REQUIREMENTS} names no ansible")))?;
    let folder = workspace.peers().join(format!("collections-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    steps::heading(&format!("Ansible's collection for Windows {version}"));
    let downloads = workspace.peers().join("sources");
    let mut pip = pip(environment);
    pip.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(&downloads);
    steps::run_quietly(pip.arg(format!("ansible=={version}")))?;
    let package = downloads.join(format!("ansible-{version}-py3-none-any.whl"));
    let unpacking = workspace.peers().join("unpacking-collections");
    let _ = fs::remove_dir_all(&unpacking);
    steps::run_quietly(
        Command::new(environment.join("bin/python"))
            .args(["-c", UNPACK])
            .arg(&package)
            .arg(&unpacking),
    )?;
    fs::rename(&unpacking, &folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    let _ = fs::remove_file(&package);
    Ok(folder)
}

/// Unpacks the collection of a package, without its tests.
const UNPACK: &str = "
import sys, zipfile
package = zipfile.ZipFile(sys.argv[1])
wanted = [name for name in package.namelist() if name.startswith('ansible_collections/ansible/windows/') and '/tests/' not in name]
assert wanted
package.extractall(sys.argv[2], wanted)
";

pub(crate) fn pip(environment: &Path) -> Command {
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "5"]);
    pip
}

pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// The version in a line `name==version` or `name[extra,…]==version`; those that are fetched and not installed stand behind a hash.
fn pinned(requirements: &str, name: &str) -> Option<String> {
    let find = |mark: &str| {
        requirements.lines().find_map(|line| {
            let (package, version) = line.trim().strip_prefix(mark)?.split_once("==")?;
            (package.split('[').next()? == name).then(|| version.to_owned())
        })
    };
    find("").or_else(|| find("# "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_requirements() {
        let requirements = "# pypsrp==0.1\npywinrm[credssp,kerberos]==0.5.0\npypsrp-more==2\n pypsrp==0.9.1 \n";
        assert_eq!(pinned(requirements, "pywinrm").as_deref(), Some("0.5.0"));
        assert_eq!(pinned(requirements, "pypsrp").as_deref(), Some("0.9.1"));
        assert_eq!(pinned(requirements, "pyspnego"), None);
        assert_eq!(pinned("# ansible==12.3.0\n", "ansible").as_deref(), Some("12.3.0"));
    }

    #[test]
    fn the_peers_whose_sources_are_used_are_pinned() {
        let requirements = include_str!("../../tests/peers/requirements.txt");
        for name in crate::peers::SOURCES {
            assert!(pinned(requirements, name).is_some(), "{name}");
        }
    }
}
