//! Clients at three nodes that send, and what is to be so when whatever has happened is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{Close, Hub, Identity};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::site::{Engine, Node, Site, none_within, within};
use crate::traffic::{Sending, TOPICS, Traffic, WAYS};

/// Clients at three nodes that send.
pub struct Scene {
    pub site: Site,
    /// With the number of the node that each is at.
    pub clients: Vec<(usize, Client)>,
    pub traffic: Traffic,
    sending: BTreeMap<usize, Sending>,
}

/// What has come to all clients, and how long the end took.
pub struct Outcome {
    seen: usize,
    gaps: usize,
    /// Until all that was lost was told,
    told: Duration,
    /// and until presences were one.
    one: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, gaps, told, one } = self;
        write!(f, "{seen} came, {gaps} gaps, all told after {told:.1?}, presences one after {one:.1?}")
    }
}

impl Scene {
    /// All is well, and all nodes send.
    pub async fn begin(engine: Engine) -> Self {
        let site = Site::start(engine).await;
        let (traffic, sending) = (Traffic::new(engine), BTreeMap::new());
        let mut scene = Self { site, clients: Vec::new(), traffic, sending };
        for node in 0..3 {
            scene.enter(node, &format!("ada{node}"), false, &TOPICS).await;
            scene.enter(node, &format!("bob{node}"), true, &TOPICS).await;
        }
        // Who has not heard of a node cannot know what he misses of it at the very beginning.
        scene.all_arrives().await;
        for node in 0..3 {
            scene.send_from(node);
        }
        sleep(Duration::from_millis(300)).await;
        assert_eq!(scene.gaps(), 0);
        scene
    }

    /// Another client, at a node. Those that come first are to miss nothing.
    pub async fn enter(&mut self, node: usize, user: &str, is_stock: bool, topics: &[&str]) {
        let page = page(&self.site.nodes[node].hub, user, is_stock);
        let topics: Vec<_> = topics.iter().map(|topic| (*topic, json!({ "at": user }))).collect();
        let client = Client::join(page, user, self.sending.is_empty(), &topics).await;
        self.clients.push((node, client));
    }

    /// A client is lost.
    pub fn exit(&mut self, user: &str) {
        self.clients.retain(|(_, client)| client.user != user);
    }

    /// A node sends from now on.
    pub fn send_from(&mut self, node: usize) {
        let Node { hub, number, .. } = &self.site.nodes[node];
        let sending = self.traffic.begin(hub, *number, *number as u64);
        self.sending.insert(node, sending);
    }

    /// No node sends any more.
    pub fn hush(&mut self) {
        self.sending.clear();
    }

    /// A node is no more, nor who was there, as when its program is killed.
    pub fn kill_node(&mut self, node: usize) -> Node {
        self.sending.remove(&node);
        let killed = self.site.nodes.remove(node);
        killed.link.cut();
        self.clients.retain(|(at, _)| *at != node);
        // Those behind it move up.
        assert_eq!(node, self.site.nodes.len());
        killed
    }

    /// Somebody comes to a node, and somebody leaves another.
    pub async fn change_places(&mut self, node: usize) {
        self.enter(node, "max", false, &["room:1"]).await;
        self.exit(&format!("bob{node}"));
        self.exit(&format!("bob{}", (node + 1) % 3));
    }

    /// It is over: all that is lost is told, presences are one, and then nothing is lost any more.
    pub async fn end(mut self) -> Outcome {
        within(5, "all are up", || self.site.is_up()).await;
        sleep(Duration::from_millis(300)).await;
        self.hush();
        let stopped = Instant::now();
        let told = none_within(8, || self.owed()).await;
        none_within(20, || self.differences()).await;
        let one = stopped.elapsed();
        self.members_are_counted();
        // What is told late is told by now.
        sleep(Duration::from_millis(7_500).saturating_sub(stopped.elapsed())).await;
        self.no_faults();
        let (seen, gaps) = (self.seen(), self.gaps());

        let sent = self.traffic.sent();
        for (_, client) in &self.clients {
            client.state().accounts.iter_mut().for_each(|(topic, account)| account.forgive(topic, &sent));
        }
        self.all_arrives().await;
        assert_eq!(self.gaps(), gaps, "nothing happens any more");
        self.nodes_reach_each_other().await;
        self.no_faults();
        Outcome { seen, gaps, told, one }
    }

