//! Connections that fail: by the peer's fault, or the transport's.

use std::io::ErrorKind;
use std::time::Duration;

use sansocket::{CloseCode, ProtocolError, Role};

use crate::calls::{
    Call, close, flush, hear, pause, ping, recv, recv_incoming, recv_part, recv_parts, send, start_close,
};
use crate::common::{BINARY, CLOSE, FIN, FIRST_TEXT, LAST_CONTINUATION, ROLES, TEXT, frame};
use crate::lines;
use crate::peer::{
    Act, closes, ends, fails_writes, floods_raw, goes, holds, leaves, pings, raw, reads, refuses_writes,
    resets, says, sends, tells, until, until_blocked,
};
use crate::script::{MOMENT, Script, patient};

/// A peer that breaks a rule is told which by a Close frame, and a server then closes the transport, once that is answered;
/// the messages before are received first.
#[test]
fn the_peer_breaks_the_protocol() {
    for role in ROLES {
        for (error, faults) in [
            (ProtocolError::ReservedOpcode(3), vec![sends(FIN | 3, "")]),
            (ProtocolError::ReservedBitSet, vec![sends(TEXT | 0x40, "")]),
            (ProtocolError::InvalidUtf8, vec![sends(TEXT, b"\xff")]),
            (
                ProtocolError::InvalidCloseReason(CloseCode::GOING_AWAY),
                vec![sends(CLOSE, b"\x03\xe9cut\xc3")],
            ),
            (ProtocolError::ContinuationWithoutMessage, vec![sends(LAST_CONTINUATION, "")]),
            (ProtocolError::MessageTooBig, vec![sends(TEXT, [b'x'; 2001])]),
            (ProtocolError::TruncatedCloseCode, vec![sends(CLOSE, b"\x03")]),
            (ProtocolError::MessageInProgress, vec![sends(FIRST_TEXT, "begun"), sends(TEXT, "")]),
        ] {
            Script::new(role)
                .config(patient().max_message_size(2000))
                .peer([says("one"), says("two")].into_iter().chain(faults))
                .peer([says("three"), until("close"), closes(1002, ""), goes()])
                .calls([
                    recv().text("one"),
                    recv().text("two"),
                    recv().gives(format!("Protocol({error:?})")),
                    close(1000, "").ok(),
                ])
                .sees([told(error), "end".into()])
                .closed("1006 \"\", Local, not clean")
                .run();
        }
    }
}

/// Each call that receives tells so, once.
#[test]
fn every_call_tells() {
    let error = ProtocolError::ReservedOpcode(3);
    for role in ROLES {
        for call in [recv(), recv_incoming(), recv_part()] {
            Script::new(role)
                .peer([sends(FIN | 3, ""), until("close"), closes(1002, ""), goes()])
                .calls([call.gives(format!("Protocol({error:?})"))])
                .sees([told(error), "end".into()])
                .closed("1006 \"\", Local, not clean")
                .run();
        }
    }
}

