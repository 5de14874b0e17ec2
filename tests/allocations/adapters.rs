//! The adapters in steady state: an echo allocates nothing, and an idle connection is small.
#![cfg(all(feature = "tokio", feature = "blocking"))]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sansocket::blocking::{self, NoDeadlines};
use sansocket::{Config, Message, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than one refill of the client's masking keys, and of every buffer.
const MESSAGES: usize = 1000;

/// How large the messages are.
const SIZES: [usize; 3] = [16, 1024, 16 << 10];

/// A client and a server exchange messages over a pipe in memory: after a while without a single
/// allocation.
#[test]
fn a_tokio_echo_allocates_nothing() {
    for (size, together) in SIZES.into_iter().flat_map(|size| [(size, 1), (size, 8)]) {
        let allocations = tokio_echo(size, together);
        println!("tokio: {allocations} allocations, {MESSAGES} messages of {size} bytes, {together} at once");
        assert_eq!(allocations, 0);
    }
}

/// So many messages are sent before an answer is received.
fn tokio_echo(size: usize, together: usize) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (near, far) = tokio::io::duplex(1 << 18);
    let config = Config::default();
    let (mut client, mut server) = runtime.block_on(async {
        (
            sansocket::tokio::WebSocket::from_upgraded(near, Role::Client, b"", &config),
            sansocket::tokio::WebSocket::from_upgraded(far, Role::Server, b"", &config),
        )
    });
    let message = Message::binary(vec![7; size]);
    let mut echo = || {
        runtime.block_on(async {
            let echo = async {
                while let Some(message) = server.recv().await.unwrap() {
                    server.send(message).await.unwrap();
                }
            };
            let drive = async {
                for _ in 0..MESSAGES / together {
                    for _ in 0..together {
                        client.feed(message.clone()).await.unwrap();
                    }
                    for _ in 0..together {
                        assert_eq!(client.recv().await.unwrap().as_ref(), Some(&message));
                    }
                }
            };
            tokio::select! { biased; () = drive => {}, () = echo => unreachable!() }
        });
    };
    echo();
    allocation_counter::measure(echo).count_total
}

/// One end of a pipe in memory, for two ends in one thread.
#[derive(Debug)]
struct Pipe {
    reads: Arc<Mutex<VecDeque<u8>>>,
    writes: Arc<Mutex<VecDeque<u8>>>,
}

impl io::Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut reads = self.reads.lock().unwrap();
        // Who sends looks here, too, while another thread writes: that nothing has come is not the end.
        if reads.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { reads.read(buf) }
    }
}

impl io::Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writes.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

untimed!(Pipe);

/// The same, blocking.
#[test]
fn a_blocking_echo_allocates_nothing() {
    for (size, together) in SIZES.into_iter().flat_map(|size| [(size, 1), (size, 8)]) {
        let allocations = blocking_echo(size, together);
        println!(
            "blocking: {allocations} allocations, {MESSAGES} messages of {size} bytes, {together} at once"
        );
        assert_eq!(allocations, 0);
    }
}

fn blocking_echo(size: usize, together: usize) -> u64 {
    let (there, back) = (Arc::<Mutex<VecDeque<u8>>>::default(), Arc::<Mutex<VecDeque<u8>>>::default());
    let near = Pipe { reads: back.clone(), writes: there.clone() };
    let far = Pipe { reads: there, writes: back };
    let config = Config::default();
    let mut client = blocking::WebSocket::from_upgraded(near, Role::Client, b"", &config).unwrap();
    let mut server = blocking::WebSocket::from_upgraded(far, Role::Server, b"", &config).unwrap();
    let message = Message::binary(vec![7; size]);
    let mut echo = || {
        for _ in 0..together {
            client.feed(message.clone()).unwrap();
        }
        client.flush().unwrap();
        for _ in 0..together {
            let received = server.recv().unwrap().unwrap();
            server.send(received).unwrap();
        }
        // It does not wait, as `recv` would.
        server.flush().unwrap();
        for _ in 0..together {
            assert_eq!(client.recv().unwrap().as_ref(), Some(&message));
        }
    };
    for _ in 0..MESSAGES {
        echo();
    }
    let counts = (0..MESSAGES / together).map(|_| allocation_counter::measure(&mut echo).count_total);
    // What is left for a millisecond, another thread writes, and keeps the buffer: where that can be, the best
    // counts.
    if together == 1 { counts.sum() } else { counts.min().unwrap() }
}

