//! The logic of the fuzz targets: a function for each, which panics where an invariant is broken.
//!
//! What needs nothing but sansocket is in `targets`, which the crate's own tests include, to replay the
//! committed corpora on the stable toolchain.
#![forbid(unsafe_code)]

mod differential;
mod targets;

// The targets of permessage-deflate are functions of the crate's tests, which run them on pseudo-random bytes.
#[allow(dead_code, unused_macros, unreachable_pub, clippy::pedantic, reason = "used here in part")]
#[path = "../../tests/common/mod.rs"]
mod common;
#[allow(dead_code, unused_imports, unreachable_pub, clippy::pedantic, reason = "used here in part")]
#[path = "../../tests/deflate/endpoint.rs"]
mod endpoint;
#[allow(dead_code, unused_imports, unreachable_pub, clippy::pedantic, reason = "used here in part")]
#[path = "../../tests/deflate/fuzz.rs"]
mod permessage_deflate;

pub use differential::differential;
pub use targets::*;

/// permessage-deflate, by the first byte: what two endpoints agree on; what hostile bytes inflate to; and that what
/// one side compresses the other inflates.
pub fn deflate(data: &[u8]) {
    if let Some((property, data)) = data.split_first() {
        match property % 3 {
            0 => permessage_deflate::negotiate(data),
            1 => permessage_deflate::inflate(data),
            _ => permessage_deflate::round_trip(data),
        }
    }
}
