//! What a page says when it connects.

use std::error::Error;
use std::fmt;

use sansocket::handshake::{ClientHandshake, ClientRequest, Limits, ServerHandshake};
use sansocket::{PendingRequest, Server, Uri};

use super::fail;
use crate::base64;
use crate::handshake::BEARER;
use crate::hub::Hub;
use crate::opening::{Admitted, Judged};

/// What a page says when it connects, for [`Hub::test_connect`]: its token, the parameters of its address, the headers of its
/// request. It comes from the server itself, unless [`origin`](Self::origin) says otherwise.
#[derive(Clone)]
pub struct Connect {
    token: Option<String>,
    params: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    origin: String,
}

impl Default for Connect {
    fn default() -> Self {
        Self { token: None, params: Vec::new(), headers: Vec::new(), origin: format!("http://{HOST}") }
    }
}

impl Connect {
    /// Nothing in particular.
    pub fn new() -> Self {
        Self::default()
    }

    /// The page's token: [`Handshake::bearer`](crate::Handshake::bearer).
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// A parameter of the address: [`Handshake::param`](crate::Handshake::param).
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header of the request, `Cookie` for one: [`Handshake::header`](crate::Handshake::header).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where the page comes from: `https://example.com`.
    pub fn origin(self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self }
    }

    /// Asks the hub, as a request does that came over a network. Fails with the status of its answer.
    pub(super) async fn admitted(&self, hub: &Hub) -> Result<Admitted, u16> {
        match hub.judge(&mut self.pending(&hub.inner().opening.path)) {
            Judged::Applicant(applicant) => applicant.admit().await.map_err(|reply| reply.status()),
            Judged::Answer(reply) => Err(reply.status()),
            Judged::NotOurs | Judged::Polling(_) => Err(404),
        }
    }

    /// The request, as the server has read it.
    fn pending(&self, path: &str) -> PendingRequest {
        let request =
            self.request(path).unwrap_or_else(|error| fail(&format!("no page connects so: {error}")));
        let (mut bytes, limits) = (Vec::new(), Limits::default());
        ClientHandshake::start(&request, limits.clone(), [0; 16], &mut bytes);
        match ServerHandshake::new(limits).receive(&bytes) {
            Ok(Some(received)) => PendingRequest::new(received, &Server::default()),
            other => fail(&format!("no server takes this for a request: {other:?}")),
        }
    }

    fn request(&self, path: &str) -> Result<ClientRequest, Box<dyn Error>> {
        let params = self.params.iter().map(|(name, value)| format!("&{}={}", encode(name), encode(value)));
        let uri = format!("ws://{HOST}{path}?vsn=2.0.0&ext=1{}", params.collect::<String>());
        let mut request = ClientRequest::new(&Uri::parse(&uri)?).origin(&self.origin)?;
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        if let Some(token) = &self.token {
            let bearer = format!("{BEARER}{}", base64::encode_for_url(token.as_bytes()));
            request = request.subprotocols(["phoenix", &bearer])?;
        }
        Ok(request)
    }
}

impl fmt::Debug for Connect {
    /// Keeps credentials out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Text in a query.
fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Where the hub is, to its pages.
const HOST: &str = "localhost";
