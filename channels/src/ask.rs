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

use crate::backplane::BackplaneError;
use crate::hub::Hub;
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
    /// The connection is one of another node, which the question has not left for.
    Backplane(BackplaneError),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(_) => f.write_str("the question or its answer is not what it has to be"),
            Self::Gone => f.write_str("the page has left before it answered"),
            Self::TimedOut => f.write_str("the page did not answer in time"),
            Self::Refused(why) => write!(f, "the page refused to answer: {why}"),
            Self::TooMany => f.write_str("too many questions wait for the page's answers; ask later"),
            Self::Backplane(_) => f.write_str("the question could not be sent to the node that has the page"),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            Self::Backplane(error) => Some(error),
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
            AskError::Backplane(_) => "backplane",
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
    let hub = &seat.connection.hub;
    let asked = async { put(seat, event, &to_question(hub, event, question)?, within).await?.parse() };
    counted(hub, asked.await)
}

/// Asks the page that has this seat to load what is there, and waits until it has.
pub(crate) async fn load(seat: &Arc<Seat>, url: &str, within: Duration) -> Result<(), AskError> {
    let hub = &seat.connection.hub;
    let asked = async { put(seat, LOAD, &to_request(hub, url)?, within).await?.parse::<IgnoredAny>() };
    // Whatever it says: it has.
    counted(hub, asked.await).map(drop)
}

/// A question as JSON, if it can be put.
pub(crate) fn to_question(hub: &Hub, event: &str, question: &impl Serialize) -> Result<String, AskError> {
    let payload = to_json(question)?;
    let is_fit = is_event(event) && payload.len() <= hub.inner().limits.payload;
    if is_fit { Ok(payload) } else { Err(PayloadError::unfit().into()) }
}

/// The question whether that is loaded.
pub(crate) fn to_request(hub: &Hub, url: &str) -> Result<String, AskError> {
    let payload = to_json(&BTreeMap::from([("url", url)]))?;
    if payload.len() <= hub.inner().limits.payload { Ok(payload) } else { Err(PayloadError::unfit().into()) }
}

/// Counts what has come of a question.
pub(crate) fn counted<T>(hub: &Hub, answered: Result<T, AskError>) -> Result<T, AskError> {
    hub.inner().counters.count_ask(answered.as_ref().err());
    answered
}

/// Puts a question in JSON, of an event that may be the protocol's.
pub(crate) async fn put(
    seat: &Arc<Seat>,
    event: &str,
    question: &str,
    within: Duration,
) -> Result<Answer, AskError> {
    let limits = &seat.connection.hub.inner().limits;
    let within = within.min(limits.ask);
    let number = seat.connection.asked.fetch_add(1, Ordering::Relaxed);
    let Some(_pending) = Pending::new(seat, number, limits.asks) else {
        return Err(AskError::TooMany);
    };
    let (sender, receiver) = oneshot::channel();
    let frame = seat.frame(Some(&format!("{PREFIX}{number}")), event, question);
    if !seat.ask(number, frame, sender) {
        return Err(AskError::Gone);
    }
    let answer = timeout(within, receiver).await.map_err(|_| AskError::TimedOut)?;
    answer.map_err(|_| AskError::Gone)
}

impl Answer {
    /// What was answered, or why it was not.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        if self.is_ok {
            serde_json::from_str(&self.response).map_err(|error| PayloadError::from(error).into())
        } else {
            Err(AskError::Refused(serde_json::from_str(&self.response).unwrap_or_default()))
        }
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

/// The event of the question whether something is loaded.
pub(crate) const LOAD: &str = "$load";
