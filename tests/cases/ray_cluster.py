"""A real Ray cluster of this machine, with Ray Serve, in an environment of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.sharing import SharedFolder
from tests.waiting import CEILING_S, answers, wait_until_up

REQUIREMENTS = ("ray[serve]==2.60.0", "uv")


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """The ports of the dashboard and of Ray Serve."""

    dashboard: int
    serve: int
    python: Path
    variables: Mapping[str, str]

    def run(self, program: str) -> None:
        """Run a program in the environment of the cluster."""
        subprocess.run((self.python, "-c", program), env=self.variables, check=True, capture_output=True)

    @property
    def address(self) -> str:
        """The address of the dashboard."""
        return f"http://127.0.0.1:{self.dashboard}"

    def applications(self) -> dict[str, Any]:
        """What Ray Serve runs, by the names of the applications."""
        with urllib.request.urlopen(f"{self.address}/api/serve/applications/", timeout=CEILING_S) as response:
            return dict(json.load(response)["applications"])


def install(folder: Path) -> None:
    """Make an environment with Ray."""
    subprocess.run(("uv", "venv", "--quiet", "--no-project", "--no-config", folder), check=True)
    subprocess.run(
        ("uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python", *REQUIREMENTS), check=True
    )


@contextmanager
def ray_cluster(shared: SharedFolder) -> Iterator[RayCluster]:
    """A cluster of one node; all its processes end with the block."""
    programs = shared.make_once("ray", install) / "bin"
    # The paths of Ray's sockets have at most 107 characters.
    scratch = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    port = free_port()
    variables = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(scratch / "home"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_ADDRESS": f"127.0.0.1:{port}",
    }
    cluster = RayCluster(dashboard=free_port(), serve=free_port(), python=programs / "python", variables=variables)
    (scratch / "home").mkdir()
    argv = (
        *(programs / "ray", "start", "--head", "--block", "--port", port, "--node-ip-address", "127.0.0.1"),
        *("--include-dashboard", "true", "--dashboard-host", "127.0.0.1", "--dashboard-port", cluster.dashboard),
        *("--num-cpus", 8, "--object-store-memory", 100_000_000, "--temp-dir", scratch / "s"),
        *("--ray-client-server-port", free_port()),
    )
    log = scratch / "log"
    with log.open("w") as output:
        starting = {name: value for name, value in variables.items() if name != "RAY_ADDRESS"}
        process = subprocess.Popen(
            [*map(str, argv)], env=starting, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_up(lambda: answers(f"{cluster.address}/api/version"), process, log)
        serving = (programs / "serve", "start", "--http-host", "127.0.0.1", "--http-port", str(cluster.serve))
        subprocess.run(serving, env=variables, check=True, capture_output=True)
        yield cluster
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(scratch, ignore_errors=True)
