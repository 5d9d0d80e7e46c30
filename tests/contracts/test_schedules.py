"""Contract: whoever works at a registered model at the same time, its versions and aliases tell one history."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter

DRIVER = Path(__file__).with_name("scheduling.py")
# Scene and number of seeds.
CORE = (
    ("register", 8),
    ("register-killed", 8),
    ("promote", 5),
    ("promote-same", 2),
    ("promote-killed", 5),
    ("rollback", 4),
    ("rollback-killed", 5),
    ("prune", 2),
    ("prune-killed", 2),
)
# Scenes in which a registry that hides leases lets two go on at once, and seeds among which it does.
BLIND = (("promote-same", 3), ("rollback", 12))
MORE = 50

Played = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def play(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Played]:
    """Play schedules of scenes over a SQLite store of their own; what each scene came to."""

    def played(*scenes: tuple[str, int], first: int = 0, blind: bool = False) -> Played:
        orders = [[scene, first, number, blind] for scene, number in scenes]
        store = f"sqlite:///{tmp_path_factory.mktemp('schedules') / 'mlflow.db'}"
        done = subprocess.run(
            [mlflow.python, "-I", DRIVER, mlflow.payloads, json.dumps(orders)],
            env={**os.environ, **QUIET, "MLFLOW_TRACKING_URI": store},
            capture_output=True,
            text=True,
            timeout=3600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {told["scene"]: told for told in json.loads(done.stdout)}

    return played


@pytest.fixture(scope="session")
def core(play: Callable[..., Played]) -> Played:
    """Every scene, with the seeds of the core suite."""
    return play(*CORE)


@pytest.mark.core_variants(4)
@pytest.mark.parametrize("scene", [scene for scene, _ in CORE])
def test_every_schedule_ends_in_one_history(core: Played, scene: str) -> None:
    """
    One version a model; every move follows from the one before and is told on both versions; no lease is left.
    """
    told = core[scene]

    assert (dict(CORE)[scene], []) == (told["played"], told["wrong"])


def test_the_dead_are_outlived(core: Played) -> None:
    """
    Actors are killed at every kind of call; the lease of a dead one expires, and its work is done by the next.
    """
    killed = {scene: told["killed"] for scene, told in core.items() if scene.endswith("-killed")}
    ended = sum(told["expired leases"] for told in core.values())

    assert all(killed.values()), killed
    assert ended > 0


@pytest.mark.extended
def test_without_leases_the_same_schedules_go_wrong(play: Callable[..., Played]) -> None:
    """
    Where the registry shows nobody the leases of the others, moves are lost: the schedules above would notice.
    """
    told = play(*BLIND, blind=True)

    assert {scene for scene, _ in BLIND} == {scene for scene, one in told.items() if one["wrong"]}


@pytest.mark.extended
def test_many_more_schedules_end_in_one_history(play: Callable[..., Played]) -> None:
    """
    The same with other seeds, fifty times as many.
    """
    told = play(*((scene, number * MORE) for scene, number in CORE), first=1000)

    assert {scene: [] for scene, _ in CORE} == {scene: one["wrong"] for scene, one in told.items()}
