//! Sockets in non-blocking mode: whoever gives one to a blocking connection gets one that waits.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;

use sansocket::blocking::{Stop, TryClone, WebSocket, accept, connect_over, serve_with};
use sansocket::{Config, Message, Role, Server};

/// A message that no socket takes at once.
const LARGE: usize = 8 << 20;

/// Whether its calls wait, as the system says.
fn waits(fd: &impl AsRawFd) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap() & 0o4000 == 0
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

fn unix() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// A large message is echoed, by a server that accepts it and by one of an upgrade.
fn echoes<S: TryClone + AsRawFd + Send + 'static>((near, far): (S, S)) {
    assert!(!waits(&near) && !waits(&far));
    let serving = thread::spawn(move || {
        let mut ws = accept(far).unwrap().accept().unwrap();
        assert!(waits(&*ws.get_ref()));
        let message = ws.recv().unwrap().unwrap();
        ws.send(message).unwrap();
        assert_eq!(ws.recv().unwrap(), None);
    });
    let mut ws = connect_over("ws://localhost/", near).unwrap();
    assert!(waits(ws.get_ref().get_ref()));
    let message = Message::binary(vec![7; LARGE]);
    ws.send(message.clone()).unwrap();
    assert!(ws.recv().unwrap().unwrap() == message);
    ws.close(sansocket::CloseCode::NORMAL, "").unwrap();
    serving.join().unwrap();
}

#[test]
fn streams_that_do_not_wait() {
    echoes(tcp());
    echoes(unix());
}

/// By the time that the server is first spoken to, which for `wss://` is by TLS, the stream waits.
#[test]
fn from_the_first_byte() {
    let schemes: &[_] = if cfg!(feature = "rustls") { &["ws", "wss"] } else { &["ws"] };
    for scheme in schemes {
        let (near, far) = tcp();
        far.set_nonblocking(false).unwrap();
        let same = near.try_clone().unwrap();
        let serving = thread::spawn(move || {
            assert_eq!(far.peek(&mut [0]).unwrap(), 1);
            waits(&same)
        });
        assert!(connect_over(&*format!("{scheme}://localhost/"), near).is_err());
        assert!(serving.join().unwrap(), "{scheme}");
    }
}

#[test]
fn upgraded_streams_that_do_not_wait() {
    for role in [Role::Client, Role::Server] {
        let (near, mut far) = tcp();
        far.set_nonblocking(false).unwrap();
        let mut ws = WebSocket::from_upgraded(near, role, b"", &Config::default()).unwrap();
        assert!(waits(&*ws.get_ref()));
        let reading = thread::spawn(move || {
            let mut read = 0;
            while read < LARGE {
                read += far.read(&mut vec![0; 1 << 16]).unwrap();
            }
        });
        ws.send(vec![7; LARGE]).unwrap();
        reading.join().unwrap();
    }
}

/// A listener, too, and what it accepts.
#[test]
fn a_listener_that_does_not_wait() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let (address, fd) = (listener.local_addr().unwrap(), listener.try_clone().unwrap());
    let stop = Stop::default();
    let serving = thread::spawn({
        let stop = stop.clone();
        move || {
            serve_with(listener, &Server::default(), &stop, |pending| {
                assert!(waits(pending.get_ref().tcp()));
                let mut ws = pending.accept().unwrap();
                while let Ok(Some(message)) = ws.recv() {
                    ws.send(message).unwrap();
                }
            })
        }
    });
    let mut ws = connect_over("ws://localhost/", TcpStream::connect(address).unwrap()).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
    assert!(waits(&fd));
    stop.stop();
    assert_eq!(ws.recv().unwrap(), None);
    serving.join().unwrap().unwrap();
}
