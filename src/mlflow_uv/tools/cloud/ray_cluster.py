"""Asks a Ray cluster by its REST API: uploads packages, runs jobs, and reads what Ray Serve runs."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...command.errors import BadInput, ToolFailed
from ...core.security.origins import is_loopback, is_plain_web_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web, WebReply, WebRequest, WebUnreachable
from .rest import RestAccount, RestApi, child

TITLE = "Ray"
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # names of variables, as Ray's own client reads them
_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105  # the name of a variable
_LOGIN = f"set {_TOKEN} from a secret, the token of the cluster"
_APPLICATIONS = "/api/serve/applications/"
# What a job runs, in the folder of its package; the argument is in Base64, without a sign that a shell reads.
_PROGRAM = "import sys; from mlflow_uv_ray.applications import main; main(sys.argv[1])"
_OVER = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_OK, _ABSENT, _TOO_LARGE = 200, 404, 413


@lazy_dataclass
class RayJob:
    """A job: whether it is over, and why it failed, empty if it did not."""

    over: bool
    failure: str = ""


class RayCluster:
    """A cluster whose dashboard has an address; see connect_ray."""

    def __init__(self, web: Web, api: RestApi, root: str) -> None:
        self.root = root
        self._web = web
        self._api = api

    def applications(self) -> Mapping[str, Any]:
        """What Ray Serve runs, by the names of its applications, and under `http_options` where it listens."""
        found: Mapping[str, Any] = self._api.send("GET", _APPLICATIONS)
        return found

    def upload(self, archive: Path, digest: str) -> str:
        """Upload a package unless the cluster has it; return its URI, which is named after the digest."""
        name = f"_ray_pkg_{digest[:32]}.zip"
        path = f"/api/packages/gcs/{name}"
        if self._sent("GET", path).status != _OK:
            reply = self._sent("PUT", path, upload=archive)
            if reply.status != _OK:
                size = archive.stat().st_size >> 20
                large = reply.status == _TOO_LARGE
                raise ToolFailed(
                    what=f"Ray does not take a package of {size} MiB",
                    why="it is too large for the dashboard" if large else f"status {reply.status}",
                    fix="start the cluster with RAY_DASHBOARD_CLIENT_MAX_SIZE set to a larger number of bytes"
                    if large
                    else "",
                )
        return f"gcs://{name}"

    def run(self, prefix: str, package: str, request: Mapping[str, Any]) -> str:
        """Begin a job with the program in a package; return its id, which begins with the prefix."""
        argument = base64.urlsafe_b64encode(json.dumps(request).encode()).decode()
        job = f"{prefix}{secrets.token_hex(8)}"
        content = {
            "entrypoint": f'python -c "{_PROGRAM}" {argument}',
            "submission_id": job,
            "runtime_env": {"working_dir": package},
        }
        self._api.send("POST", "/api/jobs/", content)
        return job

    def running(self, prefix: str) -> str | None:
        """A job with the prefix that is not over, of this run or of another one."""
        jobs: Sequence[Mapping[str, Any]] = self._api.send("GET", "/api/jobs/")
        names = (str(job.get("submission_id") or "") for job in jobs if job.get("status") not in _OVER)
        return next((name for name in names if name.startswith(prefix)), None)

    def stop(self, name: str) -> None:
        """Stop a job; what it changed stays."""
        self._api.send("POST", f"/api/jobs/{name}/stop")

    def job(self, name: str) -> RayJob:
        """A job of this run."""
        found = self._api.send("GET", f"/api/jobs/{name}")
        state = found.get("status")
        if state not in _OVER:
            return RayJob(over=False)
        if state == "SUCCEEDED":
            return RayJob(over=True)
        log = str(child(self._api.get(f"/api/jobs/{name}/logs"), "logs") or found.get("message") or state)
        lines = [" ".join(line.split()) for line in log.splitlines() if line.strip()]
        return RayJob(over=True, failure=lines[-1][:400] if lines else str(state))

    def _sent(self, method: str, path: str, *, upload: Path | None = None) -> WebReply:
        request = WebRequest(
            url=self.root + path,
            method=method,
            headers={"Content-Type": "application/octet-stream"},
            secret=self._api.headers,
            upload=upload,
        )
        try:
            return self._web.send(request)
        except WebUnreachable as error:
            raise ToolFailed(what="Ray does not answer", why=str(error)) from error


def connect_ray(web: Web, clock: Clock, variables: Mapping[str, str]) -> RayCluster:
    """
    The cluster whose dashboard RAY_API_SERVER_ADDRESS or RAY_ADDRESS names; nothing is sent yet.

    The login is RAY_AUTH_TOKEN, if it is set. Raises BadInput for an address that is neither HTTPS nor this machine.
    """
    named = next((name for name in _ADDRESSES if variables.get(name)), _ADDRESSES[0])
    root = variables.get(named, "").strip().rstrip("/")
    plain = root.startswith("http://") and is_plain_web_address(root) and is_loopback(urlsplit(root).hostname or "")
    if not is_plain_web_address(root) or not (root.startswith("https://") or plain):
        raise BadInput(
            what="the Ray cluster is unknown",
            why=f"{named} is not set" if not root else f"{named} is neither HTTPS nor an address of this machine",
            fix=f"set {named} to the address of the dashboard, such as http://127.0.0.1:8265 behind"
            " `kubectl port-forward` or `ssh -L`",
        )
    token = variables.get(_TOKEN, "").strip()
    account = RestAccount(root=root, title=TITLE, login=_LOGIN, token=lambda: token)
    return RayCluster(web, RestApi(web, clock, account), root)
