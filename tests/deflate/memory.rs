//! How much memory a connection holds, and how much a peer can make it use.

use allocation_counter::measure;

use crate::common::{BINARY, ROLES, pseudo_random};
use crate::endpoint::{Endpoint, Foreign, agreed, always, other, plain};
use sansocket::{AgreedDeflate, Config, Deflate, Message, ProtocolError, Role};

const KIB: i64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What an endpoint holds more, in bytes, once it has sent a message; and once it has received one.
fn held(role: Role, deflate: &Deflate, agreed: AgreedDeflate) -> (i64, i64) {
    let message = Message::text("a message, and a message, and a message. ".repeat(100));
    let mut peer = Endpoint::new(other(role), &Config::default(), deflate, agreed);
    peer.send(&message);
    let received = peer.take_out();
    // What each thread keeps one of, for all connections, is there.
    let mut endpoint = Endpoint::new(role, &Config::default(), deflate, agreed);
    endpoint.send(&message);
    endpoint.messages(&received);

    let mut endpoint = Endpoint::new(role, &Config::default(), deflate, agreed);
    let sending = measure(|| {
        for _ in 0..3 {
            endpoint.send(&message);
            drop(endpoint.take_out());
        }
    });
    let receiving = measure(|| {
        endpoint.messages(&received);
    });
    // The input buffer of the test.
    (
        sending.bytes_current,
        receiving.bytes_current - i64::try_from(received.len().next_power_of_two()).unwrap(),
    )
}

/// With context takeover, what the documentation of `Deflate` says: in KiB, to send and to receive.
#[test]
fn with_takeover_a_connection_holds_what_is_documented() {
    for role in ROLES {
        for (bits, level, to_send, to_receive) in
            [(15, 6, 370, 80), (15, 1, 370, 80), (12, 6, 260, 80), (9, 6, 245, 80), (8, 9, 245, 80)]
        {
            let offer =
                format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
            let (sending, receiving) = held(role, &always().level(level), agreed(&offer));
            for (held, documented) in [(sending, to_send * KIB), (receiving, to_receive * KIB)] {
                let near = documented * 95 / 100..documented * 105 / 100;
                assert!(near.contains(&held), "{role:?}, window bits {bits}: {held}, not {documented}");
            }
        }
    }
}

/// 7692-7.2.2-02, 7692-7.2.2-04: without takeover a connection holds no compressor and no decompressor between
/// messages; one that was used by one connection serves the next.
#[test]
fn without_takeover_an_idle_connection_holds_nothing() {
    let neither = agreed("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    for role in ROLES {
        let (sending, receiving) = held(role, &always(), neither);
        assert!(sending.abs() < KIB && receiving.abs() < KIB, "{role:?}: {sending}, {receiving}");
        // In one direction only.
        for (parameters, limited) in [
            ("permessage-deflate; server_no_context_takeover", Role::Server),
            ("permessage-deflate; client_no_context_takeover", Role::Client),
        ] {
            let (sending, receiving) = held(role, &always(), agreed(parameters));
            let (nothing, something) =
                if role == limited { (sending, receiving) } else { (receiving, sending) };
            assert!(nothing.abs() < KIB && something > 8 * KIB, "{role:?}: {sending}, {receiving}");
        }
    }
}

/// A compressor is made when the first message is sent that is compressed, and a decompressor when one comes.
#[test]
fn a_connection_that_compressed_nothing_holds_nothing() {
    let info = measure(|| {
        let mut endpoint = Endpoint::new(Role::Server, &Config::default(), &Deflate::default(), plain());
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
        echo(10);
        let count = echo(100);
        assert!(count <= 500, "{parameters}: {count} for 100 messages");
        let mut server = Endpoint::new(Role::Server, &Config::default(), &always(), agreed(parameters));
        server.out.reserve(200_000);
        server.send(&message);
        let info = measure(|| {
            for _ in 0..100 {
                server.send(&message);
            }
        });
        assert_eq!(info.count_total, 0, "{parameters}");
    }
}
