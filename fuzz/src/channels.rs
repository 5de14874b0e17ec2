//! Frames for a hub of sansocket-channels, through the same code as those of a socket. A twin reads them as simply as can be, and
//! says what the page is told, byte for byte.
#![allow(clippy::expect_used, clippy::panic, reason = "a target reports what it finds by a panic")]

use std::collections::HashMap;
use std::time::Duration;

use sansocket::Message;
use sansocket_channels::test::Page;
use sansocket_channels::{Events, Hub, Identity, Joined, Reply};
use serde_json::value::RawValue;
use tokio::runtime::{self, Runtime};

/// Text frames, with 0xFF between them.
pub fn channels_text(data: &[u8]) {
    let frames = data.split(|byte| *byte == 0xFF).map(|frame| Message::text(String::from_utf8_lossy(frame)));
    meet(frames.take(MAX_FRAMES));
}

/// Binary frames, each behind a byte that says its length; what follows 0xFF is one frame.
pub fn channels_binary(data: &[u8]) {
    let mut rest = data;
    let frames = std::iter::from_fn(move || {
        let (len, behind) = rest.split_first()?;
        let len = if *len == u8::MAX { behind.len() } else { behind.len().min((*len).into()) };
        let (frame, behind) = behind.split_at(len);
        rest = behind;
        Some(Message::binary(frame.to_vec()))
    });
    meet(frames.take(MAX_FRAMES));
}

