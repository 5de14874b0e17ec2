//! Hosts with several addresses: which are tried, when, and what is told if none can be reached.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use sansocket::{Attempt, Attempts, Client, Error, Unreachable};

use crate::reach::{attempts, failed, nobody, reached, server};
use crate::script::MOMENT;
use crate::wire::PATIENCE;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A network in which time passes only where it is waited: after so many milliseconds an address accepts, refuses, or,
/// where it is not listed, says nothing.
struct Network(BTreeMap<SocketAddr, (u32, bool)>);

impl Network {
    fn new<const N: usize>(answers: [(&str, u32, bool); N]) -> Self {
        Self(answers.into_iter().map(|(address, after, accepts)| (at(address), (after, accepts))).collect())
    }

    /// Connects to one of these addresses, within so many milliseconds. Tells which it was, or why none, and in how many
    /// milliseconds; and when each attempt began.
    fn connect(&self, addresses: &[&str], timeout: u32) -> (Result<String, io::Error>, u128, Vec<String>) {
        let begun = Instant::now();
        let mut now = begun;
        let mut attempts =
            Attempts::new(addresses.iter().map(|address| at(address)), Some(begun + timeout * MILLISECOND));
        let (mut under_way, mut log) = (Vec::new(), Vec::new());
        loop {
            match attempts.next(now) {
                Attempt::Start(address) => {
                    log.push(format!("{} {}", (now - begun).as_millis(), address.ip()));
                    under_way.extend(
                        self.0.get(&address).map(|(after, ok)| (now + *after * MILLISECOND, address, *ok)),
                    );
                }
                Attempt::Wait(until) => {
                    under_way.sort();
                    match under_way.first().copied() {
                        Some((then, address, accepts)) if until.is_none_or(|until| then <= until) => {
                            now = then;
                            under_way.remove(0);
                            if accepts {
                                return (Ok(address.ip().to_string()), (now - begun).as_millis(), log);
                            }
                            attempts.failed(address, ErrorKind::ConnectionRefused.into());
                        }
                        _ => now = until.expect("nothing else would come"),
                    }
                }
                Attempt::Over(error) => return (Err(error), (now - begun).as_millis(), log),
            }
        }
    }
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 80)
}

/// A first address that says nothing costs a quarter of a second.
#[test]
fn a_silent_first_address() {
    let network = Network::new([("192.0.2.2", 20, true)]);
    let (connected, took, log) = network.connect(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], 30_000);
    assert_eq!((connected.unwrap(), took), ("192.0.2.2".to_owned(), 270));
    assert_eq!(log, ["0 192.0.2.1", "250 192.0.2.2"]);
}

/// The families take turns, beginning with that of the first address; no address is tried twice.
#[test]
fn families_take_turns() {
    let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::1", "192.0.2.1", "2001:db8::3", "192.0.2.2"];
    let (failed, took, log) = Network::new([]).connect(&addresses, 1_200);
    assert_eq!(
        log,
        ["0 2001:db8::1", "250 192.0.2.1", "500 2001:db8::2", "750 192.0.2.2", "1000 2001:db8::3"]
    );
    assert_eq!((failed.unwrap_err().kind(), took), (ErrorKind::TimedOut, 1_200));
    let (_, _, log) = Network::new([]).connect(&["192.0.2.1", "192.0.2.2", "2001:db8::1"], 600);
    assert_eq!(log, ["0 192.0.2.1", "250 2001:db8::1", "500 192.0.2.2"]);
}

/// Once one has failed, the next is not waited for, and one that began before may still win.
#[test]
fn failures_and_slow_winners() {
    let network = Network::new([
        ("192.0.2.1", 400, true),
        ("192.0.2.2", 10, false),
        ("192.0.2.3", 300, true),
        ("192.0.2.4", 5, false),
    ]);
    let (connected, took, log) =
        network.connect(&["192.0.2.4", "192.0.2.1", "192.0.2.2", "192.0.2.3"], 30_000);
    assert_eq!((connected.unwrap(), took), ("192.0.2.1".to_owned(), 405));
    assert_eq!(log, ["0 192.0.2.4", "5 192.0.2.1", "255 192.0.2.2", "265 192.0.2.3"]);
}

