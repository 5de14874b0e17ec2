//! A client that connects again, by the clock: how long it waits, and what is left of a call that is dropped.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use sansocket::reconnect::{Event, Policy, State};
use sansocket::tokio::{Reconnecting, WebSocket, reconnect, reconnect_with};
use sansocket::{Client, CloseCode, Config, Error, Role, SendError};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{CLOSE, TEXT, close_payload, frame};

/// When each attempt began.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<Vec<Instant>>>);

impl Attempts {
    fn begin(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The times between them.
    fn gaps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().windows(2).map(|two| two[1] - two[0]).collect()
    }
}

/// A connection over which these bytes come; then it ends.
async fn coming(bytes: &[u8]) -> WebSocket<DuplexStream> {
    let (near, mut far) = duplex(bytes.len().max(1));
    far.write_all(bytes).await.unwrap();
    WebSocket::from_upgraded(near, Role::Client, b"", &Config::default())
}

fn text(text: &str) -> Vec<u8> {
    frame(Role::Client, TEXT, text.as_bytes())
}

fn closing(code: u16) -> Vec<u8> {
    frame(Role::Client, CLOSE, &close_payload(code, ""))
}

fn refused<T>() -> Result<T, Error> {
    Err(Error::Connect(ErrorKind::ConnectionRefused.into()))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 6455-7.2.3-01: the first attempt is made at once; then it waits from a tenth of a second to one, which doubles up to a minute, and as long
/// as it tells.
#[tokio::test(start_paused = true)]
async fn delays() {
    let attempts = Attempts::default();
    let begun = attempts.clone();
    let mut client: Reconnecting<DuplexStream> = reconnect_with(&Policy::default(), move |_| {
        begun.begin();
        async { refused() }
    });
    let (start, mut told) = (Instant::now(), Vec::new());
    for n in 0..10_u32 {
        let Some(Event::Lost(lost)) = client.recv_event().await.unwrap() else { panic!("{n}") };
        told.push(lost.retry_in());
        let most = seconds(1 << n.min(6)).min(seconds(60));
        assert!(lost.retry_in() >= Duration::from_millis(100) && lost.retry_in() <= most, "{n}: {lost}");
    }
    assert_eq!(attempts.gaps().len(), 9);
    for (gap, told) in attempts.gaps().iter().zip(&told) {
        // The clock of tokio's timers ticks in milliseconds.
        assert!(gap >= told && *gap <= *told + Duration::from_millis(2), "{gap:?}, not {told:?}");
    }
    assert_eq!(attempts.0.lock().unwrap()[0], start);
    // By chance.
    assert!(told.windows(2).any(|two| two[1] != two[0] * 2));
}

/// A server that accepts and closes is let alone for longer and longer, until a connection lasts.
#[tokio::test(start_paused = true)]
async fn connections_that_do_not_last() {
    let attempts = Attempts::default();
    let begun = attempts.clone();
    let policy = Policy::default().reset_after(seconds(10));
    let mut client = reconnect_with(&policy, move |attempt| {
        begun.begin();
        let lasts = begun.count() == 8;
        assert_eq!(
            attempt.number() as usize,
            if begun.count() > 8 { begun.count() - 8 } else { begun.count() }
        );
        async move {
            let (near, mut far) = duplex(100);
            tokio::spawn(async move {
                sleep(if lasts { seconds(10) } else { seconds(9) }).await;
                far.write_all(&closing(1001)).await.unwrap();
            });
            Ok(WebSocket::from_upgraded(near, Role::Client, b"", &Config::default()))
        }
    });
    let mut most = Vec::new();
    while most.len() < 10 {
        if let Some(Event::Lost(lost)) = client.recv_event().await.unwrap() {
            most.push(lost.retry_in());
        }
    }
    for (told, limit) in most.iter().zip([1, 2, 4, 8, 16, 32, 60, 1, 1, 2]) {
        assert!(*told <= seconds(limit), "{most:?}");
    }
}

/// Dropped after each millisecond, `recv` loses no message, begins no attempt twice, and the time goes on.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_again_and_again() {
    let attempts = Attempts::default();
    let begun = attempts.clone();
    let policy = Policy::default().delays(seconds(1), seconds(1));
    let mut client = reconnect_with(&policy, move |_| {
        begun.begin();
        let n = begun.count();
        async move {
            // An attempt takes its time.
            sleep(Duration::from_millis(50)).await;
            match n % 3 {
                0 => refused(),
                _ => {
                    Ok(coming(&[text(&format!("{n}a")), text(&format!("{n}b")), closing(1001)].concat())
                        .await)
                }
            }
        }
    });
    let (mut received, mut waited) = (Vec::new(), Duration::ZERO);
    let start = Instant::now();
    while received.len() < 8 {
        match timeout(Duration::from_millis(1), client.recv_event()).await {
            Ok(event) => match event.unwrap().unwrap() {
                Event::Message(message) => received.push(message.as_text().unwrap().to_owned()),
                Event::Lost(lost) => waited += lost.retry_in(),
                _ => {}
            },
            Err(_) if client.state() == State::Connecting => assert!(client.current().is_none()),
            Err(_) => {}
        }
    }
    assert_eq!(received, ["1a", "1b", "2a", "2b", "4a", "4b", "5a", "5b"]);
    assert_eq!(attempts.count(), 5);
    let expected = waited + 5 * Duration::from_millis(50);
    assert!(
        start.elapsed() <= expected + Duration::from_millis(20),
        "{:?}, not {expected:?}",
        start.elapsed()
    );
}

