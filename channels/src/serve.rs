//! Serving pages, the script and sockets.

use std::future::Future;
use std::io;
use std::time::Duration;

use sansocket::handshake::Reply;
use sansocket::tokio::{IntoListener, Pending, Transport, WebSocket, serve_with};
use sansocket::{Origins, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::drain::Drain;
use crate::drive::drive;
use crate::hub::Hub;
use crate::longpoll::Polling;
use crate::opening::{Admitted, Judged};

impl Hub {
    /// Serves pages, the scripts for them, WebSockets and those who [poll](crate::guide::long_polling), until `stop` is ready; then it
    /// [drains](Self::drain), by the defaults of [`Drain`], which takes 20 seconds at most, one more with a broker, and ends as [`serve_with`] does.
    /// `listener` is an address or a listener. What is at no path that it knows is answered with 404.
    ///
    /// `server` has the limits of connections, TLS, and who is told of failures. Which pages may connect is for
    /// [`HubBuilder::origins`](crate::HubBuilder::origins) to say, not for `server`, and how large messages are, and how long
    /// a client may take nothing, for [`Limits`](crate::Limits), not for its configuration.
    ///
    /// ```no_run
    /// use sansocket::Server;
    /// use sansocket_channels::{Hub, Open};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = Hub::builder().channel("news", Open).page("/", "text/html", "<!doctype html>…").build()?;
    /// hub.serve("127.0.0.1:8000", &Server::default(), std::future::pending::<()>()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Fails if the address cannot be bound, and with an error that the listener will not recover from. Dropped before it
    /// returns, all WebSockets are lost; those who poll are when they have not polled for a while, wherever else the hub is served.
    pub async fn serve<L: IntoListener>(
        &self,
        listener: L,
        server: &Server,
        stop: impl Future,
    ) -> io::Result<()> {
        self.note_runtime();
        let server = server.clone().origins(Origins::any());
        let stop = async {
            stop.await;
            self.drain(Drain::default()).await
        };
        let hub = self.clone();
        let handler = move |pending| {
            let hub = hub.clone();
            async move {
                match hub.handle(pending).await? {
                    Some(pending) => pending.reject(404, "Not Found: there is nothing at this path.\n").await,
                    None => Ok(()),
                }
            }
        };
        serve_with(listener, &server, stop, handler).await
    }

    /// A request's whole life, in a server of your own: see [`sansocket::tokio::serve`]. The WebSockets of the hub are opened and
    /// served until they end; who [polls](crate::guide::long_polling), or asks for a page or the script, is answered. `Some`: it asks for
    /// something else, and is yours to answer.
    ///
    /// The origin of a WebSocket has to be allowed by the server, too: see [`Server::origins`]. A poll that waits does not hear that
    /// the server stops: [drain](Self::drain) the hub before.
    ///
    /// ```no_run
    /// use sansocket_channels::{Hub, Open};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = Hub::builder().channel("news", Open).build()?;
    /// sansocket::tokio::serve("127.0.0.1:8000", move |pending| {
    ///     let hub = hub.clone();
    ///     async move {
    ///         match hub.handle(pending).await? {
    ///             Some(pending) => pending.reject(404, "no such page").await,
    ///             None => Ok(()),
    ///         }
    ///     }
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Fails as [`Pending::accept`] and [`WebSocket::recv`](sansocket::tokio::WebSocket::recv) do: that a client is gone is an
    /// everyday event. Dropped before it returns, the connection is lost; that of a client which polls, where messages were under way
    /// in the request or its answer.
    pub async fn handle<S: Transport>(
        &self,
        pending: Pending<S>,
    ) -> Result<Option<Pending<S>>, sansocket::Error> {
        // Boxed, so that the task of a connection that is open need not have room for it.
        let (admitted, ws) = match Box::pin(self.open(pending)).await? {
            Opened::Ours(admitted, ws) => (admitted, ws),
            Opened::Answered => return Ok(None),
            Opened::NotOurs(pending) => return Ok(Some(pending)),
        };
        drive(admitted, ws.split()).await.map(|()| None)
    }

    /// Answers a request, or opens its WebSocket.
    async fn open<S: Transport>(&self, mut pending: Pending<S>) -> Result<Opened<S>, sansocket::Error> {
        let admitted = match self.judge(&mut pending) {
            Judged::NotOurs => return Ok(Opened::NotOurs(pending)),
            Judged::Answer(reply) => Err(reply),
            Judged::Applicant(applicant) => applicant.admit().await,
            Judged::Polling(polling) => return answer(pending, polling).await.map(|()| Opened::Answered),
        };
        match admitted {
            Ok(admitted) => Ok(Opened::Ours(admitted, pending.accept().await?)),
            Err(reply) => pending.respond(reply).await.map(|()| Opened::Answered),
        }
    }
}

/// What became of a request.
enum Opened<S: Transport> {
    Ours(Admitted, WebSocket<S>),
    Answered,
    NotOurs(Pending<S>),
}

/// Answers a client that polls.
async fn answer<S: Transport>(pending: Pending<S>, polling: Polling) -> Result<(), sansocket::Error> {
    match polling {
        Polling::Open(opening) => {
            let reply = opening.open().await;
            pending.respond(reply).await
        }
        Polling::Poll(poll) => {
            // From here on it is none of the handshakes, of which there may be few.
            let mut io = pending.into_parts().io;
            let (reply, taken) = tokio::select! {
                biased;
                reply = poll.answer() => reply,
                () = ended(&mut io) => return Ok(()),
            };
            write(&mut io, &reply).await?;
            taken.arrive();
            linger(io).await;
            Ok(())
        }
        Polling::Post(post) => {
            let posting = match post.begin() {
                Ok(posting) => posting,
                Err(reply) => return pending.respond(reply).await,
            };
            // Until it is read it is one of the handshakes, which are bounded.
            let (pending, body) = pending.read_body(posting.limit()).await?;
            let mut io = pending.into_parts().io;
            write(&mut io, &posting.take(body).await).await?;
            linger(io).await;
            Ok(())
        }
    }
}

/// Writes a response, and that there is no more.
async fn write<S: Transport>(io: &mut S, reply: &Reply) -> Result<(), sansocket::Error> {
    let mut response = Vec::new();
    reply.encode(&mut response);
    let writing = async {
        io.write_all(&response).await?;
        io.shutdown().await
    };
    let written = timeout(WRITE, writing).await.unwrap_or_else(|late| Err(late.into()));
    written.map_err(sansocket::Error::ConnectionLost)
}

/// Closes when the client has: with bytes unread, TCP would discard what is on its way.
async fn linger<S: Transport>(mut io: S) {
    let _ = timeout(LINGER, ended(&mut io)).await;
}

/// Waits until the client has closed. What it sends meanwhile is discarded; who sends more than a little is gone, too: it waits for
/// no answer.
async fn ended<S: Transport>(io: &mut S) {
    let (mut discarded, mut rest) = ([0; 64], DISCARDED);
    while let Ok(read @ 1..) = io.read(&mut discarded).await
        && read <= rest
    {
        rest -= read;
    }
}

/// How long a client may take to take an answer, as long as any to take something of what it is sent.
const WRITE: Duration = Duration::from_secs(10);

/// How long it may take to close then.
const LINGER: Duration = Duration::from_secs(2);

/// How many bytes are read of who should send none.
const DISCARDED: usize = 4 << 10;
