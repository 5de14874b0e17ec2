//! What stops a server from another thread.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::net::TcpStream;

use crate::endpoint::sync::atomic::{AtomicBool, Ordering};
use crate::endpoint::sync::{Mutex, lock};

/// Stops [`serve`](super::serve()), from another thread. A clone stops the same servers.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicBool,
    /// Where the servers listen; locked while they are woken.
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Stop {
    /// Stops the servers that were given this, or a clone of it, and those that still will be.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        for address in lock(&self.0.addresses).drain(..) {
            // Wakes it from `accept`. It fails only where no connection can be made, or none is awaited.
            let _ = TcpStream::connect_timeout(&reachable(address), WAKE_WITHIN);
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Has `stop` wake the server that listens here.
    pub(super) fn watch(&self, address: SocketAddr) {
        lock(&self.0.addresses).push(address);
    }

    /// No server listens here any more.
    pub(super) fn forget(&self, address: SocketAddr) {
        let mut addresses = lock(&self.0.addresses);
        // Another server may listen with a clone of the listener.
        if let Some(watched) = addresses.iter().position(|watched| *watched == address) {
            addresses.swap_remove(watched);
        }
    }
}

/// An address that leads to a listener of this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// How long it may take to wake a listener of this machine.
const WAKE_WITHIN: Duration = Duration::from_secs(1);
