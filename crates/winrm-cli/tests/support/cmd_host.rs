//! A Windows host without a usable PowerShell, as far as copies see it: `cmd` and a few programs on a disk in memory.
//!
//! Written from Microsoft's documentation of these programs; no Windows stood beside it. What it does not know it refuses, so that
//! a line that relies on something else fails.

#![expect(clippy::unwrap_used, reason = "what a test's host can't do is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm_server::{CommandLine, Host, HostError, Process, ShellContext};

/// The most characters that `cmd` takes.
const LONGEST: usize = 8191;

/// What happens when PowerShell is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PowerShell {
    Missing,
    Constrained,
    Blocked,
    /// There is one, and it does what the scripts of winrmcp ask for.
    Winrmcp,
}

/// What goes wrong beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Not Windows at all.
    Posix,
    /// A byte changes while it is decoded.
    Damage,
    DiskFull,
    /// What was decoded is taken away.
    Antivirus,
}

#[derive(Debug, Clone)]
pub(crate) struct CmdHost {
    pub(crate) powershell: PowerShell,
    pub(crate) fault: Fault,
    pub(crate) disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Full paths in small letters.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) folders: BTreeSet<String>,
    /// All lines that were run.
    pub(crate) lines: Vec<String>,
}

impl CmdHost {
    pub(crate) fn new(powershell: PowerShell, fault: Fault) -> Self {
        let mut disk = Disk::default();
        for folder in [r"c:", r"c:\temp", r"c:\users", r"c:\users\alice", r"c:\users\alice\tmp r&d"] {
            disk.folders.insert(folder.to_owned());
        }
        Self {
            powershell,
            fault,
            disk: Arc::new(Mutex::new(disk)),
        }
    }
}

impl Host for CmdHost {
    async fn start(&self, _: &ShellContext, line: CommandLine) -> Result<Process, HostError> {
        let host = self.clone();
        Ok(Process::from_fn(move |mut stdin, mut stdout, mut stderr| async move {
            let line = line.joined();
            let mut input = Vec::new();
            if line.starts_with("findstr") {
                stdin.read_to_end(&mut input).await.unwrap();
            }
            let (code, out, err) = host.run(&line, &input);
            stdout.write_all(&out).await.unwrap();
            stderr.write_all(&err).await.unwrap();
            code
        }))
    }
}

type Ended = (u32, Vec<u8>, Vec<u8>);

fn failure(code: u32, text: &str) -> Ended {
    (code, Vec::new(), format!("{text}\r\n").into_bytes())
}

fn success(text: &str) -> Ended {
    (0, format!("{text}\r\n").into_bytes(), Vec::new())
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Operator(&'static str),
    /// The stream's number, and whether it is appended.
    Redirection(u8, bool),
}

impl CmdHost {
    fn run(&self, line: &str, input: &[u8]) -> Ended {
        self.disk.lock().unwrap().lines.push(line.to_owned());
        if line.encode_utf16().count() > LONGEST {
            return failure(1, "The command line is too long.");
        }
        if self.fault == Fault::Posix && !line.starts_with("powershell") {
            return success(line.strip_prefix("echo ").unwrap_or("sh: not found"));
        }
        let tokens = tokens(&expanded(line));
        let mut parser = Parser { host: self, tokens, at: 0 };
        let ended = parser.statement(input, true);
        if parser.at < parser.tokens.len() {
            return failure(1, "& was unexpected at this time.");
        }
        ended
    }
}

/// Percent signs come first, quotes or not; what is no variable stays on a command line.
fn expanded(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let value = rest.find('%').and_then(|end| {
            let value = match rest[..end].to_ascii_uppercase().as_str() {
                "OS" => "Windows_NT",
                "TEMP" => r"C:\Users\alice\tmp r&d",
                "USERPROFILE" => r"C:\Users\alice",
                _ => return None,
            };
            Some((value, end))
        });
        match value {
            Some((value, end)) => {
                text.push_str(value);
                rest = &rest[end + 1..];
            }
            None => text.push('%'),
        }
    }
    text.push_str(rest);
    text
}

