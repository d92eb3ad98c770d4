//! A limit on the rate of bytes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets bytes pass as fast as it is allowed, counted over all streams.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Bytes in a second; `None` for as many as there are.
    rate: Option<u64>,
    /// When what was let through is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self {
            rate,
            paid: Mutex::new(None),
        }
    }

    /// Waits until `bytes` more may pass.
    pub(super) async fn pass(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let until = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let from = paid.map_or_else(Instant::now, |paid| paid.max(Instant::now()));
            let until = from + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            *paid = Some(until);
            until
        };
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_paid_for() {
        let limiter = Limiter::new(Some(1_000));
        let begin = Instant::now();
        for _ in 0..5 {
            limiter.pass(500).await;
        }
        assert_eq!(begin.elapsed().as_millis(), 2_500);
        Limiter::new(None).pass(usize::MAX).await;
        assert_eq!(begin.elapsed().as_millis(), 2_500);
    }
}
