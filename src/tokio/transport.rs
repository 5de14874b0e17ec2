//! What a stream must be, to carry a WebSocket.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream that a WebSocket can be carried over: any that tasks of tokio can read and write, in whichever thread they
/// run. A task of the connection's own may have to, when the program does not.
///
/// That is why a stream that is not `Send`, such as one of a `LocalSet`'s tasks, carries none: what the connection owes its
/// peer while the program does not receive may have to be done in another thread. Have `spawn_local` run a task that
/// copies between such a stream and one end of [`tokio::io::duplex`], whose other end the WebSocket is given; or drive an
/// [`Endpoint`](crate::Endpoint) with it.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for S {}
