//! The two adapters behind one set of traits. What the blocking one does is done when its future is first
//! polled.

use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::ops::DerefMut;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use sansocket::blocking::{Incoming, Part};
use sansocket::handshake::{Reply, Response};
use sansocket::{
    Client, CloseCode, CloseFrame, Closed, Config, Error, Message, MessageKind, PendingParts, PendingRequest,
    PreparedMessage, Queued, Role, Server,
};
use sansocket::{blocking, tokio as asynchronous};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::script::{Hand, Handler};
use crate::wire::Control;

pub trait Receives {
    async fn recv(&mut self) -> Result<Option<Message>, Error>;
    async fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error>;
    async fn recv_part(&mut self) -> Result<Option<Part>, Error>;
    fn closed(&self) -> Option<&Closed>;
    /// The subprotocol, and the status of the response.
    fn agreed(&self) -> (Option<&str>, Option<u16>);
}

pub trait Sends {
    async fn send(&mut self, message: Message) -> Result<(), Error>;
    async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error>;
    async fn feed(&mut self, message: Message) -> Result<(), Error>;
    async fn feed_part(&mut self, kind: MessageKind, payload: Bytes, last: bool) -> Result<(), Error>;
    fn try_feed(&mut self, message: Message) -> Result<bool, Error>;
    fn try_feed_prepared(&mut self, message: &PreparedMessage) -> Result<bool, Error>;
    fn queued(&self) -> Queued;
    async fn flush(&mut self) -> Result<(), Error>;
    async fn ping(&mut self, payload: &[u8]) -> Result<(), Error>;
    async fn pong(&mut self, payload: &[u8]) -> Result<(), Error>;
    async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error>;
    fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error>;
    /// What its `closed` tells.
    fn ended(&self) -> Option<&Closed>;
    /// What it knows of that is [`agreed`](Receives::agreed).
    fn terms(&self) -> (Option<&str>, Option<u16>);
}

/// An adapter.
pub trait Adapter: Sized {
    type Stream;
    type Pending: DerefMut<Target = PendingRequest>;
    type Whole: Receives + Sends;
    type Sender: Sends + Send;
    type Receiver: Receives + Send;
    type Bytes;

    fn now() -> Instant;

    /// Runs a program to its end.
    fn run<T>(program: impl Future<Output = T>) -> T;

    /// Runs a program while the peer has its time.
    async fn with_ticks<T>(control: &Control, program: impl Future<Output = T>) -> T;

    /// What is wrong with a time.
    fn misses(took: Duration, expected: Duration) -> Option<String>;

    /// Runs what two hands do at once.
    async fn both(one: Hand<'_, Self>, other: Hand<'_, Self>) -> [Vec<String>; 2];

    /// Waits until the peer has told something.
    async fn until_told(control: &Control, what: &'static str);

    /// Lets what goes on behind the program's back go on.
    async fn pause();

    /// Does nothing for so long.
    async fn sleep(time: Duration);

    /// Writes a message by a `MessageWriter`.
    async fn write(ws: &mut Self::Whole, kind: MessageKind, chunks: &[String]) -> io::Result<()>;

    fn upgraded(io: Self::Stream, role: Role, read_ahead: &[u8], config: &Config) -> Self::Whole;
    fn split(whole: Self::Whole) -> (Self::Sender, Self::Receiver);
    /// Gives both halves back if they are not of one connection.
    fn reunite(
        sender: Self::Sender,
        receiver: Self::Receiver,
    ) -> Result<Self::Whole, (Self::Sender, Self::Receiver)>;
    fn byte_stream(whole: Self::Whole, takes_text: bool) -> Self::Bytes;
    fn into_parts(bytes: Self::Bytes) -> (Self::Whole, Bytes);
    /// Fills a buffer of so many bytes, or less of it.
    async fn read(bytes: &mut Self::Bytes, most: usize) -> io::Result<Vec<u8>>;
    /// Writes once.
    async fn write_bytes(bytes: &mut Self::Bytes, buf: &[u8]) -> io::Result<usize>;
    async fn flush_bytes(bytes: &mut Self::Bytes) -> io::Result<()>;
    async fn shut_down(bytes: &mut Self::Bytes) -> io::Result<()>;
    async fn close_bytes(bytes: &mut Self::Bytes) -> io::Result<()>;
    async fn connect(io: Self::Stream, client: Client) -> Result<Self::Whole, Error>;
    async fn accept(io: Self::Stream, server: &Server) -> Result<Self::Pending, Error>;
    async fn open(pending: Self::Pending) -> Result<Self::Whole, Error>;
    async fn respond(pending: Self::Pending, reply: &Reply) -> Result<(), Error>;
    async fn reject(pending: Self::Pending, status: u16, text: &str) -> Result<(), Error>;
    async fn read_body(pending: Self::Pending, limit: usize) -> Result<(Self::Pending, Bytes), Error>;
    fn hand_over(pending: Self::Pending) -> PendingParts<Self::Stream>;
}

/// The blocking adapter over a stream.
pub struct Blocking<S>(PhantomData<S>);

/// The tokio adapter over a stream.
pub struct Tokio<S>(PhantomData<S>);

/// An adapter over the streams that its `serve` accepts.
pub trait Serves: Adapter {
    /// Serves until `stop` was told.
    fn serve(listener: TcpListener, server: &Server, control: &Control, handler: Handler) -> io::Result<()>;
}

macro_rules! receives {
    (<$stream:ident: $bound:path> $type:ty $(, $wait:tt)?) => {
        impl<$stream: $bound> Receives for $type {
            async fn recv(&mut self) -> Result<Option<Message>, Error> {
                <$type>::recv(self)$(.$wait)?
            }
            async fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
                <$type>::recv_incoming(self)$(.$wait)?
            }
            async fn recv_part(&mut self) -> Result<Option<Part>, Error> {
                <$type>::recv_part(self)$(.$wait)?
            }
            fn closed(&self) -> Option<&Closed> {
                <$type>::closed(self)
            }
            fn agreed(&self) -> (Option<&str>, Option<u16>) {
                (self.subprotocol(), self.response().map(Response::status))
            }
        }
    };
}

