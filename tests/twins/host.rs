//! What the process around a connection does: it leaves `SIGPIPE` at its default, as a host that is not Rust's may, and it
//! forks.
//!
//! Each test is run again in a process of its own, which may end by a signal, and in which no other test runs.
#![cfg(unix)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use sansocket::blocking::{self, NoDeadlines, TryClone};
use sansocket::{Config, Error, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A message that is written in several pieces, over TLS too.
const LARGE: usize = 100_000;

/// A peer that is gone is an error, whatever the message is, and does not end the process.
#[test]
fn a_peer_that_is_gone_is_an_error() {
    if !in_its_own_process("host::a_peer_that_is_gone_is_an_error") {
        return;
    }
    signal(SIGPIPE, SIG_DFL);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (role, len) in ROLES.into_iter().flat_map(|role| [10, 5000, LARGE].map(|len| (role, len))) {
        println!("blocking, {role:?}, {len} bytes");
        blocking_fails(open_blocking(tcp(), role), open_blocking(tcp(), role), len);
        blocking_fails(open_blocking(unix(), role), open_blocking(unix(), role), len);
        println!("tokio, {role:?}, {len} bytes");
        runtime.block_on(async {
            let tcp = || open_tokio(tokio_tcp(), role);
            tokio_fails(tcp(), tcp(), len).await;
            let unix = || open_tokio(tokio::net::UnixStream::pair().unwrap().0, role);
            tokio_fails(unix(), unix(), len).await;
        });
    }
    #[cfg(feature = "tokio-rustls")]
    {
        println!("TLS");
        tls::fails(&runtime);
    }
}

/// Parent and child draw nonces and masking keys of their own: for new connections, and for one that both have.
///
/// 6455-5.3-03: no other process, not even one that shares its past, can foretell a key.
#[test]
fn a_fork_draws_keys_of_its_own() {
    if !in_its_own_process("host::a_fork_draws_keys_of_its_own") {
        return;
    }
    differs("a blocking nonce", || {
        || {
            let wire = Wire::default();
            blocking::connect_over("ws://localhost/", NoDeadlines(wire.clone())).unwrap_err();
            nonce(&wire.taken())
        }
    });
    differs("a nonce on tokio", || {
        || {
            let wire = Wire::default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(sansocket::tokio::connect_over("ws://localhost/", wire.clone())).unwrap_err();
            nonce(&wire.taken())
        }
    });
    differs("a blocking key", || {
        || {
            let wire = Wire::default();
            blocking_key(&wire, &mut blocking_client(&wire))
        }
    });
    differs("a key on tokio", || {
        || {
            let wire = Wire::default();
            tokio_key(&wire, &mut open_tokio(wire.clone(), Role::Client))
        }
    });
}

/// What `send` leaves queued is written in the child too, where there is no thread any more that does so.
#[test]
fn a_fork_writes_what_is_left() {
    if !in_its_own_process("host::a_fork_writes_what_is_left") {
        return;
    }
    let (near, mut far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(PATIENCE.into()))).unwrap();
    let mut before =
        blocking::WebSocket::from_upgraded(near, Role::Server, &TWO, &Config::default()).unwrap();
    let mut leave = |far: &mut UnixStream| {
        before.recv().unwrap().unwrap();
        // One more is unread, so this is left for the thread.
        before.send("left").unwrap();
        let mut frame = [0; 6];
        far.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\x81\x04left");
    };
    leave(&mut far);
    let (ours, theirs) = fork_and(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.set_read_timeout(Some(Duration::from_secs(PATIENCE.into()))).unwrap();
        let config = Config::default();
        let mut ws = blocking::WebSocket::from_upgraded(near, Role::Server, &TWO, &config).unwrap();
        ws.recv().unwrap().unwrap();
        ws.send("left").unwrap();
        let mut frame = [0; 6];
        far.read_exact(&mut frame).unwrap();
        String::from_utf8_lossy(&frame[2..]).into_owned()
    });
    assert_eq!((&*ours, &*theirs), ("left", "left"));
}

/// Two messages of a client, without payload.
const TWO: [u8; 12] = [0x82, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0];

/// Whether this is the process that a test has for itself; in any other the test is run there, to its end.
fn in_its_own_process(test: &str) -> bool {
    const OWN: &str = "SANSOCKET_TEST_PROCESS";
    if std::env::var_os(OWN).is_some() {
        alarm(PATIENCE);
        return true;
    }
    let mut own = Command::new(std::env::current_exe().unwrap());
    let output = own.args([test, "--exact", "--nocapture"]).env(OWN, "1").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).contains("1 passed"), "there is no test {test}");
    false
}

/// Sends until it fails, as it must soon.
fn until_error(mut send: impl FnMut() -> Result<(), Error>) {
    let error = (0..1000).find_map(|_| send().err()).unwrap();
    assert!(is_gone(&error), "{error:?}");
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost(error)
        if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset))
}

fn blocking_fails<S: TryClone + Send + 'static>(
    mut whole: blocking::WebSocket<S>,
    split: blocking::WebSocket<S>,
    len: usize,
) {
    until_error(|| whole.send(vec![7; len]));
    let (mut sender, _receiver) = split.split().unwrap();
    until_error(|| sender.send(vec![7; len]));
}

async fn tokio_fails<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut whole: sansocket::tokio::WebSocket<S>,
    split: sansocket::tokio::WebSocket<S>,
    len: usize,
) {
    let (mut sender, _receiver) = split.split();
    let (mut whole_failed, mut half_failed) = (false, false);
    for _ in 0..1000 {
        whole_failed = whole_failed || whole.send(vec![7; len]).await.is_err_and(|error| is_gone(&error));
        half_failed = half_failed || sender.send(vec![7; len]).await.is_err_and(|error| is_gone(&error));
    }
    assert!(whole_failed && half_failed);
}

