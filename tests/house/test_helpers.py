"""Checks the helpers that the tests share."""

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cases.images import default_gateway
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