fn tokens(line: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    let mut quoted = false;
    let flush = |word: &mut Option<String>, found: &mut Vec<Token>| found.extend(word.take().map(Token::Word));
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if quoted => word.get_or_insert_default().push(c),
            '^' => word.get_or_insert_default().extend(characters.next()),
            // `echo` prints these as they are, and programs get their line whole; cmd's other commands part words by them.
            ',' | ';' | '=' if matches!(found.first(), Some(Token::Word(first)) if first == "echo" || first.ends_with(".exe")) => {
                word.get_or_insert_default().push(c);
            }
            ' ' | '\t' | ',' | ';' | '=' => flush(&mut word, &mut found),
            '>' => {
                let stream = match word.as_deref() {
                    Some("2") => word.take().map(|_| 2),
                    Some("1") => word.take().map(|_| 1),
                    _ => Some(1),
                };
                flush(&mut word, &mut found);
                let append = characters.next_if_eq(&'>').is_some();
                found.push(Token::Redirection(stream.unwrap(), append));
            }
            '(' | ')' | '&' | '|' | '<' => {
                flush(&mut word, &mut found);
                found.push(Token::Operator(match c {
                    '(' => "(",
                    ')' => ")",
                    '&' => "&",
                    '|' => "|",
                    _ => "<",
                }));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    flush(&mut word, &mut found);
    found
}

struct Parser<'a> {
    host: &'a CmdHost,
    tokens: Vec<Token>,
    at: usize,
}

