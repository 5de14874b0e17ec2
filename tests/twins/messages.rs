//! Messages, their parts, Pings and Pongs.

use sansocket::{Message, MessageKind, Role};

use crate::calls::{
    close, feed, feed_part, flush, ping, pong, recv, recv_incoming, recv_part, recv_parts, seen, send,
    send_prepared, start_close_without_code, tell, write, writes,
};
use crate::common::{
    BINARY, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, announced,
    frame, texts,
};
use crate::lines;
use crate::peer::{
    closes, floods_raw, goes, hears, holds, pings, pongs, raw, reads, says, sends, until, until_blocked,
    until_read,
};
use crate::script::{Script, patient};

/// Messages of every length that has a header of its own, and of those around the limits of buffers.
fn messages(most: usize) -> Vec<Message> {
    let lengths = [0, 1, 125, 126, 127, 1024, 4095, 4096, 4097, 65_535, 65_536, 200_000, 1_000_000];
    let lengths = lengths.into_iter().filter(|len| *len <= most);
    lengths
        .flat_map(|len| {
            let binary = (0..=u8::MAX).cycle().take(len).collect::<Vec<_>>();
            [Message::binary(binary), Message::text("ü".repeat(len / 2))]
        })
        .collect()
}

fn first_byte(message: &Message) -> u8 {
    match message.kind() {
        MessageKind::Text => TEXT,
        MessageKind::Binary => BINARY,
    }
}

/// 6455-5.4-06, 6455-6.1-10: messages of all sizes arrive whole and in the order sent, both ways, through pipes of
/// all sizes, one that takes a byte at a time included.
#[test]
fn messages_pass_in_order() {
    for role in ROLES {
        let most = if role == Role::Client { 1_000_000 } else { 200_000 };
        for (rooms, most) in [(&[1, 7][..], 5000), (&[61, 4095][..], 70_000), (&[4096][..], most)] {
            let messages = messages(most);
            let acts = messages.iter().map(|message| sends(first_byte(message), message.payload()));
            let calls = messages
                .iter()
                .flat_map(|message| [recv().gives(lines::message(message)), send(message.clone()).ok()]);
            Script::new(role)
                .rooms(rooms)
                .peer(acts.chain([closes(1000, ""), goes()]))
                .calls(calls.chain([recv().none()]))
                .sees(messages.iter().map(lines::message).chain(["close 1000 \"\"".into(), "end".into()]))
                .closed("1000 \"\", Remote, clean")
                .run();
        }
    }
}

/// Text is put together of what each read brings, while messages before it are held; in frames or in fragments.
#[test]
fn text_arrives_in_pieces() {
    for role in ROLES {
        for len in [1, 10, 4000, 5000, 70_000, 300_000] {
            let (texts, bytes) = texts(role, len);
            let rooms = [1, 3, 1021, 50_001, 200_003];
            let rooms = rooms.into_iter().filter(|room| bytes.len() / room < 8000);
            let calls = texts.iter().map(|text| recv().gives(lines::message(text)));
            Script::new(role)
                .only_whole()
                .rooms(rooms.collect::<Vec<_>>())
                .peer([raw(bytes.clone()), closes(1000, ""), goes()])
                .calls(calls.chain([recv().none()]))
                .closed("1000 \"\", Remote, clean")
                .run();
        }
    }
}

/// 6455-5.4-06: fragments with control frames between them, cut everywhere, make one message, and Pings and Pongs
/// are shown to those who ask.
#[test]
fn fragments_are_joined() {
    for role in ROLES {
        let script = Script::new(role)
            .peer([
                sends(FIRST_TEXT, "grü"),
                pings("between"),
                pongs("unasked"),
                sends(LAST_CONTINUATION, "ße"),
                sends(BINARY, [1; 300]),
                closes(1000, ""),
                goes(),
            ])
            .sees(["pong \"between\"", "close 1000 \"\"", "end"]);
        script.clone().calls([recv().text("grüße"), recv().gives("binary 300 times 1"), recv().none()]).run();
        script
            .clone()
            .calls([
                recv_incoming().gives("ping \"between\""),
                recv_incoming().gives("pong \"unasked\""),
                recv_incoming().text("grüße"),
                recv_incoming().gives("binary 300 times 1"),
                recv_incoming().none(),
            ])
            .run();
        script
            .calls([
                recv_parts().text("grüße"),
                recv_parts().gives("binary 300 times 1"),
                recv_parts().none(),
            ])
            .run();
    }
}

