//! Who is a member of what, while threads end sessions, connections and routes, broadcast, and clients join, in every order in which
//! they can take its locks, as far as loom tries them: nobody is a member of a topic that is over, who has joined is told all that is
//! sent from then on, and nothing is left at the end. What is real here, and what is not, `world.rs` says.
//!
//! ```console
//! $ cargo test --manifest-path tests/loom/Cargo.toml --workspace
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

mod world;

use std::time::Duration;

use sansocket_channels::{Close, Hub, HubBuilder, TopicOptions};

use crate::world::{PATTERN, Sessions, TOPIC, World, join, model, run, say};

const MINUTE: Duration = Duration::from_secs(60);

fn hub(options: TopicOptions, sessions: Sessions) -> HubBuilder {
    Hub::builder().channel_with(PATTERN, options, sessions)
}

/// The last member leaves while another joins, and a third thread broadcasts what is said: who has joined is a member of the topic that there
/// is, and is told all that is sent from then on.
fn one_leaves_and_another_joins<const N: usize>(world: &World, is_present: bool, said: [u8; N]) {
    let (mut ada, mut bob) = (world.member("ada"), world.page("bob"));
    let conn = world.hub.conn(ada.conn());
    join(&mut bob, 1, is_present);
    let leaving = run(move || conn.leave(TOPIC));
    let saying = say(&world.hub, said);
    world.settle();
    leaving.join().unwrap();
    let taken = saying.join().unwrap().into_iter().sum::<usize>();
    let members = world.hub.members(TOPIC);
    assert_eq!(members.iter().map(|member| member.conn).collect::<Vec<_>>(), [bob.conn()]);
    assert_eq!(world.hub.broadcast(TOPIC, "said", &30).unwrap().local, 1);
    let (by_ada, by_bob) = (world.told(&mut ada), world.told(&mut bob));
    let told = |told: &[String]| usize::from(told.contains(&"10".to_owned()));
    assert_eq!(told(&by_ada) + told(&by_bob), taken);
    assert_eq!(by_ada.last().unwrap(), "1 phx_close");
    assert_eq!((by_bob.first().unwrap().as_str(), by_bob.last().unwrap().as_str()), ("1 ok", "30"));
    assert_eq!(world.hub.presence(TOPIC).len(), usize::from(is_present));
}

#[test]
fn a_topic_ends_while_another_begins() {
    model(
        |sessions| hub(TopicOptions::new(), sessions),
        |world| one_leaves_and_another_joins(world, false, [10]),
    );
}

#[test]
fn a_topic_with_a_presence_ends_while_another_begins() {
    model(
        |sessions| hub(TopicOptions::new().presence(), sessions),
        |world| one_leaves_and_another_joins(world, true, []),
    );
}

/// Who joins while others broadcast is told all that is kept, and all that comes, once, and in the order in which members are.
#[test]
fn what_is_kept_meets_what_comes() {
    let hub = |sessions| hub(TopicOptions::new().history(9, MINUTE).latest(9), sessions);
    model(hub, |world| {
        let (mut ada, mut bob) = (world.member("ada"), world.page("bob"));
        join(&mut bob, 1, false);
        let (one, two) = (say(&world.hub, [10, 11]), say(&world.hub, [20]));
        world.settle();
        one.join().unwrap();
        two.join().unwrap();
        let (by_ada, by_bob) = (world.told(&mut ada), world.told(&mut bob));
        assert_eq!((by_bob[0].as_str(), &by_bob[1..], by_ada.len()), ("1 ok", &by_ada[..], 3));
    });
}

/// A route is removed while a client joins by it: nobody is a member, whoever was first, and the client has an answer, and is told of
/// the end if it had joined.
fn a_route_is_removed(world: &World) {
    let mut bob = world.page("bob");
    join(&mut bob, 1, false);
    let hub = world.hub.clone();
    let removing = run(move || hub.unroute(PATTERN));
    let saying = say(&world.hub, [10]);
    world.settle();
    let (ended, [taken]) = (removing.join().unwrap(), saying.join().unwrap());
    assert!(world.hub.members(TOPIC).is_empty());
    assert_eq!(world.hub.broadcast(TOPIC, "said", &30).unwrap().local, 0);
    let told = world.told(&mut bob);
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    let expected: &[&str] = match (told[0], taken) {
        // For good, or for now.
        ("1 error", 0) => &["1 error", "1 phx_close"][..told.len().min(2)],
        (_, 0) => &["1 ok", "1 phx_close"],
        _ => &["1 ok", "10", "1 phx_close"],
    };
    assert_eq!(told, expected);
    assert!(ended == 1 || told[0] == "1 error");
    assert!(world.hub.topics().is_empty());
}

#[test]
fn nobody_gets_in_by_a_route_that_is_removed() {
    model(|sessions| hub(TopicOptions::new(), sessions), a_route_is_removed);
}

#[test]
fn nothing_is_kept_of_a_route_that_is_removed() {
    model(|sessions| hub(TopicOptions::new().history(9, MINUTE), sessions), a_route_is_removed);
}

/// A page joins anew while a thread ends its session: each session that it has joined has one end, and nothing of it follows that.
#[test]
fn a_session_is_replaced_while_it_ends() {
    model(
        |sessions| hub(TopicOptions::new(), sessions),
        |world| {
            let mut ada = world.member("ada");
            join(&mut ada, 2, false);
            let conn = world.hub.conn(ada.conn());
            let leaving = run(move || conn.leave(TOPIC));
            let saying = say(&world.hub, [10]);
            world.settle();
            leaving.join().unwrap();
            let [taken] = saying.join().unwrap();
            let told = world.told(&mut ada);
            assert_eq!(told.iter().filter(|told| *told == "10").count(), taken);
            let told: Vec<_> = told.iter().map(String::as_str).filter(|told| *told != "10").collect();
            let is_member = told == ["1 phx_close", "2 ok"];
            let ends = [["1 phx_close", "2 ok", "2 phx_close"], ["1 phx_close", "2 error", "2 phx_close"]];
            assert!(is_member || ends.iter().any(|end| told == end), "{told:?}");
            assert_eq!(world.hub.members(TOPIC).len(), usize::from(is_member));
            assert_eq!(world.hub.topics().len(), usize::from(is_member));
        },
    );
}

/// A connection is lost while its join is under way, and others broadcast: then it is no member of anything.
#[test]
fn a_connection_is_lost_while_it_joins() {
    model(
        |sessions| hub(TopicOptions::new(), sessions),
        |world| {
            let mut ada = world.page("ada");
            join(&mut ada, 1, false);
            let conn = world.hub.conn(ada.conn());
            let closing = run(move || conn.close(Close::kicked()));
            let saying = say(&world.hub, [10]);
            world.settle();
            closing.join().unwrap();
            saying.join().unwrap();
            world.settle();
            assert!(world.hub.connections().is_empty() && world.hub.topics().is_empty());
        },
    );
}