macro_rules! sends {
    (<$stream:ident: $bound:path> $type:ty $(, $wait:tt)?) => {
        impl<$stream: $bound> Sends for $type {
            async fn send(&mut self, message: Message) -> Result<(), Error> {
                <$type>::send(self, message)$(.$wait)?
            }
            async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
                <$type>::send(self, message)$(.$wait)?
            }
            async fn feed(&mut self, message: Message) -> Result<(), Error> {
                <$type>::feed(self, message)$(.$wait)?
            }
            fn try_feed(&mut self, message: Message) -> Result<bool, Error> {
                <$type>::try_feed(self, message)
            }
            fn try_feed_prepared(&mut self, message: &PreparedMessage) -> Result<bool, Error> {
                <$type>::try_feed(self, message)
            }
            fn queued(&self) -> Queued {
                <$type>::queued(self)
            }
            async fn feed_part(&mut self, kind: MessageKind, payload: Bytes, last: bool) -> Result<(), Error> {
                <$type>::feed_part(self, kind, payload, last)$(.$wait)?
            }
            async fn flush(&mut self) -> Result<(), Error> {
                <$type>::flush(self)$(.$wait)?
            }
            async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
                <$type>::ping(self, payload)$(.$wait)?
            }
            async fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
                <$type>::pong(self, payload)$(.$wait)?
            }
            async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
                <$type>::close(self, code, reason)$(.$wait)?
            }
            fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
                <$type>::start_close(self, close)
            }
            fn ended(&self) -> Option<&Closed> {
                <$type>::closed(self)
            }
            fn terms(&self) -> (Option<&str>, Option<u16>) {
                (self.subprotocol(), self.response().map(Response::status))
            }
        }
    };
}

receives!(<S: BlockingStream> blocking::WebSocket<S>);
sends!(<S: BlockingStream> blocking::WebSocket<S>);
receives!(<S: BlockingStream> blocking::WebSocketReceiver<S>);
sends!(<S: BlockingStream> blocking::WebSocketSender<S>);
receives!(<S: TokioStream> asynchronous::WebSocket<S>, await);
sends!(<S: TokioStream> asynchronous::WebSocket<S>, await);
receives!(<S: TokioStream> asynchronous::WebSocketReceiver<S>, await);
sends!(<S: TokioStream> asynchronous::WebSocketSender<S>, await);

pub trait BlockingStream: blocking::TryClone + Send + 'static {}
impl<S: blocking::TryClone + Send + 'static> BlockingStream for S {}

pub trait TokioStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TokioStream for S {}

impl<S: BlockingStream> Adapter for Blocking<S> {
    type Stream = S;
    type Pending = blocking::Pending<S>;
    type Whole = blocking::WebSocket<S>;
    type Sender = blocking::WebSocketSender<S>;
    type Receiver = blocking::WebSocketReceiver<S>;
    type Bytes = blocking::ByteStream<S>;

    fn now() -> Instant {
        Instant::now()
    }

