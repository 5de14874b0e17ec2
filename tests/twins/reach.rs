//! Clients that open sockets themselves, by both adapters, and what there is to be reached: servers that send every message
//! back, and peers and proxies as a test wants them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[cfg(feature = "tokio-rustls")]
use sansocket::blocking::accept_tls;
use sansocket::blocking::{Pending, Transport, TryClone, accept};
use sansocket::{Client, CloseCode, Error, Message};

/// Has a client of each adapter connect, send a message and close. Tells what came of it, which is the same for both: the
/// message, if it came back, or the error.
#[track_caller]
pub fn reached(client: &Client) -> String {
    let [blocking, tokio] = attempts(client).map(|attempt| match attempt {
        Ok(()) => "hello".to_owned(),
        Err(error) => error.to_string(),
    });
    assert_eq!(blocking, tokio);
    blocking
}

/// The error of both adapters' clients, as `Debug` shows it.
#[track_caller]
pub fn failed(client: &Client) -> String {
    let [blocking, tokio] = attempts(client).map(|attempt| format!("{:?}", attempt.unwrap_err()));
    assert_eq!(blocking, tokio);
    blocking
}

/// What came of it for the blocking client, and for that of tokio.
pub fn attempts(client: &Client) -> [Result<(), Error>; 2] {
    let blocking = || {
        let mut ws = sansocket::blocking::connect(client.clone())?;
        ws.send("hello")?;
        assert_eq!(ws.recv()?, Some(Message::text("hello")));
        ws.close(CloseCode::NORMAL, "")
    };
    let tokio = async {
        let mut ws = sansocket::tokio::connect(client.clone()).await?;
        ws.send("hello").await?;
        assert_eq!(ws.recv().await?, Some(Message::text("hello")));
        ws.close(CloseCode::NORMAL, "").await
    };
    [blocking(), runtime().block_on(tokio)]
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server that sends every message back.
pub fn server() -> SocketAddr {
    peer(|tcp| {
        let _ = accept(tcp).and_then(echo);
    })
}

/// The same over TLS.
#[cfg(feature = "tokio-rustls")]
pub fn tls_server(config: Arc<rustls::ServerConfig>) -> SocketAddr {
    peer(move |tcp| {
        let _ = accept_tls(tcp, config.clone(), &sansocket::Server::default()).and_then(echo);
    })
}

/// Sends every message back.
pub fn echo<S: Transport + Send + 'static>(pending: Pending<S>) -> Result<(), Error> {
    let mut ws = pending.accept()?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

/// Whatever is done with each connection, which has a thread.
pub fn peer(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let each = Arc::new(each);
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let (tcp, each) = (tcp.unwrap(), each.clone());
            tcp.set_nodelay(true).unwrap();
            thread::spawn(move || each(tcp));
        }
    });
    address
}

/// A port at which nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// What peers were told, in order.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    pub fn tell(&self, bytes: &[u8]) {
        self.0.lock().unwrap().push(bytes.to_vec());
    }

    /// What both clients said, which is the same.
    #[track_caller]
    pub fn both(&self) -> Vec<u8> {
        let mut heard = self.0.lock().unwrap();
        assert_eq!(heard.len(), 2);
        let (one, other) = (heard.remove(0), heard.remove(0));
        assert_eq!(one, other);
        one
    }

    pub fn all(&self) -> Vec<u8> {
        self.0.lock().unwrap().concat()
    }
}

/// Reads up to the end of a head.
pub fn head(io: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(exactly(io, 1));
    }
    head
}

pub fn exactly(io: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    io.read_exact(&mut bytes).unwrap();
    bytes
}

/// Says it a byte at a time.
pub fn dribble(io: &mut impl Write, bytes: &[u8]) {
    for byte in bytes {
        io.write_all(&[*byte]).unwrap();
        io.flush().unwrap();
    }
}

/// Passes everything on between a client and a server that it connects to, and tells what the client says.
pub fn relay(near: impl TryClone + Send + 'static, to: SocketAddr, heard: &Heard) {
    pass(near, TcpStream::connect(to).unwrap(), heard);
}

/// The same between two streams.
pub fn pass(near: impl TryClone + Send + 'static, far: impl TryClone + Send + 'static, heard: &Heard) {
    let (mut from_near, mut to_near) = (near.try_clone().unwrap(), near);
    let (mut from_far, mut to_far) = (far.try_clone().unwrap(), far);
    let heard = heard.clone();
    let up = thread::spawn(move || {
        let _ = io::copy(&mut Tapped { from: &mut from_near, heard }, &mut to_far);
        let _ = to_far.shutdown_write();
    });
    let _ = io::copy(&mut from_far, &mut to_near);
    let _ = to_near.shutdown_write();
    up.join().unwrap();
}

struct Tapped<'a, R> {
    from: &'a mut R,
    heard: Heard,
}

impl<R: Read> Read for Tapped<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buf)?;
        self.heard.tell(&buf[..len]);
        Ok(len)
    }
}

/// What TLS needs on both ends: a certificate for `localhost`, which the client trusts.
#[cfg(feature = "tokio-rustls")]
pub fn certificates() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    use rustls::pki_types::PrivateKeyDer;

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
