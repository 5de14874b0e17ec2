//! A server for browsers, that does what stdin says, and tells what it sees. `tests/field/run` runs it.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use programs::Arguments;
use sansocket::handshake::{HttpRequest, Reply};
use sansocket::tokio::{Pending, ServerStream, WebSocket, serve_with};
use sansocket::{CloseCode, CloseFrame, Config, Deflate, Incoming, Message, MessageKind, Server};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

const USAGE: &str = "\
Serves pages and WebSockets to browsers, on a free port of the loopback.

usage: field_server [options]
  --page FILE               the page at each path that is not one of those below
  --deflate                 accept permessage-deflate
  --window-bits BITS        the same, with windows of at most 2 to the power of BITS bytes, for both sides
  --no-context-takeover     the same, with nothing kept between messages
  --max-frame-size BYTES    larger frames fail the connection (default 67108864)
  --max-message-size BYTES  larger messages fail the connection (default 67108864)

Prints `listening on http://ADDRESS`. The last part of a path is the NAME of what is asked for:
  /download/NAME            a file that the browser is to save
  /slow/NAME                the page, once stdin has said `NAME go`
  /ws/NAME                  a WebSocket. Its query may have, joined by `&`:
    cookie=PAIR             the answer sets this cookie
    hold                    it is not answered before stdin has said `NAME go`
    refuse                  it is refused, with 403
    password                it is refused, with 401 and WWW-Authenticate, unless it brings a user's name and password
    farewell                behind the 101 goes `hello`, and a Close with 3333 and the reason `farewell`, at once
    echo                    each message is sent back

Does what the lines of stdin say, and ends with them:
  NAME go
  NAME send TEXT
  NAME long COUNT           a text of COUNT times `x`, in fragments
  NAME ping                 an empty Ping
  NAME close CODE REASON    a Close; messages are still received
  NAME drop                 end TCP without a Close
Prints what it sees:
  NAME asked AUTHORIZATION COOKIE     a request; `-` stands for a header that is not there
  NAME opened
  NAME message LENGTH TEXT            its beginning; of a binary message `-`
  NAME pong
  NAME closed CODE BY CLEAN REASON    the end of a connection; BY is `local` or `remote`, CLEAN is `clean` or `unclean`
  NAME failed SENTENCE                the same, after an error";

#[tokio::main]
async fn main() -> ExitCode {
    programs::exit_code(serve().await)
}

async fn serve() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut config, mut page) = (Config::default(), String::new());
    let mut arguments = Arguments::new(USAGE);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--page" => page = std::fs::read_to_string(arguments.value::<String>())?,
            "--deflate" => config = config.deflate(Deflate::default()),
            "--window-bits" => {
                let bits = arguments.value();
                let deflate = Deflate::default().server_max_window_bits(bits).client_max_window_bits(bits);
                config = config.deflate(deflate);
            }
            "--no-context-takeover" => config = config.deflate(Deflate::default().no_context_takeover()),
            "--max-frame-size" => config = config.max_frame_size(arguments.value()),
            "--max-message-size" => config = config.max_message_size(arguments.value()),
            _ => arguments.unknown(),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    tell(&format!("listening on http://{}", listener.local_addr()?));
    let field = Arc::new(Field { page: Reply::ok().html(page), names: Mutex::default() });
    let (ended, end) = oneshot::channel();
    let told = field.clone();
    thread::spawn(move || {
        io::stdin().lines().map_while(Result::ok).for_each(|line| told.obey(&line));
        ended.send(())
    });
    let server = Server::default().config(config).shutdown_grace(Duration::ZERO);
    serve_with(listener, &server, end, move |pending| field.clone().answer(pending)).await?;
    Ok(())
}

struct Field {
    page: Reply,
    /// Who is told what stdin says of a name: what was asked for last under it.
    names: Mutex<HashMap<String, UnboundedSender<String>>>,
}

impl Field {
    fn obey(&self, line: &str) {
        let (name, command) = line.split_once(' ').unwrap_or((line, ""));
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // What is over does nothing any more.
        if let Some(told) = names.get(name) {
            let _ = told.send(command.to_owned());
        }
    }

