//! What the repository says of itself: its documentation, its layout, the requirements that its tests name, the fuzz
//! targets' corpora, the versions of what it is built on.
//!
//! The published package has none of this.
#![allow(unreachable_pub, reason = "the modules of one test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod advisories;
mod citations;
mod documentation;
mod fuzz_corpus;
mod layering;
mod links;
mod names;
mod requirements;
mod source;
