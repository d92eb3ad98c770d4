//! `Win32_Service`: the units of systemd, where it runs.

use std::path::Path;
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;
use winrm_proto::instance::Instance;

use super::{CimCaller, CimClass, CimError, or_nil, printable};

/// The machine's services, to be read. None where there is no systemd.
pub(crate) struct SystemServices {
    machine: String,
}

impl SystemServices {
    pub(crate) fn new(machine: &str) -> Self {
        Self {
            machine: machine.to_owned(),
        }
    }
}

/// What systemd is asked for.
const PROPERTIES: &str = "Id,Description,ActiveState,SubState,UnitFileState,MainPID,ExecStart,Result";

impl CimClass for SystemServices {
    fn name(&self) -> &str {
        "Win32_Service"
    }

    fn keys(&self) -> &[&str] {
        &["Name"]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        // As sd_booted(3) decides it.
        if !Path::new("/run/systemd/system").is_dir() {
            return Ok(Vec::new());
        }
        let show = || {
            Command::new("systemctl")
                .args(["show", "*.service", "--all", "--no-pager", "--property", PROPERTIES])
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .output()
        };
        let output = spawn_blocking(show).await.unwrap_or_else(|error| Err(error.into()));
        let output = output.map_err(|error| CimError::Failed {
            // WBEM_E_FAILED
            code: 0x8004_1001,
            message: format!("systemctl can't be started: {error}"),
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split("\n\n").filter_map(|unit| describe(unit, &self.machine)).collect())
    }
}

/// A unit of `systemctl show` as an instance.
fn describe(unit: &str, machine: &str) -> Option<Instance> {
    let value = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let name = value("Id")?.strip_suffix(".service")?;
    let state = match value("ActiveState")? {
        "active" | "reloading" => "Running",
        "activating" => "Start Pending",
        "deactivating" => "Stop Pending",
        _ => "Stopped",
    };
    let start_mode = match value("UnitFileState").unwrap_or_default() {
        "enabled" | "enabled-runtime" | "alias" => "Auto",
        "disabled" | "masked" | "masked-runtime" => "Disabled",
        _ => "Manual",
    };
    let description = printable(value("Description").unwrap_or_default());
    let path = value("ExecStart").and_then(|start| {
        let path = start.split_once("argv[]=")?.1;
        Some(printable(path.split_once(" ;").map_or(path, |(path, _)| path)))
    });
    let failed = value("ActiveState") == Some("failed");
    Some(
        Instance::default()
            .with("AcceptStop", state == "Running")
            .with("Caption", description.as_str())
            .with("CreationClassName", "Win32_Service")
            .with("Description", description.as_str())
            .with("DisplayName", description.as_str())
            .with("ExitCode", u32::from(failed))
            .with("Name", printable(name))
            .with("PathName", or_nil(path))
            .with("ProcessId", value("MainPID").unwrap_or("0"))
            .with("Started", state == "Running")
            .with("StartMode", start_mode)
            .with("State", state)
            .with("Status", if failed { "Error" } else { "OK" })
            .with("SystemCreationClassName", "Win32_ComputerSystem")
            .with("SystemName", machine),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_services() {
        let shown = "Id=ssh.service\nDescription=OpenBSD Secure Shell server\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=612\nExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $OPTS ; ignore_errors=no }\nResult=success";
        let instance = describe(shown, "host").unwrap();
        for (name, value) in [
            ("Name", "ssh"),
            ("DisplayName", "OpenBSD Secure Shell server"),
            ("State", "Running"),
            ("StartMode", "Auto"),
            ("ProcessId", "612"),
            ("PathName", "/usr/sbin/sshd -D $OPTS"),
            ("Status", "OK"),
        ] {
            assert_eq!(instance.text(name), Some(value), "{name}");
        }
        let failed = describe("Id=x.service\nActiveState=failed\nUnitFileState=masked", "host").unwrap();
        assert_eq!(failed.text("Status"), Some("Error"));
        assert_eq!(failed.text("StartMode"), Some("Disabled"));
        assert!(describe("Id=x.socket\nActiveState=active", "host").is_none());
    }
}
