"""Maps request paths to a bounded set of route patterns, for the V2 protocol and the metrics."""

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
    """A route; `pattern` is one of a fixed set, so that requests cannot create metric series without bound."""

    pattern: str
    name: str = ""
    version: "str | None" = None


OTHER = Route("other")


def route_of(path: str) -> Route:
    """The route of a path; a slash at its end is ignored."""
    shorter = path.rstrip("/")
    if shorter in PLAIN:
        return Route(shorter)
    match = MODEL.fullmatch(shorter)
    if match is None:
        return OTHER
    return Route("/v2/models/{name}" + (match["verb"] or ""), match["name"], match["version"])
