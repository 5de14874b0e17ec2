//! The client of one crate, over a number of connections to an echo server: on each it sends a burst of messages,
//! receives them, and begins again. Prints how many come back in a second, and what CPU time each takes; `clients` runs
//! it for all crates.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use peers::option;
use peers::payload::{self, Kind};
use peers::stats::cpu_time;
use sansocket::Message;

fn main() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(1);
    }));
    let of: String = option("--of").expect("--of CRATE");
    let work = match of.as_str() {
        "sansocket" => || {
            on_one_thread(async |tcp| {
                let config = sansocket::Config::default();
                sansocket::tokio::WebSocket::from_upgraded(tcp, sansocket::Role::Client, &[], &config)
            });
        },
        "sansocket, blocking" => || {
            on_threads(|tcp| {
                let config = sansocket::Config::default();
                sansocket::blocking::WebSocket::from_upgraded(tcp, sansocket::Role::Client, &[], &config)
                    .expect("a socket option")
            });
        },
        "tungstenite" => || {
            on_threads(|tcp| {
                let role = tungstenite::protocol::Role::Client;
                tungstenite::WebSocket::from_raw_socket(tcp, role, Some(small_reads()))
            });
        },
        "tokio-tungstenite" => || {
            on_one_thread(async |tcp| {
                let role = tungstenite::protocol::Role::Client;
                tokio_tungstenite::WebSocketStream::from_raw_socket(tcp, role, Some(small_reads())).await
            });
        },
        "tokio-websockets" => || {
            on_one_thread(async |tcp| {
                tokio_websockets::ClientBuilder::new()
                    .config(
                        tokio_websockets::Config::default().frame_size(usize::MAX).flush_threshold(64 << 10),
                    )
                    .limits(tokio_websockets::Limits::unlimited())
                    .take_over(tcp)
            });
        },
        "fastwebsockets" => || {
            on_one_thread(async |tcp| {
                let role = fastwebsockets::Role::Client;
                fastwebsockets::FragmentCollector::new(fastwebsockets::WebSocket::after_handshake(tcp, role))
            });
        },
        "yawc" => || {
            on_one_thread(async |tcp| {
                let options = yawc::Options::default().with_limits(128 << 20, 256 << 20);
                yawc::WebSocket::from_stream(tcp, yawc::Role::Client, options).expect("options that fit")
            });
        },
        _ => panic!("{of} is not known"),
    };
    std::thread::spawn(work);
    measure();
}

/// How many messages have come back, on all connections.
static MESSAGES: AtomicU64 = AtomicU64::new(0);

fn measure() {
    while MESSAGES.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Each connection compares its first messages whole.
    std::thread::sleep(Duration::from_millis(100));
    let (before, start, cpu) = (MESSAGES.load(Ordering::Relaxed), Instant::now(), cpu_time());
    std::thread::sleep(Duration::from_secs_f64(option("--seconds").unwrap_or(1.0)));
    let messages = (MESSAGES.load(Ordering::Relaxed) - before) as f64;
    let (elapsed, cpu) = (start.elapsed(), cpu_time() - cpu);
    println!("{} {}", messages / elapsed.as_secs_f64(), cpu.as_nanos() as f64 / messages);
    std::process::exit(0);
}

/// All connections in a thread.
fn on_one_thread<C: Client + 'static>(client: impl AsyncFn(tokio::net::TcpStream) -> C) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        for tcp in open() {
            tcp.set_nonblocking(true).expect("a socket option");
            let tcp = tokio::net::TcpStream::from_std(tcp).expect("a socket");
            tokio::task::spawn_local(work(client(tcp).await));
        }
        std::future::pending().await
    }))
}

/// Each connection in a thread of its own.
fn on_threads<C: Client + Send + 'static>(client: impl Fn(TcpStream) -> C) {
    for tcp in open() {
        let client = client(tcp);
        // It blocks instead of waiting, and ends with the program.
        std::thread::spawn(|| work(client).now_or_never());
    }
}

