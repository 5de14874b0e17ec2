//! Programs that do not receive: they only send, or do nothing. What the connection owes its peer is done all the same.

use sansocket::{MessageKind, Role, Server};

use crate::calls::{
    close, drop_receiver, feed, feed_part, flush, open, pause, ping, recv, recv_incoming, recv_parts, send,
    send_prepared, send_until_closed, send_until_it_fails, send_until_told, write,
};
use crate::common::{CLOSE, FIRST_TEXT, LAST_CONTINUATION, ROLES, TEXT, frame};
use crate::peer::{
    closes, goes, hears, holds, leaves, pings, pongs, raw, reads, says, sends, stops, tells, until,
    until_blocked, until_read, waits,
};
use crate::script::{MOMENT, Script, patient};

/// A row of a program that only sends.
fn row(role: Role) -> Script {
    Script::new(role).rooms([7, 4096]).takes_its_time()
}

/// Ways to have nobody receive: the receiving half is there, or it was dropped.
fn rows(role: Role) -> [Script; 2] {
    [row(role), row(role).only_split().calls([drop_receiver()])]
}

/// Its peer's Pings are answered, each once.
#[test]
fn pings_are_answered() {
    for role in ROLES {
        for row in rows(role) {
            row.peer([
                pings("1"),
                until("pong"),
                pings("2"),
                says("x"),
                pings("3"),
                until("pong \"3\""),
                tells("answered"),
            ])
            .calls([send_until_told("answered")])
            .sees_among_others(["pong \"1\"", "pong \"2\"", "pong \"3\""])
            .run();
        }
    }
}

/// Its peer closes: that is answered with the same code, `send` fails, and `closed` tells of it.
#[test]
fn the_peer_closes() {
    for role in ROLES {
        for row in rows(role) {
            row.peer([until("text"), closes(4000, "bye"), goes()])
                .calls([send_until_it_fails().gives("Send(Closing)"), send_until_closed()])
                .sees_among_others(["close 4000 \"\"", "end"])
                .closed("4000 \"bye\", Remote, clean")
                .run();
        }
    }
}

