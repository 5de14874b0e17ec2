//! Which proxies in front of a server are trusted to say what their clients asked for.

use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use crate::handshake::ForwardedHost;

/// Those of these addresses, and the header that they write.
#[derive(Clone)]
pub(super) struct TrustedProxies {
    header: ForwardedHost,
    trusts: Arc<dyn Fn(Option<IpAddr>) -> bool + Send + Sync>,
}

impl TrustedProxies {
    pub(super) fn new(
        header: ForwardedHost,
        trusts: impl Fn(Option<IpAddr>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { header, trusts: Arc::new(trusts) }
    }

    /// The header that is believed of this peer, if it is trusted.
    pub(super) fn believed(&self, peer: Option<IpAddr>) -> Option<ForwardedHost> {
        // A listener for both has an address of IPv4 as one of IPv6, of which `is_loopback` is false.
        (self.trusts)(peer.map(|address| address.to_canonical())).then_some(self.header)
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies").field("header", &self.header).finish_non_exhaustive()
    }
}
