//! Two connections in one thread, under virtual time, over pipes that cut and delay what passes.
#![cfg(feature = "std")]

mod link;

mod closing;
mod conversations;
mod timeouts;
