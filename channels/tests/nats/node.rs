//! A node, without a hub: what it is told, as a list.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::backplane::{Backplane, Nats, NodeId, Sink, Told};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

pub struct Node {
    pub nats: Arc<Nats>,
    pub id: NodeId,
    told: UnboundedReceiver<Heard>,
}

/// What a node was told.
#[derive(Debug, Eq, PartialEq)]
pub enum Heard {
    Message(String, Bytes),
    Control(Bytes),
    Lost,
    Down,
    Up,
}

impl Node {
    /// One that has started, and may have a connection or not.
    pub async fn start(id: u64, nats: Nats) -> Self {
        let (sender, told) = unbounded_channel();
        let sink = Sink::new(move |told| {
            let heard = match told {
                Told::Message { topic, envelope } => Heard::Message(topic.into(), envelope),
                Told::Control(envelope) => Heard::Control(envelope),
                Told::Lost(_) => Heard::Lost,
                Told::Down => Heard::Down,
                Told::Up => Heard::Up,
                Told::Sequenced { .. } => panic!("NATS has no sequencer"),
            };
            // The test may be over.
            let _ = sender.send(heard);
        });
        let id = NodeId::new(id);
        nats.start(id, sink).await.unwrap();
        Self { nats: nats.into(), id, told }
    }

    /// One that is connected.
    pub async fn at(id: u64, address: &str) -> Self {
        let mut node = Self::start(id, Nats::new(address).unwrap()).await;
        assert_eq!(node.next().await, Heard::Up);
        node
    }

    /// What it is told next.
    pub async fn next(&mut self) -> Heard {
        self.next_within(Duration::from_secs(10)).await.unwrap_or_else(|| panic!("it is told nothing"))
    }

    /// `None`: it is told nothing.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Heard> {
        timeout(limit, self.told.recv()).await.ok().flatten()
    }

    /// That it is told this next of a topic.
    #[track_caller]
    pub fn hears(&mut self, topic: &str, what: impl Into<Bytes>) -> impl Future<Output = ()> {
        let message = Heard::Message(topic.into(), what.into());
        async move { assert_eq!(self.next().await, message) }
    }

    pub async fn subscribe(&self, topic: &str) {
        timeout(Duration::from_secs(10), self.nats.subscribe(topic)).await.unwrap().unwrap();
    }

    pub fn publish(&self, topic: &str, what: impl Into<Bytes>) {
        self.nats.publish(topic, what.into()).unwrap();
    }
}
