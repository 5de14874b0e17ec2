//! Which web pages may connect (RFC 6455 section 10.2).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::handshake::{ForeignOrigin, HttpRequest, RequestError};

/// Which web pages may connect to a server, by the `Origin` that browsers send: any page may open a WebSocket to any
/// server, and the browser sends the user's cookies along (RFC 6455 section 10.2). A program that is no browser may send
/// any `Origin`, or none: to let it in or not is for credentials to decide, not for this.
///
/// ```
/// use sansocket::{Origins, Server};
///
/// let server = Server::default().origins(Origins::list(["https://example.com", "https://app.example.com"]));
/// ```
#[derive(Clone, Default)]
pub struct Origins(Which);

#[derive(Clone, Default)]
enum Which {
    #[default]
    Same,
    Any,
    Some(Arc<[String]>),
    Check(Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>),
}

impl Origins {
    /// Pages that came from where they connect to: what [`HttpRequest::is_same_origin`] says. The default. Behind a proxy that
    /// does not pass on the `Host` as it came, there is [`Server::trust_proxies`](super::Server::trust_proxies).
    pub fn same() -> Self {
        Self(Which::Same)
    }

    /// All pages. For what anybody may read, or what every request has to prove its right to, other than by cookies.
    pub fn any() -> Self {
        Self(Which::Any)
    }

    /// Pages of these origins, each written as browsers send it: `https://example.com`, with a port if that is not the
    /// scheme's own, and without a path. Those of the server itself are to be listed too.
    pub fn list<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        Self(Which::Some(origins.into_iter().map(Into::into).collect()))
    }

    /// Pages whose request `allows` lets pass. It is asked only about a request with an `Origin`.
    ///
    /// ```
    /// use sansocket::Origins;
    ///
    /// let apps = Origins::check(|request| request.origin().is_some_and(|origin| origin.ends_with(".example.com")));
    /// ```
    pub fn check(allows: impl Fn(&HttpRequest) -> bool + Send + Sync + 'static) -> Self {
        Self(Which::Check(Arc::new(allows)))
    }

    /// Whether the page that sent the request may connect; a request without an `Origin` is from no page, and may. Accepting
    /// asks this by itself: it is for programs that want to know before, or that have several rules.
    pub fn allows(&self, request: &HttpRequest) -> bool {
        let Some(origin) = request.origin() else {
            return true;
        };
        match &self.0 {
            Which::Same => request.is_same_origin(),
            Which::Any => true,
            Which::Some(list) => list.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
            Which::Check(allows) => allows(request),
        }
    }

    /// Fails if the page that sent the request may not connect.
    pub(super) fn judge(&self, request: &HttpRequest) -> Result<(), RequestError> {
        let foreign = request.origin().filter(|_| !self.allows(request));
        let Some(origin) = foreign else {
            return Ok(());
        };
        let (host, header) = request.find_requested_host()?;
        let (origin, host) = (origin.to_owned(), host.map(ToOwned::to_owned));
        Err(RequestError::ForeignOrigin(Box::new(ForeignOrigin { origin, host, header })))
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::Same => f.write_str("Same"),
            Which::Any => f.write_str("Any"),
            Which::Some(list) => f.debug_list().entries(list.iter()).finish(),
            Which::Check(_) => f.write_str("Check"),
        }
    }
}
