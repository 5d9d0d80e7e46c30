"""Writes the configuration of the proxy that leads requests to one of two containers or to both, and reads it."""

import re
from collections.abc import Iterable

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .canary import ServedRequest

FOLDER = "/mlflow-uv"
FILE = f"{FOLDER}/haproxy.cfg"
PORT = 8080
# Both start on requests; an old worker ends when its last connection is closed, or after the grace time.
COMMAND = ("haproxy", "-W", "-db", "-f", FILE)
CHECK = ("haproxy", "-c", "-f", FILE)
IDLE_S = 5  # for the next request of a connection
_SLACK_S = 10
_SERVER = lazy_pattern(r"^    server (?P<slot>[a-z]+) ", re.MULTILINE)
# `idle-close-on-response` answers one more request on an idle connection of an old worker, with `Connection: close`;
# without it, a client that sends a request at that moment would get none. A server connection is not used again, since
# a server may close an idle one at the moment of the next request.
_TEXT = """\
# Written by mlflow-uv deploy, which replaces it with each deployment.
global
    hard-stop-after {grace}s
defaults
    mode http
    timeout connect 5s
    timeout client {timeout}s
    timeout server {timeout}s
    timeout http-request 30s
    timeout http-keep-alive {idle}s
    option idle-close-on-response
    option http-server-close
    retries 3
    retry-on conn-failure
resolvers engine
    parse-resolv-conf
    hold valid 1s
frontend requests
    bind :{port}
    default_backend model
backend model
{servers}"""
_SERVER_LINE = "    server {slot} {slot}:{port} resolvers engine init-addr last,libc,none{weight}\n"
# Only while two versions are compared, each request is a line of the proxy's output, without anything that a client
# sent: the server, the status, and the milliseconds until it began to respond, -1 if it did not.
_LOGGED = """\
    log stdout format raw local0
    log-format "{marker} %s %ST %Tr"
"""


@lazy_dataclass
class ProxyTimes:
    """Seconds that follow from the time limit of a request."""

    request_s: float

    @property
    def recorded(self) -> str:
        """The time limit as a fact of a container has it."""
        return f"{self.request_s:g} s"

    @property
    def timeout_s(self) -> int:
        """After this time without a byte, the proxy gives a request up; the server does so before."""
        return int(self.request_s) + _SLACK_S

    @property
    def grace_s(self) -> int:
        """How long an old worker may finish its requests, and connections without one."""
        return self.timeout_s + IDLE_S


def recorded_times(fact: str) -> ProxyTimes | None:
    """The times of a fact of a container; None for another text."""
    try:
        return ProxyTimes(request_s=float(fact.removesuffix(" s")))
    except ValueError:
        return None


def proxy_config(slot: str, times: ProxyTimes) -> str:
    """The configuration of HAProxy 2.6 or newer that leads every request to a container."""
    return _text(_server_line(slot), times)


def shared_config(before: str, new: str, percent: int, times: ProxyTimes, *, marker: str) -> str:
    """The configuration that leads a share of the requests to a new container, and logs each after the marker."""
    servers = _server_line(before, 100 - percent) + _server_line(new, percent)
    return _text(servers, times, logged=_LOGGED.format(marker=marker))


def served_requests(lines: Iterable[str], slot: str) -> tuple[ServedRequest, ...]:
    """The requests that a container got, from the lines that the proxy logged after a marker."""
    fields = (line.split()[-3:] for line in lines)
    return tuple(
        ServedRequest(status=int(status), milliseconds=float(time) if int(time) >= 0 else None)
        for server, status, time in (found for found in fields if len(found) == 3)  # noqa: PLR2004
        if server == slot and status.isdigit() and time.lstrip("-").isdigit()
    )


def _server_line(slot: str, weight: int | None = None) -> str:
    return _SERVER_LINE.format(slot=slot, port=PORT, weight="" if weight is None else f" weight {weight}")


def _text(servers: str, times: ProxyTimes, *, logged: str = "") -> str:
    text = _TEXT.format(servers=servers, port=PORT, grace=times.grace_s, timeout=times.timeout_s, idle=IDLE_S)
    return text.replace("    mode http\n", f"    mode http\n{logged}", 1)


def slot_in(text: str | None) -> str | None:
    """The container that a configuration leads to; None if it is not one of ours."""
    match = _SERVER.search(text or "")
    return match["slot"] if match else None
