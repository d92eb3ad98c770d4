//! The program `winrm`: commands on Windows hosts from anywhere.

use std::process::ExitCode;

use clap::Parser as _;

mod access;
mod args;
mod bars;
mod cert;
mod client_certificate;
mod completions;
mod connection;
mod copy;
mod demo;
mod doctor;
mod failure;
mod fleet;
mod inventory;
mod ping;
mod printer;
mod proxy;
mod ps;
mod reboot;
mod run;
mod serve;
mod setup;
mod signals;
mod task;
mod tls_hint;
mod wsman;

use args::{Arguments, Verb};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return printer::usage(&error),
    };
    printer::log_to_stderr(arguments.verbose, matches!(arguments.verb, Verb::Serve(_)));
    let outcome = match arguments.verb {
        Verb::Run(arguments) if fleet::is_meant(&arguments.target, &arguments.inventory, &arguments.fleet) => {
            on_all_cores(fleet::run(*arguments))
        }
        Verb::Run(arguments) => on_one_thread(run::run(*arguments)),
        Verb::Ping(arguments) if fleet::is_meant(&arguments.target, &arguments.inventory, &arguments.fleet.beyond_json()) => {
            on_all_cores(fleet::ping(arguments))
        }
        Verb::Put(arguments) => on_one_thread(copy::put(*arguments)),
        Verb::Get(arguments) => on_one_thread(copy::get(*arguments)),
        Verb::Ping(arguments) => on_one_thread(ping::run(arguments)),
        Verb::Wsman(arguments) => on_one_thread(wsman::run(arguments)),
        Verb::Doctor(arguments) => on_all_cores(doctor::run(*arguments)),
        Verb::Report(arguments) => fleet::report(&arguments),
        Verb::Ps(arguments) if fleet::is_meant(&arguments.target, &arguments.inventory, &arguments.fleet) => {
            on_all_cores(fleet::powershell(*arguments))
        }
        Verb::Ps(arguments) => on_one_thread(ps::run(*arguments)),
        Verb::Access(arguments) => on_one_thread(access::run(arguments)),
        Verb::Reboot(arguments) => on_one_thread(reboot::run(*arguments)),
        Verb::Task(arguments) => on_one_thread(task::run(*arguments)),
        Verb::Demo(arguments) => on_all_cores(demo::run(arguments)),
        Verb::Inventory(shown) => inventory::run(&shown, arguments.verbose > 0),
        Verb::Serve(arguments) => on_all_cores(serve::run(*arguments)),
        Verb::Setup(arguments) => on_one_thread(setup::run(*arguments)),
        Verb::Cert(arguments) => on_one_thread(cert::run(arguments)),
        Verb::Completions(arguments) => completions::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// A client talks to one host: one thread costs the least.
fn on_one_thread(verb: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    block_on(tokio::runtime::Builder::new_current_thread(), verb)
}

fn on_all_cores(verb: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    block_on(tokio::runtime::Builder::new_multi_thread(), verb)
}

fn block_on(mut builder: tokio::runtime::Builder, verb: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::configuration("no threads can be started").because(error))?;
    let outcome = runtime.block_on(verb);
    // A thread may still wait for standard input: nobody wants what it would read.
    runtime.shutdown_background();
    outcome
}
