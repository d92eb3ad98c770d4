//! `krb5.conf`, as far as it says where things are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the configuration files say, in the order in which they count.
#[derive(Debug, Default)]
pub(super) struct Krb5Conf {
    /// The files that were read, included ones too.
    pub(super) files: Vec<PathBuf>,
    /// Files that are named and can't be read, with the reason.
    pub(super) unread: Vec<(PathBuf, String)>,
    relations: Vec<Relation>,
    /// The realms that have a block, an empty one perhaps.
    realms: Vec<String>,
}

/// `section / subsection / … / name = value`.
#[derive(Debug)]
struct Relation {
    path: Vec<String>,
    value: String,
}

/// Files that include each other end here.
const DEEPEST: usize = 8;

/// Where MIT looks when `KRB5_CONFIG` says nothing.
const USUAL: &str = "/etc/krb5.conf";

impl Krb5Conf {
    /// Reads the files of this machine. `variable`: `KRB5_CONFIG`, which may name several with colons.
    pub(super) fn read(variable: Option<OsString>) -> Self {
        let mut conf = Self::default();
        let files = variable.unwrap_or_else(|| USUAL.into());
        for file in std::env::split_paths(&files).filter(|file| !file.as_os_str().is_empty()) {
            conf.add(&file, 0);
        }
        conf
    }

    fn add(&mut self, file: &Path, depth: usize) {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                self.files.push(file.to_owned());
                self.parse(&text, depth);
            }
            Err(error) => self.unread.push((file.to_owned(), error.to_string())),
        }
    }

    fn parse(&mut self, text: &str, depth: usize) {
        let mut path: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some((directive, name)) = line.split_once(char::is_whitespace)
                && depth < DEEPEST
            {
                match directive {
                    "include" => {
                        self.add(Path::new(name.trim()), depth + 1);
                        continue;
                    }
                    "includedir" => {
                        self.add_folder(Path::new(name.trim()), depth + 1);
                        continue;
                    }
                    _ => {}
                }
            }
            if let Some(section) = line.strip_prefix('[') {
                path = vec![section.split(']').next().unwrap_or_default().trim().to_owned()];
            } else if line.starts_with('}') {
                if path.len() > 1 {
                    path.pop();
                }
            } else if let Some((name, value)) = line.split_once('=') {
                let (name, value) = (name.trim().trim_end_matches('*'), value.trim());
                if value == "{" {
                    if path == ["realms"] {
                        self.realms.push(name.to_owned());
                    }
                    path.push(name.to_owned());
                } else {
                    let value = value.trim_matches('"').to_owned();
                    let path = path.iter().cloned().chain([name.to_owned()]).collect();
                    self.relations.push(Relation { path, value });
                }
            }
        }
    }

    /// Files whose names are made of letters, digits, dashes and underscores, or end in `.conf`, as MIT has it.
    fn add_folder(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let usable = |name: &str| {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            !name.starts_with('.') && (plain || name.ends_with(".conf"))
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(usable))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        for file in files {
            self.add(&file, depth);
        }
    }

    fn all<'a>(&'a self, path: &[&str]) -> impl Iterator<Item = &'a str> + use<'a> {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        self.relations
            .iter()
            .filter(move |relation| relation.path == path)
            .map(|relation| relation.value.as_str())
    }

    /// A setting of `[libdefaults]`: the first that was said counts.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.all(&["libdefaults", name]).next()
    }

    /// A switch of `[libdefaults]`.
    pub(super) fn switch(&self, name: &str, otherwise: bool) -> bool {
        match self.said(name).map(str::to_ascii_lowercase).as_deref() {
            Some("yes" | "true" | "t" | "y" | "1" | "on") => true,
            Some("no" | "false" | "f" | "n" | "0" | "off" | "nil") => false,
            _ => otherwise,
        }
    }

    /// The KDCs of a realm as they are written: `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`, `https://…`.
    pub(super) fn kdcs(&self, realm: &str) -> Vec<String> {
        self.all(&["realms", realm, "kdc"])
            .flat_map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Whether `[realms]` knows the realm.
    pub(super) fn knows(&self, realm: &str) -> bool {
        self.realms.iter().any(|known| known == realm)
    }

    /// The realm of a host by `[domain_realm]`, and the line that says so: the host itself, then its domains from the longest.
    pub(super) fn realm_of(&self, host: &str) -> Option<(String, &str)> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = host.as_str();
        let mut keys = vec![host.clone()];
        while let Some((_, parent)) = rest.split_once('.') {
            keys.push(format!(".{parent}"));
            keys.push(parent.to_owned());
            rest = parent;
        }
        keys.into_iter().find_map(|key| {
            let realm = self.all(&["domain_realm", &key]).next()?;
            Some((key, realm))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Krb5Conf {
        let mut conf = Krb5Conf::default();
        conf.parse(text, 0);
        conf
    }

    #[test]
    fn what_it_says_is_found() {
        let conf = conf(
            "# a comment\n\
             [libdefaults]\n default_realm = CORP.EXAMPLE\n rdns = no\n default_realm = LATER\n\
             [realms]\n CORP.EXAMPLE = {\n  kdc = dc1.corp.example\n  kdc = dc2.corp.example:88\n  v4 = {\n   x = y\n  }\n  admin_server = a\n }\n OTHER = {\n }\n\
             [domain_realm]\n .corp.example = CORP.EXAMPLE\n web9.corp.example = OTHER\n example = TOP\n",
        );
        assert_eq!(conf.said("default_realm"), Some("CORP.EXAMPLE"));
        assert!(!conf.switch("rdns", true));
        assert!(conf.switch("dns_lookup_kdc", true));
        assert_eq!(conf.kdcs("CORP.EXAMPLE"), ["dc1.corp.example", "dc2.corp.example:88"]);
        assert!(conf.knows("CORP.EXAMPLE") && !conf.knows("corp.example"));
        let realm = |host| conf.realm_of(host).map(|(_, realm)| realm);
        assert_eq!(realm("web1.CORP.example"), Some("CORP.EXAMPLE"));
        assert_eq!(realm("web9.corp.example."), Some("OTHER"));
        assert_eq!(realm("corp.example"), Some("TOP"));
        assert_eq!(realm("web"), None);
    }

    #[test]
    fn files_include_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("d")).unwrap();
        std::fs::write(path("d/one"), "[libdefaults]\ndefault_realm = ONE\n").unwrap();
        std::fs::write(path("d/no~"), "[libdefaults]\ndefault_realm = NO\n").unwrap();
        let text = format!("includedir {}\ninclude {}\n", path("d").display(), path("self").display());
        std::fs::write(path("self"), text).unwrap();
        let conf = Krb5Conf::read(Some(path("self").into()));
        assert_eq!(conf.said("default_realm"), Some("ONE"));
        assert!(conf.unread.is_empty(), "{conf:?}");
        let conf = Krb5Conf::read(Some(path("missing").into()));
        assert_eq!((conf.files.len(), conf.unread.len()), (0, 1));
    }
}
