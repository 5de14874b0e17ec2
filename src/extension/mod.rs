//! Extensions (RFC 6455 section 9). The one there is: permessage-deflate (RFC 7692), which compresses
//! messages and marks those it compressed with RSV1.
//!
//! Nothing is offered or accepted unless [`Config::deflate`](crate::Config::deflate) says so; without the
//! feature `deflate`, nothing can.

#[cfg(not(feature = "deflate"))]
mod absent;
#[cfg(feature = "deflate")]
mod compressed_once;
#[cfg(feature = "deflate")]
mod compressor;
#[cfg(feature = "deflate")]
mod decompressor;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "deflate")]
mod deflater;
#[cfg(feature = "deflate")]
mod history;
#[cfg(feature = "deflate")]
mod inflater;
#[cfg(feature = "deflate")]
mod pool;

#[cfg(all(not(feature = "deflate"), feature = "std", feature = "handshake"))]
pub(crate) use self::absent::Deflating;
#[cfg(not(feature = "deflate"))]
pub(crate) use self::absent::{AgreedDeflate, CompressedOnce, CompressorKind, Deflate, Deflater, Inflater};
#[cfg(feature = "deflate")]
pub use self::deflate::{AgreedDeflate, Deflate};
#[cfg(feature = "deflate")]
pub(crate) use self::{
    compressed_once::CompressedOnce,
    compressor::CompressorKind,
    deflater::{Deflater, Deflating},
    inflater::Inflater,
};

/// How far an [`Inflater`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inflated {
    /// How many bytes of the part were inflated.
    pub(crate) consumed: usize,
    /// All of the part was, and all it inflates to was appended.
    pub(crate) done: bool,
}