/// All that was wrong is told, with the address it was wrong with; of a single address, just that.
#[test]
fn what_was_wrong_is_told() {
    let network = Network::new([("192.0.2.1", 10, false), ("192.0.2.3", 10, false)]);
    let (failed, took, _) = network.connect(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], 1_000);
    let failed = failed.unwrap_err();
    assert_eq!(took, 1_000);
    assert_eq!(
        failed.to_string(),
        "no address of the host can be reached: 192.0.2.1:80: connection refused; 192.0.2.3:80: connection refused; \
         192.0.2.2:80: timed out"
    );
    let unreachable: &Unreachable = failed.get_ref().unwrap().downcast_ref().unwrap();
    let kinds = unreachable.attempts().iter().map(|(address, error)| (*address, error.kind()));
    let refused = ErrorKind::ConnectionRefused;
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [(at("192.0.2.1"), refused), (at("192.0.2.3"), refused), (at("192.0.2.2"), ErrorKind::TimedOut)]
    );

    let alone =
        |network: &Network, addresses: &[&str]| network.connect(addresses, 100).0.unwrap_err().to_string();
    assert_eq!(alone(&network, &["192.0.2.1"]), "connection refused");
    assert_eq!(alone(&network, &["192.0.2.2"]), "timed out");
    assert_eq!(alone(&network, &[]), "the host has no address");
}

/// An address that accepts nobody: as many as it has room for wait already.
fn silent() -> (TcpListener, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(tcp) = TcpStream::connect_timeout(&address, MOMENT) {
        waiting.push(tcp);
    }
    (listener, waiting)
}

fn client(addresses: &[SocketAddr]) -> Client {
    let client = Client::new("ws://name.invalid/").unwrap().connect_timeout(PATIENCE);
    client.addresses(addresses.iter().copied())
}

/// Both adapters pass over what is silent or refuses, and look nothing up.
#[test]
fn sockets() {
    let (listener, _waiting) = silent();
    let (silent, server) = (listener.local_addr().unwrap(), server());
    assert_eq!(reached(&client(&[server])), "hello");
    assert_eq!(reached(&client(&[silent, server])), "hello");
    assert_eq!(reached(&client(&[nobody(), silent, nobody(), server])), "hello");

    let (one, other) = (nobody(), nobody());
    let told = reached(&client(&[one, other]));
    let refused = "Connection refused (os error 111)";
    if cfg!(target_os = "linux") {
        let expected = format!(
            "cannot connect: no address of the host can be reached: {one}: {refused}; {other}: {refused}"
        );
        assert_eq!(told, expected);
        assert_eq!(reached(&client(&[one])), format!("cannot connect: {refused}"));
    }
    assert_eq!(reached(&client(&[])), "cannot connect: the host has no address");
    // When there is no time left to begin, nothing is wrong with any address.
    for addresses in [&[server][..], &[server, one]] {
        let late = client(addresses).connect_timeout(Duration::ZERO);
        assert_eq!(failed(&late), "TimedOut(OpeningHandshake)");
        let late =
            client(addresses).connect_timeout(Duration::ZERO).proxy(format!("http://{server}")).unwrap();
        assert_eq!(failed(&late), "TimedOut(Proxy)");
    }
    let late = client(&[silent, one]).connect_timeout(10 * MOMENT);
    for error in attempts(&late).map(Result::unwrap_err) {
        let Error::Connect(error) = error else { panic!("{error}") };
        let unreachable: &Unreachable = error.get_ref().unwrap().downcast_ref().unwrap();
        let tried: Vec<_> = unreachable.attempts().iter().map(|(address, _)| *address).collect();
        assert_eq!((error.kind(), tried), (ErrorKind::TimedOut, vec![one, silent]));
    }
}

/// By tokio's clock, which is stopped, it is a quarter of a second.
#[test]
fn a_silent_first_address_by_the_clock() {
    let (listener, _waiting) = silent();
    let silent = listener.local_addr().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let took = runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = client(&[silent, listener.local_addr().unwrap()]);
        let serving = async {
            let (tcp, _) = listener.accept().await.unwrap();
            sansocket::tokio::accept(tcp).await.unwrap().accept().await.unwrap()
        };
        let begun = tokio::time::Instant::now();
        let (ws, _server) = tokio::join!(sansocket::tokio::connect(client), serving);
        ws.unwrap();
        begun.elapsed()
    });
    assert!((250..300).contains(&took.as_millis()), "{took:?}");
}

/// They are those of the URI's host and port: a proxy is looked up.
#[test]
fn of_one_host() {
    let client = client(&[server()]).proxy("http://name.invalid:3128").unwrap();
    let told = reached(&client);
    assert!(told.starts_with("cannot connect to the proxy: failed to lookup"), "{told}");
}
