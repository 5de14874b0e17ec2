//! What an opening handshake came to, whoever carried it out.

use alloc::boxed::Box;
use alloc::string::String;

use crate::extension::AgreedDeflate;
use crate::handshake::Response;
use crate::role::Role;

/// What the two ends agreed on in an opening handshake: all that a WebSocket has to know of it.
///
/// The adapters' `connect` and `accept` make one; so does [`http::accept`](crate::http::accept), for the stream
/// that an HTTP library hands over. Where the handshake was carried out by others still, a [`Role`] is one in
/// which nothing was agreed on, and the methods add what was.
///
/// ```
/// use sansocket::{Negotiated, Role};
///
/// let negotiated = Negotiated::new(Role::Server).with_subprotocol("chat");
/// assert_eq!(negotiated.subprotocol(), Some("chat"));
/// ```
#[derive(Clone, Debug)]
pub struct Negotiated {
    role: Role,
    deflate: Option<AgreedDeflate>,
    /// Boxed, since most often there is nothing.
    details: Option<Box<Details>>,
}

#[derive(Clone, Debug, Default)]
struct Details {
    subprotocol: Option<String>,
    response: Option<Response>,
}

impl Negotiated {
    /// Nothing but who is who was agreed on.
    pub fn new(role: Role) -> Self {
        Self { role, deflate: None, details: None }
    }

    /// This subprotocol is in use.
    pub fn with_subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.details.get_or_insert_default().subprotocol = Some(subprotocol.into());
        self
    }

    /// Permessage-deflate is in use, with these parameters.
    pub fn with_deflate(mut self, deflate: AgreedDeflate) -> Self {
        self.deflate = Some(deflate);
        self
    }

    pub(super) fn with_response(mut self, response: Response) -> Self {
        self.details.get_or_insert_default().response = Some(response);
        self
    }

    /// Which end this endpoint is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.details.as_ref()?.subprotocol.as_deref()
    }

    /// The parameters of permessage-deflate, if it is in use.
    pub fn deflate(&self) -> Option<AgreedDeflate> {
        self.deflate
    }

    /// The server's response, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.details.as_ref()?.response.as_ref()
    }
}

impl From<Role> for Negotiated {
    fn from(role: Role) -> Self {
        Self::new(role)
    }
}
