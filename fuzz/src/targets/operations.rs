use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sansocket::connection::{ReceiveHalf, SendHalf};
use sansocket::frame::MAX_CONTROL_PAYLOAD;
use sansocket::{
    CloseCode, CloseFrame, Closed, Config, Connection, Event, Initiator, Message, MessageKind,
    PreparedMessage, ProtocolError, ReadyState, Received, Role, SendError, Sender, TimedOut,
};

use super::seen::{Seen, is_start_of, join};
use super::{Choices, frames, random};

/// A client and a server, joined by pipes that cut, delay and drop, do what `data` says, under virtual
/// time. Each step is compared with a model of the rules; then the connection comes to its end, and what
/// was received must be what was sent.
pub fn operations(data: &[u8]) {
    let mut choices = Choices(data);
    let mut world = World::new(&mut choices);
    let ending = choices.byte();
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    world.end(ending);
    world.check_transcripts();
}

struct World {
    /// The client, and the server.
    ends: [End; 2],
    /// What each of them writes.
    pipes: [Pipe; 2],
    /// How many bytes were written and delivered, and ends closed.
    moved: usize,
    now: Instant,
    setup: Setup,
}

#[derive(Clone, Copy)]
struct Setup {
    write_buffer_size: usize,
    keepalive: Option<(Duration, Duration)>,
    close_timeout: Duration,
    write_timeout: Duration,
    /// The limits on what is received are so small that they are met.
    small_limits: bool,
}

