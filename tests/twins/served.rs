//! What `serve` of both adapters does beside handing connections out: it tells what fails, counts, speaks TLS, and answers
//! those for whom there is no room. Over loopback; every wait is for something that comes.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use sansocket::blocking::{self, ClientStream, Stop, WebSocket, connect, connect_over};
use sansocket::handshake::ClientRequest;
use sansocket::tokio as asynchronous;
use sansocket::{Cause, Client, CloseCode, Connections, Error, Handled, Message, Server, Uri};
use tokio::sync::oneshot;

/// Longer than anything here takes: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

const ADAPTERS: [Adapter; 2] = [Adapter::Blocking, Adapter::Tokio];

#[derive(Clone, Copy, Debug)]
enum Adapter {
    Blocking,
    Tokio,
}

/// What a handler does with its connection.
#[derive(Clone, Copy)]
enum Way {
    Echo,
    Fail,
    Panic,
    /// And works on, until it has leave to go.
    Reject,
}

/// A server that serves.
struct Served {
    address: SocketAddr,
    server: Server,
    told: Receiver<String>,
    /// How many of the handlers that wait may go on.
    leave: Arc<AtomicUsize>,
    /// The same socket.
    listener: TcpListener,
    stop: Option<Box<dyn FnOnce()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Served {
    fn start(adapter: Adapter, server: Server, way: Way) -> Self {
        let (tell, told) = mpsc::channel();
        let server = server.on_error(move |failure| {
            let gone = if failure.is_peer_gone() { "gone" } else { "" };
            let peer = failure.peer().map_or(0, |peer| peer.port());
            let kind = match failure.cause() {
                Cause::Accept(_) => "accept",
                Cause::Full => "full",
                Cause::Handshake(_) => "handshake",
                Cause::Handler(_) => "handler",
                Cause::Panic(_) => "panic",
                _ => "new",
            };
            let line = failure.to_string();
            let text = line.split_once(": ").filter(|_| peer != 0).map_or(&*line, |(_, text)| text);
            // Those of the end are nobody's.
            let _ = tell.send(format!("{kind}{gone}: {text}"));
        });
        Self { told, ..Self::serving(adapter, server, way) }
    }

    /// Without anybody who is told.
    fn serving(adapter: Adapter, server: Server, way: Way) -> Self {
        let leave = Arc::<AtomicUsize>::default();
        let left = leave.clone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, copy) = (listener.local_addr().unwrap(), server.clone());
        let same = listener.try_clone().unwrap();
        let (stop, thread): (Box<dyn FnOnce()>, _) = match adapter {
            Adapter::Blocking => {
                let stop = Stop::default();
                let stopping = stop.clone();
                let thread = thread::spawn(move || {
                    blocking::serve_with(listener, &copy, &stop, move |pending| {
                        by_blocking(pending, way, &left)
                    })
                });
                (Box::new(move || stopping.stop()), thread)
            }
            Adapter::Tokio => {
                let (stop, stopped) = oneshot::channel::<()>();
                let thread = thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(async {
                        listener.set_nonblocking(true)?;
                        let listener = tokio::net::TcpListener::from_std(listener)?;
                        asynchronous::serve_with(listener, &copy, stopped, move |pending| {
                            by_tokio(pending, way, left.clone())
                        })
                        .await
                    })
                });
                (Box::new(move || drop(stop)), thread)
            }
        };
        let told = mpsc::channel().1;
        Self { address, server, told, leave, listener: same, stop: Some(stop), thread: Some(thread) }
    }

    fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    fn open(&self) -> WebSocket<ClientStream> {
        connect_over("ws://localhost/", self.tcp()).unwrap()
    }

    /// Writes a request, and reads all of the answer.
    fn answer(&self, request: &str) -> String {
        let mut tcp = self.tcp();
        tcp.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }

    fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until that is how many there are: what a client sees may be a moment before what the server has counted.
    fn until_counted(&self, opening: usize, open: usize, total: u64) {
        let mut left = 3_000_000;
        loop {
            let Connections { opening: a, open: b, total: c, .. } = self.server.connections();
            if (a, b, c) == (opening, open, total) {
                return;
            }
            left -= 1;
            assert!(left > 0, "{:?}", self.server.connections());
            thread::yield_now();
        }
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    /// Has a handler that waits go on.
    fn go_on(&self) {
        self.leave.fetch_add(1, Ordering::SeqCst);
    }
}

