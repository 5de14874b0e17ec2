//! Redirects, over loopback: where `connect` of both adapters goes, what it sends there, and where it stops.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sansocket::handshake::{HeadError, ResponseError, accept_key};
use sansocket::{Client, Error, RedirectCause, RedirectError, TimedOut, Uri, UriError};
use sansocket::{blocking, tokio as asynchronous};

use crate::reach::{dribble, peer, runtime};
use crate::script::MOMENT;
use crate::wire::PATIENCE;

/// What `connect` comes to: where redirects have led.
pub type Connected = Result<Option<Uri>, Error>;

/// By the blocking adapter, and by tokio's.
pub const ADAPTERS: [fn(Client) -> Connected; 2] = [
    |client| Ok(blocking::connect(client)?.redirected_to().cloned()),
    |client| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Ok(asynchronous::connect(client).await?.redirected_to().cloned()) })
    },
];

/// A server that answers paths with the responses of a table, and opens a WebSocket at all others.
struct Site {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// `answer` is given the path, and makes a whole response, if it is not to be a WebSocket.
    fn new(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    fn on(listener: TcpListener, answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let (heads, done) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (kept, over) = (heads.clone(), done.clone());
        let thread = thread::spawn(move || {
            for tcp in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let mut tcp = tcp.unwrap();
                let Some(head) = read_head(&mut tcp) else { continue };
                let path = head.split(' ').nth(1).unwrap();
                let answer = answer(path).unwrap_or_else(|| switching(&head));
                kept.lock().unwrap().push(head);
                // A client that has seen enough may have gone.
                let _ = tcp.write_all(&answer);
            }
        });
        Self { address, heads, done, thread: Some(thread) }
    }

    /// One that redirects from `/old` to this place.
    fn redirecting(location: impl Into<Vec<u8>>) -> Self {
        let location = location.into();
        Self::new(move |path| (path == "/old").then(|| redirect("302 Found", &location)))
    }

    fn client(&self, path: &str) -> Client {
        Client::new(&format!("ws://{}{path}", self.address)).unwrap()
    }