impl World {
    fn new(choices: &mut Choices<'_>) -> Self {
        let now = Instant::now();
        let (flags, times) = (choices.byte(), choices.byte());
        let millis = |bits: u8| Duration::from_millis([20_000, 1_000, 10, 0][usize::from(times >> bits & 3)]);
        let setup = Setup {
            write_buffer_size: if flags & 1 == 0 { 1 << 16 } else { 100 },
            keepalive: (flags & 2 == 0).then(|| (millis(0), millis(2))),
            close_timeout: millis(4),
            write_timeout: millis(6),
            small_limits: flags & 4 != 0,
        };
        let capacity = [usize::MAX, 4096, 100, 1][usize::from(flags >> 3 & 3)];
        Self {
            ends: [(Role::Client, flags & 0x20), (Role::Server, flags & 0x40)]
                .map(|(role, halves)| End::new(role, halves != 0, setup, now)),
            pipes: [0, 1].map(|_| Pipe { bytes: VecDeque::new(), capacity, ended: false, lossy: false }),
            moved: 0,
            now,
            setup,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let choice = choices.byte();
        let i = usize::from(choice & 1);
        let (end, now) = (&mut self.ends[i], self.now);
        match choice >> 1 & 0xf {
            // What the application does. On an end that is over, it does nothing.
            0..=4 if end.over.is_some() => {}
            0 => end.send_message(MessageKind::Text, payload(choices), choice & 0x20 != 0),
            1 => end.send_message(MessageKind::Binary, payload(choices), choice & 0x20 != 0),
            2 => {
                let (kind, len) = (choices.byte(), usize::from(choice >> 5));
                let kind_of = if kind & 1 == 0 { MessageKind::Text } else { MessageKind::Binary };
                end.send_fragment(kind_of, choices.take(len), kind & 2 != 0, kind & 4 != 0);
            }
            3 => {
                let len = usize::from(choices.byte() >> 1);
                end.send_control(choice & 0x20 == 0, choices.take(len));
            }
            4 => {
                let (code, len) = (choices.array(), usize::from(choice >> 5));
                let reason = String::from_utf8_lossy(choices.take(len));
                let reason = reason.repeat(if choice & 0xe0 == 0xe0 { 20 } else { 1 });
                let close = CloseFrame { code: CloseCode::new(u16::from_be_bytes(code)), reason: &reason };
                end.close((code != [0, 0]).then_some(close), now);
            }
            // What the network does.
            5 | 6 => self.write(i, choices.number()),
            7 | 8 => self.deliver(i, choices.number(), choice & 0x20 != 0),
            9 => {
                self.write(i, usize::MAX);
                self.deliver(1 - i, usize::MAX, choice & 0x20 != 0);
            }
            10 => self.drop_transport(i),
            11 => self.pipes[i].capacity = [0, 1, 300, usize::MAX][usize::from(choice >> 5 & 3)],
            // What the clock does.
            12 => self.pass(Duration::from_millis(choices.number() as u64), true),
            13 => self.pass(Duration::from_millis(choices.number() as u64), false),
            14 => {
                if let Some(deadline) = self.next_deadline() {
                    self.pass(deadline.saturating_duration_since(now), true);
                }
            }
            _ => self.handle_timeout(i),
        }
    }

    /// The transport takes up to `most` bytes of what end `i` has to write, which then sends the Pong that it
    /// held back, if there is room.
    fn write(&mut self, i: usize, most: usize) {
        let (end, pipe) = (&mut self.ends[i], &mut self.pipes[i]);
        if end.over.is_some() || end.out.is_empty() {
            return;
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len());
        let taken = end.out.len().min(room).min(most);
        if taken == 0 {
            if room == 0 {
                end.on_write_blocked(self.now);
            }
            return;
        }
        let bytes = end.out.drain(..taken);
        if pipe.lossy {
            // Nobody reads it any more; a transport tells later, or never.
            drop(bytes);
        } else {
            pipe.bytes.extend(bytes);
        }
        self.moved += taken;
        end.on_written(taken, self.now);
        if end.out.is_empty() && end.side.should_close_transport() {
            self.close_transport(i);
        }
    }

    /// End `i` gets up to `most` bytes of what the other wrote, or the end of the transport.
    fn deliver(&mut self, i: usize, most: usize, parts: bool) {
        let (end, pipe) = (&mut self.ends[i], &mut self.pipes[1 - i]);
        if end.over.is_some() {
            return;
        }
        let arrived = pipe.bytes.len().min(most);
        self.moved += arrived;
        end.receive(pipe.bytes.drain(..arrived), parts, self.now);
        if end.out.is_empty() && end.side.should_close_transport() || pipe.bytes.is_empty() && pipe.ended {
            self.close_transport(i);
        }
    }

    /// End `i` is done with its transport: what it wrote still arrives, what comes is not read.
    fn close_transport(&mut self, i: usize) {
        let end = &mut self.ends[i];
        end.read_everything = self.pipes[1 - i].bytes.is_empty() && self.pipes[1 - i].ended;
        end.finish(None);
        self.moved += 1;
        self.pipes[i].ended = true;
        self.pipes[1 - i].lose();
    }

    /// What end `i` wrote and did not arrive is lost, and the other way too.
    fn drop_transport(&mut self, i: usize) {
        if self.ends[i].over.is_none() {
            self.ends[i].finish(None);
        }
        for pipe in &mut self.pipes {
            pipe.ended = true;
            pipe.lose();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let open = self.ends.iter().filter(|end| end.over.is_none());
        open.filter_map(|end| end.side.poll_timeout()).min()
    }

    /// Time passes; the ends look at the clock, or are too busy to.
    fn pass(&mut self, time: Duration, attentive: bool) {
        self.now += time;
        if attentive {
            for i in [0, 1] {
                self.handle_timeout(i);
            }
        }
    }

    fn handle_timeout(&mut self, i: usize) {
        let end = &mut self.ends[i];
        // A Ping may be due, and at the same moment its answer.
        for _ in 0..2 {
            end.handle_timeout(self.now);
        }
        if matches!(end.over, Some(Over { timed_out: Some(_), .. })) {
            self.pipes[i].ended = true;
            self.pipes[1 - i].lose();
        }
    }

    fn check(&mut self) {
        for end in &mut self.ends {
            end.check();
        }
    }

    /// Brings the connection to its end, in one of several ways, and demands that it gets there.
    fn end(&mut self, ending: u8) {
        let ending = ending % 6;
        let began = self.now;
        let was_intact = self.ends.iter().all(|end| end.over.is_none() && !end.failed);
        for (i, asked) in [(0, [0, 2]), (1, [1, 2])] {
            let must_close = asked.contains(&ending) || self.setup.keepalive.is_none();
            if must_close && self.ends[i].over.is_none() && !self.ends[i].close_sent {
                self.ends[i].close(None, began);
            }
        }
        for pipe in &mut self.pipes {
            pipe.capacity = if ending == 4 { 0 } else { usize::MAX };
        }
        // Nothing arrives any more, whether the network takes it or not.
        let is_dead = matches!(ending, 3 | 4);
        if ending == 5 {
            self.drop_transport(0);
        }
        for _ in 0..1000 {
            if self.ends.iter().all(|end| end.over.is_some()) {
                let is_clean =
                    self.ends.iter().all(|end| end.over.as_ref().is_some_and(|over| over.closed.clean));
                let is_failed = self.ends.iter().any(|end| end.failed);
                if was_intact && !is_dead && ending < 3 {
                    assert!(is_clean || is_failed, "the closing handshake took place");
                    assert_eq!(self.now, began, "at once");
                }
                return;
            }
            let before = self.moved;
            for i in [0, 1] {
                self.write(i, usize::MAX);
            }
            for i in [0, 1] {
                if !is_dead {
                    self.deliver(i, usize::MAX, i == 0);
                }
            }
            self.check();
            if self.moved == before {
                // Nothing but time can bring it on.
                let deadline = self.next_deadline().expect("a deadline for whoever waits");
                self.pass(deadline.saturating_duration_since(self.now), true);
                self.check();
                // Each wait is for one of these, and none is waited for twice, except where bytes came.
                let Setup { keepalive, close_timeout, write_timeout, .. } = self.setup;
                let keepalive = keepalive.map_or(Duration::ZERO, |times| times.0 + times.1);
                assert!(
                    self.now <= began + 2 * (keepalive + close_timeout + write_timeout),
                    "in bounded time"
                );
            }
        }
        panic!("the connection does not end");
    }

    fn check_transcripts(&self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let (writer, reader) = (&self.ends[from], &self.ends[to]);
            // After a Close frame only Pongs are sent, and nothing is received.
            let close = writer.sent.iter().position(|seen| matches!(seen, Seen::Close(_)));
            let sent = &writer.sent[..close.map_or(writer.sent.len(), |close| close + 1)];
            let received = &reader.received;
            assert!(is_start_of(received, sent), "received {received:?}, but sent {sent:?}");
            let all_was_read = reader.read_everything && !reader.failed;
            let all_arrived = all_was_read && !self.pipes[from].lossy && writer.out.is_empty();
            if all_arrived || reader.close_received.is_some() {
                assert_eq!(received, sent, "nothing was lost");
            }
        }
    }
}

struct Pipe {
    bytes: VecDeque<u8>,
    /// How many bytes it holds before it takes no more.
    capacity: usize,
    /// Nothing comes after `bytes`.
    ended: bool,
    /// Nobody reads.
    lossy: bool,
}

impl Pipe {
    fn lose(&mut self) {
        if !self.bytes.is_empty() || !self.ended {
            self.lossy = true;
        }
        self.bytes.clear();
    }
}

/// An endpoint with its buffers, and a model of what it has to do.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct End {
    role: Role,
    side: Side,
    setup: Setup,
    input: Vec<u8>,
    out: Vec<u8>,
    /// Joined, as are the frames received.
    sent: Vec<Seen>,
    received: Vec<Seen>,
    /// The whole frames of a message in progress have this kind, and this text.
    message: Option<(MessageKind, Vec<u8>)>,
    held_pong: Option<Vec<u8>>,
    close_sent: bool,
    /// The peer's code and reason; 1005 stands for none.
    close_received: Option<(u16, String)>,
    failed: bool,
    initiator: Initiator,
    close_deadline: Option<Instant>,
    write_deadline: Option<Instant>,
    keepalive_deadline: Option<Instant>,
    /// When something was last sent.
    sent_at: Instant,
    /// When the transport last took what had been waited for.
    last_taken: Option<Instant>,
    /// A Ping was sent after the last sign of life.
    asked: bool,
    /// And the time for its answer runs.
    pinged: bool,
    /// Everything that the peer wrote was received.
    read_everything: bool,
    over: Option<Over>,
}

