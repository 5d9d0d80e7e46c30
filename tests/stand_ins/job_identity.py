"""
A stand-in for what issues identities to jobs of GitHub (OpenID Connect): signed tokens (JWT) for one audience each.

They are signed with a key that both sides have, in place of one that is published: whoever trusts them asks `claims`.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stand_ins.web import served

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:org/wine:ref:refs/heads/main"


@dataclass
class JobIdentity:
    """The identity of a job: `right` is what it asks with, `audiences` are those for which it asked."""

    subject: str = SUBJECT
    lasts_s: float = 300
    right: str = field(default_factory=lambda: secrets.token_hex(16))
    url: str = ""
    audiences: list[str] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def variables(self) -> dict[str, str]:
        """What a job with `id-token: write` has."""
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.right}  # fmt: skip

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """The response to a request."""
        del method, body
        if authorization != f"Bearer {self.right}":
            return 401, {"message": "Unauthorized"}
        (audience,) = parse_qs(urlsplit(path).query).get("audience", [ISSUER])
        self.audiences.append(audience)
        now = time.time()
        claims = {"iss": ISSUER, "sub": self.subject, "aud": audience, "iat": now, "exp": now + self.lasts_s}
        head, content = (_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        self.issued.append(f"{head}.{content}.{self._signature(f'{head}.{content}')}")
        return 200, {"value": self.issued[-1], "count": 1}

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of an identity that was issued here and is valid now; none of any other."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(signed)):
            return {}
        content = signed.partition(".")[2]
        claims: dict[str, Any] = json.loads(urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        return claims if claims["exp"] > time.time() else {}

    def _signature(self, text: str) -> str:
        return _encoded(hmac.new(self._key, text.encode(), hashlib.sha256).digest())


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def job_identity(**given: Any) -> Iterator[JobIdentity]:
    """The identity of a job while the block runs."""
    identity = JobIdentity(**given)
    with served(identity.answer) as identity.url:
        yield identity
