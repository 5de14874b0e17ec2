//! `Endpoint`: opening handshake, connection and deadlines without I/O, in programs that go round only when an edge, or
//! `due`, says so.

mod pipe;
mod program;

mod careless;
mod closing;
mod deadlines;
mod messages;
mod opening;

/// How many bytes pipes hold: from one that takes a byte at a time, and a hesitant one, to one that takes all.
const ROOMS: [usize; 3] = [1, 7, 4096];
