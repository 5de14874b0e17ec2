//! What clients that poll may do, and how often: at each limit, and one beyond.

use std::time::Duration;

use sansocket_channels::{Handshake, Identity, Limits};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::poller::{Ask, BOTH, Poller, Via, builder, noted};
use crate::server::soon;

/// Connections whose clients poll: of a hub, and of a user.
#[tokio::test(start_paused = true)]
async fn connections_are_bounded() {
    let authenticate = async |handshake: Handshake| match handshake.bearer() {
        Some(name) => Ok(Identity::user(name)),
        None => Ok(Identity::anonymous()),
    };
    for via in BOTH {
        let limits = Limits::default().polls(3).connections_per_user(2);
        let hub = builder().limits(limits).authenticate(authenticate).build().unwrap();
        let ask = Ask::new(via, &hub);
        let ada = ask.clone().header("X-Phoenix-AuthToken", "ada");
        let _ada = [Poller::open(&ada, "").await, Poller::open(&ada, "").await];
        let refused = ada.send("GET", "?vsn=2.0.0", "").await;
        assert_eq!((refused.0, refused.inner()), (503, 500));
        Poller::open(&ask, "").await;
        let refused = ask.send("GET", "?vsn=2.0.0", "").await;
        assert_eq!((refused.0, refused.inner()), (503, 500));
        // They are lost, and there is room.
        sleep(Duration::from_secs(16)).await;
        assert!(hub.connections().is_empty());
        Poller::open(&ada, "").await;
    }
}

/// However many are asked about at once.
#[tokio::test(start_paused = true)]
async fn connections_that_are_opened_at_once() {
    let authenticate = async |_| {
        sleep(Duration::from_secs(1)).await;
        Ok(Identity::anonymous())
    };
    for via in BOTH {
        let hub = builder().limits(Limits::default().polls(2)).authenticate(authenticate).build().unwrap();
        let ask = Ask::new(via, &hub);
        let open = || ask.send("GET", "?vsn=2.0.0", "");
        let answers = <[_; 3]>::from(tokio::join!(open(), open(), open()));
        let mut answers = answers.map(|answer| answer.inner());
        answers.sort_unstable();
        assert_eq!(answers, [410, 410, 500]);
        assert_eq!(hub.connections().len(), 2);
    }
}

/// Messages and bodies, at their limits and one byte beyond.
#[tokio::test(start_paused = true)]
async fn what_is_posted_is_bounded() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().frame(100).post(300)).build().unwrap();
        let ask = Ask::new(via, &hub);
        let text = |len: usize| format!(r#"["1",null,"room:1","x","{}"]"#, "a".repeat(len - 26));
        // Of so many bytes that stand for 100, and 101.
        let bytes = |len: usize| format!("AAEABgExcm9vbToxeA{}", "A".repeat(len));
        for (body, status, is_over) in [
            (text(100), 200, false),
            (text(101), 200, true),
            (bytes(116), 200, false),
            (bytes(117), 200, true),
            (format!("{}\n{}\n{}", text(99), text(99), text(100)), 200, false),
            (format!("{}\n{}\n{}", text(99), text(100), text(100)), 413, true),
        ] {
            let one = Poller::joined(&ask, "").await;
            assert_eq!(one.post(&body).await, status, "{via:?} {body}");
            sleep(Duration::from_millis(1)).await;
            assert_eq!(hub.members("room:1").is_empty(), is_over, "{via:?} {body}");
            sleep(Duration::from_secs(16)).await;
        }
    }
}

/// Who sends too much waits, and who would wait for too long is told so.
#[tokio::test(start_paused = true)]
async fn who_sends_too_much_waits() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().messages(10, 5)).build().unwrap();
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        let polling = tokio::spawn({
            let one = one.clone();
            async move { while !one.is_over().await {} }
        });
        sleep(Duration::from_secs(1)).await;
        let body = |count| vec![r#"["1",null,"room:1","x",0]"#; count].join("\n");
        let since = Instant::now();
        let waits = tokio::spawn({
            let (one, body) = (one.clone(), body(100));
            async move { one.post(body).await }
        });
        sleep(Duration::from_secs(5)).await;
        // One at a time.
        assert_eq!(one.post(body(1)).await, 409);
        assert_eq!(waits.await.unwrap(), 200);
        assert!((9_000..10_000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
        sleep(Duration::from_secs(2)).await;
        let since = Instant::now();
        assert_eq!(one.post(body(110)).await, 408);
        assert_eq!(since.elapsed(), Duration::from_secs(10));
        soon(polling).await.unwrap();
        sleep(Duration::from_millis(200)).await;
        assert!(hub.connections().is_empty());
    }
}

/// What is held of all that is posted has an end, too; nothing of it is left behind.
#[tokio::test(start_paused = true)]
async fn what_all_post_is_bounded() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().messages(10, 5).posts(2 << 10)).build().unwrap();
        let ask = Ask::new(via, &hub);
        let body = |count, len: usize| {
            vec![format!(r#"["1",null,"room:1","x","{}"]"#, "x".repeat(len)); count].join("\n")
        };
        for _ in 0..3 {
            let (one, two) = (Poller::joined(&ask, "").await, Poller::joined(&ask, "").await);
            // Of 1,024 bytes at most, it waits.
            let waits = tokio::spawn({
                let (one, body) = (one.clone(), body(20, 20));
                async move { one.post(body).await }
            });
            sleep(Duration::from_millis(1)).await;
            assert_eq!(two.post(body(1, 998)).await, 200);
            assert_eq!(two.post(body(1, 999)).await, 503);
            assert_eq!(waits.await.unwrap(), 200);
            // Whatever it needs, it may have all.
            assert_eq!(two.post(body(4, 999)).await, 200);
            sleep(Duration::from_secs(16)).await;
        }
    }
}

