"""Sends requests to a running model server by its URL, with headers, within limits of time and size."""

from collections.abc import Mapping, Sequence

from ... import __version__
from ...core.security.endpoint_address import EndpointAddress, EndpointHeaders
from ..system.web import Web, WebRequest, WebUnreachable
from .model_requests import LIMIT, ModelReply, ModelRequest


class Endpoint:
    """
    A server that others run; see engine.ServingContainer.

    No redirect is followed, so that no other server gets the headers. `unreachable` is why the last request got no
    response. `plain` are headers without secrets. A server with `examples_only` takes JSON in MLflow's formats, and
    may refuse another request than one of this program does. One with `at_once` takes all requests in one `send_all`,
    and none that it refuses.
    """

    at_once = False

    def __init__(
        self,
        web: Web,
        address: EndpointAddress,
        headers: EndpointHeaders,
        *,
        plain: Mapping[str, str] | None = None,
        examples_only: bool = False,
    ) -> None:
        self.address = address
        self.headers = headers
        self.examples_only = examples_only
        self._plain = dict(plain or {})
        self.unreachable: WebUnreachable | None = None
        self._web = web

    def send(self, request: ModelRequest) -> ModelReply | None:
        """
        See ServingContainer; every request goes to the URL of the endpoint, whatever its path.

        A server that speaks the V2 protocol has several: those below the path of its model.
        """
        self.unreachable = None
        secret = {header: self.headers.values[name] for header, name in self.headers.variables.items()}
        web_request = WebRequest(
            url=self.address.url_of(request.path) if self.address.model_path else self.address.invocations,
            method=request.method,
            headers={"Content-Type": request.content_type, "User-Agent": f"mlflow-uv/{__version__}", **self._plain},
            secret=secret,
            form=request.body,
            limit=LIMIT,
        )
        try:
            reply = self._web.post(web_request, timeout_s=request.timeout_s)
        except WebUnreachable as error:
            self.unreachable = error
            return None
        location = reply.headers.get("location", "")
        return ModelReply(status=reply.status, body=reply.body.decode(errors="replace"), location=location)

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer."""
        replies: list[ModelReply | None] = []
        for request in requests:
            replies.append(self.send(request))
            if replies[-1] is None:
                break
        return (*replies, *(None,) * (len(requests) - len(replies)))

    def code(self) -> int | None:
        """See ServingContainer; the exit code is not known here."""
        return None

    def log(self) -> str:
        """See ServingContainer; the log of the server is not here, only why it did not respond."""
        return str(self.unreachable or "")

    def stop(self) -> None:
        """See ServingContainer; others run the server."""
