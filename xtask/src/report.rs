//! What the peer tests report: a line each, printed together after cargo's own output.

use std::fs;
use std::path::{Path, PathBuf};

use crate::steps::{self, Failure, Workspace};

/// The variable with the file to which a peer test appends its line: group, a tab, what happened.
pub(crate) const VARIABLE: &str = "WINRM_TEST_REPORT";

/// An empty report.
pub(crate) fn start(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let file = workspace.peers().join("report.txt");
    fs::create_dir_all(workspace.peers())
        .and_then(|()| fs::write(&file, ""))
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    Ok(file)
}

/// Prints a line for each group of the report, those for what is missing, and the outcome.
pub(crate) fn print(report: &Path, missing: &[String], passed: bool) {
    steps::heading("summary");
    for line in lines(&fs::read_to_string(report).unwrap_or_default()) {
        steps::note(&line);
    }
    for sentence in missing {
        steps::note(sentence);
    }
    steps::note(if passed { "all tests passed" } else { "tests FAILED: see above" });
}

/// The report's lines, sorted by group and aligned.
fn lines(report: &str) -> Vec<String> {
    let mut entries: Vec<(&str, &str)> = report.lines().filter_map(|line| line.split_once('\t')).collect();
    entries.sort_unstable();
    entries
        .into_iter()
        .map(|(group, outcome)| format!("{group:<16} {outcome}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_sorted_and_aligned() {
        let lines = lines("pywinrm\t30 cases passed\nansible\tskipped: no Ansible\nno tab here\n");
        assert_eq!(lines, ["ansible          skipped: no Ansible", "pywinrm          30 cases passed"]);
    }
}
