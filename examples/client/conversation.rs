//! What a client does with its connection, whatever moves the bytes: what is to be sent, what is shown, what is counted,
//! and what is said at the end.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sansocket::{CloseCode, Closed, Incoming, Initiator, Message, SendError, TimedOut};
use tokio::sync::mpsc::{Receiver, channel};

use crate::input::{HELP, Input, read_lines, send_pings, send_texts};
use crate::options::Options;
use crate::terminal::Output;
use crate::view::{self, Failure, Opening, View, count, milliseconds, tell};

/// Shared by who sends and who receives. Everything that shows something may block.
pub struct Conversation {
    view: View,
    output: Output,
    /// How many answers are waited for, and how long; `None` if there are lines to be sent.
    wanted: Option<(usize, Duration)>,
    /// Whether what is sent is shown: where it is typed without a prompt, it is there already.
    shows_sent: bool,
    shows_pings: bool,
    since: Instant,
    counts: Mutex<Counts>,
}

/// What went over the connection.
#[derive(Default)]
struct Counts {
    sent: Traffic,
    received: Traffic,
    pings: usize,
    /// Pings without a Pong, and when they were sent.
    unanswered: VecDeque<(Vec<u8>, Instant)>,
    latencies: Vec<Duration>,
    /// Told when as many messages came as are wanted.
    answered: Option<mpsc::Sender<()>>,
    /// Why there were no more inputs.
    failed: Option<String>,
}

#[derive(Default)]
struct Traffic {
    messages: usize,
    bytes: usize,
}

/// What is to be sent.
pub enum Action {
    Message(Message),
    Ping(Vec<u8>),
    Close(CloseCode, String),
    Nothing,
}

impl Conversation {
    /// Tells what was opened, and begins to read what is to be sent.
    pub fn begin(options: &mut Options, opening: &Opening) -> Result<(Self, Receiver<Input>), String> {
        let view = View::new(options);
        let (inputs, to_send) = channel(64);
        let (texts, mut counts) = (std::mem::take(&mut options.texts), Counts::default());
        let wanted = (!texts.is_empty()).then_some((texts.len(), options.timeout));
        let is_typed = wanted.is_none() && view.is_terminal && io::stdin().is_terminal();
        let has_prompt = is_typed && view.is_smart;
        let opened = view.notice(&view::opened(opening, is_typed));
        let output = if has_prompt {
            Output::with_prompt(view.prompt(), opened, options.history.take(), inputs.clone())?
        } else {
            if view.is_terminal {
                Output::Plain.show(opened)?;
            }
            Output::Plain
        };
        if wanted.is_some() {
            let (answered, are_answered) = mpsc::channel();
            counts.answered = Some(answered);
            send_texts(inputs.clone(), texts, are_answered);
        } else if !has_prompt {
            read_lines(inputs.clone(), is_typed);
        }
        if let Some(interval) = options.ping {
            send_pings(inputs, interval);
        }
        let shows_sent = view.is_terminal && (has_prompt || !is_typed);
        let (shows_pings, since, counts) = (options.ping.is_some(), Instant::now(), Mutex::new(counts));
        Ok((Self { view, output, wanted, shows_sent, shows_pings, since, counts }, to_send))
    }

    /// What is to be done about an input. It is shown.
    pub fn act(&self, input: Input) -> Result<Action, String> {
        let (shown, action) = match input {
            Input::Text(text) => return self.send(Message::text(text)),
            Input::Binary(bytes) => return self.send(Message::binary(bytes)),
            Input::Ping => {
                if self.view.is_terminal {
                    self.output.show(self.view.sent_control("ping"))?;
                }
                // Its latency begins here.
                return Ok(Action::Ping(self.counts().ping()));
            }
            Input::Close(code, reason) => {
                let shown = format!("close {code} {reason}");
                (self.view.sent_control(shown.trim_end()), Action::Close(code, reason))
            }
            Input::Help => (self.view.notice(HELP), Action::Nothing),
            Input::Misunderstood(why) => (self.view.notice(&why), Action::Nothing),
            Input::Failed(why) => {
                self.counts().failed = Some(why);
                return Ok(Action::Close(CloseCode::NORMAL, String::new()));
            }
        };
        if self.view.is_terminal {
            self.output.show(shown)?;
        }
        Ok(action)
    }

    fn send(&self, message: Message) -> Result<Action, String> {
        if self.shows_sent {
            self.output.show(self.view.sent(&message))?;
        }
        self.counts().sent.add(&message);
        Ok(Action::Message(message))
    }

    /// Whether it goes on after this: what was typed, and may not be sent, can be typed anew.
    pub fn excuse(&self, error: sansocket::Error) -> Result<(), Failure> {
        match error {
            sansocket::Error::Send(error) if self.view.is_terminal && error != SendError::Closing => {
                Ok(self.output.show(self.view.notice(&error.to_string()))?)
            }
            error => Err(error.into()),
        }
    }

