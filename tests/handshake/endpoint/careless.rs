//! Programs that do not keep to the rule of use, and calls in any order.

use std::io::ErrorKind;
use std::time::Instant;

use proptest::prelude::*;
use sansocket::handshake::Reply;
use sansocket::{Config, Endpoint, Error, Message, Role, SendError, Server};

use super::pipe::Pipe;
use super::program::{Lone, Pair, Program, REQUEST, World, client};
use crate::common::{ROLES, TEXT, close_frame, frame, pseudo_random, secs, start};

/// Before there is a connection, and after it, nothing can be sent. Nothing else comes of it.
#[test]
fn calls_out_of_season() {
    fn nothing_can_be_sent(program: &mut Program, now: Instant) {
        let endpoint = &mut program.endpoint;
        assert!(
            matches!(endpoint.send("x"), Err(Error::ConnectionLost(error)) if error.kind() == ErrorKind::NotConnected)
        );
        assert!(endpoint.ping(b"").is_err());
        assert!(endpoint.close(None, now).is_err());
        assert_eq!(endpoint.queued().bytes, 0);
        assert!(endpoint.negotiated().is_none());
    }
    let mut pair = Pair::new(4096, &client(), &Server::default());
    pair.server.accepts = false;
    let now = pair.now;
    for program in pair.both() {
        nothing_can_be_sent(program, now);
        program.endpoint.accept(now);
        program.endpoint.respond(Reply::new(404).unwrap(), now);
    }
    pair.settle();
    nothing_can_be_sent(&mut pair.server, now);
    nothing_can_be_sent(&mut pair.client, now);
    pair.server.endpoint.accept(pair.now);
    pair.server.endpoint.accept(pair.now);
    pair.server.endpoint.respond(Reply::new(404).unwrap(), pair.now);
    pair.settle();
    assert_eq!(pair.client.events, ["open"]);
    pair.server.endpoint.accept(pair.now);
    pair.server.endpoint.respond(Reply::new(404).unwrap(), pair.now);
    pair.server.endpoint.close(None, pair.now).unwrap();
    assert!(matches!(pair.server.endpoint.send("x"), Err(Error::Send(SendError::Closing))));
    assert_eq!(pair.run(), secs(0));
    for program in pair.both() {
        assert!(program.endpoint.send("x").is_err());
        assert!(program.endpoint.ping(b"").is_err());
        assert!(program.endpoint.close(None, now).is_ok());
    }
}

/// After the end nothing happens any more, whatever is called; a program that does not leave its loop at `Over` comes
/// out of it all the same.
#[test]
fn after_the_end() {
    for role in ROLES {
        for clean in [true, false] {
            let mut lone = Lone::open(role, 4096, &Config::default());
            if clean {
                lone.send(close_frame(role, 1000, ""));
            }
            lone.ends = true;
            lone.settle();
            assert!(lone.program.over);
            assert_eq!(lone.program.events.last().unwrap() == "over", clean);
            let closed = lone.program.closed();
            lone.program.over = false;
            lone.program.events.clear();
            let seen = lone.seen.len();
            let mut other = Lone::open(role, 4096, &Config::default());
            other.send_frame(TEXT, "for another");
            other.act();
            for _ in 0..3 {
                // Another stream has something to read, and would take something.
                lone.program.endpoint.read_from(&mut other.to, lone.now);
                while lone.program.next_event(lone.now) {}
                let mut written = Vec::new();
                let _ = lone.program.endpoint.send("x");
                lone.program.endpoint.write_to(&mut written, lone.now);
                lone.program.endpoint.handle_timeout(lone.now + secs(1000));
                assert!(written.is_empty());
                lone.program.over = false;
            }
            // After an error that it is over is told once more.
            assert_eq!(lone.program.events, ["over"][..usize::from(!clean)]);
            assert_eq!(lone.program.endpoint.due(), None);
            assert_eq!((lone.program.closed(), lone.seen.len()), (closed, seen));
        }
    }
    // The same without a connection.
    let mut lone = Lone::client(4096, &client());
    lone.ends = true;
    lone.settle();
    lone.program.over = false;
    lone.program.events.clear();
    while lone.program.next_event(lone.now) {}
    lone.program.over = false;
    while lone.program.next_event(lone.now) {}
    assert_eq!(lone.program.events, ["over"]);
    assert_eq!(lone.program.endpoint.due(), None);
}

