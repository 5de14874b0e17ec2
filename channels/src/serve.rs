//! Serving pages, the script and sockets.

use std::future::Future;
use std::io;

use sansocket::tokio::{IntoListener, Pending, Transport, serve_with};
use sansocket::{Origins, Server};

use crate::drain::Drain;
use crate::drive::drive;
use crate::hub::Hub;
use crate::opening::Judged;

impl Hub {
    /// Serves pages, the script for them and WebSockets, until `stop` is ready; then it [drains](Self::drain), by the defaults of
    /// [`Drain`], which takes 20 seconds at most, and ends as [`serve_with`] does. `listener` is an address or a listener. What is at no path that it knows is answered with 404.
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
    /// returns, all connections are lost.
    pub async fn serve<L: IntoListener>(
        &self,
        listener: L,
        server: &Server,
        stop: impl Future,
    ) -> io::Result<()> {
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
    /// served until they end; its pages, and the script, are answered. `Some`: it asks for something else, and is yours to
    /// answer.
    ///
    /// The origin has to be allowed by the server, too: see [`Server::origins`].
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
    /// everyday event. Dropped before it returns, the connection is lost.
    pub async fn handle<S: Transport>(
        &self,
        mut pending: Pending<S>,
    ) -> Result<Option<Pending<S>>, sansocket::Error> {
        let applicant = match self.judge(&mut pending) {
            Judged::NotOurs => return Ok(Some(pending)),
            Judged::Answer(reply) => return pending.respond(reply).await.map(|()| None),
            Judged::Applicant(applicant) => applicant,
        };
        // Boxed, so that the task of a connection that is open need not have room for it.
        let admitted = match Box::pin(applicant.admit()).await {
            Ok(admitted) => admitted,
            Err(reply) => return pending.respond(reply).await.map(|()| None),
        };
        let ws = pending.accept().await?;
        drive(admitted, ws).await.map(|()| None)
    }
}
