//! Commands that run as scheduled tasks, and those that were left alone.

mod tasks;

use crate::error::{Error, ErrorKind};
use crate::launch::Launch;
use crate::powershell;
use crate::run::{self, Plan};
use crate::run_as::RunAs;
use crate::session::new_id;

pub use tasks::{TaskInfo, TaskState, Tasks};

/// What stands in front of the two scripts that are asked for something.
const REQUEST: &str = include_str!("request.ps1");
const LAUNCH: &str = include_str!("launch.ps1");
const BOOTSTRAP: &str = include_str!("bootstrap.ps1");
const RUNNER: &str = include_str!("runner.ps1");
const TASKS: &str = include_str!("tasks.ps1");

/// What is asked of the host's tasks.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// A task for the plan's command.
    Run {
        id: String,
        detached: bool,
        /// How long it may run, in seconds; 0 for ever.
        seconds: f64,
    },
    /// Something about those that were left alone: a verb, an id, and how.
    Ask([String; 3]),
}

/// Twelve hexadecimal digits: enough that no two are the same, few enough to type.
fn fresh_id() -> String {
    new_id().replace('-', "").to_ascii_lowercase()[..12].to_owned()
}

impl Order {
    pub(crate) fn attached() -> Self {
        Self::Run {
            id: fresh_id(),
            detached: false,
            seconds: 0.0,
        }
    }

    /// Puts the script in front of what the plan would start.
    pub(crate) fn launch(self, plan: &mut Plan, account: Option<RunAs>) -> Result<Launch, Error> {
        let mark = Launch::new_mark();
        let (id, detached, seconds) = match self {
            Self::Run { id, detached, seconds } => (id, detached, seconds),
            Self::Ask(fields) => {
                let fields = fields.each_ref().map(String::as_str);
                let script = Launch::script(&[REQUEST, TASKS].concat(), &mark);
                return Launch::new(
                    mark,
                    &script,
                    &fields,
                    "the host's tasks could not be looked after".to_owned(),
                    None,
                );
            }
        };
        // Nobody guesses the pipes' names from the task's.
        let channel = new_id().replace('-', "");
        let (program, arguments) = Launch::program(plan);
        let words = plan
            .request
            .command
            .split(|character: char| character.is_whitespace() || matches!(character, '\\' | '/' | '"'));
        let title: String = words
            .filter(|word| !word.is_empty())
            .take(1)
            .flat_map(str::chars)
            .filter(|character| !character.is_control())
            .take(80)
            .collect();
        let directory = plan.options.0.working_directory.take().unwrap_or_default();
        let runner = powershell::without_comments(RUNNER).replace("CHANNEL", &channel);
        let bootstrap = powershell::literal(&powershell::without_comments(BOOTSTRAP));
        let script = Launch::script(&[REQUEST, LAUNCH].concat(), &mark).replace("'BOOTSTRAP'", &bootstrap);
        let seconds = seconds.to_string();
        let name = account.as_ref().map_or("", RunAs::account);
        let what = match &account {
            Some(account) => format!("the command could not be started by a task of {}", account.account()),
            None => "the command could not be started by a task".to_owned(),
        };
        let sid = account.as_ref().and_then(RunAs::service_sid).unwrap_or_default();
        let password = account.as_ref().and_then(RunAs::password).map_or("", |password| password.expose());
        let variables: Vec<String> = plan
            .options
            .0
            .environment
            .drain(..)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let detached = if detached { "1" } else { "" };
        let mut fields = vec![
            name, sid, password, &id, &channel, detached, &runner, &program, &arguments, &directory, &seconds, &title,
        ];
        fields.extend(variables.iter().map(String::as_str));
        Launch::new(mark, &script, &fields, what, account.clone())
    }
}

/// Starts the plan's command by a task, and leaves it alone.
pub(crate) async fn detach(mut plan: Plan) -> Result<String, Error> {
    let id = fresh_id();
    plan.task = Some(Order::Run {
        id: id.clone(),
        detached: true,
        // Here it is how long the command may run there, and not how long its start may take.
        seconds: plan.timeout.take().map_or(0.0, |timeout| timeout.as_secs_f64()),
    });
    let output = run::output(plan).await?;
    match output.exit_code {
        Some(0) => Ok(id),
        _ => Err(
            Error::new(ErrorKind::RunAs, format!("the task {id} was started, and then its launcher failed"))
                .with_hint("the list of the host's tasks tells whether it runs"),
        ),
    }
}
