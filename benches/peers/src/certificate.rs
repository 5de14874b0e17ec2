//! The TLS of all servers here: one configuration, with a certificate that is made when the server starts.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::PrivateKeyDer;

/// With tickets, so that clients may resume their sessions, however many they are.
pub fn server_config() -> Arc<ServerConfig> {
    let own = rcgen::generate_simple_self_signed([String::from("server.example")]).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a certificate with its key");
    config.ticketer = Ticketer::new().expect("random bytes");
    Arc::new(config)
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