    /// The heads of the requests so far.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().drain(..).collect()
    }

    /// Their first lines, without what all have.
    fn paths(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// None, if there is none.
pub fn read_head(io: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if io.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

pub fn redirect(status: &str, location: &[u8]) -> Vec<u8> {
    let start = format!("HTTP/1.1 {status}\r\nContent-Length: 6\r\nLocation: ");
    [start.as_bytes(), location, b"\r\n\r\nmoved\n"].concat()
}

pub fn switching(head: &str) -> Vec<u8> {
    let accept = accept_key(header(head, "Sec-WebSocket-Key").unwrap());
    let accept = String::from_utf8(accept.to_vec()).unwrap();
    let protocol = header(head, "Sec-WebSocket-Protocol")
        .map_or(String::new(), |protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[track_caller]
pub fn stopped(connected: Connected) -> RedirectError {
    match connected {
        Err(Error::Redirect(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// 6455-4.1-40: a redirect is followed by the same request, but for its path and its key; the WebSocket tells where it led.
#[test]
fn followed() {
    for connect in ADAPTERS {
        for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 X", "308 Y"] {
            let site = Site::new(move |path| (path == "/a/old?x").then(|| redirect(status, b"../new?y#z")));
            let client = site.client("/a/old?x").redirects(1).bearer("1234").unwrap();
            let client = client.header("Cookie", "a=b").unwrap().origin("https://example.com").unwrap();
            let led_to = connect(client.subprotocols(["chat"]).unwrap()).unwrap();
            assert_eq!(led_to.unwrap().to_string(), format!("ws://{}/new?y", site.address));
            let [first, second] = &site.heads()[..] else { panic!() };
            let key = |head| header(head, "Sec-WebSocket-Key").unwrap();
            assert_ne!(key(first), key(second));
            assert_eq!(first.replace("/a/old?x", "/new?y").replace(key(first), key(second)), *second);
        }
        let site = Site::new(|_| None);
        assert_eq!(connect(site.client("/").redirects(1)).unwrap(), None, "there was none");
    }
}

/// Once its head is there, a redirect is followed: a server that keeps the connection open need not say where it ends.
#[test]
fn followed_at_the_head() {
    for length in ["", "Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n"] {
        let site = Site::new(|_| None);
        let answer = format!("HTTP/1.1 302 Found\r\n{length}Location: //{}/new\r\n\r\n", site.address);
        let stalling = peer(move |mut tcp| {
            read_head(&mut tcp);
            tcp.write_all(answer.as_bytes()).unwrap();
            let _ = tcp.read_to_end(&mut Vec::new());
        });
        let client = Client::new(&format!("ws://{stalling}/")).unwrap().connect_timeout(PATIENCE);
        for connect in ADAPTERS {
            connect(client.clone().redirects(1)).unwrap();
            assert_eq!(site.paths(), ["/new"]);
            // One that is not followed is told with as much of its body as comes in time.
            let client = client.clone().connect_timeout(MOMENT);
            assert_eq!(connect(client).unwrap_err().refusal().unwrap().status(), 302);
        }
    }
}

/// Over a stream of the program's none is followed: it is a refusal, with its body.
#[test]
fn over_a_stream() {
    let server = peer(|mut tcp| {
        read_head(&mut tcp);
        dribble(&mut tcp, &redirect("302 Found", b"/new"));
    });
    let client = Client::new(&format!("ws://{server}/")).unwrap().redirects(9);
    let tcp = || TcpStream::connect(server).unwrap();
    let by_tokio = async |as_is: bool| {
        let tcp = tokio::net::TcpStream::connect(server).await.unwrap();
        let client = client.clone();
        if as_is {
            asynchronous::connect_as_is(client, tcp).await.map(drop)
        } else {
            asynchronous::connect_over(client, tcp).await.map(drop)
        }
    };
    for refused in [
        blocking::connect_over(client.clone(), tcp()).map(drop),
        blocking::connect_as_is(client.clone(), tcp()).map(drop),
        runtime().block_on(by_tokio(false)),
        runtime().block_on(by_tokio(true)),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Refused(_))), "{error:?}");
        assert_eq!(error.refusal().unwrap().body(), b"moved\n");
    }
}

/// Without the call, a redirect is a refusal; and with it, too, where the status is none of a redirect, or leads nowhere.
#[test]
fn not_asked_for() {
    for connect in ADAPTERS {
        for (status, redirects) in [
            ("302 Found", 0),
            ("300 Multiple Choices", 9),
            ("304 Not Modified", 9),
            ("305 Use Proxy", 9),
            ("306 Unused", 9),
            ("401 Unauthorized", 9),
            ("201 Created", 9),
        ] {
            let site = Site::new(move |_| Some(redirect(status, b"/new")));
            let error = connect(site.client("/old").redirects(redirects)).unwrap_err();
            assert!(matches!(error, Error::Response(ResponseError::Refused(_))), "{error:?}");
            assert!(status.starts_with(&error.refusal().unwrap().status().to_string()));
            assert_eq!(site.paths(), ["/old"]);
        }
        let site = Site::new(|_| Some(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec()));
        let error = connect(site.client("/old").redirects(9)).unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Refused(_))), "{error:?}");
    }
}

/// As many are followed as allowed, and no more: neither in a circle, nor to itself, nor on and on.
#[test]
fn as_many_as_allowed() {
    for connect in ADAPTERS {
        let next = |path: &str| path[1..].parse::<u32>().unwrap() + 1;
        let site = Site::new(move |path| {
            (path != "/3").then(|| redirect("307 Temporary Redirect", format!("/{}", next(path)).as_bytes()))
        });
        let led_to = connect(site.client("/0").redirects(3)).unwrap();
        assert_eq!(led_to.unwrap().resource_name(), "/3");
        assert_eq!(site.paths(), ["/0", "/1", "/2", "/3"]);
        let error = connect(site.client("/0").redirects(2)).unwrap_err();
        assert_eq!(error.refusal().unwrap().headers().get("Location"), Some("/3"));
        let expected = format!(
            "{} redirects with status 307, and no more redirects are followed: see Client::redirects",
            site.address
        );
        assert_eq!(error.to_string(), expected);
        let error = stopped(Err(error));
        assert_eq!((error.cause(), error.uri().resource_name()), (&RedirectCause::TooMany, "/2"));
        assert_eq!(error.response().body(), b"moved\n");
        assert_eq!(site.paths(), ["/0", "/1", "/2"]);

        for location in ["", "#x", "/old", "old", "?"] {
            let site = Site::redirecting(location);
            let error = stopped(connect(site.client("/old").redirects(3)));
            assert_eq!(error.cause(), &RedirectCause::TooMany);
            assert_eq!(site.paths(), ["/old"; 4]);
        }
    }
}

/// Where host or port is another one, credentials stay behind, for good, and everything else goes along.
#[test]
fn credentials() {
    for connect in ADAPTERS {
        for host in ["127.0.0.1", "localhost"] {
            let last = Site::new(|_| None);
            let middle = Site::redirecting(format!("http://127.0.0.1:{}/new", last.address.port()));
            // The port differs, or the name too.
            let first = Site::redirecting(format!("http://{host}:{}/old", middle.address.port()));
            let mut client = first.client("/old").redirects(2).basic("me", "secret").unwrap();
            for (name, value) in [("cookie", "secret"), ("X-Api-Version", "7")] {
                client = client.header(name, value).unwrap();
            }
            let client = client.origin("https://example.com").unwrap().subprotocols(["chat"]).unwrap();
            connect(client).unwrap();
            let sent = &first.heads()[0];
            assert_eq!(header(sent, "Authorization"), Some("Basic bWU6c2VjcmV0"));
            assert_eq!(sent.matches("secret").count(), 1);
            for site in [middle, last] {
                let sent = &site.heads()[0];
                for name in ["Authorization", "Cookie"] {
                    assert_eq!(header(sent, name), None);
                }
                assert!(!sent.contains("secret"));
                for (name, value) in [
                    ("X-Api-Version", "7"),
                    ("Origin", "https://example.com"),
                    ("Sec-WebSocket-Protocol", "chat"),
                ] {
                    assert_eq!(header(sent, name), Some(value));
                }
                assert!(header(sent, "Host").unwrap().ends_with(&site.address.port().to_string()));
            }
        }
        // The same host by another name is another host, at the same port too; and what stayed behind does not come back.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Site::on(listener, move |path| {
            let location = match path {
                "/0" => "/1".to_owned(),
                "/1" => format!("//localhost:{port}/2"),
                "/2" => format!("//127.0.0.1:{port}/3"),
                _ => return None,
            };
            Some(redirect("302 Found", location.as_bytes()))
        });
        connect(site.client("/0").redirects(3).bearer("1").unwrap()).unwrap();
        let borne =
            site.heads().iter().map(|head| header(head, "Authorization").is_some()).collect::<Vec<_>>();
        assert_eq!(borne, [true, true, false, false]);
    }
}

