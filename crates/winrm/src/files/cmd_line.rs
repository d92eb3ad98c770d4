//! Lines for `cmd.exe` that carry a file without PowerShell, and what the programs in them print.
//!
//! Written from Microsoft's reference of `cmd`, `certutil`, `findstr` and `for`. The line is what `cmd /c` gets, not a batch file:
//! a loop's variable has one percent sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::event::FileError;
use super::host_path::HostPaths;
use winrm_proto::copy::FailureCode;

/// The most characters in a path: `cmd`'s own commands take no more.
const LONGEST_PATH: usize = 259;

/// A path of a Windows host that can stand in quotes on a line of `cmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CmdPath(String);

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Absent,
}

impl CmdPath {
    /// Takes a path that a person wrote; `~` is the account's own folder, and `%NAME%` at the beginning a variable of the host.
    ///
    /// In quotes `& | < > ^ ( )` are only characters. A percent sign is none: it can't be escaped on a command line. Nor can an
    /// exclamation mark where the registry switches delayed expansion on. Such paths are refused.
    pub(super) fn new(path: &str) -> Result<Self, FileError> {
        let refuse = |reason: &str| Err(FileError::new(FailureCode::Other, format!("without PowerShell {reason}")));
        if let Some(reason) = HostPaths::Windows.refuses(path) {
            return Err(FileError::new(FailureCode::Other, reason));
        }
        let named = variable(path);
        if let Some(bad) = path[named..].chars().find(|c| matches!(c, '%' | '!' | '"') || c.is_control()) {
            return refuse(&format!("a path can't hold {bad:?}, which cmd would read for itself"))
                .map_err(|error: FileError| error.with_hint("write the path in full, or copy to another name"));
        }
        if path.contains(['*', '?', '<', '>', '|']) {
            return refuse("there are no wildcards, and no name has one of < > | ? *");
        }
        let path = path.replace('/', "\\");
        let path = HostPaths::Windows.trimmed(&path);
        let path = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('\\') => format!("%USERPROFILE%{rest}"),
            // It is no option of the programs that get it.
            _ if path.starts_with('-') => format!(".\\{path}"),
            _ if path.is_empty() => ".".to_owned(),
            _ => path.to_owned(),
        };
        if path.encode_utf16().count() > LONGEST_PATH {
            return refuse("a path has 259 characters at the most");
        }
        Ok(Self(path))
    }

    /// A file of the account's folder for temporary files; the name is of this program's choice.
    pub(super) fn temporary(name: &str) -> Self {
        Self(format!("%TEMP%\\{name}"))
    }

    /// A file in this folder.
    pub(super) fn join(&self, name: &str) -> Result<Self, FileError> {
        if let Some(reason) = HostPaths::Windows.forbids(name) {
            return Err(FileError::new(
                FailureCode::Other,
                format!("the host can't have this name: {reason}"),
            ));
        }
        let Self(name) = Self::new(name)?;
        let name = name.trim_start_matches(".\\");
        Ok(Self(HostPaths::Windows.join(&self.0, name)))
    }

    /// The path with something behind it.
    pub(super) fn with(&self, end: &str) -> Result<Self, FileError> {
        let whole = format!("{}{end}", self.0);
        if whole.encode_utf16().count() > LONGEST_PATH {
            let error = FileError::new(
                FailureCode::TooLong,
                "without PowerShell a path has 259 characters at the most, with what a part's name ends in",
            );
            return Err(error);
        }
        Ok(Self(whole))
    }

    pub(super) fn parent(&self) -> Option<Self> {
        HostPaths::Windows.parent(&self.0).map(|parent| Self(parent.to_owned()))
    }

    /// The last name.
    pub(super) fn name(&self) -> &str {
        HostPaths::Windows.last(&self.0)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn as_folder(&self) -> String {
        format!("{}\\", self.0.trim_end_matches('\\'))
    }
}

/// How long the variable is that a path begins with.
fn variable(path: &str) -> usize {
    let name = path.strip_prefix('%').and_then(|rest| rest.split_once('%'));
    name.filter(|(name, rest)| {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain && (rest.is_empty() || rest.starts_with(['\\', '/']))
    })
    .map_or(0, |(name, _)| name.len() + 2)
}

