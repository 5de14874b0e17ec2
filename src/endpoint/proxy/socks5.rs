//! SOCKS 5 (RFC 1928), with user name and password (RFC 1929).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::error::{ProxyError, SocksReply};
use super::uri::Proxy;
use crate::handshake::uri::Uri;

/// Asks a SOCKS proxy for a connection.
#[derive(Debug)]
pub(crate) struct Socks5 {
    state: State,
    /// The message that names user and password; empty if there are none.
    login: Vec<u8>,
    /// The message that asks for the connection.
    request: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The proxy is to say how to authenticate.
    Method,
    /// The proxy is to say whether it accepts user name and password.
    Login,
    /// The proxy is to say whether it connected.
    Reply,
}

impl Socks5 {
    /// Appends the first message to `out`. To be connected to is the host of `uri` by its name, unless there is an
    /// `address`.
    pub(super) fn start(
        proxy: &Proxy,
        uri: &Uri,
        address: Option<SocketAddr>,
        out: &mut Vec<u8>,
    ) -> Result<Self, ProxyError> {
        let request = request(uri, address)?;
        let login = proxy.credentials().map(|(user, password)| login(user, password)).unwrap_or_default();
        let methods: &[u8] =
            if login.is_empty() { &[NO_AUTHENTICATION] } else { &[NO_AUTHENTICATION, USERNAME_PASSWORD] };
        out.push(VERSION);
        push_with_len(out, methods);
        Ok(Self { state: State::Method, login, request })
    }

    /// Takes what it needs no longer out of `input`, and appends to `out` what it answers. `true`: the connection is there,
    /// and what is left belongs to it.
    pub(super) fn receive(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, ProxyError> {
        let Some(len) = self.message_len(input)? else {
            return Ok(false);
        };
        let message: Vec<u8> = input.drain(..len).collect();
        match (self.state, message.get(1)) {
            // "A STATUS field of X'00' indicates success." (RFC 1929 section 2)
            (State::Method, Some(&NO_AUTHENTICATION)) | (State::Login, Some(0)) => {
                out.append(&mut self.request);
                self.state = State::Reply;
            }
            (State::Method, Some(&USERNAME_PASSWORD)) if !self.login.is_empty() => {
                out.append(&mut self.login);
                self.state = State::Login;
            }
            (State::Method, Some(&NO_ACCEPTABLE_METHODS)) => return Err(ProxyError::AuthenticationWanted),
            (State::Reply, _) => return Ok(true),
            (State::Method | State::Login, _) => return Err(ProxyError::NotSocks),
        }
        // What follows answers what the proxy was not asked yet: it tells of no connection to the server.
        if input.is_empty() { Ok(false) } else { Err(ProxyError::NotSocks) }
    }

    /// How long the message at the front of `input` is, once all of it is there. What is wrong with it is told as soon as it
    /// is seen: a proxy need not say more.
    fn message_len(&self, input: &[u8]) -> Result<Option<usize>, ProxyError> {
        let version = if matches!(self.state, State::Login) { LOGIN_VERSION } else { VERSION };
        if input.first().is_some_and(|first| *first != version) {
            return Err(ProxyError::NotSocks);
        }
        let len = match (self.state, input) {
            (State::Login, [_, 1..=u8::MAX, ..]) => return Err(ProxyError::AuthenticationFailed),
            (State::Method | State::Login, _) => 2,
            (State::Reply, [_, reply @ 1..=u8::MAX, ..]) => {
                return Err(ProxyError::Socks(SocksReply::new(*reply)));
            }
            // The address that the proxy connected from, and its port, mean nothing to a client.
            (State::Reply, [_, _, _, IPV4, ..]) => 4 + 4 + 2,
            (State::Reply, [_, _, _, IPV6, ..]) => 4 + 16 + 2,
            (State::Reply, [_, _, _, DOMAIN_NAME, len, ..]) => 4 + 1 + usize::from(*len) + 2,
            (State::Reply, [] | [_] | [_, _] | [_, _, _] | [_, _, _, DOMAIN_NAME]) => return Ok(None),
            (State::Reply, _) => return Err(ProxyError::NotSocks),
        };
        Ok(Some(len).filter(|len| input.len() >= *len))
    }
}

/// RFC 1929 section 2: version, user name and password, each behind its length.
fn login(user: &str, password: &str) -> Vec<u8> {
    let mut message = Vec::from([LOGIN_VERSION]);
    push_with_len(&mut message, user.as_bytes());
    push_with_len(&mut message, password.as_bytes());
    message
}

/// RFC 1928 section 4: version, command, a reserved byte, address and port.
fn request(uri: &Uri, address: Option<SocketAddr>) -> Result<Vec<u8>, ProxyError> {
    let mut message = Vec::from([VERSION, CONNECT, 0]);
    // An address that the URI has in place of a name is no name to look up.
    let ip = address.map(|address| address.ip()).or_else(|| uri.host().parse().ok());
    match ip {
        Some(IpAddr::V4(ip)) => {
            message.push(IPV4);
            message.extend(ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            message.push(IPV6);
            message.extend(ip.octets());
        }
        None if uri.host().len() > usize::from(u8::MAX) => return Err(ProxyError::HostTooLong),
        None => {
            message.push(DOMAIN_NAME);
            push_with_len(&mut message, uri.host().as_bytes());
        }
    }
    message.extend(address.map_or(uri.port(), |address| address.port()).to_be_bytes());
    Ok(message)
}

/// Appends bytes, at most 255, behind a byte that says how many they are.
fn push_with_len(message: &mut Vec<u8>, bytes: &[u8]) {
    message.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    message.extend_from_slice(bytes);
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHODS: u8 = 0xff;
const IPV4: u8 = 1;
const DOMAIN_NAME: u8 = 3;
const IPV6: u8 = 4;