/// Takes leave to go on, if there is one.
fn may_leave(leave: &AtomicUsize) -> bool {
    leave.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |leave| leave.checked_sub(1)).is_ok()
}

fn by_blocking(pending: blocking::Pending, way: Way, leave: &AtomicUsize) -> Result<(), Error> {
    if matches!(way, Way::Reject) {
        pending.reject(404, "no")?;
        while !may_leave(leave) {
            thread::yield_now();
        }
        return Ok(());
    }
    let mut ws = pending.accept()?;
    while let Some(message) = ws.recv()? {
        match way {
            Way::Echo => ws.send(message)?,
            Way::Fail => ws.ping(&[0; 126])?,
            Way::Panic | Way::Reject => panic!("the {} of it", "end"),
        }
    }
    Ok(())
}

async fn by_tokio(pending: asynchronous::Pending, way: Way, leave: Arc<AtomicUsize>) -> Result<(), Error> {
    if matches!(way, Way::Reject) {
        pending.reject(404, "no").await?;
        while !may_leave(&leave) {
            tokio::task::yield_now().await;
        }
        return Ok(());
    }
    let mut ws = pending.accept().await?;
    while let Some(message) = ws.recv().await? {
        match way {
            Way::Echo => ws.send(message).await?,
            Way::Fail => ws.ping(&[0; 126]).await?,
            Way::Panic | Way::Reject => panic!("the {} of it", "end"),
        }
    }
    Ok(())
}

/// The address is the one that the connection was accepted with: of one that was reset before, it cannot be asked any more.
#[test]
fn the_address_of_a_client_that_is_gone() {
    for adapter in ADAPTERS {
        let (tell, told) = mpsc::channel();
        let server = Server::default().max_connections(1);
        let server = server.on_error(move |failure| tell.send(failure.peer()).unwrap());
        let mut served = Served::serving(adapter, server, Way::Echo);
        let open = served.open();
        // It waits to be accepted, for which there is no room.
        let tcp = served.tcp();
        let address = tcp.local_addr().unwrap();
        socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        drop(tcp);
        drop(open);
        let peers = [told.recv_timeout(PATIENCE).unwrap(), told.recv_timeout(PATIENCE).unwrap()];
        assert!(peers.contains(&Some(address)), "{adapter:?}: {peers:?}");
        served.stop();
    }
}

/// Nothing, any error, or never: a handler returns what its loop comes to.
#[test]
fn whatever_a_handler_returns() {
    fn blocking<T: Handled>(_: impl Fn(blocking::Pending) -> T) {}
    fn asynchronous<H: Future<Output: Handled>>(_: impl Fn(asynchronous::Pending) -> H) {}
    blocking(|_| {});
    blocking(|_| {
        loop {
            thread::park();
        }
    });
    blocking(|pending| pending.accept().map(drop));
    blocking(|_| Err::<Infallible, _>("no"));
    blocking(|pending| {
        pending.accept()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    });
    asynchronous(async |_| {});
    asynchronous(async |_| {
        loop {
            pending::<()>().await;
        }
    });
    asynchronous(async |pending| pending.accept().await.map(drop));
    asynchronous(async |_| Err::<Infallible, _>("no"));
    asynchronous(async |pending| {
        let mut ws = pending.accept().await?;
        loop {
            if ws.recv().await?.is_none() {
                break Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
            }
        }
    });
}

