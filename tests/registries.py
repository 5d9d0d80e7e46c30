"""A real container registry on loopback, with a folder of its own."""

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError

from tests.conftest import missing
from tests.ports import free_port
from tests.waiting import CEILING_S, listens, wait_until_up

CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}/registry
http:
  addr: {address}:{port}{tls}
log:
  accesslog:
    disabled: true
"""
TLS = "\n  tls:\n    certificate: {keys}/host.pem\n    key: {keys}/host.key"
# Who may read and write where a registry asks, a user and those that clouds have: the password is corked-bottle.
USER, PASSWORD = "alice", "corked-bottle"
BCRYPT = "$2y$05$abcdefghijklmnopqrstuudPj6ZQkv1ELPOAXerMoSwbM0GfrG6zm"
ACCOUNTS = "".join(f"{user}:{BCRYPT}\n" for user in (USER, "AWS", "oauth2accesstoken"))
PRIVATE = "auth:\n  htpasswd:\n    realm: cellar\n    path: {folder}/accounts\n"


def own_address() -> str:
    """An address of this machine that is not loopback; skips, or fails, where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: the address is of no machine (RFC 5737)
        except OSError:
            missing("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@contextmanager
def registry(
    folder: Path, program: str, *, private: bool = False, address: str = "127.0.0.1", keys: Path | None = None
) -> Iterator[str]:
    """
    Its name, HOST:PORT, while it runs; a private one is for one user alone.

    With TLS if `keys` is a folder of `endpoints.certified`.
    """
    port = free_port()
    (folder / "accounts").write_text(ACCOUNTS)
    config = CONFIG + (PRIVATE if private else "")
    tls = TLS.format(keys=keys) if keys else ""
    (folder / "config.yml").write_text(config.format(folder=folder, address=address, port=port, tls=tls))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen((program, "serve", folder / "config.yml"), stdout=log, stderr=log)
        try:
            wait_until_up(lambda: listens(port, address), process, folder / "log")
            yield f"{address}:{port}"
        finally:
            process.terminate()
            process.wait(CEILING_S)


def digest_in(host: str, name: str, tag: str) -> tuple[str, str]:
    """What a registry says of a tag: the media type and the digest of its manifest."""
    headers, _ = _manifest(host, name, tag)
    return headers["Content-Type"], headers["Docker-Content-Digest"]


def is_in(host: str, name: str, tag: str) -> bool:
    """Whether anybody could pull it."""
    try:
        digest_in(host, name, tag)
    except HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True


def platforms_in(host: str, name: str, tag: str) -> dict[str, str]:
    """What a registry has for each platform under a tag: the digests of their manifests."""
    _, body = _manifest(host, name, tag)
    platforms = ((one["platform"], one["digest"]) for one in json.loads(body)["manifests"])
    return {f"{platform['os']}/{platform['architecture']}": digest for platform, digest in platforms}


def _manifest(host: str, name: str, tag: str) -> tuple[Message, bytes]:
    kinds = (
        "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
    )
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": kinds})) as reply:
        return reply.headers, reply.read()
