//! The peers: programs from elsewhere that the tests run against, and the variables by which the tests find them.
//!
//! A test whose variable is unset skips with a sentence. All peers are set up here, so that only a test run without this
//! program skips any.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{self, Failure, Workspace};
use crate::{packages, python, wheel};

/// The Python peers whose source packages hold recordings and test vectors; the last two are not installed.
pub(crate) const SOURCES: [&str; 5] = ["pypsrp", "pyspnego", "pywinrm", "python-dracclient", "txwinrm"];

/// What was set up.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Names and values for the environment of the tests.
    pub(crate) variables: Vec<(&'static str, OsString)>,
    /// A sentence for each peer that should be there and isn't.
    pub(crate) missing: Vec<String>,
}

/// Sets up every peer that can be had.
pub(crate) fn set_up(workspace: &Workspace) -> Result<Peers, Failure> {
    packages::install(&packages::for_testing(python::find().is_none()))?;
    let mut peers = Peers::default();
    set_up_python(workspace, &mut peers);
    set_up_go(&mut peers);
    set_up_neighbours(workspace, &mut peers);
    Ok(peers)
}

/// pywinrm, pypsrp, pyspnego, Ansible, and the recordings in source packages.
fn set_up_python(workspace: &Workspace, peers: &mut Peers) {
    let Some(python) = python::find() else {
        peers
            .missing
            .push("no Python 3.11 or newer with venv and headers: the Python peers are left out".to_owned());
        return;
    };
    let environment = match python::environment(workspace, &python) {
        Ok(environment) => environment,
        Err(failure) => {
            peers
                .missing
                .push(format!("the Python peers can't be installed and are left out: {}", failure.message));
            return;
        }
    };
    peers.variables.push(("WINRM_TEST_PYTHON", environment.join("bin/python").into()));
    peers.variables.push(("WINRM_TEST_ANSIBLE", environment.join("bin").into()));
    match python::collections(workspace, &environment) {
        Ok(folder) => peers.variables.push(("WINRM_TEST_COLLECTIONS", folder.into())),
        Err(failure) => peers.missing.push(format!(
            "Ansible's collection for Windows can't be had, tests with its modules are left out: {}",
            failure.message
        )),
    }
    for name in SOURCES {
        match python::source(workspace, &environment, name) {
            Ok(folder) if name == "pypsrp" => {
                peers
                    .variables
                    .push(("WINRM_TEST_RECORDINGS", folder.join("tests/tests_pypsrp/responses").into()));
            }
            Ok(_) => {}
            Err(failure) => peers.missing.push(format!(
                "the source package of {name} can't be had, tests with its data are left out: {}",
                failure.message
            )),
        }
    }
    peers.variables.push(("WINRM_TEST_SOURCES", workspace.peers().into()));
    match wheel::environment(workspace, &python) {
        Ok(environment) => peers
            .variables
            .push(("WINRM_TEST_OWN_PYTHON", environment.join("bin/python").into())),
        Err(failure) => peers.missing.push(format!(
            "our Python module can't be built or installed, its tests are left out: {}",
            failure.message
        )),
    }
}

/// The Go client, built by its test from Debian's sources.
fn set_up_go(peers: &mut Peers) {
    let sources = Path::new("/usr/share/gocode/src/github.com/masterzen/winrm");
    match steps::on_path("go").into_iter().next() {
        Some(go) if sources.is_dir() => peers.variables.push(("WINRM_TEST_GO", go.into())),
        _ => peers
            .missing
            .push("no Go, or no golang-github-masterzen-winrm-dev: the Go client is left out".to_owned()),
    }
}

/// Programs around the Go client and the crate winrm-rs, for the comparison of the benchmarks.
pub(crate) fn build_drivers(workspace: &Workspace, peers: &mut Peers) {
    let sources = workspace.root.join("tests/peers");
    if let Some((_, go)) = peers.variables.iter().find(|(name, _)| *name == "WINRM_TEST_GO") {
        let binary = workspace.peers().join("go-bench");
        let mut build = Command::new(go);
        build.args(["build", "-o"]).arg(&binary).arg(sources.join("go/bench/bench.go"));
        build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
        build.env("GOCACHE", workspace.peers().join("go-cache"));
        match steps::run_quietly(&mut build) {
            Ok(_) => peers.variables.push(("WINRM_TEST_GO_BENCH", binary.into())),
            Err(failure) => peers.missing.push(format!("the Go client can't be built: {}", failure.message)),
        }
    }
    let folder = workspace.peers().join("winrm-rs");
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]);
    build.arg(sources.join("winrm-rs/Cargo.toml")).arg("--target-dir").arg(&folder);
    match steps::run_quietly(&mut build) {
        Ok(_) => peers
            .variables
            .push(("WINRM_TEST_WINRM_RS", folder.join("release/bench-winrm-rs").into())),
        Err(failure) => peers
            .missing
            .push(format!("the crate winrm-rs can't be built: {}", failure.message)),
    }
}

/// What lies in a folder `shared` beside the repository. It is no part of the project, and nobody has to have it.
fn set_up_neighbours(workspace: &Workspace, peers: &mut Peers) {
    let shared = workspace.root.parent().map(|parent| parent.join("shared")).unwrap_or_default();
    let kdc = shared.join("peers/kdc.sh");
    if kdc.is_file() {
        peers.variables.push(("WINRM_TEST_KDC", kdc.into()));
    }
    // A PowerShell that the user has chosen or installed goes first.
    let powershell: PathBuf = shared.join("pwsh/pwsh");
    if std::env::var_os("WINRM_PWSH").is_none() && steps::on_path("pwsh").is_empty() && powershell.is_file() {
        peers.variables.push(("WINRM_PWSH", powershell.into()));
    }
}
