//! A broker in memory, for tests.

/// A broker in memory.
#[derive(Debug)]
pub struct MemoryBus;

/// A node's end of it.
#[derive(Debug)]
pub struct MemoryNode;
