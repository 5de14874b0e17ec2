//! How much a peer may send in an opening handshake.

/// How much a peer may send in an opening handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    pub(crate) head_bytes: usize,
    pub(super) start_line_bytes: usize,
    pub(crate) headers: usize,
    pub(crate) interim_responses: usize,
    pub(crate) refusal_body_bytes: usize,
}

impl Limits {
    /// The longest head, with the empty line at its end; the responses a client skips count too. 16 KiB by default:
    /// room for large cookies and tokens.
    pub fn head_bytes(self, head_bytes: usize) -> Self {
        Self { head_bytes, ..self }
    }

    /// The longest request line or status line, with its CR LF. 8 KiB by default, the least that RFC 9112 section 3
    /// recommends.
    pub fn start_line_bytes(self, start_line_bytes: usize) -> Self {
        Self { start_line_bytes, ..self }
    }

    /// The most header lines. 100 by default.
    pub fn headers(self, headers: usize) -> Self {
        Self { headers, ..self }
    }

    /// The most responses with a status 1xx, other than 101, that a client skips before the final one. 8 by default.
    pub fn interim_responses(self, interim_responses: usize) -> Self {
        Self { interim_responses, ..self }
    }

    /// How many bytes after the head of a refusal a client reads for [`Response::body`](super::Response::body). 4 KiB
    /// by default: enough for a message, and the rest is not worth waiting for.
    pub fn refusal_body_bytes(self, refusal_body_bytes: usize) -> Self {
        Self { refusal_body_bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            start_line_bytes: 8 * 1024,
            headers: 100,
            interim_responses: 8,
            refusal_body_bytes: 4 * 1024,
        }
    }
}
