//! How much memory a connection holds, and how much a peer can make it use.

use allocation_counter::measure;

use crate::common::{BINARY, ROLES, pseudo_random};
use crate::endpoint::{Endpoint, Foreign, agreed, always, other, plain};
use sansocket::{AgreedDeflate, Config, Deflate, Message, ProtocolError, Role};

const KIB: i64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What an endpoint holds more, in bytes, once it has sent messages of `size` bytes; and once it has received as many.
fn held(role: Role, agreed: AgreedDeflate, size: usize, count: usize) -> (i64, i64) {
    let messages = (0..count as u64).map(|seed| Message::binary(pseudo_random(seed, size)));
    let messages = messages.collect::<Vec<_>>();
    let mut peer = Endpoint::new(other(role), &Config::default(), &always(), agreed);
    let received = messages.iter().map(|message| {
        peer.send(message);
        peer.take_out()
    });
    let received = received.collect::<Vec<_>>();
    let speak = |endpoint: &mut Endpoint| {
        let sending = measure(|| {
            for message in &messages {
                endpoint.send(message);
                drop(endpoint.take_out());
            }
        });
        let receiving = measure(|| {
            for bytes in &received {
                assert_eq!(endpoint.messages(bytes).len(), 1);
            }
            endpoint.free_input();
        });
        (sending.bytes_current, receiving.bytes_current)
    };
    // What each thread keeps, for all connections, is there.
    speak(&mut Endpoint::new(role, &Config::default(), &always(), agreed));
    speak(&mut Endpoint::new(role, &Config::default(), &always(), agreed))
}

/// With context takeover a connection holds what was sent and received, and no more of it than is worth keeping, as the
/// documentation of `Deflate` says: 8 KiB to send, the window to receive.
#[test]
fn with_takeover_a_connection_holds_its_history() {
    for role in ROLES {
        for (bits, to_send, to_receive) in [(15, 8, 32), (12, 4, 4), (9, 0, 0), (8, 0, 0)] {
            let offer =
                format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
            let most = |kib: i64| (kib * KIB).max(512) + KIB / 2;
            let (sending, receiving) = held(role, agreed(&offer), 1000, 100);
            let what = format!("{role:?}, window bits {bits}: {sending}, {receiving}");
            assert!(sending <= most(to_send) && receiving <= most(to_receive), "{what}");
            assert!(sending >= to_send * KIB && receiving >= to_receive * KIB, "{what}");
        }
        // Of one small message, that.
        let (sending, receiving) = held(role, plain(), 300, 1);
        assert!((300..400).contains(&sending) && (300..400).contains(&receiving), "{sending}, {receiving}");
    }
}

/// 7692-7.2.2-02, 7692-7.2.2-04: without takeover a connection holds nothing between messages.
#[test]
fn without_takeover_an_idle_connection_holds_nothing() {
    let neither = agreed("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    for role in ROLES {
        let (sending, receiving) = held(role, neither, 4000, 10);
        assert_eq!((sending, receiving), (0, 0), "{role:?}");
        // In one direction only.
        for (parameters, limited) in [
            ("permessage-deflate; server_no_context_takeover", Role::Server),
            ("permessage-deflate; client_no_context_takeover", Role::Client),
        ] {
            let (sending, receiving) = held(role, agreed(parameters), 4000, 10);
            let (nothing, something) =
                if role == limited { (sending, receiving) } else { (receiving, sending) };
            assert!(nothing == 0 && something > 8000, "{role:?}: {sending}, {receiving}");
        }
    }
}

/// However many connections a thread serves, their compressors take no more than 16 MiB, also while large messages are
/// compressed step by step; and all of a connection is less than 70 KiB, or 6 KiB if it has echoed one small message.
#[test]
fn a_thread_holds_a_bounded_number_of_compressors() {
    for (size, count, most) in [(300, 1, 6 * KIB), (1000, 100, 70 * KIB), (100_000, 2, 70 * KIB)] {
        let message = Message::binary(pseudo_random(size as u64, size));
        let connections = 200;
        let info = measure(|| {
            let mut endpoints: Vec<_> =
                (0..connections).map(|_| Endpoint::pair(&always(), plain())).collect();
            for _ in 0..count {
                for [client, server] in &mut endpoints {
                    client.send(&message);
                    let sent = client.take_out();
                    assert_eq!(server.messages(&sent).len(), 1);
                    server.send(&message);
                    let sent = server.take_out();
                    assert_eq!(client.messages(&sent).len(), 1);
                    client.free_input();
                    server.free_input();
                }
            }
            std::mem::forget(endpoints);
        });
        let of_thread = 16 * KIB * KIB;
        assert!(info.bytes_current < of_thread + 2 * connections * most, "{size}: {}", info.bytes_current);
        assert!(
            info.bytes_current - of_thread * 13 / 16 < 2 * connections * most,
            "{size}: {}, which is {} each",
            info.bytes_current,
            (info.bytes_current - of_thread * 13 / 16) / (2 * connections),
        );
    }
}

