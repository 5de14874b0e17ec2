//! A row: what the peer does, what the program calls, and what is to come of it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::ServerStream;
use sansocket::{Config, Error, Role, Server};

use crate::adapter::{Adapter, Blocking, Receives, Sends, Serves, Tokio};
use crate::calls::{ANY, Call, Expected, TICK, Until, receive, transmit};
use crate::lines;
use crate::peer::{Act, Peer, Stage};
use crate::wire::{Control, PATIENCE, Wire};

/// A time that has to pass: the blocking adapter waits that long.
pub const MOMENT: Duration = Duration::from_millis(40);

/// The configuration of a row that does not say: a call that waits for a deadline waits for ever.
pub fn patient() -> Config {
    let time = 4 * PATIENCE;
    Config::default().keepalive(time, time).close_timeout(time).write_timeout(time)
}

/// How many bytes pipes hold, if a row does not say: from one that takes a byte at a time to one that takes
/// several frames.
const ROOMS: [usize; 4] = [1, 7, 61, 4096];

/// What the peer does, what the program calls, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Script {
    role: Role,
    config: Config,
    /// What was read with the end of the opening handshake. `None`: the program carries that out.
    read_ahead: Option<Vec<u8>>,
    /// The program is the handler of a server.
    server: Option<Server>,
    rooms: Vec<usize>,
    ways: Vec<Way>,
    acts: Vec<Act>,
    phases: Vec<Phase>,
    sees: Option<Vec<String>>,
    /// Other lines may stand between these.
    sees_more: bool,
    /// Any of these.
    closed: Vec<String>,
    takes: Option<Duration>,
}

/// How the program has its WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Whole,
    Split,
}

#[derive(Clone, Debug)]
enum Phase {
    /// In one hand.
    Calls(Vec<Expected>),
    /// By the sending and the receiving half, at once; by a whole WebSocket one after the other.
    Both(Vec<Expected>, Vec<Expected>),
}

