//! What the two adapters did differently, and both are to do right.

use sansocket::handshake::Reply;
use sansocket::{Message, Role, Server};

use crate::calls::{self, accept, drop_receiver, open, recv, respond, seen, send};
use crate::common::ROLES;
use crate::lines;
use crate::peer::{
    closes, ends, goes, holds, raw, reads, says, stops, until, until_blocked, until_end_read, until_told,
};
use crate::script::{MOMENT, REQUEST, Script};

/// A client that reads nothing of an ordinary response: it has not left whole, and the caller is told.
#[test]
fn a_response_that_is_not_read() {
    let page = Reply::new(200).unwrap().body(vec![b'x'; 32 << 20]);
    Script::new(Role::Server)
        .unopened()
        .only_whole()
        .rooms([64 << 10])
        .peer([raw(REQUEST), holds()])
        .calls([
            accept(&Server::default().handshake_timeout(MOMENT)).ok(),
            respond(page).gives("TimedOut(OpeningHandshake)"),
        ])
        .takes_its_time()
        .run();
}

/// The peer sends Close, and nothing more, while the sending half is blocked, and then reads everything: its
/// Close frame is answered behind the message.
#[test]
fn a_half_closed_peer_and_a_blocked_half() {
    let large = large();
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([64 << 10])
            .peer([holds(), until_blocked(), closes(1000, "bye"), ends(), until_end_read(), reads()])
            .both([send(large.clone()).ok()], [recv().none()])
            .sees([lines::message(&large), "close 1000 \"\"".into(), "end".into()])
            .closed("1000 \"bye\", Remote, clean")
            .run();
    }
}

/// The same of a whole WebSocket, which sends first and then receives.
#[test]
fn a_half_closed_peer_and_a_blocked_whole() {
    let large = large();
    for role in ROLES {
        Script::new(role)
            .rooms([64 << 10])
            .peer([holds(), until_blocked(), closes(1000, "bye"), ends(), reads()])
            .calls([send(large.clone()).ok(), recv().none()])
            .sees([lines::message(&large), "close 1000 \"\"".into(), "end".into()])
            .closed("1000 \"bye\", Remote, clean")
            .run();
    }
}

/// Messages that nobody will receive any more are none to wait for: what is sent is written at once.
#[test]
fn the_receiver_is_dropped_with_messages_unread() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([says("0"), says("1"), says("2"), until("close"), closes(1000, ""), goes()])
            .calls([
                recv().text("0"),
                drop_receiver(),
                send("one").ok(),
                seen(["text \"one\""]),
                send("two").ok(),
                seen(["text \"one\"", "text \"two\""]),
            ])
            .run();
    }
}

/// What the kernel had when the server stopped was received before: it is handed out.
#[test]
fn a_stop_with_messages_unread() {
    Script::served(&Server::default())
        .peer([
            says("1"),
            until_told("busy"),
            says("2"),
            says("3"),
            stops(),
            until("close"),
            closes(1001, ""),
        ])
        .calls([
            open().ok(),
            recv().text("1"),
            calls::tell("busy"),
            calls::until_told("stopped"),
            recv().text("2"),
            recv().text("3"),
            recv().none(),
        ])
        .sees(["HTTP/1.1 101 Switching Protocols", "close 1001 \"the server stops\"", "end"])
        .closed("1001 \"\", Local, clean")
        .run();
}

fn large() -> Message {
    Message::binary(vec![7; 16 << 20])
}
