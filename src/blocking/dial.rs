//! TCP to a host: its addresses, and the attempts to connect to them.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::deadline::Deadline;
use super::transport::non_zero;
use crate::endpoint::{Attempt, Attempts, Client, Error, timed_out};

/// Connects to whichever of the host's addresses answers first.
pub(super) fn dial(client: &Client, host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, Error> {
    let addresses = addresses(client, host, port, deadline)?;
    // Where no attempt can begin any more, none has failed.
    deadline.left()?;
    let tcp = match *addresses {
        [address] => connect(address, deadline).map_err(Error::Connect)?,
        _ => race(addresses, deadline).map_err(Error::Connect)?,
    };
    // Messages are written whole: waiting for more to send would only delay them.
    tcp.set_nodelay(true).map_err(Error::Connect)?;
    Ok(tcp)
}

/// The addresses that the client was told, or else those that the system knows.
pub(super) fn addresses(
    client: &Client,
    host: &str,
    port: u16,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, Error> {
    if let Some(addresses) = client.known_addresses(host, port) {
        return Ok(addresses.to_vec());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (host, (found, addresses)) = ((host.to_owned(), port), mpsc::sync_channel(1));
    let look_up = move || {
        // Nobody may be waiting for it any more.
        let _ = found.send(host.to_socket_addrs().map(Iterator::collect));
    };
    thread::Builder::new().name("sansocket look-up".into()).spawn(look_up).map_err(Error::Connect)?;
    let found: io::Result<_> = addresses.recv_timeout(deadline.left()?).map_err(|_| timed_out())?;
    found.map_err(Error::Connect)
}

/// Each attempt has a thread, which ends with it: at the deadline, if it neither connects nor fails. Nothing ends it sooner:
/// `std` has no other way to connect than to wait.
fn race(addresses: Vec<SocketAddr>, deadline: Deadline) -> io::Result<TcpStream> {
    let mut attempts = Attempts::new(addresses, deadline.instant());
    let (over, results) = mpsc::channel();
    loop {
        match attempts.next(Instant::now()) {
            Attempt::Start(address) => {
                let over = over.clone();
                let attempt = move || {
                    // Another one may have won.
                    let _ = over.send((address, connect(address, deadline)));
                };
                let thread = thread::Builder::new().name("sansocket connect".into());
                if let Err(error) = thread.spawn(attempt) {
                    attempts.failed(address, error);
                }
            }
            Attempt::Wait(until) => {
                let result = match until {
                    Some(until) => results.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
                    None => results.recv().ok(),
                };
                match result {
                    Some((_, Ok(tcp))) => return Ok(tcp),
                    Some((address, Err(error))) => attempts.failed(address, error),
                    None => {}
                }
            }
            Attempt::Over(error) => return Err(error),
        }
    }
}

fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
    let left = deadline.left().map_err(|_| io::ErrorKind::TimedOut)?;
    TcpStream::connect_timeout(&address, non_zero(left))
}
