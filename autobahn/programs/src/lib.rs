//! What the programs share: reading their command lines, and telling what happened.
#![allow(clippy::exhaustive_structs, reason = "nobody else uses this")]

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::str::FromStr;
use std::time::Duration;
use std::vec::IntoIter;

use sansocket::handshake::HttpRequest;
use sansocket::{Client, Closed, Config};

/// The arguments not yet looked at.
#[derive(Debug)]
pub struct Arguments {
    usage: &'static str,
    left: IntoIter<String>,
    /// The option whose value is read next.
    option: String,
}

impl Arguments {
    /// Those that the program was called with.
    pub fn new(usage: &'static str) -> Self {
        let mut this = Self { usage, left: Vec::new().into_iter(), option: String::new() };
        let arguments: Result<Vec<_>, _> = std::env::args_os().skip(1).map(OsString::into_string).collect();
        match arguments {
            Ok(arguments) => this.left = arguments.into_iter(),
            Err(argument) => fail(&format!("{} is not UTF-8", argument.display())),
        }
        this
    }

    /// The value of the option that `next` returned.
    pub fn value<T: FromStr>(&mut self) -> T {
        let Some(value) = self.left.next() else {
            fail(&format!("{} needs a value", self.option));
        };
        value.parse().unwrap_or_else(|_| fail(&format!("{} cannot be {value:?}", self.option)))
    }

    /// The same of an option whose value is a time.
    pub fn seconds(&mut self) -> Duration {
        let seconds = self.value();
        // More than 30 years are not needed, and every clock can tell them.
        if (0.0..=1e9).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        fail(&format!("{} needs a number of seconds from 0 to 1000000000", self.option))
    }

    /// Ends the program: there is no such option.
    pub fn unknown(&self) -> ! {
        fail(&format!("{:?} is not understood", self.option))
    }
}

/// `--help` prints the usage and ends the program.
impl Iterator for Arguments {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.option = self.left.next()?;
        if self.option == "--help" || self.option == "-h" {
            let printed = writeln!(io::stdout(), "{}", self.usage);
            exit(i32::from(printed.is_err()));
        }
        Some(self.option.clone())
    }
}

/// Ends a program that was called in the wrong way.
pub fn fail(why: &str) -> ! {
    tell(&format!("{why}; --help tells how to use this program"));
    exit(1)
}