/// 6455-5.4-06: the parts of a message, joined, are the message, however it is cut and fragmented.
#[test]
fn parts_make_the_message() {
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(3000).collect();
    for role in ROLES {
        Script::new(role)
            .peer([
                sends(FIRST_BINARY, &payload[..1000]),
                pings("!"),
                sends(CONTINUATION, ""),
                sends(LAST_CONTINUATION, &payload[1000..]),
                sends(BINARY, ""),
                says("next"),
                closes(1000, ""),
                goes(),
            ])
            .calls([
                recv_parts().gives(format!("binary {}", lines::payload(&payload))),
                recv_part().gives("all of binary \"\""),
                recv().text("next"),
                recv().none(),
            ])
            .sees(["pong \"!\"", "close 1000 \"\"", "end"])
            .run();
    }
}

/// `recv` and `recv_part` within one message: what is left of a message that was taken in parts is skipped; the
/// connection knows its place all the time.
#[test]
fn the_rest_of_a_message_is_skipped() {
    for role in ROLES {
        let one = frame(role, FIRST_TEXT, b"one");
        let (front, back) = one.split_at(one.len() - 1);
        Script::new(role)
            .rooms([4095, 4096])
            .peer([
                raw(front),
                until_read(),
                raw(back),
                sends(LAST_CONTINUATION, "end"),
                // Skipped after its first part.
                sends(FIRST_TEXT, "one"),
                until_read(),
                sends(CONTINUATION, "two"),
                pings("?"),
                sends(LAST_CONTINUATION, "end"),
                says("whole"),
                closes(1000, ""),
                goes(),
            ])
            .calls([
                recv_part().gives("first of text \"on\""),
                recv_part().gives("more of text \"e\""),
                recv_part().gives("last of text \"end\""),
                recv_part().gives("first of text \"one\""),
                recv().text("whole"),
                recv().none(),
            ])
            .sees(["pong \"?\"", "close 1000 \"\"", "end"])
            .run();
    }
}

/// A frame of 1 GiB arrives in parts, none of which is large: memory does not grow with the frame.
#[test]
fn a_huge_frame_in_parts() {
    const GIB: u64 = 1 << 30;
    Script::new(Role::Client)
        .only_whole()
        .rooms([4096])
        .config(patient().max_message_size(GIB).max_frame_size(GIB))
        .peer([raw(announced(Role::Client, BINARY, GIB)), floods_raw(vec![7; 64 << 10])])
        .calls([recv_parts().gives(format!("binary {GIB} bytes"))])
        .takes_its_time()
        .run();
}

/// Bytes that were read with the end of the opening handshake are the first to be received.
#[test]
fn read_ahead_comes_first() {
    for role in ROLES {
        let bytes =
            [frame(role, TEXT, b"first"), frame(role, BINARY, &[1; 5000]), frame(role, TEXT, b"third")];
        let bytes = bytes.concat();
        let near_the_end = bytes.len() - 12..=bytes.len();
        for cut in (0..=20).chain(near_the_end) {
            Script::new(role)
                .rooms([61, 4096])
                .read_ahead(&bytes[..cut])
                .peer([raw(&bytes[cut..])])
                .calls([recv().text("first"), recv().gives("binary 5000 times 1"), recv().text("third")])
                .run();
        }
    }
}

/// One frame for many connections, whole and split: each peer receives it. Nothing is sent behind a Close frame.
#[test]
fn framed_once() {
    for role in ROLES {
        let messages = messages(200_000);
        let calls = messages.iter().map(|message| send_prepared(message.clone()).ok());
        Script::new(role)
            .rooms([61, 4095, 4096])
            .config(patient().write_buffer_size(1000))
            .peer([until("close"), closes(1000, ""), goes()])
            .calls(calls)
            .calls([
                start_close_without_code().ok(),
                send_prepared("x").gives("Send(Closing)"),
                recv().none(),
            ])
            .sees(messages.iter().map(lines::message).chain(["close".into(), "end".into()]))
            .closed("1000 \"\", Local, clean")
            .run();
    }
}

