//! Long polling, through both ways to serve it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sansocket::Server;
use sansocket_channels::{Close, Denied, Drain, Handshake, Hub, Identity, Limits, Origins};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::poller::{Ask, BOTH, Poller, Via, builder, noted};
use crate::random::Random;
use crate::server::{http, soon};

/// What a page does over a WebSocket, and what comes of it, byte for byte.
#[tokio::test(start_paused = true)]
async fn it_is_the_same_protocol() {
    for via in BOTH {
        let hub = builder().build().unwrap();
        let ask = Ask::new(via, &hub);
        let one = Poller::joined(&ask, "").await;
        // Our own additions are for WebSockets.
        let two = Poller::joined(&ask, "&ext=1").await;
        assert_eq!(hub.members("room:1").len(), 2);
        let said = "[\"1\",\"2\",\"room:1\",\"said\",{\"t\":\"ž\\\"\\\\\u{2028}\"}]";
        assert_eq!(one.post(said).await, 200);
        assert_eq!(two.messages().await, ["[null,null,\"room:1\",\"said\",{\"t\":\"ž\\\"\\\\\u{2028}\"}]"]);
        assert_eq!(one.messages().await, [r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#]);

        // Many in one body.
        let body = "[\"3\",\"3\",\"echo\",\"phx_join\",{}]\n[\"3\",\"4\",\"echo\",\"echo\",[1]]\r\n\
                    [null,\"5\",\"phoenix\",\"heartbeat\",{}]\n[null,\"6\",\"nowhere\",\"x\",{}]\n";
        let waits = one.waits();
        assert_eq!(one.post(body).await, 200);
        let mut told = soon(waits).await.unwrap().messages();
        while told.len() < 4 {
            told.extend(one.messages().await);
        }
        told.sort();
        assert_eq!(
            told,
            [
                r#"["3","3","echo","phx_reply",{"status":"ok","response":{}}]"#,
                r#"["3","4","echo","phx_reply",{"status":"ok","response":[1]}]"#,
                r#"[null,"5","phoenix","phx_reply",{"status":"ok","response":{}}]"#,
                r#"[null,"6","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
            ]
        );
        // The one message of another body.
        let posted = ask.clone().header("Content-Type", "application/json");
        let answer = posted.send("POST", &one.query, r#"["1","7","room:1","phx_leave",{}]"#).await;
        assert_eq!((answer.0, &*answer.2), (200, r#"{"status":200}"#));
        let mut told = one.messages().await;
        if told.len() == 1 {
            told.extend(one.messages().await);
        }
        let left = r#"["1","7","room:1","phx_reply",{"status":"ok","response":{}}]"#;
        assert_eq!(told, [left, r#"["1","1","room:1","phx_close",{}]"#]);
        assert_eq!(hub.members("room:1").len(), 1);
    }
}

/// A client sends bytes in base64, and is sent them in base64, as a string: it understands nothing but text.
#[tokio::test(start_paused = true)]
async fn bytes_are_base64() {
    for via in BOTH {
        let hub = builder().build().unwrap();
        let ask = Ask::new(via, &hub);
        let (one, two) = (Poller::joined(&ask, "").await, Poller::joined(&ask, "").await);
        // A push of 01 02 ff, and what others are sent.
        assert_eq!(one.post("AAEBBgIxMnJvb206MWJlAQL/").await, 200);
        assert_eq!(two.messages().await, [r#"[null,null,"room:1","be","AQL/"]"#]);
        assert_eq!(one.messages().await, [r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#]);
        assert_eq!(one.post(r#"["2","2","echo","phx_join",{}]"#).await, 200);
        one.messages().await;
        // Answers: two bytes, and none.
        assert_eq!(one.post("AAEBBAQyM2VjaG9lY2hv/+8=").await, 200);
        assert_eq!(
            one.messages().await,
            [r#"["2","3","echo","phx_reply",{"status":"ok","response":"/+8="}]"#]
        );
        assert_eq!(one.post("AAEBBAQyNGVjaG9lY2hv").await, 200);
        assert_eq!(one.messages().await, [r#"["2","4","echo","phx_reply",{"status":"ok","response":""}]"#]);
        // What is neither is no frame.
        assert_eq!(one.post("AAEBBAQyNGVjaG9lY2hv=").await, 200);
        assert!(one.is_over().await);
    }
}

/// A poll is answered when there is something, and at its time when there is nothing. Who does not poll is lost.
#[tokio::test(start_paused = true)]
async fn it_waits_and_is_waited_for() {
    for via in BOTH {
        let (hub, diary) = noted(Limits::default());
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        let since = Instant::now();
        let answer = one.poll().await;
        assert_eq!((answer.0, answer.inner(), answer.messages().len()), (200, 204, 0));
        assert_eq!(since.elapsed(), Duration::from_secs(10));
        // The next request has the token of the last answer.
        assert!(one.query.ends_with(answer.json()["token"].as_str().unwrap()));
        let waits = one.waits();
        sleep(Duration::from_secs(9)).await;
        assert!(!waits.is_finished());
        hub.broadcast("room:1", "tick", &1).unwrap();
        assert_eq!(waits.await.unwrap().messages(), [r#"[null,null,"room:1","tick",1]"#]);

        // Messages are none.
        sleep(Duration::from_secs(14)).await;
        one.post(r#"["1",null,"room:1","x",0]"#).await;
        sleep(Duration::from_millis(999)).await;
        assert_eq!(hub.members("room:1").len(), 1);
        diary.take();
        sleep(Duration::from_millis(2)).await;
        assert_eq!((hub.connections().len(), hub.topics().len()), (0, 0));
        assert_eq!(diary.take(), ["Lost"]);
        assert!(one.is_over().await);
        assert_eq!(one.post("[]").await, 500);
    }
}

/// Nothing is taken by a poll that is over: of a client that is gone, or has begun another.
#[tokio::test(start_paused = true)]
async fn one_poll_waits() {
    for via in BOTH {
        let hub = builder().build().unwrap();
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        let (first, gone) = (one.waits(), sleep(Duration::from_millis(1)));
        gone.await;
        let second = one.waits();
        let answer = first.await.unwrap();
        assert_eq!((answer.0, answer.inner()), (410, 500));
        second.abort();
        assert!(second.await.is_err());
        hub.broadcast("room:1", "tick", &1).unwrap();
        assert_eq!(one.messages().await, [r#"[null,null,"room:1","tick",1]"#]);
    }
}

/// A request for what there is, as it is written.
fn request(poller: &Poller) -> String {
    format!("GET /socket/longpoll{} HTTP/1.1\r\nHost: example.com\r\n\r\n", poller.query)
}

/// The client closes while its poll waits: the poll is over, and the connection is not.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_takes_nothing() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (mut client, server) = duplex(1 << 10);
    client.write_all(request(&one).as_bytes()).await.unwrap();
    let pending = sansocket::tokio::accept(server).await.unwrap();
    let handled = async {
        sleep(Duration::from_secs(1)).await;
        drop(client);
    };
    let (handled, ()) = tokio::join!(hub.handle(pending), handled);
    assert!(handled.unwrap().is_none());
    hub.broadcast("room:1", "tick", &1).unwrap();
    sleep(Duration::from_millis(1_999)).await;
    assert_eq!(one.messages().await.len(), 1);
    sleep(Duration::from_millis(14_999)).await;
    assert_eq!(hub.connections().len(), 1);
}

/// A client that has left a poll does not come back: it is soon lost.
#[tokio::test(start_paused = true)]
async fn who_leaves_a_poll_is_gone() {
    for via in BOTH {
        let (hub, diary) = noted(Limits::default());
        let one = Poller::joined(&Ask::new(via, &hub), "").await;
        diary.take();
        let waits = one.waits();
        sleep(Duration::from_secs(1)).await;
        waits.abort();
        sleep(Duration::from_millis(1_999)).await;
        assert_eq!(hub.members("room:1").len(), 1);
        sleep(Duration::from_millis(2)).await;
        assert_eq!((hub.members("room:1").len(), diary.take()), (0, vec!["Lost".to_owned()]));
    }
}

/// Who has never begun to poll is soon lost, too: clients do so at once.
#[tokio::test(start_paused = true)]
async fn who_never_polls_is_gone() {
    for via in BOTH {
        let hub = builder().build().unwrap();
        let one = Poller::open(&Ask::new(via, &hub), "").await;
        sleep(Duration::from_secs(4)).await;
        assert_eq!(one.post(r#"["1","1","room:1","phx_join",0]"#).await, 200);
        sleep(Duration::from_millis(999)).await;
        assert_eq!(hub.connections().len(), 1);
        sleep(Duration::from_millis(2)).await;
        assert!(hub.connections().is_empty());
    }
}

/// The same inside hyper, which drops what nobody waits for.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_from_hyper() {
    let (hub, diary) = noted(Limits::default());
    let one = Poller::joined(&Ask::new(Via::Service, &hub), "").await;
    diary.take();
    let (mut client, server) = duplex(1 << 10);
    let service = TowerToHyperService::new(hub.service());
    let serving = tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    client.write_all(request(&one).as_bytes()).await.unwrap();
    // A poll that would wait for ten seconds.
    sleep(Duration::from_secs(9)).await;
    drop(client);
    sleep(Duration::from_millis(1_999)).await;
    assert_eq!(hub.connections().len(), 1);
    sleep(Duration::from_millis(2)).await;
    assert_eq!((hub.connections().len(), diary.take()), (0, vec!["Lost".to_owned()]));
    drop(serving);
}

/// An answer that is known to be lost is the end: the client would not know what it lacks.
#[tokio::test(start_paused = true)]
async fn nothing_follows_what_is_lost() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (mut client, server) = duplex(64);
    let asking = async {
        client.write_all(request(&one).as_bytes()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        hub.broadcast("room:1", "tick", &json!("x".repeat(1_000))).unwrap();
        client.read_exact(&mut [0; 64]).await.unwrap();
        drop(client);
    };
    let handling = async { hub.handle(sansocket::tokio::accept(server).await.unwrap()).await };
    let (handled, ()) = tokio::join!(handling, asking);
    assert!(matches!(handled, Err(sansocket::Error::ConnectionLost(_))));
    hub.broadcast("room:1", "tick", &2).unwrap();
    assert!(one.is_over().await);
    assert!(hub.connections().is_empty());
}

/// The same, where whoever answers is dropped meanwhile.
#[tokio::test(start_paused = true)]
async fn nothing_follows_what_was_not_written() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (handling, _client) = begun(&hub, &one).await;
    hub.broadcast("room:1", "tick", &json!("x".repeat(1_000))).unwrap();
    sleep(Duration::from_secs(1)).await;
    handling.abort();
    assert!(handling.await.unwrap_err().is_cancelled());
    assert!(one.is_over().await);
    assert!(hub.connections().is_empty());
}

/// Where nothing was in an answer, none is missed: of a poll that waited in vain, or was followed by another.
#[tokio::test(start_paused = true)]
async fn an_answer_without_messages_may_be_lost() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (handling, client) = begun(&hub, &one).await;
    sleep(Duration::from_secs(11)).await;
    drop(client);
    assert!(matches!(handling.await.unwrap(), Err(sansocket::Error::ConnectionLost(_))));
    let (handling, client) = begun(&hub, &one).await;
    let waits = one.waits();
    sleep(Duration::from_secs(1)).await;
    drop(client);
    assert!(matches!(handling.await.unwrap(), Err(sansocket::Error::ConnectionLost(_))));
    hub.broadcast("room:1", "tick", &1).unwrap();
    assert_eq!(waits.await.unwrap().messages(), [r#"[null,null,"room:1","tick",1]"#]);
}

/// While an answer is written, there is no other: clients that take none are not given more.
#[tokio::test(start_paused = true)]
async fn one_answer_is_written() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (handling, mut client) = begun(&hub, &one).await;
    hub.broadcast("room:1", "tick", &json!("x".repeat(1_000))).unwrap();
    sleep(Duration::from_secs(1)).await;
    hub.broadcast("room:1", "tick", &2).unwrap();
    let waits = one.waits();
    sleep(Duration::from_secs(1)).await;
    assert!(!waits.is_finished());
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("xxx"), "{answer}");
    assert_eq!(waits.await.unwrap().messages(), [r#"[null,null,"room:1","tick",2]"#]);
    drop(client);
    handling.await.unwrap().unwrap();
}

/// Who sends something behind a poll does not wait for its answer: not all of it is read.
#[tokio::test(start_paused = true)]
async fn who_sends_behind_a_poll_is_gone() {
    let hub = builder().build().unwrap();
    let one = Poller::joined(&Ask::new(Via::Handle, &hub), "").await;
    let (handling, mut client) = begun(&hub, &one).await;
    let since = Instant::now();
    client.write_all(&[b'x'; 8 << 10]).await.unwrap_err();
    handling.await.unwrap().unwrap();
    assert_eq!(since.elapsed(), Duration::ZERO);
    hub.broadcast("room:1", "tick", &1).unwrap();
    assert_eq!(one.messages().await.len(), 1);
}

/// A poll that waits at [`Hub::handle`], and its client, to whom no answer can be written at once.
async fn begun(hub: &Hub, poller: &Poller) -> (JoinHandle<Result<(), sansocket::Error>>, DuplexStream) {
    let (mut client, server) = duplex(64);
    let hub = hub.clone();
    let handling = tokio::spawn(async move {
        let pending = sansocket::tokio::accept(server).await.unwrap();
        hub.handle(pending).await.map(drop)
    });
    client.write_all(request(poller).as_bytes()).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    (handling, client)
}

/// Whenever clients poll, each is told all, once, in its order.
#[tokio::test(start_paused = true)]
async fn order_is_kept() {
    for via in BOTH {
        let hub = builder().limits(Limits::default().messages(10_000, 10_000)).build().unwrap();
        let mut polling = Vec::new();
        for seed in 0..5 {
            let poller = Poller::joined(&Ask::new(via, &hub), "").await;
            polling.push(tokio::spawn(async move {
                let (mut random, mut told) = (Random(seed), Vec::new());
                while !told.last().is_some_and(|last: &String| last.contains("end")) {
                    sleep(Duration::from_millis(random.below(300) as u64)).await;
                    told.extend(poller.messages().await);
                }
                told
            }));
        }
        let (speaker, mut random) = (Poller::joined(&Ask::new(via, &hub), "").await, Random(99));
        let mut sent = Vec::new();
        while sent.len() < 300 {
            let body: Vec<_> = (0..random.below(5))
                .map(|n| (sent.len() + n, "x".repeat(random.below(9) * 500)))
                .map(|(n, text)| format!(r#"["1",null,"room:1","n",[{n},"{text}"]]"#))
                .collect();
            assert_eq!(speaker.post(body.join("\n")).await, 200);
            sent.extend(body.into_iter().map(|line| line.replacen("\"1\"", "null", 1)));
            sleep(Duration::from_millis(random.below(20) as u64)).await;
        }
        speaker.post(r#"["1",null,"room:1","end",0]"#).await;
        sent.push(r#"[null,null,"room:1","end",0]"#.to_owned());
        for told in polling {
            assert_eq!(soon(told).await.unwrap(), sent);
        }
    }
}

/// Who may not connect is told so that Phoenix's client understands it: 403 and 500 are all that it does.
#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told_why() {
    let authenticate = async |handshake: Handshake| match handshake.bearer() {
        None => Ok(Identity::anonymous()),
        Some("forbidden") => Err(Denied::FORBIDDEN),
        Some("unavailable") => Err(Denied::UNAVAILABLE),
        Some(_) => Err(Denied::UNAUTHORIZED),
    };
    for via in BOTH {
        let hub = builder().authenticate(authenticate).build().unwrap();
        let ask = Ask::new(via, &hub);
        let bearer = |token| ask.clone().header("X-Phoenix-AuthToken", token);
        for (status, inner, ask, query) in [
            (400, 500, ask.clone(), ""),
            (400, 500, ask.clone(), "?vsn=1.0.0"),
            (401, 403, bearer("other"), "?vsn=2.0.0"),
            (403, 403, bearer("forbidden"), "?vsn=2.0.0"),
            (503, 500, bearer("unavailable"), "?vsn=2.0.0"),
        ] {
            let answer = ask.send("GET", query, "").await;
            assert_eq!((answer.0, answer.inner()), (status, inner), "{}", answer.2);
            assert_eq!(answer.1.contains("retry-after: 5"), status == 503);
            assert!(answer.json()["reason"].as_str().unwrap().ends_with('.'));
        }
        // Whoever brings messages has a connection.
        assert_eq!(ask.send("POST", "?vsn=2.0.0", "[]").await.0, 410);
        for method in ["DELETE", "HEAD", "PUT"] {
            let answer = ask.send(method, "?vsn=2.0.0", "").await;
            assert!(answer.0 == 405 && answer.1.contains("allow: get, post, options"), "{}", answer.1);
        }
        let upgrade = ask.clone().header("Upgrade", "websocket").header("Connection", "Upgrade");
        let upgrade = upgrade
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(upgrade.send("GET", "?vsn=2.0.0", "").await.0, 400);
        assert!(hub.connections().is_empty());
        // Who asks for a connection that is gone was not refused one.
        let refusals = [(400, 3), (401, 1), (403, 1), (405, 3), (503, 1)];
        assert_eq!(hub.metrics().refusals, refusals.into());
    }
}

/// Pages of origins that may connect can read the answers; others are refused, and so is what hides where it comes from.
#[tokio::test(start_paused = true)]
async fn pages_of_other_origins() {
    for via in BOTH {
        let hub = builder().origins(Origins::list(["http://a.example", "http://b.example"])).build().unwrap();
        let ask = Ask::new(via, &hub);
        let of = |origin| ask.clone().header("Origin", origin);
        let asked = of("http://a.example").header("Access-Control-Request-Method", "POST");
        let answer = asked.send("OPTIONS", "?vsn=2.0.0", "").await;
        assert_eq!(answer.0, 204);
        for header in [
            "access-control-allow-origin: http://a.example",
            "access-control-allow-methods: get, post",
            "access-control-allow-headers: content-type, x-phoenix-authtoken, x-phoenix-longpoll-token",
        ] {
            assert!(answer.1.contains(header), "{}", answer.1);
        }
        for method in ["OPTIONS", "GET", "POST"] {
            let answer = of("http://c.example").send(method, "?vsn=2.0.0", "").await;
            assert!(answer.0 == 403 && !answer.1.contains("access-control"), "{}", answer.1);
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(ask.clone().header("Sec-Fetch-Site", site).send("GET", "?vsn=2.0.0", "").await.0, 403);
        }
        for site in ["same-origin", "none"] {
            Poller::open(&ask.clone().header("Sec-Fetch-Site", site), "").await;
        }
        // Refusals can be read, too.
        let refused = of("http://a.example").send("GET", "", "").await;
        assert!(refused.1.contains("access-control-allow-origin: http://a.example"), "{}", refused.1);

        let mut page = Poller::joined(&of("http://a.example"), "").await;
        hub.broadcast("room:1", "tick", &1).unwrap();
        let answer = page.poll().await;
        for header in [
            "access-control-allow-origin: http://a.example",
            "vary: origin",
            "cache-control: no-store, no-transform",
        ] {
            assert!(answer.1.contains(header), "{}", answer.1);
        }
        // A token is of who opened the connection.
        page.ask = of("http://b.example");
        assert!(page.is_over().await);
        page.ask = ask.clone();
        assert_eq!(page.post(r#"["1","2","room:1","x",0]"#).await, 200);
        assert_eq!(page.messages().await.len(), 1);

        // Browsers do not say that a page of the server's own opens one, but that it sends something.
        let mut own = Poller::joined(&ask.clone().header("Sec-Fetch-Site", "same-origin"), "").await;
        own.ask = of("http://a.example");
        assert_eq!(own.post(r#"["1",null,"room:1","x",0]"#).await, 200);
        own.ask = of("http://b.example");
        assert!(own.is_over().await);
    }
}

/// The secret of a connection is no other's, and an application's own parameter of that name is none.
#[tokio::test(start_paused = true)]
async fn tokens() {
    let authenticate = async |handshake: Handshake| {
        Ok(handshake.param("token").map_or_else(Identity::anonymous, Identity::user))
    };
    for via in BOTH {
        let hub = builder().authenticate(authenticate).build().unwrap();
        let ask = Ask::new(via, &hub);
        let mut tokens = HashSet::new();
        for _ in 0..50 {
            let poller = Poller::open(&ask, "").await;
            assert!(tokens.insert(poller.query.clone()));
        }
        // As 1.7 has it: the user's, then the connection's.
        let ada = Poller::joined(&ask, "&token=ada").await;
        assert_eq!(hub.members("room:1")[0].user.as_deref(), Some("ada"));
        hub.broadcast("room:1", "tick", &1).unwrap();
        assert_eq!(ada.messages().await.len(), 1);
        // It may look like one.
        for user in ["lp.ada", &format!("lp.{}", "~".repeat(43)), &format!("lp.{}", "A".repeat(44))] {
            Poller::open(&ask, &format!("&token={user}")).await;
            assert_eq!(hub.user(user).connections().len(), 1);
        }
        // In a header.
        let (query, token) = ada.query.rsplit_once("&token=").unwrap();
        let in_header =
            Poller { ask: ask.clone().header("X-Phoenix-Longpoll-Token", token), query: query.to_owned() };
        hub.broadcast("room:1", "tick", &2).unwrap();
        assert_eq!(in_header.messages().await.len(), 1);
        // What is none there hides none in the address.
        let in_both =
            Poller { ask: ask.clone().header("X-Phoenix-Longpoll-Token", "x"), query: ada.query.clone() };
        hub.broadcast("room:1", "tick", &3).unwrap();
        assert_eq!(in_both.messages().await.len(), 1);
        // One that nobody has, or has any more, opens nothing.
        let before = hub.connections().len();
        let other = Poller { ask, query: format!("{query}&token=lp.{}", "A".repeat(43)) };
        assert!(other.is_over().await);
        assert_eq!((other.post("[]").await, hub.connections().len()), (500, before));
    }
}

/// Whom the hub closes is told what was queued, and dials anew.
#[tokio::test(start_paused = true)]
async fn closed_by_the_server() {
    let revoked = Arc::new(AtomicBool::new(false));
    let authenticate = {
        let revoked = revoked.clone();
        move |_| {
            let is_revoked = revoked.load(Ordering::Relaxed);
            async move { if is_revoked { Err(Denied::FORBIDDEN) } else { Ok(Identity::user("ada")) } }
        }
    };
    for via in BOTH {
        revoked.store(false, Ordering::Relaxed);
        let hub = builder().authenticate(authenticate.clone()).build().unwrap();
        let ask = Ask::new(via, &hub);
        // One waits, one is away.
        let (one, two) = (Poller::joined(&ask, "").await, Poller::joined(&ask, "").await);
        let waits = one.waits();
        sleep(Duration::from_millis(1)).await;
        revoked.store(true, Ordering::Relaxed);
        hub.user("ada").close(Close::kicked());
        assert_eq!(waits.await.unwrap().inner(), 500);
        assert!(hub.members("room:1").is_empty());
        assert!(two.is_over().await && one.is_over().await);
        assert_eq!(ask.send("GET", "?vsn=2.0.0", "").await.inner(), 403);

        revoked.store(false, Ordering::Relaxed);
        let (one, two) = (Poller::joined(&ask, "").await, Poller::joined(&ask, "").await);
        let waits = one.waits();
        sleep(Duration::from_millis(1)).await;
        hub.broadcast("room:1", "last", &1).unwrap();
        let draining = tokio::spawn({
            let hub = hub.clone();
            async move { hub.drain(Drain { within: Duration::ZERO, ..Drain::default() }).await }
        });
        assert_eq!(waits.await.unwrap().messages(), [r#"[null,null,"room:1","last",1]"#]);
        assert!(one.is_over().await);
        assert_eq!(two.post(r#"["1","2","room:1","x",0]"#).await, 500);
        assert_eq!(two.messages().await, [r#"[null,null,"room:1","last",1]"#]);
        assert!(two.is_over().await);
        let drained = draining.await.unwrap();
        assert_eq!((drained.told, drained.cut), (2, 0));
        let refused = ask.send("GET", "?vsn=2.0.0", "").await;
        assert_eq!((refused.0, refused.inner()), (503, 500));
        assert!(one.is_over().await);
    }
}

/// Of however many at once, each is in its handshake for as long as it is read, and no longer.
#[tokio::test]
async fn polls_that_wait_are_no_handshakes() {
    let hub = builder().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let hub = hub.clone();
        async move {
            hub.serve(listener, &Server::default().max_handshakes(1), std::future::pending::<()>()).await
        }
    });
    let opened = http(address, "GET", "/socket/longpoll?vsn=2.0.0", "").await;
    let token = &opened[opened.find("lp.").unwrap()..][..46];
    let target = format!("/socket/longpoll?vsn=2.0.0&token={token}");
    let mut waits = TcpStream::connect(address).await.unwrap();
    waits.write_all(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let body = r#"["1","1","room:1","phx_join",{}]"#;
    let post =
        format!("POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut posts = TcpStream::connect(address).await.unwrap();
    posts.write_all(post.as_bytes()).await.unwrap();
    let mut answers = [String::new(), String::new()];
    soon(posts.read_to_string(&mut answers[0])).await.unwrap();
    assert!(answers[0].ends_with(r#"{"status":200}"#), "{}", answers[0]);
    soon(waits.read_to_string(&mut answers[1])).await.unwrap();
    assert!(answers[1].contains("phx_reply"), "{}", answers[1]);
    serving.abort();
}
