//! `send` while more of what was read waits to be received: what it was given is written without another call.

use crate::calls::{drop_receiver, flush, hear, recv, seen, send, send_prepared, tell};
use crate::common::ROLES;
use crate::peer::{closes, goes, hears, says, tells, until, until_read};
use crate::script::Script;

/// The program receives some of what came, answers it, and then does something else.
#[test]
fn the_program_receives_nothing_more() {
    for role in ROLES {
        Script::new(role)
            .rooms([4095, 4096])
            .peer([says("0"), says("1"), says("2"), says("3"), until("text \"0\""), tells("one")])
            .peer([until("text \"1\""), tells("two")])
            .calls([
                recv().text("0"),
                send("0").ok(),
                hear("one"),
                recv().text("1"),
                send_prepared("1").ok(),
                hear("two"),
            ])
            .sees(["text \"0\"", "text \"1\""])
            .takes_its_time()
            .run();
    }
}

/// What is sent when nothing more waits to be received is written at once, and so is what is flushed.
#[test]
fn nothing_waits_to_be_received() {
    for role in ROLES {
        Script::new(role)
            .rooms([4096])
            .peer([says("0"), says("1")])
            .calls([
                send("a").ok(),
                seen(["text \"a\""]),
                recv().text("0"),
                send("b").ok(),
                flush().ok(),
                seen(["text \"a\"", "text \"b\""]),
                recv().text("1"),
                send("c").ok(),
                seen(["text \"a\"", "text \"b\"", "text \"c\""]),
            ])
            .run();
    }
}

/// The receiving half waits for more: it has taken all, and what the other sends is written at once.
#[test]
fn the_receiver_waits() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .peer([says("0"), until_read(), tells("it waits")])
            .peer([hears("looked"), closes(1000, ""), goes()])
            .both(
                [hear("it waits"), send("a").ok(), seen(["text \"a\""]), tell("looked")],
                [recv().text("0"), recv().none()],
            )
            .sees(["text \"a\"", "close 1000 \"\"", "end"])
            .run();
    }
}

/// What was left queued is written with what is sent once the receiving half was dropped, if that had received all.
#[test]
fn the_receiver_is_dropped() {
    for role in ROLES {
        Script::new(role)
            .only_split()
            .rooms([4096])
            .peer([says("0"), says("1")])
            .calls([
                recv().text("0"),
                send("a").ok(),
                recv().text("1"),
                drop_receiver(),
                send("b").ok(),
                seen(["text \"a\"", "text \"b\""]),
            ])
            .run();
    }
}
