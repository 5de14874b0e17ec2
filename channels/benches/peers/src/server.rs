//! Servers as processes of their own, on the first core, and what they take.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub struct Server {
    pub addr: SocketAddr,
    process: Child,
}

impl Server {
    /// Runs a command with `--addr`, on the first core alone, and waits until it listens.
    pub fn start(command: &[String]) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new("taskset")
            .args(["-c", "0"])
            .args(command)
            .args(["--addr", &addr.to_string()])
            .stdout(Stdio::null())
            // Some peers are talkative about clients that leave.
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { addr, process };
        let begin = Instant::now();
        while let Err(error) = TcpStream::connect(addr) {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err(error);
            }
            sleep(Duration::from_millis(20));
        }
        // What begins with the first connection is not what is measured.
        sleep(Duration::from_millis(100));
        Ok(server)
    }

    /// The CPU time of its threads so far, the kernel's work for them included; exact while it sleeps.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let times = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// How many bytes of it are in memory.
    pub fn resident(&self) -> f64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.process.id())).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(f64::NAN) * PAGE
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

const PAGE: f64 = 4096.0;
