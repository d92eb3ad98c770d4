//! The commands that were left alone as tasks on a host.

use std::fmt;

use super::Order;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::powershell::PowerShellChild;
use crate::run;
use crate::stdio::Source;

/// The commands that [`Command::detach`](crate::Command::detach) has left alone on a host.
#[derive(Clone, Debug)]
pub struct Tasks {
    client: Client,
}

/// A command that was left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id.
    pub id: String,
    /// As whom it runs.
    pub account: String,
    /// When it was started, in UTC: `2026-11-27T13:30:00Z`.
    pub started: String,
    /// What runs: the first word of the command alone, since people put secrets into the others.
    pub title: String,
    /// How it stands.
    pub state: TaskState,
}

/// How a command that was left alone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It has ended, with this exit code, unsigned as Windows has it.
    Ended(u32),
    /// It is gone, and nobody knows how it ended: the host was restarted, or its process was killed.
    Lost,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.pad("starting"),
            Self::Running => f.pad("running"),
            Self::Ended(code) => f.pad(&format!("ended, exit code {code}")),
            Self::Lost => f.pad("lost"),
        }
    }
}

impl Client {
    /// The commands that were left alone as tasks on the host. They are there until somebody removes them. Only administrators see them.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks { client: self.clone() }
    }
}

impl Tasks {
    fn plan(&self, verb: &str, id: &str, how: &str) -> Result<run::Plan, Error> {
        if !id.chars().all(|character| character.is_ascii_hexdigit()) {
            let message = format!("{id:?} is no id of a task: those are hexadecimal digits");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let mut plan = self.client.command("").plan_with(Source::Null)?;
        plan.task = Some(Order::Ask([verb, &id.to_ascii_lowercase(), how].map(str::to_owned)));
        Ok(plan)
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// Whatever keeps the host from telling.
    pub async fn list(&self) -> Result<Vec<TaskInfo>, Error> {
        let output = run::output(self.plan("list", "", "")?).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut tasks: Vec<TaskInfo> = text.lines().filter_map(TaskInfo::read).collect();
        tasks.sort_by(|one, other| (&one.started, &one.id).cmp(&(&other.started, &other.id)));
        Ok(tasks)
    }

    /// Follows one: its output from the beginning, and its exit code at the end. What is dropped here goes on there.
    ///
    /// # Errors
    /// When there is none of this id, and whatever keeps the host from telling.
    pub async fn attach(&self, id: &str) -> Result<PowerShellChild, Error> {
        run::spawn(self.plan("attach", id, "")?).await.map(PowerShellChild::from)
    }

    /// Ends one, and everything that it has started. That it has ended already is no error.
    ///
    /// # Errors
    /// When there is none of this id, and whatever keeps the host from doing it.
    pub async fn stop(&self, id: &str) -> Result<(), Error> {
        run::output(self.plan("stop", id, "")?).await.map(drop)
    }

    /// Removes one, with its output. `force` ends it first where it still runs.
    ///
    /// # Errors
    /// When there is none of this id, or it still runs, and whatever keeps the host from doing it.
    pub async fn remove(&self, id: &str, force: bool) -> Result<(), Error> {
        run::output(self.plan("remove", id, if force { "force" } else { "" })?)
            .await
            .map(drop)
    }
}

impl TaskInfo {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(5, '\t');
        let (id, state) = (fields.next()?, fields.next()?);
        let (word, code) = state.split_once(' ')?;
        Some(Self {
            id: id.to_owned(),
            state: match word {
                "starting" => TaskState::Starting,
                "running" => TaskState::Running,
                // .NET's numbers are signed.
                "ended" => TaskState::Ended(code.parse::<i64>().ok()? as u32),
                _ => TaskState::Lost,
            },
            account: fields.next().unwrap_or_default().to_owned(),
            started: fields.next().unwrap_or_default().to_owned(),
            title: fields.next().unwrap_or_default().trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_task() {
        let task = TaskInfo::read("0123ab\tended -1073741510\tCORP\\alice\t2026-11-27T13:30:00Z\tbuild.cmd\r").unwrap();
        assert_eq!((task.id.as_str(), task.state), ("0123ab", TaskState::Ended(0xC000_013A)));
        assert_eq!((task.account.as_str(), task.title.as_str()), ("CORP\\alice", "build.cmd"));
        assert_eq!(TaskInfo::read("x\tlost 0").unwrap().state, TaskState::Lost);
        assert_eq!(TaskInfo::read("no task"), None);
    }
}
