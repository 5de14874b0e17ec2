//! Sends that do not wait, and how much is queued: what a program needs that will not wait for a slow client.

use std::io::ErrorKind;

use futures_util::FutureExt;
use proptest::prelude::*;
use sansocket::{Config, Message, MessageKind, PreparedMessage, Role};
use tokio::io::AsyncReadExt;

use crate::calls::{
    Expected, feed, feed_part, flush, ping, queued, recv, recv_incoming, start_close, tell, try_feed,
    try_feed_prepared,
};
use crate::common::{ROLES, TEXT, header};
use crate::peer::{fails_writes, hears, holds, pings, reads, says, takes, until_blocked, until_read};
use crate::script::{Script, patient};

/// A frame by a WebSocket in this role.
fn frame(role: Role, payload: usize) -> usize {
    header(TEXT, role == Role::Client, payload as u64).len() + payload
}

/// Messages of all kinds, and how long the frame of each is: some are written from where they lie.
fn messages(role: Role) -> Vec<(Expected, usize)> {
    let large = || vec![7; 5000];
    vec![
        (try_feed("one").gives("true"), frame(role, 3)),
        (try_feed(large()).gives("true"), frame(role, 5000)),
        (try_feed_prepared(large()).gives("true"), frame(role, 5000)),
        (try_feed_prepared("").gives("true"), frame(role, 0)),
        (try_feed("").gives("true"), frame(role, 0)),
        (try_feed(large()).gives("true"), frame(role, 5000)),
        (feed(large()).ok(), frame(role, 5000)),
    ]
}

/// What is queued is told to the byte, and to the message, whatever of it was written. Nothing is written before a flush,
/// or a wait for input.
#[test]
fn what_is_queued_is_told() {
    for role in ROLES {
        let lens: Vec<_> = messages(role).into_iter().map(|(_, len)| len).collect();
        let total: usize = lens.iter().sum();
        // After so many bytes.
        let left = |written: usize| {
            let ends = lens.iter().scan(0, |end, len| {
                *end += len;
                Some(*end)
            });
            queued(ends.filter(|end| *end > written).count(), total - written)
        };
        for room in [1, 10, 500, 4096] {
            let mut calls = vec![queued(0, 0)];
            let mut bytes = 0;
            for (i, (call, len)) in messages(role).into_iter().enumerate() {
                bytes += len;
                calls.extend([call, queued(i + 1, bytes)]);
            }
            let mut acts = vec![holds()];
            for looks in 1..=(total / room).min(12) {
                if looks > 1 {
                    acts.extend([until_read(), takes(room)]);
                }
                acts.extend([until_blocked(), says("look")]);
                calls.extend([recv().text("look"), left(looks * room)]);
            }
            acts.extend([hears("enough"), reads()]);
            calls.extend([tell("enough"), flush().ok(), queued(0, 0)]);
            Script::new(role).rooms([room]).peer(acts).calls(calls).run();
        }
    }
}

/// Pings, Pongs and Close frames are no messages, and a message in fragments is one when its last was queued.
#[test]
fn control_frames_and_fragments() {
    for role in ROLES {
        let fragments = frame(role, 2) + frame(role, 5000);
        let pong = frame(role, 1);
        Script::new(role)
            .rooms([1])
            .peer([holds(), until_blocked(), pings("?"), hears("seen"), reads()])
            .calls([
                feed_part(MessageKind::Binary, "be", false).ok(),
                feed_part(MessageKind::Binary, vec![7; 5000], false).ok(),
                queued(0, fragments),
                try_feed("another").gives("Send(MessageInProgress)"),
                recv_incoming().gives("ping \"?\""),
                queued(0, fragments + pong - 1),
                feed_part(MessageKind::Binary, "gun", true).ok(),
                queued(1, fragments + pong - 1 + frame(role, 3)),
                start_close(1000, "bye").ok(),
                queued(1, fragments + pong - 1 + frame(role, 3) + frame(role, 5)),
                tell("seen"),
                flush().ok(),
                queued(0, 0),
            ])
            .run();
    }
}

/// There is no room for more while so many bytes wait to be written, and there is again when they were. Messages that
/// were refused so were not queued.
#[test]
fn no_room() {
    for role in ROLES {
        let (one, full) = (frame(role, 10), 2 * frame(role, 10));
        let message = || try_feed("0123456789");
        Script::new(role)
            .config(patient().write_buffer_size(one + 1))
            .rooms([4096])
            .calls([
                message().gives("true"),
                queued(1, one),
                message().gives("true"),
                queued(2, full),
                message().gives("false"),
                try_feed_prepared("x").gives("false"),
                try_feed("").gives("false"),
                queued(2, full),
                flush().ok(),
                queued(0, 0),
                try_feed_prepared(vec![7; 5000]).gives("true"),
                message().gives("false"),
                ping("?").ok(),
                message().gives("true"),
            ])
            .sees(["text \"0123456789\"", "text \"0123456789\"", "binary 5000 times 7", "ping \"?\""])
            .run();
    }
}

/// Where no message may be sent at all, that is told, room or not.
#[test]
fn closing() {
    for role in ROLES {
        for size in [20, 2000] {
            Script::new(role)
                .config(patient().write_buffer_size(size))
                .calls([
                    feed("more than twenty bytes").ok(),
                    start_close(1000, "").ok(),
                    try_feed("x").gives("Send(Closing)"),
                    try_feed_prepared("x").gives("Send(Closing)"),
                ])
                .run();
        }
    }
}

