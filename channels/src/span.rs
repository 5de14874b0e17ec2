//! The span of a connection, for the feature `tracing`: what becomes of it is told in there, and what handlers tell who work for
//! it. What becomes of the hub is told outside of any. Without the feature all of it is nothing.

use std::future::Future;

use crate::conn_id::ConnId;
use crate::notes::{HubNote, Note};

/// Boxed, since a connection that nobody follows has none.
pub(crate) struct Span(#[cfg(feature = "tracing")] Option<Box<tracing::Span>>);

#[cfg(feature = "tracing")]
impl Span {
    pub(crate) fn new(id: ConnId, user: Option<&str>) -> Self {
        let span = tracing::info_span!("channels", conn = %id, user);
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    pub(crate) fn tell(&self, note: &Note<'_>) {
        match &self.0 {
            Some(span) => span.in_scope(|| tell(note)),
            None => tell(note),
        }
    }

    /// Has what a future tells told within the span.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        use tracing::Instrument as _;

        future.instrument(self.0.as_deref().cloned().unwrap_or_else(tracing::Span::none))
    }
}

#[cfg(not(feature = "tracing"))]
#[expect(clippy::unused_self, reason = "as with the feature")]
impl Span {
    pub(crate) fn new(_: ConnId, _: Option<&str>) -> Self {
        Self()
    }

    pub(crate) fn tell(&self, _: &Note<'_>) {}

    pub(crate) fn around<F: Future>(&self, future: F) -> F {
        future
    }
}

/// How much it matters depends on whose affair it is: clients may cause as much as they like.
#[cfg(feature = "tracing")]
fn tell(note: &Note<'_>) {
    use crate::close::Leave;

    match note {
        Note::Joined { topic } => tracing::debug!(topic, "joined"),
        Note::Refused { topic, refusal } if refusal.reason() == "join crashed" => {
            tracing::error!(topic, "the join has crashed");
        }
        Note::Refused { topic, refusal } => tracing::debug!(topic, reason = refusal.reason(), "join refused"),
        Note::Cancelled { topic } => tracing::trace!(topic, "join cancelled"),
        Note::Left { topic, why } => tracing::debug!(topic, ?why, "left"),
        Note::Crashed { topic } => tracing::error!(topic, "the session has crashed"),
        Note::Slow(slow) => {
            let (queued, frames, waited, others) = (slow.queued, slow.frames, slow.waited, slow.others);
            tracing::warn!(queued, frames, ?waited, others, "the client takes nothing");
        }
        Note::Closed(close) if matches!(close.code(), 1013 | 4008) => {
            tracing::warn!(code = close.code(), reason = close.reason(), "closed");
        }
        Note::Closed(close) => tracing::debug!(code = close.code(), reason = close.reason(), "closed"),
        Note::Ended(Leave::Lost) => tracing::debug!("lost"),
        Note::Ended(_) => tracing::debug!("the client has closed"),
    }
}

#[cfg(feature = "tracing")]
pub(crate) fn tell_of_hub(note: &HubNote<'_>) {
    match note {
        HubNote::Refused { status, why } => {
            tracing::debug!(status, why = String::from_utf8_lossy(why).trim_end(), "refused");
        }
        HubNote::BrokerUp => tracing::info!("connected to the broker"),
        HubNote::BrokerDown => tracing::warn!("no connection to the broker"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn tell_of_hub(_: &HubNote<'_>) {}
