//! JUnit's XML, which CI systems show: each host is a test case.

use std::io::{self, Read, Write};

use winrm_fleet::Verdict;

use super::entry::Entry;
use super::json::for_each_text;
use super::report::{Report, sentence};
use super::spool::Spool;
use super::summary::Summary;

pub(super) struct Junit {
    title: String,
    cases: Spool,
    seconds: f64,
}

impl Junit {
    pub(super) fn new(title: &str) -> io::Result<Self> {
        Ok(Self {
            title: title.to_owned(),
            cases: Spool::new()?,
            seconds: 0.0,
        })
    }
}

impl Report for Junit {
    fn host(&mut self, entry: &Entry, _: &mut dyn Write) -> io::Result<()> {
        let seconds = entry.duration.as_secs_f64();
        self.seconds += seconds;
        let out = self.cases.begin(entry.index)?;
        write!(out, "    <testcase classname=\"winrm\" name=\"")?;
        escape(&mut entry.host.as_bytes(), out)?;
        writeln!(out, "\" time=\"{seconds:.3}\">")?;
        let sentence = sentence(entry).or_else(|| entry.shown_code().map(|code| format!("exit code {code}")));
        let sentence = sentence.unwrap_or_default();
        match entry.verdict {
            Verdict::Ok => {}
            Verdict::Failed => mark(out, "failure", "failed", &sentence, entry.hint.as_deref())?,
            Verdict::Unreachable => mark(out, "error", "unreachable", &sentence, entry.hint.as_deref())?,
            Verdict::Cancelled => mark(out, "error", "cancelled", &sentence, None)?,
            Verdict::NotStarted => writeln!(out, "      <skipped message=\"not started\"/>")?,
        }
        for (name, captured) in [("system-out", &entry.stdout), ("system-err", &entry.stderr)] {
            if !captured.is_empty() {
                write!(out, "      <{name}>")?;
                escape(&mut captured.reader()?, out)?;
                writeln!(out, "</{name}>")?;
            }
        }
        writeln!(out, "    </testcase>")
    }

    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
            summary.total(),
            summary.count(Verdict::Failed),
            summary.count(Verdict::Unreachable) + summary.count(Verdict::Cancelled),
            summary.count(Verdict::NotStarted),
            self.seconds,
        );
        let mut name = Vec::new();
        escape(&mut self.title.as_bytes(), &mut name)?;
        let name = String::from_utf8_lossy(&name);
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            out,
            "<testsuites name=\"winrm\" {}>",
            counts.replace(&format!(" skipped=\"{}\"", summary.count(Verdict::NotStarted)), "")
        )?;
        writeln!(out, "  <testsuite name=\"{name}\" {counts}>")?;
        for index in self.cases.in_order() {
            self.cases.copy(index, out)?;
        }
        writeln!(out, "  </testsuite>\n</testsuites>")
    }
}

fn mark(out: &mut dyn Write, element: &str, kind: &str, message: &str, hint: Option<&str>) -> io::Result<()> {
    write!(out, "      <{element} type=\"{kind}\" message=\"")?;
    escape(&mut message.as_bytes(), out)?;
    write!(out, "\">")?;
    if let Some(hint) = hint {
        write!(out, "hint: ")?;
        escape(&mut hint.as_bytes(), out)?;
    }
    writeln!(out, "</{element}>")
}

/// Writes text for elements and attributes. What XML can't carry becomes U+FFFD.
fn escape(source: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    for_each_text(source, |text| {
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let instead = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\r' => "&#13;",
                '\n' | '\t' => continue,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
                _ => continue,
            };
            out.write_all(&text.as_bytes()[plain..at])?;
            out.write_all(instead.as_bytes())?;
            plain = at + character.len_utf8();
        }
        out.write_all(&text.as_bytes()[plain..])
    })
    .map(drop)
}
