//! sansocket's core driven by hand over a blocking stream, as a program does that brings its own input and output.
//!
//! It does all that the protocol demands: it answers Pings and Close frames, tells the peer what it did wrong, and
//! joins fragments. It has no deadlines, as most peers have none.

use std::error::Error;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;

use rand::Rng;
use sansocket::handshake::{Accept, HeadError, Limits, ReceivedRequest, Reply, ServerHandshake};
use sansocket::{Config, Event, ReceiveState, Receiver, Role, Sender};

/// A connection.
pub struct ByHand<S> {
    io: S,
    receiver: Receiver,
    sender: Sender,
    input: Input,
    /// What has come of a message in several frames.
    message: Vec<u8>,
    /// What is written next; its memory is used again.
    out: Vec<u8>,
}

impl<S: Read + Write> ByHand<S> {
    /// Reads a client's request, and accepts it.
    pub fn accept(mut io: S) -> Result<Self, Box<dyn Error>> {
        let mut handshake = ServerHandshake::new(Limits::default());
        let (mut input, mut out) = (Input::default(), Vec::new());
        let received = loop {
            match handshake.receive(input.unread()) {
                Ok(Some(received)) => break received,
                Ok(None) if input.read(&mut io, 0)? == 0 => return Err(HeadError::Incomplete.into()),
                Ok(None) => {}
                Err(error) => {
                    Reply::from(&error).encode(&mut out);
                    io.write_all(&out)?;
                    return Err(error.into());
                }
            }
        };
        let request = match received {
            ReceivedRequest::WebSocket(request) => request,
            ReceivedRequest::Http(request) => {
                request.reply(&Reply::new(426)?.header("Upgrade", "websocket")?, &mut out)?;
                io.write_all(&out)?;
                return Err("the request is not for a WebSocket".into());
            }
        };
        request.accept(Accept::new())?.encode(&mut out);
        input.consume(request.consumed());
        let mut connection = Self { input, out, ..Self::server(io) };
        connection.write_out()?;
        Ok(connection)
    }

    /// A server's connection after the opening handshake.
    pub fn server(io: S) -> Self {
        let config = Config::default();
        Self::new(io, Receiver::new(Role::Server, &config), Sender::server(&config))
    }

    /// A client's connection after the opening handshake.
    pub fn client(io: S) -> Self {
        let config = Config::default();
        let sender = Sender::client(&config, |keys| rand::rng().fill_bytes(keys));
        Self::new(io, Receiver::new(Role::Client, &config), sender)
    }

    fn new(io: S, receiver: Receiver, sender: Sender) -> Self {
        Self { io, receiver, sender, input: Input::default(), message: Vec::new(), out: Vec::new() }
    }

    /// Receives a message, text or not; nothing more once the peer has closed the connection. A message in one
    /// frame is handed out where it was read.
    pub fn recv(&mut self) -> Result<Option<&[u8]>, Box<dyn Error>> {
        self.message.clear();
        while let Some(received) = self.next_frame()? {
            let frame = self.input.consume(received.consumed());
            match received.event(&self.input.bytes[frame.clone()]) {
                Some(Event::Data(part)) if part.first && part.last => {
                    return Ok(Some(&self.input.bytes[frame][received.payload()]));
                }
                Some(Event::Data(part)) => {
                    self.message.extend_from_slice(part.payload);
                    if part.last {
                        return Ok(Some(&self.message));
                    }
                }
                Some(event) => {
                    self.sender.answer(&event, &mut self.out);
                    self.write_out()?;
                }
                None => {}
            }
            if self.receiver.state() == ReceiveState::CloseReceived {
                break;
            }
        }
        Ok(None)
    }

