//! What a broadcast allocates.

use std::time::Duration;

use sansocket_channels::{Hub, Identity, OnFull, Open, Publish, TopicOptions};
use serde_json::json;

/// What a broadcast to so many members allocates, when there were some before.
async fn allocations(members: usize, class: for<'a> fn(Publish<'a>, &str) -> Publish<'a>) -> u64 {
    let options = TopicOptions::new().on_full(OnFull::DropOldest);
    let hub = Hub::builder().channel_with("news", options, Open).build().unwrap();
    let mut pages = Vec::new();
    for _ in 0..members {
        let mut page = hub.test_page(Identity::anonymous());
        page.join("news", &()).await.unwrap();
        pages.push(page);
    }
    let broadcast = || {
        for n in 0..16 {
            class(hub.to("news"), &n.to_string()).send("tick", &json!({ "n": n })).unwrap();
        }
    };
    broadcast();
    // All is written.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(hub.connections().iter().all(|info| info.queued == 0));
    allocation_counter::measure(broadcast).count_total
}

/// The frame is made once, and no delivery allocates.
#[tokio::test(start_paused = true)]
async fn a_delivery_allocates_nothing() {
    let classes: [for<'a> fn(Publish<'a>, &str) -> Publish<'a>; 4] = [
        |publish, _| publish,
        |publish, _| publish.volatile(),
        |publish, key| publish.keyed(key),
        |publish, _| publish.keyed("all the same"),
    ];
    for class in classes {
        let (one, many) = (allocations(1, class).await, allocations(100, class).await);
        assert!(one > 0);
        assert_eq!(one, many);
    }
}
