//! Pages for the tests of programs: connections without a socket, through the same code, on the runtime's clock.
//!
//! ```
//! use sansocket_channels::{Hub, Identity, Relay};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let hub = Hub::builder().channel("room:{id}", Relay).build().unwrap();
//! let (mut ada, mut bob) = (hub.test_page(Identity::user("ada")), hub.test_page(Identity::user("bob")));
//! ada.join("room:1", &json!({})).await.unwrap();
//! bob.join("room:1", &json!({})).await.unwrap();
//!
//! ada.push("room:1", "said", &json!({ "text": "hi" })).await.unwrap();
//! assert_eq!(bob.expect("room:1", "said").await, json!({ "text": "hi" }));
//! ada.expect_nothing().await;
//! # }
//! ```
//!
//! With `#[tokio::test(start_paused = true)]` no test waits for a clock. What a page is told and nobody has expected yet is kept, in
//! its order.

mod connect;
mod frame;
mod link;
mod page;
mod push;

pub use connect::Connect;
pub use page::Page;

use crate::hub::Hub;
use crate::identity::Identity;

impl Hub {
    /// A page that is connected, as whom `authenticate` would have let in; it speaks as our client does. Panics outside of a tokio
    /// runtime, whose timers must be enabled, if there are as many connections of the user as there may be, and if the hub drains.
    pub fn test_page(&self, identity: Identity) -> Page {
        Page::open(self, identity)
    }

    /// A page that connects as one does over a network: the hub looks at where it comes from, and asks `authenticate` who it is.
    /// Fails with the status of the refusal: 401, 403 or 503. Panics outside of a tokio runtime, whose timers must be enabled.
    ///
    /// ```
    /// use sansocket_channels::test::Connect;
    /// use sansocket_channels::{Denied, Hub, Identity, Open};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let hub = Hub::builder().channel("news", Open).authenticate(async |handshake| match handshake.bearer() {
    ///     Some("a secret of ada's") => Ok(Identity::user("ada")),
    ///     _ => Err(Denied::UNAUTHORIZED),
    /// });
    /// let hub = hub.build().unwrap();
    /// let mut ada = hub.test_connect(&Connect::new().token("a secret of ada's")).await.unwrap();
    /// ada.join("news", &()).await.unwrap();
    /// assert_eq!(hub.test_connect(&Connect::new()).await.err(), Some(401));
    /// # }
    /// ```
    pub async fn test_connect(&self, connect: &Connect) -> Result<Page, u16> {
        connect.admitted(self).await.map(Page::of)
    }
}

/// Fails the test.
#[expect(clippy::panic, reason = "it is what tests fail by")]
#[track_caller]
fn fail(why: &str) -> ! {
    panic!("{why}")
}