    /// Shows what came then.
    pub fn received(&self, incoming: Incoming, then: Instant) -> Result<(), String> {
        let shown = match incoming {
            Incoming::Message(message) => {
                let wanted = self.wanted.is_none_or(|(wanted, _)| self.came() < wanted);
                if wanted {
                    self.output.show(self.view.received(&message))?;
                }
                self.counts().came(&message, self.wanted.map(|(wanted, _)| wanted));
                return Ok(());
            }
            Incoming::Ping(payload) if self.shows_pings => format!("ping, {}", count(payload.len(), "byte")),
            Incoming::Pong(payload) => match self.counts().pong(&payload, then) {
                Some(latency) => format!("pong after {}", milliseconds(latency)),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        if self.view.is_terminal {
            self.output.show(self.view.received_control(&shown))?;
        }
        Ok(())
    }

    /// When the exchange is to be over, if it is one that began then.
    pub fn deadline(&self, start: Instant) -> Option<Instant> {
        self.wanted.map(|(_, timeout)| start + timeout)
    }

    /// What is wrong where that passed.
    pub fn late(&self) -> Failure {
        match self.wanted {
            Some((wanted, timeout)) if self.came() < wanted => {
                let (came, seconds) = (self.came(), timeout.as_secs_f64());
                format!("only {came} of {wanted} messages came within {seconds} s").into()
            }
            _ => TimedOut::ClosingHandshake.into(),
        }
    }

    /// Tells how it ended. It may block, and so is not for what a runtime runs.
    pub fn end(&self, ended: Result<Option<Closed>, Failure>) -> ExitCode {
        self.output.end();
        let judged = ended.and_then(|closed| {
            self.judge(closed.as_ref())?;
            Ok(view::closed(closed.as_ref()))
        });
        let told = match judged {
            Ok(how) if self.view.is_terminal => {
                let line = self.view.notice(&format!("{how}; {}", self.summary()));
                Output::Plain.show(line).map_err(Failure::from)
            }
            Err(error) if self.view.is_terminal => {
                Err(format!("{}; {}", error.sentence(), self.summary()).into())
            }
            judged => {
                if let Some(latency) = self.counts().latency().filter(|_| self.shows_pings) {
                    tell(&latency);
                }
                judged.map(drop)
            }
        };
        told.map_or_else(|error| error.tell(), |()| ExitCode::SUCCESS)
    }

    /// Whether all was as it should be, where nothing failed.
    fn judge(&self, closed: Option<&Closed>) -> Result<(), Failure> {
        let came = self.came();
        match (self.wanted, closed) {
            (Some((wanted, _)), _) if came < wanted => {
                Err(format!("{}, after {came} of {wanted} messages", view::closed(closed)).into())
            }
            (Some(_), _) => Ok(()),
            (None, _) if is_ours(closed) => self.counts().failed.take().map_or(Ok(()), |why| Err(why.into())),
            (None, Some(closed)) if is_goodbye(closed.code) => Ok(()),
            (None, _) => Err(view::closed(closed).into()),
        }
    }

    /// How long it was open, and what went over it.
    fn summary(&self) -> String {
        let counts = self.counts();
        let traffic = |Traffic { messages, bytes }: &Traffic| {
            format!("{}, {}", count(*messages, "message"), count(*bytes, "byte"))
        };
        let (sent, received) = (traffic(&counts.sent), traffic(&counts.received));
        let seconds = self.since.elapsed().as_secs_f64();
        let latency = counts.latency().map_or_else(String::new, |latency| format!("; {latency}"));
        format!("open for {seconds:.1} s; sent {sent}; received {received}{latency}")
    }

    fn came(&self) -> usize {
        self.counts().received.messages
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The payload of one more Ping.
    fn ping(&mut self) -> Vec<u8> {
        self.pings += 1;
        let payload = self.pings.to_string().into_bytes();
        if self.unanswered.len() == UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((payload.clone(), Instant::now()));
        payload
    }

    /// How long this answer took, if it is one. It answers all Pings before it: "If an endpoint receives a Ping frame and
    /// has not yet sent Pong frame(s) in response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for
    /// only the most recently processed Ping frame." (RFC 6455 section 5.5.3)
    fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let place = self.unanswered.iter().position(|(sent, _)| sent == payload)?;
        let (_, then) = self.unanswered.drain(..=place).next_back()?;
        let latency = now.saturating_duration_since(then);
        self.latencies.push(latency);
        Some(latency)
    }

    fn came(&mut self, message: &Message, wanted: Option<usize>) {
        self.received.add(message);
        if Some(self.received.messages) == wanted {
            // Who waits for it may have failed.
            self.answered.take().map(|answered| answered.send(()));
        }
    }

    /// The least, the median and the most.
    fn latency(&self) -> Option<String> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let [least, .., most] = sorted.as_slice() else {
            return sorted.first().map(|only| format!("latency {}", milliseconds(*only)));
        };
        let [least, median, most] = [*least, sorted[sorted.len() / 2], *most].map(milliseconds);
        Some(format!(
            "latency of {}: least {least}, median {median}, most {most}",
            count(sorted.len(), "Ping")
        ))
    }
}

impl Traffic {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.len();
    }
}

/// Whether it was this client that wanted to close the connection. Then nothing is left to be sent.
pub fn is_ours(closed: Option<&Closed>) -> bool {
    closed.is_some_and(|closed| closed.initiator == Initiator::Local)
}

/// Whether a server that closed the connection had no complaint.
fn is_goodbye(code: CloseCode) -> bool {
    [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS_RECEIVED].contains(&code)
}

/// More Pings than that are not waited for.
const UNANSWERED: usize = 64;
