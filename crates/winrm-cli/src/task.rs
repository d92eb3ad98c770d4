//! `winrm task`: commands that were left alone on a host.

use std::process::ExitCode;

use winrm::{Client, TaskInfo, TaskState};

use crate::args::{Format, TaskArguments, TaskTarget, TaskVerb};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::printer;
use crate::signals::Signals;

pub(crate) async fn run(arguments: TaskArguments) -> Result<ExitCode, Failure> {
    let (connection, target) = match &arguments.verb {
        TaskVerb::List { connection, target, .. } => (&**connection, target),
        TaskVerb::Attach(task) | TaskVerb::Stop(task) | TaskVerb::Remove { task, .. } => (&task.connection, &task.target),
    };
    let connected = connection::client(target, connection, true).await?;
    let signals = Signals::new()?;
    let outcome = tokio::select! {
        outcome = work(&connected.client, &arguments.verb) => outcome,
        () = signals.interrupted() => {
            if let TaskVerb::Attach(task) = &arguments.verb {
                printer::note(&format!("winrm: the task goes on; `winrm task stop {} {}` ends it", task.id, task.target));
            }
            Ok(Status::Interrupted.into())
        }
        () = signals.terminated() => Ok(Status::Terminated.into()),
    };
    connected.client.close().await;
    outcome
}

async fn work(client: &Client, verb: &TaskVerb) -> Result<ExitCode, Failure> {
    let tasks = client.tasks();
    match verb {
        TaskVerb::List { format, .. } => list(&tasks.list().await?, *format),
        TaskVerb::Attach(task) => return crate::ps::follow(tasks.attach(&task.id).await?).await,
        TaskVerb::Stop(task) => {
            tasks.stop(&task.id).await?;
            said("stopped", task);
        }
        TaskVerb::Remove { task, force } => {
            tasks.remove(&task.id, *force).await?;
            said("removed", task);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn said(done: &str, task: &TaskTarget) {
    printer::note(&format!("winrm: {done} {} on {}", task.id, task.target));
}

fn list(tasks: &[TaskInfo], format: Format) {
    if format == Format::Json {
        let rows = tasks.iter().map(|task| {
            let (state, exit_code) = match task.state {
                TaskState::Starting => ("starting", None),
                TaskState::Running => ("running", None),
                TaskState::Ended(code) => ("ended", Some(code)),
                _ => ("lost", None),
            };
            serde_json::json!({
                "id": task.id,
                "state": state,
                "exit_code": exit_code,
                "started": task.started,
                "account": task.account,
                "title": task.title,
            })
        });
        printer::line(&serde_json::Value::Array(rows.collect()).to_string());
        return;
    }
    if tasks.is_empty() {
        printer::note("winrm: there are no tasks of ours on this host");
    }
    for task in tasks {
        // A host's words can't move the cursor.
        let clean = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
        printer::line(&format!(
            "{}  {:<22}  {}  {}  {}",
            clean(&task.id),
            task.state.to_string(),
            clean(&task.started),
            clean(&task.account),
            clean(&task.title)
        ));
    }
}
