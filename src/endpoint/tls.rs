//! TLS (RFC 6455 section 10.6) by rustls: what both adapters need for `wss://`, and for TLS on a server.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use std::io;
use std::sync::OnceLock;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, InvalidMessage, PeerMisbehaved, RootCertStore};

use super::client::Client;
use super::error::Error;
use crate::handshake::RequestError;
use crate::handshake::uri::Uri;

/// The configuration that the client was given, or the default one, which is made once. Of the protocols that a
/// configuration lists for ALPN (RFC 7301), it offers the one that is spoken here.
pub(crate) fn client_config(client: &Client) -> io::Result<Arc<ClientConfig>> {
    static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = client.tls.as_ref().or_else(|| DEFAULT.get()) {
        let mut config = config.clone();
        if config.alpn_protocols.iter().any(|protocol| protocol != HTTP_1_1) {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1_1.to_vec()];
        }
        return Ok(config);
    }
    // The provider is named here: rustls would panic if the process had several to choose from.
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>())
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(DEFAULT.get_or_init(|| Arc::new(config)).clone())
}

/// "Clients MUST use the Server Name Indication extension in the TLS handshake" (6455-4.1-17).
pub(crate) fn server_name(uri: &Uri) -> io::Result<ServerName<'static>> {
    ServerName::try_from(uri.host().to_string()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the host is not a name that TLS can verify")
    })
}

/// What client and server agreed on by ALPN has to be what is spoken next.
pub(crate) fn check_alpn(agreed: Option<&[u8]>) -> Result<(), Error> {
    match agreed {
        None | Some(HTTP_1_1) => Ok(()),
        Some(other) => Err(Error::Connect(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("ALPN chose {}, and what is spoken here is http/1.1", other.escape_ascii()),
        ))),
    }
}

/// Whether what a client sends first may be TLS: HTTP begins with a letter, and is not answered with an alert, which
/// nobody could read.
pub(crate) fn check_first(bytes: &[u8]) -> Result<(), Error> {
    match bytes {
        [b'A'..=b'Z', ..] => Err(RequestError::MissingTls.into()),
        _ => Ok(()),
    }
}

/// Says what it was, where TLS failed because of ALPN, or since the other end does not speak TLS.
pub(crate) fn explain(error: Error) -> Error {
    let Error::Connect(error) = error else { return error };
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    let what = match cause {
        Some(
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
        ) => "by ALPN http/1.1 was offered, and the server did not choose it",
        Some(rustls::Error::NoApplicationProtocol) => {
            "by ALPN the client offered no protocol that the server's configuration lists"
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the other end does not speak TLS, which wss:// asks for"
        }
        _ => return Error::Connect(error),
    };
    Error::Connect(io::Error::new(error.kind(), format!("{what}: {error}")))
}

/// As registered for ALPN (RFC 7301 section 6).
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// How many bytes of records rustls keeps that the transport has not taken, beside what is queued: one record is enough
/// to write, and more would be held beyond `write_buffer_size`.
pub(crate) const RECORDS: usize = 16 << 10;
