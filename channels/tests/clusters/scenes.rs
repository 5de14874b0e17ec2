//! What happens to brokers and nodes.

use std::time::Duration;

use sansocket_channels::AskError;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::scene::{Outcome, Scene};
use crate::site::{Engine, none_within, within};
use crate::traffic::TOPICS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_nats() {
    println!("{}", all(Engine::Nats).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_redis() {
    println!("{}", all(Engine::Redis).await);
}

/// Plays all scenes side by side, each with a broker of its own: they wait most of the time.
async fn all(engine: Engine) -> String {
    let mut scenes = JoinSet::new();
    scenes.spawn(a_broker_is_killed(engine));
    scenes.spawn(a_broker_is_stopped(engine));
    scenes.spawn(a_node_is_cut_off(engine));
    scenes.spawn(a_node_hears_nothing(engine));
    scenes.spawn(a_node_is_killed(engine));
    let played = scenes.join_all().await.into_iter();
    let told: Vec<_> = played.map(|(name, outcome)| format!("{engine:?}, {name}: {outcome}")).collect();
    told.join("\n")
}

/// It begins anew a second later, and then at once.
async fn a_broker_is_killed(engine: Engine) -> (&'static str, Outcome) {
    let mut scene = Scene::begin(engine).await;
    scene.site.broker.kill();
    sleep(Duration::from_millis(500)).await;
    scene.change_places(1).await;
    sleep(Duration::from_millis(500)).await;
    scene.site.broker.restart();
    within(5, "all are up", || scene.site.is_up()).await;
    sleep(Duration::from_millis(500)).await;
    scene.site.broker.kill();
    scene.site.broker.restart();
    ("a broker is killed", scene.end().await)
}

/// For ten seconds, when nodes are about to give it up, or have.
async fn a_broker_is_stopped(engine: Engine) -> (&'static str, Outcome) {
    let mut scene = Scene::begin(engine).await;
    scene.site.broker.hang();
    sleep(Duration::from_secs(5)).await;
    scene.change_places(1).await;
    sleep(Duration::from_secs(5)).await;
    scene.site.broker.go_on();
    // Who has not given it up may be about to.
    sleep(Duration::from_secs(1)).await;
    ("a broker is stopped", scene.end().await)
}

/// Its connections are cut, and refused for some seconds; and then all are.
async fn a_node_is_cut_off(engine: Engine) -> (&'static str, Outcome) {
    let mut scene = Scene::begin(engine).await;
    scene.site.nodes[1].link.cut();
    sleep(Duration::from_secs(1)).await;
    scene.change_places(1).await;
    sleep(Duration::from_secs(2)).await;
    scene.site.nodes[1].link.open();
    within(5, "all are up", || scene.site.is_up()).await;
    for node in &scene.site.nodes {
        node.link.cut();
        sleep(Duration::from_millis(100)).await;
        node.link.open();
    }
    within(5, "all are up", || scene.site.is_up()).await;
    sleep(Duration::from_secs(1)).await;
    // Of what has left it, nobody hears the last.
    scene.site.nodes[0].link.freeze();
    sleep(Duration::from_millis(500)).await;
    scene.hush();
    scene.site.nodes[0].link.cut();
    sleep(Duration::from_millis(100)).await;
    scene.site.nodes[0].link.open();
    ("a node is cut off", scene.end().await)
}

/// Nothing passes, and nobody says so: for two seconds, and then for longer than it takes to notice.
async fn a_node_hears_nothing(engine: Engine) -> (&'static str, Outcome) {
    let mut scene = Scene::begin(engine).await;
    scene.site.nodes[2].link.freeze();
    sleep(Duration::from_secs(2)).await;
    scene.site.nodes[2].link.open();
    sleep(Duration::from_millis(500)).await;
    scene.site.nodes[1].link.freeze();
    sleep(Duration::from_secs(1)).await;
    scene.change_places(1).await;
    let noticed = within(15, "it notices", || !scene.site.is_up()).await;
    assert!(noticed > Duration::from_secs(3), "{noticed:?}");
    scene.site.nodes[1].link.open();
    ("a node hears nothing", scene.end().await)
}

/// It is asked by others, and another takes its place. Of what it has sent nobody knows what has not left it; but its users are
/// forgotten, and who asked is told.
async fn a_node_is_killed(engine: Engine) -> (&'static str, Outcome) {
    let mut scene = Scene::begin(engine).await;
    let (asker, asked) = (scene.site.nodes[0].hub.clone(), scene.clients.iter().find(|(node, _)| *node == 2));
    let conn = asked.unwrap().1.conn;
    let minute = Duration::from_secs(60);
    let asking = tokio::spawn(async move {
        let begun = Instant::now();
        // The page does not answer that.
        let answer = asker.conn(conn).ask::<Value>("room:1", "think", &1, minute).await;
        assert!(matches!(answer, Err(AskError::Gone)), "{answer:?}");
        begun.elapsed()
    });
    sleep(Duration::from_millis(100)).await;
    drop(scene.kill_node(2));
    let killed = Instant::now();
    scene.traffic.forget(2);
    scene.site.begin_node().await;
    within(5, "it is up", || scene.site.is_up()).await;
    for (user, is_stock) in [("ada2", false), ("bob2", true), ("max", false)] {
        scene.enter(2, user, is_stock, &TOPICS).await;
    }
    scene.send_from(2);
    none_within(48, || scene.differences()).await;
    within(5, "it is forgotten", || scene.site.nodes.iter().all(|node| node.knows(2))).await;
    assert!(killed.elapsed() > Duration::from_secs(29), "it may only have been cut off");
    let told = asking.await.unwrap();
    assert!(told < Duration::from_secs(48), "{told:?}");
    ("a node is killed", scene.end().await)
}
