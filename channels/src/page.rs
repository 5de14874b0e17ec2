//! What is served beside WebSockets.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use sansocket::handshake::{HttpRequest, Reply};

/// A page, a script, or whatever else stands at a path.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    content_type: String,
    body: Bytes,
    /// Changes with the body.
    etag: String,
}

impl Page {
    pub(crate) fn new(content_type: &str, body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self { content_type: content_type.to_owned(), body, etag }
    }

    /// What answers a request for it.
    pub(crate) fn answer(&self, request: &HttpRequest) -> Reply {
        if !matches!(request.method(), "GET" | "HEAD") {
            let refusal =
                reply(405).text("Method Not Allowed: what is here is asked for with GET or HEAD.\n");
            return with(refusal, &[("Allow", "GET, HEAD")]);
        }
        let headers = [
            ("Content-Type", &*self.content_type),
            // It may be kept, but is asked for each time: a new version is there at once.
            ("Cache-Control", "no-cache"),
            ("ETag", &self.etag),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let known = request.headers().get("If-None-Match").unwrap_or_default();
        let is_known = known.split(',').any(|etag| {
            let etag = etag.trim();
            etag == "*" || etag.strip_prefix("W/").unwrap_or(etag) == self.etag
        });
        if is_known {
            with(reply(304), &headers[1..])
        } else {
            with(Reply::ok().body(self.body.clone()), &headers)
        }
    }
}

/// A reply without content.
pub(crate) fn reply(status: u16) -> Reply {
    // Those that are used are statuses.
    Reply::new(status).unwrap_or_else(|_| Reply::ok())
}

/// Adds headers, of which all that are used may be.
pub(crate) fn with(reply: Reply, headers: &[(&str, &str)]) -> Reply {
    headers.iter().fold(reply, |reply, (name, value)| match reply.clone().header(name, value) {
        Ok(with) => with,
        Err(_) => reply,
    })
}
