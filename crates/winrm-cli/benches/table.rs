//! The comparison with everyone else: what commands, hosts and copies cost the client, as a table in Markdown.
//!
//! Everybody works against the same service in the same run, by turns; each cell is the median of its rounds. A contender is a process
//! of its own that measures itself, imports left out; the start-up is measured from outside, from the start of a process to its end.
//! Requests are counted by a proxy. Who isn't there, or can't do a cell, is told below the table.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

#[path = "table/contender.rs"]
mod contender;
#[path = "table/counter.rs"]
mod counter;
#[path = "table/driver.rs"]
mod driver;
#[path = "served/floor.rs"]
mod floor;
#[path = "served/hosts.rs"]
mod hosts;
mod served;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use contender::{Contender, Job, Kind, Site, measured};
use counter::Counter;
use driver::{DRIVER, Figures};
use hosts::{Hosts, PASSWORD, user};
use served::{Outcome, Served};

/// Hosts at once.
pub(crate) const BESIDE: usize = 200;
const TRANSPORTS: [&str; 4] = ["basic", "ntlm", "credssp", "kerberos"];
const JOBS: [(Job, usize); 6] = [
    (Job::Full, 5),
    (Job::Kept, 5),
    (Job::First, 5),
    (Job::Hosts, 3),
    (Job::Up, 3),
    (Job::Down, 3),
];
/// Hosts of Ansible's own run.
const ANSIBLE_HOSTS: usize = 50;

/// The rounds of each contender's job over a transport, and why one is missing.
type Cells = HashMap<(usize, &'static str, Job), Result<Vec<Figures>, String>>;

/// How many requests the first command takes, and each that follows; the same in a kept shell.
type Requests = HashMap<(usize, &'static str), [Option<f64>; 3]>;

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::var_os(floor::FLOOR).is_some() {
        return runtime.block_on(floor::serve());
    }
    if let Ok(count) = std::env::var(hosts::HOSTS) {
        return tokio::runtime::Runtime::new()?.block_on(hosts::serve(count.parse()?));
    }
    if let Ok(driver) = std::env::var(DRIVER) {
        println!("{}", runtime.block_on(driver::run(&driver))?);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("pw"), format!("{PASSWORD}\n"))?;
    let realm = Realm::start(folder.path());
    let service = Served::service(folder.path(), |command| {
        if let Some(realm) = &realm {
            command
                .arg("--keytab")
                .arg(realm.folder.join("http.keytab"))
                .arg("--allow-any-principal");
            command.envs(realm.variables());
        }
    })?;
    let floor = Served::start(Command::new(std::env::current_exe()?).env(floor::FLOOR, "1"))?;
    let hosts = Hosts::start(BESIDE)?;
    let site = Site {
        folder: folder.path().to_owned(),
        url: service.url.clone(),
        floor: floor.url.clone(),
        kerberos: realm.as_ref().map(|realm| (realm.variables(), "user@WINRM.TEST".to_owned())),
    };
    lists(&site, &hosts)?;
    let contenders = contenders();
    let requests = requests(&site, &contenders)?;
    let cells = cells(&site, &contenders);
    print_table(&contenders, &cells, &requests);
    limits(&contenders, &cells);
    for (name, measured) in [("`ansible -m raw`", raw(&site)), ("`import winrm`", import())] {
        match measured {
            Ok(Some(line)) => println!("- {line}"),
            Ok(None) => {}
            Err(error) => println!("- {name} can't be measured: {error}"),
        }
    }
    Ok(())
}

/// A KDC of its own, and a ticket.
struct Realm {
    script: OsString,
    folder: PathBuf,
}

impl Realm {
    fn start(folder: &Path) -> Option<Self> {
        let script = std::env::var_os("WINRM_TEST_KDC")?;
        let folder = folder.join("kdc");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .ok()?
            .port();
        let quiet = |command: &mut Command| {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success()).then_some(())
        };
        quiet(
            Command::new(&script)
                .arg("start")
                .arg(&folder)
                .args([&port.to_string(), "WINRM.TEST"])
                .stdin(Stdio::null()),
        )?;
        let realm = Self { script, folder };
        fs::write(realm.folder.join("password"), "Passw0rd!\n").ok()?;
        let password = File::open(realm.folder.join("password")).ok()?;
        quiet(Command::new("kinit").arg("user@WINRM.TEST").envs(realm.variables()).stdin(password))?;
        Some(realm)
    }

    fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("KRB5_CONFIG", self.folder.join("krb5.conf").into()),
            ("KRB5CCNAME", format!("FILE:{}", self.folder.join("ccache").display()).into()),
        ]
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        let _ = Command::new(&self.script).arg("stop").arg(&self.folder).status();
    }
}

