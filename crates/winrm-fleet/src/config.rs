//! `ansible.cfg`, and the environment variables that stand in front of it.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inventory::{InventoryError, Malformed, Source, expand_path};
use crate::value::Origin;

/// What `ansible.cfg` and the environment say.
#[derive(Debug, Clone, Default)]
pub struct AnsibleConfig {
    path: Option<Arc<Path>>,
    /// By section and name, with the line.
    values: HashMap<(String, String), (String, u32)>,
    warnings: Vec<String>,
}

/// A setting, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// The text, without quotes around it.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

impl AnsibleConfig {
    /// Looks for the file where Ansible does, and reads the first that is there: `ANSIBLE_CONFIG`, `./ansible.cfg` (unless anybody may
    /// write into the folder), `~/.ansible.cfg`, `/etc/ansible/ansible.cfg`.
    ///
    /// # Errors
    /// A file that can't be read, or isn't in the format of INI files.
    pub fn find() -> Result<Self, InventoryError> {
        let mut warnings = Vec::new();
        let mut candidates: Vec<PathBuf> = Vec::new();
        if let Some(path) = std::env::var_os("ANSIBLE_CONFIG") {
            let path = expand_path(&path.to_string_lossy());
            candidates.push(if path.is_dir() { path.join("ansible.cfg") } else { path });
        }
        let here = PathBuf::from("ansible.cfg");
        match std::fs::metadata(".") {
            Ok(folder) if folder.permissions().mode() & 0o002 != 0 => {
                if here.exists() {
                    warnings.push("anybody may write into the working directory: its ansible.cfg is left aside".to_owned());
                }
            }
            Ok(_) => candidates.push(here),
            Err(_) => {}
        }
        candidates.push(expand_path("~/.ansible.cfg"));
        candidates.push(PathBuf::from("/etc/ansible/ansible.cfg"));
        match candidates.into_iter().find(|path| path.exists()) {
            Some(path) => Self::read(&path).map(|config| Self { warnings, ..config }),
            None => Ok(Self {
                warnings,
                ..Self::default()
            }),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that can't be read, or isn't in the format of INI files.
    pub fn read(path: &Path) -> Result<Self, InventoryError> {
        let bytes = std::fs::read(path).map_err(|source| InventoryError::Read {
            path: path.to_owned(),
            source,
        })?;
        let path: Arc<Path> = path.into();
        let text = String::from_utf8_lossy(&bytes);
        let mut values: HashMap<(String, String), (String, u32)> = HashMap::new();
        let mut section = None;
        let mut last: Option<(String, String)> = None;
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let content = without_comment(line);
            let stripped = content.trim();
            if stripped.is_empty() {
                continue;
            }
            let continues = content.starts_with([' ', '\t']);
            if let Some(value) = last.as_ref().filter(|_| continues).and_then(|last| values.get_mut(last)) {
                // A value goes on in indented lines.
                value.0.push('\n');
                value.0.push_str(stripped);
                continue;
            }
            if let Some((name, _)) = stripped.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                section = Some(name.to_owned());
                last = None;
                continue;
            }
            let (Some(section), Some(at)) = (&section, stripped.find(['=', ':'])) else {
                return Err(Malformed::new(
                    path,
                    number,
                    1,
                    "a configuration has [section] and NAME = VALUE lines, and this is neither",
                    Some(line),
                )
                .into());
            };
            let key = (section.clone(), stripped[..at].trim().to_ascii_lowercase());
            values.insert(key.clone(), (stripped[at + 1..].trim().to_owned(), number));
            last = Some(key);
        }
        Ok(Self {
            path: Some(path),
            values,
            warnings: Vec::new(),
        })
    }

    /// The file that was read.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What was strange on the way.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A setting: the environment's variable if it is set, otherwise what the file says in a section.
    #[must_use]
    pub fn value(&self, environment: &'static str, section: &str, name: &str) -> Option<ConfigValue> {
        if let Ok(value) = std::env::var(environment) {
            return Some(ConfigValue {
                value,
                origin: Origin::Environment(environment),
            });
        }
        let (value, line) = self.values.get(&(section.to_owned(), name.to_owned()))?;
        Some(ConfigValue {
            value: unquoted(value).to_owned(),
            origin: Origin::File {
                path: self.path.clone()?,
                line: *line,
            },
        })
    }

    /// The sources of `ANSIBLE_INVENTORY` or `inventory`, otherwise `/etc/ansible/hosts` if it is there. Relative ones stand beside
    /// the configuration.
    #[must_use]
    pub fn inventory(&self) -> Vec<Source> {
        match self.value("ANSIBLE_INVENTORY", "defaults", "inventory") {
            Some(value) => value
                .value
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(|text| Source::Path(self.resolve(text, &value.origin)))
                .collect(),
            None => {
                let usual = PathBuf::from("/etc/ansible/hosts");
                if usual.exists() { vec![Source::Path(usual)] } else { Vec::new() }
            }
        }
    }

    /// `ANSIBLE_FORKS` or `forks`: how many hosts at once.
    #[must_use]
    pub fn forks(&self) -> Option<usize> {
        self.value("ANSIBLE_FORKS", "defaults", "forks")?.value.trim().parse().ok()
    }

    /// `ANSIBLE_REMOTE_USER` or `remote_user`.
    #[must_use]
    pub fn remote_user(&self) -> Option<ConfigValue> {
        self.value("ANSIBLE_REMOTE_USER", "defaults", "remote_user")
    }

