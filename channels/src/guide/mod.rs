//! The guide: what one asks who has a server and a page, each answered in a sentence first, with examples that compile.
//!
//! | question | chapter |
//! | --- | --- |
//! | Who may join? | [`joining`] |
//! | Who is there? | [`presence`] |
//! | What if a client is slow? | [`slow`] |
//! | What did I miss? | [`history`] |
//! | How do I test? | [`testing`] |
//! | How do I run it behind nginx, `HAProxy` or Caddy? | [`proxy`] |
//! | How do I stop? | [`stopping`] |
//! | How do I scale? | [`scaling`] |
//! | What is logged? | [`logs`] |
//! | What is limited? | [`limits`] |
//!
//! And besides:
//!
//! | chapter | about |
//! | --- | --- |
//! | [`serving`] | a hub by itself, within a server of sansocket's, inside axum and hyper |
//! | [`long_polling`] | clients that cannot open a WebSocket |
//! | [`migration`] | what stands for what in Genie's `WebChannels` and in Pages, for those who come from Julia |
//!
//! This module is there in the documentation only.

#[doc = include_str!("joining.md")]
pub mod joining {}

#[doc = include_str!("presence.md")]
pub mod presence {}

#[doc = include_str!("slow.md")]
pub mod slow {}

#[doc = include_str!("history.md")]
pub mod history {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("proxy.md")]
pub mod proxy {}

#[doc = include_str!("stopping.md")]
pub mod stopping {}

#[doc = include_str!("scaling.md")]
pub mod scaling {}

#[doc = include_str!("logs.md")]
pub mod logs {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("serving.md")]
pub mod serving {}

#[doc = include_str!("long_polling.md")]
pub mod long_polling {}

#[doc = include_str!("migration.md")]
pub mod migration {}
