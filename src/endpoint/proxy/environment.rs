//! The environment's variables for proxies, as curl reads them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use std::ffi::OsString;

use super::uri::{Proxy, ProxyUriError};
use crate::handshake::uri::Uri;

/// What the environment's variables say.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// For `ws://`.
    plain: Option<Result<Proxy, ProxyUriError>>,
    /// For `wss://`.
    secure: Option<Result<Proxy, ProxyUriError>>,
    exceptions: Exceptions,
}

impl Environment {
    /// Reads the variables; one that is empty is as one that is not there. One that is not UTF-8 is no proxy's URI, and says
    /// so; of exceptions, what is UTF-8 counts.
    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let first =
            |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let proxy = |names: &[&str]| {
            let uri = first(names)?.into_string().map_err(|_| ProxyUriError::NotUtf8);
            Some(uri.and_then(|uri| Proxy::parse(&uri)))
        };
        let exceptions = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        Self {
            plain: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            secure: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            exceptions: Exceptions::parse(&exceptions.to_string_lossy()),
        }
    }

    /// The proxy for what this URI names. One that cannot be used is an error only for what would go through it.
    pub(super) fn proxy(&self, uri: &Uri) -> Result<Option<&Proxy>, ProxyUriError> {
        let proxy = if uri.is_secure() { &self.secure } else { &self.plain };
        match proxy {
            Some(proxy) if !self.exceptions.include(uri.host()) => {
                proxy.as_ref().map(Some).map_err(|error| *error)
            }
            _ => Ok(None),
        }
    }
}

/// The hosts that are connected to without a proxy.
#[derive(Clone, Debug)]
enum Exceptions {
    All,
    These(Vec<Exception>),
}

#[derive(Clone, Debug)]
enum Exception {
    /// The host of this name, and all below it.
    Domain(String),
    /// The addresses whose first bits are those of this one.
    Network(IpAddr, u32),
}

impl Exceptions {
    fn parse(list: &str) -> Self {
        if list == "*" {
            return Self::All;
        }
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self::These(entries.filter_map(Exception::parse).collect())
    }

    fn include(&self, host: &str) -> bool {
        let Self::These(exceptions) = self else { return true };
        let name = host.strip_suffix('.').unwrap_or(host);
        let address = host.parse();
        exceptions.iter().any(|exception| match address {
            Ok(address) => exception.has_address(address),
            Err(_) => exception.has_name(name),
        })
    }
}

impl Exception {
    /// `None`: it is nothing that any host could match.
    fn parse(entry: &str) -> Option<Self> {
        let (address, bits) =
            entry.split_once('/').map_or((entry, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits.map(str::parse) {
                // To curl, no bits are all bits.
                None | Some(Ok(0)) => all,
                Some(bits) => bits.ok().filter(|bits| *bits <= all)?,
            };
            return Some(Self::Network(address, bits));
        }
        let name = entry.strip_suffix('.').unwrap_or(entry);
        Some(Self::Domain(name.strip_prefix('.').unwrap_or(name).to_ascii_lowercase()))
    }

    /// `name` is in lower case.
    fn has_name(&self, name: &str) -> bool {
        let Self::Domain(domain) = self else { return false };
        let before = name.strip_suffix(domain.as_str());
        !domain.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Network(IpAddr::V4(network), bits), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= *bits
            }
            (Self::Network(IpAddr::V6(network), bits), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= *bits
            }
            _ => false,
        }
    }
}
