"""A web client that asks stand-ins in memory in place of servers."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from mlflow_uv.tools.system.web import WebReply, WebRequest

Answer = Callable[[str, str, str, bytes], tuple[int, Any]]


class StandInWeb:
    """See tools.system.web.Web; `answer` gets the method, the path, the header Authorization and the body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.secrets: list[str] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        method = request.method or ("GET" if request.form is None else "POST")
        parts = urlsplit(request.url)
        authorization = request.secret.get("Authorization", "")
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        status, document = self._answer(method, path, authorization, request.form or b"")
        return WebReply(status=status, headers={}, body=json.dumps(document).encode())

    def post(self, request: WebRequest, *, timeout_s: float) -> WebReply:
        """See Web."""
        del timeout_s
        return self.send(request)
