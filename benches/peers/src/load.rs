//! A load client of our own, which knows no WebSocket crate: it frames and masks by itself, keeps a number
//! of messages outstanding on each connection, and compares each byte that comes back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use crate::payload::{self, Kind, Random};
use crate::stats::{Histogram, cpu_time_of};
use crate::stream::Stream;
use crate::{ACCEPT, KEY};

#[derive(Clone, Debug, Default)]
pub struct Load {
    pub kind: Kind,
    pub size: usize,
    pub connections: usize,
    /// How many messages each connection waits for at once.
    pub outstanding: usize,
    /// How many fragments each message comes in.
    pub fragments: usize,
    pub deflate: bool,
    /// The server knows no WebSocket: the bytes come back as they are.
    pub raw: bool,
    /// The server speaks TLS, and so does the client, like this.
    pub tls: Option<Arc<ClientConfig>>,
    pub warm_up: Duration,
    pub duration: Duration,
}

pub struct Outcome {
    pub messages: u64,
    pub elapsed: Duration,
    pub server_cpu: Duration,
    pub latency: Histogram,
    /// How many bytes of payload came back, as on the wire.
    pub wire: u64,
    /// How many messages came back in all, those before the measurement included.
    pub total: u64,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    pub fn cpu_nanos(&self) -> f64 {
        self.server_cpu.as_nanos() as f64 / self.messages as f64
    }
}

/// A message, ready to be sent, and what is to come back.
struct Prepared {
    wire: Vec<u8>,
    expected: Vec<u8>,
}

impl Load {
    fn prepare(&self) -> Vec<Prepared> {
        let mut keys = Random::new(7);
        // One window for all messages of a round: the first refers to nothing before it, so that the round
        // can be sent again and again.
        let mut compress = Compress::new(Compression::new(6), false);
        let mut prepared = Vec::new();
        for message in payload::payloads(self.kind, self.size) {
            let opcode = if self.kind.is_text() { 1 } else { 2 };
            let (data, rsv1) = if self.deflate {
                let mut compressed = Vec::with_capacity(message.len() + 1024);
                compress.compress_vec(&message, &mut compressed, FlushCompress::Sync).expect("deflates");
                compressed.truncate(compressed.len() - 4);
                (compressed, 0x40)
            } else {
                (message.clone(), 0)
            };
            let mut wire = Vec::new();
            let part = data.len().div_ceil(self.fragments).max(1);
            let mut parts: Vec<_> = data.chunks(part).collect();
            if parts.is_empty() {
                parts.push(&[]);
            }
            for (at, bytes) in parts.iter().enumerate() {
                let fin = if at + 1 == parts.len() { 0x80 } else { 0 };
                let first = if at == 0 { opcode | rsv1 } else { 0 };
                payload::client_frame(fin | first, bytes, (keys.draw() as u32).to_le_bytes(), &mut wire);
            }
            let expected = if self.raw { wire.clone() } else { message };
            prepared.push(Prepared { wire, expected });
        }
        prepared
    }

