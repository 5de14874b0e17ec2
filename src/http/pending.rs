//! Upgrades inside hyper: a request that waits for its answer, and the WebSocket that comes of it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use core::borrow::Borrow;
use core::future::Future;
use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use std::io;

use bytes::Bytes;
use http::{Extensions, Request, Response, Version};
use hyper::upgrade::OnUpgrade;

use super::receive::{Head, is_http1};
use super::response;
use super::upgraded::Upgraded;
use crate::endpoint::span::Span;
use crate::endpoint::{BROKEN, Cause, Error, Handled, Negotiated, PendingRequest, Server};
use crate::handshake::{ReceivedRequest, Reply, RequestError};
use crate::tokio::WebSocket;
use crate::tokio::handover;
use crate::tokio::tracker::NotSpawned;

/// Answers a request inside hyper: with the response that opens a WebSocket, which `handler` gets in a task of its own once
/// hyper hands over the stream; with the [page](Server::page) of the server that an ordinary request asks for; or with a
/// refusal that says why not.
///
/// What the handler may return, and that its errors and panics are told to [`Server::on_error`], is as under
/// [`serve`](crate::tokio::serve). So are those of the request, and that the client was gone before there was a stream.
/// The connections of a server and its clones [count](Server::connections) together: when there are
/// [`Server::max_connections`], or [`Server::max_handshakes`] whose stream has not come, requests are answered with 503, or
/// what [`Server::when_full`] says. [`stop`] closes them. The client's address is that of a `SocketAddr` in the request's
/// extensions, if somebody put one there.
///
/// The response's body is made of [`Bytes`]: `axum::body::Body` and `http_body_util::Full` are, and others.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use sansocket::Server;
///
/// /// What hyper's `service_fn` is given.
/// fn respond<B>(mut request: Request<B>, server: &Server) -> Response<Bytes> {
///     sansocket::http::upgrade(&mut request, server, async |mut ws| {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok::<_, sansocket::Error>(())
///     })
/// }
/// # let response = respond(Request::get("/").header("Host", "a").body(()).unwrap(), &Server::default());
/// # assert_eq!(response.status(), 426);
/// ```
///
/// The response has to reach the client as it is. Over HTTP/1, hyper hands over the stream whatever it wrote: where a layer
/// puts another response in the place of this one, the connection counts as a handshake until it ends, and then the handler
/// is called, for a client that knows of no WebSocket.
///
/// Set `TCP_NODELAY` on what hyper is given to serve: messages are written whole, and waiting would only delay them.
///
/// Panics outside of a tokio runtime, whose timers must be enabled, and hyper has to serve the connection `with_upgrades`:
/// else the request is answered with 500, or the handler is never called, and [`Server::on_error`] is told.
pub fn upgrade<B, T, F, H>(request: &mut Request<B>, server: &Server, handler: F) -> Response<T>
where
    T: From<Bytes>,
    F: FnOnce(WebSocket<Upgraded>) -> H + Send + 'static,
    H: Future<Output: Handled> + Send + 'static,
{
    match pending(request, server) {
        Ok(pending) => pending.accept(handler),
        Err(refusal) => refusal,
    }
}

/// Judges a request inside hyper, as [`upgrade`] does, and leaves it to the caller to look at it, and to
/// [`accept`](Pending::accept) or [`reject`](Pending::reject) it. A request that does not ask for a WebSocket is the
/// caller's to answer: [`PendingRequest::is_websocket`] tells.
///
/// Fails with the response to a request that is malformed, or asks for a WebSocket in a way that RFC 6455 or RFC 8441 does
/// not allow.
///
/// ```
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use sansocket::Server;
/// fn respond<B>(mut request: Request<B>, server: &Server) -> Result<Response<Bytes>, Response<Bytes>> {
///     let mut pending = sansocket::http::pending(&mut request, server)?;
///     if pending.request().path() != "/chat" {
///         return Ok(pending.reject(404, "no such room"));
///     }
///     pending.choose_subprotocol(&["v2.chat", "v1.chat"]);
///     Ok(pending.accept(async |mut ws| ws.send("hello").await))
/// }
/// # let response = respond(Request::get("/").header("Host", "a").body(()).unwrap(), &Server::default());
/// # assert_eq!(response.unwrap().status(), 404);
/// ```
pub fn pending<B, T: From<Bytes>>(request: &mut Request<B>, server: &Server) -> Result<Pending, Response<T>> {
    let version = request.version();
    let received = Head::of(request).receive();
    Pending::new(received, version, request.extensions_mut(), server)
}

