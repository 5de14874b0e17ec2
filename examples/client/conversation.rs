//! What a client does with its connection, whatever moves the bytes: what is to be sent, what is shown, what is counted,
//! and what is said at the end.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::mem;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sansocket::reconnect::Ended;
use sansocket::{CloseCode, Closed, Incoming, Initiator, Message, SendError, TimedOut};
use tokio::sync::mpsc::{Sender, channel};

use crate::input::{HELP, Input, Inputs, read_lines, send_pings, send_texts};
use crate::options::Options;
use crate::redial::Loss;
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
    /// To wake who waits for an input, if another connection may follow.
    waker: Option<Sender<Input>>,
    counts: Mutex<Counts>,
}

/// What went over the connections.
#[derive(Default)]
struct Counts {
    connections: usize,
    /// Whether the last of them is still there.
    is_open: bool,
    /// Messages that were to be sent, and were not when their connection was lost: of the last one, and of all.
    unsent: (usize, usize),
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

/// What is to be done about an input while there is no connection.
pub enum Meanwhile {
    Hold(Input),
    Nothing,
    /// There is to be no other.
    End,
}

impl Conversation {
    /// Tells what was opened, and begins to read what is to be sent.
    pub fn begin(options: &mut Options, opening: &Opening) -> Result<(Self, Inputs), String> {
        let view = View::new(options);
        let (inputs, to_send) = channel(64);
        let (texts, mut counts) = (mem::take(&mut options.texts), Counts::open());
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
        let waker = options.reconnect.is_some().then(|| inputs.clone());
        if let Some(interval) = options.ping {
            send_pings(inputs, interval);
        }
        let shows_sent = view.is_terminal && (has_prompt || !is_typed);
        let (shows_pings, since, counts) = (options.ping.is_some(), Instant::now(), Mutex::new(counts));
        let conversation = Self { view, output, wanted, shows_sent, shows_pings, since, waker, counts };
        Ok((conversation, Inputs { held: None, to_come: to_send }))
    }

    /// Tells what was opened after that.
    pub fn opened(&self, opening: &Opening) -> Result<(), String> {
        let mut counts = self.counts();
        (counts.connections, counts.is_open) = (counts.connections + 1, true);
        drop(counts);
        if self.view.is_terminal {
            self.output.show(self.view.notice(&view::opened(opening, false)))?;
        }
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        self.counts().is_open
    }

    /// The connection is not there any more, which who waits for an input to send is to see.
    pub fn lost(&self) {
        self.counts().is_open = false;
        self.wake();
    }

    /// Wakes who waits for an input, if another connection may follow.
    pub fn wake(&self) {
        // If there is no room, there are inputs.
        self.waker.as_ref().map(|waker| waker.try_send(Input::Wake));
    }

    /// So many messages were not sent over a connection that is over.
    pub fn left(&self, messages: usize) {
        let (of_last, of_all) = &mut self.counts().unsent;
        *of_last += messages;
        *of_all += messages;
    }

    /// Tells why the connection was lost, or is not there yet.
    pub fn told(&self, loss: &Loss) -> Result<(), String> {
        let mut line = loss.to_string();
        match mem::take(&mut self.counts().unsent.0) {
            0 => {}
            1 => line += ", and a message was not sent",
            messages => line = format!("{line}, and {messages} messages were not sent"),
        }
        if self.view.is_terminal {
            return self.output.show(self.view.notice(&view::escaped(&line)));
        }
        tell(&line);
        Ok(())
    }

    /// What is to be done about an input while there is no connection.
    pub fn meanwhile(&self, input: Input) -> Result<Meanwhile, String> {
        Ok(match input {
            Input::Text(_) | Input::Binary(_) => Meanwhile::Hold(input),
            Input::Ping | Input::Wake => Meanwhile::Nothing,
            Input::Help | Input::Misunderstood(_) => {
                self.act(input)?;
                Meanwhile::Nothing
            }
            Input::Failed(_) => {
                self.act(input)?;
                Meanwhile::End
            }
            Input::Close(..) => Meanwhile::End,
        })
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
            Input::Wake => return Ok(Action::Nothing),
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

    /// Whether this is for the receiving half to tell, since the connection has failed, and another one may follow.
    pub fn outlives(&self, error: &sansocket::Error) -> bool {
        let is_lost = !matches!(error, sansocket::Error::Send(error) if *error != SendError::Closing);
        self.waker.is_some() && is_lost
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
        let open = match counts.connections {
            1 => format!("open for {seconds:.1} s"),
            connections => format!("{connections} connections in {seconds:.1} s"),
        };
        let unsent = match counts.unsent.1 {
            0 => String::new(),
            unsent => format!(", of which {unsent} did not go out"),
        };
        format!("{open}; sent {sent}{unsent}; received {received}{latency}")
    }

    fn came(&self) -> usize {
        self.counts().received.messages
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Of a connection that was opened.
    fn open() -> Self {
        Self { connections: 1, is_open: true, ..Self::default() }
    }

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

/// What it came to where nothing follows.
pub fn outcome(ended: Ended) -> Result<Option<Closed>, Failure> {
    match ended {
        Ended::Closed(closed) => Ok(Some(closed)),
        failed @ Ended::Failed(_) => Err(Failure::of(failed)),
    }
}

/// How a connection ended: without a Close frame is a loss.
pub fn ended(received: Result<Option<Closed>, Failure>) -> Result<Ended, Failure> {
    let lost = || Closed::new(CloseCode::ABNORMAL_CLOSURE, "", Initiator::Transport, false);
    match received {
        Ok(closed) => Ok(Ended::Closed(closed.unwrap_or_else(lost))),
        Err(failure) => failure.into_ended(),
    }
}

/// Whether a server that closed the connection had no complaint.
fn is_goodbye(code: CloseCode) -> bool {
    [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS_RECEIVED].contains(&code)
}

/// More Pings than that are not waited for.
const UNANSWERED: usize = 64;
