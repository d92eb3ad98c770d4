//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one host can have open: the connection that waits for output, one for input and signals, one more for the end, and the
/// temporary files of both streams.
const PER_HOST: u64 = 5;

/// What the process itself may have open.
const OWN: u64 = 64;

/// This process may not open as many files as are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{forks} hosts at once may need {needed} open files, and this process may have {limit}")]
#[non_exhaustive]
pub struct TooFewFiles {
    /// How many hosts were to be worked on at once.
    pub forks: usize,
    /// What they may need.
    pub needed: u64,
    /// The hard limit.
    pub limit: u64,
}

impl TooFewFiles {
    /// How many hosts at once the limit is enough for; one at the least.
    #[must_use]
    pub fn possible_forks(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(OWN) / PER_HOST)
            .unwrap_or(usize::MAX)
            .max(1)
    }
}

pub(super) fn reserve(forks: usize) -> Result<(), TooFewFiles> {
    let needed = OWN + PER_HOST * forks as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is no limit.
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = Rlimit {
        current: Some(needed),
        maximum,
    };
    let limit = maximum.unwrap_or(u64::MAX);
    if limit < needed || setrlimit(Resource::Nofile, wanted).is_err() {
        return Err(TooFewFiles {
            forks,
            needed,
            limit: if limit < needed { limit } else { current.unwrap_or(limit) },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_and_the_hard_one_is_an_error() {
        let hard = getrlimit(Resource::Nofile).maximum;
        reserve(1).unwrap();
        assert!(getrlimit(Resource::Nofile).current.is_none_or(|soft| soft >= OWN + PER_HOST));
        if let Some(limit) = hard {
            let forks = usize::try_from(limit).unwrap();
            let error = reserve(forks).unwrap_err();
            assert_eq!((error.limit, error.forks), (limit, forks));
            reserve(error.possible_forks()).unwrap();
        }
    }
}