impl Script {
    /// Of a WebSocket in this role.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            config: patient(),
            read_ahead: Some(Vec::new()),
            server: None,
            rooms: ROOMS.to_vec(),
            ways: vec![Way::Whole, Way::Split],
            acts: Vec::new(),
            phases: Vec::new(),
            sees: None,
            sees_more: false,
            closed: Vec::new(),
            takes: Some(Duration::ZERO),
        }
    }

    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// These bytes were read with the end of the opening handshake.
    pub fn read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.read_ahead = Some(bytes.into());
        self
    }

    /// The program has a stream, and carries out the opening handshake.
    pub fn unopened(mut self) -> Self {
        self.read_ahead = None;
        self
    }

    /// The program is the handler of a server on loopback, and `open` is its first call.
    pub fn served(server: &Server) -> Self {
        Self { server: Some(server.clone()), rooms: vec![0], ..Self::new(Role::Server).takes_its_time() }
    }

    /// Only over pipes that hold so many bytes.
    pub fn rooms(mut self, rooms: impl Into<Vec<usize>>) -> Self {
        self.rooms = rooms.into();
        self
    }

    pub fn only_whole(mut self) -> Self {
        self.ways = vec![Way::Whole];
        self
    }

    pub fn only_split(mut self) -> Self {
        self.ways = vec![Way::Split];
        self
    }

    /// What the peer does, beside reading.
    pub fn peer(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts.extend(acts);
        self
    }

    /// What the program calls, and what each call comes to.
    pub fn calls(mut self, calls: impl IntoIterator<Item = Expected>) -> Self {
        self.phases.push(Phase::Calls(calls.into_iter().collect()));
        self
    }

    /// What the halves call at once.
    pub fn both(
        mut self,
        sender: impl IntoIterator<Item = Expected>,
        receiver: impl IntoIterator<Item = Expected>,
    ) -> Self {
        self.phases.push(Phase::Both(sender.into_iter().collect(), receiver.into_iter().collect()));
        self
    }

    /// What the peer sees, frame by frame; and `end`, if the transport ends before it is dropped. What it sees
    /// only then stands behind `dropped`.
    pub fn sees<L: ToString>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.sees = Some(lines.into_iter().map(|line| line.to_string()).collect());
        self
    }

    /// What the peer sees, among other things.
    pub fn sees_among_others<L: ToString>(self, lines: impl IntoIterator<Item = L>) -> Self {
        Self { sees_more: true, ..self.sees(lines) }
    }

    /// How the connection closed: code, reason, who began, and whether it was clean.
    pub fn closed(mut self, closed: &str) -> Self {
        self.closed = vec![closed.into()];
        self
    }

    /// How it closed is a matter of luck: one of these ways.
    pub fn closed_either(mut self, closed: [&str; 2]) -> Self {
        self.closed = closed.map(String::from).to_vec();
        self
    }

    /// It takes so long; if this is not said, no time at all: who waits then has missed a wake-up. Over fewer pipes,
    /// since the blocking adapter takes that long.
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = Some(time);
        if self.rooms == ROOMS {
            self.rooms = vec![1, 4095];
        }
        self
    }

    /// How long it takes is not told.
    pub fn takes_its_time(mut self) -> Self {
        self.takes = None;
        self
    }

    /// Runs it by both adapters in every way, and compares what comes of it.
    #[track_caller]
    pub fn run(self) {
        // What is wrong, and where it is.
        let mut report = Vec::<(String, String)>::new();
        let ways = self.ways.iter().flat_map(|way| self.rooms.iter().map(move |room| (*way, *room)));
        for (way, room) in ways {
            let mut transcripts = match &self.server {
                None => [self.play::<Blocking<Wire>>(way, room), self.play::<Tokio<Wire>>(way, room)],
                Some(server) => [
                    self.serve::<Blocking<ServerStream>>(way, server),
                    self.serve::<Tokio<sansocket::tokio::ServerStream>>(way, server),
                ],
            };
            for (name, transcript) in ["blocking", "tokio"].into_iter().zip(&transcripts) {
                let faults = self.faults(transcript);
                if !faults.is_empty() {
                    note(&mut report, format!("{name} {way:?} {room}"), faults);
                }
            }
            for transcript in &mut transcripts {
                if self.closed.len() > 1 {
                    transcript.closed.clear();
                }
                if self.sees_more {
                    transcript.sees.clear();
                }
            }
            let [blocking, tokio] = &transcripts;
            if blocking != tokio && report.is_empty() {
                note(&mut report, format!("{way:?} {room}"), format!("{blocking:#?}\n{tokio:#?}"));
            }
            if transcripts.iter().any(|transcript| transcript.time.as_deref() == Some(HANGS)) {
                break;
            }
        }
        let report: Vec<_> = report.iter().map(|(place, faults)| format!("{place}:\n{faults}")).collect();
        assert!(report.is_empty(), "{:?}:\n{}", self.role, report.join("\n"));
    }

    /// What is not as it was expected.
    fn faults(&self, transcript: &Transcript) -> String {
        let mut faults = String::new();
        let expected = self.phases.iter().flat_map(|phase| match phase {
            Phase::Calls(calls) => calls.iter().collect::<Vec<_>>(),
            Phase::Both(sender, receiver) => sender.iter().chain(receiver).collect(),
        });
        for (Expected { call, line }, came) in expected.zip(&transcript.calls) {
            if came != line && line != ANY {
                let _ = writeln!(faults, "  {}: {came}, not {line}", call.name());
            }
        }
        if let Some(sees) = &self.sees
            && !self.has_seen(sees, &transcript.sees)
        {
            let _ = writeln!(faults, "  the peer saw {:?}, not {sees:?}", transcript.sees);
        }
        if !self.closed.is_empty() && !self.closed.contains(&transcript.closed) {
            let _ =
                writeln!(faults, "  it closed as {}, not {}", transcript.closed, self.closed.join(" or "));
        }
        let after: Vec<_> = transcript.after.iter().map(String::as_str).collect();
        // The others depend on how it ended; the adapters are compared.
        let refused = if transcript.closed.contains("Transport") {
            "ConnectionLost(BrokenPipe)"
        } else {
            "Send(Closing)"
        };
        let as_expected = |lines: &[&str]| {
            lines[..3].iter().all(|line| ["none", DROPPED].contains(line))
                && lines[3..8].iter().all(|line| [refused, DROPPED].contains(line))
        };
        if !after.chunks(11).all(as_expected) {
            let _ = writeln!(faults, "  after the end: {after:?}");
        }
        if let Some(time) = &transcript.time {
            let _ = writeln!(faults, "  {time}");
        }
        faults
    }

    fn has_seen(&self, expected: &[String], seen: &[String]) -> bool {
        let mut rest = seen.iter();
        let among = expected.iter().all(|line| rest.any(|seen| seen == line));
        among && (self.sees_more || expected.len() == seen.len())
    }

    fn play<A: Adapter<Stream = Wire>>(&self, way: Way, room: usize) -> Transcript {
        A::run(async {
            let stage = if self.read_ahead.is_some() { Stage::Frames } else { Stage::Head };
            let peer = Peer::new(self.role, stage, self.acts.iter().cloned());
            let (wire, control) = Wire::new(peer, room, A::now);
            let start = A::now();
            let mut program = Program::<A> { state: State::Unopened(wire), way, control: control.clone() };
            if let Some(read_ahead) = &self.read_ahead {
                program.upgrade(self.role, read_ahead, &self.config);
            }
            let (mut transcript, over) = A::with_ticks(&control, program.play(&self.phases)).await;
            transcript.time = self.takes.and_then(|takes| A::misses(over - start, takes));
            if control.hangs() {
                transcript.time = Some(HANGS.into());
            }
            transcript
        })
    }

    fn serve<A: Serves>(&self, way: Way, server: &Server) -> Transcript {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Its acts are done here.
        let mut peer = Peer::new(self.role, Stage::Head, self.acts.iter().cloned());
        let acts = std::mem::take(&mut peer.acts);
        let control = Control::new(peer, 0, A::now);
        let (came, transcripts) = mpsc::channel();
        let phases = self.phases.clone().into();
        let handler = Handler(Arc::new(Handled { phases, way, control: control.clone(), came }));
        thread::scope(|scope| {
            scope.spawn(|| act_over_tcp(acts, address, &control));
            A::serve(listener, server, &control, handler).unwrap();
        });
        let mut transcript = transcripts.recv_timeout(PATIENCE).expect("the handler has ended");
        transcript.sees = control.seen();
        transcript
    }
}

