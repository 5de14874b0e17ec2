//! Clients behind proxies: which proxy, what it is told, and what it may answer.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use sansocket::{Client, Error, Proxy, ProxyError, ProxyUriError, SocksReply, TimedOut};

use crate::reach::{Heard, attempts, dribble, exactly, failed, head, nobody, peer, reached, relay, server};
use crate::script::MOMENT;
use crate::wire::PATIENCE;

fn client(uri: &str, proxy: &str) -> Client {
    Client::new(uri).unwrap().connect_timeout(PATIENCE).proxy(proxy).unwrap()
}

/// A client that does not get as far as a server, through a proxy that does this with its connection.
fn behind(scheme: &str, proxy: impl Fn(TcpStream) + Send + Sync + 'static) -> Client {
    client("ws://server.example/", &format!("{scheme}://{}", peer(proxy)))
}

/// A proxy answers the request for a tunnel so, and has nothing more to say.
fn answered(answer: &str) -> Client {
    let answer = answer.to_owned();
    behind("http", move |mut tcp| {
        head(&mut tcp);
        // The client may have read enough.
        let _ = tcp.write_all(answer.as_bytes());
        holds(&mut tcp);
    })
}

/// Until the client is gone.
fn holds(tcp: &mut TcpStream) {
    let _ = tcp.read_to_end(&mut Vec::new());
}

