//! A PowerShell with a stand-in for Windows' cmdlets and providers: see `tests/peers/windows-standin`.

#![expect(clippy::unwrap_used, reason = "a stand-in that can't be made is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::peer;

/// A host of Windows, as far as scripts see it.
pub(crate) struct WindowsStandin {
    /// A program that starts PowerShell with the stand-in loaded, whatever command is given encoded: for `winrm serve --pwsh`.
    pub(crate) program: PathBuf,
    /// The host's state, JSON.
    state: PathBuf,
    engine: PathBuf,
    load: String,
}

impl WindowsStandin {
    /// A freshly installed Server 2019. Nothing after a sentence where there is no PowerShell.
    pub(crate) fn new(test: &str, folder: &Path) -> Option<Self> {
        let engine = PathBuf::from(peer::variable(test, "WINRM_PWSH")?);
        let state = folder.join("windows.json");
        fs::copy(peer::file("windows-standin/server2019.json"), &state).unwrap();
        let module = peer::file("windows-standin/windows-standin.psm1").canonicalize().unwrap();
        let load = format!(
            "$env:WINDOWS_STANDIN_STATE = '{}'; Import-Module '{}';",
            state.display(),
            module.display()
        );
        let program = folder.join("powershell-with-windows");
        fs::write(&program, wrapper(&engine, &load)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self {
            program,
            state,
            engine,
            load,
        })
    }

    /// What the host has now.
    pub(crate) fn host(&self) -> Value {
        serde_json::from_slice(&fs::read(&self.state).unwrap()).unwrap()
    }

    /// Makes the host another one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut host = self.host();
        change(&mut host);
        fs::write(&self.state, host.to_string()).unwrap();
    }

    /// Runs a script of PowerShell on its console, as a file.
    pub(crate) fn run(&self, script: &Path, arguments: &str) -> Output {
        let command = format!("{} & '{}' {arguments}; exit $LASTEXITCODE", self.load, script.display());
        Command::new(&self.engine)
            .args(["-NoProfile", "-NonInteractive", "-Command", &command])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// Encoded commands begin with what loads the stand-in: base64 of whole groups of three bytes can be put in front of any other.
fn wrapper(engine: &Path, load: &str) -> String {
    let mut load = load.to_owned();
    while !(load.encode_utf16().count() * 2).is_multiple_of(3) {
        load.push(' ');
    }
    let bytes: Vec<u8> = load.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!(
        "#!/bin/sh\nlast=\nfor argument do\n  shift\n  [ \"$last\" = -EncodedCommand ] && argument={}$argument\n  \
         set -- \"$@\" \"$argument\"\n  last=$argument\ndone\nexec '{}' \"$@\"\n",
        STANDARD.encode(bytes),
        engine.display()
    )
}
