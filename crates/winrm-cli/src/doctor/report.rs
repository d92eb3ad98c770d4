//! What was found, as people read it.

use super::check::{AREAS, Check, Verdict};
use super::examination::Report;
use crate::printer::{self, Tone};

impl Verdict {
    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warning => Tone::Odd,
            Self::Problem => Tone::Bad,
            Self::Skipped => Tone::Dim,
        }
    }
}

pub(super) fn print(report: &Report) {
    let mut whom = report.name.clone();
    if let Some(endpoint) = &report.endpoint {
        whom.push_str(&format!(": {endpoint}"));
    }
    if let Some(user) = &report.user {
        whom.push_str(&format!(", as {user}"));
    }
    if !report.transports.is_empty() {
        whom.push_str(&format!(", by {}", report.transports.join(", ")));
    }
    printer::toned(Tone::Title, &whom, "");
    for (area, title) in AREAS {
        let checks: Vec<&Check> = report.checks.iter().filter(|check| check.area() == area).collect();
        if checks.is_empty() {
            continue;
        }
        printer::line("");
        printer::toned(Tone::Title, title, "");
        print_area(&checks);
    }
    printer::line("");
    match report.cause() {
        Some(cause) => {
            printer::toned(Tone::Bad, "cause:", &format!("{} ({})", cause.summary, cause.id));
            if let Some(mend) = &cause.mend {
                printer::toned(Tone::Mend, "mend:", mend);
            }
        }
        None if report.let_in == Some(true) => printer::toned(Tone::Good, "ok", &format!("{} is in order", report.name)),
        None => printer::toned(Tone::Good, "ok", "nothing is wrong with what could be looked at"),
    }
    let count = |verdict: Verdict, several: &str| match report.count(verdict) {
        1 => format!("1 {}", verdict.name()),
        count => format!("{count} {several}"),
    };
    printer::line(
        &[
            count(Verdict::Ok, "ok"),
            count(Verdict::Warning, "warnings"),
            count(Verdict::Problem, "problems"),
            count(Verdict::Skipped, "skipped"),
        ]
        .join(", "),
    );
}

fn print_area(checks: &[&Check]) {
    let mut checks = checks.iter().peekable();
    while let Some(check) = checks.next() {
        let mut ids = check.id.to_owned();
        if check.verdict == Verdict::Skipped && check.evidence.is_empty() {
            // One line for all that have the same reason.
            while let Some(next) =
                checks.next_if(|next| next.verdict == Verdict::Skipped && next.summary == check.summary && next.evidence.is_empty())
            {
                ids.push_str(", ");
                ids.push_str(next.id);
            }
        }
        let summary = &check.summary;
        let name = check.verdict.name();
        // Behind the widest of the verdicts.
        let room = " ".repeat(7 - name.len());
        printer::toned(check.verdict.tone(), &format!("  {name}"), &format!("{room} {summary} ({ids})"));
        for line in &check.evidence {
            printer::line(&format!("            {line}"));
        }
        if let Some(mend) = &check.mend {
            printer::toned(Tone::Mend, "            mend:", mend);
        }
    }
}
