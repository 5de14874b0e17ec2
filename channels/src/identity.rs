//! Who a client is, and who is refused.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who a client is, as `authenticate` found out: a user or nobody, and what else is known.
///
/// Clones are cheap.
///
/// ```
/// use sansocket_channels::{Denied, Handshake, Hub, Identity, Open};
///
/// struct Admin(bool);
///
/// async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
///     match handshake.bearer() {
///         Some("a secret of ada's") => Ok(Identity::user("ada").with(Admin(true))),
///         _ => Err(Denied::UNAUTHORIZED),
///     }
/// }
///
/// let hub = Hub::builder().channel("news", Open).authenticate(authenticate).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct Identity {
    user: Option<Arc<str>>,
    /// Few have any.
    values: Option<Arc<Vec<Arc<dyn Any + Send + Sync>>>>,
    expires: Option<Duration>,
}

impl Identity {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A user: all connections of one person have the same id.
    pub fn user(id: impl Into<String>) -> Self {
        Self { user: Some(id.into().into()), ..Self::default() }
    }

    /// Something that handlers are to know of the client: [`Cx::get`](crate::Cx::get) finds it by its type. The last of one
    /// type counts.
    pub fn with<T: Any + Send + Sync>(mut self, value: T) -> Self {
        Arc::make_mut(self.values.get_or_insert_default()).push(Arc::new(value));
        self
    }

    /// For how long that holds. Then the connection is closed with 4001, and the client comes back with a fresh token.
    pub fn expires(self, after: Duration) -> Self {
        Self { expires: Some(after), ..self }
    }

    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    pub(crate) fn value<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.values.as_ref()?.iter().rev().find_map(|value| value.downcast_ref())
    }

    pub(crate) fn lasts(&self) -> Option<Duration> {
        self.expires
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user", &self.user)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Why a client may not connect: the answer to its request. A page cannot see it, and dials again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Denied {
    status: u16,
}

impl Denied {
    /// 401: whoever it is has to prove it.
    pub const UNAUTHORIZED: Self = Self { status: 401 };
    /// 403: who it is may not connect.
    pub const FORBIDDEN: Self = Self { status: 403 };
    /// 503: it cannot be told now; the client may come back.
    pub const UNAVAILABLE: Self = Self { status: 503 };

    pub(crate) fn status(self) -> u16 {
        self.status
    }
}
