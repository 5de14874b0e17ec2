//! A node of several: a hub, which broadcasts to its topics in turns while it is told to, and says then how often it has.

use std::io::BufRead;
use std::time::Duration;

use channels_peers::crowd::{TOPICS, name};
use channels_peers::{addr, clock, filling, option};
use sansocket::Server;
use sansocket_channels::backplane::{Nats, Redis};
use sansocket_channels::{Hub, Open, PublishError};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let broker: String = option("--broker").expect("--broker nats://HOST:PORT or redis://HOST:PORT");
        let hub = Hub::builder().channel("room:{n}", Open);
        let hub = if broker.starts_with("redis:") {
            hub.backplane(Redis::new(&broker).expect("an address"))
        } else {
            hub.backplane(Nats::new(&broker).expect("an address"))
        };
        let hub = hub.build().expect("a hub");
        let (sender, lines) = unbounded_channel();
        std::thread::spawn(move || {
            // It ends with who has begun it.
            std::io::stdin().lock().lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
            std::process::exit(0);
        });
        tokio::spawn(broadcast(hub.clone(), lines));
        let server = Server::default().max_connections(20_000);
        hub.serve(addr(), &server, std::future::pending::<()>()).await.expect("an address that is free");
    });
}

async fn broadcast(hub: Hub, mut lines: UnboundedReceiver<String>) {
    let node: u64 = option("--node").expect("--node");
    let every = Duration::from_micros(option("--every").expect("--every, in microseconds"));
    let names: Vec<_> = (0..TOPICS).map(name).collect();
    let filling = filling(r#"[null,null,"room:000","tick",""]#"#.len() + "0 ".len() + 11 + 21);
    let (mut sent, mut failed) = (vec![0_u64; TOPICS], 0_u64);
    while lines.recv().await.is_some() {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut topics = (0..TOPICS).cycle().skip(TOPICS / 3 * node as usize);
        loop {
            tokio::select! {
                _ = lines.recv() => break,
                _ = tick.tick() => {}
            }
            let topic = topics.next().unwrap_or(0);
            sent[topic] += 1;
            let payload = format!("#{node} {:010} {:020} {filling}", sent[topic], clock::now());
            match hub.broadcast(&names[topic], "tick", &payload) {
                Ok(_) => {}
                Err(PublishError::Backplane(_)) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        }
        let metrics = hub.metrics();
        let (lost, downs) = (metrics.backplane_lost, metrics.backplane_downs);
        println!("{}", json!({ "sent": sent, "failed": failed, "lost": lost, "downs": downs }));
    }
}