/// Closes the connections that came of upgrades for this server and its clones, with 1001, as
/// [`serve_with`](crate::tokio::serve_with) does when it stops. Ready when all have ended; what is left after
/// [`Server::shutdown_grace`] is cut off. From then on, requests are answered with 503.
///
/// hyper is to be stopped apart, since it no longer knows the connections that were upgraded; but not before. A connection of
/// HTTP/2 goes on as long as it has a WebSocket, and a graceful shutdown, of hyper's or axum's, waits for it without limit: so
/// await this first, or within the signal that axum is given.
///
/// Dropped before it is ready, all connections are told, and none is cut off: call it again.
pub async fn stop(server: &Server) {
    handover::stop(server).await;
}

/// A request inside hyper that is not yet answered.
#[derive(Debug)]
pub struct Pending(Box<Unanswered>);

#[derive(Debug)]
struct Unanswered {
    request: PendingRequest,
    on_upgrade: Option<OnUpgrade>,
    client: Client,
}

/// Whom to answer, and on whose behalf.
#[derive(Debug)]
struct Client {
    peer: Option<SocketAddr>,
    version: Version,
    server: Server,
}

impl Deref for Pending {
    type Target = PendingRequest;

    fn deref(&self) -> &PendingRequest {
        &self.0.request
    }
}

impl DerefMut for Pending {
    fn deref_mut(&mut self) -> &mut PendingRequest {
        &mut self.0.request
    }
}

impl Pending {
    /// The response that accepts the connection, which `handler` gets in a task of its own once hyper hands over the
    /// stream; see [`upgrade`]. Or the [page](PendingRequest::page) that it asks for instead, or the one that refuses it, if
    /// it cannot be accepted.
    pub fn accept<T, F, H>(self, handler: F) -> Response<T>
    where
        T: From<Bytes>,
        F: FnOnce(WebSocket<Upgraded>) -> H + Send + 'static,
        H: Future<Output: Handled> + Send + 'static,
    {
        let Unanswered { request, on_upgrade, mut client } = *self.0;
        if let Some(page) = request.page() {
            return client.answer(&page);
        }
        let span = Span::new(client.peer);
        span.record(request.request());
        client.server.config = request.config.clone();
        let accepted = match request.into_accepted() {
            Ok(accepted) => accepted,
            Err(error) => return client.refuse(error),
        };
        let Some(on_upgrade) = on_upgrade else {
            return client.fail("the request comes from no server of hyper's that hands over streams");
        };
        let response = match Response::try_from(&accepted) {
            Ok(response) => response.map(|()| T::from(Bytes::new())),
            Err(error) => return client.fail(error),
        };
        let negotiated = Negotiated::from(&accepted);
        let Client { server, peer, .. } = &client;
        match handover::spawn(server, *peer, span, negotiated, stream(on_upgrade, client.version), handler) {
            Ok(()) => response,
            Err(why) => client.turn_away(why),
        }
    }

    /// Fails with the response that [`accept`](Self::accept) would give for want of room, or since the server stops: for who has
    /// more to find out before it accepts than the request says, such as who the client is. It keeps no place, so that there may be
    /// none any more when it is accepted.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use http::{Request, Response};
    /// # use sansocket::Server;
    /// # async fn may_connect(_: Option<&str>) -> bool { true }
    /// async fn respond<B>(mut request: Request<B>, server: &Server) -> Result<Response<Bytes>, Response<Bytes>> {
    ///     let pending = sansocket::http::pending(&mut request, server)?.check_room()?;
    ///     if !may_connect(pending.request().headers().get("Authorization")).await {
    ///         return Ok(pending.reject(401, "who are you?"));
    ///     }
    ///     Ok(pending.accept(async |mut ws| ws.send("hello").await))
    /// }
    /// ```
    pub fn check_room<T: From<Bytes>>(self) -> Result<Self, Response<T>> {
        let client = &self.0.client;
        match handover::check_room(&client.server) {
            Ok(()) => Ok(self),
            Err(why) => Err(client.turn_away(why)),
        }
    }

    /// The response that rejects the connection, with an HTTP status and a text that says why. A status that is none from 200 to
    /// 599, or that [`respond`](Self::respond) does not send, is 500, and told to [`Server::on_error`].
    pub fn reject<T: From<Bytes>>(self, status: u16, text: &str) -> Response<T> {
        match Reply::new(status) {
            Ok(reply) => self.respond(reply.text(text.to_owned())),
            Err(error) => self.0.client.fail(error),
        }
    }

