//! Compression of streams of messages: what becomes of their size, what that costs, and what a connection keeps.
//!
//! ```text
//! cargo bench --bench streams --features deflate                  # prints tables
//! cargo bench --bench streams --features deflate -- DIRECTORY     # writes the streams, for benches/zlib.py
//! ```
//!
//! The streams are made here, the same in every run: an exchange's tickers of about 230 B, chat messages of 150 B, documents
//! of 800 B, and the telemetry of 1 KiB that the other benchmarks send. What repeats in them is what repeats in such messages:
//! keys, names and neighbouring values; the rest is random digits, and words with the frequencies of English.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot run says so")]
#![expect(clippy::cast_precision_loss, reason = "of figures that are printed with three digits")]

use std::fmt::Write;
use std::time::Instant;

use allocation_counter::measure;
use sansocket::{Assembler, Config, Deflate, Event, Receiver, Role, Sender};

fn main() {
    match std::env::args().skip(1).find(|arg| !arg.starts_with("--")) {
        Some(directory) => {
            for Stream { name, make, .. } in STREAMS {
                let lines: Vec<_> = messages(*make, FEW * EACH).into_iter().map(|line| line + "\n").collect();
                std::fs::write(format!("{directory}/{name}"), lines.concat()).unwrap();
            }
        }
        None => tables(),
    }
}

fn tables() {
    println!("| stream | level | size, few | us | size, many | us | size, alone | us | inflate us | kept |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for stream in STREAMS {
        for level in [1, 2, 3, 4, 6, 9] {
            let deflate = Deflate::default().level(level);
            let few = Run::new(stream, &deflate, FEW, EACH);
            let many = Run::new(stream, &deflate, MANY, 30);
            let alone = Run::new(stream, &deflate.shared_compressor(), FEW, EACH);
            println!(
                "| {} | {level} | {:.3} | {:.1} | {:.3} | {:.1} | {:.3} | {:.1} | {:.1} | {} |",
                stream.name,
                few.ratio,
                few.deflating,
                many.ratio,
                many.deflating,
                alone.ratio,
                alone.deflating,
                few.inflating,
                few.kept,
            );
        }
    }
}

/// What came of some connections, each of which sent some messages of a stream.
struct Run {
    /// Compressed size by size.
    ratio: f64,
    /// Microseconds a message.
    deflating: f64,
    inflating: f64,
    /// Bytes that a connection keeps when all of its messages were sent, and its peer.
    kept: i64,
}

impl Run {
    fn new(stream: &Stream, deflate: &Deflate, connections: usize, each: usize) -> Self {
        let messages = messages(stream.make, connections * each);
        let (agreed, _) = deflate.agree_as_server(&deflate.offers()).unwrap();
        let config = Config::default();
        let mut wires = vec![Vec::new(); connections];
        let mut senders: Vec<_> = (0..connections).map(|_| Sender::server(&config)).collect();
        for sender in &mut senders {
            sender.use_deflate(deflate, agreed);
        }
        let (mut deflating, mut sizes) = (0.0, 0);
        let mut out = Vec::with_capacity(1 << 16);
        // In turns, as they come to a server.
        for (i, message) in messages.iter().enumerate() {
            let at = i % connections;
            let begun = Instant::now();
            senders[at].text(message, &mut out).unwrap();
            deflating += begun.elapsed().as_secs_f64();
            sizes += message.len();
            wires[at].append(&mut out);
        }
        let compressed: usize = wires.iter().map(Vec::len).sum();

        let mut inflating = 0.0;
        for wire in &mut wires {
            let (mut receiver, mut assembler) = (Receiver::new(Role::Client, &config), Assembler::default());
            receiver.use_deflate(agreed);
            assembler.use_deflate(Role::Client, &config, agreed);
            let begun = Instant::now();
            let mut unread = &mut wire[..];
            while let Some(received) = receiver.receive(unread).unwrap() {
                if let Some(Event::Data(fragment)) = received.event(unread) {
                    assembler.push(&fragment).unwrap().unwrap();
                }
                unread = &mut unread[received.consumed()..];
            }
            inflating += begun.elapsed().as_secs_f64();
        }
        // One that finds a compressor in its thread, as the others did.
        drop(senders);
        let info = measure(|| {
            let mut sender = Sender::server(&config);
            sender.use_deflate(deflate, agreed);
            let mut out = Vec::new();
            for message in messages.iter().take(each) {
                sender.text(message, &mut out).unwrap();
                out.clear();
            }
            std::mem::forget(sender);
        });
        let micros = 1e6 / messages.len() as f64;
        Self {
            ratio: compressed as f64 / sizes as f64,
            deflating: deflating * micros,
            inflating: inflating * micros,
            kept: info.bytes_current,
        }
    }
}

struct Stream {
    name: &'static str,
    /// Makes the message with this number.
    make: Make,
}

type Make = fn(&mut Random, usize) -> String;

