//! What a server speaks TLS with, while it runs too: certificates come to their end.

use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use std::path::{Path, PathBuf};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate::{self, CertificateError};
use super::error::Error;
use super::server::Server;
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

impl Server {
    /// Has `serve` speak TLS with this configuration. Of the protocols that it lists for ALPN, such as `h2` for other uses,
    /// none is offered but `http/1.1`, the one that is spoken; with an empty list, none at all.
    ///
    /// Both handshakes of a connection have [`handshake_timeout`](Self::handshake_timeout) together, and count as one of
    /// [`max_handshakes`](Self::max_handshakes). A client that speaks HTTP without TLS is answered in the same way, with
    /// 400 and a sentence that says so.
    #[must_use]
    pub fn tls(self, config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(Arc::new(ServerTls { config: Mutex::new(spoken(config)), files: None })), ..self }
    }

    /// Has `serve` speak [TLS](Self::tls) with a certificate chain and a private key, from two files in PEM, as `certbot`
    /// and others write them: the server's certificate first. One file may be both.
    ///
    /// Fails with [`Error::Certificate`], which names file and line.
    pub fn tls_pem(self, certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let files = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        let config = Mutex::new(read(&files)?);
        Ok(Self { tls: Some(Arc::new(ServerTls { config, files: Some(files) })), ..self })
    }

    /// Exchanges what [`tls`](Self::tls) or [`tls_pem`](Self::tls_pem) was given, for the connections that are accepted
    /// from now on: of this server and its clones, and of each `serve` that was given one. On a server without TLS it does
    /// nothing, which is what it returns.
    pub fn set_tls(&self, config: Arc<ServerConfig>) -> bool {
        if let Some(tls) = &self.tls {
            *lock(&tls.config) = spoken(config);
        }
        self.tls.is_some()
    }

    /// Reads the files of [`tls_pem`](Self::tls_pem) anew, and [exchanges](Self::set_tls) what was read before. On a
    /// server that was not given files it does nothing.
    ///
    /// Fails with [`Error::Certificate`], and goes on with what there was.
    pub fn reload_tls(&self) -> Result<(), Error> {
        if let Some(ServerTls { config, files: Some(files) }) = self.tls.as_deref() {
            let new = read(files)?;
            *lock(config) = new;
        }
        Ok(())
    }

    /// What the next connection speaks TLS with, if it does.
    #[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
    pub(crate) fn tls_config(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| lock(&tls.config).clone())
    }

    /// Whether connections are to speak TLS.
    #[cfg(all(feature = "tokio", not(feature = "tokio-rustls")))]
    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
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
    let (chain, key) = (certificate::read_chain(certificates)?, certificate::read_key(key)?);
    // The provider is named here: rustls would panic if the process had several to choose from.
    let provider = Arc::new(default_provider());
    let certified = CertifiedKey::from_der(chain.value, key.value, &provider);
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::new(
            key.file,
            key.line,
            "the key is not the one of the first certificate in the other file".to_owned(),
        ),
        rustls::Error::InvalidCertificate(_) => {
            CertificateError::new(chain.file, chain.line, error.to_string())
        }
        error => CertificateError::new(key.file, key.line, error.to_string()),
    })?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| CertificateError::new(chain.file, None, error.to_string()))?;
    let mut config =
        config.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}
