//! Has clients of both adapters reach servers of this program's own, directly or through a proxy, and prints what came of it.
//! `tests/interop/proxies` runs it.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use programs::Arguments;
use sansocket::blocking::{Pending, Stop, serve_with};
use sansocket::rustls::pki_types::{CertificateDer, pem::PemObject};
use sansocket::rustls::{ClientConfig, RootCertStore, crypto::ring};
use sansocket::{Client, CloseCode, Error, Message, ProxyError, Server};

const USAGE: &str = "\
Has clients of both adapters connect to servers of its own, plain and with TLS, and prints a line for each: the adapter, the
URI, and `ok`, or the error.

usage: reach --cert FILE --key FILE [options]
  --host NAME         the servers' host in URIs (default localhost)
  --proxy URL         connect through this proxy
  --timeout SECONDS   how long a client has (default 30)
  --proxy-env         connect through the proxy that the environment names";

fn main() -> ExitCode {
    let (mut cert, mut key, mut host) = (String::new(), String::new(), String::from("localhost"));
    let (mut proxy, mut by_environment, mut timeout) = (None::<String>, false, Duration::from_secs(30));
    let mut arguments = Arguments::new(USAGE);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--cert" => cert = arguments.value(),
            "--key" => key = arguments.value(),
            "--host" => host = arguments.value(),
            "--proxy" => proxy = Some(arguments.value()),
            "--timeout" => timeout = arguments.seconds(),
            "--proxy-env" => by_environment = true,
            _ => arguments.unknown(),
        }
    }
    let through = |client: Client| {
        let client = client.connect_timeout(timeout);
        match &proxy {
            Some(proxy) => client.proxy(proxy),
            None if by_environment => Ok(client.proxy_from_env()),
            None => Ok(client),
        }
    };
    programs::exit_code(run(&cert, &key, &host, through))
}

fn run(
    cert: &str,
    key: &str,
    host: &str,
    through: impl Fn(Client) -> Result<Client, Error>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let trust = trust(cert)?;
    for (scheme, server) in [("ws", Server::default()), ("wss", Server::default().tls_pem(cert, key)?)] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let uri = format!("{scheme}://{host}:{}/", listener.local_addr()?.port());
        thread::spawn(move || serve_with(listener, &server, &Stop::default(), echo));
        let client = through(Client::new(&uri)?.tls(trust.clone()))?;
        for (adapter, came) in
            [("blocking", by_thread(client.clone())), ("tokio", runtime()?.block_on(by_task(client)))]
        {
            let came = came.map_or_else(|error| told(&*error), |()| "ok".to_owned());
            writeln!(io::stdout(), "{adapter} {uri} {came}")?;
        }
    }
    Ok(())
}

/// An error, with how much of a page comes with a refusal.
fn told(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref() {
        Some(Error::Proxy(ProxyError::Refused(page))) => format!("{error}, on {} bytes", page.body().len()),
        _ => error.to_string(),
    }
}

fn trust(cert: &str) -> Result<Arc<ClientConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn echo(pending: Pending) -> Result<(), Error> {
    let mut ws = pending.accept()?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

fn by_thread(client: Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut ws = sansocket::blocking::connect(client)?;
    ws.send("hello")?;
    check(ws.recv()?)?;
    Ok(ws.close(CloseCode::NORMAL, "")?)
}

async fn by_task(client: Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut ws = sansocket::tokio::connect(client).await?;
    ws.send("hello").await?;
    check(ws.recv().await?)?;
    Ok(ws.close(CloseCode::NORMAL, "").await?)
}

fn check(received: Option<Message>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match received {
        Some(Message::Text(text)) if text.as_str() == "hello" => Ok(()),
        other => Err(format!("{other:?} came back").into()),
    }
}
