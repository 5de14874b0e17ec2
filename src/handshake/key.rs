//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept`, which answers it (RFC 6455 sections 4.1 and 4.2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`: ASCII, in base64.
///
/// [`Request::accept`](super::Request::accept) and [`ClientHandshake`](super::ClientHandshake) use it; it is public for
/// servers that leave HTTP to a framework.
///
/// ```
/// let accept = sansocket::handshake::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: impl AsRef<[u8]>) -> [u8; 28] {
    // "concatenating /key/ [..] with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of this
    // concatenated value to obtain a 20-byte value and base64-encoding [..] this 20-byte hash." (6455-4.2.2-20)
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(hash.finalize())
}

/// Whether it is 16 bytes in base64: 22 characters and "==". The last four bits of the 22nd belong to no byte; they may
/// be set, as they are in the example of RFC 6455 section 4.1.
pub(super) fn is_key(value: &[u8]) -> bool {
    let Ok([characters @ .., b'=', b'=']) = <&[u8; 24]>::try_from(value) else {
        return false;
    };
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // Without a way out between the characters, the compiler looks at all of them at once.
    characters.iter().fold(true, |all, byte| all & is_base64(byte))
}

/// Base64 of bytes whose number is known; `LEN` is the length of the result.
pub(super) fn base64<const LEN: usize>(bytes: impl AsRef<[u8]>) -> [u8; LEN] {
    let mut text = [0; LEN];
    let len = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(len, Ok(LEN));
    text
}
