//! The closing handshake, and other ends of a connection.

use std::io::ErrorKind;

use sansocket::{MessageKind, Role};

use crate::calls::{
    close, drop_all, feed, feed_part, flush, hear, recv, recv_incoming, recv_part, send, start_close,
    start_close_without_code,
};
use crate::common::{BINARY, CLOSE, FIRST_TEXT, ROLES, TEXT, frame};
use crate::peer::{
    closes, ends, fails_writes, floods, floods_raw, goes, holds, leaves, pings, raw, reads, refuses_shutdown,
    resets, says, sends, tells, until, until_blocked, waits,
};
use crate::script::{MOMENT, Script, patient};

/// 6455-5.5.1-12, 6455-5.5.1-13: the peer closes, and its Close frame is answered; a server then closes the
/// transport, which its peer waits for, and a client when its peer has.
#[test]
fn the_peer_closes() {
    for role in ROLES {
        for (close, answer, closed) in [
            (closes(1000, "bye"), "close 1000 \"\"", "1000 \"bye\", Remote, clean"),
            (closes(4999, ""), "close 4999 \"\"", "4999 \"\", Remote, clean"),
            (sends(CLOSE, ""), "close", "1005 \"\", Remote, clean"),
        ] {
            for call in [recv(), recv_part(), recv_incoming()] {
                Script::new(role)
                    .peer([close.clone(), goes()])
                    .calls([call.none()])
                    .sees([answer, "end"])
                    .closed(closed)
                    .run();
            }
        }
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13: the same when we close, and when both do at once.
#[test]
fn we_close() {
    for role in ROLES {
        Script::new(role)
            .peer([until("close"), closes(1000, ""), goes()])
            .calls([close(1000, "bye").ok()])
            .sees(["close 1000 \"bye\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
        for calls in [vec![close(1000, "bye").ok()], vec![start_close(1000, "bye").ok(), recv().none()]] {
            Script::new(role)
                .peer([closes(1001, "away"), until("close"), goes()])
                .calls(calls)
                .sees(["close 1000 \"bye\"", "end"])
                .closed("1001 \"away\", Local, clean")
                .run();
        }
    }
}

/// The sending half closes while the other receives: whether it is before the peer's Close frame is received is
/// a matter of luck, but not that both calls return.
#[test]
fn a_half_closes_at_once_with_the_peer() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([closes(1000, ""), until("close"), goes()])
            .both([close(1000, "").ok()], [recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .closed_either(["1000 \"\", Local, clean", "1000 \"\", Remote, clean"])
            .run();
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13: a client does not close the transport before its server does; neither role
/// waits for the peer to do so for longer than the close timeout, whatever it sends meanwhile.
#[test]
fn the_server_closes_the_transport_first() {
    for role in ROLES {
        let sees = ["close 1000 \"\"", "end"];
        let sees = if role == Role::Server { &sees[..] } else { &sees[..1] };
        let config = patient().close_timeout(MOMENT);
        for flood in [None, Some(floods_raw([0; 1000]))] {
            Script::new(role)
                .config(config.clone())
                .peer([closes(1000, "bye")].into_iter().chain(flood.clone()))
                .calls([recv().none()])
                .sees(sees.to_vec())
                .closed("1000 \"bye\", Remote, clean")
                .takes(MOMENT)
                .run();
            Script::new(role)
                .config(config.clone())
                .peer([until("close"), closes(1000, "bye")].into_iter().chain(flood))
                .calls([close(1000, "").ok()])
                .sees(sees.to_vec())
                .closed("1000 \"bye\", Local, clean")
                .takes(MOMENT)
                .run();
        }
    }
}

/// A peer that does not answer the Close frame is given up at the close timeout, though it sends all the time.
#[test]
fn the_peer_does_not_close() {
    for role in ROLES {
        for flood in [None, Some(floods(BINARY, [1; 100]))] {
            Script::new(role)
                .config(patient().close_timeout(MOMENT))
                .peer(flood)
                .calls([close(1000, "bye").gives("TimedOut(ClosingHandshake)"), close(1000, "").ok()])
                .sees(["close 1000 \"bye\""])
                .closed("1006 \"\", Local, not clean")
                .takes(MOMENT)
                .run();
        }
    }
}

/// What had come before the close timeout passed is received, though the program was busy until then.
#[test]
fn busy_while_the_peer_closes() {
    for role in ROLES {
        Script::new(role)
            .config(patient().close_timeout(MOMENT))
            .rooms([4096])
            .peer([until("close"), says("1"), says("2"), says("3"), closes(1000, "")])
            .peer([waits(2 * MOMENT), tells("late"), goes()])
            .calls([start_close(1000, "").ok(), flush().ok(), hear("late")])
            .calls(["1", "2", "3"].map(|text| recv().text(text)))
            .calls([recv().none()])
            .closed("1000 \"\", Local, clean")
            .takes_its_time()
            .run();
    }
}

/// 6455-7.1.1-01: what the peer sends between its Close frame and the end of the transport is discarded, however much it is.
#[test]
fn trailing_bytes_are_discarded() {
    for role in ROLES {
        Script::new(role)
            .rooms([4095, 4096])
            .peer([closes(1000, ""), raw(vec![0xff; 100_000]), goes()])
            .calls([recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// The peer ends its direction of the transport right after its Close frame: it is answered all the same, though halves
/// give a write but a millisecond at a time, which a byte at a time may take on a slow machine.
#[test]
fn the_peer_closes_and_ends_its_direction() {
    for role in ROLES {
        Script::new(role)
            .peer([closes(1000, "bye"), ends()])
            .calls([recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Remote, clean")
            .run();
        Script::new(role)
            .peer([until("close"), closes(1000, "bye"), ends()])
            .calls([close(1000, "").ok()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Local, clean")
            .run();
    }
}

/// It does so while a whole WebSocket is blocked, which sends first and then receives. (Of halves: see `split.rs`.)
#[test]
fn the_peer_closes_and_ends_its_direction_while_we_write() {
    for role in ROLES {
        Script::new(role)
            .only_whole()
            .rooms([4095, 4096])
            .peer([holds(), until_blocked(), closes(1000, "bye"), ends(), reads()])
            .calls([send(vec![7; 100_000]).ok(), recv().none()])
            .sees(["binary 100000 times 7", "close 1000 \"\"", "end"])
            .closed("1000 \"bye\", Remote, clean")
            .run();
    }
}

/// `close` discards what still arrives; `start_close` lets it be received. Pings are answered all the same.
#[test]
fn messages_after_our_close_frame() {
    for role in ROLES {
        let script = Script::new(role)
            .peer([
                until("close"),
                says("late"),
                sends(BINARY, [1; 300]),
                pings("?"),
                closes(1001, ""),
                goes(),
            ])
            .closed("1001 \"\", Local, clean");
        script
            .clone()
            .calls([close(1001, "away").ok(), close(1000, "again").ok()])
            .sees(["close 1001 \"away\"", "pong \"?\"", "end"])
            .run();
        script
            .clone()
            .calls([
                start_close(1001, "away").ok(),
                start_close(1000, "again").ok(),
                send("x").gives("Send(Closing)"),
                recv().text("late"),
                recv().gives("binary 300 times 1"),
                recv().none(),
            ])
            .sees(["close 1001 \"away\"", "pong \"?\"", "end"])
            .run();
        script
            .calls([
                start_close_without_code().ok(),
                recv_incoming().text("late"),
                recv_part().gives("all of binary 300 times 1"),
                recv_incoming().gives("ping \"?\""),
                recv_incoming().none(),
            ])
            .rooms([4096])
            .sees(["close", "pong \"?\"", "end"])
            .run();
    }
}

/// A message that has begun, ours or the peer's, does not keep either from closing.
#[test]
fn within_a_message() {
    for role in ROLES {
        Script::new(role)
            .peer([until("close"), closes(1000, ""), goes()])
            .calls([feed_part(MessageKind::Text, "be", false).ok(), close(1000, "bye").ok()])
            .sees(["first text \"be\"", "close 1000 \"bye\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
        Script::new(role)
            .peer([sends(FIRST_TEXT, "be"), closes(1000, ""), goes()])
            .calls([recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
        Script::new(role)
            .peer([sends(FIRST_TEXT, "be"), ends()])
            .calls([recv().gives("ConnectionLost(UnexpectedEof)")])
            .sees([""; 0])
            .closed("1006 \"\", Transport, not clean")
            .run();
    }
}

/// What was queued goes before the Close frame, though it is blocked for a while.
#[test]
fn closed_with_much_queued() {
    for role in ROLES {
        Script::new(role)
            .rooms([61, 64])
            .peer([holds(), until_blocked(), reads(), until("close"), closes(1000, ""), goes()])
            .calls([feed(vec![1; 1000]).ok(), feed("two").ok(), close(1000, "bye").ok()])
            .sees(["binary 1000 times 1", "text \"two\"", "close 1000 \"bye\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}

/// A Close frame without a code is sent by `flush`, or before the next wait for input.
#[test]
fn a_close_frame_without_a_code() {
    for role in ROLES {
        let script = Script::new(role)
            .peer([until("close"), sends(CLOSE, ""), goes()])
            .sees(["close", "end"])
            .closed("1005 \"\", Local, clean");
        let start = || start_close_without_code().ok();
        script.clone().calls([start(), start(), feed("x").gives("Send(Closing)"), recv().none()]).run();
        script.calls([start(), flush().ok(), recv().none()]).run();
    }
}

/// A transport that cannot be closed for writing alone is closed by dropping it: that is all that is left to do.
#[test]
fn the_transport_cannot_be_closed_for_writing() {
    for role in ROLES {
        Script::new(role)
            .peer([refuses_shutdown(), closes(1000, "bye"), ends()])
            .calls([recv().none()])
            .sees(["close 1000 \"\""])
            .closed("1000 \"bye\", Remote, clean")
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

/// A connection did not close cleanly if our Close frame could not be written: not "after the WebSocket closing
/// handshake was completed" (RFC 6455 section 7.1.4).
#[test]
fn an_unwritten_close_frame_is_not_clean() {
    for role in ROLES {
        for took in [0, 1] {
            let sees = &["dropped", "end within something"][..2 * took];
            Script::new(role)
                .peer([fails_writes(took, ErrorKind::BrokenPipe), closes(1000, "bye")])
                .calls([recv().none()])
                .sees(sees.to_vec())
                .closed("1000 \"bye\", Remote, not clean")
                .run();
        }
        for end in [leaves(), resets()] {
            Script::new(role)
                .rooms([4096])
                .peer([closes(1000, "bye"), end])
                .calls([recv().none()])
                .closed("1000 \"bye\", Remote, not clean")
                .run();
        }
        Script::new(role)
            .config(patient().close_timeout(MOMENT).write_timeout(MOMENT))
            .rooms([1])
            .peer([holds(), closes(1000, "bye")])
            .calls([recv().none()])
            .closed("1000 \"bye\", Remote, not clean")
            .takes(MOMENT)
            .run();
    }
}

/// 6455-7.2.1-02: a transport that ends, or fails, without the closing handshake: an error of its own kind, after
/// the messages that came before; the close code is 1006.
#[test]
fn the_transport_is_lost() {
    for role in ROLES {
        for (end, error) in [
            (ends(), "ConnectionLost(UnexpectedEof)"),
            (leaves(), "ConnectionLost(UnexpectedEof)"),
            (resets(), "ConnectionLost(ConnectionReset)"),
        ] {
            for rest in [&[][..], &frame(role, TEXT, b"cut off")[..5]] {
                Script::new(role)
                    .peer([says("one"), says("two"), raw(rest), end.clone()])
                    .calls([
                        recv().text("one"),
                        recv().text("two"),
                        recv().gives(error),
                        close(1000, "").gives_any(),
                    ])
                    .sees([""; 0])
                    .closed("1006 \"\", Transport, not clean")
                    .run();
            }
        }
    }
}

/// The peer answers our Close frame by ending its direction, or did so before: the closing handshake did not take
/// place.
#[test]
fn the_peer_ends_the_transport_instead_of_closing() {
    for role in ROLES {
        for acts in [vec![until("close"), leaves()], vec![until("close"), ends()], vec![says("x"), ends()]] {
            Script::new(role)
                .peer(acts)
                .calls([close(1000, "").gives("ConnectionLost(UnexpectedEof)")])
                .sees(["close 1000 \"\""])
                .closed("1006 \"\", Local, not clean")
                .run();
        }
    }
}

/// The WebSocket is dropped: what `send` took is written, and then the transport ends.
#[test]
fn the_web_socket_is_dropped() {
    for role in ROLES {
        for flushed in [false, true] {
            let flush = flushed.then(|| flush().ok());
            Script::new(role)
                .peer([says("0"), says("1"), says("2"), says("3")])
                .calls([recv().text("0"), send("0").ok()].into_iter().chain(flush).chain([drop_all()]))
                .sees(["text \"0\"", "end"])
                .run();
        }
    }
}

/// What was only queued is not: it was not promised.
#[test]
fn what_is_queued_when_the_web_socket_is_dropped() {
    for role in ROLES {
        for calls in [vec![feed("x").ok()], vec![start_close(1000, "").ok()]] {
            Script::new(role).calls(calls.into_iter().chain([drop_all()])).sees(["end"]).run();
        }
    }
}

/// What was left queued goes before the Close frame.
#[test]
fn closed_with_messages_left_queued() {
    for role in ROLES {
        Script::new(role)
            .rooms([4096])
            .peer([says("0"), says("1"), until("close"), closes(1000, ""), goes()])
            .calls([recv().text("0"), send("answer").ok(), close(1000, "").ok()])
            .sees(["text \"answer\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}
