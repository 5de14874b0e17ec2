//! What is read ahead of a program that does something else is received as if it had not been.

use sansocket::tokio::{Incoming, WebSocket};
use sansocket::{Config, Error, Message, Role};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use crate::common::{
    BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, Sent, TEXT, close_frame, frame, secs,
};
use crate::peer::with_peer;

/// Of each stream, cut anywhere, the first piece comes while the program does something else, and every other time the
/// second too. What it receives then, how that ends, and what the peer gets, is what comes of a program that receives from
/// the start: with room for all of it, and with less room than a frame.
///
/// 6455-5.5.2-02: each Ping is answered, and once.
#[tokio::test(start_paused = true)]
async fn looked_at_at_every_cut() {
    for role in ROLES {
        for (stream, pings) in
            streams(role).into_iter().flat_map(|stream| [(stream.clone(), true), (stream, false)])
        {
            let config = Config::default();
            let expected = transcript(role, &config, [(&stream, false), (&[], false)], pings).await;
            for config in [config.clone(), config.read_buffer_size(10)] {
                for cut in 0..=stream.len() {
                    let (first, second) = stream.split_at(cut);
                    let pieces = [(first, true), (second, cut % 2 == 0)];
                    let looked_at = transcript(role, &config, pieces, pings).await;
                    assert_eq!(looked_at, expected, "{role:?}, {cut} of {stream:02x?}");
                }
            }
        }
    }
}

/// Streams of frames, of every end that a header or a control frame can come to; what is wrong with a message is at the end,
/// since a Ping behind it is answered when it is looked at.
fn streams(role: Role) -> Vec<Vec<u8>> {
    let other = ROLES[usize::from(role == ROLES[0])];
    let good = [
        frame(role, TEXT, b"hello"),
        frame(role, PING, b"1"),
        frame(role, FIRST_TEXT, "fr\u{e4}".as_bytes()),
        frame(role, PING, b"2"),
        frame(role, LAST_CONTINUATION, b"gment"),
        frame(role, PONG, b""),
        frame(role, BINARY, &[7; 130]),
        frame(role, PING, b"3"),
    ]
    .concat();
    let ends = [
        close_frame(role, 1000, "bye"),
        Vec::new(),
        // A Close frame, and what is never looked at.
        [close_frame(role, 4000, ""), frame(role, 0x83, b"")].concat(),
        // An opcode that is not defined, a mask that must not be or is missing, a code that must not be.
        frame(role, 0x83, b""),
        frame(other, TEXT, b"masked?"),
        close_frame(role, 1005, ""),
        // A text that is none, and a continuation of nothing.
        frame(role, TEXT, b"\xff"),
        frame(role, LAST_CONTINUATION, b""),
    ];
    ends.map(|end| [&good[..], &end].concat()).to_vec()
}

/// What comes of it.
#[derive(Debug, PartialEq)]
struct Transcript {
    received: Vec<String>,
    closed: String,
    /// What the peer got.
    sent: Vec<Sent>,
}

/// The pieces come one after the other, and then the end of the transport; after those that are to be looked at, the program
/// does something else for a second.
async fn transcript(role: Role, config: &Config, pieces: [(&[u8], bool); 2], pings: bool) -> Transcript {
    let (mut ws, mut peer) = with_peer(role, 1 << 16, config);
    let mut received = Vec::new();
    for (piece, looked_at) in pieces {
        peer.io.write_all(piece).await.unwrap();
        if looked_at {
            sleep(secs(1)).await;
        }
    }
    peer.io.shutdown().await.unwrap();
    loop {
        let next = timeout(secs(3), next(&mut ws, pings)).await.expect("it hangs");
        received.push(format!("{next:?}"));
        if matches!(next, Ok(None) | Err(_)) {
            break;
        }
    }
    let closed = format!("{:?}", ws.closed());
    drop(ws);
    let sent = timeout(secs(60), peer.frames()).await;
    Transcript {
        sent: sent.unwrap_or_else(|_| panic!("no end after {received:?}, {closed}")),
        received,
        closed,
    }
}

/// What is received next, with Pings and Pongs or without.
async fn next(ws: &mut WebSocket<DuplexStream>, pings: bool) -> Result<Option<Incoming>, Error> {
    if pings {
        return ws.recv_incoming().await;
    }
    let message: Option<Message> = ws.recv().await?;
    Ok(message.map(Incoming::Message))
}
