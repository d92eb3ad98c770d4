//! Results as people and programs read them.

use std::io::{self, Read, Write};

use anstyle::{AnsiColor, Style};
use winrm_fleet::Verdict;

use super::entry::Entry;
use super::grouped::Grouped;
use super::json;
use super::junit::Junit;
use super::spool::Spool;
use super::summary::Summary;
use crate::args::{ReportFormat, ReportStyle};

/// Takes results one by one and writes them, at once or at the end.
pub(super) trait Report: Send {
    fn host(&mut self, entry: &Entry, out: &mut dyn Write) -> io::Result<()>;

    /// After the last one.
    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let _ = (summary, out);
        Ok(())
    }
}

/// The report that was asked for. `title` names the whole, in formats that have a place for it.
pub(super) fn of(style: &ReportStyle, title: &str, colours: bool) -> io::Result<Box<dyn Report>> {
    Ok(match style.format {
        ReportFormat::Text if style.group_identical => Box::new(Grouped::new(colours)?),
        ReportFormat::Text => Box::new(Text {
            one_line: style.one_line,
            colours,
        }),
        ReportFormat::Jsonl => Box::new(Lines),
        ReportFormat::Json => Box::new(Document(Spool::new()?)),
        ReportFormat::Junit => Box::new(Junit::new(title)?),
    })
}

/// A block or a line for each host.
struct Text {
    one_line: bool,
    colours: bool,
}

impl Report for Text {
    fn host(&mut self, entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
        if entry.verdict == Verdict::NotStarted {
            // The last line counts them.
            return Ok(());
        }
        if self.one_line {
            write_line(entry, self.colours, out)
        } else {
            write_block(&entry.host, entry, self.colours, out)
        }
    }
}

/// A line of JSON for each host.
struct Lines;

impl Report for Lines {
    fn host(&mut self, entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
        entry.write_json(out)?;
        out.write_all(b"\n")
    }
}

/// One JSON document, in the hosts' order.
struct Document(Spool);

impl Report for Document {
    fn host(&mut self, entry: &Entry, _: &mut dyn Write) -> io::Result<()> {
        entry.write_json(self.0.begin(entry.index)?)
    }

    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"hosts\":[")?;
        let mut comma: &[u8] = b"\n";
        for index in self.0.in_order() {
            out.write_all(comma)?;
            comma = b",\n";
            self.0.copy(index, out)?;
        }
        writeln!(out, "\n],\"summary\":{}}}", summary.to_json())
    }
}

fn style(verdict: Verdict, colours: bool) -> Style {
    let colour = match verdict {
        _ if !colours => return Style::new(),
        Verdict::Ok => AnsiColor::Green,
        Verdict::Failed => AnsiColor::Red,
        Verdict::Unreachable => AnsiColor::BrightRed,
        Verdict::Cancelled | Verdict::NotStarted => AnsiColor::Yellow,
    };
    colour.on_default()
}

/// What stands between the hosts' names and their output: `rc=0`, `FAILED | rc=3`, `UNREACHABLE!`, `restarted, rc unknown`.
fn caption(entry: &Entry) -> String {
    let code = entry.shown_code().map(|code| format!("rc={code}"));
    let word = match entry.verdict {
        Verdict::Ok if entry.ping.is_some() => "pong",
        Verdict::Ok if entry.restarted.is_some() => "restarted, rc unknown",
        Verdict::Ok => "",
        Verdict::Failed => "FAILED",
        Verdict::Unreachable => "UNREACHABLE!",
        Verdict::Cancelled => "CANCELLED",
        Verdict::NotStarted => "NOT STARTED",
    };
    match (word, code) {
        ("", Some(code)) => code,
        (word, Some(code)) => format!("{word} | {code}"),
        (word, None) => word.to_owned(),
    }
}

/// `web1 | rc=0 >>`, and what the host wrote.
pub(super) fn write_block(hosts: &str, entry: &Entry, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let style = style(entry.verdict, colours);
    writeln!(out, "{style}{hosts} | {} >>{style:#}", caption(entry))?;
    entry.write_output(out)?;
    copy_lines(&mut entry.stderr.reader()?, out)?;
    if let Some(facts) = ping_facts(entry) {
        writeln!(out, "{facts}")?;
    }
    if let Some(error) = sentence(entry) {
        writeln!(out, "{error}")?;
    }
    if let Some(hint) = &entry.hint {
        writeln!(out, "hint: {hint}")?;
    }
    Ok(())
}

