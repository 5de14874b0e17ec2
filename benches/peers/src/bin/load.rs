//! Loads one echo server, and prints what came of it.

use std::time::Duration;

use peers::load::{AT_ONCE, Load};
use peers::payload::Kind;
use peers::stream::client_config;
use peers::{flag, option};

const USAGE: &str = "\
Loads an echo server.

usage: load [options]
  --addr HOST:PORT      the server (default 127.0.0.1:9001)
  --pid PID             the server's process, to tell its CPU time
  --kind KIND           binary, text (ASCII), mixed (UTF-8) or json (default binary)
  --size BYTES          of a message (default 125)
  --connections COUNT   (default 32)
  --outstanding COUNT   messages that each connection waits for at once (default 16)
  --fragments COUNT     frames of each message (default 1)
  --deflate             permessage-deflate
  --raw                 the server echoes bytes
  --tls                 over TLS, whatever the server's certificate is
  --openings COUNT      opens and closes so many connections instead, 64 at a time
  --seconds SECONDS     to measure (default 2)";

fn main() {
    if flag("--help") {
        println!("{USAGE}");
        return;
    }
    let load = Load {
        kind: option("--kind").unwrap_or(Kind::Binary),
        size: option("--size").unwrap_or(125),
        connections: option("--connections").unwrap_or(32),
        outstanding: option("--outstanding").unwrap_or(16),
        fragments: option("--fragments").unwrap_or(1),
        deflate: flag("--deflate"),
        raw: flag("--raw"),
        tls: flag("--tls").then(|| client_config(false)),
        warm_up: Duration::from_millis(300),
        duration: Duration::from_secs_f64(option("--seconds").unwrap_or(2.0)),
    };
    let addr = option("--addr").unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let addr = addr.parse().expect("an address");
    if let Some(mut left) = option::<usize>("--openings") {
        while left > 0 {
            left -= load.open(addr, left.min(AT_ONCE), AT_ONCE).expect("a server").len();
        }
        return;
    }
    let outcome = load.run(addr, option("--pid")).expect("a server that echoes");
    println!(
        "{:.0} messages/s, {:.0} ns of the server's CPU each, {:.0} bytes each on the way back",
        outcome.per_second(),
        outcome.cpu_nanos(),
        outcome.wire as f64 / outcome.messages as f64,
    );
    println!("{} messages in all", outcome.total);
    for share in [0.5, 0.99, 0.999] {
        println!("p{}: {:.1} us", share * 100.0, outcome.latency.percentile(share) as f64 / 1000.0);
    }
}