/// What cannot be listened on is said with its address.
#[test]
fn addresses() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = address.port();
    for error in [
        blocking::serve(address, |_| {}).unwrap_err(),
        blocking::serve(("127.0.0.1", port), |_| {}).unwrap_err(),
        blocking::serve(address.to_string(), |_| {}).unwrap_err(),
        runtime.block_on(asynchronous::serve(address, async |_| {})).unwrap_err(),
        runtime.block_on(asynchronous::serve((address.ip(), port), async |_| {})).unwrap_err(),
        runtime.block_on(asynchronous::serve(&*address.to_string(), async |_| {})).unwrap_err(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(text.starts_with("cannot listen on ") && text.contains(&port.to_string()), "{text}");
    }
}

/// What no call could return is told, with who it was.
#[test]
fn failures() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default(), Way::Fail);
        served.open().send("now").unwrap();
        let told = served.told();
        assert!(told.starts_with("handler: the handler failed: "), "{adapter:?}: {told}");
        assert!(served.answer("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
        assert_eq!(served.told(), "handshake: the Host header is missing");
        drop(served.tcp());
        assert_eq!(served.told(), "handshakegone: the connection ended during the opening handshake");
        // Where TLS is spoken, and not here.
        assert!(served.answer("\x16\x03\x01").starts_with("HTTP/1.1 400 "));
        assert!(served.told().starts_with("handshake: the other end speaks TLS"));
        served.stop();

        let mut served = Served::start(adapter, Server::default(), Way::Panic);
        served.open().send("now").unwrap();
        assert_eq!(served.told(), "panic: the handler panicked: the end of it", "{adapter:?}");
        // It serves on, and nothing is counted that is gone.
        served.until_counted(0, 0, 1);
        served.stop();
    }
}

#[test]
fn connections_are_counted() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default(), Way::Echo);
        assert_eq!(served.server.connections(), Connections::default());
        let silent = served.tcp();
        let mut ws = served.open();
        served.until_counted(1, 1, 2);
        assert_eq!(served.server.clone().connections().now(), 2);
        ws.close(CloseCode::NORMAL, "").unwrap();
        served.until_counted(1, 0, 2);
        drop(silent);
        served.until_counted(0, 0, 2);
        served.stop();
    }
}

/// A handler that reads and writes bytes fails with an `io::Error`, in which the crate's is.
#[test]
fn a_peer_that_is_gone_is_known_in_an_io_error() {
    for adapter in ADAPTERS {
        let (tell, told) = mpsc::channel();
        let server = Server::default().on_error(move |failure| tell.send(failure.is_peer_gone()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || match adapter {
            Adapter::Blocking => {
                let stop = Stop::default();
                let stopping = stop.clone();
                blocking::serve_with(listener, &server, &stop, move |pending| {
                    let mut ws = pending.accept()?;
                    let received = ws.recv().map(drop).map_err(io::Error::from);
                    stopping.stop();
                    received
                })
            }
            Adapter::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    listener.set_nonblocking(true)?;
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    let (stop, mut stopped) = tokio::sync::mpsc::channel(1);
                    asynchronous::serve_with(listener, &server, stopped.recv(), move |pending| {
                        let stop = stop.clone();
                        async move {
                            let mut ws = pending.accept().await?;
                            let received = ws.recv().await.map(drop).map_err(io::Error::from);
                            let _ = stop.send(()).await;
                            received
                        }
                    })
                    .await
                })
            }
        });
        let tcp = TcpStream::connect(address).unwrap();
        drop(connect_over("ws://localhost/", tcp).unwrap());
        assert!(told.recv_timeout(PATIENCE).unwrap(), "{adapter:?}");
        thread.join().unwrap().unwrap();
    }
}

/// An `on_error` that panics ends nothing.
#[test]
fn a_listener_that_panics() {
    for adapter in ADAPTERS {
        let server = Server::default().on_error(|_| panic!("what it prints to is closed"));
        let mut served = Served::serving(adapter, server, Way::Echo);
        assert!(served.answer("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
        let mut ws = served.open();
        ws.send("still").unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("still")));
        ws.close(CloseCode::NORMAL, "").unwrap();
        served.until_counted(0, 0, 2);
        served.stop();
    }
}

