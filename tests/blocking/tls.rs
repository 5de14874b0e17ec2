//! TLS.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sansocket::blocking::{Incoming, accept_tls, connect};
use sansocket::{Client, CloseCode, Error, Message, Server};

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
        assert_eq!(ws.get_ref().conn.server_name(), Some("localhost"));
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
        assert!(ws.closed().unwrap().clean);
    });
    let mut ws = connect(Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client)).unwrap();
    for message in ["text", "b", &"c".repeat(1_000_000)] {
        ws.send(message).unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text(message)));
    }
    ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(ws.closed().unwrap().clean);
    serving.join().unwrap();
}

/// What a client left queued is written while it does something else: more than the sockets take at once, so
/// that TLS has records that it could not pass on.
#[test]
fn what_was_left_passes_inside() {
    let large = "x".repeat(16 << 20);
    for split in [false, true] {
        let (server, client) = configs();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (expected, (done, something_else)) = (Message::text(large.clone()), mpsc::channel::<()>());
        let serving = thread::spawn(move || {
            let tcp = listener.accept().unwrap().0;
            let mut ws = accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap();
            ws.feed("one").unwrap();
            ws.send("two").unwrap();
            assert!(ws.recv().unwrap() == Some(expected), "not what was sent");
            drop(done);
        });
        let mut ws = connect(Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client)).unwrap();
        ws.recv().unwrap();
        if split {
            let (mut sender, _receiver) = ws.split().unwrap();
            sender.send(large.as_str()).unwrap();
            something_else.recv().unwrap_err();
        } else {
            ws.send(large.as_str()).unwrap();
            something_else.recv().unwrap_err();
        }
        serving.join().unwrap();
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

/// A thread that receives does not wait for one whose write is blocked, though TLS has one state for
/// both: more is under way than all buffers hold, and the server reads no more while nobody reads its
/// answers.
#[test]
fn both_halves_at_once() {
    const MESSAGES: usize = 200;

    let (server, client) = configs();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        let mut ws = accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap();
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
        assert!(ws.closed().unwrap().clean);
    });
    let ws = connect(Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client)).unwrap();
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
    serving.join().unwrap();
}

/// Pings arrive while the writer is blocked, since the server reads nothing: the receiving half takes them
/// all, and the latest is answered once the server reads again.
#[test]
fn pings_beside_a_blocked_writer() {
    const PINGS: u32 = 20_000;

    let (server, client) = configs();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let large = vec![7; 16 << 20];
    let expected = large.clone();
    let serving = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        let mut ws = accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap();
        // With data around each, more than all buffers hold.
        for i in 0..PINGS {
            ws.ping(&i.to_be_bytes()).unwrap();
            ws.send(vec![0; 500]).unwrap();
        }
        let (mut messages, mut last) = (0, None);
        while messages == 0 || last != Some(PINGS - 1) {
            match ws.recv_incoming().unwrap().unwrap() {
                Incoming::Message(message) => {
                    assert!(message.payload() == expected, "not what was sent");
                    messages += 1;
                }
                Incoming::Pong(payload) => {
                    let number = u32::from_be_bytes(payload[..].try_into().unwrap());
                    assert!(last < Some(number), "{last:?} before {number}");
                    last = Some(number);
                }
                Incoming::Ping(payload) => panic!("{payload:?}"),
            }
        }
        assert_eq!(messages, 1);
        ws.close(CloseCode::NORMAL, "").unwrap();
    });
    let ws = connect(Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(client)).unwrap();
    let (mut sender, mut receiver) = ws.split().unwrap();
    let sending = thread::spawn(move || sender.send(large).unwrap());
    for _ in 0..PINGS {
        assert_eq!(receiver.recv().unwrap().unwrap().len(), 500);
    }
    assert_eq!(receiver.recv().unwrap(), None);
    assert!(receiver.closed().unwrap().clean);
    sending.join().unwrap();
    serving.join().unwrap();
}