    /// The response that answers the request, and does not open a WebSocket. One for a WebSocket, or a CONNECT, is not answered
    /// with 2xx, which would accept it over HTTP/2 (RFC 8441 section 5): that is 500 here, and told to [`Server::on_error`].
    pub fn respond<T: From<Bytes>>(self, reply: impl Borrow<Reply>) -> Response<T> {
        match self.check_reply(reply.borrow()) {
            Ok(()) => self.0.client.answer(reply.borrow()),
            Err(error) => self.0.client.fail(error),
        }
    }

    pub(super) fn new<T: From<Bytes>>(
        received: Result<ReceivedRequest, RequestError>,
        version: Version,
        extensions: &mut Extensions,
        server: &Server,
    ) -> Result<Self, Response<T>> {
        let peer = extensions.get().copied();
        let client = Client { peer, version, server: server.clone() };
        match received {
            Ok(received) => {
                let mut request = PendingRequest::new(received, server);
                if let Some(peer) = peer {
                    request.set_peer(Some(peer.ip()));
                }
                // That of another request is the caller's, who may know another protocol.
                let on_upgrade = if request.is_websocket() { extensions.remove() } else { None };
                Ok(Self(Box::new(Unanswered { request, on_upgrade, client })))
            }
            Err(error) => Err(client.refuse(error.into())),
        }
    }

    /// Fails with the response to a request that does not ask for a WebSocket.
    #[cfg(feature = "axum")]
    pub(super) fn only_websocket<T: From<Bytes>>(self) -> Result<Self, Response<T>> {
        let Unanswered { request, client, .. } = &*self.0;
        match (request.check_websocket(), request.page()) {
            (Ok(_), _) => Ok(self),
            (Err(_), Some(page)) => Err(client.answer(&page)),
            (Err(error), None) => Err(client.refuse(error.into())),
        }
    }

    /// Has the request answered as this server does.
    #[cfg(feature = "axum")]
    pub(super) fn set_server(&mut self, server: &Server) {
        self.0.request.set_server(server);
        self.0.client.server = server.clone();
    }
}

impl Client {
    /// The refusal that goes with an error of the client's, or of what its answer was made of.
    fn refuse<T: From<Bytes>>(&self, error: Error) -> Response<T> {
        let reply = match &error {
            Error::Request(error) => Reply::from(error),
            _ => Reply::server_error(500, BROKEN),
        };
        self.tell(Cause::Handshake(error));
        self.answer(&reply)
    }

    /// There is no room, or soon no server.
    fn turn_away<T: From<Bytes>>(&self, why: NotSpawned) -> Response<T> {
        if matches!(why, NotSpawned::Stopping) {
            return self.answer(&Reply::server_error(503, "the server stops").for_now());
        }
        self.tell(Cause::Full);
        match &self.server.when_full {
            Some(reply) => self.answer(reply),
            None => self.answer(&Reply::server_error(503, NO_ROOM).for_now()),
        }
    }

    /// The server is at fault, and told why.
    fn fail<T: From<Bytes>>(&self, why: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Response<T> {
        self.tell(Cause::Upgrade(why.into()));
        self.answer(&Reply::server_error(500, BROKEN))
    }

    fn answer<T: From<Bytes>>(&self, reply: &Reply) -> Response<T> {
        response::answer(reply, is_http1(self.version)).unwrap_or_else(|error| {
            self.tell(Cause::Upgrade(error.into()));
            let mut response = Response::new(T::from(Bytes::new()));
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    fn tell(&self, cause: Cause) {
        self.server.listener.tell(self.peer, cause);
    }
}

/// The stream, once hyper hands it over.
async fn stream(on_upgrade: OnUpgrade, version: Version) -> Result<Upgraded, Cause> {
    on_upgrade.await.map(|io| Upgraded::new(io, version)).map_err(|error| {
        if !error.is_canceled() {
            return Cause::Upgrade(error.into());
        }
        let gone = "it ended before the response was written, or the response was never sent";
        Cause::Handshake(Error::ConnectionLost(io::Error::new(io::ErrorKind::ConnectionAborted, gone)))
    })
}

/// The client need not know more.
const NO_ROOM: &str = "the server has no room for one more connection";
