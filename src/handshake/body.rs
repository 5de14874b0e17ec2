//! The body of a response that is sent.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::utf8::Utf8Bytes;

/// The body of a [`Reply`](super::Reply): bytes that its clones share, and that are not copied where they are static or
/// owned. It is made of what a page is usually in: `&'static str` and `include_str!`, `&'static [u8]` and
/// `include_bytes!`, `String`, `Vec<u8>`, [`Bytes`] and [`Utf8Bytes`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Body(Bytes);

macro_rules! from {
    ($($from:ty),+) => {$(
        impl From<$from> for Body {
            fn from(body: $from) -> Self {
                Self(body.into())
            }
        }
    )+};
}

from!(&'static str, &'static [u8], String, Vec<u8>, Bytes, Utf8Bytes);

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(body: &'static [u8; N]) -> Self {
        Self::from(body.as_slice())
    }
}

impl From<Body> for Bytes {
    fn from(body: Body) -> Self {
        body.0
    }
}
