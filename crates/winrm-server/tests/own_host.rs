//! A test's own host behind the shells.

mod wire;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use winrm_server::{CommandLine, Host, HostError, Process, ShellContext};
use wire::{CREATE, builder, envelope, start};

struct Stage;

impl Host for Stage {
    async fn start(&self, shell: &ShellContext, line: CommandLine) -> Result<Process, HostError> {
        match line.command.as_str() {
            "context" => {
                let told = format!(
                    "{} {:?} {:?} {:?}",
                    shell.user, shell.environment, shell.working_directory, shell.codepage
                );
                Ok(Process::finished(told, "warning", u32::MAX))
            }
            "shout" => Ok(Process::from_fn(|mut stdin, mut stdout, _stderr| async move {
                let mut text = String::new();
                let read = stdin.read_to_string(&mut text).await;
                let written = stdout.write_all(text.to_uppercase().as_bytes()).await;
                u32::from(read.is_err() || written.is_err())
            })),
            "much" => Ok(Process::finished(vec![b'x'; 3_000_000], "", 0)),
            "forever" => Ok(Process::from_fn(|_stdin, _stdout, _stderr| std::future::pending())),
            "broken" => Ok(Process::from_fn(|_stdin, _stdout, _stderr| async {
                panic!("a fault of the host's author")
            })),
            _ => Err(HostError::Refused {
                code: 1_326,
                message: "not today".to_owned(),
            }),
        }
    }
}

#[tokio::test]
async fn a_host_sees_the_shell_and_decides_everything() {
    let service = start(builder().host(Stage)).await;
    let mut wire = service.connect().await;
    let options = r#"<w:OptionSet><w:Option Name="WINRS_CODEPAGE">65001</w:Option></w:OptionSet>"#;
    let body = concat!(
        r#"<rsp:Shell><rsp:Environment><rsp:Variable Name="A">b</rsp:Variable></rsp:Environment>"#,
        r"<rsp:WorkingDirectory>C:\dir</rsp:WorkingDirectory></rsp:Shell>"
    );
    let shell = wire.post(&envelope(CREATE, options, body)).await.text("rsp:ShellId").to_owned();
    let told = r#"alice [("A", "b")] Some("C:\\dir") Some(65001)"#;
    assert_eq!(wire.run(&shell, "context").await, (told.into(), "warning".into(), u32::MAX));
    assert_eq!(wire.run(&shell, "much").await.0.len(), 3_000_000);

    let command = wire.command(&shell, "shout").await;
    wire.stdin(&shell, &command, b"hear ", false, "PT20S").await;
    wire.stdin(&shell, &command, b"me", true, "PT20S").await;
    assert_eq!(wire.finish(&shell, &command).await.0, b"HEAR ME");

    let command = wire.command(&shell, "forever").await;
    wire.signal(&shell, &command, "ctrl_c").await;
    assert_eq!(
        wire.finish(&shell, &command).await.2,
        0xC000_013A,
        "what Windows gives after Ctrl-C"
    );
    // A host's own panic is its command's alone.
    assert_eq!(wire.run(&shell, "broken").await.2, 0xC000_013A);

    assert_eq!(wire.try_command(&shell, "else").await.fault(1_326, "w:InternalError"), "not today");
}
