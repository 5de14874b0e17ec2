//! fastwebsockets. Its `read_frame` loses bytes when it is cancelled, so that answers cannot be batched. With `--upgrade`
//! its opening handshake is its own, inside hyper; without, it is answered by hand.

use std::convert::Infallible;
use std::future::Future;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError, upgrade};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

fn main() {
    if peers::flag("--upgrade") {
        peers::echo::serve(upgraded);
    } else {
        peers::echo::serve(|mut tcp| async move {
            peers::echo::handshake(&mut tcp, false).await?;
            echo(WebSocket::after_handshake(tcp, Role::Server)).await
        });
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(ws: WebSocket<S>) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

fn upgraded(tcp: TcpStream) -> impl Future<Output = hyper::Result<()>> {
    let answer = service_fn(|mut request: Request<Incoming>| async move {
        let refused = || Response::builder().status(StatusCode::BAD_REQUEST).body(Default::default());
        Ok::<_, Infallible>(match upgrade::upgrade(&mut request) {
            Ok((response, ws)) => {
                tokio::task::spawn_local(async move { echo(ws.await?).await });
                response
            }
            Err(_) => refused().expect("a response"),
        })
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), answer).with_upgrades()
}
