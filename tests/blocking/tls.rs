//! TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::ops::DerefMut;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection,
};
use sansocket::blocking::{
    ClientStream, Incoming, NoDeadlines, TlsStream, Transport, TryClone, WebSocket, accept, accept_tls,
    accept_with, connect, connect_as_is, connect_over,
};
use sansocket::{Client, CloseCode, Config, Error, Message, Role, Server, TimedOut};

use crate::common::{CLOSE, TEXT, close_frame, close_payload, frame, sent};
use crate::script::{Read, Script};
use crate::slow::{Slow, State};
use crate::together::{answers, echo, together};

/// A certificate for `localhost` of its own making, its key, and a store that trusts it.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>, Arc<RootCertStore>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (made.cert.der().clone(), key, Arc::new(roots))
}

/// A server's configuration, and that of a client that trusts it.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (certificate, key, roots) = certificate();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// The two ends of a TLS connection before its handshake.
fn connections() -> (ClientConnection, ServerConnection) {
    let (server, client) = configs();
    let name = "localhost".try_into().unwrap();
    (ClientConnection::new(client, name).unwrap(), ServerConnection::new(server).unwrap())
}

/// A client's WebSocket and its server's, over loopback.
fn opened() -> (WebSocket<ClientStream>, WebSocket<TlsStream<TcpStream>>) {
    let (server, client) = configs();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap()
    });
    let client = Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client);
    (connect(client).unwrap(), serving.join().unwrap())
}

/// The far end of a TLS connection, by hand.
struct Far(Connection);

impl Far {
    /// Two ends whose handshake is over. The near one is to be given to a [`TlsStream`].
    fn client_of() -> (Self, ServerConnection) {
        let (client, server) = established();
        (Self(client.into()), server)
    }

    fn server_of() -> (Self, ClientConnection) {
        let (client, server) = established();
        (Self(server.into()), client)
    }

    /// The records of what is sent.
    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.0.writer().write_all(plain).unwrap();
        self.records()
    }

    fn close_notify(&mut self) -> Vec<u8> {
        self.0.send_close_notify();
        self.records()
    }

    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut records).unwrap();
        }
        records
    }

    /// What is in records that came, and whether they end with a `close_notify`.
    fn open(&mut self, mut records: &[u8]) -> Result<(Vec<u8>, bool), rustls::Error> {
        let (mut plain, mut ends) = (Vec::new(), false);
        while !records.is_empty() && !ends {
            self.0.read_tls(&mut records).unwrap();
            ends = self.0.process_new_packets()?.peer_has_closed();
            // It fails, with what it has read, where more may come.
            let end = self.0.reader().read_to_end(&mut plain);
            assert_eq!(end.is_ok(), ends);
        }
        Ok((plain, ends))
    }
}

/// The two ends of a TLS connection after its handshake.
fn established() -> (ClientConnection, ServerConnection) {
    let (mut client, mut server) = connections();
    while client.wants_write() || server.wants_write() {
        pass(&mut client, &mut server);
        pass(&mut server, &mut client);
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

fn pass<C, D>(from: &mut ConnectionCommon<C>, to: &mut ConnectionCommon<D>) {
    let mut records = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut records).unwrap();
    }
    let mut records = &records[..];
    while !records.is_empty() {
        to.read_tls(&mut records).unwrap();
        to.process_new_packets().unwrap();
    }
}

/// A WebSocket over TLS over a script.
fn over<C, D>(tls: C, script: &Script, role: Role) -> WebSocket<TlsStream<Script, C>>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
{
    let stream = TlsStream::new(tls, script.clone()).unwrap();
    WebSocket::from_upgraded(stream, role, b"", &Config::default()).unwrap()
}

/// 6455-4.1-14, 6455-4.1-16, 6455-4.1-17, 6455-4.2.2-02, 6455-4.2.2-03, 6455-10.6-01: a client and a
/// server speak through TLS, and the client names the server in it.
#[test]
fn everything_passes_inside() {
    let (server, client) = configs();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        let mut ws = accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap();
        assert_eq!(ws.get_ref().tls().server_name(), Some("localhost"));
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
        assert!(ws.closed().unwrap().clean);
    });
    let mut ws = connect(Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client)).unwrap();
    assert!(ws.get_ref().tls().unwrap().peer_certificates().is_some());
    for message in ["text", "b", &"c".repeat(1_000_000)] {
        ws.send(message).unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text(message)));
    }
    ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(ws.closed().unwrap().clean);
    serving.join().unwrap();
}

