//! What a client is asked for while it is connected, by whoever types, a pipe, its command line, or a clock.

use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use sansocket::CloseCode;
use tokio::sync::mpsc::{Receiver, Sender};

pub enum Input {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close(CloseCode, String),
    Help,
    /// What is wrong with what was typed.
    Misunderstood(String),
    /// Why nothing more can be read.
    Failed(String),
    /// Nothing: who waits for an input is to look whether the connection is still there.
    Wake,
}

impl Input {
    /// Nothing more is to be sent.
    pub const END: Self = Self::Close(CloseCode::NORMAL, String::new());

    /// A line that was typed: a text, or a command.
    pub fn typed(line: &str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            return Self::Text(line.to_owned());
        };
        if command.starts_with('/') {
            return Self::Text(command.to_owned());
        }
        let (name, rest) = command.split_once(' ').map_or((command, ""), |(name, rest)| (name, rest.trim()));
        match name {
            "binary" => bytes(rest),
            "close" => close(rest),
            "help" => Self::Help,
            "ping" => Self::Ping,
            _ => Self::Misunderstood(format!(
                "there is no command /{name}; /help lists them, and /{line} is sent as {line}"
            )),
        }
    }
}

/// What is to be sent, over one connection after the other.
pub struct Inputs {
    /// What came when there was no connection, and is the next one.
    pub held: Option<Input>,
    pub to_come: Receiver<Input>,
}

impl Inputs {
    /// Keeps an input for later, if it is one.
    pub fn hold(&mut self, input: Input) {
        self.held = Some(input).filter(|input| !matches!(input, Input::Wake));
    }
}

fn bytes(hex: &str) -> Input {
    let digits: Option<Vec<_>> =
        hex.chars().filter(|char| !char.is_whitespace()).map(|char| char.to_digit(16)).collect();
    match digits.as_deref().map(<[u32]>::as_chunks) {
        // Each is less than 16.
        Some((pairs, [])) => {
            Input::Binary(pairs.iter().map(|[high, low]| (high << 4 | low).to_le_bytes()[0]).collect())
        }
        _ => Input::Misunderstood("/binary needs pairs of hexadecimal digits, such as 68 65 6c".into()),
    }
}

fn close(arguments: &str) -> Input {
    let (code, reason) = arguments.split_once(' ').unwrap_or((arguments, ""));
    match code.parse() {
        Ok(code) => Input::Close(CloseCode::new(code), reason.trim().into()),
        Err(_) if arguments.is_empty() => Input::END,
        Err(_) => {
            Input::Misunderstood("/close needs a number, such as 1000 or 4001, before the reason".into())
        }
    }
}

/// The lines of stdin, which are all texts where nobody types them.
pub fn read_lines(inputs: Sender<Input>, is_typed: bool) {
    thread::spawn(move || {
        for line in io::stdin().lines() {
            let input = match line {
                Ok(line) if is_typed => Input::typed(&line),
                Ok(line) => Input::Text(line),
                Err(error) => Input::Failed(format!("cannot read stdin: {error}")),
            };
            let is_over = matches!(input, Input::Failed(_));
            if inputs.blocking_send(input).is_err() || is_over {
                return;
            }
        }
        let _ = inputs.blocking_send(Input::END);
    });
}

/// The texts of the command line, and the end once all answers have come.
pub fn send_texts(inputs: Sender<Input>, texts: Vec<String>, answered: mpsc::Receiver<()>) {
    thread::spawn(move || {
        let sent = texts.into_iter().try_for_each(|text| inputs.blocking_send(Input::Text(text)));
        if sent.is_ok() && answered.recv().is_ok() {
            let _ = inputs.blocking_send(Input::END);
        }
    });
}

/// A Ping at once, and then so often.
pub fn send_pings(inputs: Sender<Input>, interval: Duration) {
    thread::spawn(move || {
        while inputs.blocking_send(Input::Ping).is_ok() {
            thread::sleep(interval.max(LEAST));
        }
    });
}

pub const HELP: &str = "\
a line is sent as a text; a line that begins with / is one of these:
/ping                    sends a Ping, and tells how long the Pong takes
/binary 68 65 6c         sends a binary message, written in hexadecimal digits
/close [code] [reason]   closes the connection, with 1000 if there is no code
/help                    shows this
//text                   sends /text
Ctrl-C and Ctrl-D close the connection, too; a second one ends the program at once";

/// Between two Pings.
const LEAST: Duration = Duration::from_millis(1);
