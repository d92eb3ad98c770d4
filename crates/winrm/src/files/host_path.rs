//! Paths as the host has them.

/// Which system's rules a host's paths follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPaths {
    Windows,
    Posix,
}

impl HostPaths {
    pub(super) fn is_windows(self) -> bool {
        self == Self::Windows
    }

    fn is_separator(self, character: char) -> bool {
        character == '/' || self.is_windows() && character == '\\'
    }

    /// Whether a path says by its end that it is a folder.
    pub(super) fn is_folder(self, path: &str) -> bool {
        path.ends_with(|c| self.is_separator(c)) || matches!(self.last(path), "." | "..")
    }

    /// A path without separators at its end; those that it consists of stay.
    pub(super) fn trimmed(self, path: &str) -> &str {
        let trimmed = path.trim_end_matches(|c| self.is_separator(c));
        let is_root = trimmed.is_empty() || self.is_windows() && trimmed.ends_with(':');
        if is_root { path } else { trimmed }
    }

    /// The last name of a path.
    pub(super) fn last(self, path: &str) -> &str {
        path.rsplit(|c| self.is_separator(c)).next().unwrap_or(path)
    }

    /// The folder that a full path is in.
    pub(super) fn parent(self, path: &str) -> Option<&str> {
        let at = path.rfind(|c| self.is_separator(c))?;
        // The root keeps its separator: "C:\" is another folder than "C:".
        let root = at == 0 || self.is_windows() && path[..at].ends_with(':');
        let parent = if root { &path[..=at] } else { &path[..at] };
        (parent.len() < path.len()).then_some(parent)
    }

    /// A path below a folder; `below` has `/` between its names.
    pub(super) fn join(self, folder: &str, below: &str) -> String {
        if below.is_empty() {
            return folder.to_owned();
        }
        let (separator, below) = match self {
            Self::Windows => ('\\', below.replace('/', "\\")),
            Self::Posix => ('/', below.to_owned()),
        };
        if folder.is_empty() || folder.ends_with(|c| self.is_separator(c)) {
            format!("{folder}{below}")
        } else {
            format!("{folder}{separator}{below}")
        }
    }

    /// A name as the host compares it.
    pub(super) fn key(self, name: &str) -> String {
        match self {
            Self::Windows => name.to_lowercase(),
            Self::Posix => name.to_owned(),
        }
    }

    /// Why the host can have no file of this name.
    pub(super) fn forbids(self, name: &str) -> Option<&'static str> {
        if name.is_empty() || name == "." || name == ".." {
            return Some("it is no name");
        }
        if name.contains(['/', '\0']) {
            return Some("a name can't hold a slash or a zero");
        }
        if !self.is_windows() {
            return None;
        }
        if name.contains(['<', '>', ':', '"', '\\', '|', '?', '*']) || name.contains(|c: char| c < ' ') {
            return Some("Windows takes no name with one of < > : \" / \\ | ? * or a control character");
        }
        if name.ends_with(['.', ' ']) {
            return Some("Windows takes no name that ends in a dot or a blank");
        }
        if name.encode_utf16().count() > 255 {
            return Some("Windows takes no name longer than 255 characters");
        }
        // [naming a file, "reserved names"]: with any extension, superscript digits included.
        let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_uppercase();
        let is_port = |port: &str| {
            stem.strip_prefix(port).is_some_and(|digit| {
                matches!(digit, "¹" | "²" | "³") || digit.len() == 1 && digit.chars().all(|c| ('1'..='9').contains(&c))
            })
        };
        if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") || is_port("COM") || is_port("LPT") {
            return Some("Windows keeps this name for a device");
        }
        None
    }

    /// Why a path that a person wrote can't be one of the host's.
    pub(super) fn refuses(self, path: &str) -> Option<&'static str> {
        if path.contains('\0') {
            return Some("a path can't hold a zero");
        }
        if !self.is_windows() {
            return None;
        }
        // A drive's colon is the second character, also behind \\?\ and \\.\; any other one begins an alternate stream.
        let rest = path.strip_prefix(r"\\?\").or_else(|| path.strip_prefix(r"\\.\")).unwrap_or(path);
        let mut characters = rest.char_indices();
        let drive = characters.next().is_some_and(|(_, c)| c.is_ascii_alphabetic());
        rest.match_indices(':')
            .any(|(at, _)| at != 1 || !drive)
            .then_some("alternate data streams are not copied")
    }
}

#[cfg(test)]
mod tests {
    use super::HostPaths::{Posix, Windows};

    #[test]
    fn paths_are_joined_and_taken_apart() {
        assert_eq!(Windows.join(r"C:\Temp", "a/b.txt"), r"C:\Temp\a\b.txt");
        assert_eq!(Windows.join(r"C:\", "a"), r"C:\a");
        assert_eq!(Windows.join(r"\\server\share", "ä ö"), r"\\server\share\ä ö");
        assert_eq!(Posix.join("/tmp", "a/b"), "/tmp/a/b");
        assert_eq!((Posix.join("/", "a"), Posix.join("/tmp", "")), ("/a".into(), "/tmp".into()));
        assert_eq!(
            (Windows.parent(r"C:\a\b"), Windows.parent(r"C:\a"), Windows.parent(r"C:\")),
            (Some(r"C:\a"), Some(r"C:\"), None)
        );
        assert_eq!(
            (Posix.parent("/a/b"), Posix.parent("/a"), Posix.parent("/")),
            (Some("/a"), Some("/"), None)
        );
        assert_eq!((Windows.last(r"C:\a/b"), Posix.last(r"/x/a\b")), ("b", r"a\b"));
        assert_eq!(
            (
                Windows.trimmed(r"C:\Temp\/"),
                Windows.trimmed(r"C:\"),
                Posix.trimmed("/"),
                Posix.trimmed("a//")
            ),
            (r"C:\Temp", r"C:\", "/", "a")
        );
        assert!(Windows.is_folder(r"C:\Temp\") && Windows.is_folder("~/") && Posix.is_folder("..") && !Posix.is_folder(r"a\"));
    }

    #[test]
    fn names_that_windows_forbids() {
        for bad in [
            "a:b", "a<b", "a?", "nul", "NUL.txt", "con .log", "com1", "Lpt9.x", "COM²", "a.", "a ", "a\tb", "CONIN$", "", ".", "..", "a/b",
            "a\\b",
        ] {
            assert!(Windows.forbids(bad).is_some(), "{bad:?}");
        }
        for good in [
            "a", "nulls", "com", "com0", "com10", ".git", "a b", "ü.txt", "a.b.c", "console", "aux1",
        ] {
            assert_eq!(Windows.forbids(good), None, "{good:?}");
        }
        assert!(Posix.forbids("a:b").is_none() && Posix.forbids("a/b").is_some() && Posix.forbids("..").is_some());
        assert!(Windows.forbids(&"x".repeat(256)).is_some());
    }

    #[test]
    fn streams_are_refused_and_drives_are_not() {
        for good in [r"C:\a", "C:a", r"\\?\C:\a", r"\\server\share\a", r"~\a", r"%TEMP%\a", "a/b"] {
            assert_eq!(Windows.refuses(good), None, "{good:?}");
        }
        for bad in ["ab:c", r"C:\a:b", r"\a:b", "1:x", r"\\?\C:\a:s", "a\0b"] {
            assert!(Windows.refuses(bad).is_some(), "{bad:?}");
        }
        assert_eq!(Posix.refuses("a:b"), None);
    }
}
