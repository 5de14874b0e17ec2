//! A Redis of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue, RedisResult};

/// A Redis of a test's own, at a port of its own, which keeps nothing when it ends.
pub struct Broker {
    port: u16,
    options: Vec<String>,
    server: Option<Child>,
}

impl Broker {
    /// One that has not begun.
    pub fn absent() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, options: Vec::new(), server: None }
    }

    pub fn new() -> Self {
        Self::with(&[])
    }

    /// One that is given options.
    pub fn with(options: &[&str]) -> Self {
        let mut broker = Self::absent();
        broker.options = options.iter().map(|&option| option.to_owned()).collect();
        broker.begin();
        broker
    }

    /// Begins, or begins anew, at the same port. Returns when it answers.
    pub fn begin(&mut self) {
        let port = self.port.to_string();
        let server = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(&self.options)
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn();
        self.server = Some(server.unwrap_or_else(|error| {
            panic!("redis-server does not run ({error}): install Debian's package redis-server, or the like")
        }));
        let begun = Instant::now();
        while let Err(error) = self.try_ask::<String>(&["PING"]) {
            // A wrong password is an answer.
            if error.code() == Some("NOAUTH") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not answer: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers to a command.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).unwrap()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// It hangs, until [`go_on`](Self::go_on).
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.server.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let timeout = Duration::from_secs(20);
        let mut connection: Connection = Client::open(self.url())?.get_connection_with_timeout(timeout)?;
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
