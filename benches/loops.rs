//! Fixed loops for `benches/count`, which counts what a message takes: `LOOP SIZE MESSAGES`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark that cannot run says so")]

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sansocket::blocking::{self, WebSocket as Blocking};
use sansocket::tokio::WebSocket as Tokio;
use sansocket::{Config, Message, Receiver, Role, Sender, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    // Without arguments, as `cargo bench` runs it: each loop once, to see that it runs.
    let Some(which) = args.next() else {
        for which in LOOPS {
            run(which, 16, 80);
        }
        return;
    };
    let mut number =
        || args.next().and_then(|arg| arg.parse().ok()).unwrap_or_else(|| panic!("{which} SIZE MESSAGES"));
    run(&which, number(), number());
}

fn run(which: &str, size: usize, messages: usize) {
    match which {
        "receive" => receive(size, messages),
        "send" => send(size, messages),
        "echo" => echo(size, messages, TOGETHER),
        "echo-alone" => echo(size, messages, 1),
        "blocking-echo" => blocking_echo(size, messages, TOGETHER),
        "blocking-echo-alone" => blocking_echo(size, messages, 1),
        "server-send" => server_send(size, messages),
        "blocking-server-send" => blocking_server_send(size, messages),
        "opening" => opening(size, messages),
        "blocking-opening" => blocking_opening(size, messages),
        #[cfg(feature = "deflate")]
        "deflate" => deflate(size, messages),
        #[cfg(feature = "deflate")]
        "broadcast" => broadcast(size, messages),
        #[cfg(feature = "deflate")]
        "inflate-byte" => inflate_nothing(size, messages, 1),
        #[cfg(feature = "deflate")]
        "inflate-bytes" => inflate_nothing(size, messages, messages),
        _ => panic!("there is no loop {which}"),
    }
}

const LOOPS: &[&str] = &[
    "receive",
    "send",
    "echo",
    "echo-alone",
    "blocking-echo",
    "blocking-echo-alone",
    "server-send",
    "blocking-server-send",
    "opening",
    "blocking-opening",
    #[cfg(feature = "deflate")]
    "deflate",
    #[cfg(feature = "deflate")]
    "broadcast",
    #[cfg(feature = "deflate")]
    "inflate-byte",
    #[cfg(feature = "deflate")]
    "inflate-bytes",
];

/// How many messages come at once, where they do not come alone.
const TOGETHER: usize = 16;

/// Not a source for real keys.
fn keys(bytes: &mut [u8]) {
    bytes.fill(0x5a);
}

/// What a client sends: so many binary messages of `size` bytes.
fn frames(size: usize, together: usize) -> Vec<u8> {
    let mut sender = Sender::client(&Config::default(), keys);
    let mut out = Vec::new();
    for _ in 0..together {
        sender.binary(&vec![0x20; size], &mut out).unwrap();
    }
    out
}

/// The core of a server receives.
fn receive(size: usize, messages: usize) {
    let mut receiver = Receiver::new(Role::Server, &Config::default());
    let frames = frames(size, TOGETHER);
    let mut input = vec![0; frames.len()];
    for _ in 0..messages / TOGETHER {
        input.copy_from_slice(&frames);
        let mut unread = &mut input[..];
        while let Some(received) = receiver.receive(unread).unwrap() {
            black_box(received.event(unread));
            unread = &mut unread[received.consumed()..];
        }
    }
}

/// The core of a client sends.
fn send(size: usize, messages: usize) {
    let mut sender = Sender::client(&Config::default(), keys);
    let (payload, mut out) = (vec![0x20; size], Vec::new());
    for _ in 0..messages / TOGETHER {
        for _ in 0..TOGETHER {
            sender.binary(black_box(&payload), &mut out).unwrap();
        }
        black_box(&out);
        out.clear();
    }
}

/// The loop that users write, on tokio, for messages of which so many come `together`.
fn echo(size: usize, messages: usize, together: usize) {
    let transport = Transport::new(size, messages, together);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let echoed = runtime.block_on(runtime.spawn(async move {
        let mut ws = Tokio::from_upgraded(transport, Role::Server, b"", &Config::default());
        while let Ok(Some(message)) = ws.recv().await {
            ws.send(message).await.unwrap();
        }
        ws
    }));
    assert_eq!(echoed.unwrap().get_ref().written, messages / together * together * (size + header_len(size)));
}

