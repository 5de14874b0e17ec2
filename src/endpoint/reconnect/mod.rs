//! Connecting again, over as many connections as it takes: when, how often, and what ends it.
//!
//! `reconnect` of both adapters gives a `Reconnecting`, whose `recv` returns the messages of all connections, one after the
//! other; `reconnect_with` takes a [`Policy`], and a function that opens each connection. That is where a token is asked
//! for anew, and what a connection begins with is sent, such as subscriptions:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use sansocket::reconnect::{Attempt, Event, Policy};
//! use sansocket::tokio::{ClientStream, WebSocket, connect, reconnect_with};
//! use sansocket::{Client, Error};
//!
//! async fn open(attempt: Attempt) -> Result<WebSocket<ClientStream>, Error> {
//!     let expired = attempt.refusal().is_some_and(|response| response.status() == 401);
//!     let client = Client::new("wss://example.com/feed")?.header("Authorization", &token(expired).await)?;
//!     let mut ws = connect(client).await?;
//!     ws.send("subscribe").await?;
//!     Ok(ws)
//! }
//!
//! # async fn token(_anew: bool) -> String { String::new() }
//! # async fn run() -> Result<(), Error> {
//! let mut feed = reconnect_with(&Policy::default(), open);
//! while let Some(event) = feed.recv_event().await? {
//!     match event {
//!         Event::Message(message) => println!("{message:?}"),
//!         // "the connection was lost: .. ; the next attempt follows in 0.6 s"
//!         Event::Lost(lost) => eprintln!("{lost}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What ends it
//!
//! Where the same would come of another attempt, that is told at once, and else it goes on, [`Policy::max_attempts`] times or
//! for ever. [`Policy::ends_if`] may decide otherwise.
//!
//! | what happens | by default |
//! | --- | --- |
//! | the connection is lost: the transport ends or fails, or a deadline of [`Config`](crate::Config) passes | goes on |
//! | nobody can be connected to: the name is not found, the connection is refused, [`Client::connect_timeout`] passes | goes on |
//! | TLS fails, also because the certificate is not trusted: it may be someone else's in between, such as a hotel's | goes on, and has sent nothing |
//! | the server closes with 1001 (going away), 1005 (no code), 1011 (internal error), 1012 (restart), 1013 (try again later), 1014 (bad gateway) | goes on |
//! | with 3000 to 4999, codes which mean what the server says they do | goes on |
//! | with 1000 (normal) | ends: `recv` returns `None`, and `closed` tells the code |
//! | with 1002 (protocol error), 1003 and 1007 (data that it cannot take), 1008 (policy), 1009 (too big), 1010 (an extension is missing) | ends in the same way |
//! | the program calls `close` | ends |
//! | refused with 401 | goes on once: the token may have expired; ends if the next attempt is refused with 401 too |
//! | refused with 408, 425, 429, or 500 and above | goes on |
//! | refused with 403, 404, another status of 4xx, a redirect that is not or cannot be followed, or a status of 2xx | ends with that error |
//! | a proxy cannot be reached, or cannot reach the server | goes on |
//! | a proxy refuses with a status of 4xx, such as 407, or by its rules; or it does not speak its protocol | ends with that error |
//! | the server's answer is none of WebSocket's, or is not HTTP; it ends within one | ends with that error; goes on |
//! | the server breaks the protocol, or goes beyond a limit of [`Config`](crate::Config) | ends with that error |
//! | the URI is wrong, or something else that the program gave; `wss://`, or a proxy of `https://`, without the feature for TLS | ends with that error |
//! | the function that opens connections fails | as for the error that it returns |
//!
//! A function that opens connections and cannot, for a reason of its own, returns
//! `Error::Connect(std::io::Error::other(reason))`, after which it goes on.
//!
//! # When
//!
//! Before each attempt it waits for a time that is left to chance: from a tenth of [a second](Policy::delays) to all of it, and
//! to twice as much after each attempt that fails, up to a minute. A connection that has not lasted
//! [a minute](Policy::reset_after) counts as an attempt that failed. `Retry-After` of a refusal, up to
//! [an hour](Policy::max_retry_after), is waited for before that.
//!
//! # What was sent
//!
//! A message that `Reconnecting::send` is given goes to one connection: to that which is open, or else to the next, for
//! which it waits. It is never sent a second time. If the connection ends before the message is written, it is counted, in
//! [`Lost::unwritten`]: these were the last so many, so that a program which keeps what it sent knows which have not arrived.
//! What was written may be lost all the same, on its way: where that matters, the server has to answer.
//!
//! # What is bounded
//!
//! It keeps one connection at a time, what the last one came to, and no messages, but for one that came while the program
//! sent. A server that accepts connections and closes them, for ever, costs an attempt a minute.
//!
//! [`Client::connect_timeout`]: crate::Client::connect_timeout

mod backoff;
mod ended;
mod event;
mod policy;
pub(crate) mod redial;

pub use backoff::Backoff;
pub use ended::Ended;
pub use event::{Attempt, Event, Lost, State};
pub use policy::Policy;
