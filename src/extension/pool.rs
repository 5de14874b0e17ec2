//! The compressors of a thread: those of the connections that spoke last, as they left them.
//!
//! A connection that does not speak keeps its [`History`] alone. When it speaks, its compressor is there still, or one that
//! others need least is primed from its history.
//!
//! ```text
//! slots:    0         1         2              a connection's ticket: slot 1, number 9
//! number:   7         9         0
//!           live      live      free           the next without one takes slot 2; then 0 is used least
//! ```

use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::compressor::{Compressor, CompressorKind};
use super::history::History;

/// Shows which compressor goes on where its connection stopped, if it still does.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    /// The pool's. A connection may come back to a thread after it spoke on another.
    pool: usize,
    slot: usize,
    /// Of its use, which no other has in this pool: a compressor with this number is as this connection left it. 0: none.
    number: u64,
}

impl Ticket {
    /// Compresses all of `input` behind what the connection compressed before, whose end is in `history`.
    pub(super) fn compress(
        &mut self,
        kind: CompressorKind,
        history: &History,
        input: &[u8],
        out: &mut Vec<u8>,
    ) {
        let compressed = with_pool(|pool| pool.compressor(self, kind, history).compress(input, out));
        if compressed.is_none() {
            self.number = 0;
            let mut compressor = Compressor::new(kind);
            compressor.prime(history);
            compressor.compress(input, out);
        }
    }

    /// What the compressor has seen is of no more use.
    pub(super) fn give_up(&mut self) {
        if self.number > 0 {
            with_pool(|pool| {
                if let Some(slot) = pool.slot(self) {
                    slot.number = 0;
                }
            });
            self.number = 0;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_up();
    }
}

struct Pool {
    id: usize,
    /// At most [`SLOTS`].
    slots: Vec<Slot>,
    /// How often one was used.
    uses: u64,
}

struct Slot {
    compressor: Compressor,
    /// Of its last use. 0: no connection needs what it has seen.
    number: u64,
}

impl Pool {
    fn new() -> Self {
        static POOLS: AtomicUsize = AtomicUsize::new(0);
        Self { id: POOLS.fetch_add(1, Ordering::Relaxed), slots: Vec::new(), uses: 0 }
    }

    /// The compressor that goes on where the connection stopped; the ticket shows it the next time.
    fn compressor(
        &mut self,
        ticket: &mut Ticket,
        kind: CompressorKind,
        history: &History,
    ) -> &mut Compressor {
        let at = match self.slot(ticket) {
            Some(_) => ticket.slot,
            None => self.primed(kind, history),
        };
        self.uses += 1;
        // Not by a new one: the old one would give itself up.
        (ticket.pool, ticket.slot, ticket.number) = (self.id, at, self.uses);
        let slot = &mut self.slots[at];
        slot.number = self.uses;
        &mut slot.compressor
    }

    /// The slot that the ticket shows, if it is as the ticket's connection left it.
    fn slot(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(ticket.slot).filter(|_| ticket.pool == self.id && ticket.number > 0)?;
        (slot.number == ticket.number).then_some(slot)
    }

    /// A slot whose compressor was primed: one that is free, a new one, or that which was used least lately.
    fn primed(&mut self, kind: CompressorKind, history: &History) -> usize {
        let free = self.slots.iter().position(|slot| slot.number == 0 && slot.compressor.kind == kind);
        let at = match free {
            None if self.slots.len() < SLOTS => {
                self.slots.push(Slot { compressor: Compressor::new(kind), number: 0 });
                self.slots.len() - 1
            }
            _ => {
                let oldest = || (0..self.slots.len()).min_by_key(|at| self.slots[*at].number);
                // There are some.
                let at = free.or_else(oldest).unwrap_or_default();
                let compressor = &mut self.slots[at].compressor;
                if compressor.kind == kind {
                    compressor.reset();
                } else {
                    *compressor = Compressor::new(kind);
                }
                at
            }
        };
        self.slots[at].compressor.prime(history);
        at
    }
}

/// `None`: the thread ends, and has no pool any more.
fn with_pool<T>(f: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| pool.try_borrow_mut().ok().map(|mut pool| f(&mut pool))).ok().flatten()
}

std::thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::new());
}

/// How many compressors a thread keeps: 48 of 278 KiB are 13 MiB. With a decompressor, which takes 70 KiB, a thread holds less
/// than 16 MiB, however many connections it serves.
const SLOTS: usize = 48;
