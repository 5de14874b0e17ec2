//! `serve`: its limits, what it makes of errors of `accept`, and how it stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use sansocket::handshake::ForwardedHost;
use sansocket::tokio::{ClientStream, Listener, Pending, ServerStream, WebSocket, connect_over, serve_with};
use sansocket::{Client, CloseCode, Closed, Error, Handled, Initiator, Message, Role, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::common::{CLOSE, PING, PONG, TEXT, close_payload, frame};
use crate::peer::{Peer, after, at_once};

const SECOND: Duration = Duration::from_secs(1);
/// The system's error for too many open files, on every Unix.
const EMFILE: i32 = 24;

#[tokio::test(start_paused = true)]
async fn a_stop_closes_every_connection() {
    let mut served = Served::start(&Server::default(), echo);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut ws = served.open().await;
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
        clients.push(tokio::spawn(async move {
            assert_eq!(ws.recv().await.unwrap(), None);
            ws.closed().unwrap().clone()
        }));
    }
    at_once(served.stop()).await.unwrap();
    for client in clients {
        assert_going_away(&client.await.unwrap());
    }
}

/// The server waits for them as for all others.
#[tokio::test(start_paused = true)]
async fn connections_that_left_their_handler() {
    let mut served = Served::start(&Server::default(), async |pending: Pending<_>| {
        let mut ws = pending.accept().await.unwrap();
        tokio::spawn(async move { while ws.recv().await.unwrap().is_some() {} });
    });
    let mut peer = served.open_by_hand().await;
    let stopped = tokio::spawn(served.stop());
    assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "the server stops"))));
    sleep(SECOND).await;
    assert!(!stopped.is_finished());
    peer.send_close(1001, "").await;
    assert_eq!(peer.frame().await, None);
    drop(peer);
    at_once(stopped).await.unwrap().unwrap();
}

/// They are not waited for.
#[tokio::test(start_paused = true)]
async fn a_stop_during_opening_handshakes() {
    let mut served = Served::start(&Server::default(), echo);
    let mut silent = served.connect();
    let mut half = served.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    at_once(served.stop()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(half.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_grace_period() {
    let server = Server::default().shutdown_grace(3 * SECOND);
    // A peer that does not answer the Close frame.
    let mut served = Served::start(&server, echo);
    let mut peer = served.open_by_hand().await;
    after(3 * SECOND, served.stop()).await.unwrap();
    assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "the server stops"))));
    assert_eq!(peer.frame().await, None);

    // A handler that does not receive: its connection closes all the same, and it is dropped.
    let mut served = Served::start(&server, async |pending: Pending<_>| {
        let ws = pending.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(ws);
    });
    let mut peer = served.open_by_hand().await;
    after(3 * SECOND, served.stop()).await.unwrap();
    assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "the server stops"))));
    assert_eq!(peer.frame().await, None);
}

/// A connection of which only the sending half was kept is told that the server stops, and cut off with the others.
#[tokio::test(start_paused = true)]
async fn the_sending_half_outlives_its_task() {
    let server = Server::default().shutdown_grace(3 * SECOND);
    let (give, mut given) = mpsc::unbounded_channel();
    let mut served = Served::start(&server, move |pending: Pending<_>| {
        let give = give.clone();
        async move {
            let (sender, _) = pending.accept().await.unwrap().split();
            give.send(sender).unwrap();
        }
    });
    let mut peer = served.open_by_hand().await;
    let mut sender = given.recv().await.unwrap();
    sender.send("here").await.unwrap();
    assert_eq!(peer.frame().await, Some((TEXT, b"here".to_vec())));
    // It answers by itself, and throws away what nobody will receive.
    peer.send(TEXT, b"not received").await;
    peer.send(PING, b"?").await;
    assert_eq!(at_once(peer.frame()).await, Some((PONG, b"?".to_vec())));
    after(3 * SECOND, served.stop()).await.unwrap();
    assert_eq!(at_once(peer.frame()).await, Some((CLOSE, close_payload(1001, "the server stops"))));
    assert_eq!(at_once(peer.frame()).await, None);
    sender.send("late").await.unwrap_err();
    sleep(SECOND).await;
    assert!(!sender.closed().unwrap().clean);
}

