//! The opening handshake.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, ToSocketAddrs};
use std::thread;
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::{net::UdpSocket, process::Command};

#[cfg(not(feature = "rustls"))]
use sansocket::blocking::connect_as_is;
use sansocket::blocking::{accept, accept_with, connect, connect_over};
use sansocket::{Client, CloseCode, Config, Error, Message, Server, TimedOut};

use crate::script::{Read, Script, Write};

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// 6455-4.1-02: a client connects over TCP, sends its handshake, and reads the server's; both sides see
/// what the other asked for and chose; the connection can be split.
#[test]
fn connect_and_accept_over_tcp() {
    let (listener, port) = listen();
    let serving = thread::spawn(move || {
        let mut pending = accept(listener.accept().unwrap().0).unwrap();
        assert_eq!(pending.request().target(), "/chat?a=b");
        assert_eq!(pending.request().headers().get("Authorization"), Some("Bearer 1"));
        pending.choose_subprotocol(&["v1", "v0"]);
        pending.header("X-Served-By", "one").unwrap();
        let mut ws = pending.accept().unwrap();
        assert_eq!(ws.subprotocol(), Some("v1"));
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
    });
    let client = Client::new(&format!("ws://127.0.0.1:{port}/chat?a=b")).unwrap();
    let client = client.header("Authorization", "Bearer 1").unwrap().subprotocols(["v2", "v1"]).unwrap();
    let mut ws = connect(client).unwrap();
    assert_eq!(ws.subprotocol(), Some("v1"));
    assert_eq!(ws.response().unwrap().headers().get("X-Served-By"), Some("one"));
    assert!(ws.get_ref().tcp().nodelay().unwrap());
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
    ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(ws.closed().unwrap().clean);
    serving.join().unwrap();
}

/// Every address of a name is tried: a server that listens on any one of them is found.
#[test]
fn all_addresses_are_tried() {
    for address in ("localhost", 0).to_socket_addrs().unwrap() {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || accept(listener.accept().unwrap().0).unwrap().accept().unwrap());
        let ws = connect(format!("ws://localhost:{}", address.port())).unwrap();
        assert_eq!(ws.get_ref().tcp().peer_addr().unwrap(), address);
        serving.join().unwrap();
    }
}

/// The timeout holds for the look-up of the host's name: here of a server of names that does not answer, for which the
/// system waits many seconds. Addresses are not looked up.
///
/// The system's setting is another one for a process of its own: this test again. That takes root, and is passed over
/// where that is not to be had.
#[cfg(target_os = "linux")]
#[test]
fn name_look_ups_are_in_time() {
    const NAMES: &str = "127.77.0.53";
    const ALONE: &str = "SANSOCKET_NAMES_ARE_SLOW";

    if std::env::var_os(ALONE).is_some() {
        let client = Client::new("ws://slow.example/").unwrap().connect_timeout(Duration::from_millis(100));
        let error = connect(client).unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
        let (listener, port) = listen();
        let serving = thread::spawn(move || accept(listener.accept().unwrap().0).unwrap().accept().unwrap());
        connect(format!("ws://127.0.0.1:{port}/")).unwrap();
        serving.join().unwrap();
        return;
    }
    let Ok(silent) = UdpSocket::bind((NAMES, 53)) else { return };
    let path = std::env::temp_dir().join(format!("sansocket-names-{}", std::process::id()));
    std::fs::write(&path, format!("nameserver {NAMES}\n")).unwrap();
    let mut alone = Command::new("unshare");
    alone.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]);
    alone.arg(&path).arg(std::env::current_exe().unwrap());
    alone.args(["--exact", "opening::name_look_ups_are_in_time"]).env(ALONE, "");
    let output = alone.output();
    std::fs::remove_file(path).unwrap();
    // If no names were asked for, the system has another way to find them, or lets nobody change it.
    silent.set_nonblocking(true).unwrap();
    if silent.recv(&mut [0; 512]).is_ok() {
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// 6455-4.1-13: a transport that cannot be opened fails the connection; and what is no WebSocket URI
/// fails before.
#[test]
fn the_transport_cannot_be_opened() {
    let (listener, port) = listen();
    drop(listener);
    let error = connect(format!("ws://127.0.0.1:{port}")).unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.kind() == ErrorKind::ConnectionRefused));
    assert!(matches!(connect("ws://name.invalid/").unwrap_err(), Error::Connect(_)));
    assert!(matches!(connect("http://127.0.0.1/").unwrap_err(), Error::Uri(_)));
}

/// 6455-4.1-14: without TLS, a `wss://` URI is refused, over a given stream too, and nothing is sent; as it is, it is used
/// only where that is asked for by name.
#[cfg(not(feature = "rustls"))]
#[test]
fn no_tls() {
    let (script, (listener, port)) = (Script::new([Read::End], []), listen());
    for error in [
        connect_over("wss://example.com/", script.clone()).unwrap_err(),
        connect(format!("wss://127.0.0.1:{port}/")).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "cannot connect: wss:// and https:// need TLS: enable the feature `rustls`"
        );
    }
    assert_eq!(script.record().written, b"");
    assert!(listener.accept().is_ok());
    connect_as_is("wss://example.com/", script.clone()).unwrap_err();
    assert!(script.record().written.starts_with(b"GET / HTTP/1.1\r\nHost: example.com\r\n"));
}

/// The stream's timeouts are no longer than what is left of the handshake's.
#[test]
fn streams_are_given_timeouts() {
    let tiny = Duration::from_millis(5);
    let client = Client::new("ws://example.com/").unwrap().connect_timeout(tiny);
    let script = Script::default();
    let error = connect_over(client, script.clone()).unwrap_err();
    assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    assert!(script.record().read_timeouts.iter().all(|timeout| timeout.unwrap() <= tiny));
}

/// The configuration that a client or a server was given is that of its connections.
#[test]
fn configurations_arrive() {
    let config = Config::default().write_timeout(Duration::from_millis(800)).close_timeout(Duration::MAX);
    // The response is taken; what is sent then has to wait.
    let writes = [Write::Take(1000), Write::Error(ErrorKind::WouldBlock)];
    let script = Script::new([Read::Bytes(REQUEST.into())], writes);
    let server = Server::default().config(config);
    accept_with(script.clone(), &server).unwrap().accept().unwrap().send("x").unwrap();
    assert_eq!(script.record().write_timeouts.last(), Some(&Some(Duration::from_millis(100))));
}
