//! A WebSocket as a stream of bytes.

use std::io::ErrorKind;

use sansocket::Role;

use crate::calls::{
    byte_stream, byte_stream_with_text, close, drop_all, into_parts, read, recv, recv_part, seen, send,
    shut_down, start_close_without_code, write_bytes,
};
use crate::common::{BINARY, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, ROLES, TEXT};
use crate::peer::{closes, ends, fails_writes, goes, pings, sends, until};
use crate::script::{MOMENT, Script, patient};

fn of_bytes(role: Role) -> Script {
    Script::new(role).only_whole()
}

/// The borders of messages, and of their fragments, are given up; Pings between are answered; messages without a payload
/// are no end. The closing handshake is the end, again and again.
#[test]
fn payloads_are_read() {
    for role in ROLES {
        of_bytes(role)
            .peer([sends(BINARY, "one"), sends(BINARY, ""), sends(FIRST_BINARY, "tw"), pings("?")])
            .peer([sends(LAST_CONTINUATION, "o"), sends(BINARY, "three"), closes(4000, "done"), goes()])
            .calls([byte_stream(), read(2).gives("\"on\""), read(0).gives("\"\""), read(3).gives("\"etw\"")])
            .calls([read(100).gives("\"othree\""), read(1).gives("\"\""), read(1).gives("\"\"")])
            .sees(["pong \"?\"", "close 4000 \"\"", "end"])
            .closed("4000 \"done\", Remote, clean")
            .run();
    }
}

/// Each write is a message, and a large one is several.
#[test]
fn writes_are_messages() {
    for role in ROLES {
        let large = vec![7; 100_000];
        of_bytes(role)
            .rooms([61, 4096])
            .calls([byte_stream(), write_bytes("a").gives("1"), write_bytes("").gives("0")])
            .calls([seen(["binary \"a\""]), write_bytes(large).gives("65536"), write_bytes("b").gives("1")])
            .sees(["binary \"a\"", "binary 65536 times 7", "binary \"b\""])
            .run();
    }
}

/// With room for no message, each waits until the one before was written.
#[test]
fn without_a_buffer() {
    for role in ROLES {
        of_bytes(role)
            .rooms([61, 4096])
            .config(patient().write_buffer_size(0))
            .calls([
                byte_stream(),
                write_bytes("a").gives("1"),
                write_bytes([7; 9000].to_vec()).gives("9000"),
            ])
            .calls([write_bytes("b").gives("1")])
            .sees(["binary \"a\"", "binary 9000 times 7", "binary \"b\""])
            .run();
    }
}

/// Text is refused, with 1003, and no byte behind it is read; unless it is chosen to be bytes, too.
#[test]
fn text() {
    for role in ROLES {
        let refused = || read(9).gives("InvalidData: the peer sent text where bytes are expected");
        of_bytes(role)
            .peer([sends(BINARY, "one"), sends(FIRST_TEXT, "tw"), sends(LAST_CONTINUATION, "o")])
            .peer([sends(BINARY, "three"), until("close"), closes(1003, ""), goes()])
            .calls([byte_stream(), read(3).gives("\"one\""), refused(), refused()])
            .calls([close(1000, "").ok(), refused(), write_bytes("x").gives("BrokenPipe: Send(Closing)")])
            .sees(["close 1003 \"text came where bytes are expected\"", "end"])
            .closed("1003 \"\", Local, clean")
            .run();
        of_bytes(role)
            .peer([sends(BINARY, "one"), sends(FIRST_TEXT, "tw"), sends(LAST_CONTINUATION, "o")])
            .peer([sends(TEXT, "three"), closes(1000, ""), goes()])
            .calls([byte_stream_with_text(), read(100).gives("\"onetwothree\"")])
            .sees(["close 1000 \"\"", "end"])
            .run();
    }
}

/// The peer is told 1003 though the program drops the stream at the error.
#[test]
fn text_is_the_last_thing_that_is_read() {
    for role in ROLES {
        of_bytes(role)
            .rooms([4096])
            .peer([sends(TEXT, "two"), until("close"), closes(1003, ""), goes()])
            .calls([byte_stream(), read(9).gives("InvalidData: the peer sent text where bytes are expected")])
            .calls([drop_all()])
            .sees(["close 1003 \"text came where bytes are expected\"", "end"])
            .run();
    }
}

/// What is written ends with a Close frame; what the peer sends until it answers is read to its end.
#[test]
fn shutting_down() {
    for role in ROLES {
        of_bytes(role)
            .peer([until("close"), sends(BINARY, "rest"), closes(1000, ""), goes()])
            .calls([byte_stream(), write_bytes("last").gives("4"), shut_down().ok(), shut_down().ok()])
            .calls([write_bytes("x").gives("BrokenPipe: Send(Closing)"), read(100).gives("\"rest\"")])
            .calls([shut_down().ok(), close(1000, "").ok()])
            .sees(["binary \"last\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
        // `close` waits for the peer, and discards the rest.
        of_bytes(role)
            .peer([until("close"), sends(BINARY, "rest"), closes(1000, ""), goes()])
            .calls([byte_stream(), close(1000, "").ok(), close(1000, "").ok(), read(1).gives("\"\"")])
            .sees(["close 1000 \"\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}

/// Errors have the crate's in them, and the kind of the transport's; after them is the end.
#[test]
fn errors() {
    for role in ROLES {
        of_bytes(role)
            .peer([sends(BINARY, "one"), ends()])
            .calls([byte_stream(), read(3).gives("\"one\"")])
            .calls([read(1).gives("UnexpectedEof: ConnectionLost(UnexpectedEof)"), read(1).gives("\"\"")])
            .calls([write_bytes("x").gives("BrokenPipe: ConnectionLost(BrokenPipe)")])
            .run();
        of_bytes(role)
            .peer([sends(BINARY, "one"), sends(3, ""), until("close"), closes(1002, ""), goes()])
            .calls([byte_stream(), read(3).gives("\"one\"")])
            .calls([read(1).gives("InvalidData: Protocol(ReservedOpcode(3))")])
            .calls([write_bytes("x").gives("BrokenPipe: Send(Closing)")])
            .run();
        of_bytes(role)
            .peer([fails_writes(0, ErrorKind::ConnectionReset)])
            .calls([byte_stream()])
            .calls([write_bytes("x").gives("ConnectionReset: ConnectionLost(ConnectionReset)")])
            .run();
        of_bytes(role)
            .config(patient().close_timeout(MOMENT))
            .calls([byte_stream(), shut_down().ok(), read(1).gives("TimedOut: TimedOut(ClosingHandshake)")])
            .takes(MOMENT)
            .run();
    }
}

/// The WebSocket that it was made of goes on where it was left, with the messages that come; also of halves that were joined.
#[test]
fn back_to_messages() {
    for role in ROLES {
        of_bytes(role)
            .rooms([4096])
            .peer([sends(FIRST_BINARY, "one"), sends(LAST_CONTINUATION, "two"), sends(TEXT, "three")])
            .calls([byte_stream(), read(2).gives("\"on\""), into_parts("e")])
            .calls([recv_part().gives("last of binary \"two\""), recv().text("three"), send("x").ok()])
            .calls([byte_stream(), write_bytes("y").gives("1"), into_parts("")])
            .calls([start_close_without_code().ok(), byte_stream(), shut_down().ok()])
            .sees(["text \"x\"", "binary \"y\"", "close"])
            .run();
    }
}