    /// Loads the server at `addr`, whose process is `pid`.
    pub fn run(&self, addr: SocketAddr, pid: Option<u32>) -> io::Result<Outcome> {
        let prepared = self.prepare();
        let mut poll = Poll::new()?;
        let mut connections = Vec::new();
        for (token, stream) in self.open(addr, self.connections, AT_ONCE)?.into_iter().enumerate() {
            let mut registered = Ok(());
            let stream = stream.map(|tcp| {
                registered = tcp.set_nonblocking(true);
                TcpStream::from_std(tcp)
            });
            registered?;
            let mut connection = Connection::new(stream, self);
            let tcp = connection.stream.get_mut();
            poll.registry().register(tcp, Token(token), Interest::READABLE | Interest::WRITABLE)?;
            connections.push(connection);
        }
        let begin = Instant::now();
        for connection in &mut connections {
            connection.send(self.outstanding, &prepared, begin)?;
        }
        let mut buffer = vec![0; 256 << 10];
        let mut events = Events::with_capacity(1024);
        let mut progress = Progress::default();
        let (mut measured, mut before, mut seen) = (None, 0, 0);
        loop {
            poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err(io::Error::other("the server has stopped to answer"));
            }
            for event in &events {
                let connection = &mut connections[event.token().0];
                if event.is_readable() {
                    connection.receive(&prepared, &mut buffer, &mut progress)?;
                }
                if event.is_writable() {
                    connection.write()?;
                }
            }
            if progress.messages == seen {
                // The measurement begins and ends as a message has come back: of large ones, few do.
                continue;
            }
            seen = progress.messages;
            let now = Instant::now();
            match &measured {
                None if now - begin >= self.warm_up => {
                    before = progress.messages;
                    (progress, seen) = (Progress::default(), 0);
                    measured = Some((now, pid.map_or(Duration::ZERO, cpu_time_of)));
                }
                Some((start, cpu_before)) if now - *start >= self.duration => {
                    return Ok(Outcome {
                        messages: progress.messages,
                        elapsed: now - *start,
                        server_cpu: pid.map_or(Duration::ZERO, cpu_time_of) - *cpu_before,
                        latency: progress.latency,
                        wire: progress.wire,
                        total: before + progress.messages,
                    });
                }
                _ => {}
            }
        }
    }

    /// Opens connections, some at a time: to wait for each answer may take longer than all else.
    pub fn open(
        &self,
        addr: SocketAddr,
        count: usize,
        at_once: usize,
    ) -> io::Result<Vec<Stream<std::net::TcpStream>>> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let some = at_once.min(count - all.len());
            let begin = |number| {
                let tcp = connect(addr)?;
                Ok(match &self.tls {
                    Some(config) => Stream::secure(tcp, config, number),
                    None => Stream::Plain(tcp),
                })
            };
            let mut some = (0..some).map(begin).collect::<io::Result<Vec<_>>>()?;
            if !self.raw {
                some.iter_mut().try_for_each(|stream| ask(stream, addr, self.deflate))?;
                some.iter_mut().try_for_each(|stream| be_answered(stream, self.deflate))?;
            }
            all.append(&mut some);
        }
        Ok(all)
    }

    /// How much the server's memory grows with each of so many connections that have echoed a message, and
    /// then wait.
    pub fn idle(&self, addr: SocketAddr, pid: u32) -> io::Result<f64> {
        let echo = |tcp: &mut Stream<std::net::TcpStream>| {
            let (sent, expected) = if self.raw {
                (&b"idle"[..], &b"idle"[..])
            } else {
                (&b"\x82\x84\0\0\0\0idle"[..], &b"\x82\x04idle"[..])
            };
            tcp.write_all(sent)?;
            let mut answer = vec![0; expected.len()];
            tcp.read_exact(&mut answer)?;
            if answer == expected { Ok(()) } else { Err(io::Error::other("not what was sent")) }
        };
        // What the first connections bring is not theirs alone.
        let mut first = self.open(addr, 100, AT_ONCE)?;
        first.iter_mut().try_for_each(echo)?;
        let before = resident(pid)?;
        let mut connections = self.open(addr, self.connections, AT_ONCE)?;
        connections.iter_mut().try_for_each(echo)?;
        Ok((resident(pid)? - before) / self.connections as f64)
    }
}

/// The resident memory of a process in bytes.
fn resident(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map(|kib: f64| kib * 1024.0).ok_or_else(|| io::Error::other("no VmRSS"))
}

/// Connects, and takes the client's part in the opening handshake.
pub fn open(addr: SocketAddr, deflate: bool) -> io::Result<std::net::TcpStream> {
    let mut tcp = connect(addr)?;
    ask(&mut tcp, addr, deflate)?;
    be_answered(&mut tcp, deflate)?;
    Ok(tcp)
}

fn ask(stream: &mut impl Write, addr: SocketAddr, deflate: bool) -> io::Result<()> {
    let extensions = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    // In one piece: wtx takes what has not come yet for zeros.
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    );
    stream.write_all(request.as_bytes())
}

fn be_answered(stream: &mut impl Read, deflate: bool) -> io::Result<()> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    // A server that has got no message yet sends nothing but its head.
    while !head.ends_with(b"\r\n\r\n") {
        let len = stream.read(&mut part)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend(&part[..len]);
    }
    let head = String::from_utf8_lossy(&head);
    let deflated = head.to_ascii_lowercase().contains("permessage-deflate");
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) || deflated != deflate {
        return Err(io::Error::other(format!("the opening handshake failed: {head}")));
    }
    Ok(())
}

/// Connects as soon as the server listens.
pub fn connect(addr: SocketAddr) -> io::Result<std::net::TcpStream> {
    let begin = Instant::now();
    loop {
        match std::net::TcpStream::connect(addr) {
            Err(_) if begin.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
                return Ok(tcp);
            }
        }
    }
}

#[derive(Default)]
struct Progress {
    messages: u64,
    latency: Histogram,
    wire: u64,
}

struct Connection {
    stream: Stream<TcpStream>,
    raw: bool,
    /// To be written: `out[written..]`.
    out: Vec<u8>,
    written: usize,
    /// When the messages that are outstanding were sent.
    sent: VecDeque<Instant>,
    next_to_send: usize,
    next_to_receive: usize,
    /// What was read of a frame's header.
    header: Vec<u8>,
    frame: Frame,
    /// How much of the message has come.
    position: usize,
    inflater: Decompress,
    compressed: Vec<u8>,
    inflated: Vec<u8>,
}

#[derive(Default)]
struct Frame {
    left: u64,
    fin: bool,
    /// Of the message, not only of the frame.
    compressed: bool,
}

