//! A client that connects again.

use alloc::boxed::Box;
use core::fmt;
use core::task::Poll;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use super::client_stream::ClientStream;
use super::connect::connect;
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
/// # fn run() -> Result<(), sansocket::Error> {
/// let mut feed = sansocket::blocking::reconnect("ws://127.0.0.1:9001/feed")?;
/// while let Some(message) = feed.recv()? {
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
/// connection begins with. An attempt has no end but those that `open` sets, such as [`Client::connect_timeout`].
///
/// ```no_run
/// # fn run() -> Result<(), sansocket::Error> {
/// use sansocket::Client;
/// use sansocket::blocking::{connect, reconnect_with};
/// use sansocket::reconnect::{Event, Policy};
///
/// # fn token(_number: u32) -> String { String::new() }
/// let mut feed = reconnect_with(&Policy::default(), |attempt| {
///     let client = Client::new("ws://127.0.0.1:9001/feed")?;
///     let mut ws = connect(client.header("Authorization", &token(attempt.number()))?)?;
///     ws.send("subscribe")?;
///     Ok(ws)
/// });
/// while let Some(event) = feed.recv_event()? {
///     match event {
///         Event::Message(message) => println!("{message:?}"),
///         Event::Lost(lost) => eprintln!("{lost}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn reconnect_with<S, F>(policy: &Policy, open: F) -> Reconnecting<S>
where
    S: Transport,
    F: FnMut(Attempt) -> Result<WebSocket<S>, Error> + Send + 'static,
{
    Reconnecting { open: Box::new(open), phase: Phase::Waiting(None), redial: Redial::new(policy) }
}

/// A client that connects again when it has lost the connection: see [`reconnect`](crate::reconnect).
///
/// It does nothing while none of its calls runs, and waits for the time of the next attempt, and for a connection, in the
/// thread that calls. Dropped, it closes the transport as it stands, like a [`WebSocket`]: [`close`](Self::close) it first.
///
/// # From several threads
///
/// It is for one thread, which may be another one each time. Others send through a channel, which that thread looks into
/// now and then:
///
/// ```no_run
/// # fn run(orders: std::sync::mpsc::Receiver<String>) -> Result<(), sansocket::Error> {
/// use core::task::Poll;
/// use core::time::Duration;
///
/// let mut feed = sansocket::blocking::reconnect("ws://127.0.0.1:9001/feed")?;
/// loop {
///     match feed.recv_timeout(Duration::from_millis(100))? {
///         Poll::Ready(Some(message)) => println!("{message:?}"),
///         Poll::Ready(None) => return Ok(()),
///         Poll::Pending => {}
///     }
///     while let Ok(order) = orders.try_recv() {
///         feed.send(order)?;
///     }
/// }
/// # }
/// ```
pub struct Reconnecting<S: Transport = ClientStream> {
    open: Box<dyn FnMut(Attempt) -> Result<WebSocket<S>, Error> + Send>,
    phase: Phase<S>,
    redial: Redial,
}

impl<S: Transport> Reconnecting<S> {
    /// The next message, of whichever connection. `None`: it has ended, by the server's Close frame or by
    /// [`close`](Self::close); see [`closed`](Self::closed). An error is the last that kept it from going on, returned once,
    /// and then `None`. Which are which is in [a table](crate::reconnect#what-ends-it); all others are not told by this call.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        loop {
            match self.recv_event()? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next message, if it comes in this time, else [`Poll::Pending`]: nothing is lost then, and the time until the next
    /// attempt runs on. `Ready(None)` is what `None` is of [`recv`](Self::recv).
    ///
    /// An attempt to connect that has begun is gone on with to its end, and may make it late, by
    /// [`Client::connect_timeout`]; else it is as late as [`WebSocket::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Poll<Option<Message>>, Error> {
        let until = Instant::now().checked_add(timeout);
        loop {
            match self.next_event(until)? {
                Poll::Ready(Some(Event::Message(message))) => return Ok(Poll::Ready(Some(message))),
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Ok(Poll::Ready(None)),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    /// Like [`recv`](Self::recv), and tells of each connection that it was opened, and lost.
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Poll::Ready(event) = self.next_event(None)? {
                return Ok(event);
            }
        }
    }