/// A handler that only sends, and returns when it cannot any more: the closing handshake that the stop began is completed
/// all the same, and what the peer still sends is thrown away.
#[tokio::test(start_paused = true)]
async fn a_handler_that_only_sends() {
    let mut served = Served::start(&Server::default(), async |pending: Pending<_>| {
        let mut ws = pending.accept().await.unwrap();
        loop {
            if let Err(error) = ws.send("tick").await {
                break Err::<(), _>(error);
            }
            sleep(SECOND / 10).await;
        }
    });
    let mut peer = served.open_by_hand().await;
    peer.send(TEXT, b"never received").await;
    for _ in 0..20 {
        assert_eq!(peer.frame().await, Some((TEXT, b"tick".to_vec())));
    }
    let stopping = tokio::spawn(served.stop());
    let last = loop {
        let frame = peer.frame().await.unwrap();
        if frame.0 != TEXT {
            break frame;
        }
    };
    assert_eq!(last, (CLOSE, close_payload(1001, "the server stops")));
    sleep(SECOND).await;
    assert!(!stopping.is_finished(), "it waits for the answer");
    for _ in 0..100 {
        peer.send(TEXT, &[b'x'; 1000]).await;
    }
    peer.send_close(1001, "").await;
    assert_eq!(at_once(peer.frame()).await, None);
    drop(peer);
    at_once(stopping).await.unwrap().unwrap();
}

/// What a handler left queued is written within the grace, and not after it.
#[tokio::test(start_paused = true)]
async fn what_was_left_does_not_outlive_the_server() {
    for reads in [true, false] {
        let server = Server::default().shutdown_grace(3 * SECOND);
        let mut served = Served::start(&server, async |pending: Pending<_>| {
            let mut ws = pending.accept().await.unwrap();
            let message = ws.recv().await.unwrap().unwrap();
            // More waits to be received, so this is left.
            ws.feed(vec![7; 10_000]).await.unwrap();
            ws.send(message).await.unwrap();
        });
        let mut peer = served.open_by_hand().await;
        peer.send_raw(&[frame(Role::Server, TEXT, b"1"), frame(Role::Server, TEXT, b"2")].concat()).await;
        served.settle().await;
        if reads {
            let stopping = tokio::spawn(served.stop());
            assert_eq!(peer.frame().await.unwrap().1.len(), 10_000);
            assert_eq!(peer.frame().await, Some((TEXT, b"1".to_vec())));
            assert_eq!(peer.frame().await, None);
            at_once(stopping).await.unwrap().unwrap();
        } else {
            after(3 * SECOND, served.stop()).await.unwrap();
            sleep(3 * SECOND).await;
            let mut bytes = Vec::new();
            peer.io.read_to_end(&mut bytes).await.unwrap();
            assert!(bytes.len() <= 4096, "what the transport held when the server ended: {}", bytes.len());
        }
    }
}

