//! Memory of large requests, kept for the next ones.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that wait to be used again: the pages of fresh memory cost more than what is done with half a megabyte in it.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// How many wait at most; as many requests are worked on at once where it matters.
const KEPT: usize = 4;

/// What is smaller is made anew, in bytes.
const SMALL: usize = 64 * 1_024;

/// What is larger is given back to the system, in bytes.
const LARGE: usize = 2 * 1_024 * 1_024;

impl Buffers {
    /// An empty buffer with room for so many bytes.
    pub(crate) fn take(self: &Arc<Self>, capacity: usize) -> Buffer {
        let kept = if capacity < SMALL { None } else { self.kept().pop() };
        let mut bytes = kept.unwrap_or_default();
        bytes.reserve(capacity);
        Buffer {
            bytes,
            home: Arc::clone(self),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer; its memory goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if (SMALL..=LARGE).contains(&self.bytes.capacity()) {
            let mut kept = self.home.kept();
            if kept.len() < KEPT {
                self.bytes.clear();
                kept.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_empty_and_bounded() {
        let buffers = Arc::new(Buffers::default());
        let mut first = buffers.take(500_000);
        first.extend_from_slice(b"secret");
        let at = first.as_ptr();
        drop(first);
        let again = buffers.take(400_000);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert_ne!(buffers.take(400_000).as_ptr(), at);
        drop(again);
        drop((0..10).map(|_| buffers.take(100_000)).collect::<Vec<_>>());
        assert_eq!(buffers.kept().len(), KEPT);
        drop(buffers.take(LARGE + 1));
        drop(buffers.take(10));
        assert!(buffers.kept().iter().all(|kept| kept.capacity() <= LARGE));
    }
}
