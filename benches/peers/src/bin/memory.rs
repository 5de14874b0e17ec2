//! What each crate costs without a network: nanoseconds per message, and ratios to ours.

use std::future::Future;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peers::payload::{self, Kind};
use peers::stats::{geometric_mean, median};
use sansocket::blocking::NoDeadlines;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A transport that yields the same bytes again and again, and forgets what is written.
#[derive(Clone)]
struct Memory {
    bytes: Arc<[u8]>,
    at: usize,
    /// After the last byte the stream pauses for ever, instead of beginning again.
    once: bool,
}

impl Memory {
    fn endless(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), at: 0, once: false }
    }

    fn next(&mut self, len: usize) -> &[u8] {
        if self.at == self.bytes.len() && !self.once {
            self.at = 0;
        }
        let start = self.at;
        self.at = self.bytes.len().min(start + len);
        &self.bytes[start..self.at]
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.next(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(black_box(slices).iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(self.next(buffer.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Does something a number of times.
type Work = Box<dyn FnMut(u64)>;

struct Candidate {
    name: &'static str,
    ours: bool,
    /// Not a crate, but what the machine can do.
    limit: bool,
    work: Work,
}

#[derive(Default)]
struct Candidates(Vec<Candidate>);

impl Candidates {
    fn ours(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.0.push(Candidate { name, ours: true, limit: false, work: Box::new(work) });
    }

    fn peer(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.0.push(Candidate { name, ours: false, limit: false, work: Box::new(work) });
    }

    fn limit(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.0.push(Candidate { name, ours: false, limit: true, work: Box::new(work) });
    }
}

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("memory is always ready"),
    }
}

/// tokio's timers need a runtime around them.
fn within(runtime: &tokio::runtime::Runtime, future: impl Future<Output = ()>) {
    runtime.block_on(tokio::task::unconstrained(future));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

const LIMIT: usize = 64 << 20;

fn receive(kind: Kind, size: usize) -> Candidates {
    let messages = (64 * 1024 / (size + 8)).clamp(1, 256);
    let first = if kind.is_text() { 0x81 } else { 0x82 };
    let mut block = Vec::new();
    for seed in 0..messages as u64 {
        let payload = payload::payload(kind, size, seed);
        payload::client_frame(first, &payload, [0x37, 0xfa, 0x21, 0x3d ^ seed as u8], &mut block);
    }
    let memory = Memory::endless(block.clone());
    let mut all = Candidates::default();

    let config = sansocket::Config::default().no_keepalive();
    let mut receiver = sansocket::Receiver::new(sansocket::Role::Server, &config);
    let (mut input, mut at, bytes) = (Vec::new(), 0, block.clone());
    all.ours("sansocket, core", move |count| {
        for _ in 0..count {
            if at == input.len() {
                input.clear();
                input.extend_from_slice(&bytes);
                at = 0;
            }
            let received = receiver.receive(&mut input[at..]).expect("valid").expect("whole");
            black_box(received.event(&input[at..]));
            at += received.consumed();
        }
    });
    let mut ws = sansocket::blocking::WebSocket::from_upgraded(
        NoDeadlines(memory.clone()),
        sansocket::Role::Server,
        &[],
        &config,
    )
    .expect("a WebSocket");
    all.ours("sansocket, blocking", move |count| {
        for _ in 0..count {
            black_box(ws.recv().expect("valid").expect("a message"));
        }
    });
    let runtime = runtime();
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(
        memory.clone(),
        sansocket::Role::Server,
        &[],
        &sansocket::Config::default(),
    );
    all.ours("sansocket, tokio", move |count| {
        within(&runtime, async {
            for _ in 0..count {
                black_box(ws.recv().await.expect("valid").expect("a message"));
            }
        });
    });

    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10);
    let role = tungstenite::protocol::Role::Server;
    let mut ws = tungstenite::WebSocket::from_raw_socket(memory.clone(), role, Some(config));
    all.peer("tungstenite", move |count| {
        for _ in 0..count {
            black_box(ws.read().expect("valid"));
        }
    });
    let mut ws = tokio_websockets::ServerBuilder::new()
        .limits(tokio_websockets::Limits::unlimited())
        .serve(memory.clone());
    all.peer("tokio-websockets", move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.next().await.expect("a message").expect("valid"));
            }
        });
    });
    let mut ws = fastwebsockets::WebSocket::after_handshake(memory.clone(), fastwebsockets::Role::Server);
    ws.set_max_message_size(LIMIT);
    let mut ws = fastwebsockets::FragmentCollector::new(ws);
    all.peer("fastwebsockets", move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.read_frame().await.expect("valid").payload.len());
            }
        });
    });
    let options = yawc::Options::default().with_limits(LIMIT, 2 * LIMIT).with_utf8();
    let mut ws =
        yawc::WebSocket::from_stream(memory.clone(), yawc::Role::Server, options).expect("a WebSocket");
    all.peer("yawc", move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.next_frame().await.expect("valid"));
            }
        });
    });
    let builder = soketto::connection::Builder::new(memory.compat(), soketto::Mode::Server);
    let (_sender, mut receiver) = builder.finish();
    let mut message = Vec::new();
    all.peer("soketto", move |count| {
        now(async {
            for _ in 0..count {
                message.clear();
                black_box(receiver.receive_data(&mut message).await.expect("valid"));
            }
        });
    });

    let (bytes, mut copy) = (payload::payload(kind, size, 0), vec![0; size]);
    all.limit("limit: memcpy", move |count| {
        for _ in 0..count {
            copy.copy_from_slice(black_box(&bytes));
            black_box(&mut copy);
        }
    });
    let mut bytes = payload::payload(kind, size, 0);
    all.limit("limit: XOR in place", move |count| {
        for _ in 0..count {
            for byte in black_box(&mut bytes).iter_mut() {
                *byte ^= 0x5a;
            }
            black_box(&mut bytes);
        }
    });
    if kind.is_text() {
        let bytes = payload::payload(kind, size, 0);
        all.limit("limit: simdutf8", move |count| {
            for _ in 0..count {
                black_box(simdutf8::basic::from_utf8(black_box(&bytes)).expect("text"));
            }
        });
        let bytes = payload::payload(kind, size, 0);
        all.limit("limit: std's from_utf8", move |count| {
            for _ in 0..count {
                black_box(std::str::from_utf8(black_box(&bytes)).expect("text"));
            }
        });
    }
    all
}

