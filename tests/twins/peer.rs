//! What a peer does, one act after the other. It reads all the time, unless it is told not to.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use sansocket::Role;
use sansocket::handshake::{Accept, Limits, ReceivedRequest, ServerHandshake};

use crate::common::{self, CLOSE, PING, PONG, TEXT, naive};
use crate::lines;

/// One thing that a peer does.
#[derive(Clone, Debug)]
pub enum Act {
    Frame(u8, Bytes),
    /// A frame for [`Flood`](Self::Flood).
    Repeated(u8, Bytes),
    Raw(Bytes),
    /// Reads nothing from now on.
    Hold,
    /// Reads everything from now on.
    Read,
    /// Waits until it has seen another line that begins with this.
    Until(&'static str),
    /// Waits until the program has nothing more to read, and wants more.
    UntilRead,
    /// Waits until a write has found no room.
    UntilBlocked,
    /// Waits until the program has read the end.
    UntilEndRead,
    /// Waits until this was told.
    Hear(&'static str),
    Tell(&'static str),
    /// Takes so many bytes of what was written, though it reads nothing else.
    Take(usize),
    /// Answers the client's request: it accepts.
    Answer(Accept),
    Wait(Duration),
    /// Sends this again and again from now on: a read always finds some, and takes a millisecond.
    Flood(Bytes),
    /// Takes so many bytes more, and then the transport fails whoever writes; without a kind, by taking none.
    FailWrites(usize, Option<ErrorKind>),
    /// The transport cannot be closed for writing alone.
    RefuseShutdown,
    /// Ends its direction of the transport.
    End,
    /// Ends the transport, both directions of it.
    Leave,
    /// The transport fails.
    Reset,
    /// Ends its direction when its role demands it: a server once it was sent a Close frame, a client when the server
    /// has.
    Go,
    /// Stops the server, waits until that has seen it, and tells `stopped`.
    Stop,
}

pub fn says(text: &str) -> Act {
    sends(TEXT, text)
}

pub fn pings(payload: &str) -> Act {
    sends(PING, payload)
}

pub fn pongs(payload: &str) -> Act {
    sends(PONG, payload)
}

pub fn closes(code: u16, reason: &str) -> Act {
    sends(CLOSE, common::close_payload(code, reason))
}

/// Sends a frame with this first byte.
pub fn sends(first: u8, payload: impl AsRef<[u8]>) -> Act {
    Act::Frame(first, Bytes::copy_from_slice(payload.as_ref()))
}

/// Sends bytes as they are.
pub fn raw(bytes: impl AsRef<[u8]>) -> Act {
    Act::Raw(Bytes::copy_from_slice(bytes.as_ref()))
}

pub fn holds() -> Act {
    Act::Hold
}

pub fn reads() -> Act {
    Act::Read
}

pub fn until(line: &'static str) -> Act {
    Act::Until(line)
}

pub fn until_read() -> Act {
    Act::UntilRead
}

pub fn until_blocked() -> Act {
    Act::UntilBlocked
}

pub fn until_end_read() -> Act {
    Act::UntilEndRead
}

pub fn hears(what: &'static str) -> Act {
    Act::Hear(what)
}

pub fn tells(what: &'static str) -> Act {
    Act::Tell(what)
}

pub fn takes(bytes: usize) -> Act {
    Act::Take(bytes)
}

pub fn answers(accept: Accept) -> Act {
    Act::Answer(accept)
}

pub fn waits(time: Duration) -> Act {
    Act::Wait(time)
}

/// Sends this frame again and again.
pub fn floods(first: u8, payload: impl AsRef<[u8]>) -> Act {
    Act::Repeated(first, Bytes::copy_from_slice(payload.as_ref()))
}

/// Sends these bytes again and again.
pub fn floods_raw(bytes: impl AsRef<[u8]>) -> Act {
    Act::Flood(Bytes::copy_from_slice(bytes.as_ref()))
}

pub fn fails_writes(after: usize, kind: ErrorKind) -> Act {
    Act::FailWrites(after, Some(kind))
}

pub fn refuses_shutdown() -> Act {
    Act::RefuseShutdown
}

/// Takes so many bytes more, and then none.
pub fn refuses_writes(after: usize) -> Act {
    Act::FailWrites(after, None)
}

pub fn ends() -> Act {
    Act::End
}

pub fn leaves() -> Act {
    Act::Leave
}

pub fn resets() -> Act {
    Act::Reset
}

pub fn goes() -> Act {
    Act::Go
}

pub fn stops() -> Act {
    Act::Stop
}

/// What a peer has still to do, and what it has seen.
#[derive(Debug)]
pub struct Peer {
    /// The program's role.
    pub to: Role,
    pub acts: VecDeque<Act>,
    pub reads: bool,
    stage: Stage,
    /// What was read and is not yet a whole head or frame.
    input: Vec<u8>,
    /// The head that came first.
    head: Vec<u8>,
    pub seen: Vec<String>,
    /// How many of those lines were waited for.
    awaited: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// A head of the opening handshake.
    Head,
    /// What is behind a head that opens no WebSocket.
    Body,
    Frames,
}

impl Peer {
    pub fn new(to: Role, stage: Stage, acts: impl IntoIterator<Item = Act>) -> Self {
        let acts = acts.into_iter().map(|act| match act {
            Act::Frame(first, payload) => Act::Raw(common::frame(to, first, &payload).into()),
            Act::Repeated(first, payload) => Act::Flood(common::frame(to, first, &payload).into()),
            act => act,
        });
        Self {
            to,
            acts: acts.collect(),
            reads: true,
            stage,
            input: Vec::new(),
            head: Vec::new(),
            seen: Vec::new(),
            awaited: 0,
        }
    }

    /// Takes note of bytes that came.
    pub fn read(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while self.stage == Stage::Head
            && let Some(len) = self.input.windows(4).position(|end| end == b"\r\n\r\n")
        {
            self.head = self.input.drain(..len + 4).collect();
            let head = std::str::from_utf8(&self.head).unwrap();
            let line = head.lines().next().unwrap().to_owned();
            if line.starts_with("HTTP/1.1 101 ") {
                assert!(
                    head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
                    "{head}"
                );
            } else if line.starts_with("HTTP/1.1 426 ") {
                assert!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{head}");
            }
            let opens = line.starts_with("HTTP/1.1 101 ") || line.starts_with("GET ");
            self.stage = match opens {
                true => Stage::Frames,
                // The response comes yet.
                false if line.starts_with("HTTP/1.1 100 ") => Stage::Head,
                false => Stage::Body,
            };
            self.seen.push(line);
        }
        if self.stage == Stage::Frames {
            self.frames();
        }
    }

    fn frames(&mut self) {
        let mut at = 0;
        while let Some(frame) = naive::decode(&self.input[at..]).expect("a valid frame") {
            assert_eq!(frame.masked, self.to == Role::Client, "a client masks, a server does not");
            at += frame.len;
            self.seen.push(lines::frame(frame.first, &frame.payload));
        }
        self.input.drain(..at);
    }

    /// Takes note of the end.
    pub fn read_end(&mut self) {
        if self.stage == Stage::Body {
            self.seen.push(lines::payload(&self.input));
            self.input.clear();
        }
        self.seen.push(if self.input.is_empty() { "end".into() } else { "end within something".into() });
    }

    /// Whether such a line has come since the last that was waited for; then that is the last.
    pub fn awaits(&mut self, line: &str) -> bool {
        let new = self.seen[self.awaited..].iter().position(|seen| seen.starts_with(line));
        self.awaited += new.map_or(0, |new| new + 1);
        new.is_some()
    }

    /// The response to the request that came; `None` before it has come.
    pub fn answer(&self, accept: &Accept) -> Option<Bytes> {
        let mut response = Vec::new();
        match ServerHandshake::new(Limits::default()).receive(&self.head).unwrap()? {
            ReceivedRequest::WebSocket(request) => {
                request.accept(accept.clone()).unwrap().encode(&mut response);
            }
            ReceivedRequest::Http(request) => panic!("{request:?}"),
        }
        Some(response.into())
    }

    pub fn has_seen(&self, line: &str) -> bool {
        self.seen.iter().any(|seen| seen.starts_with(line))
    }
}
