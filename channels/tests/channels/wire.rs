//! Frames, byte for byte, both ways.

use sansocket::Message;
use sansocket_channels::test::Page;
use sansocket_channels::{Events, Hub, Identity, Joined, Refusal, Relay, Reply};
use serde_json::json;

use crate::server::{self, Served, client, connect, soon};

/// A hub whose topics answer all there is.
fn hub() -> Hub {
    let echo = Events::new()
        .on("echo", async |_, payload| match payload.binary() {
            Some(data) => Ok(Reply::binary(data.clone())),
            None => Ok(Reply::with(&payload)?),
        })
        .on("none", async |_, _| Ok(Reply::none()))
        .on("said", async |cx, payload| {
            let data = payload.binary().cloned().unwrap_or_default();
            cx.hub().to(cx.topic()).send_binary("said", data)?;
            Ok(Reply::ok())
        })
        .on("fail", async |_, _| Err(Refusal::new("no \"reason\"").details(&json!({ "code": 7 }))))
        .on("stop", async |_, _| Ok(Reply::ok().stop()))
        .on("hint", async |cx, payload| {
            match payload.binary() {
                Some(data) => cx.push_binary("hint", data)?,
                None => cx.push("hint", &payload)?,
            }
            Ok(Reply::none())
        })
        .on("crash", async |_, _| panic!("as was asked for"));
    let closed = Events::new().on_join(async |_, _| Err(Refusal::new("unauthorized")));
    let later = Events::new().on_join(async |_, _| Err(Refusal::retry("busy")));
    let hub = Hub::builder().channel("room:{id}", echo).channel("relay", Relay);
    hub.channel("closed", closed).channel("later", later).build().unwrap()
}

