//! Sources into one inventory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::{InventoryError, Malformed};
use super::files::VariableFiles;
use super::graph::{Entry, Graph, Host, LOCALHOST, UNGROUPED};
use super::interner::Interner;
use super::program::{self, Run};
use super::reader::{self, Contents, Document};
use super::source::{Source, SourceFile};
use super::{Inventory, LoadOptions, address, ini, tree};
use crate::value::Value;
use crate::yaml::{self, Data, Node};

/// How deep folders of inventories may stand in each other; links can make loops.
const MAX_FOLDERS: usize = 16;

pub(super) fn load(sources: &[Source], options: &LoadOptions) -> Result<Inventory, InventoryError> {
    let mut loader = Loader::new(options)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for source in sources {
        match source {
            Source::Hosts(list) => loader.list(list),
            Source::Path(path) => {
                let is_folder = path.is_dir();
                if is_folder {
                    loader.folder(path, 0)?;
                } else {
                    loader.file(path)?;
                }
                folders.push(if is_folder { path.clone() } else { parent(path) });
            }
        }
    }
    loader.finish(folders)
}

/// An inventory that is in memory: its name decides what it is tried as.
pub(super) fn text(name: &Path, text: &str, options: &LoadOptions) -> Result<Inventory, InventoryError> {
    let mut loader = Loader::new(options)?;
    let contents = Contents {
        bytes: Zeroizing::new(text.as_bytes().to_vec()),
        encrypted: false,
    };
    loader.contents(name, &contents)?;
    loader.finish(Vec::new())
}

/// The folder of a file, as the path says it.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

struct Loader<'o> {
    options: &'o LoadOptions,
    ignore: Ignore,
    graph: Graph,
    interner: Interner,
    sources: Vec<SourceFile>,
    warnings: Vec<String>,
}