/// What was left queued is written while its thread does something else: more than the sockets take at once, so
/// that TLS has records that it could not pass on.
#[test]
fn what_was_left_passes_inside() {
    fn leave<S, T>(mut ws: WebSocket<S>, mut peer: WebSocket<T>, split: bool)
    where
        S: TryClone + Send + 'static,
        T: Transport + Send + 'static,
    {
        let large = "x".repeat(16 << 20);
        let (expected, (done, something_else)) = (Message::text(large.clone()), mpsc::channel::<()>());
        let receiving = thread::spawn(move || {
            peer.feed("one").unwrap();
            peer.send("two").unwrap();
            assert!(peer.recv().unwrap() == Some(expected), "not what was sent");
            drop(done);
        });
        ws.recv().unwrap();
        if split {
            let (mut sender, _receiver) = ws.split().unwrap();
            sender.send(large).unwrap();
            something_else.recv().unwrap_err();
        } else {
            ws.send(large).unwrap();
            something_else.recv().unwrap_err();
        }
        receiving.join().unwrap();
    }

    for split in [false, true] {
        let (client, server) = opened();
        leave(client, server, split);
        let (client, server) = opened();
        leave(server, client, split);
    }
}

/// 6455-4.1-15, 6455-4.2.2-02: a certificate that is not trusted fails the connection on both sides.
#[test]
fn untrusted_certificates() {
    let (server, _) = configs();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving =
        thread::spawn(move || accept_tls(listener.accept().unwrap().0, server, &Server::default()).is_err());
    let error = connect(format!("wss://localhost:{port}/")).unwrap_err();
    assert!(
        matches!(&error, Error::Connect(error) if error.to_string().contains("certificate")),
        "{error:?}"
    );
    assert!(serving.join().unwrap());
}

/// What TLS knows of a client is there before its request is answered, and after.
#[test]
fn the_clients_certificate() {
    let (server_certificate, server_key, server_roots) = certificate();
    let (client_certificate, client_key, client_roots) = certificate();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(client_roots, provider.clone());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server_certificate], server_key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(server_roots)
        .with_client_auth_cert(vec![client_certificate.clone()], client_key)
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (tcp, address) = listener.accept().unwrap();
        let expected = Some(&[client_certificate][..]);
        let pending = accept_tls(tcp, Arc::new(server), &Server::default()).unwrap();
        assert_eq!(pending.get_ref().get_ref().peer_addr().unwrap(), address);
        assert_eq!(pending.get_ref().tls().peer_certificates(), expected);
        let mut ws = pending.accept().unwrap();
        assert_eq!(ws.get_ref().tls().peer_certificates(), expected);
        assert_eq!(ws.recv().unwrap(), None);
    });
    let client = Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(Arc::new(client));
    connect(client).unwrap().close(CloseCode::NORMAL, "").unwrap();
    serving.join().unwrap();
}

/// A TLS connection that was made elsewhere, over another stream than TCP; its handshake need not be over.
#[test]
fn over_any_stream() {
    let (client, server) = connections();
    let (near, far) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        let ws = accept(TlsStream::new(server, far).unwrap()).unwrap().accept().unwrap();
        let (mut sender, mut receiver) = ws.split().unwrap();
        while let Some(message) = receiver.recv().unwrap() {
            sender.send(message).unwrap();
        }
        assert!(receiver.closed().unwrap().clean);
    });
    let stream = TlsStream::new(client, near).unwrap();
    let mut ws = connect_as_is("wss://localhost/", stream).unwrap();
    ws.send("text").unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("text")));
    ws.close(CloseCode::NORMAL, "").unwrap();
    serving.join().unwrap();

    // The peer does not speak TLS.
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let error = TlsStream::new(connections().1, near).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// 6455-4.1-14, 6455-4.1-17, 6455-10.6-01: a stream that leads to the server gets TLS for a `wss://` URI, and is plain
/// for a `ws://` one; its halves can be used by two threads.
#[test]
fn over_a_given_stream() {
    fn answer_one<S: Transport + Send + 'static>(ws: &mut WebSocket<S>) {
        let message = ws.recv().unwrap().unwrap();
        ws.send(message).unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
    }

    for (uri, secure) in [("wss://localhost/", true), ("ws://localhost/", false)] {
        let (server, tls) = configs();
        let (near, far) = UnixStream::pair().unwrap();
        let serving = thread::spawn(move || {
            if secure {
                let mut ws = accept_tls(far, server, &Server::default()).unwrap().accept().unwrap();
                assert_eq!(ws.get_ref().tls().server_name(), Some("localhost"));
                answer_one(&mut ws);
            } else {
                answer_one(&mut accept(far).unwrap().accept().unwrap());
            }
        });
        let ws = connect_over(Client::new(uri).unwrap().tls(tls), near).unwrap();
        assert_eq!(ws.get_ref().tls().is_some(), secure);
        assert!(ws.get_ref().get_ref().peer_addr().is_ok());
        let (mut sender, mut receiver) = ws.split().unwrap();
        let receiving = thread::spawn(move || {
            assert_eq!(receiver.recv().unwrap(), Some(Message::text("text")));
            assert_eq!(receiver.recv().unwrap(), None);
        });
        sender.send("text").unwrap();
        receiving.join().unwrap();
        serving.join().unwrap();
    }
}