fn send(client: bool, size: usize) -> Candidates {
    let payload = Bytes::from(payload::payload(Kind::Binary, size, 0));
    let memory = Memory::endless(vec![0]);
    let mut all = Candidates::default();
    let config = sansocket::Config::default().no_keepalive();
    let role = if client { sansocket::Role::Client } else { sansocket::Role::Server };

    let mut sender = if client {
        // Not a source for real keys.
        sansocket::Sender::client(&config, |keys| keys.fill(0x5a))
    } else {
        sansocket::Sender::server(&config)
    };
    let (mut out, bytes) = (Vec::new(), payload.clone());
    all.ours("sansocket, core", move |count| {
        for _ in 0..count {
            out.clear();
            sender.binary(black_box(&bytes), &mut out).expect("open");
            black_box(&mut out);
        }
    });
    let transport = NoDeadlines(memory.clone());
    let mut ws = sansocket::blocking::WebSocket::from_upgraded(transport, role, &[], &config).expect("open");
    let bytes = payload.clone();
    all.ours("sansocket, blocking", move |count| {
        for _ in 0..count {
            ws.send(bytes.clone()).expect("open");
        }
    });
    let runtime = runtime();
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(memory.clone(), role, &[], &config);
    let bytes = payload.clone();
    all.ours("sansocket, tokio", move |count| {
        within(&runtime, async {
            for _ in 0..count {
                ws.send(bytes.clone()).await.expect("open");
            }
        });
    });

    use tungstenite::protocol::Role as Tungstenite;
    let role = if client { Tungstenite::Client } else { Tungstenite::Server };
    let mut ws = tungstenite::WebSocket::from_raw_socket(memory.clone(), role, None);
    let bytes = payload.clone();
    all.peer("tungstenite", move |count| {
        for _ in 0..count {
            ws.send(tungstenite::Message::Binary(bytes.clone())).expect("open");
        }
    });
    let mut ws = if client {
        tokio_websockets::ClientBuilder::new().take_over(memory.clone())
    } else {
        tokio_websockets::ServerBuilder::new().serve(memory.clone())
    };
    let bytes = payload.clone();
    all.peer("tokio-websockets", move |count| {
        now(async {
            for _ in 0..count {
                ws.send(tokio_websockets::Message::binary(bytes.clone())).await.expect("open");
            }
        });
    });
    use fastwebsockets::Role as Fast;
    let role = if client { Fast::Client } else { Fast::Server };
    let mut ws = fastwebsockets::WebSocket::after_handshake(memory.clone(), role);
    let bytes = payload.clone();
    all.peer("fastwebsockets", move |count| {
        now(async {
            for _ in 0..count {
                let frame = fastwebsockets::Frame::binary(fastwebsockets::Payload::Borrowed(&bytes));
                ws.write_frame(frame).await.expect("open");
            }
        });
    });
    let role = if client { yawc::Role::Client } else { yawc::Role::Server };
    let options = yawc::Options::default().with_limits(LIMIT, 2 * LIMIT);
    let mut ws = yawc::WebSocket::from_stream(memory.clone(), role, options).expect("a WebSocket");
    let bytes = payload.clone();
    all.peer("yawc", move |count| {
        now(async {
            for _ in 0..count {
                ws.send(yawc::Frame::binary(bytes.clone())).await.expect("open");
            }
        });
    });
    let mode = if client { soketto::Mode::Client } else { soketto::Mode::Server };
    let (mut sender, _receiver) = soketto::connection::Builder::new(memory.compat(), mode).finish();
    let bytes = payload;
    all.peer("soketto", move |count| {
        now(async {
            for _ in 0..count {
                sender.send_binary(&bytes).await.expect("open");
                sender.flush().await.expect("open");
            }
        });
    });
    all
}

