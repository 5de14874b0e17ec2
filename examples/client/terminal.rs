//! The terminal while a line is typed there: what comes is shown above it.
//!
//! rustyline-async, and not rustyline: its lines can be waited for together with what is to be shown, in one thread, so that
//! nothing that was to be shown is left in a queue when the reading ends, and it can end without a key that is pressed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustyline_async::{Readline, ReadlineError, ReadlineEvent, SharedWriter};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::input::Input;

/// Where a client's lines are shown.
pub enum Output {
    /// stdout, as it is.
    Plain,
    /// Above the line that is typed.
    AboveLine { shown: Sender<Option<String>>, thread: Mutex<Option<JoinHandle<()>>> },
}

impl Output {
    /// Has lines typed, and sends them as inputs, until `end`. The first lines are shown once that can be done.
    pub fn with_prompt(
        prompt: String,
        first: String,
        history: Option<PathBuf>,
        inputs: Sender<Input>,
    ) -> Result<Self, String> {
        let history = History(history);
        let lines = history.load().map_err(|error| format!("cannot use the file of --history: {error}"))?;
        let terminal = Readline::new(prompt).map(|(mut readline, writer)| {
            readline.should_print_line_on(false, false);
            readline.set_history_entries(lines);
            (readline, writer)
        });
        let (readline, writer) = terminal.map_err(|error| format!("cannot use the terminal: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
        let (shown, to_show) = mpsc::channel(64);
        shown.try_send(Some(first)).map_err(|error| error.to_string())?;
        let typing = Typing { readline, writer, history, waiting: VecDeque::new() };
        let thread = thread::spawn(move || runtime.block_on(typing.run(to_show, inputs)));
        Ok(Self::AboveLine { shown, thread: Mutex::new(Some(thread)) })
    }

    /// Shows lines, each with its end. May block.
    pub fn show(&self, lines: String) -> Result<(), String> {
        let Self::AboveLine { shown, .. } = self else {
            let mut stdout = io::stdout().lock();
            let printed = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
            return printed.map_err(|error| format!("cannot print a message: {error}"));
        };
        shown.blocking_send(Some(lines)).map_err(|_| "the terminal is gone".into())
    }

    /// Gives the terminal back, once all is shown. May block.
    pub fn end(&self) {
        if let Self::AboveLine { shown, thread } = self {
            let _ = shown.blocking_send(None);
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = thread.map(JoinHandle::join);
        }
    }
}

/// The line, and what may come in its way.
struct Typing {
    readline: Readline,
    writer: SharedWriter,
    history: History,
    /// What was typed faster than it can be sent. What comes is shown nevertheless: the server may wait for that.
    waiting: VecDeque<Input>,
}

impl Typing {
    async fn run(mut self, mut to_show: Receiver<Option<String>>, inputs: Sender<Input>) {
        let mut is_closing = false;
        loop {
            tokio::select! {
                // The line first: it shows what the writer was given before it is given more.
                biased;
                event = self.readline.readline() => match event {
                    Ok(ReadlineEvent::Line(line)) => self.entered(line),
                    Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) if is_closing || inputs.is_closed() => {
                        self.give_back();
                        exit(INTERRUPTED);
                    }
                    Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) => {
                        is_closing = true;
                        self.waiting.push_back(Input::END);
                    }
                    Err(error) => {
                        // Where there is no room for that, what is shown next fails.
                        let _ = inputs.try_send(Input::Failed(format!("cannot read the terminal: {error}")));
                        break;
                    }
                },
                Ok(permit) = inputs.reserve(), if !self.waiting.is_empty() => {
                    if let Some(input) = self.waiting.pop_front() {
                        permit.send(input);
                    }
                }
                lines = to_show.recv() => match lines.flatten() {
                    Some(lines) if self.writer.write_all(lines.as_bytes()).is_ok() => {}
                    _ => break,
                },
            }
        }
        self.give_back();
    }

    fn entered(&mut self, line: String) {
        self.waiting.push_back(Input::typed(&line));
        // A line that cannot be kept is not a reason to stop.
        let _ = self.history.keep(&line);
        self.readline.add_history_entry(line);
    }

    /// Shows what is left, without the line that is typed, and leaves the terminal as it was.
    fn give_back(mut self) {
        let _: Result<(), ReadlineError> = self.readline.flush();
    }
}

/// The file of what was typed, if there is to be one.
struct History(Option<PathBuf>);

impl History {
    /// What is in the file, which is shortened when much of it is not used any more.
    fn load(&self) -> io::Result<Vec<String>> {
        let Self(Some(path)) = self else { return Ok(Vec::new()) };
        open_private(path)?;
        let mut lines: Vec<_> = String::from_utf8_lossy(&fs::read(path)?).lines().map(String::from).collect();
        if lines.len() > 2 * KEPT {
            lines.drain(..lines.len() - KEPT);
            fs::write(path, lines.join("\n") + "\n")?;
        }
        Ok(lines)
    }

    fn keep(&self, line: &str) -> io::Result<()> {
        let Self(Some(path)) = self else { return Ok(()) };
        writeln!(open_private(path)?, "{line}")
    }
}

/// A file to append to, which only its owner can read if it is new.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The lines of a history that are used.
const KEPT: usize = 1000;

/// As of a program that Ctrl-C ends.
const INTERRUPTED: i32 = 130;
