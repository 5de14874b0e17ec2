//! The queue of a page that stalls and goes on, beside a model that looks at all of it each time.

use std::time::Duration;

use sansocket_channels::{Hub, Identity, Limits, OnFull, Open, TopicOptions};
use tokio::time::sleep;

use crate::random::Random;

/// What waits.
#[derive(Clone, Debug)]
struct Waiting {
    topic: usize,
    kind: Kind,
    text: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Reliable,
    Volatile,
    Keyed(usize),
    /// A gap takes no room.
    Gap,
}

#[derive(Default)]
struct Model {
    waiting: Vec<Waiting>,
    is_closed: bool,
}

const TOPICS: [(&str, OnFull); 3] =
    [("close", OnFull::Close), ("newest", OnFull::DropNewest), ("oldest", OnFull::DropOldest)];
const FRAMES: usize = 24;
const BYTES: usize = 3_000;
const VOLATILE: usize = 600;

impl Model {
    fn fits(&self, len: usize) -> bool {
        let frames = self.waiting.iter().filter(|waiting| waiting.kind != Kind::Gap);
        let bytes: usize = frames.clone().map(|waiting| waiting.text.len()).sum();
        bytes + len <= BYTES && frames.count() < FRAMES
    }

    /// Whether it is taken.
    fn push(&mut self, new: Waiting) -> bool {
        let len = new.text.len();
        let bytes: usize =
            self.waiting.iter().filter(|old| old.kind != Kind::Gap).map(|old| old.text.len()).sum();
        let is_older = |old: &Waiting| (old.topic, &old.kind) == (new.topic, &new.kind);
        match new.kind {
            Kind::Volatile if bytes >= VOLATILE || !self.fits(len) => return false,
            Kind::Keyed(_) => {
                if let Some(at) = self.waiting.iter().position(is_older) {
                    if bytes - self.waiting[at].text.len() + len <= BYTES {
                        self.waiting[at] = new;
                        return true;
                    }
                    self.waiting.remove(at);
                    self.merge(new.topic);
                }
            }
            _ => {}
        }
        if !self.fits(len) && !self.make_room(&new) {
            return false;
        }
        self.waiting.push(new);
        true
    }

    fn make_room(&mut self, new: &Waiting) -> bool {
        let topic = new.topic;
        let on_full = TOPICS[topic].1;
        if on_full == OnFull::Close {
            self.is_closed = true;
            return false;
        }
        let others: Vec<_> = self.waiting.iter().filter(|old| old.topic != topic).cloned().collect();
        if on_full == OnFull::DropOldest && (Self { waiting: others, ..Self::default() }).fits(new.text.len())
        {
            while !self.fits(new.text.len()) {
                let is_frame = |old: &Waiting| old.topic == topic && old.kind != Kind::Gap;
                let at = self.waiting.iter().position(is_frame).unwrap();
                if self.waiting[at].kind == Kind::Volatile {
                    self.waiting.remove(at);
                } else {
                    self.waiting[at].kind = Kind::Gap;
                }
                self.merge(topic);
            }
            return true;
        }
        self.waiting.push(Waiting { topic, kind: Kind::Gap, text: String::new() });
        let last_two: Vec<_> = self.waiting.iter().rev().filter(|old| old.topic == topic).take(2).collect();
        if last_two.iter().all(|old| old.kind == Kind::Gap) && last_two.len() == 2 {
            self.waiting.pop();
        }
        false
    }

    /// Of gaps that follow each other, the last is left.
    fn merge(&mut self, topic: usize) {
        let own: Vec<_> = (0..self.waiting.len()).filter(|at| self.waiting[*at].topic == topic).collect();
        for pair in own.windows(2).rev() {
            if pair.iter().all(|at| self.waiting[*at].kind == Kind::Gap) {
                self.waiting.remove(pair[0]);
            }
        }
    }
}

/// What a page is told is what the model says, in its order, and with its gaps.
#[tokio::test(start_paused = true)]
async fn the_queue_does_what_the_model_does() {
    let (mut gaps, mut replaced, mut closed) = (0, 0, 0);
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut builder = Hub::builder();
        for (topic, on_full) in TOPICS {
            builder = builder.channel_with(topic, TopicOptions::new().on_full(on_full), Open);
        }
        let limits = Limits::default().payload(400).queue(BYTES, FRAMES).volatile(VOLATILE).reserve(0, 0);
        let hub = builder.limits(limits).build().unwrap();
        let mut page = hub.test_page(Identity::anonymous()).stock();
        for (topic, _) in TOPICS {
            page.join(topic, &()).await.unwrap();
        }
        // Mostly of those that drop.
        let topics = if seed % 3 == 0 { 3 } else { 2 };
        let mut model = Model::default();
        'page: for round in 0..20 {
            page.stall();
            // It is on its way, and waits no more.
            hub.conn(page.conn()).push("newest", "first", &round).unwrap();
            settle().await;
            for step in 0..random.below(120) {
                let topic = TOPICS.len() - 1 - random.below(topics);
                let name = TOPICS[topic].0;
                let payload = format!("{step}{}", "x".repeat(random.below(2) * random.below(300)));
                let text = format!(r#"[null,null,"{name}","said","{payload}"]"#);
                let (publish, kind) = match random.below(4) {
                    0 => (hub.to(name).volatile(), Kind::Volatile),
                    1 => {
                        let key = random.below(3);
                        (hub.to(name).keyed(&key.to_string()), Kind::Keyed(key))
                    }
                    _ => (hub.to(name), Kind::Reliable),
                };
                let before = model.waiting.len();
                let is_taken = model.push(Waiting { topic, kind, text });
                replaced += usize::from(is_taken && model.waiting.len() == before);
                let taken = publish.send("said", &payload).unwrap().local;
                assert_eq!(taken == 1, is_taken, "seed {seed}, round {round}, step {step}");
                if model.is_closed {
                    page.resume();
                    assert_eq!(page.closed().await.code(), 4008);
                    closed += 1;
                    break 'page;
                }
            }
            page.resume();
            assert!(page.next_message().await.unwrap().as_text().unwrap().contains("first"));
            for waiting in model.waiting.drain(..) {
                let told = page.next_message().await.unwrap();
                let expected = if waiting.kind == Kind::Gap {
                    gaps += 1;
                    format!(
                        r#"["{n}",null,"{}","$gap",{{}}]"#,
                        TOPICS[waiting.topic].0,
                        n = waiting.topic + 1
                    )
                } else {
                    waiting.text
                };
                assert_eq!(told.as_text(), Some(&*expected), "seed {seed}, round {round}");
            }
            assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
        }
    }
    assert!(gaps > 500 && replaced > 500 && closed > 5, "{gaps} {replaced} {closed}");
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}
