//! Where a copy goes, by scp's rules.

use std::collections::HashSet;

/// Whether an existing folder is an earlier copy of a source folder, and not what the source goes into.
///
/// `scp -r folder y` makes the folder `y`; when it is repeated, it makes `y/folder`. Whoever repeats a copy wants the same again.
/// So a folder that has no entry of the source's name, and holds most of the source's entries, is taken for the copy. With
/// `delete`, where being wrong would cost files, most of its own have to be the source's as well.
pub(super) fn is_earlier_copy(name: &str, source: &HashSet<(String, bool)>, target: &HashSet<(String, bool)>, delete: bool) -> bool {
    let nested = target.contains(&(name.to_owned(), true)) || target.contains(&(name.to_owned(), false));
    if nested || source.is_empty() {
        return source.is_empty() && target.is_empty();
    }
    let common = source.intersection(target).count();
    common > 0 && common * 2 >= source.len() && (!delete || common * 2 >= target.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> HashSet<(String, bool)> {
        names.split_whitespace().map(|name| (name.to_owned(), false)).collect()
    }

    #[test]
    fn a_repeated_copy_is_known() {
        let is = |source: &str, target: &str, delete| is_earlier_copy("folder", &set(source), &set(target), delete);
        assert!(is("a b c", "a b c", true) && is("a b c", "a b", true) && is("a", "a b", true) && is("", "", false));
        assert!(!is("a b c", "x y z", false) && !is("a b c", "", false) && !is("a b", "a b folder", false));
        // A busy folder that happens to hold a file of the same name.
        assert!(is("a", "a p q r s", false) && !is("a", "a p q r s", true));
    }
}
