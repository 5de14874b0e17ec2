//! What a server speaks TLS with, while it runs too: certificates come to their end.

use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use std::path::{Path, PathBuf};

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};

use super::certificate::{self, CertificateError};
use super::sync::{Mutex, lock};
use super::tls::HTTP_1_1;

/// What the clones of one server have in common.
#[derive(Debug)]
pub(super) struct ServerTls {
    /// Of each connection that is accepted from now on.
    config: Mutex<Arc<ServerConfig>>,
    /// Where it comes from.
    files: Option<(PathBuf, PathBuf)>,
}

impl ServerTls {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        Self { config: Mutex::new(spoken(config)), files: None }
    }

    /// Certificates and key come from these files.
    pub(super) fn from_files(certificates: &Path, key: &Path) -> Result<Self, CertificateError> {
        let files = (certificates.to_owned(), key.to_owned());
        Ok(Self { config: Mutex::new(read(&files)?), files: Some(files) })
    }

    pub(super) fn set(&self, config: Arc<ServerConfig>) {
        *lock(&self.config) = spoken(config);
    }

    /// Reads the files anew, if there are any.
    pub(super) fn reload(&self) -> Result<(), CertificateError> {
        if let Some(files) = &self.files {
            let new = read(files)?;
            *lock(&self.config) = new;
        }
        Ok(())
    }

    #[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        lock(&self.config).clone()
    }
}

/// The configuration, with the one protocol for ALPN that is spoken here.
fn spoken(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.alpn_protocols.iter().any(|protocol| protocol != HTTP_1_1) {
        Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1_1.to_vec()];
    }
    config
}

fn read((certificates, key): &(PathBuf, PathBuf)) -> Result<Arc<ServerConfig>, CertificateError> {
    let identity = certificate::read_identity(certificates, key)?;
    // The provider is named here: rustls would panic if the process had several to choose from.
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| CertificateError::new(certificates, None, error.to_string()))?;
    let mut config = config.with_no_client_auth().with_cert_resolver(Arc::new(identity));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // Sessions that clients keep, sealed: of those that the server kept, rustls would drop all but some hundred, and none
    // could be resumed when thousands of clients come back at once. Without random bytes for the keys, it is so.
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
    Ok(Arc::new(config))
}
