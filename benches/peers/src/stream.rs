//! What the load client speaks over: TCP, or TLS over it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::certificate::provider;

pub enum Stream<T: Read + Write> {
    Plain(T),
    Tls(Box<StreamOwned<ClientConnection, T>>),
}

impl<T: Read + Write> Stream<T> {
    /// TLS with a client's configuration; a server of the same number may be resumed.
    pub fn secure(tcp: T, config: &Arc<ClientConfig>, number: usize) -> Self {
        let name = ServerName::try_from(format!("server{number}.example")).expect("a name");
        let connection =
            ClientConnection::new(config.clone(), name).expect("a configuration that is complete");
        Self::Tls(Box::new(StreamOwned::new(connection, tcp)))
    }

    /// The same over another stream.
    pub fn map<U: Read + Write>(self, f: impl FnOnce(T) -> U) -> Stream<U> {
        match self {
            Self::Plain(tcp) => Stream::Plain(f(tcp)),
            Self::Tls(tls) => Stream::Tls(Box::new(StreamOwned::new(tls.conn, f(tls.sock)))),
        }
    }

    /// The stream below TLS.
    pub fn get_mut(&mut self) -> &mut T {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &mut tls.sock,
        }
    }

    /// Whether nothing more is to be read, most likely, once so much less was read than there was room for.
    pub fn ends_short(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether its TLS was resumed.
    pub fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        }
    }
}

impl<T: Read + Write> Read for Stream<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl<T: Read + Write> Write for Stream<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A client that takes any certificate: those of the servers here are made when they start.
pub fn client_config(resumes: bool) -> Arc<ClientConfig> {
    let provider = provider();
    let anybody = Arc::new(Anybody(provider.clone()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    config.resumption = if resumes { Resumption::in_memory_sessions(4096) } else { Resumption::disabled() };
    Arc::new(config)
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
