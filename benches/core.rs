//! The core without a transport: `cargo bench --all-features`. What peers cost is measured in `peers/`.

#![expect(clippy::panic, reason = "a benchmark that cannot run says so")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sansocket::frame::MaskingKey;
use sansocket::handshake::{Accept, Limits, ReceivedRequest, ServerHandshake};
use sansocket::utf8::Utf8Validator;
use sansocket::{Config, Receiver, Role, Sender, Utf8Bytes};

const SIZES: [(&str, usize); 5] =
    [("0", 0), ("125", 125), ("1Ki", 1 << 10), ("16Ki", 16 << 10), ("1Mi", 1 << 20)];

/// Not a source for real keys.
fn keys(bytes: &mut [u8]) {
    bytes.fill(0x5a);
}

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for (name, size) in SIZES {
        let mut payload = vec![0x20; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(name, |b| {
            b.iter(|| MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]).apply(black_box(&mut payload), 1));
        });
        // Too short for the `unsafe` in `src/frame/mask/avx2.rs`: what masking takes without it.
        group.bench_function(format!("{name}/safe_twin"), |b| {
            b.iter(|| {
                for piece in black_box(&mut payload).chunks_mut(252) {
                    MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]).apply(piece, 1);
                }
            });
        });
    }
}

fn utf8(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    for (name, unit) in [("ascii", "The quick brown fox. "), ("mixed", "Straße, ещё, 色は, 🦀. ")] {
        for (size_name, size) in [("125", 125), ("16Ki", 16 << 10)] {
            let text = unit.repeat(size / unit.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("{name}/{size_name}"), |b| {
                b.iter(|| {
                    let mut validator = Utf8Validator::default();
                    validator.feed(black_box(text.as_bytes())).and_then(|()| validator.finish())
                });
            });
        }
    }
}

/// Making text of bytes and looking at it once, and its safe twin: what every further look would take
/// without the `unsafe` in `src/utf8/text.rs`.
fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("text");
    for (name, unit) in [("ascii", "The quick brown fox. "), ("mixed", "Straße, ещё, 色は, 🦀. ")] {
        for (size_name, size) in [("125", 125), ("16Ki", 16 << 10)] {
            let bytes = Bytes::from(unit.repeat(size / unit.len()));
            let Ok(text) = Utf8Bytes::try_from(bytes.clone()) else { panic!("text") };
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(format!("{name}/{size_name}/new"), |b| {
                b.iter(|| Utf8Bytes::try_from(black_box(&bytes).clone()));
            });
            group.bench_function(format!("{name}/{size_name}/as_str"), |b| {
                b.iter(|| black_box(&text).as_str().len());
            });
            group.bench_function(format!("{name}/{size_name}/safe_twin"), |b| {
                b.iter(|| std::str::from_utf8(black_box(&bytes)).map(str::len));
            });
        }
    }
}

/// Masked frames, as a server receives them; restoring the input is not measured.
fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    for (kind, unit) in
        [("binary", None), ("ascii", Some("The quick brown fox. ")), ("mixed", Some("ещё, 🦀 "))]
    {
        for (name, size) in SIZES {
            let count = (64 << 10) / (size + 8) + 1;
            let mut sender = Sender::client(&Config::default(), keys);
            let mut input = Vec::new();
            for _ in 0..count {
                let sent = match unit {
                    None => sender.binary(&vec![0x20; size], &mut input),
                    Some(unit) => sender.text(&unit.repeat(size / unit.len()), &mut input),
                };
                sent.unwrap_or_else(|error| panic!("{error}"));
            }
            let mut receiver = Receiver::new(Role::Server, &Config::default());
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{kind}/{name}"), |b| {
                b.iter_batched_ref(
                    || input.clone(),
                    |input| {
                        let mut at = 0;
                        while let Ok(Some(received)) = receiver.receive(&mut input[at..]) {
                            black_box(received.event(&input[at..]));
                            at += received.consumed();
                        }
                        assert_eq!(at, input.len());
                    },
                    BatchSize::LargeInput,
                );
            });
        }
    }
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("send");
    let config = Config::default();
    for (role, mut sender) in [("server", Sender::server(&config)), ("client", Sender::client(&config, keys))]
    {
        for (name, size) in SIZES {
            let (payload, mut out) = (vec![0x20; size], Vec::new());
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("{role}/{name}"), |b| {
                b.iter(|| {
                    out.clear();
                    sender.binary(black_box(&payload), &mut out)
                });
            });
        }
    }
}

