//! The way of a node to its broker.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The way of a node to its broker. Dropped, it is cut for good.
pub struct Link {
    port: u16,
    state: watch::Sender<State>,
    accepting: AbortHandle,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Open,
    /// What there was is closed, and nothing is let in.
    Cut,
    /// All stays, and no byte passes.
    Frozen,
}

impl Link {
    pub async fn to(broker: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = watch::Sender::new(State::Open);
        let accepting = tokio::spawn(accept(listener, broker, state.subscribe())).abort_handle();
        Self { port, state, accepting }
    }

    /// Where the node finds its broker.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, broker: u16, state: watch::Receiver<State>) {
    loop {
        let (node, _) = listener.accept().await.unwrap();
        if *state.borrow() != State::Cut {
            tokio::spawn(carry(node, broker, state.clone()));
        }
    }
}

/// Ends when either side does, when the way is cut, or when there is none any more.
async fn carry(mut node: TcpStream, broker: u16, mut state: watch::Receiver<State>) {
    let of_ways = state.clone();
    let both = async {
        let mut broker = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await?;
        node.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let (from_node, to_node) = node.split();
        let (from_broker, to_broker) = broker.split();
        tokio::select! {
            ended = pass(from_node, to_broker, of_ways.clone()) => ended,
            ended = pass(from_broker, to_node, of_ways) => ended,
        }
    };
    tokio::select! {
        _ = both => {}
        _ = state.wait_for(|state| *state == State::Cut) => {}
    }
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        let is_open =
            state.wait_for(|state| *state != State::Frozen).await.is_ok_and(|state| *state == State::Open);
        if count == 0 || !is_open {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}
