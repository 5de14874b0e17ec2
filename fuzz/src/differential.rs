use std::io::{self, Read, Write};

use sansocket::{Assembler, Config, Event, Message, ProtocolError, Receiver, Role};
use tungstenite::protocol::{Role as PeerRole, WebSocketConfig};
use tungstenite::{Error, Message as PeerMessage, WebSocket};

/// The largest frame and message that both take.
const LIMIT: usize = 4096;

/// The receiver and tungstenite's make the same messages of the same bytes, or both refuse them.
///
/// Known differences, in each of which this crate is the stricter one:
///
/// - tungstenite judges a frame when it is whole, and this crate at its first bad byte. So what this
///   crate refuses is filled up with zeros before tungstenite is asked. ("an endpoint MAY [...] _Fail the
///   WebSocket Connection_" at once: RFC 6455 section 7.1.7 sets no moment.)
/// - tungstenite takes lengths that are not minimal. Section 5.2: "in all cases, the minimal number of
///   bytes MUST be used to encode the length". To this crate, a control frame with any but the shortest
///   form is too long.
/// - tungstenite takes a Close frame with a code that must not be sent, and reads it as 1002 "Protocol
///   violation". Section 7.4.1: "MUST NOT be set as a status code in a Close control frame by an endpoint".
/// - It does so with 1014 too, which this crate takes. Section 7.4.2: "Status codes in the range 1000-2999
///   are reserved for definition by this protocol, its future revisions, and extensions specified in a
///   permanent and readily available public specification", with the registry of section 11.7, where 1014
///   is "Bad Gateway".
///
/// The input is that of the `receiver` target: its first byte chooses the role.
pub fn differential(data: &[u8]) {
    let Some((setup, wire)) = data.split_first() else { return };
    let role = if setup & 1 == 0 { Role::Server } else { Role::Client };
    let (mut ours, error) = receive(role, wire.to_vec());
    let filled_up = [wire, &vec![0; LIMIT + 14]].concat();
    let wire = if error.is_some() { &filled_up } else { wire };
    let (theirs, peer_error) = receive_as_peer(role, wire, ours.len() + 1);

    match error {
        None => {
            if let Some(Said::Close(Some((code @ 1014, reason)))) = ours.last_mut() {
                (*code, *reason) = (1002, PEER_VIOLATION.into());
            }
            assert_eq!(theirs, ours, "tungstenite: {peer_error:?}");
            assert!(peer_error.is_none() || is_closed(&ours), "tungstenite alone refuses: {peer_error:?}");
        }
        Some(ProtocolError::NonMinimalLength | ProtocolError::ControlFrameTooLong) => {
            assert!(theirs.starts_with(&ours), "before the length: {theirs:?}, but {ours:?}");
        }
        Some(ProtocolError::InvalidCloseCode(_)) if peer_error.is_none() || is_closed(&theirs) => {
            ours.push(Said::Close(Some((1002, PEER_VIOLATION.into()))));
            assert_eq!(theirs, ours);
        }
        Some(error) => {
            assert_eq!(theirs, ours, "before {error:?}");
            assert!(peer_error.is_some(), "this crate alone refuses: {error:?}");
        }
    }
}

const PEER_VIOLATION: &str = "Protocol violation";

#[derive(Debug, Eq, PartialEq)]
enum Said {
    Message(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

fn is_closed(said: &[Said]) -> bool {
    matches!(said.last(), Some(Said::Close(_)))
}

fn receive(role: Role, mut input: Vec<u8>) -> (Vec<Said>, Option<ProtocolError>) {
    let config = Config::default()
        .max_frame_size(LIMIT as u64)
        .max_message_size(LIMIT as u64)
        // tungstenite has no such limit.
        .max_fragments(u32::MAX);
    let (mut receiver, mut assembler) = (Receiver::new(role, &config), Assembler::default());
    let mut said = Vec::new();
    loop {
        let frame = match receiver.receive(&mut input) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (said, None),
            Err(error) => return (said, Some(error)),
        };
        match frame.event(&input) {
            Some(Event::Data(fragment)) => {
                let message = assembler.push(&fragment).expect("validated text");
                said.extend(message.map(Said::Message));
            }
            Some(Event::Ping(payload)) => said.push(Said::Ping(payload.into())),
            Some(Event::Pong(payload)) => said.push(Said::Pong(payload.into())),
            Some(Event::Close(close)) => {
                said.push(Said::Close(close.map(|close| (close.code.get(), close.reason.into()))));
                return (said, None);
            }
            // `Event` may get more of them.
            Some(other) => unreachable!("the receiver has no other event: {other:?}"),
            None => unreachable!("nothing is discarded before a Close frame"),
        }
        input.drain(..frame.consumed());
    }
}

/// At most so many messages; `None` when it waits for more input.
fn receive_as_peer(role: Role, wire: &[u8], most: usize) -> (Vec<Said>, Option<Error>) {
    let role = match role {
        Role::Client => PeerRole::Client,
        Role::Server => PeerRole::Server,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(LIMIT)
        .max_frame_size(Some(LIMIT))
        .max_message_size(Some(LIMIT));
    let mut peer = WebSocket::from_raw_socket(Wire(wire), role, Some(config));
    let mut said = Vec::new();
    while said.len() < most && !is_closed(&said) {
        said.push(match peer.read() {
            Ok(PeerMessage::Text(text)) => Said::Message(text.as_str().into()),
            Ok(PeerMessage::Binary(payload)) => Said::Message(payload.into()),
            Ok(PeerMessage::Ping(payload)) => Said::Ping(payload.into()),
            Ok(PeerMessage::Pong(payload)) => Said::Pong(payload.into()),
            Ok(PeerMessage::Close(close)) => {
                Said::Close(close.map(|close| (close.code.into(), close.reason.as_str().into())))
            }
            Ok(PeerMessage::Frame(_)) => unreachable!("it is never read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return (said, None),
            Err(error) => return (said, Some(error)),
        });
    }
    (said, None)
}

/// A stream with this to read, after which it would block; it swallows what is written.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// Both corpora: their inputs have the same form.
    #[test]
    fn corpora() {
        for name in ["differential", "receiver"] {
            let corpus = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            for seed in fs::read_dir(corpus).unwrap() {
                super::differential(&fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