/// What is no place to go to is told as what it is, and nobody is asked.
#[test]
fn places_to_go_nowhere() {
    let scheme = |scheme: &str| RedirectCause::UnsupportedScheme(scheme.to_owned());
    let long_scheme = "x".repeat(10_000);
    for connect in ADAPTERS {
        for (location, cause, sentence) in [
            (
                &b"javascript:alert(1)"[..],
                scheme("javascript"),
                "to the scheme javascript, where there is no WebSocket",
            ),
            (b"ftp://127.0.0.1/", scheme("ftp"), "to the scheme ftp, where"),
            (b"localhost:80/", scheme("localhost"), "to the scheme localhost, where"),
            (format!("{long_scheme}:").as_bytes(), scheme(&long_scheme), &"x".repeat(40)),
            (b"http:/new", RedirectCause::Uri(UriError::MissingHost), "and its Location is no place to"),
            (b"///new", RedirectCause::Uri(UriError::MissingHost), "the WebSocket URI names no host"),
            (b"//me:secret@localhost/", RedirectCause::Uri(UriError::UserInfo), "no user name or password"),
            (b"//b c/", RedirectCause::Uri(UriError::InvalidHost), "not a valid host name"),
            (b"/a\tb", RedirectCause::Uri(UriError::ControlCharacter), "control characters"),
            (b"/%zz", RedirectCause::Uri(UriError::InvalidPercentEncoding), "two hexadecimal digits"),
            (b"/caf\xe9", RedirectCause::InvalidLocation, "and its Location is not UTF-8"),
            (b"/new\r\nlocation: /new", RedirectCause::RepeatedLocation, "more than one Location"),
        ] {
            let site = Site::redirecting(location);
            let error = stopped(connect(site.client("/old").redirects(9)));
            assert_eq!(error.cause(), &cause);
            let text = error.to_string();
            assert!(text.contains(sentence) && text.len() < 250, "{text}");
            assert!(std::error::Error::source(&Error::from(error.clone())).is_none());
            assert_eq!(io::Error::from(Error::from(error)).kind(), ErrorKind::InvalidData);
            assert_eq!(site.paths(), ["/old"]);
        }
        for (location, error) in [
            (b"/a\0b".to_vec(), HeadError::InvalidHeaderValue),
            (b"/a\rb".to_vec(), HeadError::InvalidLineEnd),
            (vec![b'x'; 17 << 10], HeadError::HeadTooLarge),
        ] {
            let site = Site::redirecting(location);
            let found = connect(site.client("/old").redirects(9)).unwrap_err();
            assert!(
                matches!(&found, Error::Response(ResponseError::Head(head)) if *head == error),
                "{found:?}"
            );
        }
    }
}

