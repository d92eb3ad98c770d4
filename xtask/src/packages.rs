//! Debian's packages: which are needed by what, which are missing, and their installation.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::steps::{self, Failure};

/// A package of Debian's and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    name: &'static str,
    needed_for: &'static str,
}

const fn package(name: &'static str, needed_for: &'static str) -> Package {
    Package { name, needed_for }
}

/// What a build needs.
const BUILD: &[Package] = &[
    package("build-essential", "linking; the C parts of the Python peers"),
    package("libssl-dev", "TLS: the crate openssl-sys"),
    package("pkg-config", "finding OpenSSL: the crate openssl-sys"),
];

/// What the tests need beyond a build. A later peer (a web server, a proxy) is one more line here.
const PEERS: &[Package] = &[
    package("apache2", "Kerberos, with its module; TLS: a web server that renegotiates"),
    package("ca-certificates", "reaching the package registries"),
    package("curl", "plain HTTP requests in tests"),
    package("dnsmasq-base", "names and addresses that disagree: winrm doctor"),
    package("git", "cargo and its tools"),
    package("golang-go", "the Go client"),
    package("golang-github-masterzen-winrm-dev", "the Go client"),
    package("gss-ntlmssp", "NTLM: a peer from other authors"),
    package("iproute2", "networks of a test's own: winrm doctor"),
    package("krb5-admin-server", "Kerberos: kadmin.local, which fills the test KDC"),
    package("krb5-kdc", "Kerberos: the test KDC"),
    package("krb5-user", "Kerberos: kinit, klist"),
    package("faketime", "Kerberos: clocks that differ"),
    package("libapache2-mod-auth-gssapi", "Kerberos: an acceptor from other authors"),
    package("libfaketime", "Kerberos: clocks that differ"),
    package(
        "libkrb5-dev",
        "Kerberos: the Python modules gssapi, krb5 and pykerberos are built here",
    ),
    package("nginx-light", "TLS: a web server that asks for client certificates"),
    package("openssl", "certificates of tests"),
    package("python3-samba", "security descriptors: Samba's reading and writing of SDDL"),
    package("squid", "proxies: one with users and ports"),
    package("tinyproxy", "proxies: a small one"),
    package("uuid-runtime", "wsl: uuidgen"),
    package("winrmcp", "copying files with the Go client"),
    package("wsl", "WS-Management's verbs: a client of bash and curl"),
];

/// What the Python peers need where no Python at hand can make a virtual environment.
const PYTHON: &[Package] = &[
    package("python3", "the Python peers"),
    package("python3-dev", "the C parts of the Python peers"),
    package("python3-venv", "the Python peers"),
];

/// The packages that a build needs; Debian's Python is among them if `with_python`.
pub(crate) fn for_building(with_python: bool) -> Vec<Package> {
    let python = if with_python { PYTHON } else { &[] };
    [BUILD, python].concat()
}

/// The packages that the tests need; Debian's Python is among them if `with_python`.
pub(crate) fn for_testing(with_python: bool) -> Vec<Package> {
    let python = if with_python { PYTHON } else { &[] };
    [BUILD, PEERS, python].concat()
}

/// Installs what is missing: as root at once, otherwise it fails with the line to type.
///
/// Elsewhere than on a Debian it says so and succeeds: what is there will have to do.
pub(crate) fn install(packages: &[Package]) -> Result<(), Failure> {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    let Some(installed) = installed(&names) else {
        steps::note("this is no Debian (no dpkg-query): packages are not looked after, what is there will be used");
        return Ok(());
    };
    let missing: Vec<Package> = packages
        .iter()
        .filter(|package| !installed.contains(package.name))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    steps::heading("packages");
    for package in &missing {
        steps::note(&format!("{:<34} {}", package.name, package.needed_for));
    }
    if !is_root() {
        let line = format!("apt-get update && apt-get install -y --no-install-recommends {}", names.join(" "));
        return Err(Failure::new(format!(
            "packages are missing; install them as root and start again:\n\n  {line}\n"
        )));
    }
    run_apt(&["update"])?;
    run_apt(&[&["install", "-y", "--no-install-recommends"], names.as_slice()].concat())
}

/// Runs apt-get without questions.
fn run_apt(args: &[&str]) -> Result<(), Failure> {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"])
        .args(args);
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    steps::run_quietly(&mut apt)
        .map(drop)
        .map_err(|failure| Failure::new(format!("apt-get {}: {}", args.join(" "), failure.message)))
}

/// Which of the packages are installed; nothing where there is no dpkg.
fn installed(names: &[&str]) -> Option<BTreeSet<String>> {
    // Names that dpkg doesn't know go to standard error and make the status 1; the others are still listed.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\\n"])
        .args(names)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(installed_of(&String::from_utf8_lossy(&output.stdout)))
}

/// The installed packages in dpkg-query's lines of a name and a status.
fn installed_of(listing: &str) -> BTreeSet<String> {
    listing
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, status)| *status == "installed")
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn is_root() -> bool {
    steps::ask("id", ["-u"]).is_some_and(|id| id == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_counts_as_missing() {
        let installed = installed_of("curl installed\napache2 config-files\nnginx not-installed\ngit half-installed\n");
        assert_eq!(installed, BTreeSet::from(["curl".to_owned()]));
    }

    #[test]
    fn no_package_is_listed_twice() {
        let all = for_testing(true);
        let names: BTreeSet<&str> = all.iter().map(|package| package.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(for_building(true).iter().all(|package| all.contains(package)));
    }
}
