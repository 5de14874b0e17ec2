//! An echo server that speaks HTTP/2, inside hyper; what comes by HTTP/1.1 it relays to itself, for suites that speak no other.

use std::convert::Infallible;
use std::future::ready;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use programs::EchoOptions;
use sansocket::handshake::{Accept, Limits, ReceivedRequest, Reply, ServerHandshake};
use sansocket::{Error, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const USAGE: &str = "\
Echoes text and binary messages over WebSocket, by HTTP/2: with prior knowledge, or over TLS, where HTTP/1.1 is spoken to
who asks for that. Without TLS, a WebSocket that comes by HTTP/1.1 is relayed to the server itself by HTTP/2, its frames as
they are.

usage: echo_server_http2 [options]: those of echo_server, and
  --tls FILE    speak TLS, with the certificate and the key in this file
  --page FILE   what / shows to a browser";

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    programs::exit_code(serve(EchoOptions::parse(USAGE, true)).await)
}

/// Serves until the program is terminated.
async fn serve(options: EchoOptions) -> Result<(), Failed> {
    let listener = TcpListener::bind(&options.addr).await.map_err(|error| options.cannot_listen(&error))?;
    let mut server = options.server.clone().subprotocols(options.subprotocols());
    if let Some(page) = &options.page {
        server = server.page("/", Reply::ok().html(std::fs::read_to_string(page)?));
    }
    let tls = options.tls.as_deref().map(tls).transpose()?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    writeln!(io::stdout(), "listening on {scheme}://{}", listener.local_addr()?)?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let tcp = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = terminate.recv() => break,
        };
        tcp.set_nodelay(true)?;
        let (server, tls) = (server.clone(), tls.clone());
        tokio::spawn(async move {
            // A client that is gone is nobody's loss.
            let _ = connection(tcp, tls, &server).await;
        });
    }
    sansocket::http::stop(&server).await;
    Ok(())
}

async fn connection(tcp: TcpStream, tls: Option<TlsAcceptor>, server: &Server) -> Result<(), Failed> {
    if let Some(tls) = tls {
        let io = tls.accept(tcp).await?;
        let by_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
        return if by_http2 { http2(io, server).await } else { http1(io, server).await };
    }
    // Both begin with a method: that of HTTP/2 there is none by.
    let mut first = [0; 1];
    tcp.peek(&mut first).await?;
    if first == *b"P" { http2(tcp, server).await } else { relay(tcp, server).await }
}

async fn http2<S>(io: S, server: &Server) -> Result<(), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    let respond = service_fn(|request| ready(Ok::<_, Infallible>(respond(request, server))));
    Ok(builder.serve_connection(TokioIo::new(io), respond).await?)
}

async fn http1<S>(io: S, server: &Server) -> Result<(), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let respond = service_fn(|request| ready(Ok::<_, Infallible>(respond(request, server))));
    Ok(http1::Builder::new().serve_connection(TokioIo::new(io), respond).with_upgrades().await?)
}

fn respond(mut request: Request<Incoming>, server: &Server) -> Response<Full<Bytes>> {
    let (method, version) = (request.method().clone(), request.version());
    sansocket::http::upgrade(&mut request, server, async move |mut ws| {
        // For those who want to see that it was not another version.
        let _ = writeln!(io::stdout(), "{method} by {version:?}");
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    })
}

/// Opens the WebSocket that HTTP/1.1 asks for by an extended CONNECT, and moves the bytes of both ways.
async fn relay(mut tcp: TcpStream, server: &Server) -> Result<(), Failed> {
    let (mut handshake, mut input) = (ServerHandshake::new(Limits::default()), Vec::new());
    let request = loop {
        if tcp.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        match handshake.receive(&input)? {
            Some(ReceivedRequest::WebSocket(request)) => break request,
            Some(ReceivedRequest::Http(_)) => return Err("it asks for no WebSocket".into()),
            None => {}
        }
    };
    let target = format!("http://relay{}", request.target());
    let (near, far) = duplex(PIPE);
    let server = server.clone();
    tokio::spawn(async move { http2(far, &server).await });
    let (requests, connection) = h2::client::handshake(near).await?;
    tokio::spawn(connection);
    let (send, recv) = connect(requests, &target).await?;
    let mut out = Vec::new();
    request.accept(Accept::new())?.encode(&mut out);
    tcp.write_all(&out).await?;
    let (read, write) = tcp.into_split();
    let upwards = tokio::spawn(up(read, send, input.split_off(request.consumed())));
    down(recv, write).await?;
    upwards.await?
}

/// The stream of a WebSocket, once the server's settings have come.
async fn connect(
    mut requests: SendRequest<Bytes>,
    target: &str,
) -> Result<(SendStream<Bytes>, RecvStream), Failed> {
    while !requests.is_extended_connect_protocol_enabled() {
        requests = requests.ready().await?;
        tokio::task::yield_now().await;
    }
    let request = Request::builder().method(Method::CONNECT).uri(target);
    let request = request.header("sec-websocket-version", "13").extension(Protocol::from_static("websocket"));
    let (response, send) = requests.send_request(request.body(())?, false)?;
    let response = response.await?;
    if response.status() != 200 {
        return Err(format!("refused with {}", response.status()).into());
    }
    Ok((send, response.into_body()))
}

/// The end of one is the end of the other.
async fn up(
    mut from: impl AsyncRead + Unpin,
    mut to: SendStream<Bytes>,
    first: Vec<u8>,
) -> Result<(), Failed> {
    let mut bytes = Bytes::from(first);
    loop {
        while !bytes.is_empty() {
            to.reserve_capacity(bytes.len());
            let room =
                std::future::poll_fn(|cx| to.poll_capacity(cx)).await.ok_or("the stream is over")??;
            to.send_data(bytes.split_to(room.min(bytes.len())), false)?;
        }
        let mut read = Vec::with_capacity(PIPE);
        if from.read_buf(&mut read).await? == 0 {
            return Ok(to.send_data(Bytes::new(), true)?);
        }
        bytes = read.into();
    }
}

async fn down(mut from: RecvStream, mut to: impl AsyncWrite + Unpin) -> Result<(), Failed> {
    while let Some(data) = from.data().await {
        let data = data?;
        to.write_all(&data).await?;
        from.flow_control().release_capacity(data.len())?;
    }
    Ok(to.shutdown().await?)
}

/// With the certificate and the key of a file, and both versions of HTTP.
fn tls(path: &str) -> Result<TlsAcceptor, Failed> {
    let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(path)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

const PIPE: usize = 64 << 10;