/// A compressor is made when the first message is sent that is compressed, and a decompressor when one comes.
#[test]
fn a_connection_that_compressed_nothing_holds_nothing() {
    let info = measure(|| {
        let mut endpoint =
            Endpoint::new(Role::Server, &Config::default(), &Deflate::default().min_size(6), plain());
        endpoint.send(&Message::text("small"));
        std::mem::forget(endpoint);
    });
    assert!(info.bytes_current < 2 * KIB, "{}", info.bytes_current);
}

/// 6455-10.4-01: what inflates to more than the limit costs no more memory than the limit, and a little, in one frame or
/// in many.
#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let zeros = Foreign::new(9).message(&vec![0; 64 << 20]);
    for role in ROLES {
        for limit in [1000, 64 << 10, MIB] {
            let config = Config::default().max_message_size(limit);
            let mut endpoint = Endpoint::new(role, &config, &always(), plain());
            let frame = crate::common::frame(role, BINARY | crate::endpoint::RSV1, &zeros);
            let info = measure(|| {
                let outcome = endpoint.receive(&frame, false);
                assert_eq!(outcome, (vec![], Some(ProtocolError::MessageTooBig)));
            });
            assert!(info.bytes_max < limit + MIB, "limit {limit}: {}", info.bytes_max);
        }
    }
}

/// In steady state a message allocates nothing but what it is handed out in.
#[test]
fn messages_allocate_little() {
    for parameters in
        ["permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"]
    {
        let [mut client, mut server] = Endpoint::pair(&always(), agreed(parameters));
        let message = Message::binary(pseudo_random(1, 100).repeat(10));
        let mut out = Vec::with_capacity(4096);
        let mut echo = |times| {
            let mut count = 0;
            for _ in 0..times {
                client.send(&message);
                out.extend_from_slice(&client.out);
                client.out.clear();
                let info = measure(|| {
                    assert_eq!(server.messages(&out).len(), 1);
                });
                out.clear();
                count += info.count_total;
            }
            count
        };
        echo(40);
        let count = echo(100);
        assert!(count <= 500, "{parameters}: {count} for 100 messages");
        let mut server = Endpoint::new(Role::Server, &Config::default(), &always(), agreed(parameters));
        server.out.reserve(200_000);
        // Until its history is full.
        for _ in 0..10 {
            server.send(&message);
        }
        let info = measure(|| {
            for _ in 0..100 {
                server.send(&message);
            }
        });
        assert_eq!(info.count_total, 0, "{parameters}");
    }
}

/// A connection that idles, all of it, over tokio: less than 6 KiB after one small message was echoed, and 70 KiB after any
/// number.
#[cfg(feature = "tokio")]
#[test]
fn an_idle_connection_is_small() {
    use sansocket::Negotiated;
    use sansocket::tokio::WebSocket;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let config = Config::default().deflate(Deflate::default());
    let both = |size: usize, count: usize| {
        runtime.block_on(async {
            let (near, far) = tokio::io::duplex(1 << 10);
            let open = |transport, role| {
                let negotiated = Negotiated::new(role).with_deflate(plain());
                WebSocket::from_upgraded(transport, negotiated, b"", &config)
            };
            let (mut client, mut server) = (open(near, Role::Client), open(far, Role::Server));
            for seed in 0..count as u64 {
                let message = Message::binary(pseudo_random(seed, size));
                let echo = async {
                    let message = server.recv().await.unwrap().unwrap();
                    server.send(message).await.unwrap();
                };
                let drive = async {
                    client.send(message.clone()).await.unwrap();
                    assert_eq!(client.recv().await.unwrap(), Some(message.clone()));
                };
                tokio::join!(echo, drive);
            }
            for ws in [&mut client, &mut server] {
                let mut waiting = std::pin::pin!(ws.recv());
                std::future::poll_fn(|cx| {
                    assert!(waiting.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
            }
            (client, server)
        })
    };
    for (size, count, most) in [(300, 1, 6 * KIB), (1000, 300, 70 * KIB)] {
        // What the thread keeps is there.
        drop(both(size, count));
        let info = measure(|| std::mem::forget(both(size, count)));
        let each = info.bytes_current / 2;
        assert!(each < most, "after {count} messages of {size} bytes: {each}");
        println!("after {count} messages of {size} bytes: {each}");
    }
}