/// A handshake is over when the request is answered, whatever the handler does then.
#[test]
fn a_handler_that_works_on_after_its_answer() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default().max_handshakes(1), Way::Reject);
        for total in 1..3 {
            let error = connect_over("ws://localhost/", served.tcp()).unwrap_err();
            assert_eq!(error.refusal().unwrap().status(), 404);
            served.until_counted(0, 1, total);
            served.go_on();
            served.until_counted(0, 0, total);
        }
        served.stop();
    }
}

/// What is cut off by a stop is nobody's failure.
#[test]
fn a_stop_during_handshakes() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default(), Way::Echo);
        let silent = served.tcp();
        served.until_counted(1, 0, 1);
        served.stop();
        assert_eq!(served.told.try_recv().ok(), None, "{adapter:?}");
        drop(silent);
    }
}

/// A listener that is not one any more ends the server, and its connections are told.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_fails() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default(), Way::Echo);
        let mut ws = served.open();
        served.until_counted(0, 1, 1);
        socket2::SockRef::from(&served.listener).shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(ws.recv().unwrap(), None, "{adapter:?}");
        assert_eq!(ws.closed().unwrap().code, CloseCode::GOING_AWAY);
        let error = served.thread.take().unwrap().join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

/// Those for whom there is no room wait, or are told; when somebody leaves, the next is served.
#[test]
fn a_full_server() {
    for status in [99, 200, 204, 299, 600] {
        assert!(matches!(Server::default().when_full(status), Err(Error::Build(_))), "{status}");
    }
    for adapter in ADAPTERS {
        let server = Server::default().max_connections(2).when_full(503).unwrap();
        let mut served = Served::start(adapter, server, Way::Echo);
        let (mut first, second) = (served.open(), served.open());
        served.until_counted(0, 2, 2);
        match connect_over("ws://localhost/", served.tcp()) {
            Err(error) => {
                let refusal = error.refusal().unwrap();
                let again = refusal.retry_after(SystemTime::now());
                assert_eq!((refusal.status(), again), (503, Some(Duration::from_secs(5))), "{adapter:?}");
            }
            Ok(_) => panic!("{adapter:?}: it was let in"),
        }
        assert_eq!(served.told(), "full: refused, since there is no room for one more connection");
        // One that says nothing, and is refused when it does, keeps nobody out.
        let silent = served.tcp();
        served.until_counted(1, 2, 4);
        first.close(CloseCode::NORMAL, "").unwrap();
        served.until_counted(1, 1, 4);
        let mut third = served.open();
        third.send("here").unwrap();
        assert_eq!(third.recv().unwrap(), Some(Message::text("here")));
        drop((second, third, silent));
        served.stop();
    }
}

/// A page may connect to where it came from.
#[test]
fn origins() {
    for adapter in ADAPTERS {
        let mut served = Served::start(adapter, Server::default(), Way::Echo);
        let open = |origin: &str| {
            let request =
                ClientRequest::new(&Uri::parse("ws://example.com/").unwrap()).origin(origin).unwrap();
            connect_over(Client::with_request(request), served.tcp()).map(drop)
        };
        open("http://example.com").unwrap();
        open("https://EXAMPLE.com").unwrap();
        for foreign in
            ["http://example.org", "http://example.com:8080", "null", "http://example.com.evil.org"]
        {
            let error = open(foreign).unwrap_err();
            let refusal = error.refusal().unwrap();
            assert_eq!(refusal.status(), 403, "{adapter:?}: {foreign}");
            let body = String::from_utf8(refusal.body().to_vec()).unwrap();
            assert!(
                body.contains(&format!("the page comes from {foreign}, and asks for example.com")),
                "{body}"
            );
            // That the others went without a closing handshake is told, too.
            while !served.told().contains("pages of this origin may not connect") {}
        }
        served.stop();
    }
}

/// TLS of `serve`, with files that are exchanged while it runs; who speaks without TLS is told so, and the reverse.
#[cfg(feature = "tokio-rustls")]
mod tls {
    use std::path::PathBuf;
    use std::{fs, process};

