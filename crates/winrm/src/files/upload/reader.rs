//! Sends what a reader gives.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use openssl::sha::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use winrm_proto::copy::{Answer, Begin, EntryKind, HEADER, Request, header};

use super::Run;
use crate::files::agent::{Agent, Input, Lost};
use crate::files::event::{CopyEvent, FileError, FileOutcome, FileReport};
use crate::files::host::{Stop, refuse, resolve};
use crate::files::pump::Packer;
use crate::files::rate::Limiter;
use crate::files::{BLOCK, part_name};

/// How often a host hears of a client that waits for its own input.
pub(super) const ALIVE: Duration = Duration::from_secs(60);

impl Run {
    /// Sends what a reader gives, however long it is.
    pub(super) async fn copy_reader(
        &mut self,
        agent: &mut Agent,
        mut reader: Box<dyn AsyncRead + Send + Unpin>,
        target: &str,
    ) -> Result<(), Stop> {
        if let Some(reason) = self.paths.refuses(target) {
            return Err(Stop::Refused(refuse(format!("{target}: {reason}"))));
        }
        let (full, there) = resolve(agent, target).await?;
        let name = self.paths.last(&full).to_owned();
        if self.paths.is_folder(target) || matches!(there.kind, EntryKind::Folder | EntryKind::FolderLink) {
            let error = refuse(format!("{full} is a folder on the host, and a stream has no name"));
            return Err(Stop::Refused(error.with_hint("name a file")));
        }
        if let Some(reason) = self.paths.forbids(&name) {
            return Err(Stop::Refused(refuse(format!("the host can't have the name {name:?}: {reason}"))));
        }
        let folder = self.paths.parent(&full).unwrap_or_default().to_owned();
        if self.options.make_folders {
            let request = Request::MakeFolder {
                id: 0,
                path: folder.clone(),
            };
            agent.exchange(&[request], |_, _| {}).await?;
        }
        let begin = Begin {
            part: self.paths.join(&folder, &part_name(&name)),
            backup: self.options.backup.as_ref().map(|suffix| format!("{full}{suffix}")),
            target: full.clone(),
            replace_read_only: self.options.preserve,
            ..Begin::default()
        };
        self.options.tell(CopyEvent::Started {
            index: 0,
            name: full.clone(),
            size: None,
            offset: 0,
        });
        let limiter = Limiter::new(self.options.limit_rate);
        let options = Arc::clone(&self.options);
        let Agent { input, answers, .. } = agent;
        let send = async {
            input.send(Request::Begin(begin).write()).await?;
            let mut packer = options.compress.then(Packer::new);
            let (mut sha256, mut size) = (Sha256::new(), 0);
            loop {
                let mut frame = BytesMut::with_capacity(HEADER + BLOCK);
                frame.put_bytes(0, HEADER);
                let broken = fill(&mut reader, &mut frame, input).await?;
                if let Some(error) = broken {
                    input.send(Request::Abort.write()).await?;
                    return Ok(Err(FileError::local(&error)));
                }
                let count = frame.len() - HEADER;
                if count == 0 {
                    break;
                }
                sha256.update(&frame[HEADER..]);
                size += count as u64;
                let bytes = match packer.as_mut().and_then(|packer| packer.pack(&frame[HEADER..])) {
                    Some(packed) => packed,
                    None => {
                        frame[..HEADER].copy_from_slice(&header(Request::DATA, count));
                        frame.freeze()
                    }
                };
                limiter.pass(bytes.len()).await;
                input.send(bytes).await?;
                options.tell(CopyEvent::Advanced {
                    index: 0,
                    bytes: count as u64,
                });
            }
            let sha256 = sha256.finish();
            input.send(Request::End(sha256).write()).await?;
            Ok::<_, Lost>(Ok((size, sha256)))
        };
        let sent;
        let mut answer = None;
        {
            let mut send = std::pin::pin!(send);
            tokio::select! {
                biased;
                result = &mut send => sent = Some(result?),
                early = answers.next() => {
                    answer = Some(early?);
                    sent = None;
                }
            }
        }
        let mut report = FileReport::new("-", full, 0, FileOutcome::Copied);
        match sent {
            Some(Err(error)) => report.outcome = FileOutcome::Failed(error),
            Some(Ok((size, sha256))) => {
                report.size = size;
                report.sha256 = Some(sha256);
                answer = Some(answers.next().await?);
            }
            None => {}
        }
        if let Some(Answer::Failed { code, message, .. }) = answer {
            report.outcome = FileOutcome::Failed(FileError::of_host(code, &message));
        }
        self.finished(Some(0), report);
        Ok(())
    }
}

/// Fills a frame as far as the reader goes, and tells the host meanwhile that somebody is there.
async fn fill(reader: &mut (dyn AsyncRead + Send + Unpin), frame: &mut BytesMut, input: &mut Input) -> Result<Option<io::Error>, Lost> {
    while frame.len() < HEADER + BLOCK {
        let room = HEADER + BLOCK - frame.len();
        let mut limited = (&mut *frame).limit(room);
        match tokio::time::timeout(ALIVE, reader.read_buf(&mut limited)).await {
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Ok(Some(error)),
            Err(_) => input.send(Request::Alive.write()).await?,
        }
    }
    Ok(None)
}