/// A page that has joined a topic sends these, and is told after each what the twin says. When it is gone, nothing is left of it.
fn meet(frames: impl Iterator<Item = Message>) {
    HUB.with(|(runtime, hub)| {
        runtime.block_on(async {
            let mut page = hub.test_page(Identity::anonymous()).stock();
            let mut twin = Twin::default();
            let join = Message::text(r#"["1","1","room:1","phx_join",{}]"#);
            for frame in std::iter::once(join).chain(frames) {
                page.send_message(frame.clone());
                let mut told = Vec::new();
                while let Some(message) = page.next_message().await {
                    told.push(message);
                }
                let is_open = hub.conn(page.conn()).info().is_some();
                match twin.reads(&frame) {
                    Ok(expected) => {
                        assert!(is_open, "{frame:?} is taken for none: {:?}", page.closed().await);
                        assert_eq!(told.len(), expected.len(), "{frame:?}: {told:?}, not {expected:?}");
                        for (told, expected) in told.iter().zip(&expected) {
                            expected.is(told);
                        }
                    }
                    Err(word) => {
                        assert!(!is_open, "{frame:?} is taken for a frame: {told:?}");
                        assert_eq!(told, [], "{frame:?}");
                        let close = page.closed().await;
                        assert_eq!((close.code(), close.reason()), (1008, word), "{frame:?}");
                        break;
                    }
                }
            }
            leave_nothing(hub, page).await;
        });
    });
}

async fn leave_nothing(hub: &Hub, page: Page) {
    drop(page);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((hub.connections().len(), hub.topics().len()), (0, 0), "a page that is gone");
}

fn hub() -> (Runtime, Hub) {
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let echo = Events::new().on_join(async |_, params| Joined::new(()).reply(&params));
    let echo = echo.on("echo", async |_, payload| match payload.binary() {
        Some(data) => Ok(Reply::binary(data.clone())),
        None => Ok(Reply::with(&payload)?),
    });
    let hub = Hub::builder().channel("room:{id}", echo).build();
    (runtime.expect("a runtime"), hub.expect("a hub"))
}

thread_local! {
    /// One for all inputs.
    static HUB: (Runtime, Hub) = hub();
}

/// What a page is told.
#[derive(Debug)]
enum Told {
    /// The refs, the topic, the event, and the payload as it is written.
    Text([Option<String>; 2], String, &'static str, String),
    /// The answer to a join: an object of the client's own, without what is the protocol's.
    Joined([Option<String>; 2], String),
    /// An answer to a question that was not asked, or to none.
    Either([Option<String>; 2], String),
    Binary(Vec<u8>),
}

impl Told {
    #[track_caller]
    fn is(&self, told: &Message) {
        let text = match (self, told) {
            (Self::Binary(expected), Message::Binary(bytes)) => return assert_eq!(bytes, expected),
            (_, Message::Text(text)) => text,
            _ => panic!("{told:?}, not {self:?}"),
        };
        let (join_ref, reference, topic, event, payload): (_, _, String, String, Box<RawValue>) =
            serde_json::from_str(text).expect("an array of five");
        let payload = payload.get();
        let (refs, own, name) = match self {
            Self::Text(refs, topic, name, expected) => {
                assert_eq!(payload, expected, "{text}");
                (refs, topic, *name)
            }
            Self::Joined(refs, topic) => {
                let reply: HashMap<String, Box<RawValue>> = serde_json::from_str(payload).expect("a reply");
                let response = reply["response"].get();
                assert!(reply["status"].get() == "\"ok\"" && response.starts_with('{'), "{text}");
                let names: HashMap<String, Box<RawValue>> = serde_json::from_str(response).expect("names");
                assert!(!names.keys().any(|name| name.starts_with('$')), "{text}");
                (refs, topic, "phx_reply")
            }
            Self::Either(refs, topic) => {
                assert!([ok("{}"), error("bad payload")].iter().any(|known| known == payload), "{text}");
                (refs, topic, "phx_reply")
            }
            Self::Binary(_) => panic!("{text}, not bytes"),
        };
        assert_eq!((&[join_ref, reference], &topic, &*event), (refs, own, name), "{text}");
    }
}

/// What a client may know of its connection: what it has joined, and by which ref.
#[derive(Default)]
struct Twin(HashMap<String, Option<String>>);

impl Twin {
    /// What the page is told for a frame, or the word with which it is closed.
    fn reads(&mut self, frame: &Message) -> Result<Vec<Told>, &'static str> {
        let Read { refs: [join_ref, reference], topic, event, payload } = match frame {
            Message::Text(text) => read_text(text),
            Message::Binary(bytes) => read_binary(bytes),
        }
        .ok_or("frame")?;
        if [&join_ref, &reference].into_iter().flatten().any(|text| text.len() > 32) {
            return Err("ref");
        }
        if topic.is_empty() || topic.len() > 255 {
            return Err("topic");
        }
        if event.is_empty() || event.len() > 64 {
            return Err("event");
        }
        let text = |refs: [&Option<String>; 2], event, payload: String| {
            Told::Text(refs.map(Clone::clone), topic.clone(), event, payload)
        };
        // Without a ref nobody waits for it.
        let reply = |join_ref: &Option<String>, payload: String| {
            reference.as_ref().map(|_| text([join_ref, &reference], "phx_reply", payload))
        };
        let close =
            |join_ref: &Option<String>| Some(text([join_ref, join_ref], "phx_close", "{}".to_owned()));
        let session = self.0.get(&topic).cloned();
        let is_stale = session.as_ref().is_some_and(|own| join_ref.is_some() && join_ref != *own);
        let told: [Option<Told>; 3] = match (&*topic, &*event, session) {
            ("phoenix", "heartbeat", _) => [reply(&join_ref, ok("{}")), None, None],
            ("phoenix", _, _) => [reply(&None, error("unmatched topic")), None, None],
            (_, "phx_join", session) => {
                let replaced = session.and_then(|own| close(&own));
                self.0.remove(&topic);
                let refusal = match (is_room(&topic), &payload) {
                    (false, _) => "unmatched topic",
                    (true, Payload::Json(json)) if json.starts_with('{') && names_are_text(json) => "",
                    (true, _) => "bad payload",
                };
                if refusal.is_empty() {
                    self.0.insert(topic.clone(), join_ref.clone());
                    let joined = Told::Joined([join_ref, reference.clone()], topic.clone());
                    [replaced, reference.is_some().then_some(joined), None]
                } else {
                    [replaced, reply(&join_ref, error(refusal)), close(&join_ref)]
                }
            }
            (_, "phx_leave", None) => [reply(&join_ref, ok("{}")), None, None],
            (_, "phx_leave" | "$reply", _) if is_stale => [None, None, None],
            (_, "phx_leave", Some(own)) => {
                self.0.remove(&topic);
                [reply(&own, ok("{}")), close(&own), None]
            }
            (_, "$reply", Some(own)) => {
                let answer = || Told::Either([own, reference.clone()], topic.clone());
                [reference.is_some().then(answer), None, None]
            }
            (_, _, None) => [reply(&None, error("unmatched topic")), None, None],
            _ if is_stale => [None, None, None],
            (_, event, Some(own)) if event.starts_with("phx_") || event.starts_with('$') => {
                [reply(&own, error("reserved event")), None, None]
            }
            (_, "echo", Some(own)) => match payload {
                Payload::Json(json) => [reply(&own, ok(&json)), None, None],
                Payload::Binary(data) => {
                    let names =
                        [&own.unwrap_or_default(), reference.as_deref().unwrap_or_default(), &topic, "ok"];
                    let lengths = names.map(|name| u8::try_from(name.len()).expect("a short name"));
                    let frame = [&[1], &lengths[..], names.concat().as_bytes(), &data].concat();
                    [reference.is_some().then_some(Told::Binary(frame)), None, None]
                }
            },
            (_, _, Some(own)) => [reply(&own, error("unknown event")), None, None],
        };
        Ok(told.into_iter().flatten().collect())
    }
}

struct Read {
    refs: [Option<String>; 2],
    topic: String,
    event: String,
    payload: Payload,
}

enum Payload {
    Json(String),
    Binary(Vec<u8>),
}

fn read_text(text: &str) -> Option<Read> {
    let array: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
    let [join_ref, reference, topic, event, payload, ..] = &array[..] else {
        return None;
    };
    let string_or_null = |json: &RawValue| serde_json::from_str::<Option<String>>(json.get()).ok();
    let string = |json: &RawValue| serde_json::from_str::<String>(json.get()).ok();
    let read = Read {
        refs: [string_or_null(join_ref)?, string_or_null(reference)?],
        topic: string(topic)?,
        event: string(event)?,
        payload: Payload::Json(payload.get().to_owned()),
    };
    // The frame's own array is not counted.
    (nesting(text) <= 65).then_some(read)
}

fn read_binary(frame: &[u8]) -> Option<Read> {
    let (head, mut rest) = frame.split_at_checked(5)?;
    let mut names = Vec::new();
    for len in &head[1..] {
        let name;
        (name, rest) = rest.split_at_checked((*len).into())?;
        names.push(String::from_utf8(name.to_vec()).ok()?);
    }
    if head[0] != 0 {
        return None;
    }
    let [join_ref, reference, topic, event] = names.try_into().expect("four names");
    let refs = [join_ref, reference].map(|name| Some(name).filter(|name| !name.is_empty()));
    Some(Read { refs, topic, event, payload: Payload::Binary(rest.to_vec()) })
}

/// Half a surrogate pair is JSON, and no text. It is looked for where a name may have to be hidden.
fn names_are_text(object: &str) -> bool {
    serde_json::from_str::<HashMap<String, Box<RawValue>>>(object).is_ok()
}

/// How deep valid JSON is nested.
fn nesting(json: &str) -> usize {
    let without_escapes = json.replace(r"\\", "").replace("\\\"", "");
    let (mut depth, mut deepest) = (0_usize, 0);
    for sign in without_escapes.split('"').step_by(2).flat_map(str::chars) {
        match sign {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// `room:{id}`.
fn is_room(topic: &str) -> bool {
    let id = topic.strip_prefix("room:").unwrap_or_default();
    !id.is_empty() && !id.contains(':') && !id.chars().any(char::is_control)
}

fn ok(response: &str) -> String {
    format!(r#"{{"status":"ok","response":{response}}}"#)
}

fn error(reason: &str) -> String {
    format!(r#"{{"status":"error","response":{{"reason":"{reason}"}}}}"#)
}

/// How many frames of an input are sent.
const MAX_FRAMES: usize = 16;

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn corpora() {
        for (name, target) in [
            ("channels_binary", super::channels_binary as fn(&[u8])),
            ("channels_text", super::channels_text),
        ] {
            let corpus = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            for seed in fs::read_dir(corpus).unwrap() {
                target(&fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }

    #[test]
    fn short_inputs() {
        for byte in 0..=u8::MAX {
            super::channels_text(&[byte]);
            super::channels_binary(&[1, byte]);
        }
    }
}
