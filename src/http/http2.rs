//! A client's HTTP/2 connection, and the WebSockets that it opens by extended CONNECT (RFC 8441).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::{Pin, pin};
use core::task::Poll;
use std::io::{self, ErrorKind};

use bytes::Bytes;
use h2::client::Builder;
use h2::ext::Protocol;
use h2::{Ping, RecvStream, SendStream};
use http::response::Parts;
use http::{Method, Request};
use tokio::time::timeout_at;

use super::http2_connection::{Shared, lost};
use super::http2_stream::Http2Stream;
use super::http2_transport::Http2Transport;
use super::response::is_of_connection;
use crate::endpoint::{Client, Error, HttpVersion, Negotiated};
use crate::handshake::ResponseError;
use crate::tokio::connect::{transport, transport_over};
use crate::tokio::deadline::{deadline, within};
use crate::tokio::{Transport, WebSocket};

/// A client's HTTP/2 connection: one TCP connection, and one TLS handshake, for as many WebSockets as the server allows.
///
/// ```no_run
/// # async fn run() -> Result<(), sansocket::Error> {
/// use sansocket::Client;
/// use sansocket::http::Http2;
///
/// let http2 = Http2::connect("wss://example.com/").await?;
/// let mut prices = http2.open("wss://example.com/prices").await?;
/// let mut orders =
///     http2.open(Client::new("wss://example.com/orders")?.bearer("1234")?).await?;
/// orders.send("buy").await?;
/// while let Some(price) = prices.recv().await? {
///     println!("{price:?}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// A clone is the same connection. It is closed when the last clone and the last of its WebSockets are dropped; until then a
/// task of the runtime that it was made in moves its bytes. A WebSocket of it is as any other: with the same limits,
/// deadlines and keepalive, which are those of the [`Client`] that it is opened with.
///
/// Those of the client that the connection is made with hold for the connection: a server may send as far ahead on each
/// stream as [`Config::read_buffer_size`](crate::Config::read_buffer_size) says, and as much as
/// [`Config::write_buffer_size`](crate::Config::write_buffer_size) is written ahead of the transport for each; neither is less
/// than 16 KiB. Where streams are not read, small frames of data add what they need for themselves: 16 MiB for all streams
/// together, beyond which the connection is given up. Such frames that come late, for a stream that was dropped, count against
/// that for as long as the connection lives (`h2` 0.4.20).
#[derive(Clone)]
pub struct Http2 {
    shared: Arc<Shared>,
    /// The server that it leads to: scheme, host and port of its URIs.
    is_secure: bool,
    authority: Box<str>,
}

impl Http2 {
    /// Opens a connection to the server of a `wss://` URI, over TLS, or of a `ws://` URI, which it expects to speak HTTP/2
    /// ("prior knowledge"); or as a [`Client`] says, whose request is not sent.
    ///
    /// Fails with [`Error::Connect`] if there is no HTTP/2 connection: TLS says why, if by ALPN the server did not choose
    /// `h2`. A server whose settings do not let its clients ask for WebSockets (RFC 8441 section 3) is
    /// [`ResponseError::ConnectNotEnabled`]. In both cases [`connect`](crate::tokio::connect) may get through, by
    /// HTTP/1.1. All of it takes no longer than [`Client::connect_timeout`].
    ///
    /// Dropped before it returns, the transport is closed. Panics outside of a tokio runtime.
    pub fn connect<C>(client: C) -> impl Future<Output = Result<Self, Error>>
    where
        C: TryInto<Client>,
        Error: From<C::Error>,
    {
        Box::pin(async {
            let client = client.try_into()?;
            let deadline = deadline(client.connect_timeout);
            let opening = async {
                let (io, input) = transport(&client, HttpVersion::Http2, deadline).await?;
                begin(&client, input, io).await
            };
            within(|| deadline, pin!(opening)).await
        })
    }

    /// Opens a connection over a stream that leads to the server already, as [`connect`](Self::connect) does over TCP: to a
    /// `wss://` URI it speaks TLS over the stream.
    pub fn connect_over<C, S>(client: C, io: S) -> impl Future<Output = Result<Self, Error>>
    where
        C: TryInto<Client>,
        Error: From<C::Error>,
        S: Transport,
    {
        Box::pin(async {
            let client = client.try_into()?;
            let opening = async {
                begin(&client, Vec::new(), transport_over(io, &client, HttpVersion::Http2).await?).await
            };
            within(|| deadline(client.connect_timeout), pin!(opening)).await
        })
    }

