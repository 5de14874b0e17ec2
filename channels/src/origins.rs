//! Which web pages may connect.

use std::fmt;
use std::sync::Arc;

use sansocket::handshake::HttpRequest;

/// Which web pages may connect, by the `Origin` that browsers send: any page may open a WebSocket to any server, and the browser
/// sends the user's cookies along (RFC 6455 section 10.2). Who is no browser sends any, or none, and is let in: that is for
/// [`authenticate`](crate::HubBuilder::authenticate) to decide.
///
/// Others are refused with 403.
#[derive(Clone, Default)]
pub struct Origins(Which);

#[derive(Clone, Default)]
enum Which {
    #[default]
    Same,
    List(Arc<[String]>),
    Any,
    Check(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Origins {
    /// Pages that came from where they connect to: host and port are those of `Host`. The default. The scheme is not looked
    /// at, which behind a proxy nobody knows: where `http` and `https` share a host, [list](Self::list) the origins.
    pub fn same() -> Self {
        Self(Which::Same)
    }

    /// Pages of these origins, written as browsers send them: `https://example.com`, with a port if that is not the scheme's
    /// own, and without a path. Those of the server itself are to be listed too.
    pub fn list<T: Into<String>>(origins: impl IntoIterator<Item = T>) -> Self {
        Self(Which::List(origins.into_iter().map(Into::into).collect()))
    }

    /// All pages. For what anybody may read, or where every client has to prove who it is, other than by cookies.
    pub fn any() -> Self {
        Self(Which::Any)
    }

    /// Pages whose origin `allows` lets pass.
    pub fn check(allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Which::Check(Arc::new(allows)))
    }

    /// Whether the page that sent this may connect. Without an `Origin` it is no page.
    pub(crate) fn allow(&self, request: &HttpRequest) -> bool {
        let Some(origin) = request.origin() else {
            return true;
        };
        match &self.0 {
            Which::Same => request.is_same_origin(),
            Which::List(list) => list.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
            Which::Any => true,
            Which::Check(allows) => allows(origin),
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::Same => f.write_str("Same"),
            Which::List(list) => f.debug_list().entries(list.iter()).finish(),
            Which::Any => f.write_str("Any"),
            Which::Check(_) => f.write_str("Check"),
        }
    }
}
