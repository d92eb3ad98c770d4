//! Kerberos of the program, against a real KDC: tickets of every kind, what keeps them from working, and that none is left behind.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod kdc;
#[path = "support/peer.rs"]
#[allow(dead_code, reason = "the tests with scripts use the rest")]
mod peer;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod service;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use kdc::{Kdc, authenticated};
use service::{Service, USER};

/// The program as a user of Kerberos: a KDC, a service that knows its principals, and folders that begin empty.
struct Realm {
    kdc: Kdc,
    service: Service,
    /// `TMPDIR` of the program.
    temporary: PathBuf,
    folder: PathBuf,
}

impl Realm {
    fn start(test: &str) -> Option<Self> {
        let folder = service::folder(test);
        let kdc = Kdc::start(test, &folder)?;
        let service = Service::start(&folder, &["-v", "--keytab", &kdc.keytab(), "--allow-any-principal"]);
        let temporary = folder.join("tmp");
        fs::create_dir(&temporary).unwrap();
        Some(Self {
            kdc,
            service,
            temporary,
            folder,
        })
    }

    /// `winrm -v run` with Kerberos as the transport, the flags, a command that succeeds, and no tickets but what the flags bring.
    fn run(&self, flags: &[&str]) -> Command {
        self.faked(&[], flags)
    }

    /// The same behind another program.
    fn faked(&self, before: &[&str], flags: &[&str]) -> Command {
        let line = [
            before,
            &[env!("CARGO_BIN_EXE_winrm"), "-v", "run", "--transport", "kerberos"],
            flags,
        ]
        .concat();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).arg(self.url()).args(["--", "echo out; exit 7"]);
        self.surround(&mut command);
        command
    }

    /// The environment of a user without tickets.
    fn surround(&self, command: &mut Command) {
        command.env_remove("WINRM_PASSWORD").stdin(Stdio::null());
        command.env("KRB5_CONFIG", self.kdc.config()).env("TMPDIR", &self.temporary);
        command.env("KRB5CCNAME", format!("FILE:{}", self.no_ccache().display()));
    }

    fn no_ccache(&self) -> PathBuf {
        self.folder.join("no-ccache")
    }

    fn url(&self) -> String {
        self.service.url.replace("127.0.0.1", "localhost")
    }

    /// A user of the realm and a file with this password.
    fn user(&self, principal: &str, password: &str) -> [String; 4] {
        let file = self.folder.join(format!("password-{}", password.len()));
        fs::write(&file, format!("{password}\n")).unwrap();
        let file = file.display().to_string();
        ["--user".into(), principal.into(), "--connection-password-file".into(), file]
    }

    fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file.display().to_string()
    }

    /// Fails unless the command ran on the service, with Kerberos, and nothing is left of its tickets.
    #[track_caller]
    fn assert_runs(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("out\n", Some(7)), "{err}");
        self.assert_clean();
        err
    }

    /// Fails unless the program ended with status 4, an error with all these words, a hint, no password, and no trace.
    #[track_caller]
    fn assert_refused(&self, command: &mut Command, words: &[&str], hint: &str) {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let (out, err) = (text(&stdout), text(&stderr));
        assert_eq!((out.as_str(), status.code()), ("", Some(4)), "{err}");
        let error = err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        let hinted = err.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in the error:\n{err}");
        }
        assert!(hinted.contains(hint), "{hint:?} is not in the hint:\n{err}");
        assert!(!err.contains(kdc::PASSWORD) && !err.contains(WRONG), "a password is shown:\n{err}");
        self.assert_clean();
    }

    #[track_caller]
    fn assert_clean(&self) {
        let left: Vec<_> = fs::read_dir(&self.temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty() && !self.no_ccache().exists(), "left behind: {left:?}");
    }
}

/// No password of anyone here.
const WRONG: &str = "not the password";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}

