"""Browsers and Node, which are driven through WebSockets."""

import json
from urllib.parse import urlsplit

from peer import Peer, get

# Of a value to be sent back, in characters.
LARGE = 2 << 20
# They compress to half their size.
DIGITS = f"(() => {{ let digits = '', value = 1; while (digits.length < {LARGE}) digits += value = value * 48271 % 2147483647; return digits }})()"


class Chromium(Peer):
    """The DevTools protocol, https://chromedevtools.github.io/devtools-protocol/."""

    name, program, package = "chromium", "chromium", "chromium"
    question, answer = '{"id":0,"method":"Browser.getVersion"}', b'"id":0'

    def command(self, folder, port):
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        return [self.program, *flags, f"--remote-debugging-port={port}", f"--user-data-dir={folder}", "about:blank"]

    def opened_path(self, port):
        page = next(target for target in get(port, "/json/list") if target["type"] == "page")
        return urlsplit(page["webSocketDebuggerUrl"]).path

    def converse(self, talk):
        version = ask(talk, "Browser.getVersion")
        assert "Chrome" in version["product"], version
        evaluate(talk)
        talk.close()


class Node(Peer):
    """The inspector, which speaks a part of the DevTools protocol."""

    name, program, package = "node", "node", "nodejs"
    question, answer = '{"id":0,"method":"Runtime.getIsolateId"}', b'"id":0'

    def command(self, folder, port):
        return [self.program, f"--inspect=127.0.0.1:{port}", "--eval", "setInterval(() => {}, 1000)"]

    def opened_path(self, port):
        return urlsplit(get(port, "/json/list")[0]["webSocketDebuggerUrl"]).path

    def converse(self, talk):
        evaluate(talk)
        talk.close(code=1005)


class Firefox(Peer):
    """WebDriver BiDi, https://www.w3.org/TR/webdriver-bidi/."""

    name, program, package, path = "firefox", "firefox-esr", "firefox-esr", "/session"
    question, answer = '{"id":0,"method":"session.status","params":{}}', b'"id":0'

    def command(self, folder, port):
        return [self.program, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", str(port), "about:blank"]

    def converse(self, talk):
        session = ask(talk, "session.new", capabilities={})
        assert session["capabilities"]["browserName"] == "firefox", session
        tree = ask(talk, "browsingContext.getTree")
        target = {"context": tree["contexts"][0]["context"]}
        digits(ask(talk, "script.evaluate", expression=DIGITS, target=target, awaitPromise=False))
        ask(talk, "session.end")
        talk.close()


def evaluate(talk):
    digits(ask(talk, "Runtime.evaluate", expression=DIGITS, returnByValue=True))
    # The other direction.
    answer = ask(talk, "Runtime.evaluate", expression=f"'{'y' * LARGE}'.length")
    assert answer["result"]["value"] == LARGE


def digits(answer):
    """Checks what `DIGITS` has come to."""
    value, digits, length = 1, [], 0
    while length < LARGE:
        value = value * 48271 % 2147483647
        digits.append(str(value))
        length += len(digits[-1])
    assert answer["result"]["value"] == "".join(digits), "other digits came"


def ask(talk, method, **params):
    """The result of a command. Events that come before it are passed over."""
    talk.asked = getattr(talk, "asked", 0) + 1
    talk.say(json.dumps({"id": talk.asked, "method": method, "params": params}))
    while True:
        answer = json.loads(talk.hear())
        if answer.get("id") == talk.asked:
            assert "result" in answer, answer
            return answer["result"]
