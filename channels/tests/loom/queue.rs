//! A connection's queue, which threads fill, have wait and end while its task empties it, in every order in which they can take its
//! lock, as far as loom tries them: no wake is lost, all that is taken is written, once and in order, nothing is behind the end, and
//! no memory is left. What is real here, and what is not, `world.rs` says.
//!
//! ```console
//! $ cargo test --manifest-path tests/loom/Cargo.toml --workspace
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod world;

use std::sync::{Arc, Mutex};

use sansocket_channels::{
    Channel, Close, Cx, Hub, HubBuilder, Joined, Limits, Payload, Refusal, TopicOptions,
};

use crate::world::{PATTERN, Sessions, TOPIC, join, model, run, say, step};

fn open(sessions: Sessions) -> HubBuilder {
    Hub::builder().channel(PATTERN, sessions)
}

/// What threads push while the connection's task writes, and waits, is written: once, and in the order of each of them.
#[test]
fn no_wake_is_lost() {
    model(open, |world| {
        let mut page = world.member("ada");
        let (one, two) = (say(&world.hub, [10, 11]), say(&world.hub, [20]));
        world.settle();
        assert_eq!((one.join().unwrap(), two.join().unwrap()), ([1, 1], [1]));
        let told = world.told(&mut page);
        let of_one: Vec<_> = told.iter().map(String::as_str).filter(|said| *said != "20").collect();
        assert_eq!((told.len(), of_one), (3, vec!["10", "11"]));
    });
}

/// What a queue has taken before its connection is closed is written before the end, and nothing is behind it.
#[test]
fn the_end_is_the_end() {
    model(open, |world| {
        let mut page = world.member("ada");
        let conn = world.hub.conn(page.conn());
        let (told, closing) = (say(&world.hub, [10, 11]), run(move || conn.close(Close::kicked())));
        world.settle();
        let taken: usize = told.join().unwrap().into_iter().sum();
        closing.join().unwrap();
        assert_eq!(world.told(&mut page), ["10", "11"][..taken]);
        assert_eq!(world.wait(page.closed()), Close::kicked());
    });
}

/// A connection that takes nothing is closed for want of room, whoever finds none, and be it lost in the same moment.
#[test]
fn who_is_too_slow_leaves_nothing_behind() {
    let hub = |sessions| open(sessions).limits(Limits::default().payload(100).queue(8_192, 2).reserve(0, 0));
    model(hub, |world| {
        let mut page = world.member("ada");
        page.stall();
        world.hub.broadcast(TOPIC, "said", &0).unwrap();
        world.settle();
        let (one, two) = (say(&world.hub, [10, 11]), say(&world.hub, [20]));
        page.cut();
        world.settle();
        let taken: usize = one.join().unwrap().into_iter().chain(two.join().unwrap()).sum();
        assert!(taken <= 2);
    });
}

/// A channel that hands out who joins.
struct Early(Sessions, Arc<Mutex<Option<Cx>>>);

impl Channel for Early {
    type Session = Sessions;

    async fn join(&self, cx: &Cx, params: Payload) -> Result<Joined<Sessions>, Refusal> {
        *self.1.lock().unwrap() = Some(cx.clone());
        self.0.join(cx, params).await
    }
}

/// What is pushed to a member before it is one follows the answer to its join, as does what is broadcast; and it is told all that was
/// taken for it, once.
#[test]
fn the_answer_is_first() {
    model(open, |world| {
        let mut page = world.page("ada");
        let joining = Arc::new(Mutex::new(None));
        world.hub.unroute(PATTERN);
        let early = Early(world.sessions.clone(), joining.clone());
        world.hub.route(PATTERN, TopicOptions::new(), early).unwrap();
        join(&mut page, 1, false);
        let hub = world.hub.clone();
        let pushing = run(move || {
            step(&hub);
            let joining: Option<Cx> = joining.lock().unwrap().take();
            joining.is_some_and(|cx| cx.push("said", &20).is_ok())
        });
        let saying = say(&world.hub, [10]);
        world.settle();
        let (is_pushed, [taken]) = (pushing.join().unwrap(), saying.join().unwrap());
        let told = world.told(&mut page);
        assert_eq!(told[0], "1 ok");
        let times = |said: &str| told.iter().filter(|told| *told == said).count();
        assert_eq!((times("10"), times("20")), (taken, usize::from(is_pushed)));
        assert_eq!(told.len(), 1 + taken + usize::from(is_pushed));
    });
}

/// What sessions have their say in keeps the order, with what comes between; and of what waits for one that ends nothing is left.
#[test]
fn what_is_on_hold_is_in_order() {
    let hub =
        |sessions| Hub::builder().channel_with(PATTERN, TopicOptions::new().intercept(["said"]), sessions);
    model(hub, |world| {
        let mut page = world.member("ada");
        let conn = world.hub.conn(page.conn());
        let saying = say(&world.hub, [10, 11]);
        let leaving = run(move || conn.leave(TOPIC));
        world.settle();
        saying.join().unwrap();
        leaving.join().unwrap();
        let told = world.told(&mut page);
        let (last, said) = told.split_last().unwrap();
        assert_eq!(last, "1 phx_close");
        assert_eq!(said, &["10", "11"][..said.len()]);
    });
}