struct Over {
    closed: Closed,
    timed_out: Option<TimedOut>,
}

impl End {
    fn new(role: Role, halves: bool, setup: Setup, now: Instant) -> Self {
        let mut config = Config::default()
            .write_buffer_size(setup.write_buffer_size)
            .close_timeout(setup.close_timeout)
            .write_timeout(setup.write_timeout)
            // Any byte will do: what a rate makes of it is for tests.
            .min_data_rate(0);
        config = match setup.keepalive {
            Some((interval, timeout)) => config.keepalive(interval, timeout),
            None => config.no_keepalive(),
        };
        if setup.small_limits {
            config = config.max_frame_size(300).max_message_size(400).max_fragments(5);
        }
        let connection = match role {
            Role::Client => Connection::client(&config, random, now),
            Role::Server => Connection::server(&config, now),
        };
        Self {
            role,
            side: if halves { Side::halves(connection) } else { Side::Whole(Box::new(connection)) },
            setup,
            input: Vec::new(),
            out: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            message: None,
            held_pong: None,
            close_sent: false,
            close_received: None,
            failed: false,
            initiator: Initiator::Transport,
            close_deadline: None,
            write_deadline: None,
            keepalive_deadline: setup.keepalive.map(|(interval, _)| now + interval),
            sent_at: now,
            last_taken: None,
            asked: false,
            pinged: false,
            read_everything: false,
            over: None,
        }
    }