async fn told(page: &mut Page) -> String {
    match page.next_message().await {
        Some(Message::Text(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// What is sent, and all that is told then.
async fn exchange(page: &mut Page, sent: &str, told: &[&str]) {
    page.send_message(sent);
    for expected in told {
        assert_eq!(self::told(page).await, *expected, "{sent}");
    }
}

/// Each text frame of the protocol, as a stock client sees it.
#[tokio::test(start_paused = true)]
async fn text_frames_are_exact() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    for (sent, told) in SCRIPT {
        exchange(&mut page, sent, told).await;
    }
    assert!(page.next_message().await.is_none());
}

/// A page of the kit is told what a real one is.
#[tokio::test]
async fn sockets_agree_with_the_kit() {
    let server = Served::new(&hub()).await;
    let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
    for (sent, told) in SCRIPT {
        ws.send(*sent).await.unwrap();
        for expected in *told {
            assert_eq!(server::told(&mut ws).await, *expected, "{sent}");
        }
    }
    ws.send(r#"["5","5","room:é","phx_join",{}]"#).await.unwrap();
    server::told(&mut ws).await;
    for (sent, told) in BINARY_SCRIPT {
        ws.send(sent.to_vec()).await.unwrap();
        for told in *told {
            told.is(&soon(ws.recv()).await.unwrap().unwrap());
        }
    }
    server.stop().await;
}

/// It is closed by the same, for the same reason.
#[tokio::test]
async fn sockets_and_the_kit_are_closed_alike() {
    let hub = hub();
    let server = Served::new(&hub).await;
    for message in [
        Message::text("no frame"),
        Message::binary(vec![0, 1, 1, 1]),
        Message::binary(b"\x00\x00\x00\x00\x01e".to_vec()),
        Message::text("x".repeat((64 << 10) + 1)),
        Message::binary(vec![0; (64 << 10) + 1]),
    ] {
        let mut ws = connect(client(server.address, "?vsn=2.0.0")).await.unwrap();
        ws.send(message.clone()).await.unwrap();
        assert_eq!(soon(ws.recv()).await.unwrap(), None);
        let close = ws.closed().unwrap();
        let mut page = hub.test_page(Identity::anonymous()).stock();
        page.send_message(message);
        let kit = page.closed().await;
        assert_eq!((close.code.get(), &*close.reason), (kit.code(), kit.reason()));
    }
    server.stop().await;
}

/// The same for what comes from elsewhere.
#[tokio::test(start_paused = true)]
async fn broadcasts_are_exact() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    exchange(
        &mut page,
        r#"["1","1","room:é","phx_join",{}]"#,
        &[r#"["1","1","room:é","phx_reply",{"status":"ok","response":{}}]"#],
    )
    .await;
    assert_eq!(hub.broadcast("room:é", "said", &json!({ "t": "hi\u{1}\"\\é" })).unwrap().local, 1);
    assert_eq!(told(&mut page).await, "[null,null,\"room:é\",\"said\",{\"t\":\"hi\\u0001\\\"\\\\é\"}]");
    // NaN is null, as serde_json has it.
    hub.broadcast("room:é", "number", &[f64::NAN, f64::INFINITY]).unwrap();
    assert_eq!(told(&mut page).await, r#"[null,null,"room:é","number",[null,null]]"#);
    let conn = hub.members("room:é")[0].conn;
    hub.conn(conn).push("room:é", "hint", &1).unwrap();
    assert_eq!(told(&mut page).await, r#"["1",null,"room:é","hint",1]"#);
    hub.to("room:é").send_binary("be", vec![1, 2, 0xFF]).unwrap();
    let expected = b"\x02\x07\x02room:\xC3\xA9be\x01\x02\xFF";
    assert_eq!(page.next_message().await.unwrap().payload(), expected);
    hub.conn(conn).leave("room:é");
    assert_eq!(told(&mut page).await, r#"["1","1","room:é","phx_close",{}]"#);
}

/// Each binary frame of the protocol.
#[tokio::test(start_paused = true)]
async fn binary_frames_are_exact() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["5","5","room:é","phx_join",{}]"#);
    page.next_message().await.unwrap();
    for (sent, told) in BINARY_SCRIPT {
        page.send_message(sent.to_vec());
        for told in *told {
            told.is(&page.next_message().await.unwrap());
        }
    }
    assert!(page.next_message().await.is_none());
}

/// Only clients that ask for it are told more than stock clients.
#[tokio::test(start_paused = true)]
async fn the_extension_names_the_connection() {
    let echo = Events::new().on_join(async |_, params| Joined::new(()).reply(&params));
    let hub = Hub::builder().channel("room", echo).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    let conn = page.conn();
    exchange(
        &mut page,
        r#"["1","1","room","phx_join",{"last":10,"$since":{"e":"k9","o":41},"\u0024x":1,"a$":"\"$"}]"#,
        &[&format!(
            r#"["1","1","room","phx_reply",{{"status":"ok","response":{{"$conn":"{conn}","last":10,"a$":"\"$","$recovered":false}}}}]"#
        )],
    )
    .await;
    exchange(
        &mut page,
        r#"["2","2","room","phx_join",{}]"#,
        &[
            r#"["1","1","room","phx_close",{}]"#,
            &format!(r#"["2","2","room","phx_reply",{{"status":"ok","response":{{"$conn":"{conn}"}}}}]"#),
        ],
    )
    .await;
    assert_eq!(hub.connections()[0].id, conn);
    let mut stock = hub.test_page(Identity::anonymous()).stock();
    exchange(
        &mut stock,
        r#"["1","1","room","phx_join",{"$since":1}]"#,
        &[r#"["1","1","room","phx_reply",{"status":"ok","response":{}}]"#],
    )
    .await;
}

/// How a page is closed that sends this; `None`: it goes on.
async fn closed_by(hub: &Hub, message: Message) -> Option<(u16, String)> {
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(message);
    page.send_message(r#"[null,"last","phoenix","heartbeat",{}]"#);
    loop {
        match page.next_message().await {
            Some(Message::Text(text)) if text.contains("\"last\"") => return None,
            Some(_) => {}
            None => {
                let close = page.closed().await;
                return Some((close.code(), close.reason().to_owned()));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_closes_with_a_word() {
    let hub = hub();
    let long = |len: usize| "x".repeat(len);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let frame = |join_ref: &str, topic: &str, event: &str, payload: &str| {
        Message::text(format!(r#"[{join_ref},"1","{topic}","{event}",{payload}]"#))
    };
    for (message, word) in [
        (Message::text(""), "frame"),
        (Message::text("{}"), "frame"),
        (Message::text("[]"), "frame"),
        (Message::text(r#"[null,"1","room:1","echo"]"#), "frame"),
        (Message::text(r#"[null,"1","room:1","echo",{}"#), "frame"),
        (Message::text(r#"[null,"1","room:1","echo",{}] x"#), "frame"),
        (Message::text(r#"[null,1,"room:1","echo",{}]"#), "frame"),
        (Message::text(r#"[null,"1",null,"echo",{}]"#), "frame"),
        (Message::text(r#"[null,"1","room:1",2,{}]"#), "frame"),
        (Message::text(r#"[null,"1","room:1","echo",{]"#), "frame"),
        (Message::text(r#"[null,"1","room:1","echo",tru]"#), "frame"),
        (frame("null", "room:1", "echo", &nested(65)), "frame"),
        (Message::text(format!(r#"[null,"1","room:1","echo",1,{}]"#, nested(65))), "frame"),
        (frame("null", &long(256), "echo", "1"), "topic"),
        (frame("null", "", "echo", "1"), "topic"),
        (frame("null", "room:1", &long(65), "1"), "event"),
        (frame("null", "room:1", "", "1"), "event"),
        (frame(&format!("\"{}\"", long(33)), "room:1", "echo", "1"), "ref"),
        (Message::binary(vec![]), "frame"),
        (Message::binary(vec![0, 1, 1, 1]), "frame"),
        (Message::binary(vec![0, 1, 1, 1, 1]), "frame"),
        (Message::binary(b"\x00\x00\x00\x01\x01\xFFe".to_vec()), "frame"),
        (Message::binary(b"\x01\x00\x00\x01\x01te".to_vec()), "frame"),
        (Message::binary(b"\x00\x00\x00\x00\x01e".to_vec()), "topic"),
        (Message::binary(b"\x00\x00\x00\x01\x00t".to_vec()), "event"),
        (Message::binary([&b"\x00\x21\x00\x01\x01"[..], &[b'1'; 33], b"te"].concat()), "ref"),
    ] {
        let expected = Some((1008, word.to_owned()));
        assert_eq!(closed_by(&hub, message.clone()).await, expected, "{message:?}");
    }
    for message in [
        frame("null", "room:1", "echo", &nested(64)),
        frame("null", &long(255), "echo", "1"),
        frame("null", "room:1", &long(64), "1"),
        frame(&format!("\"{}\"", long(32)), "room:1", "echo", "1"),
        // Brackets in strings are none.
        frame("null", "room:1", "echo", &format!("\"\\\"{}\"", "[".repeat(100))),
    ] {
        assert_eq!(closed_by(&hub, message.clone()).await, None, "{message:?}");
    }
}

/// Larger than a frame may be is 1009, whatever it says.
#[tokio::test(start_paused = true)]
async fn large_frames_close() {
    let hub = hub();
    let frame = |len: usize| {
        let begin = r#"[null,"1","room:1","echo",""#;
        Message::text(format!("{begin}{}\"]", "x".repeat(len - begin.len() - 2)))
    };
    assert_eq!(closed_by(&hub, frame(64 << 10)).await, None);
    let reason = "a frame is larger than the limit".to_owned();
    assert_eq!(closed_by(&hub, frame((64 << 10) + 1)).await, Some((1009, reason)));
}

/// Every prefix, and every change of one byte, is answered or closes with 1008; nothing panics, which would be 1006.
#[tokio::test(start_paused = true)]
async fn broken_frames_do_no_harm() {
    let hub = hub();
    let text = r#"["3","5","room:é","echo",{"t":["\"",1.5e3,true]},0]"#;
    let binary = b"\x00\x01\x01\x07\x0456room:\xC3\xA9echo\x01\x02\xFF";
    let mut messages = Vec::new();
    for source in [text.as_bytes(), binary] {
        let mut variants: Vec<_> = (0..source.len()).map(|len| source[..len].to_vec()).collect();
        for at in 0..source.len() {
            for byte in [0, b'"', b'[', b'\\', b'{', b'}', b']', b',', b'9', b'x', 0x7F, 0x80, 0xFF] {
                let mut changed = source.to_vec();
                changed[at] = byte;
                variants.push(changed);
            }
        }
        for variant in variants {
            messages.extend(String::from_utf8(variant.clone()).ok().map(Message::text));
            messages.push(Message::binary(variant));
        }
    }
    assert!(messages.len() > 1_000);
    for message in messages {
        let closed = closed_by(&hub, message.clone()).await;
        assert!(closed.is_none_or(|(code, _)| code == 1008), "{message:?}");
    }
    assert!(hub.topics().is_empty());
}

/// What a client says, and what it is told.
const SCRIPT: &[(&str, &[&str])] = &[
    (
        r#"[null,"2","phoenix","heartbeat",{}]"#,
        &[r#"[null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]"#],
    ),
    (
        r#"["3","3","room:1","phx_join",{"last":10}]"#,
        &[r#"["3","3","room:1","phx_reply",{"status":"ok","response":{}}]"#],
    ),
    (
        r#"["3","5","room:1","echo",{"t":"hi",  "é\n":[1.50,null]}]"#,
        &[r#"["3","5","room:1","phx_reply",{"status":"ok","response":{"t":"hi",  "é\n":[1.50,null]}}]"#],
    ),
    // The join is the present one, and what is behind the fifth element is ignored.
    (
        r#" [ null , "6" , "room:1" , "echo" , 1 , [2] , {"x":3} ] "#,
        &[r#"["3","6","room:1","phx_reply",{"status":"ok","response":1}]"#],
    ),
    (
        r#"["3","7","room:1","fail",{}]"#,
        &[
            r#"["3","7","room:1","phx_reply",{"status":"error","response":{"reason":"no \"reason\"","code":7}}]"#,
        ],
    ),
    (
        r#"["3","8","room:1","unheard of",{}]"#,
        &[r#"["3","8","room:1","phx_reply",{"status":"error","response":{"reason":"unknown event"}}]"#],
    ),
    (r#"["3",null,"room:1","hint",{"a":1}]"#, &[r#"["3",null,"room:1","hint",{"a":1}]"#]),
    (
        r#"["3","9","room:1","phx_other",{}]"#,
        &[r#"["3","9","room:1","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]"#],
    ),
    (
        r#"["3","10","room:1","$other",{}]"#,
        &[r#"["3","10","room:1","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]"#],
    ),
    (
        r#"["3","10","room:1","presence_state",{}]"#,
        &[r#"["3","10","room:1","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]"#],
    ),
    (
        r#"["3","10","room:1","presence_diff",{}]"#,
        &[r#"["3","10","room:1","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]"#],
    ),
    (
        r#"["3","11","room:1","phx_leave",{}]"#,
        &[
            r#"["3","11","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            r#"["3","3","room:1","phx_close",{}]"#,
        ],
    ),
    (
        r#"["3","12","room:1","phx_leave",{}]"#,
        &[r#"["3","12","room:1","phx_reply",{"status":"ok","response":{}}]"#],
    ),
    (
        r#"["3","13","room:1","echo",{}]"#,
        &[r#"[null,"13","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#],
    ),
    // The refs of a join may differ.
    (
        r#"["1","0","room:\"2\"","phx_join",{}]"#,
        &[r#"["1","0","room:\"2\"","phx_reply",{"status":"ok","response":{}}]"#],
    ),
    (
        r#"["1","14","room:\"2\"","stop",{}]"#,
        &[
            r#"["1","14","room:\"2\"","phx_reply",{"status":"ok","response":{}}]"#,
            r#"["1","1","room:\"2\"","phx_close",{}]"#,
        ],
    ),
    (
        r#"["15","15","room:3","phx_join",{}]"#,
        &[r#"["15","15","room:3","phx_reply",{"status":"ok","response":{}}]"#],
    ),
    (
        r#"["15","16","room:3","crash",{}]"#,
        &[r#"["15","15","room:3","phx_error",{"reason":"channel_crash"}]"#],
    ),
    (
        r#"["17","17","later","phx_join",{}]"#,
        &[r#"["17","17","later","phx_reply",{"status":"error","response":{"reason":"busy"}}]"#],
    ),
    (
        r#"["18","18","closed","phx_join",{}]"#,
        &[
            r#"["18","18","closed","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]"#,
            r#"["18","18","closed","phx_close",{}]"#,
        ],
    ),
    (
        r#"["19","19","no such topic","phx_join",{}]"#,
        &[
            r#"["19","19","no such topic","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
            r#"["19","19","no such topic","phx_close",{}]"#,
        ],
    ),
];

/// What bytes are answered with.
enum Told {
    Bytes(&'static [u8]),
    Text(&'static str),
}

impl Told {
    #[track_caller]
    fn is(&self, message: &Message) {
        match self {
            Self::Bytes(bytes) => assert_eq!((message.payload(), message.as_text()), (*bytes, None)),
            Self::Text(text) => assert_eq!(message.as_text(), Some(*text)),
        }
    }
}

/// The same in bytes, on a topic that was joined as 5.
const BINARY_SCRIPT: &[(&[u8], &[Told])] = &[
    (
        b"\x00\x01\x01\x07\x0456room:\xC3\xA9echo\x01\x02\xFF",
        &[Told::Bytes(b"\x01\x01\x01\x07\x0256room:\xC3\xA9ok\x01\x02\xFF")],
    ),
    (b"\x00\x00\x02\x07\x0417room:\xC3\xA9echo", &[Told::Bytes(b"\x01\x01\x02\x07\x02517room:\xC3\xA9ok")]),
    (
        b"\x00\x01\x00\x07\x045room:\xC3\xA9hint\x09",
        &[Told::Bytes(b"\x00\x01\x07\x045room:\xC3\xA9hint\x09")],
    ),
    // The answer to bytes may be text.
    (
        b"\x00\x01\x01\x07\x0457room:\xC3\xA9fail",
        &[Told::Text(
            r#"["5","7","room:é","phx_reply",{"status":"error","response":{"reason":"no \"reason\"","code":7}}]"#,
        )],
    ),
    (
        b"\x00\x01\x01\x07\x0458room:\xC3\xA9said\x01\x02\xFF",
        &[
            Told::Bytes(b"\x02\x07\x04room:\xC3\xA9said\x01\x02\xFF"),
            Told::Text(r#"["5","8","room:é","phx_reply",{"status":"ok","response":{}}]"#),
        ],
    ),
    // On a topic that is not joined.
    (
        b"\x00\x01\x01\x06\x0459room:1echo",
        &[Told::Text(
            r#"[null,"9","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        )],
    ),
    (
        b"\x00\x00\x02\x07\x0911room:\xC3\xA9phx_leave",
        &[
            Told::Text(r#"["5","11","room:é","phx_reply",{"status":"ok","response":{}}]"#),
            Told::Text(r#"["5","5","room:é","phx_close",{}]"#),
        ],
    ),
];

/// Whatever a channel says, the answer to a join is JSON, and what is the protocol's reaches no channel.
#[tokio::test(start_paused = true)]
async fn parameters_are_echoed() {
    let echo = Events::new().on_join(async |_, params| Joined::new(()).reply(&params));
    let hub = Hub::builder().channel("room", echo).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    let conn = page.conn();
    for (params, response) in [
        ("{}", format!(r#"{{"$conn":"{conn}"}}"#)),
        ("{ }", format!(r#"{{"$conn":"{conn}" }}"#)),
        ("{\n}", format!("{{\"$conn\":\"{conn}\"\n}}")),
        (r#"{ "a":1}"#, format!(r#"{{"$conn":"{conn}", "a":1}}"#)),
        (r#"{"$since":{},"a":"\ud800"}"#, format!(r#"{{"$conn":"{conn}","a":"\ud800","$recovered":false}}"#)),
    ] {
        page.send_message(format!(r#"["1","1","room","phx_join",{params}]"#));
        let told = page.next_message().await.unwrap();
        let expected = format!(r#"["1","1","room","phx_reply",{{"status":"ok","response":{response}}}]"#);
        assert_eq!(told.as_text(), Some(&*expected));
        page.send_message(r#"["1",null,"room","phx_leave",{}]"#);
        page.next_message().await.unwrap();
    }
    // A key that is no text: a bad join like any other, which ends the session that there was.
    page.send_message(r#"["1","1","room","phx_join",{}]"#);
    page.next_message().await.unwrap();
    page.send_message(r#"["2","2","room","phx_join",{"\ud800":1,"$since":{}}]"#);
    for told in [
        r#"["1","1","room","phx_close",{}]"#,
        r#"["2","2","room","phx_reply",{"status":"error","response":{"reason":"bad payload"}}]"#,
        r#"["2","2","room","phx_close",{}]"#,
    ] {
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(told));
    }
    assert!(hub.topics().is_empty());
}