/// The hosts as each contender wants to have them.
fn lists(site: &Site, hosts: &Hosts) -> Outcome {
    let (mut list, mut inventory, mut ansible) = (String::new(), "[hosts]\n".to_owned(), "[hosts]\n".to_owned());
    for (number, address) in hosts.addresses.iter().enumerate() {
        let (ip, port, user) = (address.ip(), address.port(), user(number));
        writeln!(list, "{ip} {port} {user}")?;
        let line = format!("web{number:03} ansible_host={ip} ansible_port={port} ansible_user={user}");
        writeln!(inventory, "{line}")?;
        if number < ANSIBLE_HOSTS {
            writeln!(ansible, "{line}")?;
        }
    }
    let variables = format!(
        "[hosts:vars]\nansible_password={PASSWORD}\nansible_connection=winrm\nansible_winrm_transport=ntlm\nansible_shell_type=powershell\n\
         ansible_winrm_scheme=http\nansible_winrm_message_encryption=always\n"
    );
    fs::write(site.folder.join("list"), list)?;
    fs::write(site.folder.join("hosts.ini"), inventory + &variables)?;
    fs::write(site.folder.join("ansible.ini"), ansible + &variables)?;
    Ok(())
}

fn contenders() -> Vec<Contender> {
    let of = |name: &str, kind| Contender {
        name: name.to_owned(),
        kind,
    };
    let ours = env!("CARGO_PKG_VERSION");
    let mut all = vec![
        of(&format!("**winrm** {ours}, program"), Kind::Program),
        of(&format!("**winrm** {ours}, Rust"), Kind::Library),
    ];
    let missing = |variable: &str, whom: &str| eprintln!("{whom} left out: {variable} is not set");
    let python = std::env::var_os("WINRM_TEST_PYTHON");
    match std::env::var_os("WINRM_TEST_OWN_PYTHON") {
        Some(own) => {
            all.push(of(&format!("**winrm** {ours}, Python"), Kind::Python(own.clone(), "pywinrm")));
            all.push(of(
                &format!("Ansible {} on **winrm**", version(&own, "ansible-core")),
                Kind::Python(own, "ansible"),
            ));
        }
        None => missing("WINRM_TEST_OWN_PYTHON", "our Python module is"),
    }
    match python {
        Some(python) => {
            let named = |package: &str| format!("{package} {}", version(&python, package));
            all.push(of(
                &format!("Ansible {} on pywinrm", version(&python, "ansible-core")),
                Kind::Python(python.clone(), "ansible"),
            ));
            all.push(of(&named("pywinrm"), Kind::Python(python.clone(), "pywinrm")));
            all.push(of(&named("pypsrp"), Kind::Python(python.clone(), "pypsrp")));
        }
        None => missing("WINRM_TEST_PYTHON", "the Python peers are"),
    }
    match std::env::var_os("WINRM_TEST_GO_BENCH") {
        Some(go) => all.push(of("masterzen/winrm (Go), Debian's c42b513", Kind::Go(go.into()))),
        None => missing("WINRM_TEST_GO_BENCH", "the Go client is"),
    }
    match std::env::var_os("WINRM_TEST_WINRM_RS") {
        Some(binary) => all.push(of("winrm-rs 1.1.2", Kind::WinrmRs(binary.into()))),
        None => missing("WINRM_TEST_WINRM_RS", "the crate winrm-rs is"),
    }
    all.push(of("bare POSTs by hyper", Kind::Floor));
    all
}

