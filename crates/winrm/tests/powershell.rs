//! PowerShell scripts through the library, on the embedded service with a real engine. Without one (`WINRM_PWSH`, or `pwsh` on `PATH`) each test
//! says so and passes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what a test runs into is its failure")]

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm::clixml::Value;
use winrm::{Client, Credentials, Encryption, ErrorKind, Record, Stdio, Transport};
use winrm_server::{LocalHost, Server};

/// A client of a service of this test's own; nothing after a sentence where there is no engine.
async fn client() -> Option<Client> {
    if LocalHost::new().powershell_path().is_none_or(|path| !path.is_file()) {
        println!("left out: no PowerShell, neither by WINRM_PWSH nor on PATH");
        return None;
    }
    let user = Credentials::parse("alice", "secret").unwrap();
    let server = Server::builder()
        .listen("127.0.0.1:0".parse().unwrap())
        .user(user.clone())
        .allow_unencrypted(true)
        .bind()
        .await
        .unwrap();
    let url = server.urls().remove(0);
    tokio::spawn(server.serve(std::future::pending()));
    let builder = Client::builder(&url).credentials(user);
    Some(builder.transport(Transport::Basic).encryption(Encryption::Never).build().unwrap())
}

#[tokio::test]
async fn output_has_typed_records() {
    let Some(client) = client().await else { return };
    let script = "param($Name, [switch] $Loud, $Rest)\n\"$Name $Loud $Rest\"\nWrite-Warning w; Write-Verbose v -Verbose; Write-Information i -Tags t\n\
                  Write-Progress -Activity A -Status s -PercentComplete 30\n/bin/sh -c 'echo native >&2'\nWrite-Error e\nexit 3";
    let mut powershell = client.powershell(script);
    powershell.param("Name", "a 'b' \"c\" $d\n").switch("-Loud").param("-Rest", "-x");
    let output = powershell.output().await.unwrap();
    assert_eq!(output.exit_code, Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a 'b' \"c\" $d\n True -x\r\n");
    assert_eq!(output.warnings().collect::<Vec<_>>(), ["w"]);
    assert_eq!(output.verbose().collect::<Vec<_>>(), ["v"]);
    assert!(output.errors().contains("Write-Error : e\r\n"), "{output:?}");
    let progress: Vec<_> = output
        .progress()
        .map(|progress| (progress.activity.as_str(), progress.status.as_str(), progress.percent))
        .collect();
    assert_eq!(progress, [("A", "s", 30)]);
    let information = output.records.iter().find_map(|record| match record {
        Record::Information(information) => Some((information.message.as_str(), information.tags.as_slice())),
        _ => None,
    });
    assert_eq!(information, Some(("i", &["t".to_owned()][..])));
    assert!(output.records.contains(&Record::Text(b"native\n".to_vec())), "{output:?}");
    // The same description runs again.
    assert_eq!(powershell.output().await.unwrap().exit_code, Some(3));
}

#[tokio::test]
async fn objects_keep_their_types() {
    let Some(client) = client().await else { return };
    let script = "[pscustomobject] @{ A = 1; Nested = @{ B = [DayOfWeek]::Friday } }; 5GB; Write-Warning w; Write-Host h; throw 'late'";
    let objects = client.powershell(script).objects().await.unwrap();
    assert_eq!(objects.exit_code, Some(1));
    assert_eq!(objects.objects.len(), 2, "{objects:?}");
    assert_eq!(objects.objects[0].property("a"), Some(&Value::I32(1)));
    let day = objects.objects[0]
        .property("Nested")
        .and_then(|nested| nested.property("b"))
        .unwrap();
    assert_eq!(day.as_i64(), Some(5), "{day:?}");
    assert_eq!(objects.objects[1], Value::I64(5 << 30));
    assert_eq!(objects.warnings().collect::<Vec<_>>(), ["w"]);
    assert_eq!(String::from_utf8_lossy(&objects.text).trim_end(), "h");
    assert!(objects.errors().contains("late"), "{objects:?}");
}

#[tokio::test]
async fn input_of_every_kind_reaches_scripts_of_any_length() {
    let Some(client) = client().await else { return };
    for filler in [0, 30_000, 500_000] {
        let text = format!("$input | ForEach-Object {{ \"<$_>\" }}\n{}", "#".repeat(filler));
        for stdin in [Stdio::bytes("é\nb\n"), Stdio::reader("é\nb\n".as_bytes())] {
            let output = client.powershell(text.as_str()).stdin(stdin).output().await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "<é>\r\n<b>\r\n", "{filler}");
        }
        let mut child = client.powershell(text.as_str()).stdin(Stdio::piped()).spawn().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all("piped\n".as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        assert_eq!(
            (out.as_str(), child.wait().await.unwrap().code()),
            ("<piped>\r\n", Some(0)),
            "{filler}"
        );
        let output = client.powershell(text.as_str()).output().await.unwrap();
        assert_eq!((output.stdout, output.exit_code), (Vec::new(), Some(0)), "{filler}");
    }
}

#[tokio::test]
async fn a_kept_shell_takes_scripts_too() {
    let Some(client) = client().await else { return };
    let shell = client.shell().env("GREETING", "hello").open().await.unwrap();
    for number in 0..2 {
        let output = shell.powershell(format!("\"$env:GREETING {number}\"")).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("hello {number}\r\n"));
    }
    let refused = shell.powershell("1").env("A", "b").output().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    shell.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before() {
    let Some(client) = client().await else { return };
    for refused in [
        client.powershell("1").engine("a & b").output().await,
        client.powershell("1").execution_policy(Some("Bypass -x")).output().await,
        client.powershell("a\0b").output().await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Configuration);
    }
    let late = client
        .powershell("Start-Sleep 60")
        .timeout(Duration::from_secs(3))
        .output()
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Deadline);
}
