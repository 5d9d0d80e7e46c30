"""What reaches private packages while an image is built is in no layer, no configuration and no history of it."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build
from mlflow_uv.tools.uv.network import build_secrets
from tests import projects

from .composed_context import composed_from, load
from .images import (
    ImageBuilder,
    address_of_this_machine,
    digest_of,
    encodings_of,
    image_builder_in,
    leaks,
    remove_image,
    run_in,
)

pytestmark = pytest.mark.engine
SECRET = 'c0rrect/horse+"battery"\\staple'  # a marker that must appear nowhere
ELSEWHERE = "another-secret-of-the-environment"
# A build that leaks what it was handed: as it is, escaped for a URL and for JSON, and in base64 wherever it may begin.
LEAK = """
USER 0:0
RUN --mount=type=secret,id=network,target=/dev/network ["/opt/venv/bin/python", "-c", "\\
import base64, json, urllib.parse; \\
password = json.load(open('/dev/network'))['UV_INDEX_PRIVATE_PASSWORD']; \\
texts = [password, urllib.parse.quote(password, safe=''), json.dumps(password)]; \\
texts += [base64.b64encode(b'x' * at + password.encode() + b'more').decode() for at in range(3)]; \\
[open(f'/opt/leak-{at}', 'w').write(text) for at, text in enumerate(texts)]"]
"""


@dataclass(frozen=True)
class Private:
    """An index that wants a password and is reached from where images are built; the paths that it gave away."""

    host: str
    port: int
    wheel: Path
    given: list[str] = field(default_factory=list)

    def url(self, account: str = "") -> str:
        """Its address."""
        return f"http://{account}{self.host}:{self.port}/simple"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Private]:
    """An index with one wheel, another one every time: no cache has it."""
    wheel = projects.wheel(tmp_path, "plum", f"1.{time.time_ns()}")
    expected = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()
    page = f'<a href="{wheel.name}#sha256={digest_of(wheel)}">{wheel.name}</a>'.encode()
    known = {"/simple/plum/": page, f"/simple/plum/{wheel.name}": wheel.read_bytes()}
    given: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == expected
            body = known.get(self.path, b"") if allowed else b""
            self.send_response((200 if body else 404) if allowed else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Type", "text/html" if body is page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if body:
                given.append(self.path)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    host = address_of_this_machine()
    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Private(host, server.server_port, wheel, given)
    server.shutdown()
    server.server_close()


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[ImageBuilder]:
    """Tools of a caller whose environment holds a secret that is nobody's business."""
    with image_builder_in(tmp_path, MY_API_TOKEN=ELSEWHERE) as made:
        yield made


def context_for(builder: ImageBuilder, private: Private) -> Path:
    """A folder to build from whose one requirement is in the index."""
    version = private.wheel.name.split("-")[1]
    plum = f"plum=={version} --hash=sha256:{digest_of(private.wheel)}\n"
    return builder.context("context", builder.model("model"), requirements=plum)


@pytest.mark.parametrize(
    "way",
    [
        "index URL",
        pytest.param("environment", marks=pytest.mark.extended),
        pytest.param("netrc", marks=pytest.mark.extended),
    ],
)
def test_credentials_are_used_and_nowhere_to_be_found(
    builder: ImageBuilder, private: Private, tmp_path: Path, way: str
) -> None:
    """
    The package is installed with them; plain or escaped, they are in no file of any layer and in no word of the image.
    """
    caller = dict(builder.tools.host.variables)
    match way:
        case "index URL":
            caller["UV_DEFAULT_INDEX"] = private.url(f"reader:{quote(SECRET, safe='')}@")
        case "environment":
            caller |= {"UV_INDEX": f"private={private.url()}", "UV_DEFAULT_INDEX": private.url()}
            caller |= {"UV_INDEX_PRIVATE_USERNAME": "reader", "UV_INDEX_PRIVATE_PASSWORD": SECRET}
        case _:
            (tmp_path / "netrc").write_text(f"machine {private.host} login reader password {netrc_quoted(SECRET)}\n")
            caller |= {"UV_DEFAULT_INDEX": private.url(), "NETRC": str(tmp_path / "netrc")}
    context = context_for(builder, private)

    image = docker(builder).build(Build(context=context, secrets=build_secrets(tmp_path, caller, {})))
    try:
        found = leaks(image.id, tmp_path / "saved", SECRET, ELSEWHERE, private.url())
        installed = run_in(image.id, "/opt/venv/bin/python", "-c", "import plum; print('here')")
    finally:
        remove_image(image.id)

    assert ("here\n", True) == (installed, f"/simple/plum/{private.wheel.name}" in private.given)
    assert set() == found


@pytest.mark.extended
def test_composing_uses_credentials_that_are_nowhere_to_be_found(private: Private, tmp_path: Path) -> None:
    """
    uv uses them on this machine: they are in no layer, in no word of the image, and in no file that is cached.
    """
    version = private.wheel.name.split("-")[1]
    account = private.url(f"reader:{quote(SECRET, safe='')}@")
    home = tmp_path / "home"
    caller = {"UV_DEFAULT_INDEX": account, "MY_API_TOKEN": ELSEWHERE, "MLFLOW_UV_HOME": str(home)}
    with image_builder_in(tmp_path, MLFLOW_UV_HOME=str(home)) as plain, image_builder_in(tmp_path, **caller) as builder:
        model = plain.model("model")
        context = plain.context("context", model, requirements="", machines=("amd64",))
        lines = {"plum": (f"plum=={version} --hash=sha256:{digest_of(private.wheel)}",)}
        composed = composed_from(builder, context, model, tmp_path / "composed", lines)
    image = load(composed, tmp_path)
    try:
        found = leaks(image, tmp_path / "saved", SECRET, ELSEWHERE, private.url())
        installed = run_in(image, "/opt/venv/bin/python", "-c", "import plum; print('here')")
    finally:
        remove_image(image)
    cached = [path for path in home.rglob("*") if path.is_file() and path.suffix in {".json", ".txt", ""}]

    assert ("here\n", True) == (installed, f"/simple/plum/{private.wheel.name}" in private.given)
    assert set() == found
    words = [*encodings_of(SECRET).values(), ELSEWHERE.encode()]
    assert [] == [path for path in cached if any(word in path.read_bytes() for word in words)]


def test_a_build_that_leaks_is_found_out(builder: ImageBuilder, private: Private, tmp_path: Path) -> None:
    """
    The same scan finds the same secret in each of its guises, in files, in the configuration and in the history.
    """
    caller = {
        "UV_DEFAULT_INDEX": private.url(f"reader:{quote(SECRET, safe='')}@"), "UV_INDEX_PRIVATE_PASSWORD": SECRET,
    }  # fmt: skip
    context = context_for(builder, private)
    escaped = re.sub(r'(["\\$])', r"\\\1", SECRET)
    with (context / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f'{LEAK}ENV TOKEN="{escaped}"\n')

    image = docker(builder).build(Build(context=context, secrets=build_secrets(tmp_path, caller, {})))
    try:
        found = leaks(image.id, tmp_path / "saved", SECRET)
    finally:
        remove_image(image.id)

    kinds = {where.rpartition(": ")[2] for where in found if where.startswith("opt/leak-")}
    assert set(encodings_of(SECRET)) == kinds
    assert {"configuration: json", "history: plain"} <= found


def test_without_credentials_there_is_no_image(builder: ImageBuilder, private: Private, tmp_path: Path) -> None:
    """
    The index does want its password: a build without it fails with uv's reason.
    """
    caller = {"UV_DEFAULT_INDEX": private.url()}
    context = context_for(builder, private)

    with pytest.raises(ToolFailed) as caught:
        docker(builder).build(Build(context=context, secrets=build_secrets(tmp_path, caller, {})))

    assert ("the image cannot be built", []) == (caught.value.what, private.given)
    assert "401 Unauthorized" in caught.value.why
    assert "UV_INDEX_NAME_PASSWORD" in caught.value.fix


def docker(builder: ImageBuilder) -> Docker:
    """The engine, for this caller."""
    tools = builder.tools
    return Docker(tools.runner, variables=tools.host.variables, on_line=print)


def netrc_quoted(text: str) -> str:
    """A word of a netrc: between quotes, with what would end it escaped."""
    return json.dumps(text)
