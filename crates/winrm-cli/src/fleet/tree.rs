//! A folder with a file for each host.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::entry::Entry;

pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub(super) fn host(&self, entry: &Entry) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(self.0.join(file_name(&entry.host)))?);
        entry.write_json(&mut file)?;
        file.write_all(b"\n")?;
        file.flush()
    }
}

/// The host's name, with what can't stand in a file's name as `%XX`.
fn file_name(host: &str) -> String {
    let mut name = String::with_capacity(host.len());
    for character in host.chars() {
        if matches!(character, '/' | '\\' | '%') || character.is_control() {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                name.push_str(&format!("%{byte:02X}"));
            }
        } else {
            name.push(character);
        }
    }
    if name.starts_with('.') {
        // Neither the folder itself, nor one above it, nor hidden.
        name.replace_range(..1, "%2E");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder() {
        for (host, name) in [
            ("web1", "web1"),
            ("..", "%2E."),
            (".", "%2E"),
            ("../x", "%2E.%2Fx"),
            ("https://web1:5986/wsman", "https:%2F%2Fweb1:5986%2Fwsman"),
            ("fe80::1%eth0", "fe80::1%25eth0"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(file_name(host), name);
        }
    }
}
