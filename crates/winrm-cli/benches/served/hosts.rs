//! Many hosts in one process, each with an address and a user of its own.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use winrm_server::{CommandLine, Credentials, Host, HostError, Process, Quotas, Server, ShellContext, Users};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Makes a benchmark the hosts; its value is their number.
pub(crate) const HOSTS: &str = "WINRM_BENCH_HOSTS";

/// The password of every user.
pub(crate) const PASSWORD: &str = "benchmark";

/// The user of a host, whose name is its answer to every command.
pub(crate) fn user(number: usize) -> String {
    format!("user{number:05}")
}

/// The hosts, in a process of their own that is ended when dropped.
pub(crate) struct Hosts {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Hosts {
    pub(crate) fn start(count: usize) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(HOSTS, count.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut hosts = Self {
            child,
            addresses: Vec::new(),
        };
        for line in lines.take(count) {
            hosts.addresses.push(line?.parse()?);
        }
        if hosts.addresses.len() < count {
            return Err("the hosts don't start".into());
        }
        Ok(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers every command with the name of the user who asks.
struct Whoami;

impl Host for Whoami {
    async fn start(&self, shell: &ShellContext, _: CommandLine) -> Result<Process, HostError> {
        Ok(Process::finished(format!("{}\r\n", shell.user), "", 0))
    }
}

/// Answers for so many hosts, whose addresses it prints.
pub(crate) async fn serve(count: usize) -> Outcome {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let mut users = Users::new();
    for number in 0..count {
        users.add(Credentials::parse(&user(number), PASSWORD)?);
    }
    let mut quotas = Quotas::default();
    quotas.max_connections = 5_000;
    let mut server = Server::builder().users(users).quotas(quotas).host(Whoami);
    for number in 0..u32::try_from(count)? {
        // 127.1.0.1 and on: all of 127.0.0.0/8 is this machine's own on Linux.
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number);
        server = server.listen(SocketAddr::new(IpAddr::V4(address), 0));
    }
    let server = server.bind().await?;
    let mut out = std::io::stdout().lock();
    for url in server.urls() {
        let address = url.trim_start_matches("http://").trim_end_matches("/wsman");
        writeln!(out, "{address}")?;
    }
    out.flush()?;
    drop(out);
    server.serve(std::future::pending()).await?;
    Ok(())
}