    use sansocket::rustls::crypto::ring::default_provider;
    use sansocket::rustls::pki_types::CertificateDer;
    use sansocket::rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};

    use super::*;

    /// Certificate and key, in PEM.
    fn made() -> (CertificateDer<'static>, String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.der().clone(), made.cert.pem(), made.signing_key.serialize_pem())
    }

    /// That trusts this certificate.
    fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A file of this test, and this content.
    fn file(name: &str, content: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sansocket-{}-{name}", process::id()));
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn from_files_that_are_exchanged() {
        for adapter in ADAPTERS {
            let (first, pem, key) = made();
            let files = (file("cert.pem", &pem), file("key.pem", &key));
            let server = Server::default().tls_pem(&files.0, &files.1).unwrap();
            let mut served = Served::start(adapter, server, Way::Echo);
            let port = served.address.port();
            let open = |trusted| {
                let client = Client::new(&format!("wss://localhost:{port}/")).unwrap();
                connect(client.tls(trusting(trusted)))
            };
            let mut ws = open(first.clone()).unwrap();
            ws.send("over TLS").unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("over TLS")));

            // What cannot be used leaves all as it was.
            fs::write(&files.0, "no certificate").unwrap();
            let error = served.server.reload_tls().unwrap_err();
            assert!(error.to_string().ends_with("cert.pem: there is no certificate in it"), "{error}");
            open(first.clone()).unwrap();
            let (second, pem, key) = made();
            fs::write(&files.0, pem).unwrap();
            fs::write(&files.1, key).unwrap();
            served.server.reload_tls().unwrap();
            open(second.clone()).unwrap();
            assert!(matches!(open(first), Err(Error::Connect(_))), "{adapter:?}: the old one is no more");
            // That some went without a closing handshake is told, too.
            while !served.told().starts_with("handshake: cannot connect: ") {}
            // The connection of before goes on.
            ws.send("still").unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("still")));
            ws.close(CloseCode::NORMAL, "").unwrap();
            served.stop();
            fs::remove_file(files.0).unwrap();
            fs::remove_file(files.1).unwrap();
        }
    }

    /// More clients than a server keeps sessions of come back, and each of them resumes its own.
    #[test]
    fn sessions_are_resumed() {
        const CLIENTS: usize = 150;
        for adapter in ADAPTERS {
            let (certificate, pem, key) = made();
            let files = (file("resumed-cert.pem", &pem), file("resumed-key.pem", &key));
            let server = Server::default().tls_pem(&files.0, &files.1).unwrap();
            let mut served = Served::start(adapter, server, Way::Echo);
            let uri = format!("wss://localhost:{}/", served.address.port());
            let open = |tls: &Arc<ClientConfig>| {
                let mut ws = connect(Client::new(&uri).unwrap().tls(tls.clone())).unwrap();
                // The tickets have come before the answer has.
                ws.send("a message").unwrap();
                ws.recv().unwrap();
                let kind = ws.get_ref().tls().unwrap().handshake_kind();
                ws.close(CloseCode::NORMAL, "").unwrap();
                kind
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| trusting(certificate.clone())).collect();
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                for client in &clients {
                    assert_eq!(open(client), Some(kind), "{adapter:?}");
                }
            }
            served.stop();
            fs::remove_file(files.0).unwrap();
            fs::remove_file(files.1).unwrap();
        }
    }

    #[test]
    fn by_configuration() {
        assert!(!Server::default().set_tls(server_config(&[]).1));
        Server::default().reload_tls().unwrap();
        for adapter in ADAPTERS {
            let (certificate, config) = server_config(&["h2", "http/1.1"]);
            let mut served = Served::start(adapter, Server::default().tls(config), Way::Echo);
            let client = Client::new(&format!("wss://localhost:{}/", served.address.port())).unwrap();
            let mut client_config = (*trusting(certificate)).clone();
            client_config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            let ws = connect(client.tls(Arc::new(client_config))).unwrap();
            assert_eq!(ws.get_ref().tls().unwrap().alpn_protocol(), Some(&b"http/1.1"[..]));
            let (other, config) = server_config(&[]);
            assert!(served.server.set_tls(config));
            let client = Client::new(&format!("wss://localhost:{}/", served.address.port())).unwrap();
            let second = connect(client.tls(trusting(other))).unwrap();
            assert_eq!(second.get_ref().tls().unwrap().alpn_protocol(), None);
            drop((ws, second));
            served.stop();
        }
    }

    fn server_config(alpn: &[&str]) -> (CertificateDer<'static>, Arc<ServerConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        (made.cert.der().clone(), Arc::new(config))
    }

    /// `ws://` where TLS is spoken, and `wss://` where it is not: both ends say so.
    #[test]
    fn only_one_end_speaks_it() {
        for adapter in ADAPTERS {
            let (certificate, config) = server_config(&[]);
            let mut served = Served::start(adapter, Server::default().tls(config), Way::Echo);
            let error = connect(format!("ws://{}/", served.address)).unwrap_err();
            assert_eq!(error.refusal().unwrap().status(), 400);
            assert!(
                error.to_string().contains("this server speaks TLS: connect to it with wss://"),
                "{error}"
            );
            assert!(served.told().starts_with("handshake: this server speaks TLS"));
            // Who only looks whether somebody listens, or goes in the middle.
            drop(served.tcp());
            assert!(served.told().starts_with("handshakegone: "), "{adapter:?}");
            served.tcp().write_all(b"\x16\x03\x01\x02\x00").unwrap();
            assert!(served.told().starts_with("handshakegone: "), "{adapter:?}");
            served.stop();

            let mut served = Served::start(adapter, Server::default(), Way::Echo);
            let client = Client::new(&format!("wss://localhost:{}/", served.address.port())).unwrap();
            let error = connect(client.tls(trusting(certificate.clone()))).unwrap_err();
            assert!(error.to_string().contains("the other end does not speak TLS"), "{error}");
            assert!(served.told().contains("the other end speaks TLS"));
            let client = Client::new(&format!("wss://localhost:{}/", served.address.port())).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let connecting = asynchronous::connect(client.tls(trusting(certificate)));
            let error = runtime.block_on(connecting).unwrap_err();
            assert!(error.to_string().contains("the other end does not speak TLS"), "{error}");
            served.stop();
        }
    }

    /// A server of others answers with an alert.
    #[test]
    fn an_alert_where_a_response_was_awaited() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut tcp = listener.accept().unwrap().0;
            tcp.read_exact(&mut [0; 16]).unwrap();
            tcp.write_all(b"\x15\x03\x03\x00\x02\x02\x32").unwrap();
        });
        let error = connect(format!("ws://{address}/")).unwrap_err();
        assert!(error.to_string().starts_with("the other end speaks TLS, which wss://"), "{error}");
        server.join().unwrap();
    }

    /// What is wrong with a file is said with its line.
    #[test]
    fn files_that_are_wrong() {
        let (_, pem, key) = made();
        let (_, _, other_key) = made();
        let lines = |pem: &str| pem.lines().count();
        let broken = pem.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n*");
        let cases = [
            (pem.clone(), String::new(), "b.pem: there is no private key in it"),
            (
                pem.clone(),
                pem.clone(),
                "b.pem: there is no private key in it, but a certificate: are the two files exchanged?",
            ),
            (
                key.clone(),
                key.clone(),
                "a.pem: there is no certificate in it, but a private key: are the two files exchanged?",
            ),
            (
                pem.clone(),
                other_key.clone(),
                "b.pem, line 1: the key is not the one of the first certificate in the other file",
            ),
            (
                format!("text\n\n{}", &pem[..pem.len() - 30]),
                key.clone(),
                "a.pem, line 3: what begins here has no END: the file may be cut short",
            ),
            (
                format!("{pem}{broken}"),
                key.clone(),
                &format!("a.pem, line {}: the CERTIFICATE that begins here: ", lines(&pem) + 1),
            ),
            (
                pem.clone(),
                "-----END PRIVATE KEY-----\n".to_owned(),
                "b.pem, line 1: an END of PRIVATE KEY that had no BEGIN",
            ),
            (
                pem.clone(),
                key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
                "b.pem, line 1: the private key is encrypted: ",
            ),
        ];
        for (certificate, key, sentence) in cases {
            let files = (file("a.pem", &certificate), file("b.pem", &key));
            let error = Server::default().tls_pem(&files.0, &files.1).unwrap_err();
            assert!(error.to_string().contains(&format!("-{sentence}")), "{error}");
            let Error::Certificate(wrong) = error else { panic!("{error}") };
            let file = wrong.file().unwrap();
            assert!(file == files.0 || file == files.1);
            assert_eq!(wrong.line().is_some(), sentence.contains("line"));
        }
        let error = Server::default().tls_pem("no/such/file", "no/such/key").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file: it cannot be read: "), "{error}");
        // One file with both, whatever the line ends, and text between.
        let both = file("both.pem", &format!("{key}words\n{pem}").replace('\n', "\r\n"));
        Server::default().tls_pem(&both, &both).unwrap();
        for name in ["a.pem", "b.pem", "both.pem"] {
            fs::remove_file(file(name, "")).unwrap();
        }
    }
}

