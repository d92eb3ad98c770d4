//! Connections that are open and have nothing to do.

use std::sync::{Mutex, PoisonError};

use crate::session::Channel;

/// More than this many are closed instead of kept.
const MOST: usize = 32;

/// The idle connections of one client.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Channel>>);

impl Pool {
    /// The connection used last, if the host has not closed it meanwhile.
    pub(crate) fn take(&self) -> Option<Channel> {
        loop {
            let mut channel = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if channel.is_usable() {
                return Some(channel);
            }
            tracing::debug!(connection = channel.number(), "idle connection was closed by the host");
        }
    }

    pub(crate) fn put(&self, channel: Channel) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push(channel);
        }
    }

    pub(crate) fn clear(&self) {
        let idle = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }
}