/// Notes a fault, once for all places where it is the same.
fn note(report: &mut Vec<(String, String)>, place: String, faults: String) {
    match report.iter_mut().find(|(_, known)| *known == faults) {
        Some((places, _)) => *places = format!("{places}, {place}"),
        None => report.push((place, faults)),
    }
}

/// What a server's handler does.
#[derive(Clone)]
pub struct Handler(Arc<Handled>);

struct Handled {
    phases: Box<[Phase]>,
    way: Way,
    control: Control,
    /// Where its transcript goes.
    came: mpsc::Sender<Transcript>,
}

impl Handler {
    pub async fn handle<A: Adapter>(self, pending: A::Pending) {
        let Handled { phases, way, control, came } = &*self.0;
        let program = Program::<A> { state: State::Pending(pending), way: *way, control: control.clone() };
        let _ = came.send(program.play(phases).await.0);
    }
}

/// Does what the peer is to do, over a socket.
fn act_over_tcp(acts: impl IntoIterator<Item = Act>, address: SocketAddr, control: &Control) {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    // What is sent is there when the next act begins.
    tcp.set_nodelay(true).unwrap();
    let read = |mut tcp: &TcpStream| {
        let mut bytes = vec![0; 64 << 10];
        match tcp.read(&mut bytes) {
            Ok(0) | Err(_) => control.peer(Peer::read_end),
            Ok(len) => control.peer(|peer| peer.read(&bytes[..len])),
        }
    };
    tcp.write_all(REQUEST.as_bytes()).unwrap();
    for act in acts {
        match act {
            Act::Raw(bytes) => tcp.write_all(&bytes).unwrap(),
            Act::Until(line) => {
                while !control.peer(|peer| peer.awaits(line) || peer.has_seen("end")) {
                    read(&tcp);
                }
            }
            Act::Hear(what) => control.until_told(what),
            Act::Tell(what) => control.tell(what),
            Act::Wait(time) => thread::sleep(time),
            Act::End => tcp.shutdown(Shutdown::Write).unwrap(),
            Act::Stop => {
                control.tell("stop");
                let start = Instant::now();
                while TcpStream::connect(address).is_ok() {
                    assert!(start.elapsed() < PATIENCE, "the server does not stop");
                    thread::yield_now();
                }
                control.tell("stopped");
            }
            act => panic!("not over a socket: {act:?}"),
        }
    }
    while !control.peer(|peer| peer.has_seen("end")) {
        read(&tcp);
    }
    control.tell("stop");
}

/// A client's request.
pub const REQUEST: &str = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const HANGS: &str = "it hangs";

