//! `winrm report`: records joined into one report.

use std::process::ExitCode;

use super::record::Records;
use super::report;
use super::summary::Summary;
use super::tree::Tree;
use crate::args::ReportArguments;
use crate::failure::Failure;
use crate::printer::{self, Output};

pub(crate) fn run(arguments: &ReportArguments) -> Result<ExitCode, Failure> {
    let records = Records::read(&arguments.files)?;
    let unwritten = |error| Failure::configuration("the report can't be written").because(error);
    let title = records.title.as_deref().unwrap_or("winrm");
    let mut report = report::of(&arguments.style, title, Output::has_colours()).map_err(unwritten)?;
    let tree = arguments.style.tree.as_deref().map(Tree::new).transpose().map_err(unwritten)?;
    let mut out = Output::new();
    let mut summary = Summary::default();
    summary.took(records.elapsed());
    for entry in &records.entries {
        summary.add(entry.verdict);
        report.host(entry, &mut out).map_err(unwritten)?;
        if let Some(tree) = &tree {
            tree.host(entry).map_err(unwritten)?;
        }
    }
    report.end(&summary, &mut out).map_err(unwritten)?;
    std::io::Write::flush(&mut out).map_err(unwritten)?;
    for complaint in &records.complaints {
        printer::warning(complaint);
    }
    printer::note(&summary.line());
    // Who asks for a whole report has to know that it isn't one.
    let incomplete = u8::from(!records.complaints.is_empty()) * crate::failure::Status::Failed as u8;
    Ok(summary.status().max(incomplete).into())
}
