//! soketto. It knows no vectored writes, and copies each message through buffers of its own.

use futures_util::{AsyncRead, AsyncWrite};
use soketto::handshake::{Server, server::Response};
use soketto::{Data, connection::Error};
use tokio_util::compat::TokioAsyncReadCompatExt;

fn main() {
    peers::echo::serve(|tcp| echo(tcp.compat()));
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> Result<(), Error> {
    let mut server = Server::new(io);
    let request = server.receive_request().await;
    let key = request.map_err(|_| Error::Closed)?.key();
    let accepted = server.send_response(&Response::Accept { key, protocol: None }).await;
    accepted.map_err(|_| Error::Closed)?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        match receiver.receive_data(&mut message).await? {
            Data::Text(_) => sender.send_text(std::str::from_utf8(&message).map_err(Error::Utf8)?).await?,
            Data::Binary(_) => sender.send_binary_mut(&mut message).await?,
        }
        sender.flush().await?;
    }
}
