//! TLS (RFC 6455 section 10.6) by rustls: what both adapters' `connect` need for `wss://`.

use alloc::string::ToString;
use alloc::sync::Arc;
use std::io;
use std::sync::OnceLock;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::client::Client;
use crate::handshake::uri::Uri;

/// The configuration that the client was given, or the default one, which is made once.
pub(crate) fn client_config(client: &Client) -> io::Result<Arc<ClientConfig>> {
    static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = client.tls.as_ref().or_else(|| DEFAULT.get()) {
        return Ok(config.clone());
    }
    // The provider is named here: rustls would panic if the process had several to choose from.
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>())
        .with_no_client_auth();
    Ok(DEFAULT.get_or_init(|| Arc::new(config)).clone())
}

/// "Clients MUST use the Server Name Indication extension in the TLS handshake" (6455-4.1-17).
pub(crate) fn server_name(uri: &Uri) -> io::Result<ServerName<'static>> {
    ServerName::try_from(uri.host().to_string()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the host is not a name that TLS can verify")
    })
}

/// How many bytes of records rustls keeps that the transport has not taken, beside what is queued: one record is enough
/// to write, and more would be held beyond `write_buffer_size`.
pub(crate) const RECORDS: usize = 16 << 10;
