//! The load: thousands of clients that are sent what is broadcast, and one who has that done.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, SockRef, Socket, Type};

use crate::protocol::{Protocol, Step, frame, text};

pub struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    control: TcpStream,
    protocol: &'static Protocol,
    /// How many messages each client has been sent, when it has been sent all.
    target: usize,
    buffer: Vec<u8>,
    /// Connected, and not read.
    stalled: Vec<TcpStream>,
}

struct Client {
    stream: mio::net::TcpStream,
    delivered: Rc<Delivered>,
    /// How many bytes of messages have come.
    came: usize,
}

/// What a client is sent.
struct Delivered {
    message: Vec<u8>,
    /// What of it is another each time.
    digits: Range<usize>,
}

/// What rounds came to.
pub struct Outcome {
    pub deliveries: usize,
    pub time: Duration,
    /// From when the server was told, for each delivery.
    pub latencies: Vec<Duration>,
}

impl Load {
    pub fn open(addr: SocketAddr, protocol: &'static Protocol, clients: usize) -> io::Result<Self> {
        Self::open_mixed(addr, &[protocol], clients)
    }

    /// The same with clients of several protocols of one server, in turns. Who has it broadcast speaks the first.
    pub fn open_mixed(addr: SocketAddr, protocols: &[&'static Protocol], clients: usize) -> io::Result<Self> {
        let protocol = protocols[0];
        let delivered: Vec<_> = protocols.iter().map(|protocol| Rc::new(Delivered::of(protocol))).collect();
        let poll = Poll::new()?;
        let mut load = Self {
            poll,
            events: Events::with_capacity(1024),
            clients: Vec::with_capacity(clients),
            control: connect(addr, protocol.control_path, protocol.control, None)?,
            protocol,
            target: 0,
            buffer: vec![0; 64 << 10],
            stalled: Vec::new(),
        };
        load.control.set_read_timeout(Some(PATIENCE))?;
        for (protocol, delivered) in protocols.iter().zip(&delivered).cycle() {
            if load.clients.len() == clients {
                break;
            }
            let some = AT_ONCE.min(clients - load.clients.len());
            for stream in subscribe(addr, protocol, some)? {
                stream.set_nonblocking(true)?;
                let mut stream = mio::net::TcpStream::from_std(stream);
                let token = Token(load.clients.len());
                load.poll.registry().register(&mut stream, token, Interest::READABLE)?;
                load.clients.push(Client { stream, delivered: delivered.clone(), came: 0 });
            }
        }
        // Some servers subscribe a client behind the answer that it waits for.
        std::thread::sleep(Duration::from_millis(300));
        Ok(load)
    }

    /// One more client, who takes nothing of what it is sent but what the smallest of buffers does.
    pub fn stall(&mut self, addr: SocketAddr) -> io::Result<()> {
        let stream = connect(addr, self.protocol.path, self.protocol.subscribe, Some(4 << 10))?;
        self.stalled.push(stream);
        Ok(())
    }

    /// Has the server broadcast so many messages at once, until each client has each, and again, for so long.
    pub fn rounds(&mut self, burst: usize, time: Duration) -> io::Result<Outcome> {
        let go = self.protocol.go(burst);
        let mut latencies = Vec::new();
        let begin = Instant::now();
        let mut deliveries = 0;
        while begin.elapsed() < time {
            self.round(&go, burst, &mut latencies)?;
            deliveries += burst * self.clients.len();
        }
        Ok(Outcome { deliveries, time: begin.elapsed(), latencies })
    }

    fn round(&mut self, go: &[u8], burst: usize, latencies: &mut Vec<Duration>) -> io::Result<()> {
        self.target += burst;
        let mut behind = self.clients.len();
        let sent = Instant::now();
        self.control.write_all(go)?;
        while behind > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(io::Error::other(format!("{behind} clients wait for a message")));
            }
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                let before = client.messages();
                client.receive(&mut self.buffer)?;
                let took = sent.elapsed();
                let now = client.messages();
                latencies.extend(std::iter::repeat_n(took, now - before));
                if before < self.target && now >= self.target {
                    behind -= 1;
                }
            }
        }
        Ok(())
    }

    /// Says something to the server by way of the one who has it broadcast, and returns its answer.
    pub fn question(&mut self, question: &str) -> io::Result<String> {
        self.control.write_all(&text(question))?;
        let mut read = Vec::new();
        hear(&mut self.control, &mut read)
    }

    /// Whether all clients are still connected; answers Pings meanwhile.
    pub fn idle(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.poll.poll(&mut self.events, Some(left))?;
            for event in &self.events {
                self.clients[event.token().0].receive(&mut self.buffer)?;
            }
        }
        Ok(())
    }
}

