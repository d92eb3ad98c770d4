//! A proxy that counts messages, and cuts everything at one of them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes on what its clients and a service say until the message comes that is one too many: then all connections end, and no
/// other is taken.
pub(crate) struct Cutter {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    seen: u64,
    limit: u64,
    sockets: Vec<TcpStream>,
    cut: bool,
}

impl State {
    /// Counts a message if these bytes begin one; `false` at the cut.
    fn passes(&mut self, bytes: &[u8]) -> bool {
        if !self.cut && (bytes.starts_with(b"POST ") || bytes.starts_with(b"HTTP/1.1 ")) {
            if self.seen >= self.limit {
                self.cut = true;
                for socket in self.sockets.drain(..) {
                    drop(socket.shutdown(Shutdown::Both));
                }
            }
            self.seen += 1;
        }
        !self.cut
    }
}

impl Cutter {
    pub(crate) fn start(url: &str, limit: u64) -> Self {
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            seen: 0,
            limit,
            sockets: Vec::new(),
            cut: false,
        }));
        let shared = state.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.lock().unwrap().cut {
                    continue;
                }
                let service = TcpStream::connect(&address).unwrap();
                for socket in [&client, &service] {
                    socket.set_nodelay(true).unwrap();
                    shared.lock().unwrap().sockets.push(socket.try_clone().unwrap());
                }
                for (mut from, mut to) in [(client.try_clone().unwrap(), service.try_clone().unwrap()), (service, client)] {
                    let shared = shared.clone();
                    std::thread::spawn(move || {
                        let mut buffer = vec![0; 1 << 20];
                        while let Ok(length @ 1..) = from.read(&mut buffer) {
                            let passes = shared.lock().unwrap().passes(&buffer[..length]);
                            if !passes || to.write_all(&buffer[..length]).is_err() {
                                break;
                            }
                        }
                        drop(to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/wsman", self.port)
    }

    /// How many messages there were.
    pub(crate) fn messages(&self) -> u64 {
        self.state.lock().unwrap().seen
    }
}
