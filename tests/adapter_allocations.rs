//! The adapters in steady state: an echo allocates nothing, and an idle connection is small.
#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "in helpers, as in tests")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use sansocket::blocking::Transport;
use sansocket::{Config, Message, Role};

/// More than one refill of the client's masking keys, and of every buffer.
const MESSAGES: usize = 1000;

/// A client and a server exchange 1 KiB messages over a pipe in memory: after a while without a single
/// allocation.
#[test]
fn a_tokio_echo_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let config = Config::default();
    let (mut client, mut server) = runtime.block_on(async {
        (
            sansocket::tokio::WebSocket::from_upgraded(near, Role::Client, b"", &config),
            sansocket::tokio::WebSocket::from_upgraded(far, Role::Server, b"", &config),
        )
    });
    let message = Message::binary([7; 1024].to_vec());
    let mut echo = || {
        runtime.block_on(async {
            let echo = async {
                while let Some(message) = server.recv().await.unwrap() {
                    server.send(message).await.unwrap();
                }
            };
            let drive = async {
                for _ in 0..MESSAGES {
                    client.send(message.clone()).await.unwrap();
                    assert_eq!(client.recv().await.unwrap().as_ref(), Some(&message));
                }
            };
            tokio::select! { biased; () = drive => {}, () = echo => unreachable!() }
        });
    };
    echo();
    let allocations = allocation_counter::measure(echo).count_total;
    println!("tokio: {allocations} allocations in {MESSAGES} messages there and back");
    assert_eq!(allocations, 0);
}

/// One end of a pipe in memory, for two ends in one thread.
#[derive(Debug)]
struct Pipe {
    reads: Rc<RefCell<VecDeque<u8>>>,
    writes: Rc<RefCell<VecDeque<u8>>>,
}

impl io::Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads.borrow_mut().read(buf)
    }
}

impl io::Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writes.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Pipe {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same, blocking.
#[test]
fn a_blocking_echo_allocates_nothing() {
    let (there, back) = (Rc::<RefCell<VecDeque<u8>>>::default(), Rc::<RefCell<VecDeque<u8>>>::default());
    let near = Pipe { reads: back.clone(), writes: there.clone() };
    let far = Pipe { reads: there, writes: back };
    let config = Config::default();
    let mut client = sansocket::blocking::WebSocket::from_upgraded(near, Role::Client, b"", &config).unwrap();
    let mut server = sansocket::blocking::WebSocket::from_upgraded(far, Role::Server, b"", &config).unwrap();
    let message = Message::binary([7; 1024].to_vec());
    let mut echo = || {
        for _ in 0..MESSAGES {
            client.send(message.clone()).unwrap();
            let received = server.recv().unwrap().unwrap();
            server.send(received).unwrap();
            assert_eq!(client.recv().unwrap().as_ref(), Some(&message));
        }
    };
    echo();
    let allocations = allocation_counter::measure(echo).count_total;
    println!("blocking: {allocations} allocations in {MESSAGES} messages there and back");
    assert_eq!(allocations, 0);
}

/// What an idle connection takes: itself, and the future of the task that serves it.
#[tokio::test]
async fn sizes_are_bounded() {
    use tokio::net::TcpStream;

    async fn echo(mut ws: sansocket::tokio::WebSocket<TcpStream>) -> Result<(), sansocket::Error> {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    }
    let ws = size_of::<sansocket::tokio::WebSocket<TcpStream>>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let echo = size_of_val(&echo(sansocket::tokio::WebSocket::from_upgraded(
        tcp,
        Role::Server,
        b"",
        &Config::default(),
    )));
    let blocking = size_of::<sansocket::blocking::WebSocket<std::net::TcpStream>>();
    println!("tokio WebSocket {ws}, its echo's future {echo}, blocking WebSocket {blocking} bytes");
    assert!(ws <= 1100, "{ws} bytes");
    assert!(echo <= 3 * ws, "{echo} bytes");
    assert!(blocking <= 1100, "{blocking} bytes");
}