#[test]
fn what_a_uri_says() {
    for (uri, shown, host, port) in [
        ("http://proxy.example:3128", "http://proxy.example:3128", "proxy.example", 3128),
        // As curl has it.
        ("http://Proxy.example/", "http://proxy.example:1080", "proxy.example", 1080),
        ("HTTPS://proxy.example", "https://proxy.example:443", "proxy.example", 443),
        ("socks5://127.0.0.1", "socks5://127.0.0.1:1080", "127.0.0.1", 1080),
        ("socks5h://[::1]:9050", "socks5h://[::1]:9050", "::1", 9050),
        ("proxy.example:8080", "http://proxy.example:8080", "proxy.example", 8080),
        ("joe:secret@proxy.example:1", "http://joe:***@proxy.example:1", "proxy.example", 1),
        ("http://j%6Fe:%3A%40@proxy.example:1", "http://joe:***@proxy.example:1", "proxy.example", 1),
        ("socks5://joe@proxy.example", "socks5://***@proxy.example:1080", "proxy.example", 1080),
        ("http://T0KEN:@proxy.example", "http://***@proxy.example:1080", "proxy.example", 1080),
        ("http://:secret@proxy.example", "http://:***@proxy.example:1080", "proxy.example", 1080),
    ] {
        let proxy = Proxy::parse(uri).unwrap();
        assert_eq!((&*proxy.to_string(), proxy.host(), proxy.port()), (shown, host, port), "{uri}");
        let hidden = match shown.split_once("://").zip(shown.split_once('@')) {
            Some(((scheme, _), (_, authority))) => format!("Proxy({scheme}://***@{authority})"),
            None => format!("Proxy({shown})"),
        };
        assert_eq!(format!("{proxy:?}"), hidden);
        assert_eq!(proxy.is_secure(), shown.starts_with("https"));
    }
    // Nor are they shown by what has the proxy.
    let shown = format!("{:?}", client("ws://a/", "http://joe:secret@proxy.example"));
    assert!(shown.contains("***@proxy.example"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("joe"), "{shown}");

    let long = format!("socks5://joe:{}@proxy.example", "x".repeat(256));
    for (uri, error) in [
        ("socks4://proxy.example", ProxyUriError::UnsupportedScheme),
        ("ftp://proxy.example", ProxyUriError::UnsupportedScheme),
        ("", ProxyUriError::InvalidHost),
        ("http://", ProxyUriError::InvalidHost),
        ("http://:3128", ProxyUriError::InvalidHost),
        ("http://proxy.example/path", ProxyUriError::InvalidHost),
        ("http://proxy.example:3128#", ProxyUriError::InvalidPort),
        ("http://proxy.example:", ProxyUriError::InvalidPort),
        ("http://proxy.example:0", ProxyUriError::InvalidPort),
        ("http://proxy.example:65536", ProxyUriError::InvalidPort),
        ("http://pro\nxy.example", ProxyUriError::InvalidHost),
        (" http://proxy.example", ProxyUriError::UnsupportedScheme),
        // It is not the host of those who read URIs otherwise.
        ("http://proxy.example/@elsewhere", ProxyUriError::InvalidCredentials),
        ("http://joe:1#2@proxy.example", ProxyUriError::InvalidCredentials),
        ("http://joe:100%@proxy.example", ProxyUriError::InvalidCredentials),
        ("http://joe:%zz@proxy.example", ProxyUriError::InvalidCredentials),
        ("http://joe:%ff@proxy.example", ProxyUriError::InvalidCredentials),
        ("http://joe:%0D%0AX@proxy.example", ProxyUriError::InvalidCredentials),
        ("http://j%3Aoe:secret@proxy.example", ProxyUriError::InvalidCredentials),
        ("socks5://:secret@proxy.example", ProxyUriError::InvalidCredentials),
        (&long, ProxyUriError::InvalidCredentials),
    ] {
        assert_eq!(Proxy::parse(uri), Err(error), "{uri:?}");
        let told = Client::new("ws://a/").unwrap().proxy(uri).unwrap_err();
        assert!(matches!(told, Error::Proxy(ProxyError::Uri(told)) if told == error));
        assert_eq!(told.to_string(), error.to_string());
    }
}

/// What curl 7.88 was seen to do with the same variables, where nothing else is said.
#[test]
fn which_proxy_the_environment_names() {
    let chosen = |vars: &[(&str, &str)], uri: &str| {
        let variable = |name: &str| vars.iter().find(|var| var.0 == name).map(|var| var.1.to_owned());
        let client = Client::new(uri).unwrap().proxy_from_vars(variable);
        client.chosen_proxy().unwrap().map(|proxy| proxy.host().to_owned())
    };
    for (vars, plain, secure) in [
        (&[("http_proxy", "a"), ("https_proxy", "b")][..], Some("a"), Some("b")),
        (&[("HTTP_PROXY", "a"), ("HTTPS_PROXY", "b")], None, Some("b")),
        (&[("https_proxy", "a"), ("HTTPS_PROXY", "b")], None, Some("a")),
        (&[("https_proxy", ""), ("HTTPS_PROXY", "b")], None, Some("b")),
        (&[("http_proxy", ""), ("all_proxy", "c")], Some("c"), Some("c")),
        (&[("https_proxy", "a"), ("ALL_PROXY", "c")], Some("c"), Some("a")),
        (&[("all_proxy", "c"), ("ALL_PROXY", "d")], Some("c"), Some("c")),
        (&[("all_proxy", "c"), ("no_proxy", ""), ("NO_PROXY", "*")], None, None),
        (&[("all_proxy", "c"), ("no_proxy", "other"), ("NO_PROXY", "*")], Some("c"), Some("c")),
        (&[("no_proxy", "*")], None, None),
    ] {
        let names = [chosen(vars, "ws://example.com/"), chosen(vars, "wss://example.com/")];
        assert_eq!(names.each_ref().map(Option::as_deref), [plain, secure], "{vars:?}");
    }

    for (exceptions, host, goes_directly) in [
        ("example.com", "example.com", true),
        ("EXAMPLE.com", "Example.COM", true),
        ("example.com", "sub.example.com", true),
        (".example.com", "sub.example.com", true),
        (".example.com", "example.com", true),
        ("..example.com", "example.com", false),
        ("example.com.", "example.com", true),
        ("example.com", "example.com.", true),
        ("ample.com", "example.com", false),
        ("com", "example.com", true),
        ("*.example.com", "sub.example.com", false),
        ("*", "example.com", true),
        ("other,*", "example.com", false),
        (" * ", "example.com", false),
        ("other, example.com", "example.com", true),
        ("other\texample.com", "example.com", true),
        ("example.com:80", "example.com", false),
        (",", "example.com", false),
        (".", "example.com", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.0/8", "127.9.9.9", true),
        ("128.0.0.0/1", "127.0.0.1", false),
        ("0.0.0.0/1", "127.0.0.1", true),
        ("0.0.0.0/0", "127.0.0.1", false),
        ("127.0.0.1/0", "127.0.0.1", true),
        ("127.0.0.1/33", "127.0.0.1", false),
        ("127.0.0.2/31", "127.0.0.1", false),
        ("127.0.0.0/31", "127.0.0.1", true),
        ("127.0.0.1:80", "127.0.0.1", false),
        (".0.0.1", "127.0.0.1", false),
        ("localhost", "127.0.0.1", false),
        ("127.0.0.1", "localhost", false),
        ("::1", "[::1]", true),
        // Of networks of IPv6, and of addresses that are written in another way, curl 7.88 knows none, in spite of what it
        // documents.
        ("2001:db8::/32", "[2001:db8::7]", true),
        ("2001:db8::/32", "[2001:db9::7]", false),
        ("0:0::1", "[::1]", true),
        // What is malformed matches nothing; to curl, 8x is 8.
        ("127.0.0.0/8x", "127.0.0.1", false),
        ("::1/129", "[::1]", false),
    ] {
        let vars = [("all_proxy", "proxy.example"), ("no_proxy", exceptions)];
        let proxy = chosen(&vars, &format!("ws://{host}/"));
        assert_eq!(proxy.is_none(), goes_directly, "{exceptions:?}, {host}");
    }

    // A proxy that cannot be used matters only to what would go through it.
    let vars = |name: &str| match name {
        "all_proxy" => Some("socks://desktop.example".to_owned()),
        "https_proxy" => Some("http://proxy.example".to_owned()),
        "no_proxy" => Some("here.example".to_owned()),
        _ => None,
    };
    for (uri, is_usable) in [("ws://a/", false), ("wss://a/", true), ("ws://here.example/", true)] {
        assert_eq!(
            Client::new(uri).unwrap().proxy_from_vars(vars).chosen_proxy().is_ok(),
            is_usable,
            "{uri}"
        );
    }
    let told = failed(&Client::new("ws://a/").unwrap().proxy_from_vars(vars));
    assert_eq!(told, "Proxy(Uri(UnsupportedScheme))");
}

/// The variables of a process of its own: this test again.
#[test]
fn the_environment_of_the_process() {
    const ALONE: &str = "SANSOCKET_PROXY_IS_SET";
    if std::env::var_os(ALONE).is_some() {
        let proxy = |uri| {
            let client = Client::new(uri).unwrap().proxy_from_env();
            client.chosen_proxy().map(|proxy| proxy.map(ToString::to_string))
        };
        assert_eq!(proxy("wss://example.com/").unwrap().unwrap(), "socks5h://proxy.example:1080");
        // What is not text is nothing that a proxy could be told.
        let told = proxy("ws://example.com/").unwrap_err();
        assert!(matches!(told, Error::Proxy(ProxyError::Uri(ProxyUriError::NotUtf8))), "{told:?}");
        // Of a list, it is what matches nothing.
        assert_eq!(proxy("ws://here.example/").unwrap(), None);
        return;
    }
    let mut alone = Command::new(std::env::current_exe().unwrap());
    for name in ["https_proxy", "all_proxy", "ALL_PROXY", "NO_PROXY"] {
        alone.env_remove(name);
    }
    let bytes = OsStr::from_bytes;
    alone.env("http_proxy", bytes(b"http://joe:s\xe9cret@proxy.example"));
    alone.env("no_proxy", bytes(b"caf\xe9.example, here.example"));
    alone.env("HTTPS_PROXY", "socks5h://proxy.example").env(ALONE, "");
    let output = alone.args(["--exact", "proxies::the_environment_of_the_process"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A proxy is told the server's host and port, who the client is to it, and what it is made by: nothing of the request.
#[test]
fn what_a_proxy_is_told() {
    let (server, heads, tunnelled) = (server(), Heard::default(), Heard::default());
    let proxy = {
        let (heads, tunnelled) = (heads.clone(), tunnelled.clone());
        peer(move |mut tcp| {
            heads.tell(&head(&mut tcp));
            // Interim responses are skipped, and a tunnel has no length: what follows belongs to it.
            let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 Fine\r\nContent-Length: 10\r\n\r\n";
            dribble(&mut tcp, answer.as_bytes());
            relay(tcp, server, &tunnelled);
        })
    };
    let client = client(&format!("ws://{server}/path?token=1"), &format!("http://joe:s%40cret@{proxy}"))
        .header("Authorization", "Bearer 1234")
        .unwrap();
    assert_eq!(reached(&client), "hello");
    let version = env!("CARGO_PKG_VERSION");
    let told = format!(
        "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\nProxy-Authorization: Basic am9lOnNAY3JldA==\r\n\
         User-Agent: sansocket/{version}\r\n\r\n"
    );
    assert_eq!(String::from_utf8(heads.both()).unwrap(), told);
    // What is behind the tunnel of `ws://` passes as it is, without what was the proxy's.
    let tunnelled = String::from_utf8_lossy(&tunnelled.all()).into_owned();
    assert!(tunnelled.starts_with("GET /path?token=1 HTTP/1.1\r\n") && tunnelled.contains("Bearer 1234"));
    assert!(!tunnelled.contains("Proxy-"), "{tunnelled}");

    // Default ports are named, IPv6 has brackets, and the client's own name, or none, is told.
    let heads = Heard::default();
    let told = heads.clone();
    let proxy = peer(move |mut tcp| told.tell(&head(&mut tcp)));
    let named = self::client("ws://[::1]/", &format!("http://{proxy}")).header("user-agent", "me").unwrap();
    assert_eq!(failed(&named), "Proxy(Incomplete)");
    let told = b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: me\r\n\r\n";
    assert_eq!(heads.both(), told);
    let nameless = self::client("ws://A.example:81/", &format!("http://joe@{proxy}")).without_user_agent();
    assert_eq!(failed(&nameless), "Proxy(Incomplete)");
    let told =
        "CONNECT a.example:81 HTTP/1.1\r\nHost: a.example:81\r\nProxy-Authorization: Basic am9lOg==\r\n\r\n";
    assert_eq!(heads.both(), told.as_bytes());
}

/// What is behind the proxy's head belongs to the tunnel: here a server that does not wait to be asked.
#[test]
fn a_server_that_speaks_first() {
    let busy = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull";
    assert_eq!(
        reached(&answered(busy)),
        "the server refused the WebSocket connection with status 503, and says: full"
    );
}

#[test]
fn refusals() {
    let refused = |answer: &str| {
        attempts(&answered(answer).connect_timeout(10 * MOMENT)).map(|attempt| match attempt.unwrap_err() {
            Error::Proxy(ProxyError::Refused(response)) => response,
            error => panic!("{error:?}"),
        })
    };
    let unauthorised = "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"a\"\r\nContent-Length: 7\r\n\r\nlog in\n";
    for response in refused(unauthorised) {
        assert_eq!(
            (response.status(), response.reason(), response.body()),
            (407, "Who are you", &b"log in\n"[..])
        );
        assert_eq!(response.headers().get("Proxy-Authenticate"), Some("Basic realm=\"a\""));
    }
    assert_eq!(
        reached(&answered(unauthorised)),
        "the proxy refused to connect to the server, with status 407, and says: log in"
    );
    // As much of the body as comes in time, and as the limit allows.
    let cut = "HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\nbeca";
    assert!(refused(cut).iter().all(|response| response.body() == b"beca"));
    let endless = format!("HTTP/1.1 502 No\r\n\r\n{}", "x".repeat(100_000));
    assert!(refused(&endless).iter().all(|response| response.body().len() == 4096));
}

/// What is no answer to a request for a tunnel is an error of the proxy, in time.
#[test]
fn proxies_that_answer_nonsense() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(50_000));
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
    for (answer, error) in [
        ("nonsense\r\n\r\n", "Response(Head(InvalidStartLine))"),
        ("HTTP/2.0 200 OK\r\n\r\n", "Response(Head(UnsupportedHttpVersion))"),
        ("HTTP/1.1 200 OK\n\n", "Response(Head(InvalidLineEnd))"),
        ("\x15\x03\x03\0\x02\x02\x28", "Response(Head(Tls))"),
        ("\x05\0", "Response(Head(InvalidStartLine))"),
        (&*interim, "Response(TooManyInterimResponses)"),
        (&*endless, "Response(Head(TooManyHeaders))"),
        (&*long, "Response(Head(HeadTooLarge))"),
    ] {
        assert_eq!(failed(&answered(answer)), format!("Proxy({error})"), "{answer:.40}");
    }
    assert_eq!(
        reached(&answered("nonsense\r\n\r\n")),
        "the proxy's response is not valid: the first line is not an HTTP/1.1 request line or status line"
    );
    for scheme in ["http", "socks5h"] {
        // One that goes away, at once or in the middle of its answer.
        for answer in ["", "\x05"] {
            let client = behind(scheme, move |mut tcp| {
                let _ = tcp.write_all(if scheme == "http" { b"HTTP/1.1 2" } else { answer.as_bytes() });
                let _ = tcp.read(&mut [0; 1000]);
            });
            assert_eq!(failed(&client), "Proxy(Incomplete)", "{scheme}");
        }
        // One that says nothing.
        let silent = behind(scheme, |mut tcp| holds(&mut tcp)).connect_timeout(MOMENT);
        let [blocking, tokio] = attempts(&silent).map(Result::unwrap_err);
        assert!(matches!(blocking, Error::TimedOut(TimedOut::Proxy)), "{blocking:?}");
        assert!(matches!(tokio, Error::TimedOut(TimedOut::Proxy)), "{tokio:?}");
        assert_eq!(tokio.to_string(), "the proxy did not open a tunnel to the server in time");
    }
    // Once there is a tunnel, it is the server that says nothing.
    let silent = answered("HTTP/1.1 200 OK\r\n\r\n").connect_timeout(MOMENT);
    assert_eq!(failed(&silent), "TimedOut(OpeningHandshake)");
    // One that is not there.
    let nobody = client("ws://server.example/", &format!("http://{}", nobody()));
    assert!(reached(&nobody).starts_with("cannot connect to the proxy: Connection refused"));
    assert!(matches!(attempts(&nobody), [Err(Error::Proxy(ProxyError::Connect(_))), Err(Error::Proxy(_))]));
}

/// A SOCKS proxy that wants user and password, takes a name or an address, and says all a byte at a time.
#[test]
fn socks() {
    let (server, asked, tunnelled) = (server(), Heard::default(), Heard::default());
    for (scheme, host, sent, bound) in [
        ("socks5h", "localhost", &b"\x05\x01\0\x03\x09localhost"[..], &b"\x05\0\0\x01\0\0\0\0\0\0"[..]),
        ("socks5h", "127.0.0.1", b"\x05\x01\0\x01\x7f\0\0\x01", b"\x05\0\0\x03\x04here\0\0"),
        (
            "socks5",
            "named.example",
            b"\x05\x01\0\x01\x7f\0\0\x01",
            b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ),
    ] {
        for login in [true, false] {
            let (heard, through) = (asked.clone(), tunnelled.clone());
            let proxy = peer(move |mut tcp| {
                let offer: &[u8] = if login { b"\x05\x02\0\x02" } else { b"\x05\x01\0" };
                assert_eq!(exactly(&mut tcp, offer.len()), offer);
                if login {
                    dribble(&mut tcp, b"\x05\x02");
                    assert_eq!(exactly(&mut tcp, 12), b"\x01\x03joe\x06s@cret");
                    dribble(&mut tcp, b"\x01\0");
                } else {
                    dribble(&mut tcp, b"\x05\0");
                }
                heard.tell(&exactly(&mut tcp, sent.len() + 2));
                dribble(&mut tcp, bound);
                relay(tcp, server, &through);
            });
            let user = if login { "joe:s%40cret@" } else { "" };
            let client =
                client(&format!("ws://{host}:{}/", server.port()), &format!("{scheme}://{user}{proxy}"))
                    .addresses([server]);
            assert_eq!(reached(&client), "hello", "{scheme} {host}");
            assert_eq!(asked.both(), [sent, &server.port().to_be_bytes()].concat());
        }
    }
    // IPv6, and a name that there is no room for.
    let heard = asked.clone();
    let proxy = peer(move |mut tcp| {
        exactly(&mut tcp, 3);
        tcp.write_all(b"\x05\0").unwrap();
        heard.tell(&exactly(&mut tcp, 22));
        tcp.write_all(b"\x05\x08").unwrap();
        holds(&mut tcp);
    });
    let error = failed(&client("ws://[2001:db8::7]:80/", &format!("socks5://{proxy}")));
    assert_eq!(error, "Proxy(Socks(AddressTypeNotSupported))");
    assert_eq!(asked.both(), b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\x50");
    // Without an address there is nothing to tell a proxy that takes addresses.
    let no_address = client("ws://named.example/", &format!("socks5://{proxy}")).addresses([]);
    assert_eq!(reached(&no_address), "cannot connect: the host has no address");
    let long = format!("ws://{}/", "a".repeat(256));
    assert_eq!(failed(&client(&long, &format!("socks5h://{proxy}"))), "Proxy(HostTooLong)");
}

/// Each reply has its name; what is cut short, or no SOCKS, is an error.
#[test]
fn socks_proxies_that_refuse() {
    // What the proxy says once it was told something, turn by turn.
    let says = |turns: &[&[u8]], and_goes: bool| {
        let turns: Vec<_> = turns.iter().map(|turn| turn.to_vec()).collect();
        let proxy = move |mut tcp: TcpStream| {
            for turn in &turns {
                let _ = tcp.read(&mut [0; 1000]);
                let _ = tcp.write_all(turn);
            }
            if and_goes {
                // What the client has still said is read, or it would be told of a reset.
                let _ = tcp.shutdown(std::net::Shutdown::Write);
            }
            holds(&mut tcp);
        };
        client("ws://server.example/", &format!("socks5h://joe:secret@{}", peer(proxy)))
    };
    for (turns, error) in [
        (&[&b"\x04"[..]][..], "NotSocks"),
        (&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "NotSocks"),
        (&[b"\x05\x01"], "NotSocks"),
        (&[b"\x05\xff"], "AuthenticationWanted"),
        (&[b"\x05\x02", b"\x05"], "NotSocks"),
        (&[b"\x05\x02", b"\x01\x01"], "AuthenticationFailed"),
        (&[b"\x05\0", b"\x04"], "NotSocks"),
        // What it was not asked yet, it cannot answer.
        (&[b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"], "NotSocks"),
        (&[b"\x05\0\x05"], "NotSocks"),
        (&[b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0"], "NotSocks"),
        (&[b"\x05\x02", b"\x01\0\x05\0\0\x01\0\0\0\0\0\0"], "NotSocks"),
        (&[b"\x05\0", b"\x05\0\0\x02"], "NotSocks"),
        (&[b"\x05\0", b"\x05\x01"], "Socks(GeneralFailure)"),
        (&[b"\x05\0", b"\x05\x02"], "Socks(NotAllowed)"),
        (&[b"\x05\0", b"\x05\x03"], "Socks(NetworkUnreachable)"),
        (&[b"\x05\0", b"\x05\x04"], "Socks(HostUnreachable)"),
        (&[b"\x05\0", b"\x05\x05\0\x01\0\0\0\0\0\0"], "Socks(ConnectionRefused)"),
        (&[b"\x05\0", b"\x05\x06"], "Socks(TtlExpired)"),
        (&[b"\x05\0", b"\x05\x07"], "Socks(CommandNotSupported)"),
        (&[b"\x05\x02", b"\x01\0", b"\x05\x08"], "Socks(AddressTypeNotSupported)"),
        (&[b"\x05\0", b"\x05\x09"], "Socks(Other(9))"),
    ] {
        assert_eq!(failed(&says(turns, false)), format!("Proxy({error})"));
    }
    assert_eq!(SocksReply::ConnectionRefused.to_string(), "the connection was refused");
    assert_eq!(
        reached(&says(&[b"\x05\0", b"\x05\x05"], false)),
        "the SOCKS proxy did not connect to the server: the connection was refused"
    );
    for turns in [
        &[&b"\x05"[..]][..],
        &[b"\x05\x02", b"\x01"],
        &[b"\x05\0", b"\x05\0\0"],
        &[b"\x05\0", b"\x05\0\0\x01\0\0\0\0\0"],
        &[b"\x05\0", b"\x05\0\0\x03"],
        &[b"\x05\0", b"\x05\0\0\x03\xff0123456789"],
        &[b"\x05\0", b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
    ] {
        assert_eq!(failed(&says(turns, true)), "Proxy(Incomplete)", "{turns:?}");
        let late = failed(&says(turns, false).connect_timeout(2 * MOMENT));
        assert_eq!(late, "TimedOut(Proxy)", "{turns:?}");
    }
}

#[cfg(feature = "tokio-rustls")]
mod tls {
    use std::net::SocketAddr;
    use std::sync::{Arc, mpsc};

    use rustls::{ClientConfig, ServerConfig, ServerConnection};
    use sansocket::blocking::{TlsStream, TryClone};

    use super::*;
    use crate::reach::{certificates, runtime, tls_server};

    /// A proxy that gives a tunnel to this server, over TLS or not.
    fn proxy(tls: Option<Arc<ServerConfig>>, server: SocketAddr, heard: &Heard) -> u16 {
        let heard = heard.clone();
        let proxy = peer(move |tcp| {
            if let Some(config) = &tls {
                let tls = ServerConnection::new(config.clone()).unwrap();
                tunnel(TlsStream::new(tls, tcp).unwrap(), server, &heard);
            } else {
                tunnel(tcp, server, &heard);
            }
        });
        proxy.port()
    }

    fn tunnel(mut near: impl TryClone + Send + 'static, server: SocketAddr, heard: &Heard) {
        head(&mut near);
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        relay(near, server, heard);
    }

    fn trusting(uri: &str, proxy: &str, config: &Arc<ClientConfig>) -> Client {
        client(uri, proxy).tls(config.clone()).header("Authorization", "Bearer 1234").unwrap()
    }

    /// Whose TLS there is, is told; and a tunnel of `wss://` has nothing in the clear.
    #[test]
    fn to_the_proxy_and_to_the_server() {
        let (config, trust) = certificates();
        let (plain, secure) = (server(), tls_server(config.clone()));
        for (proxy_scheme, tls) in [("http", None), ("https", Some(config))] {
            for (scheme, server) in [("ws", plain), ("wss", secure)] {
                let heard = Heard::default();
                let proxy = format!("{proxy_scheme}://localhost:{}", proxy(tls.clone(), server, &heard));
                let client = trusting(&format!("{scheme}://localhost:{}/", server.port()), &proxy, &trust);
                assert_eq!(reached(&client), "hello", "{scheme} {proxy_scheme}");
                let in_the_clear = String::from_utf8_lossy(&heard.all()).contains("Bearer");
                assert_eq!(in_the_clear, scheme == "ws");

                let whose = (scheme == "wss", proxy_scheme == "https");
                let ws = sansocket::blocking::connect(client.clone()).unwrap();
                let io = ws.get_ref();
                assert_eq!((io.tls().is_some(), io.proxy_tls().is_some()), whose);
                let ws = runtime().block_on(sansocket::tokio::connect(client)).unwrap();
                let io = ws.get_ref();
                assert_eq!((io.tls().is_some(), io.proxy_tls().is_some()), whose);
            }
        }
    }

    /// Large messages go through two layers of TLS, whichever way, as fast as either side takes them.
    #[test]
    fn tls_in_tls_carries_large_messages() {
        let (config, trust) = certificates();
        let server = tls_server(config.clone());
        let proxy = format!("https://localhost:{}", proxy(Some(config), server, &Heard::default()));
        let client = trusting(&format!("wss://localhost:{}/", server.port()), &proxy, &trust);
        let message = "x".repeat(3 << 20);
        let (mut sender, mut receiver) =
            sansocket::blocking::connect(client.clone()).unwrap().split().unwrap();
        let expected = message.clone();
        let receiving = std::thread::spawn(move || {
            assert_eq!(receiver.recv().unwrap().unwrap().as_text(), Some(&*expected));
        });
        sender.send(message.as_str()).unwrap();
        receiving.join().unwrap();
        runtime().block_on(async {
            let (mut sender, mut receiver) = sansocket::tokio::connect(client).await.unwrap().split();
            let (sent, received) = tokio::join!(sender.send(message.as_str()), receiver.recv());
            sent.unwrap();
            assert_eq!(received.unwrap().unwrap().as_text(), Some(&*message));
        });
    }

    /// A proxy that is not trusted by its own name, or speaks no TLS, is told nothing.
    #[test]
    fn proxies_that_are_not_trusted() {
        let (config, trust) = certificates();
        let (_, other_trust) = certificates();
        let (told, heard) = mpsc::channel();
        let port = peer(move |tcp| {
            let tls = ServerConnection::new(config.clone()).unwrap();
            let mut bytes = Vec::new();
            // A client that does not trust it ends the handshake.
            let _ = TlsStream::new(tls, tcp).and_then(|mut io| io.read_to_end(&mut bytes));
            told.send(String::from_utf8(bytes).unwrap()).unwrap();
        })
        .port();
        for (host, trust) in [("localhost", &other_trust), ("127.0.0.1", &trust)] {
            let proxy = format!("https://joe:secret@{host}:{port}");
            let error = reached(&trusting("wss://localhost/", &proxy, trust));
            assert!(error.starts_with("cannot connect to the proxy: "), "{error}");
            assert!(error.contains("invalid peer certificate"), "{error}");
            assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], ["", ""]);
        }

        let silent = format!("https://{}", peer(|mut tcp| holds(&mut tcp)));
        let silent = trusting("wss://localhost/", &silent, &trust).connect_timeout(MOMENT);
        assert_eq!(failed(&silent), "TimedOut(Proxy)");

        let heard = Heard::default();
        let told = heard.clone();
        let plain = peer(move |mut tcp| {
            let mut bytes = [0; 1000];
            let len = tcp.read(&mut bytes).unwrap();
            told.tell(&bytes[..len]);
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            holds(&mut tcp);
        });
        let proxy = format!("https://joe:secret@localhost:{}", plain.port());
        let error = reached(&trusting("ws://localhost/", &proxy, &other_trust));
        assert!(
            error.starts_with("cannot connect to the proxy: the other end does not speak TLS"),
            "{error}"
        );
        assert!(!String::from_utf8_lossy(&heard.all()).contains("CONNECT"));
    }

    /// What a server of TLS says before it is asked, here an alert, is read as the tunnel's.
    #[test]
    fn a_server_that_speaks_first() {
        let (_, trust) = certificates();
        let proxy = peer(|mut tcp| {
            head(&mut tcp);
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\0\x02\x02\x28").unwrap();
            holds(&mut tcp);
        });
        let error = reached(&trusting("wss://localhost/", &format!("http://{proxy}"), &trust));
        assert_eq!(error, "cannot connect: received fatal alert: HandshakeFailure");
    }
}
