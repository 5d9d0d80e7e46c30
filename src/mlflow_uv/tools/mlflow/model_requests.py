"""Sends HTTP requests to a model server on loopback, without proxy or redirects, one connection a request."""

import base64
import json
from pathlib import Path

from ...core.model.derived_formats import JSON_TYPE
from ...core.model.load_figures import MOST_REQUESTS
from ...payloads.messages.lazy_dataclass import lazy_dataclass

LOAD = Path(__file__).parents[2] / "installing" / "load.py"
READY_S = 2.0  # seconds for which one client waits until a server is ready
LIMIT = 256 << 20  # bytes of a response that are read: the server may be malicious


@lazy_dataclass
class ModelRequest:
    """
    A request with a body of a media type; `timeout_s` is the timeout of each read of the response.

    A client in a container repeats it for `repeat_s` seconds until the status is 200; any other client sends it once.
    """

    method: str
    path: str
    body: bytes | None = None
    timeout_s: float
    repeat_s: float = 0.0
    content_type: str = JSON_TYPE


def readiness_request(path: str, remaining_s: float) -> ModelRequest:
    """
    A request for whether a server is ready, of which each client gets an answer within seconds.

    To start a client in a container takes longer than a request, and delays the server that is starting there.
    """
    return ModelRequest(method="GET", path=path, timeout_s=5, repeat_s=max(0.0, min(READY_S, remaining_s)))


@lazy_dataclass
class ModelReply:
    """An HTTP status and body; `location` is the target of a redirect."""

    status: int
    body: str
    location: str = ""


@lazy_dataclass
class LoadPlan:
    """Requests to send in turn, by `concurrency` connections, for a number of seconds; timeout of each response."""

    bodies: tuple[str, ...]
    concurrency: int
    seconds: float
    timeout_s: float

    def message(self, *, port: int, root: int) -> str:
        """The plan as installing/load.py reads it; `root` is the process id of the server."""
        plan = {
            "port": port,
            "path": "/invocations",
            "bodies": [base64.b64encode(body.encode()).decode() for body in self.bodies],
            "concurrency": self.concurrency,
            "seconds": self.seconds,
            "requests": MOST_REQUESTS,
            "timeout_s": self.timeout_s,
            "root": root,
        }
        return json.dumps(plan)

    @property
    def longest_s(self) -> float:
        """Seconds after which it has ended, or is stopped."""
        return self.seconds + self.timeout_s * (len(self.bodies) + 1)


def send(request: ModelRequest, *, port: int) -> ModelReply | None:
    """The response from a port on loopback; None if there is none within the timeout."""
    import http.client  # noqa: PLC0415  # few steps ask a model

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=request.timeout_s)
    try:
        headers = {"Content-Type": request.content_type}
        connection.request(request.method, request.path, body=request.body, headers=headers)
        response = connection.getresponse()
        content = response.read(LIMIT)
        if response.length and len(content) < LIMIT:  # `read` returns what came before the server closed the connection
            return None
        return ModelReply(status=response.status, body=content.decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
