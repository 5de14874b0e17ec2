//! A WebSocket as a stream of bytes, under what copies bytes; what both adapters promise of it is in `tests/twins`.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::thread;

use sansocket::{CloseCode, Config};

use crate::common::{BINARY, CLOSE, ROLES, close_payload, frame};
use crate::peer::{pair, with_peer};

/// All that is written at one end is read at the other, and so is the end; then the other way round.
#[test]
fn bytes_are_copied() {
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (client, server) = pair(&Config::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = client.into_byte_stream();
            assert_eq!(io::copy(&mut &bytes[..], &mut stream).unwrap(), bytes.len() as u64);
            let mut back = vec![0; bytes.len()];
            stream.read_exact(&mut back).unwrap();
            assert!(back == bytes);
            stream.shutdown().unwrap();
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
            assert!(stream.get_ref().closed().unwrap().clean);
        });
        let mut stream = server.into_byte_stream();
        let mut there = vec![0; bytes.len()];
        stream.read_exact(&mut there).unwrap();
        assert!(there == bytes);
        stream.write_all(&there).unwrap();
        assert_eq!(stream.read_to_end(&mut there).unwrap(), 0);
        assert_eq!(stream.get_ref().closed().unwrap().code, CloseCode::NORMAL);
    });
}

/// What reads lines does; and what puts small writes together sends one message.
#[test]
fn lines() {
    for role in ROLES {
        let (ws, mut peer) = with_peer(role, &Config::default());
        let mut stream = ws.into_byte_stream();
        let messages = [&b"one\ntw"[..], b"o\n", b"three"].map(|payload| frame(role, BINARY, payload));
        peer.io.write_all(&messages.concat()).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        // Its own buffer is all it needs, and one around it loses nothing either.
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "one\ntwo\n");
        let mut writer = BufWriter::new(stream.into_inner());
        for word in ["small ", "writes ", "together"] {
            writer.write_all(word.as_bytes()).unwrap();
        }
        let mut stream = writer.into_inner().unwrap();
        assert_eq!(peer.frame(), Some((BINARY, b"small writes together".to_vec())));
        let mut rest = [0; 5];
        stream.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"three");
        stream.shutdown().unwrap();
        assert_eq!(peer.frame(), Some((CLOSE, close_payload(1000, ""))));
    }
}
