//! `group_vars` and `host_vars`.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{InventoryError, Malformed};
use super::interner::Interner;
use super::load::extension;
use super::{LoadOptions, Merge, reader};
use crate::value::{Origin, Value};
use crate::vault::Vault;
use crate::yaml::{self, Data};

/// Endings of files that hold variables; none is fine as well, and comes first.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];
/// How deep folders of variables may stand in each other; links can make loops.
const MAX_FOLDERS: usize = 16;

/// The folders, and what was read of them so far.
pub(super) struct VariableFiles {
    /// Those beside the inventory, then those of the playbook.
    folders: Vec<Folder>,
    beside: usize,
    implied: bool,
    vault: Vault,
    /// What is said of groups, by folder and name: many hosts need the same. Hosts' files are read for their host only.
    groups: Mutex<HashMap<(usize, Arc<str>), Said>>,
}

/// Beside what folders of variables stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beside {
    Inventory,
    Playbook,
    /// The playbook, if somebody said where it is.
    NamedPlaybook,
}

type Said = Arc<[FileVariables]>;

struct Folder {
    groups: Listing,
    hosts: Listing,
}

/// What a folder holds: asking for each of 100,000 hosts would take a while.
struct Listing {
    path: PathBuf,
    names: HashSet<OsString>,
}

/// The variables of one file.
struct FileVariables {
    path: Arc<Path>,
    variables: Vec<(Arc<str>, Value, u32)>,
}

impl std::fmt::Debug for VariableFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VariableFiles")
            .field("folders", &self.folders.len())
            .finish_non_exhaustive()
    }
}

impl VariableFiles {
    pub(super) fn new(mut folders: Vec<PathBuf>, options: &LoadOptions) -> Result<Self, InventoryError> {
        let beside = folders.len();
        folders.extend(options.playbook_dir.clone());
        let folders = folders
            .into_iter()
            .map(|folder| {
                Ok(Folder {
                    groups: Listing::new(folder.join("group_vars"))?,
                    hosts: Listing::new(folder.join("host_vars"))?,
                })
            })
            .collect::<Result<_, InventoryError>>()?;
        Ok(Self {
            folders,
            beside,
            implied: options.implied_playbook_dir,
            vault: options.vault.clone(),
            groups: Mutex::default(),
        })
    }

    /// Adds what the folders say of the groups: folder by folder, which is Ansible's order, and counts more than the order of groups.
    pub(super) fn groups(&self, beside: Beside, names: &[&Arc<str>], merged: &mut Merge) -> Result<(), InventoryError> {
        for at in self.range(beside) {
            let listing = &self.folders[at].groups;
            if listing.names.is_empty() {
                continue;
            }
            for name in names {
                self.group(at, listing, name)?.iter().for_each(|file| file.say(merged));
            }
        }
        Ok(())
    }

    /// Adds what the folders say of the host.
    pub(super) fn host(&self, beside: Beside, name: &str, merged: &mut Merge) -> Result<(), InventoryError> {
        for at in self.range(beside) {
            for path in self.folders[at].hosts.find(name)? {
                self.read(&path)?.iter().for_each(|file| file.say(merged));
            }
        }
        Ok(())
    }

    fn range(&self, beside: Beside) -> std::ops::Range<usize> {
        match beside {
            Beside::Inventory => 0..self.beside,
            Beside::NamedPlaybook if self.implied => 0..0,
            Beside::Playbook | Beside::NamedPlaybook => self.beside..self.folders.len(),
        }
    }

    fn group(&self, at: usize, listing: &Listing, name: &Arc<str>) -> Result<Said, InventoryError> {
        let key = (at, name.clone());
        if let Some(known) = self.groups.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let files = listing.find(name)?;
        let said: Said = files
            .iter()
            .map(|path| self.read(path))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(key, said.clone());
        Ok(said)
    }

    /// The variables of a file; nothing if it is empty.
    fn read(&self, path: &Path) -> Result<Option<FileVariables>, InventoryError> {
        let contents = reader::contents(path, &self.vault)?;
        let path: Arc<Path> = path.into();
        let text = reader::text(&path, &contents.bytes)?;
        let mut interner = Interner::default();
        let root = yaml::parse(text, &mut interner).map_err(|error| reader::yaml_error(&path, text, contents.encrypted, error))?;
        let (line, column, kind) = (root.line, root.column, root.kind());
        match root.data {
            Data::Mapping(pairs) => Ok(Some(FileVariables {
                path,
                variables: pairs
                    .into_iter()
                    .map(|pair| (pair.key, pair.value.into_value(), pair.line))
                    .collect(),
            })),
            // Python takes all of these for nothing.
            Data::Scalar(Value::Null | Value::Bool(false) | Value::Int(0)) => Ok(None),
            Data::Scalar(Value::String(text)) if text.is_empty() => Ok(None),
            Data::Sequence(items) if items.is_empty() => Ok(None),
            _ => Err(Malformed {
                text: text
                    .lines()
                    .nth(line.saturating_sub(1) as usize)
                    .filter(|_| !contents.encrypted)
                    .map(str::to_owned),
                path,
                line,
                column,
                what: format!("a file of variables is a map, and this is {kind}"),
                hint: Some("variables stand as NAME: VALUE, each on its line".to_owned()),
            }
            .into()),
        }
    }
}

impl FileVariables {
    fn say(&self, merged: &mut Merge) {
        for (name, value, line) in &self.variables {
            let origin = Origin::File {
                path: self.path.clone(),
                line: *line,
            };
            merged.say(name, value, origin);
        }
    }
}

impl Listing {
    fn new(path: PathBuf) -> Result<Self, InventoryError> {
        let names = if path.is_dir() {
            sorted_names(&path)?.into_iter().collect()
        } else {
            HashSet::new()
        };
        Ok(Self { path, names })
    }

    /// The files that speak of a host or group, in the order in which they count.
    fn find(&self, name: &str) -> Result<Vec<PathBuf>, InventoryError> {
        let mut found = Vec::new();
        // Hosts that are paths (chroots) have no variables here.
        if self.names.is_empty() || name.is_empty() || name.starts_with('/') {
            return Ok(found);
        }
        for extension in EXTENSIONS {
            let file = format!("{name}{extension}");
            let path = self.path.join(&file);
            let exists = if file.contains('/') {
                // A name must not lead out of the folder.
                !file.split('/').any(|part| part == "..") && path.exists()
            } else {
                self.names.contains(OsStr::new(&file)) && !matches!(file.as_str(), "." | "..")
            };
            if exists {
                if path.is_dir() {
                    collect(&path, 0, &mut found)?;
                } else {
                    found.push(path);
                }
                break;
            }
        }
        Ok(found)
    }
}

/// The files of a folder and the folders in it, sorted, without hidden ones, backups, and endings of other kinds.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), InventoryError> {
    if depth > MAX_FOLDERS {
        return Err(InventoryError::Unsupported {
            path: folder.to_owned(),
            what: format!("folders of variables stand in each other more than {MAX_FOLDERS} deep"),
        });
    }
    for name in sorted_names(folder)? {
        let text = name.to_string_lossy();
        if text.starts_with('.') || text.ends_with('~') {
            continue;
        }
        let path = folder.join(&name);
        let extension = extension(&path);
        if path.is_dir() {
            if extension.is_empty() {
                collect(&path, depth + 1, found)?;
            }
        } else if EXTENSIONS.contains(&extension.as_str()) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn sorted_names(folder: &Path) -> Result<Vec<OsString>, InventoryError> {
    let unreadable = |source| InventoryError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut names = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(unreadable)?;
    names.sort_unstable();
    Ok(names)
}
