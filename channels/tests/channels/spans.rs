//! With the feature `tracing`: a span for each connection, events in it and of the hub, and no payload and no token anywhere.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::backplane::MemoryBus;
use sansocket_channels::test::{Connect, Page};
use sansocket_channels::{
    Denied, Drain, Events, Hub, Identity, Joined, Limits, Open, Refusal, Reply, TopicOptions,
};
use serde_json::json;
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// Other tests are none of its business. Who listens is set for all threads: what one has met that heard of nobody is told to
    /// nobody.
    static IS_MEANT: Cell<bool> = const { Cell::new(false) };
}

/// All that is told on the test's thread.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// By their ids.
    spans: HashMap<u64, String>,
    entered: Vec<u64>,
    /// For each event one, with the spans that it is in.
    lines: Vec<String>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Collector {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        IS_MEANT.get()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut told = self.0.lock().unwrap();
        let id = told.spans.len() as u64 + 1;
        let mut line = span.metadata().name().to_owned();
        span.record(&mut Fields(&mut line));
        told.spans.insert(id, line);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Fields(self.0.lock().unwrap().spans.get_mut(&span.into_u64()).unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut told = self.0.lock().unwrap();
        let mut line = format!("{}", event.metadata().level());
        for span in &told.entered {
            write!(line, " {}", told.spans[span]).unwrap();
        }
        line.push(':');
        event.record(&mut Fields(&mut line));
        told.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

const SECRET: &str = "confidential";

fn hub() -> Hub {
    let room = Events::new()
        .on_join(async |cx, params| {
            match cx.param::<String>("id")?.as_str() {
                "panic" => panic!("as was asked for"),
                "no" => return Err(Refusal::new("unauthorized").details(&json!({ "why": params }))),
                _ => {}
            }
            Joined::new(()).reply(&json!({ "params": params }))?.track(&json!({ "meta": SECRET }))
        })
        .on("say", async |cx, payload| {
            tracing::info!("by the handler");
            cx.broadcast("said", &payload)?;
            Ok(Reply::with(&payload)?)
        })
        .on("bytes", async |_, payload| Ok(Reply::binary(payload.binary().cloned().unwrap_or_default())))
        .on("refuse", async |_, payload| Err(Refusal::new("no").details(&payload)))
        .on("panic", async |_, _| panic!("as was asked for"));
    Hub::builder()
        .channel_with("room:{id}", TopicOptions::new().presence(), room)
        .authenticate(async |handshake| match handshake.bearer() {
            Some(token) if token.contains(SECRET) => Ok(Identity::user("ada").with(token.to_owned())),
            _ => Err(Denied::FORBIDDEN),
        })
        .limits(Limits::default().queue(300 << 10, 8).memory(270 << 10))
        .build()
        .unwrap()
}

async fn connect(hub: &Hub) -> Page {
    let token = format!("token {SECRET}");
    let connect = Connect::new().token(&token).param("token", &token).header("Cookie", &token);
    hub.test_connect(&connect).await.unwrap()
}

/// All that there is of a session, with secrets in it wherever clients and programs may have some.
async fn run(hub: &Hub) -> Vec<String> {
    let secret = json!({ "secret": SECRET });
    let mut conns = Vec::new();
    let mut page = connect(hub).await;
    conns.push(page.conn().to_string());
    page.join("room:1", &secret).await.unwrap();
    page.push("room:1", "say", &secret).await.unwrap();
    page.push("room:1", "refuse", &secret).await.unwrap_err();
    page.push_binary("room:1", "bytes", SECRET.as_bytes()).await.unwrap();
    page.answer("pick", Err);
    let conn = hub.conn(page.conn());
    let asked = tokio::spawn(async move {
        conn.ask::<()>("room:1", "pick", &json!({ "secret": SECRET }), Duration::from_secs(1)).await
    });
    page.linger().await;
    asked.await.unwrap().unwrap_err();
    page.join("room:no", &secret).await.unwrap_err();
    page.join("room:panic", &secret).await.unwrap_err();
    page.cast("room:1", "panic", &secret);
    page.expect("room:1", "phx_error").await;
    page.join("room:1", &secret).await.unwrap();
    page.leave("room:1").await;
    // Slow, closed for it, for want of memory, and for what it sends; lost, and drained.
    for end in ["slow", "memory", "frame", "lost", "closed", "drained"] {
        let mut page = connect(hub).await;
        conns.push(page.conn().to_string());
        page.join("room:1", &secret).await.unwrap();
        match end {
            "slow" | "memory" => {
                page.stall();
                let (count, len) = if end == "slow" { (12, 0) } else { (4, 90 << 10) };
                hub.broadcast("room:1", "said", &secret).unwrap();
                sleep(Duration::from_millis(1_500)).await;
                for _ in 0..count {
                    let payload = json!({ "secret": SECRET, "more": "x".repeat(len) });
                    hub.conn(page.conn()).push("room:1", "said", &payload).unwrap();
                }
            }
            "frame" => page.send_message(format!("no frame, but {SECRET}")),
            "lost" => page.cut(),
            "closed" => page.close(),
            _ => drop(hub.drain(Drain::default()).await),
        }
        sleep(Duration::from_secs(7)).await;
    }
    conns
}

/// A node loses its broker, and has it again.
async fn run_node() {
    let broker = MemoryBus::new().node();
    let node = Hub::builder().channel("news", Open).backplane(broker.clone()).build().unwrap();
    sleep(Duration::from_secs(1)).await;
    broker.cut();
    broker.mend();
    node.drain(Drain::default()).await;
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_told() {
    let collector = Collector::default();
    tracing::subscriber::set_global_default(collector.clone()).unwrap();
    IS_MEANT.set(true);
    let hub = hub();
    assert_eq!(hub.test_connect(&Connect::new().token("wrong")).await.err(), Some(403));
    let conns = run(&hub).await;
    run_node().await;
    let told = collector.0.lock().unwrap();
    for line in told.spans.values().chain(&told.lines) {
        assert!(!line.contains(SECRET), "{line}");
        assert!(!line.contains("bearer"), "{line}");
    }
    let of_hubs: Vec<_> = told.lines.iter().filter(|line| !line.contains("conn=")).collect();
    let up = "INFO: message=connected to the broker";
    assert_eq!(
        of_hubs,
        [
            "DEBUG: message=refused status=403 why=\"Forbidden: this client may not connect.\"",
            up,
            "WARN: message=no connection to the broker",
            up,
        ]
    );
    let of = |conn: &str| -> Vec<String> {
        let span = format!("channels conn={conn} user=\"ada\": ");
        // What others say between is not of it.
        let lines = told.lines.iter().filter_map(|line| {
            let (level, rest) = line.split_once(' ')?;
            Some(format!("{level} {}", rest.split_once(&span)?.1))
        });
        lines.collect()
    };
    let joined = "DEBUG message=joined topic=\"room:1\"";
    assert_eq!(
        of(&conns[0]),
        [
            joined,
            "INFO message=by the handler",
            "DEBUG message=join refused topic=\"room:no\" reason=\"unauthorized\"",
            "ERROR message=the join has crashed topic=\"room:panic\"",
            "ERROR message=the session has crashed topic=\"room:1\"",
            joined,
            "DEBUG message=left topic=\"room:1\" why=Left",
            "DEBUG message=closed code=1012 reason=\"service restart\"",
        ]
    );
    let last = |n: usize| of(&conns[n]).into_iter().filter(|line| *line != joined).collect::<Vec<_>>();
    let [slow, closed, left] = &last(1)[..] else { panic!("{:?}", last(1)) };
    assert!(slow.starts_with("WARN message=the client takes nothing "), "{slow}");
    assert_eq!(closed, "WARN message=closed code=4008 reason=\"slow consumer\"");
    assert_eq!(left, "DEBUG message=left topic=\"room:1\" why=Slow");
    assert_eq!(last(2)[1], "WARN message=closed code=1013 reason=\"overloaded\"");
    assert_eq!(last(3)[0], "DEBUG message=closed code=1008 reason=\"frame\"");
    assert_eq!(last(4), ["DEBUG message=lost", "DEBUG message=left topic=\"room:1\" why=Lost"]);
    assert_eq!(last(5)[0], "DEBUG message=the client has closed");
    assert_eq!(last(6)[0], "DEBUG message=closed code=1012 reason=\"service restart\"");
}
