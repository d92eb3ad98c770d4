//! How many hosts came to what, and the exit status that follows.

use std::time::Duration;

use serde_json::{Value, json};
use winrm_fleet::Verdict;

use crate::failure::Status;

/// The verdicts in the order in which they are told.
const ORDER: [Verdict; 5] = [
    Verdict::Ok,
    Verdict::Failed,
    Verdict::Unreachable,
    Verdict::Cancelled,
    Verdict::NotStarted,
];

#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    counts: [usize; ORDER.len()],
    elapsed: Duration,
}

impl Summary {
    pub(super) fn took(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    pub(super) fn add(&mut self, verdict: Verdict) {
        *self.slot(verdict) += 1;
    }

    fn slot(&mut self, verdict: Verdict) -> &mut usize {
        let index = ORDER.iter().position(|known| *known == verdict).unwrap_or_default();
        &mut self.counts[index]
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.clone().slot(verdict).to_owned()
    }

    pub(super) fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// As Ansible's: 0, 2 when something failed, 4 when a host was unreachable, whatever else there was. What was given up or never
    /// begun counts as failed.
    pub(super) fn status(&self) -> u8 {
        if self.count(Verdict::Unreachable) > 0 {
            Status::Unreachable as u8
        } else if self.count(Verdict::Ok) < self.total() {
            Status::Failed as u8
        } else {
            0
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "hosts": self.total(),
            "ok": self.count(Verdict::Ok),
            "failed": self.count(Verdict::Failed),
            "unreachable": self.count(Verdict::Unreachable),
            "cancelled": self.count(Verdict::Cancelled),
            "not_started": self.count(Verdict::NotStarted),
            "seconds": (self.elapsed.as_secs_f64() * 1e3).round() / 1e3,
        })
    }

    /// The last line: `3 hosts: 1 ok, 1 failed, 1 unreachable; 2.3 s`.
    pub(super) fn line(&self) -> String {
        let counts: Vec<String> = ORDER
            .iter()
            .map(|verdict| (verdict, self.count(*verdict)))
            .filter(|(verdict, count)| *count > 0 || matches!(verdict, Verdict::Ok | Verdict::Failed | Verdict::Unreachable))
            .map(|(verdict, count)| format!("{count} {verdict}"))
            .collect();
        format!(
            "{}: {}; {:.1} s",
            hosts(self.total()),
            counts.join(", "),
            self.elapsed.as_secs_f64()
        )
    }
}

/// `1 host`, `2 hosts`.
pub(super) fn hosts(count: usize) -> String {
    format!("{count} {}", if count == 1 { "host" } else { "hosts" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_ansibles() {
        use Verdict::{Cancelled, Failed, NotStarted, Ok, Unreachable};
        for (verdicts, status) in [
            (&[][..], 0),
            (&[Ok, Ok], 0),
            (&[Ok, Failed], 2),
            (&[Failed, Unreachable, Ok], 4),
            (&[Unreachable], 4),
            (&[Ok, Cancelled], 2),
            (&[NotStarted], 2),
        ] {
            let mut summary = Summary::default();
            verdicts.iter().for_each(|verdict| summary.add(*verdict));
            assert_eq!(summary.status(), status, "{verdicts:?}");
        }
        let mut summary = Summary::default();
        for verdict in [Ok, Failed, NotStarted] {
            summary.add(verdict);
        }
        assert_eq!(summary.line(), "3 hosts: 1 ok, 1 failed, 0 unreachable, 1 not started; 0.0 s");
    }
}
