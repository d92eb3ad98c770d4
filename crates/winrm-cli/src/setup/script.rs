//! The script, put together from its parts: only what is wanted is in it, since a person reads it before it runs.

use winrm::Transport;

use crate::args::{FirewallProfile, HardeningLevel, WantedArguments};
use crate::failure::Failure;

const SETTINGS: &str = include_str!("settings.ps1");
const LISTENER: &str = include_str!("listener.ps1");
const FIREWALL: &str = include_str!("firewall.ps1");
const CREDSSP: &str = include_str!("credssp.ps1");
const TLS12: &str = include_str!("tls12.ps1");
const UNDO: &str = include_str!("undo.ps1");

/// A script that prepares a host, or puts back what another has done.
#[derive(Debug)]
pub(super) struct Script {
    title: &'static str,
    parts: Vec<&'static str>,
    steps: Vec<String>,
    warnings: Vec<String>,
    /// What a template of Packer says beside it.
    pub(super) wanted: Option<WantedArguments>,
}

/// The connection that a script comes by, which it is not to cut.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) is_https: bool,
    pub(super) port: u16,
    pub(super) transport: Transport,
    /// No channel binding on a connection that could have one.
    pub(super) is_unbound: bool,
    pub(super) is_clear_text: bool,
    /// Whether the account may be a local one.
    pub(super) is_local: bool,
}

impl Script {
    pub(super) fn setup(wanted: &WantedArguments) -> Result<Self, Failure> {
        let mut wanted = wanted.clone();
        wanted.https |= !(wanted.http || wanted.no_https || wanted.no_http);
        let mut script = Self {
            title: "Prepares this host for Windows Remote Management (WinRM)",
            parts: vec![SETTINGS],
            steps: Vec::new(),
            warnings: Vec::new(),
            wanted: None,
        };
        script.check(&wanted)?;
        script.step("Test-ServicePolicy");
        script.set("The service", "Service", "WinRM", "'Automatic, Running'");
        script.listeners(&wanted);
        script.mechanisms(&wanted);
        for quota in &wanted.quota {
            let name = quota.path.rsplit('\\').next().unwrap_or(quota.path);
            script.set(name, "WSMan", quota.path, &format!("'{}'", quota.value));
        }
        if wanted.local_account_token_filter_policy {
            script.warn(
                "LocalAccountTokenFilterPolicy lets every local administrator in with all rights over the network: whoever has stolen such \
                 an account's password, or its hash, rules the host from anywhere. Domain accounts don't need it",
            );
            script.set(
                "LocalAccountTokenFilterPolicy",
                "Registry",
                r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\LocalAccountTokenFilterPolicy",
                "'1'",
            );
        }
        if wanted.tls12 {
            script.parts.push(TLS12);
            script.step("Set-Tls12");
        }
        script.wanted = Some(wanted);
        Ok(script)
    }

