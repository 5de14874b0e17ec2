"""What the tests with other programs need: packages of npm, pinned, in a cache outside the work tree ($SANSOCKET_CACHE, by default
~/.cache/sansocket), and the server.
"""

import os
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("SANSOCKET_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sansocket")


def install(name, version):
    """The folder of node_modules that has it, and nothing else. What `tests/interop` installs is where that looks, too."""
    folder = CACHE / f"interop-{name}-{version}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, f"{name}@{version}"], check=True)
        (folder / "installed").touch()
    return folder / "node_modules"


def example(root, name):
    """The program, as `cargo test --all-features` builds it."""
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "sansocket-channels", "--all-features", "--example", name], cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "debug" / "examples" / name


WS = ("ws", "8.23.0")
TYPESCRIPT = ("typescript", "5.9.3")
