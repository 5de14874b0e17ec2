"""The proxies that `proxies` starts in front of servers: nginx, haproxy, Apache and Caddy, each with the configuration that the
guide shows, in which the ports and the paths are others, between what a distribution has around it."""

import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTER = ROOT / "src" / "guide" / "proxy.md"
CHANNELS = ROOT / "channels" / "src" / "guide" / "proxy.md"
PATIENCE = 60  # seconds, for what takes a few
HOST = "127.0.0.1"


class Front:
    """A proxy. `edits` are pairs of a pattern in the configuration that `chapter` shows, which has to be there, and what stands for it;
    `around` is for the main part of the configuration."""

    def __init__(self, folder, behind, edits=(), around="", chapter=CHAPTER):
        self.folder, self.file, self.around = folder, folder / f"{self.name}.conf", around
        self.config = re.sub(rf"{HOST}:\d+", f"{HOST}:{behind}", documented(self.name, chapter))
        for pattern, replacement in edits:
            self.config, count = re.subn(pattern, replacement, self.config)
            assert count, f"{pattern!r} is not in the configuration of {self.name}"

    @contextmanager
    def running(self):
        # A port that was free may be taken a moment later.
        for _ in range(5):
            self.port, self.second = free_port(), free_port()
            self.file.write_text(self.written())
            with open(self.folder / "output.log", "wb") as output, started(self.command(), stdout=output, stderr=output, cwd=self.folder, env=self.environment()) as process:
                self.process = process
                wait_until(lambda: self.starts() or process.poll() is not None, f"{self.name} starts")
                if process.poll() is None:
                    yield self
                    return
        raise RuntimeError(f"{self.name} does not start: {self.told()}")

    def told(self):
        return "\n".join(log.read_text() for log in self.folder.glob("*.log"))

    def workers(self):
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def reload(self):
        """What systemd does for `systemctl reload`. What is returned tells whether the old workers are gone."""
        before = self.workers()
        wait_until(self.starts_again, f"{self.name} has started again")
        return lambda: not self.workers() & before

    def starts_again(self):
        self.process.send_signal(self.reloads_by)
        # haproxy passes over a signal that comes right after its start.
        deadline = time.monotonic() + 2
        while self.starts() == 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.starts() > 1

    def starts(self):
        return self.told().count(self.announces)

    def environment(self):
        return os.environ


class Nginx(Front):
    name = "nginx"
    reloads_by, announces = signal.SIGHUP, "start worker process "
    # Without what the chapter has it do with headers; without what makes the upgrade.
    plain = [(r" *proxy_set_header (?:Host|X-).*\n", "")]
    missing = [[(pattern, "")] for pattern in (r" *proxy_http_version .*\n", r" *proxy_set_header Upgrade .*\n", r" *proxy_set_header Connection .*\n")]
    missing.append(sum(missing, []))

    @staticmethod
    def patient(seconds):
        """Options for a proxy that waits so long."""
        return {"edits": [(r"(proxy_read_timeout) 60s", rf"\1 {seconds}s")]}

    def written(self):
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.config.replace("listen 80;", f"listen {HOST}:{self.port};")
        return f"daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nerror_log {self.folder}/error.log notice;\n{self.around}\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{config}\n}}\n"

    def command(self):
        return ["nginx", "-e", self.folder / "error.log", "-p", self.folder, "-c", self.file]


class Haproxy(Front):
    name = "haproxy"
    reloads_by, announces = signal.SIGUSR2, "Loading success"
    plain = [(r" *http-request .*\n", "")]
    missing = []

    @staticmethod
    def patient(seconds):
        return {"edits": [(r"(timeout tunnel) +1h", rf"\1 {seconds}s")]}

    def written(self):
        certificate = str(self.folder.parent / "both.pem")
        config = self.config.replace("bind :80", f"bind {HOST}:{self.port}").replace("bind :443", f"bind {HOST}:{self.second}")
        return f"global\n    maxconn 100\n{self.around}\n{config.replace('/etc/haproxy/site.pem', certificate)}\n"

    def command(self):
        return ["haproxy", "-W", "-f", self.file]


class Apache(Front):
    name = "apache"
    reloads_by, announces = signal.SIGUSR1, "resuming normal operations"
    plain = [(r" *(?:RequestHeader|ProxyPreserveHost) .*\n", "")]
    missing = [[(" upgrade=websocket", "")]]

    @staticmethod
    def patient(seconds):
        return {"around": f"Timeout {seconds}"}

    def written(self):
        modules = ["mpm_event", "authz_core", *re.search(r"`a2enmod (.*)`", CHAPTER.read_text())[1].split()]
        lines = [f"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so" for module in modules]
        lines += [f"ServerRoot {self.folder}", "ServerName localhost", f"Listen {HOST}:{self.port}", f"PidFile {self.folder}/pid"]
        lines += [f"ErrorLog {self.folder}/error.log", f"DefaultRuntimeDir {self.folder}"]
        if os.geteuid() == 0:
            lines += ["User www-data", "Group www-data"]
        return "\n".join([*lines, self.around, self.config.replace("*:80", f"{HOST}:{self.port}"), ""])

    def command(self):
        return ["apache2", "-DFOREGROUND", "-f", self.file]


class Caddy(Front):
    name = "caddy"
    announces = "serving initial configuration"
    plain = []
    missing = []

    @staticmethod
    def patient(seconds):
        return {}

    def written(self):
        options = f"{{\n    admin {HOST}:{self.second}\n    default_bind {HOST}\n{self.around}}}\n"
        return options + self.config.replace("example.com", f"http://:{self.port}")

    def command(self):
        return ["caddy", "run", "--config", self.file, "--adapter", "caddyfile"]

    def environment(self):
        return os.environ | {name: str(self.folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}

    def reload(self):
        # Caddy does nothing where nothing has changed, unless it is forced.
        command = ["caddy", "reload", "--force", "--config", self.file, "--adapter", "caddyfile", "--address", f"{HOST}:{self.second}"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, cwd=self.folder, env=self.environment())


FRONTS = [Nginx, Haproxy, Apache, Caddy]


def documented(name, chapter):
    """The configuration that the chapter shows."""
    return re.search(rf"^```{name}\n(.*?)^```$", chapter.read_text(), re.MULTILINE | re.DOTALL)[1]


@contextmanager
def started(command, **options):
    with CHANGING:
        assert not ENDED.is_set(), ENDING
        # In a group of its own, so that it can be ended with what it has started.
        process = subprocess.Popen(command, start_new_session=True, **options)
        RUNNING.append(process)
    with process:
        try:
            yield process
        finally:
            with CHANGING:
                RUNNING.remove(process)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            # And what it has left behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def end_all():
    """Ends what runs; nothing is started any more, nor waited for."""
    with CHANGING:
        ENDED.set()
        for process in RUNNING:
            process.terminate()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert not ENDED.is_set(), ENDING
        assert time.monotonic() < deadline, f"in {PATIENCE} seconds it did not come to this: {what() if callable(what) else what}"
        time.sleep(0.05)


def free_port():
    """A port that nobody listens on, nor was given before. Not one of those that systems give to outgoing connections, which are taken
    at any time."""
    while True:
        with suppress(OSError), socket.create_server((HOST, next(PORTS))) as server:
            return server.getsockname()[1]


# In an order of each run's own.
PORTS = iter(random.sample(range(10000, 32768), 20000))
# The processes that there are, and whether they are to end.
RUNNING, CHANGING, ENDED = [], threading.Lock(), threading.Event()
ENDING = "everything is to end"
