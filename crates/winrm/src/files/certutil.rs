//! Small files where the host has no PowerShell that copies could use: by `certutil`, through `cmd`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use winrm_proto::copy::FailureCode;

use super::cmd_line::{self, CmdPath, Kind};
use super::download::Target;
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::host::refuse;
use super::local::blocking;
use super::options::Options;
use super::rate::Limiter;
use super::store::{Arriving, Order, Store, Stored};
use super::tree::{self, Tree};
use super::upload::Sources;
use super::{hash, local, time};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::shell::Shell;
use crate::stdio::Stdio;

/// The largest file that goes this way, in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The most that is taken of what a command prints: a file of the limit as base64 lines, and words.
const PRINTED: usize = 6 * 1024 * 1024;

/// How much of standard input is sent before the rate is looked at again.
const PIECE: usize = 64 * 1024;

/// Whether this error may mean a host on which `certutil` is worth a try. Whoever names an engine wants that one.
pub(super) fn may_help(error: &Error, options: &Options) -> bool {
    error.kind() == ErrorKind::NoPowerShell && options.engine == Options::default().engine
}

/// Copies to the host; `refused` is why no agent could be started there.
pub(super) async fn upload(
    client: &Client,
    options: Arc<Options>,
    sources: Sources,
    target: &str,
    refused: Error,
) -> Result<CopySummary, Error> {
    let mut detour = Detour::open(client, options, refused).await?;
    let outcome = match sources {
        Sources::Paths(paths) => detour.put(&paths, target).await,
        Sources::Reader(reader) => {
            let mut bytes = Vec::new();
            match reader.take(LIMIT + 1).read_to_end(&mut bytes).await {
                Ok(_) => detour.put_stream(bytes, target).await,
                Err(error) => Err(Error::new(ErrorKind::Input, "standard input can't be read").with_source(error)),
            }
        }
    };
    detour.close(outcome).await
}

/// Copies from the host.
pub(super) async fn download(
    client: &Client,
    options: Arc<Options>,
    sources: &[String],
    target: Target,
    refused: Error,
) -> Result<CopySummary, Error> {
    let mut detour = Detour::open(client, options, refused).await?;
    let outcome = detour.get(sources, target).await;
    detour.close(outcome).await
}

/// One copy without PowerShell.
struct Detour {
    shell: Shell,
    options: Arc<Options>,
    limiter: Limiter,
    summary: CopySummary,
    next: u32,
}

/// What a command has printed, and how it ended.
struct Said {
    code: Option<u32>,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// What keeps a file, or everything, from being copied.
enum Trouble {
    File(FileError),
    Whole(Error),
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Whole(error)
    }
}

impl Said {
    fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// The sentence for a command that has failed.
    fn failure(&self, what: &str) -> FileError {
        let said = if self.err.trim_ascii().is_empty() { &self.out } else { &self.err };
        let said = String::from_utf8_lossy(said);
        let words: Vec<&str> = said.split_whitespace().collect();
        let words: String = words.join(" ").chars().filter(|c| !c.is_control()).take(400).collect();
        let words = if words.is_empty() {
            self.code
                .map_or_else(|| "it says nothing".to_owned(), |code| format!("exit code {code}"))
        } else {
            words
        };
        FileError::new(FailureCode::Other, format!("the host {what}: {words}"))
    }
}

fn too_large(size: u64) -> FileError {
    let size = if size > LIMIT { format!("{size} bytes") } else { "that".to_owned() };
    FileError::new(
        FailureCode::Other,
        format!("{size} is too much: without PowerShell a file has 4 MiB ({LIMIT} bytes) at the most"),
    )
    .with_hint("have PowerShell allowed for this account, or let the host fetch the file itself (curl.exe, a share)")
}

fn folder_refused() -> FileError {
    FileError::new(FailureCode::IsFolder, "without PowerShell on the host, folders can't be copied").with_hint("copy its files by name")
}

fn confused() -> FileError {
    FileError::new(FailureCode::Other, "what the host's cmd answers can't be understood")
}

