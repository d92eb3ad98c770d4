//! Carries a plan out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};
use winrm_proto::copy::{Answer, FailureCode, Request};

use super::Run;
use super::plan::{Plan, Planned};
use super::reader::ALIVE;
use crate::client::Client;
use crate::files::agent::{Agent, Answers, Lost};
use crate::files::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use crate::files::hash;
use crate::files::host::{Stop, finish_others, join_streams, start_others};
use crate::files::local::blocking;
use crate::files::options::Options;
use crate::files::pump::{Blocks, Job, Jobs, Note, Packer, Piece, Pump, Refused};
use crate::files::rate::Limiter;

impl Run {
    pub(super) async fn make_folders(&mut self, agent: &mut Agent, plan: &Plan) -> Result<(), Stop> {
        let requests: Vec<Request> = plan
            .folders
            .iter()
            .enumerate()
            .map(|(id, path)| Request::MakeFolder {
                id: id as u32,
                path: path.clone(),
            })
            .collect();
        let mut failures = Vec::new();
        agent
            .exchange(&requests, |id, answer| {
                if let Answer::Failed { code, message, .. } = answer {
                    failures.push((id, FileError::of_host(code, &message)));
                }
            })
            .await?;
        for (id, error) in failures {
            self.failed("", &plan.folders[id as usize], error);
        }
        Ok(())
    }

    /// Finds out how much of each file is there already, and the same.
    pub(super) async fn resume(&mut self, agent: &mut Agent, files: Vec<Planned>) -> Result<VecDeque<Job>, Stop> {
        let mut jobs = VecDeque::with_capacity(files.len());
        for Planned { mut job, part } in files {
            let length = part.min(job.begin.size.unwrap_or(0));
            if length > 0 {
                let source = job.source.clone();
                let ours = blocking(move || std::fs::File::open(source).and_then(|mut file| hash::prefix(&mut file, length)));
                let request = Request::Hash {
                    id: 0,
                    path: job.begin.part.clone(),
                    length,
                };
                let mut theirs = None;
                let exchange = agent.exchange(std::slice::from_ref(&request), |_, answer| {
                    if let Answer::Hash { length, sha256, .. } = answer {
                        theirs = Some((length, sha256));
                    }
                });
                let (exchanged, ours) = tokio::join!(exchange, ours);
                exchanged?;
                if let (Ok((ours, done)), Some(theirs)) = (ours, theirs)
                    && (done, ours.clone().finish()) == theirs
                {
                    job.begin.offset = done;
                    job.prefix = Some(ours);
                }
            }
            jobs.push_back(job);
        }
        Ok(jobs)
    }

    pub(super) async fn send(&mut self, client: &Client, agent: &mut Agent, jobs: VecDeque<Job>) -> Result<(), Stop> {
        let streams = self.options.streams.min(jobs.len());
        if streams == 0 {
            return Ok(());
        }
        let board = Board::new(&jobs, Arc::clone(&self.options), self.summary);
        let jobs: Jobs = Arc::new(Mutex::new(jobs));
        let limiter = Limiter::new(self.options.limit_rate);
        let mut others = start_others(client, &self.options.engine, streams).await?;
        let sends = std::iter::once(&mut *agent)
            .chain(&mut others)
            .map(|agent| send_files(agent, Arc::clone(&jobs), &board, &limiter, self.options.compress));
        let outcome = join_streams(sends).await;
        finish_others(others).await;
        self.summary = board.summary();
        outcome
    }

    pub(super) async fn remove(&mut self, agent: &mut Agent, paths: Vec<(String, u64)>) -> Result<(), Stop> {
        let requests: Vec<Request> = paths
            .iter()
            .enumerate()
            .map(|(id, (path, _))| Request::Remove {
                id: id as u32,
                path: path.clone(),
            })
            .collect();
        let mut reports = Vec::new();
        agent
            .exchange(&requests, |id, answer| {
                let (path, size) = &paths[id as usize];
                let outcome = match answer {
                    Answer::Failed { code, message, .. } => FileOutcome::Failed(FileError::of_host(code, &message)),
                    _ => FileOutcome::Removed,
                };
                reports.push(FileReport::new("", path, *size, outcome));
            })
            .await?;
        for report in reports {
            self.finished(None, report);
        }
        Ok(())
    }

    pub(super) async fn set_times(&mut self, agent: &mut Agent, folders: &[(String, i64)]) -> Result<(), Stop> {
        let requests: Vec<Request> = folders
            .iter()
            .enumerate()
            .rev()
            .map(|(id, (path, modified))| Request::SetFolderTime {
                id: id as u32,
                path: path.clone(),
                modified: *modified,
            })
            .collect();
        // A folder without its time is still a copy.
        agent.exchange(&requests, |_, _| {}).await?;
        Ok(())
    }
}

/// What is known of the files under way, for those who send and those who hear.
struct Board {
    state: Mutex<BoardState>,
    refused: Refused,
    options: Arc<Options>,
    changed: Notify,
}

struct BoardState {
    /// Files that have no result yet.
    reports: HashMap<u32, FileReport>,
    summary: CopySummary,
}

