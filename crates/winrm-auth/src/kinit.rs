//! Managed tickets: the user's password turned into a ticket by the system's `kinit`, in a cache of its own.
//!
//! `kinit` rather than the library's password credentials, because it follows all of `krb5.conf` and can be asked for a
//! ticket that may be forwarded. It runs in a session of its own, with its own short environment and cache: nothing of
//! this process's environment or of the user's own tickets is changed.
//!
//! The functions here start processes and block until these end, at most for the deadline: run them off asynchronous
//! threads.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use winrm_gssapi::{Credential, CredentialStore, Library, Mechanism, Usage};

use crate::{Credentials, Secret};

/// How `kinit` is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinit {
    command: String,
    arguments: Option<Vec<String>>,
    environment: Vec<String>,
    forwardable: bool,
    deadline: Duration,
}

impl Default for Kinit {
    /// `kinit` of the `PATH`, for a ticket that need not be forwardable, with `KRB5_CONFIG` passed on so that it asks
    /// the KDC that the library will use, and 30 seconds of time.
    fn default() -> Self {
        Self {
            command: "kinit".to_owned(),
            arguments: None,
            environment: vec!["KRB5_CONFIG".to_owned()],
            forwardable: false,
            deadline: Duration::from_secs(30),
        }
    }
}

impl Kinit {
    /// Another program: a name that is looked for on the `PATH`, or a path. It has to read the password from standard
    /// input and to write the cache that `KRB5CCNAME` names.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// The arguments in front of the principal. They replace `-f`.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments = Some(arguments.into_iter().map(Into::into).collect());
        self
    }

    /// Names of the environment variables the program gets beside `PATH` and `KRB5CCNAME`; those that aren't set are
    /// left out. The list replaces the default one.
    #[must_use]
    pub fn environment(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.environment = names.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for a ticket that can be forwarded (`-f`), which delegation needs.
    #[must_use]
    pub fn forwardable(mut self, forwardable: bool) -> Self {
        self.forwardable = forwardable;
        self
    }

    /// How long the program may take before it is killed, with all that it started.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Gets a ticket for `principal`. Blocks until `kinit` ends, at most for the deadline.
    ///
    /// # Errors
    /// See [`KinitError`]; none of them contains the password.
    pub fn ticket(&self, principal: &str, password: &Secret) -> Result<Ticket, KinitError> {
        self.ticket_unless(&AtomicBool::new(false), principal, password)
    }

    /// The same, given up as soon as `closed` is set.
    fn ticket_unless(&self, closed: &AtomicBool, principal: &str, password: &Secret) -> Result<Ticket, KinitError> {
        if password.expose().contains(['\n', '\r', '\0']) {
            return Err(KinitError::Password);
        }
        // An option would be read where the principal is expected.
        if principal.is_empty() || principal.starts_with('-') || principal.contains(char::is_control) {
            return Err(KinitError::Principal(principal.to_owned()));
        }
        // Readable by this user alone; the cache in it is created by kinit with mode 0600.
        let directory = tempfile::Builder::new()
            .prefix("winrm-krb5-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| KinitError::Directory(error.to_string()))?;
        let ccache = format!("FILE:{}", directory.path().join("ccache").display());
        let child = self.spawn(principal, &ccache)?;
        let (status, output) = self.attend(child, closed, password)?;
        if !status.success() {
            return Err(KinitError::Refused {
                command: self.command.clone(),
                principal: principal.to_owned(),
                status,
                output,
            });
        }
        let mut ticket = Ticket {
            principal: principal.to_owned(),
            ccache,
            lifetime: Duration::ZERO,
            directory,
        };
        ticket.lifetime = ticket.remaining()?;
        Ok(ticket)
    }

    fn spawn(&self, principal: &str, ccache: &str) -> Result<Child, KinitError> {
        let set = |name: &str| std::env::var_os(name).map(|value| (OsString::from(name), value));
        let mut command = Command::new(&self.command);
        match &self.arguments {
            Some(arguments) => command.args(arguments),
            None if self.forwardable => command.arg("-f"),
            None => &mut command,
        };
        command
            .arg(principal)
            .env_clear()
            .envs(set("PATH"))
            .envs(self.environment.iter().filter_map(|name| set(name)))
            .env("KRB5CCNAME", ccache)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        winrm_gssapi::in_new_session(&mut command);
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => KinitError::Missing {
                command: self.command.clone(),
            },
            _ => KinitError::Start {
                command: self.command.clone(),
                reason: error.to_string(),
            },
        })
    }

    /// Gives the child its password and waits for its end; gives its status and what it said.
    fn attend(&self, mut child: Child, closed: &AtomicBool, password: &Secret) -> Result<(ExitStatus, String), KinitError> {
        if let Some(mut stdin) = child.stdin.take() {
            // One that doesn't read it says by its status what it thinks of that. The pipe holds far more than a
            // password, so this can't block.
            let _ = stdin.write_all(password.expose().as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        }
        let said = Listener::new([child.stdout.take().map(boxed), child.stderr.take().map(boxed)]);
        let status = match wait(&mut child, self.deadline, closed) {
            Ok(Some(status)) => status,
            Ok(None) => {
                kill(&mut child);
                if closed.load(Ordering::Acquire) {
                    return Err(KinitError::Closed);
                }
                return Err(KinitError::TimedOut {
                    command: self.command.clone(),
                    deadline: self.deadline,
                    output: said.output(password),
                });
            }
            Err(error) => {
                kill(&mut child);
                return Err(KinitError::Start {
                    command: self.command.clone(),
                    reason: error.to_string(),
                });
            }
        };
        Ok((status, said.output(password)))
    }
}