/// Who reads again and again, and looks at nothing, gets no more than in one round: the rest stays in the stream.
#[test]
fn events_that_are_not_looked_at() {
    for role in ROLES {
        let mut lone = Lone::open(role, 8 << 20, &Config::default());
        let frames = frame(role, TEXT, b"again").repeat(100_000);
        lone.send(&frames);
        lone.act();
        let before = lone.to.moved();
        for _ in 0..1000 {
            lone.program.endpoint.read_from(&mut lone.to, lone.now);
        }
        assert!(lone.to.moved() - before < 100);
        assert_eq!(lone.program.endpoint.due(), Some(lone.now));
        let mut messages = 0;
        while lone.program.next_event(lone.now) {
            messages += 1;
        }
        assert!(messages < 50_000, "{messages}");
        lone.settle();
        assert_eq!(lone.program.messages.len(), 100_000);
    }
}

/// Who takes one event in each round gets them all, in order.
#[test]
fn one_event_in_each_round() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        for i in 0..100 {
            lone.send_frame(TEXT, i.to_string());
        }
        lone.send(close_frame(role, 1000, ""));
        lone.ends = true;
        lone.act();
        // Of these an edge has told; of all that follows, `due` does.
        for round in 0..110 {
            let due = lone.program.endpoint.due();
            assert!(round == 0 || due <= Some(lone.now), "forgotten in round {round}");
            lone.program.endpoint.read_from(&mut lone.to, lone.now);
            lone.program.next_event(lone.now);
            if lone.program.over {
                break;
            }
            lone.program.endpoint.write_to(&mut lone.from, lone.now);
        }
        assert!(lone.program.over);
        assert_eq!(lone.program.messages.len(), 100);
        assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
    }
}

/// A subprotocol that was not offered is the program's fault: nothing is accepted.
#[test]
fn a_subprotocol_that_was_not_offered() {
    let mut lone = Lone::server(4096, &Server::default());
    lone.program.accepts = false;
    lone.send(REQUEST);
    lone.settle();
    lone.program.endpoint.request().unwrap().subprotocol("unoffered");
    lone.program.endpoint.accept(lone.now);
    lone.settle();
    lone.ends = true;
    lone.settle();
    assert_eq!(lone.seen, b"");
    let told = lone.program.events.last().unwrap();
    assert!(told.starts_with("Build("), "{told}");
}

/// What is in messages and heads stays out of logs.
#[test]
fn debug_tells_no_secrets() {
    #[track_caller]
    fn tells_nothing(lone: &Lone) {
        let debug = format!("{:?}", lone.program.endpoint);
        // As text, and as bytes.
        assert!(
            debug.len() < 3000 && !debug.contains("secret") && !debug.contains("115, 101, 99"),
            "{debug}"
        );
    }
    tells_nothing(&Lone::client(1, &client().header("Authorization", "secret").unwrap()));
    let mut lone = Lone::server(1, &Server::default());
    lone.program.accepts = false;
    lone.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: secret");
    lone.settle();
    tells_nothing(&lone);
    lone.send("\r\n\r\n");
    lone.settle();
    tells_nothing(&lone);
    let mut lone = Lone::open(Role::Server, 10, &Config::default().write_buffer_size(20));
    lone.program.echoes = true;
    lone.reads = false;
    for _ in 0..9 {
        lone.send_frame(TEXT, "the secret of a message");
    }
    lone.settle();
    tells_nothing(&lone);
}