/// 6455-4.1-14, 6455-4.1-15: over a given stream, too, nothing of the handshake is sent to a server that has not proved
/// who it is, and it has no longer than the timeout. What says that it has no deadlines keeps its word below TLS.
#[test]
fn a_given_stream_that_speaks_no_tls() {
    for answer in [&b""[..], b"HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let client = Client::new("wss://localhost/").unwrap().header("Authorization", "Bearer 1").unwrap();
        let reads = (!answer.is_empty()).then(|| Read::Bytes(answer.into()));
        let script = Script::new(reads, []);
        let error =
            connect_over(client.connect_timeout(Duration::from_millis(5)), script.clone()).unwrap_err();
        match error {
            Error::TimedOut(TimedOut::OpeningHandshake) => assert!(answer.is_empty()),
            Error::Connect(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            other => panic!("{other:?}"),
        }
        let written = script.record().written;
        assert_eq!([written[0], written[1], written[5]], [22, 3, 1], "a ClientHello");
        assert!(!written.windows(6).any(|part| part == b"Bearer"));
    }

    let (near, mut far) = UnixStream::pair().unwrap();
    let served = thread::spawn(move || far.read(&mut [0; 100]).unwrap());
    let error = connect_over("wss://localhost/", NoDeadlines(near)).unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(served.join().unwrap() > 0);
}

/// RFC 7301: a client offers HTTP/1.1 alone, whatever else its configuration lists; a server that does not choose it fails
/// the connection, by an error that says so.
#[test]
fn the_client_offers_one_protocol() {
    let listing =
        |protocols: &[&str]| protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    for (offered, supported, chosen) in [
        (&["h2", "http/1.1"][..], &["h2", "http/1.1"][..], Ok(Some("http/1.1"))),
        (&["h2"], &["http/1.1"], Ok(Some("http/1.1"))),
        (&["h2"], &[], Ok(None)),
        (&[], &["h2"], Ok(None)),
        (&["h2"], &["h2"], Err("by ALPN the server did not choose what it was offered, ")),
    ] {
        let (mut server, mut client) = configs();
        Arc::make_mut(&mut server).alpn_protocols = listing(supported);
        Arc::make_mut(&mut client).alpn_protocols = listing(offered);
        let (near, far) = UnixStream::pair().unwrap();
        let serving = thread::spawn(move || accept_tls(far, server, &Server::default())?.accept());
        let connected = connect_over(Client::new("wss://localhost/").unwrap().tls(client), near);
        match (connected, chosen) {
            (Ok(ws), Ok(chosen)) => {
                assert_eq!(ws.get_ref().tls().unwrap().alpn_protocol(), chosen.map(str::as_bytes));
                serving.join().unwrap().unwrap();
            }
            (Err(error), Err(what)) => {
                assert!(error.to_string().contains(what), "{error}");
                let error = serving.join().unwrap().unwrap_err().to_string();
                assert!(error.contains("by ALPN the client offered no protocol that"), "{error}");
            }
            (connected, _) => panic!("{offered:?}, {supported:?}: {connected:?}"),
        }
    }

    // A server that chooses what was not offered: the ServerHello of TLS 1.2, whose last extension is ALPN with `h2`.
    let hello = [
        &b"\x16\x03\x03\0\x35\x02\0\0\x31\x03\x03"[..],
        &[7; 32],
        b"\0\xc0\x2f\0\0\x09\0\x10\0\x05\0\x03\x02h2",
    ];
    let script = Script::new([Read::Bytes(hello.concat())], []);
    let error = connect_over("wss://localhost/", script.clone()).unwrap_err().to_string();
    assert!(error.contains("by ALPN the server did not choose what it was offered, "), "{error}");
    assert!(script.record().written.windows(9).any(|part| part == b"\x08http/1.1"), "by default, too");
}

/// RFC 8446, 6.2: a server that refuses tells why and closes. A client that has read its `ServerHello` by then, and not yet
/// the alert behind it, has something to write, and finds nobody to read it: what it tells is the alert.
#[test]
fn a_client_reads_why_a_server_went() {
    let (mut server, mut client) = configs();
    Arc::make_mut(&mut server).alpn_protocols = vec![b"h2".to_vec()];
    Arc::make_mut(&mut client).alpn_protocols = vec![b"http/1.1".to_vec()];
    let (near, far) = UnixStream::pair().unwrap();
    let (went, gone) = mpsc::channel();
    let serving = thread::spawn(move || {
        let served = accept_tls(far, server, &Server::default()).map(drop);
        went.send(()).unwrap();
        served
    });
    let late = Late { io: near, gone: Some(gone) };
    let error = connect_over(Client::new("wss://localhost/").unwrap().tls(client), late).unwrap_err();
    assert!(error.to_string().contains("by ALPN the server did not choose what it was offered, "), "{error}");
    assert!(serving.join().unwrap().is_err());
}

/// A stream that is read a byte at a time, once its other end is gone.
#[derive(Debug)]
struct Late {
    io: UnixStream,
    gone: Option<mpsc::Receiver<()>>,
}

impl io::Read for Late {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(gone) = self.gone.take() {
            gone.recv().unwrap();
        }
        self.io.read(&mut buf[..1])
    }
}

