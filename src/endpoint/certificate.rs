//! Certificates and private keys in files of PEM (RFC 7468), read so that who wrote them finds the place that is wrong.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
#[cfg(feature = "rustls-native-certs")]
use rustls_native_certs::ErrorKind;

/// A file that [`Server::tls_pem`](crate::Server::tls_pem), [`Client::identity_pem`](crate::Client::identity_pem) or
/// [`Client::trust_pem`](crate::Client::trust_pem) was given has no certificate, or no private key, to use; or the system has
/// no certificates of authorities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateError(Box<Fault>);

/// Boxed, since connections have room for an error.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Fault {
    file: Option<PathBuf>,
    line: Option<usize>,
    what: String,
}

impl CertificateError {
    /// The file; none if it is what the system has.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line in it, counted from 1, where what is wrong begins; none if that is no one's.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    pub(super) fn new(file: &Path, line: Option<usize>, what: String) -> Self {
        Self(Box::new(Fault { file: Some(file.to_owned()), line, what }))
    }

    /// It is in no file.
    #[cfg(feature = "rustls-native-certs")]
    fn of_system(what: String) -> Self {
        Self(Box::new(Fault { file: None, line: None, what }))
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.0.line {
                write!(f, ", line {line}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.0.what)
    }
}

impl core::error::Error for CertificateError {}

/// A certificate chain, the owner's own certificate first, and the private key of that, from two files.
pub(super) fn read_identity(certificates: &Path, key: &Path) -> Result<SingleCertAndKey, CertificateError> {
    let (chain_text, key_text) = (read(certificates)?, read(key)?);
    let chain = certificates_in(certificates, &chain_text)?;
    let (line, private_key) = private_key_in(key, &key_text)?;
    let first_line = chain.first().map(|(line, _)| *line);
    let chain = chain.into_iter().map(|(_, certificate)| certificate).collect();
    let certified = CertifiedKey::from_der(chain, private_key, &default_provider());
    certified.map(SingleCertAndKey::from).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::new(
            key,
            Some(line),
            "the key is not the one of the first certificate in the other file".to_owned(),
        ),
        rustls::Error::InvalidCertificate(_) => {
            CertificateError::new(certificates, first_line, error.to_string())
        }
        error => CertificateError::new(key, Some(line), error.to_string()),
    })
}

/// Adds the certificates of a file to those of the authorities that are trusted.
pub(super) fn read_authorities(file: &Path, roots: &mut RootCertStore) -> Result<(), CertificateError> {
    for (line, certificate) in certificates_in(file, &read(file)?)? {
        roots.add(certificate).map_err(|error| CertificateError::new(file, Some(line), error.to_string()))?;
    }
    Ok(())
}

/// Adds the system's certificates of authorities, but those that are of no use here.
#[cfg(feature = "rustls-native-certs")]
pub(super) fn read_native_authorities(roots: &mut RootCertStore) -> Result<(), CertificateError> {
    let found = rustls_native_certs::load_native_certs();
    // Somebody means this file: what other places have is not to stand in for it.
    let named = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    for error in &found.errors {
        if let ErrorKind::Io { inner, path } = &error.kind
            && named.as_deref() == Some(path.as_os_str())
        {
            return Err(unreadable(path, inner));
        }
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(CertificateError::of_system(
            "no certificate of an authority was found, neither where SSL_CERT_FILE and SSL_CERT_DIR say nor, without these, \
             where the system has them (on Debian, in the package ca-certificates)"
                .to_owned(),
        ));
    }
    Ok(())
}

/// All certificates of a file, each with its line: there is one at least.
fn certificates_in(
    file: &Path,
    text: &str,
) -> Result<Vec<(usize, CertificateDer<'static>)>, CertificateError> {
    let sections = sections(file, text)?;
    let certificates: Vec<_> = sections
        .iter()
        .filter(|section| section.label == "CERTIFICATE")
        .map(|section| Ok((section.line, section.parse(file)?)))
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        let exchanged = sections.iter().any(Section::is_key);
        let hint = if exchanged { ", but a private key: are the two files exchanged?" } else { "" };
        return Err(CertificateError::new(file, None, format!("there is no certificate in it{hint}")));
    }
    Ok(certificates)
}

/// The first private key of a file, with its line.
fn private_key_in(file: &Path, text: &str) -> Result<(usize, PrivateKeyDer<'static>), CertificateError> {
    let sections = sections(file, text)?;
    let Some(key) = sections.iter().find(|section| section.is_key()) else {
        let exchanged = sections.iter().any(|section| section.label == "CERTIFICATE");
        let hint = if exchanged { ", but a certificate: are the two files exchanged?" } else { "" };
        return Err(CertificateError::new(file, None, format!("there is no private key in it{hint}")));
    };
    if key.label == "ENCRYPTED PRIVATE KEY" || key.text.contains("Proc-Type: 4,ENCRYPTED") {
        let what = "the private key is encrypted: store it without a password, readable by its program alone";
        return Err(CertificateError::new(file, Some(key.line), what.to_owned()));
    }
    Ok((key.line, key.parse(file)?))
}

fn read(file: &Path) -> Result<String, CertificateError> {
    let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
    // PEM may have text of whatever encoding between its sections.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(file: &Path, error: &io::Error) -> CertificateError {
    CertificateError::new(file, None, format!("it cannot be read: {error}"))
}

/// What is between a `BEGIN` and its `END`, with both.
struct Section<'a> {
    /// Of its first line, counted from 1.
    line: usize,
    label: &'a str,
    text: &'a str,
}

impl Section<'_> {
    fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    fn parse<T: PemObject>(&self, file: &Path) -> Result<T, CertificateError> {
        T::from_pem_slice(self.text.as_bytes()).map_err(|error| {
            let label = self.label;
            CertificateError::new(file, Some(self.line), format!("the {label} that begins here: {error}"))
        })
    }
}

fn sections<'a>(file: &Path, text: &'a str) -> Result<Vec<Section<'a>>, CertificateError> {
    let mut sections = Vec::new();
    let mut begun: Option<(usize, usize, &str)> = None;
    let mut start = 0;
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        let end = start + content.len();
        if let Some(label) = marker(content, "-----BEGIN ") {
            if let Some((begin, ..)) = begun {
                return Err(unended(file, begin));
            }
            begun = Some((line, start, label));
        } else if let Some(label) = marker(content, "-----END ") {
            match begun.take() {
                Some((line, start, begun)) if begun == label => {
                    sections.push(Section { line, label, text: text.get(start..end).unwrap_or_default() });
                }
                _ => {
                    let what = format!("an END of {label} that had no BEGIN");
                    return Err(CertificateError::new(file, Some(line), what));
                }
            }
        }
        start = end;
    }
    begun.map_or(Ok(sections), |(begin, ..)| Err(unended(file, begin)))
}

fn unended(file: &Path, line: usize) -> CertificateError {
    CertificateError::new(
        file,
        Some(line),
        "what begins here has no END: the file may be cut short".to_string(),
    )
}

/// What the line is the beginning, or the end, of.
fn marker<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix(start)?.strip_suffix("-----")
}