/// Time that does not go on does no harm.
#[test]
fn the_clock_stands_still() {
    let (now, config) = (start(), Config::default());
    let mut server = Endpoint::server(&Server::default().config(config), now);
    for then in [secs(5), secs(1), secs(3), secs(0)] {
        server.handle_timeout(now + then);
        assert!(matches!(server.next_event(), Ok(None)));
    }
}

/// A call out of its turn.
#[derive(Clone, Debug)]
enum Call {
    Timeout,
    Read,
    Event,
    Write,
    Send(usize),
    Ping,
}

fn calls() -> impl Strategy<Value = Vec<(bool, Call)>> {
    let call = prop_oneof![
        Just(Call::Timeout),
        Just(Call::Read),
        Just(Call::Event),
        Just(Call::Write),
        (0..1500_usize).prop_map(Call::Send),
        Just(Call::Ping),
    ];
    prop::collection::vec((any::<bool>(), call), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the calls are mixed, nothing that was sent is lost or changes places, and both ends close cleanly when
    /// they keep to the rule at last.
    #[test]
    fn calls_in_any_order(
        room in prop_oneof![Just(1), Just(7), 2..5000_usize],
        both_send in any::<bool>(),
        calls in calls(),
    ) {
        // Two that answer each other with more than this would wait for each other.
        let config = Config::default().write_buffer_size(if both_send { 1 << 20 } else { 2000 });
        let mut pair = Pair::open(room, &config);
        let mut sent = [Vec::new(), Vec::new()];
        let pipes: [Pipe; 2] = pair.pipes.clone();
        for (i, (of_client, call)) in calls.into_iter().enumerate() {
            let (now, which) = (pair.now, usize::from(!of_client));
            let [up, down] = pipes.clone();
            let (mut inbound, mut outbound) = if of_client { (down, up) } else { (up, down) };
            let program = if of_client { &mut pair.client } else { &mut pair.server };
            match call {
                Call::Timeout => program.endpoint.handle_timeout(now),
                Call::Read => program.endpoint.read_from(&mut inbound, now),
                Call::Event => {
                    program.next_event(now);
                }
                Call::Write => program.endpoint.write_to(&mut outbound, now),
                Call::Ping => program.endpoint.ping(b"?").unwrap(),
                Call::Send(len) if of_client || both_send => {
                    let message = Message::binary(pseudo_random(i as u64, len));
                    program.endpoint.send(message.clone()).unwrap();
                    sent[which].push(message);
                }
                Call::Send(_) => {}
            }
        }
        // Both may have more to write than pipes hold; neither waits for the other.
        pair.settle();
        pair.client.endpoint.close(None, pair.now).unwrap();
        let took = pair.run();
        prop_assert_eq!(took, secs(0));
        prop_assert_eq!(&pair.server.messages, &sent[0]);
        prop_assert_eq!(&pair.client.messages, &sent[1]);
        for program in pair.both() {
            let closed = program.endpoint.closed().unwrap();
            prop_assert_eq!((closed.code.get(), closed.clean), (1005, true));
        }
    }

    /// A peer that sends anything, and goes: the program comes to its end, and holds nothing for ever.
    #[test]
    fn any_bytes(
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
        room in prop_oneof![Just(1), Just(7), 2..5000_usize],
        opened in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        resets in any::<bool>(),
    ) {
        let mut lone = match (opened, role) {
            (true, role) => Lone::open(role, room, &Config::default()),
            (false, Role::Client) => Lone::client(room, &client()),
            (false, Role::Server) => Lone::server(room, &Server::default()),
        };
        lone.program.echoes = true;
        lone.send(&bytes);
        lone.settle();
        if resets {
            lone.to.reset();
        }
        lone.ends = !resets;
        prop_assert!(lone.run() <= secs(60));
        prop_assert!(lone.program.over);
        prop_assert_eq!(lone.program.endpoint.queued().bytes, 0);
    }
}
