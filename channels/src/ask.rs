//! Questions to a page.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::names::is_event;
use crate::payload::{Payload, PayloadError, to_json};
use crate::refusal::Refusal;
use crate::seat::Seat;

/// What a page has answered.
pub(crate) struct Answer {
    pub(crate) is_ok: bool,
    /// A value in JSON.
    pub(crate) response: String,
}

/// Why a question has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The question is no JSON, or larger than a payload may be, its event's name is none, or the answer is another value than
    /// was asked for.
    Payload(PayloadError),
    /// The page has left, or its connection has ended. The question is not repeated: it may have been answered or not.
    Gone,
    /// There was no answer in time.
    TimedOut,
    /// The page's handler failed, or there is none: what it said.
    Refused(Value),
    /// As many questions as [`Limits::asks`](crate::Limits::asks) wait for their answers on this connection.
    TooMany,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(_) => f.write_str("the question or its answer is not what it has to be"),
            Self::Gone => f.write_str("the page has left before it answered"),
            Self::TimedOut => f.write_str("the page did not answer in time"),
            Self::Refused(why) => write!(f, "the page refused to answer: {why}"),
            Self::TooMany => f.write_str("too many questions wait for the page's answers; ask later"),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            _ => None,
        }
    }
}

impl From<PayloadError> for AskError {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

impl From<AskError> for Refusal {
    /// A word for each.
    fn from(error: AskError) -> Self {
        Self::retry(match error {
            AskError::Payload(_) => "bad answer",
            AskError::Gone => "gone",
            AskError::TimedOut => "timeout",
            AskError::Refused(_) => "refused",
            AskError::TooMany => "busy",
        })
    }
}

/// Asks the page that has this seat, and waits for its answer.
pub(crate) async fn ask<T: DeserializeOwned>(
    seat: &Arc<Seat>,
    event: &str,
    question: &impl Serialize,
    within: Duration,
) -> Result<T, AskError> {
    if !is_event(event) {
        return counted(seat, Err(PayloadError::unfit().into()));
    }
    counted(seat, put(seat, event, question, within).await)
}

/// Asks the page that has this seat to load what is there, and waits until it has.
pub(crate) async fn load(seat: &Arc<Seat>, url: &str, within: Duration) -> Result<(), AskError> {
    // Whatever it says: it has.
    let loaded = put::<IgnoredAny>(seat, LOAD, &BTreeMap::from([("url", url)]), within).await;
    counted(seat, loaded.map(drop))
}

/// Counts what has come of a question.
fn counted<T>(seat: &Seat, answered: Result<T, AskError>) -> Result<T, AskError> {
    seat.connection.hub.inner().counters.count_ask(answered.as_ref().err());
    answered
}

/// Puts a question, of an event that may be the protocol's.
async fn put<T: DeserializeOwned>(
    seat: &Arc<Seat>,
    event: &str,
    question: &impl Serialize,
    within: Duration,
) -> Result<T, AskError> {
    let limits = &seat.connection.hub.inner().limits;
    let payload = to_json(question)?;
    if payload.len() > limits.payload {
        return Err(PayloadError::unfit().into());
    }
    let within = within.min(limits.ask);
    let number = seat.connection.asked.fetch_add(1, Ordering::Relaxed);
    let Some(_pending) = Pending::new(seat, number, limits.asks) else {
        return Err(AskError::TooMany);
    };
    let (sender, receiver) = oneshot::channel();
    let frame = seat.frame(Some(&format!("{PREFIX}{number}")), event, &payload);
    if !seat.ask(number, frame, sender) {
        return Err(AskError::Gone);
    }
    let answer = timeout(within, receiver).await.map_err(|_| AskError::TimedOut)?;
    let answer = answer.map_err(|_| AskError::Gone)?;
    if answer.is_ok {
        serde_json::from_str(&answer.response).map_err(|error| PayloadError::from(error).into())
    } else {
        Err(AskError::Refused(serde_json::from_str(&answer.response).unwrap_or_default()))
    }
}

/// What a client answered: for which question, and what. `None`: it is no answer.
pub(crate) fn answer(payload: &Payload) -> Option<(u64, Answer)> {
    let reply: BTreeMap<String, Box<RawValue>> = payload.parse().ok()?;
    let text = |field| serde_json::from_str::<String>(reply.get(field)?.get()).ok();
    let number = text("ref")?.strip_prefix(PREFIX)?.parse().ok()?;
    let response = reply.get("response").map_or("null", |response| response.get()).to_owned();
    Some((number, Answer { is_ok: text("status")? == "ok", response }))
}

/// A question that waits for its answer.
struct Pending<'a> {
    seat: &'a Seat,
    number: u64,
}

impl<'a> Pending<'a> {
    /// `None`: there are as many as there may be.
    fn new(seat: &'a Seat, number: u64, max: usize) -> Option<Self> {
        let one_more = |asking| ((asking as usize) < max).then_some(asking + 1);
        let asking = &seat.connection.asking;
        asking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self { seat, number })
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.seat.take_ask(self.number);
        self.seat.connection.asking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What begins the refs of questions: those of clients are decimal.
const PREFIX: &str = "s";

/// The question whether something is loaded.
const LOAD: &str = "$load";
