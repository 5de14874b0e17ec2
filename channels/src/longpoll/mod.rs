//! Long polling: connections of clients that cannot open a WebSocket, or do not try any more.
//!
//! ```text
//! GET              -> 410, token             opens a connection
//! GET, token       -> 200, messages          as soon as there are some
//!                     204                    there were none for a while
//! POST, token      -> 200                    what is in its body was taken
//!
//! queue -> drive -> PollSink -> Mailbox -> GET
//!          drive <- PollSource <------- <- POST
//! ```
//!
//! Phoenix's client looks at the status in the body, and at no other. That of the response is for everybody else: 200 where all is as
//! it should be, so that browsers do not report what is none as an error.

mod link;
mod mailbox;
mod table;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sansocket::handshake::{HttpRequest, Reply};
use sansocket::{PendingRequest, PreparedMessage};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use self::mailbox::{Mailbox, Polled};
pub(crate) use self::table::Table;
use self::table::is_token;
use crate::drive::drive;
use crate::handshake::{Handshake, last_param};
use crate::hub::Hub;
use crate::identity::Denied;
use crate::opening::{Applicant, Judged, denied, forbidden, no_version, speaks, unavailable};
use crate::page::{reply, with};

/// What a client that polls asks for, and may have.
pub(crate) enum Polling {
    Open(Opening),
    Poll(Poll),
    Post(Post),
}

impl Hub {
    /// Judges a request at the path for long polling. While the hub drains, who is there is still told what there is.
    pub(crate) fn judge_polling(&self, pending: &PendingRequest) -> Judged {
        let (inner, request) = (self.inner(), pending.request());
        let is_allowed = inner.opening.origins.allows(request) && !hides_its_origin(request);
        let client = Client::of(request, is_allowed);
        let method = request.method();
        if pending.is_websocket() {
            let refusal = reply(400).text("Bad Request: this is for those who poll.\n");
            return Judged::Answer(self.refuse(refusal));
        }
        if !matches!(method, "GET" | "POST" | "OPTIONS") {
            let refusal = reply(405)
                .text("Method Not Allowed: what is here is polled with GET, and sent to with POST.\n");
            return Judged::Answer(self.refuse(with(refusal, &[("Allow", "GET, POST, OPTIONS")])));
        }
        let token = token(request);
        let opens = method == "GET" && token.is_none();
        if opens && inner.is_draining() {
            return Judged::Answer(client.refuse(&self.refuse(unavailable("the server stops"))));
        }
        if !is_allowed {
            return Judged::Answer(self.refuse(forbidden()));
        }
        if method == "OPTIONS" {
            return Judged::Answer(client.preflight());
        }
        if opens {
            return match self.judge_opening(request) {
                Ok(applicant) => Judged::Polling(Polling::Open(Opening { client, applicant })),
                Err(refusal) => Judged::Answer(client.refuse(&self.refuse(refusal))),
            };
        }
        let mailbox =
            token.and_then(|token| inner.polls.find(&token)).filter(|mailbox| mailbox.is_of(request));
        let Some(mailbox) = mailbox else {
            return Judged::Answer(client.gone());
        };
        Judged::Polling(if method == "GET" {
            Polling::Poll(Poll { client, mailbox, wait: inner.limits.poll })
        } else {
            let content_type = request.headers().get("Content-Type").unwrap_or_default();
            let is_batch = content_type.starts_with("application/x-ndjson");
            Polling::Post(Post { client, mailbox, hub: self.clone(), is_batch })
        })
    }

    fn judge_opening(&self, request: &HttpRequest) -> Result<Applicant, Reply> {
        if !speaks(request) {
            return Err(no_version());
        }
        let handshake = Handshake::of_polling(request).ok_or_else(|| denied(Denied::UNAUTHORIZED))?;
        Ok(Applicant::polling(self, handshake))
    }
}

/// Somebody who wants to connect.
pub(crate) struct Opening {
    client: Client,
    applicant: Applicant,
}

impl Opening {
    /// The answer to a request that is not even asked about.
    #[cfg(feature = "tower")]
    pub(crate) fn refuse(&self, refusal: Reply) -> Reply {
        self.client.refuse(&self.applicant.hub().refuse(refusal))
    }