impl Board {
    fn new(jobs: &VecDeque<Job>, options: Arc<Options>, summary: CopySummary) -> Self {
        let reports = jobs.iter().map(|job| {
            let begin = &job.begin;
            let source = job.source.display().to_string();
            let mut report = FileReport::new(source, &begin.target, begin.size.unwrap_or(0), FileOutcome::Copied);
            report.resumed_at = begin.offset;
            (begin.id, report)
        });
        Self {
            state: Mutex::new(BoardState {
                reports: reports.collect(),
                summary,
            }),
            refused: Refused::default(),
            options,
            changed: Notify::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> CopySummary {
        self.state().summary
    }

    /// `false` when the file has a result already.
    fn finish(&self, id: u32, failure: Option<FileError>) -> bool {
        let report = {
            let mut state = self.state();
            let Some(mut report) = state.reports.remove(&id) else {
                return false;
            };
            if let Some(failure) = failure {
                report.outcome = FileOutcome::Failed(failure);
                report.sha256 = None;
            }
            state.summary.count(&report);
            report
        };
        self.options.tell(CopyEvent::Finished { index: Some(id), report });
        true
    }

    /// Before the bytes of a piece go out. Gives the files that only the host's answer ends.
    fn note_before(&self, notes: &[Note], awaited: &mut HashSet<u32>) {
        for note in notes {
            match note {
                Note::Started(id, offset) => {
                    let (name, size) = match self.state().reports.get(id) {
                        Some(report) => (report.target.clone(), report.size),
                        None => continue,
                    };
                    self.options.tell(CopyEvent::Started {
                        index: *id,
                        name,
                        size: Some(size),
                        offset: *offset,
                    });
                }
                Note::Ended(id, sha256) => {
                    if let Some(report) = self.state().reports.get_mut(id) {
                        report.sha256 = Some(*sha256);
                        awaited.insert(*id);
                    }
                }
                Note::Broken(id, error) => {
                    self.finish(*id, Some(error.clone()));
                }
                Note::Advanced(..) => {}
            }
        }
    }

    fn note_after(&self, notes: Vec<Note>) {
        for note in notes {
            if let Note::Advanced(index, bytes) = note {
                self.options.tell(CopyEvent::Advanced { index, bytes });
            }
        }
    }
}

/// Sends files over one stream until none is left.
async fn send_files(agent: &mut Agent, jobs: Jobs, board: &Board, limiter: &Limiter, compress: bool) -> Result<(), Lost> {
    let (out, mut pieces) = mpsc::channel::<Piece>(1);
    let pump = Pump {
        jobs,
        refused: Arc::clone(&board.refused),
        out,
        mode: agent.input.mode,
        packer: compress.then(Packer::new),
        blocks: Blocks::default(),
    };
    // Ends when the channel does.
    let pumping = tokio::task::spawn_blocking(move || pump.run());
    let awaited = Mutex::new(HashSet::new());
    let sent = std::sync::atomic::AtomicBool::new(false);
    let Agent { input, answers, .. } = agent;
    let awaited_by = || awaited.lock().unwrap_or_else(PoisonError::into_inner);
    let send = async {
        loop {
            let piece = match tokio::time::timeout(ALIVE, pieces.recv()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(_) => {
                    input.send(Request::Alive.write()).await?;
                    continue;
                }
            };
            board.note_before(&piece.notes, &mut awaited_by());
            limiter.pass(piece.bytes.len()).await;
            input.send_bytes(piece.bytes).await?;
            board.note_after(piece.notes);
        }
        pumping.await.map_err(|_| Lost::Here)?;
        sent.store(true, std::sync::atomic::Ordering::Release);
        board.changed.notify_waiters();
        Ok(())
    };
    let receive = take_answers(answers, board, &awaited_by, &sent);
    tokio::try_join!(send, receive).map(drop)
}

async fn take_answers<'a>(
    answers: &mut Answers,
    board: &Board,
    awaited: &impl Fn() -> std::sync::MutexGuard<'a, HashSet<u32>>,
    sent: &std::sync::atomic::AtomicBool,
) -> Result<(), Lost> {
    loop {
        let changed = board.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if sent.load(std::sync::atomic::Ordering::Acquire) && awaited().is_empty() {
            return Ok(());
        }
        let answer = tokio::select! {
            biased;
            answer = answers.next() => answer?,
            () = changed => continue,
        };
        match answer {
            Answer::Done { id } => {
                if !awaited().remove(&id) {
                    return Err(Lost::Nonsense("the end of a file that was not sent".to_owned()));
                }
                board.finish(id, None);
            }
            Answer::Failed { id, code, message } => {
                awaited().remove(&id);
                board.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                let mut error = FileError::of_host(code, &message);
                if code == FailureCode::NotFound {
                    error = error.with_hint("--mkdir makes the folders that a copy needs");
                }
                board.finish(id, Some(error));
            }
            _ => return Err(Lost::Nonsense("an answer to what nobody asked".to_owned())),
        }
    }
}
