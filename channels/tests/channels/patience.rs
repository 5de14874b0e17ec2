//! Waiting on the real clock, where threads are: for as long as a machine may take that has much else to do.

use std::time::Duration;

use sansocket::Message;
use sansocket_channels::test::Page;
use tokio::time::sleep;

/// What a page is told next. `None`: its connection is over, or nothing comes for a minute.
pub async fn awaited(page: &mut Page) -> Option<Message> {
    for _ in 0..60 {
        // Within a second.
        if let Some(message) = page.next_message().await {
            return Some(message);
        }
    }
    None
}

/// Waits until that is so: for a minute, at least.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not come about");
}
