//! A client in the server's process: what it is sent is handed over to a socket that takes everything, without the kernel.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::protocol::text;

/// The server's end of a client's connection: it joins a topic, and then says nothing more.
pub struct Member<F> {
    /// What it says next: its request at first; what it says behind that waits for the response.
    says: Vec<u8>,
    then: Vec<u8>,
    reader: Option<Waker>,
    /// Is told each message.
    told: F,
}

impl<F: FnMut(&[u8])> Member<F> {
    pub fn new(topic: &str, told: F) -> Self {
        let request = "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
        let join = text(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#));
        Self { says: request.into(), then: join, reader: None, told }
    }
}

impl<F: Unpin> AsyncRead for Member<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.says.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = self.says.len().min(buf.remaining());
        buf.put_slice(&self.says[..len]);
        self.says.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl<F: FnMut(&[u8]) + Unpin> AsyncWrite for Member<F> {
    /// Takes all there is, which is the response, or whole frames.
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.then.is_empty() {
            self.says = mem::take(&mut self.then);
            self.reader.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(buf.len()));
        }
        let mut rest = buf;
        while let Some((payload, behind)) = message(rest) {
            (self.told)(payload);
            rest = behind;
        }
        if !rest.is_empty() {
            return Poll::Ready(Err(io::Error::other("a part of a message was written")));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The payload of the first of a server's frames, and what is behind it; `None` if there is no whole one.
pub fn message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes {
        [_, 126, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [_, len @ 0..126, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}
