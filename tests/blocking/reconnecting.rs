//! A client that connects again, and does not wait for as long as it takes.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{Reconnecting, WebSocket, accept, reconnect, reconnect_with};
use sansocket::reconnect::{Event, Policy, State};
use sansocket::{Client, CloseCode, Config, Error, Role};

use crate::common::{TEXT, frame};

/// A time that has to pass.
const MOMENT: Duration = Duration::from_millis(20);

/// It returns in time, whether it waits for the next attempt or for a message; nothing is lost, and the next attempt is
/// made when it is due, by whichever call.
#[test]
fn calls_with_a_timeout() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let begun = attempts.clone();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = Some(near);
    let policy = Policy::default().delays(5 * MOMENT, 5 * MOMENT);
    let mut client = reconnect_with(&policy, move |_| match begun.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Error::Connect(ErrorKind::ConnectionRefused.into())),
        _ => WebSocket::from_upgraded(near.take().unwrap(), Role::Client, b"", &Config::default())
            .map_err(Error::Connect),
    });
    let start = Instant::now();
    let Poll::Ready(Some(Event::Lost(lost))) = client.recv_event_timeout(Duration::ZERO).unwrap() else {
        panic!("the first attempt is made at once");
    };
    let mut waited = 0;
    while client.recv_event_timeout(MOMENT / 20).unwrap().is_pending() {
        assert_eq!((client.state(), attempts.load(Ordering::Relaxed)), (State::Waiting, 1));
        waited += 1;
    }
    // The event was that it is open.
    assert!(waited > 0 && start.elapsed() >= lost.retry_in(), "{waited} times");
    assert_eq!((client.state(), attempts.load(Ordering::Relaxed)), (State::Open, 2));
    assert!(client.recv_timeout(Duration::ZERO).unwrap().is_pending());
    let message = frame(Role::Client, TEXT, b"in two pieces");
    far.write_all(&message[..4]).unwrap();
    assert!(client.recv_timeout(MOMENT).unwrap().is_pending());
    far.write_all(&message[4..]).unwrap();
    assert_eq!(client.recv_timeout(Duration::MAX).unwrap(), Poll::Ready(Some("in two pieces".into())));
    // Dropped, it closes the transport as it stands.
    drop(client);
    assert_eq!(std::io::Read::read(&mut far, &mut [0]).unwrap(), 0);
}

/// Of a URI, or a client, over TCP; and by the thread that has it at the time.
#[test]
fn by_uri() {
    assert!(matches!(reconnect("http:").unwrap_err(), Error::Uri(_)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/feed", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let pending = accept(listener.accept().unwrap().0).unwrap();
        assert_eq!(pending.request().headers().get("X-Of"), Some("client"));
        let mut ws = pending.accept().unwrap();
        ws.send("hello").unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
    });
    let mut client: Reconnecting =
        reconnect(Client::new(&uri).unwrap().header("X-Of", "client").unwrap()).unwrap();
    assert_eq!(format!("{client:?}"), "Reconnecting { state: Waiting, .. }");
    let client = thread::spawn(move || {
        assert_eq!(client.recv().unwrap(), Some("hello".into()));
        client
    });
    let mut client = client.join().unwrap();
    assert_eq!(client.current().unwrap().response().unwrap().status(), 101);
    assert_eq!(client.recv_timeout(Duration::MAX).unwrap(), Poll::Ready(None));
    server.join().unwrap();
}
