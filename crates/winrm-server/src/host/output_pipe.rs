//! The reading end of a command's output.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

/// For how long nothing may come after the command's end before the output counts as ended.
const SILENCE: Duration = Duration::from_millis(500);

/// How much may come after the command's end. What the command itself wrote is in the pipe by then, and no pipe is larger.
const LEFTOVER: usize = 1 << 20;

/// A pipe that ends with its command, even where a child in the background holds it open.
pub(crate) struct OutputPipe {
    pipe: pipe::Receiver,
    exit: watch::Receiver<Option<u32>>,
    /// Wakes a reader that waits when the command ends.
    exited: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// From the command's end on.
    after: Option<After>,
}

struct After {
    leftover: usize,
    silence: Pin<Box<Sleep>>,
}

impl OutputPipe {
    pub(crate) fn new(pipe: pipe::Receiver, exit: watch::Receiver<Option<u32>>) -> Self {
        let mut wait = exit.clone();
        let exited = async move {
            let _ = wait.wait_for(Option::is_some).await;
        };
        Self {
            pipe,
            exit,
            exited: Box::pin(exited),
            after: None,
        }
    }
}

impl AsyncRead for OutputPipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Asked each time: where something always is to be read, nobody ever waits for the end.
        if this.after.is_none() && this.exit.borrow().is_some() {
            this.after = Some(After::begin());
        }
        if this.after.as_ref().is_some_and(|after| after.leftover == 0) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.pipe).poll_read(cx, buffer) {
            if let Some(after) = &mut this.after {
                after.leftover = after.leftover.saturating_sub(buffer.filled().len() - before);
                after.silence.as_mut().reset(Instant::now() + SILENCE);
            }
            return Poll::Ready(read);
        }
        if this.after.is_none() {
            ready!(this.exited.as_mut().poll(cx));
        }
        let after = this.after.get_or_insert_with(After::begin);
        ready!(after.silence.as_mut().poll(cx));
        after.leftover = 0;
        Poll::Ready(Ok(()))
    }
}

impl After {
    fn begin() -> Self {
        Self {
            leftover: LEFTOVER,
            silence: Box::pin(tokio::time::sleep(SILENCE)),
        }
    }
}
