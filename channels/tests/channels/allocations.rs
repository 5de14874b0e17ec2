//! What is allocated, and given back.

use std::ops::Range;
use std::time::Duration;

use sansocket_channels::backplane::MemoryBus;
use sansocket_channels::test::Page;
use sansocket_channels::{Events, Hub, Identity, Joined, Limits, OnFull, Open, Publish, Relay, TopicOptions};
use serde_json::json;
use tokio::runtime::Builder;

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

/// Pages come, join ten topics each, and go in one way or another, with names that nobody else has.
async fn come_and_go(hub: &Hub, pages: Range<usize>) {
    let mut here: Vec<Page> = Vec::new();
    for n in pages {
        let mut page = hub.test_page(Identity::user(format!("user {n}"))).stock();
        for topic in 0..10 {
            page.send_message(format!(r#"["{topic}",null,"room:{n}.{topic}","phx_join",{{}}]"#));
        }
        match n % 4 {
            // Lost while it joins.
            0 => page.cut(),
            1 => page.close(),
            2 => page.send_message(format!(r#"["0",null,"room:{n}.0","phx_leave",{{}}]"#)),
            _ => {}
        }
        here.push(page);
        // Some are there at the same time.
        if here.len() == 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(hub.topics().len(), 25 * 9 + 25 * 10);
            here.clear();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// However many have joined and gone, nobody is known any more, and the memory is given back: 100,000 joins.
#[test]
fn joins_and_drops_leave_nothing() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let hub = Hub::builder().channel("room:{id}", Relay).build().unwrap();
    // What is kept is kept once.
    runtime.block_on(come_and_go(&hub, 0..2_000));
    let measured = allocation_counter::measure(|| runtime.block_on(come_and_go(&hub, 2_000..12_000)));
    assert!(hub.connections().is_empty() && hub.topics().is_empty());
    assert!(measured.count_total > 1_000_000, "they took no memory: {measured:?}");
    // Less than a byte for each.
    assert!(measured.bytes_current.abs() < 64 << 10, "{measured:?}");
}

/// However many topics are sent to, or come and go with who is present, while there is no connection to the broker: what other nodes
/// are to be told does not pile up.
#[test]
fn without_a_broker_topics_leave_nothing() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _context = runtime.enter();
    let node = MemoryBus::new().node();
    let list = Events::new().on_join(async |_, params| Joined::new(()).track(&params));
    let hub = Hub::builder()
        .channel_with("list:{id}", TopicOptions::new().presence(), list)
        .limits(Limits::default().topics(10))
        .backplane(node.clone())
        .build()
        .unwrap();
    let use_topics = async |topics: Range<usize>| {
        let mut page = hub.test_page(Identity::anonymous());
        for n in topics {
            hub.broadcast(&format!("room:{n}"), "said", &n).unwrap_err();
            let topic = format!("list:{n}");
            page.join(&topic, &json!({})).await.unwrap();
            page.leave(&topic).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    runtime.block_on(tokio::time::sleep(Duration::from_secs(1)));
    node.cut();
    runtime.block_on(use_topics(0..200));
    let measured = allocation_counter::measure(|| runtime.block_on(use_topics(200..2_200)));
    assert!(measured.bytes_current.abs() < 64 << 10, "{measured:?}");
}