impl io::Write for Late {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.io.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io.flush()
    }
}

impl Transport for Late {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.io.shutdown(Shutdown::Write)
    }
}

/// RFC 7301: what a client and a server agreed on is what is spoken: a server whose configuration lists `h2`, for other
/// uses of it, does not take its frames for a request.
#[test]
fn the_server_speaks_what_was_agreed_on() {
    for (offered, agreed) in [(&[&b"http/1.1"[..], b"h2"][..], "h2"), (&[b"acme-tls/1"], "acme-tls/1")] {
        let (mut server, mut client) = configs();
        Arc::make_mut(&mut server).alpn_protocols =
            [&b"h2"[..], b"http/1.1", b"acme-tls/1"].map(<[u8]>::to_vec).to_vec();
        Arc::make_mut(&mut client).alpn_protocols =
            offered.iter().map(|protocol| protocol.to_vec()).collect();
        let (near, far) = UnixStream::pair().unwrap();
        let asking = thread::spawn(move || {
            let client = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
            let mut stream = TlsStream::new(client, near).unwrap();
            stream.read(&mut [0]).map_or(0, |len| len)
        });
        let error = accept_tls(far, server, &Server::default()).unwrap_err();
        let expected = format!("cannot connect: ALPN chose {agreed}, and what is spoken here is http/1.1");
        assert_eq!(error.to_string(), expected);
        assert_eq!(asking.join().unwrap(), 0, "nothing was answered");
    }
}

