//! What `serve` promises, of connections that hyper hands over: limits, counts, deadlines, a stop, and who is told.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sansocket::http::{stop, upgrade};
use sansocket::tokio::connect_over;
use sansocket::{CloseCode, Config, Connections, Server};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_blocking;

use crate::common::{CLOSE, PING, close_payload};
use crate::host::{Body, echo, echoes, exchange, http1, http1_of, received, request, settle, telling};
use crate::peer::{Peer, after, at_once};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn limits_and_counts() {
    let (server, told) = telling(Server::default().max_connections(2));
    let mut first = Peer::open(http1(echoes(&server))).await;
    let second = Peer::open(http1(echoes(&server.clone()))).await;
    settle().await;
    assert_eq!(counts(&server), (0, 2, 2));

    // Whether it is asked before or not, when there may be more to find out.
    for io in [http1(echoes(&server)), http1(asks_for_room(&server))] {
        let (status, head, body) = at_once(exchange(io, &request(""))).await;
        assert_eq!(
            (status, body.contains("no room"), head.contains("retry-after: 5\r\n")),
            (503, true, true)
        );
        let full = ["refused, since there is no room for one more connection"].map(String::from);
        assert_eq!(told.next().await, full);
    }
    let busy = server.clone().when_full(429).unwrap();
    assert_eq!(at_once(exchange(http1(echoes(&busy)), &request(""))).await.0, 429);

    first.send_close(1000, "").await;
    assert_eq!(at_once(first.frames()).await.len(), 1);
    drop(first);
    settle().await;
    assert_eq!(counts(&server), (0, 1, 2));
    let third = Peer::open(http1(asks_for_room(&server))).await;
    drop((second, third));
    told.next().await;
}

/// A service that asks whether there is room, and looks no further if there is none.
fn asks_for_room(server: &Server) -> impl Fn(Request<Incoming>) -> Response<Body> + Send + use<> {
    let server = server.clone();
    move |mut request| match received(&mut request, &server).check_room() {
        Ok(pending) => pending.accept(echo),
        Err(refusal) => refusal,
    }
}

