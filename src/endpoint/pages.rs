//! The pages that a server has beside its WebSockets.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::handshake::{HttpRequest, Reply};

/// Responses by the paths that they answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(BTreeMap<String, Reply>);

impl Pages {
    pub(super) fn add(&mut self, path: String, page: Reply) {
        let path = if path.starts_with('/') { path } else { String::from("/") + &path };
        self.0.insert(path, page);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What answers a request that does not ask for a WebSocket, if there is something at its path.
    pub(super) fn answer(&self, request: &HttpRequest) -> Option<Reply> {
        let page = self.0.get(request.path())?;
        Some(match request.method() {
            "GET" | "HEAD" => page.clone(),
            _ => Reply::method_not_allowed("GET, HEAD"),
        })
    }
}
