//! What only those see who were let in: rights, quotas, shells, PowerShell, policies.

use std::time::Duration;

use winrm::{Client, ErrorKind, Instance, Output, Property, Resource};
use winrm_proto::fault::code;

use super::check::{Check, HOST_IDS, Verdict};
use super::examination::Examination;
use super::port::sentence;

/// What PowerShell is asked. One command line, so that hosts where scripts are restricted answer as well.
const SCRIPT: &str = include_str!("host.ps1");

/// How long the host's PowerShell may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn look(examination: &mut Examination) {
    let Some(client) = examination.client.clone() else {
        let cause = examination.in_the_way(&["auth.", "kerberos.", "service.mechanisms", "clock.", "name."]);
        for id in HOST_IDS {
            examination.add(match cause {
                Some(cause) => Check::because(id, cause),
                None => Check::skipped(id, "only those who were let in can see it"),
            });
        }
        return;
    };
    let config = match Resource::parse("winrm/config") {
        Ok(resource) => Some(client.wsman().get(&resource).await),
        Err(_) => None,
    };
    let config = config.as_ref().map(Result::as_ref);
    let check = access(&client, config.and_then(Result::err)).await;
    let may_run = check.verdict == Verdict::Ok;
    examination.add(check);
    if let Some(config) = config {
        examination.add(quotas(config));
    }
    let check = shells(&client, examination.user(), config.and_then(Result::ok)).await;
    examination.add(check);
    let mut facts = Vec::new();
    if may_run {
        let output = powershell(&client).await;
        facts = output.as_ref().map(self::facts).unwrap_or_default();
        examination.add(engine(output, &facts));
    } else {
        examination.add(Check::because("host.powershell", "host.access"));
    }
    examination.add(policy(&facts, config.and_then(Result::ok)));
    let check = match may_run {
        true => delegation(examination, &client).await,
        false => Check::because("host.delegation", "host.access"),
    };
    examination.add(check);
}

