//! Deadlines of a connection that is open. Those of the closing handshake are with it.

use sansocket::MessageKind;

use crate::calls::{
    close, feed, flush, hear, ping, pong, recv, recv_incoming, recv_part, send, start_close, write,
};
use crate::common::{PING, ROLES, TEXT, frame, header};
use crate::peer::{
    closes, floods, goes, holds, pings, pongs, raw, reads, says, takes, tells, until, until_blocked, waits,
};
use crate::script::{MOMENT, Script, patient};

/// A peer that is silent gets a Ping after the interval, and is given up after the timeout.
#[test]
fn keepalive() {
    for role in ROLES {
        for call in [recv(), recv_incoming(), recv_part()] {
            Script::new(role)
                .config(patient().keepalive(MOMENT, MOMENT))
                .calls([call.gives("TimedOut(Keepalive)")])
                .sees(["ping \"\""])
                .closed("1006 \"\", Transport, not clean")
                .takes(2 * MOMENT)
                .run();
        }
    }
}

/// The keepalive's Ping is sent when it is due, not when the answer to it is: a peer that answers is not given up.
#[test]
fn keepalive_is_answered() {
    for role in ROLES {
        Script::new(role)
            .config(patient().keepalive(MOMENT, 100 * MOMENT).min_data_rate(0))
            .rooms([1, 4096])
            .peer([
                until("ping"),
                pongs(""),
                until("ping"),
                // A part of a message is a sign of life, too.
                raw(&frame(role, TEXT, b"text")[..3]),
                until("ping"),
                raw(&frame(role, TEXT, b"text")[3..]),
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

/// A peer that talks is sent Pings, too, by a program that does not.
#[test]
fn our_own_silence() {
    for role in ROLES {
        Script::new(role)
            .config(patient().keepalive(10 * MOMENT, 10 * MOMENT))
            .rooms([4096])
            .peer((0..25).flat_map(|_| [waits(MOMENT), says("news")]))
            .peer([closes(1000, ""), goes()])
            .calls([send("subscribe").ok()])
            .calls((0..25).map(|_| recv().text("news")))
            .calls([recv().none()])
            .sees_among_others(["text \"subscribe\"", "ping \"\"", "ping \"\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .takes_its_time()
            .run();
    }
}

/// Without a keepalive, a silent peer is waited for.
#[test]
fn no_keepalive() {
    for role in ROLES {
        Script::new(role)
            .config(patient().no_keepalive())
            .peer([waits(3 * MOMENT), says("at last"), closes(1000, ""), goes()])
            .calls([recv().text("at last"), recv().none()])
            .sees(["close 1000 \"\"", "end"])
            .takes(3 * MOMENT)
            .run();
    }
}

/// A peer that takes nothing: every call that writes fails in time, and the connection is over.
#[test]
fn write_timeout() {
    for role in ROLES {
        let large = "far too long for a pipe of ten bytes";
        let script = Script::new(role)
            .config(patient().write_timeout(MOMENT).write_buffer_size(20).no_keepalive())
            .rooms([10])
            .peer([holds()])
            .closed("1006 \"\", Transport, not clean")
            .takes(MOMENT);
        for calls in [
            vec![send(large).gives("TimedOut(Write)"), send("x").gives("ConnectionLost(BrokenPipe)")],
            vec![ping(large).gives("TimedOut(Write)")],
            vec![pong(large).gives("TimedOut(Write)"), flush().gives("ConnectionLost(BrokenPipe)")],
            vec![feed(large).ok(), flush().gives("TimedOut(Write)")],
            vec![feed(large).ok(), feed("x").gives("TimedOut(Write)")],
            vec![feed(large).ok()],
        ] {
            script.clone().calls(calls).calls([recv().gives("TimedOut(Write)")]).run();
        }
        script
            .clone()
            .only_whole()
            .calls([write(MessageKind::Text, [large, large]).gives("TimedOut(Write)")])
            .calls([recv().gives("TimedOut(Write)")])
            .run();
        script
            .clone()
            .only_whole()
            .calls([close(1000, large).gives("TimedOut(Write)")])
            .closed("1006 \"\", Local, not clean")
            .run();
        script
            .calls([start_close(1000, large).ok(), recv().gives("TimedOut(Write)")])
            .closed("1006 \"\", Local, not clean")
            .run();
    }
}

/// What `send` left queued is not taken in time while nobody waits for it: the next call fails, and `recv` tells why.
#[test]
fn the_write_timeout_of_what_was_left_queued() {
    for role in ROLES {
        Script::new(role)
            .config(patient().write_timeout(MOMENT))
            .rooms([100])
            .peer([holds(), says("0"), says("1"), waits(3 * MOMENT), tells("late")])
            .calls([
                recv().text("0"),
                send([1; 200].to_vec()).ok(),
                hear("late"),
                flush().gives("ConnectionLost(BrokenPipe)"),
                recv().text("1"),
                recv().gives("TimedOut(Write)"),
            ])
            .closed("1006 \"\", Transport, not clean")
            .takes_its_time()
            .run();
    }
}

/// What came before is received.
#[test]
fn messages_before_the_write_timeout() {
    for role in ROLES {
        Script::new(role)
            .config(patient().write_timeout(MOMENT))
            .rooms([100])
            .peer([holds(), pings(&"?".repeat(60)), pings(&"?".repeat(60)), says("one"), says("two")])
            .calls([recv().text("one"), recv().text("two"), recv().gives("TimedOut(Write)")])
            .closed("1006 \"\", Transport, not clean")
            .takes_its_time()
            .run();
    }
}

/// Pongs that are not read: the receiving call fails in time, though reads go on.
#[test]
fn unread_pongs() {
    for role in ROLES {
        for flood in [pings(""), floods(PING, "?")] {
            Script::new(role)
                .config(patient().write_timeout(MOMENT).no_keepalive())
                .rooms([4])
                .peer([holds(), pings("more than it holds"), flood])
                .calls([recv().gives("TimedOut(Write)")])
                .closed("1006 \"\", Transport, not clean")
                .takes(MOMENT)
                .run();
        }
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

/// A peer that takes little, but takes it in time, is borne with.
#[test]
fn a_slow_reader_is_no_dead_one() {
    for role in ROLES {
        let len = header(TEXT, role == sansocket::Role::Client, 4).len() + 4;
        let acts = (1..len).flat_map(|_| [waits(MOMENT), takes(1)]);
        let time = MOMENT * u32::try_from(len - 1).unwrap();
        Script::new(role)
            .config(patient().write_timeout(2 * MOMENT).min_data_rate(0))
            .rooms([1])
            .peer([holds(), until_blocked()].into_iter().chain(acts).chain([reads()]))
            .calls([send("0123").ok()])
            .sees(["text \"0123\""])
            .takes(time)
            .run();
    }
}

/// A peer that says nothing while it takes what it is sent, slowly, is alive: what the transport takes shows it, and the
/// Ping that waits behind the message is not answered yet.
#[test]
fn a_long_upload_is_a_sign_of_life() {
    for role in ROLES {
        let slowly = (0..8).flat_map(|_| [waits(MOMENT / 2), takes(100)]);
        Script::new(role)
            .only_split()
            .config(patient().keepalive(MOMENT, MOMENT).min_data_rate(0))
            .rooms([100])
            .peer([holds(), until_blocked()].into_iter().chain(slowly))
            .peer([reads(), until("ping"), pongs(""), closes(1000, ""), goes()])
            .both([send(vec![7; 3000]).ok()], [recv().none()])
            .sees_among_others(["binary 3000 times 7", "ping \"\"", "close 1000 \"\""])
            .closed("1000 \"\", Remote, clean")
            .takes_its_time()
            .run();
    }
}

/// The time for the closing handshake begins with our Close frame, not when the peer's was read: a program that was busy
/// for longer still has what it queued written, and its answer.
#[test]
fn the_close_timeout_begins_with_the_answer() {
    for role in ROLES {
        Script::new(role)
            .config(patient().close_timeout(4 * MOMENT))
            .rooms([100])
            .peer([holds(), says("1"), closes(1000, ""), waits(5 * MOMENT), tells("late")])
            .peer([waits(MOMENT), reads(), goes()])
            .calls([recv().text("1"), hear("late"), feed(vec![7; 3000]).ok(), recv().none()])
            .sees(["binary 3000 times 7", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .takes_its_time()
            .run();
    }
}

/// A byte now and then keeps no connection: a peer that takes less than the least rate is given up at the write timeout,
/// and one that sends less of a frame when it has not answered the keepalive's Ping.
#[test]
fn a_byte_now_and_then_keeps_no_connection() {
    const MANY: u32 = 1_000_000;
    for role in ROLES {
        let slowly = (0..20).flat_map(|_| [waits(MOMENT / 2), takes(1)]);
        Script::new(role)
            .config(patient().write_timeout(2 * MOMENT).min_data_rate(MANY))
            .rooms([1])
            .peer([holds(), until_blocked()].into_iter().chain(slowly))
            .calls([send(vec![7; 100]).gives("TimedOut(Write)")])
            .takes(2 * MOMENT)
            .run();

        let message = frame(role, TEXT, &[b'x'; 100]);
        let slowly = message.iter().take(20).flat_map(|byte| [waits(MOMENT / 2), raw([*byte])]);
        Script::new(role)
            .config(patient().keepalive(MOMENT, 2 * MOMENT).min_data_rate(MANY))
            .rooms([4096])
            .peer(slowly)
            .calls([recv().gives("TimedOut(Keepalive)")])
            .sees(["ping \"\""])
            .takes(3 * MOMENT)
            .run();
    }
}