    fn run<T>(program: impl Future<Output = T>) -> T {
        match pin!(program).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it awaits something"),
        }
    }

    async fn with_ticks<T>(_control: &Control, program: impl Future<Output = T>) -> T {
        program.await
    }

    fn misses(took: Duration, expected: Duration) -> Option<String> {
        (took < expected).then(|| format!("it took {took:?}, not {expected:?}"))
    }

    async fn both(one: Hand<'_, Self>, other: Hand<'_, Self>) -> [Vec<String>; 2] {
        thread::scope(|scope| {
            let one = scope.spawn(move || Self::run(one.run()));
            let other = scope.spawn(move || Self::run(other.run()));
            [one.join().unwrap(), other.join().unwrap()]
        })
    }

    async fn until_told(control: &Control, what: &'static str) {
        control.until_told(what);
    }

    async fn pause() {
        thread::yield_now();
    }

    async fn sleep(time: Duration) {
        thread::sleep(time);
    }

    async fn write(ws: &mut Self::Whole, kind: MessageKind, chunks: &[String]) -> io::Result<()> {
        let mut writer = ws.message_writer(kind);
        for chunk in chunks {
            io::Write::write_all(&mut writer, chunk.as_bytes())?;
        }
        writer.finish().map_err(io::Error::other)
    }

    fn upgraded(io: Self::Stream, role: Role, read_ahead: &[u8], config: &Config) -> Self::Whole {
        blocking::WebSocket::from_upgraded(io, role, read_ahead, config).unwrap()
    }

    fn split(whole: Self::Whole) -> (Self::Sender, Self::Receiver) {
        whole.split().unwrap()
    }

    fn reunite(
        sender: Self::Sender,
        receiver: Self::Receiver,
    ) -> Result<Self::Whole, (Self::Sender, Self::Receiver)> {
        receiver.reunite(sender).map_err(|error| {
            assert_eq!(error.to_string(), "the two halves are of different connections");
            (error.sender, error.receiver)
        })
    }

    fn byte_stream(whole: Self::Whole, takes_text: bool) -> Self::Bytes {
        whole.into_byte_stream().take_text(takes_text)
    }

    fn into_parts(bytes: Self::Bytes) -> (Self::Whole, Bytes) {
        bytes.into_parts()
    }

    async fn read(bytes: &mut Self::Bytes, most: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![0; most];
        let len = io::Read::read(bytes, &mut buf)?;
        buf.truncate(len);
        Ok(buf)
    }

    async fn write_bytes(bytes: &mut Self::Bytes, buf: &[u8]) -> io::Result<usize> {
        io::Write::write(bytes, buf)
    }

    async fn flush_bytes(bytes: &mut Self::Bytes) -> io::Result<()> {
        io::Write::flush(bytes)
    }

    async fn shut_down(bytes: &mut Self::Bytes) -> io::Result<()> {
        bytes.shutdown()
    }

    async fn close_bytes(bytes: &mut Self::Bytes) -> io::Result<()> {
        bytes.close()
    }

    async fn connect(io: Self::Stream, client: Client) -> Result<Self::Whole, Error> {
        blocking::connect_as_is(client, io)
    }

    async fn accept(io: Self::Stream, server: &Server) -> Result<Self::Pending, Error> {
        blocking::accept_with(io, server)
    }

    async fn open(pending: Self::Pending) -> Result<Self::Whole, Error> {
        pending.accept()
    }

    async fn respond(pending: Self::Pending, reply: &Reply) -> Result<(), Error> {
        pending.respond(reply)
    }

    async fn reject(pending: Self::Pending, status: u16, text: &str) -> Result<(), Error> {
        pending.reject(status, text)
    }

    async fn read_body(pending: Self::Pending, limit: usize) -> Result<(Self::Pending, Bytes), Error> {
        pending.read_body(limit)
    }

    fn hand_over(pending: Self::Pending) -> PendingParts<S> {
        pending.into_parts()
    }
}

impl<S: TokioStream> Adapter for Tokio<S> {
    type Stream = S;
    type Pending = asynchronous::Pending<S>;
    type Whole = asynchronous::WebSocket<S>;
    type Sender = asynchronous::WebSocketSender<S>;
    type Receiver = asynchronous::WebSocketReceiver<S>;
    type Bytes = asynchronous::ByteStream<S>;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn run<T>(program: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(program)
    }

    async fn with_ticks<T>(control: &Control, program: impl Future<Output = T>) -> T {
        let ticking = control.clone();
        let ticks = tokio::spawn(async move { ticking.tick().await });
        let result = program.await;
        ticks.abort();
        result
    }

