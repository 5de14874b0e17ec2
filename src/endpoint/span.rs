//! The span of a server's connection, for the feature `tracing`: what is told while it is entered belongs to it. Without
//! the feature it is nothing.

#[cfg(feature = "tracing")]
use alloc::boxed::Box;
use core::net::SocketAddr;

use crate::handshake::HttpRequest;

/// Boxed, since a connection that nobody follows has none.
#[derive(Debug)]
pub(crate) struct Span(#[cfg(feature = "tracing")] Option<Box<tracing::Span>>);

impl Span {
    /// Of a connection that was accepted just now. The path is known when the request has come.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(clippy::missing_const_for_fn, reason = "as with the feature")
    )]
    pub(crate) fn new(peer: Option<SocketAddr>) -> Self {
        #[cfg(feature = "tracing")]
        {
            let span =
                tracing::info_span!("connection", peer = tracing::field::Empty, path = tracing::field::Empty);
            if let Some(peer) = peer {
                span.record("peer", tracing::field::display(peer));
            }
            Self((!span.is_disabled()).then(|| Box::new(span)))
        }
        #[cfg(not(feature = "tracing"))]
        {
            let _ = peer;
            Self()
        }
    }

    /// What the connection is for: the path without what follows it, since a token may.
    pub(crate) fn record(&self, request: &HttpRequest) {
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.0 {
            span.record("path", request.path());
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (self, request);
    }

    /// Runs `f` within the span.
    #[cfg_attr(not(feature = "tracing"), expect(clippy::unused_self, reason = "as with the feature"))]
    pub(crate) fn within<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.0 {
            return span.in_scope(f);
        }
        f()
    }
}