/// Whether the ticket that was handed on is there, for what the user does on other hosts.
async fn delegation(examination: &Examination, client: &Client) -> Check {
    const ID: &str = "host.delegation";
    let by_ticket = examination.tickets.is_some() && examination.kerberos.delegates();
    if !by_ticket {
        return Check::skipped(ID, "no ticket is handed on");
    }
    if let Some(cause) = examination.in_the_way(&["kerberos.delegation"]) {
        return Check::because(ID, cause);
    }
    let mut command = client.command("klist");
    command.stdin(winrm::Stdio::null()).timeout(PATIENCE);
    let output = match command.output().await {
        Ok(output) => output,
        Err(error) => return Check::skipped(ID, "the host's klist does not run").evidence(sentence(&error)),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let ticket = said.lines().map(str::trim).find(|line| line.contains("krbtgt/"));
    let printable = |line: &str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    match ticket {
        Some(line) => Check::ok(ID, "the host has the ticket that was handed on: it can act in the user's name")
            .evidence(format!("klist there: {}", printable(line))),
        None if matches!(output.status().code(), Some(127 | 9009)) => Check::skipped(ID, "the host has no klist to ask"),
        None => Check::warning(ID, "the ticket was handed on, and klist on the host shows none")
            .evidence(format!("klist there: {}", printable(said.lines().next().unwrap_or("nothing"))))
            .mend("the host's account may not be trusted for delegation (Set-ADComputer -TrustedForDelegation $true), or a policy refuses forwarded tickets; CredSSP hands the password on"),
    }
}

/// Whether the account may open a shell.
async fn access(client: &Client, config: Option<&winrm::Error>) -> Check {
    const ID: &str = "host.access";
    let error = match client.shell().open().await {
        Ok(shell) => {
            let check = Check::ok(ID, "the account may run commands");
            return match shell.close().await {
                Ok(()) => check,
                Err(error) => check.evidence(format!("the shell of this check could not be removed: {}", sentence(&error))),
            };
        }
        Err(error) => error,
    };
    let number = error.as_fault().and_then(winrm::Fault::number);
    if error.kind() == ErrorKind::Forbidden || number == Some(code::ACCESS_DENIED) {
        let check = Check::problem(ID, "the account is let in, and may not open a shell: access is denied").evidence(sentence(&error));
        let check = match config {
            Some(error) if error.kind() == ErrorKind::Forbidden => {
                check.evidence("it may not read winrm/config either: it is no administrator here, or only half of one")
            }
            Some(_) => check,
            None => {
                check.evidence("it may read winrm/config: an administrator whose right to the shell was taken (AllowRemoteShellAccess)")
            }
        };
        return check.mend(
            "an administrator of the host alone, other than the built-in one, gets a filtered token over the network: \
             LocalAccountTokenFilterPolicy = 1 in HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System, or better a domain \
             account; whoever is no administrator needs Read and Execute in RootSDDL (winrm configSDDL default)",
        );
    }
    if matches!(number, Some(code::TOO_MANY_SHELLS | code::TOO_MANY_OPERATIONS)) {
        return Check::problem(ID, "this user has as many shells or operations as the host allows")
            .evidence(sentence(&error))
            .mend("remove the ones that are left over (see host.shells), or raise MaxShellsPerUser and MaxConcurrentOperationsPerUser");
    }
    let check = Check::problem(ID, error.to_string()).evidence(sentence(&error));
    match error.hint() {
        Some(hint) => check.mend(hint),
        None => check,
    }
}

/// Below these, clients run into them: what Windows 2008 R2 came with, the least of all.
fn quotas(config: Result<&Instance, &winrm::Error>) -> Check {
    const ID: &str = "host.quotas";
    let config = match config {
        Ok(config) => config,
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            return Check::skipped(ID, "hosts show their configuration to administrators only").evidence(sentence(error));
        }
        Err(error) => return Check::skipped(ID, "the host does not tell its configuration").evidence(sentence(error)),
    };
    let number = |section: Option<&str>, name: &str| {
        let section = match section {
            Some(section) => config.instance(section)?,
            None => config,
        };
        section.text(name)?.trim().parse::<u32>().ok()
    };
    let limits: Vec<(&str, Option<u32>, u32, &str)> = [
        (None, "MaxEnvelopeSizekb", 150, "WSMan:\\localhost\\MaxEnvelopeSizekb 500"),
        (
            Some("Winrs"),
            "MaxShellsPerUser",
            5,
            "WSMan:\\localhost\\Shell\\MaxShellsPerUser 30",
        ),
        (
            Some("Winrs"),
            "MaxProcessesPerShell",
            15,
            "WSMan:\\localhost\\Shell\\MaxProcessesPerShell 25",
        ),
        (
            Some("Winrs"),
            "MaxMemoryPerShellMB",
            150,
            "WSMan:\\localhost\\Shell\\MaxMemoryPerShellMB 1024",
        ),
        (
            Some("Winrs"),
            "IdleTimeout",
            60_000,
            "WSMan:\\localhost\\Shell\\IdleTimeout 7200000",
        ),
        (
            Some("Service"),
            "MaxConcurrentOperationsPerUser",
            15,
            "WSMan:\\localhost\\Service\\MaxConcurrentOperationsPerUser 1500",
        ),
        (
            Some("Service"),
            "MaxConnections",
            25,
            "WSMan:\\localhost\\Service\\MaxConnections 300",
        ),
    ]
    .into_iter()
    .map(|(section, name, least, set)| (name, number(section, name), least, set))
    .collect();
    let told: Vec<String> = limits
        .iter()
        .filter_map(|(name, value, ..)| value.map(|value| format!("{name} {value}")))
        .collect();
    let small: Vec<_> = limits
        .iter()
        .filter(|(_, value, least, _)| value.is_some_and(|value| value < *least))
        .collect();
    let mut check = match small.first() {
        None => Check::ok(ID, "the limits leave room"),
        Some((_, _, _, set)) => {
            let names: Vec<String> = small
                .iter()
                .filter_map(|(name, value, ..)| value.map(|value| format!("{name} ({value})")))
                .collect();
            Check::warning(ID, format!("the host allows less than most clients need: {}", names.join(", ")))
                .mend(format!("on the host: Set-Item {set}, and Restart-Service WinRM"))
        }
    };
    if !told.is_empty() {
        check = check.evidence(told.join(", "));
    }
    check
}

