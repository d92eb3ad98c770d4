//! A proxy that counts requests.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::served::Outcome;

pub(crate) struct Counter {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Counter {
    /// In front of the service at this URL, until the process ends.
    pub(crate) fn start(url: &str) -> Outcome<Self> {
        let address = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/wsman", listener.local_addr()?);
        let requests = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A client whose service isn't there finds its connection closed.
                let _ = join(client, &address, &shared);
            }
        });
        Ok(Self { url, requests })
    }

    /// How many there were since the last time.
    pub(crate) fn take(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

fn join(client: TcpStream, address: &str, requests: &Arc<AtomicU64>) -> std::io::Result<()> {
    let service = TcpStream::connect(address)?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    for (mut from, mut to) in [(client.try_clone()?, service.try_clone()?), (service, client)] {
        let requests = Arc::clone(requests);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                // Nobody here sends a request before the last one is answered.
                if buffer.starts_with(b"POST ") {
                    requests.fetch_add(1, Ordering::Relaxed);
                }
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
