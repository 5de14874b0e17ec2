//! A client's request that waits for an answer.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::mem::take;
use core::net::IpAddr;
use core::time::Duration;

use super::answer::{Answer, refusal};
use super::error::Error;
#[cfg(any(feature = "blocking", feature = "tokio"))]
use super::failure::Cause;
use super::negotiated::Negotiated;
use super::origins::Origins;
use super::pages::Pages;
use super::server::Server;
use super::trusted_proxies::TrustedProxies;
use crate::config::Config;
use crate::handshake::{
    Accept, Accepted, BuildError, HttpRequest, ReceivedRequest, Reply, Request, RequestBody, RequestError,
};

/// A client's request that was received and is not yet answered: to be looked at, and the response that accepts it
/// to be prepared. An adapter's `Pending` is one, with its stream.
#[derive(Debug)]
pub struct PendingRequest {
    received: ReceivedRequest,
    accept: Accept,
    /// A subprotocol was chosen, or none.
    chosen: bool,
    subprotocols: Arc<[String]>,
    origins: Origins,
    proxies: Option<TrustedProxies>,
    peer: Peer,
    pages: Arc<Pages>,
    /// It has a body that was not asked for.
    has_body: bool,
    pub(crate) config: Config,
    /// How long the response may take, and the body.
    pub(crate) timeout: Duration,
}

/// A connection that an adapter's `Pending` has handed over, to be used by something else than this crate.
#[non_exhaustive]
pub struct PendingParts<S> {
    /// The stream.
    pub io: S,
    /// What was read from it: the request's head as it came, and what came behind it.
    pub read: Vec<u8>,
}

impl<S: fmt::Debug> fmt::Debug for PendingParts<S> {
    /// Keeps what was read, with its credentials, out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingParts").field("io", &self.io).field("read", &self.read.len()).finish()
    }
}

impl PendingRequest {
    /// A request that came some other way than through an adapter: see [`http::receive`](mod@crate::http).
    pub fn new(received: ReceivedRequest, server: &Server) -> Self {
        Self {
            has_body: matches!(received, ReceivedRequest::Http(_)),
            received,
            accept: Accept::new(),
            chosen: false,
            subprotocols: server.subprotocols.clone(),
            origins: server.origins.clone(),
            proxies: server.proxies.clone(),
            peer: Peer::Untold,
            pages: server.pages.clone(),
            config: server.config.clone(),
            timeout: server.handshake_timeout,
        }
    }

    /// Has the request answered as another server does; what was prepared stays.
    #[cfg(feature = "axum")]
    pub(crate) fn set_server(&mut self, server: &Server) {
        self.pages = server.pages.clone();
        self.subprotocols = server.subprotocols.clone();
        self.origins = server.origins.clone();
        self.proxies.clone_from(&server.proxies);
        self.set_trusted_header();
        self.config = server.config.clone();
        self.timeout = server.handshake_timeout;
    }

    /// Whether the request asks for a WebSocket. If not, it is the caller's to answer, with `respond`.
    pub fn is_websocket(&self) -> bool {
        self.websocket_request().is_some()
    }

    /// The request's head: target, host, origin, headers.
    pub fn request(&self) -> &HttpRequest {
        self.received.head()
    }

    /// The request, if it asks for a WebSocket: it tells the offered subprotocols too.
    pub fn websocket_request(&self) -> Option<&Request> {
        match &self.received {
            ReceivedRequest::WebSocket(request) => Some(request),
            ReceivedRequest::Http(_) => None,
        }
    }

    /// Whether the request comes from a page of the server itself, or from no page; see
    /// [`HttpRequest::is_same_origin`]. Accepting it fails unless [`Server::origins`] allows its origin.
    pub fn is_same_origin(&self) -> bool {
        self.request().is_same_origin()
    }

