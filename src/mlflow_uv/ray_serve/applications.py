"""
The applications of a deployment on Ray Serve: one for each version, and one that leads the requests of clients.

`main` is what a job of the cluster runs: it makes, changes or deletes an application.
"""

import base64
import json
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from .environments import environment
from .node import POLL_S, ModelServer, Unusable, require_uploaded

FOLDER = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "mlflow-uv-ray"
MODEL, ROUTER = "Model", "Router"
RUNNING, FAILED = "RUNNING", "DEPLOY_FAILED"
SLACK_S = 10.0
DRAIN_S = 35.0
MOST_REQUESTS = 100  # at the same time in one replica
FAILURES = 1  # of a constructor, after which a version is given up
LEAD_S = 300.0  # until what leads the requests runs: its replicas reserve nothing, and install nothing
# Of one connection; the proxy of Ray writes those of the other one.
HOP = frozenset({
    "connection", "content-length", "date", "host", "keep-alive", "server", "te", "trailer", "transfer-encoding",
    "upgrade",
})  # fmt: skip

Answer = "tuple[int, dict[str, str], bytes]"


def passed(headers: Any) -> "dict[str, str]":
    """The headers that are not about one connection."""
    return {name: value for name, value in headers.items() if name.lower() not in HOP}


async def asked_of(request: Request) -> "tuple[str, str, dict[str, str], bytes]":
    """The method, the path below that of the application with its query, the headers and the body of a request."""
    root = request.scope.get("root_path", "")
    path = request.scope["path"].removeprefix(root) or "/"
    query = request.scope.get("query_string", b"").decode()
    return request.method, f"{path}?{query}" if query else path, passed(request.headers), await request.body()


class Model:
    """A replica of a version: the server of its files, in the environment of its lock."""

    def __init__(self, version: Mapping[str, Any]) -> None:
        require_uploaded(FOLDER, version["manifest"])
        self._environment = environment(FOLDER / "model", version["requirements"], version["python"], CACHE)
        self._timeout_s = version["request_s"] + SLACK_S
        self._session: Any = None
        made = self._environment
        self._server = ModelServer(made.python, FOLDER, version["variables"], made.bytecode)
        self._server.require_ready()

    def reconfigure(self, facts: Mapping[str, Any]) -> None:
        """What describes a version is kept in its configuration, and changes nothing."""

    def check_health(self) -> None:
        """Raise Unusable if the server ended, so that Ray replaces this replica."""
        if not self._server.answers():
            raise Unusable("the server of the model does not answer")

    async def ask(self, method: str, path: str, headers: "dict[str, str]", body: bytes) -> Any:
        """The status, the headers and the body of a response."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        url = f"http://127.0.0.1:{self._server.port}{path}"
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, passed(response.headers), await response.read()

    async def __call__(self, request: Request) -> Response:
        """Answer a request to the version itself."""
        status, headers, body = await self.ask(*await asked_of(request))
        return Response(body, status_code=status, headers=headers)

    def __del__(self) -> None:
        if hasattr(self, "_server"):
            self._server.stop()


class Router:
    """A replica of what clients ask: it leads each request to a version, by the shares of its configuration."""

    def __init__(self) -> None:
        self._versions: list[Any] = []
        self._shares: list[int] = []

    def reconfigure(self, configuration: Mapping[str, Any]) -> None:
        """Take other shares, in percent by the application of the version."""
        shares = {name: share for name, share in configuration["shares"].items() if share > 0}
        self._versions = [serve.get_deployment_handle(MODEL, app_name=name) for name in shares]
        self._shares = list(shares.values())

    def chosen(self) -> Any:
        """The version that gets the next request."""
        return random.choices(self._versions, self._shares)[0]  # noqa: S311  # no secret

    async def __call__(self, request: Request) -> Response:
        """Answer a request of a client."""
        version = self.chosen()
        status, headers, body = await version.ask.remote(*await asked_of(request))
        return Response(body, status_code=status, headers=headers)


def served(request: Mapping[str, Any]) -> None:
    """Make the application of a version; whether it becomes ready is seen in its status."""
    variables = request["version"]["variables"]
    resources = {"num_cpus": request["cpus"], "memory": request["memory"] << 20}
    deployment = serve.deployment(Model).options(
        name=MODEL,
        num_replicas=request["replicas"],
        max_ongoing_requests=MOST_REQUESTS,
        max_constructor_retry_count=FAILURES,
        graceful_shutdown_timeout_s=DRAIN_S,
        ray_actor_options=resources,
        user_config={"facts": request["facts"], "variables": sorted(variables)},
    )
    name = request["name"]
    target = serve.RunTarget(target=deployment.bind(request["version"]), name=name, route_prefix=f"/{name}")
    serve.run_many([target], wait_for_applications_running=False)


def led(request: Mapping[str, Any]) -> None:
    """Make the application that clients ask, or give it other shares without a new replica."""
    deployment = serve.deployment(Router).options(
        name=ROUTER,
        num_replicas=request["replicas"],
        max_ongoing_requests=MOST_REQUESTS,
        graceful_shutdown_timeout_s=DRAIN_S,
        ray_actor_options={"num_cpus": 0},
        user_config={"shares": request["shares"]},
    )
    deployment._version = request["program"]  # noqa: SLF001  # else Ray replaces the replicas for each share
    name = request["name"]
    target = serve.RunTarget(target=deployment.bind(), name=name, route_prefix=f"/{name}")
    serve.run_many([target], wait_for_applications_running=False)
    require_running(name, LEAD_S)


def require_running(name: str, within_s: float) -> None:
    """Wait until an application runs. Raises Unusable if it does not in time: a job that waits would block others."""
    until = time.monotonic() + within_s
    while True:
        found = serve.status().applications.get(name)
        state = "gone" if found is None else str(found.status.value)
        if state == RUNNING:
            return
        if state == FAILED or time.monotonic() >= until:
            parts = () if found is None else (*found.deployments.values(), found)
            messages = [" ".join(part.message.split()) for part in parts if part.message]
            raise Unusable(f"{name} is {state}: {messages[0][:300] if messages else 'Ray gives no reason'}")
        time.sleep(POLL_S)


def main(argument: str) -> None:
    """Do what the argument says: JSON in Base64, which a shell takes as it is."""
    request = json.loads(base64.urlsafe_b64decode(argument))
    if request["action"] == "serve":
        served(request)
    elif request["action"] == "lead":
        led(request)
    else:
        for name in request["names"]:
            serve.delete(name)
