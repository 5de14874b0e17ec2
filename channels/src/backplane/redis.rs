//! Redis.

/// Redis.
#[derive(Debug)]
pub struct Redis;
