//! Which of the hosts that the target names are worked on: shard and last run.

use std::collections::HashMap;

use winrm_fleet::{Host, Verdict};

use super::record::{self, Records};
use super::summary::hosts;
use super::targets::Targets;
use crate::args::{FleetArguments, ReportFormat, ReportStyle, Rerun};
use crate::failure::Failure;
use crate::printer;

/// The hosts to work on.
pub(super) struct Selection {
    /// Each with its place among those that the target names.
    pub(super) hosts: Vec<(usize, Host)>,
    /// What to say when there is none.
    pub(super) why_empty: String,
}

impl Selection {
    pub(super) fn new(targets: &Targets, arguments: &FleetArguments) -> Result<Self, Failure> {
        let mut chosen: Vec<(usize, Host)> = targets.hosts.iter().cloned().enumerate().collect();
        let mut why_empty = "winrm: no hosts".to_owned();
        if let Some(rerun) = arguments.rerun {
            let file = record::last()?;
            let records = Records::read(std::slice::from_ref(&file))?;
            let verdicts: HashMap<&str, Verdict> = records.entries.iter().map(|entry| (entry.host.as_str(), entry.verdict)).collect();
            chosen.retain(|(_, host)| {
                verdicts.get(host.name()).is_some_and(|verdict| match rerun {
                    Rerun::Failed => *verdict != Verdict::Ok,
                    Rerun::Ok => *verdict == Verdict::Ok,
                    Rerun::All => true,
                })
            });
            why_empty = format!("winrm: nothing to do: the last run ({}) left no such host", file.display());
        }
        if let Some(shard) = arguments.shard {
            if !chosen.is_empty() {
                why_empty = format!("winrm: nothing to do: none of {} belongs to shard {shard}", hosts(chosen.len()));
            }
            chosen.retain(|(_, host)| shard.contains(host.name()));
        }
        Ok(Self { hosts: chosen, why_empty })
    }

    /// Prints the names.
    pub(super) fn list(&self, style: &ReportStyle) {
        let names = || self.hosts.iter().map(|(_, host)| host.name());
        match style.format {
            ReportFormat::Json => printer::line(&serde_json::Value::from_iter(names()).to_string()),
            ReportFormat::Jsonl => names().for_each(|name| printer::line(&serde_json::json!({ "host": name }).to_string())),
            _ => {
                names().for_each(printer::line);
                printer::note(&hosts(self.hosts.len()));
            }
        }
    }
}
