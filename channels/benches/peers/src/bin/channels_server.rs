//! Ours: a hub with one topic of news, and one for who has it broadcast.

use channels_peers::{addr, filling};
use sansocket::Server;
use std::time::Duration;

use sansocket_channels::{Cx, Events, Hub, Limits, Open, Payload, Reply, TopicOptions};
use serde_json::{Value, json};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let control = Events::new().on("go", go).on("begin", begin).on("state", state);
        // The client that has it broadcast says so more often than one that is no bench may.
        let limits = Limits::default().messages(1_000_000, 1_000_000);
        let kept = TopicOptions::new().history(100, Duration::from_secs(60));
        let hub = Hub::builder()
            .channel("news", Open)
            .channel("more:{n}", Open)
            .channel_with("kept", kept, Open)
            .channel("control", control)
            .limits(limits)
            .build();
        let hub = hub.expect("a hub");
        let server = Server::default().max_connections(20_000);
        hub.serve(addr(), &server, std::future::pending::<()>()).await.expect("an address that is free");
    });
}

async fn go(cx: Cx, payload: Payload) -> Result<Reply, sansocket_channels::Refusal> {
    let told: Value = payload.parse()?;
    let (topic, around) = match told["topic"].as_str() {
        Some("kept") => ("kept", r#"[null,null,"kept","tick","",100000]"#),
        _ => ("news", r#"[null,null,"news","tick",""]"#),
    };
    let filling = filling(around.len());
    for _ in 0..told["n"].as_u64().unwrap_or(0) {
        cx.hub().broadcast(topic, "tick", &filling)?;
    }
    Ok(Reply::none())
}

/// Has the numbers of what is kept have six digits from now on.
async fn begin(cx: Cx, _: Payload) -> Result<Reply, sansocket_channels::Refusal> {
    for _ in 0..100_000 {
        cx.hub().broadcast("kept", "tick", "")?;
    }
    Ok(Reply::ok())
}

/// Who is connected, and what is joined. Memory that is free is given back: what is left is in use.
async fn state(cx: Cx, _: Payload) -> Result<Reply, sansocket_channels::Refusal> {
    // SAFETY: it may be called at any time.
    unsafe { libc::malloc_trim(0) };
    let hub = cx.hub();
    Ok(Reply::with(&json!({ "connections": hub.connections().len(), "topics": hub.topics().len() }))?)
}
