//! How a client opens connections: the URI, the request, limits and timeouts. Both adapters take it.

use alloc::string::String;
#[cfg(feature = "rustls")]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
#[cfg(feature = "rustls")]
use std::path::Path;

#[cfg(feature = "rustls")]
use super::certificate;
#[cfg(feature = "rustls")]
use super::client_tls::{self, ClientTls};
use super::error::Error;
use super::proxy::{Proxies, Proxy};
use super::redirect::{self, RedirectCause, RedirectError};
#[cfg(all(feature = "rustls", any(feature = "blocking", feature = "tokio-rustls")))]
use super::{http_version::HttpVersion, tls};
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
    /// Where the host and the port of a URI are.
    addresses: Option<(Uri, Vec<SocketAddr>)>,
    proxies: Proxies,
    /// What it was told, if anything; clones share it.
    #[cfg(feature = "rustls")]
    tls: Option<Arc<ClientTls>>,
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
            addresses: None,
            proxies: Proxies::None,
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

    /// Connects to one of these addresses, and does not look the host's name up. TLS and the request go on by the URI, and
    /// another host or port, such as a redirect's or a proxy's, is looked up all the same. They are tried as [`Attempts`] says;
    /// of proxies, only one by `socks5://` is told the first of them.
    ///
    /// ```
    /// # use sansocket::Client;
    /// let client = Client::new("wss://example.com/")?.addresses(["127.0.0.1:8443".parse().unwrap()]);
    /// # Ok::<(), sansocket::Error>(())
    /// ```
    ///
    /// [`Attempts`]: crate::Attempts
    pub fn addresses(self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let addresses = Some((self.uri().clone(), addresses.into_iter().collect()));
        Self { addresses, ..self }
    }

    /// Connects through a proxy: one that a URI names, such as `http://user:password@proxy.example:3128`, `https://..`,
    /// `socks5://..` or `socks5h://..`; see [`Proxy`]. Fails with [`ProxyError::Uri`](crate::ProxyError::Uri) if it does
    /// not.
    ///
    /// To a proxy by `https://` the client speaks TLS as to a server: it trusts whom it was told to trust, and shows the same
    /// certificate, if it has one and is asked for it.
    ///
    /// ```
    /// # use sansocket::Client;
    /// let client = Client::new("wss://example.com/")?.proxy("http://joe:secret@proxy.example:3128")?;
    /// # Ok::<(), sansocket::Error>(())
    /// ```
    pub fn proxy<P>(self, proxy: P) -> Result<Self, Error>
    where
        P: TryInto<Proxy>,
        Error: From<P::Error>,
    {
        Ok(Self { proxies: Proxies::one(proxy.try_into()?), ..self })
    }

    /// Connects through the proxy that the environment names, if it names one, as it does for curl. Which one is decided
    /// for each URI that is connected to, be it a redirect's; the variables are read now.
    ///
    /// - `https_proxy`, or else `HTTPS_PROXY`, is the proxy for `wss://`.
    /// - `http_proxy` is the proxy for `ws://`. `HTTP_PROXY` is not read: a CGI program has it from whoever sends a request
    ///   with a header `Proxy`.
    /// - `all_proxy`, or else `ALL_PROXY`, is the proxy where there is none of those.
    /// - `no_proxy`, or else `NO_PROXY`, lists hosts that are connected to without a proxy, with commas or spaces between
    ///   them: a name stands for itself and all below it, with a dot before it or not; an address for itself, or with a
    ///   slash and a number behind it (`10.0.0.0/8`) for all that begin with so many bits. `*` alone stands for all hosts.
    ///   Addresses have their usual form: not an old one of IPv4, such as `127.1`, which is a name here, in the URI too.
    ///   Ports have no place in it: an entry with one, and any that is malformed, matches nothing.
    ///
    /// A proxy is named as for [`proxy`](Self::proxy); one that cannot be used is told when it would be.
    pub fn proxy_from_env(self) -> Self {
        Self { proxies: Proxies::from_env(), ..self }
    }

    /// The same by variables that are looked up otherwise, such as in a file of settings.
    ///
    /// ```
    /// # use sansocket::Client;
    /// let settings = |name: &str| match name {
    ///     "https_proxy" => Some("http://proxy.example:3128".into()),
    ///     "no_proxy" => Some("internal.example, 10.0.0.0/8".into()),
    ///     _ => None,
    /// };
    /// let client = Client::new("wss://example.com/")?.proxy_from_vars(settings);
    /// assert_eq!(client.chosen_proxy()?.map(|proxy| proxy.port()), Some(3128));
    /// let client = Client::new("wss://db.internal.example/")?.proxy_from_vars(settings);
    /// assert_eq!(client.chosen_proxy()?, None);
    /// # Ok::<(), sansocket::Error>(())
    /// ```
    pub fn proxy_from_vars(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self { proxies: Proxies::by_variables(variable), ..self }
    }

    /// How many redirects the adapters' `connect` follows, one after the other, to come to a server that accepts. 0 by
    /// default: a redirect is a refusal, whose response says where to.
    ///
    /// Those are followed that have a status of 301, 302, 303, 307 or 308 and a `Location`: a URI, or a
    /// [reference](Uri::resolve) from where the client is, with `http` and `https` for `ws` and `wss`. The request is the
    /// same there, but for its key. Where scheme, host or port is another one, it has no `Authorization` and no `Cookie`;
    /// **all other headers stay**, so a token that is in one of another name is shown to whomever the
    /// server names, and so is the certificate of [`identity_pem`](Self::identity_pem), if it is trusted and asks for it.
    ///
    /// Never is one followed from `wss` to `ws`. One that cannot be followed, or is one too many, fails `connect` with
    /// [`Error::Redirect`], which has the response. All together have [`connect_timeout`](Self::connect_timeout). Where they
    /// led, the WebSocket's `redirected_to` tells. `connect_over` and `connect_as_is` follow none: their stream leads to one
    /// server.
    pub fn redirects(self, redirects: usize) -> Self {
        Self { redirects, ..self }
    }

    /// The request, with the extensions that the configuration offers.
    pub(crate) fn offering(&self) -> ClientRequest {
        let request = self.request.clone();
        match &self.config.settings.deflate {
            Some(deflate) => deflate.offers().into_iter().fold(request, ClientRequest::extension),
            None => request,
        }
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

    /// What is asked for, if a redirect from there is to be followed.
    pub(super) fn follows_from(&self) -> Option<&Uri> {
        (self.redirected < self.redirects).then(|| self.uri())
    }

    /// Where redirects have led, if there were any.
    pub(super) fn redirected_to(&self) -> Option<&Uri> {
        (self.redirected > 0).then(|| self.uri())
    }

    /// The proxy that the connection goes through, if it goes through one. Fails with
    /// [`ProxyError::Uri`](crate::ProxyError::Uri) if that proxy cannot be used.
    pub fn chosen_proxy(&self) -> Result<Option<&Proxy>, Error> {
        Ok(self.proxies.chosen(self.uri())?)
    }

    /// The addresses that the host was said to have.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn known_addresses(&self, host: &str, port: u16) -> Option<&[SocketAddr]> {
        let (uri, addresses) = self.addresses.as_ref()?;
        (uri.host() == host && uri.port() == port).then_some(addresses)
    }
}