/// A sentence for the user, on one line of stderr, whatever a peer may have put into it.
pub fn tell(sentence: &str) {
    let line = sentence.replace(char::is_control, " ");
    // If nobody listens, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line of what `--log` asks for.
fn log(line: &str) {
    // As with `tell`.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Ends a program: its exit code, and what went wrong if something did.
pub fn exit_code(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The options that both echo servers take.
#[derive(Debug)]
pub struct EchoOptions {
    /// Where to listen.
    pub addr: String,
    /// Limits and timeouts.
    pub server: sansocket::Server,
    /// Whether a runtime, where there is one, has one thread.
    pub current_thread: bool,
    /// Where the certificate and the key are, if TLS is spoken: of the server that speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub tls: Option<String>,
    /// Where the page for browsers is, of the same.
    #[cfg(feature = "http2")]
    pub page: Option<String>,
    subprotocols: Vec<String>,
    log: bool,
}

impl EchoOptions {
    /// Reads the command line; ends the program if that cannot be.
    pub fn parse(usage: &'static str, has_runtime: bool) -> Self {
        let mut options = Self {
            addr: "127.0.0.1:9001".into(),
            server: sansocket::Server::default(),
            current_thread: false,
            #[cfg(feature = "http2")]
            tls: None,
            #[cfg(feature = "http2")]
            page: None,
            subprotocols: Vec::new(),
            log: false,
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
                "--write-timeout" => config = config.write_timeout(arguments.seconds()),
                "--close-timeout" => config = config.close_timeout(arguments.seconds()),
                "--keepalive" => {
                    let interval = arguments.seconds();
                    config = if interval.is_zero() {
                        config.no_keepalive()
                    } else {
                        config.keepalive(interval, interval)
                    };
                }
                "--subprotocol" => options.subprotocols.push(arguments.value()),
                "--deflate" => config = with_deflate(config),
                "--log" => options.log = true,
                #[cfg(feature = "http2")]
                "--tls" => options.tls = Some(arguments.value()),
                #[cfg(feature = "http2")]
                "--page" => options.page = Some(arguments.value()),
                "--current-thread" if has_runtime => options.current_thread = true,
                _ => arguments.unknown(),
            }
        }
        options.server = options.server.config(config);
        if options.log {
            options.server = options.server.on_error(|failure| log(&format!("failed {failure}")));
        }
        options
    }

    /// Logs what was asked for, if that is to be.
    pub fn log_request(&self, request: &HttpRequest) {
        if self.log {
            let header = |(name, value)| format!("{name}: {}", String::from_utf8_lossy(value));
            let headers: Vec<_> = request.headers().iter().map(header).collect();
            log(&format!("request {}\t{}", request.path(), headers.join("\t")));
        }
    }

    /// The same of how a connection ended that did not fail.
    pub fn log_closed(&self, closed: Option<&Closed>) {
        if let (true, Some(closed)) = (self.log, closed) {
            let by = format!("{:?}", closed.initiator).to_lowercase();
            log(&format!(
                "closed {} {by} {}",
                closed.code.get(),
                if closed.clean { "clean" } else { "unclean" }
            ));
        }
    }

    /// What is told when the address cannot be listened on.
    pub fn cannot_listen(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", self.addr))
    }

    /// Those that are accepted.
    pub fn subprotocols(&self) -> Vec<&str> {
        self.subprotocols.iter().map(String::as_str).collect()
    }
}

/// The page that answers a plain GET.
pub const PAGE: &str = "This is sansocket's echo server. It speaks WebSocket: each message comes back.\n";

/// What the programs that drive Autobahn's fuzzing server are asked to do.
#[derive(Debug)]
pub struct AutobahnOptions {
    /// Without a slash at its end.
    url: String,
    agent: String,
    config: Config,
}

impl AutobahnOptions {
    /// Reads the command line; ends the program if that cannot be. The agent is a name for where none is given.
    pub fn parse(usage: &'static str, agent: &str) -> Self {
        let (mut url, mut agent, mut config) = (None, String::from(agent), Config::default());
        let mut arguments = Arguments::new(usage);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--agent" => agent = arguments.value(),
                "--deflate" => config = with_deflate(config),
                _ if argument.starts_with("ws") && url.is_none() => {
                    url = Some(argument.trim_end_matches('/').to_owned());
                }
                _ => arguments.unknown(),
            }
        }
        let url = url.unwrap_or_else(|| fail("the URL of the fuzzing server is missing"));
        Self { url, agent, config }
    }

    /// Of the connection that tells how many cases there are.
    pub fn case_count(&self) -> Result<Client, sansocket::Error> {
        Client::new(&format!("{}/getCaseCount", self.url))
    }

    /// Of the connection that is a case, from 1.
    pub fn case(&self, case: usize) -> Result<Client, sansocket::Error> {
        let client = Client::new(&format!("{}/runCase?case={case}&agent={}", self.url, self.agent))?;
        Ok(client.config(self.config.clone()))
    }

    /// Of the connection that has the reports written.
    pub fn update_reports(&self) -> Result<Client, sansocket::Error> {
        Client::new(&format!("{}/updateReports?agent={}", self.url, self.agent))
    }
}

/// What `--deflate` does.
#[cfg(feature = "deflate")]
fn with_deflate(config: Config) -> Config {
    config.deflate(sansocket::Deflate::default())
}

#[cfg(not(feature = "deflate"))]
fn with_deflate(_config: Config) -> Config {
    fail("--deflate needs the feature `deflate`")
}