fn version(python: &OsString, package: &str) -> String {
    let script = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))";
    let output = Command::new(python).args(["-c", script, package]).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// The transports that there are here.
fn transports(site: &Site) -> impl Iterator<Item = &'static str> {
    let kerberos = site.kerberos.is_some();
    TRANSPORTS.into_iter().filter(move |transport| *transport != "kerberos" || kerberos)
}

/// Counted, not assumed.
fn requests(site: &Site, contenders: &[Contender]) -> Outcome<Requests> {
    const MORE: usize = 10;
    let counter = Counter::start(&site.url)?;
    let mut all = Requests::new();
    for (number, contender) in contenders
        .iter()
        .enumerate()
        .filter(|(_, contender)| !matches!(contender.kind, Kind::Floor))
    {
        for transport in transports(site) {
            let count = |job, count| -> Option<f64> {
                contender.takes(job, transport).ok()?;
                counter.take();
                contender.run(site, job, transport, &counter.url, count, &[]).ok()?;
                Some(counter.take() as f64)
            };
            let first = count(Job::First, 1);
            let full = match (first, count(Job::Full, MORE), &contender.kind) {
                (_, Some(all), Kind::Program) => Some(all / MORE as f64),
                (Some(first), Some(all), _) => Some((all - first) / MORE as f64),
                _ => None,
            };
            let kept = match (count(Job::Kept, 0), count(Job::Kept, MORE)) {
                (Some(none), Some(all)) => Some((all - none) / MORE as f64),
                _ => None,
            };
            all.insert((number, transport), [first, full, kept]);
        }
    }
    Ok(all)
}

/// Everybody does everything by turns.
fn cells(site: &Site, contenders: &[Contender]) -> Cells {
    let mut cells = Cells::new();
    let most = JOBS.iter().map(|(_, rounds)| *rounds).max().unwrap_or_default();
    for round in 0..most {
        eprintln!("round {} of {most}", round + 1);
        for (job, _) in JOBS.into_iter().filter(|(_, rounds)| round < *rounds) {
            for transport in transports(site) {
                for (number, contender) in contenders.iter().enumerate() {
                    let key = (number, transport, job);
                    if matches!(cells.get(&key), Some(Err(_))) {
                        continue;
                    }
                    let figures = match contender.takes(job, transport) {
                        Ok(count) => cell(site, contender, job, transport, count, &cells).map_err(|error| error.to_string()),
                        Err(reason) => Err(reason.to_owned()),
                    };
                    let known = cells.entry(key).or_insert(Ok(Vec::new()));
                    match (figures, known) {
                        (Ok(figures), Ok(known)) => known.push(figures),
                        (Err(error), known) => *known = Err(error),
                        (Ok(_), Err(_)) => {}
                    }
                }
            }
        }
    }
    cells
}

/// One round: figures for one command, or the rate of a copy as bytes for each second in place of the wall time.
fn cell(site: &Site, contender: &Contender, job: Job, transport: &'static str, count: usize, cells: &Cells) -> Outcome<Figures> {
    let text = |name: &str| site.folder.join(name).display().to_string();
    let mut more = Vec::new();
    let mut url = site.url.clone();
    match (job, &contender.kind) {
        (Job::Hosts, Kind::Program) => url = text("hosts.ini"),
        (Job::Hosts, _) => url = text("list"),
        (Job::Up | Job::Down, _) => {
            let size = contender.file_size(job);
            let source = text(&format!("random{size}"));
            if !Path::new(&source).exists() {
                io::copy(&mut File::open("/dev/urandom")?.take(size), &mut File::create(&source)?)?;
            }
            let copy = text("copy");
            more = if job == Job::Up {
                vec![source.clone(), copy.clone()]
            } else {
                vec![copy.clone(), source.clone()]
            };
            let mut figures = contender.run(site, job, transport, &url, 1, &more)?;
            let whole = fs::read(&source)? == fs::read(&copy)?;
            fs::remove_file(&copy)?;
            if !whole {
                return Err("the copy is not the same".into());
            }
            // For 100 MB, whatever the size.
            let times = 1e8 / size as f64;
            figures.cpu *= times;
            figures.wall *= times;
            return Ok(figures);
        }
        (_, Kind::Floor) => {
            // A server that takes as long for each answer as the service does for our library.
            let Some(Ok(library)) = cells.get(&(1, transport, job)) else {
                return Err("nothing to pause like".into());
            };
            let posts = if job == Job::Kept { 3.0 } else { 4.0 };
            let pause = library.last().map_or(0.0, |figures| figures.wall) / posts * 1e6;
            more.push((pause as u64).to_string());
            url.clone_from(&site.floor);
        }
        _ => {}
    }
    let mut figures = contender.run(site, job, transport, &url, count, &more)?;
    if job != Job::First && job != Job::Hosts {
        figures.cpu /= count as f64;
        figures.wall /= count as f64;
    }
    Ok(figures)
}

