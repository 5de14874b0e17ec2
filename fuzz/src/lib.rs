//! The logic of the fuzz targets: a function for each, which panics where an invariant is broken.
//!
//! What needs nothing but sansocket is in `targets`, which the crate's own tests include, to replay the
//! committed corpora on the stable toolchain.
#![forbid(unsafe_code)]

mod channels;
mod channels_envelopes;
mod deflate;
mod deflate_contexts;
mod differential;
mod targets;

pub use channels::{channels_binary, channels_text};
pub use channels_envelopes::channels_envelopes;
pub use deflate::{deflate_inflate, deflate_negotiation, deflate_round_trip};
pub use deflate_contexts::deflate_contexts;
pub use differential::differential;
pub use targets::*;
