//! The command line of both clients.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::exit;
use std::str::FromStr;
use std::time::Duration;
use std::vec::IntoIter;

use sansocket::handshake::ClientRequest;
use sansocket::reconnect::Policy;
use sansocket::{Client, Config, Deflate, Error, Proxy, Uri};

use crate::view::tell;

/// What a client is asked to do.
pub struct Options {
    /// What to connect to, and how.
    pub client: Client,
    proxies: Proxies,
    /// For all that is waited for.
    pub timeout: Duration,
    /// What to send; if nothing, the lines of stdin are sent.
    pub texts: Vec<String>,
    /// How often to send a Ping.
    pub ping: Option<Duration>,
    /// When to connect again, if that is to be done.
    pub reconnect: Option<Policy>,
    pub http2: bool,
    pub color: bool,
    pub time: bool,
    pub history: Option<PathBuf>,
}

impl Options {
    /// Reads the command line of the program with this name; ends it if that cannot be.
    ///
    /// Fails where the handshake cannot say what is asked for.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let (mut url, mut origin, mut settings) = (None, None, Settings::default());
        let (mut timeout, mut texts, mut ping) = (Duration::from_secs(30), Vec::new(), None);
        let (mut color, mut time, mut history) = (true, false, None);
        let (mut proxies, mut redirects, mut insecure) = (Proxies::None, 0, false);
        let (mut reconnect, mut http2) = (None, false);
        let mut config = Config::default();
        let mut arguments = Arguments::new(name);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--send" => texts.push(arguments.value()),
                "--timeout" => timeout = arguments.seconds(),
                "--ping" => ping = Some(arguments.seconds_or(PING)),
                "--no-color" => color = false,
                "--time" => time = true,
                "--history" => history = Some(arguments.value()),
                "--deflate" => config = config.deflate(Deflate::default()),
                "--origin" => origin = Some(arguments.value()),
                "--header" | "-H" => match arguments.header() {
                    (name, value) if name.eq_ignore_ascii_case("Origin") => origin = Some(value),
                    (name, value) => settings.add(move |client| client.header(&name, &value)),
                },
                "--bearer" => {
                    settings.with(arguments.value(), |client, token: String| client.bearer(&token));
                }
                "--basic" => {
                    let (user, password) = arguments.user();
                    settings.add(move |client| client.basic(&user, &password));
                }
                "--proxy" => proxies = Proxies::One(arguments.value()),
                "--proxy-env" => proxies = Proxies::Environment,
                "--redirects" => redirects = arguments.value(),
                "--cacert" => {
                    settings.with(arguments.value(), |client, file: PathBuf| client.trust_pem(file));
                }
                "--insecure" => insecure = true,
                "--reconnect" => reconnect = Some(Policy::default()),
                "--http2" if name == "client" => http2 = true,
                "--http2" => fail("--http2 needs the program client, which is the same on tokio"),
                "--keepalive" => {
                    config = match arguments.seconds() {
                        Duration::ZERO => config.no_keepalive(),
                        interval => config.keepalive(interval, interval),
                    }
                }
                "--subprotocol" => {
                    settings.with(arguments.value(), |client, name: String| client.subprotocols([name]));
                }
                _ if url.is_none() && !argument.starts_with('-') => url = Some(argument),
                _ => arguments.unknown(),
            }
        }
        let url = url.unwrap_or_else(|| fail("the URL to connect to is missing"));
        if reconnect.is_some() && !texts.is_empty() {
            fail("--reconnect cannot tell which answers of --send are missing: pass the texts by stdin");
        }
        if http2 && redirects > 0 {
            fail("--http2 follows no redirects, so that --redirects cannot be used with it");
        }
        let mut request = ClientRequest::new(&Uri::parse(&url)?);
        if let Some(origin) = origin {
            request = request.origin(&origin)?;
        }
        let mut client = proxies.through(settings.apply(Client::with_request(request))?)?;
        if insecure {
            tell("certificates are not verified: whoever answers is taken for the server");
            client = client.dangerous_accept_any_certificate();
        }
        let client = client.config(config.close_timeout(timeout)).connect_timeout(timeout);
        let client = client.redirects(redirects);
        Ok(Self { client, proxies, timeout, texts, ping, reconnect, http2, color, time, history })
    }

    /// The proxy that a connection to this URI goes through.
    pub fn proxy(&self, uri: &Uri) -> Result<Option<Proxy>, Error> {
        Ok(self.proxies.through(Client::with_request(ClientRequest::new(uri)))?.chosen_proxy()?.cloned())
    }
}

