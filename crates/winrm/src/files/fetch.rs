//! Carries a download's files from the agent to the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openssl::sha::Sha256;
use tokio::sync::{Notify, Semaphore, mpsc};
use winrm_proto::copy::{Answer, Request};

use super::agent::{Agent, Lost};
use super::event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
use super::options::Options;
use super::rate::Limiter;
use super::store::{Arriving, Order, Store, Stored};

/// How many files are asked for before the first has come.
const WINDOW: usize = 64;

/// A file to fetch.
pub(super) struct Wanted {
    pub(super) index: u32,
    /// Its full path on the host.
    pub(super) remote: String,
    /// Its path below the target folder.
    pub(super) below: String,
    /// How much of it is here, and the hash of that.
    pub(super) prefix: Option<(u64, Sha256)>,
}

pub(super) type Queue = Arc<Mutex<VecDeque<Wanted>>>;

/// What is known of the files under way.
pub(super) struct Desk {
    state: Mutex<(HashMap<u32, FileReport>, CopySummary)>,
    options: Arc<Options>,
}

impl Desk {
    pub(super) fn new(reports: HashMap<u32, FileReport>, options: Arc<Options>, summary: CopySummary) -> Self {
        Self {
            state: Mutex::new((reports, summary)),
            options,
        }
    }

    fn state(&self) -> MutexGuard<'_, (HashMap<u32, FileReport>, CopySummary)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn summary(&self) -> CopySummary {
        self.state().1
    }

    fn started(&self, index: u32, size: u64, start: u64) {
        let mut state = self.state();
        let Some(report) = state.0.get_mut(&index) else { return };
        (report.size, report.resumed_at) = (size, start);
        let name = report.target.clone();
        drop(state);
        self.options.tell(CopyEvent::Started {
            index,
            name,
            size: Some(size),
            offset: start,
        });
    }

    fn finish(&self, index: u32, outcome: Result<[u8; 32], FileError>) {
        let mut state = self.state();
        // A file that has failed here still comes to its end there.
        let Some(mut report) = state.0.remove(&index) else { return };
        match outcome {
            Ok(sha256) => report.sha256 = Some(sha256),
            Err(error) => report.outcome = FileOutcome::Failed(error),
        }
        state.1.count(&report);
        drop(state);
        self.options.tell(CopyEvent::Finished {
            index: Some(index),
            report,
        });
    }
}

/// What the store needs beside its channels.
pub(super) type MakeStore = Box<dyn FnOnce(mpsc::Receiver<Order>, mpsc::UnboundedSender<Stored>) -> Store + Send>;

