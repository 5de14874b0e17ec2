//! A client that connects again.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::client_stream::ClientStream;
use super::connect::connect;
use super::timer::{Timer, now};
use super::transport::Transport;
use super::web_socket::WebSocket;
use crate::connection::Closed;
use crate::endpoint::reconnect::redial::Redial;
use crate::endpoint::reconnect::{Attempt, Ended, Event, Policy, State};
use crate::endpoint::{Client, Error, Queued, Sendable, random};
use crate::error::SendError;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::Message;

/// Receives the messages of a server over as many connections as it takes, each opened by [`connect`] to this URI or as
/// this [`Client`] says. Fails if that is no URI. The first connection is opened by the first call that needs it.
///
/// See [`reconnect_with`] for headers that change, [`reconnect`](crate::reconnect) for what ends it.
///
/// ```no_run
/// # async fn run() -> Result<(), sansocket::Error> {
/// let mut feed = sansocket::tokio::reconnect("ws://127.0.0.1:9001/feed")?;
/// while let Some(message) = feed.recv().await? {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn reconnect<C>(client: C) -> Result<Reconnecting, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
{
    let client = client.try_into()?;
    Ok(reconnect_with(&Policy::default(), move |_| connect::<Client>(client.clone())))
}

/// Receives messages over as many connections as it takes, each opened by `open`, which is told what came of the last.
///
/// It may open them by whatever means, over whatever stream, with a token that it asks for each time, and send what each
/// connection begins with; [`reconnect`](crate::reconnect) has an example. An attempt has no end but those that `open` sets,
/// such as [`Client::connect_timeout`].
///
/// ```no_run
/// # async fn run() -> Result<(), sansocket::Error> {
/// use core::time::Duration;
/// use sansocket::reconnect::Policy;
/// use sansocket::tokio::{connect, reconnect_with};
///
/// let policy = Policy::default().delays(Duration::from_secs(5), Duration::from_secs(300));
/// let mut feed = reconnect_with(&policy, |_| connect("ws://127.0.0.1:9001/feed"));
/// # Ok(())
/// # }
/// ```
pub fn reconnect_with<S, F, O>(policy: &Policy, mut open: F) -> Reconnecting<S>
where
    S: Transport,
    F: FnMut(Attempt) -> O + Send + 'static,
    O: Future<Output = Result<WebSocket<S>, Error>> + Send + 'static,
{
    Reconnecting {
        open: Box::new(move |attempt| Box::pin(open(attempt))),
        phase: Phase::Waiting(None),
        timer: Timer::default(),
        redial: Redial::new(policy),
    }
}

/// A client that connects again when it has lost the connection: see [`reconnect`](crate::reconnect).
///
/// It does nothing while none of its calls is awaited, but for what [each WebSocket does](super#who-reads). Dropped, it
/// closes the transport as it stands, like a [`WebSocket`]: [`close`](Self::close) it first.
///
/// It is also a `Stream` of messages, which ends when `recv` returns `None`, or after the error that ends it.
///
/// # From several tasks
///
/// It is for one task. Others send through a channel:
///
/// ```no_run
/// # async fn run(mut orders: tokio::sync::mpsc::Receiver<String>) -> Result<(), sansocket::Error> {
/// let mut feed = sansocket::tokio::reconnect("ws://127.0.0.1:9001/feed")?;
/// loop {
///     tokio::select! {
///         message = feed.recv() => match message? {
///             Some(message) => println!("{message:?}"),
///             None => return Ok(()),
///         },
///         // While this waits for a connection, the channel fills, and those who send wait, too.
///         Some(order) = orders.recv() => feed.send(order).await?,
///     }
/// }
/// # }
/// ```
pub struct Reconnecting<S: Transport = ClientStream> {
    #[expect(clippy::type_complexity, reason = "a function that opens connections")]
    open: Box<dyn FnMut(Attempt) -> Pin<Box<dyn Opening<S>>> + Send>,
    phase: Phase<S>,
    timer: Timer,
    redial: Redial,
}

