//! The deadlines of a connection that is open.

use sansocket::{Config, Role};

use super::program::{Lone, World};
use crate::common::{BINARY, CLOSE, PING, ROLES, TEXT, frame, secs};

/// A peer that is silent gets a Ping, and is given up without an answer.
#[test]
fn keepalive() {
    for role in ROLES {
        let mut lone = Lone::open(role, 1, &Config::default().keepalive(secs(5), secs(3)).min_data_rate(0));
        lone.run_for(secs(5));
        assert_eq!(lone.frames(), [(PING, Vec::new())]);
        lone.run_for(secs(2));
        lone.send_frame(TEXT, "here");
        // Nor are we silent.
        lone.program.endpoint.send("one").unwrap();
        lone.run_for(secs(4));
        // Part of a message is a sign of life, too.
        lone.send(&frame(role, TEXT, b"there")[..3]);
        lone.program.endpoint.send("two").unwrap();
        lone.run_for(secs(4));
        assert_eq!(lone.frames().len(), 3);
        assert_eq!(lone.run(), secs(1 + 3));
        assert_eq!(lone.frames().len(), 4);
        assert_eq!(lone.program.events, ["text \"here\"", "TimedOut(Keepalive)"]);
        assert_eq!(lone.program.closed(), "1006 \"\", Transport, not clean");
    }
}

/// A peer that talks gets a Ping when we have been silent, one in each interval.
#[test]
fn our_own_silence() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default().keepalive(secs(5), secs(3)));
        lone.program.endpoint.send("subscribe").unwrap();
        for _ in 0..16 {
            lone.run_for(secs(1));
            lone.send_frame(TEXT, "news");
        }
        assert_eq!(lone.frames()[1..], [(); 3].map(|()| (PING, Vec::new())));
        assert_eq!(lone.program.messages.len(), 15);
    }
}

/// Without a keepalive nothing is due.
#[test]
fn no_keepalive() {
    let lone = Lone::open(Role::Server, 1, &Config::default().no_keepalive());
    assert_eq!(lone.program.endpoint.due(), None);
}

/// A program that was busy does not judge a peer by what it has not read: what has come counts.
#[test]
fn what_has_come_counts_before_what_is_late() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default().keepalive(secs(5), secs(3)));
        lone.run_for(secs(5));
        assert_eq!(lone.frames(), [(PING, Vec::new())]);
        lone.send_frame(TEXT, "here");
        lone.act();
        lone.now += secs(100);
        lone.settle();
        assert_eq!(lone.program.events, ["text \"here\""]);
        assert!(!lone.program.over);

        // And so does the answer to a Close frame.
        lone.program.endpoint.close(None, lone.now).unwrap();
        lone.settle();
        lone.send_frame(CLOSE, "");
        lone.act();
        lone.now += secs(100);
        lone.to.end();
        lone.settle();
        assert_eq!(lone.program.closed(), "1005 \"\", Local, clean");
    }
}

/// A peer that does not answer the Close frame is given up, though it sends all the time.
#[test]
fn close_timeout() {
    for role in ROLES {
        for talks in [false, true] {
            let config = Config::default().close_timeout(secs(3)).keepalive(secs(1), secs(1));
            let mut lone = Lone::open(role, 4096, &config);
            lone.program.endpoint.close(None, lone.now).unwrap();
            for _ in 0..30 {
                if talks {
                    lone.send_frame(BINARY, [1; 100]);
                }
                assert!(!lone.program.over);
                lone.run_for(secs(3) / 30);
            }
            assert_eq!(lone.program.events.last().unwrap(), "TimedOut(ClosingHandshake)");
            assert_eq!(lone.frames(), [(CLOSE, Vec::new())]);
            assert_eq!(lone.program.closed(), "1006 \"\", Local, not clean");
        }
    }
}

/// A peer that takes nothing is given up, by a program that sends, and by one that answers, which is not told of more.
#[test]
fn write_timeout() {
    for role in ROLES {
        for (echoes, written) in [(false, 0), (true, 0), (true, 5)] {
            let config = Config::default().write_timeout(secs(3)).write_buffer_size(50).min_data_rate(0);
            let mut lone = Lone::open(role, 10, &config.no_keepalive());
            lone.program.echoes = echoes;
            lone.reads = false;
            if !echoes {
                lone.program.endpoint.send(vec![7; 100]).unwrap();
            }
            for _ in 0..10 {
                lone.send_frame(BINARY, [7; 20]);
            }
            lone.run_for(secs(2));
            assert!(!lone.program.over);
            lone.take(written);
            assert_eq!(lone.run(), secs(if written == 0 { 1 } else { 3 }));
            assert_eq!(lone.program.events.last().unwrap(), "TimedOut(Write)");
            assert_eq!(lone.program.closed(), "1006 \"\", Transport, not clean");
        }
    }
}

/// A peer that takes little, but takes it in time, is borne with; and one that is not read from meanwhile is not judged.
#[test]
fn a_slow_reader_is_no_dead_one() {
    for role in ROLES {
        let config = Config::default()
            .write_timeout(secs(3))
            .write_buffer_size(50)
            .keepalive(secs(1), secs(1))
            .min_data_rate(0);
        let mut lone = Lone::open(role, 1, &config);
        lone.program.echoes = true;
        lone.reads = false;
        for _ in 0..20 {
            lone.send_frame(BINARY, [7; 20]);
        }
        for _ in 0..20 {
            lone.run_for(secs(2));
            lone.take(1);
        }
        assert!(!lone.program.over);
        lone.reads = true;
        lone.settle();
        assert_eq!(lone.frames().iter().filter(|(first, _)| *first == BINARY).count(), 20);
    }
}

/// What is not flushed has a deadline too, and none once it is.
#[test]
fn the_flush_waits() {
    let config = Config::default().write_timeout(secs(3)).no_keepalive();
    let mut lone = Lone::open(Role::Server, 7, &config);
    for _ in 0..10 {
        lone.program.endpoint.send("x").unwrap();
        lone.run_for(secs(1));
    }
    assert_eq!(lone.frames().len(), 10);
    assert_eq!(lone.program.endpoint.due(), None);
}