/// Whom a client trusts, and who it is, where it speaks TLS: by default it trusts Mozilla's authorities, and shows no
/// certificate.
///
/// These calls may come in any order, and each adds to what the others say, or replaces what it says itself. What is made of
/// them is made at the first connection, and clones share it, so that the next connection resumes the session of a former
/// one: keep a client, and clone it, in place of making it anew.
#[cfg(feature = "rustls")]
impl Client {
    /// Trusts the authorities whose certificates are in this file of PEM (as curl's `--cacert` does): **in place of**
    /// Mozilla's, and beside those of further calls of `trust_pem`, [`trust_native`](Self::trust_native) and
    /// [`trust_mozilla`](Self::trust_mozilla).
    ///
    /// ```no_run
    /// use sansocket::Client;
    ///
    /// let own = Client::new("wss://chat.internal/")?.trust_pem("ca.pem")?;
    /// let own_and_public = own.clone().trust_mozilla();
    /// # Ok::<(), sansocket::Error>(())
    /// ```
    ///
    /// Fails with [`Error::Certificate`], which names file and line. The file is read here, and not again.
    pub fn trust_pem(self, authorities: impl AsRef<Path>) -> Result<Self, Error> {
        let mut tls = self.tls_anew();
        certificate::read_authorities(authorities.as_ref(), tls.roots())?;
        Ok(self.with_tls(tls))
    }