/// A peer that sends a record a byte at a time holds up no deadline: those of the opening handshake, of keepalive, and of
/// the closing handshake pass, long before the record is whole.
#[test]
fn a_record_byte_by_byte() {
    const DRIP: Duration = Duration::from_millis(2);
    const TIMEOUT: Duration = Duration::from_millis(60);

    fn drips<C, D>((mut far, tls): (Far, C)) -> (Slow, TlsStream<Slow, C>)
    where
        C: DerefMut<Target = ConnectionCommon<D>>,
    {
        let to_read = far.seal(&[b'x'; 10_000]).into();
        let slow = Slow::new(State { to_read, drips: Some(DRIP), room: usize::MAX, ..State::default() });
        (slow.clone(), TlsStream::new(tls, slow).unwrap())
    }

    #[track_caller]
    fn assert_timed_out<T: std::fmt::Debug>(slow: &Slow, result: &Result<T, Error>, expected: TimedOut) {
        assert!(matches!(result, Err(Error::TimedOut(timed_out)) if *timed_out == expected), "{result:?}");
        assert!(!slow.state().to_read.is_empty(), "it has read the whole record");
    }

    fn open<C, D>(ends: fn() -> (Far, C), role: Role)
    where
        C: DerefMut<Target = ConnectionCommon<D>> + Send + 'static,
    {
        let config = Config::default().keepalive(TIMEOUT, TIMEOUT).close_timeout(TIMEOUT);
        for split in [false, true] {
            let (slow, stream) = drips(ends());
            let mut ws = WebSocket::from_upgraded(stream, role, b"", &config).unwrap();
            let received = if split { ws.split().unwrap().1.recv() } else { ws.recv() };
            assert_timed_out(&slow, &received, TimedOut::Keepalive);
            let (slow, stream) = drips(ends());
            let mut ws = WebSocket::from_upgraded(stream, role, b"", &config).unwrap();
            let closed = if split {
                let (mut sender, mut receiver) = ws.split().unwrap();
                sender.close(CloseCode::NORMAL, "").unwrap();
                receiver.recv().map(drop)
            } else {
                ws.close(CloseCode::NORMAL, "")
            };
            assert_timed_out(&slow, &closed, TimedOut::ClosingHandshake);
        }
    }

    let (slow, stream) = drips(Far::client_of());
    let accepted = accept_with(stream, &Server::default().handshake_timeout(TIMEOUT));
    assert_timed_out(&slow, &accepted, TimedOut::OpeningHandshake);
    let (slow, stream) = drips(Far::server_of());
    let client = Client::new("ws://localhost/").unwrap().connect_timeout(TIMEOUT);
    assert_timed_out(&slow, &connect_over(client, stream), TimedOut::OpeningHandshake);
    open(Far::client_of, Role::Server);
    open(Far::server_of, Role::Client);
}

/// The write timeout, and that of the closing handshake, are not those of a write of the stream below.
#[test]
fn a_stream_below_that_takes_little() {
    const TIMEOUT: Duration = Duration::from_millis(80);

    fn writes<C, D>(ends: fn() -> (Far, C), role: Role)
    where
        C: DerefMut<Target = ConnectionCommon<D>> + Send + 'static,
    {
        for (sips, close) in [(0, false), (1, false), (usize::MAX, true)] {
            let slow = Slow::new(State { room: 10, sips, ..State::default() });
            let stream = TlsStream::new(ends().1, slow.clone()).unwrap();
            let config = Config::default().write_timeout(TIMEOUT).close_timeout(TIMEOUT).no_keepalive();
            let mut ws = WebSocket::from_upgraded(stream, role, b"", &config).unwrap();
            ws.feed(vec![0; 1000]).unwrap();
            let (mut sender, _receiver) = ws.split().unwrap();
            let written = if close { sender.close(CloseCode::NORMAL, "") } else { sender.flush() };
            let expected = if close { TimedOut::ClosingHandshake } else { TimedOut::Write };
            assert!(
                matches!(written, Err(Error::TimedOut(timed_out)) if timed_out == expected),
                "{written:?}"
            );
            let waited = slow.state().waited;
            assert!(waited <= TIMEOUT * 3 / 2, "{role:?}, {sips}: it waited {waited:?}");
        }
    }

    writes(Far::client_of, Role::Server);
    writes(Far::server_of, Role::Client);
}

/// However many messages come at once, their answers take one write of the stream below. There is room for the
/// writes of the thread that sees to what a slow machine has kept waiting.
#[test]
fn one_write_for_all() {
    const BATCHES: usize = 100;

    fn answer<C, D>((mut far, tls): (Far, C), role: Role, split: bool)
    where
        C: DerefMut<Target = ConnectionCommon<D>> + Send + 'static,
    {
        let batches: Vec<_> = (0..BATCHES).map(|_| Read::Bytes(far.seal(&together(role, 16)))).collect();
        let script = Script::new(batches.into_iter().chain([Read::End]), []);
        echo(over(tls, &script, role), split);
        let record = script.record();
        assert_eq!(sent(role, &far.open(&record.written).unwrap().0), vec![answers(16); BATCHES].concat());
        assert_eq!(record.flushed, record.written.len());
        assert!(record.writes <= 3 * BATCHES, "{role:?}, split {split}: {}", record.writes);
    }

    for split in [false, true] {
        answer(Far::server_of(), Role::Client, split);
        answer(Far::client_of(), Role::Server, split);
    }
}