#[test]
fn tickets_of_every_kind() {
    let Some(realm) = Realm::start("tickets") else { return };
    let user = realm.user(kdc::PRINCIPAL, kdc::PASSWORD);
    let managed = strs(&user);
    let err = realm.assert_runs(&mut realm.run(&managed));
    assert!(err.contains("scheme=Negotiate mechanism=Kerberos sealed=true"), "{err}");
    realm.assert_runs(&mut realm.run(&[&managed[..], &["--kinit", "managed", "--kinit-args", "-f -l 10m"]].concat()));
    // The realm is the default one of krb5.conf, and one that is given.
    let plain = realm.user("user", kdc::PASSWORD);
    realm.assert_runs(&mut realm.run(&strs(&plain)));
    realm.assert_runs(&mut realm.run(&[&strs(&plain)[..], &["--realm", kdc::REALM]].concat()));
    // A ticket that is there: by the environment, and by name.
    let ccache = realm.kdc.ccache("manual", &[]);
    realm.assert_runs(realm.run(&["--kinit", "manual"]).env("KRB5CCNAME", &ccache));
    realm.assert_runs(realm.run(&[]).env("KRB5CCNAME", &ccache));
    realm.assert_runs(&mut realm.run(&["--ccache", &ccache]));
    realm.assert_runs(&mut realm.run(&["--ccache", &ccache, "--service", "HTTP", "--hostname-override", "host1.winrm.test"]));
    realm.assert_runs(&mut realm.run(&["--ccache", &ccache, "--service", "WSMAN"]));
    let log = realm.service.log();
    assert!(authenticated(&log, "Kerberos") && !authenticated(&log, "NTLM"), "{log}");
    assert!(log.contains(kdc::PRINCIPAL), "{log}");
    // A key table: whose it is, is said or found in it.
    let keytab = realm.kdc.client_keytab("alice@WINRM.TEST");
    realm.assert_runs(&mut realm.run(&["--keytab", &keytab, "--user", "alice@WINRM.TEST"]));
    realm.assert_runs(&mut realm.run(&["--keytab", &keytab]));
    assert!(realm.service.log().contains("alice@WINRM.TEST"), "{}", realm.service.log());
}

#[test]
fn what_keeps_kerberos_from_working_is_said() {
    let Some(realm) = Realm::start("no-ticket") else { return };
    let user = realm.user(kdc::PRINCIPAL, kdc::PASSWORD);
    let user = strs(&user);
    let with = |more: &[&str]| realm.run(&[&user[..], more].concat());

    realm.assert_refused(
        &mut realm.run(&["--kinit", "manual"]),
        &["no Kerberos ticket for localhost"],
        "kinit",
    );
    realm.assert_refused(&mut realm.run(&["--ccache", "FILE:/nowhere/cc"]), &["/nowhere/cc"], "klist");
    realm.assert_refused(&mut realm.run(&["--keytab", "/nowhere/keytab"]), &["/nowhere/keytab"], "klist -k");
    let wrong = realm.user(kdc::PRINCIPAL, WRONG);
    realm.assert_refused(
        &mut realm.run(&strs(&wrong)),
        &[kdc::PRINCIPAL, "Password incorrect"],
        "password is wrong",
    );
    let stranger = realm.user("nobody@WINRM.TEST", kdc::PASSWORD);
    realm.assert_refused(
        &mut realm.run(&strs(&stranger)),
        &["nobody@WINRM.TEST", "not found"],
        "does not know this user",
    );
    let elsewhere = realm.user("user@NOWHERE.TEST", kdc::PASSWORD);
    realm.assert_refused(&mut realm.run(&strs(&elsewhere)), &["Cannot find KDC", "NOWHERE.TEST"], "krb5.conf");
    realm.assert_refused(
        &mut with(&["--hostname-override", "nowhere.winrm.test"]),
        &["HTTP/nowhere.winrm.test@WINRM.TEST not found"],
        "no such service",
    );
    realm.assert_refused(
        &mut with(&["--service", "nothing"]),
        &["nothing/localhost@WINRM.TEST not found"],
        "override",
    );
    realm.assert_refused(
        &mut with(&["--kinit-cmd", "/nowhere/kinit"]),
        &["/nowhere/kinit is not there"],
        "krb5-user",
    );
    let failing = realm.script("failing-kinit", "read password; echo \"sorry about $password\" >&2; exit 3");
    realm.assert_refused(
        &mut with(&["--kinit-cmd", &failing]),
        &["exit status: 3", "sorry about ***"],
        "by hand",
    );
    let lying = realm.script("lying-kinit", "exit 0");
    let outcome = text(&with(&["--kinit-cmd", &lying]).output().unwrap().stderr);
    assert!(outcome.contains("can't be used"), "{outcome}");

    // The clock of this machine is changed for the program; kinit, which gets no environment, has the right one.
    if Command::new("faketime")
        .args(["-f", "+1h", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        let faked = |offset: &str| realm.faked(&["faketime", "-f", offset], &user);
        realm.assert_refused(&mut faked("-10m"), &["Clock skew too great"], "clocks differ");
        realm.assert_refused(&mut faked("+2h"), &["Ticket expired"], "run kinit again");
        let ccache = realm.kdc.ccache("old", &[]);
        realm.assert_refused(
            &mut realm.faked(&["faketime", "-f", "+2h"], &["--ccache", &ccache]),
            &["expired"],
            "expired",
        );
    } else {
        println!("clocks are left out: no faketime");
    }

    let ccache = realm.kdc.ccache("without-service", &[]);
    realm.kdc.stop();
    realm.assert_refused(&mut with(&[]), &["Cannot contact any KDC", kdc::REALM], "port 88");
    realm.assert_refused(&mut realm.run(&["--ccache", &ccache]), &["Cannot contact any KDC"], "KDC");
    let log = realm.service.log();
    assert!(!log.contains("authenticated "), "somebody was let in:\n{log}");
}

#[test]
fn a_kinit_that_hangs_is_ended_with_what_it_started() {
    let Some(realm) = Realm::start("hanging-kinit") else { return };
    let user = realm.user(kdc::PRINCIPAL, kdc::PASSWORD);
    let hanging = realm.script("hanging-kinit", "echo \"$$\" >&2; sleep 1000");
    let mut command = realm.run(&[&strs(&user)[..], &["--kinit-cmd", &hanging]].concat());
    realm.assert_refused(&mut command, &["hanging-kinit did not end within 30 s and was killed"], "KDC");
}

#[test]
fn an_interrupted_program_leaves_no_ticket_and_no_kinit() {
    let Some(realm) = Realm::start("interrupted-kinit") else { return };
    let user = realm.user(kdc::PRINCIPAL, kdc::PASSWORD);
    let pid_file = realm.folder.join("pid");
    let hanging = realm.script(
        "hanging-kinit",
        &format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 1000", pid_file.display()),
    );
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = realm.run(&[&strs(&user)[..], &["--kinit-cmd", &hanging]].concat()).spawn().unwrap();
        while !pid_file.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
        realm.assert_clean();
        let pid = fs::read_to_string(&pid_file).unwrap();
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "kinit still runs: {state}");
        fs::remove_file(&pid_file).unwrap();
    }
}

