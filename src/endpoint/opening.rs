//! Openings: exchanges of bytes that are completed before there is a connection. No I/O.

use alloc::boxed::Box;
use alloc::vec::Vec;
use std::io::{self, Read};

use bytes::Bytes;

use super::client::Client;
use super::closing::Outcome;
use super::error::Error;
use super::negotiated::Negotiated;
use super::redirect;
use crate::config::Config;
use crate::error::TimedOut;
use crate::handshake::uri::Uri;
use crate::handshake::{
    ClientHandshake, HeadError, ReceivedRequest, RequestBody, RequestError, ResponseError, ServerHandshake,
};

/// An exchange of bytes before a connection: what it begins with is written, and then, as long as it is not
/// complete, more is read, and what it answers is written.
pub(crate) trait Opening {
    /// What it comes to.
    type Done;

    /// Looks at what was received, to which the caller only appends, and appends to `out` what it demands. What it needs no
    /// longer it takes out of `input`: when it is complete, what is left belongs to what comes next.
    fn receive(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Option<Self::Done>, Error>;

    /// The transport failed with this error, or has ended, before it was complete: tells the caller's error.
    fn ended(&mut self, error: Option<Error>, input: &[u8]) -> Error;
}

/// The client's opening handshake.
#[derive(Debug)]
pub(crate) struct ClientOpening {
    config: Config,
    redirected_to: Option<Box<Uri>>,
    /// What was asked for, if a redirect from there may be followed.
    follows_from: Option<Box<Uri>>,
    handshake: ClientHandshake,
}

impl ClientOpening {
    /// Appends the request to `out`; see [`Sender::client`](crate::Sender::client) for `random`.
    pub(crate) fn start(client: &Client, random: fn(&mut [u8]), out: &mut Vec<u8>) -> Self {
        let mut nonce = [0; 16];
        random(&mut nonce);
        let redirected_to = client.redirected_to().cloned().map(Box::new);
        let follows_from = client.follows_from().cloned().map(Box::new);
        let handshake = ClientHandshake::start(&client.offering(), client.limits.clone(), nonce, out);
        Self { config: client.config.clone(), redirected_to, follows_from, handshake }
    }

    /// Whether the response so far redirects to where the client goes: what more there is of it, it need not wait for.
    fn is_followed(&self) -> bool {
        let target = self.follows_from.as_ref().zip(self.handshake.refusal());
        target.is_some_and(|(uri, response)| matches!(redirect::target(uri, response), Some(Ok(_))))
    }
}

impl Opening for ClientOpening {
    type Done = Negotiated;

    fn receive(&mut self, input: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Option<Negotiated>, Error> {
        let Some(opened) = self.handshake.receive(input)? else {
            return if self.is_followed() { Err(self.ended(None, input)) } else { Ok(None) };
        };
        let consumed = opened.consumed();
        let negotiated = Negotiated::by_response(&self.config, self.redirected_to.take(), opened)?;
        input.drain(..consumed);
        Ok(Some(negotiated))
    }

    fn ended(&mut self, error: Option<Error>, input: &[u8]) -> Error {
        match (self.handshake.receive_eof(input), error) {
            // It is told all the same, with as much of its body as came.
            (refused @ ResponseError::Refused(_), _) => refused.into(),
            (_, Some(error)) => error,
            (incomplete, None) => incomplete.into(),
        }
    }
}

/// The server's opening handshake, up to the request.
impl Opening for ServerHandshake {
    type Done = ReceivedRequest;

    fn receive(&mut self, input: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Option<ReceivedRequest>, Error> {
        let Some(received) = self.receive(input)? else {
            return Ok(None);
        };
        input.drain(..received.head().consumed());
        Ok(Some(received))
    }

    fn ended(&mut self, error: Option<Error>, _: &[u8]) -> Error {
        error.unwrap_or_else(|| RequestError::Head(HeadError::Incomplete).into())
    }
}

/// The body of a request that was read.
impl Opening for RequestBody {
    type Done = Bytes;

    fn receive(&mut self, input: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Option<Bytes>, Error> {
        Ok(self.receive(input)?)
    }

    fn ended(&mut self, error: Option<Error>, _: &[u8]) -> Error {
        error.unwrap_or_else(|| RequestError::IncompleteBody.into())
    }
}

/// Carries an opening on after `outcome`; what is in `out` then is to be written.
pub(crate) fn exchange<O: Opening>(
    opening: &mut O,
    outcome: Outcome,
    input: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Option<O::Done>, Error> {
    match outcome {
        Outcome::Read(_) => opening.receive(input, out),
        Outcome::Eof => Err(opening.ended(None, input)),
        Outcome::ReadFailed(error) | Outcome::Failed(error) => Err(opening.ended(Some(error), input)),
        Outcome::Written | Outcome::Done | Outcome::Again | Outcome::Late => Ok(None),
    }
}

/// Reads once to the end of `input`.
pub(crate) fn append(input: &mut Vec<u8>, io: &mut impl Read) -> io::Result<usize> {
    let start = input.len();
    // `Read` takes initialised bytes only.
    input.resize(start + READ_BYTES, 0);
    let read = io.read(&mut input[start..]);
    input.truncate(start + read.as_ref().map_or(0, |len| *len));
    read
}

/// How an opening ends whose deadline has passed.
pub(crate) fn timed_out() -> Error {
    Error::TimedOut(TimedOut::OpeningHandshake)
}

/// How much to read at once: most heads are not longer.
const READ_BYTES: usize = 1024;
