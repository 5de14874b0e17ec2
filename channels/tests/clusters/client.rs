//! A page that reads all the time, and answers what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{Close, ConnId};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::account::Account;
use crate::site::within;

/// A page that reads all the time, and answers what it is asked. Dropped, its connection is lost.
pub struct Client {
    pub user: String,
    pub conn: ConnId,
    state: Arc<Mutex<State>>,
    reading: AbortHandle,
}

#[derive(Default)]
pub struct State {
    /// It was there before anything was sent.
    is_early: bool,
    /// What the joins were answered by, and of which topics.
    pub joined: BTreeMap<String, Value>,
    pub accounts: BTreeMap<String, Account>,
    /// Who is present on the topic that tells, by the refs that it was told.
    pub present: BTreeMap<String, String>,
    /// What has changed of that, until all of it has come. `None`: it has.
    changes: Option<Vec<Value>>,
    pub closed: Option<Close>,
}

impl Client {
    /// One that joins topics, with these parameters. It may be there before anything is sent.
    pub async fn join(page: Page, user: &str, is_early: bool, topics: &[(&str, Value)]) -> Self {
        let conn = page.conn();
        let state = Arc::new(Mutex::new(State { is_early, changes: Some(Vec::new()), ..State::default() }));
        let mut page = page;
        for (at, (topic, params)) in topics.iter().enumerate() {
            let reference = (at + 1).to_string();
            page.send_message(json!([reference, reference, topic, "phx_join", params]).to_string());
        }
        let reading = tokio::spawn(read(page, state.clone())).abort_handle();
        let client = Self { user: user.to_owned(), conn, state, reading };
        within(5, "it has joined", || client.state().joined.len() == topics.len()).await;
        client
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut page: Page, state: Arc<Mutex<State>>) {
    loop {
        let asked = Instant::now();
        if let Some(message) = page.next_message().await {
            let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            if let Some(answer) = answer(&frame) {
                page.send_message(answer.to_string());
            }
            state.lock().unwrap().see(&frame);
        } else if asked.elapsed() < Duration::from_millis(900) {
            // It is closed: nothing more comes.
            if let Ok(close) = timeout(Duration::from_millis(100), page.closed()).await {
                state.lock().unwrap().closed = Some(close);
            }
            return;
        }
    }
}

/// What the page says to a frame, if it is a question that it answers.
fn answer(frame: &Value) -> Option<Value> {
    let response = json!({ "ref": frame[1], "status": "ok", "response": frame[4] });
    (frame[3] == "pick").then(|| json!([frame[0], null, frame[2], "$reply", response]))
}

impl State {
    fn see(&mut self, frame: &Value) {
        let topic = frame[2].as_str().unwrap();
        match frame[3].as_str() {
            Some("phx_reply") if !frame[0].is_null() => {
                assert_eq!(frame[4]["status"], "ok", "{frame}");
                let response = &frame[4]["response"];
                self.accounts.insert(topic.to_owned(), Account::new(response, self.is_early));
                self.joined.insert(topic.to_owned(), response.clone());
                return;
            }
            Some("presence_state") => {
                self.present.clear();
                self.list(&frame[4], true);
                for change in self.changes.take().into_iter().flatten() {
                    self.change(&change);
                }
            }
            Some("presence_diff") => match &mut self.changes {
                Some(changes) => changes.push(frame[4].clone()),
                None => self.change(&frame[4]),
            },
            _ => {}
        }
        if let Some(account) = self.accounts.get_mut(topic) {
            account.see(frame);
        }
    }

    /// An update is a join, and a leave of the ref before.
    fn change(&mut self, change: &Value) {
        self.list(&change["joins"], true);
        self.list(&change["leaves"], false);
    }

    fn list(&mut self, keys: &Value, are_there: bool) {
        for (key, value) in keys.as_object().unwrap() {
            for meta in value["metas"].as_array().unwrap() {
                let reference = meta["phx_ref"].as_str().unwrap().to_owned();
                if are_there {
                    self.present.insert(reference, key.clone());
                } else {
                    self.present.remove(&reference);
                }
            }
        }
    }
}
