"""Installs GitHub's language service, and other packages of npm that tests need, from their lock."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SERVICE = Path(__file__).parent / "language-service"
OLDEST_NODE = 20


def installed() -> Path:
    """The folder with what npm installed, once per machine and lock, outside the checkout."""
    _require_node()
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(SERVICE.iterdir()) if path.is_file()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlflow-uv"
    folder = cache / f"language-service-{key.hexdigest()[:16]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        making = cache / f"{folder.name}.{os.getpid()}"
        shutil.copytree(SERVICE, making, ignore=shutil.ignore_patterns("node_modules"))
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(argv, cwd=making, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"`npm ci` failed in {making}:\n{done.stdout}{done.stderr}"
        _put(making, folder)
    return folder


def _require_node() -> None:
    fix = f"Fix: install Node {OLDEST_NODE} or newer, with npm"
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    assert not missing, f"{' and '.join(missing)} not installed, GitHub's language service needs it. {fix}"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    assert int(version.removeprefix("v").partition(".")[0]) >= OLDEST_NODE, f"Node is {version}. {fix}"


def _put(making: Path, folder: Path) -> None:
    """Two runs may install at once: whoever is second throws its own away."""
    try:
        making.rename(folder)
    except OSError:
        shutil.rmtree(making)
