"""What browsers do with WebSockets: each case is a row of the chapter, whose name is its first sentence, and returns what the row has
for the browser."""

import contextlib
import re
import socket
import statistics
import tempfile
import time

from driven import PATIENCE, wait_until
from served import PAGE, ROOT, Relay, Served

CHAPTER = ROOT / "src" / "guide" / "browsers.md"
CASES = {}


def case(*options, whole=False):
    """A case, for whose server there are `options`; `whole`: it takes longer, and is passed over by `--quick`."""

    def add(run):
        run.options, run.whole, run.row = options, whole, run.__doc__.splitlines()[0].rstrip(".")
        CASES[run.__name__] = run
        return run

    return add


class Field:
    """A browser, and a server of its own for a case, behind a relay."""

    def __init__(self, browser, options=()):
        self.browser, self.stack, self.count = browser, contextlib.ExitStack(), 0
        self.server = self.stack.enter_context(Served(*options))
        self.relay = self.stack.enter_context(Relay(self.server.address))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def name(self, what="x"):
        """One that was not there before."""
        self.count += 1
        return f"{what}{self.count}"

    def page(self, via=None):
        """Opens the page anew, by default through the relay."""
        self.browser.open((via or self.relay).url(f"/{self.name('page')}"))

    def ws(self, query="", subprotocols=(), user="", via=None):
        """Has the page open a WebSocket."""
        socket = Socket(self, self.name("ws"))
        self.browser.run("field.open(...arguments)", socket.name, query, list(subprotocols), user + (via or self.relay).address)
        return socket

    def opened(self, *arguments, **options):
        """The same, once it is open."""
        socket = self.ws(*arguments, **options)
        socket.sees("open")
        return socket

    def go(self, path):
        """Follows a link."""
        self.browser.run("location.href = arguments[0]", path)

    def leave(self):
        """Goes to another page, which is there then; returns what goes back."""
        url, path = self.browser.run("return location.href"), f"/{self.name('page')}"
        self.go(path)
        self.browser.arrive(self.relay.url(path))
        return lambda: (self.browser.back(), self.browser.arrive(url))


class Socket:
    """A WebSocket of the page."""

    def __init__(self, field, name):
        self.field, self.name = field, name

    def run(self, script, *arguments):
        """Runs a script that has it as `ws`."""
        return self.field.browser.run("const ws = field.sockets[arguments[0]];" + script, self.name, *arguments)

    def events(self):
        """What the page has seen, be it a page before this one."""
        return self.field.browser.run("return JSON.parse(sessionStorage.getItem(arguments[0])) || []", self.name)

    def sees(self, *kinds):
        """The first event of one of these kinds, once the page sees it."""
        return wait_until(lambda: next((event for event in self.events() if event[0] in kinds), None), f"the page sees {' or '.join(kinds)} of {self.name}")

    def tell(self, command):
        """Has the server do this."""
        self.field.server.tell(self.name, command)

    def said(self, *starts, patience=PATIENCE):
        """What the server says of it, with one of these beginnings."""
        return self.field.server.said(self.name, *starts, patience=patience)

    def last_said(self):
        """How the connection has ended for the server, once it has."""
        self.said("closed", "failed")
        return self.end()

    def all_said(self):
        return self.field.server.lines.get(self.name, [])

    def tap(self):
        return self.field.relay.tap(self.name)

    def outcome(self):
        """What has become of it for the server: `stays open`, if it answers some Pings, one after another; or its end."""
        for count in range(1, 4):
            self.tell("ping")
            wait_until(lambda: self.end() or self.all_said().count("pong") >= count, f"{self.name} answers, or ends")
        return self.end() or "stays open"

    def end(self):
        """The end that the server saw, if there was one: the code of the page's Close, if that was all."""
        ends = [line for line in self.all_said() if line.startswith(("closed ", "failed "))]
        return re.sub(r"^closed (\d+) remote clean $", r"\1", ends[0]) if ends else None


@contextlib.contextmanager
def another_tab(f):
    """Has another tab in front, which hides the page."""
    f.browser.tab()
    try:
        yield
    finally:
        f.browser.close_tab()


# Opening.


@case()
def subprotocol(f):
    """A subprotocol is asked for, and none is chosen."""
    f.page()
    return {"open": "opens", "error": "fails: 1006"}[f.ws("", ["chat"]).sees("open", "error")[0]]