impl Connection {
    fn new(stream: Stream<TcpStream>, load: &Load) -> Self {
        Self {
            stream,
            raw: load.raw,
            out: Vec::new(),
            written: 0,
            sent: VecDeque::new(),
            next_to_send: 0,
            next_to_receive: 0,
            header: Vec::new(),
            frame: Frame::default(),
            position: 0,
            inflater: Decompress::new(false),
            compressed: Vec::new(),
            inflated: Vec::with_capacity(load.size + 1024),
        }
    }

    fn send(&mut self, messages: usize, prepared: &[Prepared], now: Instant) -> io::Result<()> {
        for _ in 0..messages {
            self.out.extend_from_slice(&prepared[self.next_to_send].wire);
            self.next_to_send = (self.next_to_send + 1) % prepared.len();
            self.sent.push_back(now);
        }
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(len) => self.written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        match self.stream.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            // Of TLS, records may wait: they go out when there is room for them.
            _ => Ok(()),
        }
    }

    fn receive(
        &mut self,
        prepared: &[Prepared],
        buffer: &mut [u8],
        progress: &mut Progress,
    ) -> io::Result<()> {
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let came = self.parse(&buffer[..len], prepared, &mut progress.wire)?;
            for _ in 0..came {
                let sent = self.sent.pop_front().ok_or_else(|| io::Error::other("an answer to nothing"))?;
                progress.latency.add((now - sent).as_nanos() as u64);
            }
            progress.messages += came as u64;
            self.send(came, prepared, now)?;
            if len < buffer.len() && self.stream.ends_short() {
                // Nothing more has come, most likely: the next event will tell.
                return Ok(());
            }
        }
    }

    /// Returns how many messages the bytes complete.
    fn parse(&mut self, mut bytes: &[u8], prepared: &[Prepared], wire: &mut u64) -> io::Result<usize> {
        let mut came = 0;
        while !bytes.is_empty() {
            let expected = &prepared[self.next_to_receive].expected;
            if self.raw {
                let len = bytes.len().min(expected.len() - self.position);
                self.compare(&bytes[..len], expected)?;
                bytes = &bytes[len..];
                if self.position == expected.len() {
                    self.end_message(prepared.len());
                    came += 1;
                }
                continue;
            }
            if self.frame.left == 0 && !self.begin_frame(&mut bytes)? {
                break;
            }
            let len = bytes.len().min(usize::try_from(self.frame.left).unwrap_or(usize::MAX));
            let (payload, rest) = bytes.split_at(len);
            bytes = rest;
            *wire += len as u64;
            if self.frame.compressed {
                self.compressed.extend_from_slice(payload);
            } else {
                self.compare(payload, expected)?;
            }
            self.frame.left -= len as u64;
            if self.frame.left == 0 && self.frame.fin {
                if self.frame.compressed {
                    self.inflate(expected)?;
                }
                if self.position != expected.len() {
                    return Err(io::Error::other("a message came back shorter than it was sent"));
                }
                self.end_message(prepared.len());
                came += 1;
            }
        }
        Ok(came)
    }

    fn end_message(&mut self, count: usize) {
        self.position = 0;
        self.next_to_receive = (self.next_to_receive + 1) % count;
    }

    fn compare(&mut self, part: &[u8], expected: &[u8]) -> io::Result<()> {
        let end = self.position + part.len();
        if expected.get(self.position..end) != Some(part) {
            return Err(io::Error::other("a message came back changed"));
        }
        self.position = end;
        Ok(())
    }

    fn inflate(&mut self, expected: &[u8]) -> io::Result<()> {
        self.compressed.extend([0, 0, 0xff, 0xff]);
        self.inflated.clear();
        self.inflater.decompress_vec(&self.compressed, &mut self.inflated, FlushDecompress::Sync)?;
        self.compressed.clear();
        let inflated = std::mem::take(&mut self.inflated);
        self.compare(&inflated, expected)?;
        self.inflated = inflated;
        Ok(())
    }

    /// Reads a frame's header; `false`: it is incomplete.
    fn begin_frame(&mut self, bytes: &mut &[u8]) -> io::Result<bool> {
        loop {
            let wanted = match self.header.get(1) {
                None => 2,
                Some(126) => 4,
                Some(127) => 10,
                Some(0..=125) => 2,
                Some(_) => return Err(io::Error::other("a masked frame came from the server")),
            };
            if self.header.len() == wanted {
                break;
            }
            let Some((byte, rest)) = bytes.split_first() else { return Ok(false) };
            self.header.push(*byte);
            *bytes = rest;
        }
        let first = self.header[0];
        let left = match &self.header[1..] {
            [len] => u64::from(*len),
            len => len[1..].iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
        };
        let compressed = match first & 0x0f {
            0 => self.frame.compressed,
            1 | 2 => first & 0x40 != 0,
            opcode => return Err(io::Error::other(format!("a frame with opcode {opcode} came"))),
        };
        self.frame = Frame { left, fin: first & 0x80 != 0, compressed };
        self.header.clear();
        Ok(true)
    }
}

/// How many connections to open at once.
pub const AT_ONCE: usize = 64;
