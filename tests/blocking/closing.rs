//! The closing handshake over streams that cannot be closed for writing.

use std::io::{self};
use std::os::unix::net::UnixStream;
use std::thread;

use sansocket::blocking::{NoDeadlines, WebSocket};
use sansocket::{CloseCode, Config, Error, Message, Role};

/// A stream that cannot be closed for writing is not waited for by a server, which would wait for a
/// client that waits for it: the caller closes it.
#[test]
fn no_deadlines() {
    /// A stream of which only reading and writing is known.
    #[derive(Debug)]
    struct Plain(UnixStream);
    impl io::Read for Plain {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl io::Write for Plain {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let (near, far) = UnixStream::pair().unwrap();
    let config = Config::default();
    let mut client = WebSocket::from_upgraded(NoDeadlines(Plain(near)), Role::Client, b"", &config).unwrap();
    let serving = thread::spawn(move || {
        let mut server =
            WebSocket::from_upgraded(NoDeadlines(Plain(far)), Role::Server, b"", &Config::default()).unwrap();
        while let Some(message) = server.recv().unwrap() {
            server.send(message).unwrap();
        }
        assert!(server.closed().unwrap().clean);
    });
    client.send("text").unwrap();
    assert_eq!(client.recv().unwrap(), Some(Message::text("text")));
    client.close(CloseCode::NORMAL, "").unwrap();
    assert!(client.closed().unwrap().clean);
    serving.join().unwrap();

    // The same for a request that is rejected.
    let (near, far) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        sansocket::blocking::accept(NoDeadlines(Plain(far))).unwrap().reject(403, "no").unwrap();
    });
    let refused = sansocket::blocking::connect_over("ws://example.com/", NoDeadlines(Plain(near)));
    assert!(matches!(refused, Err(Error::Handshake(_))), "{refused:?}");
    serving.join().unwrap();
}
