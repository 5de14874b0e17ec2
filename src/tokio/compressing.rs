//! Compressing large messages: not under the lock that the receiving half polls with, and not all in one poll.

use core::task::{Context, Poll, ready};

use super::shared::Shared;
use super::turns::poll_yield;
use crate::endpoint::Error;
use crate::endpoint::outgoing::{Begun, Outgoing};
use crate::endpoint::sendable::ToSend;

impl<S> Shared<S> {
    /// Compresses `message`, if it is to be compressed; ready when it can be queued.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_compress<M: ToSend>(
        &self,
        cx: &mut Context<'_>,
        message: &mut Outgoing<M>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        if let Outgoing::AsItIs(large) = message
            && let Some(large) = large.take()
        {
            *message = self.lock().outbound.begin(large)?;
        }
        match message {
            Outgoing::Compressing(Begun(Some(compressing))) => {
                if compressing.step() {
                    return Poll::Ready(Ok(()));
                }
                poll_yield(cx)
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Compresses what was set aside, and queues it.
    pub(super) fn poll_aside(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut locked = self.lock();
        let Some(mut compressing) = locked.outbound.take_aside() else {
            return Poll::Ready(Ok(()));
        };
        drop(locked);
        let done = compressing.step();
        let mut locked = self.lock();
        if done {
            return Poll::Ready(locked.outbound.queue(|outbound| outbound.send_compressing(compressing)));
        }
        locked.outbound.set_aside(compressing);
        drop(locked);
        poll_yield(cx)
    }
}
