//! The PowerShell that a host without Windows runs in place of Windows' own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::arguments;

/// The variable that names a PowerShell.
const VARIABLE: &str = "WINRM_PWSH";

/// What clients and scripts call it. The first word of a command line is understood in any spelling; in the middle of one, the
/// machine's shell looks for a file of exactly this name.
const NAMES: &[&str] = &[
    "powershell",
    "powershell.exe",
    "PowerShell",
    "PowerShell.exe",
    "Powershell",
    "POWERSHELL.EXE",
    "pwsh",
    "pwsh.exe",
];

/// Windows' program that shows and sets the console's code page. There is no console here, and all is UTF-8.
const CODE_PAGE: &str = r#"#!/bin/sh
case ${1:-65001} in
*[!0-9]*) printf 'Invalid code page\r\n' >&2; exit 1 ;;
esac
printf 'Active code page: %s\r\n' "${1:-65001}"
"#;

/// A PowerShell's path, from the variable `WINRM_PWSH` or else from `PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["pwsh", "powershell"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A private folder that goes first on the commands' `PATH`: programs of Windows' names that start the host's PowerShell, or say
/// that there is none, and `chcp`. Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Programs(TempDir);

impl Programs {
    pub(crate) fn make(powershell: Option<&Path>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("winrm-programs-").tempdir()?;
        for name in NAMES {
            let script = match powershell {
                Some(path) => {
                    let mut script = b"#!/bin/sh\nexec ".to_vec();
                    script.extend(quoted(path.as_os_str()));
                    script.extend(b" \"$@\"\n");
                    script
                }
                None => format!(
                    "#!/bin/sh\nprintf \"'%s' is not recognized as an internal or external command,\\r\\noperable program or batch file.\\r\\n\" {name} >&2\nexit 1\n"
                )
                .into_bytes(),
            };
            write_program(&folder.path().join(name), &script)?;
        }
        for name in ["chcp", "chcp.com"] {
            write_program(&folder.path().join(name), CODE_PAGE.as_bytes())?;
        }
        Ok(Self(folder))
    }

    /// The folder in front of what `PATH` was.
    pub(crate) fn path(&self, path: Option<&OsStr>) -> OsString {
        let mut folders = self.0.path().as_os_str().to_owned();
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            folders.push(":");
            folders.push(path);
        }
        folders
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn write_program(path: &Path, script: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(path)?;
    file.write_all(script)
}

/// In single quotes, as a Bourne shell reads them.
fn quoted(text: &OsStr) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut quoted = vec![b'\''];
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// How a command line calls PowerShell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It is its first word: `powershell`, the name as [`NAMES`] has it, and its arguments taken apart as Windows does it. `cmd`
    /// would have nothing to do there.
    Direct(&'static str, Vec<String>),
    /// It is its first word, and what follows needs a shell: the line with a name that the shell finds.
    Shell(String),
    /// A later word may be one.
    Maybe,
    /// There is none.
    No,
}

/// Finds the call of PowerShell in a command line.
pub(crate) fn call(line: &str) -> Call {
    let (first, rest) = first_word(line);
    if let Some(name) = name_of(first) {
        return if needs_shell(rest) {
            Call::Shell(format!("{name}{rest}"))
        } else {
            Call::Direct(name, arguments::split(rest))
        };
    }
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
    if words.any(|word| word.eq_ignore_ascii_case("powershell") || word.eq_ignore_ascii_case("pwsh")) {
        Call::Maybe
    } else {
        Call::No
    }
}

/// The program's canonical name, if it is a PowerShell: without folder, in any case. Programs of this machine that are called by their path stay
/// what they are.
pub(crate) fn name_of(program: &str) -> Option<&'static str> {
    if program.contains('/') && Path::new(program).is_file() {
        return None;
    }
    let name = program.rsplit(['\\', '/']).next().unwrap_or_default().to_ascii_lowercase();
    match name.strip_suffix(".exe").unwrap_or(&name) {
        "powershell" => Some("powershell"),
        "pwsh" => Some("pwsh"),
        _ => None,
    }
}

/// The first word without its quotation marks, and what follows it.
fn first_word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    if let Some(quoted) = line.strip_prefix('"')
        && let Some((word, rest)) = quoted.split_once('"')
    {
        return (word, rest);
    }
    let end = line.find([' ', '\t', '&', '|', '<', '>', ';']).unwrap_or(line.len());
    line.split_at(end)
}

/// Whether `cmd` would find something to do in it: pipes, redirections, a second command. It knows quotation marks and nothing else.
fn needs_shell(rest: &str) -> bool {
    let mut quoted = false;
    rest.chars().any(|character| match character {
        '"' => {
            quoted = !quoted;
            false
        }
        '&' | '|' | '<' | '>' => !quoted,
        '\n' => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_in_any_spelling() {
        let arguments = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for line in [
            "powershell -File a",
            "  PowerShell.EXE -File a",
            r#""C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe" -File a"#,
            r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe -File a",
        ] {
            assert_eq!(call(line), Call::Direct("powershell", arguments(&["-File", "a"])), "{line}");
        }
        assert_eq!(
            call(r#"pwsh -Command "Write-Output 'a; b' | Out-String; $x""#),
            Call::Direct("pwsh", arguments(&["-Command", "Write-Output 'a; b' | Out-String; $x"]))
        );
        assert_eq!(call("pwsh.exe -NoLogo 2>&1"), Call::Shell("pwsh -NoLogo 2>&1".to_owned()));
        assert_eq!(call("PowerShell|more"), Call::Shell("powershell|more".to_owned()));
        for line in ["echo 1 | PowerShell -Command -", "cd x && pwsh", "cmd /c powershell.exe"] {
            assert_eq!(call(line), Call::Maybe, "{line}");
        }
        for line in ["echo 1", "powershellx", "./mypwsh2", "", "\"", "/bin/sh -c powershel"] {
            assert_eq!(call(line), Call::No, "{line}");
        }
    }

    #[test]
    fn names_with_quotes_reach_the_shell_whole() {
        assert_eq!(quoted(OsStr::new("/a 'b'/pwsh")), br"'/a '\''b'\''/pwsh'");
    }
}