    /// Opens the connection, if it may be; the answer to the request.
    pub(crate) async fn open(self) -> Reply {
        let Self { client, applicant } = self;
        let hub = applicant.hub().clone();
        let full = || client.refuse(&hub.refuse(unavailable("as many connections poll as may")));
        if hub.inner().polls.is_full(hub.inner().limits.polls) {
            return full();
        }
        let admitted = match applicant.admit().await {
            Ok(admitted) => admitted,
            Err(refusal) => return client.refuse(&refusal),
        };
        let Some((mailbox, halves)) = Table::open(&hub, client.origin.clone()) else {
            return full();
        };
        // It ends by itself when nobody polls.
        tokio::spawn(async { drop(drive(admitted, halves).await) });
        client.answer(410, Some(&mailbox), wire::NO_MESSAGES)
    }
}

/// A request for what there is.
pub(crate) struct Poll {
    client: Client,
    mailbox: Arc<Mailbox>,
    wait: Duration,
}

impl Poll {
    /// Waits until there is something; the answer, and what was taken for it. Cancel safe: dropped before it returns, nothing was
    /// taken.
    pub(crate) async fn answer(&self) -> (Reply, Taken) {
        let none = Taken(None);
        match self.mailbox.poll(self.wait).await {
            Polled::Messages(messages) => {
                let taken = Taken(Some(self.mailbox.clone()));
                (self.client.answer(200, Some(&self.mailbox), &messages), taken)
            }
            Polled::Nothing => (self.client.answer(204, Some(&self.mailbox), wire::NO_MESSAGES), none),
            Polled::Over => (self.client.gone(), none),
        }
    }
}

/// Messages of an answer, or none. Dropped before it has arrived, the connection is over: the client would not know that it lacks
/// them.
pub(crate) struct Taken(Option<Arc<Mailbox>>);

impl Taken {
    /// The answer has reached the client, as far as is known.
    pub(crate) fn arrive(mut self) {
        if let Some(mailbox) = self.0.take() {
            mailbox.arrived();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(mailbox) = self.0.take() {
            mailbox.lose();
        }
    }
}

/// A request that brings messages, in a body that was not read.
pub(crate) struct Post {
    client: Client,
    mailbox: Arc<Mailbox>,
    hub: Hub,
    is_batch: bool,
}

impl Post {
    /// Lets the body be read, unless there is another of the connection: messages have an order. Fails with the answer to the
    /// request.
    pub(crate) fn begin(self) -> Result<Posting, Reply> {
        let Ok(turn) = self.mailbox.turns().try_acquire_owned() else {
            return Err(self.client.answer(409, None, wire::NO_MESSAGES));
        };
        let until = Instant::now() + PATIENCE;
        Ok(Posting { post: self, until, is_done: false, _turn: turn, room: None })
    }

    fn limit(&self) -> usize {
        let limits = &self.hub.inner().limits;
        // In base64.
        limits.post.max(limits.frame.div_ceil(3).saturating_mul(4))
    }
}

/// A request whose body is being read, and taken. Dropped before all of it was taken, the connection is over: the client cannot
/// know what was.
pub(crate) struct Posting {
    post: Post,
    until: Instant,
    is_done: bool,
    _turn: OwnedSemaphorePermit,
    /// For what there is of the body.
    room: Option<OwnedSemaphorePermit>,
}

impl Posting {
    /// How long the body may be.
    pub(crate) fn limit(&self) -> usize {
        self.post.limit()
    }

    /// When all has to be over.
    #[cfg(feature = "tower")]
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Whether there is room for so much of the body, among those of all who send.
    pub(crate) fn make_room(&mut self, bytes: usize) -> bool {
        self.post.hub.inner().polls.make_room(&mut self.room, bytes)
    }

    /// What answers a request whose body could not be read. If there was no room for it, nothing of it was taken, and all is as
    /// before.
    pub(crate) fn refuse(mut self, status: u16) -> Reply {
        self.is_done = status == 503;
        self.post.client.answer(status, None, wire::NO_MESSAGES)
    }

