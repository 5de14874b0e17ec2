//! permessage-deflate without the feature `deflate`: types that have no values, so that those who use them
//! need not ask for the feature, and are compiled to nothing.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Inflated;
use crate::error::ProtocolError;
#[cfg(feature = "handshake")]
use crate::handshake::{Extension, ResponseError};
use crate::message::MessageKind;
use crate::role::Role;

/// Whether and how to compress messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deflate(Never);

#[cfg(feature = "handshake")]
impl Deflate {
    /// The client's offers.
    pub fn offers(&self) -> Vec<Extension> {
        match self.0 {}
    }

    /// What the server's response agrees on.
    pub fn agree_as_client(&self, _: &[Extension]) -> Result<Option<AgreedDeflate>, ResponseError> {
        match self.0 {}
    }

    /// What is agreed on by the client's offers, and the extension to answer.
    pub fn agree_as_server(&self, _: &[Extension]) -> Option<(AgreedDeflate, Extension)> {
        match self.0 {}
    }
}

/// The parameters that both sides agreed on in the opening handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AgreedDeflate(Never);

#[cfg(all(feature = "std", feature = "handshake"))]
impl AgreedDeflate {
    /// An answer that has permessage-deflate was made by somebody who speaks it himself.
    pub(crate) fn answered(_: &[Extension]) -> Option<Self> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct Deflater(Never);

impl Deflater {
    pub(crate) fn new(_: &Deflate, agreed: AgreedDeflate, _: Role) -> Self {
        match agreed.0 {}
    }

    pub(crate) fn takes(&self, _: usize) -> bool {
        match self.0 {}
    }

    pub(crate) fn kind_without_takeover(&self) -> Option<CompressorKind> {
        match self.0 {}
    }

    pub(crate) fn deflate(&mut self, _: &[u8], _: bool, _: bool) -> Option<Vec<u8>> {
        match self.0 {}
    }

    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn begin(&mut self) -> Deflating {
        match self.0 {}
    }

    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn end(&mut self, _: Deflating, _: &[u8], _: bool, _: bool) -> Option<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) fn give_back(_: Vec<u8>) {}
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CompressorKind(Never);

/// Of a message that nobody compresses.
#[derive(Debug, Default)]
pub(crate) struct CompressedOnce(());

impl CompressedOnce {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn form(&self, kind: CompressorKind) -> Option<&Form> {
        match kind.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Form(Never);

impl Form {
    pub(crate) fn step(&self, _: &[u8], _: impl FnOnce(&[u8]) -> Bytes) -> bool {
        match self.0 {}
    }

    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn is_done(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn get(&self) -> Option<&Bytes> {
        match self.0 {}
    }
}

#[cfg(all(feature = "std", feature = "handshake"))]
#[derive(Debug)]
pub(crate) struct Deflating(Never);

#[cfg(all(feature = "std", feature = "handshake"))]
impl Deflating {
    pub(crate) fn step(&mut self, _: &[u8]) -> bool {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Inflater(Never);

impl Inflater {
    pub(crate) fn new(agreed: AgreedDeflate, _: Role, _: u64) -> Self {
        match agreed.0 {}
    }

    pub(crate) fn inflate(
        &mut self,
        _: MessageKind,
        _: &[u8],
        _: bool,
        _: usize,
        _: &mut Vec<u8>,
    ) -> Result<Inflated, ProtocolError> {
        match self.0 {}
    }

    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn take_final_blocks(&mut self) -> usize {
        match self.0 {}
    }
}

/// Inside structs, so that only this module sees that what needs one is never reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Never {}
