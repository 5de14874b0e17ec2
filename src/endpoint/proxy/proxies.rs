//! Which proxy is used.

use alloc::boxed::Box;
use alloc::string::String;

use super::environment::Environment;
use super::uri::{Proxy, ProxyUriError};
use crate::handshake::uri::Uri;

/// What decides which proxy is used.
#[derive(Clone, Debug, Default)]
pub(crate) enum Proxies {
    #[default]
    None,
    One(Box<Proxy>),
    Environment(Box<Environment>),
}

impl Proxies {
    pub(crate) fn one(proxy: Proxy) -> Self {
        Self::One(Box::new(proxy))
    }

    /// By the variables of somebody who stands for the environment.
    pub(crate) fn by_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::Environment(Box::new(Environment::read(|name| variable(name).map(Into::into))))
    }

    /// By the variables of this process.
    pub(crate) fn from_env() -> Self {
        Self::Environment(Box::new(Environment::read(|name| std::env::var_os(name))))
    }

    /// The one for what this URI names.
    pub(crate) fn chosen(&self, uri: &Uri) -> Result<Option<&Proxy>, ProxyUriError> {
        match self {
            Self::None => Ok(None),
            Self::One(proxy) => Ok(Some(proxy)),
            Self::Environment(environment) => environment.proxy(uri),
        }
    }
}
