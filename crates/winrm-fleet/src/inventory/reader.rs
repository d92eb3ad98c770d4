//! Files on their way into the graph.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::{InventoryError, Malformed};
use super::graph::Entry;
use super::interner::Interner;
use crate::value::{Origin, Value};
use crate::vault::Vault;
use crate::yaml::YamlError;

/// How large a file may be, in bytes.
pub(crate) const MAX_FILE: u64 = 256 << 20;

/// What every encrypted file begins with.
const VAULT_MARK: &[u8] = b"$ANSIBLE_VAULT";

/// A file's contents, and whether they were encrypted.
pub(crate) struct Contents {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) encrypted: bool,
}

/// Reads a whole file, decrypting it.
///
/// # Errors
/// A file that can't be read, is too large, or stays encrypted.
pub(crate) fn contents(path: &Path, vault: &Vault) -> Result<Contents, InventoryError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => InventoryError::Missing { path: path.to_owned() },
        _ => InventoryError::Read {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(InventoryError::TooLarge {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    if !bytes.starts_with(VAULT_MARK) {
        return Ok(Contents {
            bytes: Zeroizing::new(bytes),
            encrypted: false,
        });
    }
    let origin = Origin::File {
        path: path.into(),
        line: 0,
    };
    Ok(Contents {
        bytes: vault.decrypt(&bytes, &origin)?,
        encrypted: true,
    })
}

/// A source while it is read.
pub(crate) struct Document<'d> {
    pub(crate) path: Arc<Path>,
    /// Its number.
    pub(crate) source: u32,
    pub(crate) encrypted: bool,
    pub(crate) interner: &'d mut Interner,
    pub(crate) warnings: &'d mut Vec<String>,
}

impl Document<'_> {
    pub(crate) fn entry(&mut self, line: u32, name: &str, value: Value) -> Entry {
        Entry {
            name: self.interner.text(name),
            value,
            line,
            source: self.source,
        }
    }

    /// An error with its line, unless the file was encrypted.
    pub(crate) fn malformed(&self, line: u32, column: u32, what: impl Into<String>, hint: Option<String>, text: Option<&str>) -> Malformed {
        Malformed {
            path: self.path.clone(),
            line,
            column,
            what: what.into(),
            hint,
            text: text.filter(|_| !self.encrypted).map(str::to_owned),
        }
    }
}

/// What is wrong with a YAML file, with its line.
pub(crate) fn yaml_error(path: &Arc<Path>, text: &str, encrypted: bool, error: YamlError) -> Malformed {
    let line = text.lines().nth(error.line.saturating_sub(1) as usize);
    let hint = line.and_then(|line| yaml_hint(line, error.column));
    Malformed {
        path: path.clone(),
        line: error.line,
        column: error.column,
        what: format!("this is no YAML: {}", error.what),
        hint,
        text: line.filter(|_| !encrypted).map(str::to_owned),
    }
}

/// The usual mistakes.
fn yaml_hint(line: &str, _column: u32) -> Option<String> {
    if line.trim_start_matches(' ').starts_with('\t') {
        return Some("YAML is indented with spaces, never with tabs".to_owned());
    }
    let value = line.split_once(": ").map_or(line, |(_, value)| value).trim();
    if value.starts_with("{{") {
        return Some("a value that begins with {{ needs quotes around it: \"{{ name }}\"".to_owned());
    }
    if value.starts_with(['@', '`', '%']) {
        return Some("a value that begins with this sign needs quotes around it".to_owned());
    }
    if value.contains(": ") && !value.starts_with(['"', '\'']) {
        return Some("a value with a colon and a space needs quotes around it".to_owned());
    }
    None
}

/// The text of a file in UTF-8.
///
/// # Errors
/// The line of the first bytes that aren't.
pub(crate) fn text<'b>(path: &Arc<Path>, bytes: &'b [u8]) -> Result<&'b str, Malformed> {
    str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Malformed {
            path: path.clone(),
            line: u32::try_from(line).unwrap_or(0),
            column: 0,
            what: "the file is not in UTF-8".to_owned(),
            hint: Some("convert it: iconv -f WINDOWS-1252 -t UTF-8".to_owned()),
            text: None,
        }
    })
}

/// The text of an INI file: comments may be in any encoding, since nobody reads them.
///
/// # Errors
/// The line of the first bytes that are neither UTF-8 nor a comment.
pub(crate) fn ini_text<'b>(path: &Arc<Path>, bytes: &'b [u8]) -> Result<Cow<'b, str>, Malformed> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let whole = text(path, bytes);
    let Err(malformed) = whole else { return whole.map(Cow::Borrowed) };
    let mut read = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match str::from_utf8(line) {
            Ok(line) => read.push_str(line),
            Err(_) if line.starts_with(b"#") || line.starts_with(b";") => read.push('\n'),
            Err(_) => return Err(malformed),
        }
    }
    Ok(Cow::Owned(read))
}
