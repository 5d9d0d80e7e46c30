"""Serializes changes to a registered model by a lease, which is a tag on the registered model."""

import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel

from .problems import Problem, ProblemKind

PREFIX = "mlflow-uv.turn."
LEASE_S = 120.0
_PAUSE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class LeaseClock:
    """Seconds that only go forward, the date as seconds since 1970, waiting, and chance: a test brings its own."""

    now_s: Callable[[], float] = time.monotonic
    date_s: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep
    token: Callable[[], str] = field(default=lambda: secrets.token_hex(8))


CLOCK = LeaseClock()


@dataclass(kw_only=True)
class Lease:
    """
    A lease on a registered model, announced by a tag on it, because MLflow has no compare-and-set.

    A process announces its lease, then reads, and continues only if it reads its own announcement and no other.
    Of two announcements, one was written later. Its writer's answer shows it, so it shows the earlier one too, which
    stands until its owner is done. So the later one does not go on while the earlier one may.

    If both stand, the one of the smaller token stays and the other is withdrawn, so that one of them goes on. What has
    been seen to stand for as long as it says itself, `lease_s`, belongs to a dead process and is taken away. No key is
    used twice, and nobody goes on, or acts, by an announcement that could be taken away by now: `look` says so. What
    remains is one call to the registry that takes longer than what is left of the lease: at first, at least half.
    """

    client: MlflowClient
    name: str
    lease_s: float
    about: "Mapping[str, Any]"
    clock: LeaseClock
    notes: "list[str]" = field(default_factory=list)
    _key: "str | None" = None
    _since: float = 0.0

    def look(self) -> RegisteredModel:
        """The registered model as it is now. Raises a conflict if the lease expired: nothing may be changed then."""
        found = self.client.get_registered_model(self.name)
        if self._key not in found.tags or self._age_s() >= self.lease_s:
            raise Problem(
                ProblemKind.CONFLICT, f"the lease of {self.lease_s:g} s expired before the change was complete"
            )
        return found

    def acquire(self) -> None:
        """Wait until the lease is ours. Raises not-found if there is no such model."""
        seen: dict[str, float] = {}
        while True:
            tags = self.client.get_registered_model(self.name).tags
            others = self._others(tags, seen)
            if self._key is None and not others:
                self._announce()
                continue
            fresh = self._age_s() < self.lease_s / 2
            if self._key in tags and not others and fresh:
                return
            if self._key is not None and (not fresh or (others and min(others) < self._key)):
                self.release()
            self.clock.wait(_PAUSE_S)

    def release(self) -> None:
        """Delete the announcement; safe to call twice."""
        if self._key is not None:
            self.client.delete_registered_model_tag(self.name, self._key)
            self._key = None

    def _announce(self) -> None:
        self._since = self.clock.now_s()
        self._key = PREFIX + self.clock.token()
        about = json.dumps({**self.about, "lease_s": self.lease_s}, ensure_ascii=False)
        self.client.set_registered_model_tag(self.name, self._key, about)

    def _age_s(self) -> float:
        return self.clock.now_s() - self._since

    def _others(self, tags: "Mapping[str, str]", seen: "dict[str, float]") -> "list[str]":
        """The announcements of others that still count; those of the dead are taken away."""
        now = self.clock.now_s()
        alive = []
        for key in (key for key in tags if key.startswith(PREFIX) and key != self._key):
            if now - seen.setdefault(key, now) < _lease_s(tags[key], self.lease_s):
                alive.append(key)
                continue
            self.client.delete_registered_model_tag(self.name, key)
            self.notes.append(f"an expired lease was deleted: {tags[key]}")
        return alive


def _lease_s(announcement: str, default: float) -> float:
    try:
        return float(json.loads(announcement)["lease_s"])
    except (ValueError, TypeError, KeyError):
        return default


@contextmanager
def lease(
    client: MlflowClient, name: str, *, lease_s: float, about: "Mapping[str, Any]", clock: LeaseClock = CLOCK
) -> Iterator[Lease]:
    """
    Hold the lease on a registered model while the block runs; `about` names its owner to other processes.

    A server that fails when the lease is released undoes nothing: the lease then expires, and a note says so.
    """
    mine = Lease(client=client, name=name, lease_s=lease_s, about=about, clock=clock)
    with _ending_in_order():
        try:
            mine.acquire()
            yield mine
        finally:
            try:
                mine.release()
            except Exception as error:  # noqa: BLE001  # whatever it is, the move is done
                mine.notes.append(f"the lease could not be released and expires after {lease_s:g} s: {error}")


class _Terminated(BaseException):
    """SIGTERM, received while a lease is held."""


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Release the lease on SIGTERM before the process ends: the next process would wait until the lease expires."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: "FrameType | None") -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except _Terminated:
        signal.signal(signal.SIGTERM, before)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