impl Parser<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = match self.tokens.get(self.at) {
            Some(Token::Word(found)) => found.eq_ignore_ascii_case(word),
            Some(Token::Operator(found)) => *found == word,
            _ => false,
        };
        self.at += usize::from(is);
        is
    }

    fn word(&mut self) -> String {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => {
                self.at += 1;
                word.clone()
            }
            other => panic!("a word is missing: {other:?} of {:?}", self.tokens),
        }
    }

    /// Runs a statement, or reads it only.
    fn statement(&mut self, input: &[u8], runs: bool) -> Ended {
        if self.next_is("(") {
            let ended = self.statement(input, runs);
            assert!(self.next_is(")"), "a ) is missing: {:?}", self.tokens);
            return ended;
        }
        if self.next_is("if") {
            let not = self.next_is("not");
            assert!(self.next_is("exist"), "only `exist` is known");
            let path = self.word();
            let holds = self.host.disk.lock().unwrap().exists(&path) != not;
            let first = self.statement(input, runs && holds);
            if self.next_is("else") {
                let second = self.statement(input, runs && !holds);
                return if holds { first } else { second };
            }
            return if holds { first } else { (0, Vec::new(), Vec::new()) };
        }
        if self.next_is("for") {
            let variable = self.word();
            assert!(variable == "%I" && self.next_is("in") && self.next_is("("));
            let path = self.word();
            assert!(self.next_is(")") && self.next_is("do"));
            let disk = self.host.disk.lock().unwrap();
            let size = disk.files.get(&full(&path)).map_or(String::new(), |bytes| bytes.len().to_string());
            drop(disk);
            for token in &mut self.tokens[self.at..] {
                if let Token::Word(word) = token {
                    *word = word.replace("%~zI", &size);
                }
            }
        }
        let (mut words, mut redirections) = (Vec::new(), Vec::new());
        loop {
            match self.tokens.get(self.at).cloned() {
                Some(Token::Word(word)) => words.push(word),
                Some(Token::Redirection(stream, append)) => {
                    self.at += 1;
                    redirections.push((stream, append, self.word()));
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        if !runs {
            return (0, Vec::new(), Vec::new());
        }
        let (mut code, mut out, mut err) = self.host.program(&words, input);
        for (stream, append, path) in redirections {
            let bytes = std::mem::take(if stream == 1 { &mut out } else { &mut err });
            if path.eq_ignore_ascii_case("nul") {
                continue;
            }
            let mut disk = self.host.disk.lock().unwrap();
            if !disk.has_parent(&path) {
                return failure(1, "The system cannot find the path specified.");
            }
            if self.host.fault == Fault::DiskFull {
                disk.files.insert(full(&path), bytes[..bytes.len() / 2].to_vec());
                (code, err) = (1, b"There is not enough space on the disk.\r\n".to_vec());
                continue;
            }
            let file = disk.files.entry(full(&path)).or_default();
            if !append {
                file.clear();
            }
            file.extend_from_slice(&bytes);
        }
        (code, out, err)
    }
}

impl CmdHost {
    fn program(&self, words: &[String], input: &[u8]) -> Ended {
        let words: Vec<&str> = words.iter().map(|word| word.trim_start_matches('@')).collect();
        let mut disk = self.disk.lock().unwrap();
        match words.as_slice() {
            ["powershell.exe", .., script] if self.powershell == PowerShell::Winrmcp => winrmcp(&mut disk, script),
            ["powershell", ..] => match self.powershell {
                PowerShell::Missing | PowerShell::Winrmcp => failure(
                    9009,
                    "'powershell' is not recognized as an internal or external command,\r\noperable program or batch file.",
                ),
                PowerShell::Constrained => (3, b"winrm-agent language ConstrainedLanguage\r\n".to_vec(), Vec::new()),
                PowerShell::Blocked => failure(
                    1,
                    "This program is blocked by group policy. For more information, contact your system administrator.",
                ),
            },
            ["echo", text @ ..] => success(&text.join(" ")),
            ["findstr", "/r", "."] => {
                let mut out = Vec::new();
                for line in input.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()) {
                    if line.len() > 8190 {
                        return failure(2, "FINDSTR: Line 1 is too long.");
                    }
                    if !line.is_empty() {
                        out.extend_from_slice(line);
                        out.extend_from_slice(b"\r\n");
                    }
                }
                (u32::from(out.is_empty()), out, Vec::new())
            }
            ["type", "nul"] => (0, Vec::new(), Vec::new()),
            ["type", path] => match disk.files.get(&full(path)) {
                Some(bytes) => (0, bytes.clone(), Vec::new()),
                None => failure(1, "The system cannot find the file specified."),
            },
            ["mkdir", path] => {
                let mut folder = full(path);
                let mut made = vec![folder.clone()];
                while let Some((above, _)) = folder.rsplit_once('\\') {
                    folder = above.to_owned();
                    made.push(folder.clone());
                }
                if made.iter().any(|folder| disk.files.contains_key(folder)) {
                    return failure(1, "A subdirectory or file already exists.");
                }
                disk.folders.extend(made);
                (0, Vec::new(), Vec::new())
            }
            ["del", "/f", "/q", paths @ ..] => {
                for path in paths {
                    assert!(!disk.folders.contains(&full(path)), "del would empty the folder {path}");
                    disk.files.remove(&full(path));
                }
                (0, Vec::new(), Vec::new())
            }
            ["move", "/y", from, to] => {
                let mut to = full(to);
                if disk.folders.contains(&to) {
                    to = format!("{to}\\{}", full(from).rsplit('\\').next().unwrap());
                }
                match disk.files.remove(&full(from)) {
                    Some(bytes) => {
                        disk.files.insert(to, bytes);
                        success("        1 file(s) moved.")
                    }
                    None => failure(1, "The system cannot find the file specified."),
                }
            }
            ["certutil", arguments @ ..] => self.certutil(&mut disk, arguments),
            _ => failure(1, &format!("this host doesn't know {words:?}")),
        }
    }

    /// Its errors go to standard output.
    fn certutil(&self, disk: &mut Disk, arguments: &[&str]) -> Ended {
        let fails = |what: &str, code: u32, text: &str| {
            let said = format!("CertUtil: {what} command FAILED: 0x{code:08x}\r\nCertUtil: {text}\r\n");
            (code, said.into_bytes(), Vec::new())
        };
        let missing = "The system cannot find the file specified.";
        let (force, arguments) = match arguments {
            ["-f", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        match arguments {
            ["-hashfile", path, "SHA256"] => match disk.files.get(&full(path)) {
                None => fails("-hashfile", 0x8007_0002, missing),
                Some(bytes) if bytes.is_empty() => fails("-hashfile", 0x8007_03ee, "The volume for a file has been externally altered."),
                Some(bytes) => {
                    let digits: Vec<String> = openssl::sha::sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                    success(&format!(
                        "SHA256 hash of file {path}:\r\n{}\r\nCertUtil: -hashfile command completed successfully.",
                        digits.join(" ")
                    ))
                }
            },
            [way @ ("-decode" | "-encode"), from, to] => {
                let Some(bytes) = disk.files.get(&full(from)).cloned() else {
                    return fails(way, 0x8007_0002, missing);
                };
                if bytes.is_empty() {
                    return fails(way, 0x8007_0057, "The parameter is incorrect.");
                }
                if !force && disk.files.contains_key(&full(to)) {
                    return fails(way, 0x8007_0050, "The file exists.");
                }
                let written = if *way == "-encode" {
                    let mut text = b"-----BEGIN CERTIFICATE-----\r\n".to_vec();
                    for line in bytes.chunks(48) {
                        text.extend_from_slice(STANDARD.encode(line).as_bytes());
                        text.extend_from_slice(b"\r\n");
                    }
                    text.extend_from_slice(b"-----END CERTIFICATE-----\r\n");
                    text
                } else {
                    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                    let Ok(bytes) = STANDARD.decode(text) else {
                        return fails(way, 0x8007_000d, "The data is invalid.");
                    };
                    bytes
                };
                let said = format!(
                    "Input Length = {}\r\nOutput Length = {}\r\nCertUtil: {way} command completed successfully.",
                    bytes.len(),
                    written.len()
                );
                if self.fault != Fault::Antivirus {
                    disk.files.insert(full(to), written);
                }
                if self.fault == Fault::Damage {
                    disk.files.get_mut(&full(to)).unwrap()[0] ^= 1;
                }
                success(&said)
            }
            _ => fails("", 0x8007_0057, "unknown argument"),
        }
    }
}

/// What PowerShell would make of winrmcp's two scripts: one puts the lines of a temporary file together as bytes, the other removes
/// that file.
fn winrmcp(disk: &mut Disk, script: &str) -> Ended {
    let units: Vec<u16> = STANDARD
        .decode(script)
        .unwrap()
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let script = String::from_utf16(&units).unwrap();
    let path_of = |name: &str| {
        let (_, rest) = script.split_once(&format!("${name} = [System.IO.Path]::GetFullPath(\""))?;
        let path = rest.split('"').next()?.trim_matches('\'');
        Some(full(&path.replace("$env:TEMP", r"C:\Users\alice\tmp r&d")))
    };
    let temporary = path_of("tmp_file_path").expect("every script of winrmcp names its temporary file");
    let Some(target) = path_of("dest_file_path") else {
        disk.files.remove(&temporary);
        return (0, Vec::new(), Vec::new());
    };
    if disk.folders.contains(&target) {
        return (1, Vec::new(), Vec::new());
    }
    let mut folder = target.as_str();
    while let Some((above, _)) = folder.rsplit_once('\\') {
        disk.folders.insert(above.to_owned());
        folder = above;
    }
    let lines = disk.files.get(&temporary).cloned().unwrap_or_default();
    let bytes = lines
        .split(|byte| *byte == b'\n')
        .flat_map(|line| STANDARD.decode(line.trim_ascii()).unwrap())
        .collect();
    disk.files.insert(target, bytes);
    (0, Vec::new(), Vec::new())
}

/// A full path in small letters; relative ones begin in the account's folder.
pub(crate) fn full(path: &str) -> String {
    let path = path.to_lowercase();
    let path = path.trim_end_matches('\\').trim_start_matches(".\\");
    if path.get(1..2) == Some(":") {
        path.to_owned()
    } else {
        format!(r"c:\users\alice\{path}")
    }
}

impl Disk {
    fn exists(&self, path: &str) -> bool {
        let file = !path.ends_with('\\') && self.files.contains_key(&full(path));
        file || self.folders.contains(&full(path))
    }

    fn has_parent(&self, path: &str) -> bool {
        let whole = full(path);
        whole.rsplit_once('\\').is_some_and(|(parent, _)| self.folders.contains(parent))
    }
}
