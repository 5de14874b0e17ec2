//! What a transport's error says, and before it what that means, if it is one of TLS that users meet.

use core::fmt;
use std::io;

#[cfg(feature = "rustls")]
use super::tls_error;

/// An error as it is told.
pub(super) struct TransportError<'a>(pub(super) &'a io::Error);

impl fmt::Display for TransportError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "rustls")]
        if let Some(meaning) = tls_error::explain(self.0) {
            write!(f, "{meaning}: ")?;
        }
        self.0.fmt(f)
    }
}
