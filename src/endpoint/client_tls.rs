//! What a client speaks TLS with: whom it trusts, and who it is.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use std::io;
use std::sync::OnceLock;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::tls::HTTP_1_1;

/// What the calls said, in whatever order: each has a place of its own. Clones of a client share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientTls {
    /// What the rest is put into; the default configuration, if there is none.
    pub(super) base: Option<Arc<ClientConfig>>,
    /// The authorities that are trusted, if any were named.
    roots: Option<RootCertStore>,
    /// Whoever answers is trusted.
    pub(super) trusts_anyone: bool,
    pub(super) identity: Option<Arc<SingleCertAndKey>>,
    /// Made of these for the first connection: it keeps the sessions for the next ones.
    made: OnceLock<Arc<ClientConfig>>,
}

impl ClientTls {
    /// The same, before a configuration was made of it.
    pub(super) fn unmade(&self) -> Self {
        Self { made: OnceLock::new(), ..self.clone() }
    }

    /// The authorities that are trusted in place of the default ones.
    pub(super) fn roots(&mut self) -> &mut RootCertStore {
        self.roots.get_or_insert_with(RootCertStore::empty)
    }

    #[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
    pub(super) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        once(&self.made, || self.make())
    }

    fn make(&self) -> io::Result<Arc<ClientConfig>> {
        let mut config = self.base.clone().map_or_else(|| default_config().map(Arc::new), Ok)?;
        if config.alpn_protocols.iter().any(|protocol| protocol != HTTP_1_1) {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1_1.to_vec()];
        }
        let provider = config.crypto_provider().clone();
        if self.trusts_anyone {
            Arc::make_mut(&mut config).dangerous().set_certificate_verifier(Arc::new(Anyone(provider)));
        } else if let Some(roots) = &self.roots {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider);
            let verifier = verifier.build().map_err(io::Error::other)?;
            Arc::make_mut(&mut config).dangerous().set_certificate_verifier(verifier);
        }
        if let Some(identity) = &self.identity {
            Arc::make_mut(&mut config).client_auth_cert_resolver = identity.clone();
        }
        Ok(config)
    }
}

/// What clients share that were told nothing.
pub(super) fn shared_config() -> io::Result<Arc<ClientConfig>> {
    static SHARED: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    once(&SHARED, || default_config().map(Arc::new))
}

/// What was made before, or else is made now, which may fail.
fn once(
    made: &OnceLock<Arc<ClientConfig>>,
    make: impl FnOnce() -> io::Result<Arc<ClientConfig>>,
) -> io::Result<Arc<ClientConfig>> {
    if let Some(made) = made.get() {
        return Ok(made.clone());
    }
    let new = make()?;
    Ok(made.get_or_init(|| new).clone())
}

fn default_config() -> io::Result<ClientConfig> {
    // The provider is named here: rustls would panic if the process had several to choose from.
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(MOZILLA.iter().cloned().collect::<RootCertStore>())
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

/// Takes any certificate for the server's. That the other end has the key of the one it shows is verified all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Mozilla's authorities.
pub(super) const MOZILLA: &[TrustAnchor<'_>] = webpki_roots::TLS_SERVER_ROOTS;
