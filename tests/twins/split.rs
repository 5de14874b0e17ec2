//! The two halves of a WebSocket, at once or one without the other.

use std::io::ErrorKind;

use sansocket::{MessageKind, ProtocolError};

use crate::calls::{
    close, drop_all, drop_receiver, drop_sender, feed, feed_part, flush, hear, ping, pong, recv,
    recv_incoming, recv_part, seen, send, start_close_without_code, tell,
};
use crate::common::{CLOSE, FIN, FIRST_TEXT, LAST_CONTINUATION, ROLES};
use crate::lines;
use crate::peer::{
    closes, ends, fails_writes, goes, hears, holds, leaves, pings, reads, says, sends, tells, until,
    until_blocked, until_end_read, until_read,
};
use crate::script::{MOMENT, Script, patient};

/// The receiving half answers Pings while the sending half is idle; and takes them, while the sending half is
/// blocked by a peer that does not read, until it does.
#[test]
fn pings_are_answered_beside_the_sender() {
    for role in ROLES {
        let numbered = || (0..100).map(|i| pings(&i.to_string()));
        let pongs = (0..100).map(|i| format!("pong \"{i}\""));
        Script::new(role)
            .only_split()
            .peer([pings("idle"), until("pong"), tells("answered"), holds(), until_blocked()])
            .peer(numbered())
            .peer([until_read(), reads(), until("pong \"99\""), says("end")])
            .both([hear("answered"), send([1; 10_000].to_vec()).ok()], [recv().text("end")])
            .sees(["pong \"idle\"".into(), "binary 10000 times 1".into()].into_iter().chain(pongs))
            .run();
        // More Pings than there is room for Pongs: the latest is answered.
        Script::new(role)
            .only_split()
            .config(patient().write_buffer_size(200))
            .peer([holds(), until_blocked()])
            .peer((0..1000).map(|i| pings(&i.to_string())))
            .peer([until_read(), reads(), until("pong \"999\""), says("end")])
            .both([send([1; 10_000].to_vec()).ok()], [recv().text("end")])
            .sees_among_others(["binary 10000 times 1", "pong \"999\""])
            .run();
    }
}

/// The sending half closes while the receiving half waits: that keeps the deadline, without a keepalive to wake it.
#[test]
fn the_receiver_learns_of_the_senders_deadline() {
    for role in ROLES {
        for config in [patient(), patient().no_keepalive()] {
            Script::new(role)
                .only_split()
                .config(config.close_timeout(MOMENT))
                .peer([says("one"), until_read(), tells("it waits")])
                .both(
                    [hear("it waits"), close(1000, "").ok()],
                    [recv().text("one"), recv().gives("TimedOut(ClosingHandshake)")],
                )
                .sees(["close 1000 \"\""])
                .closed("1006 \"\", Local, not clean")
                .takes(MOMENT)
                .run();
        }
        // `start_close` alone: the receiving half sends the Close frame.
        Script::new(role)
            .only_split()
            .config(patient().close_timeout(MOMENT))
            .peer([until_read(), tells("it waits")])
            .both(
                [hear("it waits"), start_close_without_code().ok()],
                [recv().gives("TimedOut(ClosingHandshake)")],
            )
            .sees(["close"])
            .closed("1006 \"\", Local, not clean")
            .takes(MOMENT)
            .run();
    }
}

/// `close` of the sending half completes the closing handshake by itself if the other was dropped.
#[test]
fn the_sender_closes_alone() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([until("close"), says("unread"), closes(1001, ""), goes()])
            .calls([
                drop_receiver(),
                send("alone").ok(),
                close(1001, "done").ok(),
                close(1001, "done").ok(),
                send("x").gives("Send(Closing)"),
            ])
            .sees(["text \"alone\"", "close 1001 \"done\"", "end"])
            .run();
        // A peer that does not answer the Close frame.
        Script::new(role)
            .only_split()
            .config(patient().close_timeout(MOMENT))
            .calls([drop_receiver(), close(1000, "").gives("TimedOut(ClosingHandshake)")])
            .sees(["close 1000 \"\""])
            .takes(MOMENT)
            .run();
    }
}