#[test]
fn negotiate_takes_kerberos_where_it_can_and_ntlm_where_not() {
    let Some(realm) = Realm::start("negotiate") else { return };
    let run = |flags: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(["-v", "run"])
            .args(flags)
            .arg(realm.url())
            .args(["--", "echo out; exit 7"]);
        realm.surround(&mut command);
        command
    };
    realm.assert_runs(&mut run(&realm.user(kdc::PRINCIPAL, kdc::PASSWORD)));
    let log = realm.service.log();
    assert!(authenticated(&log, "Kerberos") && !authenticated(&log, "NTLM"), "{log}");
    // A local account asks no KDC; the service's own user has the password of NTLM.
    realm.assert_runs(&mut run(&realm.user(USER, service::PASSWORD)));
    assert!(authenticated(&realm.service.log(), "NTLM"), "{}", realm.service.log());
    // A principal for whom there is no ticket: NTLM is tried, and why there is no Kerberos is told.
    let output = run(&realm.user(kdc::PRINCIPAL, WRONG)).output().unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert!(err.contains("no Kerberos") && err.contains("Password incorrect"), "{err}");
    assert!(err.contains("hint: ") && !err.contains(WRONG), "{err}");
    realm.assert_clean();
    // With no KDC to ask, a user who has an account of the service's as well comes in by NTLM.
    realm.kdc.stop();
    let user = realm.user(USER, service::PASSWORD);
    let err = realm.assert_runs(&mut run(&[&user[..], &["--realm".into(), kdc::REALM.into()]].concat()));
    assert!(err.contains("Cannot contact any KDC") && err.contains("sealed=true"), "{err}");
}

#[test]
fn a_ticket_alone_lets_nobody_in_who_has_no_account() {
    let Some(realm) = Realm::start("no-account") else { return };
    let folder = service::folder("no-account-service");
    let service = Service::start(&folder, &["-v", "--keytab", &realm.kdc.keytab()]);
    // Both are known to the KDC; the service has an account `alice`, but none of that realm's.
    for principal in [kdc::PRINCIPAL, "alice@WINRM.TEST"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winrm"));
        command
            .args(["run", "--transport", "kerberos"])
            .args(realm.user(principal, kdc::PASSWORD));
        command.args([&service.url.replace("127.0.0.1", "localhost"), "--", "echo out; exit 7"]);
        realm.surround(&mut command);
        realm.assert_refused(&mut command, &["HTTP 401"], "ticket");
    }
    assert!(!authenticated(&service.log(), "Kerberos"), "{}", service.log());
}