/// Where writes to the stream below may take longer than their timeout, nothing is left for later.
#[test]
fn without_timeouts() {
    let (mut far, tls) = Far::client_of();
    let script = Script::new([Read::Bytes(far.seal(&together(Role::Server, 3)))], []);
    let stream = TlsStream::new(tls, NoDeadlines(script.clone())).unwrap();
    let mut ws = WebSocket::from_upgraded(stream, Role::Server, b"", &Config::default()).unwrap();
    for writes in 1..=3 {
        let message = ws.recv().unwrap().unwrap();
        ws.send(message).unwrap();
        assert_eq!(script.record().writes, writes);
    }
}

/// The transport is closed after a `close_notify`, and the peer's is a clean end.
#[test]
fn close_notify() {
    fn close<C, D>((mut far, tls): (Far, C), role: Role, split: bool)
    where
        C: DerefMut<Target = ConnectionCommon<D>> + Send + 'static,
    {
        let script = Script::new(
            [Read::Bytes(far.seal(&close_frame(role, 1000, ""))), Read::Bytes(far.close_notify()), Read::End],
            [],
        );
        let mut ws = over(tls, &script, role);
        if split {
            let (mut sender, mut receiver) = ws.split().unwrap();
            sender.close(CloseCode::NORMAL, "").unwrap();
            assert_eq!(receiver.recv().unwrap(), None);
            assert!(receiver.closed().unwrap().clean);
        } else {
            ws.close(CloseCode::NORMAL, "").unwrap();
            assert!(ws.closed().unwrap().clean);
        }
        let record = script.record();
        assert!(record.shut_down);
        let (plain, ends) = far.open(&record.written).unwrap();
        assert_eq!(sent(role, &plain), [(CLOSE, close_payload(1000, ""))]);
        assert!(ends);
    }

    for split in [false, true] {
        close(Far::server_of(), Role::Client, split);
        close(Far::client_of(), Role::Server, split);
    }
}

/// A transport that ends without a `close_notify` may have been cut off by anybody.
#[test]
fn cut_off() {
    fn cut<C: DerefMut<Target = ConnectionCommon<D>>, D>((mut far, tls): (Far, C), role: Role) {
        let text = far.seal(&frame(role, TEXT, b"text"));
        let mut ws = over(tls, &Script::new([Read::Bytes(text), Read::End], []), role);
        assert_eq!(ws.recv().unwrap(), Some(Message::text("text")));
        let error = ws.recv().unwrap_err();
        assert!(
            matches!(&error, Error::ConnectionLost(error) if error.kind() == io::ErrorKind::UnexpectedEof),
            "{error:?}"
        );
    }

    cut(Far::server_of(), Role::Client);
    cut(Far::client_of(), Role::Server);
}

/// What was tampered with ends the connection, and the peer is told.
#[test]
fn tampered_with() {
    fn tamper<C: DerefMut<Target = ConnectionCommon<D>>, D>((mut far, tls): (Far, C), role: Role) {
        let mut text = far.seal(&frame(role, TEXT, b"text"));
        *text.last_mut().unwrap() ^= 1;
        let script = Script::new([Read::Bytes(text)], []);
        let error = over(tls, &script, role).recv().unwrap_err();
        assert!(
            matches!(&error, Error::ConnectionLost(error) if error.kind() == io::ErrorKind::InvalidData),
            "{error:?}"
        );
        let told = far.open(&script.record().written).unwrap_err();
        assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    }

    tamper(Far::server_of(), Role::Client);
    tamper(Far::client_of(), Role::Server);
}