/// Which proxies there are.
enum Proxies {
    None,
    One(String),
    Environment,
}

impl Proxies {
    fn through(&self, client: Client) -> Result<Client, Error> {
        match self {
            Self::None => Ok(client),
            Self::One(proxy) => client.proxy(proxy),
            Self::Environment => Ok(client.proxy_from_env()),
        }
    }
}

/// What is to be set once there is a URL, which may come last.
#[derive(Default)]
struct Settings(Vec<Setting>);

struct Setting(Box<dyn FnOnce(Client) -> Result<Client, Error>>);

impl Settings {
    fn add(&mut self, set: impl FnOnce(Client) -> Result<Client, Error> + 'static) {
        self.0.push(Setting(Box::new(set)));
    }

    /// Sets something to the value of an option.
    fn with<T: 'static>(&mut self, value: T, set: impl FnOnce(Client, T) -> Result<Client, Error> + 'static) {
        self.add(|client| set(client, value));
    }

    fn apply(self, client: Client) -> Result<Client, Error> {
        self.0.into_iter().try_fold(client, |client, Setting(set)| set(client))
    }
}

/// The arguments not yet looked at.
struct Arguments<'a> {
    name: &'a str,
    left: IntoIter<String>,
    /// The option whose value is read next.
    option: String,
}

impl<'a> Arguments<'a> {
    /// Those that the program was called with.
    fn new(name: &'a str) -> Self {
        let arguments: Result<Vec<_>, _> = std::env::args_os().skip(1).map(OsString::into_string).collect();
        let left = arguments.unwrap_or_else(|argument| fail(&format!("{} is not UTF-8", argument.display())));
        Self { name, left: left.into_iter(), option: String::new() }
    }

    /// The value of the option that `next` returned.
    fn value<T: FromStr>(&mut self) -> T {
        let Some(value) = self.left.next() else {
            fail(&format!("{} needs a value", self.option));
        };
        value.parse().unwrap_or_else(|_| fail(&format!("{} cannot be {value:?}", self.option)))
    }

    /// The same of an option whose value is a time.
    fn seconds(&mut self) -> Duration {
        let seconds = self.value();
        // More than 30 years are not needed, and every clock can tell them.
        if (0.0..=1e9).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        fail(&format!("{} needs a number of seconds from 0 to 1000000000", self.option))
    }

    /// The same where the value may be left out. No URL begins with a digit.
    fn seconds_or(&mut self, default: Duration) -> Duration {
        match self.left.as_slice() {
            [next, ..] if next.starts_with(|char: char| char.is_ascii_digit() || char == '.') => {
                self.seconds()
            }
            _ => default,
        }
    }

    /// The same of an option whose value is a header: its name and its value.
    fn header(&mut self) -> (String, String) {
        let header: String = self.value();
        let Some((name, value)) = header.split_once(':') else {
            // It may be a secret.
            fail(&format!("{} needs a name, a colon and a value", self.option));
        };
        (name.to_owned(), value.trim().to_owned())
    }

    /// The same of an option whose value is a user's name and password.
    fn user(&mut self) -> (String, String) {
        let user: String = self.value();
        let Some((name, password)) = user.split_once(':') else {
            // The value may be a password.
            fail(&format!("{} needs a name, a colon and a password", self.option));
        };
        (name.to_owned(), password.to_owned())
    }

