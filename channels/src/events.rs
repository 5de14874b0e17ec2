//! A channel of closures.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::channel::{Channel, Joined, Session};
use crate::cx::Cx;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::reply::Reply;

/// A channel of closures, one for each event. All may join, unless [`on_join`](Self::on_join) says who.
///
/// ```
/// use sansocket_channels::{Events, Hub, Reply};
///
/// let sums = Events::new().on("add", async |_, payload| {
///     let numbers: Vec<i64> = payload.parse()?;
///     Ok(Reply::with(&numbers.iter().sum::<i64>())?)
/// });
/// let hub = Hub::builder().channel("sums", sums).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
#[derive(Default)]
pub struct Events {
    join: Option<Box<dyn Handler<Joined<()>>>>,
    handlers: Arc<HashMap<String, Arc<dyn Handler<Reply>>>>,
    interceptors: Arc<HashMap<String, Arc<Interceptor>>>,
}

impl Events {
    /// A channel that knows no event.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is done about this event; see [`Session::handle`]. The last of one name counts.
    pub fn on<F, R>(mut self, event: &str, f: F) -> Self
    where
        F: Fn(Cx, Payload) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        Arc::make_mut(&mut self.handlers).insert(event.to_owned(), Arc::new(f));
        self
    }

    /// What becomes of this event on its way to a member, if it is one of [`TopicOptions::intercept`]; see
    /// [`Session::outgoing`]. The last of one name counts.
    ///
    /// ```
    /// use sansocket_channels::{Events, Hub, Outgoing, TopicOptions};
    ///
    /// let chat = Events::new().on_outgoing("said", |cx, payload| {
    ///     let muted = cx.get::<Vec<String>>();
    ///     match payload.parse::<(String, String)>() {
    ///         Ok((who, _)) if muted.is_some_and(|muted| muted.contains(&who)) => Outgoing::Skip,
    ///         _ => Outgoing::Pass,
    ///     }
    /// });
    /// let hub = Hub::builder().channel_with("chat", TopicOptions::new().intercept(["said"]), chat).build()?;
    /// # Ok::<(), sansocket_channels::BuildError>(())
    /// ```
    ///
    /// [`TopicOptions::intercept`]: crate::TopicOptions::intercept
    pub fn on_outgoing<F>(mut self, event: &str, f: F) -> Self
    where
        F: Fn(&Cx, &Payload) -> Outgoing + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.interceptors).insert(event.to_owned(), Arc::new(f));
        self
    }

    /// Who may join; see [`Channel::join`].
    pub fn on_join<F, R>(self, f: F) -> Self
    where
        F: Fn(Cx, Payload) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Joined<()>, Refusal>> + Send + 'static,
    {
        Self { join: Some(Box::new(f)), ..self }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("events", &self.handlers.keys()).finish_non_exhaustive()
    }
}

impl Channel for Events {
    type Session = Handlers;

    async fn join(&self, cx: &Cx, params: Payload) -> Result<Joined<Handlers>, Refusal> {
        let handlers = Handlers { handlers: self.handlers.clone(), interceptors: self.interceptors.clone() };
        match &self.join {
            Some(join) => Ok(join.call(cx.clone(), params).await?.map(|()| handlers)),
            None => Ok(Joined::new(handlers)),
        }
    }
}

/// The session of [`Events`].
pub struct Handlers {
    handlers: Arc<HashMap<String, Arc<dyn Handler<Reply>>>>,
    interceptors: Arc<HashMap<String, Arc<Interceptor>>>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("events", &self.handlers.keys()).finish_non_exhaustive()
    }
}

impl Session for Handlers {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        let handler = self.handlers.get(event).ok_or_else(Refusal::unknown_event)?;
        handler.call(cx.clone(), payload).await
    }

    fn outgoing(&mut self, cx: &Cx, event: &str, payload: &Payload) -> Outgoing {
        self.interceptors.get(event).map_or(Outgoing::Pass, |f| f(cx, payload))
    }
}

/// What has its say in an event.
type Interceptor = dyn Fn(&Cx, &Payload) -> Outgoing + Send + Sync;

/// A closure of whichever type.
trait Handler<T>: Send + Sync {
    fn call(&self, cx: Cx, payload: Payload) -> Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;
}

impl<F, R, T> Handler<T> for F
where
    F: Fn(Cx, Payload) -> R + Send + Sync,
    R: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    fn call(&self, cx: Cx, payload: Payload) -> Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>> {
        Box::pin(self(cx, payload))
    }
}