    /// Like [`recv_event`](Self::recv_event), no longer than this time: see [`recv_timeout`](Self::recv_timeout).
    pub fn recv_event_timeout(&mut self, timeout: Duration) -> Result<Poll<Option<Event>>, Error> {
        self.next_event(Instant::now().checked_add(timeout))
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
    pub fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.until_open()?;
        let Phase::Open(ws) = &mut self.phase else {
            return Err(SendError::Closing.into());
        };
        if let Err(error) = ws.feed(message) {
            return self.redial.not_taken(&error);
        }
        // If it fails the message is among those that are counted.
        let _ = ws.flush();
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

    /// Where it is; never [`State::Connecting`], since the call that connects returns when that is done.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Waiting(_) => State::Waiting,
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

    /// Ends it: closes the connection, if one is open, as [`WebSocket::close`] does. Does nothing if it has ended.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
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
        while self.recv()?.is_some() {}
        Ok(())
    }

    /// What happens next, if it does until then.
    fn next_event(&mut self, until: Option<Instant>) -> Result<Poll<Option<Event>>, Error> {
        loop {
            if let Some(event) = self.redial.next_event() {
                return Ok(Poll::Ready(Some(event)));
            }
            let received = match &mut self.phase {
                Phase::Open(ws) => match until {
                    Some(until) => ws.recv_timeout(until.saturating_duration_since(Instant::now())),
                    None => ws.recv().map(Poll::Ready),
                },
                Phase::Waiting(_) => match self.open(until)? {
                    Poll::Ready(()) => continue,
                    Poll::Pending => return Ok(Poll::Pending),
                },
                Phase::Over => return Ok(Poll::Ready(None)),
            };
            let message = match received {
                Ok(Poll::Pending) => return Ok(Poll::Pending),
                Ok(Poll::Ready(message)) => self.received(Ok(message))?,
                Err(error) => self.received(Err(error))?,
            };
            if let Some(message) = message {
                return Ok(Poll::Ready(Some(Event::Message(message))));
            }
        }
    }

    /// Goes on until a connection is open, or until it may not.
    fn until_open(&mut self) -> Result<(), Error> {
        loop {
            let received = match &mut self.phase {
                Phase::Open(ws) if !ws.sender.is_open() && self.redial.goes_on() => ws.recv(),
                Phase::Open(_) | Phase::Over => return Ok(()),
                Phase::Waiting(_) => {
                    let _ = self.open(None)?;
                    continue;
                }
            };
            if let Some(message) = self.received(received)? {
                self.redial.keep(message);
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

    /// Waits until the next attempt is due, unless that is later than `until`, and makes it.
    fn open(&mut self, until: Option<Instant>) -> Result<Poll<()>, Error> {
        if let Phase::Waiting(Some(due)) = self.phase {
            let is_late = until.is_some_and(|until| until < due);
            let wake = until.filter(|_| is_late).unwrap_or(due);
            thread::sleep(wake.saturating_duration_since(Instant::now()));
            if is_late {
                return Ok(Poll::Pending);
            }
        }
        match (self.open)(self.redial.attempt()) {
            Ok(ws) => {
                self.redial.opened(Instant::now());
                self.phase = Phase::Open(ws);
            }
            Err(error) => self.ended(Ended::Failed(error), Queued::default())?,
        }
        Ok(Poll::Ready(()))
    }

    /// A connection has ended, or an attempt failed.
    fn ended(&mut self, ended: Ended, unwritten: Queued) -> Result<(), Error> {
        let now = Instant::now();
        let (phase, result) = match self.redial.ended(ended, unwritten, now, random) {
            Ok(Some(delay)) => (Phase::Waiting(Some(now + delay)), Ok(())),
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

#[expect(clippy::large_enum_variant, reason = "it is mostly the large one")]
enum Phase<S: Transport> {
    /// Until then, if it is not due at once.
    Waiting(Option<Instant>),
    Open(WebSocket<S>),
    Over,
}
