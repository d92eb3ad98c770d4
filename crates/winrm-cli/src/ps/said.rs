//! What PowerShell says beside its output, for people.

use std::borrow::Cow;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use winrm::Record;
use winrm::clixml::Progress;

use crate::printer::StatusLine;

const ERROR: Style = AnsiColor::Red.on_default();
const NOTICE: Style = AnsiColor::Yellow.on_default();
const BAR: usize = 20;

/// A record as PowerShell shows it.
pub(super) struct Lines<'a> {
    style: Style,
    pub(super) prefix: &'static str,
    /// Without the last line's end.
    pub(super) text: Cow<'a, str>,
}

/// The lines of a record that is shown as such.
pub(super) fn lines(record: &Record) -> Option<Lines<'_>> {
    let (style, prefix, text) = match record {
        Record::Error(text) => (ERROR, "", text),
        Record::Warning(text) => (NOTICE, "WARNING: ", text),
        Record::Verbose(text) => (NOTICE, "VERBOSE: ", text),
        Record::Debug(text) => (NOTICE, "DEBUG: ", text),
        // Of the rest, PowerShell has shown on standard output what is meant to be shown.
        _ => return None,
    };
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    let text = if text.contains("\r\n") {
        text.replace("\r\n", "\n").into()
    } else {
        text.into()
    };
    Some(Lines { style, prefix, text })
}

/// Prints records on standard error as PowerShell does, and progress as a line of its own where a terminal is.
#[derive(Default)]
pub(super) struct Speaker {
    status: StatusLine,
}

impl Speaker {
    pub(super) fn say(&mut self, record: Record) -> io::Result<()> {
        match record {
            Record::Progress(progress) => self.progress(&progress),
            Record::Text(bytes) => {
                self.status.clear();
                let mut stderr = io::stderr().lock();
                stderr.write_all(&bytes)?;
            }
            record => {
                if let Some(Lines { style, prefix, text }) = lines(&record) {
                    self.status.clear();
                    let mut stderr = anstream::stderr().lock();
                    writeln!(stderr, "{style}{prefix}{text}{style:#}")?;
                }
            }
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        if !StatusLine::is_seen() {
            return;
        }
        if progress.completed {
            self.status.clear();
        } else {
            self.status.show(&progress_line(progress));
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.status.clear();
    }
}

fn progress_line(progress: &Progress) -> String {
    // A host may say anything: nothing of it controls the terminal.
    let plain = |text: &str| text.replace(|character: char| character.is_control(), " ");
    let mut line = plain(&progress.activity);
    if let Ok(percent @ 0..=100) = usize::try_from(progress.percent) {
        let done = percent * BAR / 100;
        line.push_str(&format!(" [{}{}] {percent}%", "#".repeat(done), " ".repeat(BAR - done)));
    }
    for text in [Some(&progress.status), progress.current_operation.as_ref()].into_iter().flatten() {
        if !text.trim().is_empty() {
            line.push_str(&format!("  {}", plain(text)));
        }
    }
    if progress.seconds_remaining > 0 {
        line.push_str(&format!("  {} s left", progress.seconds_remaining));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line() {
        let mut progress = Progress::default();
        progress.activity = "Copying\x1b[2J".to_owned();
        progress.status = "3 of 10".to_owned();
        progress.percent = 30;
        progress.seconds_remaining = 5;
        assert_eq!(
            progress_line(&progress),
            "Copying [2J [######              ] 30%  3 of 10  5 s left"
        );
        progress.percent = -1;
        progress.seconds_remaining = -1;
        assert_eq!(progress_line(&progress), "Copying [2J  3 of 10");
    }
}
