//! A machine of the test: an embedded service on one port that goes down, as hard as a power cut, and comes up again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use winrm_server::{
    CimCaller, CimClass, CimError, CommandLine, Credentials, Host, HostError, Instance, Process, Property, Server, ShellContext,
};

/// A machine. Dropping it switches it off.
pub(crate) struct Machine {
    address: SocketAddr,
    runtime: Option<Runtime>,
    facts: Arc<Facts>,
}

/// What the machine is like, and what it was told.
pub(crate) struct Facts {
    /// When it was started, as XML Schema writes it.
    boot: Mutex<String>,
    /// Whether WMI says it; otherwise only PowerShell does.
    wmi: AtomicBool,
    /// Whether PowerShell takes it down.
    powershell_falls: AtomicBool,
    commands: Mutex<Vec<String>>,
    /// What `shutdown.exe` ends with.
    shutdown: Mutex<(u32, &'static str)>,
    asked: mpsc::UnboundedSender<()>,
}

impl Machine {
    /// One that is up, and a signal for each command that takes it down: `shutdown.exe` and `falls`.
    pub(crate) fn new(boot: &str) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (asked, asks) = mpsc::unbounded_channel();
        let facts = Arc::new(Facts {
            boot: Mutex::default(),
            wmi: AtomicBool::new(true),
            powershell_falls: AtomicBool::new(false),
            commands: Mutex::default(),
            shutdown: Mutex::new((0, "")),
            asked,
        });
        let mut machine = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            runtime: None,
            facts,
        };
        machine.up(boot);
        (machine, asks)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wsman", self.address)
    }

    /// Switches it on. It was started at that time, which is the old one after a service alone was restarted.
    pub(crate) fn up(&mut self, boot: &str) {
        *self.facts.boot.lock().unwrap() = boot.to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (address, facts) = (self.address, Arc::clone(&self.facts));
        let (ready, is_ready) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            // The port is free as soon as the connections of the time before are gone.
            let server = loop {
                let server = Server::builder()
                    .listen(address)
                    .user(Credentials::parse("alice", "secret").unwrap())
                    .allow_unencrypted(true)
                    .class(System(Arc::clone(&facts)))
                    .host(Commands(Arc::clone(&facts)));
                match server.bind().await {
                    Ok(server) => break server,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            };
            ready.send(server.addresses()[0]).unwrap();
            server.serve(std::future::pending()).await
        });
        self.address = is_ready.recv_timeout(Duration::from_secs(60)).unwrap();
        self.runtime = Some(runtime);
    }

    /// Switches it off: connections break, and nobody listens.
    pub(crate) fn down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime can't be waited for where another one works.
            std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(60)))
                .join()
                .unwrap();
        }
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.facts.commands.lock().unwrap().clone()
    }

    /// From now on WMI is closed, and only PowerShell says when the machine was started.
    pub(crate) fn close_wmi(&self) {
        self.facts.wmi.store(false, Ordering::Relaxed);
    }

    /// From now on PowerShell runs until the machine is switched off, as `falls` does.
    pub(crate) fn let_powershell_fall(&self) {
        self.facts.powershell_falls.store(true, Ordering::Relaxed);
    }

    /// What `shutdown.exe` answers from now on.
    pub(crate) fn shutdown_answers(&self, code: u32, text: &'static str) {
        *self.facts.shutdown.lock().unwrap() = (code, text);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.down();
    }
}

struct System(Arc<Facts>);

impl CimClass for System {
    fn name(&self) -> &str {
        "Win32_OperatingSystem"
    }

    fn keys(&self) -> &[&str] {
        &[]
    }

    async fn instances(&self, _: &CimCaller) -> Result<Vec<Instance>, CimError> {
        if !self.0.wmi.load(Ordering::Relaxed) {
            return Err(CimError::AccessDenied);
        }
        let boot = self.0.boot.lock().unwrap().clone();
        Ok(vec![Instance::default().with("LastBootUpTime", Property::DateTime(boot))])
    }
}

struct Commands(Arc<Facts>);

impl Host for Commands {
    async fn start(&self, _: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
        let line = command.joined();
        if line.starts_with("powershell") {
            // It is asked for one thing only.
            self.0.commands.lock().unwrap().push("powershell".to_owned());
            if self.0.powershell_falls.load(Ordering::Relaxed) {
                return Ok(falling(&self.0));
            }
            return Ok(Process::finished(format!("{}\r\n", self.0.boot.lock().unwrap()), "", 0));
        }
        self.0.commands.lock().unwrap().push(line.clone());
        let word = line.split([' ', '"']).find(|word| !word.is_empty()).unwrap_or_default();
        let facts = Arc::clone(&self.0);
        match word {
            "exit" => Ok(Process::finished("", "", 0)),
            "shutdown.exe" => {
                let (code, text) = *facts.shutdown.lock().unwrap();
                if code == 0 {
                    facts.asked.send(()).ok();
                }
                Ok(Process::finished("", text, code))
            }
            "falls" => Ok(falling(&facts)),
            _ => Ok(Process::finished("", "not recognized\r\n", 1)),
        }
    }
}

/// A process that runs until the machine is switched off.
fn falling(facts: &Arc<Facts>) -> Process {
    let facts = Arc::clone(facts);
    Process::from_fn(|_stdin, _stdout, _stderr| async move {
        facts.asked.send(()).ok();
        std::future::pending().await
    })
}