impl<S: Transport> Reconnecting<S> {
    /// The next message, of whichever connection. `None`: it has ended, by the server's Close frame or by
    /// [`close`](Self::close); see [`closed`](Self::closed). An error is the last that kept it from going on, returned once,
    /// and then `None`. Which are which is in [a table](crate::reconnect#what-ends-it); all others are not told by this call.
    ///
    /// Cancel safe: no message is lost, an attempt that has begun is gone on with by the next call, and the time until the
    /// next attempt runs on.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        loop {
            match self.recv_event().await? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Like [`recv`](Self::recv), and tells of each connection that it was opened, and lost.
    ///
    /// Cancel safe, like `recv`; what has happened is told by the next call.
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.redial.next_event() {
                return Ok(Some(event));
            }
            let received = match &mut self.phase {
                Phase::Open(ws) => ws.recv().await,
                Phase::Over => return Ok(None),
                _ => {
                    poll_fn(|cx| self.poll_open(cx)).await?;
                    continue;
                }
            };
            if let Some(message) = self.received(received)? {
                return Ok(Some(Event::Message(message)));
            }
        }
    }

    /// Sends a message over the connection that is open. If none is, it goes on to the next, as [`recv`](Self::recv) does: what
    /// happens is told by [`recv_event`](Self::recv_event) later, of several connections and attempts that of the last.
    ///
    /// When it returns, the message was handed to the transport; or it is counted in
    /// [`Lost::unwritten`](crate::reconnect::Lost::unwritten), since the connection has ended meanwhile, or has ended before
    /// with messages that the program has still to receive: it goes no further before they are. It fails if the message may
    /// not be sent, and if it has ended for good, with the error that ended it, or [`SendError::Closing`].
    ///
    /// What a connection is to begin with is sent by the function that opens it, or where [`Event::Open`] is told: over
    /// [`current`](Self::current), as is all else that a program sends which does that, since this call might begin a connection
    /// before.
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, or counted.
    pub async fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.until_open().await?;
        let Phase::Open(ws) = &mut self.phase else {
            return Err(SendError::Closing.into());
        };
        if let Err(error) = ws.feed(message).await {
            return self.redial.not_taken(&error);
        }
        // If it fails the message is among those that are counted.
        let _ = ws.flush().await;
        Ok(())
    }

    /// The WebSocket that is open, if one is, or that has ended, until `recv` finds out: for whatever else one can do. What
    /// fails is told by its calls, and then by `recv`, and what they queued and was not written is counted. If the program
    /// closes it, `recv` goes on as the code says.
    pub fn current(&mut self) -> Option<&mut WebSocket<S>> {
        match &mut self.phase {
            Phase::Open(ws) => Some(ws),
            _ => None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Waiting(_) => State::Waiting,
            Phase::Connecting(_) => State::Connecting,
            Phase::Open(ws) if ws.sender.is_open() => State::Open,
            Phase::Open(_) => State::Closing,
            Phase::Over => State::Over,
        }
    }

    /// How the last connection was closed that was closed by the closing handshake.
    pub fn closed(&self) -> Option<&Closed> {
        self.redial.closed()
    }

    /// What was sent and not written, of all connections that have ended.
    pub fn unwritten(&self) -> Queued {
        self.redial.unwritten()
    }

    /// Ends it: closes the connection, if one is open, as [`WebSocket::close`] does, and gives up an attempt. Does nothing if
    /// it has ended.
    ///
    /// Dropped before it returns, there will be no other attempt, and the Close frame was queued, if a connection is open:
    /// call it again, or `recv`, to go on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        match &mut self.phase {
            Phase::Open(ws) => {
                // That the connection has ended is for `recv` to tell.
                if let Err(error @ Error::Send(_)) = ws.start_close(Some(CloseFrame { code, reason })) {
                    return Err(error);
                }
            }
            _ => self.phase = Phase::Over,
        }
        self.redial.close();
        while self.recv().await?.is_some() {}
        Ok(())
    }

    /// Goes on until a connection is open, or until it may not.
    async fn until_open(&mut self) -> Result<(), Error> {
        loop {
            let received = match &mut self.phase {
                Phase::Open(ws) if !ws.sender.is_open() && self.redial.goes_on() => ws.recv().await,
                Phase::Open(_) | Phase::Over => return Ok(()),
                _ => {
                    poll_fn(|cx| self.poll_open(cx)).await?;
                    continue;
                }
            };
            if let Some(message) = self.received(received)? {
                self.redial.keep(message);
            }
        }
    }

    /// Goes on towards a connection, until something is to be told.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match &mut self.phase {
                Phase::Waiting(due) => {
                    if due.is_some() {
                        ready!(self.timer.poll(cx, *due));
                    }
                    let attempt = self.redial.attempt();
                    self.phase = Phase::Connecting((self.open)(attempt));
                }
                Phase::Connecting(opening) => {
                    match ready!(opening.as_mut().poll(cx)) {
                        Ok(ws) => {
                            self.redial.opened(now());
                            self.phase = Phase::Open(ws);
                        }
                        Err(error) => self.ended(Ended::Failed(error), Queued::default())?,
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Open(_) | Phase::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// A message, if that is what receiving came to.
    fn received(&mut self, received: Result<Option<Message>, Error>) -> Result<Option<Message>, Error> {
        let Phase::Open(ws) = &mut self.phase else {
            return Ok(None);
        };
        let result = match received {
            Ok(Some(message)) => return Ok(Some(message)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let (ended, unwritten) = (Ended::of(result, ws.closed()), ws.sender.unwritten());
        self.ended(ended, unwritten).map(|()| None)
    }

    /// A connection has ended, or an attempt failed.
    fn ended(&mut self, ended: Ended, unwritten: Queued) -> Result<(), Error> {
        let (phase, result) = match self.redial.ended(ended, unwritten, now(), random) {
            Ok(Some(delay)) => (Phase::Waiting(Some(now() + delay)), Ok(())),
            Ok(None) => (Phase::Over, Ok(())),
            Err(error) => (Phase::Over, Err(error)),
        };
        self.phase = phase;
        result
    }
}

impl<S: Transport> fmt::Debug for Reconnecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The messages of all connections; ends where [`recv`](Reconnecting::recv) returns `None`, or after the error.
impl<S: Transport> Stream for Reconnecting<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.redial.next_event() {
                Some(Event::Message(message)) => return Poll::Ready(Some(Ok(message))),
                Some(_) => continue,
                None => {}
            }
            let received = match &mut self.phase {
                Phase::Open(ws) => ready!(Pin::new(ws).poll_next(cx)).transpose(),
                Phase::Over => return Poll::Ready(None),
                _ => {
                    ready!(self.poll_open(cx))?;
                    continue;
                }
            };
            if let Some(message) = self.received(received)? {
                return Poll::Ready(Some(Ok(message)));
            }
        }
    }
}

impl<S: Transport> FusedStream for Reconnecting<S> {
    fn is_terminated(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }
}

enum Phase<S: Transport> {
    /// Until then, if it is not due at once.
    Waiting(Option<Instant>),
    Connecting(Pin<Box<dyn Opening<S>>>),
    Open(WebSocket<S>),
    Over,
}

/// A future that opens a connection.
trait Opening<S: Transport>: Future<Output = Result<WebSocket<S>, Error>> + Send {}

impl<S: Transport, O: Future<Output = Result<WebSocket<S>, Error>> + Send> Opening<S> for O {}
