//! A compressor: zlib's, of a certain kind, that can go on from what was deflated before.

use alloc::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::history::History;

/// What distinguishes one fresh compressor from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CompressorKind {
    /// At most 9.
    pub(super) level: u8,
    /// 9 to 15.
    pub(super) window_bits: u8,
}

/// Compresses to blocks that end at the boundary of a byte. It holds at most 278 KiB: twice its window, as much for
/// chains, 128 KiB of hashes, and [some](MEM_LEVEL) for symbols.
pub(super) struct Compressor {
    pub(super) kind: CompressorKind,
    deflate: Deflate,
}

impl Compressor {
    /// With an empty window.
    pub(super) fn new(kind: CompressorKind) -> Self {
        let config = DeflateConfig {
            level: kind.level.into(),
            // Negative: raw deflate.
            window_bits: -i32::from(kind.window_bits),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Self { kind, deflate: Deflate::new_with_config(config) }
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        self.deflate.reset();
    }

    /// A fresh one goes on from what was deflated before by another: since that ended at the boundary of a byte, nothing
    /// else is needed than the window.
    pub(super) fn prime(&mut self, history: &History) {
        let (older, newer) = history.as_slices();
        for bytes in [older, newer] {
            if !bytes.is_empty() {
                // Of a raw stream, between blocks: it does not fail.
                let _ = self.deflate.set_dictionary(bytes);
            }
        }
    }

    /// Compresses all of `input`, and appends what it comes to, which ends with an empty stored block.
    pub(super) fn compress(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        let mut room = (input.len() / 2).clamp(64, MOST_ROOM);
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let (total_in, total_out) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.compress(input, &mut out[start..], DeflateFlush::SyncFlush);
            // Both are bounded by the slices.
            let taken = usize::try_from(self.deflate.total_in() - total_in).unwrap_or(input.len());
            let made = usize::try_from(self.deflate.total_out() - total_out).unwrap_or(room);
            input = input.get(taken..).unwrap_or_default();
            out.truncate(start + made);
            // Raw deflate fails only for want of input or room; with room to spare all was flushed.
            if status.is_err() || (input.is_empty() && made < room) {
                break;
            }
            // What it has taken already may still be to come.
            room = (2 * room).min(MOST_ROOM);
        }
    }
}

/// How much is made at once.
const MOST_ROOM: usize = 16 << 10;

/// How many symbols a block has, 2^(6 + 5) of them: at 8, zlib's default, they are 16,384, and hold 112 KiB instead of 14.
/// Messages of 150 B to 16 KiB came out as small, and took a tenth to a third less time, since more of it stays in the cache.
const MEM_LEVEL: i32 = 5;
