//! Random bytes, for masking keys and nonces.

use core::cell::Cell;

use rand::Rng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use super::process::process;

/// Fills `bytes` from a CSPRNG that the operating system seeds: anew when a fork has copied its state.
pub(crate) fn random(bytes: &mut [u8]) {
    let (mut rng, process) = (rand::rng(), process());
    if SEEDED_IN.get() != process {
        if rng.reseed().is_err() {
            // As when the generator is seeded first: without randomness there is nothing to go on with.
            return UnwrapErr(SysRng).fill_bytes(bytes);
        }
        SEEDED_IN.set(process);
    }
    rng.fill_bytes(bytes);
}

std::thread_local! {
    /// The process in which the thread's generator was last seeded here.
    static SEEDED_IN: Cell<u32> = const { Cell::new(0) };
}