    fn send_message(&mut self, kind: MessageKind, payload: &str, framed: bool) {
        let expected = if self.close_sent {
            Err(SendError::Closing)
        } else if self.message.is_some() {
            Err(SendError::MessageInProgress)
        } else {
            Ok(())
        };
        let before = self.out.len();
        let (sender, out) = (self.side.sender(), &mut self.out);
        let (message, first) = match kind {
            MessageKind::Text => (Message::from(payload), 0x81),
            MessageKind::Binary => (Message::from(payload.as_bytes()), 0x82),
        };
        let result = match kind {
            _ if framed => sender.prepared(&PreparedMessage::new(message), out),
            MessageKind::Text => sender.text(payload, out),
            MessageKind::Binary => sender.binary(payload.as_bytes(), out),
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            self.appended(before, &[(first, payload.as_bytes())]);
            self.said(Seen::Data { kind, first: true, last: true, payload: payload.into() });
        } else {
            self.appended(before, &[]);
        }
    }

    fn send_fragment(&mut self, kind: MessageKind, payload: &[u8], last: bool, in_place: bool) {
        let first = self.message.is_none();
        let (of, mut joined) = self.message.clone().unwrap_or((kind, Vec::new()));
        joined.extend_from_slice(payload);
        let valid = match core::str::from_utf8(&joined) {
            Ok(_) => true,
            Err(error) => !last && error.error_len().is_none(),
        };
        let expected = if self.close_sent {
            Err(SendError::Closing)
        } else if kind != of {
            Err(SendError::MessageInProgress)
        } else if kind == MessageKind::Text && !valid {
            Err(SendError::InvalidUtf8)
        } else {
            Ok(())
        };
        let before = self.out.len();
        let result = if in_place {
            self.side.sender().fragment_header(kind, payload, last).map(|header| {
                let mut payload = payload.to_vec();
                header.mask(&mut payload);
                self.out.extend_from_slice(&header.encode());
                self.out.extend_from_slice(&payload);
            })
        } else {
            self.side.sender().fragment(kind, payload, last, &mut self.out)
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            let opcode = if first { kind.opcode() as u8 } else { 0 };
            self.appended(before, &[(opcode | if last { 0x80 } else { 0 }, payload)]);
            self.said(Seen::Data { kind, first, last, payload: payload.into() });
            self.message = (!last).then_some((kind, joined));
        } else {
            self.appended(before, &[]);
        }
    }

