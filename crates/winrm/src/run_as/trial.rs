//! Whether a password was refused before: nobody tries it again then.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// What is known of an account's password, shared by all that would use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial(Arc<Mutex<Known>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    Right,
    Wrong,
}

/// Leave to try the password. As long as nothing is known of it, nobody else has leave.
#[derive(Debug)]
pub(crate) struct Turn(Option<OwnedMutexGuard<Known>>);

impl Trial {
    /// Waits until it is known whether the password is right, or nobody is trying it; `None` when it is wrong.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let guard = Arc::clone(&self.0).lock_owned().await;
        match *guard {
            Known::Nothing => Some(Turn(Some(guard))),
            Known::Right => Some(Turn(None)),
            Known::Wrong => None,
        }
    }
}

impl Turn {
    /// Where there is no password to try.
    pub(crate) fn free() -> Self {
        Self(None)
    }

    pub(crate) fn was_right(&mut self) {
        if let Some(mut known) = self.0.take() {
            *known = Known::Right;
        }
    }

    pub(crate) fn was_wrong(&mut self) {
        if let Some(mut known) = self.0.take() {
            *known = Known::Wrong;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_password_is_tried_once() {
        let trial = Trial::default();
        // Given up, without an answer.
        drop(trial.turn().await.unwrap());
        let mut first = trial.turn().await.unwrap();
        let waiting = tokio::spawn({
            let trial = trial.clone();
            async move { trial.turn().await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        first.was_wrong();
        assert!(!waiting.await.unwrap());
        assert!(trial.turn().await.is_none());
    }

    #[tokio::test]
    async fn a_right_one_keeps_nobody_waiting() {
        let trial = Trial::default();
        trial.turn().await.unwrap().was_right();
        let (_one, _other) = (trial.turn().await.unwrap(), trial.turn().await.unwrap());
    }
}
