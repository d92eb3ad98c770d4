//! Downloads from a host whose agent lies.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use winrm::{Client, CopySummary, Credentials, Encryption, Error, ErrorKind, Transport};
use winrm_proto::copy::{Answer, Decoder, Entry, EntryKind, Mode, Request};
use winrm_server::{CommandLine, Host, HostError, Process, Server, ShellContext};

/// What the agent answers to a request.
type Script = Arc<dyn Fn(&Request) -> Vec<Answer> + Send + Sync>;

struct Liar(Script);

impl Host for Liar {
    async fn start(&self, _: &ShellContext, _: CommandLine) -> Result<Process, HostError> {
        let script = Arc::clone(&self.0);
        Ok(Process::from_fn(move |stdin, stdout, _stderr| async move {
            // The client may leave in the middle.
            let _ = lie(stdin, stdout, script).await;
            0
        }))
    }
}

async fn lie(mut stdin: DuplexStream, mut stdout: DuplexStream, script: Script) -> std::io::Result<()> {
    let mut held = Vec::new();
    while !held.ends_with(b" END\n") {
        if stdin.read_buf(&mut held).await? == 0 {
            return Ok(());
        }
    }
    let mut greeting = b"\nwinrm-agent 1 raw posix 5.1\nPROBE ".to_vec();
    greeting.extend(0..=u8::MAX);
    greeting.extend_from_slice(b" END\n");
    stdout.write_all(&greeting).await?;
    let mut mode = [0; 2];
    stdin.read_exact(&mut mode).await?;
    assert_eq!(&mode, b"R\n");
    let mut decoder = Decoder::new(Mode::Raw);
    let mut buffer = vec![0; 65_536];
    loop {
        let read = stdin.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..read]);
        while let Some((kind, payload)) = decoder.frame().unwrap() {
            let request = Request::read(kind, payload).unwrap();
            if request == Request::Stop {
                return Ok(());
            }
            for answer in script(&request) {
                stdout.write_all(&answer.write()).await?;
            }
        }
    }
}

fn entry(name: &str, kind: EntryKind, size: u64) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        size,
        modified: 0,
        attributes: 0,
    }
}

/// Copies the folder `/evil` of a host that answers so into a folder of its own, beside which nothing may appear.
async fn download(
    script: impl Fn(&Request) -> Vec<Answer> + Send + Sync + 'static,
    prepare: impl FnOnce(&Path),
) -> (Result<CopySummary, Error>, Vec<String>) {
    let server = Server::builder()
        .user(Credentials::parse("alice", "secret").unwrap())
        .allow_unencrypted(true)
        .listen("127.0.0.1:0".parse().unwrap())
        .host(Liar(Arc::new(script)))
        .bind()
        .await
        .unwrap();
    let client = Client::builder(&server.urls()[0])
        .credentials(Credentials::parse("alice", "secret").unwrap())
        .transport(Transport::Basic)
        .encryption(Encryption::Never)
        .build()
        .unwrap();
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a/b/target");
    fs::create_dir_all(&target).unwrap();
    prepare(&target);
    let outcome = client.download("/evil", target.join("")).await;
    client.close().await;
    let mut found = Vec::new();
    let mut waiting = vec![folder.path().to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    (outcome, found)
}

/// A folder with these entries, each file of which is `x`.
fn folder(entries: Vec<Entry>) -> impl Fn(&Request) -> Vec<Answer> + Send + Sync + 'static {
    move |request| match request {
        Request::Resolve { id, .. } => vec![Answer::Resolved {
            id: *id,
            path: "/evil".to_owned(),
            entry: entry("", EntryKind::Folder, 0),
        }],
        Request::List { id, .. } => vec![
            Answer::Entries {
                id: *id,
                entries: entries.clone(),
            },
            Answer::Done { id: *id },
        ],
        Request::Fetch { id, .. } => file(*id, 1, vec![Answer::Data(Bytes::from_static(b"x"))], openssl::sha::sha256(b"x")),
        _ => Vec::new(),
    }
}

