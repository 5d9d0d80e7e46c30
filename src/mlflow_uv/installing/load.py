"""
Sends requests to the server on this machine at a concurrency, and measures: `python -I -S load.py`, JSON in and out.

{port, path, bodies: [base64 of JSON], concurrency, seconds, requests: at most, timeout_s, root: pid of the server} ->
{milliseconds: [of each answered request], failed, seconds, memory: bytes of the server [before, highest, after]}. It
may run in the model's container, so its output is no more trustworthy than the model's response.
"""

import base64
import http.client
import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SAMPLE_S = 0.2
OK = 200


class Load:
    """The requests of all threads; `taken` are the milliseconds of each that was answered."""

    def __init__(self, plan: "dict[str, Any]") -> None:
        self.plan = plan
        self.bodies = [base64.b64decode(body) for body in plan["bodies"]]
        self.taken: list[float] = []
        self.failed = 0
        self.begun = 0
        self.until = 0.0
        self.mutex = threading.Lock()

    def next_number(self) -> "int | None":
        """The number of the next request; None once the time or the requests are used up."""
        with self.mutex:
            if time.monotonic() >= self.until or self.begun >= self.plan["requests"]:
                return None
            self.begun += 1
            return self.begun - 1

    def run(self) -> None:
        """Send requests in turn over one connection, a new one after a failure."""
        connection = self.connect()
        while (number := self.next_number()) is not None:
            started = time.monotonic()
            ok = send(connection, self.plan["path"], self.bodies[number % len(self.bodies)])
            took = (time.monotonic() - started) * 1000
            with self.mutex:
                if ok:
                    self.taken.append(round(took, 3))
                else:
                    self.failed += 1
            if not ok:
                connection.close()
                connection = self.connect()
        connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """A connection that opens itself."""
        return http.client.HTTPConnection("127.0.0.1", self.plan["port"], timeout=self.plan["timeout_s"])


def send(connection: http.client.HTTPConnection, path: str, body: bytes) -> bool:
    """Whether a request got a prediction; the whole response is read."""
    try:
        connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        while response.read(1 << 16):
            pass
    except (OSError, http.client.HTTPException):
        return False
    return response.status == OK


def memory_of(root: int) -> int:
    """The memory of a process and its descendants in bytes: Pss, where a shared page counts once, else resident."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            # The name may have spaces and brackets.
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(map(size_of, tree - {os.getpid()}))


def size_of(pid: int) -> int:
    """The memory of one process in bytes; 0 for one that ended."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def measure(plan: "dict[str, Any]") -> "dict[str, Any]":
    """Send every body once, which is not measured, then all requests."""
    load = Load(plan)
    first = load.connect()
    for body in load.bodies:
        if not send(first, plan["path"], body):
            first.close()
    first.close()
    memory = [memory_of(plan["root"])] * 2
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            memory[1] = max(memory[1], memory_of(plan["root"]))

    sampling = threading.Thread(target=sample, daemon=True)
    sampling.start()
    started = time.monotonic()
    load.until = started + plan["seconds"]
    threads = [threading.Thread(target=load.run, daemon=True) for _ in range(plan["concurrency"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    done.set()
    sampling.join()
    after = memory_of(plan["root"])
    memory = [memory[0], max(*memory, after), after]
    return {"milliseconds": load.taken, "failed": load.failed, "seconds": round(seconds, 3), "memory": memory}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.load(sys.stdin))) + "\n")
