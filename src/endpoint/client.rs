//! How a client opens connections: the URI, the request, limits and timeouts. Both adapters take it.

use alloc::string::String;
use core::time::Duration;

use super::error::Error;
use super::redirect::{self, RedirectCause, RedirectError};
use crate::config::Config;
use crate::handshake::uri::Uri;
use crate::handshake::{ClientRequest, Limits, ResponseError};

/// What a client connects to, and how. The adapters' `connect` takes it, or just a URI.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{Client, Config};
///
/// let client = Client::new("ws://example.com/chat")?
///     .bearer("1234")?
///     .subprotocols(["v2.chat", "v1.chat"])?
///     .config(Config::default().max_message_size(1 << 20))
///     .connect_timeout(Duration::from_secs(5));
/// # Ok::<(), sansocket::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) request: ClientRequest,
    pub(crate) limits: Limits,
    pub(crate) config: Config,
    pub(crate) connect_timeout: Duration,
    /// How many may be followed.
    redirects: usize,
    /// How many were, by the time that this is connected to.
    redirected: usize,
    #[cfg(feature = "rustls")]
    pub(crate) tls: Option<alloc::sync::Arc<rustls::ClientConfig>>,
}

impl Client {
    /// A client of the server and resource that `uri` names, with default limits and timeouts.
    pub fn new(uri: &str) -> Result<Self, Error> {
        Ok(Self::with_request(ClientRequest::new(&Uri::parse(uri)?)))
    }

    /// A client that sends this request.
    pub fn with_request(request: ClientRequest) -> Self {
        Self {
            request,
            limits: Limits::default(),
            config: Config::default(),
            // Several addresses may each have to time out.
            connect_timeout: Duration::from_secs(30),
            redirects: 0,
            redirected: 0,
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }

    /// Adds a header to the request; a `User-Agent` replaces the crate's own, and an `Authorization` the one that there is.
    /// See [`ClientRequest::header`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        self.request = self.request.header(name, value)?;
        Ok(self)
    }

    /// Sets `Authorization` to this bearer token (RFC 6750), in place of what was there: a client that connects again takes a
    /// new one. Fails with [`Error::Build`] if it is empty, or has a character other than visible ASCII, such as the end of
    /// the line that it was read from.
    pub fn bearer(mut self, token: &str) -> Result<Self, Error> {
        self.request = self.request.bearer(token)?;
        Ok(self)
    }

    /// Sets `Authorization` to a user's name and password, in UTF-8 (RFC 7617), in place of what was there. Fails with
    /// [`Error::Build`] if the name has a colon, or one of them a control character.
    pub fn basic(mut self, user: &str, password: &str) -> Result<Self, Error> {
        self.request = self.request.basic(user, password)?;
        Ok(self)
    }

    /// Sets `Origin`, which browsers send, and some servers ask of every client; see [`ClientRequest::origin`].
    pub fn origin(mut self, origin: &str) -> Result<Self, Error> {
        self.request = self.request.origin(origin)?;
        Ok(self)
    }

    /// Sets `User-Agent`, in place of the crate's name and version.
    pub fn user_agent(mut self, user_agent: &str) -> Result<Self, Error> {
        self.request = self.request.user_agent(user_agent)?;
        Ok(self)
    }

    /// Sends no `User-Agent`; see [`ClientRequest::without_user_agent`].
    pub fn without_user_agent(self) -> Self {
        Self { request: self.request.without_user_agent(), ..self }
    }

    /// Offers subprotocols, most preferred first; see [`ClientRequest::subprotocols`].
    pub fn subprotocols<T: Into<String>>(
        mut self,
        subprotocols: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        self.request = self.request.subprotocols(subprotocols)?;
        Ok(self)
    }

    /// Sets the connection's limits and timeouts.
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets the limits of the opening handshake.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How long the opening handshake may take, from resolving the host's name to the server's answer.
    /// 30 seconds by default.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets how TLS is spoken to a `wss://` server. By default with the `ring` crypto provider, and
    /// Mozilla's certificate authorities.
    ///
    /// Of the protocols that it lists for ALPN, such as `h2` for other uses of the configuration, none is offered but
    /// `http/1.1`, the one that is spoken; with an empty list, none at all. By default `http/1.1` is. A server that
    /// chooses another protocol fails the connection with [`Error::Connect`].
    #[cfg(feature = "rustls")]
    pub fn tls(self, config: alloc::sync::Arc<rustls::ClientConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// How many redirects the adapters' `connect` follows, one after the other, to come to a server that accepts. 0 by
    /// default: a redirect is a refusal, whose response says where to.
    ///
    /// Those are followed that have a status of 301, 302, 303, 307 or 308 and a `Location`: a URI, or a
    /// [reference](Uri::resolve) from where the client is, with `http` and `https` for `ws` and `wss`. The request is the
    /// same there, but for its key. Where scheme, host or port is another one, it has no `Authorization`, no `Cookie` and no
    /// `Proxy-Authorization`; **all other headers stay**, so a token that is in one of another name is shown to whomever the
    /// server names.
    ///
    /// Never is one followed from `wss` to `ws`. One that cannot be followed, or is one too many, fails `connect` with
    /// [`Error::Redirect`], which has the response. All together have [`connect_timeout`](Self::connect_timeout). Where they
    /// led, the WebSocket's `redirected_to` tells. `connect_over` and `connect_as_is` follow none: their stream leads to one
    /// server.
    pub fn redirects(self, redirects: usize) -> Self {
        Self { redirects, ..self }
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        self.request.uri()
    }

    /// Whom to connect to next, after this error; the error to tell, if nobody.
    pub(crate) fn redirected(self, error: Error) -> Result<Self, Error> {
        let response = match error {
            Error::Response(ResponseError::Refused(response)) if self.redirects > 0 => response,
            error => return Err(error),
        };
        let cause = match redirect::target(self.uri(), &response) {
            None => return Err(ResponseError::Refused(response).into()),
            Some(Ok(_)) if self.redirected == self.redirects => RedirectCause::TooMany,
            Some(Ok(uri)) => {
                let (request, redirected) = (self.request.redirected(uri), self.redirected + 1);
                return Ok(Self { request, redirected, ..self });
            }
            Some(Err(cause)) => cause,
        };
        Err(RedirectError::new(self.uri().clone(), *response, cause).into())
    }

    /// Where redirects have led, if there were any.
    pub(super) fn redirected_to(&self) -> Option<&Uri> {
        (self.redirected > 0).then(|| self.uri())
    }
}

macro_rules! try_from {
    ($($uri:ty),+) => {$(
        impl TryFrom<$uri> for Client {
            type Error = Error;

            fn try_from(uri: $uri) -> Result<Self, Error> {
                Self::new(uri.as_ref())
            }
        }
    )+};
}

try_from!(&str, &String, String);