/// The same, blocking.
fn blocking_echo(size: usize, messages: usize, together: usize) {
    let transport = Transport::new(size, messages, together);
    let mut ws = Blocking::from_upgraded(transport, Role::Server, b"", &Config::default()).unwrap();
    while let Ok(Some(message)) = ws.recv() {
        ws.send(message).unwrap();
    }
    assert_eq!(ws.get_ref().written, messages / together * together * (size + header_len(size)));
}

/// A server sends and receives nothing, on tokio: each message is written at once.
fn server_send(size: usize, messages: usize) {
    let transport = Transport::new(size, 0, TOGETHER);
    let message = Message::binary(vec![0x20; size]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let mut ws = Tokio::from_upgraded(transport, Role::Server, b"", &Config::default());
        for _ in 0..messages {
            ws.send(message.clone()).await.unwrap();
        }
    });
}

/// The same, blocking.
fn blocking_server_send(size: usize, messages: usize) {
    let transport = Transport::new(size, 0, TOGETHER);
    let message = Message::binary(vec![0x20; size]);
    let mut ws = Blocking::from_upgraded(transport, Role::Server, b"", &Config::default()).unwrap();
    for _ in 0..messages {
        ws.send(message.clone()).unwrap();
    }
}

/// A server opens so many connections, whose requests have a cookie of `size` bytes, on tokio, and drops them: each is
/// waited for once.
fn opening(size: usize, connections: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let opened = runtime.block_on(runtime.spawn(async move {
        let (server, client) = (Server::default(), Transport::opening(size));
        for _ in 0..connections {
            let pending = sansocket::tokio::accept_with(client.clone(), &server).await.unwrap();
            black_box(pending.accept().await.unwrap());
        }
    }));
    opened.unwrap();
}

/// The same, blocking.
fn blocking_opening(size: usize, connections: usize) {
    let (server, client) = (Server::default(), Transport::opening(size));
    for _ in 0..connections {
        let pending = blocking::accept_with(client.clone(), &server).unwrap();
        black_box(pending.accept().unwrap());
    }
}

/// The core of a server echoes a message of JSON, compressed both ways with context takeover; a client's core is not counted
/// in `size`, but in the count.
#[cfg(feature = "deflate")]
fn deflate(size: usize, messages: usize) {
    use sansocket::{Assembler, Deflate, Event};

    let deflate = Deflate::default();
    let (agreed, _) = deflate.agree_as_server(&deflate.offers()).unwrap();
    let config = Config::default();
    let mut sides = [Role::Client, Role::Server].map(|role| {
        let mut sender = match role {
            Role::Client => Sender::client(&config, keys),
            Role::Server => Sender::server(&config),
        };
        sender.use_deflate(&deflate, agreed);
        let (mut receiver, mut assembler) = (Receiver::new(role, &config), Assembler::default());
        receiver.use_deflate(agreed);
        assembler.use_deflate(role, &config, agreed);
        (sender, receiver, assembler)
    });
    let payloads: Vec<_> = (0..TOGETHER).map(|seed| json(size, seed)).collect();
    let mut wire = Vec::new();
    for payload in payloads.iter().cycle().take(messages) {
        let mut message = Message::text(payload.as_str());
        for (from, to) in [(0, 1), (1, 0)] {
            let Message::Text(text) = &message else { panic!("no text") };
            sides[from].0.text(text, &mut wire).unwrap();
            let (_, receiver, assembler) = &mut sides[to];
            let received = receiver.receive(&mut wire).unwrap().unwrap();
            let Some(Event::Data(fragment)) = received.event(&wire) else { panic!("no fragment") };
            message = assembler.push(&fragment).unwrap().unwrap();
            wire.clear();
        }
        assert_eq!(message.len(), payload.len());
    }
}

/// A server prepares a message, and sends it to two connections that share what it is compressed to: less than twice the count
/// of what one of them takes.
#[cfg(feature = "deflate")]
fn broadcast(size: usize, messages: usize) {
    use sansocket::{Deflate, PreparedMessage};

    let deflate = Deflate::default().shared_compressor();
    let (agreed, _) = deflate.agree_as_server(&deflate.offers()).unwrap();
    let mut senders = [Sender::server(&Config::default()), Sender::server(&Config::default())];
    for sender in &mut senders {
        sender.use_deflate(&deflate, agreed);
    }
    let payloads: Vec<_> = (0..TOGETHER).map(|seed| json(size, seed)).collect();
    let mut out = Vec::new();
    for payload in payloads.iter().cycle().take(messages) {
        let news = PreparedMessage::new(payload.as_str());
        for sender in &mut senders {
            sender.prepared(&news, &mut out).unwrap();
        }
        black_box(&out);
        out.clear();
    }
}

