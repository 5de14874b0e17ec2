//! A broker.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A broker, which ends when this is dropped.
pub struct Broker {
    port: u16,
    more: Vec<String>,
    process: Child,
}

impl Broker {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more on its command line.
    pub fn with(more: &[&str]) -> Self {
        Self::at(free_port(), more)
    }

    /// One that hangs up at payloads of more bytes.
    pub fn limited(bytes: usize) -> Self {
        let port = free_port();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nats-{port}.conf"));
        fs::write(&path, format!("max_payload: {bytes}")).unwrap();
        Self::at(port, &["--config", path.to_str().unwrap()])
    }

    /// At a port of which the test knows that it is free.
    pub fn at(port: u16, more: &[&str]) -> Self {
        let more: Vec<_> = more.iter().map(ToString::to_string).collect();
        Self { port, process: run(port, &more), more }
    }

    /// Two that are one cluster, and know it.
    pub fn cluster() -> (Self, Self) {
        let route = |port| format!("nats://127.0.0.1:{port}");
        let (here, there) = (route(free_port()), route(free_port()));
        let start = |own, other| Self::with(&["--cluster_name", "c", "--cluster", own, "--routes", other]);
        let both = (start(&here, &there), start(&there, &here));
        let until = Instant::now() + Duration::from_secs(10);
        while !both.0.greeting().contains(&both.1.port().to_string()) {
            assert!(Instant::now() < until, "the brokers do not meet");
            sleep(Duration::from_millis(20));
        }
        both
    }

    /// What it says to who connects.
    fn greeting(&self) -> String {
        let mut line = String::new();
        BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap())
            .read_line(&mut line)
            .unwrap();
        line
    }

    pub fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it anew after it was killed. It takes connections when this returns.
    pub fn restart(&mut self) {
        self.process = run(self.port, &self.more);
    }

    /// It neither reads nor answers, though its connections stay.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port at which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn run(port: u16, more: &[String]) -> Child {
    let program = ["/usr/sbin/nats-server", "nats-server"];
    let mut process = program
        .into_iter()
        .find_map(|program| {
            let mut command = Command::new(program);
            command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]).args(more);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        })
        .unwrap_or_else(|| panic!("these tests need nats-server: install it, `apt-get install nats-server`"));
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "nats-server ended");
        assert!(Instant::now() < until, "nats-server does not listen");
        sleep(Duration::from_millis(5));
    }
    process
}
