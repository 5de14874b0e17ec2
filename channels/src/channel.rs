//! The code that answers for topics.

use std::future::{Future, ready};
use std::pin::Pin;

use serde::Serialize;

use crate::close::Leave;
use crate::cx::Cx;
use crate::outgoing::Outgoing;
use crate::payload::{Payload, PayloadError, to_object};
use crate::presences::to_meta;
use crate::refusal::Refusal;
use crate::reply::Reply;

/// The code that answers for the topics of a pattern: it decides who may join, and makes a session of each join.
///
/// ```
/// use sansocket_channels::{Channel, Cx, Joined, Payload, Refusal, Reply, Session};
///
/// struct Rooms;
///
/// struct Room {
///     said: usize,
/// }
///
/// impl Channel for Rooms {
///     type Session = Room;
///
///     async fn join(&self, cx: &Cx, _: Payload) -> Result<Joined<Room>, Refusal> {
///         let room: u32 = cx.param("id")?;
///         if cx.user().is_none() {
///             return Err(Refusal::new("unauthorized"));
///         }
///         Joined::new(Room { said: 0 }).reply(&serde_json::json!({ "room": room }))
///     }
/// }
///
/// impl Session for Room {
///     async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
///         if event != "say" {
///             return Err(Refusal::unknown_event());
///         }
///         self.said += 1;
///         cx.broadcast("said", &payload)?;
///         Ok(Reply::with(&self.said)?)
///     }
/// }
///
/// let hub = sansocket_channels::Hub::builder().channel("room:{id}", Rooms).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
pub trait Channel: Send + Sync + 'static {
    /// What there is of each member.
    type Session: Session;

    /// A client wants to join. It has [`Limits::join`](crate::Limits::join); then it is refused with `timeout`, as it is with
    /// `join crashed` if this panics, both to be tried again.
    ///
    /// Dropped when the client leaves or joins anew meanwhile, or its connection ends. Keys of the parameters that begin with
    /// `$` are the protocol's, and have been taken out.
    fn join(
        &self,
        cx: &Cx,
        params: Payload,
    ) -> impl Future<Output = Result<Joined<Self::Session>, Refusal>> + Send;
}

/// What there is of a member: of one connection on one topic, from the join to the leave. Its messages are handled one at a time,
/// in their order; those of other topics meanwhile.
///
/// `()` is one that answers nothing.
pub trait Session: Sized + Send + 'static {
    /// The client has pushed something. It has [`Limits::handler`](crate::Limits::handler).
    ///
    /// What is returned is the answer, if the client wants one. If this panics, or takes too long, the session has crashed: it
    /// is dropped, without [`leave`](Self::leave), and the client, which is told, joins anew. No other topic or connection notices.
    fn handle(
        &mut self,
        cx: &Cx,
        event: &str,
        payload: Payload,
    ) -> impl Future<Output = Result<Reply, Refusal>> + Send {
        let _ = (cx, event, payload);
        ready(Err(Refusal::unknown_event()))
    }

    /// A message is about to be sent to the topic's members, this one among them: what becomes of it here. Asked about the
    /// events of [`TopicOptions::intercept`](crate::TopicOptions::intercept) alone, whoever sends them, and not about what is
    /// pushed to this client only, answers it, or asks it.
    ///
    /// It is called between two messages of the client's, never while one is handled: until then what follows on this topic
    /// waits, and counts as queued. So the order stays, and what a handler broadcasts goes before its answer; but to its own
    /// client only when it returns, for which it must not wait. A [question](Cx::ask) passes by. If the session ends before, the
    /// messages to all that wait are dropped, and those to this client alone are still sent; if the connection ends, neither is.
    ///
    /// It is not to wait for anything. If it panics, the session has crashed, as in [`handle`](Self::handle).
    fn outgoing(&mut self, cx: &Cx, event: &str, payload: &Payload) -> Outgoing {
        let _ = (cx, event, payload);
        Outgoing::Pass
    }

    /// The session has ended: called once for each that joined, unless it crashed. The connection is none of the topic's
    /// members any more. It has [`Limits::handler`](crate::Limits::handler), and is then dropped.
    fn leave(self, cx: &Cx, why: Leave) -> impl Future<Output = ()> + Send {
        let _ = (cx, why);
        ready(())
    }
}

