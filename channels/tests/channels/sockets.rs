//! Real sockets: who is let in, what is served, how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sansocket::tokio::{ClientStream, Listener, WebSocket, accept_with, connect_over};
use sansocket::{Config, Error, Initiator, Server, TimedOut};
use sansocket_channels::{
    Denied, Handshake, Hub, HubBuilder, Identity, Joined, Limits, OnFull, Open, Origins, Relay, TopicOptions,
};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::diary::Diary;
use crate::members::enter;
use crate::server::{Served, client, connect, head, http, soon, told};

async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
    match handshake.bearer() {
        None => Ok(Identity::anonymous()),
        Some("ädä?>>>") => Ok(Identity::user("ada")),
        Some("forbidden") => Err(Denied::FORBIDDEN),
        Some("unavailable") => Err(Denied::UNAVAILABLE),
        Some("slow") => {
            sleep(Duration::from_secs(10)).await;
            Ok(Identity::anonymous())
        }
        Some("panic") => panic!("as was asked for"),
        Some(_) => Err(Denied::UNAUTHORIZED),
    }
}

fn builder() -> HubBuilder {
    let limits = Limits::default().connections_per_user(2).authenticate(Duration::from_millis(100));
    Hub::builder().channel("room:{id}", Relay).limits(limits).authenticate(authenticate)
}

/// What refuses is an answer to the request, each for its reason.
#[tokio::test]
async fn who_is_not_let_in_is_told_before() {
    let hub = builder().build().unwrap();
    let server = Served::new(&hub).await;
    let client = |query: &str| client(server.address, query);
    let bearer = |token: &str| {
        let protocols = ["phoenix".to_owned(), format!("base64url.bearer.phx.{token}")];
        client("?vsn=2.0.0").subprotocols(protocols).unwrap()
    };
    for (status, client) in [
        (400, client("")),
        (400, client("?vsn=1.0.0")),
        (400, client("?ext=1&vsn=3.0.0")),
        (403, client("?vsn=2.0.0").origin("http://example.com").unwrap()),
        // The origin is looked at first.
        (403, client("").origin("null").unwrap()),
        (401, bearer("bm9ib2R5")),
        (401, bearer("!")),
        (401, bearer("_w")),
        (403, bearer("Zm9yYmlkZGVu")),
        (503, bearer("dW5hdmFpbGFibGU")),
        (503, bearer("c2xvdw")),
        (503, bearer("cGFuaWM")),
    ] {
        assert_eq!(connect(client.clone()).await.err(), Some(status), "{client:?}");
    }
    for client in [
        client("?vsn=2.0.0"),
        client("?a=b&vsn=2%2E0.0&ext=1"),
        client("?vsn=2.0.0").origin(&format!("http://{}", server.address)).unwrap(),
    ] {
        let ws = connect(client).await.unwrap();
        assert_eq!(ws.subprotocol(), None);
    }
    // Who is told `phoenix` is not told the token.
    for _ in 0..3 {
        let mut ws = connect(bearer("w6Rkw6Q_Pj4-")).await.unwrap();
        assert_eq!(ws.subprotocol(), Some("phoenix"));
        enter(&mut ws, "room:1").await;
        assert_eq!(hub.members("room:1")[0].user.as_deref(), Some("ada"));
        ws.close(1000.into(), "").await.unwrap();
        while !hub.members("room:1").is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let ada =
        [connect(bearer("w6Rkw6Q_Pj4-")).await.unwrap(), connect(bearer("w6Rkw6Q_Pj4-")).await.unwrap()];
    assert_eq!(connect(bearer("w6Rkw6Q_Pj4-")).await.err(), Some(503));
    drop(ada);
    assert!(
        http(server.address, "GET", "/socket/websocket?vsn=2.0.0", "").await.starts_with("HTTP/1.1 426 ")
    );
    let metrics = hub.metrics();
    assert_eq!(metrics.refusals, [(400, 3), (401, 3), (403, 3), (426, 1), (503, 4)].into());
    assert_eq!(metrics.connected, 8);
    server.stop().await;
}

/// Both alphabets, as far as a subprotocol can have them.
#[tokio::test]
async fn tokens_come_in_any_base64() {
    let hub = builder().build().unwrap();
    let server = Served::new(&hub).await;
    for (token, status) in [
        ("w6Rkw6Q_Pj4-", 101),
        ("w6Rkw6Q_Pj4+", 101),
        // These are no names of subprotocols: browsers do not even dial.
        ("w6Rkw6Q/Pj4-", 400),
        ("w6Rkw6Q=", 400),
        // These are no base64, or have bits too many.
        ("w6Rkw6Q_Ph", 401),
        ("w6Rkw6Q_P", 401),
        ("w6Rkw6Q.Pj4-", 401),
    ] {
        let headers = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{token}\r\n"
        );
        let response = head(server.address, "/socket/websocket?vsn=2.0.0", &headers).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{token}: {response}");
    }
    server.stop().await;
}