/// Whether it is Windows, and its `cmd`, that reads lines.
pub(super) const IS_WINDOWS: &str = "echo %OS%";

pub(super) fn is_windows(printed: &[u8]) -> bool {
    printed.trim_ascii() == b"Windows_NT"
}

pub(super) fn kind(path: &CmdPath) -> String {
    let (folder, file) = (path.as_folder(), &path.0);
    format!("if exist \"{folder}\" (echo winrm-folder) else if exist \"{file}\" (echo winrm-file) else (echo winrm-absent)")
}

pub(super) fn kind_of(printed: &[u8]) -> Option<Kind> {
    match printed.trim_ascii() {
        b"winrm-folder" => Some(Kind::Folder),
        b"winrm-file" => Some(Kind::File),
        b"winrm-absent" => Some(Kind::Absent),
        _ => None,
    }
}

/// Prints a file's size.
pub(super) fn size(path: &CmdPath) -> String {
    format!("for %I in (\"{}\") do @echo winrm-size %~zI", path.0)
}

pub(super) fn size_of(printed: &[u8]) -> Option<u64> {
    std::str::from_utf8(printed).ok()?.trim().strip_prefix("winrm-size ")?.parse().ok()
}

pub(super) fn make_folder(path: &CmdPath) -> String {
    format!("if not exist \"{}\" mkdir \"{}\"", path.as_folder(), path.0)
}

/// Writes standard input to a file.
///
/// `findstr` gives every line that has a character in it. The base64 goes through standard input, and not as `echo` lines, since
/// those take a command for every 6 KB of the file, and what is on a command line is seen by all on the host.
pub(super) fn take_text(text: &CmdPath) -> String {
    format!("findstr /r .> \"{}\"", text.0)
}

pub(super) fn make_empty(path: &CmdPath) -> String {
    format!("type nul> \"{}\"", path.0)
}

pub(super) fn decode(text: &CmdPath, path: &CmdPath) -> String {
    format!("certutil -f -decode \"{}\" \"{}\"", text.0, path.0)
}

pub(super) fn encode(path: &CmdPath, text: &CmdPath) -> String {
    format!("certutil -f -encode \"{}\" \"{}\"", path.0, text.0)
}

pub(super) fn print(path: &CmdPath) -> String {
    format!("type \"{}\"", path.0)
}

pub(super) fn hash(path: &CmdPath) -> String {
    format!("certutil -hashfile \"{}\" SHA256", path.0)
}

/// The hash in what `certutil` prints: the line of nothing but 64 digits. Its other lines are in the host's language; Windows before
/// 10 puts blanks between the bytes.
pub(super) fn hash_of(printed: &[u8]) -> Option<[u8; 32]> {
    String::from_utf8_lossy(printed).lines().find_map(|line| {
        let digits: Vec<u32> = line
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()?;
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = (pair[0] * 16 + pair[1]) as u8;
        }
        Some(hash)
    })
}

/// Puts a file in another's place, by a rename within the folder.
pub(super) fn replace(from: &CmdPath, to: &CmdPath) -> String {
    format!("move /y \"{}\" \"{}\"", from.0, to.0)
}

pub(super) fn remove(paths: &[&CmdPath]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| format!("\"{}\"", path.0)).collect();
    format!("del /f /q {} 2>nul", paths.join(" "))
}

