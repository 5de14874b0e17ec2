//! Extensions (RFC 6455 section 9). The one there is: permessage-deflate (RFC 7692), which compresses
//! messages and marks those it compressed with RSV1.
//!
//! Nothing is offered or accepted unless [`Config::deflate`](crate::Config::deflate) says so.

mod deflate;
mod deflater;
mod inflater;

pub use deflate::{AgreedDeflate, Deflate};
pub(crate) use deflater::Deflater;
pub(crate) use inflater::Inflater;

/// "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end" of a compressed message (RFC 7692
/// section 7.2.1); "append 4 octets of 0x00 0x00 0xff 0xff to the tail end" to inflate it (7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
