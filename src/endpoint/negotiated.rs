//! What an opening handshake came to, whoever carried it out.

use alloc::boxed::Box;
use alloc::string::String;

use crate::config::Config;
use crate::extension::AgreedDeflate;
use crate::handshake::uri::Uri;
use crate::handshake::{Accepted, Opened, Response, ResponseError};
use crate::role::Role;

/// What the two ends agreed on in an opening handshake: all that a WebSocket has to know of it.
///
/// The adapters' `connect` and `accept` make one. For a stream that an HTTP library hands over, it is made of the
/// [`Accepted`] that was answered. Where the handshake was carried out by others still, a [`Role`] is one in which
/// nothing was agreed on, and the methods add what was.
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
    /// Boxed, since most often there is none.
    redirected_to: Option<Box<Uri>>,
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
    pub fn with_deflate(self, deflate: AgreedDeflate) -> Self {
        Self { deflate: Some(deflate), ..self }
    }

    /// What the server's response to a client with this configuration agrees on, where redirects led it.
    pub(crate) fn by_response(
        config: &Config,
        redirected_to: Option<Box<Uri>>,
        opened: Opened,
    ) -> Result<Self, ResponseError> {
        let mut negotiated = Self::new(Role::Client);
        if let Some(deflate) = &config.settings.deflate {
            negotiated.deflate = deflate.agree_as_client(opened.extensions())?;
        }
        let Opened { subprotocol, response, .. } = opened;
        negotiated.details = Some(Box::new(Details { subprotocol, response: Some(response), redirected_to }));
        Ok(negotiated)
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

    /// The URI that redirects have led a client to, if it followed any.
    pub fn redirected_to(&self) -> Option<&Uri> {
        self.details.as_ref()?.redirected_to.as_deref()
    }
}

/// What a server agrees to by its response.
impl From<&Accepted> for Negotiated {
    fn from(accepted: &Accepted) -> Self {
        let deflate = AgreedDeflate::answered(accepted.extensions());
        let negotiated = Self { deflate, ..Self::new(Role::Server) };
        match accepted.subprotocol() {
            Some(subprotocol) => negotiated.with_subprotocol(subprotocol),
            None => negotiated,
        }
    }
}

impl From<Role> for Negotiated {
    fn from(role: Role) -> Self {
        Self::new(role)
    }
}
