use std::time::Instant;

use sansocket::{Closed, Config, Connection, MessageKind, ProtocolError, ReadyState, Role};

use super::seen::{Seen, is_start_of, join};
use super::{Choices, cuts, every_cut, frames, hash, random};

/// What a connection makes of its input, and answers, does not depend on how the input is cut; and the
/// parts of frames are the frames.
///
/// The first byte of `data` chooses role and limits.
pub fn receiver(data: &[u8]) {
    let mut choices = Choices(data);
    let setup = choices.byte();
    let role = if setup & 1 == 0 { Role::Server } else { Role::Client };
    let mut config = Config::default();
    if setup & 2 != 0 {
        config = config.max_frame_size(200).max_message_size(MAX_MESSAGE_SIZE as u64).max_fragments(4);
    }
    if setup & 4 != 0 {
        config = config.write_buffer_size(16);
    }
    let (wire, seed) = (choices.0, hash(data));

    let whole = Outcome::of(role, &config, wire, &[wire.len()], |_| false);
    check_messages(&whole.events, if setup & 2 != 0 { MAX_MESSAGE_SIZE } else { usize::MAX });
    for cuts in every_cut(wire.len(), seed) {
        assert_eq!(Outcome::of(role, &config, wire, &cuts, |_| false), whole, "cut at {cuts:?}");
        whole.agrees_with_parts(&Outcome::of(role, &config, wire, &cuts, |_| true));
    }
    // Both ways of receiving on one connection.
    let cuts = cuts(wire.len(), 8, seed);
    whole.agrees_with_parts(&Outcome::of(role, &config, wire, &cuts, |call| seed >> (call % 64) & 1 == 0));
}

/// The small limit.
const MAX_MESSAGE_SIZE: usize = 300;

/// Whatever was received: messages are no longer than the limit, and texts are UTF-8.
fn check_messages(events: &[Seen], max_message_size: usize) {
    let mut message = Vec::new();
    for event in events {
        let Seen::Data { kind, last, payload, .. } = event else { continue };
        message.extend_from_slice(payload);
        assert!(message.len() <= max_message_size);
        if *kind == MessageKind::Text {
            let error = core::str::from_utf8(&message).err();
            assert!(error.is_none_or(|error| !last && error.error_len().is_none()), "{message:02x?}");
        }
        if *last {
            message.clear();
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    /// With neighbouring fragments joined.
    events: Vec<Seen>,
    error: Option<ProtocolError>,
    replies: Vec<(u8, Vec<u8>)>,
    /// The front of a frame that has not arrived whole.
    rest: Vec<u8>,
    ready_state: ReadyState,
    should_close_transport: bool,
    closed: Closed,
}

impl Outcome {
    /// Gives `wire` to a new connection, cut at these positions; `parts` tells of each call whether it
    /// takes parts of frames.
    fn of(role: Role, config: &Config, wire: &[u8], cuts: &[usize], parts: impl Fn(u32) -> bool) -> Self {
        let now = Instant::now();
        let mut connection = match role {
            Role::Client => Connection::client(config, random, now),
            Role::Server => Connection::server(config, now),
        };
        let (mut input, mut out) = (Vec::new(), Vec::new());
        let (mut events, mut error) = (Vec::new(), None);
        let (mut consumed, mut calls) = (0, 0);
        for arrived in cuts {
            input.extend_from_slice(&wire[consumed + input.len()..*arrived]);
            loop {
                calls += 1;
                let result = if parts(calls) {
                    connection.receive_part(&mut input, now, &mut out)
                } else {
                    connection.receive(&mut input, now, &mut out)
                };
                match result {
                    Ok(None) => break,
                    Ok(Some(received)) => {
                        match received.event(&input) {
                            Some(event) => {
                                assert_eq!(error, None, "an event after an error");
                                join(&mut events, event.into());
                            }
                            None => assert_ne!(connection.ready_state(), ReadyState::Open, "discarded"),
                        }
                        assert!((1..=input.len()).contains(&received.consumed()), "progress");
                        consumed += received.consumed();
                        input.drain(..received.consumed());
                        assert_eq!(input, wire[consumed..*arrived], "bytes of the next frame were touched");
                    }
                    Err(broken) => assert_eq!(error.replace(broken), None, "a second error"),
                }
            }
        }
        let mut held = Vec::new();
        connection.on_written(0, now, &mut held);
        out.extend_from_slice(&held);
        Self {
            events,
            error,
            replies: frames(role == Role::Client, &out),
            rest: input,
            ready_state: connection.ready_state(),
            should_close_transport: connection.should_close_transport(),
            closed: connection.receive_eof(),
        }
    }

    /// Compares what came frame by frame with what came in parts, which may have more: of a frame that
    /// did not arrive, or was invalid further on.
    #[track_caller]
    fn agrees_with_parts(&self, parts: &Self) {
        assert_eq!(parts.error, self.error);
        assert_eq!(parts.replies, self.replies);
        assert_eq!(parts.ready_state, self.ready_state);
        assert_eq!(parts.closed, self.closed);
        if self.error.is_none() && self.rest.is_empty() {
            assert_eq!(parts.events, self.events);
        } else {
            assert!(is_start_of(&self.events, &parts.events), "{:?} in {:?}", self.events, parts.events);
            assert!(parts.events.len() <= self.events.len() + 1, "only a part of one frame more");
        }
    }
}