impl Delivered {
    fn of(protocol: &Protocol) -> Self {
        let message = protocol.delivered();
        let end = message.len() - 1;
        Self { digits: end - protocol.digits..end, message }
    }

    /// Whether that may be the message's, from this byte on.
    fn has(&self, at: usize, part: &[u8]) -> bool {
        let same = |(at, byte): (usize, &u8)| {
            if self.digits.contains(&at) { byte.is_ascii_digit() } else { *byte == self.message[at] }
        };
        let whole = &self.message[at..at + part.len()];
        whole == part || (!self.digits.is_empty() && (at..).zip(part).all(same))
    }
}

impl Client {
    /// How many messages have come.
    fn messages(&self) -> usize {
        self.came / self.delivered.message.len()
    }

    /// Takes what has come, which is the message, again and again, or a Ping.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let size = self.delivered.message.len();
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut bytes = &buffer[..len];
            while !bytes.is_empty() {
                let at = self.came % size;
                if let (0, [0x89, len, payload @ ..]) = (at, bytes)
                    && let Some((ping, rest)) = payload.split_at_checked(usize::from(*len))
                {
                    self.stream.write_all(&frame(0x8a, ping))?;
                    bytes = rest;
                    continue;
                }
                let (part, rest) = bytes.split_at(bytes.len().min(size - at));
                if !self.delivered.has(at, part) {
                    return Err(io::Error::other(format!("{:?} came", String::from_utf8_lossy(part))));
                }
                self.came += part.len();
                bytes = rest;
            }
            if len < buffer.len() {
                // Nothing more has come, most likely: the next event will tell.
                return Ok(());
            }
        }
    }
}

/// Connects some clients, all at once.
fn subscribe(addr: SocketAddr, protocol: &Protocol, clients: usize) -> io::Result<Vec<TcpStream>> {
    let mut opening = Vec::new();
    for _ in 0..clients {
        opening.push((dial(addr, protocol.path, None)?, Vec::new()));
    }
    for (stream, read) in &mut opening {
        head(stream, read)?;
    }
    for step in protocol.subscribe {
        for (stream, read) in &mut opening {
            take(*step, stream, read)?;
        }
    }
    if opening.iter().any(|(_, read)| !read.is_empty()) {
        return Err(io::Error::other("more came than was to come"));
    }
    Ok(opening.into_iter().map(|(stream, _)| stream).collect())
}

/// Joins and is gone without a farewell, so many at once.
pub fn come_and_go(addr: SocketAddr, protocol: &Protocol, clients: usize) -> io::Result<()> {
    let mut all = Vec::new();
    while all.len() < clients {
        all.extend(subscribe(addr, protocol, AT_ONCE.min(clients - all.len()))?);
    }
    Ok(())
}

fn connect(addr: SocketAddr, path: &str, steps: &[Step], room: Option<usize>) -> io::Result<TcpStream> {
    let mut stream = dial(addr, path, room)?;
    let mut read = Vec::new();
    head(&mut stream, &mut read)?;
    for step in steps {
        take(*step, &mut stream, &mut read)?;
    }
    Ok(stream)
}

/// Connects, and sends the request.
pub(crate) fn dial(addr: SocketAddr, path: &str, room: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(room) = room {
        socket.set_recv_buffer_size(room)?;
    }
    // The ports of one address do not last for all that come and go.
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2 + (addr.port() % 200) as u8), 0)).into())?;
    socket.connect(&addr.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // Gone means gone: no port waits for what may still come.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Reads the response. What comes behind it is left in `read`.
pub(crate) fn head(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    let end = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, read)?;
    };
    if !read.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other(String::from_utf8_lossy(&read[..end]).into_owned()));
    }
    read.drain(..end);
    Ok(())
}

fn take(step: Step, stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    match step {
        Step::Say(what) => stream.write_all(&text(what)),
        Step::Hear => hear(stream, read).map(drop),
    }
}

/// The next message.
pub(crate) fn hear(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<String> {
    loop {
        let (begin, len) = match read[..] {
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            [_, len @ 0..126, ..] => (2, usize::from(len)),
            _ => (2, usize::MAX - 2),
        };
        if read.len() < begin + len {
            more(stream, read)?;
            continue;
        }
        let message = String::from_utf8_lossy(&read[begin..begin + len]).into_owned();
        read.drain(..begin + len);
        return Ok(message);
    }
}

fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 1024];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => {
            read.extend_from_slice(&buffer[..len]);
            Ok(())
        }
    }
}

/// How many clients connect at once.
const AT_ONCE: usize = 64;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