    fn misses(took: Duration, expected: Duration) -> Option<String> {
        // The clock of tokio's timers ticks in milliseconds.
        let late = took.checked_sub(expected).is_none_or(|late| late > Duration::from_millis(2));
        late.then(|| format!("it took {took:?}, not {expected:?}"))
    }

    async fn both(one: Hand<'_, Self>, other: Hand<'_, Self>) -> [Vec<String>; 2] {
        // Each with a waker of its own: neither is polled because the other is.
        let both: FuturesOrdered<_> = [one.run(), other.run()].into_iter().collect();
        both.collect::<Vec<_>>().await.try_into().unwrap()
    }

    async fn until_told(control: &Control, what: &'static str) {
        poll_fn(|cx| control.poll_told(cx, what)).await;
    }

    async fn pause() {
        tokio::task::yield_now().await;
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn write(ws: &mut Self::Whole, kind: MessageKind, chunks: &[String]) -> io::Result<()> {
        let mut writer = ws.message_writer(kind);
        for chunk in chunks {
            writer.write_all(chunk.as_bytes()).await?;
        }
        writer.shutdown().await
    }

    fn upgraded(io: Self::Stream, role: Role, read_ahead: &[u8], config: &Config) -> Self::Whole {
        asynchronous::WebSocket::from_upgraded(io, role, read_ahead, config)
    }

    fn split(whole: Self::Whole) -> (Self::Sender, Self::Receiver) {
        whole.split()
    }

    fn reunite(
        sender: Self::Sender,
        receiver: Self::Receiver,
    ) -> Result<Self::Whole, (Self::Sender, Self::Receiver)> {
        receiver.reunite(sender).map_err(|error| {
            assert_eq!(error.to_string(), "the two halves are of different connections");
            (error.sender, error.receiver)
        })
    }

    fn byte_stream(whole: Self::Whole, takes_text: bool) -> Self::Bytes {
        whole.into_byte_stream().take_text(takes_text)
    }

    fn into_parts(bytes: Self::Bytes) -> (Self::Whole, Bytes) {
        bytes.into_parts()
    }

    async fn read(bytes: &mut Self::Bytes, most: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![0; most];
        let len = AsyncReadExt::read(bytes, &mut buf).await?;
        buf.truncate(len);
        Ok(buf)
    }

    async fn write_bytes(bytes: &mut Self::Bytes, buf: &[u8]) -> io::Result<usize> {
        AsyncWriteExt::write(bytes, buf).await
    }

    async fn flush_bytes(bytes: &mut Self::Bytes) -> io::Result<()> {
        AsyncWriteExt::flush(bytes).await
    }

    async fn shut_down(bytes: &mut Self::Bytes) -> io::Result<()> {
        AsyncWriteExt::shutdown(bytes).await
    }

    async fn close_bytes(bytes: &mut Self::Bytes) -> io::Result<()> {
        bytes.close().await
    }

    async fn connect(io: Self::Stream, client: Client) -> Result<Self::Whole, Error> {
        asynchronous::connect_as_is(client, io).await
    }

    async fn accept(io: Self::Stream, server: &Server) -> Result<Self::Pending, Error> {
        asynchronous::accept_with(io, server).await
    }

    async fn open(pending: Self::Pending) -> Result<Self::Whole, Error> {
        pending.accept().await
    }

    async fn respond(pending: Self::Pending, reply: &Reply) -> Result<(), Error> {
        pending.respond(reply).await
    }

    async fn reject(pending: Self::Pending, status: u16, text: &str) -> Result<(), Error> {
        pending.reject(status, text).await
    }

    async fn read_body(pending: Self::Pending, limit: usize) -> Result<(Self::Pending, Bytes), Error> {
        pending.read_body(limit).await
    }

    fn hand_over(pending: Self::Pending) -> PendingParts<S> {
        pending.into_parts()
    }
}

impl Serves for Blocking<blocking::ServerStream> {
    fn serve(listener: TcpListener, server: &Server, control: &Control, handler: Handler) -> io::Result<()> {
        let stop = blocking::Stop::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                control.until_told("stop");
                stop.stop();
            });
            blocking::serve_with(listener, server, &stop, move |pending| {
                Self::run(handler.clone().handle::<Self>(pending));
            })
        })
    }
}

impl Serves for Tokio<asynchronous::ServerStream> {
    fn serve(listener: TcpListener, server: &Server, control: &Control, handler: Handler) -> io::Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let stop = poll_fn(|cx| control.poll_told(cx, "stop"));
            asynchronous::serve_with(listener, server, stop, move |pending| {
                handler.clone().handle::<Self>(pending)
            })
            .await
        })
    }
}
