//! What the two adapters did differently, and both are to do right.

use sansocket::handshake::Reply;
use sansocket::{ProtocolError, Server};

use crate::calls::{
    accept, close, drop_receiver, feed, flush, hear, open, recv, respond, seen, send, start_close, tell,
};
use crate::common::{FIN, ROLES, TEXT};
use crate::lines;
use crate::peer::{
    closes, ends, goes, hears, holds, pings, pongs, raw, reads, says, sends, stops, until, until_blocked,
    until_end_read, until_read,
};
use crate::script::{MOMENT, REQUEST, Script, patient};

/// A client that reads nothing of an ordinary response: it has not left whole, and the caller is told.
#[test]
fn a_response_that_is_not_read() {
    let page = Reply::new(200).unwrap().body(vec![b'x'; 32 << 20]);
    Script::new(sansocket::Role::Server)
        .unopened()
        .only_whole()
        .rooms([64 << 10])
        .peer([raw(REQUEST), holds()])
        .calls([
            accept(&Server::default().handshake_timeout(10 * MOMENT)).ok(),
            respond(page).gives("TimedOut(OpeningHandshake)"),
        ])
        .takes_its_time()
        .run();
}

/// The peer ends its direction of the transport right after its Close frame: the receiving half answers it all the same,
/// though it gives a write but a millisecond at a time, which a byte at a time may take on a slow machine.
#[test]
fn the_peer_closes_and_ends_its_direction() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([closes(1000, "bye"), ends()])
            .calls([recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Remote, clean")
            .run();
        Script::new(role)
            .only_split()
            .peer([until("close"), closes(1000, "bye"), ends()])
            .calls([close(1000, "").ok()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Local, clean")
            .run();
    }
}

/// The peer sends Close, and nothing more, while the sending half is blocked, and then reads everything: its
/// Close frame is answered behind the message.
#[test]
fn the_peer_closes_and_ends_its_direction_while_a_half_writes() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([64 << 10])
            .peer([holds(), until_blocked(), closes(1000, "bye"), ends(), until_end_read(), reads()])
            .both([send(vec![7; 16 << 20]).ok()], [recv().none()])
            .sees(["binary 16777216 times 7", "close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Remote, clean")
            .run();
    }
}

/// The same of a peer that breaks a rule: it is told.
#[test]
fn the_peer_fails_and_ends_its_direction_while_a_half_writes() {
    let error = ProtocolError::ReservedOpcode(3);
    let told = format!("close 1002 {}", lines::payload(error.reason().as_bytes()));
    for role in ROLES {
        for acts in [[ends(), until_end_read(), reads()], [until_read(), reads(), until("close")]] {
            Script::new(role)
                .only_split()
                .rooms([4096])
                .peer([holds(), until_blocked(), sends(FIN | 3, "")])
                .peer(acts)
                .peer([goes()])
                .both([send(vec![7; 100_000]).ok()], [recv().gives(format!("Protocol({error:?})"))])
                .sees(["binary 100000 times 7", &told, "end"])
                .closed("1006 \"\", Local, not clean")
                .run();
        }
    }
}

/// The Close frame of the receiving half waits for what the sending half is writing, and the transport is closed
/// after it.
#[test]
fn the_close_frame_follows_the_senders_message() {
    for role in ROLES {
        for sender in
            [vec![send([1; 10_000].to_vec()).ok()], vec![feed([1; 10_000].to_vec()).ok(), flush().ok()]]
        {
            Script::new(role)
                .only_split()
                .peer([
                    holds(),
                    until_blocked(),
                    says("closing"),
                    pings("?"),
                    closes(1000, ""),
                    until_read(),
                    reads(),
                    until("close"),
                    goes(),
                ])
                .both(sender, [recv().text("closing"), recv().none()])
                .sees(["binary 10000 times 1", "pong \"?\"", "close 1000 \"\"", "end"])
                .closed("1000 \"\", Remote, clean")
                .run();
        }
    }
}

/// A Close frame of the sending half, which is blocked meanwhile, and its answer, with which the transport ends.
#[test]
fn the_sender_closes_behind_its_message() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([61, 64])
            .peer([holds(), until_blocked(), until_read(), reads(), until("close"), closes(1000, ""), goes()])
            .both([send(vec![1; 1000]).ok(), close(1000, "bye").ok()], [recv().none()])
            .sees(["binary 1000 times 1", "close 1000 \"bye\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}

/// What the kernel had when the server stopped was received before: it is handed out.
#[test]
fn a_stop_with_messages_unread() {
    Script::served(&Server::default())
        .peer([says("1"), hears("busy"), says("2"), says("3"), stops(), until("close"), closes(1001, "")])
        .calls([
            open().ok(),
            recv().text("1"),
            tell("busy"),
            hear("stopped"),
            recv().text("2"),
            recv().text("3"),
            recv().none(),
        ])
        .sees(["HTTP/1.1 101 Switching Protocols", "close 1001 \"the server stops\"", "end"])
        .closed("1001 \"\", Local, clean")
        .run();
}

/// The same of more than one read brings.
#[test]
fn a_stop_with_much_unread() {
    let large = "x".repeat(5000);
    Script::served(&Server::default())
        .peer([says("1"), hears("busy")])
        .peer((0..6).map(|_| says(&large)))
        .peer([stops(), until("close"), closes(1001, "")])
        .calls([open().ok(), recv().text("1"), tell("busy"), hear("stopped")])
        .calls((0..6).map(|_| recv().gives("text 5000 times 120")))
        .calls([recv().none()])
        .closed("1001 \"\", Local, clean")
        .run();
}

/// Messages that nobody will receive any more are none to wait for: what is sent is written at once, behind what was
/// left queued before.
#[test]
fn the_receiver_is_dropped_with_messages_unread() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([says("0"), says("1"), says("2")])
            .calls([
                recv().text("0"),
                drop_receiver(),
                send("one").ok(),
                seen(["text \"one\""]),
                send("two").ok(),
                seen(["text \"one\"", "text \"two\""]),
            ])
            .run();
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([says("0"), says("1"), says("2")])
            .calls([
                recv().text("0"),
                send("one").ok(),
                recv().text("1"),
                send("two").ok(),
                drop_receiver(),
                send("three").ok(),
                seen(["text \"one\"", "text \"two\"", "text \"three\""]),
            ])
            .run();
    }
}

/// The keepalive's Ping is sent when it is due, not when the answer to it is: a peer that answers is not given up.
#[test]
fn keepalive_is_answered() {
    for role in ROLES {
        Script::new(role)
            .config(patient().keepalive(MOMENT, 100 * MOMENT))
            .rooms([1, 4096])
            .peer([
                until("ping"),
                pongs(""),
                until("ping"),
                // A part of a message is a sign of life, too.
                raw(&crate::common::frame(role, TEXT, b"text")[..3]),
                until("ping"),
                raw(&crate::common::frame(role, TEXT, b"text")[3..]),
                closes(1000, ""),
                goes(),
            ])
            .calls([recv().text("text"), recv().none()])
            .sees(["ping \"\"", "ping \"\"", "ping \"\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .takes(3 * MOMENT)
            .run();
    }
}

/// The closing handshake takes no longer than its timeout, though the Close frame cannot be written, and the write
/// timeout is longer.
#[test]
fn the_close_frame_cannot_be_written() {
    for role in ROLES {
        Script::new(role)
            .config(patient().close_timeout(MOMENT).write_timeout(10 * MOMENT))
            .rooms([10])
            .peer([holds()])
            .calls([start_close(1000, "more than fits").ok(), recv().gives("TimedOut(ClosingHandshake)")])
            .closed("1006 \"\", Local, not clean")
            .takes(MOMENT)
            .run();
    }
}

/// A write that takes too long is the end for both halves, and each is told why.
#[test]
fn both_halves_are_told_of_the_write_timeout() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .config(patient().write_timeout(MOMENT).close_timeout(MOMENT))
            .rooms([10])
            .peer([holds()])
            .both(
                [
                    send("far too long for a pipe of ten bytes").gives("TimedOut(Write)"),
                    send("x").gives("ConnectionLost(BrokenPipe)"),
                ],
                [recv().gives("TimedOut(Write)")],
            )
            .closed("1006 \"\", Transport, not clean")
            .takes_its_time()
            .run();
    }
}

/// A peer that reads nothing of the Pongs that it asked for is read from all the same: both could wait for each other.
#[test]
fn pongs_that_are_not_read() {
    for role in ROLES {
        let floods = (0..100).map(|i| pings(&i.to_string()));
        Script::new(role)
            .rooms([100])
            .peer([holds()].into_iter().chain(floods).chain([reads(), until("pong \"99\""), says("end")]))
            .calls([recv().text("end")])
            .run();
    }
}
