"""Waits for conditions, with a limit far above the time that they take on a busy machine."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

# Not how long anything takes: after this, it never will.
CEILING_S = 600.0
BETWEEN_S = 0.05
T = TypeVar("T")


def happens(condition: Callable[[], Any], *, within_s: float = CEILING_S) -> bool:
    """Ask again and again; whether it came to be so."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(BETWEEN_S)
    return True


def first_that_is_long_enough(attempt: Callable[[float], T | None], *, first_s: float) -> T:
    """
    What an attempt returns, with a limit that is ten times as long after each one that returns nothing.

    For a program that is ended at a limit, and must have begun by then: when that is depends on who uses the machine.
    """
    limit_s = first_s
    while (result := attempt(limit_s)) is None:
        assert limit_s < CEILING_S, f"{limit_s:.0f} s are not long enough"
        limit_s *= 10
    return result


def answers(url: str) -> bool:
    """Whether somebody answers to a GET, with success."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=CEILING_S):  # our own loopback
        return True
    return False


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens on a port of an address of this machine."""
    with suppress(OSError), socket.create_connection((address, port), timeout=CEILING_S):
        return True
    return False


def wait_until_up(condition: Callable[[], Any], process: "subprocess.Popen[Any]", log: Path | None = None) -> None:
    """Return when a server is up; complain with its log as soon as it has ended instead."""

    def printed() -> str:
        return log.read_text(errors="replace")[-5000:] if log is not None else "its log is not kept"

    def settled() -> bool:
        return process.poll() is not None or bool(condition())

    assert happens(settled), f"{process.args!r} is not up after {CEILING_S:.0f} s: {printed()}"
    assert process.poll() is None, f"{process.args!r} ended with {process.returncode}: {printed()}"
