//! Base64 (RFC 4648): read with padding or without it, and of either alphabet. A subprotocol can have neither padding nor `/`, which
//! no name of one may have.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The text that stands for the bytes, as browsers write it: of the usual alphabet, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// The same, of the alphabet for URLs, without padding.
pub(crate) fn encode_for_url(bytes: &[u8]) -> String {
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes that the text stands for. `None`: it is none, or has bits that stand for nothing.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let usual: Vec<u8> = text
        .bytes()
        .map(|byte| {
            if byte == b'-' {
                b'+'
            } else if byte == b'_' {
                b'/'
            } else {
                byte
            }
        })
        .collect();
    EITHER_PADDING.decode(usual).ok()
}

const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
