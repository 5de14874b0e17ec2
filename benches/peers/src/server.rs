//! Servers as processes of their own, on the first core.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

pub struct Server {
    pub name: String,
    pub addr: SocketAddr,
    process: Child,
}

impl Server {
    /// Runs a command with `--addr`, on the first core alone, and waits until it listens.
    pub fn start(name: &str, command: &[&str]) -> Self {
        Self::start_on("0", name, command)
    }

    /// The same, on other cores.
    pub fn start_on(cores: &str, name: &str, command: &[&str]) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let process = Command::new("taskset")
            .args(["-c", cores])
            .args(command)
            .args(["--addr", &addr.to_string()])
            .stdout(Stdio::null())
            // Some peers are talkative about clients that leave.
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset");
        let server = Self { name: name.into(), addr, process };
        drop(crate::load::connect(addr).unwrap_or_else(|error| panic!("{name} does not start: {error}")));
        server
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it echoes bytes, and knows no WebSocket.
    pub fn is_raw(&self) -> bool {
        self.name == "raw TCP"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of this package.
pub fn program(name: &str) -> String {
    std::env::current_exe().expect("a path").with_file_name(name).display().to_string()
}

/// One of the crate's own programs, which are in the directory that `--ours` names.
pub fn ours(name: &str) -> String {
    let folder: String = crate::option("--ours").expect("--ours DIRECTORY, with our servers");
    format!("{folder}/{name}")
}

/// uWebSockets' server, if it could be built.
pub fn uwebsockets() -> Option<String> {
    crate::option("--uwebsockets")
}