/// Text as a service may send it, of exactly `size` bytes.
#[cfg(feature = "deflate")]
fn json(size: usize, seed: usize) -> String {
    let mut text = String::new();
    let mut draw = seed as u64 + 1;
    while text.len() < size {
        draw = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ 0x5bd1_e995;
        let (id, sensor, value) = (draw >> 44, draw % 97, draw % 10_000);
        let state = ["ok", "warning", "error"][usize::from(draw % 5 > 2) + usize::from(draw % 7 > 5)];
        let record = format!(
            "{{\"id\":{id},\"sensor\":\"temperature-{sensor}\",\"state\":\"{state}\",\"value\":{value}}},"
        );
        text.push_str(&record);
    }
    text.truncate(size);
    text
}

/// The core of a client receives bytes that inflate to nothing, in fragments of `at_once`, of a message that has come
/// to `size` bytes: whatever `size` is, they are to cost the same.
#[cfg(feature = "deflate")]
fn inflate_nothing(size: usize, bytes: usize, at_once: usize) {
    use sansocket::frame::{FrameHeader, Opcode};
    use sansocket::{Assembler, Deflate, Event, MessageKind};

    const EMPTY_BLOCK: [u8; 5] = *b"\x00\x00\x00\xff\xff";
    let deflate = Deflate::default().min_size(0);
    let (agreed, _) = deflate.agree_as_server(&deflate.offers()).unwrap();
    let config = Config::default();
    let mut server = Sender::server(&config);
    server.use_deflate(&deflate, agreed);
    let mut frames = Vec::new();
    server.fragment(MessageKind::Binary, &vec![0x20; size], false, &mut frames).unwrap();
    // Copied, so that next to nothing of what is counted is the making of it.
    let mut blocks = EMPTY_BLOCK.repeat(bytes.div_ceil(EMPTY_BLOCK.len()));
    blocks.truncate(bytes);
    for fragment in blocks.chunks(at_once) {
        let header = FrameHeader {
            fin: false,
            rsv1: false,
            opcode: Opcode::Continuation,
            masking_key: None,
            payload_len: fragment.len() as u64,
        };
        frames.extend_from_slice(&header.encode());
        frames.extend_from_slice(fragment);
    }

    let mut receiver = Receiver::new(Role::Client, &config);
    receiver.use_deflate(agreed);
    let mut assembler = Assembler::default();
    assembler.use_deflate(Role::Client, &config, agreed);
    let mut unread = &mut frames[..];
    while let Some(received) = receiver.receive(unread).unwrap() {
        let Some(Event::Data(fragment)) = received.event(unread) else { panic!("no fragment") };
        assert_eq!(assembler.push(&fragment).unwrap(), None);
        unread = &mut unread[received.consumed()..];
    }
    assert_eq!((unread.len(), assembler.take().len()), (0, size));
}

fn header_len(size: usize) -> usize {
    match size {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Messages that come so many at once, and nothing between; it takes all that is written.
#[derive(Clone)]
struct Transport {
    frames: Arc<[u8]>,
    /// How much of `frames` was read.
    read: usize,
    /// How often they still come.
    left: usize,
    written: usize,
}

impl Transport {
    fn new(size: usize, messages: usize, together: usize) -> Self {
        Self::of(&frames(size, together), messages / together)
    }

    /// What a client sends to open a connection.
    fn opening(size: usize) -> Self {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Cookie: {:x<size$}\r\n\r\n",
            ""
        );
        Self::of(request.as_bytes(), 1)
    }

    fn of(bytes: &[u8], left: usize) -> Self {
        Self { frames: bytes.into(), read: bytes.len(), left, written: 0 }
    }
}

impl Read for Transport {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.read == self.frames.len() && self.left > 0 {
            self.read = 0;
            self.left -= 1;
        }
        let len = (&self.frames[self.read..]).read(buf)?;
        self.read += len;
        Ok(len)
    }
}

impl Write for Transport {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written += black_box(buf).len();
        Ok(buf.len())
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        bufs.iter().map(|buf| self.write(buf)).sum()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl blocking::Transport for Transport {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read == self.frames.len() && self.left > 0 {
            // Others have their turn, as they do while a socket has nothing to read.
            self.read = 0;
            self.left -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let unread = &self.frames[self.read..];
        let len = unread.len().min(buf.remaining());
        buf.put_slice(&unread[..len]);
        self.read += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
