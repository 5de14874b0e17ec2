//! `Endpoint`: opening handshake, connection and deadlines without I/O, in programs that go round only when a poll, or
//! `due`, says so.

mod pipe;
mod program;

mod careless;
mod closing;
mod deadlines;
mod messages;
mod opening;

/// How many bytes pipes hold: from one that takes a byte at a time, and a hesitant one, to one that takes all.
const ROOMS: [usize; 4] = [1, 7, LEVELS, 4096];

/// With pipes of this room, a program's poll tells of states; else it is edge-triggered.
const LEVELS: usize = 100;
