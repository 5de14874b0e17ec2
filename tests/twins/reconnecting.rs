//! Clients that connect again: what they receive over several connections, what is told of each end, and what becomes of
//! what was sent. Each row has a peer for each connection, or an error for an attempt.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket::handshake::Accept;
use sansocket::reconnect::{Attempt, Ended, Event, Policy};
use sansocket::{Client, CloseCode, Error, Message, Queued, Role};
use sansocket::{blocking, tokio as asynchronous};

use crate::adapter::{Adapter, Blocking, Tokio};
use crate::lines;
use crate::peer::{
    Act, Peer, Stage, answers, closes, fails_writes, goes, hears, holds, leaves, raw, resets, says, sends,
    until,
};
use crate::script::{MOMENT, patient};
use crate::wire::{Control, Wire};

/// What there is at the other end of an attempt.
#[derive(Clone, Debug)]
enum There {
    Peer(Vec<Act>),
    /// Nobody.
    Nobody(ErrorKind),
}

/// A server that accepts, and does this.
fn opens(acts: impl IntoIterator<Item = Act>) -> There {
    There::Peer([answers(Accept::new())].into_iter().chain(acts).collect())
}

/// A server that answers with this status.
fn refuses(status: &str) -> There {
    There::Peer(vec![until("GET"), raw(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))])
}

fn nobody() -> There {
    There::Nobody(ErrorKind::ConnectionRefused)
}

/// What a program calls.
#[derive(Clone, Debug)]
enum Call {
    Recv,
    RecvEvent,
    Send(Message),
    /// On the WebSocket that is open.
    Feed(Message),
    StartClose(u16),
    Close(u16),
    State,
    Closed,
    Unwritten,
    Tell(&'static str),
    /// What the peer of this attempt has seen.
    Seen(usize),
    /// What was told to each attempt.
    Attempts,
}

/// A row.
struct Row {
    there: Vec<There>,
    policy: Policy,
    room: usize,
    calls: Vec<(Call, String)>,
}

fn row(there: impl IntoIterator<Item = There>) -> Row {
    let policy = Policy::default().delays(MOMENT / 4, MOMENT / 4);
    Row { there: there.into_iter().collect(), policy, room: 4096, calls: Vec::new() }
}

impl Row {
    fn policy(self, policy: impl FnOnce(Policy) -> Policy) -> Self {
        Self { policy: policy(self.policy), ..self }
    }

    fn room(self, room: usize) -> Self {
        Self { room, ..self }
    }

    fn calls<L: Into<String>>(mut self, calls: impl IntoIterator<Item = (Call, L)>) -> Self {
        self.calls.extend(calls.into_iter().map(|(call, line)| (call, line.into())));
        self
    }

    #[track_caller]
    fn run(self) {
        let expected: Vec<_> = self.calls.iter().map(|(_, line)| line.clone()).collect();
        assert_eq!(self.play::<Blocking<Wire>>(), expected, "blocking");
        assert_eq!(self.play::<Tokio<Wire>>(), expected, "tokio");
    }

    fn play<A: Redials>(&self) -> Vec<String> {
        A::run(async {
            let opener = Opener {
                there: Arc::new(Mutex::new(self.there.clone().into())),
                room: self.room,
                ..Opener::default()
            };
            let mut client = A::reconnect_with(&self.policy, opener.clone());
            let mut came = Vec::new();
            for (call, _) in &self.calls {
                let control = |n: usize| opener.controls.lock().unwrap()[n].clone();
                came.push(match call {
                    Call::Tell(what) => {
                        opener.controls.lock().unwrap().last().unwrap().tell(what);
                        "ok".into()
                    }
                    Call::Seen(n) => control(*n).seen().join(", "),
                    Call::Attempts => opener.attempts.lock().unwrap().join(", "),
                    call => client.call(call).await,
                });
            }
            assert!(!opener.controls.lock().unwrap().iter().any(Control::hangs), "it hangs");
            came
        })
    }
}

/// Opens connections to those who are there.
#[derive(Clone, Default)]
struct Opener {
    there: Arc<Mutex<VecDeque<There>>>,
    room: usize,
    controls: Arc<Mutex<Vec<Control>>>,
    attempts: Arc<Mutex<Vec<String>>>,
}

impl Opener {
    fn client() -> Client {
        Client::new("ws://example.com/feed").unwrap().config(patient())
    }

