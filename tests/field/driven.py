"""Browsers without a window, which do what they are told, by WebDriver (https://www.w3.org/TR/webdriver2/) and what is like it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

# Seconds; longer than what is waited for takes, on a machine that has much else to do.
PATIENCE = 60


# Those that run, to be ended in any case.
RUNNING = set()


class Browser:
    """A browser with one tab in front. What differs is in the two classes below."""

    def __init__(self):
        if missing := [program for program in self.programs if not shutil.which(program)]:
            raise FileNotFoundError(f"{missing[0]} is missing: install Debian's package {self.package}, or its like")
        self.folder = Path(tempfile.mkdtemp(prefix=f"sansocket-{self.name}-"))
        # A group of its own, to be ended with all that it has started.
        with open(self.folder / "log", "wb") as log:
            environment = {**os.environ, "HOME": str(self.folder)}
            self.process = subprocess.Popen(self.started(), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        RUNNING.add(self)

    def __enter__(self):
        try:
            self.connect()
            self.tabs = [self.value(self.command("window", method="GET"))]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.quit()
        self.end()

    def end(self):
        RUNNING.discard(self)
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        # Until nothing is written there any more.
        wait_until(lambda: shutil.rmtree(self.folder, ignore_errors=True) or not self.folder.exists(), f"{self.folder} is removed")

    def wait_for(self, attempt, what):
        """The first result of what may fail before the browser is there."""

        def condition():
            assert self.process.poll() is None, f"{self.name} has ended: {(self.folder / 'log').read_text(errors='replace')[-2000:]}"
            with contextlib.suppress(OSError, ValueError):
                return attempt()

        return wait_until(condition, what)

    def run(self, script, *arguments):
        """What a script in the page returns."""
        return self.value(self.command("execute/sync", {"script": script, "args": list(arguments)}))

    def open(self, url):
        """Opens a page of ours, at a URL where it was not before."""
        self.command("url", {"url": url})
        self.arrive(url)

    def arrive(self, url):
        """Waits until the page is there."""

        def arrived():
            # While one page goes, and the other comes, scripts may be refused.
            with contextlib.suppress(Refused):
                return self.run("return location.href === arguments[0] && document.readyState === 'complete' && 'field' in window", url)

        wait_until(arrived, f"{url} is there")

    def back(self):
        self.command("back", {})

    def tab(self):
        """Opens a tab, which is in front then."""
        self.tabs.append(self.command("window/new", {"type": "tab"})["handle"])
        self.switch(self.tabs[-1])

    def switch(self, handle):
        """Brings a tab to the front."""
        self.command("window", {"handle": handle})

    def close_tab(self):
        """Closes the one that was opened last, which is in front; the one before it is, then."""
        self.command("window", method="DELETE")
        self.tabs.pop()
        self.switch(self.tabs[-1])


class Chromium(Browser):
    """Through chromedriver."""

    name, package, programs = "chromium", "chromium-driver", ["chromedriver", "chromium"]
    FLAGS = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    ]  # fmt: skip
    # What chromedriver starts browsers with, but nobody else.
    UNUSUAL = ["disable-back-forward-cache", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding"]

    def started(self):
        return ["chromedriver", "--port=0", "--log-level=SEVERE"]

    def connect(self):
        said = self.folder / "log"
        port = self.wait_for(lambda: int(said.read_text().partition("successfully on port ")[2].split(".")[0]), "chromedriver listens")
        self.session = f"http://127.0.0.1:{port}/session"
        options = {"args": [*self.FLAGS, f"--user-data-dir={self.folder / 'profile'}"], "excludeSwitches": self.UNUSUAL, "binary": shutil.which("chromium")}
        session = call(self.session, {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "pageLoadStrategy": "none"}}})
        self.session += f"/{session['sessionId']}"
        self.version = session["capabilities"]["browserVersion"]

    def quit(self):
        call(self.session, method="DELETE")

    def command(self, name, arguments=None, method=None):
        return call(f"{self.session}/{name}", arguments, method)

    def value(self, answer):
        return answer


class Firefox(Browser):
    """Through Marionette, which has the commands of WebDriver under other names, and needs no geckodriver."""

    name, package, programs = "firefox", "firefox-esr", ["firefox-esr"]
    COMMANDS = {
        "execute/sync": "ExecuteScript", "url": "Navigate", "back": "Back",
        "window": "SwitchToWindow", "window GET": "GetWindowHandle", "window DELETE": "CloseWindow", "window/new": "NewWindow",
        "window/rect": "SetWindowRect",
    }  # fmt: skip

    def started(self):
        profile = self.folder / "profile"
        profile.mkdir()
        preferences = {"marionette.port": 0, "browser.download.folderList": 2, "browser.download.dir": str(self.folder), "browser.shell.checkDefaultBrowser": False}
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()))
        return ["firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", profile, "about:blank"]

    def connect(self):
        port_file = self.folder / "profile" / "MarionetteActivePort"
        self.socket = self.wait_for(lambda: socket.create_connection(("127.0.0.1", int(port_file.read_text())), PATIENCE), "Marionette listens")
        self.stream, self.asked = self.socket.makefile("rb"), 0
        self.receive()
        capabilities = self.ask("NewSession", {"capabilities": {"alwaysMatch": {"pageLoadStrategy": "none"}}})["capabilities"]
        self.version = capabilities["browserVersion"]

    def quit(self):
        self.asked += 1
        self.send([0, self.asked, "Marionette:Quit", {"flags": ["eForceQuit"]}])
        self.socket.close()
        self.process.wait(PATIENCE)

    def command(self, name, arguments=None, method=None):
        return self.ask(self.COMMANDS[f"{name} {method}" if method else name], arguments or {})

    def value(self, answer):
        return answer["value"]

    def ask(self, name, arguments):
        self.asked += 1
        self.send([0, self.asked, f"WebDriver:{name}", arguments])
        _, number, error, result = self.receive()
        assert number == self.asked, number
        if error:
            raise Refused(f"{name}: {error['error']}: {error['message']}")
        return result

    def send(self, command):
        data = json.dumps(command).encode()
        self.socket.sendall(f"{len(data)}:".encode() + data)

    def receive(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.stream.read(1)
            if not byte:
                raise ConnectionError("Firefox has ended")
            length += byte
        return json.loads(self.stream.read(int(length[:-1])))


class Refused(Exception):
    """The browser does not do what it is told."""


def call(url, arguments=None, method=None):
    body = None if arguments is None else json.dumps(arguments).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    try:
        with OPENER.open(request, timeout=PATIENCE) as response:
            return json.load(response)["value"]
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error)["value"]["message"].splitlines()[0]) from None


def wait_until(condition, what, patience=PATIENCE):
    """What the condition comes to, once that is true."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"in {patience} seconds it did not come to this: {what}")
        time.sleep(0.02)
    return found


# Whatever proxy there is, it is not for the loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