fn handshake() -> Candidates {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        peers::KEY
    );
    let memory = Memory { bytes: request.clone().into_bytes().into(), at: 0, once: true };
    let mut all = Candidates::default();
    all.ours("sansocket, core", move |count| {
        use sansocket::handshake::{Accept, Limits, Received, ServerHandshake};
        for _ in 0..count {
            let mut out = Vec::new();
            let mut handshake = ServerHandshake::new(Limits::default());
            match handshake.receive(black_box(request.as_bytes())) {
                Ok(Some(Received::WebSocket(request))) => {
                    request.accept(&Accept::new(), &mut out).expect("a response");
                }
                other => unreachable!("{other:?}"),
            }
            black_box(out);
        }
    });
    let transport = memory.clone();
    all.ours("sansocket, blocking", move |count| {
        for _ in 0..count {
            let pending = sansocket::blocking::accept(NoDeadlines(transport.clone())).expect("a request");
            black_box(pending.accept().expect("open"));
        }
    });
    let (transport, runtime) = (memory.clone(), runtime());
    all.ours("sansocket, tokio", move |count| {
        within(&runtime, async {
            for _ in 0..count {
                let pending = sansocket::tokio::accept(transport.clone()).await.expect("a request");
                black_box(pending.accept().await.expect("open"));
            }
        });
    });
    let transport = memory.clone();
    all.peer("tungstenite", move |count| {
        let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10);
        for _ in 0..count {
            let ws = tungstenite::accept_with_config(transport.clone(), Some(config));
            black_box(ws.map_err(drop).expect("open"));
        }
    });
    let transport = memory.clone();
    all.peer("tokio-websockets", move |count| {
        now(async {
            for _ in 0..count {
                let builder = tokio_websockets::ServerBuilder::new();
                black_box(builder.accept(transport.clone()).await.expect("open"));
            }
        });
    });
    all.peer("soketto", move |count| {
        now(async {
            for _ in 0..count {
                use soketto::handshake::{Server, server::Response};
                let mut server = Server::new(memory.clone().compat());
                let key = server.receive_request().await.expect("a request").key();
                server.send_response(&Response::Accept { key, protocol: None }).await.expect("open");
                black_box(server.into_builder().finish());
            }
        });
    });
    all
}