fn boxed(pipe: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(pipe)
}

/// Waits for the end of `child`, for the deadline, or until `closed` is set. Polls, because the standard library can't wait for a limited time.
fn wait(child: &mut Child, deadline: Duration, closed: &AtomicBool) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if closed.load(Ordering::Acquire) {
            return Ok(None);
        }
        let Some(left) = deadline.checked_sub(start.elapsed()) else {
            return Ok(None);
        };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Kills the child and all that it started: it leads its session's process group. The child has not been waited for,
/// so that its number is still its own.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Collects what a child says, on threads of its own so that full pipes block nobody.
struct Listener(mpsc::Receiver<Vec<u8>>);

impl Listener {
    fn new(pipes: [Option<Box<dyn Read + Send>>; 2]) -> Self {
        let (sender, receiver) = mpsc::channel();
        for mut pipe in pipes.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                    if sender.send(chunk[..length].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        Self(receiver)
    }

    /// All that was said, without the password. A grandchild that keeps a pipe open is given half a second.
    fn output(self, password: &Secret) -> String {
        const ENOUGH: usize = 16 * 1024;
        let mut bytes = Vec::new();
        while let Ok(chunk) = self.0.recv_timeout(Duration::from_millis(500)) {
            if bytes.len() < ENOUGH {
                bytes.extend_from_slice(&chunk);
            }
        }
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if !password.is_empty() {
            text = text.replace(password.expose(), "***");
        }
        // The prompt is no news.
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let told = lines.map(|line| match line.split_once(": ") {
            Some((prompt, rest)) if prompt.starts_with("Password for ") => rest,
            _ => line,
        });
        told.filter(|line| !(line.starts_with("Password for ") && line.ends_with(':')))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// A ticket in a cache of its own, which is removed when the last user of it is gone.
#[derive(Debug)]
pub struct Ticket {
    principal: String,
    ccache: String,
    lifetime: Duration,
    directory: tempfile::TempDir,
}

impl Ticket {
    /// The name of its cache: `FILE:/…`.
    pub fn ccache(&self) -> &str {
        &self.ccache
    }

    /// Whose ticket it is.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// How long it is still valid; zero once it has expired.
    ///
    /// # Errors
    /// [`KinitError::Unusable`] if the library can't read the cache.
    pub fn remaining(&self) -> Result<Duration, KinitError> {
        let read = || {
            let store = CredentialStore::new().ccache(&self.ccache);
            let credential = Credential::acquire(Library::load()?, None, Usage::Initiate, Mechanism::Krb5, &store)?;
            credential.lifetime()
        };
        read()
            .map(|lifetime| lifetime.unwrap_or(Duration::MAX))
            .map_err(KinitError::Unusable)
    }

    /// Removes the cache now, whoever still uses the ticket.
    fn remove(&self) {
        // What can't be removed now can't be at the end either.
        let _ = std::fs::remove_dir_all(self.directory.path());
    }

    /// Whether it should be replaced: it ends within five minutes, or has used up nine tenths of a shorter life.
    fn is_stale(&self) -> bool {
        let reserve = Duration::from_secs(300).min(self.lifetime / 10);
        self.remaining().map_or(true, |remaining| remaining <= reserve)
    }
}

/// The tickets of a run: one for each principal, shared by all hosts, and renewed before it ends.
///
/// A failure is shared by all who wait for it, and a refusal is kept: a wrong password is tried once and not once for
/// each host, which would lock the account. Only where no KDC could be reached the next one to ask tries again.
#[derive(Debug, Default)]
pub struct TicketCache {
    entries: Mutex<HashMap<String, Vec<Arc<Entry>>>>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    kinit: Kinit,
    password: Secret,
    /// Held while `kinit` runs, so that others with the same principal wait for its result.
    outcome: Mutex<Option<Result<Arc<Ticket>, KinitError>>>,
    /// How often `kinit` has ended: who waited knows that the outcome is newer than its question.
    runs: AtomicU64,
}

impl TicketCache {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ticket of `principal`, fetched if there is none or if it is about to end. Asked for the same one by several
    /// threads, `kinit` runs once. Blocks as [`Kinit::ticket`] does.
    ///
    /// # Errors
    /// See [`KinitError`]. A [`KinitError::Refused`] by a KDC is remembered until [`forget`](Self::forget).
    pub fn ticket(&self, kinit: &Kinit, principal: &str, password: &Secret) -> Result<Arc<Ticket>, KinitError> {
        let entry = self.entry(kinit, principal, password);
        let runs = entry.runs.load(Ordering::Acquire);
        let mut outcome = lock(&entry.outcome);
        if self.closed.load(Ordering::Acquire) {
            return Err(KinitError::Closed);
        }
        let waited = entry.runs.load(Ordering::Acquire) != runs;
        match &*outcome {
            Some(Ok(ticket)) if waited || !ticket.is_stale() => return Ok(ticket.clone()),
            Some(Err(error)) if waited || error.is_final() => return Err(error.clone()),
            _ => {}
        }
        let fetched = kinit.ticket_unless(&self.closed, principal, password).map(Arc::new);
        *outcome = Some(fetched.clone());
        entry.runs.fetch_add(1, Ordering::Release);
        fetched
    }

    /// Drops what is known about `principal`. Tickets in use stay until their last user is gone.
    pub fn forget(&self, principal: &str) {
        lock(&self.entries).remove(principal);
    }

    /// Ends every `kinit` that still runs and removes all tickets, those in use as well: for the end of a program, whose threads may
    /// not get to drop what they hold. Blocks for some milliseconds. Nobody gets a ticket any more afterwards.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let entries = std::mem::take(&mut *lock(&self.entries));
        for entry in entries.into_values().flatten() {
            // Waits for the one that holds it, who gives up now.
            if let Some(Ok(ticket)) = lock(&entry.outcome).take() {
                ticket.remove();
            }
        }
    }

    fn entry(&self, kinit: &Kinit, principal: &str, password: &Secret) -> Arc<Entry> {
        let mut entries = lock(&self.entries);
        let entries = entries.entry(principal.to_owned()).or_default();
        // Another password is another entry: a ticket must not vouch for a password that is wrong.
        if let Some(entry) = entries.iter().find(|entry| entry.kinit == *kinit && entry.password == *password) {
            return entry.clone();
        }
        let entry = Arc::new(Entry {
            kinit: kinit.clone(),
            password: password.clone(),
            outcome: Mutex::new(None),
            runs: AtomicU64::new(0),
        });
        entries.push(entry.clone());
        entry
    }
}

/// No invariant spans two fields, so that a panic of another thread leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The principal of a user: `user@realm` as it is, `user` and `DOMAIN\user` with `realm` if one is given; without one
/// a domain that is a DNS name is taken for the realm, in capitals, and else the default realm of `krb5.conf` holds.
pub fn principal(credentials: &Credentials, realm: Option<&str>) -> String {
    if credentials.is_principal_name() {
        return credentials.user.clone();
    }
    let domain = credentials
        .domain
        .as_deref()
        .filter(|domain| domain.contains('.') && *domain != ".");
    match realm.map(str::to_owned).or_else(|| domain.map(str::to_uppercase)) {
        Some(realm) => format!("{}@{realm}", credentials.user),
        None => credentials.user.clone(),
    }
}

/// Why there is no managed ticket. The texts a program printed are kept with the password left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KinitError {
    /// There is no such program.
    #[error("the program {command} is not there")]
    Missing {
        /// What was to be run.
        command: String,
    },
    /// The program could not be started.
    #[error("the program {command} can't be run: {reason}")]
    Start {
        /// What was to be run.
        command: String,
        /// What the system said.
        reason: String,
    },
    /// The program ended without a ticket.
    #[error("{command} got no ticket for {principal} ({status}): {output}")]
    Refused {
        /// What was run.
        command: String,
        /// Whose ticket it was to get.
        principal: String,
        /// Its exit status.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// The program did not end and was killed.
    #[error("{command} did not end within {} s and was killed: {}", deadline.as_secs_f32(), if output.is_empty() { "it said nothing" } else { output })]
    TimedOut {
        /// What was run.
        command: String,
        /// How long it was waited for.
        deadline: Duration,
        /// What it had said until then.
        output: String,
    },
    /// The program said that all is well, but the library finds no ticket in the cache.
    #[error("the ticket that kinit got can't be used")]
    Unusable(#[source] winrm_gssapi::Error),
    /// A password that no prompt takes.
    #[error("the password contains a line break or a NUL")]
    Password,
    /// A name that is no principal.
    #[error("{0:?} is no Kerberos principal")]
    Principal(String),
    /// [`TicketCache::close`] came first.
    #[error("the tickets are given up: this program ends")]
    Closed,
    /// There is no place for the cache.
    #[error("no private directory for a ticket cache can be made: {0}")]
    Directory(String),
}

/// What MIT and Heimdal say when it isn't the user's fault.
const NO_KDC: &[&str] = &["Cannot find KDC", "unable to reach any KDC", "Cannot contact any KDC", "Clock skew"];

impl KinitError {
    /// Whether the KDC has judged the user and the password, so that trying again is of no use and may lock the account.
    /// In doubt it has.
    fn is_final(&self) -> bool {
        matches!(self, Self::Refused { output, .. } if !NO_KDC.iter().any(|words| output.contains(words)))
    }

    /// What a person can do about it, in one sentence; `None` where the program's own words say it.
    pub fn hint(&self) -> Option<&'static str> {
        let Self::Refused { output, .. } = self else {
            return match self {
                Self::Missing { .. } => Some(
                    "install krb5-user (Debian, Ubuntu), krb5-workstation (Fedora, RHEL) or krb5 (Alpine, Arch), or use tickets that are there",
                ),
                Self::TimedOut { .. } => Some("no KDC may be reachable, or the command asks for more than a password"),
                _ => None,
            };
        };
        // MIT's words, then Heimdal's.
        const HINTS: &[(&[&str], &str)] = &[
            (
                &["Password incorrect", "Preauthentication failed", "Decrypt integrity check failed"],
                "the password is wrong (or the name: with Active Directory the salt depends on its exact spelling)",
            ),
            (
                &["not found in Kerberos database", "Client unknown"],
                "the KDC does not know this user: check its spelling and the realm",
            ),
            (
                &["Cannot find KDC", "unable to reach any KDC", "Cannot contact any KDC"],
                "realms are in capitals; check the realm, krb5.conf, DNS and port 88",
            ),
            (
                &["Clock skew"],
                "synchronise the clock of this machine with the domain (chrony, ntpd)",
            ),
            (&["revoked", "locked"], "the account is locked or disabled"),
            (&["expired"], "the password has expired and has to be changed first"),
        ];
        let hint = HINTS.iter().find(|(words, _)| words.iter().any(|word| output.contains(word)));
        Some(hint.map_or(
            "run the command by hand, with the same user and krb5.conf: it may ask for more than a password",
            |&(_, hint)| hint,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_principal_of_a_user() {
        let of = |name: &str, realm| principal(&Credentials::parse(name, "").unwrap(), realm);
        assert_eq!(of("alice", None), "alice");
        assert_eq!(of("alice", Some("R.TEST")), "alice@R.TEST");
        assert_eq!(of("alice@r.test", Some("OTHER")), "alice@r.test");
        assert_eq!(of(r"r.test\alice", None), "alice@R.TEST");
        assert_eq!(of(r"R\alice", None), "alice");
        assert_eq!(of(r"R\alice", Some("R.TEST")), "alice@R.TEST");
        assert_eq!(of(r".\alice", None), "alice");
    }

    fn shell(script: &str) -> Kinit {
        Kinit::default().command("sh").arguments(["-c", script])
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = Kinit::default()
            .command("kinit-of-nobody")
            .ticket("u", &Secret::new("pw"))
            .unwrap_err();
        assert_eq!(
            error,
            KinitError::Missing {
                command: "kinit-of-nobody".to_owned()
            }
        );
        assert!(error.to_string().contains("kinit-of-nobody"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("krb5-user")), "{error:?}");
    }

    #[test]
    fn the_words_of_a_failing_program_are_kept_and_the_password_is_not() {
        let error = shell("read -r p; echo \"Password for $0: wrong: $p\"; echo \"sorry, $p\" >&2; exit 3")
            .ticket("user@R", &Secret::new("hunter2"))
            .unwrap_err();
        let KinitError::Refused { status, ref output, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(status.code(), Some(3));
        assert!(output.contains("wrong: ***") && output.contains("sorry, ***"), "{output}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_hanging_program_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let error = shell(&format!("sleep 1000 & echo $! > {}; echo waiting; wait", file.display()))
            .deadline(Duration::from_millis(300))
            .ticket("user", &Secret::new("pw"))
            .unwrap_err();
        assert!(
            matches!(&error, KinitError::TimedOut { output, .. } if output == "waiting"),
            "{error:?}"
        );
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        // Dead, though perhaps not yet reaped by the process that inherits orphans.
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }

    #[test]
    fn the_environment_is_what_the_user_lists() {
        // Cargo sets CARGO for its tests.
        assert!(std::env::var_os("CARGO").is_some() && std::env::var_os("HOME").is_some());
        let listed = |names: &[&str]| {
            let kinit = shell("env; ps -o sid= -p $$ 2>/dev/null; exit 1").environment(names.iter().copied());
            let KinitError::Refused { output, .. } = kinit.ticket("u", &Secret::new("pw")).unwrap_err() else {
                panic!()
            };
            output
        };
        let output = listed(&["CARGO", "WINRM_THIS_IS_NOT_SET"]);
        assert!(output.contains("; CARGO=") || output.starts_with("CARGO="), "{output}");
        assert!(output.contains("KRB5CCNAME=FILE:") && output.contains("PATH="), "{output}");
        assert!(!output.contains("HOME=") && !output.contains("WINRM_THIS"), "{output}");
        assert!(!listed(&[]).contains("CARGO="));
    }

    #[test]
    fn odd_passwords_and_principals_are_refused_before_anything_runs() {
        let run = |principal: &str, password: &str| shell("exit 0").ticket(principal, &Secret::new(password)).unwrap_err();
        assert_eq!(run("user", "a\nb"), KinitError::Password);
        for name in ["", "-V", "a\nb"] {
            assert_eq!(run(name, "pw"), KinitError::Principal(name.to_owned()));
        }
    }

    #[test]
    fn a_program_that_makes_no_cache_gives_no_ticket() {
        let error = shell("exit 0").ticket("user", &Secret::new("pw")).unwrap_err();
        assert!(matches!(error, KinitError::Unusable(_)), "{error:?}");
    }

    #[test]
    fn a_refusal_is_remembered_for_its_password_only() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let kinit = shell(&format!("echo run >> {}; exit 1", log.display()));
        let cache = TicketCache::new();
        let runs = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
        let attempt = |password: &str| cache.ticket(&kinit, "user", &Secret::new(password)).unwrap_err();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(matches!(attempt("wrong"), KinitError::Refused { .. })));
            }
        });
        assert_eq!(runs(), 1);
        attempt("other");
        assert_eq!(runs(), 2);
        cache.forget("user");
        attempt("wrong");
        assert_eq!(runs(), 3);
    }

    #[test]
    fn closing_ends_a_program_that_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let kinit = shell(&format!(
            "echo $$ $KRB5CCNAME > {0}.new; mv {0}.new {0}; sleep 1000",
            file.display()
        ));
        let cache = TicketCache::new();
        thread::scope(|scope| {
            let hanging = scope.spawn(|| cache.ticket(&kinit, "user", &Secret::new("pw")).unwrap_err());
            while !file.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            cache.close();
            assert_eq!(hanging.join().unwrap(), KinitError::Closed);
        });
        let told = std::fs::read_to_string(file).unwrap();
        let (pid, ccache) = told.trim().split_once(" FILE:").unwrap();
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
        assert!(!std::path::Path::new(ccache).parent().unwrap().exists(), "{ccache}");
        assert_eq!(cache.ticket(&kinit, "user", &Secret::new("pw")).unwrap_err(), KinitError::Closed);
    }

    #[test]
    fn an_unreachable_kdc_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let kinit = shell(&format!("echo run >> {}; echo Cannot contact any KDC; exit 1", log.display()));
        let cache = TicketCache::new();
        for run in 1..=2 {
            assert!(matches!(
                cache.ticket(&kinit, "user", &Secret::new("pw")),
                Err(KinitError::Refused { .. })
            ));
            assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), run);
        }
    }
}
