//! A message on its way to members of a topic.

use std::sync::Arc;

use crate::audience::Audience;
use crate::frame::Frame;
use crate::payload::Payload;

/// A message on its way to members of a topic: made once for all of them, before the topic is locked.
pub(crate) struct Parcel<'a> {
    pub(crate) event: &'a str,
    /// Part of `frame`.
    pub(crate) payload: Payload,
    /// As clients get it that speak the stock dialect.
    pub(crate) frame: Arc<Frame>,
    pub(crate) audience: &'a Audience,
}
