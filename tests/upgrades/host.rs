//! A server of hyper's in memory, and what a test sees of it.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansocket::http::{Pending, Upgraded};
use sansocket::tokio::WebSocket;
use sansocket::{Error, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub type Body = Full<Bytes>;

/// The client's end of a connection to a server that answers HTTP/1 requests with what `respond` returns.
pub fn http1<F>(respond: F) -> DuplexStream
where
    F: Fn(Request<Incoming>) -> Response<Body> + Send + 'static,
{
    http1_of(1 << 16, respond)
}

/// The same over a pipe that holds `size` bytes a direction.
pub fn http1_of<F>(size: usize, respond: F) -> DuplexStream
where
    F: Fn(Request<Incoming>) -> Response<Body> + Send + 'static,
{
    let (near, far) = duplex(size);
    let service = service_fn(move |request| ready(Ok::<_, Infallible>(respond(request))));
    // A client that is gone is an error of hyper's.
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    near
}

/// The same over HTTP/2.
pub fn http2<F>(respond: F) -> DuplexStream
where
    F: Fn(Request<Incoming>) -> Response<Body> + Send + 'static,
{
    http2_as(http2::Builder::new(TokioExecutor::new()), respond)
}

/// The same with settings.
pub fn http2_as<F>(builder: http2::Builder<TokioExecutor>, respond: F) -> DuplexStream
where
    F: Fn(Request<Incoming>) -> Response<Body> + Send + 'static,
{
    let (near, far) = duplex(1 << 16);
    let service = service_fn(move |request| ready(Ok::<_, Infallible>(respond(request))));
    tokio::spawn(serve_http2(builder, TokioIo::new(far), service));
    near
}

async fn serve_http2<S>(
    mut builder: http2::Builder<TokioExecutor>,
    io: impl Read + Write + Unpin + Send + 'static,
    service: S,
) where
    S: hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    builder.enable_connect_protocol();
    let _ = builder.serve_connection(io, service).await;
}

/// A service that upgrades every request, and hands the WebSocket to [`echo`].
pub fn echoes(server: &Server) -> impl Fn(Request<Incoming>) -> Response<Body> + Send + use<> {
    let server = server.clone();
    move |mut request| sansocket::http::upgrade(&mut request, &server, echo)
}

/// A request that is well-formed.
pub fn received(request: &mut Request<Incoming>, server: &Server) -> Pending {
    sansocket::http::pending::<_, Body>(request, server).unwrap()
}

pub async fn echo(mut ws: WebSocket<Upgraded>) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// A server that writes down what it is told.
pub fn telling(server: Server) -> (Server, Told) {
    let told = Told::default();
    let list = told.0.clone();
    (server.on_error(move |failure| list.lock().unwrap().push(failure.to_string())), told)
}

/// Has all tasks come to where they wait: until then, a clock that is stopped does not go on.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[derive(Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    /// What there was since the last call.
    pub async fn next(&self) -> Vec<String> {
        settle().await;
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The response to a request that is written as it is: status, head, body.
pub async fn exchange(mut io: DuplexStream, request: &str) -> (u16, String, String) {
    io.write_all(request.as_bytes()).await.unwrap();
    // A server may close at once.
    let mut response = String::new();
    io.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a whole head");
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// A valid request, with further lines.
pub fn request(lines: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}
