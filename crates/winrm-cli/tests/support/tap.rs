//! A proxy that keeps what passes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes everything on between its clients and a service, and keeps it.
pub(crate) struct Tap {
    pub(crate) port: u16,
    streams: Arc<Mutex<Vec<Recorded>>>,
}

/// One connection's bytes.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) sent: Vec<u8>,
    pub(crate) answered: Vec<u8>,
}

impl Tap {
    pub(crate) fn start(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let streams = Arc::new(Mutex::new(Vec::<Recorded>::new()));
        let recorded = streams.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let service = TcpStream::connect(&address).unwrap();
                let number = {
                    let mut streams = recorded.lock().unwrap();
                    streams.push(Recorded::default());
                    streams.len() - 1
                };
                for (mut from, mut to, sent) in [
                    (client.try_clone().unwrap(), service.try_clone().unwrap(), true),
                    (service, client, false),
                ] {
                    let recorded = recorded.clone();
                    from.set_nodelay(true).unwrap();
                    std::thread::spawn(move || {
                        let mut buffer = vec![0; 65_536];
                        while let Ok(length @ 1..) = from.read(&mut buffer) {
                            let stream = &mut recorded.lock().unwrap()[number];
                            let kept = if sent { &mut stream.sent } else { &mut stream.answered };
                            kept.extend_from_slice(&buffer[..length]);
                            if to.write_all(&buffer[..length]).is_err() {
                                break;
                            }
                        }
                        drop(to.shutdown(Shutdown::Write));
                    });
                }
            }
        });
        Self { port, streams }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}/wsman", self.port)
    }

    pub(crate) fn streams(&self) -> Vec<Recorded> {
        self.streams.lock().unwrap().clone()
    }
}
