use std::path::Path;

use super::*;
use crate::Vault;

/// Variables of a file, one in each line.
fn variables(values: &[(&str, Value)]) -> Variables {
    let path: std::sync::Arc<Path> = Path::new("hosts.ini").into();
    let variable = |index: usize, value: &Value| Variable {
        value: value.clone(),
        origin: Origin::File {
            path: path.clone(),
            line: index as u32 + 1,
        },
    };
    let entries = values.iter().enumerate();
    entries
        .map(|(index, (name, value))| ((*name).into(), variable(index, value)))
        .collect()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn resolve(values: &[(&str, Value)], flags: &Flags) -> Result<Settings, SettingsError> {
    let templar = Templar::new(variables(values), Vault::new());
    Settings::resolve("web1", &templar, flags, &Variables::new())
}

fn plain(values: &[(&str, Value)]) -> Settings {
    resolve(values, &Flags::new()).unwrap()
}

#[track_caller]
fn refused(values: &[(&str, Value)]) -> (String, String) {
    let error = resolve(values, &Flags::new()).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn bad_values_are_named_with_their_place_and_what_is_valid() {
    assert_eq!(
        refused(&[("ansible_user", text("a")), ("ansible_port", text("abc"))]),
        (
            "ansible_port (hosts.ini:2) is \"abc\"".into(),
            "it has to be a whole number from 1 to 65535".into()
        )
    );
    let (error, hint) = refused(&[("ansible_winrm_transport", text("kerberos, carrier-pigeon"))]);
    assert_eq!(error, "ansible_winrm_transport (hosts.ini:1) is \"kerberos, carrier-pigeon\"");
    assert!(
        hint.contains("basic, plaintext, ssl, certificate, ntlm, negotiate, kerberos, credssp"),
        "{hint}"
    );
    let (error, _) = refused(&[
        ("ansible_winrm_operation_timeout_sec", Value::Int(30)),
        ("ansible_winrm_read_timeout_sec", text("30")),
    ]);
    assert_eq!(
        error,
        "the read timeout (30 s, hosts.ini:2) is not longer than the operation timeout (30 s, hosts.ini:1)"
    );
    for (name, value, hint) in [
        ("ansible_winrm_scheme", text("ftp"), "http or https"),
        ("ansible_winrm_send_cbt", text("maybe"), "true or false"),
        ("ansible_winrm_message_encryption", text("sometimes"), "auto or always or never"),
        ("ansible_winrm_server_cert_validation", text("no"), "validate or ignore"),
        ("ansible_winrm_kinit_mode", text("auto"), "managed or manual"),
        ("ansible_winrm_kinit_args", text("'"), "quote"),
        ("ansible_winrm_read_timeout_sec", Value::Int(0), "above 0"),
        ("ansible_port", Value::List(Vec::new()), "whole number"),
        ("ansible_winrm_transport", text(""), "several are tried"),
        ("ansible_winrm_fingerprint", text("12"), "64 hexadecimal"),
        ("ansible_winrm_tls_min", text("3"), "1.2"),
    ] {
        let (error, told) = refused(&[(name, value)]);
        assert!(
            error.starts_with(name) && error.contains("hosts.ini:1") && told.contains(hint),
            "{error} {told}"
        );
    }
    assert!(refused(&[("ansible_host", text("a b"))]).0.contains("no address"));
    assert!(refused(&[("ansible_host", text("https://web1"))]).0.contains("no address"));
    assert!(refused(&[("ansible_user", text("CORP\\"))]).0.contains("hosts.ini:1"));
    let (error, hint) = refused(&[("ansible_connection", text("ssh"))]);
    assert_eq!(
        error,
        "web1 is reached by ssh and not by WinRM: ansible_connection (hosts.ini:1) says so"
    );
    assert!(hint.contains("--limit '!web1'"), "{hint}");
}

#[test]
fn flags_go_over_variables_and_extra_variables_over_flags() {
    let mut flags = Flags::new();
    flags.set(Key::Port, Value::Int(1), "--port");
    flags.set_text(Key::Path, "/flag", "--path");
    let templar = Templar::new(
        variables(&[
            ("ansible_port", Value::Int(2)),
            ("ansible_winrm_path", text("/var")),
            ("ansible_user", text("u")),
        ]),
        Vault::new(),
    );
    let mut extra = variables(&[("ansible_winrm_path", text("/extra"))]);
    extra.values_mut().for_each(|variable| variable.origin = Origin::Flag("-e"));
    let settings = Settings::resolve("web1", &templar, &flags, &extra).unwrap();
    assert_eq!(settings.endpoint().to_string(), "https://web1:1/extra");
    let path = settings.explain().iter().find(|row| row.setting == "path").unwrap();
    assert_eq!((path.value.as_str(), path.origin.to_string().as_str()), ("/extra", "-e"));
    let lost: Vec<(&str, String)> = path.overridden.iter().map(|lost| (lost.name, lost.origin.to_string())).collect();
    assert_eq!(
        lost,
        [("--path", "--path".to_owned()), ("ansible_winrm_path", "hosts.ini:2".to_owned())]
    );
    // A flag that says how certificates are checked goes over a variable that says they aren't.
    let mut flags = Flags::new();
    flags.set_text(Key::CaTrustPath, "/ca", "--ca");
    let ignore = [("ansible_winrm_server_cert_validation", text("ignore"))];
    let settings = resolve(&ignore, &flags).unwrap();
    assert_eq!(settings.certificates.value, CertificateCheck::Authorities("/ca".into()));
    assert_eq!(plain(&ignore).certificates.value, CertificateCheck::Ignore);
    // connection_timeout goes over the others of its kind, and not over a flag.
    let both = [
        ("ansible_winrm_connection_timeout", Value::Int(50)),
        ("ansible_winrm_read_timeout_sec", Value::Int(7)),
    ];
    let settings = plain(&both);
    assert_eq!((settings.operation_timeout.as_secs(), settings.read_timeout.as_secs()), (50, 60));
    let mut flags = Flags::new();
    flags.set_time(Key::OperationTimeout, Duration::from_secs(5), "--operation-timeout");
    let settings = resolve(&both, &flags).unwrap();
    assert_eq!((settings.operation_timeout.as_secs(), settings.read_timeout.as_secs()), (5, 60));
}

#[test]
fn nothing_goes_in_clear_text_unless_it_is_named() {
    let ways = |values: &[(&str, Value)]| {
        let mut all = vec![
            ("ansible_user", text("u")),
            ("ansible_password", text("p")),
            ("ansible_port", Value::Int(5985)),
        ];
        all.extend_from_slice(values);
        let settings = plain(&all);
        let ways = settings.ways(None, &winrm::Kerberos::new(), false);
        let warnings: Vec<String> = settings.warnings().iter().map(ToString::to_string).collect();
        let transports = ways.map(|ways| ways.iter().map(|way| way.transport.to_string()).collect::<Vec<_>>());
        (transports.map_err(|error| error.to_string()), warnings.join("; "))
    };
    let names = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let transport = |name| [("ansible_winrm_transport", text(name))];
    let never = ("ansible_winrm_message_encryption", text("never"));
    let (refused, _) = ways(&[]);
    assert!(refused.unwrap_err().contains("readable"));
    assert!(ways(&transport("basic")).0.unwrap_err().contains("readable"));
    assert_eq!(
        ways(&[transport("basic")[0].clone(), never.clone()]),
        (names(&["basic"]), String::new())
    );
    let (transports, warning) = ways(&transport("plaintext"));
    assert_eq!(transports, names(&["basic"]));
    assert!(warning.contains("readable on the way"), "{warning}");
    let (transports, warning) = ways(&transport("ntlm,basic"));
    assert_eq!(transports, names(&["ntlm"]));
    assert!(warning.contains("transport basic (hosts.ini:4) is left out"), "{warning}");
    let always = ("ansible_winrm_message_encryption", text("always"));
    let both = ways(&[transport("plaintext")[0].clone(), always]);
    assert!(both.0.unwrap_err().contains("can't encrypt"));
}

#[test]
fn slips_and_old_names_are_told() {
    let settings = plain(&[
        ("ansible_ssh_user", text("old")),
        ("ansible_winrm_transprot", text("ntlm")),
        ("ansible_winrm_zzzzzzzzzzzz", text("x")),
        ("ansible_psrp_foo", text("x")),
        ("ansible_shell_type", text("powershell")),
    ]);
    assert_eq!(settings.user().unwrap().value, "old");
    let told: Vec<String> = settings.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "ansible_ssh_user (hosts.ini:1) is an old name: write ansible_user",
            "ansible_winrm_transprot (hosts.ini:2) is unknown; is ansible_winrm_transport meant?",
            "ansible_winrm_zzzzzzzzzzzz (hosts.ini:3) is unknown",
        ]
    );
}

