//! `winrm access`: who may connect, and what they may do.

mod accounts;
mod guard;
mod shown;

use std::process::ExitCode;

use serde_json::json;
use winrm::sddl::{AccessMask, ChangeError, SecurityDescriptor, Trustee};
use winrm::{Client, Resource};

use crate::args::{AccessArguments, AccessChange, AccessShowArguments, AccessVerb, Format, Guarded, Rights};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::printer;

use accounts::{Account, Accounts};
use guard::{Guard, Place};

pub(crate) async fn run(arguments: AccessArguments) -> Result<ExitCode, Failure> {
    match arguments.verb {
        AccessVerb::Show(arguments) => show(*arguments).await,
        AccessVerb::Grant(arguments) => change(&arguments.change, &arguments.rights, Verb::Grant).await,
        AccessVerb::Revoke(arguments) => change(&arguments.change, &arguments.rights, Verb::Revoke).await,
    }
}

async fn show(arguments: AccessShowArguments) -> Result<ExitCode, Failure> {
    let connected = connection::client(&arguments.target, &arguments.connection, true).await?;
    let outcome = show_on(&connected.client, &arguments).await;
    connected.client.close().await;
    outcome
}

async fn show_on(client: &Client, arguments: &AccessShowArguments) -> Result<ExitCode, Failure> {
    let all = [
        Guarded::Service,
        Guarded::Endpoints(None),
        Guarded::Plugins,
        Guarded::Namespace("root/cimv2".to_owned()),
    ];
    let asked = if arguments.on.is_empty() { &all[..] } else { &arguments.on[..] };
    let (mut guards, mut troubles) = (Vec::new(), Vec::new());
    for on in asked {
        match Guard::read(client, on).await {
            Ok(read) => guards.extend(read),
            // What was asked for by name has to be there.
            Err(failure) if !arguments.on.is_empty() || failure.is_unreachable() && guards.is_empty() => return Err(failure),
            Err(failure) => troubles.push(failure.into_parts().0),
        }
    }
    let shells = match asked.contains(&Guarded::Service) {
        true => remote_shells(client).await,
        false => None,
    };
    let descriptors: Vec<&SecurityDescriptor> = guards.iter().map(|guard| &guard.descriptor).collect();
    let accounts = Accounts::ask(client, &descriptors).await;
    match arguments.format {
        Format::Json => {
            let guards: Vec<_> = guards.iter().map(|guard| shown::document(guard, &accounts)).collect();
            printer::line(&json!({"descriptors": guards, "remote_shells": shells, "not_read": troubles}).to_string());
        }
        Format::Text => {
            for (index, guard) in guards.iter().enumerate() {
                if index > 0 {
                    printer::line("");
                }
                shown::text(guard, &accounts);
                if guard.place == Place::Service && shells == Some(false) {
                    printer::line("  but nobody gets a shell: AllowRemoteShellAccess of winrm/config/winrs is false");
                }
            }
            for trouble in &troubles {
                printer::warning(&format!("not shown: {trouble}"));
            }
        }
    }
    Ok(if guards.is_empty() {
        Status::Failed.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the host gives shells at all, if it says so.
async fn remote_shells(client: &Client) -> Option<bool> {
    let resource = Resource::parse("winrm/config/winrs").ok()?;
    let instance = client.wsman().get(&resource).await.ok()?;
    Some(instance.text("AllowRemoteShellAccess")?.eq_ignore_ascii_case("true"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Grant,
    Revoke,
}

async fn change(arguments: &AccessChange, rights: &[Rights], verb: Verb) -> Result<ExitCode, Failure> {
    if arguments.on == Guarded::Plugins {
        return Err(
            Failure::configuration("the descriptors of plug-ins are shown, and not changed from here")
                .hint("membership in Remote Management Users lets an account pass WMI's plug-in"),
        );
    }
    if arguments.on == Guarded::Endpoints(None) {
        return Err(
            Failure::configuration("--on endpoints means all of PowerShell's endpoints, and one is changed at a time")
                .hint("--on endpoint:NAME; winrm access show --on endpoints lists them"),
        );
    }
    let connected = connection::client(&arguments.target, &arguments.connection, true).await?;
    let outcome = change_on(&connected.client, connected.user.as_deref(), arguments, rights, verb).await;
    connected.client.close().await;
    outcome
}

async fn change_on(
    client: &Client,
    user: Option<&str>,
    arguments: &AccessChange,
    rights: &[Rights],
    verb: Verb,
) -> Result<ExitCode, Failure> {
    let mut guards = Guard::read(client, &arguments.on).await?;
    let guard = match guards.pop() {
        Some(guard) if guards.is_empty() => guard,
        _ => return Err(Failure::new(Status::Failed, "the host has no such descriptor")),
    };
    let mut accounts = Accounts::ask(client, &[&guard.descriptor]).await;
    let account = accounts.find(client, &arguments.account).await?;
    if accounts.me.is_empty()
        && let Some(user) = user
        && let Ok(me) = accounts.find(client, user).await
    {
        accounts.me_alone(me.identities);
    }
    let (place, mapping) = (&guard.place, guard.place.mapping());
    let mask = match (rights, verb) {
        ([], Verb::Grant) => place.mask(place.usual()),
        ([], Verb::Revoke) => AccessMask(u32::MAX),
        (rights, _) => place.mask(rights),
    };
    let mut after = guard.descriptor.clone();
    let changed = match verb {
        Verb::Grant => after.grant(&account.identities, mask, &mapping),
        Verb::Revoke => after.revoke(&account.identities, mask, &mapping),
    }
    .map_err(|error| impossible(error, place, &account))?;
    if let (true, Some(source)) = (changed, &guard.set_by) {
        return Err(Failure::new(
            Status::Failed,
            format!(
                "{} is set on the host by {source}, which wins over whatever is changed here",
                place.name()
            ),
        )
        .hint("change it where it is set; gpresult /h report.html on the host tells which policy that is"));
    }
    if changed && !arguments.force {
        refuse_to_lock_out(&guard, &after, &accounts)?;
    }
    let lines = shown::difference(&guard.descriptor, &after, place, &accounts);
    let before_text = guard.descriptor.to_string();
    let mut kept = after.to_string();
    if changed && !arguments.dry_run {
        let written = guard.write(client, &after).await?;
        if written.descriptor == guard.descriptor {
            return Err(Failure::new(
                Status::Failed,
                format!("the host has taken the change of {}, and has kept what it had", place.name()),
            )
            .hint("a group policy may set it: gpresult /h report.html, on the host"));
        }
        kept = written.text.unwrap_or_else(|| written.descriptor.to_string());
    }
    if arguments.format == Format::Json {
        let sids: Vec<String> = account.identities.iter().map(ToString::to_string).collect();
        printer::line(
            &json!({
                "on": place.name(),
                "account": account.name,
                "sid": sids.first(),
                "changed": changed,
                "dry_run": arguments.dry_run,
                "before": before_text,
                "after": kept,
            })
            .to_string(),
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !changed {
        let what = match verb {
            Verb::Grant => "has it already",
            Verb::Revoke => "has no entry of its own that allows it",
        };
        printer::line(&format!("{}: {what}; nothing changes", account.name));
    } else {
        printer::line(&format!(
            "{}{}:",
            if arguments.dry_run { "would change " } else { "changed " },
            place.name()
        ));
        lines.iter().for_each(|line| printer::line(line));
        printer::line(&format!(
            "before  {}\nafter   {}",
            printer::plain(&before_text),
            printer::plain(&kept)
        ));
    }
    advise(place, verb, changed && !arguments.dry_run);
    if (place, verb) == (&Place::Service, Verb::Grant) && remote_shells(client).await == Some(false) {
        printer::warning("nobody gets a shell on this host: AllowRemoteShellAccess of winrm/config/winrs is false");
    }
    Ok(ExitCode::SUCCESS)
}

fn impossible(error: ChangeError, place: &Place, account: &Account) -> Failure {
    let hint = match &error {
        ChangeError::Denied(_) => "take that entry away first, on the host: winrm configsddl default".to_owned(),
        ChangeError::NoList => "give it a list first: grant administrators full".to_owned(),
        _ => "change it where it comes from, or on the host: winrm configsddl default".to_owned(),
    };
    Failure::new(Status::Failed, format!("{} on {} isn't changed", account.name, place.name()))
        .because(error)
        .hint(hint)
}

/// Who would take away their own way in doesn't come back to put it right.
fn refuse_to_lock_out(guard: &Guard, after: &SecurityDescriptor, accounts: &Accounts) -> Result<(), Failure> {
    let mapping = guard.place.mapping();
    let each = [Rights::Read, Rights::Write, Rights::Execute].map(|right| guard.place.mask(&[right]));
    let lost = |identities: &[Trustee]| {
        each.iter()
            .any(|right| guard.descriptor.allows(identities, *right, &mapping) && !after.allows(identities, *right, &mapping))
    };
    // Administrators are who may change it: as one of them we are here, even where the host doesn't say so.
    let administrators = winrm::sddl::Alias::of_letters("BA").map(Trustee::from);
    let who = if lost(&accounts.me) {
        "the account that asks"
    } else if administrators.is_some_and(|group| lost(&[group])) {
        "BUILTIN\\Administrators"
    } else {
        return Ok(());
    };
    Err(
        Failure::configuration(format!("this would take rights on {} away from {who}", guard.place.name()))
            .hint("--force does it all the same; then only the host's own console can undo it"),
    )
}

/// What else is to be known.
fn advise(place: &Place, verb: Verb, done: bool) {
    match (place, verb) {
        (Place::Endpoint(_), Verb::Grant) => printer::note(
            "hint: where nothing but PowerShell's endpoints is needed, membership in Remote Management Users suffices: \
             net localgroup \"Remote Management Users\" ACCOUNT /add; it does not open the command shell of winrm run and winrm ps",
        ),
        (Place::Namespace(_), Verb::Grant) => printer::note(
            "hint: WMI's own plug-in lets members of Remote Management Users in (on older hosts of WinRMRemoteWMIUsers__): \
             the account has to be one of them, or an administrator, to come by WinRM",
        ),
        _ => {}
    }
    if done && matches!(place, Place::Endpoint(_)) {
        printer::note("winrm: endpoints read it when the service is started again: winrm ps HOST -- 'Restart-Service WinRM'");
    }
}