    async fn answer(self: Arc<Self>, pending: Pending) -> Result<(), sansocket::Error> {
        let path = pending.request().path().to_owned();
        let (kind, name) = path.rsplit_once('/').unwrap_or_default();
        let (told, mut commands) = mpsc::unbounded_channel();
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), told);
        tell(&format!("{name} asked {}", credentials(pending.request())));
        match kind {
            "/ws" => {
                if let Err(error) = converse(name, pending, &mut commands).await {
                    tell(&format!("{name} failed {error}"));
                }
            }
            "/download" => {
                let file = Reply::ok().header("Content-Disposition", "attachment; filename=\"file.bin\"")?;
                pending.respond(file.file("file.bin", "content")).await?;
            }
            _ => {
                if kind == "/slow" {
                    commands.recv().await;
                }
                pending.respond(&self.page).await?;
            }
        }
        Ok(())
    }
}

/// Opens the WebSocket, or does not, as the query says; and then does what it is told.
async fn converse(
    name: &str,
    mut pending: Pending,
    commands: &mut UnboundedReceiver<String>,
) -> Result<(), sansocket::Error> {
    let query = pending.request().query().unwrap_or_default().to_owned();
    let has = |option| query.split('&').any(|found| found == option);
    let cookie = query.split('&').find_map(|option| option.strip_prefix("cookie="));
    if has("hold") {
        commands.recv().await;
    }
    if has("refuse") {
        let refusal = Reply::new(403)?;
        let refusal = if let Some(cookie) = cookie { refusal.header("Set-Cookie", cookie)? } else { refusal };
        return pending.respond(refusal).await;
    }
    if has("password") && pending.request().headers().get("Authorization").is_none() {
        let refusal = Reply::new(401)?.header("WWW-Authenticate", "Basic realm=\"field\"")?;
        return pending.respond(refusal).await;
    }
    if let Some(cookie) = cookie {
        pending.header("Set-Cookie", cookie)?;
    }
    let mut ws = pending.accept().await?;
    tell(&format!("{name} opened"));
    if has("farewell") {
        ws.feed("hello").await?;
        ws.start_close(Some(CloseFrame { code: CloseCode::new(3333), reason: "farewell" }))?;
    }
    loop {
        let incoming = tokio::select! {
            incoming = ws.recv_incoming() => incoming?,
            Some(command) = commands.recv() => {
                if obey(&mut ws, &command).await? {
                    continue;
                }
                return Ok(());
            }
        };
        match incoming {
            None => break,
            Some(Incoming::Message(message)) => {
                let start: String = message.as_text().unwrap_or("-").chars().take(80).collect();
                tell(&format!("{name} message {} {start}", message.len()));
                if has("echo") {
                    ws.send(message).await?;
                }
            }
            Some(Incoming::Pong(_)) => tell(&format!("{name} pong")),
            Some(_) => {}
        }
    }
    if let Some(closed) = ws.closed() {
        let by = format!("{:?}", closed.initiator).to_lowercase();
        let clean = if closed.clean { "clean" } else { "unclean" };
        tell(&format!("{name} closed {} {by} {clean} {}", closed.code.get(), closed.reason));
    }
    Ok(())
}

/// Whether the connection is to go on.
async fn obey(ws: &mut WebSocket<ServerStream>, command: &str) -> Result<bool, sansocket::Error> {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "send" => ws.send(Message::text(rest)).await?,
        "long" => send_long(ws, rest.parse().unwrap_or_default()).await?,
        "ping" => ws.ping(b"").await?,
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = CloseCode::new(code.parse().unwrap_or_default());
            ws.start_close(Some(CloseFrame { code, reason }))?;
        }
        "drop" => return Ok(false),
        _ => programs::tell(&format!("{command:?} is not understood")),
    }
    Ok(true)
}

/// Sends what is too long to be held.
async fn send_long(ws: &mut WebSocket<ServerStream>, count: usize) -> Result<(), sansocket::Error> {
    let part = "x".repeat(1 << 20);
    let mut left = count;
    while left > part.len() {
        ws.feed_part(MessageKind::Text, part.clone(), false).await?;
        left -= part.len();
    }
    ws.feed_part(MessageKind::Text, "x".repeat(left), true).await?;
    ws.flush().await
}

fn credentials(request: &HttpRequest) -> String {
    let header = |name| request.headers().get(name).unwrap_or("-");
    let authorization = header("Authorization");
    format!("{} {}", authorization.strip_prefix("Basic ").unwrap_or(authorization), header("Cookie"))
}

/// An event, on one line.
fn tell(event: &str) {
    // If nobody listens, stdin ends as well.
    let _ = writeln!(io::stdout(), "{}", event.replace(char::is_control, " "));
}