    fn send_control(&mut self, ping: bool, payload: &[u8]) {
        let expected = if self.close_sent {
            Err(SendError::Closing)
        } else if payload.len() > MAX_CONTROL_PAYLOAD {
            Err(SendError::ControlPayloadTooLong)
        } else {
            Ok(())
        };
        let before = self.out.len();
        let (sender, out) = (self.side.sender(), &mut self.out);
        let (result, first, seen) = if ping {
            (sender.ping(payload, out), 0x89, Seen::Ping(payload.into()))
        } else {
            (sender.pong(payload, out), 0x8a, Seen::Pong(payload.into()))
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            self.appended(before, &[(first, payload)]);
            self.said(seen);
        } else {
            self.appended(before, &[]);
        }
    }

    fn close(&mut self, close: Option<CloseFrame<'_>>, now: Instant) {
        let expected = match close {
            _ if self.close_sent => Err(SendError::Closing),
            Some(CloseFrame { code, .. })
                if !code.is_allowed_on_the_wire()
                    || code == CloseCode::MANDATORY_EXTENSION && self.role == Role::Server =>
            {
                Err(SendError::InvalidCloseCode(code))
            }
            Some(close) if close.reason.len() > CloseFrame::MAX_REASON => Err(SendError::CloseReasonTooLong),
            _ => Ok(()),
        };
        let before = self.out.len();
        assert_eq!(self.side.close(close, now, &mut self.out), expected);
        if expected.is_ok() {
            let payload =
                close.map(|close| [&close.code.get().to_be_bytes(), close.reason.as_bytes()].concat());
            self.appended(before, &[(0x88, &payload.unwrap_or_default())]);
            self.said(Seen::Close(close.map(|close| (close.code.get(), close.reason.into()))));
            self.sent_close(Initiator::Local, now);
        } else {
            self.appended(before, &[]);
        }
    }

    fn receive(&mut self, bytes: impl Iterator<Item = u8>, parts: bool, now: Instant) {
        let had = self.input.len();
        self.input.extend(bytes);
        if self.input.len() > had {
            self.heard(now);
        }
        loop {
            let before = self.out.len();
            match self.side.receive(parts, &mut self.input, now, &mut self.out) {
                Ok(None) => break,
                Ok(Some(received)) => {
                    let seen = received.event(&self.input).map(Seen::from);
                    self.input.drain(..received.consumed());
                    match seen {
                        Some(seen) => self.saw(seen, before, now),
                        None => assert!(!self.is_receiving(), "discarded"),
                    }
                }
                Err(error) => self.fail(error, before, now),
            }
            self.check();
        }
        // Spurious: nothing new.
        assert_eq!(self.side.receive(parts, &mut self.input, now, &mut self.out), Ok(None));
    }

    /// The peer is alive.
    fn heard(&mut self, now: Instant) {
        (self.asked, self.pinged) = (false, false);
        // Once it is off, it stays off.
        self.keepalive_deadline =
            self.keepalive_deadline.and(self.setup.keepalive.map(|(interval, _)| now + interval));
    }