    /// Ends the program: there is no such option.
    fn unknown(&self) -> ! {
        fail(&format!("{:?} is not understood", self.option))
    }
}

/// `--help` prints the usage and ends the program.
impl Iterator for Arguments<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.option = self.left.next()?;
        if self.option == "--help" || self.option == "-h" {
            let printed = writeln!(io::stdout(), "{}", USAGE.replace("PROGRAM", self.name));
            exit(i32::from(printed.is_err()));
        }
        Some(self.option.clone())
    }
}

/// Ends a program that was called in the wrong way.
fn fail(why: &str) -> ! {
    tell(&format!("{why}; --help tells how to use this program"));
    exit(1)
}

const USAGE: &str = "\
Talks to a WebSocket server: sends texts, and prints the messages that come.

usage: PROGRAM URL [options]
  --send TEXT             a text to send; may be repeated
  --subprotocol NAME      a subprotocol to offer; may be repeated, the most preferred first
  --header 'Name: value'  a header to add to the request; may be repeated; -H is the same
  --origin ORIGIN         the page that the request says it comes from
  --bearer TOKEN          the token that the request is authorized by
  --basic USER:PASSWORD   the same by a name and a password
  --proxy URL             a proxy to connect through: [http|https|socks5|socks5h]://[user:password@]host:port
  --proxy-env             connect through the proxy that the environment names, as curl does
  --redirects N           how many redirects to follow (default 0)
  --cacert FILE           trust the authorities in this file, in PEM, in place of Mozilla's
  --insecure              trust whoever answers
  --reconnect             connect again when the connection is lost
  --http2                 connect by HTTP/2 (RFC 8441; only client, not client_blocking)
  --keepalive SECONDS     send a Ping after so long a silence, and wait as long for an answer (default 20; 0: never,
                          as for servers that end the connection at a Ping)
  --timeout SECONDS       how long to wait for the server (default 30)
  --deflate               offer permessage-deflate
  --ping [SECONDS]        send a Ping at once, and so often (default 1), and tell how long its Pong takes
  --time                  on a terminal: show when, in seconds since the connection was opened
  --no-color              on a terminal: no colors; the environment variable NO_COLOR does the same
  --history FILE          on a terminal: keep there what is typed; without it, it is forgotten at the end

With --send, the texts are sent, each message received is printed on a line of stdout until as many
came as were sent, and the connection is closed with 1000. All of that may take as long as --timeout says.

Without --send, each line of stdin is sent as a text, each message received is printed, and the end of
stdin closes the connection with 1000: messages that come before the server closes it too are still
printed, but a server need not send any more; --send waits for answers. Opening the connection may take
as long as --timeout says, and so may closing it. Between the two there is no limit, but a server that
does not answer Pings, or reads nothing, is given up. If the server closes first, with 1000, 1001 or no
code, that is no failure.

With --reconnect it goes on, over as many connections as it takes, until stdin ends, or the server closes
with a code that says that the same would come of another attempt, or refuses with a status that does. What
is typed meanwhile waits for the next connection. Each loss is told, with when the next attempt follows: on
a terminal there, else on stderr. What was not sent by then is counted, and not sent again. It cannot be
used with --send.

Where stdout is no terminal, nothing is printed there but the messages. A text is printed as it is, a
binary message like this: binary, 5 bytes: 68 65 6c 6c 6f

On a terminal what is sent stands behind > and what comes behind <, control characters of texts are
escaped, of binary messages the beginning is dumped, and the last line tells who closed the connection
and what went over it. What is typed can be edited, and may be a command: /help lists them. Ctrl-C and
Ctrl-D close the connection with 1000, and a second one ends the program at once. The file of --history
can be read by its owner only, if it is new; tokens that are typed are in it like everything else.

The exit code is 0 when the closing handshake took place. After any failure it is 1, and a sentence on
stderr tells what failed.";

/// As often as the program `ping` does.
const PING: Duration = Duration::from_secs(1);