/// A connection that has received much, and then waits, keeps no more than one that has received little.
#[test]
fn a_connection_that_waits_is_small() {
    fn kept<C, D>(ends: fn() -> (Far, C), role: Role, messages: usize) -> i64
    where
        C: DerefMut<Target = ConnectionCommon<D>>,
    {
        let mut waiting = None;
        let taken = allocation_counter::measure(|| {
            let (mut far, tls) = ends();
            let text = frame(role, TEXT, &[b'x'; 100]);
            let many = (0..messages / 100).flat_map(|_| far.seal(&text.repeat(100))).collect();
            let reads =
                [Read::Bytes(many), Read::Error(io::ErrorKind::WouldBlock), Read::Bytes(far.seal(&text))];
            let ws = waiting.insert(over(tls, &Script::new(reads, []), role));
            for _ in 0..=messages {
                ws.recv().unwrap().unwrap();
            }
        });
        taken.bytes_current
    }

    for (role, kept) in [
        (Role::Client, (|messages| kept(Far::server_of, Role::Client, messages)) as fn(usize) -> i64),
        (Role::Server, |messages| kept(Far::client_of, Role::Server, messages)),
    ] {
        // The first brings what all share.
        kept(100);
        let (little, much) = (kept(100), kept(10_000));
        println!("{role:?}: {little} bytes, {much} after many messages");
        assert!(much <= little + 1024, "{role:?}: {little} bytes, {much} after many messages");
    }
}

/// A thread that receives does not wait for one whose write is blocked, though TLS has one state for
/// both: more is under way than all buffers hold, and the peer reads no more while nobody reads its
/// answers.
#[test]
fn both_halves_at_once() {
    let (client, server) = opened();
    halves_at_once(client, server);
    let (client, server) = opened();
    halves_at_once(server, client);
}

fn halves_at_once<S, T>(ws: WebSocket<S>, mut peer: WebSocket<T>)
where
    S: TryClone + Send + 'static,
    T: Transport + Send + 'static,
{
    const MESSAGES: usize = 200;

    let echo = thread::spawn(move || {
        while let Some(message) = peer.recv().unwrap() {
            peer.send(message).unwrap();
        }
        assert!(peer.closed().unwrap().clean);
    });
    let (mut sender, mut receiver) = ws.split().unwrap();
    let payload = |i: usize| vec![u8::try_from(i).unwrap(); 100_000];
    let sending = thread::spawn(move || {
        for i in 0..MESSAGES {
            sender.send(payload(i)).unwrap();
        }
        sender.close(CloseCode::NORMAL, "").unwrap();
    });
    for i in 0..MESSAGES {
        assert!(receiver.recv().unwrap() == Some(Message::binary(payload(i))), "message {i}");
    }
    assert_eq!(receiver.recv().unwrap(), None);
    assert!(receiver.closed().unwrap().clean);
    sending.join().unwrap();
    echo.join().unwrap();
}

/// Pings arrive while the writer is blocked, since the peer reads nothing: the receiving half takes them
/// all, and the latest is answered once the peer reads again.
#[test]
fn pings_beside_a_blocked_writer() {
    let (client, server) = opened();
    pings_beside(client, server);
    let (client, server) = opened();
    pings_beside(server, client);
}

fn pings_beside<S, T>(ws: WebSocket<S>, mut peer: WebSocket<T>)
where
    S: TryClone + Send + 'static,
    T: Transport + Send + 'static,
{
    const PINGS: u32 = 20_000;

    let large = vec![7; 16 << 20];
    let expected = large.clone();
    let pinging = thread::spawn(move || {
        // With data around each, more than all buffers hold.
        for i in 0..PINGS {
            peer.ping(&i.to_be_bytes()).unwrap();
            peer.send(vec![0; 500]).unwrap();
        }
        let (mut messages, mut last) = (0, None);
        while messages == 0 || last != Some(PINGS - 1) {
            match peer.recv_incoming().unwrap().unwrap() {
                Incoming::Message(message) => {
                    assert!(message.payload() == expected, "not what was sent");
                    messages += 1;
                }
                Incoming::Pong(payload) => {
                    let number = u32::from_be_bytes(payload[..].try_into().unwrap());
                    assert!(last < Some(number), "{last:?} before {number}");
                    last = Some(number);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(messages, 1);
        peer.close(CloseCode::NORMAL, "").unwrap();
    });
    let (mut sender, mut receiver) = ws.split().unwrap();
    let sending = thread::spawn(move || sender.send(large).unwrap());
    for _ in 0..PINGS {
        assert_eq!(receiver.recv().unwrap().unwrap().len(), 500);
    }
    assert_eq!(receiver.recv().unwrap(), None);
    assert!(receiver.closed().unwrap().clean);
    sending.join().unwrap();
    pinging.join().unwrap();
}