/// The shells that this user has open, leftovers of clients that didn't clean up among them.
async fn shells(client: &Client, user: Option<&str>, config: Option<&Instance>) -> Check {
    const ID: &str = "host.shells";
    let Ok(resource) = Resource::parse("shell") else {
        return Check::skipped(ID, "shells can't be listed");
    };
    let items = match client.wsman().enumerate(&resource).collect().await {
        Ok(items) => items,
        Err(error) => return Check::skipped(ID, "the host does not list its shells for this account").evidence(sentence(&error)),
    };
    let name = |text: &str| {
        let plain = text.rsplit('\\').next().unwrap_or(text);
        plain.split('@').next().unwrap_or(plain).to_ascii_lowercase()
    };
    let mine: Vec<&Instance> = items
        .iter()
        .filter_map(|item| item.instance.as_ref())
        .filter(|shell| match (shell.text("Owner"), user) {
            (Some(owner), Some(user)) => name(owner) == name(user),
            _ => true,
        })
        .collect();
    let most = config
        .and_then(|config| config.instance("Winrs")?.text("MaxShellsPerUser")?.trim().parse::<usize>().ok())
        .unwrap_or(usize::MAX);
    let told = mine.iter().take(10).map(|shell| {
        let part = |property: &str, title: &str| shell.text(property).map(|value| format!("{title} {value}"));
        let parts = [
            part("ShellId", "shell"),
            part("ClientIP", "of"),
            part("ShellRunTime", "open for"),
            part("ShellInactivity", "idle for"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let count = mine.len();
    let shells = if count == 1 {
        "one shell".to_owned()
    } else {
        format!("{count} shells")
    };
    let mend = "each goes by itself when its idle timeout is over; at once: winrm wsman delete 'shell?ShellId=…' HOST";
    let mut check = match count {
        0 => Check::ok(ID, "this user has no shell open"),
        _ if count >= most => Check::problem(ID, format!("this user has {shells} open, and the host allows {most}")).mend(mend),
        _ if count * 5 >= most.saturating_mul(4) || count > 20 => {
            Check::warning(ID, format!("this user has {shells} open, of {most} that the host allows")).mend(mend)
        }
        _ => Check::ok(ID, format!("this user has {shells} open")),
    };
    check.evidence = told.collect();
    check
}

async fn powershell(client: &Client) -> Result<Output, winrm::Error> {
    let script = SCRIPT.lines().collect::<Vec<_>>().join(" ");
    let mut command = client.command("powershell");
    command
        .args(["-NoProfile", "-NonInteractive", "-Command"])
        .arg(script)
        .stdin(winrm::Stdio::null())
        .timeout(PATIENCE);
    command.output().await
}

/// `name=value`, a line each.
fn facts(output: &Output) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn fact<'a>(facts: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = facts.iter().find(|(known, _)| known == name)?;
    Some(found.1.as_str()).filter(|value| !value.is_empty())
}

fn engine(output: Result<Output, winrm::Error>, facts: &[(String, String)]) -> Check {
    const ID: &str = "host.powershell";
    let output = match output {
        Ok(output) => output,
        Err(error) => return Check::problem(ID, "PowerShell does not answer").evidence(sentence(&error)),
    };
    let Some(language) = fact(facts, "language") else {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("it said nothing")
            .to_owned();
        let first: String = first.chars().filter(|c| !c.is_control()).take(200).collect();
        let is_missing = matches!(output.status().code(), Some(1 | 127 | 9009)) && first.to_lowercase().contains("powershell");
        let blocked = first.contains("policy") || first.contains("administrator");
        let check = if blocked {
            Check::problem(ID, "the host's policy forbids PowerShell for this account")
                .mend("use an account that may, or have AppLocker's or WDAC's rules changed; `winrm run` does without PowerShell")
        } else if is_missing {
            Check::problem(ID, "the host has no PowerShell")
                .mend("install it (Server Core: Install-WindowsFeature PowerShell, by DISM); `winrm run` and small copies do without it")
        } else {
            Check::problem(ID, "PowerShell does not run").mend("start it on the host by hand, as this account, and look at what it says")
        };
        let code = output
            .status()
            .code()
            .map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
        return check.evidence(format!("{first} ({code})"));
    };
    let version = fact(facts, "version").unwrap_or("of an unknown version");
    let mut evidence = vec![format!("language mode {language}")];
    for (name, title) in [("edition", "edition"), ("execution", "execution policy")] {
        evidence.extend(fact(facts, name).map(|value| format!("{title} {value}")));
    }
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(5);
    let mut check = if language != "FullLanguage" {
        Check::problem(
            ID,
            format!("PowerShell {version} is in {language} mode for this account: most methods and types are forbidden"),
        )
        .mend("use an account that AppLocker or WDAC leaves alone, or have the policy changed; `winrm run` does without PowerShell")
    } else if major < 3 {
        Check::problem(ID, format!("PowerShell {version} is too old: Ansible and `winrm put` need 3.0"))
            .mend("install Windows Management Framework 5.1")
    } else {
        Check::ok(ID, format!("PowerShell {version}, {language}"))
    };
    check.evidence = evidence;
    check
}

/// What group policies have set: by the registry, and by what the configuration says of its own values.
fn policy(facts: &[(String, String)], config: Option<&Instance>) -> Check {
    const ID: &str = "host.policy";
    let has_registry = fact(facts, "policies").is_some();
    if !has_registry && config.is_none() {
        return Check::skipped(ID, "policies are seen by PowerShell, and by those who may read the configuration");
    }
    let mut set: Vec<String> = facts
        .iter()
        .filter(|(name, _)| name == "gpo")
        .map(|(_, value)| value.clone())
        .collect();
    if let Some(config) = config {
        set_by_policy(config, "winrm/config", &mut set);
    }
    let filter = fact(facts, "filter").map(|value| format!("LocalAccountTokenFilterPolicy = {value}"));
    let mut check = if set.is_empty() {
        Check::ok(ID, "no policy wins over the host's own settings of WinRM")
    } else {
        Check::warning(ID, format!("policies win over {} of the host's own settings", set.len()))
            .mend("what these set is changed in the policy (gpresult /h report.html names it), and not on the host")
    };
    if !has_registry {
        check
            .summary
            .push_str(", as far as winrm/config tells: PowerShell has not read the registry");
    }
    check.evidence = set.into_iter().chain(filter).collect();
    check
}

fn set_by_policy(instance: &Instance, path: &str, set: &mut Vec<String>) {
    for (name, property) in &instance.properties {
        let here = format!("{path}/{name}");
        match property {
            Property::Instance(inner) => set_by_policy(inner, &here, set),
            _ if instance.source_of(name).is_some_and(|source| source.eq_ignore_ascii_case("GPO")) => {
                set.push(format!("{here} = {} (Source=GPO)", property.text().unwrap_or_default()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Vec<(String, String)> {
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn policies_are_named() {
        let config = r#"<c:Config xmlns:c="http://schemas.microsoft.com/wbem/wsman/1/config"><c:MaxEnvelopeSizekb>500</c:MaxEnvelopeSizekb>
            <c:Service><c:AllowUnencrypted Source="GPO">false</c:AllowUnencrypted></c:Service></c:Config>"#;
        let config = Instance::parse(config).unwrap();
        let check = policy(
            &of("version=5.1\ngpo=WinRM\\Service\\AllowBasic=0\nfilter=1\npolicies=read"),
            Some(&config),
        );
        assert_eq!(check.verdict, Verdict::Warning);
        let set = [
            "WinRM\\Service\\AllowBasic=0",
            "winrm/config/Service/AllowUnencrypted = false (Source=GPO)",
        ];
        assert_eq!(check.evidence, [&set[..], &["LocalAccountTokenFilterPolicy = 1"]].concat());
        assert_eq!(policy(&of("version=5.1\npolicies=read"), None).verdict, Verdict::Ok);
        assert_eq!(policy(&of("version=5.1"), None).verdict, Verdict::Skipped);
    }

    #[test]
    fn the_script_fits_into_a_command_line_of_cmd() {
        assert!(SCRIPT.len() < 6_000);
        // What cmd or the C runtime would read for itself.
        assert!(!SCRIPT.contains(['"', '%', '^', '&', '<', '>', '!']));
    }
}