/// As a stream it ends where `recv` returns `None`, and after an error.
#[tokio::test(start_paused = true)]
async fn stream() {
    let attempts = Attempts::default();
    let begun = attempts.clone();
    let stream = |last: u16| {
        let begun = begun.clone();
        reconnect_with(&Policy::default(), move |_| {
            begun.begin();
            let n = begun.count();
            async move {
                match n {
                    2 => refused(),
                    3 if last == 0 => Err(Error::Connect(ErrorKind::Unsupported.into())),
                    3 => Ok(coming(&[text("two"), closing(last)].concat()).await),
                    _ => Ok(coming(&text("one")).await),
                }
            }
        })
    };
    let lines = |items: Vec<Result<sansocket::Message, Error>>| -> Vec<String> {
        items
            .into_iter()
            .map(|item| item.map_or_else(|error| error.to_string(), |m| format!("{m:?}")))
            .collect()
    };
    let items = stream(1000).collect::<Vec<_>>().await;
    assert_eq!(lines(items), ["Text(\"one\")", "Text(\"two\")"]);
    begun.0.lock().unwrap().clear();
    let mut failing = stream(0);
    let items = failing.by_ref().collect::<Vec<_>>().await;
    assert_eq!(lines(items), ["Text(\"one\")", "cannot connect: unsupported"]);
    assert!(futures_util::stream::FusedStream::is_terminated(&failing));
    assert_eq!(attempts.count(), 3);
}

/// What came while the program sent is in the stream, too.
#[tokio::test(start_paused = true)]
async fn stream_behind_sends() {
    let attempts = Attempts::default();
    let mut client = reconnect_with(&Policy::default(), move |_| {
        attempts.begin();
        let n = attempts.count();
        async move { Ok(coming(&[text(&format!("{n}a")), text(&format!("{n}b"))].concat()).await) }
    });
    for n in 0..3 {
        client.send(n.to_string()).await.unwrap();
    }
    for text in ["1a", "1b", "2a", "2b"] {
        assert_eq!(client.next().await.unwrap().unwrap().as_text(), Some(text));
    }
    assert_eq!(client.unwritten().messages, 3);
}

/// A `send` that waits for a connection, and is dropped, has sent nothing; the attempt that it began goes on.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped() {
    let attempts = Attempts::default();
    let begun = attempts.clone();
    let (near, far) = duplex(1 << 10);
    let mut near = Some(near);
    let mut client = reconnect_with(&Policy::default(), move |_| {
        begun.begin();
        let near = near.take().unwrap();
        async move {
            sleep(seconds(2)).await;
            Ok(WebSocket::from_upgraded(near, Role::Client, b"", &Config::default()))
        }
    });
    let start = Instant::now();
    timeout(seconds(1), client.send("dropped")).await.unwrap_err();
    assert_eq!(client.state(), State::Connecting);
    client.send("sent").await.unwrap();
    assert!(start.elapsed() <= seconds(2) + Duration::from_millis(2));
    let mut server = WebSocket::from_upgraded(far, Role::Server, b"", &Config::default());
    assert_eq!(server.recv().await.unwrap(), Some("sent".into()));
    assert_eq!(attempts.count(), 1);
    // Dropped, it closes the transport as it stands.
    drop(client);
    assert!(matches!(server.recv().await, Err(Error::ConnectionLost(_))));
}

