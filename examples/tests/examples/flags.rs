//! What `client` and `client_blocking` are told of what is between them and the server, each flag once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::{fs, thread};

use sansocket::blocking::{Stop, accept, serve_with};
use sansocket::handshake::Reply;
use sansocket::{CloseCode, Incoming, Server};

use crate::client::{CLIENTS, Peer, echo_server, fails, run, succeeds, upgrade};
use crate::program::{Program, path};
use crate::{certificate, proxy};

#[test]
fn usage_errors() {
    for client in CLIENTS {
        let misused = |args: &[&str], why: &str| {
            let args = [&["ws://a"], args].concat();
            fails(client, &args, &format!("{why}; --help tells how to use this program"));
        };
        misused(&["--redirects", "-1"], "--redirects cannot be \"-1\"");
        misused(&["--basic", "secret"], "--basic needs a name, a colon and a password");
        misused(&["--keepalive", "often"], "--keepalive cannot be \"often\"");
        misused(
            &["--reconnect", "--send", "a"],
            "--reconnect cannot tell which answers of --send are missing: pass the texts by stdin",
        );
        fails(
            client,
            &["ws://a", "--proxy", "ftp://b"],
            "the proxy's URI does not start with http://, https://, socks5:// or socks5h://",
        );
        fails(
            client,
            &["ws://a", "--bearer", "b c"],
            "a bearer token is visible ASCII without spaces, and not empty: was it read together with the end of its line?",
        );
        let output = run(client, &["ws://a", "--cacert", "/nowhere/ca.pem"], "");
        assert!(
            String::from_utf8(output.stderr).unwrap().starts_with("/nowhere/ca.pem: it cannot be read: ")
        );
        assert_eq!(output.status.code(), Some(1));
    }
    let end = "; --help tells how to use this program";
    let why = "--http2 needs the program client, which is the same on tokio";
    fails("client_blocking", &["ws://a", "--http2"], &format!("{why}{end}"));
    let why = "--http2 follows no redirects, so that --redirects cannot be used with it";
    fails("client", &["ws://a", "--redirects", "1", "--http2"], &format!("{why}{end}"));
}

#[test]
fn authorization() {
    for client in CLIENTS {
        for (option, value, sent) in
            [("--bearer", "1234", "Bearer 1234"), ("--basic", "joe:se:cret", "Basic am9lOnNlOmNyZXQ=")]
        {
            let peer = Peer::start(|tcp| {
                let pending = accept(tcp).unwrap();
                let authorization = pending.request().headers().get("Authorization").map(String::from);
                let mut ws = pending.accept().unwrap();
                ws.send(authorization.unwrap()).unwrap();
                while ws.recv().unwrap().is_some() {}
            });
            assert_eq!(succeeds(client, &[&peer.url, option, value, "--send", "x"], ""), format!("{sent}\n"));
            peer.end();
        }
    }
}