@case("--deflate")
def offer(f):
    """The parameters of permessage-deflate that are offered."""
    f.page()
    ws = f.opened()
    assert ws.tap().answered("sec-websocket-extensions") == "permessage-deflate"
    return parameters(ws.tap().asked("sec-websocket-extensions"))


@case("--window-bits", "9")
def windows(f):
    """Those agreed on, where the server wants windows of 512 bytes."""
    f.page()
    ws = f.opened("echo")
    # As large as several windows.
    echo(ws, "field.digits(5000)")
    return parameters(ws.tap().answered("sec-websocket-extensions"))


@case("--no-context-takeover")
def takeover(f):
    """The same, where the server wants nothing to be kept between messages."""
    f.page()
    ws = f.opened("echo")
    echo(ws, "'hello'.repeat(100)")
    echo(ws, "'hello'.repeat(99)")
    # Each is as long as if it were the first.
    one, other = (frame["length"] for frame in ws.tap().sent("ours"))
    assert abs(one - other) < 3, (one, other)
    return parameters(ws.tap().answered("sec-websocket-extensions"))


def parameters(extension):
    name, _, parameters = extension.partition(";")
    assert name == "permessage-deflate", extension
    return f"`{parameters.strip()}`" if parameters else "none"


def echo(ws, data):
    """Sends it, and looks whether it comes back."""
    sent = ws.run(f"const data = {data}; ws.send(data); return field.brief(data)")
    wait_until(lambda: ["message", sent] in ws.events() or ws.end(), "it comes back")
    assert ["message", sent] in ws.events(), ws.all_said()


@case()
def password(f):
    """`ws://user:password@host`."""
    f.page()
    ws = f.opened("password", user="user:secret@")
    asked = [line for line in ws.all_said() if line.startswith("asked ")]
    assert asked == ["asked - -", "asked dXNlcjpzZWNyZXQ= -"], asked
    return "sent once it is asked for, with 401"


@case()
def cookies(f):
    """A refusal sets a cookie."""
    f.page()
    f.ws("cookie=refused=1&refuse").sees("error")
    # The 101 does in any case.
    f.opened("cookie=taken=1")
    kept = f.opened().said("asked")
    assert "taken=1" in kept, kept
    return "it is kept" if "refused=1" in kept else "it is lost"


@case()
def connecting(f):
    """Another is opened, in any tab, before the first is answered."""
    f.page()
    first = f.ws("hold")
    first.said("asked")
    with another_tab(f):
        f.page()
        second = f.ws("hold")
        # Other requests are answered meanwhile.
        for _ in range(3):
            name = f.name("fetched")
            f.browser.run("fetch(arguments[0])", f"/{name}")
            f.server.said(name, "asked")
        waited = not second.all_said()
        first.tell("go")
        second.said("asked")
        second.tell("go")
        second.sees("open")
    return "it waits" if waited else "both are asked for"


@case(whole=True)
def many(f):
    """Many are opened at once."""
    f.page()
    f.browser.run(MANY, 40)
    took = lambda: f.browser.run("return took")
    wait_until(lambda: len(took()) == 40, "all are open")
    in_order = sorted(took())
    return "those behind the first 16 wait 1 to 5 s" if in_order[7] < 950 < in_order[16] else "none waits"


MANY = """
    window.took = [];
    for (let i = 0; i < arguments[0]; i++) {
        const start = performance.now();
        new WebSocket(`ws://${location.host}/ws/many${i}`).onopen = () => took.push(Math.round(performance.now() - start));
    }
"""


@case(whole=True)
def most(f):
    """How many may be open."""
    f.page()
    f.browser.run("for (let i = 0; i < 260; i++) field.open(`most${i}`)")
    states = lambda: f.browser.run("return Object.values(field.sockets).map(ws => ws.readyState)")
    wait_until(lambda: not states().count(0), "each is open, or has failed")
    count = states().count(1)
    assert states() == [1] * count + [3] * (260 - count), "others than the last have failed"
    with another_tab(f):
        f.page()
        where = {"open": "in a tab", "error": "in all"}[f.ws().sees("open", "error")[0]]
    return f"{count} {where}"