fn open_blocking<S: blocking::Transport>(io: S, role: Role) -> blocking::WebSocket<S> {
    blocking::WebSocket::from_upgraded(io, role, b"", &Config::default()).unwrap()
}

fn open_tokio<S: sansocket::tokio::Transport>(io: S, role: Role) -> sansocket::tokio::WebSocket<S> {
    sansocket::tokio::WebSocket::from_upgraded(io, role, b"", &Config::default())
}

/// A stream whose other end is gone.
fn tcp() -> TcpStream {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    near
}

fn tokio_tcp() -> tokio::net::TcpStream {
    let tcp = tcp();
    tcp.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(tcp).unwrap()
}

fn unix() -> UnixStream {
    UnixStream::pair().unwrap().0
}

#[cfg(feature = "tokio-rustls")]
mod tls {
    use std::thread;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use sansocket::blocking::{accept_tls, connect};
    use sansocket::{Client, Server};

    use super::{Arc, Ipv4Addr, LARGE, TcpListener, blocking_fails, tokio_fails};

    pub fn fails(runtime: &tokio::runtime::Runtime) {
        let (server, client) = configs();
        let open = || {
            let (listener, client) = (listen(), client.clone());
            let client = to(&listener, client);
            let server = server.clone();
            let serving = thread::spawn(move || {
                let tcp = listener.accept().unwrap().0;
                accept_tls(tcp, server, &Server::default()).unwrap().accept().unwrap()
            });
            (connect(client).unwrap(), serving.join().unwrap())
        };
        blocking_fails(first(open()), first(open()), LARGE);
        blocking_fails(second(open()), second(open()), LARGE);
        runtime.block_on(async {
            let open = async || {
                let listener = listen();
                let client = to(&listener, client.clone());
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serving = async {
                    let tcp = listener.accept().await.unwrap().0;
                    let pending = sansocket::tokio::accept_tls(tcp, server.clone(), &Server::default()).await;
                    pending.unwrap().accept().await.unwrap()
                };
                let (client, server) = tokio::join!(sansocket::tokio::connect(client), serving);
                (client.unwrap(), server)
            };
            tokio_fails(first(open().await), first(open().await), LARGE).await;
            tokio_fails(second(open().await), second(open().await), LARGE).await;
        });
    }

    /// One end; the other is dropped.
    fn first<A, B>((first, _): (A, B)) -> A {
        first
    }

    fn second<A, B>((_, second): (A, B)) -> B {
        second
    }

    fn listen() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    fn to(listener: &TcpListener, tls: Arc<ClientConfig>) -> Client {
        let port = listener.local_addr().unwrap().port();
        Client::new(&format!("wss://localhost:{port}/")).unwrap().tls(tls)
    }

    fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        (Arc::new(server), Arc::new(client))
    }
}

/// What `draw` makes of what was made before the fork is drawn in both processes, and differs.
#[track_caller]
fn differs<D: FnMut() -> String>(what: &str, make: impl FnOnce() -> D) {
    let (ours, theirs) = fork_and(make());
    assert!(ours.len() >= 8 && ours.len() == theirs.len(), "{what}: {ours}, {theirs}");
    assert_ne!(ours, theirs, "{what}");
}

/// Forks, and does something in both processes: what it came to in the parent, and in the child.
fn fork_and(mut f: impl FnMut() -> String) -> (String, String) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    if fork() == 0 {
        alarm(PATIENCE);
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut f));
        writer.write_all(said.unwrap_or_else(|_| "it panicked".into()).as_bytes()).unwrap();
        _exit(0);
    }
    drop(writer);
    let mut theirs = String::new();
    reader.read_to_string(&mut theirs).unwrap();
    (f(), theirs)
}

/// A stream that keeps what is written, and reads what it is given, and then its end.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    unread: VecDeque<u8>,
    written: Vec<u8>,
}

impl Wire {
    /// What was written since it was last taken.
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().written)
    }

    /// The masking key of the only frame that was written.
    fn key(&self) -> String {
        format!("{:02x?}", &self.taken()[2..6])
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().unread.read(buf)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().written.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A client that is told nothing but the end, and what it wrote before.
fn blocking_client(wire: &Wire) -> blocking::WebSocket<NoDeadlines<Wire>> {
    open_blocking(NoDeadlines(wire.clone()), Role::Client)
}

fn blocking_key(wire: &Wire, ws: &mut blocking::WebSocket<NoDeadlines<Wire>>) -> String {
    ws.send("x").unwrap();
    wire.key()
}

fn tokio_key(wire: &Wire, ws: &mut sansocket::tokio::WebSocket<Wire>) -> String {
    // Each process has a runtime of its own; its time is not needed.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ws.send("x")).unwrap();
    wire.key()
}

/// The nonce of a request that is not answered.
fn nonce(request: &[u8]) -> String {
    let request = std::str::from_utf8(request).unwrap();
    let (_, rest) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    rest.split_once("\r\n").unwrap().0.to_owned()
}

/// After so many seconds, longer than anything here takes, a process is ended.
const PATIENCE: u32 = 30;

const SIGPIPE: i32 = 13;
const SIG_DFL: usize = 0;

// What the standard library keeps from Rust's programs, and a host of another language does.
#[expect(
    unsafe_code,
    reason = "declared as libc has them; a fork is safe where no other thread holds a lock"
)]
unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn signal(signal: i32, handler: usize) -> usize;
    safe fn alarm(seconds: u32) -> u32;
    safe fn _exit(status: i32) -> !;
}