    pub(super) fn undo() -> Self {
        Self {
            title: "Puts back what `winrm setup` has changed on this host, by the notes it has left here",
            parts: vec![SETTINGS, UNDO],
            steps: vec!["Undo-Setup".to_owned()],
            warnings: Vec::new(),
            wanted: None,
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The script as a file.
    pub(super) fn printed(&self) -> String {
        self.text("$null")
    }

    /// The script for a host that is reached by a connection.
    pub(super) fn over(&self, origin: &Origin) -> String {
        let switches: Vec<_> = switches(origin.transport).iter().map(|name| format!("'{name}'")).collect();
        let truth = |truth: bool| if truth { "$true" } else { "$false" };
        self.text(&format!(
            "@{{ Scheme = '{}'; Port = {}; Switches = @({}); IsUnbound = {}; IsClearText = {}; IsLocal = {} }}",
            if origin.is_https { "HTTPS" } else { "HTTP" },
            origin.port,
            switches.join(", "),
            truth(origin.is_unbound),
            truth(origin.is_clear_text),
            truth(origin.is_local),
        ))
    }

    fn text(&self, connection: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "# {}. Printed by winrm {version}.\n\
             # What it does stands at its end; -Check only says what would change, -Force changes also what would cut the connection it came by.\n\
             # It needs an administrator with a full token and PowerShell 3.0 or later. Exit code: 0 all is as wanted, 1 something is not, 2 -Check\n\
             # has found something to do.\n",
            self.title
        );
        for warning in &self.warnings {
            text.push_str(&format!("# WARNING: {warning}\n"));
        }
        text.push_str(&format!(
            "param([switch] $Check, [switch] $Force)\n\nSet-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'\n\
             if (-not (Get-Command Get-WSManInstance -ErrorAction SilentlyContinue)) {{ throw 'this is no Windows: its PowerShell has no Get-WSManInstance' }}\n\n\
             # The connection that this comes by; none on a console.\n$Connection = {connection}\n\n"
        ));
        for part in &self.parts {
            text.push_str(part);
            text.push('\n');
        }
        text.push_str("# ---- What is done ");
        text.push_str(&"-".repeat(118));
        text.push('\n');
        for step in &self.steps {
            text.push_str(step);
            text.push('\n');
        }
        text.push_str("exit $script:ExitCode\n");
        text
    }

    /// What doesn't go together.
    fn check(&mut self, wanted: &WantedArguments) -> Result<(), Failure> {
        if let Some(both) = wanted.auth.iter().find(|transport| {
            let off = wanted.auth_off.iter().flat_map(|transport| switches(*transport));
            off.into_iter().any(|name| switches(**transport).contains(name))
        }) {
            return Err(Failure::configuration(format!(
                "{both} is to be switched on by --auth and off by --auth-off"
            )));
        }
        if wanted.no_https && wanted.no_http {
            return Err(
                Failure::configuration("--no-https with --no-http leaves the host without a listener")
                    .hint("give --https or --http for the one that is to be there"),
            );
        }
        let certificate_options = wanted.listener_cert.is_some() || wanted.listener_cert_subject.is_some() || wanted.self_signed;
        if !wanted.https && (certificate_options || !wanted.listener_name.is_empty()) {
            return Err(Failure::configuration("a certificate is for the listener of https, which is not asked for").hint("add --https"));
        }
        if wanted.auth.contains(&Transport::Certificate) && !wanted.https {
            self.warn("certificates let clients in over https alone, and this sets up no listener for it");
        }
        if wanted.auth.contains(&Transport::Basic) && !wanted.https && !wanted.i_accept_clear_text {
            self.warn("Basic works over https alone, and this sets up no listener for it");
        }
        if wanted.i_accept_clear_text {
            self.warn(
                "AllowUnencrypted is for development alone: whoever is on the network can read what is sent and received, passwords and \
                 files included. NTLM, Kerberos and CredSSP encrypt messages over http without it",
            );
        }
        if wanted.firewall_profiles.contains(&FirewallProfile::Public) && wanted.firewall_from.is_empty() && !wanted.no_firewall {
            self.warn("the firewall lets anybody on public networks connect; --firewall-from ADDRESSES says who may");
        }
        Ok(())
    }

    fn listeners(&mut self, wanted: &WantedArguments) {
        if wanted.https || wanted.http {
            self.parts.push(LISTENER);
        }
        if wanted.https {
            let mut step = format!("Set-HttpsListener -Port {}", wanted.https_port);
            let names: Vec<_> = wanted.listener_name.iter().map(|name| format!("'{name}'")).collect();
            if !names.is_empty() {
                step.push_str(&format!(" -Names @({})", names.join(", ")));
            }
            if let Some(thumbprint) = &wanted.listener_cert {
                step.push_str(&format!(" -Thumbprint '{thumbprint}'"));
            }
            if let Some(subject) = &wanted.listener_cert_subject {
                step.push_str(&format!(" -Subject '{subject}'"));
            }
            if wanted.self_signed {
                step.push_str(" -SelfSigned $true");
            }
            step.push_str(&format!(" -Days {}", wanted.cert_days));
            self.step(&step);
        }
        if wanted.http {
            self.step(&format!("Set-HttpListener -Port {}", wanted.http_port));
        }
        if !wanted.no_firewall {
            if wanted.https || wanted.http {
                self.parts.push(FIREWALL);
            }
            let mut profiles = wanted.firewall_profiles.clone();
            profiles.sort_unstable();
            profiles.dedup();
            let profiles: Vec<_> = profiles.iter().map(|profile| format!("{profile:?}")).collect();
            let from = if wanted.firewall_from.is_empty() {
                "Any".to_owned()
            } else {
                wanted.firewall_from.join(",")
            };
            for (is_wanted, port) in [(wanted.https, wanted.https_port), (wanted.http, wanted.http_port)] {
                if is_wanted {
                    self.step(&format!(
                        "Set-OpenPort -Port {port} -Profiles '{}' -Addresses '{from}'",
                        profiles.join(", ")
                    ));
                }
            }
        }
        // The new listener is there before the other goes.
        for (is_unwanted, scheme) in [(wanted.no_https, "HTTPS"), (wanted.no_http, "HTTP")] {
            if is_unwanted {
                self.set(&format!("No listener for {}", scheme.to_lowercase()), "Listener", scheme, "$null");
            }
        }
    }

    fn mechanisms(&mut self, wanted: &WantedArguments) {
        for (transports, state) in [(&wanted.auth, "'true'"), (&wanted.auth_off, "'false'")] {
            let mut done = Vec::new();
            for name in transports.iter().flat_map(|transport| switches(*transport)) {
                if !done.contains(name) {
                    done.push(name);
                    self.set(
                        &format!("Authentication by {name}"),
                        "WSMan",
                        &format!(r"Service\Auth\{name}"),
                        state,
                    );
                }
            }
        }
        if let Some(level) = wanted.cbt {
            let level = match level {
                HardeningLevel::None => "'None'",
                HardeningLevel::Relaxed => "'Relaxed'",
                HardeningLevel::Strict => "'Strict'",
            };
            self.set("Channel binding", "WSMan", r"Service\Auth\CbtHardeningLevel", level);
        }
        if let Some(thumbprint) = &wanted.credssp_cert {
            self.parts.push(CREDSSP);
            self.step(&format!("Set-CredSspCertificate '{thumbprint}'"));
        }
        if wanted.i_accept_clear_text {
            self.set("Clear text", "WSMan", r"Service\AllowUnencrypted", "'true'");
        }
    }

    fn set(&mut self, item: &str, kind: &str, place: &str, wanted: &str) {
        self.step(&format!("Set-Wanted '{item}' {kind} '{place}' {wanted}"));
    }

    fn step(&mut self, step: &str) {
        self.steps.push(step.to_owned());
    }

    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }
}

/// The service's switches for a way to authenticate. NTLM comes inside of Negotiate; our Kerberos is taken by either.
fn switches(transport: Transport) -> &'static [&'static str] {
    match transport {
        Transport::Basic => &["Basic"],
        Transport::Kerberos => &["Kerberos"],
        Transport::Certificate => &["Certificate"],
        Transport::CredSsp => &["CredSSP"],
        _ => &["Negotiate"],
    }
}