    fn wire<A: Adapter>(&self, attempt: &Attempt) -> Result<Wire, Error> {
        let after = attempt.lost().map_or(String::new(), |lost| format!(" after {}", how(lost.ended())));
        self.attempts.lock().unwrap().push(format!("{}{after}", attempt.number()));
        let peer = match self.there.lock().unwrap().pop_front() {
            Some(There::Peer(acts)) => Peer::new(Role::Client, Stage::Head, acts),
            Some(There::Nobody(kind)) => return Err(Error::Connect(kind.into())),
            None => return Err(Error::Connect(ErrorKind::Unsupported.into())),
        };
        let (wire, control) = Wire::new(peer, self.room, A::now);
        self.controls.lock().unwrap().push(control);
        Ok(wire)
    }
}

/// An adapter's client.
trait Calls {
    async fn call(&mut self, call: &Call) -> String;
}

trait Redials: Adapter {
    type Client: Calls;

    fn reconnect_with(policy: &Policy, opener: Opener) -> Self::Client;
}

impl Redials for Blocking<Wire> {
    type Client = blocking::Reconnecting<Wire>;

    fn reconnect_with(policy: &Policy, opener: Opener) -> Self::Client {
        blocking::reconnect_with(policy, move |attempt| {
            blocking::connect_as_is(Opener::client(), opener.wire::<Self>(&attempt)?)
        })
    }
}

impl Redials for Tokio<Wire> {
    type Client = asynchronous::Reconnecting<Wire>;

    fn reconnect_with(policy: &Policy, opener: Opener) -> Self::Client {
        asynchronous::reconnect_with(policy, move |attempt| {
            let opener = opener.clone();
            async move { asynchronous::connect_as_is(Opener::client(), opener.wire::<Self>(&attempt)?).await }
        })
    }
}

macro_rules! calls {
    ($type:ty $(, $wait:tt)?) => {
        impl Calls for $type {
            async fn call(&mut self, call: &Call) -> String {
                match call {
                    Call::Recv => lines::received(self.recv()$(.$wait)?, lines::message),
                    Call::RecvEvent => lines::received(self.recv_event()$(.$wait)?, event),
                    Call::Send(message) => lines::done(self.send(message.clone())$(.$wait)?),
                    Call::Feed(message) => match self.current() {
                        Some(ws) => lines::done(ws.feed(message.clone())$(.$wait)?),
                        None => "not open".into(),
                    },
                    Call::StartClose(code) => match self.current() {
                        Some(ws) => lines::done(ws.start_close(Some(close(*code)))),
                        None => "not open".into(),
                    },
                    Call::Close(code) => lines::done(self.close(CloseCode::new(*code), "")$(.$wait)?),
                    Call::State => format!("{:?}", self.state()),
                    Call::Closed => lines::closed(self.closed()),
                    Call::Unwritten => unwritten(self.unwritten()),
                    call => panic!("{call:?}"),
                }
            }
        }
    };
}

calls!(blocking::Reconnecting<Wire>);
calls!(asynchronous::Reconnecting<Wire>, await);

fn close(code: u16) -> sansocket::CloseFrame<'static> {
    sansocket::CloseFrame { code: CloseCode::new(code), reason: "" }
}

fn event(event: &Event) -> String {
    match event {
        Event::Open => "open".into(),
        Event::Message(message) => lines::message(message),
        Event::Lost(lost) if lost.unwritten() == Queued::default() => format!("lost: {}", how(lost.ended())),
        Event::Lost(lost) => format!("lost: {}, {}", how(lost.ended()), unwritten(lost.unwritten())),
        event => panic!("{event:?}"),
    }
}

fn how(ended: &Ended) -> String {
    match ended {
        Ended::Closed(closed) => lines::closed(Some(closed)),
        Ended::Failed(error) => lines::error(error),
    }
}

fn unwritten(queued: Queued) -> String {
    format!("{} messages, {} bytes unwritten", queued.messages, queued.bytes)
}

