//! The hub as a service, inside HTTP servers that speak in the types of the `http` crate.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use sansocket::handshake::Reply;
use sansocket::http::Pending;
use sansocket::{Origins, Server};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tower_service::Service;

use crate::drive::drive;
use crate::hub::Hub;
use crate::longpoll::{Polling, Posting};
use crate::opening::{Judged, unavailable};

impl Hub {
    /// A service that opens the hub's WebSockets, answers those who [poll](crate::guide::long_polling), and has its pages and the script: for
    /// axum's `route_service` and for hyper, which has to serve connections `with_upgrades`. Anything else is answered with 404. It
    /// looks at the whole path:
    /// where a router takes some of it away, [`HubBuilder::path`](crate::HubBuilder::path) is what is left.
    ///
    /// ```
    /// use axum::Router;
    /// use sansocket_channels::{Hub, Open};
    ///
    /// let hub = Hub::builder().channel("news", Open).build()?;
    /// let service = hub.service();
    /// let app: Router = Router::new()
    ///     .route_service("/socket/websocket", service.clone())
    ///     .route_service("/socket/longpoll", service.clone())
    ///     .route_service("/channels.js", service);
    /// # Ok::<(), sansocket_channels::BuildError>(())
    /// ```
    ///
    /// A layer around it that ends requests after some time has to leave them more than a poll waits, [`Limits::poll`](crate::Limits):
    /// one of ten seconds or less cuts polls off, and ends their connections.
    ///
    /// Before the HTTP server is stopped, [drain](Self::drain) the hub: connections that were upgraded are no longer its.
    pub fn service(&self) -> HubService {
        let handshakes = self.inner().limits.handshakes.min(Semaphore::MAX_PERMITS);
        HubService {
            hub: self.clone(),
            server: Server::default().origins(Origins::any()),
            handshakes: Arc::new(Semaphore::new(handshakes)),
        }
    }
}

/// A [hub as a service](Hub::service). Clones count their connections, and handshakes, together.
#[derive(Clone, Debug)]
pub struct HubService {
    hub: Hub,
    server: Server,
    /// Turns of those who are asked about.
    handshakes: Arc<Semaphore>,
}

impl HubService {
    /// Sets the limits of connections, and who is told of failures; those of [`Server::default`] without. Which pages may
    /// connect, and how much they may send, is for the hub to say, as under [`Hub::serve`].
    pub fn server(self, server: &Server) -> Self {
        Self { server: server.clone().origins(Origins::any()), ..self }
    }
}

impl<B> Service<Request<B>> for HubService
where
    B: BodyExt + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let pending = sansocket::http::pending(&mut request, &self.server);
        let (hub, handshakes) = (self.hub.clone(), self.handshakes.clone());
        let body = request.into_body();
        Box::pin(async move {
            Ok(match pending {
                Ok(pending) => respond(&hub, &handshakes, pending, body).await,
                Err(refusal) => refusal,
            })
        })
    }
}

/// What the errors of bodies are made to.
type BoxError = Box<dyn Error + Send + Sync>;

async fn respond<B>(hub: &Hub, handshakes: &Semaphore, mut pending: Pending, body: B) -> Response<Full<Bytes>>
where
    B: BodyExt,
    B::Error: Into<BoxError>,
{
    if hub.is_asked(pending.request()) {
        // Before anything else is found out: it is for nothing if there is no room.
        pending = match pending.check_room() {
            Ok(pending) => pending,
            Err(refusal) => return refusal,
        };
    }
    let applicant = match hub.judge(&mut pending) {
        Judged::NotOurs => return pending.reject(404, "Not Found: there is nothing at this path.\n"),
        Judged::Answer(reply) => return pending.respond(reply),
        Judged::Applicant(applicant) => applicant,
        Judged::Polling(polling) => return pending.respond(answer(handshakes, polling, body).await),
    };
    // Here nobody waits to be asked about: the request is read already.
    let Ok(_turn) = handshakes.try_acquire() else {
        return pending.respond(hub.refuse(too_many()));
    };
    match applicant.admit().await {
        Ok(admitted) => pending.accept(move |ws| drive(admitted, ws.split())),
        Err(reply) => pending.respond(reply),
    }
}

/// The answer to a client that polls. When it is gone, this is dropped.
async fn answer<B>(handshakes: &Semaphore, polling: Polling, body: B) -> Reply
where
    B: BodyExt,
    B::Error: Into<BoxError>,
{
    match polling {
        Polling::Open(opening) => match handshakes.try_acquire() {
            Ok(_turn) => opening.open().await,
            Err(_) => opening.refuse(too_many()),
        },
        Polling::Poll(poll) => {
            let (reply, taken) = poll.answer().await;
            // What becomes of it, HTTP servers do not tell.
            taken.arrive();
            reply
        }
        Polling::Post(post) => {
            let mut posting = match post.begin() {
                Ok(posting) => posting,
                Err(reply) => return reply,
            };
            match read(&mut posting, body).await {
                Ok(body) => posting.take(body).await,
                Err(status) => posting.refuse(status),
            }
        }
    }
}

/// The body, which is given room as it comes; the status if there is none to take.
async fn read<B>(posting: &mut Posting, body: B) -> Result<Bytes, u16>
where
    B: BodyExt,
    B::Error: Into<BoxError>,
{
    let until = posting.until();
    let reading = async {
        let mut body = pin!(Limited::new(body, posting.limit()));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| if error.is::<LengthLimitError>() { 413_u16 } else { 400 })?;
            if let Ok(data) = frame.into_data() {
                if !posting.make_room(read.len() + data.remaining()) {
                    return Err(503);
                }
                read.put(data);
            }
        }
        Ok(read.into())
    };
    timeout_at(until, reading).await.unwrap_or(Err(408))
}

fn too_many() -> Reply {
    unavailable("too many want to connect at once")
}
