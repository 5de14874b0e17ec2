//! What is allocated. Each test counts what its own thread allocates, and so may run beside the others.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in helpers, as in tests")]

#[cfg(feature = "std")]
#[path = "../common/mod.rs"]
mod common;

/// A stream that never waits, and so has no use for timeouts.
#[cfg(all(feature = "tokio", feature = "blocking"))]
macro_rules! untimed {
    ($stream:ty) => {
        impl sansocket::blocking::Transport for $stream {
            fn set_read_timeout(&mut self, _: Option<std::time::Duration>) -> std::io::Result<()> {
                Ok(())
            }

            fn set_write_timeout(&mut self, _: Option<std::time::Duration>) -> std::io::Result<()> {
                Ok(())
            }

            fn shutdown_write(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

mod adapters;
mod core;
mod endpoint;
mod held;