/// Where the client says nothing of it, the refusal is told: that is tested beside the other refusals.
#[test]
fn redirects() {
    let url = echo_server();
    for client in CLIENTS {
        let (first, second) = redirected_twice(&url);
        assert_eq!(succeeds(client, &[&first.url, "--redirects", "2", "--send", "hello"], ""), "hello\n");
        first.end();
        second.end();

        let (first, second) = redirected_twice(&url);
        let output = run(client, &[&first.url, "--redirects", "1", "--send", "hello"], "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("redirect") && !stderr.contains("points to"), "{stderr}");
        assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
        first.end();
        second.end();
    }
}

/// Two servers, of which the first redirects to the second, and that to the URL.
fn redirected_twice(url: &str) -> (Peer, Peer) {
    let redirect = |location: String| {
        Peer::start(move |tcp| {
            let reply = Reply::new(307).unwrap().header("Location", &location).unwrap();
            accept(tcp).unwrap().respond(reply).unwrap();
        })
    };
    let second = redirect(url.replace("ws://", "http://"));
    (redirect(second.url.clone()), second)
}

#[test]
fn proxies() {
    let url = echo_server();
    for client in CLIENTS {
        let through = format!("http://{}", proxy(None));
        assert_eq!(succeeds(client, &[&url, "--proxy", &through, "--send", "hello"], ""), "hello\n");
        fails(
            client,
            &[&url, "--proxy", &proxy(Some("HTTP/1.1 403 Forbidden\r\n\r\n")).to_string()],
            "the proxy refused to connect to the server, with status 403",
        );

        let (gone, used) = (TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(), proxy(None));
        let by = |variables: &[(&str, &str)], option: &[&str]| {
            let mut command = Command::new(path(client));
            command.args([&url, "--send", "hello"]).args(option);
            command.env_clear().envs(variables.iter().copied()).output().unwrap()
        };
        // It is asked only where nothing says otherwise, and then it is used.
        let gone = format!("http://{gone}");
        assert_eq!(by(&[("ALL_PROXY", &gone)], &[]).stdout, b"hello\n");
        let excepted = [("ALL_PROXY", &*gone), ("NO_PROXY", "127.0.0.1")];
        assert_eq!(by(&excepted, &["--proxy-env"]).stdout, b"hello\n");
        assert_eq!(by(&[("ALL_PROXY", &used.to_string())], &["--proxy-env"]).stdout, b"hello\n");
        let output = by(&[("ALL_PROXY", &gone)], &["--proxy-env"]);
        assert!(output.stderr.starts_with(b"cannot connect to the proxy: "), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn trust() {
    let Some(server) = TlsServer::start("trust") else { return };
    for client in CLIENTS {
        let cert = server.folder.join("cert.pem");
        let trusts = [&*server.url, "--cacert", cert.to_str().unwrap(), "--send", "hello"];
        assert_eq!(succeeds(client, &trusts, ""), "hello\n");

        let output = run(client, &[&server.url, "--send", "hello"], "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("certificate"), "{stderr}");
        assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));

        let output = run(client, &[&server.url, "--insecure", "--send", "hello"], "");
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"hello\n"[..]));
        let said = b"certificates are not verified: whoever answers is taken for the server\n";
        assert_eq!(output.stderr, said);
    }
}

/// A server that says nothing is sent a Ping, unless there is to be none.
#[test]
fn keepalive() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut ws = accept(tcp).unwrap().accept().unwrap();
            while !matches!(ws.recv_incoming().unwrap().unwrap(), Incoming::Ping(_)) {}
            ws.send("a Ping came").unwrap();
            while ws.recv().unwrap().is_some() {}
        });
        let args = [&*peer.url, "--keepalive", "0.05", "--send", "x"];
        assert_eq!(succeeds(client, &args, ""), "a Ping came\n");
        peer.end();

        let peer = Peer::start(|mut tcp| {
            upgrade(&mut tcp);
            let mut frames = [0; 15];
            tcp.read_exact(&mut frames[..7]).unwrap();
            tcp.write_all(b"\x81\x02ok").unwrap();
            tcp.read_exact(&mut frames[7..]).unwrap();
            // A text, and the Close frame.
            assert_eq!((frames[0], frames[7]), (0x81, 0x88));
            tcp.write_all(b"\x88\x02\x03\xe8").unwrap();
        });
        assert_eq!(succeeds(client, &[&peer.url, "--keepalive", "0", "--send", "x"], ""), "ok\n");
        peer.end();
    }
}

/// Lines go to the connection that there is, and wait where there is none; what was lost is told on stderr.
#[test]
fn reconnect() {
    for client in CLIENTS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (typed, has_typed) = mpsc::channel();
        let serving = thread::spawn(move || {
            let next = || accept(listener.accept().unwrap().0).unwrap();
            let answers = |pending: sansocket::blocking::Pending<TcpStream>| {
                let mut ws = pending.accept().unwrap();
                let message = ws.recv().unwrap().unwrap();
                ws.send(message).unwrap();
                ws
            };
            next().reject(503, "soon").unwrap();
            answers(next()).close(CloseCode::new(1012), "be back").unwrap();
            // The next one is lost, without a Close frame, once more is typed.
            let pending = next();
            has_typed.recv().unwrap();
            drop(answers(pending));
            answers(next()).close(CloseCode::POLICY_VIOLATION, "").unwrap();
        });
        let client = Program::start(client, &[&url, "--reconnect"]);
        let lost = |why: &str| {
            let complaint = client.complaint();
            assert!(complaint.starts_with(&format!("{why}; the next attempt follows in ")), "{complaint}");
            assert!(complaint.ends_with(" s"), "{complaint}");
        };
        lost("the server refused the WebSocket connection with status 503, and says: soon");
        client.write("one\n");
        assert_eq!(client.line(), "one");
        lost("the connection was closed with 1012 (service restart): \"be back\"");
        client.write("two\n");
        typed.send(()).unwrap();
        assert_eq!(client.line(), "two");
        lost("the connection was lost: the peer ended it without a closing handshake");
        client.write("three\n");
        assert_eq!(client.line(), "three");
        // The same would come of another attempt.
        assert_eq!(client.complaint(), "the server closed the connection with 1008 (policy violation)");
        assert_eq!(client.ended(), (String::new(), false));
        serving.join().unwrap();
    }
}

