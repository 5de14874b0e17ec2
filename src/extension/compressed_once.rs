//! A message that is compressed once, for all connections that can be sent the same bytes: those whose compressor begins each
//! message with an empty window.

use alloc::boxed::Box;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::compressor::CompressorKind;
use super::deflater::{Context, Deflater, Deflating, remove_tail};

/// The compressed forms of one message: one for each kind of compressor, of which there are few in one program.
#[derive(Debug, Default)]
pub(crate) struct CompressedOnce {
    forms: [OnceLock<Box<Form>>; FORMS],
}

/// What a kind of compressor makes of the message.
#[derive(Debug)]
pub(crate) struct Form {
    kind: CompressorKind,
    /// Under way: whoever wants it next goes on with it. `None`: it is `done`.
    deflating: Mutex<Option<Deflating>>,
    /// `None` inside: it gains nothing, and the message is sent as it is.
    done: OnceLock<Option<Bytes>>,
}

impl CompressedOnce {
    /// What the message is compressed to by compressors of this kind. `None`: there are too many forms of it already.
    pub(crate) fn form(&self, kind: CompressorKind) -> Option<&Form> {
        let forms = self.forms.iter().map(|form| &**form.get_or_init(|| Box::new(Form::new(kind))));
        forms.into_iter().find(|form| form.kind == kind)
    }
}

impl Form {
    fn new(kind: CompressorKind) -> Self {
        let deflating = Deflating::new(Context::new(kind), 0);
        Self { kind, deflating: Mutex::new(Some(deflating)), done: OnceLock::new() }
    }

    /// Compresses some of `message`, if that is not done; true when all of it was. What comes between two steps is time for
    /// others. `finish` is given what it came to, and makes of that what is sent.
    pub(crate) fn step(&self, message: &[u8], finish: impl FnOnce(&[u8]) -> Bytes) -> bool {
        if self.done.get().is_some() {
            return true;
        }
        let mut deflating = self.deflating.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = &mut *deflating
            && !under_way.step(message)
        {
            return false;
        }
        if let Some(under_way) = deflating.take() {
            let mut compressed = under_way.into_compressed();
            remove_tail(&mut compressed);
            let gains = compressed.len() < message.len();
            // Nobody else has set it, since it was under way.
            let _ = self.done.set(gains.then(|| finish(&compressed)));
            Deflater::give_back(compressed);
        }
        true
    }

    /// Whether all steps are done.
    pub(crate) fn is_done(&self) -> bool {
        self.done.get().is_some()
    }

    /// What `finish` made, once all steps are done; `None` if compressing gained nothing.
    pub(crate) fn get(&self) -> Option<&Bytes> {
        self.done.get()?.as_ref()
    }
}

/// As many kinds of compressors as there are for one `Deflate`, whatever windows its peers ask for: from 2^9 to 2^15 bytes.
const FORMS: usize = 7;