    /// Tells the address of the peer that sent the request, `None` if its transport has none. If it is a proxy that the server
    /// [trusts](Server::trust_proxies), the host that the client asked for is what it says.
    ///
    /// `serve` has told it already, and [`http`](mod@crate::http) if it knows it. Without, nobody is trusted.
    pub fn set_peer(&mut self, peer: Option<IpAddr>) {
        self.peer = Peer::Told(peer);
        self.set_trusted_header();
    }

    /// What answers the request by itself, if it asks for no WebSocket and its path is that of a [page](Server::page): the
    /// page for `GET` and `HEAD`, and for any other method a refusal, 405.
    ///
    /// `serve` answers with it, so that its handlers are not asked, and so do [`http::upgrade`](mod@crate::http) and its
    /// like. Who calls an adapter's `accept` himself looks here first; accepted all the same, the client gets its page, and
    /// the caller an error.
    ///
    #[cfg_attr(feature = "blocking", doc = "```")]
    #[cfg_attr(not(feature = "blocking"), doc = "```ignore")]
    /// # use sansocket::{Error, Server, blocking};
    /// fn open(tcp: std::net::TcpStream, server: &Server) -> Result<Option<blocking::WebSocket<std::net::TcpStream>>, Error> {
    ///     let pending = blocking::accept_with(tcp, server)?;
    ///     if let Some(page) = pending.page() {
    ///         pending.respond(page)?;
    ///         return Ok(None);
    ///     }
    ///     pending.accept().map(Some)
    /// }
    /// ```
    pub fn page(&self) -> Option<Reply> {
        if self.is_websocket() { None } else { self.pages.answer(self.request()) }
    }