/// Fed messages are sent by `flush`, and by `recv` before it waits, in one write each.
#[test]
fn feed_is_flushed() {
    for role in ROLES {
        Script::new(role)
            .rooms([4096])
            .peer([until("text \"three\""), says("text"), hears("enough"), closes(1000, ""), goes()])
            .calls([
                feed("one").ok(),
                feed("two").ok(),
                seen([]),
                flush().ok(),
                seen(["text \"one\"", "text \"two\""]),
                writes(1),
                feed("three").ok(),
                writes(1),
                recv().text("text"),
                writes(2),
                tell("enough"),
                recv().none(),
            ])
            .sees(["text \"one\"", "text \"two\"", "text \"three\"", "close 1000 \"\"", "end"])
            .run();
    }
}

/// Those that are many are written when the buffer is full.
#[test]
fn a_full_buffer_is_written() {
    for role in ROLES {
        Script::new(role)
            .rooms([4096])
            .config(patient().write_buffer_size(100))
            .calls((0..100).map(|_| feed([0; 30].to_vec()).ok()))
            // Of three frames each, which are longer with a key, or four; and the last is not written yet.
            .calls([writes(if role == Role::Client { 33 } else { 24 }), flush().ok()])
            .sees(vec![format!("binary {}", lines::payload(&[0; 30])); 100])
            .run();
    }
}

/// 6455-5.4-06, 6455-6.1-10: a transport that takes a byte at a time, or nothing for a while, gets the same bytes as
/// one that takes all; large payloads, which are written from where they lie, too.
#[test]
fn short_writes_lose_nothing() {
    for role in ROLES {
        for (rooms, large) in [([1, 2, 3], 9000), ([7, 4095, 4097], 100_000)] {
            let payloads = [vec![1; 10], vec![2; 5000], vec![], vec![3; 4096], vec![4; large], vec![5; 3]];
            for write_buffer_size in [6000, 1 << 20] {
                Script::new(role)
                    .rooms(rooms)
                    .config(patient().write_buffer_size(write_buffer_size))
                    .calls(payloads.iter().map(|payload| feed(payload.clone()).ok()))
                    .calls([flush().ok()])
                    .sees(payloads.iter().map(|payload| format!("binary {}", lines::payload(payload))))
                    .run();
            }
        }
    }
}

/// Parts are sent as fragments, the first with the opcode, the last with FIN; text may be cut in a code point;
/// nothing else fits between, but control frames.
#[test]
fn parts_make_fragments() {
    let part = |payload: &'static [u8], last| feed_part(MessageKind::Text, payload, last);
    for role in ROLES {
        Script::new(role)
            .calls([
                part(b"\xc3", false).ok(),
                ping("between").ok(),
                pong("unasked").ok(),
                send("x").gives("Send(MessageInProgress)"),
                send_prepared("x").gives("Send(MessageInProgress)"),
                feed_part(MessageKind::Binary, "", true).gives("Send(MessageInProgress)"),
                part(b"x", true).gives("Send(InvalidUtf8)"),
                part(b"\xbc", false).ok(),
                part(b"", true).ok(),
                send("next").ok(),
            ])
            .sees([
                "first text 1 times 195",
                "ping \"between\"",
                "pong \"unasked\"",
                "more fragment 1 times 188",
                "last fragment \"\"",
                "text \"next\"",
            ])
            .run();
    }
}

/// What is written to a `MessageWriter` is one message. Small pieces are gathered: peers have limits on fragments.
#[test]
fn message_writer() {
    const PART: usize = 16 << 10;
    for role in ROLES {
        let piece = |len| "x".repeat(len);
        let part = |len| lines::payload(piece(len).as_bytes());
        Script::new(role)
            .only_whole()
            .calls([
                write(MessageKind::Binary, ["one", "", "two"]).ok(),
                write(MessageKind::Text, [""; 0]).ok(),
                write(MessageKind::Text, vec![piece(10); 20_000]).ok(),
                write(MessageKind::Binary, [piece(PART), piece(1), piece(PART), piece(PART + 1), piece(2)])
                    .ok(),
                send("next").ok(),
            ])
            .sees(
                ["binary \"onetwo\"".into(), "text \"\"".into()]
                    .into_iter()
                    .chain([format!("first text {}", part(PART / 10 * 10))])
                    .chain(vec![format!("more fragment {}", part(PART / 10 * 10)); 11])
                    .chain([format!("last fragment {}", part(200_000 - 12 * (PART / 10 * 10)))])
                    .chain([format!("first binary {}", part(PART))])
                    .chain([1, PART, PART + 1].map(|len| format!("more fragment {}", part(len))))
                    .chain([format!("last fragment {}", part(2)), "text \"next\"".into()]),
            )
            .run();
    }
}

