//! Members of a topic, in few words: pages, and clients of a server.

use sansocket::tokio::{Transport, WebSocket};
use sansocket_channels::test::Page;
use sansocket_channels::{Hub, Identity};

use crate::server::soon;

/// A page that has joined.
pub async fn member(hub: &Hub, identity: Identity, topic: &str) -> Page {
    let mut page = hub.test_page(identity);
    page.join(topic, &0).await.unwrap();
    page
}

/// One that speaks Phoenix Channels V2 and nothing more, frame by frame: the ref of its join is 1.
pub async fn stock(hub: &Hub, topic: &str) -> Page {
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(join(topic));
    let reply = page.next_message().await.unwrap();
    assert_eq!(reply.as_text(), Some(&*joined(topic)));
    page
}

/// Has a client join, as [`stock`] does.
pub async fn enter<S: Transport>(ws: &mut WebSocket<S>, topic: &str) {
    ws.send(join(topic)).await.unwrap();
    let reply = soon(ws.recv()).await.unwrap().unwrap();
    assert_eq!(reply.as_text(), Some(&*joined(topic)));
}

fn join(topic: &str) -> String {
    format!(r#"["1","1","{topic}","phx_join",0]"#)
}

fn joined(topic: &str) -> String {
    format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#)
}