/// What a call of a half comes to that was dropped.
const DROPPED: &str = "it was dropped";

/// What came of a script.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Transcript {
    calls: Vec<String>,
    sees: Vec<String>,
    closed: String,
    /// What calls after the end come to.
    after: Vec<String>,
    /// What is wrong with the time it took.
    time: Option<String>,
}

/// The program, and how far it has come.
struct Program<A: Adapter> {
    state: State<A>,
    way: Way,
    control: Control,
}

enum State<A: Adapter> {
    Unopened(A::Stream),
    Pending(A::Pending),
    Whole(A::Whole),
    Split(Option<A::Sender>, Option<A::Receiver>),
    Bytes(A::Bytes),
    Over,
}

impl<A: Adapter> Program<A> {
    fn upgrade(&mut self, role: Role, read_ahead: &[u8], config: &Config) {
        if let State::Unopened(io) = std::mem::replace(&mut self.state, State::Over) {
            self.open(A::upgraded(io, role, read_ahead, config));
        }
    }

    fn open(&mut self, ws: A::Whole) {
        self.state = match self.way {
            Way::Whole => State::Whole(ws),
            Way::Split => {
                let (sender, receiver) = A::split(ws);
                State::Split(Some(sender), Some(receiver))
            }
        };
    }

    /// What came of it, and when the program was over.
    async fn play(mut self, phases: &[Phase]) -> (Transcript, Instant) {
        let mut calls = Vec::new();
        for phase in phases {
            match phase {
                Phase::Calls(phase) => calls.extend(self.calls(phase).await),
                Phase::Both(sender, receiver) => calls.extend(self.both(sender, receiver).await),
            }
        }
        if let State::Bytes(_) = &self.state {
            self.call(&Call::IntoParts).await;
        }
        let closed = match &self.state {
            State::Whole(ws) => lines::closed(ws.closed()),
            State::Split(_, Some(receiver)) => lines::closed(receiver.closed()),
            State::Split(Some(sender), None) => lines::closed(sender.ended()),
            _ => DROPPED.into(),
        };
        let mut after = Vec::new();
        if ![DROPPED, "not closed"].contains(&&*closed) {
            // What is over is over for ever.
            for call in [after_the_end(), after_the_end()].concat() {
                after.push(self.call(&call).await);
            }
        }
        let mut sees = self.control.seen();
        let before = sees.len();
        let over = A::now();
        self.state = State::Over;
        self.settle().await;
        let left = self.control.seen().split_off(before);
        if left.iter().any(|line| line != "end") {
            sees.push("dropped".into());
            sees.extend(left);
        }
        (Transcript { calls, sees, closed, after, time: None }, over)
    }

