//! A PowerShell with a stand-in for Windows' cmdlets and providers: see `tests/peers/windows-standin`.

#![expect(clippy::unwrap_used, reason = "a stand-in that can't be made is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

    /// Runs scripts one after the other on the host's console, each with these arguments.
    pub(crate) fn run(&self, scripts: &[(&Path, &str)]) -> Vec<Ran> {
        let steps: Vec<_> = scripts
            .iter()
            .map(|(script, arguments)| (String::new(), *script, *arguments))
            .collect();
        self.run_prepared(&steps)
    }

    /// A statement that gives the host this state, before a script of [`run_prepared`](Self::run_prepared).
    pub(crate) fn put(&self, number: usize, host: &Value) -> String {
        let file = self.state.with_extension(format!("put{number}.json"));
        fs::write(&file, host.to_string()).unwrap();
        format!("[System.IO.File]::Copy('{}', '{}', $true);", file.display(), self.state.display())
    }

    /// A statement that lets all changes succeed again.
    pub(crate) fn unlimited(&self) -> String {
        let state = self.state.display();
        format!(
            "[System.IO.File]::WriteAllText('{state}', ([System.IO.File]::ReadAllText('{state}') -replace '(\"changes_left\":\\s*)\\d+', '${{1}}-1'));"
        )
    }

    /// Runs scripts, each after its statements.
    pub(crate) fn run_prepared(&self, scripts: &[(String, &Path, &str)]) -> Vec<Ran> {
        let mut command = self.load.clone();
        for (number, (before, script, arguments)) in scripts.iter().enumerate() {
            command.push_str(&format!(
                " {before} $LASTEXITCODE = 0; try {{ & '{}' {arguments} | ForEach-Object {{ 'record ' + (ConvertTo-Json $_ -Compress) }} }} \
                 catch {{ \"error $_\" }}; \"code $LASTEXITCODE\"; [System.IO.File]::Copy('{}', '{}', $true);",
                script.display(),
                self.state.display(),
                self.state_after(number).display()
            ));
        }
        let output = Command::new(&self.engine)
            .args(["-NoProfile", "-NonInteractive", "-Command", &command])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut runs = Vec::new();
        let mut ran = Ran::default();
        for line in said.lines() {
            match line.split_once(' ') {
                Some(("record", json)) => ran.records.push(serde_json::from_str(json).unwrap()),
                Some(("error", text)) => ran.error = Some(text.to_owned()),
                Some(("code", code)) => {
                    ran.code = code.trim().parse().unwrap();
                    ran.host = serde_json::from_slice(&fs::read(self.state_after(runs.len())).unwrap()).unwrap();
                    runs.push(std::mem::take(&mut ran));
                }
                _ => panic!("{line:?} of {said}"),
            }
        }
        assert_eq!(runs.len(), scripts.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        runs
    }

    fn state_after(&self, number: usize) -> PathBuf {
        self.state.with_extension(format!("{number}.json"))
    }
}

/// How a script has ended.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// The objects that it gave.
    pub(crate) records: Vec<Value>,
    /// The error that ended it.
    pub(crate) error: Option<String>,
    /// What the host had then.
    pub(crate) host: Value,
}

impl Ran {
    /// What became of a setting; nothing where there is no record of it.
    pub(crate) fn outcome(&self, item: &str) -> Option<&str> {
        self.record(item)?["Outcome"].as_str()
    }

    pub(crate) fn reason(&self, item: &str) -> &str {
        self.record(item).and_then(|record| record["Reason"].as_str()).unwrap_or_default()
    }

    fn record(&self, item: &str) -> Option<&Value> {
        self.records.iter().find(|record| record["Item"] == item)
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
