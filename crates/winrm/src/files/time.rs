//! Times of files, in the 100 nanoseconds from 1601 that Windows counts.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// 1601 to 1970.
const EPOCH: i64 = 116_444_736_000_000_000;

const PER_SECOND: i64 = 10_000_000;

/// From seconds since 1970 and nanoseconds. 0, which means none, before 1601.
pub(super) fn from_unix(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(PER_SECOND)
        .saturating_add(nanoseconds / 100)
        .saturating_add(EPOCH)
        .max(0)
}

/// Seconds since 1970 and nanoseconds.
pub(super) fn to_unix(time: i64) -> (i64, i64) {
    let since = time.saturating_sub(EPOCH);
    (since.div_euclid(PER_SECOND), since.rem_euclid(PER_SECOND) * 100)
}

pub(super) fn modified(metadata: &Metadata) -> i64 {
    from_unix(metadata.mtime(), metadata.mtime_nsec())
}

pub(super) fn accessed(metadata: &Metadata) -> i64 {
    from_unix(metadata.atime(), metadata.atime_nsec())
}

/// Whether two times are the same for file systems that may keep whole seconds only, or, as FAT, every other.
pub(super) fn same(one: i64, other: i64) -> bool {
    let apart = one.abs_diff(other);
    let coarse = |unit: i64| (one % unit == 0 || other % unit == 0) && apart < unit.unsigned_abs();
    apart < 10 || coarse(PER_SECOND) || coarse(2 * PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_both_ways() {
        assert_eq!(from_unix(0, 0), EPOCH);
        for (seconds, nanoseconds) in [(1_700_000_000, 123_456_700), (-1, 999_999_900), (0, 0), (253_402_300_799, 0)] {
            assert_eq!(to_unix(from_unix(seconds, nanoseconds)), (seconds, nanoseconds));
        }
        assert_eq!(from_unix(i64::MIN, 0), 0);
    }

    #[test]
    fn coarse_file_systems_keep_the_same_time() {
        let time = from_unix(1_700_000_001, 500_000_000);
        assert!(same(time, time) && same(time, from_unix(1_700_000_001, 0)) && same(time, from_unix(1_700_000_000, 0)));
        assert!(!same(time, from_unix(1_700_000_001, 400_000_000)) && !same(time, from_unix(1_700_000_004, 0)));
        assert!(!same(from_unix(10, 0), from_unix(12, 0)));
    }
}
