//! Streams one message of many gibibytes through a connection in each direction, part by part, and shows
//! that memory does not grow with it.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use programs::Arguments;
use sansocket::tokio::{Transport, WebSocket};
use sansocket::{Client, CloseCode, Config, MessageKind, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const USAGE: &str = "\
Streams one binary message from a client to a server, and one back, and prints how far memory grew.

usage: stream [options]
  --gib COUNT   the size of each message in gibibytes (default 10)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut gib = 10;
    let mut arguments = Arguments::new(USAGE);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--gib" => gib = arguments.value(),
            _ => arguments.unknown(),
        }
    }
    programs::exit_code(run(gib << 30).await)
}

async fn run(size: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    // A message that is received in parts is held to the limits, but not in memory.
    let config = Config::default().max_message_size(u64::MAX).max_fragments(u32::MAX);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(&format!("ws://{}", listener.local_addr()?))?.config(config.clone());
    let server = Server::default().config(config);

    let before = resident("VmRSS")?;
    let serve = async {
        let (tcp, _) = listener.accept().await?;
        let mut ws = sansocket::tokio::accept_with(tcp, &server).await?.accept().await?;
        receive(&mut ws, size).await?;
        send(&mut ws, size).await?;
        while ws.recv().await?.is_some() {}
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let connect = async {
        let mut ws = sansocket::tokio::connect(client).await?;
        send(&mut ws, size).await?;
        receive(&mut ws, size).await?;
        ws.close(CloseCode::NORMAL, "").await?;
        Ok(())
    };
    tokio::try_join!(serve, connect)?;
    let growth = resident("VmHWM")?.saturating_sub(before);
    writeln!(io::stdout(), "{size} bytes in each direction; memory grew by {growth} KiB")?;
    Ok(())
}

async fn send(ws: &mut WebSocket<impl Transport>, size: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut writer = ws.message_writer(MessageKind::Binary);
    let mut source = tokio::io::repeat(0x5a).take(size);
    let mut part = vec![0; 64 << 10];
    loop {
        match source.read(&mut part).await? {
            0 => break,
            len => writer.write_all(&part[..len]).await?,
        }
    }
    Ok(writer.shutdown().await?)
}

async fn receive(ws: &mut WebSocket<impl Transport>, size: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut received = 0;
    loop {
        let part = ws.recv_part().await?.ok_or("the connection was closed before the message ended")?;
        if part.payload.iter().any(|byte| *byte != 0x5a) {
            return Err("the message is not what was sent".into());
        }
        received += part.payload.len() as u64;
        if part.last {
            break;
        }
    }
    if received == size { Ok(()) } else { Err(format!("{received} bytes came of {size}").into()) }
}

/// This process's memory now (`VmRSS`), or the most it has had (`VmHWM`), in KiB.
fn resident(what: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "/proc/self/status does not tell"))
}