    /// Sends a binary message, with one write of a copy behind its header; a client masks the copy.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        self.sender.binary(payload, &mut self.out)?;
        Ok(self.write_out()?)
    }

    /// Sends a binary message without a copy, as a server, which masks nothing.
    pub fn send_unmasked(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        let header = self.sender.binary_header(payload)?.encode();
        Ok(write_all_vectored(&mut self.io, &mut [IoSlice::new(&header), IoSlice::new(payload)])?)
    }

    /// Reads until a frame is there whole. `None`: the transport has ended.
    fn next_frame(&mut self) -> Result<Option<sansocket::Received>, Box<dyn Error>> {
        loop {
            match self.receiver.receive(self.input.unread_mut()) {
                Ok(None) if self.input.read(&mut self.io, self.receiver.missing())? == 0 => return Ok(None),
                Ok(None) => {}
                Ok(received) => return Ok(received),
                Err(error) => {
                    self.sender.fail(error, &mut self.out);
                    self.write_out()?;
                    return Err(error.into());
                }
            }
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.io.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

/// What was read.
#[derive(Default)]
struct Input {
    /// Behind what is unread is room for more.
    bytes: Vec<u8>,
    unread: Range<usize>,
}

impl Input {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.unread.clone()]
    }

    fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.unread.clone()]
    }

    /// Where in `bytes` the consumed ones are, until more is read.
    fn consume(&mut self, len: usize) -> Range<usize> {
        let start = self.unread.start;
        self.unread.start += len;
        start..self.unread.start
    }

    /// Reads once, behind what is unread: of a large frame, a piece of what is `missing`, and nothing behind it, so that
    /// each is unmasked while it is in the processor's first cache, and the next frame begins at the front again, in
    /// memory that is there too.
    fn read(&mut self, io: &mut impl Read, missing: u64) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        let most = missing.clamp(MIN_READ as u64, MAX_READ as u64) as usize;
        let least = missing.clamp(1, most as u64) as usize;
        if self.bytes.len() - self.unread.end < least {
            self.make_room();
        }
        let room = &mut self.bytes[self.unread.end..];
        let most = most.min(room.len());
        let len = io.read(&mut room[..most])?;
        self.unread.end += len;
        Ok(len)
    }

    /// Moves what is unread to the front; beyond a quarter of the buffer, that grows too, so that moving is little
    /// beside reading.
    fn make_room(&mut self) {
        if self.unread.len() >= self.bytes.len() / 4 {
            self.bytes.resize((2 * self.bytes.len()).max(MIN_READ), 0);
        }
        self.bytes.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
    }
}

fn write_all_vectored(io: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match io.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => IoSlice::advance_slices(&mut slices, len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// As much as `BufReader` reads.
const MIN_READ: usize = 8 << 10;
const MAX_READ: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use tungstenite::Message;
    use tungstenite::protocol::Role;
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::ByHand;

    #[test]
    fn serves_a_client() {
        let (client, server) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || {
            let mut ws = ByHand::accept(server).unwrap();
            while let Some(message) = ws.recv().unwrap() {
                let message = message.to_vec();
                ws.send_unmasked(&message).unwrap();
            }
        });
        let (mut ws, _) = tungstenite::client("ws://localhost/", client).unwrap();
        for size in [0, 125, 1 << 10, 16 << 10, 1 << 20, 1] {
            let message = Message::binary(vec![size as u8 ^ 0x5a; size]);
            ws.send(message.clone()).unwrap();
            assert_eq!(ws.read().unwrap(), message);
        }
        let fragment =
            |payload, opcode, last| Message::Frame(Frame::message(payload, OpCode::Data(opcode), last));
        ws.send(fragment("frag", Data::Text, false)).unwrap();
        ws.send(Message::Ping("between".into())).unwrap();
        ws.send(fragment("ments", Data::Continue, true)).unwrap();
        assert_eq!(ws.read().unwrap(), Message::Pong("between".into()));
        assert_eq!(ws.read().unwrap(), Message::binary("fragments"));
        ws.close(None).unwrap();
        assert_eq!(ws.read().unwrap(), Message::Close(None));
        server.join().unwrap();
    }

    #[test]
    fn sends_as_a_client() {
        let (client, server) = UnixStream::pair().unwrap();
        let client = thread::spawn(move || {
            let mut ws = ByHand::client(client);
            ws.send(b"a copy").unwrap();
        });
        let mut ws = tungstenite::WebSocket::from_raw_socket(server, Role::Server, None);
        assert_eq!(ws.read().unwrap(), Message::binary("a copy"));
        client.join().unwrap();
    }
}