/// What came before the peer's Close is still received, and Pings among it were answered.
#[test]
fn messages_before_the_peers_close() {
    for role in ROLES {
        row(role)
            .peer([says("1"), pings("?"), until("pong"), says("2"), closes(1000, ""), goes()])
            .calls([
                send_until_closed(),
                recv_incoming().text("1"),
                recv_incoming().gives("ping \"?\""),
                recv_incoming().text("2"),
                recv_incoming().none(),
            ])
            .sees_among_others(["pong \"?\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// Its own Ping goes out when it is due; an answer is an answer, and a peer that has vanished is given up.
#[test]
fn keepalive() {
    for role in ROLES {
        let config = patient().keepalive(10 * MOMENT, 10 * MOMENT);
        // Through a pipe that takes all at once: one that has to be waited for, and takes something, shows life.
        row(role)
            .rooms([4096])
            .config(config.clone())
            .peer([until("ping"), pongs(""), until("ping"), tells("twice")])
            .calls([
                send_until_told("twice"),
                send_until_it_fails().gives("ConnectionLost(BrokenPipe)"),
                recv().gives("TimedOut(Keepalive)"),
            ])
            .sees_among_others(["ping \"\"", "ping \"\""])
            .closed("1006 \"\", Transport, not clean")
            .run();
        row(role)
            .only_split()
            .rooms([4096])
            .config(config)
            .calls([
                drop_receiver(),
                send_until_it_fails().gives("ConnectionLost(BrokenPipe)"),
                close(1000, "").gives("TimedOut(Keepalive)"),
            ])
            .sees_among_others(["ping \"\""])
            .closed("1006 \"\", Transport, not clean")
            .run();
    }
}

/// The transport ends: that is noticed, and told to whoever receives after all.
#[test]
fn the_transport_ends() {
    for role in ROLES {
        row(role)
            .peer([says("1"), until("text"), leaves()])
            .calls([send_until_closed(), recv().text("1"), recv().gives("ConnectionLost(UnexpectedEof)")])
            .closed("1006 \"\", Transport, not clean")
            .run();
    }
}

/// No more is read ahead than the limit says, and the peer is not judged meanwhile. All comes in order then, whole or in
/// parts, and Pings that were answered are told, and not answered again.
#[test]
fn what_is_read_ahead_is_bounded() {
    let texts: Vec<_> = (0..50).map(|i| format!("{i} {}", "x".repeat(93))).collect();
    for role in ROLES {
        for parts in [false, true] {
            let receive =
                |text: &String| if parts { recv_parts().text(text) } else { recv_incoming().text(text) };
            let ping = (!parts).then(|| recv_incoming().gives("ping \"first\""));
            row(role)
                .rooms([61, 512])
                .config(patient().keepalive(10 * MOMENT, 10 * MOMENT).read_buffer_size(1000))
                .peer([pings("first"), until("pong")])
                .peer(texts.iter().map(|text| says(text)))
                .peer([pings("last"), until("pong \"last\""), says("end"), closes(1000, ""), goes()])
                .calls([send("x").ok()])
                .calls((0..30).flat_map(|_| [pause(MOMENT), send("x").ok()]))
                .calls([send("now").ok()])
                .calls(ping)
                .calls(texts.iter().map(receive))
                .calls((!parts).then(|| recv_incoming().gives("ping \"last\"")))
                .calls([recv().text("end"), recv().none()])
                .sees_among_others([
                    "pong \"first\"",
                    "text \"now\"",
                    "pong \"last\"",
                    "close 1000 \"\"",
                    "end",
                ])
                .closed("1000 \"\", Remote, clean")
                .run();
        }
    }
}

/// What nobody will receive is discarded, however much it is.
#[test]
fn a_half_that_was_dropped() {
    let large = "x".repeat(3000);
    for role in ROLES {
        row(role)
            .only_split()
            .rooms([1000, 4096])
            .config(patient().read_buffer_size(1000))
            .peer((0..20).map(|_| says(&large)))
            .peer([pings("?"), until("pong"), closes(1000, ""), goes()])
            .calls([drop_receiver(), send_until_it_fails().gives("Send(Closing)"), send_until_closed()])
            .sees_among_others(["pong \"?\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
        // Also what was read ahead before, and half of a message.
        row(role)
            .only_split()
            .peer([says("1"), sends(FIRST_TEXT, "2"), pings("?"), until("pong"), tells("read")])
            .peer([hears("dropped"), sends(LAST_CONTINUATION, "2"), closes(1000, ""), goes()])
            .calls([
                send_until_told("read"),
                drop_receiver(),
                crate::calls::tell("dropped"),
                send_until_closed(),
            ])
            .sees_among_others(["pong \"?\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// What is not valid fails the connection when it is seen, and messages before it are received.
#[test]
fn an_invalid_frame_is_seen() {
    for role in ROLES {
        let other = frame(if role == Role::Client { Role::Server } else { Role::Client }, TEXT, b"x");
        row(role)
            .only_split()
            .peer([says("1"), raw(&other), until("close 1002"), goes()])
            .calls([drop_receiver(), send_until_it_fails().gives("Send(Closing)"), send_until_closed()])
            .sees_among_others(["end"])
            .closed("1006 \"\", Local, not clean")
            .run();
        let error = if role == Role::Client { "MaskedFrameFromServer" } else { "UnmaskedFrameFromClient" };
        row(role)
            .peer([says("1"), raw(&other), until("close 1002"), goes()])
            .calls([send_until_closed(), recv().text("1"), recv().gives(format!("Protocol({error})"))])
            .sees_among_others(["end"])
            .run();
    }
}

/// The peer's Close comes while a message waits for the transport: it is not waited for any more.
#[test]
fn the_peer_closes_while_a_message_waits() {
    for role in ROLES {
        row(role)
            .rooms([100])
            .peer([
                holds(),
                until_blocked(),
                closes(1009, "too much"),
                until_read(),
                waits(MOMENT),
                reads(),
                goes(),
            ])
            .calls([send([1; 10_000].to_vec()).gives_any(), send_until_closed()])
            .sees_among_others(["binary 10000 times 1", "close 1009 \"\"", "end"])
            .closed("1009 \"too much\", Remote, clean")
            .run();
    }
}

/// The same when the transport takes nothing any more, in whichever way the message is sent, and by halves of which the other
/// receives.
#[test]
fn the_peer_closes_and_takes_nothing() {
    let large = vec![1; 100_000];
    for role in ROLES {
        let script = || {
            row(role).rooms([100]).config(patient().close_timeout(5 * MOMENT)).peer([
                holds(),
                until_blocked(),
                closes(1009, "too much"),
            ])
        };
        for calls in [
            vec![send(large.clone()).gives("Send(Closing)")],
            vec![send_prepared(large.clone()).gives("Send(Closing)")],
            vec![feed(large.clone()).ok(), flush().gives("Send(Closing)")],
            vec![feed(large.clone()).ok(), feed("x").gives("Send(Closing)")],
            vec![feed(large.clone()).ok(), send("x").gives("Send(Closing)")],
            vec![feed(large.clone()).ok(), ping("x").gives("Send(Closing)")],
            vec![
                feed_part(MessageKind::Binary, large.clone(), false).ok(),
                feed_part(MessageKind::Binary, "x", true).gives("Send(Closing)"),
            ],
        ] {
            script().calls(calls.clone()).calls([send("y").gives("Send(Closing)")]).run();
            script().only_split().calls([drop_receiver()]).calls(calls.clone()).run();
            script()
                .only_split()
                .both(calls, [recv().none()])
                .closed("1009 \"too much\", Remote, not clean")
                .run();
        }
        let written =
            write(MessageKind::Binary, ["x".repeat(50_000), "x".repeat(50_000)]).gives("Send(Closing)");
        script().only_whole().calls([written]).run();
    }
}

/// Pings are answered while a message waits, behind it.
#[test]
fn pings_while_a_message_waits() {
    for role in ROLES {
        row(role)
            .rooms([100])
            .peer([holds(), until_blocked(), pings("?"), until_read(), reads(), until("pong")])
            .calls([send([1; 10_000].to_vec()).ok(), send("x").ok()])
            .calls((0..20).flat_map(|_| [pause(MOMENT), send("x").ok()]))
            .sees_among_others(["binary 10000 times 1", "pong \"?\""])
            .run();
    }
}

/// A peer that reads nothing before it was read from: what it sends is read ahead.
#[test]
fn two_that_send_at_once() {
    let large = "x".repeat(2000);
    for role in ROLES {
        row(role)
            .rooms([100])
            .peer([holds(), says(&large), reads(), until("binary")])
            .calls([send([1; 10_000].to_vec()).ok(), recv().gives("text 2000 times 120")])
            .sees(["binary 10000 times 1"])
            .run();
    }
}

/// A server that stops closes connections whose handler only sends, within its grace.
#[test]
fn a_stop() {
    let script = || Script::served(&Server::default()).calls([open().ok()]);
    let stopping = "close 1001 \"the server stops\"";
    for script in [script(), script().only_split().calls([drop_receiver()])] {
        script
            .peer([until("text"), stops(), until("close"), closes(1001, "")])
            .calls([send_until_it_fails().gives("Send(Closing)"), send_until_closed()])
            .sees_among_others([stopping, "end"])
            .closed("1001 \"\", Local, clean")
            .run();
    }
    // What came before is still received.
    script()
        .peer([says("1"), until("text"), stops(), until("close"), sends(CLOSE, "")])
        .calls([send_until_closed(), recv().text("1"), recv().none()])
        .sees_among_others([stopping, "end"])
        .closed("1005 \"\", Local, clean")
        .run();
}