/// More than all buffers hold, over the second connection: it still receives while it sends.
#[test]
fn reconnect_with_much_to_say() {
    let lines = format!("{}\n", "sansocket ".repeat(10_000)).repeat(100);
    for client in CLIENTS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let next = || accept(listener.accept().unwrap().0).unwrap();
            next().reject(503, "").unwrap();
            let mut ws = next().accept().unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let output = run(client, &[&url, "--reconnect"], &lines);
        assert!(output.stdout == lines.as_bytes(), "{client}");
        assert_eq!(output.status.code(), Some(0));
        serving.join().unwrap();
    }
}

/// There is nothing to be sent, and no connection: that is the end, told as what the last one came to.
#[test]
fn reconnect_until_stdin_ends() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut ws = accept(tcp).unwrap().accept().unwrap();
            ws.send("hello").unwrap();
        });
        let program = Program::start(client, &[&peer.url, "--reconnect"]);
        assert_eq!(program.line(), "hello");
        peer.end();
        let lost = "the connection was lost: the peer ended it without a closing handshake";
        assert!(program.complaint().starts_with(lost));
        assert_eq!(program.end(), (String::new(), false));
    }
}

/// A refusal that is final is told as without the option.
#[test]
fn reconnect_in_vain() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| accept(tcp).unwrap().reject(404, "no such room\n").unwrap());
        fails(
            client,
            &[&peer.url, "--reconnect"],
            "the server refused the WebSocket connection with status 404, and says: no such room",
        );
        peer.end();
    }
}

/// A server that speaks HTTP/1.1 only.
#[test]
fn http2_refused() {
    let Some(server) = TlsServer::start("http2") else { return };
    let output = run("client", &[&server.url, "--insecure", "--http2", "--send", "hello"], "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("\ncannot connect: ") && stderr.contains("h2"), "{stderr}");
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
}

#[cfg(feature = "hyper")]
#[test]
fn http2() {
    assert_eq!(succeeds("client", &[&http2_server(), "--http2", "--send", "hello"], ""), "hello\n");
}

/// Where every message of one client comes back over HTTP/2.
#[cfg(feature = "hyper")]
pub fn http2_server() -> String {
    use http_body_util::Full;
    use hyper::Response;
    use hyper::body::Bytes;
    use hyper::server::conn::http2::Builder;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::default();
            let (tcp, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            let service = service_fn(|mut request| {
                let response: Response<Full<Bytes>> =
                    sansocket::http::upgrade(&mut request, &server, async |mut ws| {
                        while let Ok(Some(message)) = ws.recv().await {
                            let _ = ws.send(message).await;
                        }
                    });
                async { Ok::<_, std::convert::Infallible>(response) }
            });
            let mut builder = Builder::new(TokioExecutor::new());
            builder.enable_connect_protocol();
            let _ = builder.serve_connection(TokioIo::new(tcp), service).await;
        });
    });
    url
}

/// Where every message comes back over TLS, until the tests are over.
pub struct TlsServer {
    pub url: String,
    /// Its certificate is in there.
    folder: PathBuf,
}

impl TlsServer {
    /// `None` where no certificate can be made.
    pub fn start(name: &str) -> Option<Self> {
        let folder = certificate(name)?;
        let server = Server::default().tls_pem(folder.join("cert.pem"), folder.join("key.pem")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            serve_with(listener, &server, &Stop::default(), |pending| {
                let mut ws = pending.accept()?;
                while let Some(message) = ws.recv()? {
                    ws.send(message)?;
                }
                Ok::<_, sansocket::Error>(())
            })
        });
        Some(Self { url, folder })
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
