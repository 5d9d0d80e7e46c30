"""What does a server on loopback answer?"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..core.digests import canonical


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An HTTP status and body."""

    status: int
    body: str


class Http:
    """Plain HTTP/1.1 to loopback: no proxy, no redirects, one connection a request."""

    def get(self, url: str, *, timeout_s: float) -> Reply | None:
        """GET; None where nobody answers in time."""
        return self._ask(url, "GET", None, timeout_s)

    def post(self, url: str, payload: object, *, timeout_s: float) -> Reply | None:
        """POST a JSON payload (bytes are sent as they are); None where nobody answers in time."""
        body = payload if isinstance(payload, bytes) else canonical(payload)
        return self._ask(url, "POST", body, timeout_s)

    def _ask(self, url: str, method: str, body: bytes | None, timeout_s: float) -> Reply | None:
        import http.client  # noqa: PLC0415  # 30 ms that a hook must not pay

        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
        try:
            connection.request(method, parts.path or "/", body=body, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            return Reply(status=response.status, body=response.read().decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