/// A frame takes memory for what has arrived of it, whatever it announces: at most as much again, or twice what a
/// large frame before it took. A peer that then sends byte by byte has no large buffer prepared for each.
#[test]
fn what_is_announced_takes_no_memory() {
    const MIB: usize = 1 << 20;
    let announced = |len: usize| [&[0x82, 0xff][..], &(len as u64).to_be_bytes(), &[0; 4]].concat();
    for before in [0, MIB] {
        let input = Rc::<RefCell<VecDeque<u8>>>::default();
        if before > 0 {
            input.borrow_mut().extend(announced(before).into_iter().chain(vec![7; before]));
        }
        input.borrow_mut().extend(announced(1 << 30).into_iter().chain(vec![7; MIB / 4]));
        let offered = Rc::new(RefCell::new(Vec::new()));
        let transport = NoDeadlines(Trickle { fast: input, slow: 3000, offered: offered.clone() });
        let config = Config::default().max_frame_size(1 << 30).max_message_size(1 << 30);
        let mut ws = blocking::WebSocket::from_upgraded(transport, Role::Server, b"", &config).unwrap();
        if before > 0 {
            assert_eq!(ws.recv().unwrap().unwrap().len(), before);
        }
        let taken = allocation_counter::measure(|| assert!(ws.recv().is_err()));
        println!("{} bytes at most, after a frame of {before}", taken.bytes_max);
        assert!(taken.bytes_max <= (MIB + 2 * before) as u64, "{} bytes", taken.bytes_max);
        let offered = offered.borrow();
        assert!(offered.iter().all(|len| *len <= 66 << 10));
        assert!(offered.iter().rev().take(2900).all(|len| *len <= 4 << 10));
    }
}

/// Reads what is there as fast as may be, then byte by byte, and then ends; records how much each read could take.
struct Trickle {
    fast: Rc<RefCell<VecDeque<u8>>>,
    slow: usize,
    offered: Rc<RefCell<Vec<usize>>>,
}

impl io::Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.offered.borrow_mut().push(buf.len());
        let mut fast = self.fast.borrow_mut();
        if fast.is_empty() && self.slow > 0 {
            self.slow -= 1;
            fast.push_back(7);
        }
        fast.read(buf)
    }
}

impl io::Write for Trickle {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A blocking connection that has received much, and then waits, keeps no more than a quiet one needs.
#[test]
fn a_blocking_connection_that_waits_is_small() {
    // Binary messages of 100 bytes, masked with the key 0.
    let frame = [&b"\x82\xe4\0\0\0\0"[..], &[7; 100]].concat();
    let bursts = Bursts { bursts: vec![frame.repeat(5000).into(), frame.into()], at: 0 };
    let mut ws =
        blocking::WebSocket::from_upgraded(NoDeadlines(bursts), Role::Server, b"", &Config::default())
            .unwrap();
    let mut kept = |messages| {
        let receive = || (0..messages).for_each(|_| drop(ws.recv().unwrap().unwrap()));
        allocation_counter::measure(receive).bytes_current
    };
    let before = kept(5000);
    let waited = before + kept(1);
    println!("blocking: {before} bytes kept, {waited} when it has waited");
    assert!(waited <= 5 << 10, "{waited} bytes");
}

/// A large message that comes little by little leaves no large buffer to a blocking connection that then waits, or goes on
/// with small ones.
#[test]
fn a_blocking_connection_gives_a_large_buffer_back() {
    // Binary messages, masked with the key 0.
    let small = [&b"\x82\xe4\0\0\0\0"[..], &[7; 100]].concat();
    let size: u32 = 1 << 20;
    let large = [&b"\x82\xff\0\0\0\0"[..], &size.to_be_bytes(), &[0; 4], &vec![7; size as usize]].concat();
    for (waits, smalls) in [(true, 1), (false, 20_000)] {
        let after = small.repeat(smalls);
        let bursts = if waits { vec![large.clone(), after] } else { vec![[large.clone(), after].concat()] };
        let bursts = Bursts { bursts: bursts.into_iter().map(VecDeque::from).collect(), at: 0 };
        let slow = NoDeadlines(Slow(bursts));
        let mut ws = blocking::WebSocket::from_upgraded(slow, Role::Server, b"", &Config::default()).unwrap();
        let mut kept = |messages| {
            let receive = || (0..messages).for_each(|_| drop(ws.recv().unwrap().unwrap()));
            allocation_counter::measure(receive).bytes_current
        };
        let kept = kept(1) + kept(smalls);
        println!("blocking: {kept} bytes kept after a large message, waits: {waits}");
        assert!(kept <= 160 << 10, "{kept} bytes, waits: {waits}");
    }
}

/// Less at once than reads have room for.
struct Slow(Bursts);

impl io::Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(300);
        self.0.read(&mut buf[..most])
    }
}