/// What the last server says is what is told: a refusal, or that there is none.
#[test]
fn the_last_server_decides() {
    for connect in ADAPTERS {
        let site = Site::new(|path| {
            Some(match path {
                "/old" => redirect("302 Found", b"/new"),
                _ => b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec(),
            })
        });
        let error = connect(site.client("/old").redirects(9)).unwrap_err();
        assert_eq!(error.refusal().unwrap().status(), 403);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let site = Site::redirecting(format!("ws://{nobody}/"));
        let error = connect(site.client("/old").redirects(9)).unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error:?}");
    }
}

/// All redirects have one timeout together: an endless chain ends with it.
#[test]
fn in_one_timeout() {
    for connect in ADAPTERS {
        let site = Site::redirecting("/old");
        let client = site.client("/old").redirects(usize::MAX).connect_timeout(4 * MOMENT);
        match connect(client).unwrap_err() {
            Error::TimedOut(TimedOut::OpeningHandshake) => {}
            // It may pass while one of them is connected to.
            Error::Connect(error) if error.kind() == ErrorKind::TimedOut => {}
            error => panic!("{error:?}"),
        }
        assert!(site.heads().len() > 1);
        // A connection that is never answered takes what is left.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Site::redirecting(format!("//{}/", silent.local_addr().unwrap()));
        let error = connect(site.client("/old").redirects(9).connect_timeout(MOMENT)).unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    }
}

/// The client that was given is as it was: who connects again begins where it was told to.
#[test]
fn a_client_is_as_it_was() {
    for connect in ADAPTERS {
        let site = Site::redirecting("/new");
        let client = site.client("/old").redirects(1).bearer("1").unwrap().connect_timeout(Duration::MAX);
        for _ in 0..2 {
            connect(client.clone()).unwrap();
            assert_eq!(site.paths(), ["/old", "/new"]);
        }
    }
}
