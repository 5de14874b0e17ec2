//! The closing handshake over streams that cannot be closed for writing.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

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
    assert!(matches!(refused, Err(Error::Response(_))), "{refused:?}");
    serving.join().unwrap();
}

/// A stream without timeouts that takes its time: what is queued is written whole before anything is waited for.
#[test]
fn a_slow_stream_without_deadlines() {
    /// Takes a few bytes at a time, each time for longer than a try takes.
    #[derive(Debug)]
    struct Slow(UnixStream);
    impl io::Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl io::Write for Slow {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {
                thread::yield_now();
            }
            self.0.write(&buf[..buf.len().min(7)])
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let (near, far) = UnixStream::pair().unwrap();
    let config = Config::default();
    let mut client = WebSocket::from_upgraded(NoDeadlines(Slow(near)), Role::Client, b"", &config).unwrap();
    let serving = thread::spawn(move || {
        let mut server = WebSocket::from_upgraded(far, Role::Server, b"", &Config::default()).unwrap();
        assert_eq!(server.recv().unwrap().unwrap().len(), 100);
        server.close(CloseCode::NORMAL, "").unwrap();
    });
    client.feed(vec![7; 100]).unwrap();
    assert_eq!(client.recv().unwrap(), None);
    assert!(client.closed().unwrap().clean);
    serving.join().unwrap();
}
