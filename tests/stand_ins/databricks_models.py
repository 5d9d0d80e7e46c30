"""
A stand-in for a Databricks workspace on loopback: its logins, its files, and the models of Unity Catalog.

Experiments, runs and logged models are those of a real `mlflow server` behind it, which gives locations of files as a
workspace does.
"""

import base64
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.stand_ins.job_identity import ISSUER, JobIdentity, job_identity
from tests.stand_ins.unity_catalog import PREFIX, UnityCatalog
from tests.stand_ins.web import listening
from tests.stores import mlflow_server

ROOT = "dbfs:/databricks/mlflow-tracking"
_FORWARDED = re.compile(r"/api/\d\.0/mlflow/")
_ARTIFACTS, _MODELS = "/WorkspaceInternal/Mlflow/Artifacts/", "/Models/"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_PAGE = 3  # entries on a page of a folder


@dataclass
class DatabricksModels:
    """
    What a workspace keeps, and who may log in: with a token, or a service principal with its secret or by federation.

    `files` are those that were written with the files API, by their paths. A job of GitHub logs in by its `identity` if
    one of the `policies` of the service principal has its issuer, subject and audience. Tokens that are exchanged last
    `lasts_s` seconds, and are accepted if the service principal `is_member`; once one was refused because it ended, the
    next ones last an hour.
    """

    catalog: UnityCatalog = field(default_factory=UnityCatalog)
    token: str = field(default_factory=lambda: f"dapi{secrets.token_hex(16)}")
    principal: tuple[str, str] = field(default_factory=lambda: ("made-up-principal", secrets.token_hex(16)))
    files: dict[str, bytes] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    host: str = ""
    identity: JobIdentity = field(default_factory=JobIdentity)
    policies: list[dict[str, Any]] = field(default_factory=list)
    lasts_s: float = 3600
    is_member: bool = True
    exchanged: dict[str, float] = field(default_factory=dict)

    @property
    def with_identity(self) -> dict[str, str]:
        """The variables of a job of GitHub that logs in as the service principal by its identity."""
        job = {"GITHUB_ACTIONS": "true", **self.identity.variables}
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_CLIENT_ID": self.principal[0], **job}

    @property
    def token_service(self) -> str:
        """What an identity is for, by default."""
        return f"{self.host}/oidc/v1/token"

    def trust_the_job(self) -> None:
        """Add the policy that lets the job log in."""
        self.trust({"audiences": [self.token_service], "issuer": ISSUER, "subject": self.identity.subject})

    def trust(self, policy: dict[str, Any]) -> None:
        """Add a policy to the service principal, which has the three parts of one."""
        assert {"audiences", "issuer", "subject"} == set(policy)
        self.policies.append(policy)

    def accepts(self, authorization: str) -> bool:
        """Whether a request has a token that is valid now."""
        word = authorization.removeprefix("Bearer ")
        if word in self.exchanged:
            has_ended = time.monotonic() >= self.exchanged[word]
            self.lasts_s = 3600 if has_ended else self.lasts_s
            return self.is_member and not has_ended
        return word in (self.token, *self.issued)

    @property
    def with_token(self) -> dict[str, str]:
        """The variables of a client that has a token."""
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_TOKEN": self.token}

    @property
    def with_secret(self) -> dict[str, str]:
        """The variables of a client that logs in as the service principal."""
        client, secret = self.principal
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_CLIENT_ID": client, "DATABRICKS_CLIENT_SECRET": secret}

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> "tuple[int, bytes]":
        """The status and the body of a response, without those that are forwarded."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        if path == "/oidc/v1/token":
            return _json(*self._logged_in(headers, body))
        if path == "/oidc/.well-known/oauth-authorization-server":
            return _json(200, {f"{name}_endpoint": f"{self.host}/oidc/v1/{name}" for name in ("authorize", "token")}
                         | {"authorization_endpoint": f"{self.host}/oidc/v1/authorize"})  # fmt: skip
        if path == "/.well-known/databricks-config":
            return _json(200, {"oidc_endpoint": f"{self.host}/oidc", "workspace_id": "1234"})
        if not self.accepts(headers.get("Authorization", "")):
            self.refused.append(path)
            return _json(403, {"error_code": "PERMISSION_DENIED", "message": "Invalid access token."})
        if path.startswith(PREFIX):
            values = dict(parse_qsl(parts.query)) if method == "GET" else json.loads(body or b"{}")
            return _json(*self.catalog.answer(method, path.removeprefix(PREFIX), values))
        if path.startswith("/api/2.0/fs/files/"):
            return self._file(method, path.removeprefix("/api/2.0/fs/files"), body)
        if path.startswith("/api/2.0/fs/directories/"):
            token = parse_qs(parts.query).get("page_token", ["0"])[0]
            return self._folder(method, path.removeprefix("/api/2.0/fs/directories").rstrip("/"), int(token))
        return _json(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{method} {path}'"})

    def _logged_in(self, headers: Any, body: bytes) -> tuple[int, Any]:
        form, authorization = dict(parse_qsl(body.decode())), headers.get("Authorization", "")
        if form.get("grant_type") == _EXCHANGE:
            return self._federated(form)
        basic = base64.b64encode(":".join(self.principal).encode()).decode()
        if form.get("grant_type") != "client_credentials" or authorization != f"Basic {basic}":
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}
        self.issued.append(secrets.token_hex(16))
        return 200, {"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": 3600, "scope": "all-apis"}

    def _federated(self, form: dict[str, str]) -> tuple[int, Any]:
        """The published exchange: https://docs.databricks.com/aws/en/dev-tools/auth/oauth-federation-exchange."""
        if form.get("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" or form.get("scope") != "all-apis":
            return 400, {"error": "invalid_request", "error_description": "scope or type of the subject token"}
        if form.get("client_id") != self.principal[0]:
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}
        claims = self.identity.claims(form.get("subject_token", ""))
        who = (claims.get("iss"), claims.get("sub"))
        trusted = [policy for policy in self.policies if who == (policy["issuer"], policy["subject"])]
        if not any(claims["aud"] in policy["audiences"] for policy in trusted):
            return 400, {"error": "invalid_grant", "error_description": f"no policy for {form.get('subject_token')}"}
        token = secrets.token_hex(16)
        self.exchanged[token] = time.monotonic() + self.lasts_s
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lasts_s, "scope": "all-apis",
                     "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}  # fmt: skip

    def _file(self, method: str, path: str, body: bytes) -> "tuple[int, bytes]":
        if not self._is_writable(path) and method in ("PUT", "DELETE"):
            return _json(403, {"error_code": "PERMISSION_DENIED", "message": f"{path} cannot be written"})
        if method == "PUT":
            self.files[path] = body
            return 204, b""
        if path not in self.files:
            return _json(404, {"error_code": "NOT_FOUND", "message": f"The file {path} does not exist."})
        if method == "DELETE":
            del self.files[path]
            return 204, b""
        return 200, self.files[path]

    def _is_writable(self, path: str) -> bool:
        """Files of runs and logged models are; those of a version until it is complete."""
        if path.startswith(_ARTIFACTS):
            return True
        *name, version = path.removeprefix(_MODELS).split("/")[:4]
        model = self.catalog.models.get(".".join(name))
        return model is not None and model.versions.get(version, {}).get("status") == "PENDING_REGISTRATION"

    def _folder(self, method: str, path: str, start: int) -> "tuple[int, bytes]":
        below = [name.removeprefix(f"{path}/") for name in sorted(self.files) if name.startswith(f"{path}/")]
        if not below:
            return _json(404, {"error_code": "NOT_FOUND", "message": f"The directory {path} does not exist."})
        if method == "HEAD":
            return 200, b""
        names = sorted({name.partition("/")[0]: "/" in name for name in below}.items())
        contents = [
            {"path": f"{path}/{name}", "name": name, "is_directory": is_folder,
             **({} if is_folder else {"file_size": len(self.files[f"{path}/{name}"])})}
            for name, is_folder in names[start : start + _PAGE]
        ]  # fmt: skip
        more = {"next_page_token": str(start + _PAGE)} if len(names) > start + _PAGE else {}
        return _json(200, {"contents": contents, **more})