/// With the feature `tracing`: a span for each connection, events in it, no query and no payload anywhere.
#[cfg(feature = "tracing")]
mod spans {
    use std::collections::HashMap;
    use std::fmt::Write;
    use std::sync::atomic::AtomicU64;
    use std::sync::{LazyLock, Mutex, Once};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// All that was told, by the test's threads and others: a line for each event, with the spans that it is in.
    static LINES: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);
    static SPANS: LazyLock<Mutex<HashMap<u64, String>>> = LazyLock::new(Mutex::default);

    std::thread_local! {
        static ENTERED: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    struct Collector(AtomicU64);

    struct Fields<'a>(&'a mut String);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let id = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let mut line = span.metadata().name().to_owned();
            span.record(&mut Fields(&mut line));
            SPANS.lock().unwrap().insert(id, line);
            Id::from_u64(id)
        }

        fn record(&self, span: &Id, values: &Record<'_>) {
            values.record(&mut Fields(SPANS.lock().unwrap().get_mut(&span.into_u64()).unwrap()));
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let entered = ENTERED.with_borrow(|entered| entered.last().copied());
            let span = entered.and_then(|id| SPANS.lock().unwrap().get(&id).cloned());
            let mut line = format!("{} {}:", event.metadata().level(), span.unwrap_or_default());
            event.record(&mut Fields(&mut line));
            LINES.lock().unwrap().push(line);
        }

        fn enter(&self, span: &Id) {
            ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
        }

        fn exit(&self, _: &Id) {
            ENTERED.with_borrow_mut(Vec::pop);
        }
    }

    #[test]
    fn a_span_for_each_connection() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Collector(AtomicU64::new(0))).unwrap());
        for adapter in ADAPTERS {
            let mut served = Served::start(adapter, Server::default(), Way::Fail);
            let tcp = served.tcp();
            let peer = tcp.local_addr().unwrap();
            let mut ws = connect_over("ws://localhost/room?token=secret", tcp).unwrap();
            ws.send("confidential").unwrap();
            assert!(served.told().starts_with("handler: "));
            let gone = served.tcp();
            let vanished = gone.local_addr().unwrap();
            drop(gone);
            assert!(served.told().starts_with("handshakegone: "));
            served.stop();

            let lines = LINES.lock().unwrap().clone();
            let of = |peer: SocketAddr| lines.iter().filter(move |line| line.contains(&peer.to_string()));
            let failed = of(peer).next().unwrap();
            assert!(failed.starts_with(&format!("WARN connection peer={peer} path=\"/room\": ")), "{failed}");
            assert!(failed.contains("the handler failed"), "{failed}");
            assert!(of(vanished).next().unwrap().starts_with(&format!("DEBUG connection peer={vanished}: ")));
            assert!(!lines.iter().any(|line| line.contains("secret") || line.contains("confidential")));
        }
    }
}
