//! A server that echoes and its client, in one thread with one poll: `cargo run --release --example mio`

use std::{collections::BTreeMap, net::Shutdown, time::Instant};

use mio::{Events, Interest, Poll, Token, net::TcpListener, net::TcpStream};
use sansocket::{Client, CloseCode, CloseFrame, Endpoint, EndpointEvent, Error, Role, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(64));
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let client = Client::new(&format!("ws://{}", listener.local_addr()?))?;
    let client = Endpoint::client(&client, rand::fill, Instant::now());
    let mut joining = vec![(TcpStream::connect(listener.local_addr()?)?, client, Role::Client)];
    let (mut peers, mut tokens) = (BTreeMap::new(), (1..).map(Token));
    while !joining.is_empty() || !peers.is_empty() {
        for ((mut tcp, endpoint, role), token) in joining.drain(..).zip(&mut tokens) {
            poll.registry().register(&mut tcp, token, Interest::READABLE | Interest::WRITABLE)?;
            peers.insert(token, (tcp, endpoint, role));
        }
        let due = peers.values().filter_map(|(_, endpoint, _)| endpoint.due()).min();
        poll.poll(&mut events, due.map(|due| due.saturating_duration_since(Instant::now())))?;
        let now = Instant::now();
        while let Ok((tcp, _)) = listener.accept() {
            joining.push((tcp, Endpoint::server(&Server::default(), now), Role::Server));
        }
        peers.retain(|token, (tcp, endpoint, role)| {
            let ready = events.iter().any(|event| event.token() == *token);
            let to_go = ready || endpoint.due().is_some_and(|due| due <= now);
            let result = if to_go { go_round(tcp, endpoint, *role, now) } else { Ok(true) };
            result.inspect_err(|error| println!("{role:?}: {error}")).unwrap_or(false)
        });
    }
    Ok(())
}

/// False, or an error: the stream is to be dropped.
fn go_round(tcp: &mut TcpStream, endpoint: &mut Endpoint, role: Role, now: Instant) -> Result<bool, Error> {
    endpoint.read_from(tcp, now);
    while let Some(event) = endpoint.next_event()? {
        match (event, role) {
            (EndpointEvent::Request, _) => endpoint.accept(now),
            (EndpointEvent::Open, Role::Client) => endpoint.send("hello")?,
            (EndpointEvent::Message(message), Role::Server) => endpoint.send(message)?,
            (EndpointEvent::Message(echo), Role::Client) => {
                println!("{echo:?}");
                endpoint.close(Some(CloseFrame { code: CloseCode::NORMAL, reason: "bye" }), now)?;
            }
            (EndpointEvent::ShutDown, _) => drop(tcp.shutdown(Shutdown::Write)),
            (EndpointEvent::Over, _) => {
                println!("{role:?}: {:?}", endpoint.closed());
                return Ok(false);
            }
            _ => {}
        }
    }
    endpoint.write_to(tcp, now);
    Ok(true)
}