/// Bytes as the lines that `certutil -decode` reads.
pub(super) fn text(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() / 48 * 66 + 128);
    for line in bytes.chunks(48) {
        text.extend_from_slice(STANDARD.encode(line).as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The bytes of what `certutil -encode` has written.
pub(super) fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let mut inner: Vec<&[u8]> = lines.collect();
    let (first, last) = (inner.first()?, inner.last()?);
    if !first.starts_with(b"-----BEGIN ") || !last.starts_with(b"-----END ") || inner.len() < 2 {
        return None;
    }
    inner.pop();
    STANDARD.decode(inner[1..].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CmdPath {
        CmdPath::new(text).unwrap()
    }

    #[test]
    fn paths_are_quoted_or_refused() {
        for (given, kept) in [
            ("C:/Temp/a b.txt", r"C:\Temp\a b.txt"),
            (r"C:\R&D (old)\x^y.txt", r"C:\R&D (old)\x^y.txt"),
            (r"\\server\share\ä", r"\\server\share\ä"),
            ("~/a", r"%USERPROFILE%\a"),
            ("~", "%USERPROFILE%"),
            ("~a", "~a"),
            ("%TEMP%/a", r"%TEMP%\a"),
            ("-f", r".\-f"),
            ("", "."),
            (r"C:\Temp\", r"C:\Temp"),
            (r"C:\", r"C:\"),
        ] {
            assert_eq!(path(given).as_str(), kept);
        }
        for bad in [
            r"x%TEMP%\a",
            r"%A%B%\c",
            "%a b%/c",
            "%TEMP%a",
            "100%",
            "a!b",
            "a\"b",
            "a\" & del b",
            "a\nb",
            "*.txt",
            "a?",
            "a>b",
            "a|b",
            "x:y:z",
            "a\0",
        ] {
            assert!(CmdPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(CmdPath::new(&"x".repeat(260)).is_err() && path(&"x".repeat(250)).with(".winrm-part").is_err());
        let folder = path(r"C:\");
        assert_eq!(folder.join("-a").unwrap().as_str(), r"C:\-a");
        for bad in ["nul", "a\\b", "..", "a%b", "a.", "x:y"] {
            assert!(folder.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_fit_and_say_what_they_should() {
        let a = path(r"C:\R&D\a b");
        assert_eq!(take_text(&a), r#"findstr /r .> "C:\R&D\a b""#);
        assert_eq!(make_folder(&path(r"C:\")), r#"if not exist "C:\" mkdir "C:\""#);
        assert_eq!(remove(&[&a, &a]), r#"del /f /q "C:\R&D\a b" "C:\R&D\a b" 2>nul"#);
        let long = path(&format!(r"C:\{}", "x".repeat(256)));
        // cmd takes 8,191 characters.
        for line in [
            kind(&long),
            size(&long),
            make_folder(&long),
            decode(&long, &long),
            replace(&long, &long),
            remove(&[&long, &long]),
        ] {
            assert!(line.len() < 1_000, "{line}");
        }
    }

    #[test]
    fn what_certutil_prints_is_read() {
        let digits = "00ff".repeat(16);
        let spaced = "00 ff ".repeat(16);
        let expected: Vec<u8> = [0, 255].repeat(16);
        for hash in [digits.as_str(), spaced.trim_end()] {
            let printed =
                format!("SHA256-Hash von C:\\x:\r\n{hash}\r\nCertUtil: -hashfile-Befehl wurde erfolgreich ausgef\u{fffd}hrt.\r\n");
            assert_eq!(hash_of(printed.as_bytes()).unwrap().to_vec(), expected);
        }
        assert!(hash_of(b"no hash\r\n0011\r\n").is_none() && hash_of("é".repeat(64).as_bytes()).is_none());
        assert_eq!(size_of(b"winrm-size 12\r\n"), Some(12));
        assert!(size_of(b"winrm-size \r\n").is_none() && size_of(b"winrm-size -1").is_none());
    }

    #[test]
    fn bytes_go_both_ways() {
        let all: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let lines = text(&all);
        assert!(lines.split(|byte| *byte == b'\n').all(|line| line.len() <= 65));
        let mut whole = b"-----BEGIN CERTIFICATE-----\r\n".to_vec();
        whole.extend_from_slice(&lines);
        whole.extend_from_slice(b"-----END CERTIFICATE-----\r\n");
        assert_eq!(bytes(&whole).unwrap(), all);
        assert!(bytes(&lines).is_none() && bytes(b"").is_none() && bytes(b"-----BEGIN X\r\n").is_none());
        assert!(bytes(&whole[..whole.len() - 40]).is_none());
    }
}
