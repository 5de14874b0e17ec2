//! A page to which a server pushes, inside hyper: `cargo run --release --example hyper_upgrade --features hyper`

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::{Request, Response, StatusCode, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sansocket::Server;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    let server = Server::default();
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let Ok((tcp, _)) = accepted else {
            // Such as too many open files: the next may do.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = tcp.set_nodelay(true);
        let server = server.clone();
        let service = service_fn(move |request| {
            let response = respond(request, &server);
            async { Ok::<_, Infallible>(response) }
        });
        let serving =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(tcp), service);
        tokio::spawn(serving.with_upgrades());
    }
    // What has become a WebSocket is no longer hyper's to stop.
    sansocket::http::stop(&server).await;
    Ok(())
}

fn respond(mut request: Request<Incoming>, server: &Server) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/" => {
            let mut page = Response::new(Full::from(include_str!("page.html")));
            page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            page
        }
        "/events" => sansocket::http::upgrade(&mut request, server, async |mut ws| {
            let opened = Instant::now();
            while ws.send(format!("{} seconds", opened.elapsed().as_secs())).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }),
        _ => {
            let mut nothing = Response::new(Full::default());
            *nothing.status_mut() = StatusCode::NOT_FOUND;
            nothing
        }
    }
}
