//! TLS: nothing passes outside of it.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sansocket::handshake::RequestError;
use sansocket::tokio::{WebSocket, accept, accept_tls, connect, connect_as_is, connect_over};
use sansocket::{Client, CloseCode, Config, Error, Message, Role, Server, TimedOut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::common::{TEXT, frame, secs};
use crate::peer::Peer;
use crate::script::{Read, Script};

/// A server's configuration with a certificate for `localhost` of its own making, and that of a client
/// that trusts it.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// A TCP stream that keeps what passes.
struct Tapped {
    tcp: TcpStream,
    passed: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.passed.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        poll
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write(cx, buf);
        if let Poll::Ready(Ok(len)) = &poll {
            self.passed.lock().unwrap().extend_from_slice(&buf[..*len]);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// 6455-4.1-14, 6455-4.1-16, 6455-4.1-17, 6455-4.2.2-02, 6455-4.2.2-03, 6455-10.6-01: a client and a
/// server speak through TLS, from the first byte to the last, and the client names the server in it.
#[tokio::test]
async fn everything_passes_inside() {
    let (server, client) = configs();
    let (listener, port) = listen().await;
    let passed = Arc::new(Mutex::new(Vec::new()));
    let serving = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = TlsAcceptor::from(server).accept(Tapped { tcp, passed: passed.clone() }).await.unwrap();
        assert_eq!(tls.get_ref().1.server_name(), Some("localhost"));
        let mut ws = accept(tls).await.unwrap().accept().await.unwrap();
        while let Some(message) = ws.recv().await.unwrap() {
            ws.send(message).await.unwrap();
        }
        assert!(ws.closed().unwrap().clean);
    };
    let driving = async {
        let client = Client::new(&format!("wss://localhost:{port}/plain-path")).unwrap().tls(client);
        let mut ws = connect(client).await.unwrap();
        assert!(ws.get_ref().tcp().nodelay().unwrap());
        for message in ["a plain text", "b", &"c".repeat(100_000)] {
            ws.send(message).await.unwrap();
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text(message)));
        }
        ws.close(CloseCode::NORMAL, "a plain reason").await.unwrap();
        assert!(ws.closed().unwrap().clean);
    };
    tokio::join!(serving, driving);
    let passed = passed.lock().unwrap();
    assert_eq!(passed[..3], [22, 3, 1], "the first record is a handshake's");
    for secret in ["plain", "HTTP/1.1", "Upgrade", "ccccc"] {
        assert!(!contains(&passed, secret.as_bytes()), "{secret}");
    }
}

/// What TLS has taken, and a peer that reads nothing has not, is little beside what may be queued.
#[tokio::test]
async fn records_that_wait_are_few() {
    const LARGE: usize = 1 << 20;
    let (server, client) = configs();
    let (near, far) = duplex(1024);
    let serving =
        async { accept_tls(near, server, &Server::default()).await.unwrap().accept().await.unwrap() };
    let connecting = async {
        let name = "localhost".try_into().unwrap();
        let tls = TlsConnector::from(client).connect(name, far).await.unwrap();
        connect_over("ws://localhost/", tls).await.unwrap()
    };
    let (mut ws, _client) = tokio::join!(serving, connecting);
    assert!(ws.try_feed(vec![7; LARGE]).unwrap());
    assert!(ws.flush().now_or_never().is_none());
    let taken = LARGE - ws.queued().bytes;
    assert!(taken <= 20 << 10, "{taken} bytes");
}

