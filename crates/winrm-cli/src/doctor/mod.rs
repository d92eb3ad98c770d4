//! `winrm doctor`: why a host doesn't answer, or doesn't let us in, and what mends it.

mod access;
mod accounts;
mod authentication;
mod check;
mod clock;
mod dns;
mod examination;
mod kdc;
mod kerberos;
mod krb5_conf;
mod name;
mod port;
mod report;
mod service;
mod ticket;
mod tls;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;

use winrm_fleet::Settings;

use crate::args::{DoctorArguments, DoctorFormat};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::fleet::{self, Described};
use crate::printer;
use crate::signals::Signals;

use examination::{Examination, Report, Shared};

pub(crate) async fn run(arguments: DoctorArguments) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    // Ended this way, nothing of a ticket that was being fetched is left behind.
    tokio::select! {
        outcome = examine(arguments) => outcome,
        () = signals.interrupted() => Ok(Status::Interrupted.into()),
        () = signals.terminated() => Ok(Status::Terminated.into()),
    }
}

async fn examine(arguments: DoctorArguments) -> Result<ExitCode, Failure> {
    let shared = Arc::new(Shared::default());
    let format = arguments.format;
    if !fleet::Hosts::are_meant(&arguments.target, &arguments.inventory) {
        let settings = connection::typed(&arguments.target, connection::flags(&arguments.connection)?)?;
        warn(&settings);
        let name = settings.endpoint().host().to_owned();
        let report = Examination::new(name, settings, &shared).with_status().run().await;
        match format {
            DoctorFormat::Text => report::print(&report),
            DoctorFormat::Json | DoctorFormat::Jsonl => printer::line(&report.to_json().to_string()),
        }
        return Ok(report.status().into());
    }
    let described = Described::of(&arguments.target, &arguments.inventory, &arguments.connection)?;
    many(described, arguments.forks, format, &shared).await
}

fn warn(settings: &Settings) {
    for warning in settings.warnings() {
        printer::warning(&warning.to_string());
    }
}

/// Several hosts at once; each is told of when it is done, as text and lines, and in their order as one document.
async fn many(described: Described, forks: u16, format: DoctorFormat, shared: &Arc<Shared>) -> Result<ExitCode, Failure> {
    let described = Arc::new(described);
    let mut waiting: VecDeque<(usize, String)> = described.names().iter().cloned().enumerate().collect();
    if waiting.is_empty() {
        printer::note("winrm: no hosts");
        return Ok(ExitCode::SUCCESS);
    }
    let count = waiting.len();
    let mut running = tokio::task::JoinSet::new();
    let mut reports: Vec<Option<Report>> = (0..count).map(|_| None).collect();
    loop {
        while running.len() < usize::from(forks)
            && let Some((number, name)) = waiting.pop_front()
        {
            let (described, shared) = (Arc::clone(&described), Arc::clone(shared));
            running.spawn(async move { (number, one_of_many(described, name, &shared).await) });
        }
        let Some(next) = running.join_next().await else { break };
        let (number, report) = next.map_err(|error| Failure::new(Status::Failed, "an examination has ended early").because(error))?;
        match format {
            DoctorFormat::Text => {
                report::print(&report);
                printer::line("");
            }
            DoctorFormat::Jsonl => printer::line(&report.to_json().to_string()),
            DoctorFormat::Json => {}
        }
        reports[number] = Some(report);
    }
    let reports: Vec<Report> = reports.into_iter().flatten().collect();
    let having = |status: u8| reports.iter().filter(|report| report.status() == status).count();
    let (problems, unreachable) = (having(Status::Failed as u8), having(Status::Unreachable as u8));
    match format {
        DoctorFormat::Json => {
            let documents = reports.iter().map(Report::to_json).collect();
            printer::line(&serde_json::Value::Array(documents).to_string());
        }
        DoctorFormat::Text => {
            let good = count - problems - unreachable;
            let hosts = if count == 1 { "host" } else { "hosts" };
            printer::line(&format!(
                "{count} {hosts}: {good} ok, {problems} with problems, {unreachable} out of reach"
            ));
        }
        DoctorFormat::Jsonl => {}
    }
    Ok(match (unreachable, problems) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => Status::Failed.into(),
        _ => Status::Unreachable.into(),
    })
}

async fn one_of_many(described: Arc<Described>, name: String, shared: &Shared) -> Report {
    let host = name.clone();
    let resolved = {
        let described = described.clone();
        // Templates and vaults take their time, and may run programs.
        tokio::task::spawn_blocking(move || described.settings(&host)).await
    };
    let settings = match resolved {
        Ok(Ok(settings)) => settings,
        Ok(Err(failure)) => {
            let (message, hint) = failure.into_parts();
            return Report::unusable(name, message, hint);
        }
        Err(error) => return Report::unusable(name, error.to_string(), None),
    };
    Examination::new(name, settings, shared).run().await
}
