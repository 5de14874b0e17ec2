//! What went wrong on a server where no call could return it: what became of a handler, and who is told.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use std::io::{self, ErrorKind};
use std::panic::catch_unwind;

use super::error::Error;

/// Something that failed on a server, in a connection that nobody else is told of: given to
/// [`Server::on_error`](crate::Server::on_error). Its `Display` is a line for a log.
#[derive(Debug)]
pub struct Failure {
    peer: Option<SocketAddr>,
    cause: Cause,
}

/// What failed.
#[non_exhaustive]
#[derive(Debug)]
pub enum Cause {
    /// No connection could be accepted; `serve` tries again after a while.
    Accept(io::Error),
    /// There were as many connections as [`Server::max_connections`](crate::Server::max_connections) allows: the client was
    /// answered as [`Server::when_full`](crate::Server::when_full) says.
    Full,
    /// The handshake of TLS, or the request: nobody was handed it. Most are somebody's who looks what is there.
    Handshake(Error),
    /// An HTTP library hands over no stream, or takes no response: what is wrong is the server's.
    Upgrade(Box<dyn core::error::Error + Send + Sync>),
    /// What the handler returned.
    Handler(Box<dyn core::error::Error + Send + Sync>),
    /// The handler panicked, with this message.
    Panic(String),
}

impl Failure {
    /// The client's address, if the connection has one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// What failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether it is what every network does now and then: the peer was gone, or silent.
    pub fn is_peer_gone(&self) -> bool {
        let error = match &self.cause {
            // During the handshake of TLS.
            Cause::Handshake(Error::Connect(error)) => return is_gone(error.kind()),
            Cause::Handshake(error) => Some(error),
            // As it is, or as an `io::Error`, which it becomes for readers and writers of bytes.
            Cause::Handler(error) => error
                .downcast_ref()
                .or_else(|| error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>()),
            Cause::Accept(_) | Cause::Full | Cause::Upgrade(_) | Cause::Panic(_) => None,
        };
        error.is_some_and(Error::is_peer_gone)
    }

    fn new(peer: Option<SocketAddr>, cause: Cause) -> Self {
        Self { peer, cause }
    }

    /// An event: how much it matters depends on whose affair it is.
    #[cfg(feature = "tracing")]
    fn trace(&self) {
        match &self.cause {
            _ if self.is_peer_gone() => tracing::debug!("{self}"),
            Cause::Upgrade(_) | Cause::Panic(_) => tracing::error!("{self}"),
            Cause::Accept(_) | Cause::Full | Cause::Handler(_) => tracing::warn!("{self}"),
            // Whoever looks what is there may cause as many as it likes.
            Cause::Handshake(_) => tracing::info!("{self}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            write!(f, "{peer}: ")?;
        }
        match &self.cause {
            Cause::Accept(error) => write!(f, "no connection can be accepted: {error}"),
            Cause::Full => f.write_str("refused, since there is no room for one more connection"),
            Cause::Handshake(error) => error.fmt(f),
            Cause::Upgrade(error) => write!(f, "the upgrade failed: {error}"),
            Cause::Handler(error) => write!(f, "the handler failed: {error}"),
            Cause::Panic(message) => write!(f, "the handler panicked: {message}"),
        }
    }
}

/// What a handler may return: nothing, a `Result` with whatever error becomes a boxed one, or never.
pub trait Handled {
    /// The error that it ended with.
    fn into_failure(self) -> Result<(), Box<dyn core::error::Error + Send + Sync>>;
}

impl Handled for () {
    fn into_failure(self) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// Of a loop without an end.
impl Handled for Never {
    fn into_failure(self) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        self
    }
}

impl<T, E: Into<Box<dyn core::error::Error + Send + Sync>>> Handled for Result<T, E> {
    fn into_failure(self) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        self.map(drop).map_err(Into::into)
    }
}

/// `!`, which has no name yet but as what a function returns.
type Never = <fn() -> ! as Returns>::Output;

pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// Who is told.
#[derive(Clone, Default)]
#[expect(clippy::type_complexity, reason = "a function that all connections share")]
pub(crate) struct Listener(Option<Arc<dyn Fn(&Failure) + Send + Sync>>);

impl Listener {
    pub(super) fn new(on_error: impl Fn(&Failure) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(on_error)))
    }

    /// Whether anybody may be told.
    pub(crate) fn listens(&self) -> bool {
        cfg!(feature = "tracing") || self.0.is_some()
    }

    pub(crate) fn tell(&self, peer: Option<SocketAddr>, cause: Cause) {
        if self.listens() {
            let failure = Failure::new(peer, cause);
            #[cfg(feature = "tracing")]
            failure.trace();
            if let Some(on_error) = &self.0 {
                // A server does not end for it: the panic was told of, and there is nobody else to tell.
                let _ = catch_unwind(AssertUnwindSafe(|| on_error(&failure)));
            }
        }
    }

    /// Tells what became of a handler: what it returned, or what it panicked with.
    pub(crate) fn tell_handled<T: Handled>(
        &self,
        peer: Option<SocketAddr>,
        handled: Result<T, Box<dyn Any + Send>>,
    ) {
        match handled.map(T::into_failure) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.tell(peer, Cause::Handler(error)),
            Err(panic) => self.tell(peer, Cause::Panic(message(&*panic))),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some" } else { "None" })
    }
}

/// Whether a peer that has gone causes it.
fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// What `panic!` was given, as it is with a text.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "not with a text".to_string())
}