/// There is room for what comes, not for what is said to: clients that send nothing stop nobody.
#[tokio::test(start_paused = true)]
async fn what_has_not_come_takes_no_room() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().posts(2 << 10)).build().unwrap();
        let ask = Ask::new(via, &hub);
        let (idle, one) = (Poller::joined(&ask, "").await, Poller::joined(&ask, "").await);
        let body = format!(r#"["1",null,"room:1","x","{}"]"#, "x".repeat(1_500));
        let head = format!(
            "POST /socket/longpoll{} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            idle.query,
            body.len()
        );
        let mut client = ask.connect();
        client.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(one.post(&body).await, 200, "{via:?}");
        // All but the last byte. What is being read by the hub itself is for its server to bound.
        client.write_all(&body.as_bytes()[..body.len() - 1]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(one.post(&body).await, if matches!(via, Via::Service) { 503 } else { 200 });
        client.write_all(b"]").await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with("{\"status\":200}"), "{response}");
        assert_eq!(one.post(&body).await, 200);
    }
}

/// A client that does not take what it is sent is closed, as over a WebSocket.
#[tokio::test(start_paused = true)]
async fn a_slow_client_is_closed() {
    for via in BOTH {
        let (hub, diary) = noted(Limits::default().queue(4_096, 16).payload(1_024));
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        diary.take();
        let mut sent = 0;
        while hub.broadcast("room:1", "x", &json!("x".repeat(1_000))).unwrap().local == 1 {
            sent += 1;
            sleep(Duration::from_millis(1)).await;
        }
        // What one answer may have, and the queue.
        assert!((68..75).contains(&sent), "{sent}");
        sleep(Duration::from_millis(1)).await;
        assert_eq!(diary.take(), ["Slow"]);
        assert_eq!(one.messages().await.len(), 64);
        assert!(one.is_over().await);
    }
}

/// A body that was not taken whole ends the connection: nobody knows what was.
#[tokio::test(start_paused = true)]
async fn a_body_is_taken_whole() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().messages(10, 5)).build().unwrap();
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        let posts = tokio::spawn({
            let one = one.clone();
            async move { one.post(vec![r#"["1",null,"room:1","x",0]"#; 20].join("\n")).await }
        });
        sleep(Duration::from_millis(500)).await;
        assert_eq!(hub.members("room:1").len(), 1);
        posts.abort();
        assert!(one.is_over().await);
        sleep(Duration::from_secs(1)).await;
        assert!(hub.connections().is_empty());
        // No text at all.
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        assert_eq!(one.post(b"\xff").await, 400);
        assert!(one.is_over().await);
    }
}

/// Each beginning of a body, and each with one byte changed: it is taken, or the connection is closed.
#[tokio::test(start_paused = true)]
async fn any_body_is_survived() {
    let limits = Limits::default().messages(100_000, 100_000);
    let hub = builder().limits(limits).build().unwrap();
    let ask = Ask::new(Via::Service, &hub);
    let body = b"[\"1\",\"2\",\"room:1\",\"x\",{\"a\":[1]}]\r\nAAEBBgIxMnJvb206MWJlAQL/\n[null,\"3\",\"phoenix\",\"heartbeat\",{}]\n";
    let beginnings = (0..=body.len()).map(|len| body[..len].to_vec());
    let changes = (0..body.len())
        .flat_map(|at| b"\0\"\n[=A\x80".map(|byte| [&body[..at], &[byte], &body[at + 1..]].concat()));
    let (mut taken, mut closed) = (0, 0);
    for body in beginnings.chain(changes) {
        let one = Poller::joined(&ask, "").await;
        let status = one.post(&body).await;
        assert!(matches!(status, 200 | 400 | 500), "{status}");
        one.post(r#"[null,"90","phoenix","heartbeat",{}]"#).await;
        let is_alive = async {
            loop {
                let answer = one.poll().await;
                match answer.inner() {
                    200 if answer.2.contains(r#"\"90\""#) => break true,
                    200 => {}
                    500 => break false,
                    other => panic!("{other}"),
                }
            }
        };
        *if is_alive.await { &mut taken } else { &mut closed } += 1;
    }
    assert!(taken > 100 && closed > 300, "{taken} {closed}");
    sleep(Duration::from_secs(20)).await;
    assert!(hub.connections().is_empty() && hub.topics().is_empty());
}
