//! Where the script comes from.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use crate::args::PsArguments;
use crate::failure::Failure;

/// A script and its arguments.
pub(crate) struct Script {
    pub(super) text: String,
    pub(super) arguments: Vec<String>,
    /// Whether standard input was the script.
    pub(crate) took_stdin: bool,
}

/// The largest script that is taken, in bytes.
const LARGEST: u64 = 32 << 20;

impl Script {
    pub(crate) fn read(arguments: &PsArguments) -> Result<Self, Failure> {
        let words: Vec<String> = arguments.script_word.iter().chain(&arguments.words).cloned().collect();
        if let Some(file) = &arguments.script.file {
            let from_stdin = file == Path::new("-");
            let text = if from_stdin { standard_input()? } else { read_file(file)? };
            return Ok(Self {
                text,
                arguments: words,
                took_stdin: from_stdin,
            });
        }
        let given = !words.is_empty() && words != ["-"];
        if given {
            return Ok(Self {
                text: words.join(" "),
                arguments: Vec::new(),
                took_stdin: false,
            });
        }
        if words.is_empty() && (arguments.no_stdin || std::io::stdin().is_terminal()) {
            return Err(Failure::configuration("there is no script").hint("give it behind --, by -f FILE, or by standard input"));
        }
        Ok(Self {
            text: standard_input()?,
            arguments: Vec::new(),
            took_stdin: true,
        })
    }
}

impl PsArguments {
    /// What runs, in the words of who gave it.
    pub(crate) fn title(&self) -> Vec<String> {
        let file = self.script.file.iter().map(|file| file.display().to_string());
        let words = self.script_word.iter().chain(&self.words).cloned();
        let title: Vec<String> = file.chain(words).collect();
        if title.is_empty() { vec!["-".to_owned()] } else { title }
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::configuration("the script can't be read from standard input").because(error))?;
    text(&bytes, "the script on standard input")
}

fn read_file(file: &Path) -> Result<String, Failure> {
    let what = format!("the script {}", file.display());
    let failed = |error: std::io::Error| Failure::configuration(format!("{what} can't be read")).because(error);
    let mut bytes = Vec::new();
    let source = std::fs::File::open(file).map_err(failed)?;
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    text(&bytes, &what)
}

/// UTF-8, with a byte order mark or without, or UTF-16 with one, as editors on Windows write.
fn text(bytes: &[u8], what: &str) -> Result<String, Failure> {
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::configuration(format!("{what} is larger than {} MiB", LARGEST >> 20)).hint("copy data to the host as a file"));
    }
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    let text = match bytes {
        [0xFF, 0xFE, ..] => utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => utf16(u16::from_be_bytes),
        _ => std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
            .ok()
            .map(str::to_owned),
    };
    text.ok_or_else(|| Failure::configuration(format!("{what} is neither UTF-8 nor UTF-16")).hint("save it as UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_in_the_encodings_of_editors() {
        let utf16: Vec<u8> = "\u{FEFF}é😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [&b"\xEF\xBB\xBF\xC3\xA9\xF0\x9F\x98\x80"[..], b"\xC3\xA9\xF0\x9F\x98\x80", &utf16] {
            assert_eq!(text(bytes, "it").unwrap(), "é😀");
        }
        assert!(text(b"\xE9", "it").is_err());
    }
}
