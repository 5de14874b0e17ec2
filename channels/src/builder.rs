//! What a hub is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;

use bytes::Bytes;
use sansocket::Origins;

use crate::backplane::{Backplane, NodeId};
use crate::channel::Channel;
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::identity::{Denied, Identity};
use crate::limits::Limits;
use crate::options::TopicOptions;
use crate::page::Page;
use crate::route::{Route, Routes};

/// What a hub is made of: which channels answer for which topics, who may connect, and what else it serves.
#[must_use = "a hub is there once it is built"]
pub struct HubBuilder {
    routes: Routes,
    limits: Limits,
    opening: Opening,
    backplane: Option<Box<dyn Backplane>>,
    /// What went wrong first.
    fault: Option<BuildError>,
}

/// What is to be known when somebody connects.
pub(crate) struct Opening {
    /// Where WebSockets are opened.
    pub(crate) path: String,
    /// Where those poll who cannot.
    pub(crate) polling: String,
    pub(crate) origins: Origins,
    pub(crate) authenticate: Box<dyn Authenticate>,
    /// By path.
    pub(crate) pages: BTreeMap<String, Page>,
}

impl Default for HubBuilder {
    fn default() -> Self {
        let script = |(path, source): (&str, &'static [u8])| {
            (path.to_owned(), Page::new("text/javascript; charset=utf-8", Bytes::from_static(source)))
        };
        Self {
            routes: Routes::default(),
            limits: Limits::default(),
            opening: Opening {
                path: endpoint("/socket"),
                polling: polling("/socket"),
                origins: Origins::default(),
                authenticate: Box::new(async |_| Ok(Identity::anonymous())),
                pages: SCRIPTS.map(script).into(),
            },
            backplane: None,
            fault: None,
        }
    }
}

impl HubBuilder {
    /// Has a channel answer for the topics of a pattern: segments, which part at `:`. A segment is text, `{name}` for one that
    /// is not empty, or, at the end, `{name*}` for all that is left: `news`, `room:{id}`, `doc:{org}:{id}`, `files:{path*}`.
    ///
    /// Where several match, text goes before a parameter, and that before the rest, from the left. [`build`](Self::build) fails
    /// for two that could tie.
    pub fn channel(self, pattern: &str, channel: impl Channel) -> Self {
        self.channel_with(pattern, TopicOptions::default(), channel)
    }

    /// The same, for topics that have more than members.
    pub fn channel_with(mut self, pattern: &str, options: TopicOptions, channel: impl Channel) -> Self {
        let added = add_route(&self.routes, pattern, options, channel);
        self.note(added);
        self
    }

    /// Who a client is, before its connection is opened: what fails is the answer to its request, 401, 403 or 503, which costs
    /// little. It has [`Limits::authenticate`]; then, and if it panics, the answer is 503. By default all are
    /// [anonymous](Identity::anonymous).
    ///
    /// Browsers send cookies with whatever any page asks for: one that says who somebody is needs `SameSite`, `Lax` or `Strict`. The
    /// [origin](Self::origins) of a page, which is judged before, does not come with each request of those who
    /// [poll](crate::guide::long_polling): what else keeps other sites from it is `Sec-Fetch-Site`, which browsers tell over `https`
    /// only.
    pub fn authenticate<F, R>(mut self, f: F) -> Self
    where
        F: Fn(Handshake) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Identity, Denied>> + Send + 'static,
    {
        self.opening.authenticate = Box::new(f);
        self
    }

