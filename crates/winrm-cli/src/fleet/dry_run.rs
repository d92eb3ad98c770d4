//! What would be done where, as whom and by which transport.

use std::process::ExitCode;

use serde_json::json;
use winrm_fleet::{Host, Trouble};

use super::Prepared;
use super::selection::Selection;
use super::summary::hosts;
use super::targets::Targets;
use crate::args::ReportFormat;
use crate::failure::{Failure, Status};
use crate::printer;

/// One way that would be tried.
struct Step {
    endpoint: String,
    user: Option<String>,
    transport: String,
}

pub(super) fn print(targets: &Targets, selection: &Selection, prepared: &Prepared) -> Result<ExitCode, Failure> {
    let title = prepared.title();
    let mut failed = 0;
    let mut records = Vec::new();
    let format = prepared.arguments.report.format;
    if format == ReportFormat::Junit {
        return Err(Failure::configuration("a dry run has no JUnit report").hint("take --format text, json or jsonl"));
    }
    for (_, host) in &selection.hosts {
        let steps = steps(host);
        failed += usize::from(steps.is_err());
        if format == ReportFormat::Text {
            printer::line(&text(host.name(), &steps, &title));
            continue;
        }
        let record = match &steps {
            Ok(steps) => {
                let ways: Vec<_> = steps
                    .iter()
                    .map(|step| json!({ "endpoint": step.endpoint, "user": step.user, "transport": step.transport }))
                    .collect();
                json!({ "host": host.name(), "verb": prepared.verb, "command": prepared.command, "ways": ways })
            }
            Err(trouble) => json!({ "host": host.name(), "error": trouble.to_string(), "hint": trouble.hint() }),
        };
        if format == ReportFormat::Jsonl {
            printer::line(&record.to_string());
        } else {
            records.push(record);
        }
    }
    for warning in targets.warnings.take() {
        printer::warning(&warning);
    }
    if format == ReportFormat::Json {
        printer::line(&json!({ "hosts": records }).to_string());
    }
    printer::note(&format!(
        "dry run: {}, {failed} with settings that can't be used",
        hosts(selection.hosts.len())
    ));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { Status::Failed.into() })
}

fn steps(host: &Host) -> Result<Vec<Step>, Trouble> {
    let mut steps = Vec::new();
    for attempt in host.attempts()? {
        steps.push(Step {
            transport: attempt.transport.to_string(),
            user: attempt.user,
            // Files with certificates are read here, no connection is made.
            endpoint: attempt.client.build()?.endpoint().to_string(),
        });
    }
    Ok(steps)
}

fn text(name: &str, steps: &Result<Vec<Step>, Trouble>, title: &str) -> String {
    match steps {
        Err(trouble) => {
            let hint = trouble.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            format!("{name} | FAILED | {trouble}{hint}")
        }
        Ok(steps) => {
            let transports: Vec<&str> = steps.iter().map(|step| step.transport.as_str()).collect();
            let (endpoint, user) = steps
                .first()
                .map_or(("", None), |step| (step.endpoint.as_str(), step.user.as_deref()));
            format!(
                "{name} | {endpoint} as {} by {} | {title}",
                user.unwrap_or("the owner of the tickets at hand"),
                transports.join(", then "),
            )
        }
    }
}