    /// That the transport took what it had not taken at once shows that the peer reads; and while it takes no more, a
    /// Ping may not have left.
    fn note_life(&mut self, now: Instant) {
        let (Some(deadline), Some((interval, timeout))) = (self.keepalive_deadline, self.setup.keepalive)
        else {
            return;
        };
        if !self.is_receiving() {
            return;
        }
        let time = if self.pinged { timeout } else { interval };
        // It is looked at again after a while, also where the answer has no time at all.
        let pause = (self.setup.write_timeout / 8).min(Duration::from_secs(1)).saturating_sub(timeout);
        let blocked = (self.pinged && self.write_deadline.is_some()).then(|| now + pause);
        let life = self.last_taken.take().max(blocked);
        self.keepalive_deadline = life.map_or(Some(deadline), |life| Some(deadline.max(life + time)));
    }

    fn saw(&mut self, seen: Seen, before: usize, now: Instant) {
        assert!(self.is_receiving(), "{seen:?} after the end");
        match &seen {
            Seen::Data { .. } | Seen::Pong(_) => self.appended(before, &[]),
            Seen::Ping(payload) if before <= self.setup.write_buffer_size => {
                self.appended(before, &[(0x8a, payload)]);
                self.said(Seen::Pong(payload.clone()));
                self.held_pong = None;
            }
            Seen::Ping(payload) => {
                self.appended(before, &[]);
                self.held_pong = Some(payload.clone());
            }
            Seen::Close(close) => {
                self.held_pong = None;
                self.close_received = Some(close.clone().unwrap_or((1005, String::new())));
                if self.close_sent {
                    self.appended(before, &[]);
                } else {
                    // "typically echos the status code it received"; but 1010 is not for a server to send.
                    let code = close.as_ref().map(|close| match CloseCode::new(close.0) {
                        CloseCode::MANDATORY_EXTENSION if self.role == Role::Server => 1000,
                        _ => close.0,
                    });
                    let payload = code.map(|code| code.to_be_bytes().to_vec());
                    self.appended(before, &[(0x88, &payload.unwrap_or_default())]);
                    self.said(Seen::Close(code.map(|code| (code, String::new()))));
                    self.sent_close(Initiator::Remote, now);
                }
            }
        }
        join(&mut self.received, seen);
    }

    /// Nothing that an endpoint sends breaks the protocol, but it may be more than the other takes.
    fn fail(&mut self, error: ProtocolError, before: usize, now: Instant) {
        assert!(self.setup.small_limits && self.is_receiving(), "{error:?}");
        assert!(matches!(
            error,
            ProtocolError::FrameTooBig | ProtocolError::MessageTooBig | ProtocolError::TooManyFragments
        ));
        self.failed = true;
        self.held_pong = None;
        if self.close_sent {
            self.appended(before, &[]);
        } else {
            let code = error.close_code().get();
            self.appended(before, &[(0x88, &[&code.to_be_bytes(), error.reason().as_bytes()].concat())]);
            self.said(Seen::Close(Some((code, error.reason().into()))));
            self.sent_close(Initiator::Local, now);
        }
    }

    fn sent_close(&mut self, initiator: Initiator, now: Instant) {
        self.close_sent = true;
        self.message = None;
        self.initiator = initiator;
        self.close_deadline = Some(now + self.setup.close_timeout);
    }

    fn on_write_blocked(&mut self, now: Instant) {
        self.side.on_write_blocked(now);
        self.write_deadline.get_or_insert(now + self.setup.write_timeout);
    }

    fn on_written(&mut self, bytes: usize, now: Instant) {
        if self.write_deadline.is_some() {
            self.write_deadline = (!self.out.is_empty()).then(|| now + self.setup.write_timeout);
            self.last_taken = Some(now);
        }
        if bytes > 0 {
            self.sent_at = now;
        }
        let before = self.out.len();
        self.side.on_written(bytes, now, &mut self.out);
        match self.held_pong.take_if(|_| before <= self.setup.write_buffer_size) {
            Some(payload) => {
                self.appended(before, &[(0x8a, &payload)]);
                self.said(Seen::Pong(payload));
            }
            None => self.appended(before, &[]),
        }
    }

