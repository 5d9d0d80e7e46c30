"""Fixtures of the tests on a GitHub runner: the runner, this checkout as an action, and a user's repository."""

import sys
from pathlib import Path

import pytest

from tests.github.act import Consumer, published


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our checkout as others get it, once for all tests, so that the launcher makes its environment once."""
    return published(tmp_path_factory.mktemp("published") / "mlflow-uv-action")


@pytest.fixture(scope="session")
def runner_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HOME on the runner."""
    return tmp_path_factory.mktemp("runner")


@pytest.fixture
def consumer(tmp_path: Path, action: Path, runner_home: Path) -> Consumer:
    """A user's empty repository on a runner that has uv."""
    folder = tmp_path / "consumer"
    folder.mkdir()
    return Consumer(folder, action=action, home=runner_home, programs=(Path(sys.executable).parent / "uv",))


@pytest.fixture
def consumer_without_uv(consumer: Consumer) -> Consumer:
    """A user's empty repository on a runner that nobody has put uv on."""
    consumer.programs = ()
    return consumer