/// A program that keeps what was not answered, and begins each connection with that, delivers all of it, however often the
/// connection is lost: nothing twice over one connection, and in order.
#[tokio::test(start_paused = true)]
async fn a_program_that_keeps_what_it_sent() {
    let (seen, told) = (Arc::<Mutex<Vec<Vec<String>>>>::default(), Attempts::default());
    let (seeing, begun) = (seen.clone(), told.clone());
    let policy = Policy::default().delays(seconds(1), seconds(1));
    let mut shop = reconnect_with(&policy, move |_| {
        begun.begin();
        let (n, seeing) = (begun.count(), seeing.clone());
        async move {
            let (near, far) = duplex(1 << 12);
            tokio::spawn(async move {
                let mut server = WebSocket::from_upgraded(far, Role::Server, b"", &Config::default());
                seeing.lock().unwrap().push(Vec::new());
                // The last order of each connection but the last one is not answered.
                while let Ok(Some(order)) = server.recv().await {
                    let orders = {
                        let mut seen = seeing.lock().unwrap();
                        let orders = seen.last_mut().unwrap();
                        orders.push(order.as_text().unwrap().to_owned());
                        orders.len()
                    };
                    if n < 12 && orders > n % 4 {
                        break;
                    }
                    let _ = server.send("done").await;
                }
            });
            Ok(WebSocket::from_upgraded(near, Role::Client, b"", &Config::default()))
        }
    });
    let (ordering, mut orders) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for n in 0..40 {
            ordering.send(n.to_string()).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    });
    let (mut unanswered, mut answered) = (std::collections::VecDeque::new(), 0);
    while answered < 40 {
        tokio::select! {
            Some(order) = orders.recv(), if unanswered.len() < 16 => {
                unanswered.push_back(order.clone());
                // It is busy, and its connection may be found to have ended.
                if unanswered.len() % 2 == 0 {
                    sleep(seconds(1)).await;
                }
                if let Some(ws) = shop.current() {
                    let _ = ws.send(order).await;
                }
            }
            event = shop.recv_event() => match event.unwrap().unwrap() {
                Event::Open => for order in &unanswered {
                    let _ = shop.current().unwrap().send(order.clone()).await;
                },
                Event::Message(_) => {
                    answered += 1;
                    drop(unanswered.pop_front().unwrap());
                }
                _ => {}
            }
        }
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 12, "{seen:?}");
    for orders in &*seen {
        let orders: Vec<u32> = orders.iter().map(|order| order.parse().unwrap()).collect();
        assert!(orders.windows(2).all(|two| two[1] == two[0] + 1), "{seen:?}");
    }
    assert_eq!(seen[11].last().map(String::as_str), Some("39"));
}

/// `close` gives up an attempt that is under way; dropped, it has ended all the same.
#[tokio::test(start_paused = true)]
async fn closing_is_the_end() {
    let alive = Arc::new(());
    let held = alive.clone();
    let mut client: Reconnecting<DuplexStream> = reconnect_with(&Policy::default(), move |_| {
        let held = held.clone();
        async move {
            sleep(seconds(1)).await;
            drop(held);
            refused()
        }
    });
    assert!(client.recv().now_or_never().is_none());
    assert_eq!((client.state(), Arc::strong_count(&alive)), (State::Connecting, 3));
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!((client.state(), Arc::strong_count(&alive)), (State::Over, 2));
    assert_eq!(client.recv().await.unwrap(), None);

    let (near, far) = duplex(1 << 10);
    let mut near = Some(near);
    let mut client = reconnect_with(&Policy::default(), move |_| {
        let near = near.take().expect("there is no second attempt");
        async move { Ok(WebSocket::from_upgraded(near, Role::Client, b"", &Config::default())) }
    });
    client.send("sent").await.unwrap();
    assert!(client.close(CloseCode::GOING_AWAY, "bye").now_or_never().is_none());
    assert!(matches!(client.send("behind").await, Err(Error::Send(SendError::Closing))));
    let mut server = WebSocket::from_upgraded(far, Role::Server, b"", &Config::default());
    let server = tokio::spawn(async move {
        server.send("late").await.unwrap();
        while server.recv().await.unwrap().is_some() {}
        server.closed().unwrap().reason.clone()
    });
    assert_eq!(client.recv().await.unwrap(), Some("late".into()));
    assert_eq!(client.recv().await.unwrap(), None);
    assert_eq!(server.await.unwrap(), "bye");
    assert_eq!(client.closed().unwrap().code, CloseCode::GOING_AWAY);
}

/// Of a URI, or a client, over TCP; and by the task that has it at the time.
#[tokio::test]
async fn by_uri() {
    assert!(matches!(reconnect("http:").unwrap_err(), Error::Uri(_)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/feed", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let pending = sansocket::tokio::accept(listener.accept().await.unwrap().0).await.unwrap();
        assert_eq!(pending.request().headers().get("X-Of"), Some("client"));
        let mut ws = pending.accept().await.unwrap();
        ws.send("hello").await.unwrap();
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
    let mut client = reconnect(Client::new(&uri).unwrap().header("X-Of", "client").unwrap()).unwrap();
    assert_eq!(format!("{client:?}"), "Reconnecting { state: Waiting, .. }");
    let client = tokio::spawn(async move {
        assert_eq!(client.recv().await.unwrap(), Some("hello".into()));
        client
    });
    let mut client = client.await.unwrap();
    assert_eq!(client.current().unwrap().response().unwrap().status(), 101);
    assert_eq!(client.recv().await.unwrap(), None);
    server.await.unwrap();
}