/// A handler that does nothing more, and one that keeps only the sending half: they close like any other.
#[tokio::test(start_paused = true)]
async fn handlers_that_do_not_receive() {
    let sleeping = Served::start(&Server::default(), async |pending: Pending<_>| {
        let mut ws = pending.accept().await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
        while ws.closed().is_none() {
            sleep(SECOND).await;
        }
        // What came before is still there.
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("two")));
        assert_eq!(ws.recv().await.unwrap(), None);
    });
    let halved = Served::start(&Server::default(), async |pending: Pending<_>| {
        let (sender, receiver) = pending.accept().await.unwrap().split();
        drop(receiver);
        tokio::spawn(async move {
            while sender.closed().is_none() {
                sleep(SECOND).await;
            }
            assert_going_away(sender.closed().unwrap());
        });
    });
    for mut served in [sleeping, halved] {
        let mut peer = served.open_by_hand().await;
        for text in ["one", "two"] {
            peer.send(TEXT, text.as_bytes()).await;
        }
        sleep(5 * SECOND).await;
        let stopped = tokio::spawn(served.stop());
        assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "the server stops"))));
        peer.send_close(1001, "").await;
        assert_eq!(peer.frame().await, None);
        stopped.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_dropped() {
    let mut served = Served::start(&Server::default(), echo);
    let mut open = served.open_by_hand().await;
    let mut silent = served.connect();
    served.settle().await;
    served.task.abort();
    assert_eq!(at_once(open.frame()).await, None);
    assert_eq!(at_once(silent.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics() {
    let mut served = Served::start(&Server::default(), async |pending: Pending<_>| {
        let mut ws = pending.accept().await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        assert_ne!(message, Message::text("panic"), "this panic is part of a test");
        ws.send(message).await.unwrap();
    });
    let (mut first, mut second) = (served.open().await, served.open().await);
    first.send("panic").await.unwrap();
    assert!(first.recv().await.is_err());
    second.send("hello").await.unwrap();
    assert_eq!(second.recv().await.unwrap(), Some(Message::text("hello")));
    at_once(served.stop()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn max_connections() {
    let mut served = Served::start(&Server::default().max_connections(2), echo);
    let (first, second) = (served.open().await, served.open().await);
    let third = served.connect();
    sleep(SECOND).await;
    assert_eq!(served.accepted(), 2);
    drop(first);
    let third = at_once(connect_over("ws://localhost/", third)).await.unwrap();
    assert_eq!(served.accepted(), 3);
    drop((second, third));
}

/// A place is free again when a handshake fails, is answered otherwise, or is completed.
#[tokio::test(start_paused = true)]
async fn max_handshakes() {
    let timeout = 5 * SECOND;
    let server = Server::default().max_handshakes(2).handshake_timeout(timeout);
    let mut served = Served::start(&server, echo);
    let _open = (served.open().await, served.open().await, served.open().await);
    assert_eq!(served.accepted(), 3);
    let (silent, mut half) = (served.connect(), served.connect());
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let next = served.connect();
    served.settle().await;
    assert_eq!(served.accepted(), 5);
    drop(silent);
    at_once(connect_over("ws://localhost/", next)).await.unwrap();
    assert_eq!(served.accepted(), 6);

    let _silent = served.connect();
    let next = served.connect();
    // The half request is answered with 408, and then its client is given time to read that.
    after(timeout, half.read(&mut [0; 1])).await.unwrap();
    drop(half);
    at_once(connect_over("ws://localhost/", next)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn errors_that_concern_one_client() {
    let mut served = Served::start(&Server::default(), echo);
    for kind in [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted]
    {
        served.fail(kind.into());
    }
    at_once(served.open()).await;
}

#[tokio::test(start_paused = true)]
async fn errors_that_pass() {
    let mut served = Served::start(&Server::default(), echo);
    // The third is waited out for as long as the first two together, and so on.
    for round in 0..2 {
        for _ in 0..4 {
            served.fail(io::Error::from_raw_os_error(EMFILE));
        }
        let accepts = served.polled();
        after(Duration::from_millis(50 + 100 + 200 + 400), served.open()).await;
        assert!(served.polled() - accepts <= 6, "round {round}: it spins");
    }

    // However many there are, a second later it tries again.
    for _ in 0..10 {
        served.fail(io::Error::from_raw_os_error(EMFILE));
    }
    after(Duration::from_millis(50 + 100 + 200 + 400 + 800 + 5 * 1000), served.open()).await;
}

/// It leaves a file descriptor behind.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_while_there_are_errors() {
    let mut served = Served::start(&Server::default(), echo);
    let ws = served.open().await;
    for _ in 0..6 {
        served.fail(io::Error::from_raw_os_error(EMFILE));
    }
    served.settle().await;
    sleep(Duration::from_millis(50 + 100 + 200 + 400 + 800 + 1)).await;
    drop(ws);
    at_once(served.open()).await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_listener() {
    for error in [io::Error::from_raw_os_error(9), io::ErrorKind::InvalidInput.into()] {
        let mut served = Served::start(&Server::default(), echo);
        let mut ws = served.open().await;
        let (kind, code) = (error.kind(), error.raw_os_error());
        served.fail(error);
        assert_eq!(ws.recv().await.unwrap(), None);
        assert_going_away(ws.closed().unwrap());
        let error = at_once(served.task).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (kind, code));
    }
}

/// With the listener and the streams of the system.
#[cfg(unix)]
#[tokio::test]
async fn tcp_and_unix_sockets() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        serve_with(tcp, &Server::default(), stopped, |pending| async move {
            assert!(pending.get_ref().tcp().nodelay().unwrap());
            echo(pending).await
        })
        .await
    });
    let mut ws = sansocket::tokio::connect(&*format!("ws://{address}")).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
    stop.send(()).unwrap();
    assert_eq!(ws.recv().await.unwrap(), None);
    assert_going_away(ws.closed().unwrap());
    server.await.unwrap().unwrap();

    let path = std::env::temp_dir().join(format!("sansocket-{}", std::process::id()));
    let unix = tokio::net::UnixListener::bind(&path).unwrap();
    // Whoever connects to it has no address.
    let trusting = Server::default().trust_proxies(ForwardedHost::XForwardedHost, |peer| peer.is_none());
    let server =
        tokio::spawn(async move { serve_with(unix, &trusting, std::future::pending::<()>(), echo).await });
    let page = |host| {
        let client = Client::new("ws://backend/").unwrap().origin("https://example.com").unwrap();
        client.header("X-Forwarded-Host", host).unwrap()
    };
    let stream = || tokio::net::UnixStream::connect(&path);
    let refused = connect_over(page("example.org"), stream().await.unwrap()).await;
    let refusal = refused.unwrap_err().to_string();
    assert!(refusal.contains("asks for example.org, as the header X-Forwarded-Host"), "{refusal}");
    let mut ws = connect_over(page("example.com"), stream().await.unwrap()).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
    server.abort();
    std::fs::remove_file(path).unwrap();
}

async fn echo<S>(pending: Pending<S>) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut ws = pending.accept().await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[track_caller]
fn assert_going_away(closed: &Closed) {
    assert_eq!(closed.code, CloseCode::GOING_AWAY);
    assert_eq!(closed.initiator, Initiator::Remote);
    assert!(closed.clean);
}

/// A listener that hands out what a test puts into it.
struct Backlog {
    waiting: mpsc::UnboundedReceiver<io::Result<DuplexStream>>,
    polled: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl Listener for Backlog {
    type Stream = DuplexStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(DuplexStream, Option<SocketAddr>)>> {
        self.polled.fetch_add(1, Ordering::Relaxed);
        match ready!(self.waiting.poll_recv(cx)) {
            Some(Ok(io)) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(Ok((io, None)))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

/// A server that runs in a task.
struct Served {
    backlog: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    polled: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Served {
    fn start<F, H>(server: &Server, handler: F) -> Self
    where
        F: Fn(Pending<ServerStream<DuplexStream>>) -> H + Send + Sync + 'static,
        H: Future<Output: Handled> + Send + 'static,
    {
        let (backlog, waiting) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (polled, accepted) = (Arc::default(), Arc::default());
        let listener = Backlog { waiting, polled: Arc::clone(&polled), accepted: Arc::clone(&accepted) };
        let server = server.clone();
        let task = tokio::spawn(async move { serve_with(listener, &server, stopped, handler).await });
        Self { backlog, polled, accepted, stop, task }
    }

    /// A client that waits to be accepted.
    fn connect(&mut self) -> DuplexStream {
        let (near, far) = duplex(4096);
        self.backlog.send(Ok(far)).unwrap();
        near
    }

    fn fail(&mut self, error: io::Error) {
        self.backlog.send(Err(error)).unwrap();
    }

    async fn open(&mut self) -> WebSocket<ClientStream<DuplexStream>> {
        connect_over("ws://localhost/", self.connect()).await.unwrap()
    }

    async fn open_by_hand(&mut self) -> Peer<DuplexStream> {
        Peer::open(self.connect()).await
    }

    /// Lets all tasks do what they can do now.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    fn polled(&self) -> usize {
        self.polled.load(Ordering::Relaxed)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Stops it, and waits for its end.
    fn stop(self) -> impl Future<Output = io::Result<()>> {
        self.stop.send(()).unwrap();
        async { self.task.await.unwrap() }
    }
}