    /// Hands over what the body brings, one message after the other, as fast as the connection's task takes them.
    pub(crate) async fn take(mut self, body: Bytes) -> Reply {
        if !self.make_room(body.len()) {
            return self.refuse(503);
        }
        let Ok(body) = str::from_utf8(&body) else {
            return self.refuse(400);
        };
        let max_frame = self.post.hub.inner().limits.frame;
        for line in wire::lines(body, self.post.is_batch) {
            let taken = self.post.mailbox.take_in(wire::incoming(line, self.post.is_batch, max_frame));
            match timeout_at(self.until, taken).await {
                Ok(true) => {}
                Ok(false) => {
                    // It ends in good order: what is queued may still be taken.
                    self.is_done = true;
                    return self.post.client.gone();
                }
                Err(_) => return self.refuse(408),
            }
        }
        self.is_done = true;
        self.post.client.answer(200, None, wire::NO_MESSAGES)
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        if !self.is_done {
            self.post.mailbox.lose();
        }
    }
}

/// Whom to answer.
struct Client {
    /// The page's, if it is one of those that may connect: it may read what it is answered.
    origin: Option<Box<str>>,
}

impl Client {
    fn of(request: &HttpRequest, is_allowed: bool) -> Self {
        Self { origin: request.origin().filter(|_| is_allowed).map(Into::into) }
    }

    fn answer(&self, status: u16, mailbox: Option<&Mailbox>, messages: &[PreparedMessage]) -> Reply {
        let body = wire::answer(status, mailbox.map(Mailbox::token), messages);
        // In the body, 410 opens.
        let is_error = mailbox.is_none() && status != 200;
        self.readable(reply(if is_error { status } else { 200 }).json(body))
    }

    /// The connection is over, or has never been. Clients of Phoenix 1.7 take 410 for the opening of another, and go on as if they
    /// were joined; by 500 all of them dial anew, and join.
    fn gone(&self) -> Reply {
        self.readable(reply(410).json(wire::answer(500, None, wire::NO_MESSAGES)))
    }

    /// The same refusal, for those who poll: other statuses than 403 and 500 have the client's page throw an exception.
    fn refuse(&self, refusal: &Reply) -> Reply {
        let status = if matches!(refusal.status(), 401 | 403) { 403 } else { 500 };
        let refused = reply(refusal.status()).json(wire::refusal(status, refusal.content()));
        let again: &[_] = if refusal.status() == 503 { &[("Retry-After", "5")] } else { &[] };
        self.readable(with(refused, again))
    }

    /// What a browser asks before it sends a page's request to another origin.
    fn preflight(&self) -> Reply {
        let headers = [
            ("Access-Control-Allow-Methods", "GET, POST"),
            ("Access-Control-Allow-Headers", "Content-Type, X-Phoenix-AuthToken, X-Phoenix-Longpoll-Token"),
            ("Access-Control-Max-Age", "3600"),
        ];
        self.readable(with(reply(204), &headers))
    }

    fn readable(&self, reply: Reply) -> Reply {
        let headers = [
            // A proxy that compressed it might keep some back until there is more.
            ("Cache-Control", "no-store, no-transform"),
            ("X-Content-Type-Options", "nosniff"),
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", self.origin.as_deref().unwrap_or_default()),
        ];
        let count = headers.len() - usize::from(self.origin.is_none());
        with(reply, &headers[..count])
    }
}

/// The token of a connection, in the header or, as the last parameter of its name, in the address; what is none there is for
/// `authenticate`.
fn token(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get("X-Phoenix-Longpoll-Token").filter(|token| is_token(token));
    header.map(str::to_owned).or_else(|| last_param(request, "token").filter(|token| is_token(token)))
}

/// Whether a page of another site has sent this without saying so, as browsers do for images and scripts: with the user's cookies.
/// They tell the site to servers that are reached by `https`, and by loopback.
fn hides_its_origin(request: &HttpRequest) -> bool {
    let site = request.headers().get("Sec-Fetch-Site").unwrap_or("none");
    request.origin().is_none() && !matches!(site, "none" | "same-origin")
}

/// How long a body may take to be read and taken. Clients wait for twenty seconds.
const PATIENCE: Duration = Duration::from_secs(10);
