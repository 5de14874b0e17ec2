//! How a server accepts connections, whichever adapter it uses: limits and timeouts.

use alloc::string::String;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;
#[cfg(feature = "rustls")]
use std::path::Path;

use super::error::Error;
use super::failure::{Failure, Listener};
#[cfg(feature = "hyper")]
use super::kept::Kept;
use super::origins::Origins;
use super::pages::Pages;
#[cfg(feature = "rustls")]
use super::server_tls::ServerTls;
use super::tally::{Connections, Tally};
use super::trusted_proxies::TrustedProxies;
use crate::config::Config;
use crate::handshake::{ForwardedHost, Limits, Reply};

/// How a server treats the connections it accepts. The adapters' `accept` and `serve` take it.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{Config, Server};
///
/// let server = Server::default()
///     .config(Config::default().max_message_size(1 << 20))
///     .handshake_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) limits: Limits,
    pub(crate) config: Config,
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) shutdown_grace: Duration,
    /// Those that it speaks.
    pub(crate) subprotocols: Arc<[String]>,
    pub(crate) origins: Origins,
    pub(super) proxies: Option<TrustedProxies>,
    /// Clones share them.
    pub(super) pages: Arc<Pages>,
    /// The answer to those for whom there is no room, if they are not to wait.
    pub(crate) when_full: Option<Arc<Reply>>,
    pub(crate) listener: Listener,
    /// Clones count together.
    pub(crate) tally: Arc<Tally>,
    /// The connections of upgrades, which clones have together.
    #[cfg(feature = "hyper")]
    pub(crate) kept: Arc<Kept>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<Arc<ServerTls>>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            config: Config::default(),
            // For the whole request, however it dribbles in: a browser sends it in one piece.
            handshake_timeout: Duration::from_secs(10),
            // An idle connection takes one or two kilobytes; file descriptors usually run out before.
            max_connections: 10_000,
            // With heads of 16 KiB, as long as they may be by default, 16 MiB.
            max_handshakes: 1_000,
            // As long as a closing handshake may take by default.
            shutdown_grace: Duration::from_secs(10),
            subprotocols: Arc::default(),
            origins: Origins::default(),
            proxies: None,
            pages: Arc::default(),
            when_full: None,
            listener: Listener::default(),
            tally: Arc::default(),
            #[cfg(feature = "hyper")]
            kept: Arc::default(),
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }
}

impl Server {
    /// Sets the connections' limits and timeouts.
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets the limits of the opening handshake.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How long a client may take to send its request, and anew to send its body, to take the answer that accepts it, and to
    /// take each 64 KiB of any other one. 10 seconds by default.
    pub fn handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// The subprotocols that the server speaks: of those that a client offers, its first among these is chosen, unless
    /// [`PendingRequest::subprotocol`](super::PendingRequest::subprotocol) chooses. None by default.
    pub fn subprotocols<T: Into<String>>(self, subprotocols: impl IntoIterator<Item = T>) -> Self {
        Self { subprotocols: subprotocols.into_iter().map(Into::into).collect(), ..self }
    }

