//! The guide: a chapter for each thing that programs do with WebSockets, with examples that compile.
//!
//! | chapter | about |
//! | --- | --- |
//! | [`server`] | a server: handlers, paths, subprotocols, origins, limits, errors, stopping |
//! | [`client`] | a client: headers, subprotocols, proxies, Unix sockets, refusals, connecting again |
//! | [`page`] | a page and the WebSocket that it opens, on one port |
//! | [`split`] | halves for two tasks or threads, and what a `select!` may drop |
//! | [`streaming`] | messages that are larger than memory, in parts |
//! | [`deflate`] | compression, and what it costs |
//! | [`limits`] | limits and timeouts: which to set, and what a peer gets told |
//! | [`tls`] | `wss://`, for servers and clients |
//! | [`http_libraries`] | upgrades inside hyper and axum |
//! | [`proxy`] | a server behind nginx, `HAProxy`, Apache or Caddy |
//! | [`browsers`] | what browsers do, and what a program does about it |
//! | [`servers`] | servers that people meet, and clients, and what each demands of the other side |
//! | [`broadcast`] | one message for many clients, of whom some are slow |
//! | [`sans_io`] | the core and `Endpoint`, for event loops of your own |
//! | [`migration`] | what stands for each call of tungstenite, axum and fastwebsockets |
//!
//! This module is there in the documentation only.

#[doc = include_str!("server.md")]
pub mod server {}

#[doc = include_str!("client.md")]
pub mod client {}

#[doc = include_str!("page.md")]
pub mod page {}

#[doc = include_str!("split.md")]
pub mod split {}

#[doc = include_str!("streaming.md")]
pub mod streaming {}

#[doc = include_str!("deflate.md")]
pub mod deflate {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("tls.md")]
pub mod tls {}

#[doc = include_str!("http_libraries.md")]
pub mod http_libraries {}

#[doc = include_str!("proxy.md")]
pub mod proxy {}

#[doc = include_str!("browsers.md")]
pub mod browsers {}

#[doc = include_str!("servers.md")]
pub mod servers {}

#[doc = include_str!("broadcast.md")]
pub mod broadcast {}

#[doc = include_str!("sans_io.md")]
pub mod sans_io {}

#[doc = include_str!("migration.md")]
pub mod migration {}
