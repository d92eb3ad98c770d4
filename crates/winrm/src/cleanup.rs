//! Counts work that goes on in the background, so that it can be waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The clean-ups of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleanups(Arc<State>);

#[derive(Debug, Default)]
struct State {
    pending: AtomicUsize,
    finished: Notify,
}

/// One clean-up that isn't finished; dropping it finishes it.
#[derive(Debug)]
pub(crate) struct Pending(Arc<State>);

impl Cleanups {
    /// Counts a clean-up from now on, also while nobody works on it yet.
    pub(crate) fn begin(&self) -> Pending {
        self.0.pending.fetch_add(1, Ordering::AcqRel);
        Pending(Arc::clone(&self.0))
    }

    /// Lets `work` go on in the background. It is lost when the runtime ends before it does.
    /// The result may be dropped, or awaited.
    pub(crate) fn spawn(&self, runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let pending = self.begin();
        runtime.spawn(async move {
            work.await;
            drop(pending);
        })
    }

    /// Waits until none is left, at most for `limit`; tells whether that came true.
    pub(crate) async fn finished(&self, limit: Duration) -> bool {
        let wait = async {
            loop {
                let finished = self.0.finished.notified();
                tokio::pin!(finished);
                // Registered before the count is read, so that no end is missed in between.
                finished.as_mut().enable();
                if self.0.pending.load(Ordering::Acquire) == 0 {
                    return;
                }
                finished.await;
            }
        };
        tokio::time::timeout(limit, wait).await.is_ok()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.0.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.finished.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_what_was_begun() {
        let cleanups = Cleanups::default();
        assert!(cleanups.finished(Duration::from_secs(60)).await);
        let pending = cleanups.begin();
        assert!(!cleanups.finished(Duration::from_millis(1)).await);
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        cleanups.spawn(&Handle::current(), async move {
            let _ = wait.await;
        });
        drop(pending);
        assert!(!cleanups.finished(Duration::from_millis(1)).await);
        go.send(()).unwrap();
        assert!(cleanups.finished(Duration::from_secs(60)).await);
    }
}
