//! Restarts: a host that goes down and comes up again, or doesn't, on one port.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "support/machine.rs"]
#[expect(dead_code, reason = "the program's tests use more of it")]
mod machine;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use machine::Machine;
use winrm::{BootTime, Client, Credentials, Encryption, ErrorKind, RestartEvent, Transport, Waiting};

const FIRST: &str = "2026-05-26T08:51:36.498403+02:00";
const SECOND: &str = "2026-11-27T12:00:00Z";
const THIRD: &str = "2026-11-27T12:05:00Z";

fn client(machine: &Machine) -> Client {
    Client::builder(&machine.url())
        .credentials(Credentials::parse("alice", "secret").unwrap())
        .transport(Transport::Basic)
        .encryption(Encryption::Never)
        .build()
        .unwrap()
}

fn boot(text: &str) -> BootTime {
    BootTime::parse(text).unwrap()
}

/// Long enough for a machine under load, and no longer than it takes where all goes well.
fn patient() -> Waiting {
    Waiting::default()
        .timeout(Duration::from_secs(120))
        .settle(Duration::from_millis(200))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_a_new_boot_time_and_a_command_that_runs() {
    let (mut machine, mut asked) = Machine::new(FIRST);
    let client = client(&machine);
    assert_eq!(client.boot_time().await.unwrap(), boot(FIRST));
    let reboot = client.reboot().message("Patch day & \"more\"").waiting(patient());
    let waiting = tokio::spawn(async move { reboot.wait().await });
    asked.recv().await.unwrap();
    machine.down();
    tokio::time::sleep(Duration::from_millis(500)).await;
    machine.up(SECOND);
    let restarted = waiting.await.unwrap().unwrap();
    assert_eq!(
        (restarted.before, restarted.after, restarted.starts),
        (boot(FIRST), boot(SECOND), 1)
    );
    let commands = machine.commands();
    assert!(commands[0].starts_with("shutdown.exe /r /f /t 2 /d p:0:0 /c "), "{commands:?}");
    assert!(commands[0].contains("Patch day"), "{commands:?}");
    assert!(commands[1].starts_with("exit"), "{commands:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_service_is_no_restarted_host() {
    let (mut machine, _asked) = Machine::new(FIRST);
    let client = client(&machine);
    let before = client.boot_time().await.unwrap();
    machine.down();
    machine.up(FIRST);
    let error = client
        .restarted(before, &patient().timeout(Duration::from_secs(4)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(
        error.to_string(),
        "the host has not restarted within 4 s: it answers, and was started at 2026-05-26 06:51:36Z as before"
    );
    assert!(error.hint().is_some());
    // Where it isn't certain that it restarts, nobody waits as long.
    let error = client
        .restarted(before, &patient().grace(Duration::from_secs(1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().contains("within 1 s"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_comes_back_is_said_to_be_gone() {
    let (mut machine, _asked) = Machine::new(FIRST);
    let client = client(&machine);
    let before = client.boot_time().await.unwrap();
    machine.down();
    let error = client
        .restarted(before, &patient().timeout(Duration::from_secs(3)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.to_string(), "the host has not come back within 3 s");
    assert!(error.hint().unwrap().contains("console"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_goes_down_again_is_waited_for_again() {
    let (mut machine, _asked) = Machine::new(FIRST);
    let client = client(&machine);
    let before = client.boot_time().await.unwrap();
    machine.down();
    machine.up(SECOND);
    let machine = Arc::new(Mutex::new(machine));
    let (events, power) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&machine));
    let seen = Arc::clone(&events);
    let waiting = patient().on_event(move |event| {
        let mut events = seen.lock().unwrap();
        // The first time that it seems to be back it goes down once more.
        if event == RestartEvent::Settling(boot(SECOND)) && !events.contains(&event) {
            let mut machine = power.lock().unwrap();
            machine.down();
            machine.up(THIRD);
        }
        events.push(event);
    });
    let restarted = client.restarted(before, &waiting).await.unwrap();
    assert_eq!((restarted.after, restarted.starts), (boot(THIRD), 2));
    assert!(events.lock().unwrap().contains(&RestartEvent::Settling(boot(THIRD))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_restart_says_which_right_is_missing() {
    let (machine, _asked) = Machine::new(FIRST);
    let client = client(&machine);
    machine.shutdown_answers(5, "Access is denied.(5)\r\n");
    let error = client.reboot().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(
        error.to_string(),
        "the host's shutdown.exe has refused the restart with 5: Access is denied.(5)"
    );
    assert!(error.hint().unwrap().contains("Force shutdown"), "{error:?}");
    machine.shutdown_answers(1190, "A system shutdown has already been scheduled.(1190)\r\n");
    assert!(client.reboot().start().await.unwrap_err().hint().unwrap().contains("shutdown /a"));
    // One that is under way is a restart.
    machine.shutdown_answers(1115, "A system shutdown is in progress.(1115)\r\n");
    assert_eq!(client.reboot().start().await.unwrap(), boot(FIRST));
    let error = client.reboot().message("two\nlines").start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test(flavor = "multi_thread")]
async fn powershell_says_when_a_host_was_started_where_wmi_does_not() {
    let (machine, _asked) = Machine::new(FIRST);
    let client = client(&machine);
    assert_eq!(client.boot_time().await.unwrap(), boot(FIRST));
    assert_eq!(machine.commands(), Vec::<String>::new());
    machine.close_wmi();
    assert_eq!(client.boot_time().await.unwrap(), boot(FIRST));
    assert_eq!(machine.commands(), ["powershell"]);
}
