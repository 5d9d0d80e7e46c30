"""Measures the time to the first response, latency, throughput and memory of a serving container."""

import http.client
import json
import math
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .workshop import DOCKER, Failed, Workshop

DEADLINE_S = 60.0
LOOK_S = 15.0  # longer than a start that succeeds, which nothing is to disturb
SECONDS = 2.5
WARM_S = 0.5
CLIENTS = 8
TOLERANCE = 1e-6
Case = tuple[bytes, Any]  # a request, and what training answered
HEADERS = {"Content-Type": "application/json"}
# All processes of a container but the one that asks: proportional, resident and private bytes.
MEMORY = """
import json, os, pathlib
totals = [0, 0, 0]
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if folder.name == str(os.getpid()):
        continue
    try:
        lines = [line.split() for line in (folder / "smaps_rollup").read_text().splitlines()[1:]]
    except OSError:  # it ended in this moment
        continue
    kilobytes = {words[0]: int(words[1]) for words in lines}
    totals[0] += kilobytes.get("Pss:", 0)
    totals[1] += kilobytes.get("Rss:", 0)
    totals[2] += kilobytes.get("Private_Clean:", 0) + kilobytes.get("Private_Dirty:", 0)
print(json.dumps([number * 1024 for number in totals]))
"""


@dataclass(frozen=True, kw_only=True)
class ServingContainer:
    """A container that answers rightly; `first` is when it did, in seconds after `docker run` was started."""

    name: str
    port: int
    case: Case
    first: float
    shop: Workshop

    def latencies(self) -> list[float]:
        """Seconds of one request after the other on one kept connection."""
        durations: list[float] = []
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        deadline = time.perf_counter() + SECONDS
        while time.perf_counter() < deadline:
            started = time.perf_counter()
            require_equal(post(connection, self.case[0]), self.case[1])
            durations.append(time.perf_counter() - started)
        connection.close()
        return durations

    def rate(self, seconds: float = SECONDS) -> float:
        """Right answers a second to clients that ask at once, each on one kept connection."""
        counts, complaints = [0] * CLIENTS, []
        deadline = time.perf_counter() + seconds

        def client(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
            try:
                while time.perf_counter() < deadline:
                    require_equal(post(connection, self.case[0]), self.case[1])
                    counts[number] += 1
            except (OSError, http.client.HTTPException, Failed) as error:
                complaints.append(f"{error}")
            finally:
                connection.close()

        started = time.perf_counter()
        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if complaints:
            raise Failed(f"{len(complaints)} of {CLIENTS} clients were let down: {complaints[0]}")
        return sum(counts) / (time.perf_counter() - started)

    def memory(self) -> list[int]:
        """Bytes of all its processes: PSS, RSS, private."""
        argv = ("exec", "--user", "0", self.name, "python", "-I", "-S", "-c", MEMORY)
        return list(json.loads(self.shop.run(DOCKER, *argv)))

    def measured(self) -> dict[str, Any]:
        """Everything, after a moment that does not count."""
        self.rate(WARM_S)
        taken = self.latencies()
        rate = self.rate()
        pss, rss, private = self.memory()
        p50, p95 = (quantile(taken, part) * 1000 for part in (0.5, 0.95))
        return {"first": self.first, "p50": p50, "p95": p95, "rate": rate, "pss": pss, "rss": rss, "private": private}


@contextmanager
def serving_container(shop: Workshop, image: str, case: Case, **variables: str) -> Iterator[ServingContainer]:
    """A container of an image, from its first right answer on. Raises Failed where it has none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    name = f"{shop.token}-{next(shop.count)}"
    environment = [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
    run = ("run", "--detach", "--name", name, "--label", shop.token, "--publish", f"127.0.0.1:{port}:8080")
    looking = ("--cap-add", "SYS_PTRACE")  # for who asks all its users how much memory they have; no server gains by it
    started = time.perf_counter()
    try:
        shop.run(DOCKER, *run, *looking, *environment, image)
        looked = started
        while not responds_correctly(port, case):
            now = time.perf_counter()
            if now - started > DEADLINE_S:
                raise Failed(f"no right answer within {DEADLINE_S:.0f} s; its log ends with: {last_words(name)}")
            if now - looked > LOOK_S:
                looked = now
                if shop.run(DOCKER, "inspect", "--format", "{{.State.Running}}", name).strip() != "true":
                    raise Failed(f"it ended without an answer; its log ends with: {last_words(name)}")
            time.sleep(0.01)
        yield ServingContainer(name=name, port=port, case=case, first=time.perf_counter() - started, shop=shop)
    finally:
        subprocess.run((DOCKER, "rm", "--force", "--volumes", name), capture_output=True, check=False)


def responds_correctly(port: int, case: Case) -> bool:
    """Whether a request is answered as training answered it; nobody listens, or somebody else, is a no."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        require_equal(post(connection, case[0]), case[1])
    except (OSError, http.client.HTTPException, Failed):
        return False
    finally:
        connection.close()
    return True


def post(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    """The body of an answer that has status 200. Raises Failed."""
    connection.request("POST", "/invocations", body, HEADERS)
    response = connection.getresponse()
    answer = response.read()
    if response.status != http.HTTPStatus.OK:
        raise Failed(f"status {response.status}: {answer[:200]!r}")
    return answer


def require_equal(answer: bytes, expected: Any) -> None:
    """Raises Failed for an answer that is not training's; the last bits of a float may differ."""
    if not same(json.loads(answer), expected):
        raise Failed(f"answered {answer[:200]!r}")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, but for the last bits."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case (float() | int(), float() | int()):
            return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        case _:
            return bool(one == other)


def quantile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(part * 100) - 1]


def last_words(name: str) -> str:
    """The end of a container's log."""
    done = subprocess.run((DOCKER, "logs", "--tail", "20", name), capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()[-600:]