#[test]
fn secrets_are_hidden_wherever_settings_are_shown() {
    let settings = plain(&[
        ("ansible_user", text("u")),
        ("ansible_password", text("hunter2")),
        ("ansible_winrm_password", text("hunter3")),
        ("ansible_winrm_proxy", text("http://me:hunter4@proxy:3128")),
    ]);
    assert_eq!(settings.password().unwrap().value.expose(), "hunter3");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    let proxy = settings.explain().iter().find(|row| row.setting == "proxy").unwrap();
    assert_eq!(proxy.value, "http://me:(hidden)@proxy:3128");
    let (error, _) = refused(&[
        ("ansible_password", text("x")),
        ("ansible_winrm_proxy", text("socks5://a:hunter5@b")),
    ]);
    assert!(!error.contains("hunter"), "{error}");
}

#[test]
fn the_defaults_are_ansibles_or_the_programs() {
    let methods = |values: &[(&str, Value)]| plain(values).methods().value.clone();
    let user = |name| ("ansible_user", text(name));
    let http = ("ansible_port", Value::Int(5985));
    assert_eq!(methods(&[user("a")]), [Method::Ssl]);
    assert_eq!(methods(&[user("a"), http.clone()]), [Method::Basic]);
    assert_eq!(methods(&[user("a@R"), http.clone()]), [Method::Kerberos]);
    let realm = ("ansible_winrm_realm", text("R"));
    assert_eq!(methods(&[user("a"), realm]), [Method::Kerberos, Method::Ssl]);
    let psrp = ("ansible_connection", text("ansible.builtin.psrp"));
    assert_eq!(methods(&[user("a"), psrp]), [Method::Negotiate]);
    let address = |values: &[(&str, Value)], flags: &Flags| resolve(values, flags).unwrap().endpoint().to_string();
    let none = Flags::new();
    assert_eq!(address(&[], &none), "https://web1:5986/wsman");
    assert_eq!(address(&[http], &none), "http://web1:5985/wsman");
    assert_eq!(address(&[("ansible_winrm_scheme", text("http"))], &none), "http://web1:5986/wsman");
    assert_eq!(
        address(&[("ansible_host", text("fe80::1%eth0"))], &none),
        "https://[fe80::1%25eth0]:5986/wsman"
    );
    let mut flags = Flags::new().with_defaults(Defaults::Program);
    flags.set_text(Key::Scheme, "http", "--scheme");
    assert_eq!(address(&[], &flags), "http://web1:5985/wsman");
    assert_eq!(resolve(&[user("a@R")], &flags).unwrap().methods().value, [Method::Negotiate]);
}
