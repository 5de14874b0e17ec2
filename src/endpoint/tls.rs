//! TLS (RFC 6455 section 10.6) by rustls: what both adapters need for `wss://`, and for TLS on a server.

use alloc::format;
use alloc::string::ToString;
use std::io;

use rustls::pki_types::ServerName;

use super::error::Error;
use super::http_version::HttpVersion;
use crate::handshake::RequestError;

/// "Clients MUST use the Server Name Indication extension in the TLS handshake" (6455-4.1-17).
pub(crate) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_string()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the host is not a name that TLS can verify")
    })
}

/// What client and server agreed on by ALPN has to be what is spoken next. HTTP/1.1 needs no agreement; HTTP/2 does: "A
/// client that makes a request to an "https" URI uses TLS [TLS13] with the ALPN extension" (RFC 9113 section 3.2).
pub(crate) fn check_alpn(agreed: Option<&[u8]>, spoken: HttpVersion) -> Result<(), Error> {
    let spoken = alpn(spoken);
    let chosen = match agreed {
        None if spoken == HTTP_1_1 => return Ok(()),
        Some(agreed) if agreed == spoken => return Ok(()),
        None => "nothing".to_string(),
        Some(other) => other.escape_ascii().to_string(),
    };
    let spoken = spoken.escape_ascii();
    Err(Error::Connect(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("ALPN chose {chosen}, and what is spoken here is {spoken}"),
    )))
}

/// Whether what a client sends first may be TLS: HTTP begins with a letter, and is not answered with an alert, which
/// nobody could read.
pub(crate) fn check_first(bytes: &[u8]) -> Result<(), Error> {
    match bytes {
        [b'A'..=b'Z', ..] => Err(RequestError::MissingTls.into()),
        _ => Ok(()),
    }
}

/// The name that a version has for ALPN.
pub(super) fn alpn(version: HttpVersion) -> &'static [u8] {
    match version {
        HttpVersion::Http1 => HTTP_1_1,
        // "HTTP/2 over TLS uses the "h2" protocol identifier." (RFC 9113 section 3.2)
        #[cfg(feature = "http2")]
        HttpVersion::Http2 => b"h2",
    }
}

/// As registered for ALPN (RFC 7301 section 6).
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// How many bytes of records rustls keeps that the transport has not taken, beside what is queued: one record is enough
/// to write, and more would be held beyond `write_buffer_size`.
pub(crate) const RECORDS: usize = 16 << 10;