/// The messages of all connections come one after the other, whatever ends each.
#[test]
fn messages_over_many_connections() {
    row([
        opens([says("one"), leaves()]),
        nobody(),
        refuses("503"),
        opens([says("two"), says("three"), closes(1001, "bye"), goes()]),
        opens([resets()]),
        opens([says("four"), closes(1000, "done"), goes()]),
    ])
    .calls(["one", "two", "three", "four"].map(|text| (Call::Recv, format!("text {text:?}"))))
    .calls([
        (Call::Recv, "none"),
        (Call::Recv, "none"),
        (Call::RecvEvent, "none"),
        (Call::Closed, "1000 \"done\", Remote, clean"),
        (Call::State, "Over"),
        (Call::Send("x".into()), "Send(Closing)"),
        (Call::Close(1000), "ok"),
    ])
    .run();
}

/// Each end, and each beginning, is told, to the program and to the next attempt.
#[test]
fn events() {
    row([
        nobody(),
        refuses("401"),
        opens([says("one"), leaves()]),
        opens([closes(4000, "again"), goes()]),
        opens([resets()]),
        refuses("403"),
    ])
    .calls([
        (Call::State, "Waiting"),
        (Call::RecvEvent, "lost: Connect(Kind(ConnectionRefused))"),
        (Call::State, "Waiting"),
        (Call::RecvEvent, "lost: Refused(401, \"\")"),
        (Call::RecvEvent, "open"),
        (Call::State, "Open"),
        (Call::RecvEvent, "text \"one\""),
        (Call::RecvEvent, "lost: ConnectionLost(UnexpectedEof)"),
        (Call::Feed("x".into()), "not open"),
        (Call::RecvEvent, "open"),
        (Call::RecvEvent, "lost: 4000 \"again\", Remote, clean"),
        (Call::RecvEvent, "open"),
        (Call::RecvEvent, "lost: ConnectionLost(ConnectionReset)"),
        (Call::RecvEvent, "Refused(403, \"\")"),
        (Call::RecvEvent, "none"),
        (Call::State, "Over"),
        (Call::Closed, "4000 \"again\", Remote, clean"),
        (
            Call::Attempts,
            "1, 2 after Connect(Kind(ConnectionRefused)), 3 after Refused(401, \"\"), \
             4 after ConnectionLost(UnexpectedEof), 5 after 4000 \"again\", Remote, clean, \
             6 after ConnectionLost(ConnectionReset)",
        ),
    ])
    .run();
}

/// The error that ends it is told once.
#[test]
fn errors_that_end_it() {
    for (there, error) in [
        (vec![refuses("404")], "Refused(404, \"\")"),
        (vec![refuses("401"), refuses("401")], "Refused(401, \"\")"),
        (vec![There::Nobody(ErrorKind::Unsupported)], "Connect(Kind(Unsupported))"),
        (vec![nobody(), opens([sends(0x83, ""), until("close"), goes()])], "Protocol(ReservedOpcode(3))"),
    ] {
        row(there)
            .calls([
                (Call::Recv, error),
                (Call::Recv, "none"),
                (Call::State, "Over"),
                (Call::Closed, "not closed"),
            ])
            .run();
    }
    // The last of so many; one that was opened, and did not last, counts.
    row([nobody(), opens([closes(1001, ""), goes()]), refuses("503")])
        .policy(|policy| policy.max_attempts(3))
        .calls([(Call::Recv, "Refused(503, \"\")"), (Call::Recv, "none")])
        .run();
    row([nobody(), opens([closes(1013, ""), goes()])])
        .policy(|policy| policy.max_attempts(2))
        .calls([(Call::Recv, "none"), (Call::Closed, "1013 \"\", Remote, clean")])
        .run();
    // Those that lasted do not.
    row([nobody(), opens([leaves()]), opens([leaves()]), opens([leaves()]), nobody(), nobody()])
        .policy(|policy| policy.max_attempts(2).reset_after(Duration::ZERO))
        .calls([(Call::Recv, "Connect(Kind(ConnectionRefused))")])
        .run();
}