    /// Waits until all was dropped: what was left to be written may be written first.
    async fn settle(&self) {
        let start = Instant::now();
        let mut pauses = 0;
        while !self.control.is_dropped() && start.elapsed() < PATIENCE {
            pauses += 1;
            if pauses < 100 {
                A::pause().await;
            } else {
                // What is left to be done waits for a time.
                A::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    async fn calls(&mut self, calls: &[Expected]) -> Vec<String> {
        let mut lines = Vec::new();
        for Expected { call, .. } in calls {
            lines.push(self.call(call).await);
        }
        lines
    }

    async fn both(&mut self, sender: &[Expected], receiver: &[Expected]) -> Vec<String> {
        match &mut self.state {
            State::Split(Some(sending), Some(receiving)) => {
                let one = Hand { half: Half::Sender(sending), calls: sender, control: &self.control };
                let other = Hand { half: Half::Receiver(receiving), calls: receiver, control: &self.control };
                A::both(one, other).await.concat()
            }
            _ => [self.calls(sender).await, self.calls(receiver).await].concat(),
        }
    }

    async fn call(&mut self, call: &Call) -> String {
        if let Some(line) = look::<A>(&self.control, call).await {
            return line;
        }
        match (call, std::mem::replace(&mut self.state, State::Over)) {
            (Call::Connect(client), State::Unopened(wire)) => match A::connect(wire, client.clone()).await {
                Ok(ws) => self.open(ws),
                Err(error) => return lines::error(&error),
            },
            (Call::Accept(server), State::Unopened(wire)) => match A::accept(wire, server).await {
                Ok(pending) => self.state = State::Pending(pending),
                Err(error) => return lines::error(&error),
            },
            (Call::Configure(config), State::Pending(mut pending)) => {
                pending.set_config(config.clone());
                self.state = State::Pending(pending);
            }
            (Call::Open, State::Pending(pending)) => match A::open(pending).await {
                Ok(ws) => self.open(ws),
                Err(error) => return lines::error(&error),
            },
            (Call::Respond(reply), State::Pending(pending)) => {
                return lines::done(A::respond(pending, reply).await);
            }
            (Call::Reject(status, text), State::Pending(pending)) => {
                return lines::done(A::reject(pending, *status, text).await);
            }
            (Call::Reunite, State::Split(Some(sender), Some(receiver))) => self.reunite(sender, receiver),
            (Call::Reunite, State::Whole(ws)) => {
                let (sender, receiver) = A::split(ws);
                self.reunite(sender, receiver);
            }
            (Call::Split, State::Whole(ws)) => {
                let (sender, receiver) = A::split(ws);
                self.state = State::Split(Some(sender), Some(receiver));
            }
            (Call::ByteStream(takes_text), State::Whole(ws)) => {
                self.state = State::Bytes(A::byte_stream(ws, *takes_text));
            }
            (Call::IntoParts, State::Bytes(bytes)) => {
                let (ws, unread) = A::into_parts(bytes);
                self.state = State::Whole(ws);
                return lines::payload(&unread);
            }
            (Call::ReadBody(limit), State::Pending(pending)) => match A::read_body(pending, *limit).await {
                Ok((pending, body)) => {
                    self.state = State::Pending(pending);
                    return lines::payload(&body);
                }
                Err(error) => return lines::error(&error),
            },
            (Call::HandOver, State::Pending(pending)) => {
                return lines::payload(&A::hand_over(pending).read);
            }
            (Call::DropAll, state) => {
                drop(state);
                self.settle().await;
            }
            (_, state) => {
                self.state = state;
                return self.call_open(call).await;
            }
        }
        "ok".into()
    }

    fn reunite(&mut self, sender: A::Sender, receiver: A::Receiver) {
        let ws = A::reunite(sender, receiver).unwrap_or_else(|_| panic!("they are of one connection"));
        self.state = State::Whole(ws);
    }

    async fn call_open(&mut self, call: &Call) -> String {
        if matches!(call, Call::Agreed) {
            let all = match &self.state {
                State::Whole(ws) => [Some(ws.agreed()), Some(ws.terms())],
                State::Split(sender, receiver) => {
                    [sender.as_ref().map(Sends::terms), receiver.as_ref().map(Receives::agreed)]
                }
                _ => [None; 2],
            };
            let mut all = all.into_iter().flatten().map(lines::agreed).collect::<Vec<_>>();
            all.dedup();
            return all.join(" or ");
        }
        if let Call::SendOn(until) = call {
            return match &mut self.state {
                State::Whole(ws) => send_on::<A>(ws, &self.control, *until).await,
                State::Split(Some(sender), _) => send_on::<A>(sender, &self.control, *until).await,
                _ => DROPPED.into(),
            };
        }
        let line = match &mut self.state {
            State::Whole(ws) => match (call, receive(ws, call).await) {
                (Call::Write(kind, chunks), _) => Some(match A::write(ws, *kind, chunks).await {
                    Ok(()) => "ok".into(),
                    Err(error) => error
                        .downcast::<Error>()
                        .map_or_else(|error| error.to_string(), |error| lines::error(&error)),
                }),
                (_, None) => transmit(ws, call).await,
                (_, line) => line,
            },
            State::Split(sender, receiver) => match (call, sender, receiver) {
                (Call::DropSender, sender, _) => sender.take().map(|_| "ok".into()),
                (Call::DropReceiver, _, receiver) => receiver.take().map(|_| "ok".into()),
                (Call::Close(..), Some(sender), receiver) => {
                    let line = transmit(sender, call).await;
                    match receiver {
                        Some(receiver) if line.as_deref() == Some("ok") => {
                            Some(until_the_end(receiver).await)
                        }
                        _ => line,
                    }
                }
                (call, sender, receiver) => {
                    let line = match receiver {
                        Some(receiver) => receive(receiver, call).await,
                        None => None,
                    };
                    match (line, sender) {
                        (None, Some(sender)) => transmit(sender, call).await,
                        (line, _) => line,
                    }
                }
            },
            State::Bytes(bytes) => call_bytes::<A>(bytes, call).await,
            _ => None,
        };
        line.unwrap_or_else(|| DROPPED.into())
    }
}

/// Makes a call of a stream of bytes; `None` if it is no such call.
async fn call_bytes<A: Adapter>(bytes: &mut A::Bytes, call: &Call) -> Option<String> {
    let result = match call {
        Call::Read(len) => read_up_to::<A>(bytes, *len).await.map(|read| lines::payload(&read)),
        Call::WriteBytes(buf) => match A::write_bytes(bytes, buf).await {
            Ok(len) => A::flush_bytes(bytes).await.map(|()| len.to_string()),
            Err(error) => Err(error),
        },
        Call::ShutDown => A::shut_down(bytes).await.map(|()| "ok".into()),
        Call::Close(..) => A::close_bytes(bytes).await.map(|()| "ok".into()),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        let kind = error.kind();
        let below =
            error.downcast::<Error>().map_or_else(|other| other.to_string(), |error| lines::error(&error));
        format!("{kind:?}: {below}")
    }))
}

/// Reads until there are so many bytes, or no more.
async fn read_up_to<A: Adapter>(bytes: &mut A::Bytes, len: usize) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < len {
        let read = A::read(bytes, len - all.len()).await?;
        if read.is_empty() {
            break;
        }
        all.extend(read);
    }
    Ok(all)
}

