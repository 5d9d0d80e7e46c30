"""Verifies the files of a version on a node, runs uv there, and the server of the version as a process."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from ctypes import CDLL
from pathlib import Path

MANIFEST = "manifest.json"
# The variables of the worker that a model gets; the others may be credentials, or are about another Python.
KEPT = frozenset({
    "CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "OMP_NUM_THREADS", "PATH",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
})  # fmt: skip
KEPT_PREFIXES = ("LC_", "NVIDIA_")
INSTALL_S = 1800
POLL_S = 0.2
STOP_S = 40.0
PING_S = 5.0
PARENT_ENDS = 1  # PR_SET_PDEATHSIG
OK = 200


class Unusable(RuntimeError):
    """What was uploaded cannot be served on this node; the message is the reason."""


def require_uploaded(folder: Path, digest: str) -> None:
    """Raise Unusable unless a folder has the files of a manifest with this digest, and no others."""
    manifest = folder / MANIFEST
    if not manifest.is_file() or sha256(manifest) != digest:
        raise Unusable(f"{manifest} is not the one that was uploaded")
    listed = json.loads(manifest.read_text(encoding="utf-8"))
    for part in ("model", "server"):
        found = {path.relative_to(folder).as_posix() for path in (folder / part).rglob("*") if not path.is_dir()}
        named = {name for name in listed if name.startswith(f"{part}/")}
        if found != named:
            raise Unusable(f"{folder / part} lacks, or has beside what was uploaded: {min(found ^ named)}")
        for name in sorted(named):
            if sha256(folder / name) != listed[name]:
                raise Unusable(f"{folder / name} is not the file that was uploaded")


def sha256(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def require_uv() -> str:
    """The path of uv. Raises Unusable without it."""
    if found := shutil.which("uv"):
        return found
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return str(beside)
    raise Unusable("uv, which installs the packages of the lock, is not on the PATH of the nodes: pip install uv")


def run(*argv: str, within: Path, timeout_s: float = INSTALL_S) -> None:
    """Run uv. Raises Unusable with its last lines, or if it takes longer than `timeout_s` seconds."""
    try:
        done = subprocess.run(
            argv, cwd=within, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"`uv {argv[1]}` takes longer than {timeout_s:g} s") from error
    if done.returncode != 0:
        lines = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
        raise Unusable(f"`uv {argv[1]}` fails: {' '.join(lines[-4:])[:600]}")


class ModelServer:
    """
    The server of a model, a process of its environment that ends with this one.

    Bytecode is written to a folder of its own: the next replica would not find the files as they were uploaded.
    """

    def __init__(self, python: Path, folder: Path, variables: Mapping[str, str], bytecode: Path) -> None:
        self.port = free_port()
        self._code: int | None = None
        self._output: deque[str] = deque(maxlen=20)
        self._process: subprocess.Popen[str] | None = None
        kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
        settings = {"MLFLOW_UV_MODEL": str(folder / "model"), "HOST": "127.0.0.1", "PORT": str(self.port)}
        self._variables = {**kept, **variables, **settings, "PYTHONUNBUFFERED": "1"}
        self._argv = (str(python), "-I", "-X", f"pycache_prefix={bytecode}", str(folder / "server"))
        # The kernel ends the process with the thread that started it: this one lives as long as the process.
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        libc = CDLL(None)
        with subprocess.Popen(
            self._argv,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            preexec_fn=lambda: libc.prctl(PARENT_ENDS, signal.SIGTERM),  # noqa: PLW1509  # nothing is locked in it
        ) as process:
            self._process = process
            for line in process.stdout or ():
                self._output.append(line.strip())
                sys.stderr.write(line)
        self._code = process.returncode

    def require_ready(self) -> None:
        """Wait until it answers. Raises Unusable with its last line if it ends before."""
        while not self.answers():
            if self._code is not None:
                last_line = next((line for line in reversed(self._output) if line), "it printed nothing")
                raise Unusable(f"the server of the model ended with {self._code}: {last_line[:400]}")
            time.sleep(POLL_S)

    def answers(self) -> bool:
        """Whether it is ready for requests."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=PING_S) as response:
                return bool(response.status == OK)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """Let it answer what it got, and end it."""
        process = self._process
        if process is None or self._code is not None:
            return
        process.terminate()
        self._thread.join(STOP_S)
        if self._code is None:
            process.kill()
            self._thread.join(STOP_S)


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