/// What is sent while no connection is open waits for the next; the events meanwhile are told later.
#[test]
fn sending_waits_for_a_connection() {
    row([nobody(), refuses("503"), opens([until("text \"a\""), says("answer"), leaves()]), opens([])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Seen(1), "GET /feed HTTP/1.1, text \"a\""),
            (Call::State, "Open"),
            (Call::RecvEvent, "lost: Refused(503, \"\")"),
            (Call::RecvEvent, "open"),
            (Call::RecvEvent, "text \"answer\""),
            (Call::RecvEvent, "lost: ConnectionLost(UnexpectedEof)"),
            (Call::Send("b".into()), "ok"),
            (Call::Seen(2), "GET /feed HTTP/1.1, text \"b\""),
            (Call::RecvEvent, "open"),
        ])
        .run();
    row([nobody(), refuses("404")])
        .calls([
            (Call::Send("a".into()), "Refused(404, \"\")"),
            (Call::Send("a".into()), "Send(Closing)"),
            (Call::Recv, "none"),
        ])
        .run();
}

/// A program that only sends goes on to the next connection, too, and all that happened is told when it asks; but no further
/// than what it has still to receive.
#[test]
fn a_program_that_only_sends() {
    let counted = "1 messages, 7 bytes unwritten";
    row([
        opens([until("text \"a\""), leaves()]),
        nobody(),
        opens([until("text \"c\""), leaves()]),
        opens([]),
    ])
    .calls([
        (Call::Send("a".into()), "ok"),
        // Nobody has noticed.
        (Call::Send("b".into()), "ok"),
        (Call::Send("c".into()), "ok"),
        (Call::Seen(1), "GET /feed HTTP/1.1, text \"c\""),
        (Call::Unwritten, counted),
        (Call::Send("d".into()), "ok"),
        (Call::Send("e".into()), "ok"),
        (Call::Seen(2), "GET /feed HTTP/1.1, text \"e\""),
        (Call::RecvEvent, "lost: ConnectionLost(UnexpectedEof), 2 messages, 14 bytes unwritten"),
        (Call::RecvEvent, "open"),
        (Call::Unwritten, "2 messages, 14 bytes unwritten"),
    ])
    .run();
    row([opens([says("one"), says("two"), until("text \"a\""), leaves()]), opens([])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Send("b".into()), "ok"),
            (Call::Send("c".into()), "ok"),
            (Call::Send("d".into()), "ok"),
            (Call::RecvEvent, "open"),
            (Call::RecvEvent, "text \"one\""),
            (Call::Send("e".into()), "ok"),
            (Call::RecvEvent, "text \"two\""),
            (Call::RecvEvent, "lost: ConnectionLost(UnexpectedEof), 4 messages, 7 bytes unwritten"),
            (Call::RecvEvent, "open"),
        ])
        .run();
    row([opens([until("text \"a\""), closes(1000, ""), leaves()])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Send("b".into()), "ok"),
            (Call::Send("c".into()), "Send(Closing)"),
            (Call::Unwritten, counted),
            (Call::Recv, "none"),
        ])
        .run();
}

/// What was sent, and not written when the connection was lost, is counted, whether it was queued or not; none of it is
/// sent over the next. What was received before is not lost.
#[test]
fn what_was_not_written_is_told() {
    let breaks = [fails_writes(12, ErrorKind::BrokenPipe), says("two"), hears("seen"), resets()];
    row([opens([says("one"), until("text \"a\"")].into_iter().chain(breaks)), opens([])])
        .calls([
            (Call::Recv, "text \"one\""),
            (Call::Send("a".into()), "ok"),
            // The frame is cut: 12 bytes of 18 are written.
            (Call::Send("0123456789ab".into()), "ok"),
            (Call::Send("not taken".into()), "ok"),
            // This call tells for itself.
            (Call::Feed("told".into()), "ConnectionLost(BrokenPipe)"),
            (Call::Unwritten, "0 messages, 0 bytes unwritten"),
            (Call::State, "Closing"),
            (Call::RecvEvent, "text \"two\""),
            (Call::State, "Closing"),
            (Call::Tell("seen"), "ok"),
            (Call::RecvEvent, "lost: ConnectionLost(ConnectionReset), 2 messages, 6 bytes unwritten"),
            (Call::RecvEvent, "open"),
            (Call::Send("next".into()), "ok"),
            (Call::Seen(1), "GET /feed HTTP/1.1, text \"next\""),
            (Call::Unwritten, "2 messages, 6 bytes unwritten"),
        ])
        .run();
    // Left in the queue by the program, when the server closed: it may have read no more.
    row([opens([says("one"), holds(), hears("fed"), closes(1001, ""), leaves()]), nobody(), opens([])])
        .room(7)
        .calls([
            (Call::Recv, "text \"one\""),
            (Call::Feed("0123456789".into()), "ok"),
            (Call::Feed("0123456789".into()), "ok"),
            (Call::Tell("fed"), "ok"),
            (Call::Send("refused".into()), "ok"),
            (Call::RecvEvent, "lost: 1001 \"\", Remote, not clean, 3 messages, 45 bytes unwritten"),
            (Call::RecvEvent, "lost: Connect(Kind(ConnectionRefused))"),
            (Call::RecvEvent, "open"),
            (Call::Unwritten, "3 messages, 45 bytes unwritten"),
        ])
        .run();
}

