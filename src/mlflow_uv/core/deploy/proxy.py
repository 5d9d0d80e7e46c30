"""Writes the configuration of the proxy that leads requests to one of two containers, and reads which one it is."""

import re

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

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
    server {slot} {slot}:{port} resolvers engine init-addr last,libc,none
"""


@lazy_dataclass
class ProxyTimes:
    """Seconds that follow from the time limit of a request."""

    request_s: float

    @property
    def timeout_s(self) -> int:
        """After this time without a byte, the proxy gives a request up; the server does so before."""
        return int(self.request_s) + _SLACK_S

    @property
    def grace_s(self) -> int:
        """How long an old worker may finish its requests, and connections without one."""
        return self.timeout_s + IDLE_S


def proxy_config(slot: str, times: ProxyTimes) -> str:
    """The configuration of HAProxy 2.6 or newer that leads every request to a container."""
    return _TEXT.format(slot=slot, port=PORT, grace=times.grace_s, timeout=times.timeout_s, idle=IDLE_S)


def slot_in(text: str | None) -> str | None:
    """The container that a configuration leads to; None if it is not one of ours."""
    match = _SERVER.search(text or "")
    return match["slot"] if match else None
