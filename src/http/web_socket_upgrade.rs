//! The extractor for axum.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use axum_core::extract::FromRequestParts;
use axum_core::response::Response;
use http::request::Parts;

use super::pending::Pending;
use super::receive::Head;
use super::upgraded::Upgraded;
use crate::endpoint::{Handled, PendingRequest, Server};
use crate::tokio::WebSocket;

/// An extractor for axum's handlers: a request for a WebSocket, to be looked at and accepted. Any other request is
/// answered with the [page](Server::page) that the server has for its path, or with what is wrong with it.
///
/// ```
/// use axum_core::response::Response;
/// use sansocket::http::WebSocketUpgrade;
///
/// /// For `Router::new().route("/chat", any(chat))`: `any`, since a WebSocket over HTTP/2 is asked for by CONNECT.
/// async fn chat(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.protocols(["v2.chat", "v1.chat"]).on_upgrade(async |mut ws| {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok::<_, sansocket::Error>(())
///     })
/// }
/// ```
///
/// The settings are those of the [`Server`] in the request's extensions, where the layer `axum::Extension(server)` puts
/// it, or of [`server`](Self::server), or else the defaults. Only with a server of one's own is there somebody to be told
/// of errors ([`Server::on_error`]), a count, and a [`stop`](super::stop).
///
/// A handler may answer otherwise, and the WebSocket is not opened; but not with 2xx, which accepts a CONNECT.
#[derive(Debug)]
pub struct WebSocketUpgrade(Pending);

impl WebSocketUpgrade {
    /// Uses the settings of this server, and has the connection count as one of its connections.
    pub fn server(mut self, server: &Server) -> Self {
        self.0.set_server(server);
        self
    }

    /// Chooses the first of the client's subprotocols that is among these, if any is.
    pub fn protocols<T: Into<String>>(mut self, supported: impl IntoIterator<Item = T>) -> Self {
        let supported: Vec<String> = supported.into_iter().map(Into::into).collect();
        let supported: Vec<&str> = supported.iter().map(String::as_str).collect();
        self.0.choose_subprotocol(&supported);
        self
    }

    /// Fails with the response that [`on_upgrade`](Self::on_upgrade) would give for want of room, or since the server stops: for who
    /// has more to find out before. It keeps no place, so that there may be none any more then.
    #[expect(clippy::result_large_err, reason = "it is what a handler returns")]
    pub fn check_room(self) -> Result<Self, Response> {
        self.0.check_room().map(Self)
    }

    /// The response that accepts the connection, which `handler` gets in a task of its own once the response is sent; see
    /// [`upgrade`](super::upgrade). Or the one that refuses it: the page may not connect, there is no room, or the server
    /// stops.
    pub fn on_upgrade<F, H>(self, handler: F) -> Response
    where
        F: FnOnce(WebSocket<Upgraded>) -> H + Send + 'static,
        H: Future<Output: Handled> + Send + 'static,
    {
        self.0.accept(handler)
    }
}

impl Deref for WebSocketUpgrade {
    type Target = PendingRequest;

    fn deref(&self) -> &PendingRequest {
        &self.0
    }
}

impl DerefMut for WebSocketUpgrade {
    fn deref_mut(&mut self) -> &mut PendingRequest {
        &mut self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let received = Head::of_parts(parts).receive();
        let server = parts.extensions.get::<Server>().unwrap_or(&DEFAULT).clone();
        let pending = Pending::new(received, parts.version, &mut parts.extensions, &server)?;
        pending.only_websocket().map(Self)
    }
}

/// Of all that have no other.
static DEFAULT: LazyLock<Server> = LazyLock::new(Server::default);