fn file(id: u32, size: u64, data: Vec<Answer>, sha256: [u8; 32]) -> Vec<Answer> {
    let head = Answer::File {
        id,
        size,
        start: 0,
        modified: 0,
        attributes: 0,
    };
    std::iter::once(head).chain(data).chain([Answer::FileEnd { id, sha256 }]).collect()
}

#[tokio::test]
async fn names_never_lead_out_of_the_target() {
    let bad = [
        "../up",
        "a/../../up",
        "/etc/abs",
        "C:drive",
        r"..\back",
        r"a\b",
        "",
        ".",
        "..",
        "a//b",
        "a/./b",
    ];
    let mut entries: Vec<Entry> = bad.iter().map(|name| entry(name, EntryKind::File, 1)).collect();
    entries.push(entry("../made", EntryKind::Folder, 0));
    entries.push(entry("good", EntryKind::File, 1));
    let (outcome, found) = download(folder(entries), |_| {}).await;
    let summary = outcome.unwrap();
    assert_eq!((summary.copied, summary.failed), (1, 12));
    assert_eq!(found, ["a/b/target/evil/good"]);
}

#[tokio::test]
async fn links_in_the_target_are_not_followed() {
    let entries = vec![entry("sub", EntryKind::Folder, 0), entry("sub/file", EntryKind::File, 1)];
    let (outcome, found) = download(folder(entries), |target| {
        fs::create_dir_all(target.join("evil")).unwrap();
        std::os::unix::fs::symlink(target.parent().unwrap(), target.join("evil/sub")).unwrap();
    })
    .await;
    assert!(outcome.unwrap().failed > 0);
    assert_eq!(found, ["a/b/target/evil/sub"]);
}

/// One file whose transfer is this.
fn one_file(answers: impl Fn(u32) -> Vec<Answer> + Send + Sync + 'static) -> impl Fn(&Request) -> Vec<Answer> + Send + Sync + 'static {
    let rest = folder(vec![entry("file", EntryKind::File, 1)]);
    move |request| match request {
        Request::Fetch { id, .. } => answers(*id),
        request => rest(request),
    }
}

#[tokio::test]
async fn what_is_announced_is_the_limit() {
    let chunk = || Answer::Data(Bytes::from(vec![0; 100_000]));
    let more = one_file(move |id| file(id, 100_000, vec![chunk(), chunk()], [0; 32]));
    let (outcome, found) = download(more, |_| {}).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(!found.contains(&"a/b/target/evil/file".to_owned()));
    // A block that swells beyond what it says.
    let bomb = one_file(|id| {
        let data = Bytes::from_static(b"\x4b\x4c\x4c\x4c\x4c\x4c\x4c\x04\x00");
        file(id, 2, vec![Answer::Packed { size: 2, data }], [0; 32])
    });
    let (outcome, found) = download(bomb, |_| {}).await;
    assert_eq!(outcome.unwrap().failed, 1);
    assert!(!found.contains(&"a/b/target/evil/file".to_owned()));
    // Fewer bytes, or others, than were announced.
    for (size, data) in [(2, "x"), (1, "y")] {
        let short = one_file(move |id| file(id, size, vec![Answer::Data(Bytes::from(data))], openssl::sha::sha256(b"x")));
        let (outcome, found) = download(short, |_| {}).await;
        assert_eq!(outcome.unwrap().failed, 1);
        assert_eq!(found, [""; 0]);
    }
}

#[tokio::test]
async fn nonsense_is_an_error() {
    let lies: [fn(u32) -> Vec<Answer>; 5] = [
        |_| vec![Answer::Done { id: 99 }],
        |_| vec![Answer::Data(Bytes::from_static(b"x"))],
        |id| file(id + 1, 1, Vec::new(), [0; 32]),
        |id| {
            vec![Answer::File {
                id,
                size: 10,
                start: 5,
                modified: 0,
                attributes: 0,
            }]
        },
        |_| vec![Answer::FileEnd { id: 0, sha256: [0; 32] }],
    ];
    for lie in lies {
        let (outcome, found) = download(one_file(lie), |_| {}).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(found, [""; 0]);
    }
}