/// 6455-5.5.2-02: a Ping is answered by whichever call waits for input, without the application's help.
#[test]
fn pings_are_answered() {
    for role in ROLES {
        for call in [recv(), recv_part()] {
            Script::new(role)
                .peer([
                    pings(""),
                    until("pong"),
                    pings("a"),
                    until("pong"),
                    sends(PING, [7; 125]),
                    until("pong"),
                    closes(1000, ""),
                    goes(),
                ])
                .calls([call.none()])
                .sees([
                    "pong \"\"".into(),
                    "pong \"a\"".into(),
                    format!("pong {}", lines::payload(&[7; 125])),
                    "close 1000 \"\"".into(),
                    "end".into(),
                ])
                .run();
        }
    }
}

/// They are answered, in time, behind a message that is blocked.
#[test]
fn pings_while_a_message_is_blocked() {
    for role in ROLES {
        Script::new(role)
            .rooms([61, 64])
            .peer([pings("1"), says("a"), holds(), until_blocked(), says("b"), pings("2"), reads()])
            .peer([until("pong \"2\""), closes(1000, ""), goes()])
            .calls([
                send(vec![1; 1000]).ok(),
                recv_incoming().gives("ping \"1\""),
                recv_incoming().text("a"),
                recv_incoming().text("b"),
                recv_incoming().gives("ping \"2\""),
                recv_incoming().none(),
            ])
            .sees(["binary 1000 times 1", "pong \"1\"", "pong \"2\"", "close 1000 \"\"", "end"])
            .closed("1000 \"\", Remote, clean")
            .run();
    }
}

/// A Pong is not held back while messages keep coming.
#[test]
fn a_pong_leaves_with_the_next_message() {
    for role in ROLES {
        for call in [recv(), recv_incoming()] {
            Script::new(role)
                .rooms([4096])
                .read_ahead(frame(role, PONG, b"first"))
                .peer([pings("now"), says("one"), says("two")])
                .calls([recv().text("one"), seen(["pong \"now\""]), call.text("two")])
                .run();
        }
    }
}

/// Pings and Pongs of ours.
#[test]
fn pings_and_pongs_are_sent() {
    for role in ROLES {
        Script::new(role)
            .peer([until("text"), pongs("ping"), closes(1000, ""), goes()])
            .calls([
                ping("ping").ok(),
                pong("unasked").ok(),
                send("text").ok(),
                recv_incoming().gives("pong \"ping\""),
                recv_incoming().none(),
            ])
            .sees(["ping \"ping\"", "pong \"unasked\"", "text \"text\"", "close 1000 \"\"", "end"])
            .run();
    }
}

/// What may not be sent is refused, and the connection goes on.
#[test]
fn misuse_does_no_harm() {
    for role in ROLES {
        Script::new(role)
            .calls([
                ping("x".repeat(126)).gives("Send(ControlPayloadTooLong)"),
                pong("x".repeat(126)).gives("Send(ControlPayloadTooLong)"),
                close(1000, &"x".repeat(124)).gives("Send(CloseReasonTooLong)"),
                close(1006, "").gives("Send(InvalidCloseCode(CloseCode(1006)))"),
                send("still here").ok(),
            ])
            .sees(["text \"still here\""])
            .closed("not closed")
            .run();
    }
}

/// A Ping flood from a peer that reads nothing is received to its end, and answered with bounded memory: the latest
/// Pong, at last.
#[test]
fn a_ping_flood_stays_bounded() {
    for role in ROLES {
        let floods = (0..1000u32).map(|i| pings(&i.to_string()));
        Script::new(role)
            .only_split()
            .rooms([100])
            .config(patient().write_buffer_size(200))
            .peer([holds()].into_iter().chain(floods).chain([
                says("end"),
                reads(),
                until("pong \"999\""),
                closes(1000, ""),
                goes(),
            ]))
            .both([], [recv().text("end"), recv().none()])
            .closed("1000 \"\", Remote, clean")
            .takes_its_time()
            .run();
    }
}
