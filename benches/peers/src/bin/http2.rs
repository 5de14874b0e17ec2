//! Loads the echo servers that speak HTTP/2 in turns: WebSockets on many streams of one connection. The load client frames by
//! itself, on the crate `h2`, each message in a frame of data of its own.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use hyper::{Method, Request};
use peers::option;
use peers::payload::{Kind, payload};
use peers::server::{Server, program};
use peers::stats::{cpu_time_of, median};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

struct Case {
    title: &'static str,
    size: usize,
    streams: usize,
    outstanding: usize,
}

const CASES: &[Case] = &[
    Case { title: "125 B", size: 125, streams: 32, outstanding: 16 },
    Case { title: "125 B, one at a time", size: 125, streams: 32, outstanding: 1 },
    Case { title: "16 KiB", size: 16 << 10, streams: 32, outstanding: 1 },
];

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let seconds: f64 = option("--seconds").unwrap_or(1.0);
    let only: Option<String> = option("--only");
    let servers = [
        Server::start("sansocket", &[&program("echo_http2")]),
        Server::start("axum", &[&program("echo_http2"), "--axum"]),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| only == case.title)) {
        let mut outcomes = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, outcomes) in servers.iter().zip(&mut outcomes) {
                outcomes.push(runtime.block_on(load(case, server, Duration::from_secs_f64(seconds))));
            }
        }
        println!(
            "\n### HTTP/2: {} ({} streams, {} outstanding)\n",
            case.title, case.streams, case.outstanding
        );
        println!("| server | messages/s | ratio | server CPU ns/message | ratio |");
        println!("| --- | --: | --: | --: | --: |");
        for (server, own) in servers.iter().zip(&outcomes) {
            let of = |value: fn(&Outcome) -> f64| median(own.iter().map(value).collect());
            let ratio = |value: fn(&Outcome) -> f64| {
                median(own.iter().zip(&outcomes[0]).map(|(own, ours)| value(own) / value(ours)).collect())
            };
            println!(
                "| {} | {:.0} | {:.2} | {:.0} | {:.2} |",
                server.name,
                of(|outcome| outcome.per_second),
                ratio(|outcome| outcome.per_second),
                of(|outcome| outcome.cpu_nanos),
                ratio(|outcome| outcome.cpu_nanos),
            );
        }
    }
}

struct Outcome {
    per_second: f64,
    cpu_nanos: f64,
}

async fn load(case: &Case, server: &Server, duration: Duration) -> Outcome {
    let tcp = TcpStream::connect(server.addr).await.expect("the server listens");
    tcp.set_nodelay(true).expect("a socket");
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
    let (mut requests, connection) = builder.handshake(tcp).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    while !requests.is_extended_connect_protocol_enabled() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut streams = Vec::new();
    for _ in 0..case.streams {
        streams.push(open(&mut requests).await);
    }
    let warm_up = Duration::from_millis(100);
    let (begin, end) = (Instant::now() + warm_up, Instant::now() + warm_up + duration);
    let mut tasks = JoinSet::new();
    for (i, (send, recv)) in streams.into_iter().enumerate() {
        let payload = payload(Kind::Binary, case.size, i as u64);
        tasks.spawn(exchange(send, recv, payload, case.outstanding, begin, end));
    }
    tokio::time::sleep_until(begin.into()).await;
    let (before, started) = (cpu_time_of(server.pid()), Instant::now());
    tokio::time::sleep_until(end.into()).await;
    let (cpu, elapsed) = (cpu_time_of(server.pid()) - before, started.elapsed());
    let messages: u64 = tasks.join_all().await.into_iter().sum();
    connection.abort();
    Outcome {
        per_second: messages as f64 / elapsed.as_secs_f64(),
        cpu_nanos: cpu.as_nanos() as f64 / messages as f64,
    }
}

async fn open(requests: &mut SendRequest<Bytes>) -> (SendStream<Bytes>, RecvStream) {
    let request = Request::builder().method(Method::CONNECT).uri("http://localhost/");
    let request = request.header("sec-websocket-version", "13").extension(Protocol::from_static("websocket"));
    let (response, send) = requests.send_request(request.body(()).expect("valid"), false).expect("a stream");
    let response = response.await.expect("a response");
    assert_eq!(response.status(), 200);
    (send, response.into_body())
}

/// Sends a message for each that comes back; returns how many came between the two instants.
async fn exchange(
    mut send: SendStream<Bytes>,
    mut recv: RecvStream,
    payload: Vec<u8>,
    outstanding: usize,
    begin: Instant,
    end: Instant,
) -> u64 {
    let message = masked(&payload);
    let expected = frame(&payload);
    for _ in 0..outstanding {
        send.send_data(message.clone(), false).expect("an open stream");
    }
    let (mut input, mut count) = (BytesMut::new(), 0);
    loop {
        let data = recv.data().await.expect("more").expect("an open stream");
        recv.flow_control().release_capacity(data.len()).expect("an open stream");
        input.extend_from_slice(&data);
        let now = Instant::now();
        while input.len() >= expected.len() {
            assert!(input.split_to(expected.len()) == expected, "what comes back is what was sent");
            if now >= begin && now < end {
                count += 1;
            }
            send.send_data(message.clone(), false).expect("an open stream");
        }
        if now >= end {
            return count;
        }
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = header(payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

fn masked(payload: &[u8]) -> Bytes {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = header(payload.len(), 0x80);
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    frame.into()
}

fn header(len: usize, mask: u8) -> Vec<u8> {
    match len {
        0..126 => vec![0x82, mask | len as u8],
        _ => [&[0x82, mask | 126][..], &(len as u16).to_be_bytes()].concat(),
    }
}
