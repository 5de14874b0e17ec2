//! What a connection of `serve` sees when the server stops. How many there may be, and what does not end in time, is
//! tested with each adapter.

use sansocket::{Role, Server};

use crate::calls::{hear, open, recv, recv_incoming, recv_part, send, start_close_without_code, tell};
use crate::common::{CLOSE, TEXT, frame};
use crate::peer::{closes, hears, pings, raw, says, sends, stops, until};
use crate::script::Script;

const OPENED: &str = "HTTP/1.1 101 Switching Protocols";
const STOPPING: &str = "close 1001 \"the server stops\"";

/// A connection that waits is closed; what comes after its Close frame was sent is discarded, and the handler is not
/// asked to answer it.
#[test]
fn messages_around_a_stop() {
    for call in [recv(), recv_incoming(), recv_part()] {
        Script::served(&Server::default())
            .peer([
                says("before"),
                until("text"),
                stops(),
                until("close"),
                says("after"),
                pings("?"),
                closes(1000, "bye"),
            ])
            .calls([open().ok(), recv().text("before"), send("answer").ok(), call.none()])
            .sees([OPENED, "text \"answer\"", STOPPING, "pong \"?\"", "end"])
            .closed("1000 \"bye\", Local, clean")
            .run();
    }
}

/// What was received before is handed out: what was read in one piece, and what the kernel had.
#[test]
fn a_stop_with_messages_unread() {
    let in_one_piece = ["1", "2", "3"].map(|text| frame(Role::Server, TEXT, text.as_bytes())).concat();
    for messages in
        [vec![raw(in_one_piece), hears("busy")], vec![says("1"), hears("busy"), says("2"), says("3")]]
    {
        Script::served(&Server::default())
            .peer(messages)
            .peer([stops(), until("close"), closes(1001, "")])
            .calls([
                open().ok(),
                recv().text("1"),
                tell("busy"),
                hear("stopped"),
                recv().text("2"),
                recv().text("3"),
                recv().none(),
            ])
            .sees([OPENED, STOPPING, "end"])
            .closed("1001 \"\", Local, clean")
            .run();
    }
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

/// The receiving half waits in a thread, or task, of its own.
#[test]
fn halves_at_once() {
    Script::served(&Server::default())
        .only_split()
        .peer([until("text"), stops(), until("close"), closes(1001, "")])
        .calls([open().ok()])
        .both([send("hello").ok()], [recv().none()])
        .calls([send("late").gives("Send(Closing)")])
        .sees([OPENED, "text \"hello\"", STOPPING, "end"])
        .closed("1001 \"\", Local, clean")
        .run();
}

/// The application began to close before, and still wants what arrives.
#[test]
fn a_stop_while_the_application_closes() {
    Script::served(&Server::default())
        .peer([until("close"), stops(), says("after"), sends(CLOSE, "")])
        .calls([open().ok(), start_close_without_code().ok(), recv().text("after"), recv().none()])
        .sees([OPENED, "close", "end"])
        .closed("1005 \"\", Local, clean")
        .run();
}

/// A handler that was asked before accepts, and closes.
#[test]
fn a_stop_while_a_handler_decides() {
    Script::served(&Server::default())
        .peer([hears("asked"), stops(), until("close"), closes(1001, "")])
        .calls([tell("asked"), hear("stopped"), open().ok(), recv().none()])
        .sees([OPENED, STOPPING, "end"])
        .closed("1001 \"\", Local, clean")
        .run();
}
