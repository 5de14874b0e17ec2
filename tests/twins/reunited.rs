//! Halves that become a WebSocket again: whatever state they are in, it goes on.

use sansocket::{Config, Role};

use crate::adapter::{Adapter, Blocking, Sends, Tokio};
use crate::calls::{
    close, feed, flush, recv, recv_part, reunite, seen, send, split, start_close_without_code,
};
use crate::common::{FIRST_TEXT, LAST_CONTINUATION, ROLES};
use crate::peer::{Peer, Stage, closes, ends, goes, pings, says, sends, until};
use crate::script::{MOMENT, Script, patient};
use crate::wire::Wire;

/// What was received and not handed out stays to be received, and what was queued is sent.
#[test]
fn nothing_is_lost() {
    for role in ROLES {
        Script::new(role)
            .rooms([4096])
            .peer([says("0"), says("1"), says("2"), until("close"), says("3"), closes(1000, ""), goes()])
            .calls([recv().text("0"), feed("fed").ok(), reunite(), recv().text("1"), send("sent").ok()])
            .calls([flush().ok(), seen(["text \"fed\"", "text \"sent\""])])
            .calls([split(), recv().text("2"), reunite(), close(1000, "").ok()])
            .sees(["text \"fed\"", "text \"sent\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
    }
}

/// In the middle of a message that is received in parts, the rest of it comes.
#[test]
fn in_the_middle_of_a_message() {
    for role in ROLES {
        Script::new(role)
            .peer([sends(FIRST_TEXT, "a"), pings("?"), sends(LAST_CONTINUATION, "b"), says("next")])
            .calls([recv_part().gives("first of text \"a\""), reunite()])
            .calls([recv_part().gives("last of text \"b\""), reunite(), recv().text("next"), flush().ok()])
            .sees(["pong \"?\""])
            .run();
    }
}

/// A connection that has closed, or was lost, tells how, and its calls come to what they did.
#[test]
fn after_the_end() {
    for role in ROLES {
        Script::new(role)
            .peer([says("last"), closes(1001, "away"), goes()])
            .calls([recv().text("last"), recv().none(), reunite(), recv().none(), split(), reunite()])
            .sees(["close 1001 \"\"", "end"])
            .closed("1001 \"away\", Remote, clean")
            .run();
        Script::new(role)
            .peer([closes(1001, "away"), goes()])
            .calls([recv().none(), reunite(), split()])
            .sees(["close 1001 \"\"", "end"])
            .closed("1001 \"away\", Remote, clean")
            .run();
        // The peer's Close frame is yet to be received, and the other half has sent one.
        Script::new(role)
            .peer([until("close"), says("last"), closes(1000, ""), goes()])
            .calls([start_close_without_code().ok(), flush().ok(), reunite(), recv().text("last")])
            .calls([recv().none()])
            .sees(["close", "end"])
            .closed("1000 \"\", Local, clean")
            .run();
        Script::new(role)
            .peer([ends()])
            .calls([recv().gives("ConnectionLost(UnexpectedEof)"), reunite(), recv().none()])
            .closed("1006 \"\", Transport, not clean")
            .run();
    }
}

/// Deadlines hold on.
#[test]
fn deadlines() {
    for role in ROLES {
        Script::new(role)
            .config(patient().close_timeout(MOMENT))
            .calls([start_close_without_code().ok(), reunite(), recv().gives("TimedOut(ClosingHandshake)")])
            .sees(["close"])
            .takes(MOMENT)
            .run();
    }
}

/// Halves of two connections do not fit, and go on as they were.
#[test]
fn of_different_connections() {
    fn refused<A: Adapter<Stream = Wire>>() {
        A::run(async {
            let [(one, seen), (other, _)] = [(), ()].map(|()| {
                let peer = Peer::new(Role::Server, Stage::Frames, [says("hello")]);
                let (wire, control) = Wire::new(peer, 4096, A::now);
                (A::split(A::upgraded(wire, Role::Server, b"", &Config::default())), control)
            });
            let Err((mut sender, receiver)) = A::reunite(one.0, other.1) else { panic!("they fit") };
            sender.send("still open".into()).await.unwrap();
            assert_eq!(seen.seen(), ["text \"still open\""]);
            assert!(A::reunite(sender, one.1).is_ok() && A::reunite(other.0, receiver).is_ok());
        });
    }
    refused::<Blocking<Wire>>();
    refused::<Tokio<Wire>>();
}
