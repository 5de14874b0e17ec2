//! What the programs of this package share.

pub mod certificate;
pub mod echo;
pub mod load;
pub mod payload;
pub mod server;
pub mod stats;
pub mod stream;

/// The key of every opening handshake here, from RFC 6455 section 1.3, and the answer to it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The value of `--name VALUE` on the command line.
pub fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
    Some(value.parse().unwrap_or_else(|_| panic!("{name} cannot be {value:?}")))
}

/// Whether `--name` is on the command line.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}
