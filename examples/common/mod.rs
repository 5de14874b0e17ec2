//! What the example programs share: reading their command lines.

use std::process::exit;
use std::str::FromStr;
use std::time::Duration;

use sansocket::Config;

/// The arguments not yet looked at.
pub(crate) struct Arguments {
    usage: &'static str,
    arguments: std::vec::IntoIter<String>,
    /// The option whose value is read next.
    option: String,
}

impl Arguments {
    pub(crate) fn new(usage: &'static str) -> Self {
        let arguments = std::env::args().skip(1).collect::<Vec<_>>().into_iter();
        Self { usage, arguments, option: String::new() }
    }

    /// The next argument. `--help` prints the usage and ends the program.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.option = self.arguments.next()?;
        if self.option == "--help" || self.option == "-h" {
            println!("{}", self.usage);
            exit(0);
        }
        Some(self.option.clone())
    }

    /// The value of the option that `next` returned.
    pub(crate) fn value<T: FromStr>(&mut self) -> T {
        match self.arguments.next().map(|value| value.parse()) {
            Some(Ok(value)) => value,
            _ => self.fail(&format!("{} needs a value of another form", self.option)),
        }
    }

    pub(crate) fn seconds(&mut self) -> Duration {
        match Duration::try_from_secs_f64(self.value()) {
            Ok(seconds) => seconds,
            Err(_) => self.fail(&format!("{} needs a number of seconds", self.option)),
        }
    }

    pub(crate) fn unknown(&self) -> ! {
        self.fail(&format!("{} is not understood", self.option))
    }

    pub(crate) fn fail(&self, why: &str) -> ! {
        eprintln!("{why}\n\n{}", self.usage);
        exit(2)
    }
}

/// The options that both echo servers take.
#[allow(dead_code, reason = "each program uses its part of this module")]
pub(crate) struct EchoOptions {
    pub(crate) addr: String,
    pub(crate) server: sansocket::Server,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) current_thread: bool,
}

#[allow(dead_code, reason = "each program uses its part of this module")]
impl EchoOptions {
    pub(crate) fn parse(usage: &'static str, has_runtime: bool) -> Self {
        let mut options = Self {
            addr: "127.0.0.1:9001".into(),
            server: sansocket::Server::default(),
            subprotocols: Vec::new(),
            current_thread: false,
        };
        let mut config = Config::default();
        let mut arguments = Arguments::new(usage);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--addr" => options.addr = arguments.value(),
                "--max-message-size" => {
                    let bytes = arguments.value();
                    config = config.max_message_size(bytes).max_frame_size(bytes);
                }
                "--handshake-timeout" => {
                    options.server = options.server.handshake_timeout(arguments.seconds());
                }
                "--keepalive" => {
                    let interval = arguments.seconds();
                    config = match interval.is_zero() {
                        true => config.no_keepalive(),
                        false => config.keepalive(interval, interval),
                    };
                }
                "--subprotocol" => options.subprotocols.push(arguments.value()),
                "--current-thread" if has_runtime => options.current_thread = true,
                _ => arguments.unknown(),
            }
        }
        options.server = options.server.config(config);
        options
    }

    pub(crate) fn subprotocols(&self) -> Vec<&str> {
        self.subprotocols.iter().map(String::as_str).collect()
    }
}

/// The page that answers a plain GET.
#[allow(dead_code, reason = "each program uses its part of this module")]
pub(crate) const PAGE: &str =
    "This is sansocket's echo server. It speaks WebSocket: each message comes back.\n";

/// The fuzzing server's URL without a slash at its end, and the agent's name.
#[allow(dead_code, reason = "each program uses its part of this module")]
pub(crate) fn autobahn_arguments(usage: &'static str, agent: &str) -> (String, String) {
    let (mut url, mut agent) = (None, String::from(agent));
    let mut arguments = Arguments::new(usage);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--agent" => agent = arguments.value(),
            _ if argument.starts_with("ws") && url.is_none() => {
                url = Some(argument.trim_end_matches('/').to_owned());
            }
            _ => arguments.unknown(),
        }
    }
    (url.unwrap_or_else(|| arguments.fail("the URL of the fuzzing server is missing")), agent)
}