/// Receives what a whole WebSocket's `close` does.
async fn until_the_end(receiver: &mut impl Receives) -> String {
    loop {
        match receiver.recv_part().await {
            Ok(Some(_)) => {}
            result => return lines::done(result),
        }
    }
}

/// Sends now and then, and nothing else.
async fn send_on<A: Adapter>(half: &mut impl Sends, control: &Control, until: Until) -> String {
    // In fewer steps than the peer may take.
    for _ in 0..PATIENCE.as_millis() / PACE.as_millis() {
        let result = half.send(TICK.into()).await;
        match (until, result) {
            (Until::Closed, _) if half.ended().is_some() => return "ok".into(),
            (Until::Closed, _) => {}
            (_, Err(error)) => return lines::error(&error),
            (Until::Told(what), Ok(())) if control.is_told(what) => return "ok".into(),
            (Until::Told(_) | Until::Fails, Ok(())) => {}
        }
        A::sleep(PACE).await;
    }
    "it went on for too long".into()
}

/// The time between two messages.
const PACE: Duration = Duration::from_millis(20);

/// A call that is none of the WebSocket's.
async fn look<A: Adapter>(control: &Control, call: &Call) -> Option<String> {
    match call {
        Call::Seen => Some(control.seen().join(", ")),
        Call::Writes => Some(control.writes().to_string()),
        Call::Tell(what) => {
            control.tell(what);
            Some("ok".into())
        }
        Call::Hear(what) => {
            A::until_told(control, what).await;
            Some("ok".into())
        }
        Call::Pause(time) => {
            A::sleep(*time).await;
            Some("ok".into())
        }
        _ => None,
    }
}

/// One of two halves that are used at once.
pub struct Hand<'a, A: Adapter> {
    half: Half<'a, A>,
    calls: &'a [Expected],
    control: &'a Control,
}

enum Half<'a, A: Adapter> {
    Sender(&'a mut A::Sender),
    Receiver(&'a mut A::Receiver),
}

impl<A: Adapter> Hand<'_, A> {
    /// Makes its calls.
    pub async fn run(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for Expected { call, .. } in self.calls {
            let line = match (look::<A>(self.control, call).await, call, &mut self.half) {
                (Some(line), ..) => Some(line),
                (None, Call::SendOn(until), Half::Sender(sender)) => {
                    Some(send_on::<A>(*sender, self.control, *until).await)
                }
                (None, _, half) => match half {
                    Half::Sender(sender) => transmit(*sender, call).await,
                    Half::Receiver(receiver) => receive(*receiver, call).await,
                },
            };
            lines.push(line.unwrap_or_else(|| DROPPED.into()));
        }
        lines
    }
}

fn after_the_end() -> Vec<Call> {
    use crate::calls::{
        close, feed, flush, ping, pong, recv, recv_incoming, recv_part, send, start_close, try_feed,
    };
    vec![
        recv(),
        recv_part(),
        recv_incoming(),
        send("x"),
        feed("x"),
        try_feed("x"),
        ping("x"),
        pong("x"),
        flush(),
        start_close(1000, ""),
        close(1000, ""),
    ]
}
