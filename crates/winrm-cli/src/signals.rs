//! The signals that end the program, or something in it.

use crate::failure::Failure;

/// Ctrl-C, SIGTERM and SIGHUP.
pub(crate) struct Signals {
    interrupt: tokio::sync::Mutex<tokio::signal::unix::Signal>,
    terminate: tokio::sync::Mutex<tokio::signal::unix::Signal>,
    hang_up: tokio::sync::Mutex<tokio::signal::unix::Signal>,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            let stream =
                tokio::signal::unix::signal(kind).map_err(|error| Failure::configuration("signals can't be caught").because(error))?;
            Ok::<_, Failure>(tokio::sync::Mutex::new(stream))
        };
        Ok(Self {
            interrupt: listen(tokio::signal::unix::SignalKind::interrupt())?,
            terminate: listen(tokio::signal::unix::SignalKind::terminate())?,
            hang_up: listen(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Ctrl-C.
    pub(crate) async fn interrupted(&self) {
        self.interrupt.lock().await.recv().await;
    }

    /// SIGTERM.
    pub(crate) async fn killed(&self) {
        self.terminate.lock().await.recv().await;
    }

    /// The terminal has gone.
    pub(crate) async fn hung_up(&self) {
        self.hang_up.lock().await.recv().await;
    }

    /// SIGTERM, or the terminal has gone.
    pub(crate) async fn terminated(&self) {
        tokio::select! {
            () = self.killed() => {}
            () = self.hung_up() => {}
        }
    }
}
