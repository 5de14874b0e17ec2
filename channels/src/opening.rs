//! Who is let in: everything that refuses is an answer to the request, before there is a WebSocket.

use std::sync::Arc;

use sansocket::PendingRequest;
use sansocket::handshake::{HttpRequest, Reply};

use crate::close::{Cut, Leave};
use crate::connection::{Connection, Dialect};
use crate::fault::caught_within;
use crate::handshake::{Handshake, param};
use crate::hub::Hub;
use crate::identity::{Denied, Identity};
use crate::longpoll::Polling;
use crate::notes::{HubNote, Note};
use crate::page::{reply, with};
use crate::running::Run;

/// What is done about a request.
pub(crate) enum Judged {
    /// It is somebody else's.
    NotOurs,
    /// This answers it.
    Answer(Reply),
    /// It may open a WebSocket, if [`Applicant::admit`] lets it.
    Applicant(Applicant),
    /// It is of a client that polls.
    Polling(Polling),
}

/// Somebody who wants to connect.
pub(crate) struct Applicant {
    hub: Hub,
    handshake: Handshake,
    dialect: Dialect,
}

impl Hub {
    /// Whether a request is for where the hub's WebSockets are.
    pub(crate) fn is_asked(&self, request: &HttpRequest) -> bool {
        request.path() == self.inner().opening.path
    }

    /// Judges a request by its head. Chooses the subprotocol, which some clients insist on if there is a token, and sets the
    /// limits of the connection.
    pub(crate) fn judge(&self, pending: &mut PendingRequest) -> Judged {
        let (inner, request) = (self.inner(), pending.request());
        if request.path() == inner.opening.polling {
            return self.judge_polling(pending);
        }
        if !self.is_asked(request) {
            let page = inner.opening.pages.get(request.path()).filter(|_| !pending.is_websocket());
            return page.map_or(Judged::NotOurs, |page| Judged::Answer(page.answer(request)));
        }
        match self.judge_websocket(pending) {
            Ok(applicant) => Judged::Applicant(applicant),
            Err(refusal) => Judged::Answer(self.refuse(refusal)),
        }
    }

    fn judge_websocket(&self, pending: &mut PendingRequest) -> Result<Applicant, Reply> {
        let (inner, request) = (self.inner(), pending.request());
        if inner.is_draining() {
            return Err(unavailable("the server stops"));
        }
        let Some(websocket) = pending.websocket_request() else {
            let refusal = reply(426).text("Upgrade Required: this is a WebSocket.\n");
            return Err(with(refusal, &[("Upgrade", "websocket")]));
        };
        if !inner.opening.origins.allows(request) {
            return Err(forbidden());
        }
        if !speaks(request) {
            return Err(no_version());
        }
        let handshake = Handshake::new(websocket).ok_or_else(|| denied(Denied::UNAUTHORIZED))?;
        let dialect = dialect(request);
        pending.choose_subprotocol(&["phoenix"]);
        pending.set_config(inner.configure(pending.config()));
        Ok(Applicant { hub: self.clone(), handshake, dialect })
    }

    /// Takes a note of a request for a connection that is refused.
    pub(crate) fn refuse(&self, refusal: Reply) -> Reply {
        self.inner().note(&HubNote::Refused { status: refusal.status(), why: refusal.content() });
        refusal
    }
}

impl Applicant {
    /// One that polls: all of those are spoken to as Phoenix does.
    pub(crate) fn polling(hub: &Hub, handshake: Handshake) -> Self {
        Self { hub: hub.clone(), handshake, dialect: Dialect::Stock }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The connection, once it is known whose it is. Fails with the answer to the request.
    pub(crate) async fn admit(self) -> Result<Admitted, Reply> {
        let hub = self.hub.clone();
        self.identify().await.map_err(|refusal| hub.refuse(refusal))
    }

    async fn identify(self) -> Result<Admitted, Reply> {
        let Self { hub, handshake, dialect } = self;
        let inner = hub.inner();
        let authenticating = Box::pin(async { inner.opening.authenticate.call(handshake.clone()).await });
        let identity = match caught_within(inner.limits.authenticate, authenticating).await {
            Some(Ok(identity)) => identity,
            Some(Err(why)) => return Err(denied(why)),
            None => return Err(denied(Denied::UNAVAILABLE)),
        };
        Admitted::new(&hub, identity, handshake, dialect).ok_or_else(|| {
            unavailable("the server stops, or this user has as many connections as there may be")
        })
    }
}

/// A connection that is known to the hub. Dropped, it has ended.
pub(crate) struct Admitted {
    connection: Arc<Connection>,
    _open: Run,
}

impl Admitted {
    /// `None`: the user has as many as there may be, or nobody is let in any more.
    pub(crate) fn new(hub: &Hub, identity: Identity, handshake: Handshake, dialect: Dialect) -> Option<Self> {
        let inner = hub.inner();
        let connection = Connection::new(inner.next_id(), hub.clone(), identity, handshake, dialect);
        let connection = Arc::new(connection);
        if !inner.registry.connect(&connection, inner.limits.connections_per_user) {
            return None;
        }
        let admitted = Self { connection, _open: inner.open.begin() };
        // After it was added: a drain that begins now knows of it.
        if inner.is_draining() {
            // It is refused, and nothing has become of it.
            inner.registry.disconnect(&admitted.connection);
            return None;
        }
        inner.counters.connected.add(1);
        Some(admitted)
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The connection has ended.
    pub(crate) fn end(&self, why: Leave) {
        self.finish(why, &Note::Ended(why));
    }

    /// The same on the server's behalf.
    pub(crate) fn cut(&self, cut: &Cut) {
        self.finish(cut.why, &Note::Closed(&cut.close));
    }

    fn finish(&self, why: Leave, note: &Note<'_>) {
        // It may have ended before.
        if self.connection.hub.inner().registry.disconnect(&self.connection) {
            self.connection.note(note);
        }
        self.connection.end(why);
    }
}

impl Drop for Admitted {
    /// If it was not ended before, its task was dropped, or its request not accepted.
    fn drop(&mut self) {
        self.end(Leave::Lost);
    }
}

/// Whether the client speaks a version of the protocol that the hub does.
pub(crate) fn speaks(request: &HttpRequest) -> bool {
    param(request, "vsn").is_some_and(|vsn| vsn.starts_with("2."))
}

/// Refuses a page of another's.
pub(crate) fn forbidden() -> Reply {
    reply(403).text("Forbidden: pages of this origin may not connect.\n")
}

/// Refuses who speaks another.
pub(crate) fn no_version() -> Reply {
    reply(400).text("Bad Request: the version of the protocol is vsn=2.0.0.\n")
}

fn dialect(request: &HttpRequest) -> Dialect {
    if param(request, "ext").is_some_and(|ext| ext == "1") { Dialect::Extended } else { Dialect::Stock }
}

/// Refuses as `authenticate` does.
pub(crate) fn denied(denied: Denied) -> Reply {
    match denied.status() {
        401 => reply(401).text("Unauthorized: this token does not open a WebSocket.\n"),
        403 => reply(403).text("Forbidden: this client may not connect.\n"),
        _ => unavailable("it cannot be told who this is"),
    }
}

/// Refuses for now.
pub(crate) fn unavailable(why: &str) -> Reply {
    with(reply(503).text(format!("Service Unavailable: {why}.\n")), &[("Retry-After", "5")])
}