/// What breaks a rule behind our own Close frame is no error to who discards it: the connection was to end, and has not ended
/// cleanly. Nor is it to who receives what comes before the answer, if it is that; else something is missing. Another Close
/// frame is not waited for. Also when nobody has received meanwhile.
#[test]
fn an_invalid_answer_to_our_close_frame() {
    for role in ROLES {
        for (answer, error) in [
            (sends(CLOSE, b"\x03\xed"), None),
            (sends(CLOSE, b"\x03"), None),
            (sends(FIN | 3, ""), Some(ProtocolError::ReservedOpcode(3))),
            (sends(TEXT, b"\xff"), Some(ProtocolError::InvalidUtf8)),
            (sends(TEXT, [b'x'; 2001]), Some(ProtocolError::MessageTooBig)),
        ] {
            let last = |call: Call| match error {
                Some(error) => call.gives(format!("Protocol({error:?})")),
                None => call.none(),
            };
            // A look ahead sees frames alone: that a server has ended the transport without a Close comes before the rest.
            let lost = match (role, error) {
                (Role::Client, Some(ProtocolError::InvalidUtf8 | ProtocolError::MessageTooBig)) => {
                    recv().gives("ConnectionLost(UnexpectedEof)")
                }
                _ => last(recv()),
            };
            let script = Script::new(role)
                .config(patient().max_message_size(2000))
                .peer([until("close"), says("late"), answer.clone(), says("behind"), goes()])
                .sees(["close 1000 \"\"", "end"])
                .closed("1006 \"\", Local, not clean");
            script.clone().only_whole().calls([close(1000, "").ok(), close(1000, "").ok()]).run();
            script.clone().calls([start_close(1000, "").ok(), recv().text("late"), last(recv())]).run();
            script
                .clone()
                .only_split()
                .both([close(1000, "").ok()], [recv().text("late"), last(recv_incoming())])
                .run();
            Script::new(role)
                .config(patient().max_message_size(2000))
                .rooms([4096])
                .only_whole()
                .takes_its_time()
                .peer([until("close"), says("late"), answer.clone(), tells("answered"), goes()])
                .calls([start_close(1000, "").ok(), flush().ok(), hear("answered")])
                .calls((0..20).flat_map(|_| [pause(MOMENT), send("x").gives("Send(Closing)")]))
                .calls([recv().text("late"), lost.clone(), close(1000, "").ok()])
                .sees_among_others(["close 1000 \"\""])
                .closed("1006 \"\", Local, not clean")
                .run();
        }
    }
}

/// 6455-7.1.7-03, 6455-7.1.7-05: a server does not close the transport with the Close frame that tells of an error, but when
/// the peer has answered it, in whatever that comes, and behind whatever; or after a tenth of the close timeout; or when the
/// peer has ended its direction.
#[test]
fn the_peer_sees_why_before_the_end() {
    let script = |role| Script::new(role).config(patient().close_timeout(10 * MOMENT).max_message_size(2000));
    let mut long = [b'x'; 1900];
    long[..2].copy_from_slice(b"\xff\xff");
    for role in ROLES {
        let mut not_minimal = frame(role, BINARY, b"x");
        not_minimal.splice(1..2, [not_minimal[1] - 1 + 126, 0, 1]);
        for (error, faults) in [
            (ProtocolError::ReservedOpcode(3), vec![sends(FIN | 3, "x")]),
            (ProtocolError::NonMinimalLength, vec![raw(&not_minimal)]),
            (ProtocolError::InvalidUtf8, vec![sends(TEXT, long)]),
            (ProtocolError::InvalidUtf8, vec![sends(FIRST_TEXT, "x"), sends(LAST_CONTINUATION, long)]),
            (ProtocolError::MessageTooBig, vec![sends(TEXT, [b'x'; 70_000])]),
        ] {
            for call in [recv(), recv_parts()] {
                script(role)
                    .rooms([61, 4095])
                    .peer(faults.clone())
                    .peer([pings("?"), says("behind"), until("close"), sends(BINARY, [CLOSE; 1000])])
                    .peer([closes(1000, ""), goes()])
                    .calls([call.gives(format!("Protocol({error:?})"))])
                    .sees([told(error), "end".into()])
                    .closed("1006 \"\", Local, not clean")
                    .takes(Duration::ZERO)
                    .run();
            }
        }
        let error = ProtocolError::ReservedOpcode(3);
        let waits = if role == Role::Server { MOMENT } else { Duration::ZERO };
        for (behind, takes) in
            [(vec![], waits), (vec![raw([0xff; 300])], waits), (vec![ends()], Duration::ZERO)]
        {
            script(role)
                .peer([sends(FIN | 3, "")].into_iter().chain(behind).chain([goes()]))
                .calls([recv().gives(format!("Protocol({error:?})")), recv().none()])
                .sees([told(error), "end".into()])
                .closed("1006 \"\", Local, not clean")
                .takes(takes)
                .run();
        }
    }
}