    /// Opens a connection over a stream as it is, such as TLS of another make, which has to have agreed on `h2`. What is
    /// asked for later is sent in the clear if the stream is not a secure one, **whatever the URI says**.
    pub fn connect_as_is<C, S>(client: C, io: S) -> impl Future<Output = Result<Self, Error>>
    where
        C: TryInto<Client>,
        Error: From<C::Error>,
        S: Transport,
    {
        Box::pin(async {
            let client = client.try_into()?;
            within(|| deadline(client.connect_timeout), pin!(begin(&client, Vec::new(), io))).await
        })
    }

    /// Opens a WebSocket on a stream of its own. Its URI has the scheme, host and port that the connection was made for:
    /// any other fails with [`Error::Connect`], and sends nothing.
    ///
    /// If the server allows no more streams, it waits until one ends, no longer than [`Client::connect_timeout`], as for the
    /// rest. Fails as [`connect`](crate::tokio::connect) does, with a refusal if the response's status is not 2xx; if the
    /// stream is reset, or the connection has ended, with [`Error::ConnectionLost`].
    ///
    /// Headers that HTTP/2 does not have, such as `Keep-Alive`, are left out. Credentials are not kept in the tables of
    /// header compression (RFC 7541 section 7.1.3).
    ///
    /// Dropped before it returns, the stream is reset.
    pub fn open<C>(&self, client: C) -> impl Future<Output = Result<WebSocket<Http2Stream>, Error>> + use<C>
    where
        C: TryInto<Client>,
        Error: From<C::Error>,
    {
        let http2 = self.clone();
        Box::pin(async move {
            let client = client.try_into()?;
            let deadline = deadline(client.connect_timeout);
            let request = http2.request(&client)?;
            let exchange = exchange(&http2.shared, request, client.limits.interim_responses);
            let (head, mut recv, send) = within(|| deadline, pin!(exchange)).await?;
            let mut body = Vec::new();
            if !head.status.is_success() {
                // What has not come by then is not worth more.
                let _ =
                    timeout_at(deadline, read(&mut recv, &mut body, client.limits.refusal_body_bytes)).await;
            }
            let lines = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let request = client.offering();
            let opened = request.judge_connect(head.status.as_u16(), lines, body, &client.limits)?;
            let negotiated = Negotiated::by_response(&client.config, None, opened)?;
            let stream =
                Http2Stream { shared: http2.shared, send, recv, unread: Bytes::new(), is_shut: false };
            Ok(WebSocket::from_upgraded(stream, negotiated, &[], &client.config))
        })
    }

    /// The extended CONNECT that asks for a client's WebSocket.
    fn request(&self, client: &Client) -> Result<Request<()>, Error> {
        let uri = client.uri();
        if uri.is_secure() != self.is_secure || uri.authority() != &*self.authority {
            let (to, asked) = (self.server(), server(uri.is_secure(), uri.authority()));
            let why = format!("the HTTP/2 connection leads to {to}, and the URI to {asked}");
            return Err(Error::Connect(io::Error::new(ErrorKind::InvalidInput, why)));
        }
        // "The scheme of the target URI [..] MUST be "https" for "wss"-schemed WebSockets and "http" for "ws"-schemed
        // WebSockets. The remainder of the target URI is the same as the WebSocket URI." (RFC 8441 section 5)
        let scheme = if uri.is_secure() { "https" } else { "http" };
        // "The :protocol pseudo-header field MUST be included in the CONNECT request, and it MUST have a value of
        // "websocket"" (RFC 8441 section 5).
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("{scheme}://{}{}", uri.authority(), uri.resource_name()))
            .extension(Protocol::from_static("websocket"));
        client.offering().for_each_header(|name, value| {
            if !is_of_connection(name) {
                request = mem::take(&mut request).header(name, value);
            }
        });
        let request = request.body(());
        let mut request =
            request.map_err(|error| Error::Connect(io::Error::new(ErrorKind::InvalidInput, error)))?;
        for (name, value) in request.headers_mut() {
            value.set_sensitive(SECRETS.contains(&name.as_str()));
        }
        Ok(request)
    }

    fn server(&self) -> String {
        server(self.is_secure, &self.authority)
    }
}

/// A server, as URIs begin that name it.
fn server(is_secure: bool, authority: &str) -> String {
    format!("{}://{authority}", if is_secure { "wss" } else { "ws" })
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http2").field(&self.server()).finish()
    }
}

