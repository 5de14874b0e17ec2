//! A stream of HTTP/2, whose WebSocket frames are written and read by hand.

use std::future::poll_fn;

use h2::{Reason, RecvStream, SendStream};
use hyper::body::Bytes;
use sansocket::Role;

use crate::common::{Sent, naive};
use crate::peer::at_once;

/// One end of a stream.
pub struct Stream {
    pub send: SendStream<Bytes>,
    recv: RecvStream,
    /// The role of the WebSocket at the other end.
    to: Role,
    input: Vec<u8>,
}

impl Stream {
    pub fn new(to: Role, send: SendStream<Bytes>, recv: RecvStream) -> Self {
        Self { send, recv, to, input: Vec::new() }
    }

    /// One frame of HTTP/2, if the connection was not given up.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.send.send_data(Bytes::copy_from_slice(bytes), false);
    }

    pub fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// Why the other end resets it.
    pub async fn reset(&mut self) -> Reason {
        poll_fn(|cx| self.send.poll_reset(cx)).await.unwrap()
    }

    /// The next WebSocket frame; `None` at the end of the stream.
    pub async fn frame(&mut self) -> Option<Sent> {
        loop {
            if let Some(frame) = naive::decode(&self.input).expect("a valid frame") {
                assert_eq!(frame.masked, self.to == Role::Client, "a client masks, a server does not");
                self.input.drain(..frame.len);
                return Some((frame.first, frame.payload));
            }
            let data = self.recv.data().await?.unwrap();
            self.recv.flow_control().release_capacity(data.len()).unwrap();
            self.input.extend_from_slice(&data);
        }
    }

    /// What comes in the next frame of HTTP/2.
    pub async fn data(&mut self) -> Bytes {
        at_once(self.recv.data()).await.unwrap().unwrap()
    }

    /// All frames until the stream ends.
    pub async fn frames(&mut self) -> Vec<Sent> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }
}
