//! `serve`: its limits, and how it stops. What it makes of errors of `accept` is tested with the tokio
//! adapter, which shares it, and with the examples.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sansocket::blocking::{ClientStream, Pending, Stop, WebSocket, connect_over, serve_with};
use sansocket::{CloseCode, Closed, Error, Handled, Initiator, Message, Role, Server};

use crate::common::{CLOSE, close_frame};
use crate::peer::Peer;

/// Longer than anything here takes: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_stop_closes_every_connection() {
    let served = Served::start(&Server::default(), echo);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut ws = served.open();
            ws.send("hello").unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
            thread::spawn(move || {
                assert_eq!(ws.recv().unwrap(), None);
                ws.closed().unwrap().clone()
            })
        })
        .collect();
    served.stop();
    for client in clients {
        assert_going_away(&client.join().unwrap());
    }
}

/// They are not waited for.
#[test]
fn a_stop_during_opening_handshakes() {
    let server = Server::default().handshake_timeout(2 * PATIENCE).shutdown_grace(2 * PATIENCE);
    let served = Served::start(&server, echo);
    let (mut silent, mut half) = (served.connect(), served.connect());
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // Whoever is served after them is a sign that they were accepted.
    drop(served.open());
    served.stop();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(half.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_grace_period() {
    let server = Server::default().shutdown_grace(Duration::from_millis(10));
    // A peer that does not answer the Close frame, or is cut off before it is sent.
    let served = Served::start(&server, echo);
    let mut peer = served.open_by_hand();
    served.stop();
    let last = peer.frame();
    assert!(last.is_none_or(|(first, _)| first == CLOSE));
    assert_eq!(peer.io.read(&mut [0; 1]).unwrap(), 0);

    // A handler that does not end.
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Mutex::new(ended);
    let served = Served::start(&server, move |pending| {
        let _ws = pending.accept().unwrap();
        let _ = ended.lock().unwrap().recv();
    });
    let mut peer = served.open_by_hand();
    served.stop();
    assert_eq!(peer.frame(), None);
    drop(end);
}

/// Of a connection of which only the sending half is kept: while it sends, it closes like any other; when it does not, it is
/// cut off.
#[test]
fn only_the_sending_half_is_kept() {
    let server = Server::default().shutdown_grace(Duration::from_secs(2));
    let start = || {
        let (kept, senders) = mpsc::channel();
        let kept = std::sync::Mutex::new(kept);
        let served = Served::start(&server, move |pending| {
            let (sender, _receiver) = pending.accept().unwrap().split().unwrap();
            kept.lock().unwrap().send(sender).unwrap();
        });
        let peer = served.open_by_hand();
        (served, peer, senders.recv().unwrap())
    };
    let (served, mut peer, mut sender) = start();
    let sending = thread::spawn(move || {
        while sender.closed().is_none() {
            let _ = sender.send("tick");
            thread::sleep(Duration::from_millis(20));
        }
        sender.closed().cloned()
    });
    let served = served.start_stop();
    while peer.frame().unwrap().0 != CLOSE {}
    peer.io.write_all(&close_frame(Role::Server, 1001, "")).unwrap();
    served.end();
    assert!(sending.join().unwrap().unwrap().clean);

    let (served, mut peer, mut sender) = start();
    served.stop();
    assert_eq!(peer.frame(), None);
    let failed = sender.send("x").and_then(|()| sender.send("x"));
    assert!(failed.is_err(), "it is cut off");
}

#[test]
fn a_handler_that_panics() {
    let served = Served::start(&Server::default(), |pending| {
        let mut ws = pending.accept().unwrap();
        let message = ws.recv().unwrap().unwrap();
        assert_ne!(message, Message::text("panic"), "this panic is part of a test");
        ws.send(message).unwrap();
    });
    let (mut first, mut second) = (served.open(), served.open());
    first.send("panic").unwrap();
    assert!(first.recv().is_err());
    second.send("hello").unwrap();
    assert_eq!(second.recv().unwrap(), Some(Message::text("hello")));
    drop((first, second));
    served.stop();
}

/// A client waits until there is room.
#[test]
fn max_connections() {
    let served = Served::start(&Server::default().max_connections(1), |pending| {
        let number = pending.request().target().to_owned();
        let mut ws = pending.accept().unwrap();
        ws.send(number).unwrap();
        while ws.recv().unwrap().is_some() {}
    });
    let mut first = served.open();
    assert_eq!(first.recv().unwrap(), Some(Message::text("/")));
    let waiting = served.connect();
    let waiting = thread::spawn(move || connect_over("ws://localhost/", waiting).unwrap().recv().unwrap());
    first.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(waiting.join().unwrap(), Some(Message::text("/")));
}

/// The one that dribbles is given up, and then there is room.
#[test]
fn max_handshakes() {
    let server = Server::default().max_handshakes(1).handshake_timeout(Duration::from_millis(50));
    let served = Served::start(&server, echo);
    let _open = (served.open(), served.open());
    let mut half = served.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let next = served.connect();
    let mut response = String::new();
    half.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    drop(half);
    connect_over("ws://localhost/", next).unwrap();
}

#[test]
fn a_stop_before_the_start() {
    let stop = Stop::default();
    stop.stop();
    let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
    serve_with(listener, &Server::default(), &stop, echo).unwrap();
}

/// It is to be woken there, too.
#[test]
fn a_listener_on_every_address() {
    let served = Served::on(TcpListener::bind("0.0.0.0:0").unwrap(), &Server::default(), echo);
    served.stop();
}

#[test]
fn nagle_is_off() {
    let served = Served::start(&Server::default(), |pending| {
        let nodelay = pending.get_ref().tcp().nodelay().unwrap();
        pending.accept().unwrap().send(nodelay.to_string()).unwrap();
    });
    assert_eq!(served.open().recv().unwrap(), Some(Message::text("true")));
}

fn echo(pending: Pending) -> Result<(), Error> {
    let mut ws = pending.accept()?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

#[track_caller]
fn assert_going_away(closed: &Closed) {
    assert_eq!(closed.code, CloseCode::GOING_AWAY);
    assert_eq!(closed.initiator, Initiator::Remote);
    assert!(closed.clean);
}

/// A server that runs in a thread.
struct Served {
    address: SocketAddr,
    stop: Stop,
    thread: JoinHandle<io::Result<()>>,
}

impl Served {
    fn start<F, T>(server: &Server, handler: F) -> Self
    where
        F: Fn(Pending) -> T + Send + Sync + 'static,
        T: Handled,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), server, handler)
    }

    fn on<F, T>(listener: TcpListener, server: &Server, handler: F) -> Self
    where
        F: Fn(Pending) -> T + Send + Sync + 'static,
        T: Handled,
    {
        let address = listener.local_addr().unwrap();
        let stop = Stop::default();
        let (server, stopping) = (server.clone(), stop.clone());
        let thread = thread::spawn(move || serve_with(listener, &server, &stopping, handler));
        Self { address, stop, thread }
    }

    fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    fn open(&self) -> WebSocket<ClientStream> {
        connect_over("ws://localhost/", self.connect()).unwrap()
    }

    fn open_by_hand(&self) -> Peer<TcpStream> {
        let mut io = self.connect();
        io.write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            io.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        Peer::new(io, Role::Server)
    }

    fn start_stop(self) -> Self {
        self.stop.stop();
        self
    }

    /// Waits for its end.
    #[track_caller]
    fn end(self) {
        self.thread.join().unwrap().unwrap();
    }

    #[track_caller]
    fn stop(self) {
        self.start_stop().end();
    }
}
