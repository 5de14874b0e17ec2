//! Certificates and private keys in files of PEM (RFC 7468), read so that who wrote them finds the place that is wrong.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file that [`Server::tls_pem`](crate::Server::tls_pem) was given has no certificate, or no private key, to use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateError(Box<Fault>);

/// Boxed, since connections have room for an error.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Fault {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

impl CertificateError {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The line in it, counted from 1, where what is wrong begins; none if that is no one's.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    pub(super) fn new(file: &Path, line: Option<usize>, what: String) -> Self {
        Self(Box::new(Fault { file: file.to_owned(), line, what }))
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.file.display())?;
        if let Some(line) = self.0.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.0.what)
    }
}

impl core::error::Error for CertificateError {}

/// What was read, and from where.
pub(super) struct Read<'a, T> {
    pub(super) value: T,
    pub(super) file: &'a Path,
    pub(super) line: Option<usize>,
}

/// All certificates of a file, the server's first.
pub(super) fn read_chain(file: &Path) -> Result<Read<'_, Vec<CertificateDer<'static>>>, CertificateError> {
    let text = read(file)?;
    let sections = sections(file, &text)?;
    let certificates: Vec<_> = sections.iter().filter(|section| section.label == "CERTIFICATE").collect();
    let Some(first) = certificates.first() else {
        let exchanged = sections.iter().any(Section::is_key);
        let hint = if exchanged { ", but a private key: are the two files exchanged?" } else { "" };
        return Err(CertificateError::new(file, None, format!("there is no certificate in it{hint}")));
    };
    let line = Some(first.line);
    let value = certificates.into_iter().map(|section| section.parse(file)).collect::<Result<_, _>>()?;
    Ok(Read { value, file, line })
}

/// The first private key of a file.
pub(super) fn read_key(file: &Path) -> Result<Read<'_, PrivateKeyDer<'static>>, CertificateError> {
    let text = read(file)?;
    let sections = sections(file, &text)?;
    let Some(key) = sections.iter().find(|section| section.is_key()) else {
        let exchanged = sections.iter().any(|section| section.label == "CERTIFICATE");
        let hint = if exchanged { ", but a certificate: are the two files exchanged?" } else { "" };
        return Err(CertificateError::new(file, None, format!("there is no private key in it{hint}")));
    };
    let line = Some(key.line);
    if key.label == "ENCRYPTED PRIVATE KEY" || key.text.contains("Proc-Type: 4,ENCRYPTED") {
        let what = "the private key is encrypted: store it without a password, readable by the server alone";
        return Err(CertificateError::new(file, line, what.to_owned()));
    }
    Ok(Read { value: key.parse(file)?, file, line })
}

fn read(file: &Path) -> Result<String, CertificateError> {
    let bytes = fs::read(file)
        .map_err(|error| CertificateError::new(file, None, format!("it cannot be read: {error}")))?;
    // PEM may have text of whatever encoding between its sections.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
