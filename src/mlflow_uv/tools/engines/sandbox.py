"""Runs payloads inside an image, in a container without network, and validates their untrusted responses."""

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ...command.errors import ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...core.image.dockerfile import VENV
from ...core.security.documents import parse_json
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.request import Request
from ..mlflow.mlflow import PAYLOADS
from ..system.commands import Conversation
from .engine import Engine

WORK_FOLDER = PurePosixPath("/tmp/mlflow-uv")  # noqa: S108  # a tmpfs of the container
LIMIT = 64 << 20  # bytes of artifacts in a response
_PROGRAM = Path(__file__).parents[2] / "installing" / "sandbox.py"
_CONVERSATION = _PROGRAM.with_name("conversation.py")
_PART = lazy_pattern(r"[\w-][\w.-]{0,200}", re.ASCII)


@lazy_dataclass
class SandboxRequest:
    """A request to a payload; `files` are copied to `WORK_FOLDER` by their names."""

    request: Request
    files: tuple[Path, ...]
    serve_env: ServeVariables = NO_VARIABLES


def run_payload(engine: Engine, image: str, request: SandboxRequest, *, answer: Path, artifacts: Path) -> None:
    """
    Run a payload with the packages of an image.

    Its response is written unchanged to the file `answer`, its artifacts to a folder. Raises ToolFailed.
    """
    program = _PROGRAM.read_text(encoding="utf-8")
    argv = (f"{VENV}/bin/python", "-I", "-S", "-c", program, str(WORK_FOLDER), request.request.verb, str(LIMIT))
    with TemporaryDirectory(prefix="mlflow-uv-sandbox-") as scratch:
        archive = Path(scratch) / "archive.tar"
        _pack(archive, request)
        output = engine.run_inside(image, *argv, stdin=archive, timeout_s=None, serve_env=request.serve_env)
    _unpack(output, answer, artifacts)


@contextmanager
def model_container(engine: Engine, image: str, serve_env: ServeVariables) -> Iterator[Conversation]:
    """
    A container for verbs that load the model of an image, without network; it is removed after the block.

    Raises ToolFailed if it does not start.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        _add_payloads(tar)
    program = _CONVERSATION.read_text(encoding="utf-8")
    argv = (f"{VENV}/bin/python", "-I", "-S", "-c", program, str(WORK_FOLDER))
    with engine.converse(image, *argv, serve_env=serve_env) as conversation:
        if conversation.ask(base64.b64encode(archive.getvalue()).decode()) != "{}\n":
            lines = [line for line in conversation.log().splitlines() if line.strip() and " --help'" not in line]
            why = lines[-1].strip() if lines else "it printed nothing"
            raise ToolFailed(what="the container for the model does not start", why=why)
        yield conversation


def _add_payloads(tar: tarfile.TarFile) -> None:
    for path in sorted(PAYLOADS.rglob("*.py")):
        tar.add(path, f"payloads/{path.relative_to(PAYLOADS).as_posix()}", filter=_readable)


def _pack(archive: Path, request: SandboxRequest) -> None:
    with tarfile.open(archive, "w") as tar:
        _add_payloads(tar)
        for path in request.files:
            tar.add(path, path.name, filter=_readable)
        text = json.dumps(asdict(request.request)).encode()
        entry = tarfile.TarInfo("request.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode = 0o644
    return entry


def _unpack(output: str, answer: Path, artifacts: Path) -> None:
    try:
        parts = parse_json(output)
        text, encoded = parts["answer"], parts["artifacts"]
        contents = {name: base64.b64decode(content, validate=True) for name, content in encoded.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ToolFailed(
            what="the output of the container is not a valid response", why="the model may have written to it"
        ) from error
    if not isinstance(text, str):
        raise ToolFailed(what="the model ended the process that called it", why="there is no response")
    answer.write_text(text, encoding="utf-8")
    for name, content in contents.items():
        path = PurePosixPath(name)
        if path.parts and all(map(_PART.fullmatch, path.parts)):
            (artifacts / path).parent.mkdir(parents=True, exist_ok=True)
            (artifacts / path).write_bytes(content)
