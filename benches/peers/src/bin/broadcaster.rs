//! A server on one crate that sends each message that comes to all its clients, in the way that chats are written: each
//! connection has a task, which waits for its client and for a channel. The payload is shared by all; so is its frame
//! where the crate has something for that.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peers::option;
use tokio::net::TcpStream;
use tokio::sync::broadcast;

fn main() {
    let of: String = option("--of").expect("--of CRATE");
    match of.as_str() {
        "sansocket" => serve(async |tcp| {
            let config = sansocket::Config::default();
            Some(sansocket::tokio::WebSocket::from_upgraded(tcp, sansocket::Role::Server, &[], &config))
        }),
        "tokio-tungstenite" => serve(async |tcp| {
            let role = tungstenite::protocol::Role::Server;
            // The default is zeroed at each read.
            let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10);
            Some(tokio_tungstenite::WebSocketStream::from_raw_socket(tcp, role, Some(config)).await)
        }),
        "tokio-websockets" => serve(async |tcp| {
            let config = tokio_websockets::Config::default().frame_size(usize::MAX);
            Some(tokio_websockets::ServerBuilder::new().config(config).serve(tcp))
        }),
        "yawc" => serve(async |tcp| {
            yawc::WebSocket::from_stream(tcp, yawc::Role::Server, yawc::Options::default()).ok()
        }),
        "sockudo-ws" => {
            serve(async |tcp| Some(sockudo_ws::WebSocketStream::server(tcp, sockudo_ws::Config::default())))
        }
        _ => panic!("{of} is not known"),
    }
}

fn serve<M: Member>(member: impl AsyncFn(TcpStream) -> Option<M> + Clone + 'static) {
    let (everyone, _) = broadcast::channel(64);
    peers::echo::serve(|mut tcp| {
        let (member, everyone) = (member.clone(), everyone.clone());
        async move {
            peers::echo::handshake(&mut tcp, false).await.ok()?;
            take_part(member(tcp).await?, everyone).await
        }
    });
}

/// Until the client leaves.
async fn take_part<M: Member>(mut member: M, everyone: broadcast::Sender<M::Shared>) -> Option<Infallible> {
    let mut messages = everyone.subscribe();
    loop {
        tokio::select! {
            message = member.receive() => {
                everyone.send(message?.into()).ok()?;
            }
            message = messages.recv() => member.send(message.ok()?).await?,
        }
    }
}

/// `None`: the client has left.
trait Member {
    /// What all members send.
    type Shared: From<Bytes> + Clone + 'static;

    /// Cancelled, it loses nothing.
    async fn receive(&mut self) -> Option<Bytes>;
    async fn send(&mut self, message: Self::Shared) -> Option<()>;
}

impl Member for sansocket::tokio::WebSocket<TcpStream> {
    type Shared = Prepared;

    async fn receive(&mut self) -> Option<Bytes> {
        match self.recv().await.ok()?? {
            sansocket::Message::Binary(payload) => Some(payload),
            sansocket::Message::Text(_) => None,
        }
    }

    async fn send(&mut self, message: Prepared) -> Option<()> {
        self.send(&message.0).await.ok()
    }
}

#[derive(Clone)]
struct Prepared(sansocket::PreparedMessage);

impl From<Bytes> for Prepared {
    fn from(message: Bytes) -> Self {
        Self(sansocket::PreparedMessage::new(message))
    }
}

impl Member for tokio_tungstenite::WebSocketStream<TcpStream> {
    type Shared = Bytes;

    async fn receive(&mut self) -> Option<Bytes> {
        Some(self.next().await?.ok()?.into_data())
    }

    async fn send(&mut self, message: Bytes) -> Option<()> {
        SinkExt::send(self, tungstenite::Message::Binary(message)).await.ok()
    }
}

impl Member for tokio_websockets::WebSocketStream<TcpStream> {
    type Shared = Bytes;

    async fn receive(&mut self) -> Option<Bytes> {
        Some(self.next().await?.ok()?.into_payload().into())
    }

    async fn send(&mut self, message: Bytes) -> Option<()> {
        SinkExt::send(self, tokio_websockets::Message::binary(message)).await.ok()
    }
}

impl Member for yawc::WebSocket<TcpStream> {
    type Shared = Bytes;

    async fn receive(&mut self) -> Option<Bytes> {
        Some(self.next_frame().await.ok()?.into_payload())
    }

    async fn send(&mut self, message: Bytes) -> Option<()> {
        SinkExt::send(self, yawc::Frame::binary(message)).await.ok()
    }
}

impl Member for sockudo_ws::WebSocketStream<TcpStream> {
    type Shared = Bytes;

    async fn receive(&mut self) -> Option<Bytes> {
        match self.next().await?.ok()? {
            sockudo_ws::Message::Binary(payload) => Some(payload),
            _ => None,
        }
    }

    async fn send(&mut self, message: Bytes) -> Option<()> {
        SinkExt::send(self, sockudo_ws::Message::Binary(message)).await.ok()
    }
}
