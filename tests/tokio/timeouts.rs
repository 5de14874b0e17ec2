//! Deadlines, by the virtual clock. Those of the opening handshake are with it.

use std::time::Duration;

use sansocket::tokio::WebSocket;
use sansocket::{Config, Error, Role, TimedOut};

use crate::common::{ROLES, TEXT, close_frame, secs};
use crate::peer::{after, with_peer};
use crate::script::{Read, Script};

#[track_caller]
fn timed_out<T: std::fmt::Debug>(result: Result<T, Error>) -> TimedOut {
    match result {
        Err(Error::TimedOut(timed_out)) => timed_out,
        other => panic!("{other:?}"),
    }
}

/// Each call that receives keeps the deadline, dropped and called again as it may be.
#[tokio::test(start_paused = true)]
async fn keepalive_while_calls_are_dropped() {
    for role in ROLES {
        let (mut ws, _peer) = with_peer(role, 4096, &Config::default().keepalive(secs(20), secs(5)));
        let error = after(secs(25), async {
            loop {
                let step = Duration::from_millis(700);
                if let Ok(result) = tokio::time::timeout(step, ws.recv()).await {
                    break result;
                }
                if let Ok(result) = tokio::time::timeout(step, ws.recv_part()).await {
                    break result.map(|_| None);
                }
            }
        });
        assert_eq!(timed_out(error.await), TimedOut::Keepalive);
    }
}

/// A task that has spent the budget of its turn when it first waits: tokio's timers say then that they have not passed, and
/// wake nobody.
#[tokio::test(start_paused = true)]
async fn keepalive_of_a_task_that_has_spent_its_budget() {
    for spent in 120..=140 {
        let (mut ws, mut peer) =
            with_peer(Role::Server, 4096, &Config::default().keepalive(secs(20), secs(5)));
        peer.send(TEXT, b"one message").await;
        let task = tokio::spawn(async move {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for _ in 0..spent {
                sender.send(()).unwrap();
            }
            tokio::task::yield_now().await;
            for _ in 0..spent {
                receiver.recv().await.unwrap();
            }
            assert_eq!(ws.recv().await.unwrap(), Some("one message".into()));
            ws.recv().await
        });
        let ended = tokio::time::timeout(secs(3600), task).await.expect("a deadline that is kept").unwrap();
        assert_eq!(timed_out(ended), TimedOut::Keepalive, "{spent}");
    }
}

/// Without a keepalive, a silent peer is waited for.
#[tokio::test(start_paused = true)]
async fn no_keepalive() {
    for role in ROLES {
        let (mut ws, _peer) = with_peer(role, 4096, &Config::default().no_keepalive());
        assert!(tokio::time::timeout(secs(1_000_000), ws.recv()).await.is_err());
    }
}

/// A stream that cannot be closed, as one with TLS whose peer reads nothing, is given up at the close timeout.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_never_closed() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(close_frame(role, 1000, "bye")), Read::End]).staying_open();
        let config = Config::default().close_timeout(secs(3));
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config);
        assert_eq!(after(secs(3), ws.recv()).await.unwrap(), None);
        assert!(ws.closed().unwrap().clean);
    }
}