fn handshake(c: &mut Criterion) {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    c.bench_function("handshake/server", |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(256);
            let mut handshake = ServerHandshake::new(Limits::default());
            let Ok(Some(ReceivedRequest::WebSocket(request))) = handshake.receive(black_box(REQUEST)) else {
                panic!("a WebSocket request");
            };
            let Ok(accepted) = request.accept(Accept::new()) else { panic!("nothing is chosen") };
            accepted.encode(&mut out);
            out
        });
    });
}

/// Compressing and inflating messages, each with the window of those before it.
#[cfg(feature = "deflate")]
fn deflate(c: &mut Criterion) {
    use std::fmt::Write;
    use std::time::Instant;

    use sansocket::{Assembler, Connection, Deflate, Event};

    let mut group = c.benchmark_group("deflate");
    for (name, size) in [("1Ki", 1 << 10), ("16Ki", 16 << 10)] {
        let deflate = Deflate::default();
        let config = Config::default().deflate(deflate.clone());
        let (agreed, _) = deflate.agree_as_server(&deflate.offers()).unwrap_or_else(|| panic!("an offer"));
        let texts: Vec<String> = (0..64_u32)
            .map(|seed| {
                let mut text = String::new();
                let mut at = seed;
                while text.len() < size {
                    at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let _ = write!(
                        text,
                        "{{\"id\":{},\"value\":{}.{:02},\"state\":\"ok\"}},",
                        at >> 12,
                        at >> 22,
                        at % 97
                    );
                }
                text.truncate(size);
                text
            })
            .collect();
        group.throughput(Throughput::Bytes(size as u64));
        let mut sender = Sender::server(&config);
        sender.use_deflate(&deflate, agreed);
        let (mut out, mut turn) = (Vec::new(), 0);
        group.bench_function(format!("compress/{name}"), |b| {
            b.iter(|| {
                out.clear();
                turn = (turn + 1) % texts.len();
                sender.text(&texts[turn], &mut out)
            });
        });
        // All rounds share one window: the first message refers to nothing, so that it can follow the last.
        let mut sender = Sender::server(&config);
        sender.use_deflate(&deflate, agreed);
        let frames: Vec<Vec<u8>> = texts
            .iter()
            .map(|text| {
                let mut frame = Vec::new();
                sender.text(text, &mut frame).unwrap_or_else(|error| panic!("{error}"));
                frame
            })
            .collect();
        let now = Instant::now();
        let mut client = Connection::client(&config, keys, now);
        client.use_deflate(&deflate, agreed);
        let mut assembler = Assembler::default();
        assembler.use_deflate(Role::Client, &config, agreed);
        let mut turn = 0;
        group.bench_function(format!("inflate/{name}"), |b| {
            b.iter(|| {
                let frame = &frames[turn];
                turn = (turn + 1) % frames.len();
                let mut input = frame.clone();
                let Ok(Some(received)) = client.receive(&mut input, now, &mut Vec::new()) else {
                    panic!("a whole frame");
                };
                let Some(Event::Data(fragment)) = received.event(&input) else { panic!("a message") };
                assembler.push(&fragment)
            });
        });
    }
}

#[cfg(not(feature = "deflate"))]
fn deflate(_: &mut Criterion) {}

criterion_group!(benches, mask, utf8, text, receive, send, handshake, deflate);
criterion_main!(benches);