@case(whole=True)
def again(f):
    """Failed attempts, of which each follows the one before at once."""
    f.page()
    # Bound, and not listening: nobody else gets it meanwhile.
    with contextlib.closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        return delays_of_attempts(f, nobody.getsockname()[1])


def delays_of_attempts(f, port):
    f.browser.run(ATTEMPTS, port)
    delays = lambda: f.browser.run("return delays")
    if f.browser.name == "chromium":
        wait_until(lambda: len(delays()) > 20, "many have failed")
        assert max(delays()[:8]) < 1000 and all(950 < delay < 5500 for delay in delays()[16:]), delays()
        return "after 16, each waits 1 to 5 s"
    wait_until(lambda: len(delays()) > 16, "the longest delay has come", 600)
    # It is half as long again as the one before, more or less.
    assert all(1.2 < after / before < 2 for before, after in zip(delays()[5:13], delays()[6:13])), delays()
    assert all(59_000 < delay < 64_000 for delay in delays()[15:]), delays()
    return "each waits half as long again, up to 60 s"


ATTEMPTS = """
    window.delays = [];
    const attempt = () => {
        const start = performance.now();
        new WebSocket(`ws://127.0.0.1:${nobody}`).onclose = () => {
            delays.push(Math.round(performance.now() - start));
            attempt();
        };
    }, nobody = arguments[0];
    attempt();
"""


# Messages.


@case()
def large(f):
    """A message of 1 MiB from the page."""
    return sent_in(f)


@case("--deflate")
def large_compressed(f):
    """The same, of random bytes, compressed."""
    return sent_in(f)


def sent_in(f):
    f.page()
    ws = f.opened("echo")
    echo(ws, "field.noise(1 << 20)")
    frames = [frame["length"] for frame in ws.tap().sent("ours") if frame["opcode"] < 3]
    assert [frame["opcode"] for frame in ws.tap().sent("theirs")] == [2], "ours came in several frames"
    if len(frames) == 1:
        return "one frame"
    return f"frames of {'more than' if max(frames) > 128 << 10 else 'at most'} 128 KiB"


@case()
def frame_limit(f):
    """The same two, where a frame may have 128 KiB."""
    came_to = []
    for options in ([], ["--deflate"]):
        with Field(f.browser, ["--max-frame-size", str(128 << 10), *options]) as limited:
            limited.page()
            ws = limited.opened("echo")
            ws.run("ws.send(field.noise(1 << 20))")
            kind, code, *_ = ws.sees("message", "close")
            came_to.append("taken" if kind == "message" else str(code))
    return ", then ".join(came_to) if len(set(came_to)) > 1 else came_to[0]


@case(whole=True)
def very_long(f):
    """A text of more than 512 Mi characters."""
    f.page(f.server)
    ws = f.opened(via=f.server)
    # It tells the server, since the browser does nothing else while it takes them.
    ws.run("ws.onmessage = event => ws.send(event.data.length)")
    # Chromium's longest is 24 characters shorter than that.
    lengths = [(512 << 20) - 24, (512 << 20) + 1]
    for length in lengths:
        ws.tell(f"long {length}")
    told = lambda: [int(line.split()[-1]) for line in ws.all_said() if line.startswith("message ")]
    wait_until(lambda: len(told()) == 2 or ws.end(), "both come", 300)
    assert told() in ([lengths[0], 0], lengths), ws.all_said()
    return "it comes" if told() == lengths else "it comes empty"


@case()
def after_close(f):
    """The page sends after its `close()`."""
    f.page()
    ws = f.opened()
    ws.run("ws.send('before'); ws.close(); ws.send('after')")
    ws.said("closed 1005 remote clean")
    assert [line for line in ws.all_said() if line.startswith("message ")] == ["message 6 before"]
    return "it is dropped, without an error"


# Closing.


@case()
def page_closes(f):
    """The page closes with 1000, or 3000 to 4999, and a reason."""
    f.page()
    for code in (1000, 3000, 4999):
        ws = f.opened()
        ws.run("ws.close(arguments[1], 'proč')", code)
        assert ws.said("closed", "failed") == f"closed {code} remote clean proč", ws.all_said()
        # The reason is not sent back.
        assert ws.sees("close") == ["close", code, "", True], ws.events()
    return "both see it, clean"


