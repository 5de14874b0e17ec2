//! A broker, which can be ended and begin anew, or hang.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::server::Process;

#[derive(Clone, Copy)]
pub enum Kind {
    Nats,
    Redis,
}

/// On the second core, with nothing that it would keep.
pub struct Broker {
    kind: Kind,
    addr: SocketAddr,
    pub process: Process,
}

impl Broker {
    pub fn start(kind: Kind) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let broker = Self { kind, addr, process: kind.run(addr)? };
        let begin = Instant::now();
        while !broker.is_there() {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other(format!("{} does not listen: is it installed?", kind.name())));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }

    pub fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Nats => "nats",
            Kind::Redis => "redis",
        };
        format!("{scheme}://{}", self.addr)
    }

    /// Whether it takes connections.
    pub fn is_there(&self) -> bool {
        TcpStream::connect(self.addr).is_ok()
    }

    /// Begins anew after it was killed, at the same address.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = self.kind.run(self.addr)?;
        Ok(())
    }

    /// It neither reads nor answers, though its connections stay.
    pub fn hang(&self) -> io::Result<()> {
        self.signal(libc::SIGSTOP)
    }

    pub fn go_on(&self) -> io::Result<()> {
        self.signal(libc::SIGCONT)
    }

    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        let id = self.process.id().try_into().map_err(io::Error::other)?;
        // SAFETY: the process is ours, and has not been waited for.
        if unsafe { libc::kill(id, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nats => "NATS",
            Self::Redis => "Redis",
        }
    }

    fn run(self, addr: SocketAddr) -> io::Result<Process> {
        let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
        let command: &[&str] = match self {
            Self::Nats => &["nats-server", "--addr", &ip, "--port", &port],
            Self::Redis => {
                &["redis-server", "--bind", &ip, "--port", &port, "--save", "", "--appendonly", "no"]
            }
        };
        Process::start(1, &command.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}