def _json(status: int, document: Any) -> "tuple[int, bytes]":
    return status, json.dumps(document).encode()


def _forwarded(tracking: str, method: str, target: str, body: bytes) -> "tuple[int, bytes]":
    """The response of the server behind; an experiment is a path, and a logged model has its own location."""
    if method == "POST" and target.endswith("/experiments/create"):
        name = json.loads(body).get("name", "")
        if name and not name.startswith("/"):
            message = f"Got an invalid experiment name '{name}'. An absolute path is required."
            return _json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message})
    request = urllib.request.Request(  # loopback
        tracking + target, data=body or None, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as reply:
            status, text = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, re.sub(rb"(dbfs:/databricks/mlflow-tracking/\d+/)models/", rb"\1logged_models/", text)


@contextmanager
def databricks_models(python: Path, folder: Path, catalog: UnityCatalog | None = None) -> Iterator[DatabricksModels]:
    """A workspace while the block runs; `python` has MLflow's server, which keeps its database in a folder."""
    workspace = DatabricksModels(catalog=catalog or UnityCatalog())
    turn = Lock()

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes, of which the second would wait for an answer

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path
            authorized = workspace.accepts(self.headers.get("Authorization", ""))
            if authorized and _FORWARDED.match(path) and not path.startswith(PREFIX):
                status, text = _forwarded(tracking, self.command, self.path, body)
            else:
                with turn:
                    status, text = workspace.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            is_file = path.startswith("/api/2.0/fs/files/") and status == 200
            self.send_header("Content-Type", "application/octet-stream" if is_file else "application/json")
            self.send_header("x-databricks-org-id", "1234")
            if status != 204:
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD" and status != 204:
                self.wfile.write(text)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # as the base class calls it

        def log_message(self, *_: object) -> None:
            pass

    with (
        mlflow_server(python, folder, location=ROOT) as tracking,
        listening(Service) as workspace.host,
        job_identity() as workspace.identity,
    ):
        yield workspace
