//! What is appended: one order on all nodes.

use std::time::Duration;

use sansocket_channels::backplane::{Backplane, Sequencer};

use crate::broker::Broker;
use crate::node::{Node, all, eventually, text};

/// Two nodes append at once: all get the same, numbered without a gap, and it is what is kept.
#[tokio::test]
async fn all_nodes_have_one_order() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    a.subscribe("x").await.unwrap();
    b.subscribe("x").await.unwrap();
    let append = async |node: &Node, name: &str| {
        for n in 0..300 {
            node.append("x", &format!("{name}{n}"), all()).await.unwrap();
        }
    };
    tokio::join!(append(&a, "a"), append(&b, "b"));
    for node in [&a, &b] {
        eventually("all has come", || node.sequenced("x").len() == 600).await;
    }
    let order = a.sequenced("x");
    assert_eq!(order, b.sequenced("x"));
    assert!(order.iter().map(|(_, offset, _)| *offset).eq(1..=600));
    assert!(order.iter().all(|(epoch, _, _)| *epoch == order[0].0));
    for name in ["a", "b"] {
        let of: Vec<_> = order.iter().filter(|(_, _, text)| text.starts_with(name)).map(|it| &it.2).collect();
        assert_eq!(of, (0..300).map(|n| format!("{name}{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }

    let since = b.since("x", None, all()).await;
    assert_eq!((&since.position.epoch, since.position.offset), (&order[0].0, 600));
    let kept = since.messages.iter().map(|kept| (order[0].0.clone(), kept.offset, text(&kept.envelope)));
    assert_eq!(kept.collect::<Vec<_>>(), order);
    assert!(since.messages.iter().all(|kept| kept.age < Duration::from_secs(30)));
}

/// Calls keep their order, whichever is polled first, or whether any is; and so does what is published beside.
#[tokio::test]
async fn appends_have_the_order_of_their_calls() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    let mut calls = Vec::new();
    for n in 0..1_000 {
        calls.push(Sequencer::append(&*node, "x", n.to_string().into(), all()));
        node.say("x", &n.to_string()).unwrap();
        if n % 3 == 0 {
            drop(calls.pop());
        }
    }
    for call in calls.into_iter().rev() {
        call.await.unwrap();
    }
    let expected: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
    eventually("all has come", || node.messages("x").len() == 1_000 && node.sequenced("x").len() == 1_000)
        .await;
    assert_eq!(node.messages("x"), expected);
    assert_eq!(node.sequenced("x").into_iter().map(|it| it.2).collect::<Vec<_>>(), expected);
}

/// A broker that forgets the scripts is told them anew, without anything being lost, doubled or out of order.
#[tokio::test]
async fn forgotten_scripts_are_told_anew() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    let mut expected = Vec::new();
    for round in 0..30 {
        broker.ask::<()>(&["SCRIPT", "FLUSH"]);
        if round % 3 == 0 {
            let since = node.since("x", None, all()).await;
            assert_eq!(since.messages.len(), expected.len());
        }
        let calls: Vec<_> = (0..20)
            .map(|n| {
                expected.push(format!("{round}/{n}"));
                node.say("x", &format!("{round}/{n}")).unwrap();
                Sequencer::append(&*node, "x", format!("{round}/{n}").into(), all())
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    }
    eventually("all has come", || node.messages("x").len() == 600 && node.sequenced("x").len() == 600).await;
    assert_eq!(node.messages("x"), expected);
    assert_eq!(node.sequenced("x").into_iter().map(|it| it.2).collect::<Vec<_>>(), expected);
}

/// The same while two nodes append without a pause: what fails is not told, and what is told is in the order of each node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_forgotten_at_any_time() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    a.subscribe("x").await.unwrap();
    let append = async |node: &Node, name: &str| {
        let mut done = Vec::new();
        for round in 0..100 {
            let texts: Vec<_> = (0..20).map(|n| format!("{name}{}", round * 20 + n)).collect();
            let calls: Vec<_> = texts
                .iter()
                .map(|text| Sequencer::append(&**node, "x", text.clone().into(), all()))
                .collect();
            for (text, call) in texts.into_iter().zip(calls) {
                if call.await.is_ok() {
                    done.push(text);
                }
            }
        }
        done
    };
    let flush = async {
        for _ in 0..60 {
            broker.ask::<()>(&["SCRIPT", "FLUSH"]);
            tokio::task::yield_now().await;
        }
    };
    let (of_a, of_b, ()) = tokio::join!(append(&a, "a"), append(&b, "b"), flush);
    assert!(of_a.len() + of_b.len() > 3_900, "{} and {}", of_a.len(), of_b.len());
    eventually("all has come", || a.sequenced("x").len() == of_a.len() + of_b.len()).await;
    for (name, of) in [("a", of_a), ("b", of_b)] {
        let told = a.sequenced("x").into_iter().map(|it| it.2).filter(|text| text.starts_with(name));
        assert_eq!(told.collect::<Vec<_>>(), of);
    }
}
