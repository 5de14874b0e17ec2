//! NATS.

/// NATS.
#[derive(Debug)]
pub struct Nats;