    /// When a Ping is sent for the sake of our own silence.
    fn silence(&self) -> Option<Instant> {
        let speaks = !self.close_sent && self.is_receiving() && self.write_deadline.is_none() && !self.pinged;
        self.setup.keepalive.filter(|_| speaks).map(|(interval, _)| self.sent_at + interval)
    }

    /// Asks for what is due, which the model knows; before it is due, nothing happens.
    fn handle_timeout(&mut self, now: Instant) {
        if self.over.is_some() {
            return;
        }
        if self.close_deadline.is_none_or(|deadline| now < deadline)
            && self.write_deadline.is_none_or(|deadline| now < deadline)
        {
            self.note_life(now);
        }
        let (before, silence) = (self.out.len(), self.silence());
        let result = self.side.handle_timeout(now, &mut self.out);
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let expected = if is_due(self.close_deadline) {
            Err(TimedOut::ClosingHandshake)
        } else if is_due(self.write_deadline) {
            Err(TimedOut::Write)
        } else if is_due(self.keepalive_deadline) && self.is_receiving() && !self.close_sent && self.pinged {
            Err(TimedOut::Keepalive)
        } else {
            Ok(())
        };
        assert_eq!(result, expected);
        if let Err(timed_out) = result {
            self.appended(before, &[]);
            self.finish(Some(timed_out));
        } else if self.close_sent || !self.is_receiving() {
            // No more Pings: it is the closing handshake's deadline that counts.
            self.appended(before, &[]);
            self.keepalive_deadline = None;
        } else {
            let asks = is_due(self.keepalive_deadline);
            if is_due(silence) || asks && !self.asked {
                self.appended(before, &[(0x89, &[])]);
                self.said(Seen::Ping(Vec::new()));
                self.sent_at = now;
                self.asked = true;
            } else {
                self.appended(before, &[]);
            }
            if asks {
                self.pinged = true;
                self.keepalive_deadline = self.setup.keepalive.map(|(_, timeout)| now + timeout);
            }
        }
    }

    fn check(&mut self) {
        if self.over.is_some() {
            return;
        }
        let keepalive = self.keepalive_deadline.filter(|_| self.is_receiving());
        let deadlines = [self.close_deadline, self.write_deadline, keepalive, self.silence()];
        let deadline = deadlines.into_iter().flatten().min();
        assert_eq!(self.side.poll_timeout(), deadline);
        let closing = self.close_sent || !self.is_receiving();
        let ready_state = if closing { ReadyState::Closing } else { ReadyState::Open };
        assert_eq!(self.side.ready_state(), ready_state);
        let is_done = self.role == Role::Server && self.close_sent && !self.is_receiving();
        assert_eq!(self.side.should_close_transport(), is_done);
    }

    /// The transport is gone.
    fn finish(&mut self, timed_out: Option<TimedOut>) {
        let closed = self.side.receive_eof();
        let (code, reason) = self.close_received.clone().unwrap_or((1006, String::new()));
        let clean = self.close_sent && self.close_received.is_some();
        assert_eq!(closed, Closed::new(CloseCode::new(code), reason, self.initiator, clean));
        assert_eq!(self.side.ready_state(), ReadyState::Closed);
        self.over = Some(Over { closed, timed_out });
    }

    fn is_receiving(&self) -> bool {
        self.close_received.is_none() && !self.failed
    }

    fn said(&mut self, seen: Seen) {
        join(&mut self.sent, seen);
    }

    /// The frames that were appended to `out` since it was so long.
    #[track_caller]
    fn appended(&self, before: usize, expected: &[(u8, &[u8])]) {
        let appended = frames(self.role == Role::Client, &self.out[before..]);
        let appended: Vec<_> = appended.iter().map(|(first, payload)| (*first, &**payload)).collect();
        assert_eq!(appended, expected);
    }
}