/// A compressed message is one, of as many bytes as it takes.
#[cfg(feature = "deflate")]
#[test]
fn compressed() {
    use sansocket::{Deflate, Sender, Server};

    use crate::calls::{accept, open};
    use crate::peer::raw;
    use crate::script::REQUEST;

    let text = "and again, ".repeat(1000);
    let config = patient().deflate(Deflate::default());
    let mut sender = Sender::server(&config);
    let list = sansocket::handshake::Extension::parse_list(["permessage-deflate"]).unwrap();
    sender.use_deflate(&Deflate::default(), Deflate::default().agree_as_server(&list).unwrap().0);
    let mut out = Vec::new();
    sender.text(&text, &mut out).unwrap();
    let len = out.len();
    sender.text(&text, &mut out).unwrap();
    let both = out.len();
    sender.text("x", &mut out).unwrap();
    let request = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    Script::new(Role::Server)
        .unopened()
        .peer([raw(request)])
        .calls([
            accept(&Server::default().config(config)).ok(),
            open().ok(),
            try_feed(text.as_str()).gives("true"),
            queued(1, len),
            try_feed_prepared(text.as_str()).gives("true"),
            queued(2, both),
            try_feed("x").gives("true"),
            queued(3, out.len()),
            flush().ok(),
            queued(0, 0),
        ])
        .run();
}

/// What is queued when the connection is lost is not any more.
#[test]
fn lost() {
    for role in ROLES {
        Script::new(role)
            .peer([fails_writes(3, ErrorKind::BrokenPipe)])
            .calls([
                feed("lost").ok(),
                flush().gives("ConnectionLost(BrokenPipe)"),
                queued(0, 0),
                try_feed("x").gives("ConnectionLost(BrokenPipe)"),
            ])
            .run();
    }
}

/// What is done with a queue.
#[derive(Clone, Debug)]
enum Step {
    Feed(usize),
    Prepared(usize),
    Part(usize, bool),
    /// Writes as far as it goes.
    Flush,
    /// The peer reads so many bytes.
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len =
        || prop_oneof![0..10_usize, 120..130_usize, 4080..4100_usize, 0..20_000_usize, 32_760..33_000_usize];
    let step = prop_oneof![
        3 => len().prop_map(Step::Feed),
        3 => len().prop_map(Step::Prepared),
        3 => (len(), any::<bool>()).prop_map(|(len, last)| Step::Part(len, last)),
        2 => Just(Step::Flush),
        3 => len().prop_map(Step::Read),
    ];
    prop::collection::vec(step, 0..80)
}

/// Counts what a naive queue of frames would hold.
async fn count(role: Role, room: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    const FULL: usize = 30_000;
    let (io, mut peer) = tokio::io::duplex(room);
    let config = Config::default().write_buffer_size(FULL).no_keepalive();
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(io, role, b"", &config);
    // Of each frame where it ends, and whether a message does; and from where on it is kept until all is written.
    let (mut frames, mut read, mut in_pipe, mut open) = (Vec::new(), 0, 0, false);
    for step in steps {
        let end = end_of(&frames);
        let gone = read + in_pipe;
        let begun =
            frames.iter().find(|(end, ..)| *end > gone).map_or(0, |(.., kept)| gone.saturating_sub(*kept));
        let waits = end - gone + begun;
        match step {
            Step::Feed(len) | Step::Prepared(len) => {
                let message = Message::binary(vec![7; len]);
                let fed = match step {
                    Step::Feed(_) => ws.try_feed(message),
                    _ => ws.try_feed(&PreparedMessage::new(message)),
                };
                let next = end + frame(role, len);
                let kept = match (step, role) {
                    (Step::Prepared(_), Role::Server) if next - end >= 4096 => end,
                    (Step::Feed(_), _) if len >= 32 << 10 => next - len + (16 << 10),
                    _ => next,
                };
                match fed {
                    Ok(true) => frames.push((next, true, kept)),
                    Ok(false) => prop_assert!(waits >= FULL),
                    Err(_) => prop_assert!(open),
                }
                prop_assert_eq!(open || waits >= FULL, end_of(&frames) == end);
            }
            Step::Part(len, last) => {
                if waits < FULL {
                    ws.feed_part(MessageKind::Binary, vec![7; len], last).await.unwrap();
                    let next = end + frame(role, len);
                    frames.push((next, last, if len < 32 << 10 { next } else { next - len + (16 << 10) }));
                    open = !last;
                }
            }
            Step::Flush => {
                let _ = ws.flush().now_or_never();
                in_pipe = room.min(end - read);
            }
            Step::Read(len) => {
                let mut buf = vec![0; len];
                let len = peer.read(&mut buf).now_or_never().map_or(0, Result::unwrap);
                read += len;
                in_pipe -= len;
            }
        }
        let gone = read + in_pipe;
        let total = end_of(&frames);
        let messages = frames.iter().filter(|(end, is_message, _)| *end > gone && *is_message).count();
        let queued = ws.queued();
        prop_assert_eq!((queued.bytes, queued.messages), (total - gone, messages));
    }
    Ok(())
}

fn end_of(frames: &[(usize, bool, usize)]) -> usize {
    frames.last().map_or(0, |(end, ..)| *end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same as a naive queue, however it is filled, and written in part.
    #[test]
    fn as_naive_as_can_be(
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
        room in prop_oneof![1..10_usize, 1..6000_usize],
        steps in steps(),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(count(role, room, steps))?;
    }
}