    /// Which web pages may connect; [`Origins::same`] by default. Others are refused with 403.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.opening.origins = origins;
        self
    }

    /// What clients are given as the address, `/socket` by default: they add `/websocket` to it, or `/longpoll`.
    pub fn path(mut self, path: &str) -> Self {
        if path.starts_with('/') && !path.contains(['?', '#']) && !path.ends_with('/') {
            self.opening.path = endpoint(path);
            self.opening.polling = polling(path);
        } else {
            self.note(Err(BuildError::Path(path.to_owned())));
        }
        self
    }

    /// Serves a page: for examples and tools. What is served by more than a few of them is better served by an HTTP server, in
    /// which the hub is a [service](crate::guide::serving). Of two for one path, the later one counts.
    pub fn page(mut self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        let is_header = content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if path.starts_with('/') && !path.contains(['?', '#']) && is_header {
            self.opening.pages.insert(path.to_owned(), Page::new(content_type, body.into()));
        } else {
            self.note(Err(BuildError::Page(path.to_owned())));
        }
        self
    }

    /// How much of everything there may be.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Makes the hub a node, joined to others by a broker: what is sent to a topic reaches its members on all of them. See [the
    /// guide](crate::guide::scaling). All nodes are to have the same channels.
    ///
    /// It begins when the hub is built, or as soon as it is served or sent to, in a runtime.
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane = Some(Box::new(backplane));
        self
    }

    /// The hub. Fails with what was wrong first.
    pub fn build(self) -> Result<Hub, BuildError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if let Some(fault) = self.limits.fault().or_else(|| self.routes.fault(&self.limits)) {
            return Err(BuildError::Limits(fault));
        }
        // Keyed at random by the system; names of connections are no secrets.
        let node = NodeId(RandomState::new().hash_one(()));
        Ok(Hub::new(self.routes, self.limits, self.opening, node, self.backplane))
    }

    fn note(&mut self, done: Result<(), BuildError>) {
        if let Err(error) = done {
            self.fault.get_or_insert(error);
        }
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Who clients are, however that is found out.
pub(crate) trait Authenticate: Send + Sync {
    fn call(&self, handshake: Handshake) -> Pin<Box<dyn Future<Output = Result<Identity, Denied>> + Send>>;
}

impl<F, R> Authenticate for F
where
    F: Fn(Handshake) -> R + Send + Sync,
    R: Future<Output = Result<Identity, Denied>> + Send + 'static,
{
    fn call(&self, handshake: Handshake) -> Pin<Box<dyn Future<Output = Result<Identity, Denied>> + Send>> {
        Box::pin(self(handshake))
    }
}

/// Why there is no hub.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// A pattern that is none.
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it, in a sentence.
        why: &'static str,
    },
    /// Two patterns that match the same topics, and neither goes before the other.
    Tie {
        /// The first that was given.
        one: String,
        /// The second.
        other: String,
    },
    /// An address for clients that is no path, or ends with `/`.
    Path(String),
    /// A page whose path is none, or whose type is none.
    Page(String),
    /// Limits that leave no room, in a sentence.
    Limits(&'static str),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern { pattern, why } => write!(f, "{pattern:?} is no pattern of topics: {why}"),
            Self::Tie { one, other } => {
                write!(f, "{one:?} and {other:?} match the same topics, and neither goes before the other")
            }
            Self::Path(path) => write!(f, "{path:?} is no path that begins with \"/\" and ends without"),
            Self::Page(path) => {
                write!(f, "the page at {path:?} has no path that begins with \"/\", or no type")
            }
            Self::Limits(fault) => write!(f, "with these limits, {fault}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Adds a route to those of a hub.
pub(crate) fn add_route(
    routes: &Routes,
    pattern: &str,
    options: TopicOptions,
    channel: impl Channel,
) -> Result<(), BuildError> {
    let route = Route::new(pattern, options, channel)
        .map_err(|why| BuildError::Pattern { pattern: pattern.to_owned(), why })?;
    routes.add(route).map_err(|other| BuildError::Tie { one: other.to_string(), other: pattern.to_owned() })
}

fn endpoint(path: &str) -> String {
    path.to_owned() + "/websocket"
}

fn polling(path: &str) -> String {
    path.to_owned() + "/longpoll"
}

/// The client, and what carries out changes of the page, by path.
const SCRIPTS: [(&str, &[u8]); 2] = [
    ("/channels.js", include_bytes!("../js/channels.js")),
    ("/channels-dom.js", include_bytes!("../js/channels-dom.js")),
];
