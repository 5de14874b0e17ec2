//! Servers as processes of their own, on the first core, and what they take.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::flag;

/// A server, on the first core.
pub struct Server {
    pub addr: SocketAddr,
    pub process: Process,
}

/// A process, which is ended when this is dropped.
pub struct Process {
    child: Child,
    /// If it is one to talk with.
    talk: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Server {
    /// Runs a command with `--addr`, on the first core alone, and waits until it listens.
    pub fn start(command: &[String]) -> io::Result<Self> {
        Self::begin(command, Process::start)
    }

    /// The same with one to talk with.
    pub fn start_to_talk(command: &[String]) -> io::Result<Self> {
        Self::begin(command, Process::start_to_talk)
    }

    fn begin(
        command: &[String],
        start: impl FnOnce(usize, &[String]) -> io::Result<Process>,
    ) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = start(0, &[command, &["--addr".into(), addr.to_string()]].concat())?;
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

    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }

    pub fn resident(&self) -> f64 {
        self.process.resident()
    }
}

impl Process {
    /// Runs a command on one core alone.
    pub fn start(core: usize, command: &[String]) -> io::Result<Self> {
        let child = on(core, command).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, talk: None })
    }

    /// The same with one to talk with, in lines.
    pub fn start_to_talk(core: usize, command: &[String]) -> io::Result<Self> {
        let mut child = on(core, command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let talk = child.stdin.take().zip(child.stdout.take());
        Ok(Self { child, talk: talk.map(|(hears, says)| (hears, BufReader::new(says))) })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Tells it a line.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let (hears, _) = self.talk.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        hears.write_all(format!("{line}\n").as_bytes())
    }

    /// The next line that it says.
    pub fn line(&mut self) -> io::Result<String> {
        let (_, says) = self.talk.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut line = String::new();
        match says.read_line(&mut line)? {
            0 => Err(io::Error::other("a process has ended that was to say something")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// The CPU time of its threads so far, the kernel's work for them included; exact while it sleeps.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id()));
        let times = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// How many bytes of it are in memory.
    pub fn resident(&self) -> f64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id())).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(f64::NAN) * PAGE
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn on(core: usize, command: &[String]) -> Command {
    let mut on = Command::new("taskset");
    on.args(["-c", &core.to_string()]).args(command);
    // Some peers are talkative about clients that leave.
    on.stderr(if flag("--verbose") { Stdio::inherit() } else { Stdio::null() });
    // It ends with this process, however that ends.
    // SAFETY: between the fork and the command it calls nothing else.
    unsafe {
        on.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    on
}

/// A program of this package.
pub fn program(name: &str) -> String {
    std::env::current_exe().expect("a path").with_file_name(name).display().to_string()
}

const PAGE: f64 = 4096.0;
