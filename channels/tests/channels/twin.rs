//! Frames at random, and what a naive reading of them says.

use sansocket::Message;
use sansocket_channels::{Events, Hub, Identity, Reply};
use serde_json::Value;

use crate::random::Random;

/// What has to come of a frame.
#[derive(Debug, PartialEq)]
enum Expected {
    /// The connection is closed with this word.
    Closed(&'static str),
    /// There is an answer with this ref.
    Answer(String),
    Anything,
}

/// Reads a frame as simply as can be.
fn read(text: &str) -> Expected {
    let Ok(Value::Array(frame)) = serde_json::from_str(text) else {
        return Expected::Closed("frame");
    };
    let [join_ref, reference, Value::String(topic), Value::String(event), _, ..] = &frame[..] else {
        return Expected::Closed("frame");
    };
    let is_ref = |value: &Value| value.is_null() || value.is_string();
    if !is_ref(join_ref) || !is_ref(reference) {
        return Expected::Closed("frame");
    }
    if [join_ref, reference].into_iter().filter_map(Value::as_str).any(|text| text.len() > 32) {
        return Expected::Closed("ref");
    }
    if topic.is_empty() || topic.len() > 255 {
        return Expected::Closed("topic");
    }
    if event.is_empty() || event.len() > 64 {
        return Expected::Closed("event");
    }
    reference.as_str().map_or(Expected::Anything, |reference| Expected::Answer(reference.to_owned()))
}

/// A frame of pieces that are right at some place, or nearly.
fn frame(random: &mut Random) -> String {
    let refs = ["null", "\"1\"", "\"2\"", "\"\\u0033\"", "\"\"", "4", "\"12345678901234567890123456789012\""];
    let topics =
        ["\"room:1\"", "\"room:\\u0031\"", "\"hall\"", "\"phoenix\"", "\"$x\"", "\"\"", "null", "\"a\\nb\""];
    let events = [
        "\"echo\"",
        "\"phx_join\"",
        "\"phx_leave\"",
        "\"heartbeat\"",
        "\"$reply\"",
        "\"phx_x\"",
        "\"x\"",
        "{}",
    ];
    let payloads = [
        "{}",
        "1e9",
        "[[{\"a\":[]}],\"]\"]",
        "\"é\\\"\"",
        "null",
        "tru",
        "{\"ref\":\"s1\",\"status\":\"ok\"}",
    ];
    let long = format!("\"{}\"", "x".repeat(256));
    let mut parts: Vec<&str> = Vec::new();
    for pieces in [&refs[..], &refs, &topics, &events, &payloads] {
        let piece = match random.below(40) {
            0 => &long,
            1 => payloads[random.below(payloads.len())],
            // The first are the best.
            2..=20 => pieces[random.below(2)],
            _ => pieces[random.below(pieces.len())],
        };
        parts.push(piece);
    }
    match random.below(12) {
        0 => drop(parts.pop()),
        1 => parts.push(payloads[random.below(payloads.len())]),
        _ => {}
    }
    let space = [" ", "", "", "\n\t"][random.below(4)];
    let text = format!("[{space}{}{space}]", parts.join(&format!("{space},")));
    match random.below(30) {
        0 => text + "]",
        1 => text.replacen('[', "{", 1),
        2 => text.replacen(',', "", 1),
        _ => text,
    }
}

#[tokio::test(start_paused = true)]
async fn frames_are_read_as_they_are() {
    let echo = Events::new().on("echo", async |_, payload| Ok(Reply::with(&payload)?));
    let hub = Hub::builder().channel("room:{id}", echo).build().unwrap();
    let mut random = Random(7);
    let mut seen = [0; 3];
    for _ in 0..5_000 {
        let text = frame(&mut random);
        let mut page = hub.test_page(Identity::anonymous()).stock();
        page.send_message(&*text);
        let mut answers = Vec::new();
        while let Some(Message::Text(told)) = page.next_message().await {
            let told: Vec<Value> = serde_json::from_str(&told).unwrap();
            assert_eq!(told.len(), 5);
            answers.extend((told[3] == "phx_reply").then(|| told[1].clone()));
        }
        let expected = read(&text);
        let closed = hub.conn(page.conn()).info().is_none();
        let close = if closed { Some(page.closed().await) } else { None };
        match expected {
            Expected::Closed(word) => {
                let close = close.unwrap_or_else(|| panic!("{text} is taken for a frame"));
                assert_eq!((close.code(), close.reason(), answers.len()), (1008, word, 0), "{text}");
                seen[0] += 1;
            }
            Expected::Answer(reference) => {
                assert!(close.is_none(), "{text} is taken for none: {close:?}");
                assert_eq!(answers, [reference], "{text}");
                seen[1] += 1;
            }
            Expected::Anything => {
                assert!(close.is_none() && answers.is_empty(), "{text} {close:?} {answers:?}");
                seen[2] += 1;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen > 500), "{seen:?}");
}
