"""Which functions are the parts of a step, and how long they ran."""

import subprocess
import sys

import pytest

from benchmarks.imaging.bounds_page import OF_STARTS, ROWS
from benchmarks.imaging.timed_step import (
    PARTS,
    Run,
    busy,
    measured,
    noted,
    parts_in_release,
    parts_of,
    place_of,
)


@pytest.mark.parametrize("name", [name for names in PARTS.values() for name in names])
def test_each_part_is_a_function_of_the_program(name: str) -> None:
    """
    One that is gone would count as no time.
    """
    owner, last = place_of(name)

    assert callable(getattr(owner, last))


def test_spans_at_the_same_time_count_once() -> None:
    """
    The parts of a step run in several threads.
    """
    assert 6.0 == busy([(10.0, 12.0), (1.0, 3.0), (2.0, 5.0), (4.0, 4.5)])


def test_the_first_answer_is_the_import_of_mlflow() -> None:
    """
    What is before it are comparisons; each part of the page is there.
    """
    spans: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}
    spans["mlflow"] = [(8.0, 8.5), (3.0, 5.0)]

    parts = parts_of(spans, 1.0, 1.5, 10.0)

    assert (0.5, 1.5, 2.0, 0.5, 9.0) == tuple(parts[part] for part in ("start", "checks", "mlflow", "answers", "whole"))
    assert {*ROWS} - {"import"} == {*parts}


def test_in_a_release_only_the_step_that_builds_counts() -> None:
    """
    What the steps before and after it did is not part of it.
    """
    spans: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}
    spans["mlflow"] = [(1.0, 3.0), (5.5, 6.0), (9.5, 9.7)]
    spans["registry"] = [(6.0, 6.5)]

    parts = parts_in_release(spans, Run(span=(5.0, 9.0), processor_s=2.5))

    assert (0.5, 0.5, 4.0, 2.5) == tuple(parts[part] for part in ("answers", "registry", "whole", "processor"))
    assert {*ROWS} - {*OF_STARTS} == {*parts}


@pytest.mark.parametrize("ends", [True, False], ids=["a process that ended", "one that runs"])
def test_the_processor_time_of_a_step_is_that_of_its_processes_too(ends: bool) -> None:
    """
    MLflow's process runs before the step and after it.
    """
    busy_loop = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    runs: list[Run] = []
    with subprocess.Popen(
        (sys.executable, "-c", busy_loop), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def step() -> None:
            assert process.stdout is not None
            process.stdout.readline()
            if ends:
                process.communicate("\n")

        measured(step, runs)()
        assert 0.2 < runs[0].processor_s < 5.0
        process.kill()


def test_a_call_is_noted_also_if_it_fails() -> None:
    """
    Its error is raised.
    """
    spans: list[tuple[float, float]] = []

    with pytest.raises(ZeroDivisionError):
        noted(lambda: 1 // 0, spans)()

    assert 1 == len(spans)