    /// Which pages may connect; [`Origins::same`] by default. Any other page's request is answered with 403 when it is to
    /// be accepted, and a sentence that says why.
    pub fn origins(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    /// Trusts the proxies in front, those of whose address `trusts` says so, to name the host that a client has asked for, in
    /// this header: a page's origin is compared with that, in place of `Host`, where it is there. None by default; for proxies
    /// that send the server's own address as the `Host`, and cannot be told to pass on what came.
    ///
    /// Whoever is trusted has to write the header itself, or to add to its end: of several hosts, in one line or in more, the
    /// last one counts. If its last line is malformed, a page's request is answered with 400. All other clients may send what
    /// they like, and it is not looked at.
    ///
    /// ```
    /// use sansocket::Server;
    /// use sansocket::handshake::ForwardedHost::XForwardedHost;
    ///
    /// let server = Server::default()
    ///     .trust_proxies(XForwardedHost, |peer| peer.is_some_and(|address| address.is_loopback()));
    /// ```
    ///
    /// The address is `None` if the transport has none, such as a Unix socket. An IPv4 address is never written as one of IPv6.
    /// `serve` knows it; [`http`](mod@crate::http) does if there is a `SocketAddr` in the request's extensions; to all else,
    /// `accept` for one, or in a handler of axum's, it is told by [`PendingRequest::set_peer`](super::PendingRequest::set_peer).
    pub fn trust_proxies(
        self,
        header: ForwardedHost,
        trusts: impl Fn(Option<IpAddr>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { proxies: Some(TrustedProxies::new(header, trusts)), ..self }
    }

    /// Has `serve`, and upgrades inside HTTP libraries ([`http`](mod@crate::http)), answer ordinary requests for this path,
    /// be it with a query or without, by themselves: `GET` and `HEAD` with `page`, and any other method with 405. None by default. The path is compared as it was sent, without decoding it; a
    /// `/` that it does not begin with is added. Of two pages for one path, the later one counts.
    ///
    /// ```
    /// use sansocket::Server;
    /// use sansocket::handshake::Reply;
    ///
    /// const PAGE: &str = "<!doctype html><script src=chat.js></script>"; // Or `include_str!`.
    /// const SCRIPT: &[u8] = b"new WebSocket('/chat')"; // Or `include_bytes!`.
    /// let server = Server::default()
    ///     .page("/", Reply::ok().html(PAGE))
    ///     .page("/chat.js", Reply::ok().file("chat.js", SCRIPT));
    /// ```
    ///
    /// Any other ordinary request goes to the handler, as WebSocket requests do, which may respond to it: with a page made
    /// for it, or to what was posted. If it accepts, the client is told 404, since there is no such page (`/favicon.ico` is
    /// none unless it is added), and accepting fails with [`NoPage`](crate::handshake::RequestError::NoPage). On a server
    /// without pages there are only WebSockets: `GET` and `HEAD` are told 426, and any other method 405.
    ///
    /// Programs that call `accept` themselves have [`PendingRequest::page`](super::PendingRequest::page).
    pub fn page(mut self, path: impl Into<String>, page: Reply) -> Self {
        Arc::make_mut(&mut self.pages).add(path.into(), page);
        self
    }

    /// Tells `on_error` of what fails where no call could return it: handshakes of `serve`, errors and panics of its
    /// handlers, errors of accepting, and upgrades that are refused or fail. It is called in the task or thread of the
    /// connection, or of `serve`, which waits for it. Should it panic, that is all.
    ///
    /// ```
    /// let server = sansocket::Server::default().on_error(|failure| {
    ///     if !failure.is_peer_gone() {
    ///         eprintln!("{failure}");
    ///     }
    /// });
    /// ```
    pub fn on_error(self, on_error: impl Fn(&Failure) + Send + Sync + 'static) -> Self {
        Self { listener: Listener::new(on_error), ..self }
    }

    /// Whether somebody is to know the address of a client.
    #[cfg(feature = "tokio")]
    pub(crate) fn wants_peers(&self) -> bool {
        self.listener.listens() || self.proxies.is_some()
    }

    /// How many connections `serve` has, and had, for this server and its clones, and [`http`](mod@crate::http) for them.
    pub fn connections(&self) -> Connections {
        self.tally.read()
    }

    /// Has `serve`, and upgrades, answer clients with this status, such as 503, when there are
    /// [`max_connections`](Self::max_connections), in place of letting them wait, and ask them to come again
    /// after 5 seconds (`Retry-After`). With `serve`, each counts as a connection, and as a handshake, until it is answered: when there are
    /// [`max_handshakes`](Self::max_handshakes), they wait all the same.
    ///
    /// Fails with [`Error::Build`] if the status is none of a response, or a success, which accepts a WebSocket over HTTP/2.
    pub fn when_full(self, status: u16) -> Result<Self, Error> {
        let reply = Reply::new(status)?.text("The server has no room for one more connection.\n");
        reply.check_refuses()?;
        Ok(Self { when_full: Some(Arc::new(reply.for_now())), ..self })
    }

    /// How many connections `serve` has at once, handshakes included. 10,000 by default.
    ///
    /// Each has its place until it has ended. On tokio that may be later than its WebSocket is dropped: by as long as the
    /// transport takes what was sent, and by a moment for a peer that has not yet answered a Close frame.
    ///
    /// At the limit no more are accepted, until one ends: clients wait in the listener's backlog, where
    /// they cost the server nothing. [`when_full`](Self::when_full) has them answered. Upgrades inside an HTTP server
    /// cannot wait: they are counted apart, and one too many is answered with 503.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// How many of the connections of `serve` may be in their opening handshake, which lasts until the
    /// handler has accepted or answered the request. 1,000 by default.
    ///
    /// Clients that dribble their requests can take these places, each for
    /// [`handshake_timeout`](Self::handshake_timeout), but not those of connections that are open.
    pub fn max_handshakes(self, max_handshakes: usize) -> Self {
        Self { max_handshakes, ..self }
    }

    /// How long `serve`, or [`http::stop`](mod@crate::http), waits for its connections to close. 10 seconds by default.
    pub fn shutdown_grace(self, shutdown_grace: Duration) -> Self {
        Self { shutdown_grace, ..self }
    }
}

#[cfg(feature = "rustls")]
impl Server {
    /// Has `serve` speak TLS with this configuration. Of the protocols that it lists for ALPN, such as `h2` for other uses,
    /// none is offered but `http/1.1`, the one that is spoken; with an empty list, none at all.
    ///
    /// Both handshakes of a connection have [`handshake_timeout`](Self::handshake_timeout) together, and count as one of
    /// [`max_handshakes`](Self::max_handshakes). A client that speaks HTTP without TLS is answered in the same way, with
    /// 400 and a sentence that says so.
    ///
    /// A client that comes back resumes its session, which spares both ends the signature and its check, if the
    /// configuration lets it: by default rustls keeps the last 256 sessions, and gives each connection two. A server with more
    /// clients sets `config.ticketer`, to [`rustls::crypto::ring::Ticketer::new`] for one, by which the clients keep them.
    /// [`tls_pem`](Self::tls_pem) has done so.
    pub fn tls(self, config: Arc<rustls::ServerConfig>) -> Self {
        Self { tls: Some(Arc::new(ServerTls::new(config))), ..self }
    }

    /// Has `serve` speak [TLS](Self::tls) with a certificate chain and a private key, from two files in PEM, as `certbot`
    /// and others write them: the server's certificate first. One file may be both.
    ///
    /// Clients that come back resume their sessions, however many they are, by tickets that are good for some hours, until
    /// the process ends or the files are read [anew](Self::reload_tls).
    ///
    /// Fails with [`Error::Certificate`], which names file and line.
    pub fn tls_pem(self, certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let tls = ServerTls::from_files(certificates.as_ref(), key.as_ref())?;
        Ok(Self { tls: Some(Arc::new(tls)), ..self })
    }

    /// Exchanges what [`tls`](Self::tls) or [`tls_pem`](Self::tls_pem) was given, for the connections that are accepted
    /// from now on: of this server and its clones, and of each `serve` that was given one. On a server without TLS it does
    /// nothing. Tells whether there is TLS.
    pub fn set_tls(&self, config: Arc<rustls::ServerConfig>) -> bool {
        self.tls.as_ref().map(|tls| tls.set(config)).is_some()
    }

    /// Reads the files of [`tls_pem`](Self::tls_pem) anew, and [exchanges](Self::set_tls) what was read before. On a
    /// server that was not given files it does nothing.
    ///
    /// Fails with [`Error::Certificate`], and goes on with what there was.
    pub fn reload_tls(&self) -> Result<(), Error> {
        Ok(self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())?)
    }

    /// What the next connection speaks TLS with, if it does.
    #[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
    pub(crate) fn tls_config(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.tls.as_ref().map(|tls| tls.config())
    }

    /// Whether connections are to speak TLS.
    #[cfg(all(feature = "tokio", not(feature = "tokio-rustls")))]
    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}
