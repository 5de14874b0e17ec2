//! Why a proxy gave no tunnel.

use alloc::boxed::Box;
use core::fmt;
use std::io;

use super::super::transport_error::TransportError;
use super::uri::ProxyUriError;
use crate::handshake::{Response, ResponseError};

/// Why a proxy gave no tunnel. Nothing of the request was sent.
#[non_exhaustive]
#[derive(Debug)]
pub enum ProxyError {
    /// The proxy's URI cannot be used.
    Uri(ProxyUriError),
    /// The proxy itself cannot be connected to: look-up of its name, TCP, or TLS to it.
    Connect(io::Error),
    /// The connection to the proxy was lost before there was a tunnel.
    Lost(io::Error),
    /// The proxy closed the connection before it had answered. `ssh -D` does so for a server that cannot be reached.
    Incomplete,
    /// The proxy refused, by HTTP: 407 asks for a user name and a password, or for others (tinyproxy asks for others by 401).
    Refused(Box<Response>),
    /// The proxy's response breaks a rule of HTTP/1.1, or goes beyond a limit.
    Response(ResponseError),
    /// The name of the server's host is longer than the 255 bytes that SOCKS has room for.
    HostTooLong,
    /// The proxy does not speak SOCKS 5, or breaks its rules.
    NotSocks,
    /// The SOCKS proxy takes none of the ways to authenticate that were offered: that there is none, and by user name and
    /// password, if the proxy's URI has them.
    AuthenticationWanted,
    /// The SOCKS proxy does not accept the user name and the password.
    AuthenticationFailed,
    /// The SOCKS proxy did not connect to the server, for this reason.
    Socks(SocksReply),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri(error) => return error.fmt(f),
            Self::Connect(error) => {
                return write!(f, "cannot connect to the proxy: {}", TransportError(error));
            }
            Self::Lost(error) => {
                return write!(f, "the connection to the proxy was lost: {}", TransportError(error));
            }
            Self::Incomplete => "the proxy closed the connection before it had answered",
            Self::Refused(response) => {
                write!(f, "the proxy refused to connect to the server, with status {}", response.status())?;
                return response.first_line().map_or(Ok(()), |line| write!(f, ", and says: {line}"));
            }
            Self::Response(error) => return write!(f, "the proxy's response is not valid: {error}"),
            Self::HostTooLong => "the name of the server's host is too long for a SOCKS proxy",
            Self::NotSocks => "the proxy does not speak SOCKS 5",
            Self::AuthenticationWanted => {
                "the SOCKS proxy wants another way to authenticate than those that it was offered"
            }
            Self::AuthenticationFailed => "the SOCKS proxy does not accept the user name and the password",
            Self::Socks(reply) => return write!(f, "the SOCKS proxy did not connect to the server: {reply}"),
        })
    }
}

impl core::error::Error for ProxyError {
    /// What is below the error in it, which says all itself.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Lost(error) => error.source(),
            _ => None,
        }
    }
}

/// Why a SOCKS proxy did not connect (RFC 1928 section 6).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocksReply {
    /// 1: the proxy failed, for whatever reason; microsocks says so of a name that is not known.
    GeneralFailure,
    /// 2: the proxy's rules forbid the connection.
    NotAllowed,
    /// 3: the server's network cannot be reached.
    NetworkUnreachable,
    /// 4: the server cannot be reached, or its name is not known.
    HostUnreachable,
    /// 5: the server refused the connection.
    ConnectionRefused,
    /// 6: the way to the server is too long, or took too long.
    TtlExpired,
    /// 7: the proxy opens no connections.
    CommandNotSupported,
    /// 8: the proxy does not take addresses of this kind: by IPv6, or names.
    AddressTypeNotSupported,
    /// Another number, which RFC 1928 gives no meaning.
    Other(u8),
}

impl SocksReply {
    /// Not for 0, which is success.
    pub(super) fn new(reply: u8) -> Self {
        match reply {
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "it failed, and does not say why",
            Self::NotAllowed => "its rules do not allow it",
            Self::NetworkUnreachable => "the network is unreachable",
            Self::HostUnreachable => "the host is unreachable",
            Self::ConnectionRefused => "the connection was refused",
            Self::TtlExpired => "the time to live expired",
            Self::CommandNotSupported => "it does not support the command CONNECT",
            Self::AddressTypeNotSupported => "it does not support addresses of this kind",
            Self::Other(reply) => return write!(f, "it replied with {reply}, which has no meaning"),
        })
    }
}