/// 6455-5.5.2-04: keepalive is as everywhere.
#[tokio::test(start_paused = true)]
async fn keepalive() {
    let (server, told) = telling(Server::default());
    let mut peer = Peer::open(http1(echoes(&server))).await;
    assert_eq!(after(20 * SECOND, peer.frame()).await, Some((PING, Vec::new())));
    assert_eq!(after(20 * SECOND, peer.frame()).await, None);
    assert!(told.next().await[0].starts_with("the handler failed: "));
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_every_connection() {
    let server = Server::default();
    let mut peers = [open(&server).await, open(&server).await];
    let stops = [tokio::spawn(stop_of(&server)), tokio::spawn(stop_of(&server))];
    for peer in &mut peers {
        assert_eq!(at_once(peer.frame()).await, Some((CLOSE, close_payload(1001, "the server stops"))));
        assert!(!stops[0].is_finished());
        peer.send_close(1001, "").await;
        assert_eq!(at_once(peer.frame()).await, None);
    }
    drop(peers);
    for stop in stops {
        at_once(stop).await.unwrap();
    }
    assert_eq!(server.connections().now(), 0);
    for io in [http1(echoes(&server)), http1(asks_for_room(&server))] {
        let (status, _, body) = at_once(exchange(io, &request(""))).await;
        assert_eq!((status, body.contains("the server stops")), (503, true));
    }
    at_once(stop(&server)).await;
}

/// What does not close is cut off.
#[tokio::test(start_paused = true)]
async fn the_grace_period() {
    let server = Server::default().shutdown_grace(3 * SECOND);
    let mut peer = open(&server).await;
    after(3 * SECOND, stop(&server)).await;
    assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "the server stops"))));
    assert_eq!(at_once(peer.frame()).await, None);
    assert_eq!(server.connections().now(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_handlers() {
    let (server, told) = telling(Server::default());
    let one = server.clone();
    let _io = connect_over(
        "ws://example.com/",
        http1(move |mut request| upgrade(&mut request, &one, async |_| Err::<(), _>("it is broken"))),
    )
    .await
    .unwrap();
    assert_eq!(told.next().await, ["the handler failed: it is broken"].map(String::from));

    let one = server.clone();
    let io = http1(move |mut request| {
        request.extensions_mut().insert(std::net::SocketAddr::from(([192, 0, 2, 1], 1234)));
        upgrade(&mut request, &one, async |ws| assert!(ws.closed().is_some(), "it is open"))
    });
    let _io = connect_over("ws://example.com/", io).await.unwrap();
    assert_eq!(told.next().await, ["192.0.2.1:1234: the handler panicked: it is open"].map(String::from));
    assert_eq!(server.connections().now(), 0);
}

/// A client that does not read the response holds its place no longer than the handshake may take.
#[tokio::test(start_paused = true)]
async fn opening_handshakes() {
    let (server, told) = telling(Server::default().handshake_timeout(5 * SECOND).max_handshakes(1));
    let mut deaf = http1_of(16, echoes(&server));
    deaf.write_all(request("").as_bytes()).await.unwrap();
    settle().await;
    assert_eq!(counts(&server), (1, 0, 1));
    assert_eq!(at_once(exchange(http1(echoes(&server)), &request(""))).await.0, 503);
    assert_eq!(told.next().await.len(), 1);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(told.next().await, ["the opening handshake was not completed in time"].map(String::from));
    assert_eq!(counts(&server), (0, 0, 1));
    Peer::open(http1(echoes(&server))).await;
}

/// The settings of a server are the connection's.
#[tokio::test(start_paused = true)]
async fn configurations() {
    let server = Server::default().config(Config::default().max_message_size(10));
    let mut ws = connect_over("ws://example.com/", http1(echoes(&server))).await.unwrap();
    ws.send("more than ten bytes").await.unwrap();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.closed().unwrap().code, CloseCode::MESSAGE_TOO_BIG);
}

/// Requests are answered on many threads, and the server stops meanwhile: what it has accepted by then is cut off, and no
/// connection is taken for one that has had its place before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_between_upgrades() {
    for _ in 0..100 {
        let server = Server::default().shutdown_grace(Duration::ZERO).handshake_timeout(1000 * SECOND);
        let (requests, _clients) = unanswered(40).await;
        let start = Arc::new(Barrier::new(5));
        let mut requests = requests.into_iter();
        let threads = [(); 4].map(|()| {
            let (server, start) = (server.clone(), start.clone());
            let requests: Vec<_> = requests.by_ref().take(10).collect();
            spawn_blocking(move || {
                // Every other one ends at once.
                let servers = [server.clone().handshake_timeout(Duration::ZERO), server];
                start.wait();
                for (mut request, server) in requests.into_iter().zip(servers.iter().cycle()) {
                    let _: Response<Body> = upgrade(&mut request, server, echo);
                }
            })
        });
        start.wait();
        while server.connections().total < 10 {
            tokio::task::yield_now().await;
        }
        stop(&server).await;
        for thread in threads {
            thread.await.unwrap();
        }
        let none_left = async {
            while server.connections().now() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(10 * SECOND, none_left).await.unwrap();
    }
}

/// So many requests that hyper has received, and their clients.
async fn unanswered(count: usize) -> (Vec<Request<Incoming>>, Vec<DuplexStream>) {
    let (sender, mut receiver) = unbounded_channel();
    let (mut requests, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (mut near, far) = duplex(1 << 10);
        let sender = sender.clone();
        let service = service_fn(move |request| {
            let _ = sender.send(request);
            pending::<Result<Response<Body>, Infallible>>()
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(far), service)
                .with_upgrades(),
        );
        near.write_all(request("").as_bytes()).await.unwrap();
        requests.push(receiver.recv().await.unwrap());
        clients.push(near);
    }
    (requests, clients)
}

/// A handler that is open to the end of the test.
async fn open(server: &Server) -> Peer<DuplexStream> {
    let server = server.clone();
    let peer = Peer::open(http1(move |mut request| upgrade(&mut request, &server, echo))).await;
    settle().await;
    peer
}

fn stop_of(server: &Server) -> impl Future<Output = ()> + use<> {
    let server = server.clone();
    async move { stop(&server).await }
}

fn counts(server: &Server) -> (usize, usize, u64) {
    let Connections { opening, open, total, .. } = server.connections();
    (opening, open, total)
}