/// A peer that reads nothing is given up at the write timeout, though TLS has taken what the transport has not, and though
/// the peer speaks all the time; and what is dropped with something left to write lets go of its stream then.
#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_and_reads_nothing() {
    #[derive(Clone, Copy, PartialEq)]
    enum Program {
        Sends,
        Receives,
        IsGone,
    }
    let message = frame(Role::Server, TEXT, b"I speak");
    // TLS takes all of the one, and some of the other.
    let cases = [Program::Sends, Program::Receives, Program::IsGone];
    for (program, len) in cases.into_iter().flat_map(|program| [24 << 10, 1 << 17].map(|len| (program, len)))
    {
        let (server, client) = configs();
        let (near, far) = duplex(1 << 14);
        let config = Config::default().write_timeout(secs(7)).min_data_rate(0);
        let settings = Server::default().config(config);
        let serving = async { accept_tls(near, server, &settings).await.unwrap().accept().await.unwrap() };
        let connecting = async {
            let name = "localhost".try_into().unwrap();
            let tls = TlsConnector::from(client).connect(name, far).await.unwrap();
            let mut peer = Peer::open(tls).await;
            peer.send_raw(&message.repeat(2)).await;
            peer.io
        };
        let (mut ws, mut peer) = tokio::join!(serving, connecting);
        assert!(ws.recv().await.unwrap().is_some());
        let speaks = async {
            while peer.write_all(&message).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let large = vec![7; len];
        let gives_up = async {
            match program {
                // One more is unread: it is left for a task to write.
                Program::IsGone => {
                    ws.send(large).await.unwrap();
                    drop(ws);
                    return;
                }
                Program::Sends => {
                    assert!(ws.recv().await.unwrap().is_some());
                    let error = ws.send(large).await.unwrap_err();
                    assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error:?}");
                }
                Program::Receives => {
                    ws.feed(large).await.unwrap();
                    let error = loop {
                        if let Err(error) = ws.recv().await {
                            break error;
                        }
                    };
                    assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error:?}");
                }
            }
            drop(ws);
        };
        let start = tokio::time::Instant::now();
        tokio::join!(speaks, gives_up);
        let took = start.elapsed();
        assert!((secs(7)..=secs(8)).contains(&took), "{took:?}");
    }
}

/// 6455-4.1-14: the first bytes on the wire are a TLS `ClientHello`; a server that does not answer it
/// is not spoken to.
#[tokio::test]
async fn the_first_bytes_are_a_client_hello() {
    let (listener, port) = listen().await;
    let serving = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 6];
        tcp.read_exact(&mut hello).await.unwrap();
        assert_eq!([hello[0], hello[1], hello[5]], [22, 3, 1], "{hello:?}");
        tcp.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await;
        assert!(!contains(&rest, b"HTTP/1.1"));
    };
    let (connecting, ()) = tokio::join!(connect(format!("wss://localhost:{port}")), serving);
    assert!(matches!(connecting, Err(Error::Connect(_))), "{connecting:?}");
}

/// 6455-4.1-15, 6455-4.2.2-02: a certificate that is not trusted, or is for another name, fails the
/// connection on both sides, before any of the handshake was sent.
#[tokio::test]
async fn untrusted_certificates() {
    let (server, trusting) = configs();
    for (host, tls) in [("localhost", None), ("127.0.0.1", Some(trusting))] {
        let (listener, port) = listen().await;
        let serving = async {
            let (tcp, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(server.clone()).accept(tcp).await
        };
        let mut client = Client::new(&format!("wss://{host}:{port}/")).unwrap();
        if let Some(tls) = tls {
            client = client.tls(tls);
        }
        let (connecting, serving) = tokio::join!(connect(client), serving);
        let Err(Error::Connect(error)) = connecting else { panic!("{connecting:?}") };
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(serving.is_err());
    }
}

/// `accept_tls` does both handshakes, within one timeout; a client that does not speak TLS is not spoken to.
#[tokio::test]
async fn both_handshakes() {
    let (server, client) = configs();
    let (listener, port) = listen().await;
    let accepting = async |options: &Server| {
        let (tcp, _) = listener.accept().await.unwrap();
        accept_tls(tcp, server.clone(), options).await
    };
    let patient = Server::default();
    let serving = async {
        let mut ws = accepting(&patient).await.unwrap().accept().await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
        assert_eq!(ws.recv().await.unwrap(), None);
    };
    let driving = async {
        let client = Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client);
        let mut ws = connect(client).await.unwrap();
        ws.send("hello").await.unwrap();
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    tokio::join!(serving, driving);

    let driving = async {
        let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer).await;
        // It is no secret that TLS is spoken here.
        assert!(answer.starts_with(b"HTTP/1.1 400 ") && contains(&answer, b"this server speaks TLS"));
    };
    let (accepted, ()) = tokio::join!(accepting(&patient), driving);
    assert!(matches!(accepted, Err(Error::Request(RequestError::MissingTls))), "{accepted:?}");

    // One that says nothing.
    let silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let impatient = Server::default().handshake_timeout(Duration::from_millis(10));
    let accepted = accepting(&impatient).await;
    assert!(matches!(accepted, Err(Error::TimedOut(TimedOut::OpeningHandshake))), "{accepted:?}");
    drop(silent);
}