const STREAMS: &[Stream] = &[
    Stream { name: "ticker", make: ticker },
    Stream { name: "chat", make: chat },
    Stream { name: "document", make: document },
    Stream { name: "telemetry", make: telemetry },
];

/// As many as a thread keeps compressors for.
const FEW: usize = 8;
/// Many more.
const MANY: usize = 2000;
/// Messages of each of a few connections.
const EACH: usize = 300;

fn messages(make: Make, count: usize) -> Vec<String> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..count).map(|number| make(&mut random, number)).collect()
}

fn ticker(random: &mut Random, number: usize) -> String {
    const SYMBOLS: [(&str, usize); 8] = [
        ("BTCUSDT", 67_431),
        ("ETHUSDT", 3_512),
        ("SOLUSDT", 151),
        ("BNBUSDT", 588),
        ("XRPUSDT", 523),
        ("ADAUSDT", 447),
        ("LTCUSDT", 82),
        ("DOTUSDT", 717),
    ];
    let (symbol, price) = SYMBOLS[random.below(8).min(random.below(8))];
    let cents = random.below(40);
    let time = 1_700_000_000_000 + 250 * number + random.below(9);
    format!(
        "{{\"event\":\"bookTicker\",\"time\":{time},\"symbol\":\"{symbol}\",\"update\":{},\
         \"bid\":{{\"price\":\"{price}.{cents:02}000000\",\"quantity\":\"{}.{:04}0000\"}},\
         \"ask\":{{\"price\":\"{price}.{:02}000000\",\"quantity\":\"{}.{:04}0000\"}},\
         \"status\":\"TRADING\",\"source\":\"spot\",\"trades\":{}}}",
        41_780_000_000 + 3 * number,
        random.below(20),
        random.below(10_000),
        cents + 1 + random.below(3),
        random.below(20),
        random.below(10_000),
        random.below(100_000),
    )
}

fn chat(random: &mut Random, number: usize) -> String {
    const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
    const ROOMS: [&str; 3] = ["general", "random", "support"];
    let length = 30 + random.below(75);
    format!(
        "{{\"type\":\"message\",\"id\":{},\"room\":\"{}\",\"from\":\"{}\",\"text\":\"{}\"}}",
        81_530_000 + 7 * number + random.below(7),
        ROOMS[random.below(3)],
        NAMES[random.below(8)],
        words(random, length),
    )
}

fn document(random: &mut Random, number: usize) -> String {
    let (title, body) = (words(random, 30), words(random, 560));
    format!(
        "{{\"id\":\"{:08x}\",\"revision\":{},\"title\":\"{title}\",\"author\":{{\"id\":{},\"name\":\"{}\"}},\
         \"created\":\"2026-{:02}-{:02}T{:02}:{:02}:00Z\",\"tags\":[\"{}\",\"{}\"],\"body\":\"{body}\"}}",
        number * 7919 + random.below(1 << 30),
        random.below(20),
        random.below(100_000),
        words(random, 10),
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60),
        words(random, 4),
        words(random, 4),
    )
}

/// As `benches/peers/src/payload.rs` makes it.
fn telemetry(random: &mut Random, _: usize) -> String {
    const SENSORS: [&str; 6] = ["temperature", "pressure", "humidity", "voltage", "current", "speed"];
    const STATES: [&str; 4] = ["ok", "warning", "error", "unknown"];
    let mut text = String::new();
    while text.len() < 1024 {
        write!(
            text,
            "{{\"id\":{},\"sensor\":\"{}-{}\",\"state\":\"{}\",\"value\":{}.{:02},\"at\":17{:08}}},",
            random.below(1_000_000),
            SENSORS[random.below(6)],
            random.below(100),
            STATES[random.below(4)],
            random.below(1000),
            random.below(100),
            random.below(100_000_000),
        )
        .unwrap();
    }
    text.truncate(1024);
    text
}

/// At least so many bytes of words. The frequent ones come first in the list.
fn words(random: &mut Random, length: usize) -> String {
    let list: Vec<_> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    while text.len() < length {
        let at = (0..3).map(|_| random.below(list.len())).min().unwrap_or_default();
        text.push_str(list[at]);
        text.push(' ');
    }
    text.pop();
    text
}

const WORDS: &str = "the of and a to in is you that it he was for on are as with his they at be this have from or one had by \
    word but not what all were we when your can said there use an each which she do how their if will up other about out \
    many then them these so some her would make like him into time has look two more write go see number no way could \
    people my than first water been call who oil its now find long down day did get come made may part over new sound take \
    only little work know place year live me back give most very after thing our just name good sentence man think say \
    great where help through much before line right too mean old any same tell boy follow came want show also around form \
    three small set put end does another well large must big even such because turn here why ask went men read need land \
    different home us move try kind hand picture again change off play spell air away animal house point page letter \
    mother answer found study still learn should america world high every near add food between own below country plant \
    last school father keep tree never start city earth eye light thought head under story saw left don't few while along \
    might close something seem next hard open example begin life always those both paper together got group often run";

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }
}