@case()
def page_may_not(f):
    """The page closes with another code."""
    f.page()
    ws = f.opened()
    for code in (999, 1001, 1011, 2999, 5000):
        assert ws.run("try { ws.close(arguments[1]) } catch (error) { return error.name }", code) == "InvalidAccessError", code
    return "`InvalidAccessError`"


@case()
def server_closes(f):
    """The server closes with 1000 to 4999, and a reason."""
    f.page()
    # All that a server may send. 1010 is the client's.
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        ws = f.opened()
        ws.tell(f"close {code} proč")
        assert ws.sees("close") == ["close", code, "proč", True], ws.events()
        assert ws.said("closed", "failed") == f"closed {code} local clean proč", ws.all_said()
    return "both see it, clean"


@case("--max-message-size", "1000")
def too_large(f):
    """The server fails the connection: a message is too large."""
    f.page(f.server)
    ws = f.opened(via=f.server)
    ws.run("ws.send('x'.repeat(2000))")
    kind, code, reason, is_clean = ws.sees("close")
    assert reason == "a message is larger than the limit", reason
    ws.said("failed")
    return f"{code}, {'clean' if is_clean else 'not clean'}"


@case()
def farewell(f):
    """The server closes right behind the 101 and one message."""
    f.page(f.server)
    # Often, since it is a race.
    sockets = [f.ws("farewell", via=f.server) for _ in range(20)]
    for ws in sockets:
        ws.sees("close")
        assert ws.events() == [["open", "", ""], ["message", "hello"], ["close", 3333, "farewell", True]], ws.events()
        ws.said("closed 3333 local clean farewell")
    return "the page sees all three"


@case()
def dropped(f):
    """TCP ends without a Close."""
    f.page()
    ws = f.opened()
    ws.tell("drop")
    assert ws.sees("close") == ["close", 1006, "", False], ws.events()
    return "1006"


# Pages that go.


@case()
def reloaded(f):
    """The page is reloaded."""
    f.page()
    ws = f.opened()
    f.browser.run("location.reload()")
    return ws.last_said()


@case()
def tab_closed(f):
    """The tab is closed."""
    with another_tab(f):
        f.page()
        ws = f.opened()
    return ws.last_said()


@case()
def left(f):
    """A link leads elsewhere."""
    f.page()
    ws = f.opened()
    f.leave()
    return ws.outcome()


@case()
def slow(f):
    """The same, before the other page answers."""
    f.page()
    ws, name = f.opened(), f.name("slow")
    f.go(f"/slow/{name}")
    f.server.said(name, "asked")
    outcome = ws.outcome()
    if outcome != "stays open":
        # The page is still there.
        assert ws.sees("close") == ["close", 1001, "", True], ws.events()
    f.server.tell(name, "go")
    f.browser.arrive(f.relay.url(f"/slow/{name}"))
    return outcome


@case()
def download(f):
    """The link is a download."""
    f.page()
    ws, name = f.opened(), f.name("download")
    f.go(f"/download/{name}")
    f.server.said(name, "asked")
    wait_until(lambda: "server" in f.relay.tap(name).ends, "it is there")
    outcome = ws.outcome()
    if outcome != "stays open":
        assert ws.sees("close") == ["close", 1001, "", True], ws.events()
    assert f.browser.run("return arguments[0] in field.sockets", ws.name), "the page is gone"
    return outcome


@case()
def download_attribute(f):
    """The same, of an `<a download>`."""
    f.page()
    ws, name = f.opened(), f.name("download")
    f.browser.run("const link = document.createElement('a'); link.href = arguments[0]; link.download = ''; document.body.append(link); link.click()", f"/download/{name}")
    f.server.said(name, "asked")
    wait_until(lambda: "server" in f.relay.tap(name).ends, "it is there")
    return ws.outcome()


@case()
def last_words(f):
    """The page sends something on `pagehide`."""
    f.page()
    ws = f.opened()
    ws.run("addEventListener('pagehide', () => ws.send('bye'))")
    f.leave()
    ws.outcome()
    return "it arrives" if "message 3 bye" in ws.all_said() else "it is lost"


