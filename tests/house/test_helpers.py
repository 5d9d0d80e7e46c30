"""Checks the helpers that the tests share."""

import gc
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import ports
from tests.cases.images import default_gateway
from tests.ports import free_port
from tests.sharing import SharedFolder
from tests.waiting import happens, listens, wait_until_up

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\tGATEWAY\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_a_default_route_is_read() -> None:
    """
    It is where a container finds the machine, also with an engine that does not tell the gateway.
    """
    routes = ROUTES.replace("GATEWAY", f"{int.from_bytes(socket.inet_aton('172.17.0.1'), sys.byteorder):08X}")

    assert "172.17.0.1" == default_gateway(routes)


def test_a_server_that_ends_is_told_at_once_with_its_log(tmp_path: Path) -> None:
    """
    Nobody waits for what is no more, and nobody has to guess why.
    """
    log = tmp_path / "log"
    begun = time.monotonic()
    program = (sys.executable, "-c", "raise SystemExit('no port')")
    with log.open("w") as out:
        ended = subprocess.Popen(program, stderr=out)
    with ended, pytest.raises(AssertionError) as caught:
        wait_until_up(lambda: listens(1), ended, log)

    assert "ended with 1: no port" in str(caught.value)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("sent", [b"", b"x"], ids=["nothing was sent", "something was sent"])
@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
def test_a_connection_that_is_reset_before_the_handshake_leaves_nothing_open(*, server_side: bool, sent: bytes) -> None:
    """
    The warning of an open socket would be an error of whichever test runs.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if server_side else ssl.create_default_context()
    reset, number = reset_connection(sent)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(OSError) as raised:  # noqa: PT011 - of the system or of TLS
            context.wrap_socket(reset, server_side=server_side, server_hostname=None if server_side else "host.test")
        raised.value.__traceback__ = None
        del raised
        gc.collect()

    assert [] == [str(warning.message) for warning in caught]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def reset_connection(sent: bytes) -> tuple[socket.socket, int]:
    """A socket whose peer sent some bytes and reset the connection, and its file descriptor."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        found, _ = server.accept()
    peer.send(sent)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    select.select([found], [], [])
    return found, found.fileno()


def test_an_encrypted_connection_that_is_left_open_is_still_noticed() -> None:
    """
    Only those are closed that nobody else could.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        context = ssl.create_default_context()
        sockets = [context.wrap_socket(client, server_hostname="host.test", do_handshake_on_connect=False)]

        with pytest.warns(ResourceWarning, match="unclosed"):
            sockets.clear()


def test_a_port_is_given_once() -> None:
    """
    No other process gets it while this one runs; what an ended one had is free again.
    """
    ours, theirs = free_port(), port_of_another_process(ports.PORTS)

    assert theirs == port_of_another_process((*[ours] * 9, theirs))
    assert ports.PORTS.start <= ours < ports.PORTS.stop


def port_of_another_process(candidates: Sequence[int]) -> int:
    """What `free_port` answers in a process of its own."""
    code = (
        f"import runpy; free_port = runpy.run_path({ports.__file__!r})['free_port']\n"
        f"free_port.__globals__['PORTS'] = {candidates!r}\nprint(free_port())"
    )
    return int(subprocess.run((sys.executable, "-c", code), stdout=subprocess.PIPE, check=True).stdout)


def test_what_never_happens_is_given_up() -> None:
    """
    A ceiling is a ceiling.
    """
    assert not happens(lambda: False, within_s=0)


def test_what_processes_share_is_made_once(tmp_path: Path) -> None:
    """
    However many ask for it at the same time; what a failed attempt left is removed before the next.
    """
    shared, made = SharedFolder(folder=tmp_path), []

    def make(path: Path) -> None:
        made.append(path)
        path.mkdir()
        if len(made) == 1:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        shared.make_once("environment", make)
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: shared.make_once("environment", make), range(8)))

    assert ({tmp_path / "environment"}, 2) == (set(paths), len(made))
