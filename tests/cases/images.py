"""Builds small images in seconds, and reads their layers."""

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow_uv.command.host import Host
from mlflow_uv.core.image.dockerfile import Recipe, render_dockerfile
from mlflow_uv.core.image.layers import LARGE, PACKAGES, PackageLayer
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.tools.engines.build_context import ContextContents
from mlflow_uv.tools.system.archives import extract
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests import projects
from tests.console import KeptConsole

BASE = "python:3.11-slim"
LayerEntry = tuple[bytes, int, int, int, int, float, str]


@contextmanager
def image_builder_in(scratch: Path, **variables: str) -> Iterator["ImageBuilder"]:
    """Tools as a surface would make them for a caller with these variables, too."""
    host = Host.of({**os.environ, **variables}, folder=Path("/"), python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        yield ImageBuilder(tools=tools, scratch=scratch)


@dataclass(frozen=True, kw_only=True)
class ImageBuilder:
    """Makes folders to build from, with one small package that travels as a wheel; `tools` are a surface's."""

    tools: Tools
    scratch: Path

    def model(self, name: str, answer: str | None = None) -> Path:
        """
        Something that lies where a model would.

        Without an `answer`, one that no other builder gives: an image of the same content would have the same id, and
        be gone when the test that runs beside removes it.
        """
        folder = self.scratch / name
        (folder / "code").mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}\n")
        (folder / "code" / "answer.txt").write_text(answer or str(self.scratch))
        return folder

    def context(
        self,
        name: str,
        model: Path,
        *,
        requirements: str | None = None,
        package: str = "grape",
        below: str = "",
        machines: tuple[str, ...] = ("amd64", "arm64"),
        **recipe: Any,
    ) -> Path:
        """A folder to build from; the `requirements` are else the package. What is `below` gets a layer of its own."""
        if requirements is None:
            wheel = projects.wheel(self.scratch / f"{name}-wheel", package, "1.0")
            (model / WHEELS).mkdir(parents=True, exist_ok=True)
            shutil.copy(wheel, model / WHEELS)
            requirements = f"{WHEELS}/{wheel.name} --hash=sha256:{digest_of(wheel)}\n"
        folder = self.scratch / name
        parts = (*((PackageLayer(folder=LARGE, requirements=below),) if below else ()),)
        parts += (PackageLayer(folder=PACKAGES, requirements=requirements),)
        digests = {part.folder: self.tools.contexts.digest(part, model) for part in parts}
        text = render_dockerfile(Recipe(**{"base": BASE, "hashed": True, "resolved": True, **recipe}, parts=digests))
        contents = ContextContents(dockerfile=text, readme="", parts=parts, model=model, machines=machines)
        self.tools.contexts.write(folder, contents)
        return folder


def digest_of(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def address_of_this_machine() -> str:
    """
    Where what listens here is found from where Docker builds: a container's own default route.

    An engine that was started for the first time does not tell the gateway of its network.
    """
    routes = subprocess.run(
        ("docker", "run", "--rm", "--entrypoint=cat", BASE, "/proc/net/route"),
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return default_gateway(routes)


def default_gateway(routes: str) -> str:
    """The gateway in a table of routes as Linux shows it: hexadecimal, in the byte order of the machine."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    (gateway,) = {row[2] for row in rows if row[1] == "00000000"}
    return socket.inet_ntoa(int(gateway, 16).to_bytes(4, sys.byteorder))


@contextmanager
def built(context: Path, *words: str, engine: str = "docker") -> Iterator[str]:
    """The id of an image built from a folder by hand; it is removed afterwards."""
    argv = (engine, "build", *(("--format=docker", "--timestamp=315532800") if engine == "podman" else ()))
    written = context.parent / f"{context.name}.id"
    done = subprocess.run(
        (*argv, *words, "--iidfile", written, context),
        capture_output=True, text=True, check=False, env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    try:
        yield written.read_text().strip()
    finally:
        subprocess.run(
            (engine, "image", "rm", "--force", written.read_text().strip()), capture_output=True, check=False
        )


def remove_image(image: str, engine: str = "docker") -> None:
    """Remove an image that a test made, if it is there."""
    subprocess.run((engine, "image", "rm", "--force", image), capture_output=True, check=False)


def run_in(image: str, *argv: str, engine: str = "docker") -> str:
    """What a program of an image prints."""
    words = (engine, "run", "--rm", "--network=none", f"--entrypoint={argv[0]}", image, *argv[1:])
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def inspect_image(image: str, engine: str = "docker") -> dict[str, Any]:
    """What an engine says of an image."""
    done = subprocess.run((engine, "image", "inspect", image), capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)
    return found


def saved_layers(image: str, folder: Path, engine: str = "docker") -> list[Path]:
    """The layers of an image as archives, the base's first; the folder holds its configuration, too."""
    folder.mkdir()
    archive = folder.with_name(f"{folder.name}.tar")
    subprocess.run((engine, "save", "--output", archive, image), check=True)
    extract(archive, folder)
    archive.unlink()
    (manifest,) = json.loads((folder / "manifest.json").read_text())
    return [folder / layer for layer in manifest["Layers"]]


def layer_entries(layer: Path) -> dict[str, LayerEntry]:
    """Everything in a layer: type, size, mode, owner, group, time, and digest or target."""
    found = {}
    with tarfile.open(layer) as archive:
        for one in archive:
            file = archive.extractfile(one) if one.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else one.linkname
            found[one.name] = (one.type, one.size, one.mode, one.uid, one.gid, one.mtime, content)
    return found


def encodings_of(secret: str) -> dict[str, bytes]:
    """A secret as it could be written down; of base64, what is the same wherever it begins."""
    found = {
        "plain": secret.encode(),
        "url": quote(secret, safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
    }
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode())
        found[f"base64+{shift}"] = coded[(0, 2, 3)[shift] : len(coded) - 4]
    return found


def leaks(image: str, folder: Path, *secrets: str, engine: str = "docker") -> set[str]:
    """Where one of them shows, in which guise: every layer's files, configuration, history; nothing is decompressed."""
    known = [(kind, wanted) for secret in secrets for kind, wanted in encodings_of(secret).items()]
    found: set[str] = set()

    def look(where: str, data: bytes) -> None:
        found.update(f"{where}: {kind}" for kind, wanted in known if wanted in data)

    look("history", subprocess.run((engine, "history", "--no-trunc", image), capture_output=True, check=True).stdout)
    layers = saved_layers(image, folder, engine)
    for path in folder.glob("*.json"):
        look("configuration", path.read_bytes())
    for layer in layers:
        with tarfile.open(layer) as archive:
            for one in archive:
                file = archive.extractfile(one) if one.isreg() else None
                look(one.name, (file.read() if file else b"") + f"{one.name} {one.linkname}".encode())
    return found
