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

/// What a coloured word means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Odd,
    Bad,
    Dim,
    Mend,
    Title,
}

/// A line on standard output whose first words are coloured by what they mean.
pub(crate) fn toned(tone: Tone, mark: &str, text: &str) {
    let style = match tone {
        Tone::Good => GREEN,
        Tone::Odd => YELLOW,
        Tone::Bad => RED,
        Tone::Dim => Style::new().dimmed(),
        Tone::Mend => CYAN,
        Tone::Title => Style::new().bold(),
    };
    let gap = if text.is_empty() { "" } else { " " };
    line(&format!("{style}{mark}{style:#}{gap}{text}"));
}

/// What a terminal can't be harmed by, on one line.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\r' | '\n' | '\t' => ' ',
            // Marks that turn a text's direction.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
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

/// Standard output for what hosts have written: byte for byte, without colours of ours. A reader that has gone away is no error:
/// what is written then is dropped.
pub(crate) struct Output {
    stdout: std::io::BufWriter<std::io::Stdout>,
    gone: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            stdout: std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout()),
            gone: false,
        }
    }

    /// Whether colours are wanted there.
    pub(crate) fn has_colours() -> bool {
        anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
    }

    fn unless_gone<T>(&mut self, result: std::io::Result<T>, instead: T) -> std::io::Result<T> {
        match result {
            // A closed pipe, or a terminal that was hung up.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(HUNG_UP) => {
                self.gone = true;
                Ok(instead)
            }
            result => result,
        }
    }
}

/// EIO.
const HUNG_UP: i32 = 5;

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        let result = self.stdout.write(bytes);
        self.unless_gone(result, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let result = self.stdout.flush();
        self.unless_gone(result, ())
    }
}

/// A line on a terminal's standard error that is written over and over. Nothing where there is no terminal.
#[derive(Default)]
pub(crate) struct StatusLine {
    shown: bool,
}

impl StatusLine {
    /// Whether somebody sees it.
    pub(crate) fn is_seen() -> bool {
        use std::io::IsTerminal as _;
        std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
    }

    pub(crate) fn show(&mut self, text: &str) {
        let columns = match rustix::termios::tcgetwinsize(std::io::stderr()) {
            Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
            // Some terminals don't tell.
            _ => 80,
        };
        // A line that wraps could not be taken back.
        let text: String = text.chars().take(columns.max(20) - 1).collect();
        self.write(&format!("\r\x1b[2K{text}"));
        self.shown = true;
    }

    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.write("\r\x1b[2K");
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}
