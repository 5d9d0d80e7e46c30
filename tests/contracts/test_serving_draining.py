"""Contract: what becomes of those who have already spoken when the server is told to stop."""

import http.client
import json
import os
import signal
from pathlib import Path

from tests.contracts.serving_process import JSON, Starter, scripted_model, wait_until
from tests.waiting import CEILING_S

BODY = json.dumps({"dataframe_records": [{"x": 1}]})


def stands_still(process: int) -> bool:
    """Whether SIGSTOP has taken hold of a process; see proc(5)."""
    return reply_to(process)["State"].startswith("T")


def told(process: int) -> bool:
    """Whether SIGTERM waits for a process that stands still."""
    return bool(int(reply_to(process)["ShdPnd"], 16) >> (signal.SIGTERM - 1) & 1)


def reply_to(process: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def test_what_was_sent_before_the_signal_is_answered_and_is_the_last(start: Starter, tmp_path: Path) -> None:
    """
    On new connections that the server was too busy to look at, and on one that was kept: each is answered with 200.

    Each answer says that the connection is closed, so that no client sends a request into it that nobody reads.
    """
    with start(scripted_model(tmp_path / "model"), WORKERS="2") as served:
        served.ready()
        workers = served.workers()
        wait_until(lambda: {*workers} == {json.loads(served.invoke({"x": 1})[2])["predictions"][0] for _ in range(8)})
        clients = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=CEILING_S) for _ in range(21)]
        clients[0].request("GET", "/ping")
        clients[0].getresponse().read()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: all(map(stands_still, workers)))
        for client in clients:
            client.request("POST", "/invocations", BODY, JSON)
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: all(map(told, workers)))
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        answers = [client.getresponse() for client in clients]
        code = served.end()
        for client in clients:
            client.close()

    assert [(200, "close")] * 21 == [(answer.status, answer.getheader("connection")) for answer in answers]
    assert 0 == code
