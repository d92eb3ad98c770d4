//! The one place that prints.
//!
//! Colours obey `NO_COLOR`, `CLICOLOR_FORCE` and whether a terminal is there. A reader that has gone away is no error.

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use tracing::level_filters::LevelFilter;

use crate::failure::Status;

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// A line on standard output.
pub(crate) fn line(text: &str) {
    // Only a closed pipe makes this fail, and then nobody reads the complaint either.
    let mut out = anstream::stdout();
    // Whoever waits for the line behind a pipe gets it now.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard output whose first word is coloured: green for what went well, red for what did not.
pub(crate) fn marked(good: bool, mark: &str, text: &str) {
    let style = if good { GREEN } else { RED };
    line(&format!("{style}{mark}{style:#} {text}"));
}

/// A line on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A warning on standard error.
pub(crate) fn warning(text: &str) {
    note(&format!("{YELLOW}warning:{YELLOW:#} {text}"));
}

/// An error on standard error, with what to do about it.
pub(crate) fn error(text: &str, hint: Option<&str>) {
    note(&format!("{RED}error:{RED:#} {text}"));
    if let Some(hint) = hint {
        note(&format!("{CYAN}hint:{CYAN:#} {hint}"));
    }
}

/// What clap has to say: help and version on standard output, errors on standard error with the status of configuration.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        Status::Configuration.into()
    } else {
        ExitCode::SUCCESS
    }
}

/// Sends log records to standard error: warnings, with each `-v` more.
pub(crate) fn log_to_stderr(verbose: u8, service: bool) {
    let level = match verbose + u8::from(service) {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // A second call in one process has nothing to do.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        .with_writer(std::io::stderr)
        .try_init();
}