/// Speaks HTTP/2 over the stream, up to the server's settings, and has a task go on with it.
async fn begin<S: Transport>(client: &Client, read: Vec<u8>, io: S) -> Result<Http2, Error> {
    let (io, note) = Http2Transport::new(read, io);
    let handshake = builder(client).handshake(io).await;
    let (requests, mut connection) = handshake.map_err(failed)?;
    // The server's settings come first, and so before the answer to a Ping: by then they have none of what is asked for.
    let mut ping = connection.ping_pong();
    if let Some(ping) = &mut ping {
        ping.send_ping(Ping::opaque()).map_err(failed)?;
    }
    let is_enabled = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        // "Upon receipt of SETTINGS_ENABLE_CONNECT_PROTOCOL with a value of 1, a client MAY use the Extended CONNECT as
        // defined in this document when creating new streams." (RFC 8441 section 3)
        if requests.is_extended_connect_protocol_enabled() {
            return Poll::Ready(Ok(true));
        }
        match (ended, &mut ping) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(failed(error))),
            (Poll::Pending, Some(ping)) => ping.poll_pong(cx).map(|pong| pong.map(|_| false).map_err(failed)),
            (Poll::Ready(Ok(())), _) | (_, None) => {
                let why = "the server closed the connection, and had sent no settings of HTTP/2";
                Poll::Ready(Err(Error::Connect(io::Error::new(ErrorKind::UnexpectedEof, why))))
            }
        }
    });
    if !is_enabled.await? {
        return Err(ResponseError::ConnectNotEnabled.into());
    }
    let shared = Arc::new(Shared::drive(connection, note, requests, client.config.settings.close_timeout));
    let uri = client.uri();
    Ok(Http2 { shared, is_secure: uri.is_secure(), authority: uri.authority().into() })
}

fn builder(client: &Client) -> Builder {
    let (settings, limits) = (&client.config.settings, &client.limits);
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(MAX_WINDOW).clamp(MIN_WINDOW, MAX_WINDOW);
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(size(settings.read_buffer_size))
        // A stream that is not read takes no room from the others: each has a window of its own.
        .initial_connection_window_size(MAX_WINDOW)
        .data_frame_budget(FRAMING_BYTES)
        .max_send_buffer_size(size(settings.write_buffer_size) as usize)
        // As it counts them, each line has 32 bytes more (RFC 9113 section 6.5.2).
        .max_header_list_size(size(limits.head_bytes.saturating_add(limits.headers.saturating_mul(32))));
    builder
}

/// Sends the request, and waits for the head of the final response.
async fn exchange(
    shared: &Shared,
    request: Request<()>,
    mut interim_responses: usize,
) -> Result<(Parts, RecvStream, SendStream<Bytes>), Error> {
    let gone = |error| Error::ConnectionLost(shared.lost(error));
    let _asking = shared.asking();
    let (mut response, send) = {
        let mut requests = poll_fn(|cx| shared.poll_requests(cx)).await.map_err(gone)?;
        requests.send_request(request, false).map_err(gone)?
    };
    let response = poll_fn(|cx| {
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            let Some(left) = interim_responses.checked_sub(1) else {
                return Poll::Ready(Err(ResponseError::TooManyInterimResponses.into()));
            };
            interim_responses = left;
        }
        Pin::new(&mut response).poll(cx).map_err(gone)
    });
    let (head, recv) = response.await?.into_parts();
    Ok((head, recv, send))
}

/// Reads as much of a refusal's body as comes, to the limit.
async fn read(recv: &mut RecvStream, body: &mut Vec<u8>, limit: usize) {
    while body.len() < limit
        && let Some(Ok(data)) = recv.data().await
    {
        body.extend_from_slice(&data[..data.len().min(limit - body.len())]);
        // It fails for a stream that is over, which needs no room.
        let _ = recv.flow_control().release_capacity(data.len());
    }
}

/// There is no HTTP/2 connection.
fn failed(error: h2::Error) -> Error {
    Error::Connect(lost(error))
}

/// What a proxy or a server keeps in no table, since others could guess it there.
const SECRETS: [&str; 2] = ["authorization", "cookie"];

/// "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a connection error" (RFC 9113 section 6.5.2).
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// As much as a frame holds by default.
const MIN_WINDOW: u32 = 16 << 10;

/// What frames of data that are not read may take beside their content, as `h2` counts it.
const FRAMING_BYTES: usize = 16 << 20;