/// The same, however far the receiving half had come: to the peer's Close frame, or into a message; and whatever comes
/// of it.
#[test]
fn the_sender_closes_alone_in_the_middle() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([closes(1001, "away"), until("close"), goes()])
            .calls([drop_receiver(), close(1000, "we").ok(), send("x").gives("Send(Closing)")])
            .sees(["close 1000 \"we\"", "end"])
            .run();
        Script::new(role)
            .only_split()
            .peer([closes(1001, "away"), goes()])
            .calls([recv().none(), drop_receiver(), close(1000, "we").ok(), send("x").gives("Send(Closing)")])
            .sees(["close 1001 \"\"", "end"])
            .run();
        Script::new(role)
            .only_split()
            .rooms([4095, 4096])
            .peer([sends(FIRST_TEXT, "par"), until("close"), sends(LAST_CONTINUATION, "t"), says("more")])
            .peer([pings("?"), closes(1000, ""), goes()])
            .calls([recv_part().gives("first of text \"par\""), drop_receiver()])
            .calls([send("x").ok(), close(1000, "we").ok()])
            .sees(["text \"x\"", "close 1000 \"we\"", "pong \"?\"", "end"])
            .run();
        Script::new(role)
            .only_split()
            .peer([until("close"), sends(FIN | 3, ""), goes()])
            .calls([drop_receiver(), close(1000, "we").ok()])
            .calls([close(1000, "we").ok()])
            .sees(["close 1000 \"we\"", "end"])
            .run();
        Script::new(role)
            .only_split()
            .peer([until("close"), ends()])
            .calls([drop_receiver(), close(1000, "we").gives("ConnectionLost(UnexpectedEof)")])
            .calls([send("x").gives("Send(Closing)")])
            .sees(["close 1000 \"we\""])
            .run();
    }
}

/// Messages that nobody will receive any more are none to wait for: what is sent is written at once, behind what was
/// left queued before.
#[test]
fn the_receiver_is_dropped_with_messages_unread() {
    for role in ROLES {
        for calls in [
            vec![
                recv().text("0"),
                drop_receiver(),
                send("one").ok(),
                seen(["text \"one\""]),
                send("two").ok(),
                seen(["text \"one\"", "text \"two\""]),
            ],
            vec![
                recv().text("0"),
                send("one").ok(),
                recv().text("1"),
                send("two").ok(),
                drop_receiver(),
                send("three").ok(),
                seen(["text \"one\"", "text \"two\"", "text \"three\""]),
            ],
        ] {
            Script::new(role)
                .only_split()
                .rooms([4096])
                .peer([says("0"), says("1"), says("2")])
                .calls(calls)
                .run();
        }
    }
}

/// What the sending half left queued, or only fed, is written though it was dropped.
#[test]
fn the_sender_is_dropped_with_messages_queued() {
    for role in ROLES {
        for queued in [send("x"), feed("x")] {
            Script::new(role)
                .only_split()
                .rooms([4095, 4096])
                .peer([says("0"), says("1"), until("text"), says("2")])
                .calls([recv().text("0"), queued.ok(), drop_sender(), recv().text("1"), recv().text("2")])
                .sees(["text \"x\""])
                .run();
        }
    }
}