fn open() -> Vec<TcpStream> {
    let addr: String = option("--addr").expect("--addr HOST:PORT, of an echo server");
    let addr = addr.parse().expect("an address");
    let open = |_| {
        let tcp = peers::load::open(addr, false).expect("a server that echoes");
        tcp.set_read_timeout(None).expect("a socket option");
        tcp
    };
    (0..option("--connections").unwrap_or(32)).map(open).collect()
}

async fn work(mut client: impl Client) {
    let size = option("--size").unwrap_or(125);
    let outstanding = option("--outstanding").unwrap_or(16);
    let payloads: Vec<_> = payload::payloads(Kind::Binary, size).into_iter().map(Bytes::from).collect();
    // Each burst is a slice.
    let ring: Vec<_> = payloads.iter().cycle().take(payloads.len() + outstanding).cloned().collect();
    let mut came = 0;
    loop {
        let start = came % payloads.len();
        let check = |answer: &[u8]| {
            let expected = &payloads[came % payloads.len()];
            assert_eq!(answer.len(), expected.len(), "a message came back with another length");
            // To compare each takes time that is not the crate's: one in 17 meets all payloads in turn.
            if came < 256 || came.is_multiple_of(17) {
                assert!(answer == expected, "a message came back changed");
            }
            came += 1;
        };
        client.burst(&ring[start..start + outstanding], check).await;
        MESSAGES.fetch_add(outstanding as u64, Ordering::Relaxed);
    }
}

trait Client {
    /// Sends all messages, with as few writes as the crate can, and hands the answers to `check`.
    async fn burst(&mut self, messages: &[Bytes], check: impl FnMut(&[u8]));
}

/// tungstenite's default read buffer of 128 KiB is zeroed at each read: 8 KiB is its best size.
fn small_reads() -> tungstenite::protocol::WebSocketConfig {
    tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10)
}

impl Client for sansocket::tokio::WebSocket<tokio::net::TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            self.feed(message.clone()).await.expect("an open connection");
        }
        for _ in messages {
            check(payload(&self.recv().await.expect("an open connection").expect("a message")));
        }
    }
}

impl Client for sansocket::blocking::WebSocket<TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            self.feed(message.clone()).expect("an open connection");
        }
        for _ in messages {
            check(payload(&self.recv().expect("an open connection").expect("a message")));
        }
    }
}

fn payload(message: &Message) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
    }
}

impl Client for tungstenite::WebSocket<TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            self.write(tungstenite::Message::Binary(message.clone())).expect("an open connection");
        }
        self.flush().expect("an open connection");
        for _ in messages {
            check(&self.read().expect("an open connection").into_data());
        }
    }
}

impl Client for tokio_tungstenite::WebSocketStream<tokio::net::TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            self.feed(tungstenite::Message::Binary(message.clone())).await.expect("an open connection");
        }
        self.flush().await.expect("an open connection");
        for _ in messages {
            check(&self.next().await.expect("a message").expect("an open connection").into_data());
        }
    }
}

impl Client for tokio_websockets::WebSocketStream<tokio::net::TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            let message = tokio_websockets::Message::binary(message.clone());
            self.feed(message).await.expect("an open connection");
        }
        self.flush().await.expect("an open connection");
        for _ in messages {
            check(self.next().await.expect("a message").expect("an open connection").as_payload());
        }
    }
}

/// It writes each frame as it is given it.
impl Client for fastwebsockets::FragmentCollector<tokio::net::TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            let frame = fastwebsockets::Frame::binary(fastwebsockets::Payload::Borrowed(message));
            self.write_frame(frame).await.expect("an open connection");
        }
        for _ in messages {
            check(&self.read_frame().await.expect("an open connection").payload);
        }
    }
}

impl Client for yawc::WebSocket<tokio::net::TcpStream> {
    async fn burst(&mut self, messages: &[Bytes], mut check: impl FnMut(&[u8])) {
        for message in messages {
            self.feed(yawc::Frame::binary(message.clone())).await.expect("an open connection");
        }
        self.flush().await.expect("an open connection");
        for _ in messages {
            check(self.next_frame().await.expect("an open connection").payload());
        }
    }
}