@case()
def asleep(f):
    """A page that was left sleeps, its WebSocket open; Pings, and a Close."""
    f.page()
    ws = f.opened()
    back = f.leave()
    if ws.outcome() != "stays open":
        return "–"
    ws.tell("send lost")
    ws.tell("close 3001 later")
    assert ws.said("closed", "failed") == "closed 3001 local clean later", ws.all_said()
    back()
    ws.sees("close")
    assert ws.events() == [["open", "", ""], ["error"], ["close", 1006, "", False]], ws.events()
    return "are answered"


@case()
def awake(f):
    """The page is gone back to."""
    f.page()
    ws = f.opened()
    f.browser.run("window.mark = true")
    back = f.leave()
    if ws.outcome() == "stays open":
        ws.tell("send lost")
    back()
    if not f.browser.run("return window.mark"):
        return "it is loaded anew"
    ws.sees("close")
    # For the server it is another end.
    assert ws.said("closed", "failed") == "closed 1001 remote clean ", ws.all_said()
    assert ws.events() == [["open", "", ""], ["error"], ["close", 1006, "", False]], ws.events()
    return "1006; what was sent is lost"


@case()
def script(f):
    """The same, of a page that has the script below."""
    text = CHAPTER.read_text().partition("```js\n")[2].partition("```")[0]
    page = PAGE.read_text() + f"<script>const show = () => {{}};\n{text.replace('/ws`', '/ws${location.pathname}`')}</script>"
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(page)
        file.flush()
        with Field(f.browser, ["--page", file.name]) as f:
            f.page()
            ws = Socket(f, f.browser.run("return location.pathname.slice(1)"))
            opened = lambda count: wait_until(lambda: ws.all_said().count("opened") == count, f"it has connected {count} times")
            opened(1)
            if f.browser.name == "firefox":
                # A download closes it.
                f.go(f"/download/{f.name('download')}")
                opened(2)
            count = ws.all_said().count("opened")
            back = f.leave()
            wait_until(lambda: sum(line.startswith(("closed ", "failed ")) for line in ws.all_said()) == count, "it has closed")
            back()
            opened(count + 1)
    return "it connects again"


@case(whole=True)
def asleep_long(f):
    """How long it sleeps, at most."""
    f.page()
    ws = f.opened()
    f.leave()
    start = time.monotonic()
    if ws.outcome() != "stays open":
        return "–"
    # Pings are sent, as to any that is silent.
    assert ws.said("closed", "failed", patience=900) == "closed 1001 remote clean ", ws.all_said()
    return f"{round((time.monotonic() - start) / 60)} minutes, then 1001"


# Hidden pages.


@case()
def hidden(f):
    """A message comes to a hidden page."""
    f.page()
    ws = f.opened()
    ws.run("ws.onmessage = event => field.note(arguments[0], 'message', event.data, document.visibilityState)")
    # A tab that is in front hides the other a little later.
    ws.run("document.addEventListener('visibilitychange', () => { if (document.hidden) ws.send('hidden') })")
    with another_tab(f):
        ws.said("message 6 hidden")
        ws.tell("send hello")
        ws.tell("ping")
        ws.said("pong")
    assert ws.sees("message") == ["message", "hello", "hidden"], ws.events()
    return "it is told at once"


@case()
def timers(f):
    """Timers of a hidden page."""
    f.page()
    ws = f.opened()
    ws.run(TICKS)
    with another_tab(f):
        wait_until(lambda: len(ticks(ws)) > 4, "some ticks have come")
    return usual(ticks(ws))


@case(whole=True)
def timers_long(f):
    """The same, after five minutes."""
    f.page()
    ws = f.opened()
    ws.run(TICKS)
    with another_tab(f):
        wait_until(lambda: sum(ticks(ws)) > 450_000, "some minutes have passed", 600)
    return usual(ticks(ws)[-3:])


TICKS = """
    const tick = () => {
        ws.send(`${document.visibilityState} ${Math.round(performance.now())}`);
        setTimeout(tick, 100);
    };
    tick();
"""


def ticks(ws):
    """The times between those that the page has told while it was hidden, in milliseconds."""
    times = [int(line.split()[-1]) for line in ws.all_said() if line.startswith("message ") and " hidden " in line]
    return [after - before for before, after in zip(times, times[1:])]


def usual(ticks):
    """What most of them are."""
    median = statistics.median(ticks)
    return "once a second" if 900 < median < 2500 else "once a minute" if 50_000 < median < 70_000 else f"{median} ms"