    /// What `serve` answers by itself, before a handler is asked: that there is no room, or a page; and what is to be told
    /// of it.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn answer_of(&self, server: &Server, full: bool) -> Option<(Reply, Option<Cause>)> {
        match server.when_full.as_deref().filter(|_| full) {
            Some(reply) => Some((reply.clone(), Some(Cause::Full))),
            // A client that does not wait for its page is nothing to tell of.
            None => self.page().map(|page| (page, None)),
        }
    }

    /// Chooses the first of the client's subprotocols that is among `supported`, if any is.
    pub fn choose_subprotocol(&mut self, supported: &[&str]) {
        self.chosen = true;
        let chosen = self.websocket_request().and_then(|request| request.choose_subprotocol(supported));
        if let Some(chosen) = chosen.map(String::from) {
            self.subprotocol(&chosen);
        }
    }

    /// Chooses a subprotocol. If it is not one that the client offered, `accept` will fail.
    pub fn subprotocol(&mut self, subprotocol: &str) {
        self.chosen = true;
        self.accept = take(&mut self.accept).subprotocol(subprotocol);
    }

    /// Adds a header to the response that accepts the connection.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        Ok(self.accept.add_header(name, value)?)
    }

    /// The configuration of the connection that comes of it: the [server's](Server::config), unless another was set.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets the configuration of the connection that comes of it, in place of the server's: after a look at the request, or for
    /// one of several uses of a server.
    ///
    /// ```
    /// # use sansocket::PendingRequest;
    /// fn limit_chats(pending: &mut PendingRequest) {
    ///     if pending.request().path() == "/chat" {
    ///         pending.set_config(pending.config().clone().max_message_size(64 << 10));
    ///     }
    /// }
    /// ```
    ///
    /// Connections share what is cloned: many of them need less memory when it is made once. The WebSocket of who makes it by
    /// `from_upgraded` has what is given to that.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
    }

    /// The response that accepts the connection, with the extensions that its configuration asks for. What it
    /// agrees on is the connection's: `Negotiated::from(&accepted)`.
    ///
    /// Fails if the request does not ask for a WebSocket, if it comes from a page that may not connect, and if a
    /// subprotocol was chosen that was not offered.
    pub fn into_accepted(mut self) -> Result<Accepted, Error> {
        self.agree()
    }

    /// Appends the response that accepts the connection. If it fails, [`answer_to`](Self::answer_to) is what to say.
    pub(crate) fn accept(&mut self, out: &mut Vec<u8>) -> Result<Negotiated, Error> {
        let accepted = self.agree()?;
        accepted.encode(out);
        Ok(Negotiated::from(&accepted))
    }

    /// The response to the request that opens no WebSocket. Where what the program made of it would open one, or cannot be
    /// sent, the error, and the response that tells the client of the server's fault.
    pub(crate) fn answer(
        &self,
        reply: Result<impl Borrow<Reply>, BuildError>,
    ) -> (Answer, Result<(), Error>) {
        let judged = reply.and_then(|reply| self.check_reply(reply.borrow()).map(|()| reply));
        match judged {
            Ok(reply) => (Answer::new(self.request(), reply.borrow()), Ok(())),
            Err(error) => (Answer::new(self.request(), &Reply::server_error(500, BROKEN)), Err(error.into())),
        }
    }

    /// Fails if this response would accept what it is to answer otherwise: a WebSocket, or a tunnel.
    pub(crate) fn check_reply(&self, reply: &Reply) -> Result<(), BuildError> {
        self.request().check_reply(reply)
    }

    /// How a request is answered that could not be accepted, or whose body could not be read.
    pub(crate) fn answer_to(&self, error: &Error) -> Answer {
        let reply = match error {
            Error::Request(RequestError::MissingUpgrade | RequestError::MethodNotGet) => self.page(),
            // The request was in time.
            Error::TimedOut(_) => Some(Reply::body_timeout()),
            _ => None,
        };
        let reply = reply.or_else(|| refusal(error));
        reply.map(|reply| Answer::new(self.request(), &reply)).unwrap_or_default()
    }

    /// Begins to read the body, in which there may be `limit` bytes; `None`: there is none, or it was read. What is in `out`
    /// then is to be written before.
    pub(crate) fn body(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<Option<RequestBody>, Error> {
        if take(&mut self.has_body) {
            Ok(Some(RequestBody::start(self.request(), limit, out)?))
        } else {
            Ok(None)
        }
    }

    /// Hands over the stream, and all that was read from it.
    pub(crate) fn into_parts<S>(self, io: S, read_ahead: &[u8]) -> PendingParts<S> {
        PendingParts { io, read: [self.request().headers().as_received(), read_ahead].concat() }
    }

    /// Where the host is named by the peer that was told, if the server trusts that.
    fn set_trusted_header(&mut self) {
        let header = match (&self.proxies, self.peer) {
            (Some(proxies), Peer::Told(peer)) => proxies.believed(peer),
            _ => None,
        };
        self.received.set_trusted_header(header);
    }

    fn agree(&mut self) -> Result<Accepted, Error> {
        if !self.chosen && !self.subprotocols.is_empty() {
            let spoken = self.subprotocols.clone();
            self.choose_subprotocol(&spoken.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let mut accept = take(&mut self.accept);
        let request = self.check_websocket()?;
        self.origins.judge(request)?;
        if let Some(deflate) = &self.config.settings.deflate
            && let Some((_, extension)) = deflate.agree_as_server(&request.extensions())
        {
            accept = accept.extension(extension);
        }
        Ok(request.accept(accept)?)
    }

    /// Fails if the request does not ask for a WebSocket.
    pub(crate) fn check_websocket(&self) -> Result<&Request, RequestError> {
        self.websocket_request().ok_or_else(|| self.no_websocket())
    }

    /// What is wrong with a request that does not ask for a WebSocket.
    fn no_websocket(&self) -> RequestError {
        if !self.pages.is_empty() && self.page().is_none() {
            return RequestError::NoPage;
        }
        match self.request().method() {
            _ if self.request().major_version() > 1 => RequestError::MissingConnect,
            "GET" | "HEAD" => RequestError::MissingUpgrade,
            // It could not be upgraded either.
            _ => RequestError::MethodNotGet,
        }
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
enum Peer {
    /// Nobody has said: it is not trusted.
    Untold,
    /// Its address, if its transport has one.
    Told(Option<IpAddr>),
}

/// The client need not know more.
pub(crate) const BROKEN: &str = "the server cannot open it";
