//! Which members of a topic something is meant for.

use std::sync::Arc;

use crate::conn_id::ConnId;
use crate::connection::Connection;

/// Which members of a topic something is meant for: all, but for these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    pub(crate) except: Vec<ConnId>,
    pub(crate) except_users: Vec<Arc<str>>,
    /// None but these; sorted, none twice.
    pub(crate) only: Option<Vec<ConnId>>,
}

impl Audience {
    /// Whether it is all of them.
    pub(crate) fn is_all(&self) -> bool {
        self.except.is_empty() && self.except_users.is_empty() && self.only.is_none()
    }

    pub(crate) fn includes(&self, connection: &Connection) -> bool {
        let user = connection.identity.name();
        !self.except.contains(&connection.id)
            && !user.is_some_and(|user| self.except_users.contains(user))
            && self.only.as_ref().is_none_or(|only| only.binary_search(&connection.id).is_ok())
    }
}
