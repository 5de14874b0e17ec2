"""What has to be there before anything is started: our programs, and packages of others."""

import fcntl
import json
import os
import subprocess
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
CACHE = Path(os.environ.get("SANSOCKET_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sansocket")


def programs(*names):
    """The paths of our programs, by their names.

    They have all features, in whichever script: of one that is built with others, the file would be replaced, also while another
    script runs it.
    """
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics", "--package", "sansocket-programs", "--all-features"]
    for name in names:
        command += ["--bin", name]
    lines = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = [json.loads(line) for line in lines if '"compiler-artifact"' in line]
    return {artifact["target"]["name"]: artifact["executable"] for artifact in artifacts if artifact["executable"]}


def python(*packages):
    """A python that has these packages of PyPI, each with its version."""
    with folder(packages) as (path, is_new):
        if is_new:
            venv.create(path, with_pip=True, clear=True)
            subprocess.run([path / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)
    return path / "bin" / "python"


def node(*packages):
    """The environment for a node that has these packages of npm, each with its version."""
    with folder(packages) as (path, is_new):
        if is_new:
            subprocess.run(["npm", "install", "--silent", "--prefix", path, *packages], check=True)
    return {**os.environ, "NODE_PATH": str(path / "node_modules")}


@contextmanager
def folder(packages):
    """Yields the folder for these packages, and whether they have yet to come there. Other work trees have it, too, in turn."""
    path = CACHE / f"interop-{'-'.join(packages)}"
    path.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{path.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = path / "installed"
        yield path, not installed.exists()
        installed.touch()
