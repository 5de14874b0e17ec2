//! Random bytes, for masking keys and nonces.

/// Fills `bytes` from a CSPRNG that the operating system seeds.
pub(crate) fn random(bytes: &mut [u8]) {
    use rand::Rng;
    rand::rng().fill_bytes(bytes);
}
