//! The opening handshake (RFC 6455 section 4): one HTTP request, one response, and the connection is a WebSocket.
//!
//! Both roles read bytes the caller has received and append bytes to send to the caller's `Vec`. Call `receive` with
//! *all* bytes received so far, each time more have arrived, until it returns something; then drop the `consumed` bytes
//! from the front: whatever follows them are frames already.
//!
//! ```
//! use sansocket::Uri;
//! use sansocket::handshake::{Accept, ClientHandshake, ClientRequest, Limits, Received, ServerHandshake};
//!
//! // The client: append a request, send it.
//! let request = ClientRequest::new(&Uri::parse("ws://example.com/chat")?).subprotocol("superchat")?;
//! let nonce = *b"sixteen random b"; // From a CSPRNG: this crate's core draws no randomness.
//! let mut to_server = Vec::new();
//! let mut client = ClientHandshake::start(&request, Limits::default(), nonce, &mut to_server);
//!
//! // The server: receive it, look at it, accept it.
//! let mut server = ServerHandshake::new(Limits::default());
//! let mut to_client = Vec::new();
//! match server.receive(&to_server)? {
//!     Some(Received::WebSocket(request)) => {
//!         assert_eq!(request.path(), "/chat");
//!         let mut accept = Accept::new();
//!         if let Some(subprotocol) = request.choose_subprotocol(&["superchat", "chat"]) {
//!             accept = accept.subprotocol(subprotocol);
//!         }
//!         request.accept(&accept, &mut to_client)?;
//!     }
//!     Some(Received::Http(request)) => { /* not a WebSocket request: answer it with a `Reply` */ }
//!     None => { /* read more */ }
//! }
//!
//! // The client again.
//! let opened = client.receive(&to_client)?.expect("the response is complete");
//! assert_eq!(opened.subprotocol(), Some("superchat"));
//! assert_eq!(opened.consumed(), to_client.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What others have been attacked through is closed by construction: heads are bounded in bytes and in lines
//! ([`Limits`]), reading them takes linear time however they are cut, a line ends in CR LF and in nothing else, and no
//! name or value that is written can end its line.

mod client;
mod error;
mod head;
mod header;
mod name;
mod reply;
mod server;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub use client::{ClientHandshake, ClientRequest, Opened, Response};
pub use error::{BuildError, HandshakeError};
pub use head::Headers;
pub use header::{Extension, InvalidList};
pub use reply::Reply;
pub use server::{Accept, Accepted, HttpRequest, Received, Request, ServerHandshake};

/// How much a peer may send in an opening handshake.
///
/// ```
/// use sansocket::handshake::Limits;
///
/// let limits = Limits::default().head_bytes(64 * 1024).headers(200);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    head_bytes: usize,
    start_line_bytes: usize,
    headers: usize,
    interim_responses: usize,
    refusal_body_bytes: usize,
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

    /// How many bytes after the head of a refusal a client reads for [`Response::body`]. 4 KiB by default: enough for a
    /// message, and the rest is not worth waiting for.
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

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`: ASCII, in base64.
///
/// [`Request::accept`] and [`ClientHandshake`] use it; it is public for servers that leave HTTP to a framework.
///
/// ```
/// let accept = sansocket::handshake::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: impl AsRef<[u8]>) -> [u8; 28] {
    // 4.2.2: "concatenating /key/ [..] with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of
    // this concatenated value to obtain a 20-byte value and base64-encoding [..] this 20-byte hash."
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(hash.finalize())
}

/// Base64 of bytes whose number is known; `LEN` is the length of the result.
fn base64<const LEN: usize>(bytes: impl AsRef<[u8]>) -> [u8; LEN] {
    let mut text = [0; LEN];
    let len = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(len, Ok(LEN));
    text
}