/// The median of the rounds, the least and the most.
fn spread(rounds: &[Figures], value: fn(&Figures) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn print_table(contenders: &[Contender], cells: &Cells, requests: &Requests) {
    let mut notes: Vec<String> = Vec::new();
    println!("{}\n", machine());
    println!(
        "| | | full command: CPU ms, wall ms | kept shell: CPU ms, wall ms | requests: first, full, kept | a process with one command: CPU ms, wall ms, MB | {BESIDE} hosts at once: CPU s, wall s | 100 MB up: MB/s, CPU s | 100 MB down: MB/s, CPU s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for transport in TRANSPORTS {
        for (number_of, contender) in contenders.iter().enumerate() {
            let mut any = false;
            let mut row = format!("| {} | {} |", contender.name, title(contender, transport));
            for job in [Job::Full, Job::Kept, Job::First, Job::Hosts, Job::Up, Job::Down] {
                let text = match cells.get(&(number_of, transport, job)) {
                    Some(Ok(rounds)) if !rounds.is_empty() => {
                        any = true;
                        shown(job, rounds)
                    }
                    Some(Err(reason)) => {
                        let place = notes.iter().position(|note| note == reason).unwrap_or_else(|| {
                            notes.push(reason.clone());
                            notes.len() - 1
                        });
                        format!("— <sup>{}</sup>", place + 1)
                    }
                    _ => "—".to_owned(),
                };
                let _ = write!(row, " {text} |");
                if job == Job::Kept {
                    let counted = requests.get(&(number_of, transport)).copied().unwrap_or_default();
                    let shown = counted.map(|count| count.map_or_else(|| "—".to_owned(), |count| format!("{count:.0}")));
                    let _ = write!(row, " {} |", shown.join(", "));
                }
            }
            if any {
                println!("{row}");
            }
        }
    }
    println!();
    for (place, note) in notes.iter().enumerate() {
        println!("{}. {note}", place + 1);
    }
    println!();
}

fn title(contender: &Contender, transport: &str) -> String {
    let sealed = match (transport, &contender.kind) {
        ("basic", _) => "Basic",
        ("ntlm", Kind::Go(_)) => "NTLM, in clear text: it can't seal",
        ("ntlm", _) => "NTLM, sealed",
        ("credssp", _) => "CredSSP, sealed",
        _ => "Kerberos, sealed",
    };
    sealed.to_owned()
}

fn shown(job: Job, rounds: &[Figures]) -> String {
    let (cpu, least, most) = spread(rounds, |figures| figures.cpu);
    let (wall, ..) = spread(rounds, |figures| figures.wall);
    let (kilobytes, ..) = spread(rounds, |figures| figures.kilobytes);
    let in_ms = |seconds: f64| number(seconds * 1e3);
    match job {
        Job::Full | Job::Kept => format!("{} ({}–{}), {}", in_ms(cpu), in_ms(least), in_ms(most), in_ms(wall)),
        Job::First => format!(
            "{} ({}–{}), {}, {:.0}",
            in_ms(cpu),
            in_ms(least),
            in_ms(most),
            in_ms(wall),
            kilobytes / 1024.0
        ),
        Job::Hosts => format!("{} ({}–{}), {}", number(cpu), number(least), number(most), number(wall)),
        Job::Up | Job::Down => format!("{}, {} ({}–{})", number(100.0 / wall), number(cpu), number(least), number(most)),
    }
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    format!(
        "{}, {cores} cores of {}, Linux {}. Medians of {} rounds (3 for hosts and copies), least and most in brackets. The service and all clients share the machine.",
        said("date", "+%F"),
        model.map_or("an unknown processor", |(_, model)| model),
        said("uname", "-r"),
        JOBS[0].1,
    )
}

/// What was promised, and whether it is kept.
fn limits(contenders: &[Contender], cells: &Cells) {
    let place = |wanted: fn(&Kind) -> bool| contenders.iter().position(|contender| wanted(&contender.kind));
    let pywinrm = contenders.iter().position(|contender| contender.name.starts_with("pywinrm"));
    let cpu = |number: Option<usize>, transport| match cells.get(&(number?, transport, Job::Full)) {
        Some(Ok(rounds)) if !rounds.is_empty() => Some(spread(rounds, |figures| figures.cpu).0),
        _ => None,
    };
    let ours = place(|kind| matches!(kind, Kind::Library));
    let go = place(|kind| matches!(kind, Kind::Go(_)));
    for (what, transport, name, theirs, least) in [
        ("a full sealed command", "ntlm", "pywinrm's", pywinrm, 50.0),
        ("a full sealed command", "ntlm", "Go's, whose messages are in clear text", go, 10.0),
        ("the same command in clear text, Basic", "basic", "Go's", go, 10.0),
    ] {
        if let (Some(ours), Some(theirs)) = (cpu(ours, transport), cpu(theirs, transport)) {
            println!(
                "- client CPU for {what}: 1/{:.0} of {name}; the limit is 1/{least:.0}: {}",
                theirs / ours,
                verdict(theirs / ours >= least)
            );
        }
    }
}

/// `raw` on many hosts by Ansible itself, on pywinrm and on our module; most of it is Ansible's own.
fn raw(site: &Site) -> Outcome<Option<String>> {
    let python = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let (Some(theirs), Some(own)) = (python("WINRM_TEST_PYTHON"), python("WINRM_TEST_OWN_PYTHON")) else {
        return Ok(None);
    };
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (python, runs) in [&own, &theirs].into_iter().zip(&mut runs) {
            let mut command = Command::new(python.with_file_name("ansible"));
            command.arg("-i").arg(site.folder.join("ansible.ini"));
            command.args(["all", "-m", "raw", "-a", "hostname", "-f", &ANSIBLE_HOSTS.to_string()]);
            command.env("HOME", &site.folder).env("ANSIBLE_LOCALHOST_WARNING", "0");
            runs.push(measured(&mut command)?);
        }
    }
    let [(cpu, wall), (their_cpu, their_wall)] =
        runs.map(|runs| (spread(&runs, |figures| figures.cpu).0, spread(&runs, |figures| figures.wall).0));
    Ok(Some(format!(
        "`ansible -m raw` on {ANSIBLE_HOSTS} hosts, NTLM sealed: {cpu:.1} s of CPU and {wall:.1} s with our module, {their_cpu:.1} s and \
         {their_wall:.1} s with pywinrm: {:.2} and {:.2} of it, has to be less: {}",
        cpu / their_cpu,
        wall / their_wall,
        verdict(cpu < their_cpu && wall < their_wall)
    )))
}

fn import() -> Outcome<Option<String>> {
    let Some(own) = std::env::var_os("WINRM_TEST_OWN_PYTHON") else {
        return Ok(None);
    };
    let script = "import time; t = time.perf_counter(); import winrm; print(time.perf_counter() - t)";
    let mut times = Vec::new();
    for _ in 0..7 {
        let output = Command::new(&own).args(["-c", script]).output()?;
        times.push(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>()? * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(Some(format!(
        "`import winrm` takes {:.1} ms; the limit is 30 ms: {}",
        times[3],
        verdict(times[3] <= 30.0)
    )))
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}