/// Fetches files over one stream until none is left.
pub(super) async fn fetch_files(agent: &mut Agent, queue: Queue, desk: &Desk, limiter: &Limiter, make: MakeStore) -> Result<(), Lost> {
    let (order, orders) = mpsc::channel(2);
    let (results, mut stored) = mpsc::unbounded_channel();
    let store = make(orders, results);
    // Ends when the channel does.
    let storing = tokio::task::spawn_blocking(move || store.run());
    let window = Semaphore::new(WINDOW);
    let under_way: Mutex<VecDeque<Wanted>> = Mutex::default();
    let locked = || under_way.lock().unwrap_or_else(PoisonError::into_inner);
    let (all_asked, asked) = (AtomicBool::new(false), Notify::new());
    let pack = desk.options.compress;
    let Agent { input, answers, .. } = agent;
    let (cancel, mut cancelled) = mpsc::unbounded_channel();
    let ask = async {
        let mut more = true;
        loop {
            tokio::select! {
                // Never closed.
                permit = window.acquire(), if more => {
                    if let Ok(permit) = permit {
                        permit.forget();
                    }
                }
                id = cancelled.recv() => {
                    let Some(id) = id else { return Ok(()) };
                    input.send(Request::Cancel { id }.write()).await?;
                    continue;
                }
            }
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(wanted) = next else {
                more = false;
                all_asked.store(true, Ordering::Release);
                asked.notify_waiters();
                continue;
            };
            let (offset, known) = match &wanted.prefix {
                Some((offset, hash)) => (*offset, hash.clone().finish()),
                None => (0, [0; 32]),
            };
            let request = Request::Fetch {
                id: wanted.index,
                path: wanted.remote.clone(),
                offset,
                known,
                pack,
            };
            locked().push_back(wanted);
            input.send(request.write()).await?;
        }
    };
    let take = async {
        // Dropped at the end, which ends the store.
        let order = order;
        let mut incoming: Option<Incoming> = None;
        loop {
            let changed = asked.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if all_asked.load(Ordering::Acquire) && locked().is_empty() {
                return Ok(());
            }
            let answer = tokio::select! {
                biased;
                answer = answers.next() => answer?,
                () = changed => continue,
            };
            let next = match answer {
                Answer::File {
                    id,
                    size,
                    start,
                    modified,
                    attributes,
                } if incoming.is_none() => {
                    let arriving = {
                        let mut under_way = locked();
                        let wanted = under_way.front_mut().filter(|wanted| wanted.index == id).ok_or_else(unasked)?;
                        let prefix = wanted.prefix.take();
                        let held = prefix.as_ref().map_or(0, |(held, _)| *held);
                        if start > size || start != 0 && start != held {
                            return Err(Lost::Nonsense("a file that begins where nobody asked for it".to_owned()));
                        }
                        Arriving {
                            index: id,
                            below: wanted.below.clone(),
                            size,
                            start,
                            prefix: prefix.map(|(_, hash)| hash),
                            modified,
                            read_only: attributes & 1 != 0,
                        }
                    };
                    desk.started(id, size, start);
                    incoming = Some(Incoming { id, left: size - start });
                    Order::Begin(arriving)
                }
                Answer::Data(data) => {
                    limiter.pass(data.len()).await;
                    incoming.as_mut().ok_or_else(unasked)?.count(data.len())?;
                    Order::Data(data)
                }
                Answer::Packed { size, data } => {
                    limiter.pass(data.len()).await;
                    incoming.as_mut().ok_or_else(unasked)?.count(size as usize)?;
                    Order::Packed { size, data }
                }
                Answer::FileEnd { id, sha256 } if incoming.as_ref().is_some_and(|incoming| incoming.id == id) => {
                    incoming = None;
                    locked().pop_front();
                    window.add_permits(1);
                    Order::End(sha256)
                }
                Answer::Failed { id, code, message } => {
                    locked().pop_front().filter(|wanted| wanted.index == id).ok_or_else(unasked)?;
                    incoming = None;
                    window.add_permits(1);
                    desk.finish(id, Err(FileError::of_host(code, &message)));
                    Order::Drop
                }
                _ => return Err(unasked()),
            };
            // The store is there until this ends.
            let _ = order.send(next).await;
        }
    };
    let hear = async {
        // Dropped at the end, which ends the asking.
        let cancel = cancel;
        while let Some(result) = stored.recv().await {
            match result {
                Stored::Advanced(index, bytes) => desk.options.tell(CopyEvent::Advanced { index, bytes }),
                Stored::Done(index, sha256) => desk.finish(index, Ok(sha256)),
                Stored::Failed(index, error) => {
                    if locked().iter().any(|wanted| wanted.index == index) {
                        // Its rest is of no use to anybody. Fails when nobody asks any more.
                        let _ = cancel.send(index);
                    }
                    desk.finish(index, Err(error));
                }
            }
        }
        storing.await.map_err(|_| Lost::Here)
    };
    tokio::try_join!(ask, take, hear).map(drop)
}

/// The file whose bytes come.
struct Incoming {
    id: u32,
    left: u64,
}

impl Incoming {
    /// What is announced is the limit.
    fn count(&mut self, bytes: usize) -> Result<(), Lost> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Lost::Nonsense("more bytes of a file than were announced".to_owned())),
        }
    }
}

fn unasked() -> Lost {
    Lost::Nonsense("an answer to what nobody asked".to_owned())
}
