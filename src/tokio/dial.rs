//! TCP to a host: its addresses, and the attempts to connect to them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{Attempt, Attempts, Client, Error, timed_out};

/// Connects to whichever of the host's addresses answers first.
pub(super) async fn dial(
    client: &Client,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let addresses = addresses(client, host, port).await.map_err(Error::Connect)?;
    // Where no attempt can begin any more, none has failed.
    if Instant::now() >= deadline {
        return Err(timed_out());
    }
    let mut attempts = Attempts::new(addresses, Some(deadline.into_std()));
    let mut under_way = Vec::new();
    loop {
        match attempts.next(Instant::now().into_std()) {
            Attempt::Start(address) => under_way.push(UnderWay::new(address)),
            Attempt::Wait(until) => {
                let wait = until.map_or(deadline, Instant::from_std);
                match timeout_at(wait, poll_fn(|cx| poll_any(&mut under_way, cx))).await {
                    Ok((_, Ok(tcp))) => {
                        // Messages are written whole: waiting for more to send would only delay them.
                        tcp.set_nodelay(true).map_err(Error::Connect)?;
                        return Ok(tcp);
                    }
                    Ok((address, Err(error))) => attempts.failed(address, error),
                    Err(_) => {}
                }
            }
            Attempt::Over(error) => return Err(Error::Connect(error)),
        }
    }
}

/// The addresses that the client was told, or else those that the system knows.
pub(super) async fn addresses(client: &Client, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match client.known_addresses(host, port) {
        Some(addresses) => Ok(addresses.to_vec()),
        None => Ok(lookup_host((host, port)).await?.collect()),
    }
}

/// An attempt to connect.
struct UnderWay {
    address: SocketAddr,
    connecting: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl UnderWay {
    fn new(address: SocketAddr) -> Self {
        Self { address, connecting: Box::pin(TcpStream::connect(address)) }
    }
}

/// What the first attempt that is over came to.
fn poll_any(
    under_way: &mut Vec<UnderWay>,
    cx: &mut Context<'_>,
) -> Poll<(SocketAddr, io::Result<TcpStream>)> {
    for position in 0..under_way.len() {
        if let Poll::Ready(result) = under_way[position].connecting.as_mut().poll(cx) {
            return Poll::Ready((under_way.remove(position).address, result));
        }
    }
    Poll::Pending
}