/// 6455-4.1-14, 6455-4.1-17, 6455-10.6-01: a stream that leads to the server gets TLS for a `wss://` URI, and is plain
/// for a `ws://` one. As it is, it is used where that is asked for by name: TLS of another make.
#[tokio::test(start_paused = true)]
async fn over_a_given_stream() {
    async fn answer_one<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(mut ws: WebSocket<S>) {
        let message = ws.recv().await.unwrap().unwrap();
        ws.send(message).await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), None);
    }

    async fn ask<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(mut ws: WebSocket<S>) {
        ws.send("text").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("text")));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    }

    let (server, tls) = configs();
    let (near, far) = duplex(1 << 16);
    let serving = async {
        let pending = accept_tls(far, server.clone(), &Server::default()).await.unwrap();
        assert_eq!(pending.get_ref().get_ref().1.server_name(), Some("localhost"));
        answer_one(pending.accept().await.unwrap()).await;
    };
    let driving = async {
        let ws = connect_over(Client::new("wss://localhost/").unwrap().tls(tls.clone()), near).await.unwrap();
        assert!(ws.get_ref().tls().unwrap().peer_certificates().is_some());
        ask(ws).await;
    };
    tokio::join!(serving, driving);

    let (near, far) = duplex(1 << 16);
    let serving = async { answer_one(accept(far).await.unwrap().accept().await.unwrap()).await };
    let driving = async {
        let ws = connect_over(Client::new("ws://localhost/").unwrap().tls(tls.clone()), near).await.unwrap();
        assert!(ws.get_ref().tls().is_none());
        ask(ws).await;
    };
    tokio::join!(serving, driving);

    let (near, far) = duplex(1 << 16);
    let serving = async {
        let pending = accept_tls(far, server.clone(), &Server::default()).await.unwrap();
        answer_one(pending.accept().await.unwrap()).await;
    };
    let driving = async {
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(tls.clone()).connect(name, near).await.unwrap();
        ask(connect_as_is("wss://localhost/", stream).await.unwrap()).await;
    };
    tokio::join!(serving, driving);
}

