//! A channel that writes down what becomes of its sessions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::{Channel, Cx, Joined, Leave, Payload, Refusal, Reply, Session};
use tokio::time::sleep;

/// Writes down what becomes of its sessions, and does what it is told to.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    /// What was written since the last look.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Channel for Diary {
    type Session = Entry;

    /// The parameters say how long it takes, in milliseconds.
    async fn join(&self, cx: &Cx, params: Payload) -> Result<Joined<Entry>, Refusal> {
        match params.json() {
            Some("\"panic\"") => panic!("as was asked for"),
            Some("\"push\"") => {
                cx.push("early", &1)?;
                cx.broadcast("joins", &2)?;
                sleep(Duration::from_millis(5)).await;
            }
            _ => sleep(Duration::from_millis(params.parse().unwrap_or(0))).await,
        }
        self.write(format!("join {}", cx.topic()));
        Ok(Joined::new(Entry(self.clone(), Farewell::Fine)))
    }
}

pub struct Entry(Diary, Farewell);

/// What becomes of the session when it is told of its end.
enum Farewell {
    Fine,
    Panic,
    Slow,
    Hang,
}

impl Session for Entry {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        self.0.write(format!("{event} {}", payload.json().unwrap_or("bytes")));
        match event {
            "wait" => sleep(Duration::from_millis(payload.parse()?)).await,
            "hang" => std::future::pending().await,
            "panic" => panic!("as was asked for"),
            "say" => drop(cx.broadcast("said", &payload)?),
            "stop" => return Ok(Reply::ok().stop()),
            "close" => cx.close(),
            "panic at the end" => self.1 = Farewell::Panic,
            "slow at the end" => self.1 = Farewell::Slow,
            "hang at the end" => self.1 = Farewell::Hang,
            "later" => {
                let answer = cx.reply_to().unwrap();
                assert!(cx.reply_to().is_none());
                tokio::spawn(async move {
                    sleep(Duration::from_secs(5)).await;
                    drop(answer);
                });
            }
            _ => {}
        }
        self.0.write(format!("done {event}"));
        Ok(Reply::with(&payload)?)
    }

    async fn leave(self, cx: &Cx, why: Leave) {
        assert!(cx.hub().members(cx.topic()).iter().all(|member| member.conn != cx.conn()), "it is a member");
        self.0.write(format!("{why:?}"));
        match self.1 {
            Farewell::Fine => {}
            Farewell::Panic => panic!("as was asked for"),
            Farewell::Slow => {
                sleep(Duration::from_millis(100)).await;
                self.0.write("gone".into());
            }
            Farewell::Hang => std::future::pending().await,
        }
    }
}
