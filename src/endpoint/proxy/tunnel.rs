//! Opening a tunnel through a proxy: what is between a stream to the proxy and one to the server.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::error::ProxyError;
use super::socks5::Socks5;
use super::uri::Proxy;
use crate::endpoint::client::Client;
use crate::endpoint::error::Error;
use crate::endpoint::opening::Opening;
use crate::error::TimedOut;
use crate::handshake::http_connect::HttpConnect;
use crate::handshake::{HeadError, ResponseError};

/// Asks a proxy for a tunnel.
#[derive(Debug)]
pub(crate) enum Tunnel {
    Http(HttpConnect),
    Socks(Socks5),
}

impl Tunnel {
    /// Appends to `out` what a proxy is told first that is to connect to the client's server: to this address, where the
    /// proxy takes addresses.
    pub(crate) fn start(
        client: &Client,
        proxy: &Proxy,
        address: Option<SocketAddr>,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        if proxy.is_socks() {
            return Ok(Self::Socks(Socks5::start(proxy, client.uri(), address, out)?));
        }
        let Client { request, limits, .. } = client;
        Ok(Self::Http(HttpConnect::start(request, proxy.credentials(), limits.clone(), out)?))
    }
}

impl Opening for Tunnel {
    type Done = ();

    fn receive(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Option<()>, Error> {
        match self {
            Self::Http(connect) => {
                let Some(consumed) = connect.receive(input).map_err(refused)? else {
                    return Ok(None);
                };
                input.drain(..consumed);
                Ok(Some(()))
            }
            Self::Socks(socks) => Ok(socks.receive(input, out)?.then_some(())),
        }
    }

    fn ended(&mut self, error: Option<Error>, input: &[u8]) -> Error {
        let refusal = match self {
            Self::Http(connect) => refused(connect.receive_eof(input)),
            Self::Socks(_) => ProxyError::Incomplete,
        };
        match (refusal, error) {
            (ProxyError::Incomplete, Some(error)) => error,
            // A refusal is told all the same, with as much of its body as came.
            (refusal, _) => refusal.into(),
        }
    }
}

/// What is wrong with a proxy's response.
fn refused(error: ResponseError) -> ProxyError {
    match error {
        ResponseError::Refused(response) => ProxyError::Refused(response),
        ResponseError::Head(HeadError::Incomplete) => ProxyError::Incomplete,
        error => ProxyError::Response(error),
    }
}

/// Says of what failed before there was a tunnel that it was the proxy.
pub(crate) fn by_proxy(error: Error) -> Error {
    match error {
        Error::Connect(error) => ProxyError::Connect(error).into(),
        Error::ConnectionLost(error) => ProxyError::Lost(error).into(),
        Error::TimedOut(TimedOut::OpeningHandshake) => Error::TimedOut(TimedOut::Proxy),
        error => error,
    }
}
