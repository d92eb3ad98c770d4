//! `winrm access` on embedded services: descriptors shown, granted, revoked, and in effect.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test runs into is its failure, and what the support modules print is its output"
)]

#[expect(dead_code, reason = "the tests with peers use more of it")]
mod support;
#[path = "support/windows_standin.rs"]
#[expect(dead_code, reason = "the tests of setup use more of it")]
mod windows_standin;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::peer;
use support::service::{self, Service, USER};
use tokio::runtime::Runtime;
use windows_standin::WindowsStandin;
use winrm_proto::sddl::SecurityDescriptor;
use winrm_server::{CimCaller, CimClass, CimError, CommandLine, Credentials, Host, HostError, Instance, Process, Server, ShellContext};

#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `winrm access` as the administrator, with these words in front of the target.
fn access(url: &str, password: &Path, words: &[&str]) -> Told {
    told(&["access", words[0]], password, USER, &[&words[1..], &[url]].concat())
}

/// Runs a verb as this user.
fn told(verb: &[&str], password: &Path, user: &str, words: &[&str]) -> Told {
    let output = Command::new(env!("CARGO_BIN_EXE_winrm"))
        .args(verb)
        .args(["--transport", "plaintext", "--user", user, "--connection-password-file"])
        .arg(password)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn the_descriptor_of_an_endpoint_is_shown_and_changed() {
    let folder = service::folder("access-endpoints");
    let Some(windows) = WindowsStandin::new("access, endpoints", &folder) else {
        return;
    };
    let program = windows.program.to_str().unwrap();
    let service = Service::start(&folder, &["--allow-unencrypted", "--pwsh", program]);
    let password = service::password_file(&folder);
    let access = |words: &[&str]| access(&service.url, &password, words);

    let shown = access(&["show", "--on", "endpoints"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(
        shown.out.starts_with(
            "PowerShell's endpoint microsoft.powershell (Enter-PSSession, PSRP)\n  \
             allow  BUILTIN\\Administrators (S-1-5-32-544): full\n  \
             allow  NT AUTHORITY\\INTERACTIVE (S-1-5-4): full\n  \
             allow  BUILTIN\\Remote Management Users (S-1-5-32-580): full\n  \
             audit  Everyone (S-1-1-0): full; when it fails\n  \
             audit  Everyone (S-1-1-0): write, execute; when it succeeds\n  \
             owner  NT AUTHORITY\\NETWORK SERVICE (S-1-5-20)\n\n"
        ),
        "{}",
        shown.out
    );
    let plugins = access(&["show", "--on", "plugins"]);
    assert!(
        plugins.out.starts_with(
            "the plug-in WMI Provider: http://schemas.microsoft.com/wbem/wsman/1/wmi\n  \
             allow  BUILTIN\\Administrators (S-1-5-32-544): full\n"
        ),
        "{}{}",
        plugins.out,
        plugins.err
    );
    let before = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GA;;;RM)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";
    let after = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GA;;;RM)(A;;GX;;;S-1-5-21-1-2-3-1104)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";
    let on = ["--on", "endpoint:Microsoft.PowerShell32", "S-1-5-21-1-2-3-1104"];
    let endpoint = || windows.host()["endpoints"][1]["sddl"].as_str().unwrap().to_owned();

    let tried = access(&[&["grant", "--dry-run"], &on[..]].concat());
    assert_eq!((tried.code, endpoint().as_str()), (Some(0), before), "{}", tried.err);
    assert!(
        tried
            .out
            .contains("would change endpoint:microsoft.powershell32:\n  + allow  S-1-5-21-1-2-3-1104: execute\n"),
        "{}",
        tried.out
    );
    let granted = access(&[&["grant"], &on[..]].concat());
    assert_eq!((granted.code, endpoint().as_str()), (Some(0), after), "{}", granted.err);
    assert!(
        granted.out.contains(&format!("before  {before}\nafter   {after}\n")),
        "{}",
        granted.out
    );
    assert!(
        granted.err.contains("Remote Management Users suffices") && granted.err.contains("Restart-Service WinRM"),
        "{}",
        granted.err
    );
    let again = access(&[&["grant"], &on[..]].concat());
    assert_eq!((again.code, endpoint().as_str()), (Some(0), after));
    assert!(again.out.contains("has it already; nothing changes"), "{}", again.out);
    let revoked = access(&[&["revoke", "--format", "json"], &on[..]].concat());
    assert_eq!((revoked.code, endpoint().as_str()), (Some(0), before), "{}", revoked.err);
    let document: Value = serde_json::from_str(&revoked.out).unwrap();
    assert_eq!(
        (&document["changed"], &document["before"], &document["after"]),
        (&true.into(), &after.into(), &before.into())
    );

    // Administrators are not locked out by accident.
    let lockout = access(&["revoke", "Administrators", "--on", "endpoint:microsoft.powershell"]);
    assert_eq!(lockout.code, Some(1), "{}", lockout.err);
    assert!(
        lockout
            .err
            .contains("take rights on endpoint:microsoft.powershell away from BUILTIN\\Administrators"),
        "{}",
        lockout.err
    );
    let missing = access(&["show", "--on", "endpoint:nobody"]);
    assert_eq!(missing.code, Some(1), "{}", missing.err);
    assert!(
        missing
            .err
            .contains("it has endpoint:microsoft.powershell, endpoint:microsoft.powershell32"),
        "{}",
        missing.err
    );
    // Nothing that a host says steers the terminal.
    windows.change(|host| host["endpoints"][2] = serde_json::json!({"name": "evil\u{1b}[2J", "sddl": "D:(XA;;GA;;;BA;(\u{1b}[31m))"}));
    let steered = access(&["show", "--on", "endpoints"]);
    assert!(
        steered.out.contains("evil\u{fffd}[2J") && !steered.out.contains('\u{1b}'),
        "{}",
        steered.out
    );
    // What can't be read is shown, and left alone.
    windows.change(|host| host["endpoints"][1]["sddl"] = "O:NSG:BAD:P(A;;GA;;;BA)(A;;QQ;;;RM)".into());
    let unreadable = access(&[&["grant"], &on[..]].concat());
    assert_eq!(unreadable.code, Some(2), "{}", unreadable.err);
    assert!(
        unreadable
            .err
            .contains(&format!("  O:NSG:BAD:P(A;;GA;;;BA)(A;;QQ;;;RM)\n{}^\n", " ".repeat(29))),
        "{}",
        unreadable.err
    );
    assert!(unreadable.err.contains("at position 27: expected rights"), "{}", unreadable.err);
    // No right to change it.
    windows.change(|host| host["denied"] = Value::from(vec!["endpoints"]));
    let denied = access(&["show", "--on", "endpoints"]);
    assert_eq!(denied.code, Some(2), "{}", denied.err);
    assert!(
        denied.err.contains("Access is denied") && denied.err.contains("takes an administrator"),
        "{}",
        denied.err
    );
}

#[test]
fn the_provider_is_another_way_to_the_service_s_descriptor() {
    let folder = service::folder("access-provider");
    let Some(windows) = WindowsStandin::new("access, provider", &folder) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/access/root.ps1");
    let ran = windows.run(&[(&script, "-Sddl 'D:P(A;;GA;;;BA)'")]);
    assert_eq!(ran[0].error, None);
    assert_eq!(ran[0].records, [Value::from("D:P(A;;GA;;;BA)")]);
    assert_eq!(ran[0].host["wsman"]["Service\\RootSDDL"], "D:P(A;;GA;;;BA)");
}

/// A group of the test's domain.
struct Groups;

impl CimClass for Groups {
    fn name(&self) -> &str {
        "Win32_Group"
    }

    fn keys(&self) -> &[&str] {
        &["Domain", "Name"]
    }

    async fn instances(&self, _: &CimCaller) -> Result<Vec<Instance>, CimError> {
        Ok(vec![
            Instance::default()
                .with("Domain", "CORP")
                .with("Name", "operators")
                .with("LocalAccount", false)
                .with("SID", OPERATORS),
        ])
    }
}

const OPERATORS: &str = "S-1-5-21-7-8-9-1104";

/// A namespace's descriptor.
struct Security(Arc<Mutex<Vec<u8>>>);

impl CimClass for Security {
    fn name(&self) -> &str {
        "__SystemSecurity"
    }

    fn keys(&self) -> &[&str] {
        &[]
    }

    async fn instances(&self, _: &CimCaller) -> Result<Vec<Instance>, CimError> {
        Ok(vec![Instance::default()])
    }

    async fn invoke(&self, _: &CimCaller, _: Option<&Instance>, method: &str, input: &Instance) -> Result<Instance, CimError> {
        let output = Instance::default();
        match method {
            "GetSD" => {
                let bytes = self.0.lock().unwrap().clone();
                let output = bytes.iter().fold(output, |output, byte| output.with("SD", u32::from(*byte)));
                Ok(output.with("ReturnValue", 0_u32))
            }
            "SetSD" => {
                let bytes = input.all("SD").map(|byte| byte.text()?.parse().ok()).collect::<Option<Vec<u8>>>();
                *self.0.lock().unwrap() = bytes.ok_or(CimError::Parameters)?;
                Ok(output.with("ReturnValue", 0_u32))
            }
            _ => Err(CimError::NoMethod),
        }
    }
}

/// A machine without PowerShell, which is slow to start: what it would say is asked of WMI then.
struct Plain;

impl Host for Plain {
    async fn start(&self, _: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
        match command.joined().split_once(' ') {
            Some(("echo", words)) => Ok(Process::finished(format!("{words}\r\n"), "", 0)),
            _ => Err(HostError::NotFound),
        }
    }
}

/// A service with an administrator, alice, and an operator, bob, who may do nothing yet.
struct Scene {
    url: String,
    folder: PathBuf,
    namespace: Arc<Mutex<Vec<u8>>>,
    _runtime: Runtime,
}

const NAMESPACE: &str = "O:BAG:BAD:(A;CI;CCDCLCSWRPWPRCWD;;;BA)(A;CI;CCDCRP;;;NS)(A;CIID;CC;;;AU)";

impl Scene {
    fn new(test: &str) -> Self {
        let folder = service::folder(test);
        let namespace = NAMESPACE.parse::<SecurityDescriptor>().unwrap().to_bytes(|_| None).unwrap();
        let namespace = Arc::new(Mutex::new(namespace));
        let runtime = Runtime::new().unwrap();
        let builder = Server::builder()
            .listen("127.0.0.1:0".parse().unwrap())
            .user(Credentials::parse(USER, service::PASSWORD).unwrap())
            .user(Credentials::parse("bob", service::PASSWORD).unwrap())
            .operator("bob")
            .allow_unencrypted(true)
            .host(Plain)
            .class(Groups)
            .class(Security(Arc::clone(&namespace)));
        let server = runtime.block_on(builder.bind()).unwrap();
        let url = server.urls().remove(0);
        runtime.spawn(server.serve(std::future::pending()));
        service::password_file(&folder);
        Self {
            url,
            folder,
            namespace,
            _runtime: runtime,
        }
    }

    fn access(&self, words: &[&str]) -> Told {
        access(&self.url, &self.folder.join("password"), words)
    }

    fn root(&self) -> String {
        let shown = self.access(&["show", "--on", "service", "--format", "json"]);
        let document: Value = serde_json::from_str(&shown.out).unwrap_or_else(|_| panic!("{}", shown.err));
        document["descriptors"][0]["sddl"].as_str().unwrap().to_owned()
    }

    /// Runs a command as bob.
    fn bob(&self) -> Told {
        told(
            &["run"],
            &self.folder.join("password"),
            "bob",
            &[&self.url, "--", "echo", "welcome"],
        )
    }

    fn namespace(&self) -> String {
        SecurityDescriptor::from_bytes(&self.namespace.lock().unwrap()).unwrap().to_string()
    }
}

#[test]
fn an_operator_is_let_in_and_shut_out_again() {
    let scene = Scene::new("access-operator");
    let before = scene.root();
    let refused = scene.bob();
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    assert!(refused.err.contains("denied") && refused.err.contains("hint: "), "{}", refused.err);

    let tried = scene.access(&["grant", "bob", "--dry-run"]);
    assert_eq!(tried.code, Some(0), "{}", tried.err);
    assert!(
        tried.out.contains("would change service:\n  + allow  bob (S-1-5-21-"),
        "{}",
        tried.out
    );
    assert_eq!((scene.root(), scene.bob().code), (before.clone(), Some(4)));

    let granted = scene.access(&["grant", "bob"]);
    assert_eq!(granted.code, Some(0), "{}", granted.err);
    assert!(granted.out.contains(": read, execute\n"), "{}", granted.out);
    let let_in = scene.bob();
    assert_eq!((let_in.code, let_in.out.trim_end()), (Some(0), "welcome"), "{}", let_in.err);
    // The other entries are what they were.
    let after = scene.root();
    let place = after.find("(A;;GRGX;;;S-1-5-21-").unwrap();
    let end = place + after[place..].find(')').unwrap() + 1;
    assert_eq!(format!("{}{}", &after[..place], &after[end..]), before);
    let again = scene.access(&["grant", "bob"]);
    assert!(again.out.contains("has it already; nothing changes"), "{}", again.out);
    assert_eq!(scene.root(), after);

    // pypsrp reads what is in force, and what it writes is shown here.
    if let Some(python) = peer::variable("access, pypsrp", "WINRM_TEST_PYTHON") {
        let pypsrp = |sddl: Option<&str>| {
            let mut command = peer::script(python.clone(), "access_pypsrp.py");
            command.args([&scene.url, USER]).arg(scene.folder.join("password")).args(sddl);
            let output = command.output().unwrap();
            let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{err}");
            out.trim_end().to_owned()
        };
        assert_eq!(pypsrp(None), after);
        let wider = after.replace("(A;;GR;;;IU)", "(A;;GXGR;;;IU)");
        assert_eq!(pypsrp(Some(&wider)), wider);
        assert_eq!(scene.root(), wider);
        assert_eq!(pypsrp(Some(&after)), after);
    }

    let lessened = scene.access(&["revoke", "bob", "--rights", "execute"]);
    assert_eq!(lessened.code, Some(0), "{}", lessened.err);
    assert_eq!(scene.bob().code, Some(4));
    let revoked = scene.access(&["revoke", "bob"]);
    assert_eq!((revoked.code, scene.root()), (Some(0), before.clone()), "{}", revoked.err);
    let again = scene.access(&["revoke", "bob"]);
    assert!(
        again.out.contains("no entry of its own that allows it; nothing changes"),
        "{}",
        again.out
    );
}

#[test]
fn nobody_locks_themselves_out_by_accident() {
    let scene = Scene::new("access-lockout");
    let before = scene.root();
    let refused = scene.access(&["revoke", "BUILTIN\\Administrators"]);
    assert_eq!((refused.code, scene.root()), (Some(1), before.clone()), "{}", refused.err);
    assert!(
        refused
            .err
            .contains("this would take rights on service away from BUILTIN\\Administrators"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("hint: --force"), "{}", refused.err);
    // An entry of one's own is known without groups.
    assert_eq!(scene.access(&["grant", USER, "--rights", "full"]).code, Some(0));
    let refused = scene.access(&["revoke", USER]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("away from the account that asks"), "{}", refused.err);
    assert_eq!(scene.access(&["revoke", USER, "--force"]).code, Some(0));
    assert_eq!(scene.root(), before);
    // Where nobody gets a shell, a grant that is about shells says so.
    let password = scene.folder.join("password");
    let set = told(
        &["wsman", "set"],
        &password,
        USER,
        &["winrm/config/winrs", "AllowRemoteShellAccess=false", &scene.url],
    );
    assert_eq!(set.code, Some(0), "{}", set.err);
    let granted = scene.access(&["grant", "Users", "--dry-run"]);
    assert!(granted.err.contains("nobody gets a shell on this host"), "{}", granted.err);
}

#[test]
fn accounts_are_found_by_name_or_identifier() {
    let scene = Scene::new("access-accounts");
    let granted = scene.access(&["grant", "CORP\\operators", "--format", "json"]);
    assert_eq!(granted.code, Some(0), "{}", granted.err);
    let document: Value = serde_json::from_str(&granted.out).unwrap();
    assert_eq!(
        (document["sid"].as_str(), &document["changed"]),
        (Some(OPERATORS), &Value::Bool(true))
    );
    let again = scene.access(&["grant", OPERATORS]);
    assert!(again.out.contains("has it already"), "{}", again.out);
    for (bad, said) in [
        ("CORP\\nobody", "who \"CORP\\\\nobody\" is"),
        ("S-1-5-x", "the account \"S-1-5-x\""),
    ] {
        let unknown = scene.access(&["grant", bad]);
        assert!(matches!(unknown.code, Some(1 | 2)), "{}", unknown.err);
        assert!(
            unknown.err.contains(said) || unknown.err.contains("the host knows no account"),
            "{}",
            unknown.err
        );
    }
    // Who isn't an administrator changes nothing.
    let refused = told(
        &["access", "grant"],
        &scene.folder.join("password"),
        "bob",
        &["Everyone", &scene.url],
    );
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("administrators"), "{}", refused.err);
}

#[test]
fn a_namespace_is_opened_and_shut_again() {
    let scene = Scene::new("access-namespace");
    let shown = scene.access(&["show", "--on", "wmi:root/cimv2"]);
    assert_eq!(
        shown.out,
        "WMI's namespace root/cimv2\n  \
         allow  BUILTIN\\Administrators (S-1-5-32-544): enable account, remote enable, execute methods, full write, partial write, \
         provider write, read security, edit security; and below\n  \
         allow  NT AUTHORITY\\NETWORK SERVICE (S-1-5-20): enable account, execute methods, provider write; and below\n  \
         allow  NT AUTHORITY\\Authenticated Users (S-1-5-11): enable account; inherited, and below\n  \
         owner  BUILTIN\\Administrators (S-1-5-32-544)\n",
        "{}",
        shown.err
    );
    let granted = scene.access(&["grant", OPERATORS, "--on", "wmi:root/cimv2"]);
    assert_eq!(granted.code, Some(0), "{}", granted.err);
    assert!(granted.err.contains("WinRMRemoteWMIUsers__"), "{}", granted.err);
    // In front of what is inherited.
    let after = "(A;;CCDCWP;;;S-1-5-21-7-8-9-1104)(A;CIID;CC;;;AU)";
    assert_eq!(scene.namespace(), NAMESPACE.replace("(A;CIID;CC;;;AU)", after));
    let revoked = scene.access(&["revoke", OPERATORS, "--on", "wmi:root/cimv2"]);
    assert_eq!((revoked.code, scene.namespace().as_str()), (Some(0), NAMESPACE), "{}", revoked.err);
    let inherited = scene.access(&["revoke", "Authenticated Users", "--on", "wmi:root/cimv2"]);
    assert_eq!((inherited.code, scene.namespace().as_str()), (Some(2), NAMESPACE));
    assert!(inherited.err.contains("is inherited"), "{}", inherited.err);
}
