//! Standard input for many hosts: read once, given to each.

use std::io::{IsTerminal as _, Read as _};
use std::time::Duration;

use bytes::Bytes;

use crate::failure::Failure;
use crate::printer;

/// The most that is read, in bytes.
const MOST: u64 = 64 << 20;

/// After how long somebody is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Standard input to its end; nothing where it is a terminal, empty or not wanted.
pub(super) async fn read(unwanted: bool) -> Result<Option<Bytes>, Failure> {
    if unwanted || std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut reading = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = tokio::select! {
        read = &mut reading => read,
        () = tokio::time::sleep(PATIENCE) => {
            printer::note("winrm: reading standard input to its end, for all hosts; -n leaves it alone");
            reading.await
        }
    };
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(Failure::configuration("standard input can't be read")
                .because(error)
                .hint("-n leaves it alone"));
        }
        Err(error) => return Err(Failure::configuration("standard input can't be read").because(error)),
    };
    if bytes.len() as u64 > MOST {
        return Err(
            Failure::configuration("standard input is longer than 64 MiB, which is the most that is given to many hosts")
                .hint("copy it to the hosts as a file, and let the command read that"),
        );
    }
    Ok((!bytes.is_empty()).then(|| Bytes::from(bytes)))
}
