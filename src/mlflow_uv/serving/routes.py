"""Which door does a path lead to? One answer for the protocol, the metrics and the log."""

import re
from dataclasses import dataclass

PLAIN = (
    "/ping",
    "/health",
    "/version",
    "/invocations",
    "/metrics",
    "/openapi.json",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
)
MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/ready|/infer)?")


@dataclass(frozen=True)
class Route:
    """`pattern` is one of a few, so that nobody can fill the metrics by asking for paths."""

    pattern: str
    name: str = ""
    version: "str | None" = None


OTHER = Route("other")


def route_of(path: str) -> Route:
    """The door of a path; a slash at its end is none of the path."""
    shorter = path.rstrip("/")
    if shorter in PLAIN:
        return Route(shorter)
    found = MODEL.fullmatch(shorter)
    if found is None:
        return OTHER
    return Route("/v2/models/{name}" + (found["verb"] or ""), found["name"], found["version"])
