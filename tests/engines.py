"""Runs a second Docker daemon with empty storage, as on another machine."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import missing
from tests.waiting import CEILING_S, wait_until_up


@contextmanager
def engine_of_another_machine(*settings: str) -> Iterator[str]:
    """
    What DOCKER_HOST says to reach it, while the block runs; skips where nobody may start one.

    `settings` are further flags of its daemon.

    It has its own store, its own containerd and its own bridge, and leaves the rules of the first one's network alone:
    both would write them, and one that is told to have no bridge removes that of the other.
    """
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        missing("no second engine can be started here: dockerd is not installed, or somebody else is root")
    # Its sockets' names must be short.
    folder = Path(tempfile.mkdtemp(prefix="mlflow-uv-engine-"))
    socket, log = f"unix://{folder}/docker.sock", folder / "log"
    try:
        with _bridge() as bridge, log.open("w") as out:
            process = subprocess.Popen(
                (
                    *("dockerd", f"--host={socket}", f"--bridge={bridge}", "--iptables=false", "--ip6tables=false"),
                    *(f"--data-root={folder}/data", f"--exec-root={folder}/run", f"--pidfile={folder}/pid"),
                    *settings,
                ),
                stdout=out,
                stderr=out,
                env={name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
            )
            try:
                asked = ("docker", "--host", socket, "version")
                wait_until_up(lambda: _succeeds(*asked), process, log)
                yield socket
            finally:
                process.terminate()
                process.wait(CEILING_S)
    finally:
        _unmount_below(folder)
        shutil.rmtree(folder)


@contextmanager
def _bridge() -> Iterator[str]:
    """The name of a bridge that no other engine has."""
    name = f"mlflowuv{secrets.token_hex(3)}"
    third, fourth = secrets.randbelow(256), 16 * secrets.randbelow(16)
    _run("ip", "link", "add", name, "type", "bridge")
    try:
        _run("ip", "address", "add", f"10.213.{third}.{fourth + 1}/28", "dev", name)
        _run("ip", "link", "set", name, "up")
        yield name
    finally:
        _run("ip", "link", "delete", name)


def _unmount_below(folder: Path) -> None:
    """What an engine that was killed left mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(("umount", "--lazy", mount), check=False, capture_output=True)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0
