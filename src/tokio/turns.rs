//! Turns of the tasks that share a thread.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

/// Lets other tasks have their turn, and what waits for the runtime's driver too.
pub(super) fn poll_yield<T>(cx: &Context<'_>) -> Poll<T> {
    match pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(cx.waker())) {
        Poll::Pending => {}
        // It would be polled no more.
        Poll::Ready(()) => cx.waker().wake_by_ref(),
    }
    Poll::Pending
}
