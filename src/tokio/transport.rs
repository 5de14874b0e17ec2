//! What a stream must be, to carry a WebSocket.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream that a WebSocket can be carried over: any that tasks of tokio can read and write, in whichever thread they
/// run. A task of the connection's own may have to, when the program does not.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for S {}