impl Session for () {}

/// A join that succeeded: the session, and what the client is told.
#[derive(Debug)]
pub struct Joined<S> {
    session: S,
    /// An object in JSON.
    response: String,
    /// The same, if it is tracked.
    meta: Option<String>,
}

impl<S> Joined<S> {
    /// The client is told nothing but that.
    pub fn new(session: S) -> Self {
        Self { session, response: "{}".into(), meta: None }
    }

    /// What the client is told, an object. Fails if it is none. A join whose response is larger than
    /// [`Limits::payload`](crate::Limits::payload) is refused with `too big`, and its session dropped: it has not joined.
    pub fn reply(self, response: &impl Serialize) -> Result<Self, Refusal> {
        Ok(Self { response: to_object(response)?, ..self })
    }

    /// Who is present is told this of the session, an object, until it ends, or its handler [tells](Cx::track) something else.
    /// Fails if it is none. A join is refused with `no presence` where the route has no
    /// [presence](crate::TopicOptions::presence); one for which there is [no room](crate::Limits::presence) is not tracked.
    pub fn track(self, meta: &impl Serialize) -> Result<Self, Refusal> {
        Ok(Self { meta: Some(to_meta(meta)?), ..self })
    }

    pub(crate) fn map<T>(self, f: impl FnOnce(S) -> T) -> Joined<T> {
        Joined { session: f(self.session), response: self.response, meta: self.meta }
    }

    fn erase(self) -> Admitted
    where
        S: Session,
    {
        Admitted { session: Box::new(self.session), response: self.response, meta: self.meta }
    }
}

/// All may join, and pushes are refused: for topics to which only the server sends.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to be told")]
pub struct Open;

impl Channel for Open {
    type Session = ();

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<()>, Refusal> {
        Ok(Joined::new(()))
    }
}

/// All may join, and what a member pushes goes to the others, whatever the event.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to be told")]
pub struct Relay;

impl Channel for Relay {
    type Session = Relaying;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Relaying>, Refusal> {
        Ok(Joined::new(Relaying(())))
    }
}

/// The session of [`Relay`].
#[derive(Debug)]
pub struct Relaying(());

impl Session for Relaying {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        cx.others().send_payload(event, &payload)?;
        Ok(Reply::ok())
    }
}

/// A channel of whichever type.
pub(crate) trait AnyChannel: Send + Sync {
    fn join<'a>(
        &'a self,
        cx: &'a Cx,
        params: Payload,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send + 'a>>;
}

/// A session of whichever type.
pub(crate) trait AnySession: Send {
    fn handle<'a>(
        &'a mut self,
        cx: &'a Cx,
        event: &'a str,
        payload: Payload,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'a>>;

    fn outgoing(&mut self, cx: &Cx, event: &str, payload: &Payload) -> Outgoing;

    fn leave<'a>(self: Box<Self>, cx: &'a Cx, why: Leave) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// A join that succeeded.
pub(crate) struct Admitted {
    pub(crate) session: Box<dyn AnySession>,
    pub(crate) response: String,
    /// What is told of it who is present.
    pub(crate) meta: Option<String>,
}

impl<C: Channel> AnyChannel for C {
    fn join<'a>(
        &'a self,
        cx: &'a Cx,
        params: Payload,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send + 'a>> {
        Box::pin(async { Channel::join(self, cx, params).await.map(Joined::erase) })
    }
}

impl<S: Session> AnySession for S {
    fn handle<'a>(
        &'a mut self,
        cx: &'a Cx,
        event: &'a str,
        payload: Payload,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'a>> {
        Box::pin(async move { Session::handle(self, cx, event, payload).await })
    }

    fn outgoing(&mut self, cx: &Cx, event: &str, payload: &Payload) -> Outgoing {
        Session::outgoing(self, cx, event, payload)
    }

    fn leave<'a>(self: Box<Self>, cx: &'a Cx, why: Leave) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move { Session::leave(*self, cx, why).await })
    }
}

impl From<PayloadError> for Refusal {
    /// `bad payload`: an error's text is not for clients.
    fn from(_: PayloadError) -> Self {
        Self::new("bad payload")
    }
}
