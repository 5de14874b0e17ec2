//! HTTP/1.1 as text (RFC 9112): the one way to get a request and a response that this crate reads itself.

pub(super) mod head;
pub(super) mod refusal_body;
pub(super) mod request_body;
pub(super) mod response_reader;
