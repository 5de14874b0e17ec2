//! TLS (RFC 6455 section 10.6) by rustls: what both adapters need for `wss://`, and for TLS on a server.

use alloc::format;
use alloc::string::ToString;
use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerMisbehaved};

use super::error::Error;
use crate::handshake::RequestError;

/// "Clients MUST use the Server Name Indication extension in the TLS handshake" (6455-4.1-17).
pub(crate) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_string()).map_err(|_| {
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

/// Says what it was, and what can be done about it, where TLS failed in a way that users meet.
pub(crate) fn explain(error: Error) -> Error {
    let sentence = |error: &io::Error| error.get_ref()?.downcast_ref().and_then(what);
    let with = |error: io::Error, what| io::Error::new(error.kind(), format!("{what}: {error}"));
    match error {
        Error::Connect(error) => match sentence(&error) {
            Some(what) => Error::Connect(with(error, what)),
            None => Error::Connect(error),
        },
        // A server's alert may come when the client has begun to speak: in TLS 1.3 the client is ready first.
        Error::ConnectionLost(error) => match sentence(&error) {
            Some(what) => Error::ConnectionLost(with(error, what)),
            None => Error::ConnectionLost(error),
        },
        error => error,
    }
}

fn what(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            "by ALPN http/1.1 was offered, and the server did not choose it"
        }
        rustls::Error::NoApplicationProtocol => {
            "by ALPN the client offered no protocol that the server's configuration lists"
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other end does not speak TLS, which wss:// and https:// ask for"
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client's certificate, which Client::identity_pem gives"
        }
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the other end trusts no authority of the certificate that it was shown"
        }
        _ => return None,
    })
}

/// The same on a client, where the certificate that is wrong is the server's.
pub(crate) fn explain_to_client(error: Error) -> Error {
    let Error::Connect(error) = error else { return explain(error) };
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(wrong)) = cause else {
        return explain(Error::Connect(error));
    };
    let what = match wrong {
        CertificateError::UnknownIssuer => {
            "the server's certificate is from no authority that this client trusts: if it is to, name the authority's \
             certificate with Client::trust_pem, or trust those of the system with Client::trust_native"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than the URI's host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired, or this machine's clock is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet, or this machine's clock is wrong"
        }
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "the server shows an authority's certificate, and not one of its own: make it with the extension \
             basicConstraints=CA:FALSE"
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
