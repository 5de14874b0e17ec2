//! HTTP/1.1 as text (RFC 9112): the one way to get a request and a response that this crate reads itself.

pub(super) mod body;
pub(super) mod head;
