//! The other end of a connection: frames read and written by hand; and pairs of WebSockets.

use std::future::Future;
use std::time::Duration;

use sansocket::tokio::WebSocket;
use sansocket::{Config, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use crate::common::{CLOSE, Sent, close_payload, frame, naive};

/// Sizes of pipes: from one that takes a byte at a time to one that takes several frames.
pub const SIZES: [usize; 5] = [1, 2, 7, 61, 4096];

/// A peer that speaks the protocol by hand.
pub struct Peer<S> {
    pub io: S,
    /// The role of the WebSocket at the other end.
    to: Role,
    input: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn new(io: S, to: Role) -> Self {
        Self { io, to, input: Vec::new() }
    }

    /// A client that has opened a connection to a server.
    pub async fn open(mut io: S) -> Self {
        io.write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .await
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.unwrap());
        }
        Self::new(io, Role::Server)
    }

    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.send_raw(&frame(self.to, first, payload)).await;
    }

    pub async fn send_close(&mut self, code: u16, reason: &str) {
        self.send(CLOSE, &close_payload(code, reason)).await;
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` at the end of the transport.
    pub async fn frame(&mut self) -> Option<Sent> {
        loop {
            if let Some(frame) = naive::decode(&self.input).expect("a valid frame") {
                assert_eq!(frame.masked, self.to == Role::Client, "a client masks, a server does not");
                self.input.drain(..frame.len);
                return Some((frame.first, frame.payload));
            }
            if self.io.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty(), "an incomplete frame: {:02x?}", self.input);
                return None;
            }
        }
    }

    /// Reads so many bytes, of whatever frames.
    pub async fn read_some(&mut self, bytes: usize) {
        let before = self.input.len();
        self.input.resize(before + bytes, 0);
        self.io.read_exact(&mut self.input[before..]).await.unwrap();
    }

    /// All frames until the transport ends.
    pub async fn frames(&mut self) -> Vec<Sent> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }
}

/// A WebSocket in `role`, and its peer, over a pipe that holds `size` bytes a direction.
pub fn with_peer(role: Role, size: usize, config: &Config) -> (WebSocket<DuplexStream>, Peer<DuplexStream>) {
    let (near, far) = duplex(size);
    (WebSocket::from_upgraded(near, role, b"", config), Peer::new(far, role))
}

/// A client and a server over a pipe that holds `size` bytes a direction.
pub fn pair(size: usize, config: &Config) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (near, far) = duplex(size);
    (
        WebSocket::from_upgraded(near, Role::Client, b"", config),
        WebSocket::from_upgraded(far, Role::Server, b"", config),
    )
}

/// Runs `future`, which never has to wait for the clock: one that does has lost a wake-up.
#[track_caller]
pub fn at_once<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        let result = timeout(Duration::from_secs(3600), future).await;
        assert!(start.elapsed().is_zero(), "{caller}: it waited for the clock: a lost wake-up");
        result.unwrap()
    }
}

/// Runs `future`, which is to take as long as `expected`, by the virtual clock.
pub async fn after<T>(expected: Duration, future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = timeout(Duration::from_secs(36_000), future).await.expect("it hangs");
    // The clock of tokio's timers ticks in milliseconds.
    let late = start.elapsed().checked_sub(expected).expect("it is early");
    assert!(late <= Duration::from_millis(2), "it is {late:?} late");
    result
}
