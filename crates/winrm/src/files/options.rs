//! What both directions can be told.

use std::sync::Arc;

use super::event::{CopyEvent, Listener};
use super::filter::Filter;

/// How to copy.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) make_folders: bool,
    pub(super) checksum: bool,
    pub(super) compress: bool,
    pub(super) delete: bool,
    pub(super) dry_run: bool,
    pub(super) preserve: bool,
    pub(super) backup: Option<String>,
    pub(super) streams: usize,
    pub(super) limit_rate: Option<u64>,
    pub(super) filter: Filter,
    pub(super) engine: String,
    pub(super) listener: Option<Listener>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            make_folders: false,
            checksum: false,
            compress: true,
            delete: false,
            dry_run: false,
            preserve: false,
            backup: None,
            streams: 1,
            limit_rate: None,
            filter: Filter::default(),
            engine: "powershell".to_owned(),
            listener: None,
        }
    }
}

impl Options {
    pub(super) fn tell(&self, event: CopyEvent) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    pub(super) fn listen(&mut self, listener: impl Fn(CopyEvent) + Send + Sync + 'static) {
        self.listener = Some(Arc::new(listener));
    }
}

/// The settings of a builder with a field `options`.
macro_rules! option_methods {
    () => {
        /// Makes the folders that the target needs. Without it, a missing folder is an error.
        pub fn make_folders(mut self, make: bool) -> Self {
            self.options.make_folders = make;
            self
        }

        /// Compares files of the same size by their SHA-256, and not by their time of change.
        pub fn checksum(mut self, checksum: bool) -> Self {
            self.options.checksum = checksum;
            self
        }

        /// Whether bytes that give in are compressed on their way. They are, where nothing is said.
        pub fn compress(mut self, compress: bool) -> Self {
            self.options.compress = compress;
            self
        }

        /// Removes from a target folder what its source folder doesn't have. What the filters leave out stays.
        pub fn delete(mut self, delete: bool) -> Self {
            self.options.delete = delete;
            self
        }

        /// Only tells what would be done.
        pub fn dry_run(mut self, dry_run: bool) -> Self {
            self.options.dry_run = dry_run;
            self
        }

        /// Takes over the times of access, the times of folders, and whether a file is read-only. The time of a file's change is
        /// always taken over: unchanged files are known by it.
        pub fn preserve(mut self, preserve: bool) -> Self {
            self.options.preserve = preserve;
            self
        }

        /// Keeps a file that is replaced, under its own name with this behind it.
        pub fn backup(mut self, suffix: impl Into<String>) -> Self {
            self.options.backup = Some(suffix.into());
            self
        }

        /// How many PowerShells copy at once, each its own files; one where nothing is said.
        pub fn streams(mut self, streams: usize) -> Self {
            self.options.streams = streams.clamp(1, 32);
            self
        }

        /// The most bytes in a second, over all streams.
        pub fn limit_rate(mut self, bytes_per_second: u64) -> Self {
            self.options.limit_rate = Some(bytes_per_second);
            self
        }

        /// Copies only those files of folders that one such pattern matches. `*` and `?` stay within a name, `**` does not; a
        /// pattern with a slash is for the path below the source, one without for a name at any depth.
        ///
        /// # Errors
        /// A bracket that is not closed.
        pub fn include(mut self, pattern: &str) -> Result<Self, super::InvalidPattern> {
            self.options.filter.include.push(super::filter::Pattern::new(pattern)?);
            Ok(self)
        }

        /// Leaves out the files and folders that the pattern matches; see [`include`](Self::include).
        ///
        /// # Errors
        /// A bracket that is not closed.
        pub fn exclude(mut self, pattern: &str) -> Result<Self, super::InvalidPattern> {
            self.options.filter.exclude.push(super::filter::Pattern::new(pattern)?);
            Ok(self)
        }

        /// The PowerShell on the host: `powershell` where nothing is said, `pwsh` or a path for another.
        pub fn engine(mut self, engine: impl Into<String>) -> Self {
            self.options.engine = engine.into();
            self
        }

        /// Is called with what happens, on the thread that copies: it should not take long.
        pub fn on_event(mut self, listener: impl Fn(super::CopyEvent) + Send + Sync + 'static) -> Self {
            self.options.listen(listener);
            self
        }
    };
}

pub(super) use option_methods;
