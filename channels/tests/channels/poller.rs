//! A client that polls, through either way to serve it.

use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sansocket_channels::{Events, Hub, HubBuilder, Limits, Payload, Relay, Reply};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::diary::Diary;

/// What serves the hub.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    Handle,
    Service,
}

pub const BOTH: [Via; 2] = [Via::Handle, Via::Service];

/// A request, and to whom.
#[derive(Clone)]
pub struct Ask {
    via: Via,
    hub: Hub,
    headers: Vec<(&'static str, String)>,
}

/// What is answered: the status, the headers in small letters, the body.
pub struct Answer(pub u16, pub String, pub String);

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.2).unwrap()
    }

    /// The status that Phoenix's client looks at.
    pub fn inner(&self) -> u64 {
        self.json()["status"].as_u64().unwrap()
    }

    pub fn messages(&self) -> Vec<String> {
        serde_json::from_value(self.json()["messages"].take()).unwrap()
    }
}

impl Ask {
    pub fn new(via: Via, hub: &Hub) -> Self {
        Self { via, hub: hub.clone(), headers: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub async fn send(&self, method: &str, query: &str, body: impl AsRef<[u8]>) -> Answer {
        let target = format!("/socket/longpoll{query}");
        match self.via {
            Via::Handle => self.to_handle(method, &target, body.as_ref()).await,
            Via::Service => self.to_service(method, &target, body.as_ref()).await,
        }
    }

    /// A connection, for a request as it is written.
    pub fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(1 << 16);
        let hub = self.hub.clone();
        match self.via {
            Via::Handle => drop(tokio::spawn(async move {
                let pending = sansocket::tokio::accept(server).await.unwrap();
                drop(hub.handle(pending).await);
            })),
            Via::Service => {
                let service = TowerToHyperService::new(hub.service());
                let io = TokioIo::new(server);
                drop(tokio::spawn(async { http1::Builder::new().serve_connection(io, service).await }));
            }
        }
        client
    }

    async fn to_handle(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let (mut client, server) = duplex(1 << 16);
        let hub = self.hub.clone();
        let serving = tokio::spawn(async move {
            let pending = sansocket::tokio::accept(server).await.unwrap();
            drop(hub.handle(pending).await);
        });
        let serving = Aborts(serving);
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: example.com\r\n{}", headers.concat());
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        let mut response = Vec::new();
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        // A body that is too long is not taken whole.
        let writing = async { drop(writer.write_all(&[head.as_bytes(), body].concat()).await) };
        let (read, ()) = tokio::join!(reader.read_to_end(&mut response), writing);
        read.unwrap();
        drop(client);
        drop(serving);
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Answer(head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    async fn to_service(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let mut request = http::Request::builder().method(method).uri(target).header("Host", "example.com");
        request = request.header("Content-Length", body.len());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body))).unwrap();
        let response = self.hub.service().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let headers: Vec<_> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        let body = body.collect().await.unwrap().to_bytes();
        Answer(
            parts.status.as_u16(),
            headers.concat().to_lowercase(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }
}

/// A task that goes no longer than whoever waits for it.
struct Aborts(JoinHandle<()>);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A client that polls.
#[derive(Clone)]
pub struct Poller {
    pub ask: Ask,
    pub query: String,
}

impl Poller {
    pub async fn open(ask: &Ask, query: &str) -> Self {
        let answer = ask.send("GET", &format!("?vsn=2.0.0{query}"), "").await;
        assert_eq!((answer.0, answer.inner()), (200, 410), "{}", answer.2);
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Self { ask: ask.clone(), query: format!("?vsn=2.0.0{query}&token={token}") }
    }

    pub async fn joined(ask: &Ask, query: &str) -> Self {
        let poller = Self::open(ask, query).await;
        assert_eq!(poller.post(r#"["1","1","room:1","phx_join",0]"#).await, 200);
        assert_eq!(
            poller.messages().await,
            [r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#]
        );
        poller
    }

    pub async fn poll(&self) -> Answer {
        self.ask.send("GET", &self.query, "").await
    }

    pub async fn messages(&self) -> Vec<String> {
        let answer = self.poll().await;
        assert_eq!((answer.0, answer.inner()), (200, 200), "{}", answer.2);
        answer.messages()
    }

    /// Posts lines; the status that Phoenix's client looks at.
    pub async fn post(&self, body: impl AsRef<[u8]>) -> u64 {
        let ask = self.ask.clone().header("Content-Type", "application/x-ndjson");
        let answer = ask.send("POST", &self.query, body).await;
        // A body that is too long has the HTTP server's answer.
        serde_json::from_str::<Value>(&answer.2)
            .map_or(answer.0.into(), |json| json["status"].as_u64().unwrap())
    }

    /// A poll that waits.
    pub fn waits(&self) -> JoinHandle<Answer> {
        let poller = self.clone();
        tokio::spawn(async move { poller.poll().await })
    }

    /// Whether the connection is over; the client is told in a way that has it dial anew.
    pub async fn is_over(&self) -> bool {
        let answer = self.poll().await;
        (answer.0, answer.inner()) == (410, 500)
    }
}

/// Topics whose members hear each other, and one that answers.
pub fn builder() -> HubBuilder {
    Hub::builder().channel("room:{id}", Relay).channel("echo", echo())
}

fn echo() -> Events {
    Events::new().on("echo", async |_, payload: Payload| match payload.binary() {
        Some(data) => Ok(Reply::binary(data.clone())),
        None => Ok(Reply::with(&payload)?),
    })
}

/// A hub whose sessions are written down.
pub fn noted(limits: Limits) -> (Hub, Diary) {
    let diary = Diary::default();
    (Hub::builder().channel("room:{id}", diary.clone()).limits(limits).build().unwrap(), diary)
}