/// A peer that sends on after it was told, and does not go: for as long as the close timeout.
#[test]
fn the_peer_stays() {
    for role in ROLES {
        for flood in [None, Some(floods_raw([0xff; 1000]))] {
            let error = ProtocolError::ReservedOpcode(3);
            Script::new(role)
                .config(patient().close_timeout(MOMENT))
                .peer([sends(FIN | 3, "")].into_iter().chain(flood))
                .calls([recv().gives(format!("Protocol({error:?})"))])
                .closed("1006 \"\", Local, not clean")
                .takes(MOMENT)
                .run();
        }
    }
}

/// The peer breaks a rule while a whole WebSocket is blocked by it: it is told once it reads, behind what was being written.
#[test]
fn the_peer_breaks_the_protocol_while_we_write() {
    let error = ProtocolError::ReservedOpcode(3);
    for role in ROLES {
        Script::new(role)
            .only_whole()
            .rooms([4095, 4096])
            .peer([holds(), until_blocked(), sends(FIN | 3, ""), reads()])
            .peer([until("close"), closes(1002, ""), goes()])
            .calls([send(vec![7; 100_000]).ok(), recv().gives(format!("Protocol({error:?})"))])
            .sees(["binary 100000 times 7".into(), told(error), "end".into()])
            .closed("1006 \"\", Local, not clean")
            .run();
    }
}

/// A transport that takes no bytes any more, by an error or by taking none, fails what is sent, at once, and is not
/// written to again; what the peer had sent is still received.
#[test]
fn writes_fail() {
    for role in ROLES {
        for (fault, error) in [
            (fails_writes as fn(usize, ErrorKind) -> Act, "ConnectionLost(BrokenPipe)"),
            (|after, _| refuses_writes(after), "ConnectionLost(WriteZero)"),
        ] {
            for took in [0, 3] {
                Script::new(role)
                    .peer([fault(took, ErrorKind::BrokenPipe), says("one"), pings(""), says("two"), ends()])
                    .calls([
                        send("lost").gives(error),
                        send("x").gives("ConnectionLost(BrokenPipe)"),
                        ping("x").gives("ConnectionLost(BrokenPipe)"),
                        recv().text("one"),
                        recv().text("two"),
                        recv().gives("ConnectionLost(UnexpectedEof)"),
                    ])
                    .sees(&["dropped", "end within something"][..took.min(2)])
                    .closed("1006 \"\", Transport, not clean")
                    .run();
            }
        }
    }
}

/// The peer is gone while it is written to: what it had sent is received.
#[test]
fn the_peer_leaves_while_we_write() {
    for role in ROLES {
        for (end, error) in
            [(leaves(), "ConnectionLost(UnexpectedEof)"), (resets(), "ConnectionLost(ConnectionReset)")]
        {
            Script::new(role)
                .rooms([61, 64])
                .peer([says("one"), holds(), until_blocked(), end])
                .both(
                    [send(vec![1; 1000]).gives("ConnectionLost(BrokenPipe)")],
                    [recv().text("one"), recv().gives(error)],
                )
                .closed("1006 \"\", Transport, not clean")
                .run();
        }
    }
}

/// Nothing is read of what a fault follows: bytes that are no frame do no harm.
#[test]
fn nothing_is_looked_at_behind_a_fault() {
    for role in ROLES {
        let error = ProtocolError::ReservedOpcode(3);
        Script::new(role)
            .peer([sends(FIN | 3, ""), raw([0xff; 300]), says("late"), ends()])
            .calls([recv().gives(format!("Protocol({error:?})")), recv().none()])
            .sees([told(error), "end".into()])
            .closed("1006 \"\", Local, not clean")
            .run();
    }
}

/// The Close frame that tells of an error.
fn told(error: ProtocolError) -> String {
    format!("close {} {}", error.close_code().get(), lines::payload(error.reason().as_bytes()))
}