/// A connection, whole or in halves that a driver couples.
enum Side {
    Whole(Box<Connection<Instant>>),
    Halves(Box<(ReceiveHalf<Instant>, SendHalf<Instant>)>),
}

impl Side {
    fn halves(connection: Connection<Instant>) -> Self {
        Self::Halves(Box::new(connection.into_parts()))
    }

    fn receive(
        &mut self,
        parts: bool,
        input: &mut [u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        match self {
            Self::Whole(connection) if parts => connection.receive_part(input, now, out),
            Self::Whole(connection) => connection.receive(input, now, out),
            Self::Halves(halves) => {
                let (receiving, sending) = &mut **halves;
                let result =
                    if parts { receiving.receive_part(input, now) } else { receiving.receive(input, now) };
                match &result {
                    Ok(Some(received)) => {
                        if let Some(event @ (Event::Ping(_) | Event::Close(_))) = received.event(input) {
                            sending.answer(&event, now, out);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => sending.fail(*error, now, out),
                }
                result
            }
        }
    }

    fn receive_eof(&mut self) -> Closed {
        match self {
            Self::Whole(connection) => connection.receive_eof(),
            Self::Halves(halves) => halves.0.receive_eof(&halves.1),
        }
    }

    fn sender(&mut self) -> &mut Sender {
        match self {
            Self::Whole(connection) => connection.sender(),
            Self::Halves(halves) => halves.1.sender(),
        }
    }

    fn close(
        &mut self,
        close: Option<CloseFrame<'_>>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        match self {
            Self::Whole(connection) => connection.close(close, now, out),
            Self::Halves(halves) => halves.1.close(close, now, out),
        }
    }

    fn on_write_blocked(&mut self, now: Instant) {
        match self {
            Self::Whole(connection) => connection.on_write_blocked(now),
            Self::Halves(halves) => halves.1.on_write_blocked(now),
        }
    }

    fn on_written(&mut self, bytes: usize, now: Instant, out: &mut Vec<u8>) {
        match self {
            Self::Whole(connection) => connection.on_written(bytes, now, out),
            Self::Halves(halves) => halves.1.on_written(bytes, now, out),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Whole(connection) => connection.poll_timeout(),
            Self::Halves(halves) => {
                let (receiving, sending) = &**halves;
                [receiving.poll_timeout(), sending.poll_timeout(), receiving.poll_silence(sending)]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), TimedOut> {
        match self {
            Self::Whole(connection) => connection.handle_timeout(now, out),
            Self::Halves(halves) => {
                let (receiving, sending) = &mut **halves;
                sending.handle_timeout(now)?;
                receiving.handle_timeout(now, sending, out)
            }
        }
    }

    fn ready_state(&self) -> ReadyState {
        match self {
            Self::Whole(connection) => connection.ready_state(),
            Self::Halves(halves) => halves.0.ready_state(&halves.1),
        }
    }

    fn should_close_transport(&self) -> bool {
        match self {
            Self::Whole(connection) => connection.should_close_transport(),
            Self::Halves(halves) => halves.0.should_close_transport(&halves.1),
        }
    }
}

/// A part of a text that repeats only after many bytes: what is lost or reordered shows.
fn payload(choices: &mut Choices<'_>) -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| (0..16_000).map(|i| i.to_string() + "€").collect());
    // Of every magnitude, those at the limits of a header's three forms among them.
    let len = choices.number();
    let (len, start) = (len >> (len % 16), usize::from(choices.byte()) * 64);
    let boundary =
        |from: usize| (from..=TEXT.len()).find(|at| TEXT.is_char_boundary(*at)).unwrap_or_default();
    &TEXT[boundary(start)..boundary(start + len + len % 4)]
}
