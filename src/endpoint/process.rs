//! Which process this is: the child of a fork has copies of what its parent drew ahead, and of what the parent knows of
//! threads that the child does not have.

/// The number of this process, which is another one in the child of a fork. It takes a system call.
pub(crate) fn process() -> u32 {
    // Elsewhere there is no fork, and there may be no numbers.
    if cfg!(unix) { std::process::id() } else { 1 }
}