impl Detour {
    /// Opens a shell; gives `refused` back where it is no `cmd` that reads lines.
    async fn open(client: &Client, options: Arc<Options>, refused: Error) -> Result<Self, Error> {
        let detour = Self {
            shell: client.shell().open().await?,
            limiter: Limiter::new(options.limit_rate),
            options,
            summary: CopySummary::default(),
            next: 0,
        };
        match detour.run(cmd_line::IS_WINDOWS, None).await {
            Ok(said) if cmd_line::is_windows(&said.out) => {}
            _ => {
                let _ = detour.shell.close().await;
                return Err(refused);
            }
        }
        let note = format!("{refused}: files of up to 4 MiB go by certutil instead, without their times");
        detour.options.tell(CopyEvent::Fallback(note));
        Ok(detour)
    }

    async fn close(self, outcome: Result<(), Error>) -> Result<CopySummary, Error> {
        // What was copied is copied, whatever becomes of the shell.
        let _ = self.shell.close().await;
        outcome.map(|()| self.summary)
    }

    /// Runs a line of `cmd`, with standard input if it gets any.
    async fn run(&self, line: &str, input: Option<&[u8]>) -> Result<Said, Error> {
        tracing::debug!(line, "without PowerShell");
        let mut command = self.shell.command(line);
        if input.is_some() {
            command.stdin(Stdio::piped()).console_mode_stdin(false);
        }
        let mut child = command.spawn().await?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                for piece in input.chunks(PIECE) {
                    self.limiter.pass(piece.len()).await;
                    // A program that has ended early says why.
                    if stdin.write_all(piece).await.is_err() {
                        return Ok(());
                    }
                }
                let _ = stdin.shutdown().await;
            }
            Ok(())
        };
        let out = async {
            let mut kept = Vec::new();
            if let Some(mut stdout) = stdout {
                while let Ok(Some(piece)) = stdout.chunk().await {
                    if kept.len() + piece.len() > PRINTED {
                        return Err(Error::new(ErrorKind::Protocol, "the host prints more than the file can have")
                            .with_hint("the file grew meanwhile, or the host is not to be trusted"));
                    }
                    kept.extend_from_slice(&piece);
                }
            }
            Ok(kept)
        };
        let err = async {
            let mut kept = Vec::new();
            if let Some(mut stderr) = stderr {
                while let Ok(Some(piece)) = stderr.chunk().await {
                    let room = 16_384_usize.saturating_sub(kept.len());
                    kept.extend_from_slice(&piece[..piece.len().min(room)]);
                }
            }
            Ok(kept)
        };
        let ((), out, err) = tokio::try_join!(feed, out, err)?;
        let code = child.wait().await?.code();
        Ok(Said { code, out, err })
    }

    fn started(&mut self, target: &str, size: u64) -> u32 {
        let index = self.next;
        self.next += 1;
        self.options.tell(CopyEvent::Started {
            index,
            name: target.to_owned(),
            size: Some(size),
            offset: 0,
        });
        index
    }

    fn finished(&mut self, index: Option<u32>, report: FileReport) {
        self.summary.count(&report);
        self.options.tell(CopyEvent::Finished { index, report });
    }

    fn failed(&mut self, source: &str, target: &str, error: FileError) {
        self.finished(None, FileReport::new(source, target, 0, FileOutcome::Failed(error)));
    }

    async fn kind(&self, path: &CmdPath) -> Result<Kind, Trouble> {
        let said = self.run(&cmd_line::kind(path), None).await?;
        Ok(cmd_line::kind_of(&said.out).ok_or_else(confused)?)
    }

    /// A file's hash; `certutil` can't take that of an empty one.
    async fn hash(&self, path: &CmdPath) -> Result<[u8; 32], Trouble> {
        let said = self.run(&cmd_line::hash(path), None).await?;
        match cmd_line::hash_of(&said.out) {
            Some(hash) if said.succeeded() => Ok(hash),
            _ if self.size(path).await? == 0 => Ok(openssl::sha::sha256(b"")),
            _ => Err(said.failure("can't take the file's SHA-256 (certutil)").into()),
        }
    }

    async fn size(&self, path: &CmdPath) -> Result<u64, Trouble> {
        let said = self.run(&cmd_line::size(path), None).await?;
        Ok(cmd_line::size_of(&said.out).ok_or_else(|| said.failure("tells no size of it"))?)
    }

    async fn put(&mut self, sources: &[std::path::PathBuf], target: &str) -> Result<(), Error> {
        let mut files = Vec::new();
        for source in sources {
            let path = source.clone();
            match blocking(move || local::expand(&path)).await {
                Ok(found) => files.extend(found),
                Err(error) => self.failed(&source.display().to_string(), target, FileError::local(&error)),
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let several = files.len() > 1 || sources.len() > 1;
        let (place, into) = self.place(target, several).await?;
        let sizes = files
            .iter()
            .filter_map(|file| std::fs::metadata(file).ok())
            .map(|metadata| metadata.len());
        self.options.tell(CopyEvent::Planned {
            files: files.len() as u64,
            bytes: sizes.sum(),
        });
        for file in files {
            let shown = file.display().to_string();
            let outcome = async {
                let goes = match file.file_name().and_then(|name| name.to_str()) {
                    Some(name) if into => place.join(name)?,
                    None if into => return Err(FileError::new(FailureCode::Other, "its name is not UTF-8").into()),
                    _ => place.clone(),
                };
                let bytes = blocking(move || read(&file)).await.map_err(|error| FileError::local(&error))?;
                self.put_file(&shown, bytes?, &goes).await
            };
            match outcome.await {
                Ok(()) => {}
                Err(Trouble::File(error)) => self.failed(&shown, place.as_str(), error),
                Err(Trouble::Whole(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn put_stream(&mut self, bytes: Vec<u8>, target: &str) -> Result<(), Error> {
        let (place, into) = self.place(target, false).await?;
        let outcome = if into {
            Err(FileError::of_host(FailureCode::IsFolder, "").into())
        } else if bytes.len() as u64 > LIMIT {
            Err(too_large(0).into())
        } else {
            self.put_file("-", bytes, &place).await
        };
        match outcome {
            Err(Trouble::File(error)) => self.failed("-", target, error),
            Err(Trouble::Whole(error)) => return Err(error),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Where sources go, and whether that is a folder.
    async fn place(&mut self, target: &str, several: bool) -> Result<(CmdPath, bool), Error> {
        let whole = |error: FileError| {
            let refused = refuse(format!("{target}: {error}"));
            match error.hint() {
                Some(hint) => refused.with_hint(hint),
                None => refused,
            }
        };
        let place = CmdPath::new(target).map_err(whole)?;
        let as_folder = several || target.is_empty() || super::host_path::HostPaths::Windows.is_folder(target);
        let kind = self.kind(&place).await.map_err(|trouble| match trouble {
            Trouble::File(error) => whole(error),
            Trouble::Whole(error) => error,
        })?;
        match kind {
            Kind::File if as_folder => Err(refuse(format!("{target} is a file on the host, and a folder is meant"))),
            Kind::Absent if as_folder && !self.options.make_folders => {
                Err(refuse(format!("the host has no folder {target}")).with_hint("--mkdir makes it"))
            }
            kind => Ok((place, as_folder || kind == Kind::Folder)),
        }
    }

    async fn put_file(&mut self, source: &str, bytes: Vec<u8>, target: &CmdPath) -> Result<(), Trouble> {
        if let Some(reason) = super::host_path::HostPaths::Windows.forbids(target.name()) {
            return Err(FileError::new(FailureCode::Other, format!("the host can't have this name: {reason}")).into());
        }
        let mut report = FileReport::new(source, target.as_str(), bytes.len() as u64, FileOutcome::Copied);
        let sha256 = openssl::sha::sha256(&bytes);
        let there = self.kind(target).await?;
        if there == Kind::Folder {
            return Err(FileError::of_host(FailureCode::IsFolder, "").into());
        }
        if there == Kind::File && self.hash(target).await? == sha256 {
            (report.outcome, report.sha256) = (FileOutcome::Unchanged, Some(sha256));
            self.finished(None, report);
            return Ok(());
        }
        if self.options.dry_run {
            self.finished(None, report);
            return Ok(());
        }
        let part = target.with(super::PART)?;
        let text = target.with(&format!("{}.b64", super::PART))?;
        let index = self.started(target.as_str(), report.size);
        let written = self.write(&bytes, sha256, there, target, &part, &text).await;
        let removal = if written.is_ok() {
            cmd_line::remove(&[&text])
        } else {
            cmd_line::remove(&[&text, &part])
        };
        // Where the connection is lost, nothing can be removed; where it is not, the first trouble says more.
        let _ = self.run(&removal, None).await;
        match written {
            Ok(()) => {
                report.sha256 = Some(sha256);
                self.options.tell(CopyEvent::Advanced { index, bytes: report.size });
            }
            Err(Trouble::File(error)) => report.outcome = FileOutcome::Failed(error),
            Err(whole) => return Err(whole),
        }
        self.finished(Some(index), report);
        Ok(())
    }

    /// Writes the part, compares it, and puts it in the target's place.
    async fn write(
        &self,
        bytes: &[u8],
        sha256: [u8; 32],
        there: Kind,
        target: &CmdPath,
        part: &CmdPath,
        text: &CmdPath,
    ) -> Result<(), Trouble> {
        if self.options.make_folders
            && let Some(parent) = target.parent()
        {
            let said = self.run(&cmd_line::make_folder(&parent), None).await?;
            if !said.succeeded() {
                return Err(said.failure("can't make the folder").into());
            }
        }
        if bytes.is_empty() {
            let said = self.run(&cmd_line::make_empty(part), None).await?;
            if !said.succeeded() {
                return Err(said.failure("can't write the part").into());
            }
        } else {
            let said = self.run(&cmd_line::take_text(text), Some(&cmd_line::text(bytes))).await?;
            if !said.succeeded() {
                return Err(said.failure("can't write the part").into());
            }
            let said = self.run(&cmd_line::decode(text, part), None).await?;
            if !said.succeeded() {
                return Err(said.failure("can't decode the part (certutil)").into());
            }
        }
        if self.kind(part).await? != Kind::File {
            return Err(FileError::of_host(FailureCode::PartGone, "").into());
        }
        if self.hash(part).await? != sha256 {
            return Err(FileError::of_host(FailureCode::Damaged, "").into());
        }
        if let Some(suffix) = &self.options.backup
            && there == Kind::File
        {
            let said = self.run(&cmd_line::replace(target, &target.with(suffix)?), None).await?;
            if !said.succeeded() {
                return Err(said.failure("can't keep the old file").into());
            }
        }
        let said = self.run(&cmd_line::replace(part, target), None).await?;
        if said.succeeded() {
            Ok(())
        } else {
            Err(said.failure("can't put the part in the file's place").into())
        }
    }

    async fn get(&mut self, sources: &[String], target: Target) -> Result<(), Error> {
        let several = sources.len() > 1;
        let mut target = target;
        for source in sources {
            let outcome = match &mut target {
                Target::Path(path) => self.get_file(source, path, several).await,
                Target::Writer(writer) => self.get_to_writer(source, writer).await,
            };
            match outcome {
                Ok(()) => {}
                Err(Trouble::File(error)) => self.failed(source, "", error),
                Err(Trouble::Whole(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The hash of a file that can be fetched, and its size.
    async fn look(&self, path: &CmdPath) -> Result<([u8; 32], u64), Trouble> {
        match self.kind(path).await? {
            Kind::Absent => return Err(FileError::of_host(FailureCode::NotFound, path.as_str()).into()),
            Kind::Folder => return Err(folder_refused().into()),
            Kind::File => {}
        }
        let size = self.size(path).await?;
        if size > LIMIT {
            return Err(too_large(size).into());
        }
        Ok((self.hash(path).await?, size))
    }

    /// A file's bytes, compared with its hash.
    async fn fetch(&self, path: &CmdPath, sha256: [u8; 32], size: u64) -> Result<Vec<u8>, Trouble> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let text = CmdPath::temporary(&format!("winrm-{}.b64", uuid::Uuid::new_v4().simple()));
        let said = self.run(&cmd_line::encode(path, &text), None).await?;
        let printed = if said.succeeded() {
            self.run(&cmd_line::print(&text), None).await
        } else {
            Ok(said)
        };
        let _ = self.run(&cmd_line::remove(&[&text]), None).await;
        let said = printed?;
        if !said.succeeded() {
            return Err(said.failure("can't encode the file (certutil)").into());
        }
        let bytes = cmd_line::bytes(&said.out).filter(|bytes| openssl::sha::sha256(bytes) == sha256);
        Ok(bytes.ok_or_else(|| FileError::of_host(FailureCode::Damaged, ""))?)
    }

    async fn get_file(&mut self, source: &str, target: &Path, several: bool) -> Result<(), Trouble> {
        let path = CmdPath::new(source)?;
        let shown = target.as_os_str().to_string_lossy();
        let as_folder = several || shown.is_empty() || shown.ends_with('/');
        if !as_folder && target.file_name().is_none() && !target.is_dir() {
            return Err(FileError::new(FailureCode::Other, "the target has no name").into());
        }
        let (root, name) = if as_folder || target.is_dir() {
            (target, path.name().to_owned())
        } else {
            let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            (target.parent().unwrap_or(Path::new("")), name.to_owned())
        };
        if let Some(reason) = tree::refuses(&name) {
            return Err(FileError::new(FailureCode::Other, format!("its name can't be used here: {reason}")).into());
        }
        let (sha256, size) = self.look(&path).await?;
        let here = root.join(&name);
        let mut report = FileReport::new(source, here.display().to_string(), size, FileOutcome::Copied);
        let same = blocking(move || hash::prefix(&mut std::fs::File::open(here)?, LIMIT + 1));
        if same.await.is_ok_and(|(hash, length)| length == size && hash.finish() == sha256) {
            (report.outcome, report.sha256) = (FileOutcome::Unchanged, Some(sha256));
            self.finished(None, report);
            return Ok(());
        }
        if self.options.dry_run {
            self.finished(None, report);
            return Ok(());
        }
        let index = self.started(&report.target, size);
        let outcome = match self.fetch(&path, sha256, size).await {
            Ok(bytes) => self.store(root, name, bytes, sha256).await,
            Err(Trouble::File(error)) => Err(error),
            Err(whole) => return Err(whole),
        };
        match outcome {
            Ok(()) => {
                report.sha256 = Some(sha256);
                self.options.tell(CopyEvent::Advanced { index, bytes: size });
            }
            Err(error) => report.outcome = FileOutcome::Failed(error),
        }
        self.finished(Some(index), report);
        Ok(())
    }

    /// Writes a file as downloads do: to a part, which then takes the file's place.
    async fn store(&self, root: &Path, name: String, bytes: Vec<u8>, sha256: [u8; 32]) -> Result<(), FileError> {
        let local = |error: io::Error| FileError::local(&error);
        let (order, orders) = mpsc::channel(3);
        let (results, mut stored) = mpsc::unbounded_channel();
        let since = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let arriving = Arriving {
            index: 0,
            below: name,
            size: bytes.len() as u64,
            start: 0,
            prefix: None,
            // cmd tells times in the words of the host's language only.
            modified: time::from_unix(since.as_secs().cast_signed(), since.subsec_nanos().into()),
            read_only: false,
        };
        for order_of in [Order::Begin(arriving), Order::Data(Bytes::from(bytes)), Order::End(sha256)] {
            // There is room for all of them.
            let _ = order.try_send(order_of);
        }
        drop(order);
        let (root, make, backup) = (root.to_owned(), self.options.make_folders, self.options.backup.clone());
        let storing = blocking(move || {
            let store = Store {
                tree: Tree::open(&root, make)?,
                make_folders: make,
                preserve: false,
                backup,
                orders,
                results,
            };
            store.run();
            Ok(())
        });
        storing.await.map_err(local)?;
        while let Some(result) = stored.recv().await {
            match result {
                Stored::Done(..) => return Ok(()),
                Stored::Failed(_, error) => return Err(error),
                Stored::Advanced(..) => {}
            }
        }
        Err(FileError::new(FailureCode::Other, "it could not be written here"))
    }

    async fn get_to_writer(&mut self, source: &str, writer: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), Trouble> {
        let path = CmdPath::new(source)?;
        let (sha256, size) = self.look(&path).await?;
        let bytes = self.fetch(&path, sha256, size).await?;
        let local = |error: io::Error| FileError::local(&error);
        writer.write_all(&bytes).await.map_err(local)?;
        writer.flush().await.map_err(local)?;
        let mut report = FileReport::new(source, "-", size, FileOutcome::Copied);
        report.sha256 = Some(sha256);
        self.finished(None, report);
        Ok(())
    }
}

/// Reads a file that is small enough.
fn read(path: &Path) -> io::Result<Result<Vec<u8>, FileError>> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(Err(folder_refused()));
    }
    if metadata.len() > LIMIT {
        return Ok(Err(too_large(metadata.len())));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, LIMIT + 1), &mut bytes)?;
    // It grew meanwhile, or tells no size.
    if bytes.len() as u64 > LIMIT {
        return Ok(Err(too_large(0)));
    }
    Ok(Ok(bytes))
}
