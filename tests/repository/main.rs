//! What the repository says of itself: its documentation, the requirements that its tests name, the fuzz targets' corpora.
//!
//! The published package has none of this.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod documentation;
mod fuzz_corpus;
mod requirements;
