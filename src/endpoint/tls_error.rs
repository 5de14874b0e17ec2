//! What the errors of TLS that users meet mean, in sentences that they can act on.

use alloc::string::ToString;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerMisbehaved};

/// What the error means, if it is one of TLS: to be said before what it says itself.
pub(super) fn explain(error: &io::Error) -> Option<&'static str> {
    Some(match error.get_ref()?.downcast_ref()? {
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            "by ALPN the server did not choose what it was offered, which is http/1.1, or h2 for HTTP/2"
        }
        Error::NoApplicationProtocol => {
            "by ALPN the client offered no protocol that the server's configuration lists"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other end does not speak TLS, which wss:// and https:// ask for"
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client's certificate, which Client::identity_pem gives"
        }
        Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the other end trusts no authority of the certificate that it was shown"
        }
        Error::InvalidCertificate(wrong) => return explain_certificate(wrong),
        _ => return None,
    })
}

/// Of a server, or of a client that was asked for one.
fn explain_certificate(wrong: &CertificateError) -> Option<&'static str> {
    Some(match wrong {
        CertificateError::UnknownIssuer => {
            "the other end's certificate is from no authority that is trusted here: if it is to be, a client names the \
             authority's certificate with Client::trust_pem, or trusts the system's with Client::trust_native"
        }
        CertificateError::BadSignature => {
            "the other end's certificate, or what it has signed, is not by the key that it should be by: was the \
             certificate made anew, and the one that is trusted is the former?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than the URI's host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the other end's certificate has expired, or this machine's clock is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the other end's certificate is not valid yet, or this machine's clock is wrong"
        }
        // What checks certificates is not named here: its errors are known by what they say.
        CertificateError::Other(other) => match &*other.to_string() {
            "CaUsedAsEndEntity" => {
                "the other end shows an authority's certificate, and not one of its own: make it with the extension \
                 basicConstraints=CA:FALSE"
            }
            "UnsupportedCertVersion" => {
                "the other end's certificate is not of version 3 of X.509: make it with the extension subjectAltName"
            }
            _ => return None,
        },
        _ => return None,
    })
}
