//! Running the programs, as a user runs them.
#![allow(dead_code, reason = "hostile peers, which need most of it, are for Linux")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub const SERVERS: [&str; 2] = ["echo_server", "echo_server_blocking"];

/// Longer than anything here takes: reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a program, with its three streams in our hands. Its memory is what it holds, not what glibc sets apart for each
/// of its threads, or keeps between what was freed.
#[track_caller]
pub fn spawn(name: &str, args: &[&str]) -> Child {
    let mut command = Command::new(path(name));
    start(command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "8192").args(args))
}

/// Where a program is: Cargo builds them all before this test, in one folder.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_echo_server")).with_file_name(name)
}

#[track_caller]
fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a program, with patience.
#[track_caller]
pub fn wait(name: &str, child: Child) -> Output {
    let id = child.id();
    let (ended, output) = mpsc::channel();
    let waiting = thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        signal(id, "KILL");
        panic!("{name} does not end");
    };
    waiting.join().unwrap().unwrap();
    output
}

fn signal(id: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
    assert!(status.success());
}

/// The lines that a program prints, each waited for with patience.
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (printed, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output).lines().try_for_each(|line| printed.send(line.unwrap()))
        });
        Self(lines)
    }

    #[track_caller]
    fn next(&mut self) -> String {
        self.0.recv_timeout(PATIENCE).unwrap()
    }
}

/// An echo server of ours, on a free port.
pub struct Server {
    name: String,
    child: Option<Child>,
    pub url: String,
}

impl Server {
    #[track_caller]
    pub fn start(name: &str, args: &[&str]) -> Self {
        Self::of(name, spawn(name, &[&["--addr", "127.0.0.1:0"], args].concat()))
    }

    /// Starts it with fewer file descriptors.
    #[track_caller]
    pub fn start_with_descriptors(name: &str, count: usize) -> Self {
        let script = format!("ulimit -n {count}; exec \"$0\" --addr 127.0.0.1:0");
        Self::of(name, start(Command::new("sh").arg("-c").arg(script).arg(path(name))))
    }

    #[track_caller]
    fn of(name: &str, mut child: Child) -> Self {
        let line = Lines::of(child.stdout.take().unwrap()).next();
        let url = line.strip_prefix("listening on ").unwrap();
        let port: u16 = url.strip_prefix("ws://127.0.0.1:").unwrap().parse().unwrap();
        assert_ne!(port, 0);
        Self { name: name.into(), child: Some(child), url: url.into() }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.url.strip_prefix("ws://").unwrap()).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    /// Sends a signal, and returns the exit code. Nothing was to be said on stderr.
    #[track_caller]
    pub fn stop(mut self, name: &str) -> Option<i32> {
        let child = self.child.take().unwrap();
        signal(child.id(), name);
        let output = wait(&self.name, child);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{}", self.name);
        output.status.code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
