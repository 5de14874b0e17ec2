//! A channel of closures.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::channel::{Channel, Joined, Session};
use crate::cx::Cx;
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
        let handlers = Handlers(self.handlers.clone());
        match &self.join {
            Some(join) => Ok(join.call(cx.clone(), params).await?.map(|()| handlers)),
            None => Ok(Joined::new(handlers)),
        }
    }
}

/// The session of [`Events`].
pub struct Handlers(Arc<HashMap<String, Arc<dyn Handler<Reply>>>>);

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("events", &self.0.keys()).finish()
    }
}

impl Session for Handlers {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        let handler = self.0.get(event).ok_or_else(Refusal::unknown_event)?;
        handler.call(cx.clone(), payload).await
    }
}

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
