"""The memory of what a block starts, and of nothing else."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlflow_uv.tools.system.memory import MemoryPeak, memory_peak
from tests.waiting import happens

MEGABYTE = 1 << 20
HOLDS = "import sys; held = bytearray({}); print(flush=True); sys.stdin.read()"

pytestmark = pytest.mark.usefixtures("proportional_sizes")


@contextmanager
def holding(size: int) -> Iterator[None]:
    """A child that holds so many bytes."""
    argv = (sys.executable, "-I", "-S", "-c", HOLDS.format(size))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield
        child.kill()


def test_the_peak_is_that_of_all_processes_at_one_time() -> None:
    """
    Two at once count together, and one after the other does not; what ran before is not counted.
    """

    def measured(peak: MemoryPeak, *, least: int) -> None:
        assert happens(lambda: peak.bytes >= least)

    with holding(200 * MEGABYTE), memory_peak(interval_s=0.01) as peak:
        with holding(40 * MEGABYTE), holding(60 * MEGABYTE):
            measured(peak, least=100 * MEGABYTE)
        with holding(70 * MEGABYTE):
            pass

    assert 100 * MEGABYTE <= peak.bytes < 150 * MEGABYTE


def test_nothing_that_was_started_is_nothing_that_was_measured() -> None:
    """
    The block's own process does not count.
    """
    with memory_peak(interval_s=0.01) as peak:
        pass

    assert 0 == peak.bytes


def test_a_child_that_has_not_executed_its_program_is_not_measured() -> None:
    """
    It has the memory of the process that forked it, which is not that of a program that was started.
    """
    with memory_peak(interval_s=0.01) as peak:
        reading, writing = os.pipe()
        with warnings.catch_warnings(action="ignore"):  # of Python 3.12, for a process with threads
            forked = os.fork()
        if forked == 0:
            os.close(writing)
            os.read(reading, 1)  # until the end of the pipe
            os._exit(0)
        os.close(reading)
        with holding(10 * MEGABYTE):
            assert happens(lambda: peak.bytes >= 10 * MEGABYTE)
        os.close(writing)
        os.waitpid(forked, 0)

    assert 10 * MEGABYTE <= peak.bytes < 30 * MEGABYTE