impl<'o> Loader<'o> {
    fn new(options: &'o LoadOptions) -> Result<Self, InventoryError> {
        Ok(Self {
            options,
            ignore: Ignore::new(options)?,
            graph: Graph::new(),
            interner: Interner::default(),
            sources: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// The inventory, with the folders that may hold files of variables.
    fn finish(mut self, folders: Vec<PathBuf>) -> Result<Inventory, InventoryError> {
        let options = self.options;
        self.graph.reconcile();
        for name in self.graph.groups.keys().filter(|name| self.graph.hosts.contains_key(&***name)) {
            self.warnings.push(format!("{name:?} is the name of a group and of a host"));
        }
        let own = self.sources.len();
        let implicit = LOCALHOST.map(|name| {
            let entry = Entry {
                name: "ansible_connection".into(),
                value: Value::String("local".into()),
                line: 0,
                source: u32::try_from(own).unwrap_or(u32::MAX),
            };
            Host {
                name: name.into(),
                groups: Vec::new(),
                variables: vec![Arc::new([entry])],
                source: u32::try_from(own).unwrap_or(u32::MAX),
                implicit: true,
            }
        });
        Ok(Inventory {
            graph: self.graph,
            sources: self.sources,
            files: VariableFiles::new(folders, options)?,
            implicit,
            warnings: self.warnings,
            merge_maps: options.merge_maps,
        })
    }

    fn source(&mut self, source: SourceFile) -> u32 {
        self.sources.push(source);
        u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX)
    }

    /// `web1,web2:5986,`: no ranges here.
    fn list(&mut self, list: &str) {
        let source = self.source(SourceFile::List);
        for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (name, port) = address::split_port(text)
                .filter(|(name, _)| !name.contains('['))
                .unwrap_or((text, None));
            let (host, new) = self.graph.host(name, source);
            if !new {
                continue;
            }
            self.graph.add_host(UNGROUPED, host);
            if let Some(port) = port.filter(|port| *port > 0) {
                let entry = Entry {
                    name: self.interner.text("ansible_port"),
                    value: Value::Int(i64::try_from(port).unwrap_or(i64::MAX)),
                    line: 0,
                    source,
                };
                let entries: Arc<[Entry]> = Arc::new([entry]);
                self.graph.say(host, &entries);
            }
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), InventoryError> {
        let unreadable = |source| InventoryError::Read {
            path: folder.to_owned(),
            source,
        };
        if depth > MAX_FOLDERS {
            return Err(InventoryError::Unsupported {
                path: folder.to_owned(),
                what: format!("folders of inventories stand in each other more than {MAX_FOLDERS} deep"),
            });
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        names.sort_unstable();
        for name in names {
            if self.ignore.ignores(&name.to_string_lossy()) {
                continue;
            }
            let path = folder.join(&name);
            if path.is_dir() {
                self.folder(&path, depth + 1)?;
            } else {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), InventoryError> {
        let shared: Arc<Path> = path.into();
        let is_executable = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if is_executable {
            match program::run(path, &["--list"], self.options.program_timeout)? {
                Run::Output(output) => {
                    let source = self.source(SourceFile::Program(shared.clone()));
                    let mut document = Document {
                        path: shared,
                        source,
                        encrypted: true,
                        interner: &mut self.interner,
                        warnings: &mut self.warnings,
                    };
                    return program::read(&mut document, &output, &mut self.graph, self.options.program_timeout);
                }
                // A plain file with a mode that is too wide.
                Run::NoProgram => {}
            }
        }
        let contents = reader::contents(path, &self.options.vault)?;
        self.contents(path, &contents)
    }

    /// A file that isn't a program.
    fn contents(&mut self, path: &Path, contents: &Contents) -> Result<(), InventoryError> {
        let shared: Arc<Path> = path.into();
        let source = self.source(SourceFile::File(shared.clone()));
        let mut document = Document {
            path: shared.clone(),
            source,
            encrypted: contents.encrypted,
            interner: &mut self.interner,
            warnings: &mut self.warnings,
        };
        let extension = extension(path);
        if extension == ".toml" {
            return Err(InventoryError::Unsupported {
                path: path.to_owned(),
                what: "inventories in TOML are not read".to_owned(),
            });
        }
        let mut yaml_failure = None;
        if matches!(extension.as_str(), "" | ".yml" | ".yaml" | ".json") {
            match as_yaml(&mut document, &contents.bytes) {
                Ok(Some((text, root))) => {
                    refuse_plugins(path, &root)?;
                    return Ok(tree::read(&mut document, text, root, &mut self.graph)?);
                }
                Ok(None) => {}
                Err(failure) => yaml_failure = Some(failure),
            }
        }
        let text = reader::ini_text(&shared, &contents.bytes)?;
        let Some(yaml_failure) = yaml_failure else {
            return Ok(ini::read(&mut document, &text, &mut self.graph)?);
        };
        // It is no YAML. Ansible tries INI then, and so do we; if that fails as well, what the file was meant to be decides what is said.
        match ini::read(&mut document, &text, &mut self.graph) {
            Err(_) if !extension.is_empty() || looks_like_yaml(&text) => Err(yaml_failure.into()),
            outcome => Ok(outcome?),
        }
    }
}

/// The file's one document, if it is a map, or something that INI can't be.
fn as_yaml<'b>(document: &mut Document<'_>, bytes: &'b [u8]) -> Result<Option<(&'b str, Node)>, Malformed> {
    let text = reader::text(&document.path, bytes)?;
    let root = yaml::parse(text, document.interner).map_err(|error| reader::yaml_error(&document.path, text, document.encrypted, error))?;
    Ok(match &root.data {
        Data::Mapping(pairs) if !pairs.is_empty() => Some((text, root)),
        Data::Sequence(_) if text.trim_start().starts_with(['-', '[']) && !looks_like_ini(text) => Some((text, root)),
        _ => None,
    })
}

/// Whether the first line that says something is a section.
fn looks_like_ini(text: &str) -> bool {
    significant(text).is_some_and(|line| line.starts_with('[') && line.ends_with(']') && !line.contains(','))
}

fn looks_like_yaml(text: &str) -> bool {
    significant(text).is_some_and(|line| {
        line.starts_with("---") || line.starts_with("- ") || line.starts_with('{') || line.ends_with(':') || line.contains(": ")
    })
}

fn significant(text: &str) -> Option<&str> {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Files that tell Ansible's plugins what to ask for.
fn refuse_plugins(path: &Path, root: &Node) -> Result<(), InventoryError> {
    let Data::Mapping(pairs) = &root.data else { return Ok(()) };
    match pairs.iter().find(|pair| &*pair.key == "plugin").map(|pair| &pair.value.data) {
        Some(Data::Scalar(Value::String(name))) if !name.is_empty() => Err(InventoryError::Unsupported {
            path: path.to_owned(),
            what: format!("this is for Ansible's inventory plugin {name:?}, which is a Python program"),
        }),
        _ => Ok(()),
    }
}

/// From the last dot on, as Python's `splitext` cuts it.
pub(super) fn extension(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem_at = name.len() - name.trim_start_matches('.').len();
    name[stem_at..]
        .rfind('.')
        .map_or(String::new(), |at| name[stem_at + at..].to_owned())
}

/// What of a folder is no inventory.
struct Ignore {
    extensions: Vec<String>,
    patterns: Vec<fancy_regex::Regex>,
}

impl Ignore {
    fn new(options: &LoadOptions) -> Result<Self, InventoryError> {
        let patterns = options
            .ignore_patterns
            .iter()
            .map(|pattern| {
                fancy_regex::Regex::new(pattern).map_err(|error| InventoryError::Unsupported {
                    path: PathBuf::from("ansible.cfg"),
                    what: format!("inventory_ignore_patterns: {pattern:?} is no regular expression: {error}"),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            extensions: options.ignore_extensions.clone(),
            patterns,
        })
    }

    fn ignores(&self, name: &str) -> bool {
        name.starts_with('.')
            || matches!(name, "host_vars" | "group_vars" | "vars_plugins")
            || self.extensions.iter().any(|extension| name.ends_with(extension))
            || self.patterns.iter().any(|pattern| pattern.is_match(name).unwrap_or(false))
    }
}
