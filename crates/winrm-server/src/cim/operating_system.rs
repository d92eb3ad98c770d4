//! `Win32_OperatingSystem`: this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use winrm_proto::instance::Instance;

use super::{CimCaller, CimClass, CimError, date_time, or_nil};

/// The one instance of the machine, as its kernel and `/etc/os-release` describe it. What they don't say is NULL.
pub(crate) struct OperatingSystem {
    machine: String,
}

impl OperatingSystem {
    pub(crate) fn new(machine: &str) -> Self {
        Self {
            machine: machine.to_owned(),
        }
    }
}

impl CimClass for OperatingSystem {
    fn name(&self) -> &str {
        "Win32_OperatingSystem"
    }

    fn keys(&self) -> &[&str] {
        &[]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        let release = read("/etc/os-release").or_else(|| read("/usr/lib/os-release"));
        let release = release.unwrap_or_default();
        let caption = value(&release, "PRETTY_NAME").unwrap_or_else(|| std::env::consts::OS.to_owned());
        let kernel = rustix::system::uname();
        let version = kernel.release().to_string_lossy();
        let memory = read("/proc/meminfo").unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let bits = if cfg!(target_pointer_width = "64") { "64-bit" } else { "32-bit" };
        let processes = std::fs::read_dir("/proc").ok().map(|entries| {
            let is_process = |name: &std::ffi::OsStr| name.to_string_lossy().parse::<u32>().is_ok();
            let count = entries.flatten().filter(|entry| is_process(&entry.file_name())).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        });
        let kilobytes = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(vec![
            Instance::default()
                .with("BootDevice", or_nil(None::<&str>))
                .with("BuildNumber", version.as_ref())
                .with("Caption", caption.as_str())
                .with("CreationClassName", "Win32_OperatingSystem")
                .with("CSCreationClassName", "Win32_ComputerSystem")
                .with("CSName", self.machine.as_str())
                .with("FreePhysicalMemory", or_nil(kilobytes("MemAvailable")))
                .with("FreeVirtualMemory", or_nil(kilobytes("SwapFree")))
                .with(
                    "LastBootUpTime",
                    or_nil(booted(&read("/proc/stat").unwrap_or_default()).map(date_time)),
                )
                .with("LocalDateTime", date_time(now))
                .with("Manufacturer", or_nil(value(&release, "NAME")))
                .with("Name", caption.as_str())
                .with("NumberOfProcesses", or_nil(processes))
                .with("OSArchitecture", bits)
                // LINUX, MACOS of CIM_OperatingSystem's list.
                .with("OSType", if cfg!(target_os = "linux") { 36_u32 } else { 2 })
                .with("Primary", true)
                // A server that is no domain controller.
                .with("ProductType", 3_u32)
                .with("Status", "OK")
                .with("SystemDirectory", or_nil(None::<&str>))
                .with("TotalVirtualMemorySize", or_nil(kilobytes("SwapTotal")))
                .with("TotalVisibleMemorySize", or_nil(kilobytes("MemTotal")))
                .with("Version", version.as_ref()),
        ])
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value of a name in a file of `NAME="value"` lines.
fn value(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(super::printable(value.trim().trim_matches(['"', '\''])))
}

/// When the kernel has started, in seconds since 1970: `btime` of `/proc/stat`.
pub(super) fn booted(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}