/// What may not be sent is the caller's fault, and changes nothing.
#[test]
fn what_may_not_be_sent() {
    row([opens([until("close"), closes(1000, ""), goes()])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Close(1005), "Send(InvalidCloseCode(CloseCode(1005)))"),
            (Call::State, "Open"),
            (Call::Send("b".into()), "ok"),
            (Call::Close(1000), "ok"),
            (Call::Seen(0), "GET /feed HTTP/1.1, text \"a\", text \"b\", close 1000 \"\", end"),
        ])
        .run();
}

/// Closed by the program, it is over, wherever it was.
#[test]
fn closing() {
    row([opens([says("unread"), until("close"), says("late"), closes(1000, ""), goes()])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Close(1000), "ok"),
            (Call::State, "Over"),
            (Call::Closed, "1000 \"\", Local, clean"),
            (Call::Recv, "none"),
            (Call::Send("b".into()), "Send(Closing)"),
        ])
        .run();
    for before in [vec![], vec![(Call::RecvEvent, "lost: Connect(Kind(ConnectionRefused))")]] {
        row([nobody(), opens([])])
            .calls(before)
            .calls([
                (Call::Close(1000), "ok"),
                (Call::State, "Over"),
                (Call::Closed, "not closed"),
                (Call::Recv, "none"),
                (Call::Send("b".into()), "Send(Closing)"),
            ])
            .run();
    }
    // A connection that takes nothing any more.
    row([
        opens([until("text \"a\""), fails_writes(0, ErrorKind::BrokenPipe), hears("seen"), resets()]),
        opens([]),
    ])
    .calls([
        (Call::Send("a".into()), "ok"),
        (Call::Send("b".into()), "ok"),
        (Call::Tell("seen"), "ok"),
        (Call::Close(1000), "ConnectionLost(ConnectionReset)"),
        (Call::State, "Over"),
        (Call::Recv, "none"),
    ])
    .run();
    // A server that gives up first: it was to end anyway.
    row([opens([until("close"), resets()]), opens([])])
        .calls([
            (Call::Send("a".into()), "ok"),
            (Call::Close(1001), "ConnectionLost(ConnectionReset)"),
            (Call::State, "Over"),
            (Call::Recv, "none"),
        ])
        .run();
}

/// A connection that the program closes itself has ended like any other.
#[test]
fn closing_what_is_open() {
    row([opens([until("close"), closes(1001, ""), goes()]), opens([says("two")])])
        .calls([
            (Call::RecvEvent, "open"),
            (Call::StartClose(1001), "ok"),
            // It goes over the next.
            (Call::Send("a".into()), "ok"),
            (Call::Seen(1), "GET /feed HTTP/1.1, text \"a\""),
            (Call::RecvEvent, "lost: 1001 \"\", Local, clean"),
            (Call::RecvEvent, "open"),
            (Call::RecvEvent, "text \"two\""),
        ])
        .run();
}

/// Many connections that come to nothing leave nothing behind: the events of attempts while it sends are one.
#[test]
fn a_server_that_closes_at_once() {
    let closing = || opens([closes(1013, ""), goes()]);
    let many = (0..20).map(|n| if n % 2 == 0 { nobody() } else { closing() });
    row(many.chain([opens([closes(1000, ""), goes()])]))
        .policy(|policy| policy.delays(Duration::ZERO, Duration::ZERO))
        .calls([(Call::Recv, "none"), (Call::Closed, "1000 \"\", Remote, clean")])
        .run();
}
