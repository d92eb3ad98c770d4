//! `winrm ping`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::args::{PingArguments, ReportFormat};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::printer;
use crate::signals::Signals;

pub(crate) async fn run(arguments: PingArguments) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    // Ended this way, nothing of a ticket that was being fetched is left behind.
    tokio::select! {
        outcome = ping(arguments) => outcome,
        () = signals.interrupted() => Ok(Status::Interrupted.into()),
        () = signals.terminated() => Ok(Status::Terminated.into()),
    }
}

async fn ping(arguments: PingArguments) -> Result<ExitCode, Failure> {
    let connected = connection::client(&arguments.target, &arguments.connection, false).await?;
    let (client, user, transport) = (&connected.client, &connected.user, connected.transport);
    let begin = Instant::now();
    let anonymous = client.identify().await?;
    let first = begin.elapsed();
    let proof = match user {
        Some(_) => Some(client.ping().await),
        None => None,
    };
    client.close().await;

    let endpoint = client.endpoint();
    let known = proof.as_ref().and_then(|proof| proof.as_ref().ok());
    // Hosts tell their version only to those who have authenticated.
    let identity = known.map_or(&anonymous, |ping| &ping.identity);
    match arguments.fleet.report.format {
        ReportFormat::Text => {
            printer::marked(
                true,
                "ok",
                &format!("{endpoint} is WinRM, and answered in {} with the connection", milliseconds(first)),
            );
            printer::line(&format!("   product     {} {}", identity.vendor, identity.version));
            printer::line(&format!("   protocol    {}", identity.protocol_version));
            match (&proof, user) {
                (Some(Ok(ping)), Some(user)) => {
                    printer::marked(true, "ok", &format!("{transport} lets {user} in"));
                    printer::line(&format!("   round trip  {}", milliseconds(ping.round_trip)));
                }
                (Some(Err(_)), Some(user)) => printer::marked(false, "no", &format!("{transport} does not let {user} in")),
                _ => printer::line("   no user was given: authentication was not tried"),
            }
        }
        _ => {
            let record = serde_json::json!({
                "endpoint": endpoint.to_string(),
                "vendor": identity.vendor,
                "version": identity.version,
                "protocol_version": identity.protocol_version,
                "connect_ms": first.as_secs_f64() * 1e3,
                "round_trip_ms": known.map(|ping| ping.round_trip.as_secs_f64() * 1e3),
                "user": user,
                "transport": transport.to_string(),
                "authenticated": proof.as_ref().map(Result::is_ok),
            });
            printer::line(&record.to_string());
        }
    }
    match proof {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
