"""The numbers of a build and push are those of the pushes that are measured."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


class FakeProject:
    """Runs nothing; a step takes as long as was said."""

    def __init__(self, whole: float) -> None:
        self.whole = whole

    def timed(self, *_: str) -> dict[str, float]:
        return {"whole": self.whole}

    def import_seconds(self) -> float:
        return 1.5


def test_parts_are_kept_of_measured_pushes_alone(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """
    A push that prepares another one, and one of another lock, has the same case, and would replace them.
    """
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    program: Any = importlib.import_module("pushed_image")
    place = program.Place("r.example", lambda: 0)
    bench = program.Bench(
        shop=SimpleNamespace(),
        registries={"composed": place, program.IN_RELEASE: place},
        numbers={"machine": {"load": 0.0, "most_load": 0.0}},
        keep=lambda _: None,
        project=FakeProject(2.0),
        models={"small": None},
        names=[],
    )

    for side in ("composed", program.IN_RELEASE):
        bench.measure(side, "small")
    bench.project = FakeProject(9.0)
    for side in ("composed", program.IN_RELEASE):
        bench.push(side, "small")

    kept = {kind: bench.numbers[kind]["small"] for kind in ("parts", program.IN_RELEASE)}
    assert {"parts": {"whole": 2.0, "import": 1.5}, program.IN_RELEASE: {"whole": 2.0}} == kept
    assert [2.0, 0] == bench.numbers["cases"]["small"][program.IN_RELEASE]