    /// What all nodes send comes to all, and nothing is lost.
    async fn all_arrives(&self) {
        let gaps = self.gaps();
        for _ in 0..5 {
            for node in &self.site.nodes {
                for way in WAYS {
                    self.traffic.send(&node.hub, node.number, way);
                }
            }
        }
        none_within(5, || self.owed()).await;
        assert_eq!(self.gaps(), gaps);
        self.no_faults();
    }

    /// Pages of other nodes are asked, and users closed, on whichever nodes they are.
    async fn nodes_reach_each_other(&mut self) {
        let mut eves = Vec::new();
        for node in 0..self.site.nodes.len() {
            eves.push(
                Client::join(
                    page(&self.site.nodes[node].hub, "eve", false),
                    "eve",
                    false,
                    &[("plain:2", json!({}))],
                )
                .await,
            );
        }
        let second = Duration::from_secs(1);
        for node in &self.site.nodes {
            for (_, client) in &self.clients {
                let answer =
                    node.hub.conn(client.conn).ask::<Value>("room:1", "pick", &client.user, second).await;
                assert_eq!(answer.unwrap(), json!(client.user));
            }
        }
        self.site.nodes[0].hub.user("eve").close(Close::kicked());
        within(2, "she is closed everywhere", || {
            eves.iter().all(|eve| eve.state().closed == Some(Close::kicked()))
        })
        .await;
    }

    fn members_are_counted(&self) {
        for (at, node) in self.site.nodes.iter().enumerate() {
            for topic in TOPICS {
                let expected = self
                    .clients
                    .iter()
                    .filter(|(node, client)| *node == at && client.state().joined.contains_key(topic));
                let expected: BTreeSet<_> = expected.map(|(_, client)| client.conn.to_string()).collect();
                let members = node.hub.members(topic);
                let members: BTreeSet<_> = members.iter().map(|member| member.conn.to_string()).collect();
                assert_eq!(members, expected, "{topic} at {at}");
            }
            assert_eq!(node.hub.metrics().nodes, 2);
            assert_eq!(node.hub.metrics().backplane_ignored, 0);
        }
    }

    /// Who has another list of those who are present than all should have.
    pub fn differences(&self) -> Vec<String> {
        let mut users: Vec<_> = self.clients.iter().map(|(_, client)| client.user.clone()).collect();
        users.sort();
        let right = refs(&self.site.nodes[0].hub);
        let mut present: Vec<_> = right.values().cloned().collect();
        present.sort();
        let mut all = Vec::new();
        if present != users {
            all.push(format!("{present:?} are present, not {users:?}"));
        }
        for node in &self.site.nodes {
            let list = refs(&node.hub);
            if list != right {
                all.push(format!("{list:?} at node {}, not {right:?}", node.number));
            }
        }
        for (node, client) in &self.clients {
            let list = &client.state().present;
            if *list != right {
                all.push(format!("{list:?} for {} at {node}, not {right:?}", client.user));
            }
        }
        all
    }

    /// What has not come, and was not told to be lost.
    fn owed(&self) -> Vec<String> {
        let sent = self.traffic.sent();
        let mut owed = Vec::new();
        for (node, client) in &self.clients {
            for (topic, account) in &client.state().accounts {
                owed.extend(
                    account
                        .owed(topic, &sent)
                        .into_iter()
                        .map(|what| format!("{} at {node} misses of {topic} {what}", client.user)),
                );
            }
        }
        owed
    }

    fn no_faults(&self) {
        for (node, client) in &self.clients {
            for (topic, account) in &client.state().accounts {
                assert_eq!(account.faults, [""; 0], "{} at {node}, {topic}", client.user);
            }
        }
    }

    fn seen(&self) -> usize {
        self.clients
            .iter()
            .map(|(_, client)| client.state().accounts.values().map(|of| of.seen).sum::<usize>())
            .sum()
    }

    fn gaps(&self) -> usize {
        self.clients
            .iter()
            .map(|(_, client)| client.state().accounts.values().map(|of| of.gaps).sum::<usize>())
            .sum()
    }
}

pub fn page(hub: &Hub, user: &str, is_stock: bool) -> Page {
    let page = hub.test_page(Identity::user(user));
    if is_stock { page.stock() } else { page }
}

/// Who is present, by the refs.
fn refs(hub: &Hub) -> BTreeMap<String, String> {
    let presences = hub.presence("room:1");
    let metas = presences.keys().flat_map(|key| presences.metas(key).iter().map(move |meta| (key, meta)));
    metas.map(|(key, meta)| (meta["phx_ref"].as_str().unwrap().to_owned(), key.to_owned())).collect()
}