    /// `ANSIBLE_TIMEOUT` or `timeout`: seconds until a connection has to stand.
    #[must_use]
    pub fn timeout(&self) -> Option<u64> {
        self.value("ANSIBLE_TIMEOUT", "defaults", "timeout")?.value.trim().parse().ok()
    }

    /// `ANSIBLE_VAULT_PASSWORD_FILE` or `vault_password_file`.
    #[must_use]
    pub fn vault_password_file(&self) -> Option<PathBuf> {
        let value = self.value("ANSIBLE_VAULT_PASSWORD_FILE", "defaults", "vault_password_file")?;
        (!value.value.is_empty()).then(|| self.resolve(&value.value, &value.origin))
    }

    /// `ANSIBLE_VAULT_IDENTITY_LIST` or `vault_identity_list`: `ID@SOURCE`s; relative files stand beside the configuration.
    #[must_use]
    pub fn vault_identities(&self) -> Vec<String> {
        self.value("ANSIBLE_VAULT_IDENTITY_LIST", "defaults", "vault_identity_list")
            .map(|value| {
                value
                    .value
                    .split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    }

    /// `ANSIBLE_VAULT_ID_MATCH` or `vault_id_match`: whether only passwords of the right id are tried.
    #[must_use]
    pub fn vault_id_match(&self) -> bool {
        self.value("ANSIBLE_VAULT_ID_MATCH", "defaults", "vault_id_match")
            .is_some_and(|value| is_true(&value.value))
    }

    /// `ANSIBLE_PLAYBOOK_DIR` or `playbook_dir`.
    #[must_use]
    pub fn playbook_dir(&self) -> Option<PathBuf> {
        let value = self.value("ANSIBLE_PLAYBOOK_DIR", "defaults", "playbook_dir")?;
        Some(self.resolve(&value.value, &value.origin))
    }

    /// `ANSIBLE_HASH_BEHAVIOUR` or `hash_behaviour`: whether maps of one name are merged.
    #[must_use]
    pub fn merges_maps(&self) -> bool {
        self.value("ANSIBLE_HASH_BEHAVIOUR", "defaults", "hash_behaviour")
            .is_some_and(|value| value.value == "merge")
    }

    /// `ANSIBLE_INVENTORY_IGNORE` or `inventory_ignore_extensions`: endings of files of a folder that are no inventories.
    #[must_use]
    pub fn ignored_extensions(&self) -> Option<Vec<String>> {
        self.value("ANSIBLE_INVENTORY_IGNORE", "defaults", "inventory_ignore_extensions")
            .or_else(|| self.value("ANSIBLE_INVENTORY_IGNORE", "inventory", "ignore_extensions"))
            .map(|value| list(&value.value))
    }

    /// `ANSIBLE_INVENTORY_IGNORE_REGEX` or `inventory_ignore_patterns`.
    #[must_use]
    pub fn ignored_patterns(&self) -> Vec<String> {
        self.value("ANSIBLE_INVENTORY_IGNORE_REGEX", "defaults", "inventory_ignore_patterns")
            .or_else(|| self.value("ANSIBLE_INVENTORY_IGNORE_REGEX", "inventory", "ignore_patterns"))
            .map(|value| list(&value.value))
            .unwrap_or_default()
    }

    /// A path of the configuration: relative ones stand beside the file, or in the working directory if the environment says them.
    #[must_use]
    pub fn resolve(&self, text: &str, origin: &Origin) -> PathBuf {
        let path = expand_path(&text.replace("{{CWD}}", "."));
        match (origin, &self.path) {
            (Origin::File { .. }, Some(config)) if path.is_relative() && !text.contains("{{CWD}}") => {
                config.parent().map_or(path.clone(), |folder| folder.join(&path))
            }
            _ => path,
        }
    }
}

/// `#` and `;` begin a comment at the line's begin, `;` behind a space as well.
fn without_comment(line: &str) -> &str {
    let stripped = line.trim_start();
    if stripped.starts_with(['#', ';']) {
        return "";
    }
    let mut from = 0;
    while let Some(at) = line[from..].find(';') {
        let at = from + at;
        if line[..at].ends_with(char::is_whitespace) {
            return &line[..at];
        }
        from = at + 1;
    }
    line
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "1" | "true" | "t" | "y")
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| unquoted(item).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_pythons_parser_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ansible.cfg");
        std::fs::write(
            &path,
            "# c\n[defaults]\nInventory = hosts, more ; c\nforks: 7\nremote_user = \"a;b\"\nvault_identity_list = a@x,\n  b@y\n\n[inventory]\nignore_patterns = ^x\n",
        )
        .unwrap();
        let config = AnsibleConfig::read(&path).unwrap();
        assert_eq!(config.forks(), Some(7));
        assert_eq!(
            config.inventory(),
            [Source::Path(folder.path().join("hosts")), Source::Path(folder.path().join("more"))]
        );
        let user = config.remote_user().unwrap();
        assert_eq!(
            (user.value.as_str(), user.origin.to_string()),
            ("a;b", format!("{}:5", path.display()))
        );
        assert_eq!(config.vault_identities(), ["a@x", "b@y"]);
        assert_eq!(config.ignored_patterns(), ["^x"]);

        std::fs::write(&path, "[defaults]\nforks\n").unwrap();
        let error = AnsibleConfig::read(&path).unwrap_err();
        assert!(error.to_string().contains("line 2, column 1"), "{error}");
    }
}
