//! A task that writes what was left queued.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use tokio::runtime::Handle;

use super::shared::{FlusherState, Shared};
use super::timer::Timer;
use super::transport::Transport;
use super::wakers::Half;
use crate::endpoint::Error;
use crate::endpoint::sendable::ToSend;

impl<S: Transport> Shared<S> {
    /// Queues `message`, once there is room, and then writes it; or has it written later, if that is worth
    /// while.
    #[inline]
    pub(super) fn poll_send(
        self: &Arc<Self>,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Result<(), Error>> {
        if self.is_unread() {
            if let Some(queued) = self.leave_queued(message) {
                return Poll::Ready(queued);
            }
            if let Some(queued) = ready!(self.poll_room_and_leave_queued(cx, timer, message)) {
                return Poll::Ready(queued);
            }
        } else if let Some(written) = self.send_alone(message) {
            return Poll::Ready(written);
        }
        self.poll_write(cx, timer, message)
    }

    /// Waits for room for `message`, and then leaves it queued. `None` if it is queued already, or there is nobody to
    /// write it.
    #[cold]
    fn poll_room_and_leave_queued(
        self: &Arc<Self>,
        cx: &Context<'_>,
        timer: &mut Timer,
        message: &mut Option<impl ToSend>,
    ) -> Poll<Option<Result<(), Error>>> {
        while message.is_some() {
            if let Err(error) = ready!(self.poll_room(cx, timer)) {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(queued) = self.leave_queued(message) {
                return Poll::Ready(Some(queued));
            }
        }
        Poll::Ready(None)
    }

    /// Queues `message` for the flusher to write. `None` if there is no room for it, or nobody to write it.
    fn leave_queued(self: &Arc<Self>, message: &mut Option<impl ToSend>) -> Option<Result<(), Error>> {
        let mut locked = self.lock();
        if locked.outbound.is_full() {
            return None;
        }
        let message = message.take()?;
        if let Err(error) = locked.outbound.queue(|outbound| message.queue(outbound)) {
            return Some(Err(error));
        }
        if matches!(locked.flusher, FlusherState::Due) {
            return Some(Ok(()));
        }
        let flusher = core::mem::replace(&mut locked.flusher, FlusherState::Due);
        drop(locked);
        self.wake_flusher(flusher).then_some(Ok(()))
    }

    /// Has the flusher do what is due. False if there is no runtime to spawn it on.
    fn wake_flusher(self: &Arc<Self>, flusher: FlusherState) -> bool {
        match flusher {
            FlusherState::Due | FlusherState::Retired => true,
            FlusherState::Waiting(waker) => {
                waker.wake();
                true
            }
            FlusherState::None => {
                let flusher = Flusher { shared: self.clone(), timer: Timer::default(), retired: false };
                // Where it cannot be spawned it is dropped, and says so.
                Handle::try_current().map(|runtime| runtime.spawn(flusher)).is_ok()
            }
        }
    }
}

/// Writes what was left queued, as soon as the task that queued it waits: until then this one is not
/// polled. Once it was needed it lives until the connection has been silent for long; or until that ends, and
/// all is written.
struct Flusher<S> {
    shared: Arc<Shared<S>>,
    /// The deadline of what is being written.
    timer: Timer,
    /// It is over, and another one may have taken its place.
    retired: bool,
}

impl<S: Transport> Future for Flusher<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, timer, retired } = &mut *self;
        let written = shared.poll_sending(Half::Flusher, cx, |locked, all| {
            if matches!(locked.flusher, FlusherState::Retired) {
                locked.flusher = FlusherState::None;
                *retired = true;
                return Poll::Ready(true);
            }
            // An error is for the next call of a half to return.
            let _ = ready!(locked.poll_flush_in_time(all, timer));
            locked.flusher = FlusherState::Waiting(cx.waker().clone());
            Poll::Ready(locked.halves == 0)
        });
        match written {
            Poll::Ready(true) => Poll::Ready(()),
            Poll::Pending if shared.is_cut_off() => Poll::Ready(()),
            Poll::Ready(false) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<S> Drop for Flusher<S> {
    fn drop(&mut self) {
        if !self.retired {
            // Its waker is not to be dropped under the lock.
            let _was = core::mem::replace(&mut self.shared.lock().flusher, FlusherState::None);
        }
    }
}
