//! An example that runs, as a user runs it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{ClientStream, WebSocket, connect};
use sansocket::{Client, Error};

/// A program, which is ended with this, and in any case when it has run for long: nobody who talks to it waits for longer.
pub struct Program {
    child: Arc<Mutex<Child>>,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    _patience: mpsc::Sender<()>,
}

impl Program {
    pub fn start(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new(path(name));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let [stdout, stderr] = [lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap())];
        let child = Arc::new(Mutex::new(child));
        let (patience, is_over) = mpsc::channel();
        let late = child.clone();
        thread::spawn(move || {
            if is_over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = late.lock().unwrap().kill();
            }
        });
        Self { child, stdout, stderr, _patience: patience }
    }

    /// A server on a port that was free, with more arguments behind its address.
    pub fn serve(name: &str, more: &[&str]) -> (Self, SocketAddr) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        (Self::start(name, &[&[address.to_string().as_str()], more].concat()), address)
    }

    /// The next line of its standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).unwrap()
    }

    /// The next line of its standard error.
    #[track_caller]
    pub fn complaint(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).unwrap()
    }

    /// What it prints until it ends, and whether it ends well; its input is over.
    #[track_caller]
    pub fn end(self) -> (String, bool) {
        drop(self.child.lock().unwrap().stdin.take());
        self.ended()
    }

    /// The same where its input goes on.
    #[track_caller]
    pub fn ended(self) -> (String, bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut output = String::new();
        while let Ok(line) = self.stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            output += &(line + "\n");
        }
        (output, self.child.lock().unwrap().wait().unwrap().success())
    }

    pub fn write(&self, text: &str) {
        self.child.lock().unwrap().stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What Ctrl-C does in a terminal.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.lock().unwrap().id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }
}

/// A connection to a server that was just started. It need not listen yet.
pub fn client<C>(client: C) -> Result<WebSocket<ClientStream>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
{
    let (client, deadline): (Client, _) = (client.try_into()?, Instant::now() + PATIENCE);
    loop {
        match connect::<Client>(client.clone()) {
            Err(Error::Connect(error))
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Tests are in `target/<profile>/deps`, examples in `target/<profile>/examples`.
pub fn path(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "there is no {}; `cargo test` without --test builds the examples", path.display());
    path
}

fn lines(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (printed, lines) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| printed.send(line))
    });
    lines
}

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