/// 6455-4.1-14, 6455-4.1-15: over a given stream, too, nothing of the handshake is sent to a server that has not proved
/// who it is, and it has no longer than the timeout.
#[tokio::test(start_paused = true)]
async fn a_given_stream_that_speaks_no_tls() {
    for answer in [None, Some(Read::Bytes("HTTP/1.1 101 Switching Protocols\r\n\r\n".into()))] {
        let silent = answer.is_none();
        let script = Script::new(answer);
        let client = Client::new("wss://localhost/").unwrap().header("Authorization", "Bearer 1").unwrap();
        match connect_over(client, script.clone()).await.unwrap_err() {
            Error::TimedOut(TimedOut::OpeningHandshake) => assert!(silent),
            Error::Connect(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            other => panic!("{other:?}"),
        }
        let written = script.record().written;
        assert_eq!([written[0], written[1], written[5]], [22, 3, 1], "a ClientHello");
        assert!(!contains(&written, b"Bearer"));
    }
}

/// RFC 7301: a client offers HTTP/1.1 alone, whatever else its configuration lists; a server that does not choose it fails
/// the connection, and so does a client that agreed with the server on something else, by errors that say so.
#[tokio::test(start_paused = true)]
async fn protocols_are_agreed_on() {
    let listing =
        |protocols: &[&str]| protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let (server, client) = configs();
    for (offered, supported, chosen) in [
        (&["h2", "http/1.1"][..], &["h2", "http/1.1"][..], Ok(Some("http/1.1"))),
        (&["h2"], &[], Ok(None)),
        (&[], &["h2"], Ok(None)),
        (&["h2"], &["h2"], Err("by ALPN the server did not choose what it was offered, ")),
    ] {
        let (mut server, mut client) = (server.clone(), client.clone());
        Arc::make_mut(&mut server).alpn_protocols = listing(supported);
        Arc::make_mut(&mut client).alpn_protocols = listing(offered);
        let (near, far) = duplex(1 << 16);
        let serving = async { accept_tls(far, server, &Server::default()).await?.accept().await };
        let connecting = connect_over(Client::new("wss://localhost/").unwrap().tls(client), near);
        match (tokio::join!(connecting, serving), chosen) {
            ((Ok(ws), Ok(_)), Ok(chosen)) => {
                assert_eq!(ws.get_ref().tls().unwrap().alpn_protocol(), chosen.map(str::as_bytes));
            }
            ((Err(error), Err(served)), Err(what)) => {
                assert!(error.to_string().contains(what), "{error}");
                assert!(
                    served.to_string().contains("by ALPN the client offered no protocol that"),
                    "{served}"
                );
            }
            (done, _) => panic!("{offered:?}, {supported:?}: {done:?}"),
        }
    }

    let (mut server, mut client) = (server, client);
    Arc::make_mut(&mut server).alpn_protocols = listing(&["h2", "http/1.1"]);
    Arc::make_mut(&mut client).alpn_protocols = listing(&["http/1.1", "h2"]);
    let (near, far) = duplex(1 << 16);
    let asking = async {
        let name = "localhost".try_into().unwrap();
        let mut stream = TlsConnector::from(client).connect(name, near).await.unwrap();
        stream.read(&mut [0]).await.unwrap_or(0)
    };
    let accepting = async { accept_tls(far, server, &Server::default()).await };
    let (accepted, answered) = tokio::join!(accepting, asking);
    let error = accepted.unwrap_err().to_string();
    assert_eq!(error, "cannot connect: ALPN chose h2, and what is spoken here is http/1.1");
    assert_eq!(answered, 0, "nothing was answered");
}

/// RFC 9113 section 3.2: a client of HTTP/2 offers that alone, whatever else its configuration lists, and a server has to
/// choose it.
#[cfg(feature = "http2")]
#[tokio::test(start_paused = true)]
async fn http2_is_agreed_on() {
    use sansocket::http::Http2;

    let (server, client) = configs();
    for (supported, expected) in [
        (&["http/1.1", "h2"][..], None),
        (&["http/1.1"], Some("by ALPN the server did not choose what it was offered, ")),
        (&[], Some("ALPN chose nothing, and what is spoken here is h2")),
    ] {
        let (mut server, mut client) = (server.clone(), client.clone());
        Arc::make_mut(&mut server).alpn_protocols =
            supported.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::make_mut(&mut client).alpn_protocols = vec![b"http/1.1".to_vec()];
        let (near, far) = duplex(1 << 16);
        let serving = tokio::spawn(async move {
            let tls = TlsAcceptor::from(server).accept(far).await.unwrap();
            let mut builder = h2::server::Builder::new();
            let mut connection = builder.enable_connect_protocol().handshake::<_, &[u8]>(tls).await.unwrap();
            let (_, mut response) = connection.accept().await.unwrap().unwrap();
            response.send_response(http::Response::new(()), false).unwrap();
            while let Some(Ok(_)) = connection.accept().await {}
        });
        let client = Client::new("wss://localhost/").unwrap().tls(client);
        match (Http2::connect_over(client.clone(), near).await, expected) {
            (Ok(http2), None) => {
                drop(http2.open(client).await.unwrap());
                drop(http2);
                serving.await.unwrap();
            }
            (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (done, _) => panic!("{supported:?}: {done:?}"),
        }
    }
}