/// `web1 | rc=0 | (stdout) … (stderr) …`, as Ansible's.
fn write_line(entry: &Entry, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let style = style(entry.verdict, colours);
    write!(out, "{style}{} | {}", entry.host, caption(entry))?;
    if let Some(facts) = ping_facts(entry) {
        write!(out, " | {facts}")?;
    } else if entry.error.is_none() || !entry.stdout.is_empty() {
        write!(out, " | (stdout) ")?;
        copy_on_one_line(&mut entry.stdout.reader()?, out)?;
    }
    if !entry.stderr.is_empty() {
        write!(out, " (stderr) ")?;
        copy_on_one_line(&mut entry.stderr.reader()?, out)?;
    }
    if let Some(error) = sentence(entry) {
        write!(out, " | {}", error.replace('\r', "\\r").replace('\n', "\\n"))?;
    }
    writeln!(out, "{style:#}")
}

fn ping_facts(entry: &Entry) -> Option<String> {
    let facts = entry.ping.as_ref()?;
    let text = |name: &str| facts.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let round_trip = facts.get("round_trip_ms").and_then(serde_json::Value::as_f64).unwrap_or_default();
    let mut line = format!("{round_trip:.1} ms");
    if let Some(transport) = &entry.transport {
        line.push_str(&format!(", {transport}"));
    }
    if let Some(user) = &entry.user {
        line.push_str(&format!(" as {user}"));
    }
    Some(format!("{line}, {} {}", text("vendor"), text("version")))
}

/// What went wrong, and what is known of the command.
pub(super) fn sentence(entry: &Entry) -> Option<String> {
    let error = entry.error.as_ref()?;
    Some(match entry.may_have_run {
        Some(winrm::MayHaveRun::Unknown) => format!("{error} (the command may have run)"),
        Some(winrm::MayHaveRun::Yes) => format!("{error} (the command had begun)"),
        _ => error.clone(),
    })
}

/// Copies lines, with the line ends of this side, the last one included.
pub(super) fn copy_lines(source: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    // A carriage return at the end of a piece may belong to the next one's line feed.
    let (mut held, mut last) = (false, b'\n');
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            if held {
                out.write_all(b"\r")?;
                last = b'\r';
            }
            return if last == b'\n' { Ok(()) } else { out.write_all(b"\n") };
        }
        let mut piece = &buffer[..read];
        if held && piece[0] != b'\n' {
            out.write_all(b"\r")?;
        }
        held = piece.last() == Some(&b'\r');
        last = if held { b'\r' } else { piece[read - 1] };
        if held {
            piece = &piece[..read - 1];
        }
        while let Some(at) = piece.windows(2).position(|pair| pair == b"\r\n") {
            out.write_all(&piece[..at])?;
            piece = &piece[at + 1..];
        }
        out.write_all(piece)?;
    }
}

/// Copies text with its line ends written as `\n`, and without the last of them.
fn copy_on_one_line(source: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let (mut held_return, mut held_feeds) = (false, 0_usize);
    json::for_each_text(source, |text| {
        for character in text.chars() {
            match character {
                '\n' => {
                    held_return = false;
                    held_feeds += 1;
                    continue;
                }
                '\r' if !held_return => {
                    held_return = true;
                    continue;
                }
                _ => {}
            }
            for _ in 0..std::mem::take(&mut held_feeds) {
                out.write_all(b"\\n")?;
            }
            if std::mem::take(&mut held_return) {
                out.write_all(b"\\r")?;
            }
            if character == '\r' {
                held_return = true;
                continue;
            }
            out.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        Ok(())
    })?;
    for _ in 1..held_feeds {
        out.write_all(b"\\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn lines_end_as_lines_here_do() {
        for (text, expected) in [
            ("", ""),
            ("a", "a\n"),
            ("a\n", "a\n"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("a\rb\r", "a\rb\r\n"),
            ("\r\r\n", "\r\n"),
            ("\r\n\r\n", "\n\n"),
        ] {
            for slow in [false, true] {
                let mut out = Vec::new();
                let mut source: Box<dyn Read> = if slow {
                    Box::new(Slow(text.as_bytes()))
                } else {
                    Box::new(text.as_bytes())
                };
                copy_lines(&mut source, &mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{text:?} {slow}");
            }
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        for (text, expected) in [
            ("", ""),
            ("a\r\n", "a"),
            ("a\nb\n\n", "a\\nb\\n"),
            ("a\r\n\r\nb", "a\\n\\nb"),
            ("a\rb", "a\\rb"),
        ] {
            let mut out = Vec::new();
            copy_on_one_line(&mut text.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text:?}");
        }
    }
}