    /// Trusts the system's authorities, to which administrators add their own: **in place of** Mozilla's, and beside those
    /// of [`trust_pem`](Self::trust_pem).
    ///
    /// Where the environment has `SSL_CERT_FILE` or `SSL_CERT_DIR`, they are those in that file and those folders (several
    /// with `:` between them, as in `PATH`), and no others. No other call looks at these variables.
    ///
    /// Fails with [`Error::Certificate`] if there is none, or the file that `SSL_CERT_FILE` names cannot be read, and passes
    /// over what else cannot be used. It reads some hundred kilobytes, each time.
    #[cfg(feature = "rustls-native-certs")]
    pub fn trust_native(self) -> Result<Self, Error> {
        let mut tls = self.tls_anew();
        certificate::read_native_authorities(tls.roots())?;
        Ok(self.with_tls(tls))
    }

    /// Trusts Mozilla's authorities, as a client does that is not told whom to trust, beside those of
    /// [`trust_pem`](Self::trust_pem).
    pub fn trust_mozilla(self) -> Self {
        let mut tls = self.tls_anew();
        tls.roots().extend(client_tls::MOZILLA.iter().cloned());
        self.with_tls(tls)
    }

    /// **Trusts whoever answers**, whatever else it was told: certificates may be expired, another host's, or made by
    /// anybody. Whoever is between client and server can read and change all that they say, and take the client's
    /// credentials. The same holds for a [proxy](Self::proxy) by `https://`, and who takes its place. For a development server,
    /// [`trust_pem`](Self::trust_pem) with its own certificate does without.
    pub fn dangerous_accept_any_certificate(self) -> Self {
        let mut tls = self.tls_anew();
        tls.trusts_anyone = true;
        self.with_tls(tls)
    }

    /// Shows servers that ask for it this certificate chain, the client's own certificate first, and proves by the private
    /// key that it is its own: from two files in PEM, which may be one. A [proxy](Self::proxy) by `https://` that asks for one is
    /// shown it, too.
    ///
    /// Fails with [`Error::Certificate`], which names file and line. The files are read here, and not again. If it is called
    /// twice, the later one counts.
    pub fn identity_pem(self, certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let identity = certificate::read_identity(certificates.as_ref(), key.as_ref())?;
        let mut tls = self.tls_anew();
        tls.identity = Some(Arc::new(identity));
        Ok(self.with_tls(tls))
    }

    /// Sets how TLS is spoken to a `wss://` server, in place of rustls' defaults with the `ring` crypto provider.
    ///
    /// What the other calls say of trust or identity counts in place of what this configuration says of it, whether they
    /// are called before or after; all else is as it says.
    ///
    /// Of the protocols that it lists for ALPN, such as `h2` for other uses of the configuration, none is offered but
    /// `http/1.1`, the one that is spoken; with an empty list, none at all. By default `http/1.1` is. A server that
    /// chooses another protocol fails the connection with [`Error::Connect`].
    pub fn tls(self, config: Arc<rustls::ClientConfig>) -> Self {
        let mut tls = self.tls_anew();
        tls.base = Some(config);
        self.with_tls(tls)
    }

    /// What the next connection speaks TLS with.
    #[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
    pub(crate) fn tls_config(&self, version: HttpVersion) -> std::io::Result<Arc<rustls::ClientConfig>> {
        let mut config = self.tls.as_ref().map_or_else(client_tls::shared_config, |tls| tls.config())?;
        if version != HttpVersion::Http1 {
            Arc::make_mut(&mut config).alpn_protocols = alloc::vec![tls::alpn(version).to_vec()];
        }
        Ok(config)
    }

    /// What it was told, to be told more: of no use to the clones that there are.
    fn tls_anew(&self) -> ClientTls {
        self.tls.as_ref().map_or_else(ClientTls::default, |tls| tls.unmade())
    }

    fn with_tls(self, tls: ClientTls) -> Self {
        Self { tls: Some(Arc::new(tls)), ..self }
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