/// The CPU time of this thread: other programs on the machine do not count.
fn clock() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn sample(work: &mut Work, count: u64) -> f64 {
    let start = clock();
    work(count);
    (clock() - start) as f64 / count as f64
}

/// Prints a table, and returns the ratio of the best peer to the best of ours.
fn compare(title: &str, mut all: Candidates, rounds: usize) -> f64 {
    // As many messages as take some milliseconds.
    let counts: Vec<u64> = (all.0.iter_mut())
        .map(|candidate| {
            sample(&mut candidate.work, 4);
            let nanos = sample(&mut candidate.work, 16).max(1.0);
            ((3e6 / nanos) as u64).clamp(4, 1_000_000)
        })
        .collect();
    let mut samples: Vec<Vec<f64>> = all.0.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((candidate, count), samples) in all.0.iter_mut().zip(&counts).zip(&mut samples) {
            samples.push(sample(&mut candidate.work, *count));
        }
    }
    println!("\n### {title}\n\n| | ns | ratio |\n| --- | --: | --: |");
    let medians: Vec<f64> = samples.iter().map(|samples| median(samples.clone())).collect();
    for ((candidate, nanos), own) in all.0.iter().zip(&medians).zip(&samples) {
        let ratio = median(own.iter().zip(&samples[0]).map(|(own, ours)| own / ours).collect());
        println!("| {} | {nanos:.0} | {ratio:.2} |", candidate.name);
    }
    let best = |ours| {
        (all.0.iter().zip(&medians))
            .filter(|(candidate, _)| candidate.ours == ours && !candidate.limit)
            // Of ours an adapter counts, not the core: the peers do their input and output too.
            .filter(|(candidate, _)| candidate.name != "sansocket, core")
            .map(|(_, nanos)| *nanos)
            .fold(f64::INFINITY, f64::min)
    };
    best(false) / best(true)
}

fn main() {
    let rounds = peers::option("--rounds").unwrap_or(15);
    let only: Option<String> = peers::option("--only");
    let mut ratios = Vec::new();
    let mut table = |title: String, candidates: &dyn Fn() -> Candidates| {
        if only.as_ref().is_none_or(|only| title.contains(only.as_str())) {
            ratios.push((title.clone(), compare(&title, candidates(), rounds)));
        }
    };
    for (name, size) in
        [("0 B", 0), ("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)]
    {
        table(format!("receive binary, {name}"), &|| receive(Kind::Binary, size));
    }
    table("receive ASCII, 16 KiB".into(), &|| receive(Kind::Text, 16 << 10));
    table("receive mixed text, 16 KiB".into(), &|| receive(Kind::Mixed, 16 << 10));
    for client in [false, true] {
        for (name, size) in [("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)] {
            let role = if client { "client" } else { "server" };
            table(format!("send as {role}, {name}"), &|| send(client, size));
        }
    }
    table("opening handshake, server".into(), &handshake);
    println!("\n### the best peer's time, divided by that of our best adapter\n\n| | ratio |\n| --- | --: |");
    for (title, ratio) in &ratios {
        println!("| {title} | {ratio:.2} |");
    }
    let mean = geometric_mean(&ratios.iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>());
    println!("| geometric mean | {mean:.2} |");
}
