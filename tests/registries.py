"""A real container registry on loopback, with a folder of its own."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}/registry
http:
  addr: 127.0.0.1:{port}
log:
  accesslog:
    disabled: true
"""
SECONDS = 30


@contextmanager
def registry(folder: Path, program: str) -> Iterator[str]:
    """Its name, HOST:PORT, while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen((program, "serve", folder / "config.yml"), stdout=log, stderr=log)
        try:
            until = time.monotonic() + SECONDS
            while not _listens(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(SECONDS)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def digest_in(host: str, name: str, tag: str) -> tuple[str, str]:
    """What a registry says of a tag: the media type and the digest of its manifest."""
    kinds = (
        "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
    )
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": kinds})) as reply:
        return reply.headers["Content-Type"], reply.headers["Docker-Content-Digest"]
