"""Implements a lease on a registered model, so that one process at a time moves its aliases."""

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

from ..messages.tags import LEASE_PREFIX
from ..problems import Problem, ProblemKind

_PAUSE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class LeaseClock:
    """Monotonic seconds, seconds since 1970, sleeping and random tokens; tests pass their own."""

    now_s: Callable[[], float] = time.monotonic
    date_s: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep
    token: Callable[[], str] = field(default=lambda: secrets.token_hex(8))


CLOCK = LeaseClock()


@dataclass(kw_only=True)
class Lease:
    """
    A lease on a registered model, recorded as a tag of it, because MLflow has no compare-and-set.

    A process writes its tag, then reads all tags, and holds the lease only if its own tag is there and no other. Of two
    tags, one was written later. The process that wrote it reads both, because the earlier one stays until its holder is
    done. So the later process does not hold the lease while the earlier one may.

    If both see two tags, the one with the smaller token stays and the other is deleted, so that one of them gets the
    lease. A tag that has been seen for its own `lease_s` seconds belongs to a dead process and is deleted. No key is
    used twice, and no process acts on a tag that others may have deleted by now: `read` checks this. The remaining risk
    is one call to the registry that takes longer than the rest of the lease, which is at least half of it at first.
    """

    client: MlflowClient
    name: str
    lease_s: float
    about: "Mapping[str, Any]"
    clock: LeaseClock
    notes: "list[str]" = field(default_factory=list)
    _key: "str | None" = None
    _since: float = 0.0

    def read(self) -> RegisteredModel:
        """The current registered model. Raises a conflict if the lease has expired: nothing may be changed then."""
        registered = self.client.get_registered_model(self.name)
        if self._key not in registered.tags or self._age_s() >= self.lease_s:
            raise Problem(
                ProblemKind.CONFLICT, f"the lease of {self.lease_s:g} s expired before the change was complete"
            )
        return registered

    def acquire(self) -> None:
        """Wait for the lease. Raises not-found if there is no such model."""
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
        """Delete the tag; safe to call twice."""
        if self._key is not None:
            self.client.delete_registered_model_tag(self.name, self._key)
            self._key = None

    def _announce(self) -> None:
        self._since = self.clock.now_s()
        self._key = LEASE_PREFIX + self.clock.token()
        about = json.dumps({**self.about, "lease_s": self.lease_s}, ensure_ascii=False)
        self.client.set_registered_model_tag(self.name, self._key, about)

    def _age_s(self) -> float:
        return self.clock.now_s() - self._since

    def _others(self, tags: "Mapping[str, str]", seen: "dict[str, float]") -> "list[str]":
        """The valid tags of other processes; expired ones are deleted."""
        now = self.clock.now_s()
        alive = []
        for key in (key for key in tags if key.startswith(LEASE_PREFIX) and key != self._key):
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
def hold_lease(
    client: MlflowClient, name: str, *, lease_s: float, about: "Mapping[str, Any]", clock: LeaseClock = CLOCK
) -> Iterator[Lease]:
    """
    Hold a lease on a registered model while the block runs; `about` describes its holder in the tag.

    If the release fails at the end, the work stays done: the lease expires, and a note says so.
    """
    lease = Lease(client=client, name=name, lease_s=lease_s, about=about, clock=clock)
    with _release_on_sigterm():
        try:
            lease.acquire()
            yield lease
        finally:
            try:
                lease.release()
            except Exception as error:  # noqa: BLE001  # the work is done, whatever the error
                lease.notes.append(f"the lease could not be released and expires after {lease_s:g} s: {error}")


class _Terminated(BaseException):
    """SIGTERM was received while the lease is held."""


@contextmanager
def _release_on_sigterm() -> Iterator[None]:
    """On SIGTERM release the lease before the process ends, so that others need not wait until it expires."""
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