/// The receiving half goes on, and answers, when the other was dropped.
#[test]
fn the_receiver_goes_on_alone() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([pings("?"), says("text"), until("pong"), closes(1000, ""), goes()])
            .calls([drop_sender(), recv().text("text"), recv().none()])
            .sees(["pong \"?\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// The transport is closed when both were dropped, and not before.
#[test]
fn both_halves_are_dropped() {
    for role in ROLES {
        for dropped in [[drop_receiver(), drop_sender()], [drop_sender(), drop_receiver()]] {
            let [first, second] = dropped;
            Script::new(role).only_split().calls([first, seen([]), second, drop_all()]).sees(["end"]).run();
        }
    }
}

/// When the connection has ended, both halves say so; closing the sending half is no error if it was closed.
#[test]
fn both_halves_see_the_end() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([closes(1001, ""), goes()])
            .both([], [recv().none()])
            .both([send("x").gives("Send(Closing)"), flush().ok(), close(1000, "").ok()], [recv().none()])
            .sees(["close 1001 \"\"", "end"])
            .closed("1001 \"\", Remote, clean")
            .run();
        // Lost, not closed.
        let lost = "ConnectionLost(BrokenPipe)";
        Script::new(role)
            .only_split()
            .peer([leaves()])
            .both([], [recv().gives("ConnectionLost(UnexpectedEof)"), recv().none()])
            .both([send("x").gives(lost), ping("x").gives(lost), close(1000, "").gives(lost)], [])
            .closed("1006 \"\", Transport, not clean")
            .run();
        Script::new(role)
            .only_split()
            .peer([fails_writes(1, ErrorKind::BrokenPipe)])
            .both([send("x").gives(lost), send("x").gives(lost), ping("x").gives(lost)], [])
            .run();
    }
}

/// `start_close` of the sending half: its Close frame is sent by `flush`, or by the receiving half before it waits.
#[test]
fn start_close() {
    for role in ROLES {
        let script = Script::new(role)
            .only_split()
            .peer([until("close"), sends(CLOSE, ""), goes()])
            .sees(["close", "end"])
            .closed("1005 \"\", Local, clean");
        let start = || start_close_without_code().ok();
        script
            .clone()
            .both([start(), start(), feed("x").gives("Send(Closing)"), flush().ok()], [])
            .both([], [recv().none()])
            .run();
        script.both([start(), tell("started")], [hear("started"), recv().none()]).run();
    }
}

/// One half sends messages in parts while the other receives some.
#[test]
fn parts_both_ways() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([says("whole"), until("last"), pings("?"), closes(1000, ""), goes()])
            .both(
                [
                    pong("unasked").ok(),
                    feed_part(MessageKind::Text, "be", false).ok(),
                    feed_part(MessageKind::Text, "gun", true).ok(),
                    flush().ok(),
                ],
                [
                    recv_part().gives("all of text \"whole\""),
                    recv_incoming().gives("ping \"?\""),
                    recv().none(),
                ],
            )
            .sees([
                "pong \"unasked\"",
                "first text \"be\"",
                "last fragment \"gun\"",
                "pong \"?\"",
                "close 1000 \"\"",
                "end",
            ])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// The peer sends Close, and nothing more, while the sending half is blocked, and then reads everything: its
/// Close frame is answered behind the message, for which nobody has waited any longer.
#[test]
fn the_peer_closes_and_ends_its_direction_while_a_half_writes() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([64 << 10])
            .peer([
                holds(),
                until_blocked(),
                closes(1000, "bye"),
                ends(),
                until_end_read(),
                hears("failed"),
                reads(),
            ])
            .both([send(vec![7; 16 << 20]).gives("Send(Closing)"), tell("failed")], [recv().none()])
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
        for acts in [
            vec![ends(), until_end_read(), reads()],
            vec![until_read(), reads(), until("close"), closes(1002, "")],
        ] {
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
        let large = || [1; 10_000].to_vec();
        for sender in [
            vec![send(large()).gives("Send(Closing)"), tell("failed")],
            vec![feed(large()).ok(), flush().gives("Send(Closing)"), tell("failed")],
        ] {
            Script::new(role)
                .only_split()
                .peer([
                    holds(),
                    until_blocked(),
                    says("closing"),
                    pings("?"),
                    closes(1000, ""),
                    until_read(),
                    hears("failed"),
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

/// `start_close` of one half reaches a peer whose Close frame the other half waits for already.
#[test]
fn a_close_is_started_while_the_other_half_waits() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([until_read(), tells("waits"), until("close"), closes(1000, ""), goes()])
            .both([hear("waits"), start_close_without_code().ok()], [recv().none()])
            .sees(["close", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}
