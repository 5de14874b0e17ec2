//! What an adapter keeps for a server from one call to the next.

use alloc::sync::Arc;
use core::any::Any;
use std::sync::OnceLock;

/// One thing of whichever type the adapter asks for: no adapter is known here.
#[derive(Debug, Default)]
pub(crate) struct Kept(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// What is kept, made first if there is nothing.
    pub(crate) fn get<T: Send + Sync + 'static>(&self, make: impl Fn() -> T) -> Arc<T> {
        let kept = self.0.get_or_init(|| Arc::new(make())).clone();
        // Whoever asks asks for the same type.
        kept.downcast().unwrap_or_else(|_| Arc::new(make()))
    }
}
