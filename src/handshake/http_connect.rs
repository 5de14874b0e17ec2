//! The request that asks a proxy for a tunnel, CONNECT (RFC 9110 section 9.3.6), and what comes of it.

use alloc::vec::Vec;

use super::client::ClientRequest;
use super::credentials::basic;
use super::error::{BuildError, ResponseError};
use super::extra_headers::write_line;
use super::http1::response_reader::ResponseReader;
use super::limits::Limits;

/// Asks for a tunnel, and reads the proxy's response.
#[derive(Debug)]
pub(crate) struct HttpConnect {
    response: ResponseReader,
}

impl HttpConnect {
    /// Appends the request for a tunnel to where `request` is to go, of which the proxy is told nothing else but the
    /// `User-Agent`.
    pub(crate) fn start(
        request: &ClientRequest,
        credentials: Option<(&str, &str)>,
        limits: Limits,
        out: &mut Vec<u8>,
    ) -> Result<Self, BuildError> {
        // With the port, be it the default one: "There is no default port; a client MUST send the port number even if the
        // CONNECT request is based on a URI reference that contains an authority component with an elided port"
        // (RFC 9110 section 9.3.6).
        let target = request.uri().host_and_port();
        for part in ["CONNECT ", &target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        write_line(out, "Host", target.as_bytes());
        if let Some((user, password)) = credentials {
            write_line(out, "Proxy-Authorization", basic(user, password)?.as_bytes());
        }
        if let Some(agent) = request.sent_user_agent() {
            write_line(out, "User-Agent", agent);
        }
        out.extend_from_slice(b"\r\n");
        // "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch to tunnel mode
        // immediately after the response header section" (RFC 9110 section 9.3.6).
        Ok(Self { response: ResponseReader::new(limits, |status| matches!(status, 200..300)) })
    }

    /// Takes all bytes received so far; the caller only appends to them between calls. How many of them are the proxy's:
    /// what follows is the tunnel's. `None`: the response is not complete.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<Option<usize>, ResponseError> {
        Ok(self.response.read(input)?.map(|(_, consumed)| consumed))
    }

    /// Nothing more comes: a refusal with as much of its body as came, or that the head is not complete.
    pub(crate) fn receive_eof(&mut self, input: &[u8]) -> ResponseError {
        self.response.read_eof(input)
    }
}