impl io::Write for Slow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that brings bytes in bursts, between which a read times out.
struct Bursts {
    bursts: Vec<VecDeque<u8>>,
    at: usize,
}

impl io::Read for Bursts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.bursts[self.at].is_empty() {
            self.at += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bursts[self.at].read(buf)
    }
}

impl io::Write for Bursts {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a connection takes whose program only sends: the task that answers in its place, and its timer, included.
#[test]
fn a_connection_that_only_sends_is_small() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut all = Vec::with_capacity(100);
    let mut open = |count: i64| {
        let taken = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..count {
                    let stream = Given(Arc::default());
                    let config = Config::default();
                    let mut ws =
                        sansocket::tokio::WebSocket::from_upgraded(stream, Role::Server, b"", &config);
                    ws.send(Message::binary(vec![7; 100])).await.unwrap();
                    all.push(ws);
                }
                // It is seen not to receive.
                tokio::time::sleep(Duration::from_secs(2)).await;
            });
        });
        taken.bytes_current / count
    };
    // The first one brings what all share.
    open(1);
    let taken = open(99);
    println!("tokio, only sends: {taken} bytes");
    assert!(taken <= 1024, "{taken} bytes");
}

/// A stream that reads what it is given, and takes all that is written.
struct Given(Arc<Mutex<VecDeque<u8>>>);

impl AsyncRead for Given {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut given = self.0.lock().unwrap();
        if given.is_empty() {
            return Poll::Pending;
        }
        while let Some(byte) = given.pop_front() {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Given {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What an idle connection takes on the heap, the future of the task that serves it included: no more
/// after it has sent and received, since it gives its buffers back.
#[tokio::test]
async fn an_idle_connection_is_small() {
    async fn echo(mut ws: sansocket::tokio::WebSocket<Given>) -> Result<(), sansocket::Error> {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    }
    // A binary message of 100 bytes, masked with the key 0.
    let frame = [&b"\x82\xe4\0\0\0\0"[..], &[7; 100]].concat();
    let mut cx = Context::from_waker(Waker::noop());
    let mut idle = Vec::with_capacity(100);
    for i in 0..100 {
        let given = Arc::new(Mutex::new(VecDeque::with_capacity(frame.len())));
        let stream = Given(given.clone());
        let taken = allocation_counter::measure(|| {
            let ws =
                sansocket::tokio::WebSocket::from_upgraded(stream, Role::Server, b"", &Config::default());
            let mut echo = Box::pin(echo(ws));
            // Until it waits for input, with a timer for the keepalive.
            assert!(echo.as_mut().poll(&mut cx).is_pending());
            given.lock().unwrap().extend(&frame);
            assert!(echo.as_mut().poll(&mut cx).is_pending());
            assert!(given.lock().unwrap().is_empty());
            idle.push(echo);
        });
        // The first one brings the buffers that all share.
        if i > 0 {
            assert!(taken.bytes_current <= 896, "{i}: {} bytes", taken.bytes_current);
        }
        if i == 99 {
            println!("tokio: {} bytes in {} allocations", taken.bytes_current, taken.count_current);
        }
    }

    let blocking = size_of::<blocking::WebSocket<std::net::TcpStream>>();
    println!("blocking: {blocking} bytes");
    assert!(blocking <= 384, "{blocking} bytes");
}

/// A task that waits is as large as its largest future: none holds more than its arguments, and what opens a
/// connection is elsewhere.
#[tokio::test]
async fn futures_are_small() {
    use sansocket::tokio::{WebSocket, accept_with, connect_over};
    use sansocket::{CloseCode, MessageKind, Server};

    let stream = || Given(Arc::default());
    let mut ws = WebSocket::from_upgraded(stream(), Role::Server, b"", &Config::default());
    at_most(8, "recv", ws.recv());
    at_most(8, "recv_incoming", ws.recv_incoming());
    at_most(8, "recv_part", ws.recv_part());
    at_most(48, "send", ws.send("a message"));
    at_most(48, "feed", ws.feed("a message"));
    at_most(48, "feed_part", ws.feed_part(MessageKind::Text, "a part", true));
    at_most(8, "flush", ws.flush());
    at_most(24, "ping", ws.ping(b"a ping"));
    at_most(24, "pong", ws.pong(b"a pong"));
    at_most(48, "close", ws.close(CloseCode::NORMAL, ""));
    at_most(8, "accept_with", accept_with(stream(), &Server::default()));
    at_most(8, "connect_over", connect_over("ws://localhost/", stream()));
}

#[track_caller]
fn at_most<F: Future>(most: usize, name: &str, _: F) {
    let size = size_of::<F>();
    println!("{name}: {size} bytes");
    assert!(size <= most, "{name}: {size} bytes");
}