#[tokio::test]
async fn origins_are_chosen() {
    for (origins, allowed, refused) in [
        (Origins::list(["https://example.com"]), "https://EXAMPLE.com", "http://example.com"),
        (
            Origins::check(|request| request.origin().is_some_and(|origin| origin.ends_with(".example.com"))),
            "http://a.example.com",
            "http://example.com",
        ),
        (Origins::any(), "null", ""),
    ] {
        let hub = Hub::builder().channel("news", Open).origins(origins).build().unwrap();
        let server = Served::new(&hub).await;
        let client = |origin: &str| client(server.address, "?vsn=2.0.0").origin(origin).unwrap();
        assert!(connect(client(allowed)).await.is_ok());
        if !refused.is_empty() {
            assert_eq!(connect(client(refused)).await.err(), Some(403));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn pages_and_the_script_are_served() {
    let hub = Hub::builder().page("/", "text/html; charset=utf-8", "<p>hi").path("/live").build().unwrap();
    let server = Served::new(&hub).await;
    let get = async |path: &str, headers: &str| http(server.address, "GET", path, headers).await;
    let page = get("/", "").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("\r\n\r\n<p>hi"), "{page}");
    assert!(page.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{page}");
    let script = get("/channels.js?v=2", "").await;
    for header in ["Content-Type: text/javascript; charset=utf-8", "X-Content-Type-Options: nosniff"] {
        assert!(script.contains(&format!("\r\n{header}\r\n")), "{script}");
    }
    assert!(script.ends_with(include_str!("../../js/channels.js")));
    let changes = get("/channels-dom.js", "").await;
    for header in
        ["Content-Type: text/javascript; charset=utf-8", "X-Content-Type-Options: nosniff", "ETag: \""]
    {
        assert!(changes.contains(&format!("\r\n{header}")), "{changes}");
    }
    assert!(changes.ends_with(include_str!("../../js/channels-dom.js")));
    let etag = script.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    for known in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let response = get("/channels.js", &format!("If-None-Match: {known}\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 304 ") && response.ends_with("\r\n\r\n"), "{response}");
    }
    assert!(get("/channels.js", "If-None-Match: \"x\"\r\n").await.starts_with("HTTP/1.1 200 "));
    let head = http(server.address, "HEAD", "/", "").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let post = http(server.address, "POST", "/", "Content-Length: 0\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET, HEAD\r\n"), "{post}");
    assert!(get("/favicon.ico", "").await.starts_with("HTTP/1.1 404 "));
    // The socket is elsewhere.
    assert_eq!(connect(client(server.address, "?vsn=2.0.0")).await.err(), Some(404));
    assert!(get("/live/websocket", "").await.starts_with("HTTP/1.1 426 "));
    server.stop().await;
}

/// What a handler may know of its client.
#[tokio::test]
async fn handshakes_are_known() {
    let channel = sansocket_channels::Events::new().on_join(async |cx, _| {
        let handshake = cx.handshake();
        let known: Option<&u8> = cx.get();
        Joined::new(()).reply(&json!({
            "param": handshake.param("näme"), "none": handshake.param("x"), "cookie": handshake.header("COOKIE"),
            "upgrade": handshake.header("Upgrade"), "key": handshake.header("sec-websocket-key"),
            "host": handshake.header("host").is_some(), "origin": handshake.origin(), "known": known, "not": cx.get::<u16>(), "conn": cx.conn(), "user": cx.user(),
        }))
    });
    let authenticate = async |_| Ok(Identity::user("ada").with(7_u8));
    let hub = Hub::builder().channel("room", channel).authenticate(authenticate).build().unwrap();
    let server = Served::new(&hub).await;
    let client =
        client(server.address, "?vsn=2.0.0&n%c3%A4me=a+b%20%252&x%FF=1").header("Cookie", "id=1").unwrap();
    let mut ws = connect(client).await.unwrap();
    ws.send(r#"["1","1","room","phx_join",{}]"#).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&told(&mut ws).await).unwrap();
    let conn = hub.connections()[0].id;
    assert_eq!(
        told[4]["response"],
        json!({
            "param": "a b %2", "none": null, "cookie": "id=1", "upgrade": null, "key": null, "host": true,
            "origin": null, "known": 7, "not": null,
            "conn": conn, "user": "ada",
        })
    );
    server.stop().await;
}

/// Messages in fragments are put together, and one that is too large is not.
#[tokio::test]
async fn fragments_are_put_together() {
    let hub = builder().build().unwrap();
    let server = Served::new(&hub).await;
    let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
    let frame = format!(r#"[null,"1","phoenix","heartbeat","{}"]"#, "é".repeat(30_000));
    for part in frame.as_bytes().chunks(9_999) {
        ws.feed_part(sansocket::MessageKind::Text, part.to_vec(), false).await.unwrap();
        ws.flush().await.unwrap();
    }
    ws.feed_part(sansocket::MessageKind::Text, "", true).await.unwrap();
    ws.flush().await.unwrap();
    assert_eq!(told(&mut ws).await, r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#);
    for _ in 0..3 {
        let part = "x".repeat(30_000);
        ws.feed_part(sansocket::MessageKind::Text, part, false).await.unwrap();
    }
    ws.flush().await.unwrap();
    assert_eq!(soon(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.closed().unwrap().code.get(), 1009);
    server.stop().await;
}

/// Messages are as large as the hub allows, whatever the server's configuration says.
#[tokio::test]
async fn the_hub_limits_messages() {
    let heartbeat = |len: usize| {
        let begin = r#"[null,"1","phoenix","heartbeat",""#;
        format!("{begin}{}\"]", "x".repeat(len - begin.len() - 2))
    };
    for config in [
        Config::default(),
        Config::default().max_message_size(10),
        Config::default().max_frame_size(10),
        Config::default().max_message_size(1 << 30).max_frame_size(1 << 30),
    ] {
        let hub = Hub::builder().limits(Limits::default().frame(1_000)).build().unwrap();
        let server = Served::by(&hub, Server::default().config(config)).await;
        let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
        ws.send(heartbeat(1_000)).await.unwrap();
        assert_eq!(told(&mut ws).await, r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#);
        ws.send(heartbeat(1_001)).await.unwrap();
        assert_eq!(soon(ws.recv()).await.unwrap(), None);
        assert_eq!(ws.closed().unwrap().code.get(), 1009);
        server.stop().await;
    }
}

/// So is the time for which a client may take no byte.
#[tokio::test(start_paused = true)]
async fn the_hub_limits_silence() {
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).build().unwrap();
    let (near, far) = tokio::io::duplex(4 << 10);
    let server = Server::default().config(Config::default().write_timeout(Duration::from_secs(60)));
    let served = tokio::spawn({
        let hub = hub.clone();
        async move { hub.handle(accept_with(far, &server).await?).await.map(drop) }
    });
    let mut ws = connect_over("ws://localhost/socket/websocket?vsn=2.0.0", near).await.unwrap();
    enter(&mut ws, "room:1").await;
    let start = Instant::now();
    hub.broadcast("room:1", "said", &"x".repeat(100_000)).unwrap();
    // The client reads nothing.
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(diary.take(), ["join room:1", "Lost"]);
    drop(ws);
}

/// All that is queued comes before the Close frame, and a lost client leaves nothing behind.
#[tokio::test]
async fn connections_end() {
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).build().unwrap();
    let server = Served::new(&hub).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
        enter(&mut ws, "room:1").await;
        clients.push(ws);
    }
    diary.take();
    // Lost without a word.
    drop(clients.pop());
    let mut closed = clients.pop().unwrap();
    closed.close(1000.into(), "").await.unwrap();
    while hub.connections().len() > 1 {
        sleep(Duration::from_millis(1)).await;
    }
    let mut ws = clients.pop().unwrap();
    for n in 0..100 {
        assert_eq!(hub.broadcast("room:1", "said", &n).unwrap().local, 1);
    }
    hub.conn(hub.connections()[0].id).close(sansocket_channels::Close::last(4600, "over").unwrap());
    for n in 0..100 {
        assert_eq!(told(&mut ws).await, format!(r#"[null,null,"room:1","said",{n}]"#));
    }
    assert_eq!(soon(ws.recv()).await.unwrap(), None);
    let close = ws.closed().unwrap();
    assert_eq!((close.code.get(), &*close.reason, close.initiator), (4600, "over", Initiator::Remote));
    let mut told = diary.take();
    told.sort();
    assert_eq!(told, ["Closed", "Kicked", "Lost"]);
    server.stop().await;
}

/// Whoever is asked about while the hub begins to drain is not let in.
#[tokio::test]
async fn nobody_slips_in() {
    let (asked, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let authenticate = {
        let (asked, answered) = (asked.clone(), answered.clone());
        move |_| {
            let (asked, answered) = (asked.clone(), answered.clone());
            async move {
                asked.notify_one();
                answered.notified().await;
                Ok(Identity::anonymous())
            }
        }
    };
    let hub = Hub::builder().channel("news", Open).authenticate(authenticate).build().unwrap();
    let server = Served::new(&hub).await;
    let connecting = tokio::spawn(connect(client(server.address, "?vsn=2.0.0")));
    soon(asked.notified()).await;
    assert_eq!(hub.drain(sansocket_channels::Drain::default()).await.told, 0);
    answered.notify_one();
    assert_eq!(connecting.await.unwrap().err(), Some(503));
    assert!(hub.connections().is_empty());
    server.stop().await;
}

/// Who does not read is closed, and cut off when it does not even take that; the others get everything.
#[tokio::test]
async fn slow_clients_are_cut_off() {
    let hub = Hub::builder().channel("news", Open).build().unwrap();
    let server = Served::new(&hub).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
        enter(&mut ws, "news").await;
        clients.push(ws);
    }
    let (mut fast, mut slow) = (clients.pop().unwrap(), clients.pop().unwrap());
    let payload = "x".repeat(200 << 10);
    let mut sent = 0;
    // What the system holds for a socket that is not read is some megabytes.
    while hub.broadcast("news", "said", &payload).unwrap().local == 2 {
        sent += 1;
        assert!(sent < 1_000, "the slow client takes everything");
        told(&mut fast).await;
    }
    told(&mut fast).await;
    assert_eq!(hub.broadcast("news", "said", &"last").unwrap().local, 1);
    assert_eq!(told(&mut fast).await, r#"[null,null,"news","said","last"]"#);
    assert_eq!(hub.connections().len(), 1);
    // Its transport ends, and what it reads then are whole messages; whether the Close frame found room is the system's affair.
    let mut read = 0;
    while let Ok(Some(_)) = soon(slow.recv()).await {
        read += 1;
    }
    assert!(read <= sent);
    server.stop().await;
}

/// A member of `news` behind a transport that takes little, and what serves it.
async fn narrow(hub: &Hub) -> (JoinHandle<Result<(), Error>>, WebSocket<ClientStream<DuplexStream>>) {
    let (near, far) = tokio::io::duplex(4 << 10);
    let hub = hub.clone();
    let served =
        tokio::spawn(async move { hub.handle(accept_with(far, &Server::default()).await?).await.map(drop) });
    let mut ws = connect_over("ws://localhost/socket/websocket?vsn=2.0.0", near).await.unwrap();
    enter(&mut ws, "news").await;
    (served, ws)
}

/// Who is cut off is told why if it reads within a second; then its transport ends, whatever it has taken.
#[tokio::test(start_paused = true)]
async fn slow_clients_have_a_second() {
    for (wait, is_told) in [(0, true), (900, true), (1_100, false)] {
        let wait = Duration::from_millis(wait);
        let hub = Hub::builder().channel("news", Open).build().unwrap();
        let (served, mut ws) = narrow(&hub).await;
        let mut sent = 0;
        while hub.broadcast("news", "said", &"x".repeat(200 << 10)).unwrap().local == 1 {
            sent += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!(sent, 6, "one on its way, and those for which there is room");
        let start = Instant::now();
        sleep(wait).await;
        let mut read = 0;
        let end = loop {
            match ws.recv().await {
                Ok(Some(_)) => read += 1,
                end => break end,
            }
        };
        // What is on its way is whole; what had waited is dropped.
        assert_eq!((end.is_ok(), read), (is_told, usize::from(is_told)), "{wait:?} {end:?}");
        assert_eq!(ws.closed().unwrap().code.get(), if is_told { 4008 } else { 1006 });
        served.await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_millis(), wait.as_millis());
    }
}

/// A token expires while its client takes what it is sent slowly, and more waits all the time.
#[tokio::test(start_paused = true)]
async fn tokens_of_slow_clients_expire() {
    let options = TopicOptions::new().on_full(OnFull::DropNewest);
    let builder = Hub::builder().channel_with("news", options, Open);
    let expires = async |_| Ok(Identity::anonymous().expires(Duration::from_millis(4_800)));
    let hub = builder.authenticate(expires).build().unwrap();
    let (served, mut ws) = narrow(&hub).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        for _ in 0..4 {
            hub.broadcast("news", "said", &"x".repeat(8 << 10)).unwrap();
        }
        sleep(Duration::from_millis(500)).await;
        if hub.connections().is_empty() {
            break;
        }
        ws.recv().await.unwrap();
    }
    assert_eq!(start.elapsed().as_millis(), 5_000);
    while let Some(message) = ws.recv().await.unwrap() {
        assert!(message.len() > 8 << 10);
    }
    assert_eq!(ws.closed().unwrap().code.get(), 4001);
    served.await.unwrap().unwrap();
}

/// A served hub that stops drains: sessions are told, clients too, and nobody is let in meanwhile.
#[tokio::test]
async fn servers_drain() {
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).build().unwrap();
    let server = Served::new(&hub).await;
    let address = server.address;
    let mut ws = connect(client(address, "?vsn=2.0.0")).await.unwrap();
    enter(&mut ws, "room:1").await;
    let drained = tokio::spawn({
        let hub = hub.clone();
        let drain = sansocket_channels::Drain { flush: Duration::from_secs(5), ..Default::default() };
        async move { hub.drain(drain).await }
    });
    assert_eq!(soon(ws.recv()).await.unwrap(), None);
    assert_eq!(connect(client(address, "?vsn=2.0.0")).await.err(), Some(503));
    assert_eq!(ws.closed().unwrap().code.get(), 1012);
    let drained = drained.await.unwrap();
    assert_eq!((drained.told, drained.cut), (1, 0));
    assert_eq!(diary.take(), ["join room:1", "Drained"]);
    server.stop().await;
}

/// A served hub that stops does not wait for ever, whatever hangs.
#[tokio::test(start_paused = true)]
async fn servers_stop_in_time() {
    /// One connection, and no other.
    struct Only(Option<DuplexStream>);
    impl Listener for Only {
        type Stream = DuplexStream;

        fn poll_accept(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<std::io::Result<(DuplexStream, Option<SocketAddr>)>> {
            self.0.take().map_or(Poll::Pending, |stream| Poll::Ready(Ok((stream, None))))
        }
    }
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).build().unwrap();
    let (near, far) = tokio::io::duplex(4 << 10);
    let stop = Arc::new(Notify::new());
    let serving = tokio::spawn({
        let (hub, stop) = (hub.clone(), stop.clone());
        async move { hub.serve(Only(Some(far)), &Server::default(), stop.notified()).await }
    });
    let mut ws = connect_over("ws://localhost/socket/websocket?vsn=2.0.0", near).await.unwrap();
    enter(&mut ws, "room:1").await;
    ws.send(r#"["1",null,"room:1","hang",0]"#).await.unwrap();
    // It is handled by then.
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    stop.notify_one();
    // Nor does a client that does not read the Close frame hold it up.
    serving.await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(diary.take(), ["join room:1", "hang 0"]);
    drop(ws);
}
