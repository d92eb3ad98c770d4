//! What a run shows: the report on standard output, progress and notes on standard error.
//!
//! It has a thread of its own, so that a reader who takes nothing holds up nobody who has to be signalled.

use std::io::{self, Write as _};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::entry::Entry;
use super::report::Report;
use super::summary::Summary;
use crate::printer::{self, Output, StatusLine};

/// How many results wait to be printed.
const WAITING: usize = 16;

pub(super) enum Message {
    Host(Box<Entry>),
    Progress(String),
    Note(String),
    End(Box<Summary>),
}

/// The way to the screen.
pub(super) struct Screen {
    pub(super) messages: mpsc::Sender<Message>,
    thread: JoinHandle<io::Result<()>>,
}

impl Screen {
    pub(super) fn new(report: Box<dyn Report>) -> io::Result<Self> {
        let (messages, receiver) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || show(receiver, report))?;
        Ok(Self { messages, thread })
    }

    /// Says something beside the results. Left out when nobody reads.
    pub(super) fn note(&self, text: String) {
        let _ = self.messages.try_send(Message::Note(text));
    }

    /// Waits until all is shown.
    pub(super) fn finished(self) -> impl Future<Output = io::Result<()>> {
        drop(self.messages);
        let waiting = tokio::task::spawn_blocking(move || self.thread.join());
        async move {
            match waiting.await {
                Ok(Ok(result)) => result,
                _ => Err(io::Error::other("the thread that prints has failed")),
            }
        }
    }
}

fn show(mut messages: mpsc::Receiver<Message>, mut report: Box<dyn Report>) -> io::Result<()> {
    let mut out = Output::new();
    let mut status = StatusLine::default();
    let mut outcome = Ok(());
    while let Some(message) = messages.blocking_recv() {
        match message {
            Message::Progress(text) => status.show(&text),
            Message::Note(text) => {
                status.clear();
                printer::note(&text);
            }
            Message::Host(entry) if outcome.is_ok() => {
                status.clear();
                outcome = report.host(&entry, &mut out).and_then(|()| out.flush());
            }
            Message::Host(_) => {}
            Message::End(summary) => {
                status.clear();
                if outcome.is_ok() {
                    outcome = report.end(&summary, &mut out).and_then(|()| out.flush());
                }
                printer::note(&summary.line());
            }
        }
    }
    status.clear();
    outcome
}
